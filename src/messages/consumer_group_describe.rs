//! ConsumerGroupDescribe (key 69): members and assignments of groups of the new protocol (KIP-848).
//!
//! The coordinator of each group answers for it. A group of the classic protocol is GROUP_ID_NOT_FOUND here, and one for
//! [`DescribeGroupsRequest`](super::DescribeGroupsRequest).
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | - |
//! | 1 | which protocol a member speaks: groups may be between the two (KIP-1099) |

use super::{ErrorCode, MemberEpoch};
use crate::message;
use crate::wire::{Text, Uuid};

message! {
    /// Which groups to describe.
    pub struct ConsumerGroupDescribeRequest {
        0.. => group_ids: Vec<Text>;
        0.. => include_authorized_operations: bool;
    }

    /// The groups.
    pub struct ConsumerGroupDescribeResponse {
        0.. => throttle_time_ms: i32;
        0.. => groups: Vec<DescribedConsumerGroup>;
    }

    /// One group.
    pub struct DescribedConsumerGroup {
        0.. => error_code: ErrorCode;
        0.. => error_message: Option<Text>, null 0..;
        0.. => group_id: Text;
        /// `Empty`, `Assigning`, `Reconciling`, `Stable` or `Dead`.
        0.. => group_state: Text;
        /// Raised when members or subscriptions change.
        0.. => group_epoch: i32;
        /// The group epoch that the target assignment was made for.
        0.. => assignment_epoch: i32;
        0.. => assignor_name: Text;
        0.. => members: Vec<DescribedConsumerGroupMember>;
        /// Bits of operations that the client may do; the least number when it did not ask.
        0.. => authorized_operations: i32 = i32::MIN;
    }

    /// One member.
    pub struct DescribedConsumerGroupMember {
        0.. => member_id: Text;
        0.. => instance_id: Option<Text>, null 0..;
        0.. => rack_id: Option<Text>, null 0..;
        0.. => member_epoch: MemberEpoch;
        0.. => client_id: Text;
        0.. => client_host: Text;
        0.. => subscribed_topic_names: Vec<Text>;
        0.. => subscribed_topic_regex: Option<Text>, null 0..;
        /// What it owns.
        0.. => assignment: DescribedConsumerGroupAssignment;
        /// What it is to own.
        0.. => target_assignment: DescribedConsumerGroupAssignment;
        /// 0 for the classic protocol, 1 for the new one, -1 when that is not known.
        1.. => member_type: i8 = -1, ignorable;
    }

    /// Partitions of a member.
    pub struct DescribedConsumerGroupAssignment {
        0.. => topic_partitions: Vec<DescribedConsumerGroupPartitions>;
    }

    /// Partitions of a member in one topic.
    pub struct DescribedConsumerGroupPartitions {
        0.. => topic_id: Uuid;
        0.. => topic_name: Text;
        0.. => partitions: Vec<i32>;
    }
}
