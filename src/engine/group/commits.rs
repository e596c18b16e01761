//! [`Commits`]: which offsets to say next, under which name, and what the answers mean.
//!
//! One request is under way at a time, and what was ordered meanwhile goes into the next one, of each partition the newest:
//! committed offsets go back only if the application wants that. An order is repeated under a newer generation as long as
//! its partitions were not given back since ([`Commits::forget`]); after that it would overwrite what another member has
//! committed.

use super::Identity;
use crate::engine::retry::Backoff;
use crate::engine::{OffsetAndMetadata, TopicPartition};
use crate::error::{Error, ErrorKind, Sent};
use crate::messages::{
    ErrorCode, GenerationId, LeaderEpoch, OffsetCommitPartition, OffsetCommitRequest, OffsetCommitResponse,
    OffsetCommitTopic,
};
use crate::wire::{Span, Text};
use std::collections::BTreeMap;
use std::time::Instant;

/// Offsets by partition.
pub type Offsets = BTreeMap<TopicPartition, OffsetAndMetadata>;

/// How often in a row a partition that the coordinator does not know is tried again: it may hear late of a new topic.
const UNKNOWN_TOPIC_ATTEMPTS: u32 = 5;

/// The commits of a consumer. `T` is what each order is known by to whoever gave it.
#[derive(Debug)]
pub struct Commits<T> {
    group: Text,
    backoff: Backoff,
    waiting: Vec<Order<T>>,
    flight: Option<Flight<T>>,
    over: Vec<(T, Result<(), Error>)>,
    not_before: Option<Instant>,
    failures: u32,
}

#[derive(Debug)]
struct Order<T> {
    token: T,
    /// What is not settled yet.
    offsets: Offsets,
    deadline: Instant,
    /// Why it has failed, or fails for the time being.
    fault: Option<Error>,
    /// It has failed, whatever comes of the rest.
    is_refused: bool,
}

#[derive(Debug)]
struct Flight<T> {
    orders: Vec<Order<T>>,
    identity: Identity,
    /// What was given away since it was sent: no longer said, should it not have been taken.
    gone: Vec<(TopicPartition, ErrorCode)>,
}

impl<T> Commits<T> {
    /// None yet.
    pub fn new(group: Text, backoff: Backoff) -> Commits<T> {
        Commits {
            group,
            backoff,
            waiting: Vec::new(),
            flight: None,
            over: Vec::new(),
            not_before: None,
            failures: 0,
        }
    }

    /// Orders offsets to be committed, by a deadline.
    pub fn order(&mut self, token: T, offsets: Offsets, deadline: Instant) {
        self.waiting.push(Order { token, offsets, deadline, fault: None, is_refused: false });
        self.settle();
    }

    /// The next request, and when it is no use any more. `identity` is `None` while it is to be waited for.
    pub fn next(
        &mut self,
        identity: Option<&Identity>,
        now: Instant,
    ) -> Option<(OffsetCommitRequest, Instant)> {
        self.expire(now);
        // What is waited for after that is an identity, and not the time.
        self.not_before = self.not_before.filter(|at| *at > now);
        let identity = identity?;
        if self.flight.is_some() || self.waiting.is_empty() || self.not_before.is_some() {
            return None;
        }
        let orders = std::mem::take(&mut self.waiting);
        let mut offsets: BTreeMap<&TopicPartition, &OffsetAndMetadata> = BTreeMap::new();
        orders.iter().for_each(|order| offsets.extend(&order.offsets));
        let request = request(&self.group, identity, offsets);
        let deadline = orders.iter().map(|order| order.deadline).max()?;
        self.flight = Some(Flight { orders, identity: identity.clone(), gone: Vec::new() });
        Some((request, deadline))
    }

    /// Says what came of the request. If a member was taken for somebody of before, with which code, and which one.
    pub fn digest(
        &mut self,
        answer: Result<OffsetCommitResponse, Error>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<(ErrorCode, Identity)> {
        let mut flight = self.flight.take()?;
        let refused = stale_code(&answer).filter(|_| flight.identity.generation > 0);
        let refused = refused.map(|code| (code, flight.identity.clone()));
        match answer {
            Ok(answer) => self.answered(&mut flight, &answer),
            Err(error) if error.is_retriable() || error.kind() == ErrorKind::Timeout => {
                let orders = flight.orders.iter_mut().filter(|order| !order.is_refused);
                orders.for_each(|order| order.fault = Some(error.clone()));
            }
            Err(error) => {
                for order in &mut flight.orders {
                    order.fault = Some(error.clone());
                    order.offsets.clear();
                }
            }
        }
        for (partition, stale) in std::mem::take(&mut flight.gone) {
            flight.orders.iter_mut().for_each(|order| order.forget(&partition, stale, &self.group));
        }
        let is_over = flight.orders.iter().all(|order| order.offsets.is_empty());
        self.failures = if is_over { 0 } else { self.failures.saturating_add(1) };
        self.not_before = now.checked_add(self.backoff.after(self.failures, rng)).filter(|_| !is_over);
        // What was ordered meanwhile is newer.
        flight.orders.append(&mut self.waiting);
        self.waiting = flight.orders;
        self.settle();
        self.expire(now);
        refused
    }

    fn answered(&self, flight: &mut Flight<T>, answer: &OffsetCommitResponse) {
        let mut told: BTreeMap<(&str, i32), ErrorCode> = BTreeMap::new();
        for topic in &answer.topics {
            let partitions = topic.partitions.iter();
            told.extend(partitions.map(|one| ((topic.name.as_str(), one.partition_index), one.error_code)));
        }
        let attempts = self.failures;
        for order in &mut flight.orders {
            let (fault, is_refused) = (&mut order.fault, &mut order.is_refused);
            if !*is_refused {
                *fault = None;
            }
            order.offsets.retain(|partition, _| {
                let error = match told.get(&(partition.topic.as_str(), partition.partition)) {
                    Some(&ErrorCode::NONE) => return false,
                    Some(&code) => Error::broker_code(code, attempt(&self.group)),
                    None => Error::new(ErrorKind::Protocol, attempt(&self.group))
                        .hint("the answer does not have the partition"),
                };
                let code = error.code();
                let error = explained(error, &flight.identity)
                    .topic(partition.topic.as_str())
                    .partition(partition.partition);
                let may_pass = code.is_some_and(|code| may_pass(code, attempts));
                if !*is_refused {
                    *fault = Some(error);
                }
                *is_refused |= !may_pass;
                may_pass
            });
        }
    }

    /// These partitions were given back or taken away: what was ordered for them is not said any more.
    pub fn forget(&mut self, partitions: &[TopicPartition], stale: ErrorCode) {
        for partition in partitions {
            self.waiting.iter_mut().for_each(|order| order.forget(partition, stale, &self.group));
        }
        if let Some(flight) = &mut self.flight {
            flight.gone.extend(partitions.iter().map(|partition| (partition.clone(), stale)));
        }
        self.settle();
    }

    /// Whether a commit of one of these partitions is ordered or under way.
    pub fn concerns(&self, partitions: &[TopicPartition]) -> bool {
        let flying = self.flight.iter().flat_map(|flight| &flight.orders);
        let mut orders = self.waiting.iter().chain(flying);
        orders.any(|order| partitions.iter().any(|partition| order.offsets.contains_key(partition)))
    }

    /// Ends everything that waits: the member does nothing any more.
    pub fn fail_all(&mut self, error: &Error) {
        for order in self.waiting.drain(..) {
            self.over.push((order.token, Err(error.clone())));
        }
    }

    /// Ends everything, what is under way as well: nobody is there any more to hear of an answer.
    pub fn end(&mut self, error: &Error) {
        for order in self.flight.take().into_iter().flat_map(|flight| flight.orders) {
            self.over.push((order.token, Err(error.clone().sent(Sent::Maybe))));
        }
        self.fail_all(error);
    }

    /// The orders that have come to an end since this was asked last.
    pub fn take_over(&mut self) -> Vec<(T, Result<(), Error>)> {
        std::mem::take(&mut self.over)
    }

    /// Whether nothing is ordered or under way.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.flight.is_none() && self.over.is_empty()
    }

    /// When there is something to do, if nothing happens before.
    pub fn due(&self) -> Option<Instant> {
        let expiry = self.waiting.iter().map(|order| order.deadline).min();
        let again = self.not_before.filter(|_| self.flight.is_none() && !self.waiting.is_empty());
        [expiry, again].into_iter().flatten().min()
    }

    fn expire(&mut self, now: Instant) {
        let group = &self.group;
        let over = &mut self.over;
        let late = |order: &mut Order<T>| order.deadline <= now;
        for order in self.waiting.extract_if(.., late) {
            let error = match order.fault {
                Some(fault) if order.is_refused || fault.kind() == ErrorKind::Timeout => fault,
                Some(fault) if fault.code().is_some_and(is_stale) => fault,
                Some(fault) => Error::new(ErrorKind::Timeout, attempt(group)).with_source(fault),
                None => Error::new(ErrorKind::Timeout, attempt(group))
                    .hint("the consumer was no member of its group all the time: see what the log says of the coordinator"),
            };
            over.push((order.token, Err(error)));
        }
    }

    fn settle(&mut self) {
        let settled = |order: &mut Order<T>| order.offsets.is_empty();
        for order in self.waiting.extract_if(.., settled) {
            self.over.push((order.token, order.fault.map_or(Ok(()), Err)));
        }
    }
}

impl<T> Order<T> {
    /// A partition was given away before this was said of it, or before it was taken.
    fn forget(&mut self, partition: &TopicPartition, stale: ErrorCode, group: &Text) {
        if self.offsets.remove(partition).is_none() || self.is_refused {
            return;
        }
        self.is_refused = true;
        let last = self.fault.take().and_then(|fault| fault.code()).filter(|code| is_stale(*code));
        let error = Error::broker_code(last.unwrap_or(stale), attempt(group));
        self.fault =
            Some(error.topic(partition.topic.as_str()).partition(partition.partition).hint(GIVEN_AWAY));
    }
}

const GIVEN_AWAY: &str = "the partition was given to another member meanwhile, which reads on from what was committed before: what was done since is done again";

fn attempt(group: &Text) -> String {
    format!("commit offsets of group '{group}'")
}

/// Whether a partition that was refused so may be taken later, or under a newer generation.
fn may_pass(code: ErrorCode, attempts: u32) -> bool {
    match code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => attempts < UNKNOWN_TOPIC_ATTEMPTS,
        ErrorCode::REBALANCE_IN_PROGRESS
        | ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::STALE_MEMBER_EPOCH
        | ErrorCode::UNSTABLE_OFFSET_COMMIT => true,
        _ => code.is_retriable(),
    }
}

/// Whether the committer was taken for somebody of before.
fn is_stale(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::STALE_MEMBER_EPOCH
            | ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::FENCED_INSTANCE_ID
    )
}

fn stale_code(answer: &Result<OffsetCommitResponse, Error>) -> Option<ErrorCode> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return error.code().filter(|code| is_stale(*code)),
    };
    let mut told = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|one| one.error_code);
    told.find(|code| is_stale(*code))
}

fn explained(error: Error, identity: &Identity) -> Error {
    match error.code() {
        Some(ErrorCode::UNKNOWN_MEMBER_ID) if identity.generation < 0 => {
            error.hint("the group has members: only they commit; subscribe, or use another group.id")
        }
        Some(code) if is_stale(code) => error.hint(GIVEN_AWAY),
        Some(ErrorCode::OFFSET_METADATA_TOO_LARGE) => error
            .hint("the metadata of an offset may have offset.metadata.max.bytes, a setting of the broker"),
        Some(ErrorCode::GROUP_AUTHORIZATION_FAILED) => error.hint("the user may not READ the group"),
        Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => error.hint("the user may not READ the topic"),
        _ => error,
    }
}

/// The versions that can say who commits; from version 10 on topics have ids only.
pub fn versions(identity: &Identity) -> Span {
    Span::new(if identity.instance.is_some() { 7 } else { 2 }, 9)
}

/// Commits offsets, of somebody who may be no member.
pub fn request<'a>(
    group: &Text,
    identity: &Identity,
    offsets: impl IntoIterator<Item = (&'a TopicPartition, &'a OffsetAndMetadata)>,
) -> OffsetCommitRequest {
    let mut topics: BTreeMap<&Text, Vec<OffsetCommitPartition>> = BTreeMap::new();
    for (partition, committed) in offsets {
        topics.entry(&partition.topic).or_default().push(OffsetCommitPartition {
            partition_index: partition.partition,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch.map_or(LeaderEpoch::NONE, LeaderEpoch),
            committed_metadata: Some(committed.metadata.as_str().into()),
        });
    }
    let topic = |(name, partitions): (&Text, _)| OffsetCommitTopic {
        name: name.clone(),
        partitions,
        ..OffsetCommitTopic::default()
    };
    OffsetCommitRequest {
        group_id: group.clone(),
        generation_id_or_member_epoch: GenerationId(identity.generation),
        member_id: identity.member.clone(),
        group_instance_id: identity.instance.clone(),
        topics: topics.into_iter().map(topic).collect(),
        ..OffsetCommitRequest::default()
    }
}
