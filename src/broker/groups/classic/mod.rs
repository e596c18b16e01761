//! A group whose members assign partitions among themselves: the classic protocol (JoinGroup, SyncGroup, Heartbeat, LeaveGroup),
//! as `GroupMetadataManager` and `ClassicGroup` of Kafka 4.3 have it.
//!
//! ```text
//! Empty ─► PreparingRebalance (members join) ─► CompletingRebalance (the leader assigns) ─► Stable
//!   ▲             ▲     │ nobody is left                    │                                 │
//!   └─────────────┼─────┘                                   │ somebody joins or leaves        │
//!                 └─────────────────────────────────────────┴─────────────────────────────────┘
//! ```
//!
//! `join` is how members come in, `rebalance` what then happens to all of them, `sync` how they get their assignments,
//! `member` one of them; leaving, heartbeats and time are here.
//!
//! Different from Kafka: a group is never `Dead`, as it is deleted within one step, and a group without members is kept for
//! as long as there is room.

mod join;
mod member;
mod rebalance;
mod sync;
#[cfg(test)]
mod tests;

pub(in crate::broker) use join::{Join, Joined, JoinedMember, random_uuid};
pub(in crate::broker) use member::{Member, Protocol};
pub(in crate::broker) use sync::{Sync, Synced};

use super::{Answer, Turn};
use crate::messages::ErrorCode;
use crate::wire::Text;
use rebalance::JoinTimer;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The protocol type of consumers, whose subscriptions and assignments the coordinator can read.
pub(super) const CONSUMER: &str = "consumer";

/// What a group is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::broker) enum State {
    /// It has no members.
    #[default]
    Empty,
    /// Members are to join again.
    PreparingRebalance,
    /// All have joined; the leader is to say who gets what.
    CompletingRebalance,
    /// Everybody has an assignment, or can fetch it.
    Stable,
}

impl State {
    /// As ListGroups and DescribeGroups have it.
    pub(in crate::broker) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// A group of the classic protocol.
#[derive(Debug, Default)]
pub(in crate::broker) struct ClassicGroup {
    state: State,
    generation: i32,
    protocol_type: Option<Text>,
    /// The assignor that the members have agreed on.
    protocol: Option<Text>,
    leader: Option<Text>,
    members: BTreeMap<Text, Member>,
    /// Member ids of static members (KIP-345), by group instance id.
    instances: BTreeMap<Text, Text>,
    /// Member ids that were given out and have not joined yet (KIP-394), with the end of their patience.
    pending: BTreeMap<Text, Instant>,
    /// Members that have not asked for their assignment yet.
    pending_sync: BTreeSet<Text>,
    /// When the group goes on without those who have not joined.
    join_timer: Option<JoinTimer>,
    /// When it goes on without those who have not asked for their assignment.
    sync_until: Option<Instant>,
    /// Whether members are the first of an empty group.
    is_initial: bool,
    /// Whether somebody joined since the first of them were last waited for.
    has_newcomers: bool,
}

impl ClassicGroup {
    pub(in crate::broker) fn state(&self) -> State {
        self.state
    }

    /// What its members are, `consumer` for consumers; nothing before somebody has joined.
    pub(in crate::broker) fn protocol_type(&self) -> Option<&Text> {
        self.protocol_type.as_ref()
    }

    /// The assignor that the members have agreed on.
    pub(in crate::broker) fn protocol(&self) -> Option<&Text> {
        self.protocol.as_ref()
    }

    /// All members, by ascending member id.
    pub(in crate::broker) fn members(&self) -> impl Iterator<Item = (&Text, &Member)> {
        self.members.iter()
    }

    pub(in crate::broker) fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    /// Whether its members are consumers.
    pub(in crate::broker) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_ref().is_some_and(|kind| kind.as_str() == CONSUMER)
    }

    /// Takes note that a member is alive.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS.
    pub(in crate::broker) fn heartbeat(
        &mut self,
        id: &Text,
        instance: Option<&Text>,
        generation: i32,
        turn: &Turn<'_>,
    ) -> Result<(), ErrorCode> {
        self.validate(id, instance)?;
        if generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        self.extend_session(id, turn.now);
        if self.state == State::PreparingRebalance { Err(ErrorCode::REBALANCE_IN_PROGRESS) } else { Ok(()) }
    }

    /// Lets members go, each by member id, by group instance id, or by both; what became of each.
    pub(in crate::broker) fn leave(
        &mut self,
        leaving: &[(Text, Option<Text>)],
        turn: &mut Turn<'_>,
    ) -> Vec<ErrorCode> {
        let remove_one = |(id, instance): &(Text, Option<Text>)| {
            self.leave_one(id, instance.as_ref(), turn).err().unwrap_or_default()
        };
        let codes: Vec<ErrorCode> = leaving.iter().map(remove_one).collect();
        if codes.iter().any(|code| code.is_none()) {
            match self.state {
                State::Stable | State::CompletingRebalance => self.prepare_rebalance(turn),
                State::PreparingRebalance => self.maybe_complete_join(turn),
                State::Empty => {}
            }
        }
        codes
    }

    fn leave_one(
        &mut self,
        id: &Text,
        instance: Option<&Text>,
        turn: &mut Turn<'_>,
    ) -> Result<(), ErrorCode> {
        if id.is_empty() {
            // An administrator removes a static member without knowing its member id.
            let instance = instance.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            let id = self.instances.get(instance).cloned().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            self.remove(&id, turn);
            return Ok(());
        }
        if !self.pending.contains_key(id) {
            self.validate(id, instance)?;
        }
        self.remove(id, turn);
        Ok(())
    }

    /// Checks who commits offsets, and takes note that it is alive.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS.
    pub(in crate::broker) fn may_commit(
        &mut self,
        id: &Text,
        instance: Option<&Text>,
        generation: i32,
        turn: &Turn<'_>,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.state == State::Empty {
            // Somebody who is no member: a tool, or a consumer that assigns itself.
            return Ok(());
        }
        if generation >= 0 || !id.is_empty() || instance.is_some() {
            self.validate(id, instance)?;
            if generation != self.generation {
                return Err(ErrorCode::ILLEGAL_GENERATION);
            }
        } else {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.extend_session(id, turn.now);
        Ok(())
    }

    /// Checks who commits offsets as part of a transaction; who says nothing of itself is not asked.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION.
    pub(in crate::broker) fn may_commit_in_transaction(
        &self,
        id: &Text,
        instance: Option<&Text>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        self.validate(id, instance)?;
        if generation == self.generation { Ok(()) } else { Err(ErrorCode::ILLEGAL_GENERATION) }
    }

    /// Whether members have subscribed to a topic, as far as that can be told: only consumers say so in a way that the
    /// coordinator can read.
    pub(in crate::broker) fn subscribes(&self, topic: &str) -> bool {
        self.is_of_consumers()
            && self.members.values().any(|member| member.subscribes(self.protocol.as_ref(), topic))
    }

    /// Checks that a member is one, and is who it says it is.
    fn validate(&self, id: &Text, instance: Option<&Text>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            let owner = self.instances.get(instance).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            if owner != id {
                return Err(ErrorCode::FENCED_INSTANCE_ID);
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    fn is_leader(&self, id: &Text) -> bool {
        self.leader.as_ref() == Some(id)
    }

    fn extend_session(&mut self, id: &Text, now: Instant) {
        if let Some(member) = self.members.get_mut(id) {
            member.extend_session(now);
        }
    }

    /// Takes a member out, or an id that nobody has joined with. If it waits to be let in it is told that it is unknown.
    fn remove(&mut self, id: &Text, turn: &mut Turn<'_>) {
        if let Some(member) = self.members.remove(id) {
            if let Some(ticket) = member.awaiting_join {
                let refused = Joined::refused(&Text::default(), ErrorCode::UNKNOWN_MEMBER_ID);
                turn.answers.give(ticket, Answer::Join(refused));
            }
            if let Some(ticket) = member.awaiting_sync {
                turn.answers.give(ticket, Answer::Sync(Synced::refused(ErrorCode::UNKNOWN_MEMBER_ID)));
            }
            if let Some(instance) = &member.instance_id {
                self.instances.remove(instance);
            }
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending.remove(id);
        self.pending_sync.remove(id);
    }

    /// When something is due next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let sessions = self.members.values().filter_map(|member| member.expires);
        let pending = self.pending.values().copied();
        let timers = self.join_timer.as_ref().map(JoinTimer::at).into_iter().chain(self.sync_until);
        sessions.chain(pending).chain(timers).min()
    }

    /// Does what is due by now.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_>) {
        while let Some(due) = self.deadline().filter(|due| *due <= turn.now) {
            let turn = &mut turn.at(due);
            if self.join_timer.as_ref().is_some_and(|timer| timer.at() <= due) {
                self.end_of_joining(turn);
            } else if self.sync_until.is_some_and(|until| until <= due) {
                self.end_of_syncing(turn);
            } else {
                self.end_sessions(turn);
            }
        }
    }

    /// Lets go who has not been heard of for too long; who waits for the group is not to blame, and gets a new session with its
    /// answer.
    fn end_sessions(&mut self, turn: &mut Turn<'_>) {
        let is_over = |until: &Instant| *until <= turn.now;
        let pending: Vec<Text> =
            self.pending.iter().filter(|(_, until)| is_over(until)).map(|(id, _)| id.clone()).collect();
        let members: Vec<Text> = self
            .members
            .iter()
            .filter(|(_, member)| member.expires.as_ref().is_some_and(is_over))
            .map(|(id, _)| id.clone())
            .collect();
        for id in pending {
            self.remove(&id, turn);
            self.complete_join_if_all_are_here(turn);
        }
        for id in members {
            let Some(member) = self.members.get_mut(&id) else { continue };
            if member.is_waiting() && !member.is_new {
                member.expires = None;
                continue;
            }
            self.remove(&id, turn);
            match self.state {
                State::Stable | State::CompletingRebalance => self.prepare_rebalance(turn),
                _ => self.complete_join_if_all_are_here(turn),
            }
        }
    }

    /// Another broker coordinates the group from now on: sessions begin anew, and nobody waits for an answer any more.
    pub(super) fn relocate(&mut self, turn: &mut Turn<'_>) {
        self.pending.clear();
        for (id, member) in &mut self.members {
            if let Some(ticket) = member.awaiting_join.take() {
                turn.answers.give(ticket, Answer::Join(Joined::refused(id, ErrorCode::NOT_COORDINATOR)));
            }
            if let Some(ticket) = member.awaiting_sync.take() {
                turn.answers.give(ticket, Answer::Sync(Synced::refused(ErrorCode::NOT_COORDINATOR)));
                self.pending_sync.insert(id.clone());
            }
            member.extend_session(turn.now);
        }
        // Who had not been let in yet is in no log.
        let unknown: Vec<Text> =
            self.members.iter().filter(|(_, member)| member.is_new).map(|(id, _)| id.clone()).collect();
        unknown.iter().for_each(|id| self.remove(id, turn));
        self.restart_timers(turn);
    }
}
