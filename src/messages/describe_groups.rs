//! DescribeGroups (key 15): state and members of groups of the classic protocol.
//!
//! The coordinator of each group answers for it. A group of the new protocol is GROUP_ID_NOT_FOUND here, and one for
//! [`ConsumerGroupDescribeRequest`](super::ConsumerGroupDescribeRequest); before version 6 it is a group that is `Dead`,
//! as one that there is not.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | - |
//! | 1 | throttle time (KIP-124) |
//! | 2 | the broker answers before it throttles (KIP-219) |
//! | 3 | what the client may do (KIP-430) |
//! | 4 | group instance ids (KIP-345) |
//! | 5 | flexible |
//! | 6 | GROUP_ID_NOT_FOUND with a text instead of the state `Dead` (KIP-1043) |

use super::ErrorCode;
use crate::message;
use crate::wire::Text;
use bytes::Bytes;

message! {
    /// Which groups to describe.
    pub struct DescribeGroupsRequest {
        0.. => groups: Vec<Text>;
        3.. => include_authorized_operations: bool;
    }

    /// The groups.
    pub struct DescribeGroupsResponse {
        1.. => throttle_time_ms: i32, ignorable;
        0.. => groups: Vec<DescribedGroup>;
    }

    /// One group.
    pub struct DescribedGroup {
        0.. => error_code: ErrorCode;
        6.. => error_message: Option<Text>, null 6..;
        0.. => group_id: Text;
        /// `PreparingRebalance`, `CompletingRebalance`, `Stable`, `Dead` or `Empty`.
        0.. => group_state: Text;
        /// `consumer`; `connect` for Kafka Connect's workers; empty for a group that has offsets only.
        0.. => protocol_type: Text;
        /// The assignor; empty unless the group is stable.
        0.. => protocol_data: Text;
        0.. => members: Vec<DescribedGroupMember>;
        /// Bits of operations that the client may do; the least number when it did not ask.
        3.. => authorized_operations: i32 = i32::MIN;
    }

    /// One member.
    pub struct DescribedGroupMember {
        0.. => member_id: Text;
        4.. => group_instance_id: Option<Text>, null 4.., ignorable;
        0.. => client_id: Text;
        0.. => client_host: Text;
        /// Of a consumer, a [`ConsumerProtocolSubscription`](super::ConsumerProtocolSubscription); empty unless the group
        /// is stable.
        0.. => member_metadata: Bytes;
        /// Of a consumer, a [`ConsumerProtocolAssignment`](super::ConsumerProtocolAssignment); empty unless the group is
        /// stable.
        0.. => member_assignment: Bytes;
    }
}
