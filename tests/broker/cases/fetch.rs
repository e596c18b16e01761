//! Fetch: limits, waits, and checks.

use super::{Target, Topic};
use crate::batch;
use bytes::Bytes;
use ottla::messages::{ErrorCode, FetchPartitionResponse, FetchRequest, IsolationLevel, LeaderEpoch};
use ottla::records::{Batches, Compression};
use ottla::wire::Uuid;
use std::thread;
use std::time::{Duration, Instant};

/// First and last offsets of the batches that came whole.
fn offsets(fetched: &FetchPartitionResponse) -> Vec<(i64, i64)> {
    let records = fetched.records.clone().map_or_else(Bytes::new, |records| records.to_bytes());
    Batches::new(records)
        .map(|batch| batch.map(|batch| (batch.base_offset(), batch.last_offset())).unwrap())
        .collect()
}

pub fn records_come_back_in_every_version(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    peer.append(&topic, batch::of(2));
    peer.append(&topic, batch::of(3));
    for version in 4..=18 {
        let fetched = peer.fetch(version, topic.fetch(0));
        assert_eq!(offsets(&fetched), [(0, 1), (2, 4)], "version {version}");
        assert_eq!((fetched.high_watermark, fetched.last_stable_offset), (5, 5));
        assert_eq!(fetched.log_start_offset, if version >= 5 { 0 } else { -1 });
        assert_eq!(fetched.aborted_transactions, None, "READ_UNCOMMITTED");
        let inside = peer.fetch(version, topic.fetch(3));
        assert_eq!(offsets(&inside), [(2, 4)], "the batch that holds the offset comes whole");
        let committed = FetchRequest { isolation_level: IsolationLevel::READ_COMMITTED, ..topic.fetch(0) };
        assert_eq!(peer.fetch(version, committed).aborted_transactions, Some(Vec::new()));
    }
}

pub fn an_empty_fetch_waits_for_records(target: &Target) {
    let (mut reader, mut writer, topic) = (target.connect(), target.connect(), target.topic());
    let waiting = FetchRequest { min_bytes: 1, max_wait_ms: 20_000, ..topic.fetch(0) };
    let asked = Instant::now();
    let id = reader.send(12, waiting.into());
    thread::sleep(Duration::from_millis(200));
    writer.append(&topic, batch::of(1));
    let response = reader.take::<FetchRequest>(12, id).unwrap();
    assert_eq!(offsets(&response.responses[0].partitions[0]), [(0, 0)]);
    let took = asked.elapsed();
    assert!((Duration::from_millis(200)..Duration::from_secs(10)).contains(&took), "{took:?}");
}

pub fn an_empty_fetch_ends_when_its_time_is_over(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let asked = Instant::now();
    let fetched = peer.fetch(12, FetchRequest { min_bytes: 1, max_wait_ms: 300, ..topic.fetch(0) });
    let took = asked.elapsed();
    assert_eq!((fetched.error_code, offsets(&fetched)), (ErrorCode::NONE, vec![]));
    assert!((Duration::from_millis(290)..Duration::from_secs(5)).contains(&took), "{took:?}");
}

pub fn too_few_bytes_are_waited_for(target: &Target) {
    let (mut reader, mut writer, topic) = (target.connect(), target.connect(), target.topic());
    writer.append(&topic, batch::large(500));
    let waiting = FetchRequest { min_bytes: 1_400, max_wait_ms: 20_000, ..topic.fetch(0) };
    let id = reader.send(12, waiting.into());
    thread::sleep(Duration::from_millis(100));
    writer.append(&topic, batch::large(500));
    thread::sleep(Duration::from_millis(100));
    writer.append(&topic, batch::large(500));
    let response = reader.take::<FetchRequest>(12, id).unwrap();
    assert_eq!(offsets(&response.responses[0].partitions[0]), [(0, 0), (1, 1), (2, 2)]);
}

pub fn offsets_out_of_range_are_told(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    peer.append(&topic, batch::of(2));
    for offset in [3, -1, i64::MAX] {
        // What is wrong is told at once, however long the client would wait.
        let wrong = FetchRequest { min_bytes: 1, max_wait_ms: 20_000, ..topic.fetch(offset) };
        let fetched = peer.fetch(12, wrong);
        assert_eq!(fetched.error_code, ErrorCode::OFFSET_OUT_OF_RANGE, "{offset}");
        assert_eq!((fetched.high_watermark, fetched.log_start_offset), (-1, -1));
    }
    let end = peer.fetch(12, topic.fetch(2));
    assert_eq!((end.error_code, offsets(&end)), (ErrorCode::NONE, vec![]));
}

pub fn a_batch_above_the_limits_comes_whole_when_it_is_the_first(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    peer.append(&topic, batch::large(5_000));
    peer.append(&topic, batch::large(5_000));
    let mut small = topic.fetch(0);
    small.topics[0].partitions[0].partition_max_bytes = 1_000;
    assert_eq!(offsets(&peer.fetch(12, small.clone())), [(0, 0)]);
    small.max_bytes = 10;
    assert_eq!(offsets(&peer.fetch(12, small)), [(0, 0)]);
}

pub fn the_limit_of_bytes_holds_over_all_partitions(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic_with(3, &[]));
    for partition in 0..3 {
        let response = peer.ask(12, topic.produce_to(partition, Some(batch::large(5_000))));
        assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::NONE);
    }
    let mut request = topic.fetch(0);
    request.topics[0].partitions =
        (0..3).map(|partition| topic.fetch_of(partition, 0).topics[0].partitions[0].clone()).collect();
    request.max_bytes = 6_000;
    let response = peer.ask(12, request);
    let counts: Vec<usize> = response.responses[0].partitions.iter().map(|p| offsets(p).len()).collect();
    assert_eq!(counts, [1, 0, 0]);
}

pub fn leader_epochs_are_checked(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    peer.append(&topic, batch::of(1));
    let with_epoch = |current: i32, last: i32| {
        let mut request = topic.fetch(0);
        request.topics[0].partitions[0].current_leader_epoch = LeaderEpoch(current);
        request.topics[0].partitions[0].last_fetched_epoch = LeaderEpoch(last);
        request
    };
    assert_eq!(peer.fetch(12, with_epoch(0, 0)).error_code, ErrorCode::NONE);
    assert_eq!(peer.fetch(12, with_epoch(-2, -2)).error_code, ErrorCode::NONE, "no epochs");
    assert_eq!(peer.fetch(12, with_epoch(7, -1)).error_code, ErrorCode::UNKNOWN_LEADER_EPOCH);
    assert_eq!(peer.fetch(12, with_epoch(-1, 7)).error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
    let mut beyond = with_epoch(0, 0);
    beyond.topics[0].partitions[0].fetch_offset = 9;
    let diverging = peer.fetch(12, beyond);
    assert_eq!(diverging.error_code, ErrorCode::NONE);
    let epoch = diverging.diverging_epoch;
    assert_eq!((epoch.epoch, epoch.end_offset), (LeaderEpoch(0), 1), "the log ends before the offset");
}

pub fn unknown_topics_are_told_by_name_and_by_id(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let nobody = Topic { name: "no-such-topic".into(), id: Uuid::from_bytes([7; 16]) };
    assert_eq!(peer.fetch(12, nobody.fetch(0)).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(peer.fetch(13, nobody.fetch(0)).error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    for version in [12, 13] {
        let fetched = peer.fetch(version, topic.fetch_of(5, 0));
        assert_eq!(fetched.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
}

pub fn zstd_is_told_to_old_versions_too(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic_with(1, &[("compression.type", "zstd")]));
    peer.append(&topic, batch::compressed(Compression::Zstd));
    // KIP-110 had brokers refuse it; since nothing is converted any more (KIP-896) they do not.
    for version in [4, 9, 10] {
        assert_eq!(offsets(&peer.fetch(version, topic.fetch(0))), [(0, 1)]);
    }
}
