//! A log that was cut off behind what was read (KIP-320), by hand and against a broker that compares epochs.

use super::*;
use crate::messages::EpochEndOffset;

fn parted(epoch: i32, end_offset: i64) -> FetchPartitionResponse {
    let diverging_epoch = EpochEndOffset { epoch: LeaderEpoch(epoch), end_offset };
    FetchPartitionResponse { diverging_epoch, ..found(Bytes::new()) }
}

/// Has read offsets 0 to 4 of epoch 3 and 5 to 9 of epoch 4, and handed out the former.
fn half_way(limits: Limits) -> Bench {
    let mut bench = Bench::at(limits, 0);
    let mut set = of_epoch(3, 0, 5);
    set.extend(of_epoch(4, 5, 5));
    bench.fetch(set);
    bench.cursors.next_batch(bench.now).unwrap().unwrap();
    assert_eq!(bench.position(), Some(5));
    bench
}

impl Bench {
    /// Offset and last epoch of the next request.
    fn asked_of(&mut self) -> (i64, i32) {
        let request = self.plan().request(12);
        let asked = &request.topics[0].partitions[0];
        (asked.fetch_offset, asked.last_fetched_epoch.0)
    }

    fn answers(&mut self, answer: FetchPartitionResponse) {
        let plan = self.plan();
        self.answer(&plan, vec![answer]);
    }
}

#[test]
fn each_request_says_of_which_epoch_the_record_before_it_is() {
    let mut bench = Bench::at(limits(), 0);
    assert_eq!(bench.asked_of(), (0, -1), "nothing was read yet");
    bench.fetch(of_epoch(3, 0, 2));
    assert_eq!(bench.asked_of(), (2, 3));
    bench.fetch(of_epoch(4, 2, 2));
    assert_eq!(bench.asked_of(), (4, 4));
    assert_eq!(bench.plan().request(11).topics[0].partitions[0].last_fetched_epoch, LeaderEpoch::NONE);
    bench.cursors.seek(&orders(0), Start::Offset(1)).unwrap();
    assert_eq!(bench.asked_of(), (1, -1));
    // A leader knows no later epoch than its own, which is 5.
    bench.fetch(of_epoch(6, 1, 2));
    assert_eq!(bench.asked_of(), (3, -1));
}

#[test]
fn what_was_seen_and_is_no_more_is_told_with_both_offsets_and_reading_goes_on_where_the_logs_part() {
    let mut bench = half_way(limits());
    bench.answers(parted(2, 3));
    let error = bench.cursors.next_batch(bench.now).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogTruncation { position: 5, parted_at: 3 });
    let text = error.to_string();
    assert!(text.contains("offset 5") && text.contains("from 3 on") && text.contains("orders"), "{text}");
    assert_eq!((bench.position(), bench.asked_of()), (Some(3), (3, 2)));
    bench.fetch(of_epoch(4, 3, 4));
    assert_eq!(bench.drain(), [3, 4, 5, 6], "the new records, and none of the old");
}

#[test]
fn what_was_not_seen_yet_is_fetched_anew_without_a_word() {
    let mut bench = half_way(limits());
    bench.answers(parted(3, 7));
    assert!(bench.plans().is_empty(), "a broker that takes back what it gave is asked after a pause");
    bench.now += Duration::from_secs(1);
    assert_eq!((bench.position(), bench.asked_of()), (Some(5), (5, 3)));
    let mut set = of_epoch(3, 5, 2);
    set.extend(of_epoch(4, 7, 2));
    bench.fetch(set);
    assert_eq!(bench.drain(), [5, 6, 7, 8]);
}

#[test]
fn without_a_policy_the_application_says_where_to_go_on() {
    let mut bench = half_way(Limits { reset: Reset::None, ..limits() });
    bench.answers(parted(2, 3));
    let error = bench.cursors.next_batch(bench.now).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogTruncation { position: 5, parted_at: 3 });
    bench.now += Duration::from_secs(60);
    assert!(bench.plans().is_empty() && bench.cursors.next_batch(bench.now).is_none(), "told once");
    bench.cursors.seek(&orders(0), Start::Offset(3)).unwrap();
    assert_eq!(bench.asked(), 3);
}

/// An epoch in which nothing was written is known to its leader only: the end of the log as it was told then is where the
/// next epoch begins.
#[test]
fn an_epoch_that_the_broker_does_not_know_is_no_truncation_when_everything_is_there() {
    let mut bench = half_way(limits());
    bench.answers(parted(1, 10));
    assert_eq!(bench.asked_of(), (10, 1));
    bench.answers(parted(1, 10));
    bench.now += Duration::from_secs(2);
    assert_eq!(bench.asked_of(), (10, -1), "it is not asked for ever");
    assert_eq!(bench.drain(), [5, 6, 7, 8, 9]);
}

#[test]
fn an_offset_is_out_of_range_only_when_it_is_so_without_an_epoch() {
    let mut bench = half_way(limits());
    bench.drain();
    bench.fail(ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!((bench.asked_of(), bench.position()), ((10, -1), Some(10)), "at once, and without a reset");
    bench.fail(ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(bench.position(), None, "now it is reset");
}

#[test]
fn the_end_that_was_asked_for_is_of_the_epoch_that_was_told_with_it() {
    let mut bench = Bench::with(limits());
    bench.cursors.assign(orders(0), Start::End);
    let (plans, _) = bench.cursors.plan_resets(&bench.view, bench.now, 0, &BTreeSet::new());
    let found =
        ListOffsetsPartitionResponse { offset: 8, leader_epoch: LeaderEpoch(4), ..Default::default() };
    let topic = ListOffsetsTopicResponse { name: "orders".into(), partitions: vec![found] };
    let answer = ListOffsetsResponse { topics: vec![topic], ..Default::default() };
    bench.cursors.digest_reset(&plans[0], Ok(answer), bench.now, &mut bench.rng);
    assert_eq!(bench.asked_of(), (8, 4));
}

/// A leader that compares epochs, and somebody who keeps in mind what is handed out and told.
struct World {
    bench: Bench,
    /// The epoch of each record: no two logs have different records of one epoch.
    log: Vec<i32>,
    epoch: i32,
    seen: Vec<i32>,
    truncations: usize,
}

impl World {
    /// As Kafka's leader epoch cache: the largest epoch up to the one asked for, and where the next one begins.
    fn end_of(&self, epoch: i32) -> Option<(i32, i64)> {
        if epoch == self.epoch {
            return Some((epoch, self.log.len() as i64));
        }
        let next = self.log.iter().position(|of| *of > epoch).unwrap_or(self.log.len());
        let floor = self.log.iter().filter(|of| **of <= epoch).max();
        Some((floor.copied().unwrap_or(epoch), next as i64)).filter(|_| epoch < self.epoch)
    }

    fn serve(&self, offset: i64, last_epoch: i32) -> FetchPartitionResponse {
        let out_of_range =
            || FetchPartitionResponse { error_code: ErrorCode::OFFSET_OUT_OF_RANGE, ..found(Bytes::new()) };
        if last_epoch >= 0 {
            match self.end_of(last_epoch) {
                None => return out_of_range(),
                Some((epoch, end)) if epoch < last_epoch || end < offset => return parted(epoch, end),
                Some(_) => {}
            }
        }
        let Some(behind) = self.log.get(usize::try_from(offset).unwrap()..) else { return out_of_range() };
        let set = (offset..).zip(behind.iter().take(3)).flat_map(|(at, epoch)| of_epoch(*epoch, at, 1));
        found(set.collect::<Vec<u8>>())
    }

    fn fetch(&mut self) {
        self.bench.now += Duration::from_secs(2);
        for mut plan in self.bench.plans() {
            let request = plan.request(12);
            let asked = &request.topics[0].partitions[0];
            let answer = self.serve(asked.fetch_offset, asked.last_fetched_epoch.0);
            self.bench.answer(&plan, vec![answer]);
        }
    }

    /// Whether there was something.
    fn read(&mut self) -> bool {
        match self.bench.cursors.next_batch(self.bench.now) {
            None => return false,
            Some(Ok(FetchedBatch { batch, from, .. })) => {
                for record in batch.records().filter(|record| record.offset() >= from) {
                    assert_eq!(record.offset(), self.seen.len() as i64);
                    self.seen.push(batch.leader_epoch());
                }
            }
            Some(Err(error)) => {
                let ErrorKind::LogTruncation { position, parted_at } = error.kind() else {
                    panic!("{error}")
                };
                assert_eq!(position, self.seen.len() as i64);
                self.seen.truncate(usize::try_from(parted_at).unwrap());
                self.truncations += 1;
            }
        }
        true
    }
}

/// Elections at random, many of them unclean: in the end, who keeps in mind what was handed out, and forgets what was told
/// to be no more, has in mind what is in the log.
#[test]
fn through_any_elections_what_was_read_and_told_adds_up_to_the_log() {
    let mut truncations = 0;
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bench = Bench::at(limits(), 0);
        let mut world = World { bench, log: Vec::new(), epoch: 0, seen: Vec::new(), truncations: 0 };
        for _ in 0..80 {
            match rng.u8(0..8) {
                0..=2 => world.log.push(world.epoch),
                3 if world.epoch < 5 => {
                    world.epoch += 1;
                    world.log.truncate(rng.usize(world.log.len() / 2..=world.log.len()));
                }
                4 | 5 => drop(world.read()),
                _ => world.fetch(),
            }
        }
        for _ in 0..60 {
            world.fetch();
            while world.read() {}
        }
        assert_eq!(world.seen, world.log, "of seed {seed}");
        truncations += world.truncations;
    }
    assert!(truncations > 100, "{truncations} truncations");
}
