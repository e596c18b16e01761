//! InitProducerId (key 22): a producer id and epoch for an idempotent or transactional producer (KIP-98).
//!
//! With a transactional id its transaction coordinator answers, and fences older producers of that id by a new epoch;
//! without one any broker does.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | producer id and epoch for a transactional id or for none |
//! | 1 | the broker answers before it throttles (KIP-219) |
//! | 2 | flexible |
//! | 3 | the producer names the id and epoch that it has, to go on after an error (KIP-360) |
//! | 4 | PRODUCER_FENCED may come back (KIP-588) |
//! | 5 | TRANSACTION_ABORTABLE may come back (KIP-890) |
//! | 6 | two-phase commit (KIP-939); unstable in Kafka 4.3, so it is decoded but never negotiated nor offered |

use super::{ErrorCode, ProducerEpoch, ProducerId};
use crate::message;
use crate::wire::Text;

message! {
    /// Asks for a producer id and epoch.
    pub struct InitProducerIdRequest {
        /// Null for a producer that is idempotent only. The protocol's default is empty text, which brokers refuse.
        0.. => transactional_id: Option<Text> = Some(Text::default()), null 0..;
        /// How long a transaction may stay open, in milliseconds; looked at with a transactional id only.
        0.. => transaction_timeout_ms: i32;
        /// What the producer has already, -1 for nothing.
        3.. => producer_id: ProducerId = ProducerId::NONE;
        3.. => producer_epoch: ProducerEpoch = ProducerEpoch::NONE;
        /// Whether transactions are part of a two-phase commit and so have no time-out.
        6.. => enable2_pc: bool;
        /// Whether a prepared transaction is kept instead of aborted.
        6.. => keep_prepared_txn: bool;
    }

    /// The producer id and epoch.
    pub struct InitProducerIdResponse {
        0.. => throttle_time_ms: i32, ignorable;
        0.. => error_code: ErrorCode;
        0.. => producer_id: ProducerId = ProducerId::NONE;
        0.. => producer_epoch: ProducerEpoch;
        /// Of the transaction that was kept, -1 for none.
        6.. => ongoing_txn_producer_id: ProducerId = ProducerId::NONE;
        6.. => ongoing_txn_producer_epoch: ProducerEpoch = ProducerEpoch::NONE;
    }
}
