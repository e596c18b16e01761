//! Requests of transactions in any order, by seed, with producers that are of yesterday among them: whatever a real Kafka
//! answers to them, and whatever can be read then, the embedded broker has the same.
//!
//! `SEED=7` asks for one seed alone and shows what was said; `SEEDS=100` for more than the few.

use super::{CONCURRENT, Producer, settled};
use crate::batch;
use crate::cases::groups::group;
use crate::cases::{Target, Topic};
use fastrand::Rng;
use ottla::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction, ErrorCode, FetchRequest, IsolationLevel, OffsetFetchGroup,
    OffsetFetchRequest, OffsetFetchTopic, ProduceRequest, ProducerEpoch, ProducerId,
    TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitTopic, WritableTxnMarker,
    WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use ottla::wire::Text;
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

const STEPS: usize = 120;
const PARTITIONS: i32 = 2;

type Pair = (ProducerId, ProducerEpoch);

/// One run.
struct World {
    rng: Rng,
    producers: Vec<Producer>,
    /// Every id and epoch that a transactional id ever had, oldest first.
    pairs: Vec<Vec<Pair>>,
    /// Producer ids in the order in which they were given, by which they are told: no two brokers give the same.
    ids: Vec<ProducerId>,
    /// The sequence that follows what was written, by producer and partition.
    sequences: BTreeMap<(ProducerId, ProducerEpoch, i32), i32>,
    topic: Topic,
    group: Text,
}

/// What a step has come to: what was said, and what can be read after it.
type Line = (String, String);

/// What is asked, drawn before it is known whom.
struct Draw {
    which: usize,
    pair: Pair,
    partition: i32,
}

impl World {
    fn new(target: &Target, seed: u64) -> World {
        let producers = vec![Producer::new(target), Producer::new(target)];
        let pairs = producers.iter().map(|producer| vec![producer.pair()]).collect();
        let ids = producers.iter().map(|producer| producer.id).collect();
        World {
            rng: Rng::with_seed(seed),
            pairs,
            ids,
            producers,
            sequences: BTreeMap::new(),
            topic: target.topic_with(PARTITIONS, &[]),
            group: group(target),
        }
    }

    /// Runs; against what is `expected`, where markers may come a little later, up to where it is otherwise.
    fn run(mut self, expected: &[Line]) -> Vec<Line> {
        let mut lines = Vec::new();
        for step in 0..STEPS {
            let said = self.step();
            let mut seen = self.look();
            if let Some((_, expected)) = expected.get(step) {
                for _ in 0..200 {
                    if seen == *expected {
                        break;
                    }
                    thread::sleep(Duration::from_millis(20));
                    seen = self.look();
                }
                // Whether the coordinator has heard that they are written cannot be seen.
                thread::sleep(Duration::from_millis(5));
            }
            lines.push((said, seen));
            if expected.get(step).is_some_and(|line| lines.last() != Some(line)) {
                break;
            }
        }
        lines
    }

    /// Mostly the producer that there is, now and then one that there was.
    fn draw(&mut self) -> Draw {
        let which = self.rng.usize(..self.producers.len());
        let known = &self.pairs[which];
        let back = if self.rng.u8(..4) == 0 { self.rng.usize(..known.len()) } else { 0 };
        let (id, mut epoch) = known[known.len() - 1 - back];
        if self.rng.u8(..20) == 0 {
            epoch = ProducerEpoch(epoch.0 + 1);
        }
        Draw { which, pair: (id, epoch), partition: self.rng.i32(0..PARTITIONS) }
    }

    fn step(&mut self) -> String {
        let draw = self.draw();
        let named = format!("{} as {}", draw.which, self.named(draw.pair));
        // A leader that has seen an epoch of the future from elsewhere refuses its coordinator's marker, and a real coordinator
        // never comes to an end then.
        let is_known = self.pairs[draw.which].contains(&draw.pair);
        let (id, epoch) = draw.pair;
        (self.producers[draw.which].id, self.producers[draw.which].epoch) = (id, epoch);
        let said = match self.rng.u8(..40) {
            0..=1 => self.init(&draw),
            2..=6 => self.add(&draw),
            7..=8 => self.ask_as_brokers(&draw),
            9..=25 => self.produce(&draw, is_known),
            26..=27 => self.add_offsets(&draw),
            28..=31 => self.commit_offset(&draw),
            32 if is_known => self.mark(&draw),
            _ => self.end(&draw),
        };
        format!("{named}: {said}")
    }

    fn named(&self, (id, epoch): Pair) -> String {
        let number = self.ids.iter().position(|known| *known == id);
        format!("{}/{epoch}", number.map_or_else(|| id.0.to_string(), |number| format!("#{number}")))
    }

    fn learn(&mut self, which: usize, pair: Pair) {
        if !self.ids.contains(&pair.0) {
            self.ids.push(pair.0);
        }
        if self.pairs[which].last() != Some(&pair) {
            self.pairs[which].push(pair);
        }
    }

    fn init(&mut self, draw: &Draw) -> String {
        let expected = self.rng.bool().then_some(draw.pair);
        let version = if expected.is_some() { self.rng.i16(3..=5) } else { self.rng.i16(0..=5) };
        let producer = &mut self.producers[draw.which];
        let given = settled(|| producer.init(version, expected), |given| *given != Err(CONCURRENT));
        let pair = producer.pair();
        if given.is_ok() {
            self.learn(draw.which, pair);
        }
        let given = given.map(|_| self.named(pair));
        format!("InitProducerId {version}, has {} -> {given:?}", expected.is_some())
    }

    fn add(&mut self, draw: &Draw) -> String {
        let version = self.rng.i16(0..=3);
        let partitions = match self.rng.u8(..8) {
            0 => vec![0, 1],
            1 => vec![draw.partition, 9],
            _ => vec![draw.partition],
        };
        let topic = self.topic.clone();
        let producer = &mut self.producers[draw.which];
        let codes = producer.retried(|own| own.add(version, &topic, &partitions), |codes| codes[0]);
        format!("AddPartitionsToTxn {version} {partitions:?} -> {codes:?}")
    }

    fn ask_as_brokers(&mut self, draw: &Draw) -> String {
        let (version, verify_only) = (self.rng.i16(4..=5), self.rng.bool());
        let partitions = vec![draw.partition];
        let topics = vec![AddPartitionsToTxnTopic { name: self.topic.name.clone(), partitions }];
        let producer = &mut self.producers[draw.which];
        let transaction = AddPartitionsToTxnTransaction {
            transactional_id: producer.transactional_id.clone(),
            producer_id: draw.pair.0,
            producer_epoch: draw.pair.1,
            verify_only,
            topics,
        };
        let request = AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() };
        let ask = |own: &mut Producer| {
            let answer = own.peer.ask(version, request.clone());
            answer.results_by_transaction[0].topic_results[0].results_by_partition[0].partition_error_code
        };
        let code = producer.retried(ask, |code| *code);
        format!("AddPartitionsToTxn {version} of brokers, verify {verify_only} {} -> {code}", draw.partition)
    }

    fn produce(&mut self, draw: &Draw, is_known: bool) -> String {
        let version = self.rng.i16(3..=13);
        let (id, epoch) = draw.pair;
        let expected = self.sequences.get(&(id, epoch, draw.partition)).copied().unwrap_or(0);
        let sequence = match self.rng.u8(..10) {
            0 => 0,
            1 => expected + 1,
            2 => (expected - 1).max(0),
            _ => expected,
        };
        let is_transactional = self.rng.u8(..12) != 0 || !is_known;
        let make = if is_transactional { batch::transactional } else { batch::sequenced };
        let records = make(id.0, epoch.0, sequence, 1);
        let producer = &mut self.producers[draw.which];
        let request = ProduceRequest {
            transactional_id: Some(producer.transactional_id.clone()),
            ..self.topic.produce_to(draw.partition, Some(records))
        };
        let code = |done: &ottla::messages::ProducePartitionResponse| match done.error_code {
            // What older clients are told while a transaction is being ended.
            ErrorCode::NOT_ENOUGH_REPLICAS => CONCURRENT,
            code => code,
        };
        let done = producer.retried(|own| own.sent(version, request.clone()), code);
        if done.error_code.is_none() {
            self.sequences.insert((id, epoch, draw.partition), sequence + 1);
        }
        let (code, offset, start) = (done.error_code, done.base_offset, done.log_start_offset);
        let kind = if is_transactional { "" } else { ", in no transaction" };
        format!("Produce {version} to {} from {sequence} on{kind} -> {code} {offset} {start}", draw.partition)
    }

    fn add_offsets(&mut self, draw: &Draw) -> String {
        let version = self.rng.i16(0..=4);
        let producer = &mut self.producers[draw.which];
        let request = AddOffsetsToTxnRequest {
            transactional_id: producer.transactional_id.clone(),
            producer_id: draw.pair.0,
            producer_epoch: draw.pair.1,
            group_id: self.group.clone(),
        };
        let code = producer.retried(|own| own.peer.ask(version, request.clone()).error_code, |code| *code);
        format!("AddOffsetsToTxn {version} -> {code}")
    }

    fn commit_offset(&mut self, draw: &Draw) -> String {
        let (version, committed_offset) = (self.rng.i16(0..=5), self.rng.i64(0..1000));
        let producer = &mut self.producers[draw.which];
        let partition =
            TxnOffsetCommitPartition { partition_index: 0, committed_offset, ..Default::default() };
        let request = TxnOffsetCommitRequest {
            transactional_id: producer.transactional_id.clone(),
            group_id: self.group.clone(),
            producer_id: draw.pair.0,
            producer_epoch: draw.pair.1,
            topics: vec![TxnOffsetCommitTopic { name: self.topic.name.clone(), partitions: vec![partition] }],
            ..Default::default()
        };
        let ask =
            |own: &mut Producer| own.peer.ask(version, request.clone()).topics[0].partitions[0].error_code;
        let code = producer.retried(ask, |code| *code);
        format!("TxnOffsetCommit {version} of {committed_offset} -> {code}")
    }

    fn mark(&mut self, draw: &Draw) -> String {
        let (committed, generation) = (self.rng.bool(), self.rng.i8(1..=2));
        let marker = WritableTxnMarker {
            producer_id: draw.pair.0,
            producer_epoch: draw.pair.1,
            transaction_result: committed,
            topics: vec![WritableTxnMarkerTopic {
                name: self.topic.name.clone(),
                partition_indexes: vec![draw.partition],
            }],
            // That of the real coordinator: an administrator learns it from the leader.
            coordinator_epoch: 0,
            transaction_version: generation,
        };
        let producer = &mut self.producers[draw.which];
        let written = producer.peer.ask(2, WriteTxnMarkersRequest { markers: vec![marker] });
        let code = written.markers[0].topics[0].partitions[0].error_code;
        format!("WriteTxnMarkers of {generation}, {committed}, {} -> {code}", draw.partition)
    }

    fn end(&mut self, draw: &Draw) -> String {
        let (version, committed) = (self.rng.i16(0..=5), self.rng.bool());
        // The second generation is what there is most of.
        let version = if self.rng.bool() { 5 } else { version };
        let producer = &mut self.producers[draw.which];
        let ended = producer.retried(|own| own.end(version, committed), |ended| ended.error_code);
        let next = (ended.producer_id, ended.producer_epoch);
        if ended.error_code.is_none() && version == 5 {
            self.learn(draw.which, next);
        }
        format!("EndTxn {version}, {committed} -> {} {}", ended.error_code, self.named(next))
    }

    /// What can be read now.
    fn look(&mut self) -> String {
        let mut seen = Vec::new();
        for partition in 0..PARTITIONS {
            let request = FetchRequest {
                isolation_level: IsolationLevel::READ_COMMITTED,
                ..self.topic.fetch_of(partition, 0)
            };
            let fetched = self.producers[0].peer.fetch(12, request);
            let aborted = fetched.aborted_transactions.unwrap_or_default();
            let aborted: Vec<_> = aborted
                .iter()
                .filter(|aborted| aborted.first_offset < fetched.last_stable_offset)
                .map(|aborted| {
                    format!(
                        "{}@{}",
                        self.named((aborted.producer_id, ProducerEpoch(0))),
                        aborted.first_offset
                    )
                })
                .collect();
            seen.push(format!("{}/{} {aborted:?}", fetched.last_stable_offset, fetched.high_watermark));
        }
        for stable in [false, true] {
            let topic = OffsetFetchTopic {
                name: self.topic.name.clone(),
                partition_indexes: vec![0],
                ..Default::default()
            };
            let group = OffsetFetchGroup {
                group_id: self.group.clone(),
                topics: Some(vec![topic]),
                ..Default::default()
            };
            let answer = self.producers[0].peer.ask(8, OffsetFetchRequest::one(group, stable, 8));
            let found = &answer.groups[0].topics[0].partitions[0];
            seen.push(format!("{} {}", found.error_code, found.committed_offset));
        }
        seen.join(", ")
    }
}

pub fn whatever_is_asked_in_whatever_order_is_answered_alike(target: &Target) {
    let set = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let one: Option<u64> = set("SEED");
    let seeds = one.map_or(1..=set("SEEDS").unwrap_or(4), |seed| seed..=seed);
    for seed in seeds {
        let own = World::new(&Target::embedded(), seed).run(&[]);
        let show = |lines: &[Line]| {
            let lines = lines.iter().enumerate();
            lines.map(|(step, (said, seen))| format!("{step}: {said} | {seen}\n")).collect::<String>()
        };
        if one.is_some() {
            eprintln!("{}", show(&own));
        }
        let other = World::new(target, seed).run(&own);
        let differ = own.iter().zip(&other).position(|(own, other)| own != other);
        if let Some(at) = differ {
            let before = show(&own[..at]);
            let ((said, seen), (other_said, other_seen)) = (&own[at], &other[at]);
            panic!("seed {seed}:\n{before}embedded {said} | {seen}\nother    {other_said} | {other_seen}");
        }
    }
}
