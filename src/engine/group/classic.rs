//! [`Classic`]: a member of a group of the classic protocol, as Java's ConsumerCoordinator.
//!
//! ```text
//!            JoinGroup            leader: assign          SyncGroup
//!   Outside ──────────► Joining ────────────────► Syncing ─────────► Inside ──► revoke, assign
//!      ▲                                                               │
//!      └──────── REBALANCE_IN_PROGRESS, new topics, faults ◄───────────┘
//! ```
//!
//! Eager assignors: everything is given back before JoinGroup is sent. Cooperative ones: members keep what they have, and
//! who had to give something back joins again, so that it is given to its new owner in the next round (KIP-429). It is the
//! cooperative way only if all assignors of the member know it, as in Java.

mod advice;
mod blobs;

use self::blobs::{Claims, Remembered};
use super::{
    Answer, Effects, Goodbye, Identity, Request, Step, Subscription, Terms, Trouble, after, millis, trouble,
};
use crate::engine::TopicPartition;
use crate::engine::assign::{self, Strategy, Topics};
use crate::engine::view::View;
use crate::error::{Error, ErrorKind};
use crate::messages::{
    ErrorCode, GenerationId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeavingMember,
    SyncGroupAssignment, SyncGroupRequest, SyncGroupResponse,
};
use crate::wire::Text;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const TYPE: &str = "consumer";

/// A member of a classic group.
#[derive(Debug)]
pub struct Classic {
    terms: Terms,
    strategies: Vec<Strategy>,
    subscription: Subscription,
    member: Text,
    /// -1 while it is not known to the coordinator as a member.
    generation: GenerationId,
    phase: Phase,
    /// The answer to a JoinGroup or SyncGroup of before is still to come: it is of no interest, but nobody joins twice at once.
    is_stale: bool,
    owned: BTreeSet<TopicPartition>,
    remembered: Remembered,
    /// What the application does now.
    chore: Option<Chore>,
    /// The coordinator does not know of what is owned any more.
    lost: bool,
    /// What the last SyncGroup said, until it is carried out.
    target: Option<BTreeSet<TopicPartition>>,
    /// Partitions had to be given back for `target`: they can be given to others now.
    gave_back: bool,
    /// Why to join again, as it is told to the coordinator.
    rejoin: Option<String>,
    /// Of the leader: which partitions there were when it assigned.
    counted: BTreeMap<Text, Option<i32>>,
    beat: Beat,
    not_before: Option<Instant>,
    failures: u32,
    /// How often in a row it joined again at once, as the coordinator wanted.
    hurries: u32,
    /// The application does not come back.
    resting: bool,
    failed: bool,
}

#[derive(Debug)]
enum Phase {
    Outside,
    Joining {
        sent: Instant,
    },
    /// The members whom to assign to.
    Leading {
        members: Vec<assign::Member>,
        strategy: Strategy,
        /// There is an assignment already: of a static leader that came back (KIP-814), which minds the topics.
        skip: bool,
        asked: bool,
    },
    /// With the assignments of a leader.
    Assigned {
        protocol: Text,
        assignments: Vec<SyncGroupAssignment>,
    },
    Syncing {
        sent: Instant,
    },
    Inside,
}

#[derive(Debug)]
enum Chore {
    Revoke(Vec<TopicPartition>),
    Lose,
    Assign(Vec<TopicPartition>),
}

/// Heartbeats.
#[derive(Debug, Default)]
struct Beat {
    flight: Option<BeatFlight>,
    due: Option<Instant>,
    /// When the coordinator was heard of.
    heard: Option<Instant>,
    failures: u32,
    /// How soon the next one comes, while a rebalance is not long ago.
    soon: Option<Duration>,
}

/// How soon after a rebalance the first heartbeat comes; each later one comes after twice the time, up to
/// `heartbeat.interval.ms`. Rebalances come in flocks: who has just joined leads to the next one, and so does each instance of a
/// service that is rolled out.
const SOON: Duration = Duration::from_millis(200);

/// Who sent the heartbeat under way: an answer to who the member was before says nothing of who it is.
#[derive(Debug)]
struct BeatFlight {
    sent: Instant,
    generation: GenerationId,
    member: Text,
}

/// How often in a row a member joins again at once; from then on with pauses.
const HURRIES: u32 = 5;

impl Classic {
    pub(super) fn new(mut terms: Terms, strategies: Vec<Strategy>) -> Classic {
        terms.heartbeat_interval = terms.seldom_enough(terms.heartbeat_interval);
        Classic {
            terms,
            strategies,
            subscription: Subscription::default(),
            member: Text::default(),
            generation: GenerationId::NONE,
            phase: Phase::Outside,
            is_stale: false,
            owned: BTreeSet::new(),
            remembered: Remembered::default(),
            chore: None,
            lost: false,
            target: None,
            gave_back: false,
            rejoin: None,
            counted: BTreeMap::new(),
            beat: Beat::default(),
            not_before: None,
            failures: 0,
            hurries: 0,
            resting: false,
            failed: false,
        }
    }

    fn is_cooperative(&self) -> bool {
        !self.strategies.is_empty() && self.strategies.iter().all(|strategy| strategy.is_cooperative())
    }

    pub(super) fn next(&mut self, _: &View, now: Instant) -> Step {
        if let Some(beat) = self.heartbeat(now) {
            return Step::Send(beat);
        }
        if let Some(step) = self.take_part(now) {
            return step;
        }
        if self.chore.is_some() {
            return Step::Wait(self.beat_due());
        }
        if self.lost && !self.owned.is_empty() {
            self.chore = Some(Chore::Lose);
            return Step::Lose(self.owned.iter().cloned().collect());
        }
        self.lost = false;
        if self.failed || self.resting {
            return Step::Wait(None);
        }
        if self.subscription.is_empty() {
            return self.leave();
        }
        if let Some(step) = self.settle() {
            return step;
        }
        if self.rejoin.is_some() && matches!(self.phase, Phase::Inside) {
            self.phase = Phase::Outside;
        }
        match self.phase {
            Phase::Outside if !self.is_stale => self.join(now),
            _ => Step::Wait(self.beat_due()),
        }
    }

    /// Goes on with a round that it has joined, whatever else it does: the coordinator lets nobody commit in the middle of
    /// one, not even who is about to leave.
    fn take_part(&mut self, now: Instant) -> Option<Step> {
        match &mut self.phase {
            Phase::Leading { members, asked, .. } => {
                if std::mem::replace(asked, true) {
                    return None;
                }
                let topics: BTreeSet<&Text> = members.iter().flat_map(|member| &member.topics).collect();
                Some(Step::Lead(topics.into_iter().cloned().collect()))
            }
            Phase::Assigned { protocol, assignments } => {
                let request = SyncGroupRequest {
                    group_id: self.terms.group.clone(),
                    generation_id: self.generation,
                    member_id: self.member.clone(),
                    group_instance_id: self.terms.instance.clone(),
                    protocol_type: Some(TYPE.into()),
                    protocol_name: Some(std::mem::take(protocol)),
                    assignments: std::mem::take(assignments),
                };
                self.phase = Phase::Syncing { sent: now };
                Some(Step::Send(Request::Sync(request)))
            }
            _ => None,
        }
    }

    /// Carries out what the last SyncGroup said: first what is to be given back, then what is new.
    fn settle(&mut self) -> Option<Step> {
        let target = self.target.as_mut()?;
        let topics = &self.subscription.topics;
        if target.iter().any(|partition| !topics.contains(&partition.topic)) {
            if self.rejoin.is_some() {
                // Other topics are read by now: what comes next is for those.
                self.target = None;
                return None;
            }
            // The leader is at fault.
            target.retain(|partition| topics.contains(&partition.topic));
        }
        let surplus: Vec<TopicPartition> = self.owned.difference(target).cloned().collect();
        if !surplus.is_empty() {
            self.gave_back = true;
            self.chore = Some(Chore::Revoke(surplus.clone()));
            return Some(Step::Revoke(surplus));
        }
        let new: Vec<TopicPartition> = target.difference(&self.owned).cloned().collect();
        self.target = None;
        self.hurries = 0;
        if std::mem::take(&mut self.gave_back) && self.is_cooperative() {
            self.rejoin("gave partitions back, so that their new owners can have them");
        }
        self.chore = Some(Chore::Assign(new.clone()));
        Some(Step::Assign(new))
    }

    /// Joins, once what has to be given back before is.
    fn join(&mut self, now: Instant) -> Step {
        let surplus: Vec<TopicPartition> = if self.is_cooperative() {
            let wanted = |owned: &&TopicPartition| !self.subscription.topics.contains(&owned.topic);
            self.owned.iter().filter(wanted).cloned().collect()
        } else {
            self.owned.iter().cloned().collect()
        };
        if !surplus.is_empty() {
            self.chore = Some(Chore::Revoke(surplus.clone()));
            return Step::Revoke(surplus);
        }
        if let Some(at) = self.not_before.filter(|at| *at > now) {
            return Step::Wait(Some(self.beat_due().map_or(at, |due| due.min(at))));
        }
        let claims = Claims {
            subscription: &self.subscription,
            rack: self.terms.rack.as_ref(),
            owned: &self.owned,
            generation: self.generation,
            remembered: &self.remembered,
        };
        let protocols = blobs::protocols(&self.strategies, &claims);
        let request = JoinGroupRequest {
            group_id: self.terms.group.clone(),
            session_timeout_ms: millis(self.terms.session_timeout),
            rebalance_timeout_ms: millis(self.terms.rebalance_timeout),
            member_id: self.member.clone(),
            group_instance_id: self.terms.instance.clone(),
            protocol_type: TYPE.into(),
            protocols,
            reason: self.rejoin.take().map(Text::from),
        };
        self.phase = Phase::Joining { sent: now };
        Step::Send(Request::Join(request))
    }

    /// There is nothing to read any more: gives everything back, and leaves. A static member is kept for by the coordinator
    /// until its session is over (KIP-345).
    fn leave(&mut self) -> Step {
        self.target = None;
        self.rejoin = None;
        if !self.owned.is_empty() {
            let all: Vec<TopicPartition> = self.owned.iter().cloned().collect();
            self.chore = Some(Chore::Revoke(all.clone()));
            return Step::Revoke(all);
        }
        let goodbye = self.goodbye("the consumer reads nothing any more");
        if goodbye.is_some() {
            self.member = Text::default();
        }
        if !matches!(self.phase, Phase::Outside) || self.generation != GenerationId::NONE {
            self.cast_out();
        }
        match goodbye {
            Some(Goodbye::Classic(group, member)) => Step::Send(Request::Leave(group, member)),
            _ => Step::Wait(None),
        }
    }

    pub(super) fn digest(&mut self, answer: Answer, now: Instant, rng: &mut fastrand::Rng) -> Effects {
        match answer {
            Answer::Join(_) | Answer::Sync(_) if std::mem::take(&mut self.is_stale) => Effects::default(),
            Answer::Join(answer) => self.joined(answer, now, rng),
            Answer::Sync(answer) => self.synced(answer, now, rng),
            Answer::Heartbeat(answer) => {
                let flight = self.beat.flight.take();
                let is_own = |flight: &BeatFlight| {
                    flight.generation == self.generation && flight.member == self.member
                };
                let Some(flight) = flight.filter(is_own) else { return Effects::default() };
                let outcome = answer.and_then(|answer| checked(answer.error_code, "send a heartbeat"));
                self.beaten(outcome, flight.sent, now, rng)
            }
            // Whom it does not reach waits until the session is over.
            Answer::Leave(_) | Answer::Modern(_) => Effects::default(),
        }
    }

    fn joined(
        &mut self,
        answer: Result<JoinGroupResponse, Error>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Effects {
        let sent = self.step_back(now);
        let answer = match answer {
            // KIP-394: the coordinator wants to be sure that who asks will know the answer.
            Ok(answer) if answer.error_code == ErrorCode::MEMBER_ID_REQUIRED => {
                self.member = answer.member_id;
                self.hurry(now, rng);
                return Effects::default();
            }
            Ok(answer) => answer,
            Err(error) => return self.unwell(&error, now, rng),
        };
        if let Err(error) = checked(answer.error_code, "join the group") {
            return self.unwell(&error, now, rng);
        }
        let Some(protocol) = answer.protocol_name.clone().filter(|_| !answer.member_id.is_empty()) else {
            let error =
                Error::new(ErrorKind::Protocol, "join the group: the answer names no member or assignor");
            return self.unwell(&error, now, rng);
        };
        self.member = answer.member_id.clone();
        self.generation = answer.generation_id;
        self.failures = 0;
        self.heard(sent);
        // Its session has begun anew with the answer.
        self.beat.due = Some(after(now, self.terms.heartbeat_interval));
        if answer.leader != answer.member_id {
            self.counted.clear();
            self.phase = Phase::Assigned { protocol, assignments: Vec::new() };
            return Effects::default();
        }
        let Some(strategy) = self.strategies.iter().copied().find(|known| known.name() == protocol.as_str())
        else {
            let attempt = format!(
                "assign partitions as leader: the group has chosen {protocol}, which this member did not offer"
            );
            return self.unwell(&Error::new(ErrorKind::Protocol, attempt), now, rng);
        };
        let members: Vec<assign::Member> =
            answer.members.iter().map(|member| blobs::member_of(member, strategy)).collect();
        self.phase = Phase::Leading { members, strategy, skip: answer.skip_assignment, asked: false };
        Effects::default()
    }

    pub(super) fn lead(&mut self, topics: &Topics) {
        let Phase::Leading { members, strategy, skip, .. } = &self.phase else { return };
        let (strategy, skip) = (*strategy, *skip);
        let wanted: BTreeSet<&Text> = members.iter().flat_map(|member| &member.topics).collect();
        self.counted = wanted.into_iter().map(|topic| (topic.clone(), topics.count(topic))).collect();
        let shares = if skip { BTreeMap::new() } else { assign::assign(strategy, members, topics) };
        let assignments = shares
            .into_iter()
            .map(|(member_id, partitions)| {
                let assignment = blobs::assignment(&partitions);
                SyncGroupAssignment { member_id, assignment }
            })
            .collect();
        self.phase = Phase::Assigned { protocol: strategy.name().into(), assignments };
    }

    fn synced(
        &mut self,
        answer: Result<SyncGroupResponse, Error>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Effects {
        let sent = self.step_back(now);
        let read = answer.and_then(|answer| {
            checked(answer.error_code, "learn what the group has assigned")?;
            blobs::assigned(&answer.assignment)
                .map_err(|error| Error::protocol("read what the group has assigned", error))
        });
        match read {
            Ok(target) => {
                self.phase = Phase::Inside;
                self.target = Some(target);
                self.beat.soon = Some(SOON);
                self.heard(sent);
                Effects::default()
            }
            Err(error) => self.unwell(&error, now, rng),
        }
    }

    /// The request under way is answered; yields when it was sent. Until the answer makes more of it, the member is outside.
    fn step_back(&mut self, now: Instant) -> Instant {
        match std::mem::replace(&mut self.phase, Phase::Outside) {
            Phase::Joining { sent } | Phase::Syncing { sent } => sent,
            _ => now,
        }
    }

    fn beaten(
        &mut self,
        outcome: Result<(), Error>,
        sent: Instant,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Effects {
        let Err(error) = outcome else {
            self.heard(sent);
            return Effects::default();
        };
        if let Some(trouble) = trouble(&error) {
            self.beat.failures = self.beat.failures.saturating_add(1);
            let pause = self.terms.backoff.after(self.beat.failures, rng);
            self.beat.due = Some(after(now, pause.min(self.terms.heartbeat_interval)));
            return Effects { find_coordinator: matches!(trouble, Trouble::Elsewhere), tell: None };
        }
        match (error.code(), &self.phase) {
            (Some(ErrorCode::REBALANCE_IN_PROGRESS), phase) => {
                let is_news = matches!(phase, Phase::Inside);
                self.heard(sent);
                // While joining it is known.
                if is_news {
                    self.rejoin("the group rebalances");
                }
                Effects::default()
            }
            // JoinGroup will say the same.
            (_, Phase::Joining { .. }) => Effects::default(),
            // A JoinGroup whose answer was lost has been heard; the next one puts it right, if nothing has to be done before.
            (Some(ErrorCode::ILLEGAL_GENERATION), Phase::Outside) if self.chore.is_none() => {
                self.beat.due = Some(after(sent, self.terms.heartbeat_interval));
                Effects::default()
            }
            _ => self.unwell(&error, now, rng),
        }
    }

    /// What a failure to join, to sync or to be heard of means.
    fn unwell(&mut self, error: &Error, now: Instant, rng: &mut fastrand::Rng) -> Effects {
        let mut effects = Effects::default();
        match (trouble(error), error.kind()) {
            (Some(Trouble::Elsewhere), _) => effects.find_coordinator = true,
            (Some(Trouble::Later), _) => {}
            (None, ErrorKind::Broker(ErrorCode::REBALANCE_IN_PROGRESS)) => {
                self.rejoin("the group rebalances");
                self.hurry(now, rng);
                return effects;
            }
            (None, ErrorKind::Broker(ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION)) => {
                if error.code() == Some(ErrorCode::UNKNOWN_MEMBER_ID) {
                    self.member = Text::default();
                }
                self.cast_out();
                self.rejoin = Some(format!("the coordinator has said: {}", code_name(error)));
                self.hurry(now, rng);
                return effects;
            }
            _ => {
                self.failed = true;
                self.cast_out();
                effects.tell = Some(advice::told(error, &self.terms));
                return effects;
            }
        }
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(after(now, self.terms.backoff.after(self.failures, rng)));
        self.rejoin("the coordinator did not answer");
        effects
    }

    /// Joins again at once, but not for ever.
    fn hurry(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        self.hurries = self.hurries.saturating_add(1);
        let attempts = self.hurries.saturating_sub(HURRIES);
        self.not_before = (attempts > 0).then(|| after(now, self.terms.backoff.after(attempts, rng)));
    }

    /// The coordinator has given to others what was owned.
    fn cast_out(&mut self) {
        self.generation = GenerationId::NONE;
        self.is_stale |= matches!(self.phase, Phase::Joining { .. } | Phase::Syncing { .. });
        self.phase = Phase::Outside;
        self.target = None;
        self.gave_back = false;
        self.lost = !self.owned.is_empty() || self.chore.is_some();
        self.beat = Beat { flight: self.beat.flight.take(), ..Beat::default() };
    }

    /// A commit under a name was refused.
    pub(super) fn refused(
        &mut self,
        code: ErrorCode,
        committer: &Identity,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Effects {
        if *committer != self.identity() {
            return Effects::default();
        }
        match code {
            // Nor does it know who joins as this member.
            ErrorCode::UNKNOWN_MEMBER_ID => {
                return self.unwell(&Error::broker_code(code, "commit offsets"), now, rng);
            }
            // JoinGroup will say more.
            _ if matches!(self.phase, Phase::Joining { .. }) => {}
            _ => self.beat.due = self.beat.due.map(|due| due.min(now)),
        }
        Effects::default()
    }

    pub(super) fn done(&mut self, _: Instant) {
        match self.chore.take() {
            Some(Chore::Revoke(partitions)) => self.owned.retain(|owned| !partitions.contains(owned)),
            Some(Chore::Lose) => {
                self.owned.clear();
                self.lost = false;
            }
            Some(Chore::Assign(partitions)) => {
                self.owned.extend(partitions);
                // Not when the coordinator has cast the member out meanwhile: then they are lost at once.
                if !self.lost {
                    self.remembered =
                        Remembered { partitions: self.owned.clone(), generation: self.generation };
                }
            }
            None => {}
        }
    }

    pub(super) fn subscribe(&mut self, subscription: Subscription) {
        if self.subscription != subscription {
            self.subscription = subscription;
            self.rejoin("other topics are read");
        }
    }

    pub(super) fn heed(&mut self, view: &View) {
        let mut changed = None;
        for (topic, count) in &mut self.counted {
            let now = match view.topic(topic) {
                Some(topic) => Some(topic.partition_count()),
                None if view.missing(topic) == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => None,
                // What is not in the view may be there all the same.
                None => continue,
            };
            if std::mem::replace(count, now) != now {
                changed = Some(topic.clone());
            }
        }
        if let Some(topic) = changed {
            self.rejoin(&format!("topic {topic} has other partitions than before"));
        }
    }

    pub(super) fn rejoin(&mut self, reason: &str) {
        // As much as Java's members say (KIP-800).
        self.rejoin.get_or_insert_with(|| reason.chars().take(255).collect());
    }

    pub(super) fn rest(&mut self, reason: &str) -> Option<Goodbye> {
        let goodbye = self.goodbye(reason);
        self.resting = true;
        if goodbye.is_some() {
            self.member = Text::default();
        }
        self.cast_out();
        goodbye
    }

    pub(super) fn resume(&mut self) {
        self.resting = false;
    }

    pub(super) fn goodbye(&self, reason: &str) -> Option<Goodbye> {
        if self.member.is_empty() || self.terms.instance.is_some() {
            return None;
        }
        let member = LeavingMember {
            member_id: self.member.clone(),
            group_instance_id: None,
            reason: Some(reason.to_owned().into()),
        };
        Some(Goodbye::Classic(self.terms.group.clone(), member))
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(super) fn identity(&self) -> Identity {
        let GenerationId(generation) = self.generation;
        Identity { member: self.member.clone(), generation, instance: self.terms.instance.clone() }
    }

    pub(super) fn lease(&self) -> Option<Instant> {
        self.beat.heard.map(|heard| after(heard, self.terms.surely_kept()))
    }

    pub(super) fn owned(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    /// The coordinator has heard of the member, no earlier than this.
    fn heard(&mut self, at: Instant) {
        self.beat.heard = self.beat.heard.max(Some(at));
        self.beat.failures = 0;
        let soon = self.beat.soon.filter(|soon| *soon < self.terms.heartbeat_interval);
        self.beat.soon = soon.map(|soon| soon.saturating_mul(2));
        self.beat.due = Some(after(at, soon.unwrap_or(self.terms.heartbeat_interval)));
    }

    fn beat_due(&self) -> Option<Instant> {
        let beats = !(self.beat.flight.is_some() || self.resting || self.generation == GenerationId::NONE);
        self.beat.due.filter(|_| beats && !matches!(self.phase, Phase::Joining { .. }))
    }

    fn heartbeat(&mut self, now: Instant) -> Option<Request> {
        self.beat_due().filter(|due| *due <= now)?;
        self.beat.flight =
            Some(BeatFlight { sent: now, generation: self.generation, member: self.member.clone() });
        Some(Request::Heartbeat(HeartbeatRequest {
            group_id: self.terms.group.clone(),
            generation_id: self.generation,
            member_id: self.member.clone(),
            group_instance_id: self.terms.instance.clone(),
        }))
    }
}

fn checked(code: ErrorCode, attempt: &'static str) -> Result<(), Error> {
    code.ok().map_err(|code| Error::broker_code(code, attempt))
}

fn code_name(error: &Error) -> String {
    error.code().map_or_else(|| error.to_string(), |code| code.to_string())
}
