//! A member of a consumer group, and its way to what it is to have (`CurrentAssignmentBuilder`).
//!
//! ```text
//!            has to give something back                 something is not free yet
//! Unrevoked ◄────────────────────────── Stable ──────────────────────────────────► Unreleased
//!     │                                   ▲ ▲                                           │
//!     └───────────────────────────────────┘ └───────────────────────────────────────────┘
//!        has said that it gave it back                 whoever had it gave it back
//! ```

use super::{Assignor, Beat, Pattern, refuse};
use crate::broker::state::Refused;
use crate::broker::topic::Topics;
use crate::messages::{ErrorCode, MemberEpoch};
use crate::wire::{Text, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a member may take to give partitions back that does not say.
const DEFAULT_REBALANCE_TIMEOUT: Duration = Duration::from_secs(300);

/// Partitions by topic id.
pub(in crate::broker) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// How far a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Where it was to go.
    Stable,
    /// It has not given everything back.
    Unrevoked,
    /// Others have not given everything back that is to be its own.
    Unreleased,
}

/// A member.
#[derive(Debug)]
pub(in crate::broker) struct Member {
    pub(in crate::broker) instance_id: Option<Text>,
    pub(in crate::broker) rack_id: Option<Text>,
    pub(in crate::broker) client_id: Text,
    pub(in crate::broker) client_host: Text,
    /// The topics that it names.
    pub(in crate::broker) topics: BTreeSet<Text>,
    pattern: Option<Pattern>,
    pub(super) assignor: Option<Assignor>,
    pub(in crate::broker) epoch: i32,
    /// The one before: the answer that told the new one may have been lost.
    previous_epoch: i32,
    progress: Progress,
    /// What it has, or may take.
    pub(in crate::broker) assigned: Partitions,
    /// What it has to give back.
    revoking: Partitions,
    /// For each partition of both the epoch in which it was assigned.
    assigned_in: BTreeMap<(Uuid, i32), i32>,
    /// What it is to have.
    pub(in crate::broker) target: Partitions,
    rebalance_timeout: Duration,
    /// By when it has to give back.
    revoke_until: Option<Instant>,
    /// When it counts as gone, unless it is heard of.
    pub(super) expires: Instant,
}

impl Member {
    pub(super) fn new(now: Instant) -> Member {
        Member {
            instance_id: None,
            rack_id: None,
            client_id: Text::default(),
            client_host: Text::default(),
            topics: BTreeSet::new(),
            pattern: None,
            assignor: None,
            epoch: 0,
            previous_epoch: -1,
            progress: Progress::Stable,
            assigned: Partitions::new(),
            revoking: Partitions::new(),
            assigned_in: BTreeMap::new(),
            target: Partitions::new(),
            rebalance_timeout: DEFAULT_REBALANCE_TIMEOUT,
            revoke_until: None,
            expires: now,
        }
    }

    /// The regular expression of its subscription.
    pub(in crate::broker) fn pattern(&self) -> Option<&Text> {
        self.pattern.as_ref().map(Pattern::text).filter(|text| !text.is_empty())
    }

    pub(super) fn subscribes(&self, topic: &str) -> bool {
        self.topics.contains(topic.as_bytes())
            || self.pattern.as_ref().is_some_and(|pattern| pattern.matches(topic))
    }

    /// Takes in what it says; whether it subscribes to something else.
    pub(super) fn update(&mut self, beat: Beat) -> bool {
        (self.client_id, self.client_host) = (beat.client_id, beat.client_host);
        self.rack_id = beat.rack_id.or(self.rack_id.take());
        self.assignor = beat.assignor.or(self.assignor);
        self.rebalance_timeout = beat.rebalance_timeout.unwrap_or(self.rebalance_timeout);
        let topics = beat.topics.map(BTreeSet::from_iter).filter(|topics| *topics != self.topics);
        let known = self.pattern().cloned().unwrap_or_default();
        let pattern = beat.pattern.filter(|pattern| *pattern.text() != known);
        let has_changed = topics.is_some() || pattern.is_some();
        self.topics = topics.unwrap_or_else(|| std::mem::take(&mut self.topics));
        self.pattern = pattern.or(self.pattern.take());
        has_changed
    }

    /// Whether what it says is of now, or of just before in a way that does no harm.
    pub(super) fn check_epoch(
        &self,
        id: &Text,
        said: i32,
        owned: Option<&Partitions>,
    ) -> Result<(), Refused> {
        let is_harmless = || {
            let owns_no_more = owned.is_some_and(|owned| is_subset(owned, &self.assigned));
            said == self.previous_epoch && owns_no_more
        };
        // Who joins anew has forgotten what it was.
        if said == 0 || said == self.epoch || (said < self.epoch && is_harmless()) {
            return Ok(());
        }
        let compared = if said > self.epoch { "greater" } else { "smaller" };
        let text = format!(
            "Member {id} has the epoch {said}, which is {compared} than the {} that the coordinator knows. \
             It must abandon all its partitions and rejoin.",
            self.epoch
        );
        Err(refuse(ErrorCode::FENCED_MEMBER_EPOCH, text))
    }

    /// Whether it may commit for partitions in an epoch that it says. A commit may be on its way while a heartbeat tells it the
    /// next one: an older epoch will do for what it had then (KIP-1251).
    pub(super) fn may_commit(&self, said: i32, partitions: &[(Uuid, i32)]) -> bool {
        let had = |partition| self.assigned_in.get(partition).is_some_and(|assigned_in| *assigned_in <= said);
        said == self.epoch || (said < self.epoch && partitions.iter().all(had))
    }

    pub(super) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.progress == Progress::Stable && self.epoch == epoch
    }

    /// Everything that nobody else can be given.
    pub(super) fn holds(&self) -> impl Iterator<Item = (Uuid, i32)> {
        let both = self.assigned.iter().chain(&self.revoking);
        both.flat_map(|(topic, partitions)| partitions.iter().map(|partition| (*topic, *partition)))
    }

    /// Goes as far towards the target of an epoch as it can. `owned` is what it says that it owns; `taken` is others'.
    pub(super) fn reconcile(
        &mut self,
        epoch: i32,
        taken: &BTreeSet<(Uuid, i32)>,
        topics: &Topics,
        owned: Option<&Partitions>,
        has_resubscribed: bool,
        now: Instant,
    ) {
        match self.progress {
            Progress::Stable if self.epoch != epoch => {}
            Progress::Unrevoked if !owns_any(owned, &self.revoking) => {}
            Progress::Unreleased => {}
            // There is nothing to go to, or not yet. But what it does not want any more it gives back, with the rest.
            _ if has_resubscribed => return self.give_back_unwanted(topics, owned, now),
            _ => return,
        }
        let target: Partitions = self
            .target
            .iter()
            .filter(|(id, _)| self.wants(topics, id))
            .map(|(id, p)| (*id, p.clone()))
            .collect();
        let lost = split_off(&mut self.assigned, |topic, partition| !has(&target, topic, partition));
        if !lost.is_empty() && owns_any(owned, &lost) {
            self.progress = Progress::Unrevoked;
            self.revoking = lost;
            self.revoke_until = Some(crate::task::after(now, self.rebalance_timeout));
            return;
        }
        self.revoking.clear();
        self.revoke_until = None;
        self.assigned_in.retain(|(topic, partition), _| has(&self.assigned, topic, *partition));
        let mut has_to_wait = false;
        for (topic, partitions) in &target {
            let free = partitions.iter().filter(|partition| !taken.contains(&(*topic, **partition)));
            let own: BTreeSet<i32> = free.copied().collect();
            has_to_wait |= own.len() < partitions.len();
            for partition in &own {
                self.assigned_in.entry((*topic, *partition)).or_insert(epoch);
            }
            if !own.is_empty() {
                self.assigned.insert(*topic, own);
            }
        }
        self.progress = if has_to_wait { Progress::Unreleased } else { Progress::Stable };
        if self.epoch != epoch {
            (self.previous_epoch, self.epoch) = (self.epoch, epoch);
        }
    }

    fn give_back_unwanted(&mut self, topics: &Topics, owned: Option<&Partitions>, now: Instant) {
        let wanted: BTreeSet<Uuid> =
            self.assigned.keys().filter(|id| self.wants(topics, id)).copied().collect();
        add(&mut self.revoking, split_off(&mut self.assigned, |topic, _| !wanted.contains(topic)));
        if owns_any(owned, &self.revoking) {
            self.progress = Progress::Unrevoked;
            let until = crate::task::after(now, self.rebalance_timeout);
            self.revoke_until.get_or_insert(until);
        } else {
            self.revoking.clear();
        }
    }

    /// A static member goes, and will come back: what it has waits for it.
    pub(super) fn step_out(&mut self) {
        (self.previous_epoch, self.epoch) = (self.epoch, MemberEpoch::LEAVE_STATIC.0);
        self.assigned_in.values_mut().for_each(|assigned_in| *assigned_in = 0);
        self.revoking.clear();
        self.revoke_until = None;
        self.progress = Progress::Stable;
    }

    /// It is back.
    pub(super) fn come_back(&mut self) {
        (self.previous_epoch, self.epoch) = (0, 0);
    }

    /// When it is out, unless it says something.
    pub(super) fn deadline(&self) -> Instant {
        self.revoke_until.map_or(self.expires, |until| until.min(self.expires))
    }

    pub(super) fn restart_timers(&mut self, now: Instant, session_timeout: Duration) {
        self.expires = crate::task::after(now, session_timeout);
        if let Some(until) = &mut self.revoke_until {
            *until = crate::task::after(now, self.rebalance_timeout);
        }
    }

    fn wants(&self, topics: &Topics, id: &Uuid) -> bool {
        topics.name_of(id).is_some_and(|name| self.subscribes(name))
    }
}

fn has(partitions: &Partitions, topic: &Uuid, partition: i32) -> bool {
    partitions.get(topic).is_some_and(|own| own.contains(&partition))
}

/// Who does not say what it owns may own anything.
fn owns_any(owned: Option<&Partitions>, of: &Partitions) -> bool {
    let Some(owned) = owned else { return !of.is_empty() };
    owned.iter().any(|(topic, partitions)| partitions.iter().any(|partition| has(of, topic, *partition)))
}

fn is_subset(inner: &Partitions, outer: &Partitions) -> bool {
    inner.iter().all(|(topic, partitions)| partitions.iter().all(|partition| has(outer, topic, *partition)))
}

/// Takes out those that are meant.
fn split_off(partitions: &mut Partitions, is_meant: impl Fn(&Uuid, i32) -> bool) -> Partitions {
    let mut out = Partitions::new();
    for (topic, own) in partitions.iter_mut() {
        let meant: BTreeSet<i32> =
            own.iter().copied().filter(|partition| is_meant(topic, *partition)).collect();
        if !meant.is_empty() {
            own.retain(|partition| !meant.contains(partition));
            out.insert(*topic, meant);
        }
    }
    partitions.retain(|_, own| !own.is_empty());
    out
}

fn add(partitions: &mut Partitions, more: Partitions) {
    for (topic, own) in more {
        partitions.entry(topic).or_default().extend(own);
    }
}
