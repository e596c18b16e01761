//! Consumer groups and their offsets: what a group coordinator knows.
//!
//! [`classic`] is a group whose members assign partitions among themselves, [`consumer`] one whose coordinator does that
//! (KIP-848), `offsets` what a group has committed. All of it is
//! plain state: a request and the time go in, an answer comes out, or a [`Ticket`] for one that other members have to be waited
//! for.
//!
//! Time has no thread of its own. What is due by now (sessions that are over, rebalances that have waited long enough) is done
//! before anything else is looked at, each at its own time and in its order; so a group does what it would have done with timers,
//! and the same calls give the same group. Who waits for an answer waits until [`Groups::deadline`] at the most, to look again.
//!
//! A group has the one coordinator that FindCoordinator tells; [`Groups::enter`] notices that it is another than before. As
//! `__consumer_offsets` is replicated in Kafka, the new one knows what the old one did: members, generations, assignments and
//! offsets. Sessions begin anew, and answers that were waited for come from nobody.

mod answers;
pub(super) mod classic;
pub(super) mod consumer;
pub(super) mod offsets;

pub(super) use answers::{Answer, Answers, Ticket};

use classic::ClassicGroup;
use consumer::ConsumerGroup;
use offsets::Offsets;

use super::core::ConnectionId;
use crate::messages::{BrokerId, ErrorCode};
use crate::wire::Text;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Groups of a cluster; Kafka has no limit, but requests must not be able to fill the memory.
const MAX_GROUPS: usize = 100_000;

/// What holds for all groups.
#[derive(Debug, Clone)]
pub(super) struct GroupSettings {
    /// How long the first members of a group wait for others (`group.initial.rebalance.delay.ms`).
    pub(super) initial_rebalance_delay: Duration,
    /// The shortest session time-out that a member may have (`group.min.session.timeout.ms`).
    pub(super) min_session_timeout: Duration,
    /// The longest (`group.max.session.timeout.ms`).
    pub(super) max_session_timeout: Duration,
    /// Members of a group (`group.max.size`, `group.consumer.max.size`).
    pub(super) max_size: usize,
    /// How long a member of the protocol of KIP-848 may be silent (`group.consumer.session.timeout.ms`).
    pub(super) consumer_session_timeout: Duration,
    /// How long a target assignment stands at least (`group.consumer.assignment.interval.ms`).
    pub(super) consumer_assignment_interval: Duration,
    /// How often members of it are to be heard of (`group.consumer.heartbeat.interval.ms`).
    pub(super) consumer_heartbeat_interval: Duration,
}

impl Default for GroupSettings {
    fn default() -> GroupSettings {
        GroupSettings {
            initial_rebalance_delay: Duration::ZERO,
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(1800),
            max_size: 10_000,
            consumer_session_timeout: Duration::from_secs(45),
            consumer_assignment_interval: Duration::ZERO,
            consumer_heartbeat_interval: Duration::from_secs(5),
        }
    }
}

/// What a group is given for one step.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) settings: &'a GroupSettings,
    pub(super) answers: &'a mut Answers,
    pub(super) rng: &'a mut fastrand::Rng,
}

impl Turn<'_> {
    /// The same at another time: when something was due.
    fn at(&mut self, due: Instant) -> Turn<'_> {
        Turn { now: due, settings: self.settings, answers: self.answers, rng: self.rng }
    }
}

/// The groups of a cluster.
#[derive(Debug, Default)]
pub(super) struct Groups {
    settings: GroupSettings,
    groups: BTreeMap<Text, Group>,
    answers: Answers,
}

/// A group, whichever protocol its members speak.
#[derive(Debug)]
pub(super) struct Group {
    /// Who coordinated it when it was last looked at.
    coordinator: BrokerId,
    pub(super) members: Members,
    pub(super) offsets: Offsets,
}

/// The members of a group, by protocol.
#[derive(Debug)]
pub(super) enum Members {
    Classic(ClassicGroup),
    Consumer(ConsumerGroup),
}

impl Group {
    /// Makes it one of the classic protocol, if it has no members.
    pub(super) fn become_classic(&mut self) {
        if matches!(&self.members, Members::Consumer(members) if members.is_empty()) {
            self.members = Members::Classic(ClassicGroup::default());
        }
    }

    /// Makes it one of the protocol of KIP-848, if it has no members.
    pub(super) fn become_consumer(&mut self) {
        if matches!(&self.members, Members::Classic(members) if members.is_empty()) {
            self.members = Members::Consumer(ConsumerGroup::default());
        }
    }
}

impl Groups {
    pub(super) fn new(settings: GroupSettings) -> Groups {
        Groups { settings, ..Groups::default() }
    }

    /// Lets a group do what is due, and notice that it is coordinated by another broker, if it is.
    pub(super) fn enter(&mut self, id: &Text, coordinator: BrokerId, now: Instant, rng: &mut fastrand::Rng) {
        let Groups { settings, groups, answers } = self;
        let Some(group) = groups.get_mut(id) else { return };
        let mut turn = Turn { now, settings, answers, rng };
        if group.coordinator == coordinator {
            group.members.advance(&mut turn);
        } else {
            group.coordinator = coordinator;
            group.members.relocate(&mut turn);
        }
    }

    /// A group, if there is one; [`enter`](Groups::enter) comes first.
    pub(super) fn get(&self, id: &Text) -> Option<&Group> {
        self.groups.get(id)
    }

    /// The same, to be changed by other means than members' requests.
    pub(super) fn get_mut(&mut self, id: &Text) -> Option<&mut Group> {
        self.groups.get_mut(id)
    }

    /// All groups there are, by ascending id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Text, &Group)> {
        self.groups.iter()
    }

    /// A group, made if there is none.
    ///
    /// # Errors
    /// POLICY_VIOLATION when there are too many.
    pub(super) fn get_or_create(
        &mut self,
        id: &Text,
        coordinator: BrokerId,
    ) -> Result<&mut Group, ErrorCode> {
        if !self.groups.contains_key(id) {
            self.make_room()?;
        }
        let create = || Group {
            coordinator,
            members: Members::Classic(ClassicGroup::default()),
            offsets: Offsets::default(),
        };
        Ok(self.groups.entry(id.detach()).or_insert_with(create))
    }

    /// Deletes a group with its offsets.
    pub(super) fn remove(&mut self, id: &Text) -> Option<Group> {
        self.groups.remove(id)
    }

    /// Works with a group and what it needs, lets it do what is due by then, and wakes those who have to look again.
    pub(super) fn with<T>(
        &mut self,
        id: &Text,
        now: Instant,
        rng: &mut fastrand::Rng,
        work: impl FnOnce(&mut Group, &mut Turn<'_>) -> T,
    ) -> Option<T> {
        let Groups { settings, groups, answers } = self;
        let group = groups.get_mut(id)?;
        let mut turn = Turn { now, settings, answers, rng };
        let result = work(group, &mut turn);
        group.members.advance(&mut turn);
        answers.look_again(id, group.members.deadline());
        Some(result)
    }

    /// A ticket for a call of a connection to a group.
    pub(super) fn issue(&mut self, group: &Text, connection: ConnectionId) -> Ticket {
        self.answers.issue(group.detach(), connection)
    }

    /// The answer to a ticket, if it is there.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Answer> {
        self.answers.take(ticket)
    }

    /// Nobody waits for the answer to a ticket any more.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.answers.forget(ticket);
    }

    /// When something is due in a group. Whoever asks comes back by then.
    pub(super) fn deadline(&mut self, id: &Text) -> Option<Instant> {
        let due = self.groups.get(id)?.members.deadline();
        self.answers.will_look(id, due);
        due
    }

    /// Brokers have come or gone. What is another one's now is lost sight of, even if it comes back before anybody asks; and
    /// whoever waits at a coordinator asks whether it still is one.
    pub(super) fn brokers_changed(&mut self, coordinator: impl Fn(&str) -> Option<BrokerId>) {
        let moved = |(id, group): &(&Text, &mut Group)| coordinator(id) != Some(group.coordinator);
        for (_, group) in self.groups.iter_mut().filter(moved) {
            group.coordinator = BrokerId::NONE;
        }
        self.answers.wake_all();
    }

    /// A topic is deleted, and what was committed of it with it.
    pub(super) fn forget_topic(&mut self, topic: &[u8]) {
        self.groups.values_mut().for_each(|group| group.offsets.forget_topic(topic));
    }

    /// Connections whose parked call is worth a look.
    pub(super) fn take_woken(&mut self) -> Vec<ConnectionId> {
        self.answers.take_woken()
    }

    /// Room for another group; one with no members and nothing committed is no loss.
    fn make_room(&mut self) -> Result<(), ErrorCode> {
        if self.groups.len() < MAX_GROUPS {
            return Ok(());
        }
        let is_idle = |group: &Group| group.members.is_empty() && group.offsets.is_empty();
        let idle = self.groups.iter().find(|(_, group)| is_idle(group)).map(|(id, _)| id.clone());
        idle.and_then(|id| self.groups.remove(&id)).map(drop).ok_or(ErrorCode::POLICY_VIOLATION)
    }
}

impl Members {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Members::Classic(group) => group.is_empty(),
            Members::Consumer(group) => group.is_empty(),
        }
    }

    /// What they are, `consumer` for consumers; empty before somebody has joined.
    pub(super) fn protocol_type(&self) -> Text {
        match self {
            Members::Classic(group) => group.protocol_type().cloned().unwrap_or_default(),
            Members::Consumer(_) => Text::from_static(classic::CONSUMER),
        }
    }

    /// What the group is at, as ListGroups has it.
    pub(super) fn state_name(&self) -> &'static str {
        match self {
            Members::Classic(group) => group.state().name(),
            Members::Consumer(group) => group.state().name(),
        }
    }

    /// Which protocol they speak, as ListGroups has it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Members::Classic(_) => "classic",
            Members::Consumer(_) => "consumer",
        }
    }

    /// Whether they are consumers, or there are none.
    pub(super) fn are_consumers(&self) -> bool {
        match self {
            Members::Classic(group) => group.is_empty() || group.is_of_consumers(),
            Members::Consumer(_) => true,
        }
    }

    /// Whether any of them is subscribed to a topic.
    pub(super) fn subscribe_to(&self, topic: &str) -> bool {
        match self {
            Members::Classic(group) => group.subscribes(topic),
            Members::Consumer(group) => group.subscribes(topic),
        }
    }

    fn advance(&mut self, turn: &mut Turn<'_>) {
        match self {
            Members::Classic(group) => group.advance(turn),
            Members::Consumer(group) => group.advance(turn),
        }
    }

    fn relocate(&mut self, turn: &mut Turn<'_>) {
        match self {
            Members::Classic(group) => group.relocate(turn),
            Members::Consumer(group) => group.relocate(turn),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Members::Classic(group) => group.deadline(),
            Members::Consumer(group) => group.deadline(),
        }
    }
}
