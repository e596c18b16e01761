//! EndTxn (key 26): commits a transaction, or aborts it.
//!
//! The coordinator of the transactional id answers when it is decided and remembered; markers reach the partitions a little
//! later, and until then the next transaction is refused with CONCURRENT_TRANSACTIONS. Asking again for the same end of the
//! same transaction is answered like the first time, so it may be; but once another transaction of the same producer epoch has
//! begun, a request that was late would end that one. Version 5 ends this: each transaction has an epoch of its own.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | commit or abort |
//! | 1 | the broker answers before it throttles (KIP-219) |
//! | 2 | PRODUCER_FENCED may come back (KIP-588) |
//! | 3 | flexible |
//! | 4 | TRANSACTION_ABORTABLE may come back (KIP-890) |
//! | 5 | transaction version 2: the id and epoch of the next transaction come back (KIP-890) |

use super::{ErrorCode, ProducerEpoch, ProducerId};
use crate::message;
use crate::wire::Text;

message! {
    /// Asks for the end of a transaction.
    pub struct EndTxnRequest {
        0.. => transactional_id: Text;
        0.. => producer_id: ProducerId;
        0.. => producer_epoch: ProducerEpoch;
        /// Whether to commit; to abort otherwise.
        0.. => committed: bool;
    }

    /// Whether it has come, and who the producer is from now on.
    pub struct EndTxnResponse {
        0.. => throttle_time_ms: i32;
        0.. => error_code: ErrorCode;
        5.. => producer_id: ProducerId = ProducerId::NONE, ignorable;
        5.. => producer_epoch: ProducerEpoch = ProducerEpoch::NONE, ignorable;
    }
}
