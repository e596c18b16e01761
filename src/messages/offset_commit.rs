//! OffsetCommit (key 8): records in the group where each partition is to be read on.
//!
//! The group's coordinator answers. A committed offset is the next one to read. Members name their generation, or in the
//! new protocol their member epoch, so that one that was left behind is refused; who is no member sends -1 and no member
//! id. A request has a connection on which joining cannot hold it up: members commit while a rebalance is under way.
//! Sent twice it leaves the same offsets, as long as no other commit comes between; who commits keeps the order.
//!
//! | version | what changed |
//! | --- | --- |
//! | 2 | the oldest that Kafka 4 serves: how long to keep the offsets |
//! | 3 | throttle time (KIP-124) |
//! | 4 | the broker answers before it throttles (KIP-219) |
//! | 5 | how long to keep the offsets is the broker's setting only (KIP-211) |
//! | 6 | leader epoch of the last record read (KIP-320) |
//! | 7 | group instance id (KIP-345) |
//! | 8 | flexible |
//! | 9 | for members of the new protocol too (KIP-848): STALE_MEMBER_EPOCH and GROUP_ID_NOT_FOUND may come back |
//! | 10 | topics by id (KIP-848) |

use super::{ErrorCode, GenerationId, LeaderEpoch};
use crate::message;
use crate::wire::{Text, Uuid};

message! {
    /// The offsets to commit.
    pub struct OffsetCommitRequest {
        0.. => group_id: Text;
        /// The generation, or the number of the member epoch; -1 of who is no member.
        1.. => generation_id_or_member_epoch: GenerationId = GenerationId::NONE, ignorable;
        1.. => member_id: Text, ignorable;
        7.. => group_instance_id: Option<Text>, null 7..;
        /// How long to keep the offsets, in milliseconds; -1 for as long as the broker is set to.
        2..=4 => retention_time_ms: i64 = -1, ignorable;
        0.. => topics: Vec<OffsetCommitTopic>;
    }

    /// The partitions of one topic.
    pub struct OffsetCommitTopic {
        0..=9 => name: Text, ignorable;
        10.. => topic_id: Uuid, ignorable;
        0.. => partitions: Vec<OffsetCommitPartition>;
    }

    /// The offset of one partition.
    pub struct OffsetCommitPartition {
        0.. => partition_index: i32;
        /// The offset to read next.
        0.. => committed_offset: i64;
        /// That of the last record read.
        6.. => committed_leader_epoch: LeaderEpoch = LeaderEpoch::NONE, ignorable;
        /// Text of the application's own, handed back with the offset.
        0.. => committed_metadata: Option<Text> = Some(Text::default()), null 0..;
    }

    /// What became of each offset.
    pub struct OffsetCommitResponse {
        3.. => throttle_time_ms: i32, ignorable;
        0.. => topics: Vec<OffsetCommitTopicResponse>;
    }

    /// What became of the offsets of one topic.
    pub struct OffsetCommitTopicResponse {
        0..=9 => name: Text, ignorable;
        10.. => topic_id: Uuid, ignorable;
        0.. => partitions: Vec<OffsetCommitPartitionResponse>;
    }

    /// What became of the offset of one partition.
    pub struct OffsetCommitPartitionResponse {
        0.. => partition_index: i32;
        0.. => error_code: ErrorCode;
    }
}
