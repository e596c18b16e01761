//! DeleteGroups (key 42): deletes groups without members, and their offsets (KIP-229).
//!
//! The coordinator of each group answers for it. One that has members is NON_EMPTY_GROUP. The second time a group is
//! GROUP_ID_NOT_FOUND.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | - |
//! | 1 | the broker answers before it throttles (KIP-219) |
//! | 2 | flexible |

use super::ErrorCode;
use crate::message;
use crate::wire::Text;

message! {
    /// The groups to delete.
    pub struct DeleteGroupsRequest {
        0.. => groups_names: Vec<Text>;
    }

    /// What became of each group.
    pub struct DeleteGroupsResponse {
        0.. => throttle_time_ms: i32;
        0.. => results: Vec<DeletableGroupResult>;
    }

    /// What became of one group.
    pub struct DeletableGroupResult {
        0.. => group_id: Text;
        0.. => error_code: ErrorCode;
    }
}
