//! DeleteRecords (key 21): lets the log of a partition start at a later offset (KIP-107).
//!
//! The leader of each partition answers for it, once the live replicas have followed.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | - |
//! | 1 | the broker answers before it throttles (KIP-219) |
//! | 2 | flexible |

use super::ErrorCode;
use crate::message;
use crate::wire::Text;

message! {
    /// Offsets below which records are to be deleted.
    pub struct DeleteRecordsRequest {
        0.. => topics: Vec<DeleteRecordsTopic>;
        /// How long the leader may wait for its followers, in milliseconds.
        0.. => timeout_ms: i32;
    }

    /// Partitions of a topic.
    pub struct DeleteRecordsTopic {
        0.. => name: Text;
        0.. => partitions: Vec<DeleteRecordsPartition>;
    }

    /// A partition, and where it is to begin.
    pub struct DeleteRecordsPartition {
        0.. => partition_index: i32;
        /// The first that is kept; -1 for the high watermark.
        0.. => offset: i64;
    }

    /// Where the logs begin now.
    pub struct DeleteRecordsResponse {
        0.. => throttle_time_ms: i32;
        0.. => topics: Vec<DeleteRecordsTopicResult>;
    }

    /// Partitions of a topic.
    pub struct DeleteRecordsTopicResult {
        0.. => name: Text;
        0.. => partitions: Vec<DeleteRecordsPartitionResult>;
    }

    /// What became of one partition.
    pub struct DeleteRecordsPartitionResult {
        0.. => partition_index: i32;
        /// The least log start offset of the live replicas; -1 with an error.
        0.. => low_watermark: i64;
        0.. => error_code: ErrorCode;
    }
}
