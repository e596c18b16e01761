//! CreatePartitions, DeleteRecords, DescribeTopicPartitions.

use super::{Target, Topic};
use crate::batch;
use crate::peer::Peer;
use crate::real::kafka::unique;
use ottla::messages::{
    BrokerId, CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic, Cursor,
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic, DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse, ErrorCode, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
    MetadataRequest, TopicRequest,
};
use ottla::wire::{Text, Uuid};
use std::thread;
use std::time::Duration;

fn growing(name: &str, count: i32, assignments: Option<&[&[BrokerId]]>) -> CreatePartitionsTopic {
    let assigned =
        |ids: &&[BrokerId]| CreatePartitionsAssignment { broker_ids: ids.iter().copied().collect() };
    let assignments = assignments.map(|assignments| assignments.iter().map(assigned).collect());
    CreatePartitionsTopic { name: name.into(), count, assignments }
}

fn grow(peer: &mut Peer, version: i16, topics: Vec<CreatePartitionsTopic>) -> Vec<(Text, ErrorCode)> {
    let request = CreatePartitionsRequest { topics, timeout_ms: 10_000, validate_only: false };
    let mut results = peer.ask(version, request).results;
    results.sort_by(|one, other| one.name.cmp(&other.name));
    results.into_iter().map(|result| (result.name, result.error_code)).collect()
}

/// Waits until the broker knows that the topic has so many partitions.
fn await_partitions(peer: &mut Peer, topic: &Topic, count: usize) {
    for _ in 0..200 {
        let known = peer.ask(12, MetadataRequest::topics([topic.name.clone()])).topics[0].clone();
        if known.partitions.len() == count && known.partitions.iter().all(|p| p.leader_id.0 > 0) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{topic:?} does not get {count} partitions");
}

pub fn a_topic_grows_in_every_version(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    peer.append(&topic, batch::of(2));
    for (version, count) in (0..=3).zip(2..) {
        let told = grow(&mut peer, version, vec![growing(&topic.name, count, None)]);
        assert_eq!(told, [(topic.name.clone(), ErrorCode::NONE)], "version {version}");
        await_partitions(&mut peer, &topic, usize::try_from(count).unwrap());
    }
    topic.await_leaders(&mut peer, 5);
    let told = peer.ask(9, topic.produce_to(4, Some(batch::of(1))));
    assert_eq!(told.responses[0].partition_responses[0].error_code, ErrorCode::NONE);
    assert_eq!(peer.append(&topic, batch::of(1)), 2, "the old one is as it was");
    let checked = CreatePartitionsRequest {
        topics: vec![growing(&topic.name, 9, None)],
        validate_only: true,
        timeout_ms: 10_000,
    };
    assert_eq!(peer.ask(3, checked).results[0].error_code, ErrorCode::NONE);
    thread::sleep(Duration::from_millis(200));
    await_partitions(&mut peer, &topic, 5);
}

pub fn what_cannot_grow_is_refused_by_code(target: &Target) {
    let mut peer = target.connect();
    let topic = target.topic_with(3, &[]);
    let own = peer.ask(12, MetadataRequest::topics([])).brokers[0].node_id;
    let (name, missing) = (topic.name.as_str(), unique("missing"));
    let here: &[BrokerId] = &[own];
    for (wrong, code) in [
        (growing(&missing, 2, None), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (growing(name, 3, None), ErrorCode::INVALID_PARTITIONS),
        (growing(name, 2, None), ErrorCode::INVALID_PARTITIONS),
        (growing(name, 0, None), ErrorCode::INVALID_PARTITIONS),
        (growing(name, -1, None), ErrorCode::INVALID_PARTITIONS),
        (growing(name, 2, Some(&[here])), ErrorCode::INVALID_PARTITIONS),
        (growing(name, 5, Some(&[here])), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (growing(name, 4, Some(&[])), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (growing(name, 4, Some(&[&[]])), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (growing(name, 4, Some(&[&[BrokerId(99)]])), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (growing(name, 4, Some(&[&[own, own]])), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
    ] {
        let told = grow(&mut peer, 3, vec![wrong.clone()]);
        assert_eq!(told, [(wrong.name.clone(), code)], "{wrong:?}");
    }
    let twice = vec![growing(name, 4, None), growing(name, 5, None)];
    assert_eq!(grow(&mut peer, 3, twice), [(topic.name.clone(), ErrorCode::INVALID_REQUEST)]);
    assert_eq!(
        grow(&mut peer, 3, vec![growing(name, 5, Some(&[here, here]))]),
        [(topic.name.clone(), ErrorCode::NONE)]
    );
    await_partitions(&mut peer, &topic, 5);
}

fn delete(peer: &mut Peer, version: i16, topic: &str, partition_index: i32, offset: i64) -> (ErrorCode, i64) {
    let partitions = vec![DeleteRecordsPartition { partition_index, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions }];
    let told = peer.ask(version, DeleteRecordsRequest { topics, timeout_ms: 10_000 });
    assert_eq!(told.topics[0].name.as_str(), topic);
    let partition = &told.topics[0].partitions[0];
    assert_eq!(partition.partition_index, partition_index);
    (partition.error_code, partition.low_watermark)
}

/// The offset for a timestamp: -2 for the earliest, -1 for the latest.
fn offset(peer: &mut Peer, topic: &Topic, timestamp: i64) -> i64 {
    let partitions = vec![ListOffsetsPartition { timestamp, ..Default::default() }];
    let topics = vec![ListOffsetsTopic { name: topic.name.clone(), partitions }];
    let request = ListOffsetsRequest { replica_id: BrokerId::NONE, topics, ..Default::default() };
    peer.ask(7, request).topics[0].partitions[0].offset
}

pub fn a_log_begins_where_its_records_were_deleted(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    for _ in 0..4 {
        peer.append(&topic, batch::of(3));
    }
    for (version, at, begins) in [(0, 4, 4), (1, 2, 4), (2, 6, 6), (2, 0, 6)] {
        assert_eq!(delete(&mut peer, version, &topic.name, 0, at), (ErrorCode::NONE, begins), "at {at}");
        assert_eq!((offset(&mut peer, &topic, -2), offset(&mut peer, &topic, -1)), (begins, 12));
    }
    let gone = peer.fetch(12, topic.fetch(5));
    assert_eq!(gone.error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
    let left = peer.fetch(12, topic.fetch(6));
    assert_eq!((left.error_code, left.log_start_offset, left.high_watermark), (ErrorCode::NONE, 6, 12));
    assert_eq!(delete(&mut peer, 2, &topic.name, 0, -1), (ErrorCode::NONE, 12), "up to the high watermark");
    assert_eq!((offset(&mut peer, &topic, -2), offset(&mut peer, &topic, -1)), (12, 12));
    assert_eq!(peer.append(&topic, batch::of(1)), 12, "offsets go on");
    assert_eq!(delete(&mut peer, 2, &topic.name, 0, 12), (ErrorCode::NONE, 12));
}

pub fn a_log_may_begin_inside_of_a_batch(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    peer.append(&topic, batch::of(3));
    assert_eq!(delete(&mut peer, 2, &topic.name, 0, 1), (ErrorCode::NONE, 1));
    let read = peer.fetch(12, topic.fetch(1));
    assert_eq!((read.error_code, read.log_start_offset), (ErrorCode::NONE, 1));
    assert!(!read.records.unwrap().to_bytes().is_empty(), "the whole batch comes");
    assert_eq!(peer.fetch(12, topic.fetch(0)).error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
}

pub fn what_cannot_be_deleted_is_refused_by_code(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let (missing, compacted) = (unique("missing"), target.topic_with(1, &[("cleanup.policy", "compact")]));
    let both = target.topic_with(1, &[("cleanup.policy", "compact,delete")]);
    peer.append(&topic, batch::of(3));
    for (name, partition, at, code) in [
        (missing.as_str(), 0, 0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (&topic.name, 1, 0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (&topic.name, -1, 0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (&topic.name, 0, 4, ErrorCode::OFFSET_OUT_OF_RANGE),
        (&topic.name, 0, -2, ErrorCode::OFFSET_OUT_OF_RANGE),
        (&compacted.name, 0, 0, ErrorCode::POLICY_VIOLATION),
    ] {
        assert_eq!(delete(&mut peer, 2, name, partition, at), (code, -1), "{name} {partition} {at}");
    }
    assert_eq!(delete(&mut peer, 2, &both.name, 0, 0), (ErrorCode::NONE, 0));
}

fn page(
    peer: &mut Peer,
    names: &[&str],
    response_partition_limit: i32,
    cursor: Option<(&str, i32)>,
) -> DescribeTopicPartitionsResponse {
    let topics = names.iter().map(|name| TopicRequest { name: (*name).into() }).collect();
    let cursor = cursor.map(|(name, partition_index)| Cursor { topic_name: name.into(), partition_index });
    peer.ask(0, DescribeTopicPartitionsRequest { topics, response_partition_limit, cursor })
}

/// Names and partition indexes of a page, and where the next begins.
type Told<'a> = (Vec<(&'a str, Vec<i32>)>, Option<(&'a str, i32)>);

fn told(page: &DescribeTopicPartitionsResponse) -> Told<'_> {
    let topics = page.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| partition.partition_index).collect();
        (topic.name.as_deref().unwrap(), partitions)
    });
    let next = page.next_cursor.as_ref();
    (topics.collect(), next.map(|cursor| (cursor.topic_name.as_str(), cursor.partition_index)))
}

pub fn topics_are_told_a_page_at_a_time(target: &Target) {
    let mut peer = target.connect();
    let mut topics = [target.topic_with(3, &[]), target.topic_with(2, &[]), target.topic_with(1, &[])];
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    let [one, two, three] = topics.each_ref().map(|topic| topic.name.as_str());
    let counts = [one, two, three].map(|name| {
        let known = peer.ask(12, MetadataRequest::topics([name.into()]));
        i32::try_from(known.topics[0].partitions.len()).unwrap()
    });
    let names = [three, one, two];
    let all = |n: usize| (0..counts[n]).collect::<Vec<_>>();

    let whole = page(&mut peer, &names, 2000, None);
    assert_eq!(told(&whole), (vec![(one, all(0)), (two, all(1)), (three, all(2))], None), "by name");
    let topic = &whole.topics[0];
    assert_eq!((topic.error_code, topic.topic_id, topic.is_internal), (ErrorCode::NONE, topics[0].id, false));
    assert_eq!(topic.topic_authorized_operations, 0b1101_1111_1000);
    let partition = &topic.partitions[0];
    assert_eq!((partition.error_code, partition.leader_epoch.0), (ErrorCode::NONE, 0));
    assert_eq!((partition.replica_nodes.len(), &partition.isr_nodes), (1, &partition.replica_nodes));
    assert_eq!(partition.eligible_leader_replicas.as_ref().map(|ids| ids.len()), Some(0));
    assert_eq!(partition.last_known_elr.as_ref().map(|ids| ids.len()), Some(0));
    assert_eq!(partition.offline_replicas.len(), 0);

    let full = page(&mut peer, &names, counts[0], None);
    assert_eq!(told(&full), (vec![(one, all(0))], Some((two, 0))), "a page that ends with a topic");
    let more = page(&mut peer, &names, counts[0] + 1, None);
    let next = if counts[1] == 1 { (three, 0) } else { (two, 1) };
    assert_eq!(told(&more), (vec![(one, all(0)), (two, vec![0])], Some(next)), "one inside of a topic");
    let rest = page(&mut peer, &names, 2000, Some((two, counts[1] - 1)));
    assert_eq!(told(&rest), (vec![(two, vec![counts[1] - 1]), (three, all(2))], None));
    for limit in [0, -1] {
        let least = page(&mut peer, &[one], limit, None);
        assert_eq!(told(&least).0, [(one, vec![0])], "one at least");
    }
    let beyond = page(&mut peer, &[one], 2000, Some((one, 99)));
    assert_eq!(told(&beyond), (vec![(one, vec![])], None));
    assert!(
        page(&mut peer, &[], 2000, Some((three, 0)))
            .topics
            .iter()
            .any(|topic| topic.name.as_deref() == Some(three))
    );
}

pub fn topics_that_cannot_be_told_are_told_by_code(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let missing = unique("missing");
    let unknown = page(&mut peer, &[&missing, "a b"], 2000, None);
    let codes: Vec<_> = unknown.topics.iter().map(|topic| (topic.error_code, topic.topic_id)).collect();
    assert_eq!(
        codes,
        [
            (ErrorCode::INVALID_TOPIC_EXCEPTION, Uuid::ZERO),
            (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, Uuid::ZERO)
        ]
    );
    let name = topic.name.as_str();
    for cursor in [(missing.as_str(), 0), (name, -1)] {
        let refused = page(&mut peer, &[name], 2000, Some(cursor));
        let codes: Vec<_> = refused.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!((codes, refused.next_cursor), (vec![ErrorCode::INVALID_REQUEST], None), "{cursor:?}");
    }
}
