//! LeaveGroup: members of the classic protocol go, and the others share what they had.

use crate::broker::core::Context;
use crate::broker::groups::Members;
use crate::broker::state::State;
use crate::messages::{
    ErrorCode, LeaveGroupRequest, LeaveGroupResponse, LeavingMember, LeavingMemberResponse,
};
use crate::wire::Text;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let leaving: Vec<(Text, Option<Text>)> = if context.version >= 3 {
        let member = |member: LeavingMember| (member.member_id, member.group_instance_id);
        request.members.into_iter().map(member).collect()
    } else {
        vec![(request.member_id, None)]
    };
    let left = context.unless_refused("", None, || leave(state, context, &request.group_id, &leaving));
    let codes = match left {
        Ok(codes) => codes,
        Err(error_code) => return LeaveGroupResponse { error_code, ..Default::default() },
    };
    if context.version < 3 {
        let error_code = codes.first().copied().unwrap_or_default();
        return LeaveGroupResponse { error_code, ..Default::default() };
    }
    let told = leaving.into_iter().zip(codes).map(|((member_id, group_instance_id), error_code)| {
        LeavingMemberResponse { member_id, group_instance_id, error_code }
    });
    LeaveGroupResponse { members: told.collect(), ..Default::default() }
}

/// What became of each.
fn leave(
    state: &mut State,
    context: Context<'_>,
    group_id: &Text,
    leaving: &[(Text, Option<Text>)],
) -> Result<Vec<ErrorCode>, ErrorCode> {
    if group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    state.enter_group(group_id, context)?;
    let State { groups, rng, .. } = state;
    let left = groups.with(group_id, context.now.at, rng, |group, turn| match &mut group.members {
        Members::Classic(members) => Some(members.leave(leaving, turn)),
        Members::Consumer(_) => None,
    });
    Ok(left.flatten().unwrap_or_else(|| leaving.iter().map(|_| ErrorCode::UNKNOWN_MEMBER_ID).collect()))
}
