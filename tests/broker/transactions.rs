//! Transactions of a cluster: what becomes of them when brokers go, faults by script, and what a test sees of them.

use crate::cases::transactions::{CONCURRENT, NONE, Producer};
use crate::cluster::Bench;
use crate::groups::key_on;
use crate::peer::Peer;
use ottla::broker::{ApiKey, Cluster, Fate, Fault, TopicSpec};
use ottla::messages::{
    ErrorCode, FetchRequest, IsolationLevel, TxnOffsetCommitPartition, TxnOffsetCommitRequest,
    TxnOffsetCommitTopic,
};
use std::time::{Duration, Instant};

/// A producer whose coordinator is at the other end of `peer`.
fn producer(peer: Peer, transactional_id: &str, timeout_ms: i32) -> Producer {
    let mut producer = Producer::on(peer, transactional_id, timeout_ms);
    producer.init(5, None).unwrap();
    producer
}

fn one() -> Bench {
    Bench::new(Cluster::builder().brokers(1).keep_requests(100))
}

fn markers(bench: &Bench, topic: &str) -> Vec<bool> {
    bench.cluster.log(topic, 0).iter().filter_map(|batch| batch.marker).collect()
}

#[test]
fn a_marker_waits_for_its_leader_and_the_next_transaction_for_the_marker() {
    let bench = Bench::new(Cluster::builder());
    let there = bench.topic_as(TopicSpec::new("a").placed([[1]]));
    let gone = bench.topic_as(TopicSpec::new("b").placed([[2]]));
    let mut producer = producer(bench.peer(1), &key_on(1, 1), 60_000);
    let mut leader = bench.peer(2);
    let written = leader.ask(12, producer.batch(&gone, 0, 1));
    assert_eq!(written.responses[0].partition_responses[0].error_code, NONE);
    producer.write(&there, 0, 1);
    bench.runtime.block_on(bench.cluster.stop_broker(2)).unwrap();
    let ended = producer.end(5, true);
    assert_eq!((ended.error_code, ended.producer_epoch.0), (NONE, 1), "it is decided");
    assert_eq!((markers(&bench, "a"), markers(&bench, "b")), (vec![true], vec![]));
    assert_eq!(bench.cluster.partition("b", 0).unwrap().last_stable_offset, 0);
    producer.epoch = ended.producer_epoch;
    assert_eq!(producer.send(12, &there, 0, 1).error_code, CONCURRENT);
    assert_eq!(producer.send(11, &there, 0, 1).error_code, ErrorCode::NOT_ENOUGH_REPLICAS, "old clients");
    assert_eq!(producer.init(5, None), Err(CONCURRENT));
    bench.runtime.block_on(bench.cluster.start_broker(2)).unwrap();
    assert_eq!(producer.send(12, &there, 0, 1).error_code, NONE);
    assert_eq!(markers(&bench, "b"), [true]);
    assert_eq!(bench.cluster.partition("b", 0).unwrap().last_stable_offset, 2);
}

#[test]
fn a_transaction_is_ended_by_whoever_coordinates_it() {
    let bench = Bench::new(Cluster::builder());
    let topic = bench.topic_as(TopicSpec::new("t").placed([[1]]));
    let mut producer = producer(bench.peer(3), &key_on(3, 1), 60_000);
    let mut leader = bench.peer(1);
    leader.ask(12, producer.batch(&topic, 0, 1));
    for broker in [1, 2] {
        producer.peer = bench.peer(broker);
        assert_eq!(producer.end(5, true).error_code, ErrorCode::NOT_COORDINATOR);
        assert_eq!(producer.add(3, &topic, &[0]), [ErrorCode::NOT_COORDINATOR]);
        assert_eq!(producer.init(5, None), Err(ErrorCode::NOT_COORDINATOR));
    }
    bench.runtime.block_on(bench.cluster.crash_broker(3)).unwrap();
    let second = leader.ask(12, producer.batch(&topic, 1, 1)).responses[0].partition_responses[0].error_code;
    assert_eq!(second, NONE, "it goes on without the coordinator");
    bench.cluster.fence_broker(3).unwrap();
    producer.peer = bench.peer(1);
    producer.finish(true);
    assert_eq!(markers(&bench, "t"), [true]);
}

#[test]
fn who_waits_for_what_is_committed_is_answered_when_it_is_aborted_for_its_time() {
    let bench = one();
    let topic = bench.topic_as(TopicSpec::new("t"));
    let mut producer = producer(bench.peer(1), "slow", 300);
    producer.write(&topic, 0, 1);
    let isolation_level = IsolationLevel::READ_COMMITTED;
    let wanted = FetchRequest { max_wait_ms: 20_000, min_bytes: 1, isolation_level, ..topic.fetch(0) };
    let begun = Instant::now();
    let fetched = bench.peer(1).fetch(12, wanted);
    assert_eq!(fetched.last_stable_offset, 2);
    assert_eq!(fetched.aborted_transactions.unwrap().len(), 1);
    let waited = begun.elapsed();
    assert!((Duration::from_millis(100)..Duration::from_secs(10)).contains(&waited), "{waited:?}");
}

#[test]
fn what_is_looked_at_is_as_of_now() {
    let bench = one();
    let topic = bench.topic_as(TopicSpec::new("t"));
    let mut producer = producer(bench.peer(1), "slow", 100);
    producer.write(&topic, 0, 2);
    assert_eq!(bench.cluster.partition("t", 0).unwrap().last_stable_offset, 0);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(bench.cluster.partition("t", 0).unwrap().last_stable_offset, 3);
    let log = bench.cluster.log("t", 0);
    let told: Vec<_> = log.iter().map(|batch| (batch.is_transactional, batch.marker)).collect();
    assert_eq!(told, [(true, None), (true, Some(false))]);
    assert_eq!(bench.cluster.records("t", 0).len(), 2, "a marker is no record of anybody");
}

#[test]
fn faults_strike_transactions_where_they_have_a_place() {
    let bench = one();
    let (t, u) = (bench.topic_as(TopicSpec::new("t").partitions(2)), bench.topic_as(TopicSpec::new("u")));
    let mut producer = producer(bench.peer(1), "struck", 60_000);
    let load = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    bench.cluster.add_fault(Fault::new(Fate::Fail(load)).topic("t").partition(1).times(1));
    let none = ErrorCode::OPERATION_NOT_ATTEMPTED;
    assert_eq!(producer.add(3, &t, &[0, 1]), [none, load]);
    bench
        .cluster
        .add_fault(Fault::new(Fate::FailAfterwards(load)).api(ApiKey::ADD_PARTITIONS_TO_TXN).times(1));
    assert_eq!(producer.add(3, &t, &[0, 1]), [load, load]);
    assert_eq!(producer.send(11, &t, 0, 1).error_code, NONE, "they were added all the same");
    bench.cluster.add_fault(Fault::new(Fate::Fail(load)).api(ApiKey::END_TXN).times(1));
    assert_eq!(producer.end(5, true).error_code, load);
    bench.cluster.add_fault(Fault::new(Fate::FailAfterwards(load)).api(ApiKey::END_TXN).times(1));
    assert_eq!(producer.end(5, true).error_code, load);
    assert_eq!(markers(&bench, "t"), [true]);
    producer.finish(true);
    let partition = |partition_index| TxnOffsetCommitPartition { partition_index, ..Default::default() };
    let of = |topic: &crate::cases::Topic, partitions: &[i32]| TxnOffsetCommitTopic {
        name: topic.name.clone(),
        partitions: partitions.iter().copied().map(partition).collect(),
    };
    let request = TxnOffsetCommitRequest {
        transactional_id: producer.transactional_id.clone(),
        group_id: "g".into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        topics: vec![of(&t, &[0, 1]), of(&u, &[0])],
        ..Default::default()
    };
    bench.cluster.add_fault(Fault::new(Fate::Fail(load)).topic("t").partition(1).times(1));
    let answer = producer.peer.ask(5, request);
    let codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|told| told.error_code);
    assert_eq!(codes.collect::<Vec<_>>(), [NONE, load, NONE]);
    let seen = bench.cluster.requests();
    let about = |api: ApiKey| {
        let last = seen.iter().rev().find(|seen| seen.api_key == api.0).unwrap();
        last.partitions.iter().map(|(topic, index)| format!("{topic}-{}", index.unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(about(ApiKey::ADD_PARTITIONS_TO_TXN), ["t-0", "t-1"]);
    assert_eq!(about(ApiKey::TXN_OFFSET_COMMIT), ["t-0", "t-1", "u-0"]);
}

#[test]
fn an_idle_id_costs_what_it_is_and_no_more() {
    let bench = one();
    let topic = bench.topic_as(TopicSpec::new("t").setting("retention.bytes", "10000"));
    let mut producer = producer(bench.peer(1), "busy", 60_000);
    for n in 0..500 {
        producer.write(&topic, 0, 1);
        producer.finish(n % 2 == 0);
    }
    let kept: usize = bench.cluster.log("t", 0).iter().map(|batch| batch.bytes.len()).sum();
    assert!(kept < 11_000, "{kept} bytes of markers and records");
    let info = bench.cluster.partition("t", 0).unwrap();
    assert_eq!((info.high_watermark, info.last_stable_offset), (1_000, 1_000));
    assert!(info.log_start_offset > 800);
}
