//! What the brokers of a cluster know: themselves, their topics, producers, and fetch sessions.
//!
//! One state serves all brokers of a cluster; who leads a partition is a field of the partition. It reads no clock and
//! draws no random numbers but from the generator that it was given, so the same calls give the same cluster.

use super::core::{ConnectionId, Context};
use super::denials::Denials;
use super::groups::{GroupSettings, Groups};
use super::quotas::Quotas;
use super::sessions::Sessions;
use super::storage::{Limits, Storage};
use super::topic::{Partition, Topic, Topics, check_name};
use super::topic_config::TopicConfig;
use super::transactions::Transactions;
use super::watch::SeenCommit;
use crate::engine::connection::Spares;
use crate::engine::serving::Offer;
use crate::messages::{
    BrokerId, BrokerIds, CurrentLeader, ErrorCode, LeaderEpoch, MetadataResponse, NodeEndpoint, ProducerId,
};
use crate::wire::{Text, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Partitions of a cluster; Kafka has no limit, but a request must not be able to fill the memory.
const MAX_PARTITIONS: usize = 250_000;

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
    /// Replicas of a topic whose creator does not say (`default.replication.factor`).
    pub(super) default_replication: usize,
    /// Whether Metadata creates topics that are missing (`auto.create.topics.enable`).
    pub(super) auto_create_topics: bool,
    /// What holds for all groups.
    pub(super) groups: GroupSettings,
    /// How much is kept.
    pub(super) limits: Limits,
    /// What is served.
    pub(super) offer: Arc<Offer>,
}

/// A broker: as clients reach it, and whether they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) host: Text,
    pub(super) port: u16,
    /// Whether it runs.
    pub(super) is_up: bool,
    /// Whether the controller knows that it is gone: it leads nothing and is not told to clients.
    pub(super) is_fenced: bool,
}

/// The cluster.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) cluster_id: Text,
    pub(super) nodes: BTreeMap<BrokerId, Node>,
    pub(super) topics: Topics,
    pub(super) storage: Storage,
    /// The memory of records that were deleted, for those that are written.
    pub(super) spares: Spares,
    pub(super) denials: Denials,
    pub(super) quotas: Quotas,
    pub(super) groups: Groups,
    pub(super) transactions: Transactions,
    /// What brokers say of the cluster that have not heard of its changes since.
    pub(super) held_metadata: BTreeMap<BrokerId, MetadataResponse>,
    /// Fetch sessions are a broker's own.
    sessions: BTreeMap<BrokerId, Sessions>,
    pub(super) producer_ids: ProducerIds,
    pub(super) rng: fastrand::Rng,
    /// Connections that wait for something that has happened.
    pub(super) woken: Vec<ConnectionId>,
    /// What was committed since somebody has looked.
    pub(super) commits: Vec<SeenCommit>,
}

/// Where producer ids come from.
#[derive(Debug, Default)]
pub(super) struct ProducerIds {
    next: i64,
}

impl ProducerIds {
    /// One that nobody has.
    pub(super) fn next(&mut self) -> ProducerId {
        let id = ProducerId(self.next);
        self.next = self.next.wrapping_add(1) & i64::MAX;
        id
    }
}

/// A request for a topic that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) text: String,
}

impl From<Refused> for ErrorCode {
    fn from(refused: Refused) -> ErrorCode {
        refused.code
    }
}

impl State {
    pub(super) fn new(settings: Settings, seed: u64) -> State {
        let mut rng = fastrand::Rng::with_seed(seed);
        State {
            groups: Groups::new(settings.groups.clone()),
            transactions: Transactions::default(),
            spares: Spares::new(settings.limits.bytes_at_once()),
            settings,
            cluster_id: random_id(&mut rng).to_string().into(),
            nodes: BTreeMap::new(),
            topics: Topics::default(),
            storage: Storage::default(),
            denials: Denials::default(),
            quotas: Quotas::default(),
            held_metadata: BTreeMap::new(),
            sessions: BTreeMap::new(),
            producer_ids: ProducerIds::default(),
            rng,
            woken: Vec::new(),
            commits: Vec::new(),
        }
    }

    /// The brokers that clients are told of.
    pub(super) fn live(&self) -> impl Iterator<Item = (BrokerId, &Node)> {
        self.nodes.iter().filter(|(_, node)| !node.is_fenced).map(|(id, node)| (*id, node))
    }

    /// Whether clients are told of a broker.
    pub(super) fn is_live(&self, id: BrokerId) -> bool {
        self.nodes.get(&id).is_some_and(|node| !node.is_fenced)
    }

    /// Whether a broker runs, whatever clients are told.
    pub(super) fn is_up(&self, id: BrokerId) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.is_up)
    }

    /// Checks that a broker coordinates a transactional id.
    ///
    /// # Errors
    /// NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE.
    pub(super) fn check_transaction_coordinator(&self, id: &str, asked: BrokerId) -> Result<(), ErrorCode> {
        let coordinator = self.coordinator(id).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        if coordinator == asked { Ok(()) } else { Err(ErrorCode::NOT_COORDINATOR) }
    }

    /// Replicas of a topic whose creator does not say.
    pub(super) fn default_replication(&self) -> usize {
        self.settings.default_replication.min(self.nodes.len())
    }

    /// The broker that clients are told is the controller. Any would do: each takes what the controller does.
    pub(super) fn controller(&self) -> BrokerId {
        self.live().next().map_or(BrokerId::NONE, |(id, _)| id)
    }

    /// The broker that coordinates a group or a transactional id; the same for as long as the same brokers are there.
    pub(super) fn coordinator(&self, key: &str) -> Option<BrokerId> {
        let live: BrokerIds = self.live().map(|(id, _)| id).collect();
        coordinator_among(&live, key)
    }

    /// Lets a group do what is due, if there is one and the broker that was asked coordinates it.
    ///
    /// # Errors
    /// NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE.
    pub(super) fn enter_group(&mut self, id: &Text, context: Context<'_>) -> Result<(), ErrorCode> {
        let coordinator = self.coordinator(id).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        if coordinator != context.broker {
            return Err(ErrorCode::NOT_COORDINATOR);
        }
        self.groups.enter(id, coordinator, context.now.at, &mut self.rng);
        Ok(())
    }

    /// The fetch sessions of a broker, and the chance that their ids come from.
    pub(super) fn sessions(&mut self, broker: BrokerId) -> (&mut Sessions, &mut fastrand::Rng) {
        (self.sessions.entry(broker).or_default(), &mut self.rng)
    }

    /// The fetch sessions of a broker, if it has any.
    pub(super) fn sessions_of(&self, broker: BrokerId) -> Option<&Sessions> {
        self.sessions.get(&broker)
    }

    /// Forgets the fetch sessions of a broker.
    pub(super) fn forget_sessions(&mut self, broker: BrokerId) {
        self.sessions.remove(&broker);
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
        let partitions = partitions.into_iter().map(|replicas| self.new_partition(replicas)).collect();
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
        self.may_grow(partitions)
    }

    /// Whether there may be so many more partitions.
    ///
    /// # Errors
    /// POLICY_VIOLATION.
    pub(super) fn may_grow(&self, partitions: usize) -> Result<(), Refused> {
        if self.topics.partition_count().saturating_add(partitions) > MAX_PARTITIONS {
            let text = format!("This broker takes {MAX_PARTITIONS} partitions in all.");
            return Err(Refused { code: ErrorCode::POLICY_VIOLATION, text });
        }
        Ok(())
    }

    /// Adds partitions to a topic.
    pub(super) fn add_partitions(&mut self, name: &[u8], placed: Vec<BrokerIds>) {
        let partitions = placed.into_iter().map(|replicas| self.new_partition(replicas)).collect();
        self.topics.grow(name, partitions);
    }

    fn new_partition(&self, replicas: BrokerIds) -> Partition {
        let live = replicas.iter().copied().filter(|id| self.is_live(*id)).collect();
        Partition::new(replicas, live, self.spares.clone())
    }

    /// Spreads partitions over the brokers, each on `replication` of them: leaders in turn, from a random one on. Brokers
    /// that are gone get a replica only where the others are not enough.
    pub(super) fn place(&mut self, partitions: usize, replication: usize) -> Vec<BrokerIds> {
        let live: Vec<BrokerId> = self.live().map(|(id, _)| id).collect();
        let gone: Vec<BrokerId> = self.nodes.keys().copied().filter(|id| !self.is_live(*id)).collect();
        let first = if live.len() > 1 { self.rng.usize(..live.len()) } else { 0 };
        let of = |partition: usize| {
            let skipped = first.wrapping_add(partition) % live.len().max(1);
            let in_turn = live.iter().cycle().skip(skipped).take(live.len());
            in_turn.chain(&gone).copied().take(replication).collect()
        };
        (0..partitions).map(of).collect()
    }

    /// Deletes a topic; who waits for its records is told.
    pub(super) fn delete_topic(&mut self, name: &[u8]) -> Option<Topic> {
        let topic = self.topics.remove(name)?;
        topic.partitions.iter().for_each(|partition| self.woken.extend(&partition.watchers));
        self.groups.forget_topic(name);
        Some(topic)
    }

    /// Connections for which something has happened since the last call.
    pub(super) fn take_woken(&mut self) -> Vec<ConnectionId> {
        let mut woken = std::mem::take(&mut self.woken);
        woken.extend(self.groups.take_woken());
        woken
    }

    /// A producer id that nobody has.
    pub(super) fn new_producer_id(&mut self) -> ProducerId {
        self.producer_ids.next()
    }

    /// Where a broker is, to be told beside NOT_LEADER_OR_FOLLOWER (KIP-951).
    pub(super) fn endpoint(&self, id: BrokerId) -> Option<NodeEndpoint> {
        let node = self.nodes.get(&id).filter(|node| !node.is_fenced)?;
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

/// Checks that a broker leads a partition, or with `or_follows` has a replica of it, and which leader epoch the client
/// believes in (KIP-320).
pub(super) fn check_replica(
    partition: &Partition,
    broker: BrokerId,
    believed: LeaderEpoch,
    or_follows: bool,
) -> Result<(), ErrorCode> {
    if !partition.replicas.contains(&broker) {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    if !believed.is_none() && believed < partition.leader_epoch {
        return Err(ErrorCode::FENCED_LEADER_EPOCH);
    }
    if !believed.is_none() && believed > partition.leader_epoch {
        return Err(ErrorCode::UNKNOWN_LEADER_EPOCH);
    }
    if partition.leader == broker || or_follows { Ok(()) } else { Err(ErrorCode::NOT_LEADER_OR_FOLLOWER) }
}

/// Whom to ask instead of `asked`, when the code says that it is not this broker, or not with this epoch (KIP-951).
pub(super) fn leader_hint(code: ErrorCode, asked: BrokerId, partition: Option<&Partition>) -> CurrentLeader {
    let helps = |partition: &&Partition| match code {
        // A fault may say so of the leader itself.
        ErrorCode::NOT_LEADER_OR_FOLLOWER => partition.leader != asked,
        code => code == ErrorCode::FENCED_LEADER_EPOCH,
    };
    match partition.filter(helps) {
        Some(partition) => {
            CurrentLeader { leader_id: partition.leader, leader_epoch: partition.leader_epoch }
        }
        None => CurrentLeader::default(),
    }
}

/// The one among these that coordinates a group or a transactional id.
pub(super) fn coordinator_among(live: &[BrokerId], key: &str) -> Option<BrokerId> {
    let hash = key.bytes().fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let place = (hash as usize).checked_rem(live.len())?;
    live.get(place).copied()
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
