//! OffsetDelete: forgets what a group has committed of partitions that none of its members is subscribed to.

use crate::broker::core::Context;
use crate::broker::groups::Group;
use crate::broker::state::State;
use crate::messages::{
    ErrorCode, OffsetDeletePartition, OffsetDeletePartitionResponse, OffsetDeleteRequest,
    OffsetDeleteResponse, OffsetDeleteTopic, OffsetDeleteTopicResponse,
};
use crate::wire::Text;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let (whole, each) = context.split(is_of_partitions);
    let deleted = whole.unless_refused("", None, || delete_all(state, each, request));
    match deleted {
        Ok(topics) => OffsetDeleteResponse { topics, ..Default::default() },
        Err(error_code) => OffsetDeleteResponse { error_code, ..Default::default() },
    }
}

/// Whether a fault's code is about a partition, and not about the group.
fn is_of_partitions(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::TOPIC_AUTHORIZATION_FAILED
    )
}

fn delete_all(
    state: &mut State,
    context: Context<'_>,
    request: &OffsetDeleteRequest,
) -> Result<Vec<OffsetDeleteTopicResponse>, ErrorCode> {
    may_delete(state, context, &request.group_id)?;
    let mut delete_topic = |topic: &OffsetDeleteTopic| {
        // What members subscribe to has to be read anew each time.
        let group = state.groups.get(&request.group_id);
        let is_read = group.is_some_and(|group| group.members.subscribe_to(&topic.name));
        let partitions = topic.partitions.iter().map(|OffsetDeletePartition { partition_index }| {
            let deleted = context.unless_refused(&topic.name, Some(*partition_index), || {
                delete(state, &request.group_id, &topic.name, *partition_index, is_read)
            });
            let (partition_index, error_code) = (*partition_index, deleted.err().unwrap_or_default());
            OffsetDeletePartitionResponse { partition_index, error_code }
        });
        OffsetDeleteTopicResponse { partitions: partitions.collect(), name: topic.name.clone() }
    };
    Ok(request.topics.iter().map(&mut delete_topic).collect())
}

fn may_delete(state: &mut State, context: Context<'_>, id: &Text) -> Result<(), ErrorCode> {
    if id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    state.enter_group(id, context)?;
    let group = state.groups.get(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    // What members of another kind use cannot be told.
    if group.members.are_consumers() { Ok(()) } else { Err(ErrorCode::NON_EMPTY_GROUP) }
}

fn delete(
    state: &mut State,
    id: &Text,
    topic: &Text,
    partition: i32,
    is_read: bool,
) -> Result<(), ErrorCode> {
    state.topics.partition(topic, partition)?;
    if is_read {
        return Err(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
    }
    let group: &mut Group = state.groups.get_mut(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    group.offsets.delete(topic, partition);
    Ok(())
}
