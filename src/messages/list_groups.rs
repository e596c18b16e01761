//! ListGroups (key 16): the groups that a broker coordinates.
//!
//! Each broker answers for itself: who wants all groups asks every broker.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | - |
//! | 1 | throttle time (KIP-124) |
//! | 2 | the broker answers before it throttles (KIP-219) |
//! | 3 | flexible |
//! | 4 | states, and only groups in some of them (KIP-518) |
//! | 5 | types, and only groups of some of them (KIP-848) |

use super::ErrorCode;
use crate::message;
use crate::wire::Text;

message! {
    /// Which groups to list.
    pub struct ListGroupsRequest {
        /// The states, such as `Stable`; empty for all.
        4.. => states_filter: Vec<Text>;
        /// `classic`, `consumer`, `share`, `streams`; empty for all.
        5.. => types_filter: Vec<Text>;
    }

    /// The groups.
    pub struct ListGroupsResponse {
        1.. => throttle_time_ms: i32, ignorable;
        0.. => error_code: ErrorCode;
        0.. => groups: Vec<ListedGroup>;
    }

    /// One group.
    pub struct ListedGroup {
        0.. => group_id: Text;
        /// `consumer`; `connect` for Kafka Connect's workers; empty for a group that has offsets only.
        0.. => protocol_type: Text;
        4.. => group_state: Text, ignorable;
        5.. => group_type: Text, ignorable;
    }
}
