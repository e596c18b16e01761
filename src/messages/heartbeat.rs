//! Heartbeat (key 12): tells that a member of a group of the classic protocol is alive, and hears of rebalances.
//!
//! The group's coordinator answers: REBALANCE_IN_PROGRESS asks the member to join again.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | - |
//! | 1 | throttle time (KIP-124) |
//! | 2 | the broker answers before it throttles (KIP-219) |
//! | 3 | group instance id (KIP-345) |
//! | 4 | flexible |

use super::{ErrorCode, GenerationId};
use crate::message;
use crate::wire::Text;

message! {
    /// Who is alive.
    pub struct HeartbeatRequest {
        0.. => group_id: Text;
        0.. => generation_id: GenerationId;
        0.. => member_id: Text;
        3.. => group_instance_id: Option<Text>, null 3..;
    }

    /// Whether the member still belongs to the generation.
    pub struct HeartbeatResponse {
        1.. => throttle_time_ms: i32, ignorable;
        0.. => error_code: ErrorCode;
    }
}
