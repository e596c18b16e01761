//! TxnOffsetCommit: what a group has read, to be committed with a transaction (KIP-98, KIP-447).

use super::committing::{Committer, Wanted, known_partitions};
use crate::broker::core::Context;
use crate::broker::groups::Members;
use crate::broker::state::State;
use crate::broker::transactions::{Part, Vouching};
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
    let partitions = partitions_of(state, request);
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
fn partitions_of(state: &State, request: &TxnOffsetCommitRequest) -> Vec<(Uuid, i32)> {
    let of_topic = |topic: &TxnOffsetCommitTopic| {
        let indexes = topic.partitions.iter().map(|wanted| wanted.partition_index);
        known_partitions(state, &topic.name, indexes)
    };
    request.topics.iter().flat_map(of_topic).collect()
}

fn commit(
    state: &mut State,
    context: Context<'_>,
    request: &TxnOffsetCommitRequest,
    topic: &Text,
    wanted: &TxnOffsetCommitPartition,
) -> Result<(), ErrorCode> {
    let TxnOffsetCommitPartition { partition_index: partition, committed_offset: offset, .. } = *wanted;
    let (leader_epoch, metadata) = (wanted.committed_leader_epoch, wanted.committed_metadata.as_ref());
    let wanted = Wanted { partition, offset, leader_epoch, metadata };
    let committer = Committer { group: &request.group_id, member: &request.member_id };
    let (committed, seen) = committer.commit(context, topic, &wanted)?;
    let group = state.groups.get_mut(&request.group_id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    group.offsets.commit_pending(request.producer_id, topic, partition, committed, seen);
    Ok(())
}
