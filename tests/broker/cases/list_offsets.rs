//! ListOffsets.

use super::{Target, Topic};
use crate::batch;
use crate::peer::Peer;
use ottla::messages::{
    BrokerId, ErrorCode, LeaderEpoch, ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest,
    ListOffsetsTopic,
};

fn asking(topic: &Topic, partitions: Vec<ListOffsetsPartition>) -> ListOffsetsRequest {
    let topic = ListOffsetsTopic { name: topic.name.clone(), partitions };
    ListOffsetsRequest { replica_id: BrokerId::NONE, topics: vec![topic], ..Default::default() }
}

fn at(timestamp: i64) -> ListOffsetsPartition {
    ListOffsetsPartition { timestamp, ..Default::default() }
}

fn find(peer: &mut Peer, version: i16, topic: &Topic, timestamp: i64) -> ListOffsetsPartitionResponse {
    peer.ask(version, asking(topic, vec![at(timestamp)])).topics[0].partitions[0].clone()
}

pub fn the_ends_and_times_of_a_log(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let now = batch::now_ms();
    let ends = |peer: &mut Peer, version| {
        [-2, -1].map(|end| {
            let found = find(peer, version, &topic, end);
            assert_eq!((found.error_code, found.timestamp), (ErrorCode::NONE, -1));
            found.offset
        })
    };
    assert_eq!(ends(&mut peer, 1), [0, 0]);
    // The times of the second batch lie before those of the first.
    peer.append(&topic, batch::at(now - 1_000, 3));
    peer.append(&topic, batch::at(now - 5_000, 2));
    for version in 1..=11 {
        assert_eq!(ends(&mut peer, version), [0, 5], "version {version}");
        let mut found = |timestamp| {
            let found = find(&mut peer, version, &topic, timestamp);
            (found.error_code, found.offset, found.timestamp)
        };
        assert_eq!(found(0), (ErrorCode::NONE, 0, now - 1_000));
        assert_eq!(found(now - 999), (ErrorCode::NONE, 1, now - 999));
        assert_eq!(found(now - 997), (ErrorCode::NONE, -1, -1), "no record is that late");
    }
    let newest = find(&mut peer, 7, &topic, -3);
    assert_eq!((newest.offset, newest.timestamp), (2, now - 998));
    assert_eq!(find(&mut peer, 8, &topic, -4).offset, 0);
    assert_eq!(find(&mut peer, 9, &topic, -5).offset, -1);
    assert_eq!(find(&mut peer, 11, &topic, -6).offset, -1);
}

pub fn special_timestamps_exist_since_their_versions(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    for (timestamp, since) in [(-3, 7), (-4, 8), (-5, 9), (-6, 11), (-7, 12), (i64::MIN, 12)] {
        for version in 1..=11 {
            let expected = if version >= since { ErrorCode::NONE } else { ErrorCode::UNSUPPORTED_VERSION };
            let found = find(&mut peer, version, &topic, timestamp);
            assert_eq!(found.error_code, expected, "{timestamp} in version {version}");
        }
    }
    let nothing = find(&mut peer, 7, &topic, -3);
    assert_eq!((nothing.offset, nothing.timestamp), (-1, -1), "an empty log");
}

pub fn partitions_must_not_be_named_twice_or_be_unknown(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let twice = peer.ask(5, asking(&topic, vec![at(-1), at(-2)]));
    assert!(
        twice.topics[0].partitions.iter().all(|found| found.error_code == ErrorCode::INVALID_REQUEST),
        "{twice:?}"
    );
    let unknown = ListOffsetsPartition { partition_index: 4, ..at(-1) };
    let unknown = peer.ask(5, asking(&topic, vec![unknown]));
    assert_eq!(unknown.topics[0].partitions[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

pub fn leader_epochs_are_checked_and_told(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    peer.append(&topic, batch::at(batch::now_ms(), 1));
    for timestamp in [-1, -2, 0] {
        assert_eq!(find(&mut peer, 4, &topic, timestamp).leader_epoch, LeaderEpoch(0), "{timestamp}");
    }
    assert_eq!(find(&mut peer, 4, &topic, i64::MAX).leader_epoch, LeaderEpoch::NONE);
    let newer = ListOffsetsPartition { current_leader_epoch: LeaderEpoch(3), ..at(-1) };
    let response = peer.ask(4, asking(&topic, vec![newer]));
    assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::UNKNOWN_LEADER_EPOCH);
}
