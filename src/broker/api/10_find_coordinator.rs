//! FindCoordinator: each key has one of the live brokers for its coordinator.

use crate::broker::core::Context;
use crate::broker::state::State;
use crate::messages::{
    BrokerId, Coordinator, CoordinatorType, ErrorCode, FindCoordinatorRequest, FindCoordinatorResponse,
};
use crate::wire::Text;

pub(super) fn handle(
    state: &State,
    context: Context<'_>,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let key_type = request.key_type;
    if context.version >= 4 {
        let find_one = |key| find(state, context, key_type, key);
        let coordinators = request.coordinator_keys.into_iter().map(find_one).collect();
        return FindCoordinatorResponse { coordinators, ..Default::default() };
    }
    let Coordinator { node_id, host, port, error_code, error_message, .. } =
        find(state, context, key_type, request.key);
    FindCoordinatorResponse { node_id, host, port, error_code, error_message, ..Default::default() }
}

fn find(state: &State, context: Context<'_>, key_type: CoordinatorType, key: Text) -> Coordinator {
    let refuse = |error_code: ErrorCode, text: &'static str| Coordinator {
        key: key.clone(),
        node_id: BrokerId::NONE,
        port: -1,
        error_code,
        error_message: Some(Text::from_static(text)),
        ..Default::default()
    };
    if let Some(code) = context.refused_code() {
        return refuse(code, "so decided by a fault");
    }
    match key_type {
        CoordinatorType::GROUP | CoordinatorType::TRANSACTION => {}
        _ => {
            return refuse(
                ErrorCode::INVALID_REQUEST,
                "this broker coordinates groups and transactions only",
            );
        }
    }
    let coordinator = state.coordinator(&key);
    match coordinator.and_then(|id| Some((id, state.nodes.get(&id)?))) {
        Some((node_id, node)) => Coordinator {
            key,
            node_id,
            host: node.host.clone(),
            port: i32::from(node.port),
            error_message: None,
            ..Default::default()
        },
        None => refuse(ErrorCode::COORDINATOR_NOT_AVAILABLE, "no broker is there"),
    }
}
