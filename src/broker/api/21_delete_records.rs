//! DeleteRecords: lets logs begin later, as `ReplicaManager.deleteRecords` and `Partition.deleteRecordsOnLeader` of Kafka 4.3 do.
//!
//! Different from Kafka: followers have the leader's log, so nothing is waited for.

use crate::broker::core::Context;
use crate::broker::state::State;
use crate::messages::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopic, DeleteRecordsTopicResult, ErrorCode,
};
use crate::wire::Text;

/// Stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;
/// Where a log begins that was not looked at.
const UNKNOWN: i64 = -1;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut of_topic = |DeleteRecordsTopic { name, partitions }: &DeleteRecordsTopic| {
        let partitions = partitions.iter().map(|wanted| {
            let DeleteRecordsPartition { partition_index, .. } = *wanted;
            let work = || delete(state, context, name, wanted);
            match context.unless_refused(name, Some(partition_index), work) {
                Ok(low_watermark) => {
                    DeleteRecordsPartitionResult { partition_index, low_watermark, ..Default::default() }
                }
                Err(error_code) => {
                    DeleteRecordsPartitionResult { partition_index, low_watermark: UNKNOWN, error_code }
                }
            }
        });
        DeleteRecordsTopicResult { partitions: partitions.collect(), name: name.clone() }
    };
    DeleteRecordsResponse { topics: request.topics.iter().map(&mut of_topic).collect(), ..Default::default() }
}

/// Where the log begins from now on.
fn delete(
    state: &mut State,
    context: Context<'_>,
    topic: &Text,
    wanted: &DeleteRecordsPartition,
) -> Result<i64, ErrorCode> {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let topic = state.topics.get_mut(topic.as_bytes()).ok_or(unknown)?;
    let only_compacts = topic.config.compacted && !topic.config.deletes;
    let partition = topic.partition_mut(wanted.partition_index).ok_or(unknown)?;
    if partition.leader != context.broker {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    if only_compacts {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let high_watermark = partition.log.end_offset();
    let offset = if wanted.offset == HIGH_WATERMARK { high_watermark } else { wanted.offset };
    if !(0..=high_watermark).contains(&offset) {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    partition.log.delete_before(offset);
    state.woken.extend(&partition.watchers);
    Ok(partition.log.start_offset())
}
