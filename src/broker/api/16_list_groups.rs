//! ListGroups: the groups that the broker coordinates, all or those of some states and types.

use crate::broker::core::Context;
use crate::broker::groups::Group;
use crate::broker::state::State;
use crate::messages::{ErrorCode, ListGroupsRequest, ListGroupsResponse, ListedGroup};
use crate::wire::Text;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &ListGroupsRequest,
) -> ListGroupsResponse {
    match context.unless_refused::<_, ErrorCode>("", None, || Ok(list(state, context, request))) {
        Ok(groups) => ListGroupsResponse { groups, ..Default::default() },
        Err(error_code) => ListGroupsResponse { error_code, ..Default::default() },
    }
}

fn list(state: &mut State, context: Context<'_>, request: &ListGroupsRequest) -> Vec<ListedGroup> {
    let all: Vec<Text> = state.groups.iter().map(|(id, _)| id.clone()).collect();
    let is_shown = |id: &Text| !context.denied.iter().any(|denied| *denied == **id);
    let shown = all.into_iter().filter(is_shown);
    let its: Vec<Text> = shown.filter(|id| state.enter_group(id, context).is_ok()).collect();
    let listed = its.iter().filter_map(|id| Some(entry(id, state.groups.get(id)?)));
    let is_wanted = |filter: &[Text], value: &Text| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let is_listed = |group: &ListedGroup| {
        is_wanted(&request.states_filter, &group.group_state)
            && is_wanted(&request.types_filter, &group.group_type)
    };
    listed.filter(is_listed).collect()
}

fn entry(id: &Text, group: &Group) -> ListedGroup {
    ListedGroup {
        group_id: id.clone(),
        protocol_type: group.members.protocol_type(),
        group_state: Text::from_static(group.members.state_name()),
        group_type: Text::from_static(group.members.type_name()),
    }
}
