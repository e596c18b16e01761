//! OffsetForLeaderEpoch (key 23): where the records of a leader epoch end, so that who has read further knows that they
//! are gone (KIP-101, KIP-320).
//!
//! The leader of each partition answers for it. It was made for followers: a broker that serves version 3 lets everybody
//! ask who may describe the topic, one that serves less may want permissions that only brokers have.
//!
//! | version | what changed |
//! | --- | --- |
//! | 2 | the oldest that Kafka 4 serves: the epoch of the leader that the client means, and throttle time (KIP-320) |
//! | 3 | who asks: a follower or a consumer |
//! | 4 | flexible |

use super::{BrokerId, ErrorCode, LeaderEpoch};
use crate::message;
use crate::wire::Text;

message! {
    /// The epochs whose ends to find.
    pub struct OffsetForLeaderEpochRequest {
        /// A client has to set this to -1; the protocol's default, -2, is for those who look for faults.
        3.. => replica_id: BrokerId = BrokerId(-2), ignorable;
        0.. => topics: Vec<OffsetForLeaderEpochTopic>;
    }

    /// The partitions of one topic.
    pub struct OffsetForLeaderEpochTopic {
        0.. => topic: Text;
        0.. => partitions: Vec<OffsetForLeaderEpochPartition>;
    }

    /// The epoch to find in one partition.
    pub struct OffsetForLeaderEpochPartition {
        0.. => partition: i32;
        /// The epoch of the leader that the client means; the broker refuses an older or a newer one.
        2.. => current_leader_epoch: LeaderEpoch = LeaderEpoch::NONE, ignorable;
        /// That of the last record read.
        0.. => leader_epoch: LeaderEpoch;
    }

    /// The ends found.
    pub struct OffsetForLeaderEpochResponse {
        2.. => throttle_time_ms: i32, ignorable;
        0.. => topics: Vec<OffsetForLeaderEpochTopicResponse>;
    }

    /// The ends found in one topic.
    pub struct OffsetForLeaderEpochTopicResponse {
        0.. => topic: Text;
        0.. => partitions: Vec<OffsetForLeaderEpochPartitionResponse>;
    }

    /// The end found in one partition.
    pub struct OffsetForLeaderEpochPartitionResponse {
        0.. => error_code: ErrorCode;
        0.. => partition: i32;
        /// The largest epoch in the log that is not above the one asked for; that one itself when the log begins above
        /// it; -1 when it is unknown.
        1.. => leader_epoch: LeaderEpoch = LeaderEpoch::NONE, ignorable;
        /// Where the next epoch begins, the end of the log for the newest; -1 when the epoch is unknown.
        0.. => end_offset: i64 = -1;
    }
}
