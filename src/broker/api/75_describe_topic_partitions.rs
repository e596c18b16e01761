//! DescribeTopicPartitions: topics by name, a page at a time, as Kafka's `DescribeTopicPartitionsRequestHandler` does.

use super::operations;
use crate::broker::core::Context;
use crate::broker::state::State;
use crate::broker::topic::{Partition, check_name};
use crate::messages::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic, ErrorCode,
};
use crate::wire::Text;
use std::collections::BTreeSet;

/// Partitions of a page, whatever the client asks for (`max.request.partition.size.limit`).
const MAX_PARTITIONS: i32 = 2000;

pub(super) fn handle(
    state: &State,
    context: Context<'_>,
    request: &DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let Some(wanted) = wanted(state, request) else { return refuse_all(request) };
    let of_all = request.topics.is_empty();
    let limit = request.response_partition_limit.clamp(1, MAX_PARTITIONS);
    let mut room = usize::try_from(limit).unwrap_or(1);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in wanted {
        if room == 0 {
            response.next_cursor = Some(Cursor { topic_name: name, partition_index: 0 });
            break;
        }
        let begun = request.cursor.as_ref().filter(|cursor| cursor.topic_name == name);
        let first = begun.and_then(|cursor| usize::try_from(cursor.partition_index).ok()).unwrap_or(0);
        let found = context.unless_refused(&name, None, || describe(state, &name, first, room));
        match found {
            Ok((topic, is_whole)) => {
                room = room.saturating_sub(topic.partitions.len());
                let next = first.saturating_add(topic.partitions.len());
                response.topics.push(topic);
                if !is_whole {
                    let partition_index = i32::try_from(next).unwrap_or(i32::MAX);
                    response.next_cursor = Some(Cursor { topic_name: name, partition_index });
                    break;
                }
            }
            Err(_) if of_all => {}
            Err(error_code) => response.topics.push(refused(&name, error_code, operations::OF_TOPIC)),
        }
    }
    response
}

/// The topics that are asked for, from the cursor on; nothing when it makes no sense.
fn wanted(state: &State, request: &DescribeTopicPartitionsRequest) -> Option<BTreeSet<Text>> {
    let Some(Cursor { topic_name, partition_index }) = &request.cursor else {
        return Some(named(state, request).collect());
    };
    let behind: BTreeSet<Text> = named(state, request).filter(|name| name >= topic_name).collect();
    let is_named = request.topics.is_empty() || behind.contains(topic_name);
    (is_named && *partition_index >= 0).then_some(behind)
}

fn named<'a>(
    state: &'a State,
    request: &'a DescribeTopicPartitionsRequest,
) -> Box<dyn Iterator<Item = Text> + 'a> {
    match request.topics.is_empty() {
        true => Box::new(state.topics.iter().map(|(name, _)| name.clone())),
        false => Box::new(request.topics.iter().map(|topic| topic.name.clone())),
    }
}

fn refuse_all(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let refuse = |name| refused(name, ErrorCode::INVALID_REQUEST, operations::NOT_ASKED);
    let topics = request.topics.iter().map(|topic| refuse(&topic.name));
    DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() }
}

fn refused(
    name: &Text,
    error_code: ErrorCode,
    topic_authorized_operations: i32,
) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code,
        name: Some(name.clone()),
        topic_authorized_operations,
        ..Default::default()
    }
}

/// As many partitions as there is room for, and whether the topic has no more.
fn describe(
    state: &State,
    name: &Text,
    first: usize,
    room: usize,
) -> Result<(DescribeTopicPartitionsResponseTopic, bool), ErrorCode> {
    let Some(topic) = state.topics.get(name.as_bytes()) else {
        check_name(name).map_err(|_| ErrorCode::INVALID_TOPIC_EXCEPTION)?;
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    let partitions = (0i32..).zip(&topic.partitions).skip(first).take(room);
    let told = DescribeTopicPartitionsResponseTopic {
        name: Some(name.clone()),
        topic_id: topic.id,
        partitions: partitions
            .map(|(index, partition)| describe_partition(state, index, partition))
            .collect(),
        topic_authorized_operations: operations::OF_TOPIC,
        ..Default::default()
    };
    let is_whole = first.saturating_add(room) >= topic.partitions.len();
    Ok((told, is_whole))
}

/// Without an error code even where nobody leads: Kafka has none here.
fn describe_partition(
    state: &State,
    partition_index: i32,
    partition: &Partition,
) -> DescribeTopicPartitionsResponsePartition {
    DescribeTopicPartitionsResponsePartition {
        error_code: ErrorCode::NONE,
        partition_index,
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.clone(),
        isr_nodes: partition.isr.clone(),
        eligible_leader_replicas: Some(partition.elr.clone()),
        last_known_elr: Some(Default::default()),
        offline_replicas: partition.replicas.iter().copied().filter(|id| !state.is_live(*id)).collect(),
    }
}
