//! ConsumerGroupHeartbeat (key 68): all that a member of a group of the new protocol (KIP-848) says and hears: it joins,
//! tells what it subscribes to and what it owns, is assigned partitions, and leaves.
//!
//! The group's coordinator answers at once. Member and coordinator tell each other only what changed since the last time,
//! so a request whose answer was lost must not be repeated as it is: the next one says everything again (all fields, with
//! the partitions owned), which makes the coordinator repeat the assignment too.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | - |
//! | 1 | subscription by regular expression (KIP-848); the client makes its member id (KIP-1082) |

use super::{ErrorCode, MemberEpoch};
use crate::message;
use crate::wire::{Text, Uuid};

message! {
    /// What the member has to say. Null, or -1, is "as before".
    pub struct ConsumerGroupHeartbeatRequest {
        0.. => group_id: Text;
        /// A UUID that the client draws and keeps for as long as its process lives.
        0.. => member_id: Text;
        0.. => member_epoch: MemberEpoch;
        0.. => instance_id: Option<Text>, null 0..;
        0.. => rack_id: Option<Text>, null 0..;
        /// How long the coordinator waits for partitions to be given back, in milliseconds.
        0.. => rebalance_timeout_ms: i32 = -1;
        0.. => subscribed_topic_names: Option<Vec<Text>>, null 0..;
        /// In the notation of RE2/J; the coordinator matches it with the whole name of a topic.
        1.. => subscribed_topic_regex: Option<Text>, null 1..;
        /// The assignor, which the coordinator runs.
        0.. => server_assignor: Option<Text>, null 0..;
        /// What the member owns now.
        0.. => topic_partitions: Option<Vec<ConsumerGroupHeartbeatPartitions>>, null 0..;
    }

    /// Partitions of one topic.
    pub struct ConsumerGroupHeartbeatPartitions {
        0.. => topic_id: Uuid;
        0.. => partitions: Vec<i32>;
    }

    /// What the coordinator has to say.
    pub struct ConsumerGroupHeartbeatResponse {
        0.. => throttle_time_ms: i32;
        0.. => error_code: ErrorCode;
        0.. => error_message: Option<Text>, null 0..;
        0.. => member_id: Option<Text>, null 0..;
        0.. => member_epoch: MemberEpoch;
        /// When the coordinator wants to hear from the member again, in milliseconds.
        0.. => heartbeat_interval_ms: i32;
        /// Null is "as before".
        0.. => assignment: Option<ConsumerGroupHeartbeatAssignment>, null 0..;
    }

    /// What the member may own now: what it holds beyond that is to be given back.
    pub struct ConsumerGroupHeartbeatAssignment {
        0.. => topic_partitions: Vec<ConsumerGroupHeartbeatPartitions>;
    }
}
