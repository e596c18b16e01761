//! ListOffsets: the ends of a partition, or the offset that belongs to a time.

use crate::broker::core::Context;
use crate::broker::log::Found;
use crate::broker::state::{State, check_replica};
use crate::messages::list_offsets::{
    EARLIEST, EARLIEST_LOCAL, EARLIEST_PENDING_UPLOAD, LATEST, LATEST_TIERED, MAX_TIMESTAMP,
};
use crate::messages::{
    ErrorCode, IsolationLevel, LeaderEpoch, ListOffsetsPartition, ListOffsetsPartitionResponse,
    ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use crate::wire::Text;
use std::collections::BTreeSet;

/// What is found where nothing is.
const NOTHING: Found = Found { offset: -1, timestamp: -1, leader_epoch: LeaderEpoch::NONE };

pub(super) fn handle(
    state: &State,
    context: Context<'_>,
    request: &ListOffsetsRequest,
) -> ListOffsetsResponse {
    let twice = named_twice(request);
    let committed_only = request.isolation_level == IsolationLevel::READ_COMMITTED;
    let topics = request.topics.iter().map(|topic| {
        let find_one = |wanted: &ListOffsetsPartition| {
            let found = if twice.contains(&(&topic.name, wanted.partition_index)) {
                Err(ErrorCode::INVALID_REQUEST)
            } else {
                context.unless_refused(&topic.name, Some(wanted.partition_index), || {
                    find(state, context, &topic.name, wanted, committed_only)
                })
            };
            answer(wanted.partition_index, found, context.version)
        };
        let partitions = topic.partitions.iter().map(find_one).collect();
        ListOffsetsTopicResponse { name: topic.name.clone(), partitions }
    });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
}

/// Partitions that a request names more than once.
fn named_twice(request: &ListOffsetsRequest) -> BTreeSet<(&Text, i32)> {
    let mut once = BTreeSet::new();
    let all = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (&topic.name, partition.partition_index)));
    all.filter(|named| !once.insert(*named)).collect()
}

fn find(
    state: &State,
    context: Context<'_>,
    topic: &Text,
    wanted: &ListOffsetsPartition,
    committed_only: bool,
) -> Result<Found, ErrorCode> {
    if !is_known_in(wanted.timestamp, context.version) {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    let partition = state.topics.partition(topic, wanted.partition_index)?;
    check_replica(partition, context.broker, wanted.current_leader_epoch, false)?;
    let log = &partition.log;
    let end = if committed_only { log.last_stable_offset() } else { log.end_offset() };
    let at = |offset, leader_epoch| Found { offset, timestamp: -1, leader_epoch };
    let decided = |found: Option<Found>| found.filter(|found| found.offset < end).unwrap_or(NOTHING);
    let found = match wanted.timestamp {
        LATEST => at(end, log.newest_epoch()),
        // Without tiered storage all of the log is local, and nothing ever tiered.
        EARLIEST | EARLIEST_LOCAL => at(log.start_offset(), log.oldest_epoch()),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => NOTHING,
        MAX_TIMESTAMP => decided(log.find_max_timestamp()),
        timestamp => decided(log.find_timestamp(timestamp)),
    };
    Ok(found)
}

/// Numbers below zero stand for something, some only since a version.
fn is_known_in(timestamp: i64, version: i16) -> bool {
    match timestamp {
        0.. | LATEST | EARLIEST => true,
        MAX_TIMESTAMP => version >= 7,
        EARLIEST_LOCAL => version >= 8,
        LATEST_TIERED => version >= 9,
        EARLIEST_PENDING_UPLOAD => version >= 11,
        _ => false,
    }
}

fn answer(
    partition_index: i32,
    found: Result<Found, ErrorCode>,
    version: i16,
) -> ListOffsetsPartitionResponse {
    match found {
        Ok(Found { offset, timestamp, leader_epoch }) => ListOffsetsPartitionResponse {
            partition_index,
            timestamp,
            offset,
            leader_epoch: if version >= 4 { leader_epoch } else { LeaderEpoch::NONE },
            ..Default::default()
        },
        Err(error_code) => ListOffsetsPartitionResponse { partition_index, error_code, ..Default::default() },
    }
}
