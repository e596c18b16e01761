//! Answers that members wait for: who waits, and what is ready.

use super::classic::{Joined, Synced};
use crate::broker::core::ConnectionId;
use crate::wire::Text;
use std::collections::BTreeMap;
use std::time::Instant;

/// Names an answer that is waited for; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::broker) struct Ticket(u64);

/// What a group has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) enum Answer {
    Join(Joined),
    Sync(Synced),
}

/// Tickets, and the answers to them.
#[derive(Debug, Default)]
pub(in crate::broker) struct Answers {
    next: u64,
    waiting: BTreeMap<Ticket, Waiter>,
    /// The time by which somebody looks at a group again.
    looks: BTreeMap<Text, Instant>,
    woken: Vec<ConnectionId>,
}

#[derive(Debug)]
struct Waiter {
    group: Text,
    connection: ConnectionId,
    answer: Option<Answer>,
}

impl Answers {
    pub(super) fn issue(&mut self, group: Text, connection: ConnectionId) -> Ticket {
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(ticket, Waiter { group, connection, answer: None });
        ticket
    }

    /// Has an answer ready. Where nobody waits for it any more it is nobody's.
    pub(super) fn give(&mut self, ticket: Ticket, answer: Answer) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            waiter.answer = Some(answer);
            self.woken.push(waiter.connection);
        }
    }

    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Answer> {
        let answer = self.waiting.get_mut(&ticket)?.answer.take()?;
        self.forget(ticket);
        Some(answer)
    }

    pub(super) fn forget(&mut self, ticket: Ticket) {
        let Some(Waiter { group, .. }) = self.waiting.remove(&ticket) else { return };
        // Perhaps it was the one who would have looked first.
        self.looks.remove(&group);
        self.woken.extend(self.another(&group));
    }

    /// Somebody will look at a group again when it is due.
    pub(super) fn will_look(&mut self, group: &Text, due: Option<Instant>) {
        match due {
            Some(due) => drop(self.looks.insert(group.clone(), due)),
            None => drop(self.looks.remove(group)),
        }
    }

    /// Has somebody look at a group again, if it is due earlier than when one of those who wait there will.
    pub(super) fn look_again(&mut self, group: &Text, due: Option<Instant>) {
        let Some(due) = due else { return };
        if self.looks.get(group).is_none_or(|looks| due < *looks) {
            self.woken.extend(self.another(group));
        }
    }

    /// One of those who wait at a group.
    fn another(&self, group: &Text) -> Option<ConnectionId> {
        let mut waiting = self.waiting.values();
        let waiter = waiting.find(|waiter| waiter.answer.is_none() && waiter.group == *group)?;
        Some(waiter.connection)
    }

    pub(super) fn wake_all(&mut self) {
        self.woken.extend(self.waiting.values().map(|waiter| waiter.connection));
    }

    pub(super) fn take_woken(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.woken)
    }
}
