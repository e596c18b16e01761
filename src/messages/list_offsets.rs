//! ListOffsets (key 2): the offset that belongs to a timestamp, or the ends of a partition.
//!
//! The leader of each partition answers for it.
//!
//! | version | what changed |
//! | --- | --- |
//! | 1 | the oldest that Kafka 4 serves: one offset for each partition, with its timestamp (KIP-79) |
//! | 2 | isolation level (KIP-98) and throttle time (KIP-124) |
//! | 3 | the broker answers before it throttles (KIP-219) |
//! | 4 | leader epochs both ways (KIP-320) |
//! | 5 | OFFSET_NOT_AVAILABLE may come back (KIP-207) |
//! | 6 | flexible |
//! | 7 | [`MAX_TIMESTAMP`] (KIP-734) |
//! | 8 | [`EARLIEST_LOCAL`] (KIP-405) |
//! | 9 | [`LATEST_TIERED`] (KIP-1005) |
//! | 10 | a time-out, because tiered storage is asked without blocking the broker (KIP-1075) |
//! | 11 | [`EARLIEST_PENDING_UPLOAD`] (KIP-1023) |

use super::{BrokerId, ErrorCode, IsolationLevel, LeaderEpoch};
use crate::message;
use crate::wire::Text;

/// Instead of a timestamp: the end of the log, or the last stable offset with READ_COMMITTED.
pub const LATEST: i64 = -1;
/// Instead of a timestamp: the log start offset.
pub const EARLIEST: i64 = -2;
/// Instead of a timestamp: the record with the largest timestamp.
pub const MAX_TIMESTAMP: i64 = -3;
/// Instead of a timestamp: the first offset on the broker's own disk.
pub const EARLIEST_LOCAL: i64 = -4;
/// Instead of a timestamp: the last offset in tiered storage.
pub const LATEST_TIERED: i64 = -5;
/// Instead of a timestamp: the first offset that tiered storage has yet to get.
pub const EARLIEST_PENDING_UPLOAD: i64 = -6;

message! {
    /// Which offsets to find.
    pub struct ListOffsetsRequest {
        /// A client has to set this to -1; the protocol's default is broker 0.
        0..  => replica_id: BrokerId;
        2..  => isolation_level: IsolationLevel;
        0..  => topics: Vec<ListOffsetsTopic>;
        /// How long the broker may look through tiered storage, in milliseconds.
        10.. => timeout_ms: i32, ignorable;
    }

    /// The partitions of one topic.
    pub struct ListOffsetsTopic {
        0.. => name: Text;
        0.. => partitions: Vec<ListOffsetsPartition>;
    }

    /// What to find in one partition.
    pub struct ListOffsetsPartition {
        0.. => partition_index: i32;
        /// The epoch of the leader that the client means; the broker refuses an older or a newer one.
        4.. => current_leader_epoch: LeaderEpoch = LeaderEpoch::NONE, ignorable;
        /// The first record of this time or later, in milliseconds since 1970, or one of the constants above.
        0.. => timestamp: i64;
    }

    /// The offsets found.
    pub struct ListOffsetsResponse {
        2.. => throttle_time_ms: i32, ignorable;
        0.. => topics: Vec<ListOffsetsTopicResponse>;
    }

    /// The offsets found in one topic.
    pub struct ListOffsetsTopicResponse {
        0.. => name: Text;
        0.. => partitions: Vec<ListOffsetsPartitionResponse>;
    }

    /// The offset found in one partition.
    pub struct ListOffsetsPartitionResponse {
        0.. => partition_index: i32;
        0.. => error_code: ErrorCode;
        /// The timestamp of the record found, -1 when an end of the log was asked for or nothing found.
        1.. => timestamp: i64 = -1;
        /// -1 when no record is that late.
        1.. => offset: i64 = -1;
        /// The epoch of the record found; -1 when not known.
        4.. => leader_epoch: LeaderEpoch = LeaderEpoch::NONE;
    }
}
