//! JoinGroup: lets a member into a group of the classic protocol, as soon as the others are there too.
//!
//! Different from Kafka: it is not let into a group with members of the protocol of KIP-848 (no online migration). What it brings
//! for its assignors has a limit of its own; in Kafka all that a group is has to fit into one record, and SyncGroup fails.

use super::group_wait::GroupWait;
use super::{Outcome, Step};
use crate::broker::core::Context;
use crate::broker::groups::Members;
use crate::broker::groups::classic::{Join, Joined, JoinedMember, Protocol};
use crate::broker::state::State;
use crate::messages::{
    ErrorCode, GenerationId, JoinGroupMember, JoinGroupProtocol, JoinGroupRequest, JoinGroupResponse,
};
use crate::wire::Text;
use bytes::Bytes;
use std::time::Duration;

/// What a member may bring for all of its assignors, in bytes: it is kept for as long as the member is one.
const MAX_METADATA_BYTES: usize = 1024 * 1024;

pub(super) fn handle(state: &mut State, context: Context<'_>, request: &JoinGroupRequest) -> Outcome {
    if let Some(code) = context.refused_before() {
        return refuse(context, request, code);
    }
    if let Err(code) = admit(state, context, request) {
        return refuse(context, request, code);
    }
    let State { groups, rng, .. } = state;
    let (id, now) = (&request.group_id, context.now.at);
    let ticket = groups.issue(id, context.connection);
    let join = wish(context, request);
    groups.with(id, now, rng, |group, turn| {
        if let Members::Classic(members) = &mut group.members {
            members.join(join, ticket, turn);
        }
    });
    if let Some(code) = context.refused_code() {
        groups.forget(ticket);
        return refuse(context, request, code);
    }
    GroupWait::begin(state, context, id, ticket)
}

/// Whether the group is ours, and may be joined in this way; makes it if it is not there.
fn admit(state: &mut State, context: Context<'_>, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
    let id = &request.group_id;
    if id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let settings = &state.settings.groups;
    let timeouts = settings.min_session_timeout..=settings.max_session_timeout;
    if request.session_timeout_ms < 0 || !timeouts.contains(&millis(request.session_timeout_ms)) {
        return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
    }
    let brought =
        request.protocols.iter().map(|own| own.name.as_bytes().len().saturating_add(own.metadata.len()));
    if brought.fold(0, usize::saturating_add) > MAX_METADATA_BYTES {
        return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
    }
    state.enter_group(id, context)?;
    if state.groups.get(id).is_none() && !request.member_id.is_empty() {
        return Err(ErrorCode::UNKNOWN_MEMBER_ID);
    }
    let group = state.groups.get_or_create(id, context.broker)?;
    group.become_classic();
    match group.members {
        Members::Classic(_) => Ok(()),
        Members::Consumer(_) => Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
    }
}

fn wish(context: Context<'_>, request: &JoinGroupRequest) -> Join {
    // Kept for longer than the request: nothing may hold on to its frame.
    let protocol = |protocol: &JoinGroupProtocol| Protocol {
        name: protocol.name.detach(),
        metadata: Bytes::copy_from_slice(&protocol.metadata),
    };
    let rebalance_timeout_ms =
        if context.version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms };
    Join {
        member_id: request.member_id.detach(),
        instance_id: request.group_instance_id.as_ref().map(Text::detach),
        client_id: context.client_id.into(),
        client_host: context.host.into(),
        session_timeout: millis(request.session_timeout_ms),
        rebalance_timeout: millis(rebalance_timeout_ms),
        protocol_type: request.protocol_type.detach(),
        protocols: request.protocols.iter().map(protocol).collect(),
        can_learn_its_id: context.version >= 4,
        can_skip_assignment: context.version >= 9,
    }
}

fn refuse(context: Context<'_>, request: &JoinGroupRequest, code: ErrorCode) -> Outcome {
    let joined = Joined::refused(&request.member_id, code);
    Outcome::Done(Step::respond(answer(joined, context.version)))
}

/// The answer in a version.
pub(super) fn answer(joined: Joined, version: i16) -> JoinGroupResponse {
    let member = |member: JoinedMember| JoinGroupMember {
        member_id: member.member_id,
        group_instance_id: member.instance_id,
        metadata: member.metadata,
    };
    JoinGroupResponse {
        error_code: joined.error_code,
        generation_id: GenerationId(joined.generation),
        protocol_type: joined.protocol_type,
        protocol_name: if version >= 7 { joined.protocol } else { Some(joined.protocol.unwrap_or_default()) },
        leader: joined.leader,
        skip_assignment: joined.skips_assignment,
        member_id: joined.member_id,
        members: joined.members.into_iter().map(member).collect(),
        ..Default::default()
    }
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
