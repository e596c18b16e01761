//! CreatePartitions (key 37): adds partitions to topics (KIP-195).
//!
//! The controller answers; brokers forward to it (KIP-590). Each topic has a result of its own.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | - |
//! | 1 | the broker answers before it throttles (KIP-219) |
//! | 2 | flexible |
//! | 3 | THROTTLING_QUOTA_EXCEEDED may come back (KIP-599) |

use super::{BrokerIds, ErrorCode};
use crate::message;
use crate::wire::Text;

message! {
    /// The topics that are to grow.
    pub struct CreatePartitionsRequest {
        0.. => topics: Vec<CreatePartitionsTopic>;
        /// How long the controller may wait until the partitions are there, in milliseconds.
        0.. => timeout_ms: i32;
        /// Whether to check only and create nothing.
        0.. => validate_only: bool;
    }

    /// A topic that is to grow.
    pub struct CreatePartitionsTopic {
        0.. => name: Text;
        /// How many it is to have in all.
        0.. => count: i32;
        /// Which brokers hold the new ones, in their order; null to let the controller choose.
        0.. => assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Vec::new()), null 0..;
    }

    /// The brokers that hold one partition, the preferred leader first.
    pub struct CreatePartitionsAssignment {
        0.. => broker_ids: BrokerIds;
    }

    /// What became of each topic.
    pub struct CreatePartitionsResponse {
        0.. => throttle_time_ms: i32;
        0.. => results: Vec<CreatePartitionsTopicResult>;
    }

    /// What became of one topic.
    pub struct CreatePartitionsTopicResult {
        0.. => name: Text;
        0.. => error_code: ErrorCode;
        0.. => error_message: Option<Text>, null 0..;
    }
}
