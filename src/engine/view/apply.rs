//! Learning from a Metadata answer: first check all of it, then take it over.

use super::{Broker, Inner, Missing, Partition, Topic, View};
use crate::error::{Error, ErrorKind};
use crate::messages::{
    BrokerId, ErrorClass, ErrorCode, MetadataBroker, MetadataPartition, MetadataResponse, MetadataTopic,
};
use crate::wire::{Text, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a Metadata request had asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Every topic: those that the answer lacks are gone.
    AllTopics,
    /// Some topics, or none: of others the answer says nothing.
    SomeTopics,
}

/// What an answer changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// The answer came from another cluster than those before: its id before and now. All that was known is dropped.
    pub cluster: Option<(Text, Text)>,
    /// The brokers that are new, gone, or reached elsewhere than before: connections to old addresses are to be drained.
    pub brokers: Vec<BrokerId>,
    /// Topics that were deleted and created again: sequences and positions of the old one mean nothing.
    pub recreated: Vec<Recreated>,
    /// Topics that were known and are no more.
    pub vanished: Vec<Text>,
    /// Topics that have more partitions than before.
    pub grown: Vec<Text>,
    /// Topics that were asked for and are not there, or not for this client.
    pub errors: Vec<TopicError>,
    /// How many partitions got another leader or leader epoch, those of new topics included.
    pub leaders: usize,
    /// How many partitions have no leader.
    pub leaderless: usize,
    /// How many partitions the answer had an older leader epoch for, or a leader that it does not list; what was known of
    /// them stands.
    pub stale: usize,
    /// A partition whose leader the answer does not list among the brokers.
    pub unknown_leader: Option<UnknownLeader>,
}

impl Changes {
    /// Whether to ask again after a pause, because leaders are missing or the answer was late.
    pub fn is_incomplete(&self) -> bool {
        let passing =
            |error: &TopicError| error.code.is_retriable() || error.code == ErrorCode::UNKNOWN_SERVER_ERROR;
        self.leaderless > 0 || self.stale > 0 || self.errors.iter().any(passing)
    }
}

/// A leader that is not among the brokers of the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLeader {
    /// The topic.
    pub topic: Text,
    /// The partition.
    pub partition: i32,
    /// Its leader, so the answer.
    pub leader: BrokerId,
}

/// A topic that was deleted and created again under the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recreated {
    /// Its name.
    pub name: Text,
    /// The id of the one that is gone.
    pub old: Uuid,
    /// The id of the one that is there.
    pub new: Uuid,
}

/// What an answer said of a topic that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicError {
    /// Its name, unless it was asked for by id.
    pub name: Option<Text>,
    /// Its id, unless it was asked for by name.
    pub id: Uuid,
    /// The reason.
    pub code: ErrorCode,
}

/// Why an answer was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Nonsense {
    /// There is always at least the broker that answers.
    #[error("it lists no brokers")]
    NoBrokers,
    /// A broker's id is negative.
    #[error("it lists a broker with the id {0}")]
    BrokerId(BrokerId),
    /// A broker is listed twice.
    #[error("it lists broker {0} twice")]
    BrokerTwice(BrokerId),
    /// Nobody can connect to an empty host.
    #[error("broker {0} has an empty host")]
    EmptyHost(BrokerId),
    /// Nobody can connect to such a port.
    #[error("broker {0} has port {1}")]
    Port(BrokerId, i32),
    /// A topic that is there has a name.
    #[error("it lists a topic without a name")]
    NoName,
    /// A topic is listed twice.
    #[error("it lists topic '{0}' twice")]
    TopicTwice(Text),
    /// Indexes count from 0.
    #[error("topic '{0}' has a partition {1}")]
    PartitionIndex(Text, i32),
    /// A partition is listed twice.
    #[error("topic '{0}' has partition {1} twice")]
    PartitionTwice(Text, i32),
}

impl View {
    /// Takes over what an answer says.
    ///
    /// # Errors
    /// When the answer is nonsense ([`Nonsense`] is the source) or is an error as a whole (REBOOTSTRAP_REQUIRED). Nothing
    /// changed then. Asking another broker, or again after a pause, can help.
    pub fn apply(&mut self, answer: MetadataResponse, asked: Asked) -> Result<Changes, Error> {
        answer.error_code.ok().map_err(|code| Error::broker_code(code, ATTEMPT))?;
        let brokers = check(&answer)
            .map_err(|nonsense| Error::new(ErrorKind::Protocol, ATTEMPT).with_source(nonsense))?;

        let mut changes = Changes::default();
        let inner = Arc::make_mut(&mut self.0);
        inner.revision = inner.revision.wrapping_add(1);
        inner.take_cluster_id(answer.cluster_id, &mut changes);
        inner.controller = answer.controller_id;
        inner.take_brokers(brokers, &mut changes);
        if asked == Asked::AllTopics {
            inner.keep_only(&answer.topics, &mut changes);
        }
        for topic in answer.topics {
            inner.take_topic(topic, &mut changes);
        }
        inner.find_available();
        Ok(changes)
    }
}

const ATTEMPT: &str = "refresh the cluster's metadata";

/// Finds whatever makes the answer unusable; yields its brokers.
fn check(answer: &MetadataResponse) -> Result<BTreeMap<BrokerId, Arc<Broker>>, Nonsense> {
    let mut brokers = BTreeMap::new();
    for broker in &answer.brokers {
        let MetadataBroker { node_id, host, port, rack } = broker;
        let broker = Broker::checked(*node_id, host, *port, rack.as_ref())?;
        if brokers.insert(broker.id, Arc::new(broker)).is_some() {
            return Err(Nonsense::BrokerTwice(*node_id));
        }
    }
    if brokers.is_empty() {
        return Err(Nonsense::NoBrokers);
    }
    let mut names: Vec<&Text> = Vec::with_capacity(answer.topics.len());
    for topic in &answer.topics {
        match &topic.name {
            Some(name) if !name.is_empty() => names.push(name),
            _ if topic.error_code.is_none() => return Err(Nonsense::NoName),
            _ => {}
        }
        check_partitions(topic)?;
    }
    names.sort_unstable();
    match names.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        Some([name, ..]) => Err(Nonsense::TopicTwice(name.detach())),
        _ => Ok(brokers),
    }
}

fn check_partitions(topic: &MetadataTopic) -> Result<(), Nonsense> {
    let index = |partition: &MetadataPartition| partition.partition_index;
    let name = || topic.name.as_ref().map(Text::detach).unwrap_or_default();
    if let Some(negative) = topic.partitions.iter().map(index).find(|index| *index < 0) {
        return Err(Nonsense::PartitionIndex(name(), negative));
    }
    if topic.partitions.is_sorted_by(|a, b| index(a) < index(b)) {
        return Ok(());
    }
    let mut indexes: Vec<i32> = topic.partitions.iter().map(index).collect();
    indexes.sort_unstable();
    match indexes.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        Some([twice, ..]) => Err(Nonsense::PartitionTwice(name(), *twice)),
        _ => Ok(()),
    }
}

impl Broker {
    /// A broker that can be connected to.
    pub(super) fn checked(
        id: BrokerId,
        host: &Text,
        port: i32,
        rack: Option<&Text>,
    ) -> Result<Broker, Nonsense> {
        if id.0 < 0 {
            return Err(Nonsense::BrokerId(id));
        }
        if host.is_empty() {
            return Err(Nonsense::EmptyHost(id));
        }
        match u16::try_from(port) {
            Ok(port) if port != 0 => {
                Ok(Broker { id, host: host.detach(), port, rack: rack.map(Text::detach) })
            }
            _ => Err(Nonsense::Port(id, port)),
        }
    }
}

impl Inner {
    /// Another cluster has other topics, ids and epochs under the same names: nothing of the old one may be mixed in.
    fn take_cluster_id(&mut self, id: Option<Text>, changes: &mut Changes) {
        let Some(id) = id else { return };
        match &self.cluster_id {
            Some(known) if *known == id => return,
            Some(known) => {
                changes.cluster = Some((known.clone(), id.detach()));
                self.topics.clear();
                self.names.clear();
                self.missing.clear();
            }
            None => {}
        }
        self.cluster_id = Some(id.detach());
    }

    /// Every answer lists all brokers.
    fn take_brokers(&mut self, brokers: BTreeMap<BrokerId, Arc<Broker>>, changes: &mut Changes) {
        let gone = self.brokers.keys().filter(|id| !brokers.contains_key(id));
        changes.brokers.extend(gone);
        let moved = |(id, broker): &(&BrokerId, &Arc<Broker>)| self.brokers.get(id) != Some(broker);
        changes.brokers.extend(brokers.iter().filter(moved).map(|(id, _)| *id));
        self.brokers = brokers;
    }

    /// Brokers come and go also for the topics that an answer does not tell of.
    fn find_available(&mut self) {
        for topic in self.topics.values_mut() {
            let has_leader = |partition: &&Partition| self.brokers.contains_key(&partition.leader);
            let available = topic.partitions.iter().filter(has_leader).map(|partition| partition.index);
            if !available.clone().eq(topic.available.iter().copied()) {
                let available = available.collect();
                Arc::make_mut(topic).available = available;
            }
        }
    }

    /// Drops the topics that an answer about all topics lacks.
    fn keep_only(&mut self, topics: &[MetadataTopic], changes: &mut Changes) {
        let mut listed: Vec<&Text> = topics.iter().filter_map(|topic| topic.name.as_ref()).collect();
        listed.sort_unstable();
        let is_listed = |name: &Text| listed.binary_search(&name).is_ok();
        let gone: Vec<Text> = self.topics.keys().filter(|name| !is_listed(name)).cloned().collect();
        for name in gone {
            self.remove(&name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, changes);
        }
    }

    fn take_topic(&mut self, topic: MetadataTopic, changes: &mut Changes) {
        if !topic.error_code.is_none() {
            return self.take_error(&topic, changes);
        }
        let Some(name) = topic.name else { return };
        let missing = self.missing.remove(&name).and_then(|missing| missing.last);
        let known = self.topics.remove(&name).or(missing);

        let last_id = known.as_ref().map(|known| known.id);
        let is_same =
            last_id.is_none_or(|last| last == topic.topic_id || last.is_zero() || topic.topic_id.is_zero());
        // The key of a known topic is kept, a new one is copied out of the frame.
        let name = known.as_ref().map_or_else(|| name.detach(), |known| known.name.clone());
        if let (false, Some(old)) = (is_same, last_id) {
            changes.recreated.push(Recreated { name: name.clone(), old, new: topic.topic_id });
            self.names.remove(&old);
        }

        let before = known.filter(|_| is_same);
        let mut taken = Topic {
            name: name.clone(),
            id: topic.topic_id,
            is_internal: topic.is_internal,
            partitions: topic.partitions.into_iter().map(Partition::from).collect(),
            available: Vec::new(),
        };
        taken.partitions.sort_unstable_by_key(|partition| partition.index);
        self.judge_leaders(&mut taken, before.as_deref(), changes);

        if before.is_some_and(|before| before.partitions.len() < taken.partitions.len()) {
            changes.grown.push(name.clone());
        }
        if !taken.id.is_zero() {
            self.names.insert(taken.id, name.clone());
        }
        self.topics.insert(name, Arc::new(taken));
    }

    /// Lets what is known stand where the answer is older, or names a leader that it does not list: to refuse all of such
    /// an answer would keep the other topics from being learnt.
    fn judge_leaders(&self, taken: &mut Topic, before: Option<&Topic>, changes: &mut Changes) {
        for partition in &mut taken.partitions {
            let known = before.and_then(|before| before.partition(partition.index));
            if !self.brokers.contains_key(&partition.leader) {
                if !partition.leader.is_none() && partition.error.is_none() {
                    changes.unknown_leader = Some(UnknownLeader {
                        topic: taken.name.clone(),
                        partition: partition.index,
                        leader: partition.leader,
                    });
                    if let Some(known) = known.filter(|known| self.brokers.contains_key(&known.leader)) {
                        *partition = known.clone();
                        changes.stale += 1;
                        continue;
                    }
                    partition.error = ErrorCode::LEADER_NOT_AVAILABLE;
                }
                partition.leader = BrokerId::NONE;
            }
            if let Some(known) = known.filter(|known| known.leader_epoch > partition.leader_epoch)
                && !partition.leader_epoch.is_none()
            {
                *partition = known.clone();
                changes.stale += 1;
            }
            let leader = |partition: &Partition| (partition.leader, partition.leader_epoch);
            changes.leaders += usize::from(known.map(leader) != Some(leader(partition)));
            changes.leaderless += usize::from(partition.leader.is_none());
        }
        if let Some(before) = before.filter(|before| !before.id.is_zero() && before.id == taken.id) {
            let lacks = |partition: &&Partition| taken.partition(partition.index).is_none();
            let kept: Vec<Partition> = before.partitions.iter().filter(lacks).cloned().collect();
            changes.stale += kept.len();
            taken.partitions.extend(kept);
            taken.partitions.sort_unstable_by_key(|partition| partition.index);
        }
    }

    /// A topic that is there no more is dropped; one about which the broker cannot say anything now is kept.
    fn take_error(&mut self, topic: &MetadataTopic, changes: &mut Changes) {
        let code = topic.error_code;
        let known = self.names.get(&topic.topic_id).filter(|_| !topic.topic_id.is_zero());
        let name = topic.name.as_ref().filter(|name| !name.is_empty()).map(Text::detach).or(known.cloned());
        changes.errors.push(TopicError { name: name.clone(), id: topic.topic_id, code });
        let Some(name) = name else { return };
        let is_gone = matches!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID)
            || matches!(code.class(), ErrorClass::Failed | ErrorClass::Fatal)
                && code != ErrorCode::UNKNOWN_SERVER_ERROR
                && code.is_known();
        if is_gone {
            self.remove(&name, code, changes);
        } else if !self.topics.contains_key(&name) {
            self.missing.entry(name).or_insert(Missing { error: code, last: None }).error = code;
        }
    }

    fn remove(&mut self, name: &Text, error: ErrorCode, changes: &mut Changes) {
        let known = self.topics.remove(name);
        if let Some(topic) = &known {
            self.names.remove(&topic.id);
            changes.vanished.push(name.clone());
        }
        let last = known.or_else(|| self.missing.remove(name).and_then(|missing| missing.last));
        self.missing.insert(name.clone(), Missing { error, last });
    }
}

impl From<MetadataPartition> for Partition {
    fn from(partition: MetadataPartition) -> Partition {
        Partition {
            index: partition.partition_index,
            leader: partition.leader_id,
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes,
            isr: partition.isr_nodes,
            offline: partition.offline_replicas,
            error: partition.error_code,
        }
    }
}
