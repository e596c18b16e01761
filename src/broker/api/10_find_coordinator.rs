//! FindCoordinator: each key has one of the live brokers for its coordinator.

use crate::broker::core::Context;
use crate::broker::state::{Node, Refused, State};
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
    let denied = match key_type {
        CoordinatorType::TRANSACTION => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        _ => ErrorCode::GROUP_AUTHORIZATION_FAILED,
    };
    match context.unless_denied(&key, denied, || locate(state, key_type, &key)) {
        Ok((node_id, node)) => {
            let (host, port) = (node.host.clone(), i32::from(node.port));
            Coordinator { key, node_id, host, port, error_message: None, ..Default::default() }
        }
        Err(Refused { code, text }) => Coordinator {
            key,
            node_id: BrokerId::NONE,
            port: -1,
            error_code: code,
            error_message: Some(text.into()),
            ..Default::default()
        },
    }
}

fn locate<'a>(
    state: &'a State,
    key_type: CoordinatorType,
    key: &Text,
) -> Result<(BrokerId, &'a Node), Refused> {
    let refuse = |code, text: &str| Refused { code, text: text.to_owned() };
    if !matches!(key_type, CoordinatorType::GROUP | CoordinatorType::TRANSACTION) {
        let text = "this broker coordinates groups and transactions only";
        return Err(refuse(ErrorCode::INVALID_REQUEST, text));
    }
    let coordinator = state.coordinator(key).and_then(|id| Some((id, state.nodes.get(&id)?)));
    coordinator.ok_or_else(|| refuse(ErrorCode::COORDINATOR_NOT_AVAILABLE, "no broker is there"))
}
