//! OffsetCommit: what a group has read, partition by partition.

use super::committing::{Committer, Wanted, known_partitions};
use crate::broker::core::Context;
use crate::broker::groups::Members;
use crate::broker::state::State;
use crate::messages::{
    ErrorCode, OffsetCommitPartition, OffsetCommitPartitionResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetCommitTopic, OffsetCommitTopicResponse,
};
use crate::wire::{Text, Uuid};

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &OffsetCommitRequest,
) -> OffsetCommitResponse {
    // Who commits is looked at only when there is something that can be committed.
    let mut allowed = None;
    let mut commit_topic = |topic: &OffsetCommitTopic| {
        let name = state.resolve(context.version >= 10, &topic.topic_id, &topic.name);
        let partitions = topic.partitions.iter().map(|wanted| {
            let shown = name.as_ref().map_or("", Text::as_str);
            let committed = context.unless_refused(shown, Some(wanted.partition_index), || {
                let name = name.clone()?;
                state.topics.partition(&name, wanted.partition_index)?;
                let allowed = *allowed.get_or_insert_with(|| may_commit(state, context, request));
                allowed.and_then(|()| commit(state, context, request, &name, wanted))
            });
            OffsetCommitPartitionResponse {
                partition_index: wanted.partition_index,
                error_code: committed.err().unwrap_or_default(),
            }
        });
        OffsetCommitTopicResponse {
            partitions: partitions.collect(),
            name: topic.name.clone(),
            topic_id: topic.topic_id,
        }
    };
    let topics = request.topics.iter().map(&mut commit_topic).collect();
    OffsetCommitResponse { topics, ..Default::default() }
}

/// Whether who commits is a member of this generation, or the group has no members; makes a group that is not there.
fn may_commit(
    state: &mut State,
    context: Context<'_>,
    request: &OffsetCommitRequest,
) -> Result<(), ErrorCode> {
    let OffsetCommitRequest { group_id, member_id, group_instance_id, .. } = request;
    let generation = request.generation_id_or_member_epoch.0;
    state.enter_group(group_id, context)?;
    let partitions = partitions_of(state, context, request);
    let State { groups, rng, .. } = state;
    if groups.get(group_id).is_none() {
        if generation >= 0 {
            let has_code = context.version >= 9;
            return Err(if has_code { ErrorCode::GROUP_ID_NOT_FOUND } else { ErrorCode::ILLEGAL_GENERATION });
        }
        groups.get_or_create(group_id, context.broker)?;
    }
    let checked = groups.with(group_id, context.now.at, rng, |group, turn| match &mut group.members {
        Members::Classic(members) => {
            members.may_commit(member_id, group_instance_id.as_ref(), generation, turn)
        }
        Members::Consumer(members) if generation < 0 && members.is_empty() => Ok(()),
        Members::Consumer(members) => {
            let checked = members.may_commit(member_id, generation, &partitions);
            // Older versions do not know what STALE_MEMBER_EPOCH means.
            if context.version < 9 && checked != Err(ErrorCode::UNKNOWN_MEMBER_ID) {
                return Err(ErrorCode::UNSUPPORTED_VERSION);
            }
            checked
        }
    });
    checked.unwrap_or(Err(ErrorCode::UNKNOWN_MEMBER_ID))
}

/// The partitions of the request that there are.
fn partitions_of(state: &State, context: Context<'_>, request: &OffsetCommitRequest) -> Vec<(Uuid, i32)> {
    let of_topic = |topic: &OffsetCommitTopic| {
        let name = state.resolve(context.version >= 10, &topic.topic_id, &topic.name).ok()?;
        let indexes = topic.partitions.iter().map(|wanted| wanted.partition_index);
        Some(known_partitions(state, &name, indexes))
    };
    request.topics.iter().filter_map(of_topic).flatten().collect()
}

fn commit(
    state: &mut State,
    context: Context<'_>,
    request: &OffsetCommitRequest,
    topic: &Text,
    wanted: &OffsetCommitPartition,
) -> Result<(), ErrorCode> {
    let OffsetCommitPartition { partition_index: partition, committed_offset: offset, .. } = *wanted;
    let (leader_epoch, metadata) = (wanted.committed_leader_epoch, wanted.committed_metadata.as_ref());
    let wanted = Wanted { partition, offset, leader_epoch, metadata };
    let committer = Committer { group: &request.group_id, member: &request.member_id };
    let (committed, seen) = committer.commit(context, topic, &wanted)?;
    let group = state.groups.get_mut(&request.group_id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    group.offsets.commit(topic, partition, committed);
    state.commits.push(seen);
    Ok(())
}
