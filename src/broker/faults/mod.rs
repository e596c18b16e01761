//! Faults by script: what becomes of a request other than that it is answered, and the rules that say of which.
//!
//! A [`Fate`] is what happens to one request; a [`Fault`] is a fate with the requests that it is for and how many of them.
//! Rules are asked in the order in which they were added, then the hook of `on_request`; the first rule
//! that strikes has decided, a later one does not count the request. `scope` knows which topics and partitions a request is about.

mod scope;

pub(super) use scope::{Concerned, Refusal, Scope, concerned};

use crate::messages::{AnyResponse, ApiKey, ErrorCode};
use bytes::Bytes;
use std::time::Duration;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is answered.
    Pass,
    /// It waits so long before the broker does anything, and so does what follows on its connection.
    Delay(Duration),
    /// The broker does what it is asked to, and sends its answer so much later, before all that follows on its connection.
    DelayAnswer(Duration),
    /// It is answered with this error code, and nothing else is done. The code stands where the API has a place for it: for
    /// each partition, else for each topic, else for the whole; of a [`Fault`] for some topic or partition, only there, and the
    /// others are served. Fetch has the codes of fetch sessions for the whole, Metadata those of leaders for each partition,
    /// OffsetFetch and OffsetDelete those of topics and transactions for each partition and others for the group.
    Fail(ErrorCode),
    /// The broker does what it is asked to, and answers with this error code all the same, such as
    /// NOT_ENOUGH_REPLICAS_AFTER_APPEND; in the same places as [`Fail`](Fate::Fail).
    FailAfterwards(ErrorCode),
    /// It is answered, with the time for which a quota holds the client back: the broker then takes nothing from its connection
    /// for so long (KIP-219). In versions older than that the answer itself comes so much later.
    Throttle(Duration),
    /// It is lost on its way: the broker does nothing, and says nothing.
    LoseRequest,
    /// The broker does what it is asked to, and its answer is lost.
    LoseAnswer,
    /// Its connection stays open, and nothing that comes on it from now on is answered or done.
    Silence,
    /// The connection is closed before the broker does anything.
    Close,
    /// The broker does what it is asked to, sends so many bytes of its answer, the four of the length included, and closes the
    /// connection.
    Cut(usize),
    /// The answer comes with one byte inverted.
    Corrupt(Byte),
    /// The answer comes in pieces of so many bytes, with pauses between.
    Split {
        /// Bytes of a piece, at least one.
        bytes: usize,
        /// How long until the next.
        pause: Duration,
    },
}

/// A byte of an answer. Where an answer has no such byte, it stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Byte {
    /// Counted from the first of the length, which has four.
    OfAnswer(usize),
    /// Counted from the first of the records of a Fetch answer, in the first partition that has so many bytes: the header of
    /// a batch has 61, of which those from 21 on and all that follows are under its checksum.
    OfRecords(usize),
}

/// A rule: a fate, the requests that it is for, and how many of them. As made by [`Fault::new`] it is for all of them, for ever.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> ottla::Result<()> {
/// use ottla::broker::{ApiKey, Cluster, ErrorCode, Fate, Fault};
///
/// let cluster = Cluster::builder().start().await?;
/// let busy = Fault::new(Fate::Fail(ErrorCode::NOT_ENOUGH_REPLICAS));
/// cluster.add_fault(busy.api(ApiKey::PRODUCE).topic("orders").times(3));
/// let lossy = cluster.add_fault(Fault::new(Fate::LoseAnswer).api(ApiKey::PRODUCE).every(50));
/// // ...
/// cluster.remove_fault(lossy);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Fault {
    fate: Fate,
    api: Option<ApiKey>,
    broker: Option<i32>,
    client_id: Option<String>,
    scope: Scope,
    skip: u64,
    every: u64,
    times: Option<u64>,
}

/// Names a fault that was added; never used twice in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId(u64);

impl Fault {
    /// A rule for every request.
    pub fn new(fate: Fate) -> Fault {
        let scope = Scope::default();
        Fault { fate, api: None, broker: None, client_id: None, scope, skip: 0, every: 1, times: None }
    }

    /// Only for requests of this API.
    pub fn api(mut self, api: ApiKey) -> Fault {
        self.api = Some(api);
        self
    }

    /// Only for requests to this broker.
    pub fn broker(mut self, broker: i32) -> Fault {
        self.broker = Some(broker);
        self
    }

    /// Only for requests of clients with this `client.id`.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Fault {
        self.client_id = Some(client_id.into());
        self
    }

    /// Only for requests that are about this topic, among others perhaps, or another that this was called with. A fetch is
    /// about all of its session.
    pub fn topic(mut self, topic: impl Into<String>) -> Fault {
        self.scope.topics.push(topic.into());
        self
    }

    /// Only for requests that are about a partition with this index; APIs that name topics alone are about all of theirs.
    pub fn partition(mut self, partition: i32) -> Fault {
        self.scope.partition = Some(partition);
        self
    }

    /// Lets the first `count` of its requests pass. None by default.
    pub fn skip(mut self, count: u64) -> Fault {
        self.skip = count;
        self
    }

    /// Strikes each `count`th of its requests only. Each by default.
    pub fn every(mut self, count: u64) -> Fault {
        self.every = count.max(1);
        self
    }

    /// Strikes so often and is gone. For ever by default.
    pub fn times(mut self, count: u64) -> Fault {
        self.times = Some(count);
        self
    }
}

/// The faults of a cluster, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    next_id: u64,
}

#[derive(Debug)]
struct Rule {
    id: FaultId,
    fault: Fault,
    /// Requests that it was for.
    met: u64,
    struck: u64,
}

/// A request, as far as rules look at it.
pub(super) struct Case<'a> {
    pub(super) broker: i32,
    pub(super) api: ApiKey,
    pub(super) client_id: Option<&'a str>,
    /// Topics and partitions that it is about.
    pub(super) about: &'a [Concerned],
}

/// What was decided, by which rule, and for which topics and partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) fate: Fate,
    pub(super) by: Option<FaultId>,
    pub(super) scope: Scope,
}

impl Decision {
    /// By nobody in particular, for all that the request is about.
    pub(super) fn of(fate: Fate) -> Decision {
        Decision { fate, by: None, scope: Scope::default() }
    }
}

impl Rules {
    pub(super) fn add(&mut self, fault: Fault) -> FaultId {
        let id = FaultId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        if fault.times != Some(0) {
            self.rules.push(Rule { id, fault, met: 0, struck: 0 });
        }
        id
    }

    /// Takes a rule out; whether it was still there.
    pub(super) fn remove(&mut self, id: FaultId) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        self.rules.len() < before
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The first rule that strikes, if one does. Rules behind it do not count the request.
    pub(super) fn decide(&mut self, case: &Case<'_>) -> Option<Decision> {
        let index = self.rules.iter_mut().position(|rule| rule.fault.is_for(case) && rule.strikes())?;
        let Rule { id, fault, struck, .. } = self.rules.get(index)?;
        let decision = Decision { fate: fault.fate, by: Some(*id), scope: fault.scope.clone() };
        if fault.times.is_some_and(|times| *struck >= times) {
            self.rules.remove(index);
        }
        Some(decision)
    }
}

impl Rule {
    /// Counts a request, and says whether it is one of those to be struck.
    fn strikes(&mut self) -> bool {
        self.met = self.met.saturating_add(1);
        let strikes = self
            .met
            .checked_sub(self.fault.skip)
            .is_some_and(|met| met > 0 && met.checked_rem(self.fault.every) == Some(0));
        self.struck = self.struck.saturating_add(u64::from(strikes));
        strikes
    }
}

impl Fault {
    fn is_for(&self, case: &Case<'_>) -> bool {
        self.api.is_none_or(|api| api == case.api)
            && self.broker.is_none_or(|broker| broker == case.broker)
            && self.client_id.as_deref().is_none_or(|id| case.client_id == Some(id))
            && (self.scope.is_everything()
                || case.about.iter().any(|(topic, partition)| self.scope.covers(topic, *partition)))
    }
}

/// How an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Whole,
    Late(Duration),
    /// Nothing is read for so long afterwards.
    Muted(Duration),
    Cut(usize),
    /// With one byte of its frame inverted.
    Corrupt(usize),
    Split {
        bytes: usize,
        pause: Duration,
    },
}

/// Inverts a byte of the records in an answer.
pub(super) fn corrupt_records(response: &mut AnyResponse, at: usize) {
    let AnyResponse::Fetch(fetched) = response else { return };
    let mut partitions = fetched.responses.iter_mut().flat_map(|topic| &mut topic.partitions);
    let records = partitions.find_map(|partition| partition.records.as_mut().filter(|set| at < set.len()));
    if let Some(set) = records {
        let mut corrupt = set.to_bytes().to_vec();
        if let Some(byte) = corrupt.get_mut(at) {
            *byte = !*byte;
        }
        *set = Bytes::from(corrupt).into();
    }
}

#[cfg(test)]
mod tests;
