//! Produce (key 0): appends record batches to partitions.
//!
//! The leader of each partition answers for it. With [`Acks::NONE`] there is no response at all.
//!
//! | version | what changed |
//! | --- | --- |
//! | 3 | the oldest that Kafka 4 serves: record format 2, transactional id (KIP-98) |
//! | 4 | KAFKA_STORAGE_ERROR may come back (KIP-112) |
//! | 5 | log start offset in the response, to tell lost producer state from retention (KAFKA-5793) |
//! | 6 | the broker answers before it throttles (KIP-219) |
//! | 7 | zstd is allowed (KIP-110) |
//! | 8 | errors of single records, and a text (KIP-467) |
//! | 9 | flexible |
//! | 10 | the new leader, when the broker is not it (KIP-951) |
//! | 11 | TRANSACTION_ABORTABLE may come back (KIP-890) |
//! | 12 | inside a transaction the partition need not be added first (KIP-890, transactions version 2) |
//! | 13 | topic ids instead of names (KIP-516); UNKNOWN_TOPIC_ID may come back |
//!
//! Brokers list versions 0 to 2 as well, for librdkafka's sake (KAFKA-18659), and refuse them.

use super::{Acks, CurrentLeader, ErrorCode, NodeEndpoint, RecordSet};
use crate::message;
use crate::wire::{Text, Uuid};

message! {
    /// Record batches for partitions that the broker leads.
    pub struct ProduceRequest {
        /// Null outside of transactions.
        3.. => transactional_id: Option<Text>, null 3..;
        /// Which replicas must have the records before the broker answers.
        0.. => acks: Acks;
        /// How long the broker may wait for them, in milliseconds.
        0.. => timeout_ms: i32;
        0.. => topic_data: Vec<ProduceTopic>;
    }

    /// The batches for one topic.
    pub struct ProduceTopic {
        0..=12 => name: Text, ignorable;
        13..   => topic_id: Uuid, ignorable;
        0..    => partition_data: Vec<ProducePartition>;
    }

    /// The batches for one partition. Brokers accept exactly one.
    pub struct ProducePartition {
        0.. => index: i32;
        0.. => records: Option<RecordSet>, null 0..;
    }

    /// What became of the batches.
    pub struct ProduceResponse {
        0.. => responses: Vec<ProduceTopicResponse>;
        1.. => throttle_time_ms: i32, ignorable;
    }
    tags {
        /// Where the leaders are that the partitions name.
        0: 10.. => node_endpoints: Vec<NodeEndpoint>;
    }

    /// What became of the batches for one topic.
    pub struct ProduceTopicResponse {
        0..=12 => name: Text, ignorable;
        13..   => topic_id: Uuid, ignorable;
        0..    => partition_responses: Vec<ProducePartitionResponse>;
    }

    /// What became of the batches for one partition.
    pub struct ProducePartitionResponse {
        0.. => index: i32;
        0.. => error_code: ErrorCode;
        /// The offset of the first record, -1 when it was not written or is not known.
        0.. => base_offset: i64;
        /// The broker's clock when it appended, -1 unless the topic is set to LogAppendTime.
        2.. => log_append_time_ms: i64 = -1, ignorable;
        5.. => log_start_offset: i64 = -1, ignorable;
        /// The records because of which the whole batch was refused.
        8.. => record_errors: Vec<ProduceRecordError>, ignorable;
        8.. => error_message: Option<Text>, null 8.., ignorable;
    }
    tags {
        0: 10.. => current_leader: CurrentLeader;
    }

    /// Why one record was refused.
    pub struct ProduceRecordError {
        /// The record's place in its batch, from 0.
        8.. => batch_index: i32;
        8.. => batch_index_error_message: Option<Text>, null 8..;
    }
}
