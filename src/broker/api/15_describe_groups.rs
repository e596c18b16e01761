//! DescribeGroups: groups of the classic protocol with their members.
//!
//! A group that is not there is `Dead`; since version 6 that is an error too (KIP-1043).

use crate::broker::core::Context;
use crate::broker::groups::Members;
use crate::broker::groups::classic::{ClassicGroup, Member, State as GroupState};
use crate::broker::state::{Refused, State};
use crate::messages::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember, ErrorCode,
};
use crate::wire::Text;
use bytes::Bytes;

/// What a client may do to a group that nothing forbids: READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS
/// (`AclOperation`), by bit.
pub(super) const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let groups = request.groups.iter().map(|id| {
        let described =
            context.unless_denied(id, ErrorCode::GROUP_AUTHORIZATION_FAILED, || describe(state, context, id));
        let mut group = described.unwrap_or_else(|refused| not_there(context, id, refused));
        if request.include_authorized_operations && group.error_code.is_none() {
            group.authorized_operations = ALL_OPERATIONS;
        }
        group
    });
    DescribeGroupsResponse { groups: groups.collect(), ..Default::default() }
}

fn describe(state: &mut State, context: Context<'_>, id: &Text) -> Result<DescribedGroup, Refused> {
    let refuse = |code: ErrorCode| Refused { code, text: code.description().to_owned() };
    state.enter_group(id, context).map_err(refuse)?;
    let group = state.groups.get(id).ok_or_else(|| Refused {
        code: ErrorCode::GROUP_ID_NOT_FOUND,
        text: format!("Group {id} not found."),
    })?;
    match &group.members {
        Members::Classic(members) => Ok(of_classic(id, members)),
        Members::Consumer(_) => Err(Refused {
            code: ErrorCode::GROUP_ID_NOT_FOUND,
            text: format!("Group {id} is not a classic group."),
        }),
    }
}

fn of_classic(id: &Text, group: &ClassicGroup) -> DescribedGroup {
    let is_stable = group.state() == GroupState::Stable;
    let member = |(member_id, member): (&Text, &Member)| DescribedGroupMember {
        member_id: member_id.clone(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        member_metadata: if is_stable { member.metadata(group.protocol()) } else { Bytes::new() },
        member_assignment: if is_stable { member.assignment.clone() } else { Bytes::new() },
    };
    let protocol_data =
        if is_stable { group.protocol().cloned().unwrap_or_default() } else { Text::default() };
    DescribedGroup {
        group_id: id.clone(),
        group_state: Text::from_static(group.state().name()),
        protocol_type: group.protocol_type().cloned().unwrap_or_default(),
        protocol_data,
        members: group.members().map(member).collect(),
        ..Default::default()
    }
}

fn not_there(context: Context<'_>, id: &Text, refused: Refused) -> DescribedGroup {
    let dead = DescribedGroup { group_id: id.clone(), ..Default::default() };
    match refused.code {
        ErrorCode::GROUP_ID_NOT_FOUND => {
            let is_error = context.version >= 6;
            DescribedGroup {
                group_state: Text::from_static("Dead"),
                error_code: if is_error { refused.code } else { ErrorCode::NONE },
                error_message: is_error.then(|| refused.text.into()),
                ..dead
            }
        }
        error_code => DescribedGroup { error_code, ..dead },
    }
}
