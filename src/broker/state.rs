//! What the brokers of a cluster know: themselves, their topics, producers, and fetch sessions.
//!
//! One state serves all brokers of a cluster; who leads a partition is a field of the partition. It reads no clock and
//! draws no random numbers but from the generator that it was given, so the same calls give the same cluster.

use super::core::ConnectionId;
use super::sessions::Sessions;
use super::topic::{Partition, Topic, Topics, check_name};
use super::topic_config::TopicConfig;
use crate::engine::serving::Offer;
use crate::messages::{
    BrokerId, BrokerIds, CurrentLeader, ErrorCode, LeaderEpoch, NodeEndpoint, ProducerEpoch, ProducerId,
};
use crate::wire::{Text, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Partitions of a cluster; Kafka has no limit, but a request must not be able to fill the memory.
const MAX_PARTITIONS: usize = 250_000;
/// Transactional ids that are remembered.
const MAX_TRANSACTIONAL_IDS: usize = 10_000;

/// The time: the monotonic clock for waits, the wall clock for records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: Instant,
    /// Milliseconds since 1970.
    pub(super) unix_ms: i64,
}

/// What a cluster is told at its start.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Partitions of a topic whose creator does not say (`num.partitions`).
    pub(super) default_partitions: i32,
    /// Whether Metadata creates topics that are missing (`auto.create.topics.enable`).
    pub(super) auto_create_topics: bool,
    /// What is served.
    pub(super) offer: Arc<Offer>,
}

/// A broker, as clients reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) host: Text,
    pub(super) port: u16,
}

/// The cluster.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) cluster_id: Text,
    pub(super) nodes: BTreeMap<BrokerId, Node>,
    pub(super) topics: Topics,
    pub(super) sessions: Sessions,
    next_producer_id: i64,
    transactional: BTreeMap<Text, (ProducerId, ProducerEpoch)>,
    pub(super) rng: fastrand::Rng,
    /// Connections that wait for something that has happened.
    pub(super) woken: Vec<ConnectionId>,
}

/// A request for a topic that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) text: String,
}

impl State {
    pub(super) fn new(settings: Settings, seed: u64) -> State {
        let mut rng = fastrand::Rng::with_seed(seed);
        State {
            settings,
            cluster_id: random_id(&mut rng).to_string().into(),
            nodes: BTreeMap::new(),
            topics: Topics::default(),
            sessions: Sessions::default(),
            next_producer_id: 0,
            transactional: BTreeMap::new(),
            rng,
            woken: Vec::new(),
        }
    }

    /// The broker that clients are told is the controller. Any would do: each takes what the controller does.
    pub(super) fn controller(&self) -> BrokerId {
        self.nodes.keys().next().copied().unwrap_or(BrokerId::NONE)
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// INVALID_TOPIC_EXCEPTION, TOPIC_ALREADY_EXISTS, POLICY_VIOLATION.
    pub(super) fn create_topic(
        &mut self,
        name: &str,
        partitions: Vec<BrokerIds>,
        config: TopicConfig,
    ) -> Result<Uuid, Refused> {
        self.may_create(name, partitions.len())?;
        let id = random_id(&mut self.rng);
        let partitions = partitions.into_iter().map(Partition::new).collect();
        self.topics.insert(name.into(), Topic { id, config, partitions });
        Ok(id)
    }

    /// Whether there may be a topic of this name and size.
    pub(super) fn may_create(&self, name: &str, partitions: usize) -> Result<(), Refused> {
        check_name(name).map_err(|text| Refused { code: ErrorCode::INVALID_TOPIC_EXCEPTION, text })?;
        if self.topics.get(name.as_bytes()).is_some() {
            let text = format!("Topic '{name}' already exists.");
            return Err(Refused { code: ErrorCode::TOPIC_ALREADY_EXISTS, text });
        }
        if let Some(other) = self.topics.colliding(name) {
            let text = format!("Topic '{name}' collides with existing topic: {other}");
            return Err(Refused { code: ErrorCode::INVALID_TOPIC_EXCEPTION, text });
        }
        if self.topics.partition_count().saturating_add(partitions) > MAX_PARTITIONS {
            let text = format!("This broker takes {MAX_PARTITIONS} partitions in all.");
            return Err(Refused { code: ErrorCode::POLICY_VIOLATION, text });
        }
        Ok(())
    }

    /// Spreads partitions over the brokers, each on `replication` of them: leaders in turn, from a random one on.
    pub(super) fn place(&mut self, partitions: usize, replication: usize) -> Vec<BrokerIds> {
        let nodes: Vec<BrokerId> = self.nodes.keys().copied().collect();
        let first = if nodes.len() > 1 { self.rng.usize(..nodes.len()) } else { 0 };
        let of = |partition: usize| {
            nodes.iter().copied().cycle().skip(first.wrapping_add(partition) % nodes.len().max(1))
        };
        (0..partitions).map(|partition| of(partition).take(replication).collect()).collect()
    }

    /// Deletes a topic; who waits for its records is told.
    pub(super) fn delete_topic(&mut self, name: &[u8]) -> Option<Topic> {
        let topic = self.topics.remove(name)?;
        topic.partitions.iter().for_each(|partition| self.woken.extend(&partition.watchers));
        Some(topic)
    }

    /// Connections for which something has happened since the last call.
    pub(super) fn take_woken(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.woken)
    }

    /// A producer id that nobody has.
    pub(super) fn new_producer_id(&mut self) -> ProducerId {
        let id = ProducerId(self.next_producer_id);
        self.next_producer_id = self.next_producer_id.wrapping_add(1) & i64::MAX;
        id
    }

    /// The producer id and epoch of a transactional id.
    pub(super) fn transactional(&self, id: &[u8]) -> Option<(ProducerId, ProducerEpoch)> {
        self.transactional.get(id).copied()
    }

    /// Remembers the producer id and epoch of a transactional id; an id is forgotten at random when there are too many.
    pub(super) fn set_transactional(&mut self, id: &Text, producer: (ProducerId, ProducerEpoch)) {
        if self.transactional.len() >= MAX_TRANSACTIONAL_IDS && !self.transactional.contains_key(id) {
            let victim = self.rng.usize(..self.transactional.len());
            if let Some(victim) = self.transactional.keys().nth(victim).cloned() {
                self.transactional.remove(&victim);
            }
        }
        self.transactional.insert(id.detach(), producer);
    }

    /// Where a broker is, to be told beside NOT_LEADER_OR_FOLLOWER (KIP-951).
    pub(super) fn endpoint(&self, id: BrokerId) -> Option<NodeEndpoint> {
        let node = self.nodes.get(&id)?;
        Some(NodeEndpoint { node_id: id, host: node.host.clone(), port: i32::from(node.port), rack: None })
    }

    /// The name behind a topic id, or the name itself in versions that have names.
    pub(super) fn resolve(&self, by_id: bool, id: &Uuid, name: &Text) -> Result<Text, ErrorCode> {
        if by_id {
            return self.topics.name_of(id).cloned().ok_or(ErrorCode::UNKNOWN_TOPIC_ID);
        }
        Ok(name.clone())
    }
}

/// Checks that a broker leads a partition, and which epoch the client believes it does so with (KIP-320).
pub(super) fn check_leader(
    partition: &Partition,
    broker: BrokerId,
    believed: LeaderEpoch,
) -> Result<(), ErrorCode> {
    if !believed.is_none() && believed < partition.leader_epoch {
        return Err(ErrorCode::FENCED_LEADER_EPOCH);
    }
    if !believed.is_none() && believed > partition.leader_epoch {
        return Err(ErrorCode::UNKNOWN_LEADER_EPOCH);
    }
    if partition.leader == broker { Ok(()) } else { Err(ErrorCode::NOT_LEADER_OR_FOLLOWER) }
}

/// Whom to ask instead, when the code says that it is not this broker.
pub(super) fn leader_hint(code: ErrorCode, partition: Option<&Partition>) -> CurrentLeader {
    let asks_elsewhere = matches!(code, ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH);
    match partition.filter(|_| asks_elsewhere) {
        Some(partition) => {
            CurrentLeader { leader_id: partition.leader, leader_epoch: partition.leader_epoch }
        }
        None => CurrentLeader::default(),
    }
}

fn random_id(rng: &mut fastrand::Rng) -> Uuid {
    // The two lowest ids are Kafka's own, and text that begins with a dash is taken for an option by tools.
    loop {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes);
        let id = Uuid::from_bytes(bytes);
        if !id.to_string().starts_with('-')
            && bytes.get(..15).is_some_and(|head| head.iter().any(|b| *b != 0))
        {
            return id;
        }
    }
}
