//! Committed offsets: OffsetCommit, OffsetFetch, OffsetDelete.

use super::groups::{group, joining, settle};
use super::{Target, Topic};
use crate::peer::Peer;
use ottla::messages::ConsumerProtocolSubscription;
use ottla::messages::{
    DeleteTopicState, DeleteTopicsRequest, ErrorCode, GenerationId, JoinGroupProtocol, JoinGroupRequest,
    LeaderEpoch, OffsetCommitPartition, OffsetCommitRequest, OffsetCommitTopic, OffsetDeletePartition,
    OffsetDeleteRequest, OffsetDeleteTopic, OffsetFetchGroup, OffsetFetchPartitionResponse,
    OffsetFetchRequest, OffsetFetchTopic,
};
use ottla::wire::{Text, Uuid};
use std::thread;
use std::time::Duration;

fn commit_of(topic: &Topic, offsets: &[(i32, i64)]) -> OffsetCommitTopic {
    let partition = |(partition_index, committed_offset): &(i32, i64)| OffsetCommitPartition {
        partition_index: *partition_index,
        committed_offset: *committed_offset,
        committed_leader_epoch: LeaderEpoch(3),
        committed_metadata: Some("note".into()),
    };
    OffsetCommitTopic {
        name: topic.name.clone(),
        topic_id: topic.id,
        partitions: offsets.iter().map(partition).collect(),
    }
}

fn commit(group: &Text, topic: &Topic, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: group.clone(),
        topics: vec![commit_of(topic, offsets)],
        ..Default::default()
    }
}

fn codes(peer: &mut Peer, version: i16, request: OffsetCommitRequest) -> Vec<ErrorCode> {
    let committed = peer.ask(version, request);
    let partitions = committed.topics.iter().flat_map(|topic| &topic.partitions);
    in_order(partitions.map(|partition| (partition.partition_index, partition.error_code)))
}

/// What became of each partition, by ascending index: Kafka tells first what it refused at once.
fn in_order(told: impl Iterator<Item = (i32, ErrorCode)>) -> Vec<ErrorCode> {
    let mut told: Vec<_> = told.collect();
    told.sort_by_key(|(index, _)| *index);
    told.into_iter().map(|(_, code)| code).collect()
}

fn asking(group: &Text, topics: Option<&[(&Topic, &[i32])]>) -> OffsetFetchGroup {
    let topic = |(topic, partitions): &(&Topic, &[i32])| OffsetFetchTopic {
        name: topic.name.clone(),
        topic_id: topic.id,
        partition_indexes: partitions.to_vec(),
    };
    let topics = topics.map(|topics| topics.iter().map(topic).collect());
    OffsetFetchGroup { group_id: group.clone(), topics, ..Default::default() }
}

/// Topics with their partitions; what each has.
fn fetched(peer: &mut Peer, version: i16, group: OffsetFetchGroup) -> Vec<OffsetFetchPartitionResponse> {
    let id = group.group_id.clone();
    let response = peer.ask(version, OffsetFetchRequest::one(group, false, version));
    let group = response.into_groups(id, version).remove(0);
    assert_eq!(group.error_code, ErrorCode::NONE);
    group.topics.into_iter().flat_map(|topic| topic.partitions).collect()
}

fn offsets(peer: &mut Peer, group: &Text, topic: &Topic, partitions: &[i32]) -> Vec<i64> {
    let found = fetched(peer, 9, asking(group, Some(&[(topic, partitions)])));
    found.iter().map(|partition| partition.committed_offset).collect()
}

pub fn offsets_come_back_in_every_version(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic_with(3, &[]));
    for version in 2..=10 {
        let offset = i64::from(version) * 10;
        assert_eq!(codes(&mut peer, version, commit(&group, &topic, &[(1, offset)])), [ErrorCode::NONE]);
        for fetch in 1..=10 {
            let found = fetched(&mut peer, fetch, asking(&group, Some(&[(&topic, &[1, 2])])));
            let [one, none] = &found[..] else { panic!("{found:?}") };
            assert_eq!((one.committed_offset, one.metadata.as_deref()), (offset, Some("note")));
            let epoch = if version >= 6 && fetch >= 5 { 3 } else { -1 };
            assert_eq!(one.committed_leader_epoch.0, epoch, "commit {version}, fetch {fetch}");
            assert_eq!((none.committed_offset, none.metadata.as_deref()), (-1, Some("")));
            assert_eq!((none.partition_index, none.error_code), (2, ErrorCode::NONE));
        }
        for fetch in 2..=10 {
            let all = fetched(&mut peer, fetch, asking(&group, None));
            assert_eq!(all.iter().map(|one| one.committed_offset).collect::<Vec<_>>(), [offset]);
        }
    }
}

pub fn many_groups_are_asked_at_once(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let groups = [group(target), group(target), "no-such-group".into()];
    codes(&mut peer, 9, commit(&groups[0], &topic, &[(0, 5)]));
    codes(&mut peer, 9, commit(&groups[1], &topic, &[(0, 6)]));
    for version in 8..=10 {
        let request = OffsetFetchRequest {
            groups: groups.iter().map(|group| asking(group, None)).collect(),
            require_stable: true,
            ..Default::default()
        };
        let found = peer.ask(version, request).groups;
        let told = found.iter().map(|group| {
            let offset = group.topics.first().map(|topic| topic.partitions[0].committed_offset);
            (group.group_id.clone(), group.error_code, offset)
        });
        let expected = groups.iter().cloned().zip([Some(5), Some(6), None]);
        let expected = expected.map(|(group, offset)| (group, ErrorCode::NONE, offset));
        assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}

pub fn what_cannot_be_committed_is_refused_by_code(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic());
    assert_eq!(
        codes(&mut peer, 9, commit(&group, &topic, &[(0, 1), (7, 1), (-1, 1)])),
        [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]
    );
    let nowhere = Topic { name: "no-such-topic".into(), id: Uuid::from_bytes([9; 16]) };
    assert_eq!(
        codes(&mut peer, 9, commit(&group, &nowhere, &[(0, 1)])),
        [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]
    );
    assert_eq!(codes(&mut peer, 10, commit(&group, &nowhere, &[(0, 1)])), [ErrorCode::UNKNOWN_TOPIC_ID]);
    let mut long = commit(&group, &topic, &[(0, 2), (0, 3)]);
    long.topics[0].partitions[0].committed_metadata = Some("x".repeat(4096).into());
    long.topics[0].partitions[1].committed_metadata = Some("x".repeat(4097).into());
    assert_eq!(codes(&mut peer, 9, long), [ErrorCode::NONE, ErrorCode::OFFSET_METADATA_TOO_LARGE]);
    assert_eq!(offsets(&mut peer, &group, &topic, &[0]), [2]);
}

pub fn who_commits_is_checked(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic());
    let by = |generation: i32, member: &Text, instance: Option<&str>| OffsetCommitRequest {
        generation_id_or_member_epoch: GenerationId(generation),
        member_id: member.clone(),
        group_instance_id: instance.map(Text::from),
        ..commit(&group, &topic, &[(0, 9)])
    };
    let none = Text::default();
    // There is no such group.
    assert_eq!(codes(&mut peer, 8, by(1, &"x".into(), None)), [ErrorCode::ILLEGAL_GENERATION]);
    assert_eq!(codes(&mut peer, 9, by(1, &"x".into(), None)), [ErrorCode::GROUP_ID_NOT_FOUND]);
    // It is made for somebody who does not claim to be of a generation, and asks no questions while it is empty.
    for _ in 0..2 {
        assert_eq!(codes(&mut peer, 9, by(-1, &"x".into(), Some("x"))), [ErrorCode::NONE]);
    }
    let member = settle(&mut peer, &group);
    let id = &member.member_id;
    assert_eq!(codes(&mut peer, 9, by(1, id, None)), [ErrorCode::NONE]);
    assert_eq!(codes(&mut peer, 9, by(0, id, None)), [ErrorCode::ILLEGAL_GENERATION]);
    assert_eq!(codes(&mut peer, 9, by(2, id, None)), [ErrorCode::ILLEGAL_GENERATION]);
    assert_eq!(codes(&mut peer, 9, by(1, &"x".into(), None)), [ErrorCode::UNKNOWN_MEMBER_ID]);
    assert_eq!(codes(&mut peer, 9, by(1, id, Some("x"))), [ErrorCode::UNKNOWN_MEMBER_ID]);
    assert_eq!(codes(&mut peer, 9, by(-1, &none, None)), [ErrorCode::UNKNOWN_MEMBER_ID]);
    assert_eq!(codes(&mut peer, 9, by(-1, id, None)), [ErrorCode::ILLEGAL_GENERATION]);
    // Between generations nobody knows who owns what.
    peer.ask(9, joining(&group, id, &["range"]));
    assert_eq!(codes(&mut peer, 9, by(2, id, None)), [ErrorCode::REBALANCE_IN_PROGRESS]);
    assert_eq!(offsets(&mut peer, &group, &topic, &[0]), [9]);
}

pub fn offsets_are_deleted_unless_somebody_reads_them(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic_with(2, &[]));
    let delete = |peer: &mut Peer, group: &Text, topics: &[(&Text, &[i32])]| {
        let topic = |(name, partitions): &(&Text, &[i32])| OffsetDeleteTopic {
            name: (*name).clone(),
            partitions: partitions
                .iter()
                .map(|partition_index| OffsetDeletePartition { partition_index: *partition_index })
                .collect(),
        };
        let request =
            OffsetDeleteRequest { group_id: group.clone(), topics: topics.iter().map(topic).collect() };
        let deleted = peer.ask(0, request);
        let partitions = deleted.topics.iter().flat_map(|topic| &topic.partitions);
        let told = partitions.map(|partition| (partition.partition_index, partition.error_code));
        (deleted.error_code, in_order(told))
    };
    let nothing = |code| (code, Vec::new());
    let one: &[i32] = &[0];
    assert_eq!(delete(&mut peer, &group, &[(&topic.name, one)]), nothing(ErrorCode::GROUP_ID_NOT_FOUND));
    assert_eq!(
        delete(&mut peer, &Text::default(), &[(&topic.name, one)]),
        nothing(ErrorCode::INVALID_GROUP_ID)
    );
    codes(&mut peer, 9, commit(&group, &topic, &[(0, 4), (1, 5)]));
    assert_eq!(
        delete(&mut peer, &group, &[(&topic.name, &[0, 9]), (&"no-such-topic".into(), &[3])]),
        (
            ErrorCode::NONE,
            vec![
                ErrorCode::NONE,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            ]
        )
    );
    assert_eq!(offsets(&mut peer, &group, &topic, &[0, 1]), [-1, 5]);
    // A member that has subscribed to it.
    let subscription =
        ConsumerProtocolSubscription { topics: vec![topic.name.clone()], ..Default::default() };
    let metadata = subscription.write(1).unwrap();
    let protocols = vec![JoinGroupProtocol { name: "range".into(), metadata }];
    let request = JoinGroupRequest { protocols, ..joining(&group, &Text::default(), &[]) };
    peer.ask(3, request);
    assert_eq!(
        delete(&mut peer, &group, &[(&topic.name, &[1])]),
        (ErrorCode::NONE, vec![ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC])
    );
    assert_eq!(offsets(&mut peer, &group, &topic, &[1]), [5]);
}

pub fn offsets_go_with_their_topic(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic());
    codes(&mut peer, 9, commit(&group, &topic, &[(0, 4)]));
    let by_id = DeleteTopicState { name: None, topic_id: topic.id };
    peer.ask(6, DeleteTopicsRequest { topics: vec![by_id], timeout_ms: 10_000, ..Default::default() });
    // A real coordinator hears of it from the controller, which may be busy.
    for _ in 0..600 {
        if fetched(&mut peer, 9, asking(&group, None)).is_empty() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("offsets of a topic that is gone");
}
