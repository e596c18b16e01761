//! OffsetDelete (key 47): deletes offsets that a group has committed (KIP-496).
//!
//! The group's coordinator answers. Topics to which a member is subscribed are refused (GROUP_SUBSCRIBED_TO_TOPIC); an
//! offset that there is not is deleted all the same.
//!
//! Version 0 is the only one.

use super::ErrorCode;
use crate::message;
use crate::wire::Text;

message! {
    /// The offsets to delete.
    pub struct OffsetDeleteRequest {
        0.. => group_id: Text;
        0.. => topics: Vec<OffsetDeleteTopic>;
    }

    /// The partitions of one topic.
    pub struct OffsetDeleteTopic {
        0.. => name: Text;
        0.. => partitions: Vec<OffsetDeletePartition>;
    }

    /// One partition.
    pub struct OffsetDeletePartition {
        0.. => partition_index: i32;
    }

    /// What became of each offset.
    pub struct OffsetDeleteResponse {
        /// Why nothing was deleted at all.
        0.. => error_code: ErrorCode;
        0.. => throttle_time_ms: i32, ignorable;
        0.. => topics: Vec<OffsetDeleteTopicResponse>;
    }

    /// What became of the offsets of one topic.
    pub struct OffsetDeleteTopicResponse {
        0.. => name: Text;
        0.. => partitions: Vec<OffsetDeletePartitionResponse>;
    }

    /// What became of one offset.
    pub struct OffsetDeletePartitionResponse {
        0.. => partition_index: i32;
        0.. => error_code: ErrorCode;
    }
}
