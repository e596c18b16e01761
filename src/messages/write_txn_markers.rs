//! WriteTxnMarkers (key 27): writes the control records that end a transaction into its partitions.
//!
//! The leader of each partition answers. Coordinators send it; of clients, administrators who abort a transaction that hangs
//! (KIP-664). Sent twice it may end another transaction of the same producer epoch.
//!
//! | version | what changed |
//! | --- | --- |
//! | 1 | the oldest that Kafka 4 serves: markers by producer and partition; flexible |
//! | 2 | which transaction version the marker is of (KIP-1228) |

use super::{ErrorCode, ProducerEpoch, ProducerId};
use crate::message;
use crate::wire::Text;

message! {
    /// Names transactions that end, and where.
    pub struct WriteTxnMarkersRequest {
        0.. => markers: Vec<WritableTxnMarker>;
    }

    /// The end of one transaction.
    pub struct WritableTxnMarker {
        0.. => producer_id: ProducerId;
        0.. => producer_epoch: ProducerEpoch;
        /// Whether it was committed; aborted otherwise.
        0.. => transaction_result: bool;
        0.. => topics: Vec<WritableTxnMarkerTopic>;
        /// Of the partition of `__transaction_state` that the transaction is in.
        0.. => coordinator_epoch: i32;
        /// 0 and 1 before KIP-890, 2 since.
        2.. => transaction_version: i8, ignorable;
    }

    /// The partitions of one topic.
    pub struct WritableTxnMarkerTopic {
        0.. => name: Text;
        0.. => partition_indexes: Vec<i32>;
    }

    /// What became of each marker.
    pub struct WriteTxnMarkersResponse {
        0.. => markers: Vec<WritableTxnMarkerResult>;
    }

    /// What became of the markers of one transaction.
    pub struct WritableTxnMarkerResult {
        0.. => producer_id: ProducerId;
        0.. => topics: Vec<WritableTxnMarkerTopicResult>;
    }

    /// What became of the markers in one topic.
    pub struct WritableTxnMarkerTopicResult {
        0.. => name: Text;
        0.. => partitions: Vec<WritableTxnMarkerPartitionResult>;
    }

    /// What became of the marker in one partition.
    pub struct WritableTxnMarkerPartitionResult {
        0.. => partition_index: i32;
        0.. => error_code: ErrorCode;
    }
}
