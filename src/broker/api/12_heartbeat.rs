//! Heartbeat: a member of the classic protocol is alive, and hears whether it still belongs to its generation.

use crate::broker::core::Context;
use crate::broker::groups::Members;
use crate::broker::state::State;
use crate::messages::{ErrorCode, HeartbeatRequest, HeartbeatResponse};

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &HeartbeatRequest,
) -> HeartbeatResponse {
    let heard = context.unless_refused("", None, || hear(state, context, request));
    HeartbeatResponse { error_code: heard.err().unwrap_or_default(), ..Default::default() }
}

fn hear(state: &mut State, context: Context<'_>, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
    let HeartbeatRequest { group_id, generation_id, member_id, group_instance_id } = request;
    if group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    state.enter_group(group_id, context)?;
    let State { groups, rng, .. } = state;
    let heard = groups.with(group_id, context.now.at, rng, |group, turn| match &mut group.members {
        Members::Classic(members) => {
            members.heartbeat(member_id, group_instance_id.as_ref(), generation_id.0, turn)
        }
        Members::Consumer(_) => Err(ErrorCode::UNKNOWN_MEMBER_ID),
    });
    heard.unwrap_or(Err(ErrorCode::UNKNOWN_MEMBER_ID))
}
