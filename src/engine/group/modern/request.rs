//! What the member says to the coordinator, and what to tell a person of what it is refused.

use super::target::Named;
use super::{Chore, Modern};
use crate::engine::group::{Subscription, millis};
use crate::engine::sasl::printable;
use crate::error::{Error, ErrorKind};
use crate::messages::{ConsumerGroupHeartbeatRequest, ErrorCode, MemberEpoch};
use crate::wire::Text;

/// What the coordinator has heard.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Nothing, when it is not sure that it has heard all of it.
    subscription: Option<Subscription>,
    /// It may have a pattern.
    pattern: bool,
    /// The request under way takes the pattern back.
    drops_pattern: bool,
}

impl Said {
    /// Nobody knows what it has heard: everything is to be said again.
    pub(super) fn forget(&mut self) {
        self.subscription = None;
        self.drops_pattern = false;
    }

    /// It has heard the last request.
    pub(super) fn answered(&mut self) {
        if std::mem::take(&mut self.drops_pattern) {
            self.pattern = false;
        }
    }
}

/// Whether there is another subscription than the coordinator knows. Of none at all it hears when the member leaves.
pub(super) fn has_news(member: &Modern) -> bool {
    let wanted = &member.subscription;
    !wanted.is_empty() && member.said.subscription.as_ref().is_some_and(|said| said != wanted)
}

/// The next heartbeat: with everything when it joins or is not sure what was heard, else with what is new.
pub(super) fn heartbeat(member: &mut Modern) -> ConsumerGroupHeartbeatRequest {
    let joins = member.epoch == MemberEpoch::JOIN;
    let is_full = joins || member.said.subscription.is_none();
    let mut request = greeting(member, member.epoch);
    if is_full {
        request.rebalance_timeout_ms = millis(member.terms.rebalance_timeout);
        request.rack_id = member.terms.rack.clone().filter(|rack| !rack.is_empty());
        request.server_assignor = member.assignor.clone();
    }
    if is_full || member.acknowledge {
        // Who joins has nothing: what it had is lost by then. What the application is about to begin with counts: the
        // coordinator gives to others at once what a member does not name.
        let soon = match &member.chore {
            Some(Chore::Assign(named)) => named,
            _ => &Named::new(),
        };
        request.topic_partitions = Some(member.holdings.by_id(soon));
    }
    if (is_full && !member.subscription.is_empty()) || has_news(member) {
        let Subscription { topics, regex } = member.subscription.clone();
        request.subscribed_topic_names = Some(topics.iter().cloned().collect());
        // An empty one takes back the one before, which version 0 knows nothing of.
        let drops_pattern = regex.is_none() && member.said.pattern;
        request.subscribed_topic_regex = if drops_pattern { Some(Text::default()) } else { regex.clone() };
        member.said = Said {
            pattern: regex.is_some() || drops_pattern,
            subscription: Some(Subscription { topics, regex }),
            drops_pattern,
        };
    }
    request
}

/// The last heartbeat. A static member comes back, perhaps.
pub(super) fn farewell(member: &Modern) -> ConsumerGroupHeartbeatRequest {
    let is_static = member.terms.instance.is_some();
    greeting(member, if is_static { MemberEpoch::LEAVE_STATIC } else { MemberEpoch::LEAVE })
}

/// What every heartbeat says.
fn greeting(member: &Modern, epoch: MemberEpoch) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: member.terms.group.clone(),
        member_id: member.id.clone(),
        member_epoch: epoch,
        instance_id: member.terms.instance.clone(),
        ..Default::default()
    }
}

/// The coordinator's refusal, in its own words too.
pub(super) fn refused(code: ErrorCode, said: Option<&Text>) -> Error {
    let attempt = "be a member of the group";
    match said.filter(|said| !said.is_empty()) {
        Some(said) => Error::broker_code(
            code,
            format!("{attempt}, of which the coordinator says: {}", printable(said.as_bytes())),
        ),
        None => Error::broker_code(code, attempt),
    }
}

/// Whether a member that is refused so tries again, and says so each time.
pub(super) fn is_told_again(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::UNRELEASED_INSTANCE_ID)
}

/// The same, with what a person can do about it.
pub(super) fn explained(error: &Error, member: &Modern) -> Error {
    let group = &member.terms.group;
    let instance = member.terms.instance.as_deref().unwrap_or_default();
    let too_old = "the broker is older than Kafka 4.0, or its group.coordinator.rebalance.protocols is without `consumer`: set group.protocol=classic until the cluster is upgraded";
    let hint = match (error.kind(), error.code()) {
        (ErrorKind::UnsupportedVersion, _) | (_, Some(ErrorCode::UNSUPPORTED_VERSION)) => too_old.to_owned(),
        (_, Some(ErrorCode::UNSUPPORTED_ASSIGNOR)) => {
            let assignor = member.assignor.as_deref().unwrap_or_default();
            format!(
                "group.remote.assignor={assignor} is not among the broker's group.consumer.assignors; leave it out for the broker's first one"
            )
        }
        (_, Some(ErrorCode::UNRELEASED_INSTANCE_ID)) => format!(
            "another consumer of group {group} runs with group.instance.id={instance}: each one needs its own id; or it ended without leaving less than group.consumer.session.timeout.ms ago: it is tried again until that is over"
        ),
        (_, Some(ErrorCode::FENCED_INSTANCE_ID)) => format!(
            "this member was removed from group {group}, and another consumer has come with group.instance.id={instance}: each one needs its own id"
        ),
        (_, Some(ErrorCode::GROUP_MAX_SIZE_REACHED)) => {
            format!(
                "group {group} has the broker's group.consumer.max.size members: raise it, or run less of them"
            )
        }
        (_, Some(ErrorCode::INVALID_REGULAR_EXPRESSION)) => {
            let regex = member.subscription.regex.as_deref().unwrap_or_default();
            format!("the coordinator reads {regex:?} as RE2/J does, without look-around and back-references")
        }
        (_, Some(ErrorCode::INVALID_REQUEST)) => format!(
            "check group.id={group}, group.instance.id, client.rack and max.poll.interval.ms; else it is a fault of this crate: please report it"
        ),
        (_, Some(ErrorCode::GROUP_AUTHORIZATION_FAILED)) => {
            format!(
                "the user may not READ group {group}: `kafka-acls --add --allow-principal User:NAME --operation Read --group {group}` lets it"
            )
        }
        (_, Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED)) => format!(
            "the user may not DESCRIBE a topic that it subscribes to as a member of group {group}; it is tried again until it may"
        ),
        (_, Some(ErrorCode::GROUP_ID_NOT_FOUND)) => format!(
            "group {group} was deleted, or has members of the classic protocol that do not let this one in: end them first, see the broker's group.consumer.migration.policy, or set group.protocol=classic"
        ),
        (_, Some(ErrorCode::INVALID_GROUP_ID)) => {
            format!("group.id={group:?} is no name that the broker takes")
        }
        _ => format!("the consumer is out of group {group} for good: make a new one when this is mended"),
    };
    error.clone().hint(hint)
}
