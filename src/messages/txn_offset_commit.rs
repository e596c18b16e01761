//! TxnOffsetCommit (key 28): commits offsets of a group as part of a transaction.
//!
//! The group's coordinator answers. The offsets count when the transaction is committed; until then who fetches stable offsets
//! is told to wait (KIP-447). Sent twice it leaves the same offsets.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | offsets of a group and the transaction that they belong to |
//! | 1 | the broker answers before it throttles (KIP-219) |
//! | 2 | leader epoch of the last record read (KIP-320) |
//! | 3 | who commits: generation, member id, group instance id (KIP-447); flexible |
//! | 4 | TRANSACTION_ABORTABLE may come back (KIP-890) |
//! | 5 | transaction version 2: the group needs no AddOffsetsToTxn before (KIP-890) |

use super::{ErrorCode, GenerationId, LeaderEpoch, ProducerEpoch, ProducerId};
use crate::message;
use crate::wire::Text;

message! {
    /// The offsets to commit, and with what.
    pub struct TxnOffsetCommitRequest {
        0.. => transactional_id: Text;
        0.. => group_id: Text;
        0.. => producer_id: ProducerId;
        0.. => producer_epoch: ProducerEpoch;
        /// The generation, or the number of the member epoch; -1 of who is no member.
        3.. => generation_id: GenerationId = GenerationId::NONE;
        3.. => member_id: Text;
        3.. => group_instance_id: Option<Text>, null 3..;
        0.. => topics: Vec<TxnOffsetCommitTopic>;
    }

    /// The partitions of one topic.
    pub struct TxnOffsetCommitTopic {
        0.. => name: Text;
        0.. => partitions: Vec<TxnOffsetCommitPartition>;
    }

    /// The offset of one partition.
    pub struct TxnOffsetCommitPartition {
        0.. => partition_index: i32;
        /// The offset to read next.
        0.. => committed_offset: i64;
        /// That of the last record read.
        2.. => committed_leader_epoch: LeaderEpoch = LeaderEpoch::NONE, ignorable;
        /// Text of the application's own, handed back with the offset.
        0.. => committed_metadata: Option<Text> = Some(Text::default()), null 0..;
    }

    /// What became of each offset.
    pub struct TxnOffsetCommitResponse {
        0.. => throttle_time_ms: i32;
        0.. => topics: Vec<TxnOffsetCommitTopicResponse>;
    }

    /// What became of the offsets of one topic.
    pub struct TxnOffsetCommitTopicResponse {
        0.. => name: Text;
        0.. => partitions: Vec<TxnOffsetCommitPartitionResponse>;
    }

    /// What became of the offset of one partition.
    pub struct TxnOffsetCommitPartitionResponse {
        0.. => partition_index: i32;
        0.. => error_code: ErrorCode;
    }
}
