//! WriteTxnMarkers: the end of a transaction, written to partitions that this broker leads. Our coordinators do without the
//! request; administrators send it to end a transaction that hangs (KIP-664).
//!
//! Different from Kafka: there are no partitions of `__consumer_offsets`, so nobody can end the offsets of a group by it.

use crate::broker::core::Context;
use crate::broker::log::Marker;
use crate::broker::state::State;
use crate::messages::{
    ErrorCode, WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopic, WritableTxnMarkerTopicResult, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use crate::wire::Text;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    let markers = request.markers.iter().map(|wanted| {
        let marker = marker(wanted);
        let topics = wanted.topics.iter().map(|topic| write_topic(state, context, topic, &marker));
        WritableTxnMarkerResult { producer_id: wanted.producer_id, topics: topics.collect() }
    });
    WriteTxnMarkersResponse { markers: markers.collect() }
}

fn marker(wanted: &WritableTxnMarker) -> Marker {
    Marker {
        producer_id: wanted.producer_id,
        epoch: wanted.producer_epoch,
        is_commit: wanted.transaction_result,
        coordinator_epoch: wanted.coordinator_epoch,
        has_own_epoch: wanted.transaction_version >= 2,
    }
}

fn write_topic(
    state: &mut State,
    context: Context<'_>,
    topic: &WritableTxnMarkerTopic,
    marker: &Marker,
) -> WritableTxnMarkerTopicResult {
    let partitions = topic.partition_indexes.iter().map(|index| {
        let written = context
            .unless_refused(&topic.name, Some(*index), || write(state, context, &topic.name, *index, marker));
        WritableTxnMarkerPartitionResult {
            partition_index: *index,
            error_code: written.err().unwrap_or_default(),
        }
    });
    WritableTxnMarkerTopicResult { partitions: partitions.collect(), name: topic.name.clone() }
}

fn write(
    state: &mut State,
    context: Context<'_>,
    topic: &Text,
    index: i32,
    marker: &Marker,
) -> Result<(), ErrorCode> {
    let partition = state.topics.partition(topic, index)?;
    if partition.leader != context.broker {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    if marker.producer_id.0 < 0 {
        return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
    }
    state.write_marker(topic, index, marker, context.now)
}
