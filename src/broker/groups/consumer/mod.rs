//! A group whose partitions the coordinator assigns: the protocol of KIP-848 (ConsumerGroupHeartbeat), as `GroupMetadataManager`
//! and `ConsumerGroup` of Kafka 4.3 have it.
//!
//! Whatever changes what members are to have raises the *group epoch*; the next heartbeat of anybody makes the *target
//! assignment* of that epoch (`target`). Each member then goes to it at its own pace: it gives back what it is to lose, and gets
//! what nobody else has any more (`member`), and when it has given back all its *member epoch* is that of the target.
//!
//! No partition is given to a member before the one that had it has said, by a heartbeat with what it owns, that it gave it
//! back, or is gone.
//!
//! Different from Kafka: regular expressions are matched at once, where Kafka does that aside and raises the epoch once more;
//! changes of topics are noticed by the next heartbeat; members of the classic protocol are not let in (online migration).

mod member;
mod pattern;
mod target;
#[cfg(test)]
mod tests;

pub(in crate::broker) use member::{Member, Partitions};
pub(in crate::broker) use pattern::Pattern;
pub(in crate::broker) use target::Assignor;

use super::Turn;
use crate::broker::state::Refused;
use crate::broker::topic::Topics;
use crate::messages::{ErrorCode, MemberEpoch};
use crate::wire::{Text, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What a group is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum State {
    /// It has no members.
    Empty,
    /// There is no target assignment of this epoch yet.
    Assigning,
    /// Members are on their way to theirs.
    Reconciling,
    /// All have what they are to have.
    Stable,
}

impl State {
    /// As ListGroups and ConsumerGroupDescribe have it.
    pub(in crate::broker) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Assigning => "Assigning",
            State::Reconciling => "Reconciling",
            State::Stable => "Stable",
        }
    }
}

/// What a member says; nothing is "as before".
#[derive(Debug, Clone, Default)]
pub(in crate::broker) struct Beat {
    pub(in crate::broker) member_id: Text,
    pub(in crate::broker) epoch: MemberEpoch,
    pub(in crate::broker) instance_id: Option<Text>,
    pub(in crate::broker) rack_id: Option<Text>,
    pub(in crate::broker) client_id: Text,
    pub(in crate::broker) client_host: Text,
    pub(in crate::broker) rebalance_timeout: Option<Duration>,
    pub(in crate::broker) topics: Option<Vec<Text>>,
    pub(in crate::broker) pattern: Option<Pattern>,
    pub(in crate::broker) assignor: Option<Assignor>,
    pub(in crate::broker) owned: Option<Partitions>,
}

/// What a member hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct Heard {
    pub(in crate::broker) member_id: Text,
    pub(in crate::broker) epoch: MemberEpoch,
    /// What it may own; nothing is "as before".
    pub(in crate::broker) assignment: Option<Partitions>,
}

/// A group of the protocol of KIP-848.
#[derive(Debug, Default)]
pub(in crate::broker) struct ConsumerGroup {
    epoch: i32,
    /// The group epoch that the target assignment is of.
    assignment_epoch: i32,
    assignor: Assignor,
    /// From when on there may be another target assignment.
    assign_from: Option<Instant>,
    members: BTreeMap<Text, Member>,
    /// Member ids of static members, by group instance id.
    instances: BTreeMap<Text, Text>,
    /// The topics that members are subscribed to, with their partitions, as of when that was last looked at.
    topics: BTreeMap<Uuid, usize>,
    /// What had become of the cluster's topics by then.
    topics_version: Option<(u64, usize)>,
}

impl ConsumerGroup {
    pub(in crate::broker) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(in crate::broker) fn assignment_epoch(&self) -> i32 {
        self.assignment_epoch
    }

    /// The assignor that made the target assignment.
    pub(in crate::broker) fn assignor(&self) -> Assignor {
        self.assignor
    }

    /// All members, by ascending member id.
    pub(in crate::broker) fn members(&self) -> impl Iterator<Item = (&Text, &Member)> {
        self.members.iter()
    }

    pub(in crate::broker) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(in crate::broker) fn state(&self) -> State {
        if self.members.is_empty() {
            State::Empty
        } else if self.epoch > self.assignment_epoch {
            State::Assigning
        } else if self.members.values().all(|member| member.is_reconciled_to(self.assignment_epoch)) {
            State::Stable
        } else {
            State::Reconciling
        }
    }

    /// Whether a member is subscribed to a topic, by name or expression.
    pub(in crate::broker) fn subscribes(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.subscribes(topic))
    }

    /// Takes in what a member says, and tells it what to own.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, FENCED_INSTANCE_ID, UNRELEASED_INSTANCE_ID, GROUP_MAX_SIZE_REACHED.
    pub(in crate::broker) fn heartbeat(
        &mut self,
        beat: Beat,
        topics: &Topics,
        turn: &mut Turn<'_>,
    ) -> Result<Heard, Refused> {
        let id = beat.member_id.clone();
        if !self.members.contains_key(&id) && self.members.len() >= turn.settings.max_size {
            let text = format!("The group has {} members, as many as it may have.", self.members.len());
            return Err(refuse(ErrorCode::GROUP_MAX_SIZE_REACHED, text));
        }
        self.admit(&beat, turn.now)?;
        let is_full = beat.epoch == MemberEpoch::JOIN
            || (beat.rebalance_timeout.is_some()
                && (beat.topics.is_some() || beat.pattern.is_some())
                && beat.owned.is_some());
        let owned = beat.owned.clone();
        let has_changed = self.members.get_mut(&id).is_some_and(|member| member.update(beat));
        self.follow_topics(topics, has_changed);
        if self.epoch > self.assignment_epoch && self.assign_from.is_none_or(|from| turn.now >= from) {
            self.assign(topics);
            self.assign_from = Some(crate::task::after(turn.now, turn.settings.consumer_assignment_interval));
        }
        let taken = self.taken_by_others(&id);
        let member = self.members.get_mut(&id).ok_or_else(|| unknown(&id))?;
        let before = member.assigned.clone();
        member.reconcile(self.assignment_epoch, &taken, topics, owned.as_ref(), has_changed, turn.now);
        member.expires = crate::task::after(turn.now, turn.settings.consumer_session_timeout);
        let tells = is_full || member.assigned != before;
        Ok(Heard {
            member_id: id,
            epoch: MemberEpoch(member.epoch),
            assignment: tells.then(|| member.assigned.clone()),
        })
    }

    /// Lets a member go, for good or, when static, to come back.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
    pub(in crate::broker) fn leave(&mut self, beat: &Beat) -> Result<Heard, Refused> {
        let id = &beat.member_id;
        if let Some(instance) = &beat.instance_id {
            self.check_instance(instance, id)?;
        }
        let member = self.members.get_mut(id).ok_or_else(|| unknown(id))?;
        if beat.epoch == MemberEpoch::LEAVE_STATIC {
            member.step_out();
        } else {
            self.remove(id);
        }
        Ok(Heard { member_id: id.clone(), epoch: beat.epoch, assignment: None })
    }

    /// Checks who commits offsets of partitions, all of which must be its own.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH.
    pub(in crate::broker) fn may_commit(
        &self,
        id: &Text,
        epoch: i32,
        partitions: &[(Uuid, i32)],
    ) -> Result<(), ErrorCode> {
        let member = self.members.get(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.may_commit(epoch, partitions) { Ok(()) } else { Err(ErrorCode::STALE_MEMBER_EPOCH) }
    }

    /// Checks who fetches offsets.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH.
    pub(in crate::broker) fn check_epoch(&self, id: &Text, epoch: i32) -> Result<(), ErrorCode> {
        let member = self.members.get(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.epoch == epoch { Ok(()) } else { Err(ErrorCode::STALE_MEMBER_EPOCH) }
    }

    /// Checks that a member is who it says it is, and lets it in if it is new.
    fn admit(&mut self, beat: &Beat, now: Instant) -> Result<(), Refused> {
        let id = &beat.member_id;
        let joins = beat.epoch == MemberEpoch::JOIN;
        if let Some(instance) = &beat.instance_id {
            match self.instances.get(instance).cloned() {
                Some(old) if joins => return self.replace_static(&old, id, instance),
                None if joins => {}
                _ => self.check_instance(instance, id)?,
            }
        }
        match self.members.get(id) {
            Some(member) => member.check_epoch(id, beat.epoch.0, beat.owned.as_ref())?,
            None if joins => drop(self.members.insert(id.detach(), Member::new(now))),
            None => return Err(unknown(id)),
        }
        if let (true, Some(instance)) = (joins, &beat.instance_id) {
            self.make_static(id, instance);
        }
        Ok(())
    }

    /// A member has a group instance id from now on, and no other one that it had before.
    fn make_static(&mut self, id: &Text, instance: &Text) {
        let Some(member) = self.members.get_mut(id) else { return };
        if let Some(before) = member.instance_id.replace(instance.detach()) {
            self.instances.remove(&before);
        }
        self.instances.insert(instance.detach(), id.detach());
    }

    /// A static member is back: as another process, or as the one that has said that it would be.
    fn replace_static(&mut self, old: &Text, id: &Text, instance: &Text) -> Result<(), Refused> {
        let member = self.members.get(old).ok_or_else(|| unknown(old))?;
        if member.epoch != MemberEpoch::LEAVE_STATIC.0 {
            let text =
                format!("Static member {id} with instance id {instance} cannot join: {old} has not left.");
            return Err(refuse(ErrorCode::UNRELEASED_INSTANCE_ID, text));
        }
        if old != id {
            // Who joins as somebody else is not who it was any more.
            self.remove(id);
        }
        if let Some(mut member) = self.members.remove(old) {
            member.come_back();
            self.members.insert(id.detach(), member);
        }
        self.instances.insert(instance.detach(), id.detach());
        Ok(())
    }

    fn check_instance(&self, instance: &Text, id: &Text) -> Result<(), Refused> {
        let owner = self.instances.get(instance).ok_or_else(|| {
            let text = format!("Instance id {instance} is unknown.");
            refuse(ErrorCode::UNKNOWN_MEMBER_ID, text)
        })?;
        if owner == id {
            return Ok(());
        }
        let text = format!("Static member {id} with instance id {instance} was fenced by member {owner}.");
        Err(refuse(ErrorCode::FENCED_INSTANCE_ID, text))
    }

    fn remove(&mut self, id: &Text) {
        let Some(member) = self.members.remove(id) else { return };
        if let Some(instance) = &member.instance_id {
            self.instances.remove(instance);
        }
        self.raise_epoch();
    }

    /// The first epoch of a group is 2, as it is since Kafka 4.3.
    fn raise_epoch(&mut self) {
        self.epoch = self.epoch.saturating_add(1).max(2);
    }

    /// What nobody but this member can be given.
    fn taken_by_others(&self, id: &Text) -> BTreeSet<(Uuid, i32)> {
        if self.members.get(id).is_some_and(|member| member.is_reconciled_to(self.assignment_epoch)) {
            // It wants nothing.
            return BTreeSet::new();
        }
        let others = self.members.iter().filter(|(other, _)| *other != id);
        others.flat_map(|(_, member)| member.holds()).collect()
    }

    /// When something is due next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.members.values().map(Member::deadline).min()
    }

    /// Does what is due by now: who has not been heard of for too long, or does not give back what it is to lose, is out.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_>) {
        while let Some(due) = self.deadline().filter(|due| *due <= turn.now) {
            let is_over = |member: &Member| member.deadline() <= due;
            let gone: Vec<Text> =
                self.members.iter().filter(|(_, member)| is_over(member)).map(|(id, _)| id.clone()).collect();
            gone.iter().for_each(|id| self.remove(id));
        }
    }

    /// Another broker coordinates the group from now on: everybody has as long as before.
    pub(super) fn relocate(&mut self, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            member.restart_timers(turn.now, turn.settings.consumer_session_timeout);
        }
    }
}

pub(super) fn refuse(code: ErrorCode, text: impl Into<String>) -> Refused {
    Refused { code, text: text.into() }
}

fn unknown(id: &Text) -> Refused {
    refuse(ErrorCode::UNKNOWN_MEMBER_ID, format!("Member {id} is not a member of the group."))
}
