//! The task that keeps a consumer in its group: asks the [`Member`] what to do, does it, and says what came of it. Requests,
//! one chore and one commit are under way side by side, on this task.
//!
//! ```text
//!              ┌─ Join, Sync, Heartbeat ─► coordinator      a connection of their own, since brokers hold them back
//!   Member ────┼─ Revoke, Assign, Lose ──► chores ──► the application's hands, commits, listener
//!              └─ Lead, Learn ───────────► metadata
//!   Commits ───── OffsetCommit ──────────► coordinator
//! ```

use super::said::{say_goodbye, send};
use super::ties::{Absence, Standing, Ties, Wanted};
use super::{chores, commit, subscription};
use crate::cluster::OwnLane;
use crate::consumer::shared::{Running, Shared, State};
use crate::engine::TopicPartition;
use crate::engine::assign::{Strategy, Topics};
use crate::engine::group::{Answer, Effects, Member, Request, Step, Subscription, Terms};
use crate::engine::retry::Backoff;
use crate::engine::view::View;
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{BrokerId, ErrorCode, Lane, OffsetCommitResponse};
use crate::task::{self, Together};
use crate::wire::Text;
use regex_lite::Regex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a consumer is to be within its group.
#[derive(Debug)]
pub(in crate::consumer) struct Role {
    pub(in crate::consumer) terms: Terms,
    pub(in crate::consumer) protocol: Protocol,
    /// `None` when nothing is committed by itself.
    pub(in crate::consumer) auto_commit: Option<Duration>,
    pub(in crate::consumer) internal_topics: bool,
}

/// `group.protocol`, with what is special to each.
#[derive(Debug)]
pub(in crate::consumer) enum Protocol {
    Classic(Vec<Strategy>),
    /// With the member's id and `group.remote.assignor`.
    Consumer(Text, Option<Text>),
}

impl Role {
    /// What ties the consumer to the group.
    pub(in crate::consumer) fn ties(&self, backoff: Backoff) -> Ties {
        let stale = match self.protocol {
            Protocol::Classic(_) => ErrorCode::ILLEGAL_GENERATION,
            Protocol::Consumer(..) => ErrorCode::STALE_MEMBER_EPOCH,
        };
        Ties::new(self.terms.group.clone(), stale, self.auto_commit.is_some(), backoff)
    }
}

/// What something under way came to.
enum Done {
    Answer(Option<BrokerId>, Answer),
    Chore,
    Topics(Topics),
    Committed(Result<OffsetCommitResponse>),
    Matched(Result<BTreeSet<Text>>),
    Learned(Result<BTreeSet<Text>>),
    Goodbye,
}

struct Membership<'a> {
    shared: &'a Arc<Shared>,
    role: &'a Role,
    member: Member,
    is_subscribed: bool,
    rng: fastrand::Rng,
    /// A chore is under way.
    chore: bool,
    /// Requests under way that a goodbye waits for.
    leaving: usize,
    next_auto_commit: Instant,
    patterns: Vec<Regex>,
    matched: BTreeSet<Text>,
    /// When the topics are to be looked through; `None` while that is under way, or not needed.
    match_at: Option<Instant>,
    /// The last commit of who is no member was ordered.
    said_goodbye: bool,
}

pub(in crate::consumer) async fn run(shared: Arc<Shared>, role: Role, _running: Running) {
    let lane = shared.cluster.lane_of_ones_own(Lane::Group);
    let mut works = Together::new();
    let mut views = shared.cluster.views();
    let now = task::now();
    let mut membership = Membership {
        shared: &shared,
        role: &role,
        member: new_member(&role),
        is_subscribed: false,
        rng: task::rng(),
        chore: false,
        leaving: 0,
        next_auto_commit: task::after(now, role.auto_commit.unwrap_or_default()),
        patterns: Vec::new(),
        matched: BTreeSet::new(),
        match_at: None,
        said_goodbye: false,
    };
    loop {
        views.mark_unchanged();
        let view = shared.cluster.view();
        let Some(deadline) = membership.go_on(&view, &lane, &mut works) else { break };
        shared.stir.notify_waiters();
        // A day stands for "nothing is due": every other reason to go on wakes the task.
        let now = task::now();
        let deadline = deadline.unwrap_or_else(|| task::after(now, Duration::from_secs(86_400)));
        tokio::select! {
            biased;
            done = works.next() => membership.finish(done),
            () = shared.ask_group.notified() => {}
            _ = views.changed() => {}
            () = task::sleep_until(deadline) => {}
        }
    }
    if let Some(goodbye) = membership.member.goodbye("the consumer is closed") {
        say_goodbye(&shared, goodbye).await;
    }
    shared.with(State::end_group);
}

fn new_member(role: &Role) -> Member {
    match &role.protocol {
        Protocol::Classic(strategies) => Member::classic(role.terms.clone(), strategies.clone()),
        Protocol::Consumer(id, assignor) => Member::modern(role.terms.clone(), id.clone(), assignor.clone()),
    }
}

impl<'a> Membership<'a> {
    /// Begins what is to be done. When there is more, if nothing happens before; `None` when everything is over.
    fn go_on(
        &mut self,
        view: &View,
        lane: &'a OwnLane,
        works: &mut Together<'a, Done>,
    ) -> Option<Option<Instant>> {
        let now = task::now();
        self.heed_orders(now);
        self.member.heed(view);
        let mut due = [None; 6];
        due[5] = self.heed_absence(works, now);
        if self.is_subscribed {
            due[0] = self.step(view, lane, works, now);
        }
        self.publish(now);
        due[1] = self.commit(works, now);
        due[2] = self.look_for_topics(works, now);
        let (closing, held) = self.shared.with(|state| {
            let ties = state.ties.as_ref();
            (ties.and_then(|ties| ties.closing), ties.and_then(|ties| ties.look_at()))
        });
        due[3] = held;
        due[4] = closing;
        if closing.is_some_and(|by| by <= now || self.is_out()) {
            return None;
        }
        Some(due.into_iter().flatten().min())
    }

    /// What the application wants.
    fn heed_orders(&mut self, now: Instant) {
        let (orders, wanted, closing, is_alone) = self.shared.with(|state| {
            let Some(ties) = &mut state.ties else { return Default::default() };
            let is_alone = ties.wanted.is_none();
            (std::mem::take(&mut ties.orders), ties.wanted.clone(), ties.closing, is_alone)
        });
        if orders.subscribe {
            let wanted = wanted.unwrap_or_default();
            self.is_subscribed |= !wanted.is_empty();
            self.patterns = wanted.compiled().unwrap_or_default();
            self.matched.retain(|topic| self.patterns.iter().any(|pattern| pattern.is_match(topic)));
            let matches_itself = matches!(self.role.protocol, Protocol::Classic(_));
            self.match_at = (matches_itself && !self.patterns.is_empty()).then_some(now);
            if self.match_at.is_none() {
                self.subscribe(&wanted);
            }
        }
        if let Some(reason) = orders.rejoin {
            self.member.enforce_rebalance(&reason);
        }
        if orders.resume {
            self.member.resume();
        }
        if closing.is_some() && !std::mem::replace(&mut self.said_goodbye, true) {
            self.match_at = None;
            if self.is_subscribed {
                self.member.subscribe(Subscription::default());
            }
            if is_alone || !self.is_subscribed {
                self.commit_by_itself(now);
            }
        }
    }

    /// Reads these topics from now on.
    fn subscribe(&mut self, wanted: &Wanted) {
        let is_classic = matches!(self.role.protocol, Protocol::Classic(_));
        let mut topics = wanted.topics.clone();
        topics.extend(self.matched.iter().cloned());
        let regex = if is_classic { None } else { wanted.regex() };
        self.shared.with(|state| {
            if let Some(ties) = &mut state.ties {
                ties.watched.clone_from(&topics);
            }
        });
        self.member.subscribe(Subscription { topics, regex });
    }

    /// Leaves the group when the application does not come back. When it is to be looked again.
    fn heed_absence(&mut self, works: &mut Together<'a, Done>, now: Instant) -> Option<Instant> {
        let patience = self.role.terms.rebalance_timeout;
        let left = self.shared.with(|state| {
            let silent = state.silent_since(now)?;
            let ties = state.ties.as_mut()?;
            let is_there = ties.absence == Absence::Here && ties.closing.is_none() && ties.fatal.is_none();
            if !is_there || ties.standing != Standing::Member {
                return None;
            }
            let by = task::after(silent, patience);
            if by > now {
                return Some(Err(by));
            }
            ties.absence = Absence::Away;
            let attempt = format!(
                "read on: the application has not asked for records for {} s",
                now.saturating_duration_since(silent).as_secs()
            );
            ties.tell(Error::new(ErrorKind::MaxPollExceeded, attempt).hint(
                "the consumer has left its group, and joins again with the next call: raise max.poll.interval.ms, or do less between two calls",
            ));
            Some(Ok(()))
        });
        match left {
            None => return None,
            Some(Err(by)) => return Some(by),
            Some(Ok(())) => {}
        }
        tracing::warn!(
            group = self.role.terms.group.as_str(),
            "the application has not asked for records for max.poll.interval.ms: leaves the group"
        );
        if let Some(goodbye) = self.member.rest("consumer poll timeout has expired.") {
            let shared = self.shared;
            works.push(async move {
                say_goodbye(shared, goodbye).await;
                Done::Goodbye
            });
        }
        None
    }

    /// Does what the member wants to be done. Until when there is nothing.
    fn step(
        &mut self,
        view: &View,
        lane: &'a OwnLane,
        works: &mut Together<'a, Done>,
        now: Instant,
    ) -> Option<Instant> {
        let (shared, patience) = (self.shared, self.role.terms.rebalance_timeout);
        loop {
            match self.member.next(view, now) {
                Step::Send(request) => {
                    if matches!(request, Request::Leave(..) | Request::Modern(_)) {
                        self.leaving = self.leaving.saturating_add(1);
                    }
                    let group = &self.role.terms.group;
                    works.push(async move {
                        let (broker, answer) = send(shared, lane, group, patience, request).await;
                        Done::Answer(broker, answer)
                    });
                }
                Step::Revoke(partitions) => {
                    self.begin(works, now, chores::revoke(shared, partitions, patience));
                }
                Step::Lose(partitions) => {
                    self.begin(works, now, chores::lose(shared, partitions, patience));
                }
                Step::Assign(partitions) => {
                    self.begin(works, now, chores::assign(shared, partitions, patience));
                }
                Step::Lead(names) => {
                    shared.with(|state| {
                        if let Some(ties) = &mut state.ties {
                            ties.watched.extend(names.iter().cloned());
                        }
                    });
                    works.push(async move { Done::Topics(chores::topics(shared, &names).await) });
                }
                Step::Learn(ids) => {
                    works.push(async move { Done::Learned(subscription::names(&shared.cluster, ids).await) })
                }
                Step::Wait(until) => return until,
            }
        }
    }

    fn begin(
        &mut self,
        works: &mut Together<'a, Done>,
        now: Instant,
        chore: impl Future<Output = ()> + Send + 'a,
    ) {
        self.chore = true;
        // What the chore looks at.
        self.publish(now);
        works.push(async move {
            chore.await;
            Done::Chore
        });
    }

    /// Says where the member stands.
    fn publish(&mut self, now: Instant) {
        let (identity, lease) = (self.member.identity(), self.member.lease());
        let is_subscribed = self.is_subscribed;
        let has_failed = self.member.has_failed();
        let is_busy = self.chore || !self.member.owned().is_empty();
        let standing = self.shared.with(|state| {
            let ties = state.ties.as_mut()?;
            ties.standing = match lease {
                Some(_) => Standing::Member,
                // Nobody commits as somebody else while there is something to drop.
                None if is_busy => Standing::Outside,
                None if is_subscribed && ties.wanted.is_some() && !has_failed => Standing::Outside,
                None => Standing::Alone,
            };
            if ties.standing == Standing::Alone {
                ties.identity = crate::engine::group::Identity::none();
            } else {
                ties.identity = identity;
            }
            ties.lease = lease;
            let standing = ties.standing;
            if ties.release(now) {
                state.wake_all();
            }
            Some(standing)
        });
        // Streams of who was cast out ask before they go on.
        let is_outside = standing == Some(Standing::Outside);
        self.shared.set_lease(lease.or(is_outside.then_some(now)));
    }

    /// Commits what is due. When there is more.
    fn commit(&mut self, works: &mut Together<'a, Done>, now: Instant) -> Option<Instant> {
        let every = self.role.auto_commit;
        if every.is_some() && self.next_auto_commit <= now {
            self.commit_by_itself(now);
        }
        let (request, over, due) = self.shared.with(|state| {
            let Some(ties) = &mut state.ties else { return (None, Vec::new(), None) };
            let committer = ties.committer().cloned();
            let request = ties.commits.next(committer.as_ref(), now);
            let over = ties.commits.take_over();
            for (token, outcome) in &over {
                match outcome {
                    Ok(()) => ties.committed.extend(token.said.iter().cloned()),
                    Err(error) if token.reply.is_none() => ties.part_with(error.clone()),
                    Err(_) => {}
                }
            }
            (request, over, ties.commits.due())
        });
        for (token, outcome) in over {
            match (token.reply, outcome) {
                (Some(reply), outcome) => {
                    if let Err(Err(error)) = reply.send(outcome) {
                        tracing::warn!(%error, "offsets that nobody waits for were not committed");
                    }
                }
                (None, Ok(())) => tracing::debug!(partitions = token.said.len(), "committed"),
                (None, Err(error)) => tracing::warn!(%error, "what is done was not committed"),
            }
        }
        if let Some((request, deadline)) = request {
            let shared = self.shared;
            let group = &self.role.terms.group;
            let versions = commit::versions(shared);
            works.push(async move {
                Done::Committed(commit::send(shared, group, request, versions, deadline).await)
            });
        }
        let auto = every.map(|_| self.next_auto_commit);
        [due, auto].into_iter().flatten().min()
    }

    /// Orders what is done to be committed, of all partitions.
    fn commit_by_itself(&mut self, now: Instant) {
        let Some(every) = self.role.auto_commit else { return };
        self.next_auto_commit = task::after(now, every);
        let timeout = self.shared.timeout;
        self.shared.with(|state| {
            let cursors = &state.cursors;
            let settled = cursors.assigned().filter(|partition| !cursors.is_withheld(partition));
            let settled: Vec<TopicPartition> = settled.cloned().collect();
            let closing = state.ties.as_ref().and_then(|ties| ties.closing);
            let deadline = task::after(now, timeout);
            let deadline = closing.map_or(deadline, |by| by.min(deadline));
            if !settled.is_empty() {
                state.auto_commit(&settled, None, deadline);
            }
        });
    }

    /// Looks which topics the patterns match, as often as metadata are refreshed. When it does next.
    fn look_for_topics(&mut self, works: &mut Together<'a, Done>, now: Instant) -> Option<Instant> {
        let at = self.match_at?;
        if at > now {
            return Some(at);
        }
        self.match_at = None;
        let (shared, patterns, internal) = (self.shared, self.patterns.clone(), self.role.internal_topics);
        works.push(async move {
            Done::Matched(subscription::matching(&shared.cluster, &patterns, internal).await)
        });
        None
    }

    fn finish(&mut self, done: Done) {
        let now = task::now();
        match done {
            Done::Answer(broker, answer) => self.digest(broker, answer, now),
            Done::Chore => {
                self.chore = false;
                self.member.done(now);
            }
            Done::Topics(topics) => self.member.lead(&topics),
            Done::Committed(answer) => {
                let rng = &mut self.rng;
                let refused = self.shared.with(|state| state.ties.as_mut()?.commits.digest(answer, now, rng));
                if let Some((code, committer)) = refused {
                    let effects = self.member.refused(code, &committer, now, rng);
                    self.heed(effects, None);
                }
            }
            Done::Matched(matched) => self.matched(matched, now),
            Done::Learned(Ok(names)) => {
                self.shared.with(|state| {
                    if let Some(ties) = &mut state.ties {
                        ties.watched.extend(names);
                    }
                });
                self.shared.cluster.ask_for_metadata();
            }
            Done::Learned(Err(error)) => {
                tracing::warn!(%error, "the group has assigned topics of which only the id is known");
            }
            Done::Goodbye => {}
        }
    }

    fn digest(&mut self, broker: Option<BrokerId>, answer: Answer, now: Instant) {
        if matches!(answer, Answer::Leave(_) | Answer::Modern(_)) {
            self.leaving = self.leaving.saturating_sub(1);
        }
        let effects = self.member.digest(answer, now, &mut self.rng);
        self.heed(effects, broker);
    }

    /// What an answer means beyond the member itself.
    fn heed(&mut self, effects: Effects, broker: Option<BrokerId>) {
        let Effects { find_coordinator, tell } = effects;
        let group = &self.role.terms.group;
        if find_coordinator && let Some(broker) = broker {
            self.shared.cluster.forget_coordinator(group, broker);
        }
        let Some(error) = tell else { return };
        tracing::error!(%error, group = group.as_str(), "the group");
        let has_failed = self.member.has_failed();
        self.shared.with(|state| {
            let Some(ties) = &mut state.ties else { return };
            if has_failed {
                ties.commits.fail_all(&error);
                ties.fatal = Some(error);
            } else {
                ties.tell(error);
            }
        });
    }

    fn matched(&mut self, matched: Result<BTreeSet<Text>>, now: Instant) {
        let config = self.shared.cluster.config();
        let wanted = self.shared.with(|state| state.ties.as_ref().and_then(|ties| ties.wanted.clone()));
        let is_closing = self.said_goodbye;
        let Some(wanted) = wanted.filter(|wanted| !wanted.patterns.is_empty() && !is_closing) else { return };
        match matched {
            Ok(matched) => {
                let is_ours = |topic: &Text| self.patterns.iter().any(|pattern| pattern.is_match(topic));
                self.matched = matched.into_iter().filter(is_ours).collect();
                self.match_at.get_or_insert(task::after(now, config.metadata_max_age));
                self.subscribe(&wanted);
            }
            Err(error) => {
                tracing::warn!(%error, "the topics that match the subscription are not known");
                self.match_at.get_or_insert(task::after(now, config.retry_backoff_max));
            }
        }
    }

    /// Whether nothing is left to be done for the group.
    fn is_out(&self) -> bool {
        let is_idle = self.shared.with(|state| state.ties.as_ref().is_none_or(|ties| ties.commits.is_idle()));
        is_idle && !self.chore && self.leaving == 0 && self.member.owned().is_empty()
    }
}

impl State {
    /// The membership is over: what waits for it does so in vain.
    fn end_group(&mut self) {
        self.cursors.clear();
        let Some(ties) = &mut self.ties else { return };
        ties.is_over = true;
        let late = Error::new(ErrorKind::Timeout, "commit offsets: the consumer was closed before");
        ties.commits.end(&late);
        for (token, outcome) in ties.commits.take_over() {
            if let Err(error) = &outcome {
                ties.parting.get_or_insert_with(|| error.clone());
            }
            if let Some(reply) = token.reply {
                // Whoever has dropped it does not want to know.
                let _ = reply.send(outcome);
            }
        }
    }
}
