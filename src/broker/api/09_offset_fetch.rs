//! OffsetFetch: what groups have committed. A partition of which nothing was committed has the offset -1, and that is no error.
//! One that a transaction may still change is an error for those who want it stable (KIP-447).

use crate::broker::core::Context;
use crate::broker::groups::Members;
use crate::broker::groups::offsets::Offsets;
use crate::broker::state::State;
use crate::messages::{
    ErrorCode, LeaderEpoch, OffsetFetchGroup, OffsetFetchGroupResponse, OffsetFetchNamedPartitionResponse,
    OffsetFetchNamedTopicResponse, OffsetFetchPartitionResponse, OffsetFetchRequest, OffsetFetchResponse,
    OffsetFetchTopic, OffsetFetchTopicResponse,
};
use crate::wire::{Text, Uuid};

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if context.version >= 8 {
        let groups = request.groups.iter().map(|group| fetch(state, context, group, stable)).collect();
        return OffsetFetchResponse { groups, ..Default::default() };
    }
    let topics = request.topics.map(|topics| {
        let by_name = topics.into_iter().map(|topic| OffsetFetchTopic {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..Default::default()
        });
        by_name.collect()
    });
    let group = OffsetFetchGroup { group_id: request.group_id, topics, ..Default::default() };
    let OffsetFetchGroupResponse { topics, error_code, .. } = fetch(state, context, &group, stable);
    if context.version < 2 && !error_code.is_none() {
        // There is no place for it but the partitions'.
        let topics = refused(&group, error_code).into_iter().map(named).collect();
        return OffsetFetchResponse { topics, ..Default::default() };
    }
    let topics = topics.into_iter().map(named).collect();
    OffsetFetchResponse { topics, error_code, ..Default::default() }
}

fn fetch(
    state: &mut State,
    context: Context<'_>,
    group: &OffsetFetchGroup,
    stable: bool,
) -> OffsetFetchGroupResponse {
    let (whole, each) = context.split(is_of_partitions);
    let found = whole.unless_denied(&group.group_id, ErrorCode::GROUP_AUTHORIZATION_FAILED, || {
        find(state, each, group, stable)
    });
    let (topics, error_code) = match found {
        Ok(topics) => (topics, ErrorCode::NONE),
        Err(code) => (Vec::new(), code),
    };
    OffsetFetchGroupResponse { group_id: group.group_id.clone(), topics, error_code }
}

/// Whether a fault's code is about a partition, and not about the group.
fn is_of_partitions(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UNSTABLE_OFFSET_COMMIT
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::TOPIC_AUTHORIZATION_FAILED
    )
}

fn find(
    state: &mut State,
    context: Context<'_>,
    group: &OffsetFetchGroup,
    stable: bool,
) -> Result<Vec<OffsetFetchTopicResponse>, ErrorCode> {
    state.enter_group(&group.group_id, context)?;
    if let Some(Members::Consumer(members)) = state.groups.get(&group.group_id).map(|group| &group.members)
        && (group.member_id.is_some() || group.member_epoch.0 >= 0)
    {
        members.check_epoch(&group.member_id.clone().unwrap_or_default(), group.member_epoch.0)?;
    }
    let none = Offsets::default();
    let offsets = state.groups.get(&group.group_id).map_or(&none, |group| &group.offsets);
    let by_id = context.version >= 10;
    let id_of = |name: &Text| state.topics.get(name.as_bytes()).map_or(Uuid::ZERO, |topic| topic.id);
    let Some(topics) = &group.topics else {
        let all = offsets.iter().map(|(name, partitions)| OffsetFetchTopicResponse {
            name: name.clone(),
            topic_id: id_of(name),
            partitions: partitions.map(|index| partition(context, offsets, name, index, stable)).collect(),
        });
        return Ok(all.collect());
    };
    let asked = topics.iter().map(|topic| {
        let name = state.resolve(by_id, &topic.topic_id, &topic.name);
        let indexes = topic.partition_indexes.iter();
        let partitions = indexes.map(|index| match &name {
            Ok(name) => partition(context, offsets, name, *index, stable),
            Err(code) => unknown(*index, *code),
        });
        OffsetFetchTopicResponse {
            partitions: partitions.collect(),
            name: topic.name.clone(),
            topic_id: topic.topic_id,
        }
    });
    Ok(asked.collect())
}

fn partition(
    context: Context<'_>,
    offsets: &Offsets,
    topic: &Text,
    index: i32,
    stable: bool,
) -> OffsetFetchPartitionResponse {
    let found = context.unless_refused(topic, Some(index), || {
        if stable && offsets.is_pending(topic, index) {
            return Err(ErrorCode::UNSTABLE_OFFSET_COMMIT);
        }
        Ok(offsets.get(topic, index))
    });
    match found {
        Ok(Some(committed)) => OffsetFetchPartitionResponse {
            partition_index: index,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch,
            metadata: Some(committed.metadata.clone()),
            error_code: ErrorCode::NONE,
        },
        Ok(None) => unknown(index, ErrorCode::NONE),
        Err(code) => unknown(index, code),
    }
}

fn unknown(partition_index: i32, error_code: ErrorCode) -> OffsetFetchPartitionResponse {
    OffsetFetchPartitionResponse {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: LeaderEpoch::NONE,
        metadata: Some(Text::default()),
        error_code,
    }
}

fn refused(group: &OffsetFetchGroup, code: ErrorCode) -> Vec<OffsetFetchTopicResponse> {
    let topics = group.topics.iter().flatten().map(|topic| OffsetFetchTopicResponse {
        name: topic.name.clone(),
        partitions: topic.partition_indexes.iter().map(|index| unknown(*index, code)).collect(),
        ..Default::default()
    });
    topics.collect()
}

fn named(topic: OffsetFetchTopicResponse) -> OffsetFetchNamedTopicResponse {
    let partition = |partition: OffsetFetchPartitionResponse| OffsetFetchNamedPartitionResponse {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    };
    let partitions = topic.partitions.into_iter().map(partition).collect();
    OffsetFetchNamedTopicResponse { name: topic.name, partitions }
}
