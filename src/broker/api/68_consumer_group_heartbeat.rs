//! ConsumerGroupHeartbeat: a member of a group of the protocol of KIP-848 joins, stays, or leaves, and is told what to own.
//!
//! Different from Kafka: a group with members of the classic protocol is not one of this protocol (no online migration).

use crate::broker::core::Context;
use crate::broker::groups::Members;
use crate::broker::groups::classic::random_uuid;
use crate::broker::groups::consumer::{Assignor, Beat, Heard, Partitions, Pattern};
use crate::broker::state::{Refused, State};
use crate::messages::{
    ConsumerGroupHeartbeatAssignment, ConsumerGroupHeartbeatPartitions, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, ErrorCode, MemberEpoch,
};
use crate::wire::Text;
use std::time::Duration;

/// The names that a member may subscribe to, in bytes: they are kept for as long as it is one.
const MAX_NAMES_BYTES: usize = 1024 * 1024;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    match context.unless_refused("", None, || hear(state, context, request)) {
        Ok(heard) => {
            let leaves = heard.epoch.0 < 0;
            let interval =
                if leaves { Duration::ZERO } else { state.settings.groups.consumer_heartbeat_interval };
            ConsumerGroupHeartbeatResponse {
                member_id: Some(heard.member_id),
                member_epoch: heard.epoch,
                heartbeat_interval_ms: i32::try_from(interval.as_millis()).unwrap_or(i32::MAX),
                assignment: heard.assignment.map(assignment),
                ..Default::default()
            }
        }
        Err(Refused { code, text }) => ConsumerGroupHeartbeatResponse {
            error_code: code,
            error_message: Some(text.into()),
            ..Default::default()
        },
    }
}

fn hear(
    state: &mut State,
    context: Context<'_>,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<Heard, Refused> {
    check(context, request)?;
    let mut beat = beat(context, request)?;
    let id = &request.group_id;
    let refuse = |code: ErrorCode| Refused { code, text: code.description().to_owned() };
    state.enter_group(id, context).map_err(refuse)?;
    if beat.epoch == MemberEpoch::JOIN {
        state.groups.get_or_create(id, context.broker).map_err(refuse)?.become_consumer();
    }
    let State { groups, rng, topics, .. } = state;
    if beat.member_id.is_empty() {
        beat.member_id = random_uuid(rng).into();
    }
    let heard = groups.with(id, context.now.at, rng, |group, turn| match &mut group.members {
        Members::Consumer(members) if beat.epoch.0 < 0 => members.leave(&beat),
        Members::Consumer(members) => members.heartbeat(beat, topics, turn),
        Members::Classic(_) => Err(Refused {
            code: ErrorCode::GROUP_ID_NOT_FOUND,
            text: format!("Group {id} is not a consumer group."),
        }),
    });
    heard.unwrap_or_else(|| {
        let text = format!("Consumer group {id} not found.");
        Err(Refused { code: ErrorCode::GROUP_ID_NOT_FOUND, text })
    })
}

/// What is wrong with a request by itself, in Kafka's words (`GroupCoordinatorService`).
fn check(context: Context<'_>, request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refused> {
    let invalid = |text: &str| Err(Refused { code: ErrorCode::INVALID_REQUEST, text: text.to_owned() });
    let is_empty = |text: &Option<Text>| text.as_ref().is_some_and(|text| text.is_empty());
    let epoch = request.member_epoch;
    // Since version 1 clients make their ids (KIP-1082).
    if request.member_id.is_empty() && (context.version >= 1 || epoch != MemberEpoch::JOIN) {
        return invalid("MemberId can't be empty.");
    }
    if request.group_id.is_empty() {
        return invalid("GroupId can't be empty.");
    }
    if is_empty(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if is_empty(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    let names = request.subscribed_topic_names.iter().flatten().map(|name| name.as_bytes().len());
    if names.fold(0, usize::saturating_add) > MAX_NAMES_BYTES {
        return invalid("SubscribedTopicNames are too many.");
    }
    if epoch < MemberEpoch::LEAVE_STATIC {
        return invalid("MemberEpoch is invalid.");
    }
    if epoch == MemberEpoch::LEAVE_STATIC && request.instance_id.is_none() {
        return invalid("InstanceId can't be null.");
    }
    if epoch == MemberEpoch::JOIN {
        if request.rebalance_timeout_ms == -1 {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
            return invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
            );
        }
    }
    Ok(())
}

fn beat(context: Context<'_>, request: &ConsumerGroupHeartbeatRequest) -> Result<Beat, Refused> {
    let unsupported = |name: &Text| Refused {
        code: ErrorCode::UNSUPPORTED_ASSIGNOR,
        text: format!("ServerAssignor {name} is not supported. Supported assignors: uniform, range."),
    };
    let assignor = |name: &Text| Assignor::named(name).ok_or_else(|| unsupported(name));
    let names = |names: &Vec<Text>| names.iter().map(Text::detach).collect();
    let timeout = u64::try_from(request.rebalance_timeout_ms).ok();
    Ok(Beat {
        member_id: request.member_id.clone(),
        epoch: request.member_epoch,
        instance_id: request.instance_id.as_ref().map(Text::detach),
        rack_id: request.rack_id.as_ref().map(Text::detach),
        client_id: context.client_id.into(),
        client_host: context.host.into(),
        rebalance_timeout: timeout.map(Duration::from_millis),
        topics: request.subscribed_topic_names.as_ref().map(names),
        pattern: request.subscribed_topic_regex.as_ref().map(Pattern::new).transpose()?,
        assignor: request.server_assignor.as_ref().map(assignor).transpose()?,
        owned: request.topic_partitions.as_ref().map(|owned| partitions(owned)),
    })
}

fn partitions(owned: &[ConsumerGroupHeartbeatPartitions]) -> Partitions {
    let mut partitions = Partitions::new();
    for own in owned {
        partitions.entry(own.topic_id).or_default().extend(&own.partitions);
    }
    partitions
}

fn assignment(partitions: Partitions) -> ConsumerGroupHeartbeatAssignment {
    let topic = |(topic_id, own): (_, std::collections::BTreeSet<i32>)| ConsumerGroupHeartbeatPartitions {
        topic_id,
        partitions: own.into_iter().collect(),
    };
    ConsumerGroupHeartbeatAssignment { topic_partitions: partitions.into_iter().map(topic).collect() }
}
