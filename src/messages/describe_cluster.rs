//! DescribeCluster (key 60): the cluster's id, its brokers, and what the client may do with it (KIP-700).
//!
//! Any broker answers; a controller tells of controllers (KIP-919).
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | - |
//! | 1 | controllers can be asked for of a controller (KIP-919) |
//! | 2 | fenced brokers on request (KIP-1073) |

use super::{BrokerId, EndpointType, ErrorCode};
use crate::message;
use crate::wire::Text;

message! {
    /// Asks for the cluster.
    pub struct DescribeClusterRequest {
        0.. => include_cluster_authorized_operations: bool;
        1.. => endpoint_type: EndpointType = EndpointType::BROKERS;
        2.. => include_fenced_brokers: bool;
    }

    /// The cluster.
    pub struct DescribeClusterResponse {
        0.. => throttle_time_ms: i32;
        0.. => error_code: ErrorCode;
        0.. => error_message: Option<Text>, null 0..;
        1.. => endpoint_type: EndpointType = EndpointType::BROKERS;
        0.. => cluster_id: Text;
        /// Of a broker: any live one, which takes requests for the controller.
        0.. => controller_id: BrokerId = BrokerId::NONE;
        0.. => brokers: Vec<DescribeClusterBroker>;
        /// A bit for each operation that is allowed, `i32::MIN` when not asked for.
        0.. => cluster_authorized_operations: i32 = i32::MIN;
    }

    /// A broker, or a controller where those are asked for.
    pub struct DescribeClusterBroker {
        0.. => broker_id: BrokerId;
        0.. => host: Text;
        0.. => port: i32;
        0.. => rack: Option<Text>, null 0..;
        2.. => is_fenced: bool;
    }
}
