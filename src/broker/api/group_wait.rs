//! [`GroupWait`]: a member's call that other members have to be waited for, JoinGroup or SyncGroup.

use super::{Outcome, join_group, sync_group};
use crate::broker::core::{Context, Step};
use crate::broker::groups::{Answer, Ticket};
use crate::broker::state::{Now, State};
use crate::messages::AnyResponse;
use crate::wire::Text;
use std::time::{Duration, Instant};

/// A client that has gone away without a word is found out when it is answered; a group in which nothing is due has nothing to say.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// Waits for a group.
#[derive(Debug)]
pub(in crate::broker) struct GroupWait {
    version: i16,
    group: Text,
    ticket: Ticket,
    until: Instant,
}

impl GroupWait {
    /// Answers a call, or has it wait.
    pub(super) fn begin(state: &mut State, context: Context<'_>, group: &Text, ticket: Ticket) -> Outcome {
        let wait =
            GroupWait { version: context.version, group: group.detach(), ticket, until: context.now.at };
        match wait.attempt(state, context.now) {
            Ok(response) => Outcome::Done(Step::respond(response)),
            Err(wait) => Outcome::Waiting(wait),
        }
    }

    /// When to look again.
    pub(in crate::broker) fn until(&self) -> Instant {
        self.until
    }

    /// Looks again.
    pub(in crate::broker) fn resume(self, state: &mut State, now: Now) -> Result<AnyResponse, GroupWait> {
        // Where that is not this broker any more, the group says so to all who wait.
        if let Some(coordinator) = state.coordinator(&self.group) {
            state.groups.enter(&self.group, coordinator, now.at, &mut state.rng);
        }
        self.attempt(state, now)
    }

    /// Nobody waits any more.
    pub(in crate::broker) fn forget(&self, state: &mut State) {
        state.groups.forget(self.ticket);
    }

    fn attempt(mut self, state: &mut State, now: Now) -> Result<AnyResponse, GroupWait> {
        if let Some(answer) = state.groups.take(self.ticket) {
            return Ok(self.respond(answer));
        }
        let most = crate::task::after(now.at, MAX_WAIT);
        self.until = state.groups.deadline(&self.group).map_or(most, |due| due.min(most));
        Err(self)
    }

    fn respond(&self, answer: Answer) -> AnyResponse {
        match answer {
            Answer::Join(joined) => join_group::answer(joined, self.version).into(),
            Answer::Sync(synced) => sync_group::answer(synced).into(),
        }
    }
}
