//! AddOffsetsToTxn (key 25): adds the offsets of a group to a transaction, before any are committed with it.
//!
//! The coordinator of the transactional id answers. A producer of transaction version 2 does without: the group's coordinator
//! adds them when TxnOffsetCommit comes (KIP-890). Adding what is there already changes nothing, so it may be asked again.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | a transaction and a group |
//! | 1 | the broker answers before it throttles (KIP-219) |
//! | 2 | PRODUCER_FENCED may come back (KIP-588) |
//! | 3 | flexible |
//! | 4 | TRANSACTION_ABORTABLE may come back (KIP-890) |

use super::{ErrorCode, ProducerEpoch, ProducerId};
use crate::message;
use crate::wire::Text;

message! {
    /// Names a transaction and a group.
    pub struct AddOffsetsToTxnRequest {
        0.. => transactional_id: Text;
        0.. => producer_id: ProducerId;
        0.. => producer_epoch: ProducerEpoch;
        0.. => group_id: Text;
    }

    /// Whether they were added.
    pub struct AddOffsetsToTxnResponse {
        0.. => throttle_time_ms: i32;
        0.. => error_code: ErrorCode;
    }
}
