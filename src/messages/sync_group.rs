//! SyncGroup (key 14): gives each member of a new generation its assignment.
//!
//! The group's coordinator answers. The leader sends everybody's assignments, the others none; the coordinator holds their
//! answers back until it has those of the leader.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | - |
//! | 1 | throttle time (KIP-124) |
//! | 2 | the broker answers before it throttles (KIP-219) |
//! | 3 | group instance id (KIP-345) |
//! | 4 | flexible |
//! | 5 | protocol type and name, which the coordinator compares with its own (KIP-559) |

use super::{ErrorCode, GenerationId};
use crate::message;
use crate::wire::Text;
use bytes::Bytes;

message! {
    /// A member's wish for its assignment, and the leader's assignments.
    pub struct SyncGroupRequest {
        0.. => group_id: Text;
        0.. => generation_id: GenerationId;
        0.. => member_id: Text;
        3.. => group_instance_id: Option<Text>, null 3..;
        5.. => protocol_type: Option<Text>, null 5.., ignorable;
        5.. => protocol_name: Option<Text>, null 5.., ignorable;
        0.. => assignments: Vec<SyncGroupAssignment>;
    }

    /// What one member is assigned.
    pub struct SyncGroupAssignment {
        0.. => member_id: Text;
        /// Of a consumer, a [`ConsumerProtocolAssignment`](super::ConsumerProtocolAssignment).
        0.. => assignment: Bytes;
    }

    /// What the member is assigned.
    pub struct SyncGroupResponse {
        1.. => throttle_time_ms: i32, ignorable;
        0.. => error_code: ErrorCode;
        5.. => protocol_type: Option<Text>, null 5.., ignorable;
        5.. => protocol_name: Option<Text>, null 5.., ignorable;
        /// As the leader sent it; empty when it sent none for this member.
        0.. => assignment: Bytes;
    }
}
