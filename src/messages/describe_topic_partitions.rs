//! DescribeTopicPartitions (key 75): topics and their partitions, a page at a time (KIP-966).
//!
//! Any broker answers. Topics come by ascending name; a page that is full says where the next one begins.

use super::{BrokerId, BrokerIds, ErrorCode, LeaderEpoch};
use crate::message;
use crate::wire::{Text, Uuid};

message! {
    /// Asks for a page.
    pub struct DescribeTopicPartitionsRequest {
        /// None asks for all that the client may see.
        0.. => topics: Vec<TopicRequest>;
        /// Partitions of the page at most; the broker has a limit of its own (`max.request.partition.size.limit`).
        0.. => response_partition_limit: i32 = 2000;
        /// Where the page begins; null for the first.
        0.. => cursor: Option<Cursor>, null 0..;
    }

    /// A topic that is asked for.
    pub struct TopicRequest {
        0.. => name: Text;
    }

    /// A page.
    pub struct DescribeTopicPartitionsResponse {
        0.. => throttle_time_ms: i32, ignorable;
        0.. => topics: Vec<DescribeTopicPartitionsResponseTopic>;
        /// Where the next page begins; null after the last.
        0.. => next_cursor: Option<Cursor>, null 0..;
    }

    /// A topic, or why there is none.
    pub struct DescribeTopicPartitionsResponseTopic {
        0.. => error_code: ErrorCode;
        0.. => name: Option<Text> = Some(Text::default()), null 0..;
        0.. => topic_id: Uuid, ignorable;
        0.. => is_internal: bool, ignorable;
        0.. => partitions: Vec<DescribeTopicPartitionsResponsePartition>;
        /// A bit for each operation that is allowed.
        0.. => topic_authorized_operations: i32 = i32::MIN;
    }

    /// A partition and who holds it.
    pub struct DescribeTopicPartitionsResponsePartition {
        /// None, even while nobody leads.
        0.. => error_code: ErrorCode;
        0.. => partition_index: i32;
        /// -1 when there is none.
        0.. => leader_id: BrokerId;
        0.. => leader_epoch: LeaderEpoch = LeaderEpoch::NONE, ignorable;
        0.. => replica_nodes: BrokerIds;
        0.. => isr_nodes: BrokerIds;
        0.. => eligible_leader_replicas: Option<BrokerIds>, null 0..;
        0.. => last_known_elr: Option<BrokerIds>, null 0..;
        0.. => offline_replicas: BrokerIds, ignorable;
    }

    /// A place in the list of all partitions.
    pub struct Cursor {
        0.. => topic_name: Text;
        0.. => partition_index: i32;
    }
}
