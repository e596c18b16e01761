//! JoinGroup (key 11): makes the client a member of a group of the classic protocol, or takes it into the next generation.
//!
//! The group's coordinator answers, and holds the answer back until the other members have joined or their time is up:
//! up to the largest rebalance time-out in the group. The answer to one of the members, the leader, lists all of them with
//! what they said; it assigns and hands the assignment in with SyncGroup.
//!
//! Whoever has a member id may repeat the request: the coordinator knows the member. So may whoever has none from version
//! 4 on, which only hands out an id; before, each repetition leaves a member behind that is never heard of again.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | - |
//! | 1 | rebalance time-out, apart from the session's (KIP-62) |
//! | 2 | throttle time (KIP-124) |
//! | 3 | the broker answers before it throttles (KIP-219) |
//! | 4 | MEMBER_ID_REQUIRED comes with an id, to join with (KIP-394) |
//! | 5 | group instance id (KIP-345) |
//! | 6 | flexible |
//! | 7 | protocol type in the response, protocol name may be null (KIP-559) |
//! | 8 | why the member joins, for the broker's log (KIP-800) |
//! | 9 | whether the leader is to leave the assignment as it is (KIP-814) |

use super::{ErrorCode, GenerationId};
use crate::message;
use crate::wire::Text;
use bytes::Bytes;

message! {
    /// Who joins.
    pub struct JoinGroupRequest {
        0.. => group_id: Text;
        /// How long the coordinator waits for a heartbeat until it takes the member for dead, in milliseconds.
        0.. => session_timeout_ms: i32;
        /// How long it waits for the member to join again in a rebalance, in milliseconds; the session time-out before
        /// version 1.
        1.. => rebalance_timeout_ms: i32 = -1, ignorable;
        /// Empty as long as the coordinator has not given one.
        0.. => member_id: Text;
        5.. => group_instance_id: Option<Text>, null 5..;
        /// `consumer`; `connect` for Kafka Connect's workers.
        0.. => protocol_type: Text;
        /// The assignors that the member has, the preferred one first.
        0.. => protocols: Vec<JoinGroupProtocol>;
        8.. => reason: Option<Text>, null 8.., ignorable;
    }

    /// An assignor that the member has.
    pub struct JoinGroupProtocol {
        0.. => name: Text;
        /// Of a consumer, a [`ConsumerProtocolSubscription`](super::ConsumerProtocolSubscription).
        0.. => metadata: Bytes;
    }

    /// The new generation.
    pub struct JoinGroupResponse {
        2.. => throttle_time_ms: i32, ignorable;
        0.. => error_code: ErrorCode;
        0.. => generation_id: GenerationId = GenerationId::NONE;
        7.. => protocol_type: Option<Text>, null 7.., ignorable;
        /// The assignor that all members have.
        0.. => protocol_name: Option<Text> = Some(Text::default()), null 7..;
        /// The leader's member id.
        0.. => leader: Text;
        /// Whether the leader, a static member that came back, has nothing to assign.
        9.. => skip_assignment: bool;
        0.. => member_id: Text;
        /// Every member for the leader; empty for the others.
        0.. => members: Vec<JoinGroupMember>;
    }

    /// A member of the group, as its leader sees it.
    pub struct JoinGroupMember {
        0.. => member_id: Text;
        5.. => group_instance_id: Option<Text>, null 5.., ignorable;
        /// What the member gave for the assignor that was chosen.
        0.. => metadata: Bytes;
    }
}
