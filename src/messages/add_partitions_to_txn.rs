//! AddPartitionsToTxn (key 24): adds partitions to a transaction, before anything of it is written there.
//!
//! The coordinator of the transactional id answers. Clients speak versions up to 3 and add for one transaction; brokers speak
//! 4 and 5 with each other and ask about many, to add (a producer of transaction version 2 leaves that to the leaders,
//! KIP-890) or only to verify. Adding what is there already changes nothing, so it may be asked again.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | one transaction and its partitions; an error code for each |
//! | 1 | the broker answers before it throttles (KIP-219) |
//! | 2 | PRODUCER_FENCED may come back (KIP-588) |
//! | 3 | flexible |
//! | 4 | many transactions, added or verified; an error code of the whole (KIP-890) |
//! | 5 | TRANSACTION_ABORTABLE may come back (KIP-890) |

use super::{ErrorCode, ProducerEpoch, ProducerId};
use crate::message;
use crate::wire::Text;

message! {
    /// Names transactions and partitions that are to belong to them.
    pub struct AddPartitionsToTxnRequest {
        4.. => transactions: Vec<AddPartitionsToTxnTransaction>;
        0..=3 => v3_and_below_transactional_id: Text;
        0..=3 => v3_and_below_producer_id: ProducerId;
        0..=3 => v3_and_below_producer_epoch: ProducerEpoch;
        0..=3 => v3_and_below_topics: Vec<AddPartitionsToTxnTopic>;
    }

    /// One transaction.
    pub struct AddPartitionsToTxnTransaction {
        4.. => transactional_id: Text;
        4.. => producer_id: ProducerId;
        4.. => producer_epoch: ProducerEpoch;
        /// Whether to tell only if the partitions are in it, and to add none.
        4.. => verify_only: bool;
        4.. => topics: Vec<AddPartitionsToTxnTopic>;
    }

    /// The partitions of one topic.
    pub struct AddPartitionsToTxnTopic {
        0.. => name: Text;
        0.. => partitions: Vec<i32>;
    }

    /// What became of each partition.
    pub struct AddPartitionsToTxnResponse {
        0.. => throttle_time_ms: i32;
        4.. => error_code: ErrorCode, ignorable;
        4.. => results_by_transaction: Vec<AddPartitionsToTxnResult>;
        0..=3 => results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult>;
    }

    /// What became of one transaction.
    pub struct AddPartitionsToTxnResult {
        4.. => transactional_id: Text;
        4.. => topic_results: Vec<AddPartitionsToTxnTopicResult>;
    }

    /// What became of one topic.
    pub struct AddPartitionsToTxnTopicResult {
        0.. => name: Text;
        0.. => results_by_partition: Vec<AddPartitionsToTxnPartitionResult>;
    }

    /// What became of one partition.
    pub struct AddPartitionsToTxnPartitionResult {
        0.. => partition_index: i32;
        0.. => partition_error_code: ErrorCode;
    }
}
