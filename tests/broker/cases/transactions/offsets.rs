//! Offsets that groups commit as part of a transaction.

use super::{ABORTABLE, MAPPING, NONE, OLD_EPOCH, Producer, STATE, settled};
use crate::cases::groups::{group, settle};
use crate::cases::{Target, Topic};
use crate::peer::Peer;
use ottla::messages::{
    AddOffsetsToTxnRequest, ErrorCode, GenerationId, LeaderEpoch, OffsetCommitPartition, OffsetCommitRequest,
    OffsetCommitTopic, OffsetFetchGroup, OffsetFetchRequest, OffsetFetchTopic, ProducerEpoch, ProducerId,
    TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitTopic,
};
use ottla::wire::Text;

fn committing(producer: &Producer, group: &Text, topic: &Topic, offset: i64) -> TxnOffsetCommitRequest {
    let partition = TxnOffsetCommitPartition {
        partition_index: 0,
        committed_offset: offset,
        committed_leader_epoch: LeaderEpoch(4),
        committed_metadata: Some("note".into()),
    };
    TxnOffsetCommitRequest {
        transactional_id: producer.transactional_id.clone(),
        group_id: group.clone(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        topics: vec![TxnOffsetCommitTopic { name: topic.name.clone(), partitions: vec![partition] }],
        ..Default::default()
    }
}

fn code(peer: &mut Peer, version: i16, request: TxnOffsetCommitRequest) -> ErrorCode {
    let ask = || peer.ask(version, request.clone()).topics[0].partitions[0].error_code;
    settled(ask, |code| *code != ErrorCode::CONCURRENT_TRANSACTIONS)
}

/// Error code and offset of partition 0.
fn fetched(peer: &mut Peer, version: i16, group: &Text, topic: &Topic, stable: bool) -> (ErrorCode, i64) {
    let wanted =
        OffsetFetchTopic { name: topic.name.clone(), topic_id: topic.id, partition_indexes: vec![0] };
    let asking =
        OffsetFetchGroup { group_id: group.clone(), topics: Some(vec![wanted]), ..Default::default() };
    let request = OffsetFetchRequest::one(asking, stable, version);
    let answer = peer.ask(version, request).into_groups(group.clone(), version).remove(0);
    assert_eq!(answer.error_code, NONE);
    let partition = &answer.topics[0].partitions[0];
    (partition.error_code, partition.committed_offset)
}

fn await_offset(peer: &mut Peer, group: &Text, topic: &Topic, offset: i64) {
    settled(|| fetched(peer, 9, group, topic, true), |found| *found == (NONE, offset));
}

fn add_offsets(producer: &mut Producer, group: &Text) -> ErrorCode {
    let request = AddOffsetsToTxnRequest {
        transactional_id: producer.transactional_id.clone(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        group_id: group.clone(),
    };
    producer.retried(|own| own.peer.ask(3, request.clone()).error_code, |code| *code)
}

pub fn offsets_wait_for_their_transaction_in_every_version(target: &Target) {
    let (mut producer, topic, group) = (Producer::new(target), target.topic(), group(target));
    let unstable = ErrorCode::UNSTABLE_OFFSET_COMMIT;
    let mut before = -1;
    for version in 0..=5 {
        for committed in [false, true] {
            if version < 5 {
                assert_eq!(add_offsets(&mut producer, &group), NONE);
            }
            let offset = i64::from(version) * 10 + 1;
            let request = committing(&producer, &group, &topic, offset);
            assert_eq!(code(&mut producer.peer, version, request), NONE, "version {version}");
            for fetch in [7, 8, 9, 10] {
                assert_eq!(fetched(&mut producer.peer, fetch, &group, &topic, false), (NONE, before));
                assert_eq!(fetched(&mut producer.peer, fetch, &group, &topic, true), (unstable, -1));
            }
            if version < 5 {
                assert_eq!(producer.end(4, committed).error_code, NONE);
            } else {
                producer.finish(committed);
            }
            before = if committed { offset } else { before };
            await_offset(&mut producer.peer, &group, &topic, before);
        }
    }
}

pub fn a_group_that_is_not_in_the_transaction_is_refused_by_version(target: &Target) {
    let (mut producer, topic, group) = (Producer::new(target), target.topic(), group(target));
    for (version, expected) in [(0, STATE), (3, STATE), (4, ABORTABLE)] {
        let request = committing(&producer, &group, &topic, 1);
        assert_eq!(code(&mut producer.peer, version, request), expected, "version {version}");
    }
    let mut request = committing(&producer, &group, &topic, 1);
    request.producer_epoch = ProducerEpoch(3);
    assert_eq!(code(&mut producer.peer, 5, request.clone()), OLD_EPOCH);
    request.producer_id = ProducerId(producer.id.0 + 1_000_000);
    assert_eq!(code(&mut producer.peer, 5, request.clone()), MAPPING);
    request.transactional_id = "nobody-has-it".into();
    assert_eq!(code(&mut producer.peer, 5, request.clone()), MAPPING);
    request.transactional_id = Text::default();
    assert_eq!(code(&mut producer.peer, 5, request), ErrorCode::INVALID_REQUEST);
    let mut request = committing(&producer, &Text::default(), &topic, 1);
    assert_eq!(code(&mut producer.peer, 5, request.clone()), ErrorCode::INVALID_GROUP_ID);
    request.topics[0].name = "no-such-topic".into();
    assert_eq!(code(&mut producer.peer, 5, request), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let mut request = committing(&producer, &group, &topic, 1);
    request.topics[0].partitions[0].committed_metadata = Some("x".repeat(4097).into());
    assert_eq!(code(&mut producer.peer, 5, request), ErrorCode::OFFSET_METADATA_TOO_LARGE);
}

pub fn members_name_their_generation_or_nothing(target: &Target) {
    let (mut producer, topic, group) = (Producer::new(target), target.topic(), group(target));
    let mut request = committing(&producer, &group, &topic, 7);
    request.generation_id = GenerationId(3);
    assert_eq!(code(&mut producer.peer, 5, request.clone()), ErrorCode::ILLEGAL_GENERATION, "no such group");
    let mut member = target.connect();
    let joined = settle(&mut member, &group);
    request.generation_id = joined.generation_id;
    assert_eq!(code(&mut producer.peer, 5, request.clone()), ErrorCode::UNKNOWN_MEMBER_ID);
    request.member_id = joined.member_id.clone();
    assert_eq!(code(&mut producer.peer, 5, request.clone()), NONE);
    request.generation_id = GenerationId(joined.generation_id.0 + 1);
    assert_eq!(code(&mut producer.peer, 5, request.clone()), ErrorCode::ILLEGAL_GENERATION);
    request.generation_id = joined.generation_id;
    request.group_instance_id = Some("somebody".into());
    assert_eq!(code(&mut producer.peer, 5, request), ErrorCode::UNKNOWN_MEMBER_ID);
    let nobody = committing(&producer, &group, &topic, 8);
    assert_eq!(code(&mut producer.peer, 5, nobody), NONE, "who says nothing of itself");
    producer.finish(true);
    await_offset(&mut producer.peer, &group, &topic, 8);
}

pub fn the_later_commit_stands(target: &Target) {
    let (mut producer, topic, group) = (Producer::new(target), target.topic(), group(target));
    let request = committing(&producer, &group, &topic, 10);
    assert_eq!(code(&mut producer.peer, 5, request), NONE);
    let partition = OffsetCommitPartition { partition_index: 0, committed_offset: 20, ..Default::default() };
    let topics =
        vec![OffsetCommitTopic { name: topic.name.clone(), topic_id: topic.id, partitions: vec![partition] }];
    let plain = OffsetCommitRequest { group_id: group.clone(), topics, ..Default::default() };
    let committed = producer.peer.ask(9, plain);
    assert_eq!(committed.topics[0].partitions[0].error_code, NONE);
    assert_eq!(fetched(&mut producer.peer, 9, &group, &topic, false), (NONE, 20));
    producer.finish(true);
    await_offset(&mut producer.peer, &group, &topic, 20);
}
