//! The cluster view: which brokers there are, which topics, and who leads their partitions.
//!
//! A [`View`] is one picture of the cluster that many hold at once: cloning it is a reference count, and changing it
//! copies what is shared. It learns from Metadata answers ([`View::apply`]) and from the leader hints of Produce and Fetch
//! answers ([`View::apply_hints`]). Who asks, when and whom is decided elsewhere.
//!
//! Invariants:
//! * An answer is checked whole before anything changes: after an error the last good view stands.
//! * The leader epoch of a partition never goes back, and a topic never loses partitions, while its topic id stays
//!   (KIP-320, KIP-516): such an answer comes from a broker that lags behind.
//! * Nothing pins the frame of an answer: names and addresses are copied out.

mod apply;
mod hint;

pub use apply::{Asked, Changes, Nonsense, Recreated, TopicError, UnknownLeader};
pub use hint::Hint;

use crate::messages::{BrokerId, BrokerIds, ErrorCode, LeaderEpoch};
use crate::wire::{Text, Uuid};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What is known of the cluster.
#[derive(Debug, Clone, Default)]
pub struct View(Arc<Inner>);

#[derive(Debug, Clone, Default)]
struct Inner {
    revision: u64,
    cluster_id: Option<Text>,
    controller: BrokerId,
    brokers: BTreeMap<BrokerId, Arc<Broker>>,
    topics: BTreeMap<Text, Arc<Topic>>,
    names: BTreeMap<Uuid, Text>,
    missing: BTreeMap<Text, Missing>,
}

/// Why a topic that was asked for is not there, and what it was like when it was: should it come back, an older leader
/// epoch is as stale as ever.
#[derive(Debug, Clone)]
struct Missing {
    error: ErrorCode,
    last: Option<Arc<Topic>>,
}

/// A broker and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: BrokerId,
    /// Its advertised host, never empty.
    pub host: Text,
    /// Its advertised port, never 0.
    pub port: u16,
    /// Its rack, if it has one.
    pub rack: Option<Text>,
}

/// A topic and its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Text,
    /// Its id, zero from brokers before Kafka 2.8.
    pub id: Uuid,
    /// Whether Kafka keeps it for itself.
    pub is_internal: bool,
    /// The partitions, by index. Brokers list all of them, so that position and index are the same but for brokers that
    /// are at fault.
    pub partitions: Vec<Partition>,
    /// The indexes of the partitions that have a leader, in ascending order.
    pub available: Vec<i32>,
}

/// A partition and who holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its index in the topic.
    pub index: i32,
    /// Its leader, [`BrokerId::NONE`] while there is none.
    pub leader: BrokerId,
    /// The leader's epoch, [`LeaderEpoch::NONE`] from brokers before Kafka 2.1.
    pub leader_epoch: LeaderEpoch,
    /// Who holds it, the preferred leader first.
    pub replicas: BrokerIds,
    /// Who is in sync with the leader.
    pub isr: BrokerIds,
    /// Who holds it but is not alive.
    pub offline: BrokerIds,
    /// What the answer said of it.
    pub error: ErrorCode,
}

/// Who leads a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// The broker.
    pub broker: Arc<Broker>,
    /// Its epoch.
    pub epoch: LeaderEpoch,
}

impl View {
    /// Counts the changes: a view of another revision may say something else.
    pub fn revision(&self) -> u64 {
        self.0.revision
    }

    /// Whether this is the very same picture, which costs nothing to find out.
    pub fn is_same(&self, other: &View) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether no answer has come yet.
    pub fn is_empty(&self) -> bool {
        self.0.brokers.is_empty()
    }

    /// The cluster's id, if its brokers tell it.
    pub fn cluster_id(&self) -> Option<&Text> {
        self.0.cluster_id.as_ref()
    }

    /// The brokers, by id.
    pub fn brokers(&self) -> impl ExactSizeIterator<Item = &Arc<Broker>> {
        self.0.brokers.values()
    }

    /// A broker.
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<Broker>> {
        self.0.brokers.get(&id)
    }

    /// The broker that takes requests for the controller.
    pub fn controller(&self) -> Option<&Arc<Broker>> {
        self.broker(self.0.controller)
    }

    /// The topics that are known, by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<Topic>> {
        self.0.topics.values()
    }

    /// A topic.
    pub fn topic(&self, name: impl AsRef<[u8]>) -> Option<&Arc<Topic>> {
        self.0.topics.get(name.as_ref())
    }

    /// A topic by its id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.0.names.get(&id).and_then(|name| self.0.topics.get(name))
    }

    /// Why a topic that was asked for is not there; `None` when it is there, or nobody asked.
    pub fn missing(&self, name: &str) -> Option<ErrorCode> {
        self.0.missing.get(name.as_bytes()).map(|missing| missing.error)
    }

    /// Who leads a partition.
    ///
    /// # Errors
    /// The code that a broker would answer with, for the retry policy to judge: UNKNOWN_TOPIC_OR_PARTITION (or what the
    /// last answer said of the topic), or LEADER_NOT_AVAILABLE.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<Leader, ErrorCode> {
        let Some(found) = self.topic(topic) else {
            return Err(self.missing(topic).unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        };
        let partition = found.partition(partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let broker = self.broker(partition.leader).ok_or(ErrorCode::LEADER_NOT_AVAILABLE)?;
        Ok(Leader { broker: Arc::clone(broker), epoch: partition.leader_epoch })
    }

    /// Forgets the topics that nobody uses any more (KIP-526).
    pub fn forget_unless(&mut self, used: impl Fn(&Text) -> bool) {
        if self.0.topics.keys().chain(self.0.missing.keys()).all(&used) {
            return;
        }
        let inner = Arc::make_mut(&mut self.0);
        inner.missing.retain(|name, _| used(name));
        inner.topics.retain(|name, _| used(name));
        inner.names.retain(|_, name| used(name));
        inner.revision = inner.revision.wrapping_add(1);
    }
}

impl Topic {
    /// A partition.
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        self.position(index).and_then(|at| self.partitions.get(at))
    }

    /// How many partitions there are: what keys are hashed to.
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    fn position(&self, index: i32) -> Option<usize> {
        let at = usize::try_from(index).ok()?;
        if self.partitions.get(at).is_some_and(|partition| partition.index == index) {
            return Some(at);
        }
        self.partitions.binary_search_by_key(&index, |partition| partition.index).ok()
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.id, self.host, self.port)
    }
}

#[cfg(test)]
mod tests;
