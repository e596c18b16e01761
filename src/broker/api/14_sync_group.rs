//! SyncGroup: brings the leader's assignments, and takes each member's to it.
//!
//! Different from Kafka: there is a limit for the assignments alone, where in Kafka all that a group is has to fit into one record.

use super::group_wait::GroupWait;
use super::{Outcome, Step};
use crate::broker::core::Context;
use crate::broker::groups::Members;
use crate::broker::groups::classic::{Sync, Synced};
use crate::broker::state::State;
use crate::messages::{ErrorCode, SyncGroupAssignment, SyncGroupRequest, SyncGroupResponse};

/// What a leader may bring for all members, in bytes: it is kept for as long as the generation lasts.
const MAX_ASSIGNMENTS_BYTES: usize = 16 * 1024 * 1024;

pub(super) fn handle(state: &mut State, context: Context<'_>, request: SyncGroupRequest) -> Outcome {
    if let Some(code) = context.refused_before() {
        return refuse(code);
    }
    // Both have to be said since they can be (KIP-559).
    if context.version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
        return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    if request.group_id.is_empty() {
        return refuse(ErrorCode::INVALID_GROUP_ID);
    }
    let brought = request.assignments.iter().map(|own| own.assignment.len());
    if brought.fold(0, usize::saturating_add) > MAX_ASSIGNMENTS_BYTES {
        return refuse(ErrorCode::UNKNOWN_SERVER_ERROR);
    }
    let id = request.group_id.clone();
    if let Err(code) = state.enter_group(&id, context) {
        return refuse(code);
    }
    let State { groups, rng, .. } = state;
    let ticket = groups.issue(&id, context.connection);
    let is_known = groups.with(&id, context.now.at, rng, |group, turn| match &mut group.members {
        Members::Classic(members) => {
            members.sync(wish(request), ticket, turn);
            true
        }
        Members::Consumer(_) => false,
    });
    let code =
        if is_known == Some(true) { context.refused_code() } else { Some(ErrorCode::UNKNOWN_MEMBER_ID) };
    if let Some(code) = code {
        groups.forget(ticket);
        return refuse(code);
    }
    GroupWait::begin(state, context, &id, ticket)
}

fn wish(request: SyncGroupRequest) -> Sync {
    let assignment = |own: SyncGroupAssignment| (own.member_id, own.assignment);
    Sync {
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation: request.generation_id.0,
        protocol_type: request.protocol_type,
        protocol: request.protocol_name,
        assignments: request.assignments.into_iter().map(assignment).collect(),
    }
}

fn refuse(code: ErrorCode) -> Outcome {
    Outcome::Done(Step::respond(answer(Synced::refused(code))))
}

/// The answer.
pub(super) fn answer(synced: Synced) -> SyncGroupResponse {
    SyncGroupResponse {
        error_code: synced.error_code,
        protocol_type: synced.protocol_type,
        protocol_name: synced.protocol,
        assignment: synced.assignment,
        ..Default::default()
    }
}
