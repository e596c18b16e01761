//! CreateTopics (key 19): creates topics.
//!
//! The controller answers; brokers forward to it (KIP-590). Each topic has a result of its own.
//!
//! | version | what changed |
//! | --- | --- |
//! | 2 | the oldest that Kafka 4 serves: check only, error text (both KIP-4), throttle time (KIP-124) |
//! | 3 | the broker answers before it throttles (KIP-219) |
//! | 4 | -1 partitions or replicas stand for the cluster's defaults (KIP-464) |
//! | 5 | flexible; the response tells what was created and its configuration (KIP-525) |
//! | 6 | THROTTLING_QUOTA_EXCEEDED may come back (KIP-599) |
//! | 7 | topic ids in the response (KIP-516) |

use super::{BrokerIds, ErrorCode};
use crate::message;
use crate::wire::{Text, Uuid};

message! {
    /// The topics to create.
    pub struct CreateTopicsRequest {
        0.. => topics: Vec<CreatableTopic>;
        /// How long the controller may wait until the topics are there, in milliseconds.
        0.. => timeout_ms: i32 = 60_000;
        /// Whether to check only and create nothing.
        1.. => validate_only: bool;
    }

    /// A topic to create.
    pub struct CreatableTopic {
        0.. => name: Text;
        /// -1 with assignments, or from version 4 on for the cluster's default.
        0.. => num_partitions: i32;
        /// -1 with assignments, or from version 4 on for the cluster's default.
        0.. => replication_factor: i16;
        /// Which brokers hold which partition; empty to let the controller choose.
        0.. => assignments: Vec<CreatableReplicaAssignment>;
        0.. => configs: Vec<CreatableTopicConfig>;
    }

    /// The brokers that hold one partition, the preferred leader first.
    pub struct CreatableReplicaAssignment {
        0.. => partition_index: i32;
        0.. => broker_ids: BrokerIds;
    }

    /// A setting of the topic.
    pub struct CreatableTopicConfig {
        0.. => name: Text;
        0.. => value: Option<Text> = Some(Text::default()), null 0..;
    }

    /// What became of each topic.
    pub struct CreateTopicsResponse {
        2.. => throttle_time_ms: i32, ignorable;
        0.. => topics: Vec<CreatableTopicResult>;
    }

    /// What became of one topic.
    pub struct CreatableTopicResult {
        0.. => name: Text;
        7.. => topic_id: Uuid, ignorable;
        0.. => error_code: ErrorCode;
        1.. => error_message: Option<Text> = Some(Text::default()), null 0.., ignorable;
        /// -1 when the client may not see it.
        5.. => num_partitions: i32 = -1, ignorable;
        /// -1 when the client may not see it.
        5.. => replication_factor: i16 = -1, ignorable;
        /// Null when the client may not see it, for which `topic_config_error_code` has the reason.
        5.. => configs: Option<Vec<CreatableTopicResultConfig>> = Some(Vec::new()), null 5.., ignorable;
    }
    tags {
        0: 5.. => topic_config_error_code: ErrorCode, ignorable;
    }

    /// A setting that the new topic has.
    pub struct CreatableTopicResultConfig {
        5.. => name: Text;
        /// Null when it is sensitive.
        5.. => value: Option<Text> = Some(Text::default()), null 5..;
        5.. => read_only: bool;
        /// Where the value comes from, as DescribeConfigs numbers it.
        5.. => config_source: i8 = -1, ignorable;
        5.. => is_sensitive: bool;
    }
}
