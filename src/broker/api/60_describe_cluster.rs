//! DescribeCluster: the brokers and the id of the cluster.

use super::operations;
use crate::broker::core::Context;
use crate::broker::state::State;
use crate::messages::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse, EndpointType, ErrorCode,
};

pub(super) fn handle(
    state: &State,
    context: Context<'_>,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    let refused = |code, text: String| DescribeClusterResponse {
        error_code: code,
        error_message: Some(text.into()),
        ..Default::default()
    };
    if let Some(refusal) = context.refusal {
        return refused(refusal.code, refusal.refused().text);
    }
    let EndpointType(number) = request.endpoint_type;
    match request.endpoint_type {
        EndpointType::BROKERS => {}
        EndpointType::CONTROLLERS => {
            let text = "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type \
                        CONTROLLER";
            return refused(ErrorCode::MISMATCHED_ENDPOINT_TYPE, text.to_owned());
        }
        _ => {
            let text = format!("Unsupported endpoint type {number}");
            return refused(ErrorCode::UNSUPPORTED_ENDPOINT_TYPE, text);
        }
    }
    let told = state.nodes.iter().filter(|(_, node)| request.include_fenced_brokers || !node.is_fenced);
    let brokers = told.map(|(broker_id, node)| DescribeClusterBroker {
        broker_id: *broker_id,
        host: node.host.clone(),
        port: i32::from(node.port),
        rack: None,
        is_fenced: node.is_fenced,
    });
    DescribeClusterResponse {
        cluster_id: state.cluster_id.clone(),
        controller_id: state.controller(),
        brokers: brokers.collect(),
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            true => operations::OF_CLUSTER,
            false => operations::NOT_ASKED,
        },
        ..Default::default()
    }
}
