//! What to tell a person of what the coordinator has refused.

use crate::engine::group::Terms;
use crate::error::Error;
use crate::messages::ErrorCode;

/// What nobody can mend but a person.
pub(super) fn told(error: &Error, terms: &Terms) -> Error {
    let group = &terms.group;
    let hint = match error.code() {
        Some(ErrorCode::FENCED_INSTANCE_ID) => {
            let instance = terms.instance.as_deref().unwrap_or_default();
            format!(
                "another consumer of group {group} runs with group.instance.id={instance}; each one needs its own"
            )
        }
        Some(ErrorCode::INCONSISTENT_GROUP_PROTOCOL) => format!(
            "the members of group {group} share no assignor with this one, or use another group.protocol: compare partition.assignment.strategy"
        ),
        Some(ErrorCode::INVALID_SESSION_TIMEOUT) => format!(
            "session.timeout.ms={} is outside the broker's group.min.session.timeout.ms and group.max.session.timeout.ms",
            terms.session_timeout.as_millis()
        ),
        Some(ErrorCode::GROUP_MAX_SIZE_REACHED) => {
            format!("group {group} has the broker's group.max.size members")
        }
        Some(ErrorCode::GROUP_AUTHORIZATION_FAILED) => format!("the user may not READ group {group}"),
        _ => format!("the consumer is out of group {group} for good: make a new one when this is mended"),
    };
    error.clone().hint(hint)
}
