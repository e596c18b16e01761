//! [`Modern`]: a member of a group in which the coordinator assigns (KIP-848), as Java's ConsumerMembershipManager.
//!
//! ```text
//!   Outside ── heartbeat of epoch 0 ──► Inside ◄──────────────────────────────┐
//!      ▲                                  │ another assignment                │ heartbeat with what is owned
//!      │ FENCED_MEMBER_EPOCH,             ▼                                   │
//!      └─ UNKNOWN_MEMBER_ID: Lose      Revoke what is surplus ──► Assign what is new
//! ```
//!
//! One request is under way at a time. It says what has changed since the last one that was answered; after a failure, or an
//! answer that did not come, everything again, since nobody knows what the coordinator has heard (`request`). The
//! member id is the client's own, for as long as it lives, so that a member whose first answer was lost is no second member.
//!
//! A group instance id is bound to the member that came with it, until that member takes its leave: a second joining of
//! the same member, even, is UNRELEASED_INSTANCE_ID. So a static member of which the coordinator may have heard leaves
//! before it joins again.
//!
//! Assignments name topics by their ids (`target`). Ids that the view does not know wait for a newer view; what is known is
//! carried out meanwhile, as in Java. A topic that was made anew under its old name is another topic.

mod request;
mod target;

use self::request::Said;
use self::target::{Holdings, Target};
use super::{
    Answer, Effects, Goodbye, Identity, Request, Step, Subscription, Terms, Trouble, after, trouble,
};
use crate::engine::TopicPartition;
use crate::engine::view::View;
use crate::error::{Error, ErrorKind};
use crate::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ErrorCode, MemberEpoch,
};
use crate::wire::Text;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A member of a group of the new protocol.
#[derive(Debug)]
pub struct Modern {
    terms: Terms,
    id: Text,
    assignor: Option<Text>,
    subscription: Subscription,
    /// [`MemberEpoch::JOIN`] while it is no member.
    epoch: MemberEpoch,
    /// The coordinator may have it for a member, whatever the epoch here.
    may_be_known: bool,
    /// Its group instance id may be bound to it, and has to be released before it joins.
    is_bound: bool,
    holdings: Holdings,
    target: Option<Target>,
    chore: Option<Chore>,
    /// The coordinator does not know of what is owned any more.
    lost: bool,
    /// The target, or what is known of it, has been reached, which the coordinator is to hear of.
    acknowledge: bool,
    said: Said,
    /// It has named what it owns, and no answer has come since: what it did not name may be others' by now.
    is_in_doubt: bool,
    flight: Option<Flight>,
    /// When the next heartbeat is due.
    due: Option<Instant>,
    /// How often the coordinator wants to hear of the member.
    interval: Duration,
    /// When a request was sent that the coordinator has answered well.
    heard: Option<Instant>,
    not_before: Option<Instant>,
    /// In a row; a member that joins and is fenced again has not succeeded in between.
    failures: u32,
    /// The application does not come back.
    resting: bool,
    failed: bool,
}

/// The request under way.
#[derive(Debug)]
struct Flight {
    sent: Instant,
    epoch: MemberEpoch,
    /// The member has left since: the answer is of no interest.
    is_void: bool,
    /// It takes the member's leave, and releases its group instance id.
    is_farewell: bool,
}

#[derive(Debug)]
enum Chore {
    Revoke(Vec<TopicPartition>),
    Lose,
    Assign(target::Named),
}

impl Modern {
    pub(super) fn new(terms: Terms, id: Text, assignor: Option<Text>) -> Modern {
        Modern {
            interval: terms.seldom_enough(terms.heartbeat_interval),
            terms,
            id,
            assignor,
            subscription: Subscription::default(),
            epoch: MemberEpoch::JOIN,
            may_be_known: false,
            is_bound: false,
            holdings: Holdings::default(),
            target: None,
            chore: None,
            lost: false,
            acknowledge: false,
            said: Said::default(),
            is_in_doubt: false,
            flight: None,
            due: None,
            heard: None,
            not_before: None,
            failures: 0,
            resting: false,
            failed: false,
        }
    }

    pub(super) fn next(&mut self, view: &View, now: Instant) -> Step {
        if let Some(request) = self.heartbeat(now) {
            return Step::Send(Request::Modern(request));
        }
        if self.chore.is_some() {
            return Step::Wait(self.wake(now, None));
        }
        if self.lost && !self.owned().is_empty() {
            self.chore = Some(Chore::Lose);
            return Step::Lose(self.owned().iter().cloned().collect());
        }
        if std::mem::take(&mut self.lost) {
            // Now it can join.
            return self.next(view, now);
        }
        if self.failed || self.resting {
            return Step::Wait(None);
        }
        if self.subscription.is_empty() {
            return self.leave(now);
        }
        self.reconcile(view, now)
    }

    /// Goes to what the coordinator has assigned: first what is to be given back, then what is new.
    fn reconcile(&mut self, view: &View, now: Instant) -> Step {
        let Some(target) = self.target.as_mut().filter(|target| !target.is_reached) else {
            return Step::Wait(self.wake(now, None));
        };
        let (named, unknown) = target.resolve(view, &self.holdings);
        let surplus = self.holdings.beyond(&named);
        if !surplus.is_empty() {
            self.chore = Some(Chore::Revoke(surplus.clone()));
            return Step::Revoke(surplus);
        }
        let new = self.holdings.missing(named);
        if self.is_in_doubt && !new.is_empty() {
            return Step::Wait(self.wake(now, None));
        }
        target.is_reached = unknown.is_empty();
        if !std::mem::replace(&mut target.is_told, true) || !new.is_empty() {
            let step = Step::Assign(new.keys().cloned().collect());
            self.chore = Some(Chore::Assign(new));
            return step;
        }
        if target.ask_at.is_none_or(|at| at <= now) {
            target.ask_at = Some(after(now, self.terms.backoff.max));
            return Step::Learn(unknown);
        }
        let ask_at = target.ask_at;
        Step::Wait(self.wake(now, ask_at))
    }

    /// There is nothing to read any more: gives everything back, and leaves.
    fn leave(&mut self, now: Instant) -> Step {
        if !self.owned().is_empty() {
            // Should something be read again before the coordinator hears of it, it is to be assigned again.
            if let Some(target) = &mut self.target {
                target.begin();
            }
            let all: Vec<TopicPartition> = self.owned().iter().cloned().collect();
            self.chore = Some(Chore::Revoke(all.clone()));
            return Step::Revoke(all);
        }
        if self.flight.is_some() {
            return Step::Wait(None);
        }
        let Some(request) = self.farewell() else { return Step::Wait(None) };
        self.step_out();
        self.flight =
            Some(Flight { sent: now, epoch: request.member_epoch, is_void: false, is_farewell: true });
        Step::Send(Request::Modern(request))
    }

    pub(super) fn digest(&mut self, answer: Answer, now: Instant, rng: &mut fastrand::Rng) -> Effects {
        let (Answer::Modern(answer), Some(flight)) = (answer, self.flight.take()) else {
            return Effects::default();
        };
        if flight.is_farewell {
            return self.released(answer, now, rng);
        }
        if flight.is_void {
            return Effects::default();
        }
        match answer.and_then(checked) {
            Ok(answer) => {
                self.told(answer, &flight);
                Effects::default()
            }
            Err(error) => {
                self.said.forget();
                self.unwell(&error, now, rng)
            }
        }
    }

    /// Whatever the coordinator says of a farewell, nothing is bound to the member any more; but it has to say something.
    fn released(
        &mut self,
        answer: Result<ConsumerGroupHeartbeatResponse, Error>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Effects {
        let error = answer.and_then(|answer| {
            answer.error_code.ok().map_err(|code| request::refused(code, answer.error_message.as_ref()))
        });
        let Some(trouble) = error.err().as_ref().and_then(trouble) else {
            self.is_bound = false;
            return Effects::default();
        };
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(after(now, self.terms.backoff.after(self.failures, rng)));
        Effects { find_coordinator: matches!(trouble, Trouble::Elsewhere), tell: None }
    }

    fn told(&mut self, answer: ConsumerGroupHeartbeatResponse, flight: &Flight) {
        self.epoch = answer.member_epoch;
        self.heard = Some(flight.sent);
        self.not_before = None;
        if flight.epoch != MemberEpoch::JOIN {
            self.failures = 0;
        }
        self.said.answered();
        self.is_in_doubt = false;
        if let Some(interval) = u64::try_from(answer.heartbeat_interval_ms).ok().filter(|ms| *ms > 0) {
            self.interval = self.terms.seldom_enough(Duration::from_millis(interval));
        }
        self.due = Some(after(flight.sent, self.interval));
        if let Some(assignment) = answer.assignment {
            let target = Target::new(assignment);
            if !self.target.as_ref().is_some_and(|known| known.is_same(&target)) {
                self.target = Some(target);
            }
        }
    }

    fn unwell(&mut self, error: &Error, now: Instant, rng: &mut fastrand::Rng) -> Effects {
        self.failures = self.failures.saturating_add(1);
        let mut effects = Effects::default();
        let mut pause = self.terms.backoff.after(self.failures, rng);
        match (trouble(error), error.code()) {
            (Some(trouble), _) => effects.find_coordinator = matches!(trouble, Trouble::Elsewhere),
            (None, Some(code)) if self.is_cast_out_by(code) => {
                // The first time it joins again at once.
                pause = self.terms.backoff.after(self.failures.saturating_sub(1), rng);
                if code != ErrorCode::FENCED_MEMBER_EPOCH {
                    (self.may_be_known, self.is_bound) = (false, false);
                }
                self.step_out();
            }
            // Somebody may give the right to read it at any time, and the session of who had the instance id before it was
            // killed comes to its end; until then it is told as often as it is heard.
            (None, Some(code)) if request::is_told_again(code) => {
                pause = pause.max(self.interval);
                if code == ErrorCode::UNRELEASED_INSTANCE_ID {
                    // Nothing is bound to this member, and the farewell of a static one is no use to the other.
                    (self.may_be_known, self.is_bound) = (false, false);
                    self.step_out();
                }
                effects.tell = Some(request::explained(error, self));
            }
            (None, Some(ErrorCode::STALE_MEMBER_EPOCH)) => {}
            (None, code) => {
                effects.tell = Some(request::explained(error, self));
                self.failed = true;
                // Who was refused, or whose instance id is another's by now, has nothing to leave.
                let is_member = self.epoch != MemberEpoch::JOIN;
                self.may_be_known &= is_member && code != Some(ErrorCode::FENCED_INSTANCE_ID);
                self.step_out();
            }
        }
        let at = after(now, pause);
        self.not_before = Some(at);
        self.due = Some(at);
        effects
    }

    /// Whether a code says that it has to begin anew.
    fn is_cast_out_by(&self, code: ErrorCode) -> bool {
        match code {
            ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID => true,
            // The coordinator has lost the group and its members: whoever joins makes it anew. Who cannot join hears the same.
            ErrorCode::GROUP_ID_NOT_FOUND => self.epoch != MemberEpoch::JOIN,
            _ => false,
        }
    }

    /// Is no member any more, or not for the coordinator: what is owned is lost.
    fn step_out(&mut self) {
        self.epoch = MemberEpoch::JOIN;
        self.target = None;
        self.acknowledge = false;
        self.said.forget();
        self.is_in_doubt = false;
        self.due = None;
        self.heard = None;
        self.lost = !self.owned().is_empty() || self.chore.is_some();
        if let Some(flight) = &mut self.flight {
            flight.is_void = true;
        }
    }

    /// A commit under a name was refused.
    pub(super) fn refused(
        &mut self,
        code: ErrorCode,
        committer: &Identity,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Effects {
        // Whoever is only behind hears so with the next heartbeat.
        if *committer != self.identity() || code != ErrorCode::UNKNOWN_MEMBER_ID {
            return Effects::default();
        }
        // Whether another one has its instance id by now only a heartbeat is told.
        if self.terms.instance.is_some() {
            self.due = self.due.map(|due| due.min(now));
            return Effects::default();
        }
        self.unwell(&Error::broker_code(code, "commit offsets"), now, rng)
    }

    pub(super) fn done(&mut self, _: Instant) {
        match self.chore.take() {
            Some(Chore::Revoke(partitions)) => self.holdings.remove(&partitions),
            Some(Chore::Lose) => {
                self.holdings.clear();
                self.lost = false;
            }
            Some(Chore::Assign(named)) => {
                self.holdings.add(named);
                self.acknowledge = !self.lost;
            }
            None => {}
        }
    }

    pub(super) fn subscribe(&mut self, subscription: Subscription) {
        self.subscription = subscription;
    }

    pub(super) fn rest(&mut self, _: &str) -> Option<Goodbye> {
        let goodbye = self.farewell();
        self.resting = true;
        self.step_out();
        goodbye.map(Goodbye::Modern)
    }

    pub(super) fn resume(&mut self) {
        self.resting = false;
    }

    pub(super) fn goodbye(&self, _: &str) -> Option<Goodbye> {
        self.may_be_known.then(|| Goodbye::Modern(request::farewell(self)))
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(super) fn identity(&self) -> Identity {
        let MemberEpoch(epoch) = self.epoch;
        Identity { member: self.id.clone(), generation: epoch, instance: self.terms.instance.clone() }
    }

    pub(super) fn lease(&self) -> Option<Instant> {
        self.heard.map(|heard| after(heard, self.terms.surely_kept()))
    }

    pub(super) fn owned(&self) -> &BTreeSet<TopicPartition> {
        self.holdings.owned()
    }

    /// A last heartbeat, once for each time that it was a member.
    fn farewell(&mut self) -> Option<ConsumerGroupHeartbeatRequest> {
        std::mem::take(&mut self.may_be_known).then(|| request::farewell(self))
    }

    fn heartbeat(&mut self, now: Instant) -> Option<ConsumerGroupHeartbeatRequest> {
        self.beat_at(now).filter(|at| *at <= now)?;
        let is_farewell = self.is_bound && self.epoch == MemberEpoch::JOIN;
        self.flight = Some(Flight { sent: now, epoch: self.epoch, is_void: false, is_farewell });
        if is_farewell {
            return Some(request::farewell(self));
        }
        let request = request::heartbeat(self);
        self.is_in_doubt |= request.topic_partitions.is_some();
        self.acknowledge = false;
        self.may_be_known = true;
        self.is_bound = self.terms.instance.is_some();
        Some(request)
    }

    /// When to send the next heartbeat; `None` while none is to be sent, whatever the time.
    fn beat_at(&self, now: Instant) -> Option<Instant> {
        if self.flight.is_some() || self.failed || self.resting || self.lost {
            return None;
        }
        let joins = self.epoch == MemberEpoch::JOIN;
        if joins && self.subscription.is_empty() {
            return None;
        }
        let is_urgent = joins || self.acknowledge || request::has_news(self);
        let at = if is_urgent { now } else { self.due.unwrap_or(now) };
        Some(self.not_before.map_or(at, |not_before| at.max(not_before)))
    }

    /// Until when there is nothing to do: nothing that is due by now, since that is sent first.
    fn wake(&self, now: Instant, also: Option<Instant>) -> Option<Instant> {
        [self.beat_at(now), also].into_iter().flatten().min()
    }
}

/// Tells answers that say yes from others.
fn checked(answer: ConsumerGroupHeartbeatResponse) -> Result<ConsumerGroupHeartbeatResponse, Error> {
    if let Err(code) = answer.error_code.ok() {
        return Err(request::refused(code, answer.error_message.as_ref()));
    }
    if answer.member_epoch <= MemberEpoch::JOIN {
        let attempt = format!("read the member epoch, which is {}", answer.member_epoch.0);
        return Err(Error::new(ErrorKind::Protocol, attempt));
    }
    Ok(answer)
}
