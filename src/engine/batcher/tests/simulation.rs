//! Random sends, faults and answers in any order: what was acknowledged is in the log once, where the answer said, and in
//! the order of the sends.

use super::bench::{Bench, ID, gone, view};
use crate::engine::batcher::{Answer, Limits, Refused, Shipment};
use crate::error::{ErrorKind, Sent};
use crate::messages::{Acks, BrokerId, ErrorCode};
use std::collections::BTreeMap;
use std::time::Duration;

/// `SEEDS=20000` tries more, `SEED=17` one.
#[test]
fn what_is_acknowledged_is_in_the_log_once_and_in_order() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = number("SEED").map_or(0..number("SEEDS").unwrap_or(400), |seed| seed..seed + 1);
    for seed in seeds {
        Run::new(seed).go();
    }
}

struct Run {
    seed: u64,
    bench: Bench,
    chance: fastrand::Rng,
    /// Requests that were sent, with the cluster's answer if they arrived.
    flying: Vec<(Shipment, Option<Answer>)>,
    sent: usize,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut chance = fastrand::Rng::with_seed(seed);
        let limits = Limits {
            batch_size: chance.usize(50..600),
            buffer_memory: 6_000,
            linger: Duration::from_millis(chance.u64(0..5)),
            delivery_timeout: Duration::from_secs(chance.u64(2..60)),
            max_in_flight_batches: chance.usize(1..6),
            ..Limits::default()
        };
        let mut bench = Bench::new(limits);
        if chance.bool() {
            bench.cluster.max_batch = Some(chance.usize(100..400));
        }
        Run { seed, bench, chance, flying: Vec::new(), sent: 0 }
    }

    fn go(mut self) {
        for _ in 0..400 {
            match self.chance.u32(0..10) {
                0..4 => self.send(),
                4..6 => self.depart(),
                6..8 => self.arrive(),
                8 => self.bench.pass(self.chance.u64(0..300)),
                _ => self.trouble(),
            }
            self.bench.expire();
            // The header of a batch that is split is held twice.
            assert!(self.bench.batcher.held_bytes() <= 6_600, "seed {}", self.seed);
        }
        self.bench.cluster.faults.clear();
        self.bench.apply(view(ID, &[(0, 9), (1, 9), (0, 9), (1, 9)]));
        while !self.flying.is_empty() {
            self.arrive();
        }
        self.bench.batcher.close();
        self.bench.run(70_000);
        self.check();
    }

    fn send(&mut self) {
        let partition = self.chance.i32(0..2);
        let value = format!("{partition} {:05} {}", self.sent, "x".repeat(self.chance.usize(0..80)));
        match self.bench.send(partition, &value) {
            Ok(_) => self.sent += 1,
            Err(refused) => assert_eq!(refused, Refused::Full, "seed {}", self.seed),
        }
    }

    /// A request leaves; it may arrive, be cut off, or not get out at all.
    fn depart(&mut self) {
        let Some(mut shipment) = self.bench.batcher.drain(BrokerId(self.chance.i32(0..2)), self.bench.now)
        else {
            return;
        };
        let fate = self.chance.u32(0..10);
        if fate == 0 {
            self.bench.answer(shipment, gone(Sent::Never));
            return;
        }
        let answer = (fate != 1)
            .then(|| Answer::Response(self.bench.cluster.produce(&shipment.request(Acks::ALL, 0, None))));
        self.flying.push((shipment, answer));
    }

    /// Some request's answer comes, or is lost.
    fn arrive(&mut self) {
        if self.flying.is_empty() {
            return;
        }
        let (shipment, answer) = self.flying.swap_remove(self.chance.usize(..self.flying.len()));
        let lost = self.chance.u32(0..8) == 0;
        self.bench.answer(shipment, answer.filter(|_| !lost).unwrap_or_else(|| gone(Sent::Maybe)));
    }

    fn trouble(&mut self) {
        let codes = [
            ErrorCode::NOT_ENOUGH_REPLICAS,
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ErrorCode::REQUEST_TIMED_OUT,
            ErrorCode::INVALID_RECORD,
            ErrorCode::CORRUPT_MESSAGE,
        ];
        let code = codes[self.chance.usize(..codes.len())];
        self.bench.cluster.faults.entry(self.chance.i32(0..2)).or_default().push_back(code);
        if self.chance.u32(0..4) == 0 {
            let leader = self.chance.i32(-1..2);
            let other = self.chance.i32(0..2);
            self.bench.apply(view(ID, &[(leader, 1), (other, 1), (0, 1), (1, 1)]));
        }
    }

    fn check(&self) {
        let Run { seed, bench, sent, .. } = self;
        assert_eq!(bench.outcomes.len(), *sent, "seed {seed}: every send resolves");
        assert!(
            bench.batcher.is_empty() && bench.batcher.held_bytes() == 0,
            "seed {seed}: nothing is left behind"
        );
        let mut places = BTreeMap::new();
        for log in bench.cluster.logs.values() {
            assert!(log.values.is_sorted(), "seed {seed}: in the order of the sends: {:#?}", log.values);
            for (offset, value) in log.values.iter().enumerate() {
                assert!(places.insert(value, offset as i64).is_none(), "seed {seed}: {value} is there twice");
            }
        }
        for (value, outcome) in &bench.outcomes {
            let place = places.get(value).copied();
            match outcome {
                Ok(Some(offset)) => {
                    assert_eq!(place, Some(*offset), "seed {seed}: {value} is where the answer said")
                }
                Ok(None) => assert!(place.is_some(), "seed {seed}: {value} was acknowledged and is lost"),
                Err(error) => {
                    let surely_not = !error.is_possibly_written();
                    assert!(
                        !(surely_not && place.is_some()),
                        "seed {seed}: {value} was written after all: {error}"
                    );
                    let expected = matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Broker(_));
                    assert!(expected, "seed {seed}: {value}: {error}");
                }
            }
        }
    }
}
