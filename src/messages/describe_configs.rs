//! DescribeConfigs (key 32): the settings of topics, brokers, groups and others, and where their values come from.
//!
//! A broker answers for its own settings; any broker answers for everything else.
//!
//! | version | what changed |
//! | --- | --- |
//! | 1 | the oldest that Kafka 4 serves: sources and synonyms (KIP-226) |
//! | 2 | the broker answers before it throttles (KIP-219) |
//! | 3 | types, and documentation on request (KIP-569) |
//! | 4 | flexible |

use super::{ConfigResourceType, ErrorCode};
use crate::message;
use crate::wire::Text;

message! {
    /// The resources whose settings are asked for.
    pub struct DescribeConfigsRequest {
        0.. => resources: Vec<DescribeConfigsResource>;
        1.. => include_synonyms: bool;
        3.. => include_documentation: bool;
    }

    /// Settings of one resource.
    pub struct DescribeConfigsResource {
        0.. => resource_type: ConfigResourceType;
        0.. => resource_name: Text;
        /// All of them when null.
        0.. => configuration_keys: Option<Vec<Text>> = Some(Vec::new()), null 0..;
    }

    /// The settings of each resource.
    pub struct DescribeConfigsResponse {
        0.. => throttle_time_ms: i32;
        0.. => results: Vec<DescribeConfigsResult>;
    }

    /// The settings of one resource.
    pub struct DescribeConfigsResult {
        0.. => error_code: ErrorCode;
        0.. => error_message: Option<Text> = Some(Text::default()), null 0..;
        0.. => resource_type: ConfigResourceType;
        0.. => resource_name: Text;
        0.. => configs: Vec<DescribeConfigsResourceResult>;
    }

    /// A setting.
    pub struct DescribeConfigsResourceResult {
        0.. => name: Text;
        /// Null when it is sensitive, or has none.
        0.. => value: Option<Text> = Some(Text::default()), null 0..;
        0.. => read_only: bool;
        /// 1 the topic, 2 the broker, 3 all brokers, 4 the broker's file, 5 Kafka's default, 6 a logger, 7 client metrics,
        /// 8 the group.
        1.. => config_source: i8 = -1, ignorable;
        0.. => is_sensitive: bool;
        /// The value that holds, and then those that would without it.
        1.. => synonyms: Vec<DescribeConfigsSynonym>, ignorable;
        /// 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password.
        3.. => config_type: i8, ignorable;
        /// In HTML; null when it was not asked for.
        3.. => documentation: Option<Text> = Some(Text::default()), null 0.., ignorable;
    }

    /// A value that a setting has somewhere.
    pub struct DescribeConfigsSynonym {
        1.. => name: Text;
        1.. => value: Option<Text> = Some(Text::default()), null 0..;
        /// As `config_source`.
        1.. => source: i8;
    }
}
