//! IncrementalAlterConfigs (key 44): changes some settings of topics, brokers, groups and others (KIP-339).
//!
//! The controller answers; brokers forward to it (KIP-590). Each resource has a result of its own, and all that is asked of
//! one is done or nothing.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | - |
//! | 1 | flexible |

use super::{AlterConfigOperation, ConfigResourceType, ErrorCode};
use crate::message;
use crate::wire::Text;

message! {
    /// The resources that are to change.
    pub struct IncrementalAlterConfigsRequest {
        0.. => resources: Vec<AlterConfigsResource>;
        /// Whether to check only and change nothing.
        0.. => validate_only: bool;
    }

    /// A resource that is to change.
    pub struct AlterConfigsResource {
        0.. => resource_type: ConfigResourceType;
        0.. => resource_name: Text;
        0.. => configs: Vec<AlterableConfig>;
    }

    /// A change of one setting.
    pub struct AlterableConfig {
        0.. => name: Text;
        0.. => config_operation: AlterConfigOperation;
        /// Null where there is nothing to say.
        0.. => value: Option<Text> = Some(Text::default()), null 0..;
    }

    /// What became of each resource.
    pub struct IncrementalAlterConfigsResponse {
        0.. => throttle_time_ms: i32;
        0.. => responses: Vec<AlterConfigsResourceResponse>;
    }

    /// What became of one resource.
    pub struct AlterConfigsResourceResponse {
        0.. => error_code: ErrorCode;
        0.. => error_message: Option<Text> = Some(Text::default()), null 0..;
        0.. => resource_type: ConfigResourceType;
        0.. => resource_name: Text;
    }
}
