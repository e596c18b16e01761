//! OffsetForLeaderEpoch: where a leader epoch ends, for who has read with it (KIP-320).
//!
//! As in Kafka the end of the newest epoch is the end of the log, whoever asks, and a partition that is named twice is
//! answered twice.

use crate::broker::core::Context;
use crate::broker::state::{State, check_replica};
use crate::messages::{
    ErrorCode, LeaderEpoch, OffsetForLeaderEpochPartition, OffsetForLeaderEpochPartitionResponse,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderEpochTopicResponse,
};
use crate::wire::Text;

pub(super) fn handle(
    state: &State,
    context: Context<'_>,
    request: &OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.iter().map(|topic| {
        let find_one = |wanted: &OffsetForLeaderEpochPartition| {
            let found = context.unless_refused(&topic.topic, Some(wanted.partition), || {
                find(state, context, &topic.topic, wanted)
            });
            answer(wanted.partition, found)
        };
        let partitions = topic.partitions.iter().map(find_one).collect();
        OffsetForLeaderEpochTopicResponse { topic: topic.topic.clone(), partitions }
    });
    OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
}

fn find(
    state: &State,
    context: Context<'_>,
    topic: &Text,
    wanted: &OffsetForLeaderEpochPartition,
) -> Result<Option<(LeaderEpoch, i64)>, ErrorCode> {
    let partition = state.topics.partition(topic, wanted.partition)?;
    check_replica(partition, context.broker, wanted.current_leader_epoch, false)?;
    Ok(partition.log.end_of_epoch(wanted.leader_epoch))
}

/// An epoch that nothing is known of is no error: both are -1.
fn answer(
    partition: i32,
    found: Result<Option<(LeaderEpoch, i64)>, ErrorCode>,
) -> OffsetForLeaderEpochPartitionResponse {
    let unknown = OffsetForLeaderEpochPartitionResponse { partition, ..Default::default() };
    match found {
        Ok(Some((leader_epoch, end_offset))) => {
            OffsetForLeaderEpochPartitionResponse { leader_epoch, end_offset, ..unknown }
        }
        Ok(None) => unknown,
        Err(error_code) => OffsetForLeaderEpochPartitionResponse { error_code, ..unknown },
    }
}
