//! A member of a consumer group: what to ask the coordinator, and what its answers mean for the partitions that are owned.
//!
//! Two protocols, one interface. [`Classic`] is the protocol in which one of the members assigns; in that of [`Modern`] the
//! coordinator does (KIP-848). Whoever drives a [`Member`] asks it for the next [`Step`], does that, and says what came
//! of it; several requests and one chore may be under way at once.
//!
//! ```text
//!   next ─► Send(request) ──────────► digest(answer)
//!        ─► Revoke, Lose, Assign ───► done          what the application does with them takes its time
//!        ─► Lead(topics) ───────────► lead(counts)  the leader of a classic group assigns
//!        ─► Learn(topics)           a newer view, in good time
//!        ─► Wait(until)
//! ```
//!
//! Invariants:
//! * Heartbeats depend on nothing that the application does: they are sent while it revokes, assigns and reads.
//! * A partition is owned from the end of `Assign` to the end of `Revoke` or `Lose`; no two chores are under way at once.
//! * `Revoke` comes before the coordinator hears that a partition is free; `Lose` after it has given it to others.

mod classic;
pub mod commits;
mod modern;

pub use classic::Classic;
pub use modern::Modern;

use super::TopicPartition;
use super::assign::{Strategy, Topics};
use super::retry::Backoff;
use super::view::View;
use crate::error::{Error, ErrorKind};
use crate::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ErrorCode, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    LeavingMember, SyncGroupRequest, SyncGroupResponse,
};
use crate::wire::{Span, Text, Uuid};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What a member is told when it is made.
#[derive(Debug, Clone)]
pub struct Terms {
    /// `group.id`.
    pub group: Text,
    /// `group.instance.id` (KIP-345).
    pub instance: Option<Text>,
    /// `client.rack` (KIP-881).
    pub rack: Option<Text>,
    /// `session.timeout.ms`; until the coordinator says otherwise, in the new protocol.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`; the coordinator says, in the new protocol.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`, which is also how long a rebalance waits for this member.
    pub rebalance_timeout: Duration,
    /// The pauses before what has failed is tried again.
    pub backoff: Backoff,
}

impl Terms {
    /// How long the coordinator surely keeps the partitions for a member that it has heard of: it may be in the middle of a
    /// rebalance that the member knows nothing of yet.
    fn surely_kept(&self) -> Duration {
        self.session_timeout.min(self.rebalance_timeout)
    }

    /// The pause between heartbeats, if that lets the member be heard of often enough within a short `max.poll.interval.ms`.
    fn seldom_enough(&self, interval: Duration) -> Duration {
        interval.min(self.rebalance_timeout / 3)
    }
}

/// What a member wants to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscription {
    /// Topics by name, those that a pattern of the client's own has found among them.
    pub topics: BTreeSet<Text>,
    /// A pattern for the coordinator (KIP-848), which it matches with whole names.
    pub regex: Option<Text>,
}

impl Subscription {
    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.regex.is_none()
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a few a minute, each of which lives for a moment")]
pub enum Step {
    /// Send this to the coordinator; [`Member::digest`] wants the answer.
    Send(Request),
    /// Give these partitions back in order: the application ends what it does with them, and commits. Then [`Member::done`].
    Revoke(Vec<TopicPartition>),
    /// These have been given to others, or may have been: drop them. Then [`Member::done`].
    Lose(Vec<TopicPartition>),
    /// Begin with these at their committed offsets. Then [`Member::done`]; all that are owned were told, even when none is new.
    Assign(Vec<TopicPartition>),
    /// Find out which partitions these topics have. Then [`Member::lead`].
    Lead(Vec<Text>),
    /// Find out which topics have these ids, which the view does not know, and go on with [`Member::next`] meanwhile: the
    /// newer view is what it needs. It is asked for again and again until they are known, with a pause in between.
    Learn(Vec<Uuid>),
    /// Nothing, until this time or until something happens.
    Wait(Option<Instant>),
}

/// What is sent to the coordinator.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Joins a classic group; the answer may take as long as a rebalance.
    Join(JoinGroupRequest),
    /// Asks for the assignment, and brings those of a leader.
    Sync(SyncGroupRequest),
    /// Lets hear of a classic member.
    Heartbeat(HeartbeatRequest),
    /// Takes a classic member's leave, not on the connection on which the others may be held back; [`Goodbye::leave`] words it.
    Leave(Text, LeavingMember),
    /// The one request of the new protocol.
    Modern(ConsumerGroupHeartbeatRequest),
}

impl Request {
    /// The versions that can say it.
    pub fn versions(&self) -> Span {
        let of_static =
            |instance: &Option<Text>, first| Span::from(if instance.is_some() { first } else { 0 });
        match self {
            Request::Join(request) => of_static(&request.group_instance_id, 5),
            Request::Sync(request) => of_static(&request.group_instance_id, 3),
            Request::Heartbeat(request) => of_static(&request.group_instance_id, 3),
            Request::Leave(..) => Span::from(0),
            Request::Modern(request) => {
                Span::from(if request.subscribed_topic_regex.is_some() { 1 } else { 0 })
            }
        }
    }
}

/// What came of a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Of [`Request::Join`].
    Join(Result<JoinGroupResponse, Error>),
    /// Of [`Request::Sync`].
    Sync(Result<SyncGroupResponse, Error>),
    /// Of [`Request::Heartbeat`].
    Heartbeat(Result<HeartbeatResponse, Error>),
    /// Of [`Request::Leave`].
    Leave(Result<LeaveGroupResponse, Error>),
    /// Of [`Request::Modern`].
    Modern(Result<ConsumerGroupHeartbeatResponse, Error>),
}

/// What an answer means beyond the member itself.
#[derive(Debug, Default)]
pub struct Effects {
    /// The coordinator is another one, or out of reach: look it up again.
    pub find_coordinator: bool,
    /// What the application has to hear. After a fatal one the member does nothing any more.
    pub tell: Option<Error>,
}

/// Who a member is to its coordinator: what commits and the last goodbye have to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The member id; empty for who is no member.
    pub member: Text,
    /// The generation, or the member's epoch; 0 or less for who is no member.
    pub generation: i32,
    /// `group.instance.id`.
    pub instance: Option<Text>,
}

impl Identity {
    /// Of who commits without being a member.
    pub fn none() -> Identity {
        Identity { generation: -1, ..Identity::default() }
    }
}

/// How a member takes its leave.
#[derive(Debug, Clone, PartialEq)]
pub enum Goodbye {
    /// Of a classic group; [`LeaveGroupRequest::one`] words it for a version.
    Classic(Text, LeavingMember),
    /// Of the new protocol.
    Modern(ConsumerGroupHeartbeatRequest),
}

impl Goodbye {
    /// The request of a classic member.
    pub fn leave(group: &Text, member: &LeavingMember, version: i16) -> LeaveGroupRequest {
        LeaveGroupRequest::one(group.clone(), member.clone(), version)
    }
}

/// A member, whatever the protocol.
#[derive(Debug)]
pub enum Member {
    /// `group.protocol=classic`.
    Classic(Box<Classic>),
    /// `group.protocol=consumer`.
    Modern(Box<Modern>),
}

/// Calls the same method of whichever it is.
macro_rules! either {
    ($self:expr, $member:ident => $call:expr) => {
        match $self {
            Member::Classic($member) => $call,
            Member::Modern($member) => $call,
        }
    };
}

impl Member {
    /// A member of a classic group.
    pub fn classic(terms: Terms, strategies: Vec<Strategy>) -> Member {
        Member::Classic(Box::new(Classic::new(terms, strategies)))
    }

    /// A member of a group of the new protocol. The id is a UUID that the client has drawn for it (KIP-1082); `assignor` is
    /// `group.remote.assignor`.
    pub fn modern(terms: Terms, id: Text, assignor: Option<Text>) -> Member {
        Member::Modern(Box::new(Modern::new(terms, id, assignor)))
    }

    /// What to do now.
    pub fn next(&mut self, view: &View, now: Instant) -> Step {
        either!(self, member => member.next(view, now))
    }

    /// Says what came of a request.
    pub fn digest(&mut self, answer: Answer, now: Instant, rng: &mut fastrand::Rng) -> Effects {
        either!(self, member => member.digest(answer, now, rng))
    }

    /// The coordinator has refused a commit that was sent under this name: it may know more than the last heartbeat said.
    pub fn refused(
        &mut self,
        code: ErrorCode,
        committer: &Identity,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Effects {
        either!(self, member => member.refused(code, committer, now, rng))
    }

    /// The last chore is done.
    pub fn done(&mut self, now: Instant) {
        either!(self, member => member.done(now));
    }

    /// Assigns, as the leader.
    pub fn lead(&mut self, topics: &Topics) {
        match self {
            Member::Classic(member) => member.lead(topics),
            Member::Modern(_) => {}
        }
    }

    /// Says what is to be read from now on.
    pub fn subscribe(&mut self, subscription: Subscription) {
        either!(self, member => member.subscribe(subscription));
    }

    /// Looks whether topics have changed in a way that calls for a rebalance.
    pub fn heed(&mut self, view: &View) {
        match self {
            Member::Classic(member) => member.heed(view),
            // The coordinator does.
            Member::Modern(_) => {}
        }
    }

    /// Asks for a rebalance (KIP-568). In the new protocol that is the coordinator's affair: nothing happens.
    pub fn enforce_rebalance(&mut self, reason: &str) {
        match self {
            Member::Classic(member) => member.rejoin(reason),
            Member::Modern(_) => {}
        }
    }

    /// Leaves the group for the time being: the application does not come back (`max.poll.interval.ms`). All that is owned is
    /// lost; [`resume`](Self::resume) joins again. `None` when there is nobody to tell.
    pub fn rest(&mut self, reason: &str) -> Option<Goodbye> {
        either!(self, member => member.rest(reason))
    }

    /// The application has come back.
    pub fn resume(&mut self) {
        either!(self, member => member.resume());
    }

    /// What to tell the coordinator when the consumer is closed; nothing of a static classic member (KIP-345). In the new
    /// protocol there is no room for the reason.
    pub fn goodbye(&self, reason: &str) -> Option<Goodbye> {
        either!(self, member => member.goodbye(reason))
    }

    /// Whether it has told of a fault after which it does nothing any more.
    pub fn has_failed(&self) -> bool {
        either!(self, member => member.has_failed())
    }

    /// Who the member is now.
    pub fn identity(&self) -> Identity {
        either!(self, member => member.identity())
    }

    /// Until when the coordinator surely keeps the partitions for this member; `None` while it is no member.
    pub fn lease(&self) -> Option<Instant> {
        either!(self, member => member.lease())
    }

    /// What is owned, in order.
    pub fn owned(&self) -> &BTreeSet<TopicPartition> {
        either!(self, member => member.owned())
    }
}

/// A fault that has nothing to do with the member: the coordinator has moved, is busy, or does not answer.
enum Trouble {
    /// Look the coordinator up again.
    Elsewhere,
    /// Ask it again.
    Later,
}

/// Tells troubles on the way from what the coordinator says of the member.
fn trouble(error: &Error) -> Option<Trouble> {
    match error.kind() {
        ErrorKind::Broker(
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::REQUEST_TIMED_OUT,
        )
        | ErrorKind::Timeout
        | ErrorKind::Disconnected
        | ErrorKind::Connect
        | ErrorKind::Resolve
        | ErrorKind::Protocol => Some(Trouble::Elsewhere),
        _ if error.is_retriable() => Some(Trouble::Later),
        _ => None,
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn after(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}

#[cfg(test)]
mod tests;
