//! OffsetForLeaderEpoch.

use super::{Target, Topic};
use crate::batch;
use ottla::messages::{
    BrokerId, ErrorCode, LeaderEpoch, OffsetForLeaderEpochPartition, OffsetForLeaderEpochPartitionResponse,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochTopic,
};

/// Asks for the end of an epoch in a partition, believing in a leader's epoch.
pub fn asking(topic: &Topic, partition: i32, believed: i32, epoch: i32) -> OffsetForLeaderEpochTopic {
    let wanted = OffsetForLeaderEpochPartition {
        partition,
        current_leader_epoch: LeaderEpoch(believed),
        leader_epoch: LeaderEpoch(epoch),
    };
    OffsetForLeaderEpochTopic { topic: topic.name.clone(), partitions: vec![wanted] }
}

/// What a consumer asks.
pub fn of(topics: Vec<OffsetForLeaderEpochTopic>) -> OffsetForLeaderEpochRequest {
    OffsetForLeaderEpochRequest { replica_id: BrokerId::NONE, topics }
}

/// Error code, epoch and end offset.
pub fn told(found: &OffsetForLeaderEpochPartitionResponse) -> (ErrorCode, i32, i64) {
    (found.error_code, found.leader_epoch.0, found.end_offset)
}

const NONE: ErrorCode = ErrorCode::NONE;

pub fn the_newest_epoch_ends_where_the_log_does(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    assert_eq!(peer.end_of_epoch(&topic, -1, 0), (NONE, 0, 0), "an empty log");
    peer.append(&topic, batch::of(3));
    for version in 2..=4 {
        for replica_id in [-2, -1, 1] {
            let topics = vec![asking(&topic, 0, -1, 0)];
            let request = OffsetForLeaderEpochRequest { replica_id: BrokerId(replica_id), topics };
            let response = peer.ask(version, request);
            assert_eq!(response.throttle_time_ms, 0);
            let [answered] = &response.topics[..] else { panic!("{response:?}") };
            let [found] = &answered.partitions[..] else { panic!("{response:?}") };
            assert_eq!((&answered.topic, found.partition), (&topic.name, 0));
            assert_eq!(told(found), (NONE, 0, 3), "version {version}, asked by {replica_id}");
        }
    }
}

pub fn epochs_that_nothing_is_known_of_are_no_errors(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    peer.append(&topic, batch::of(2));
    for newer in [1, 7, i32::MAX] {
        assert_eq!(peer.end_of_epoch(&topic, 0, newer), (NONE, -1, -1), "{newer}");
    }
    assert_eq!(peer.end_of_epoch(&topic, 0, -1), (NONE, -1, -1), "none");
    for older in [-2, i32::MIN] {
        assert_eq!(peer.end_of_epoch(&topic, 0, older), (NONE, older, 0), "up to where the first one begins");
    }
}

pub fn the_leaders_epoch_is_checked(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    peer.append(&topic, batch::of(2));
    for (believed, expected) in [
        (-1, (NONE, 0, 2)),
        (0, (NONE, 0, 2)),
        (1, (ErrorCode::UNKNOWN_LEADER_EPOCH, -1, -1)),
        (-2, (ErrorCode::FENCED_LEADER_EPOCH, -1, -1)),
    ] {
        assert_eq!(peer.end_of_epoch(&topic, believed, 0), expected, "{believed}");
    }
}

pub fn each_partition_has_an_answer_of_its_own(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic_with(2, &[]));
    peer.append(&topic, batch::of(2));
    let nobody = Topic { name: "no-such-topic".into(), id: topic.id };
    let mut first = asking(&topic, 0, 0, 0);
    first.partitions.extend([1, 0, 2, -1].map(|n| asking(&topic, n, 0, 0).partitions[0].clone()));
    let response = peer.ask(4, of(vec![first, asking(&nobody, 0, -1, 0), asking(&topic, 1, 1, 0)]));
    let names: Vec<_> = response.topics.iter().map(|answered| answered.topic.clone()).collect();
    assert_eq!(names, [topic.name.clone(), nobody.name, topic.name]);
    let found: Vec<_> = response
        .topics
        .iter()
        .map(|answered| answered.partitions.iter().map(|one| (one.partition, told(one))).collect::<Vec<_>>())
        .collect();
    let unknown = (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1, -1);
    let (two, none) = ((NONE, 0, 2), (NONE, 0, 0));
    assert_eq!(found[0], [(0, two), (1, none), (0, two), (2, unknown), (-1, unknown)]);
    assert_eq!(found[1], [(0, unknown)]);
    assert_eq!(found[2], [(1, (ErrorCode::UNKNOWN_LEADER_EPOCH, -1, -1))], "a topic that is named twice");
    assert!(peer.ask(4, of(Vec::new())).topics.is_empty());
}

pub fn a_fetch_that_parted_is_told_the_same_end(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    peer.append(&topic, batch::of(2));
    for epoch in [0, 1, 7] {
        peer.assert_told_alike(&topic, epoch);
    }
}
