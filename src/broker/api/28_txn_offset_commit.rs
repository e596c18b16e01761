//! TxnOffsetCommit: what a group has read, to be committed with a transaction (KIP-98, KIP-447).

use crate::broker::core::Context;
use crate::broker::groups::Members;
use crate::broker::groups::offsets::{Committed, MAX_METADATA_BYTES};
use crate::broker::state::State;
use crate::broker::transactions::{Part, Vouching};
use crate::broker::watch::SeenCommit;
use crate::messages::{
    ErrorCode, TxnOffsetCommitPartition, TxnOffsetCommitPartitionResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse, TxnOffsetCommitTopic, TxnOffsetCommitTopicResponse,
};
use crate::wire::{Text, Uuid};

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    // Who commits is looked at only when there is something that can be committed.
    let mut allowed = None;
    let mut commit_topic = |topic: &TxnOffsetCommitTopic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let committed = context.unless_refused(&topic.name, Some(wanted.partition_index), || {
                state.topics.partition(&topic.name, wanted.partition_index)?;
                let allowed = *allowed.get_or_insert_with(|| may_commit(state, context, request));
                allowed.and_then(|()| commit(state, context, request, &topic.name, wanted))
            });
            TxnOffsetCommitPartitionResponse {
                partition_index: wanted.partition_index,
                error_code: committed.err().unwrap_or_default(),
            }
        });
        TxnOffsetCommitTopicResponse { partitions: partitions.collect(), name: topic.name.clone() }
    };
    let topics = request.topics.iter().map(&mut commit_topic).collect();
    TxnOffsetCommitResponse { topics, ..Default::default() }
}

/// Whether the transaction has the group, and who commits is a member of it or says of itself that it is none; makes a
/// group that is not there.
fn may_commit(
    state: &mut State,
    context: Context<'_>,
    request: &TxnOffsetCommitRequest,
) -> Result<(), ErrorCode> {
    let TxnOffsetCommitRequest { transactional_id, group_id, member_id, .. } = request;
    if group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    state.enter_group(group_id, context)?;
    let producer = (request.producer_id, request.producer_epoch);
    let vouching = Vouching::of_offset_commit(context.version);
    state.vouch(transactional_id, producer, Part::Group(group_id.clone()), vouching, context.now)?;
    let generation = request.generation_id.0;
    let partitions = known_partitions(state, request);
    if state.groups.get(group_id).is_none() && generation >= 0 {
        return Err(ErrorCode::ILLEGAL_GENERATION);
    }
    let instance = request.group_instance_id.as_ref();
    let is_nobody = generation < 0 && member_id.is_empty() && instance.is_none();
    match &state.groups.get_or_create(group_id, context.broker)?.members {
        // Older versions cannot say who they are.
        _ if is_nobody => Ok(()),
        Members::Classic(members) => members.may_commit_in_transaction(member_id, instance, generation),
        Members::Consumer(members) if generation < 0 && members.is_empty() => Ok(()),
        Members::Consumer(members) => {
            members.may_commit(member_id, generation, &partitions).map_err(|code| match code {
                ErrorCode::STALE_MEMBER_EPOCH => ErrorCode::ILLEGAL_GENERATION,
                code => code,
            })
        }
    }
}

/// The partitions of the request that there are.
fn known_partitions(state: &State, request: &TxnOffsetCommitRequest) -> Vec<(Uuid, i32)> {
    let of_topic = |topic: &TxnOffsetCommitTopic| {
        let known = state.topics.get(topic.name.as_bytes())?;
        let indexes = topic.partitions.iter().map(|wanted| wanted.partition_index);
        let there = indexes.filter(|index| known.partition(*index).is_some());
        Some(there.map(|index| (known.id, index)).collect::<Vec<_>>())
    };
    request.topics.iter().filter_map(of_topic).flatten().collect()
}

fn commit(
    state: &mut State,
    context: Context<'_>,
    request: &TxnOffsetCommitRequest,
    topic: &Text,
    wanted: &TxnOffsetCommitPartition,
) -> Result<(), ErrorCode> {
    let metadata = wanted.committed_metadata.as_ref().map(Text::detach).unwrap_or_default();
    if metadata.len() > MAX_METADATA_BYTES {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    let (partition, offset) = (wanted.partition_index, wanted.committed_offset);
    let committed = Committed { offset, leader_epoch: wanted.committed_leader_epoch, metadata };
    let seen = SeenCommit {
        at: context.now.at,
        connection: context.connection.0,
        group: request.group_id.as_str().to_owned(),
        member_id: request.member_id.as_str().to_owned(),
        topic: topic.as_str().to_owned(),
        partition,
        offset,
    };
    let group = state.groups.get_mut(&request.group_id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    group.offsets.commit_pending(request.producer_id, topic, partition, committed, seen);
    Ok(())
}
