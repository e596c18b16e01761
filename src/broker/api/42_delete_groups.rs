//! DeleteGroups: groups without members, with all that they have committed.

use crate::broker::core::Context;
use crate::broker::state::State;
use crate::messages::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse, ErrorCode};
use crate::wire::Text;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let results = request.groups_names.into_iter().map(|group_id| {
        let deleted = context.unless_denied(&group_id, ErrorCode::GROUP_AUTHORIZATION_FAILED, || {
            delete(state, context, &group_id)
        });
        DeletableGroupResult { group_id, error_code: deleted.err().unwrap_or_default() }
    });
    DeleteGroupsResponse { results: results.collect(), ..Default::default() }
}

fn delete(state: &mut State, context: Context<'_>, id: &Text) -> Result<(), ErrorCode> {
    state.enter_group(id, context)?;
    let group = state.groups.get(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    if !group.members.is_empty() {
        return Err(ErrorCode::NON_EMPTY_GROUP);
    }
    state.groups.remove(id);
    Ok(())
}
