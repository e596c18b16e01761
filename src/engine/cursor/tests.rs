//! Cursors against answers made by hand: no brokers, no clock.

#![allow(clippy::disallowed_methods, reason = "a test begins at some time, whichever it is")]

mod replica;
mod room;
mod sessions;
mod truncation;

use super::*;
use crate::engine::TopicPartition;
use crate::engine::retry::Backoff;
use crate::engine::view::{Asked, View};
use crate::messages::{
    AbortedTransaction, BrokerId, ErrorCode, FetchPartitionResponse, FetchResponse, FetchTopicResponse,
    LeaderEpoch, ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse, MetadataBroker,
    MetadataPartition, MetadataResponse, MetadataTopic, ProducerId,
};
use crate::records::{Batch, BatchBuilder, Decompressor, HEADER_LEN, SealedBatch, Stamp, control};
use crate::wire::{Span, Uuid};
use bytes::Bytes;
use std::collections::BTreeSet;

const WAIT: Duration = Duration::from_millis(500);

struct Bench {
    cursors: Cursors,
    view: View,
    now: Instant,
    rng: fastrand::Rng,
}

fn limits() -> Limits {
    Limits {
        max_wait: WAIT,
        min_bytes: 1,
        max_bytes: 50 << 20,
        partition_max_bytes: 1 << 20,
        queued_max_bytes: 1 << 20,
        decompressed_max_bytes: 1 << 20,
        read_committed: false,
        reset: Reset::Earliest,
        rack: Text::default(),
        replica_max_age: Duration::from_secs(300),
        policy: Policy { retries: u32::MAX, backoff: Backoff::RETRY },
    }
}

fn orders(partition: i32) -> TopicPartition {
    TopicPartition::new("orders", partition)
}

impl Bench {
    /// Partitions 0 and 1 of `orders`, led by brokers 1 and 2.
    fn with(limits: Limits) -> Bench {
        Bench::led(limits, &[1, 2])
    }

    /// The partitions of `orders`, led by these brokers.
    fn led(limits: Limits, leaders: &[i32]) -> Bench {
        let mut view = View::default();
        let broker = |id| MetadataBroker { node_id: BrokerId(id), host: "b".into(), port: 9092, rack: None };
        let partition = |index, leader| MetadataPartition {
            partition_index: index,
            leader_id: BrokerId(leader),
            leader_epoch: LeaderEpoch(5),
            ..Default::default()
        };
        let topic = MetadataTopic {
            name: Some("orders".into()),
            topic_id: Uuid::from_bytes([7; 16]),
            partitions: (0..).zip(leaders).map(|(index, leader)| partition(index, *leader)).collect(),
            ..Default::default()
        };
        let answer = MetadataResponse {
            brokers: vec![broker(1), broker(2)],
            topics: vec![topic],
            ..Default::default()
        };
        view.apply(answer, Asked::SomeTopics).unwrap();
        let rng = fastrand::Rng::with_seed(1);
        Bench { cursors: Cursors::new(limits), view, now: Instant::now(), rng }
    }

    fn at(limits: Limits, offset: i64) -> Bench {
        let mut bench = Bench::with(limits);
        bench.cursors.assign(orders(0), Start::Offset(offset));
        bench
    }

    fn plans(&mut self) -> Vec<FetchPlan> {
        self.cursors.plan_fetches(&self.view, self.now, &BTreeSet::new()).0
    }

    fn plan(&mut self) -> FetchPlan {
        let mut plans = self.plans();
        assert_eq!(plans.len(), 1);
        plans.remove(0)
    }

    /// The offset that the next request asks for in partition 0.
    fn asked(&mut self) -> i64 {
        self.plan().request(12).topics[0].partitions[0].fetch_offset
    }

    fn answer(&mut self, plan: &FetchPlan, partitions: Vec<FetchPartitionResponse>) -> Effects {
        let topic = FetchTopicResponse { topic: "orders".into(), partitions, ..Default::default() };
        let answer = FetchResponse { responses: vec![topic], ..Default::default() };
        self.cursors.digest_fetch(plan, Ok(answer), self.now, &mut self.rng)
    }

    fn fetch(&mut self, set: impl Into<Bytes>) -> Effects {
        let plan = self.plan();
        self.answer(&plan, vec![found(set)])
    }

    fn fail(&mut self, code: ErrorCode) -> Effects {
        let plan = self.plan();
        self.answer(&plan, vec![FetchPartitionResponse { error_code: code, ..found(Bytes::new()) }])
    }

    /// The offsets that the application gets until there is nothing.
    fn drain(&mut self) -> Vec<i64> {
        let mut offsets = Vec::new();
        while let Some(next) = self.cursors.next_batch(self.now) {
            let FetchedBatch { batch, from, .. } = next.unwrap();
            offsets.extend(batch.records().map(|record| record.offset()).filter(|offset| *offset >= from));
        }
        offsets
    }

    /// What the application is told instead of a batch.
    fn refusal(&mut self) -> String {
        let error = self.cursors.next_batch(self.now).expect("an error").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Records, "{error}");
        error.to_string()
    }

    fn position(&self) -> Option<i64> {
        self.cursors.position(&orders(0)).unwrap()
    }
}

fn found(set: impl Into<Bytes>) -> FetchPartitionResponse {
    FetchPartitionResponse {
        high_watermark: 1_000,
        last_stable_offset: 1_000,
        records: Some(set.into().into()),
        ..Default::default()
    }
}

fn sealed(records: usize, stamp: Stamp) -> SealedBatch {
    let mut builder = BatchBuilder::with_capacity(1_000);
    for n in 0..records {
        builder.append(n as i64, None, Some(b"value"), []).unwrap();
    }
    builder.close().unwrap().seal(stamp)
}

fn placed(batch: &SealedBatch, base_offset: i64) -> Vec<u8> {
    placed_in(5, batch, base_offset)
}

/// As a leader of this epoch stores it.
fn placed_in(epoch: i32, batch: &SealedBatch, base_offset: i64) -> Vec<u8> {
    let batch = Batch::open(batch.bytes().clone(), 0, &mut Decompressor::new(1 << 20)).unwrap();
    [&batch.numbered(base_offset, epoch, None).unwrap()[..], &batch.frame()[HEADER_LEN..]].concat()
}

fn batch(base_offset: i64, records: usize) -> Vec<u8> {
    placed(&sealed(records, Stamp::NONE), base_offset)
}

fn of_epoch(epoch: i32, base_offset: i64, records: usize) -> Vec<u8> {
    placed_in(epoch, &sealed(records, Stamp::NONE), base_offset)
}

#[test]
fn records_come_in_order_and_the_position_follows_what_is_handed_out() {
    let mut bench = Bench::at(limits(), 10);
    bench.fetch([batch(10, 3), batch(13, 2)].concat());
    assert_eq!(bench.position(), Some(10), "nothing is handed out yet");
    assert_eq!(bench.asked(), 15, "what is queued is not fetched again");
    assert_eq!(bench.drain(), [10, 11, 12, 13, 14]);
    assert_eq!((bench.position(), bench.cursors.lag(&orders(0)).unwrap()), (Some(15), Some(985)));
    assert_eq!(bench.cursors.queued_bytes(), 0);
}

#[test]
fn records_before_the_position_in_the_first_batch_are_not_handed_out() {
    let mut bench = Bench::at(limits(), 12);
    bench.fetch(batch(10, 5));
    assert_eq!(bench.drain(), [12, 13, 14]);
}

#[test]
fn a_batch_that_is_cut_off_comes_with_the_next_fetch() {
    let mut bench = Bench::at(limits(), 0);
    let mut set = [batch(0, 2), batch(2, 2)].concat();
    set.truncate(set.len() - 3);
    bench.fetch(set);
    assert_eq!(bench.asked(), 2);
    assert_eq!(bench.drain(), [0, 1]);
}

#[test]
fn a_first_batch_that_is_cut_off_is_told_and_fetched_again_after_a_rest() {
    let mut bench = Bench::at(limits(), 0);
    let mut set = batch(0, 2);
    let whole = set.len();
    set.truncate(whole - 3);
    for _ in 0..3 {
        bench.fetch(set.clone());
        let error = bench.refusal();
        assert!(
            error.contains(&format!("{} bytes came of a batch that says it has {whole}", whole - 3)),
            "{error}"
        );
        assert_eq!(bench.position(), Some(0));
        assert!(bench.plans().is_empty(), "it rests");
        bench.now += CORRUPT_PAUSE;
    }
    bench.fetch(batch(0, 2));
    assert_eq!(bench.drain(), [0, 1]);
}

#[test]
fn batches_in_disorder_are_told_and_fetched_again_after_a_rest() {
    let mut bench = Bench::at(limits(), 0);
    bench.fetch([batch(0, 3), batch(1, 2)].concat());
    assert_eq!(bench.cursors.next_batch(bench.now).unwrap().unwrap().batch.next_offset(), 3);
    let error = bench.refusal();
    assert!(error.contains("begins at offset 1, behind one that goes up to 3"), "{error}");
    assert_eq!(bench.position(), Some(3));
    bench.now += CORRUPT_PAUSE;
    assert_eq!(bench.asked(), 3);
}

#[test]
fn empty_answers_that_were_not_waited_for_are_followed_by_pauses() {
    let mut bench = Bench::at(limits(), 0);
    let mut requests = 0;
    let began = bench.now;
    while bench.now - began < Duration::from_secs(10) {
        for plan in bench.plans() {
            requests += 1;
            bench.answer(&plan, vec![found(Bytes::new())]);
        }
        bench.now += Duration::from_millis(1);
    }
    assert!((8..=30).contains(&requests), "{requests} requests in ten seconds");
    let plan = loop {
        if let Some(plan) = bench.plans().pop() {
            break plan;
        }
        bench.now += Duration::from_millis(1);
    };
    bench.now += WAIT;
    bench.answer(&plan, vec![found(Bytes::new())]);
    assert_eq!(bench.plans().len(), 1, "a long poll that ended empty is asked again at once");
}

#[test]
fn a_corrupt_batch_is_told_the_position_stays_and_the_partition_rests() {
    let mut bench = Bench::at(limits(), 0);
    let mut set = [batch(0, 2), batch(2, 2)].concat();
    let last = set.len() - 1;
    set[last] ^= 1;
    bench.fetch(set);
    let first = bench.cursors.next_batch(bench.now).unwrap().unwrap();
    assert_eq!(first.batch.next_offset(), 2);
    let error = bench.cursors.next_batch(bench.now).unwrap().unwrap_err();
    assert_eq!((error.kind(), error.at_offset()), (ErrorKind::Records, Some(2)));
    assert!(
        error.to_string().contains("'orders', partition 0") && error.to_string().contains("CRC"),
        "{error}"
    );
    assert!(error.to_string().contains("seek to offset 4"), "{error}");
    assert_eq!(bench.position(), Some(2));
    assert!(bench.plans().is_empty());
    bench.now += CORRUPT_PAUSE;
    assert_eq!(bench.asked(), 2);
}

#[test]
fn compaction_holes_and_batches_without_records_are_passed() {
    let mut bench = Bench::at(limits(), 0);
    // The last record of the first batch is gone, and everything of the second.
    let mut builder = BatchBuilder::with_capacity(100);
    builder.append(0, None, Some(b"kept"), []).unwrap();
    let mut sparse = builder.close().unwrap().seal(Stamp::NONE).bytes().to_vec();
    sparse[23..27].copy_from_slice(&9i32.to_be_bytes());
    reseal(&mut sparse);
    let mut empty = sparse[..61].to_vec();
    empty[..8].copy_from_slice(&10i64.to_be_bytes());
    empty[8..12].copy_from_slice(&49i32.to_be_bytes());
    empty[57..61].copy_from_slice(&0i32.to_be_bytes());
    reseal(&mut empty);
    bench.fetch([sparse, empty, batch(20, 1)].concat());
    assert_eq!(bench.drain(), [0, 20]);
    assert_eq!(bench.position(), Some(21));
}

fn reseal(frame: &mut [u8]) {
    let crc = crc32c::crc32c(&frame[21..]);
    frame[17..21].copy_from_slice(&crc.to_be_bytes());
}

fn transaction(producer_id: i64, base_offset: i64) -> Vec<u8> {
    let stamp = Stamp { producer_id, producer_epoch: 0, base_sequence: 0, transactional: true };
    placed(&sealed(2, stamp), base_offset)
}

fn marker(producer_id: i64, commit: bool, offset: i64) -> Vec<u8> {
    placed(&control::end_transaction(commit, 0, 0, producer_id, 0).unwrap(), offset)
}

#[test]
fn aborted_records_and_markers_are_invisible_when_reading_committed() {
    let set = [
        transaction(1, 0),
        transaction(2, 2),
        marker(1, false, 4),
        transaction(1, 5),
        marker(1, true, 7),
        marker(2, true, 8),
        batch(9, 1),
    ]
    .concat();
    let aborted = vec![AbortedTransaction { producer_id: ProducerId(1), first_offset: 0 }];
    let mut bench = Bench::at(Limits { read_committed: true, ..limits() }, 0);
    let plan = bench.plan();
    bench.answer(
        &plan,
        vec![FetchPartitionResponse { aborted_transactions: Some(aborted), ..found(set.clone()) }],
    );
    assert_eq!(bench.drain(), [2, 3, 5, 6, 9]);
    let mut all = Bench::at(limits(), 0);
    all.fetch(set);
    assert_eq!(all.drain(), [0, 1, 2, 3, 5, 6, 9], "markers are invisible in any case");
}

#[test]
fn a_seek_makes_what_is_queued_and_under_way_void() {
    let mut bench = Bench::at(limits(), 0);
    bench.fetch(batch(0, 2));
    let under_way = bench.plan();
    bench.cursors.seek(&orders(0), Start::Offset(50)).unwrap();
    bench.answer(&under_way, vec![found(batch(2, 2))]);
    assert!(bench.drain().is_empty());
    assert_eq!((bench.asked(), bench.cursors.queued_bytes()), (50, 0));
}

#[test]
fn a_paused_partition_keeps_what_is_queued_and_is_not_fetched() {
    let mut bench = Bench::at(limits(), 0);
    bench.fetch(batch(0, 2));
    bench.cursors.pause(&orders(0)).unwrap();
    assert!(bench.plans().is_empty() && bench.drain().is_empty() && !bench.cursors.has_batches());
    bench.cursors.resume(&orders(0)).unwrap();
    assert_eq!(bench.drain(), [0, 1]);
}

#[test]
fn a_paused_partition_gives_up_its_place_in_the_queue_when_others_need_it() {
    let set = batch(0, 100);
    let mut bench = Bench::at(Limits { queued_max_bytes: set.len(), ..limits() }, 0);
    bench.fetch(set.clone());
    bench.cursors.assign(orders(1), Start::Offset(0));
    assert!(bench.plans().is_empty(), "the queue is full");
    bench.cursors.pause(&orders(0)).unwrap();
    let plan = bench.plan();
    assert_eq!(plan.broker, BrokerId(2));
    bench.answer(&plan, vec![FetchPartitionResponse { partition_index: 1, ..found(batch(0, 2)) }]);
    assert_eq!(bench.drain(), [0, 1]);
    bench.cursors.resume(&orders(0)).unwrap();
    assert_eq!(bench.position(), Some(0));
    let again = bench.plans().into_iter().find(|plan| plan.broker == BrokerId(1)).unwrap();
    bench.answer(&again, vec![found(set)]);
    assert_eq!(bench.drain().len(), 100, "nothing is lost");
}

#[test]
fn the_queue_is_bounded_and_fetching_goes_on_when_there_is_room() {
    let set = batch(0, 100);
    let mut bench = Bench::at(Limits { queued_max_bytes: set.len(), ..limits() }, 0);
    let quarter = i32::try_from(set.len() / 4).unwrap();
    assert_eq!(bench.plan().request(12).max_bytes, quarter, "an answer is read while the next one comes");
    bench.fetch(set);
    assert!(bench.plans().is_empty());
    bench.drain();
    assert_eq!(bench.asked(), 100);
}

#[test]
fn an_offset_out_of_range_is_reset_once_by_the_policy() {
    let mut bench = Bench::at(limits(), 7);
    bench.fail(ErrorCode::OFFSET_OUT_OF_RANGE);
    assert!(bench.plans().is_empty(), "the new place is not known yet");
    let (plans, _) = bench.cursors.plan_resets(&bench.view, bench.now, 0, &BTreeSet::new());
    let request = plans[0].request(WAIT);
    assert_eq!((request.replica_id, request.topics[0].partitions[0].timestamp), (BrokerId(-1), EARLIEST));
    assert!(
        bench.cursors.plan_resets(&bench.view, bench.now, 0, &BTreeSet::new()).0.is_empty(),
        "asked once"
    );
    let found = ListOffsetsPartitionResponse { partition_index: 0, offset: 100, ..Default::default() };
    let topic = ListOffsetsTopicResponse { name: "orders".into(), partitions: vec![found] };
    let answer = ListOffsetsResponse { topics: vec![topic], ..Default::default() };
    assert!(!bench.cursors.digest_reset(&plans[0], Ok(answer), bench.now, &mut bench.rng));
    assert_eq!(bench.asked(), 100);
}

/// ListOffsets names an offset, and Fetch says that it is out of range, for ever.
#[test]
fn a_broker_that_contradicts_itself_is_asked_with_pauses() {
    let mut bench = Bench::at(limits(), 7);
    let began = bench.now;
    let mut requests = 0;
    while bench.now - began < Duration::from_secs(10) {
        for plan in bench.plans() {
            requests += 1;
            let refused =
                FetchPartitionResponse { error_code: ErrorCode::OFFSET_OUT_OF_RANGE, ..found(Bytes::new()) };
            bench.answer(&plan, vec![refused]);
        }
        let (plans, _) = bench.cursors.plan_resets(&bench.view, bench.now, 0, &BTreeSet::new());
        for plan in plans {
            let found = ListOffsetsPartitionResponse { partition_index: 0, offset: 7, ..Default::default() };
            let topic = ListOffsetsTopicResponse { name: "orders".into(), partitions: vec![found] };
            let answer = ListOffsetsResponse { topics: vec![topic], ..Default::default() };
            bench.cursors.digest_reset(&plan, Ok(answer), bench.now, &mut bench.rng);
        }
        bench.now += Duration::from_millis(1);
    }
    assert!((5..=20).contains(&requests), "{requests} fetches in ten seconds");
}

/// An application that does not look for an hour is not told 3,600 times.
#[test]
fn at_most_one_error_of_a_partition_waits_and_none_that_is_over() {
    let mut bench = Bench::at(limits(), 0);
    for _ in 0..100 {
        bench.fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        bench.now += Duration::from_secs(10);
    }
    let error = bench.cursors.next_batch(bench.now).unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    assert!(bench.cursors.next_batch(bench.now).is_none());

    bench.fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    bench.now += Duration::from_secs(10);
    bench.fetch(batch(0, 2));
    assert_eq!(bench.drain(), [0, 1], "it may be read again");
}

#[test]
fn without_a_policy_an_offset_out_of_range_is_told_once() {
    let mut bench = Bench::at(Limits { reset: Reset::None, ..limits() }, 7);
    bench.fail(ErrorCode::OFFSET_OUT_OF_RANGE);
    let error = bench.cursors.next_batch(bench.now).unwrap().unwrap_err();
    assert_eq!((error.code(), error.at_offset()), (Some(ErrorCode::OFFSET_OUT_OF_RANGE), Some(7)));
    bench.now += Duration::from_secs(60);
    assert!(bench.plans().is_empty() && bench.cursors.next_batch(bench.now).is_none());
    bench.cursors.seek(&orders(0), Start::Offset(3)).unwrap();
    assert_eq!(bench.asked(), 3);
}

/// Two brokers are asked when the leader moves: what the old one says after the new one has refused the offset is not taken.
#[test]
fn a_partition_that_is_lost_stays_lost_whatever_another_broker_answers() {
    let mut bench = Bench::at(Limits { reset: Reset::None, ..limits() }, 7);
    let (old, new) = (bench.plan(), bench.plan());
    let refused =
        FetchPartitionResponse { error_code: ErrorCode::OFFSET_OUT_OF_RANGE, ..found(Bytes::new()) };
    bench.answer(&new, vec![refused]);
    bench.answer(&old, vec![found(batch(7, 3))]);
    let error = bench.cursors.next_batch(bench.now).unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert!(bench.cursors.next_batch(bench.now).is_none() && !bench.cursors.has_batches());
}

#[test]
fn what_was_put_back_is_handed_out_before_an_offset_is_out_of_range() {
    let mut bench = Bench::at(limits(), 0);
    bench.fetch(batch(0, 10));
    let taken = bench.cursors.next_batch(bench.now).unwrap().unwrap();
    bench.cursors.put_back(FetchedBatch { from: 4, ..taken });
    bench.fail(ErrorCode::OFFSET_OUT_OF_RANGE); // with an epoch
    bench.fail(ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(bench.drain(), [4, 5, 6, 7, 8, 9]);
}

/// Codes that mean something to a producer, and codes that nobody knows.
#[test]
fn no_error_code_is_answered_at_the_speed_of_the_wire() {
    for code in ErrorCode::all().chain([ErrorCode(1_000)]).filter(|code| !code.is_none()) {
        let mut bench = Bench::at(limits(), 0);
        for _ in 0..3 {
            for plan in bench.plans() {
                bench.answer(&plan, vec![FetchPartitionResponse { error_code: code, ..found(Bytes::new()) }]);
            }
        }
        assert!(bench.plans().is_empty(), "{code}");
    }
}

#[test]
fn a_leader_that_moved_is_looked_up_and_asked_after_a_pause() {
    let mut bench = Bench::at(limits(), 0);
    assert!(bench.fail(ErrorCode::NOT_LEADER_OR_FOLLOWER).refresh);
    assert!(
        bench.plans().is_empty() && bench.cursors.next_batch(bench.now).is_none(),
        "not the application's business"
    );
    bench.now = bench.cursors.deadline(bench.now).unwrap();
    assert_eq!(bench.asked(), 0);
}

#[test]
fn what_will_not_pass_is_told_with_topic_and_partition() {
    let mut bench = Bench::at(limits(), 0);
    bench.fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let error = bench.cursors.next_batch(bench.now).unwrap().unwrap_err();
    assert!(
        error.to_string().contains("TOPIC_AUTHORIZATION_FAILED") && error.to_string().contains("'orders'")
    );
    assert!(bench.plans().is_empty(), "and asked again once a second at most");
}

#[test]
fn a_request_that_fails_as_a_whole_is_told_once_for_all_its_partitions() {
    let mut bench = Bench::with(limits());
    for index in 0..2 {
        bench.cursors.assign(orders(index), Start::Offset(0));
    }
    for plan in bench.plans() {
        let error = Error::new(ErrorKind::Authentication, "authenticate");
        bench.cursors.digest_fetch(&plan, Err(error), bench.now, &mut bench.rng);
    }
    assert!(bench.cursors.next_batch(bench.now).unwrap().is_err());
    assert!(bench.cursors.next_batch(bench.now).unwrap().is_err(), "one for each of two brokers");
    assert!(bench.cursors.next_batch(bench.now).is_none());
}

#[test]
fn partitions_take_turns_and_brokers_are_asked_independently() {
    let mut bench = Bench::with(limits());
    for index in 0..2 {
        bench.cursors.assign(orders(index), Start::Offset(0));
    }
    for at in [0, 2] {
        let plans = bench.plans();
        assert_eq!(plans.iter().map(|plan| plan.broker.0).collect::<Vec<_>>(), [1, 2]);
        for (index, plan) in plans.iter().enumerate() {
            let partition_index = i32::try_from(index).unwrap();
            let set = [batch(at, 1), batch(at + 1, 1)].concat();
            bench.answer(plan, vec![FetchPartitionResponse { partition_index, ..found(set) }]);
        }
    }
    let mut next = || bench.cursors.next_batch(bench.now).map(|next| next.unwrap().partition.partition);
    let turns: Vec<i32> = std::iter::from_fn(&mut next).collect();
    assert_eq!(turns, [0, 0, 1, 1, 0, 0, 1, 1], "an answer of each");
    let busy = BTreeSet::from([BrokerId(1)]);
    let (plans, _) = bench.cursors.plan_fetches(&bench.view, bench.now, &busy);
    assert_eq!(plans.iter().map(|plan| plan.broker.0).collect::<Vec<_>>(), [2]);
}

#[test]
fn topics_are_named_or_numbered_as_the_version_wants() {
    let mut bench = Bench::at(limits(), 0);
    let mut plan = bench.plan();
    assert_eq!(plan.versions(), Span::from(4));
    assert!(plan.request(12).topics[0].topic_id.is_zero());
    assert_eq!(plan.request(13).topics[0].topic_id, Uuid::from_bytes([7; 16]));
    let topic = FetchTopicResponse {
        topic_id: Uuid::from_bytes([7; 16]),
        partitions: vec![found(batch(0, 1))],
        ..Default::default()
    };
    let answer = FetchResponse { responses: vec![topic], ..Default::default() };
    bench.cursors.digest_fetch(&plan, Ok(answer), bench.now, &mut bench.rng);
    assert_eq!(bench.drain(), [0]);
}

#[test]
fn a_partition_that_was_not_asked_for_is_ignored() {
    let mut bench = Bench::at(limits(), 0);
    let plan = bench.plan();
    bench.answer(&plan, vec![FetchPartitionResponse { partition_index: 9, ..found(batch(0, 1)) }]);
    assert!(bench.drain().is_empty());
}

/// A partition that an answer leaves out would be asked for again and again, and nobody would know why.
#[test]
fn a_partition_that_is_not_answered_rests() {
    let mut bench = Bench::at(limits(), 0);
    let plan = bench.plan();
    bench.answer(&plan, Vec::new());
    assert!(bench.plans().is_empty(), "after a pause");
    bench.now = bench.cursors.deadline(bench.now).unwrap();
    assert_eq!(bench.asked(), 0);
}

/// A broker that throttles by a quota answers with no partitions at all: that is no fault of theirs.
#[test]
fn a_throttled_answer_without_partitions_is_no_fault() {
    let mut bench = Bench::at(limits(), 0);
    let plan = bench.plan();
    let answer = FetchResponse { throttle_time_ms: 300, ..Default::default() };
    let effects = bench.cursors.digest_fetch(&plan, Ok(answer), bench.now, &mut bench.rng);
    assert!(!effects.refresh && bench.cursors.next_batch(bench.now).is_none());
    assert_eq!(bench.asked(), 0, "the connection does the waiting");
}

#[test]
fn an_offset_that_cannot_be_is_asked_for_again_and_changes_nothing() {
    let mut bench = Bench::with(limits());
    let asked = |bench: &mut Bench, offset: Option<i64>| {
        let (plans, _) = bench.cursors.plan_resets(&bench.view, bench.now, 0, &BTreeSet::new());
        let answer = offset.map(|offset| {
            let found = ListOffsetsPartitionResponse { offset, ..Default::default() };
            let topic = ListOffsetsTopicResponse { name: "orders".into(), partitions: vec![found] };
            ListOffsetsResponse { topics: vec![topic], ..Default::default() }
        });
        let answer = answer.ok_or_else(|| Error::new(ErrorKind::Timeout, "ask"));
        bench.cursors.digest_reset(&plans[0], answer, bench.now, &mut bench.rng);
        plans[0].request(WAIT).topics[0].partitions[0].timestamp
    };
    bench.cursors.assign(orders(0), Start::Beginning);
    for nonsense in [-1, -5, i64::MIN] {
        asked(&mut bench, Some(nonsense));
        assert_eq!(bench.position(), None);
        bench.now = bench.cursors.deadline(bench.now).expect("after a pause");
        assert_eq!(asked(&mut bench, None), EARLIEST, "still the beginning");
        bench.now = bench.cursors.deadline(bench.now).expect("after a pause");
    }
    bench.cursors.assign(orders(0), Start::Timestamp(5));
    assert_eq!(asked(&mut bench, Some(-1)), 5);
    assert_eq!(asked(&mut bench, None), LATEST, "no record is that late: what comes next will be");
}

/// Partitions that rested for different times would each be asked for on its own, and wait for each other's long polls.
#[test]
fn partitions_that_failed_together_are_asked_again_together() {
    let mut bench = Bench::led(limits(), &[1; 50]);
    let all = || (0..50).map(orders);
    let failure = || Error::new(ErrorKind::Timeout, "ask");
    all().for_each(|partition| bench.cursors.assign(partition, Start::Beginning));
    for _ in 0..3 {
        let (plans, _) = bench.cursors.plan_resets(&bench.view, bench.now, 0, &BTreeSet::new());
        assert_eq!(plans[0].request(WAIT).topics[0].partitions.len(), 50);
        bench.cursors.digest_reset(&plans[0], Err(failure()), bench.now, &mut bench.rng);
        bench.now = bench.cursors.deadline(bench.now).expect("after a pause");
    }
    all().for_each(|partition| bench.cursors.assign(partition, Start::Offset(0)));
    for _ in 0..3 {
        let plan = bench.plan();
        assert_eq!(plan.partitions.len(), 50);
        bench.cursors.digest_fetch(&plan, Err(failure()), bench.now, &mut bench.rng);
        bench.now = bench.cursors.deadline(bench.now).expect("after a pause");
    }
}
