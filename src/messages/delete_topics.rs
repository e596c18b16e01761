//! DeleteTopics (key 20): deletes topics with their records.
//!
//! The controller answers; brokers forward to it (KIP-590). Each topic has a result of its own. An answer means that the
//! deletion was accepted; brokers may still list the topic for a moment.
//!
//! | version | what changed |
//! | --- | --- |
//! | 1 | the oldest that Kafka 4 serves: throttle time (KIP-124) |
//! | 2 | the broker answers before it throttles (KIP-219) |
//! | 3 | TOPIC_DELETION_DISABLED may come back (KIP-322) |
//! | 4 | flexible |
//! | 5 | error text; THROTTLING_QUOTA_EXCEEDED may come back (KIP-599) |
//! | 6 | by topic id as well (KIP-516); UNKNOWN_TOPIC_ID may come back |

use super::ErrorCode;
use crate::message;
use crate::wire::{Text, Uuid};

message! {
    /// The topics to delete.
    pub struct DeleteTopicsRequest {
        6..   => topics: Vec<DeleteTopicState>;
        0..=5 => topic_names: Vec<Text>, ignorable;
        /// How long the controller may wait until the topics are gone, in milliseconds.
        0..   => timeout_ms: i32;
    }

    /// A topic to delete: its name, or null and its id.
    pub struct DeleteTopicState {
        6.. => name: Option<Text>, null 6..;
        6.. => topic_id: Uuid;
    }

    /// What became of each topic.
    pub struct DeleteTopicsResponse {
        1.. => throttle_time_ms: i32, ignorable;
        0.. => responses: Vec<DeletableTopicResult>;
    }

    /// What became of one topic.
    pub struct DeletableTopicResult {
        /// Null only when deleted by an id that is not known, or whose topic the client may not see.
        0.. => name: Option<Text> = Some(Text::default()), null 6..;
        6.. => topic_id: Uuid, ignorable;
        0.. => error_code: ErrorCode;
        5.. => error_message: Option<Text>, null 5.., ignorable;
    }
}
