//! What happens to all members when one comes, goes or changes its mind: everybody joins again, for the next generation.

use super::super::{Answer, Turn};
use super::{ClassicGroup, Member, State};
use crate::messages::ErrorCode;
use crate::wire::Text;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A group that nobody has joined again is looked at again after so long at least: its members may have asked for no time at all.
const MIN_PATIENCE: Duration = Duration::from_secs(1);

/// When a group goes on with those who have joined.
#[derive(Debug)]
pub(super) enum JoinTimer {
    /// The first members of a group wait for more, a delay at a time while more come.
    Initial { at: Instant, delay: Duration, remaining: Duration },
    /// Members may take so long to join again.
    Rebalance { at: Instant },
}

impl JoinTimer {
    pub(super) fn at(&self) -> Instant {
        match self {
            JoinTimer::Initial { at, .. } | JoinTimer::Rebalance { at } => *at,
        }
    }
}

impl ClassicGroup {
    pub(super) fn prepare_rebalance_or_complete_join(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::PreparingRebalance {
            self.maybe_complete_join(turn);
        } else {
            self.prepare_rebalance(turn);
        }
    }

    /// Has everybody join again.
    pub(super) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::CompletingRebalance {
            self.withdraw_assignments(turn);
        }
        self.pending_sync.clear();
        self.sync_until = None;
        self.is_initial = self.state == State::Empty;
        self.state = State::PreparingRebalance;
        if self.is_initial {
            let delay = turn.settings.initial_rebalance_delay;
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            let at = crate::task::after(turn.now, delay);
            self.join_timer = Some(JoinTimer::Initial { at, delay, remaining });
        } else if self.have_all_joined() {
            self.complete_join(turn);
        } else {
            self.wait_for_members(turn.now);
        }
    }

    /// Goes on if nobody is missing, but for the first members of a group, who wait for more.
    pub(super) fn maybe_complete_join(&mut self, turn: &mut Turn<'_>) {
        if !self.is_initial {
            self.complete_join_if_all_are_here(turn);
        }
    }

    pub(super) fn complete_join_if_all_are_here(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::PreparingRebalance && self.have_all_joined() {
            self.complete_join(turn);
        }
    }

    /// It was long enough.
    pub(super) fn end_of_joining(&mut self, turn: &mut Turn<'_>) {
        match self.join_timer.take() {
            Some(JoinTimer::Initial { delay, remaining, .. })
                if self.has_newcomers && !remaining.is_zero() =>
            {
                self.has_newcomers = false;
                let next = turn.settings.initial_rebalance_delay.min(remaining);
                let at = crate::task::after(turn.now, next);
                let remaining = remaining.saturating_sub(delay);
                // No delay at all is no reason to go on for ever.
                if next.is_zero() {
                    return self.complete_join(turn);
                }
                self.join_timer = Some(JoinTimer::Initial { at, delay: next, remaining });
            }
            _ => self.complete_join(turn),
        }
    }

    /// Begins the next generation with those who are here. Static members stay members until their session is over.
    fn complete_join(&mut self, turn: &mut Turn<'_>) {
        self.join_timer = None;
        let is_missing = |member: &Member| member.awaiting_join.is_none() && member.instance_id.is_none();
        let missing: Vec<Text> =
            self.members.iter().filter(|(_, member)| is_missing(member)).map(|(id, _)| id.clone()).collect();
        missing.iter().for_each(|id| self.remove(id, turn));
        if !self.elect_leader() && !self.members.is_empty() {
            // Only static members, of whom none is here: their sessions will decide.
            let at = crate::task::after(turn.now, self.rebalance_timeout().max(MIN_PATIENCE));
            self.join_timer = Some(JoinTimer::Rebalance { at });
            return;
        }
        self.generation = self.generation.wrapping_add(1).max(0);
        self.pending_sync.clear();
        (self.is_initial, self.has_newcomers) = (false, false);
        self.protocol = self.choose_protocol();
        if self.members.is_empty() {
            self.state = State::Empty;
            return;
        }
        self.state = State::CompletingRebalance;
        self.pending_sync = self.members.keys().cloned().collect();
        self.sync_until = Some(crate::task::after(turn.now, self.rebalance_timeout()));
        let all: Vec<Text> = self.members.keys().cloned().collect();
        for id in all {
            let joined = self.joined(&id, self.is_leader(&id));
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.extend_session(turn.now);
            member.is_new = false;
            if let Some(ticket) = member.awaiting_join.take() {
                turn.answers.give(ticket, Answer::Join(joined));
            }
        }
    }

    /// Goes on without those who have joined but do not ask for their assignment.
    pub(super) fn end_of_syncing(&mut self, turn: &mut Turn<'_>) {
        self.sync_until = None;
        let silent = std::mem::take(&mut self.pending_sync);
        silent.iter().for_each(|id| self.remove(id, turn));
        if !silent.is_empty() && matches!(self.state, State::CompletingRebalance | State::Stable) {
            self.prepare_rebalance(turn);
        }
    }

    /// Gives everybody as long as before, because somebody else coordinates now.
    pub(super) fn restart_timers(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::PreparingRebalance if self.members.is_empty() => self.complete_join(turn),
            State::PreparingRebalance => {
                self.is_initial = false;
                self.wait_for_members(turn.now);
            }
            State::CompletingRebalance => {
                self.sync_until = Some(crate::task::after(turn.now, self.rebalance_timeout()));
            }
            _ => {}
        }
    }

    fn wait_for_members(&mut self, now: Instant) {
        let at = crate::task::after(now, self.rebalance_timeout());
        self.join_timer = Some(JoinTimer::Rebalance { at });
    }

    fn withdraw_assignments(&mut self, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            member.assignment.clear();
            if let Some(ticket) = member.awaiting_sync.take() {
                let synced = super::Synced::refused(ErrorCode::REBALANCE_IN_PROGRESS);
                turn.answers.give(ticket, Answer::Sync(synced));
                member.extend_session(turn.now);
            }
        }
    }

    /// Whether there is a leader that has joined; if the old one has not, somebody else becomes it.
    fn elect_leader(&mut self) -> bool {
        let has_joined =
            |id: &&Text| self.members.get(*id).is_some_and(|member| member.awaiting_join.is_some());
        let next = self.leader.as_ref().filter(has_joined).or_else(|| self.members.keys().find(has_joined));
        let Some(next) = next.cloned() else { return false };
        self.leader = Some(next);
        true
    }

    /// The assignor that most members want of those that all can work with, the first by name of several.
    pub(super) fn choose_protocol(&self) -> Option<Text> {
        let shared = self.shared_protocols();
        let mut votes: BTreeMap<&Text, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(wanted) = member.protocols.iter().find(|protocol| shared.contains(&protocol.name)) {
                *votes.entry(&wanted.name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// The assignors that all members can work with.
    pub(super) fn shared_protocols(&self) -> BTreeSet<&Text> {
        let mut each = self.members.values().map(Member::protocol_names);
        let mut shared = each.next().unwrap_or_default();
        each.for_each(|own| shared.retain(|name| own.contains(name)));
        shared
    }

    fn have_all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.awaiting_join.is_some())
    }

    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }
}
