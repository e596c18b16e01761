//! Topics and partitions: what there is, where it lies, and who may name it.

use super::core::ConnectionId;
use super::log::Log;
use super::topic_config::TopicConfig;
use crate::engine::connection::Spares;
use crate::messages::{BrokerId, BrokerIds, ErrorCode, LeaderEpoch};
use crate::wire::{Text, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// The longest name of a topic.
const MAX_NAME_LEN: usize = 249;

/// Every topic, by name and by id.
#[derive(Debug, Default)]
pub(super) struct Topics {
    by_name: BTreeMap<Text, Topic>,
    names: BTreeMap<Uuid, Text>,
    partitions: usize,
    /// How often a topic came or went.
    changes: u64,
}

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: Uuid,
    pub(super) config: TopicConfig,
    pub(super) partitions: Vec<Partition>,
}

/// A partition: its place in the cluster and its log.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) leader: BrokerId,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) replicas: BrokerIds,
    pub(super) isr: BrokerIds,
    /// Eligible leader replicas (KIP-966): no longer in sync, but with every record.
    pub(super) elr: BrokerIds,
    pub(super) log: Log,
    /// Connections with a fetch that waits for records here.
    pub(super) watchers: BTreeSet<ConnectionId>,
}

impl Topics {
    /// All of them, by ascending name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Text, &Topic)> {
        self.by_name.iter()
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Topic> {
        self.by_name.get(name)
    }

    /// All partitions there are, to be changed, with how many replicas of each are to be in sync.
    pub(super) fn partitions_mut(&mut self) -> impl Iterator<Item = (usize, &mut Partition)> {
        self.by_name.values_mut().flat_map(|topic| {
            let min_insync_replicas = topic.config.min_insync_replicas;
            topic.partitions.iter_mut().map(move |partition| (min_insync_replicas, partition))
        })
    }

    /// All partitions there are, to be changed, with the settings of their topics.
    pub(super) fn with_config_mut(&mut self) -> impl Iterator<Item = (&TopicConfig, &mut Partition)> {
        self.by_name.values_mut().flat_map(|topic| {
            let Topic { config, partitions, .. } = topic;
            partitions.iter_mut().map(|partition| (&*config, partition))
        })
    }

    /// A partition of a topic.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub(super) fn partition(&self, name: &Text, index: i32) -> Result<&Partition, ErrorCode> {
        let found = self.get(name.as_bytes()).and_then(|topic| topic.partition(index));
        found.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }

    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<&mut Topic> {
        self.by_name.get_mut(name)
    }

    /// The name that a topic id stands for.
    pub(super) fn name_of(&self, id: &Uuid) -> Option<&Text> {
        self.names.get(id)
    }

    /// Partitions of all topics together.
    pub(super) fn partition_count(&self) -> usize {
        self.partitions
    }

    /// Differs whenever there are other topics, or other partitions.
    pub(super) fn version(&self) -> (u64, usize) {
        (self.changes, self.partitions)
    }

    pub(super) fn insert(&mut self, name: Text, topic: Topic) {
        self.changes = self.changes.wrapping_add(1);
        self.partitions = self.partitions.saturating_add(topic.partitions.len());
        self.names.insert(topic.id, name.clone());
        self.by_name.insert(name, topic);
    }

    /// Adds partitions to a topic.
    pub(super) fn grow(&mut self, name: &[u8], partitions: Vec<Partition>) {
        if let Some(topic) = self.by_name.get_mut(name) {
            self.partitions = self.partitions.saturating_add(partitions.len());
            topic.partitions.extend(partitions);
        }
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<Topic> {
        let topic = self.by_name.remove(name)?;
        self.changes = self.changes.wrapping_add(1);
        self.names.remove(&topic.id);
        self.partitions = self.partitions.saturating_sub(topic.partitions.len());
        Some(topic)
    }

    /// A topic whose name is the same but for `.` and `_`: Kafka refuses that, because names of metrics would collide.
    pub(super) fn colliding(&self, name: &str) -> Option<&Text> {
        let plain = |name: &str| name.replace('.', "_");
        let wanted = plain(name);
        if !wanted.contains('_') {
            return None;
        }
        self.by_name.keys().find(|other| other.as_str() != name && plain(other) == wanted)
    }
}

impl Topic {
    pub(super) fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    pub(super) fn partition_mut(&mut self, index: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(index).ok()?)
    }
}

impl Partition {
    /// An empty partition on these brokers, of which `live` are there: the first of those leads. Where there is none, the
    /// first of all will when it is back.
    pub(super) fn new(replicas: BrokerIds, live: BrokerIds, spares: Spares) -> Partition {
        let eligible = if live.is_empty() { 1 } else { 0 };
        Partition {
            leader: live.first().copied().unwrap_or(BrokerId::NONE),
            leader_epoch: LeaderEpoch(0),
            isr: live,
            elr: replicas.iter().copied().take(eligible).collect(),
            replicas,
            log: Log::new(LeaderEpoch(0), spares),
            watchers: BTreeSet::new(),
        }
    }
}

/// What is wrong with the name of a topic, in Kafka's words.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let illegal = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if name.is_empty() {
        return Err("the topic name is empty".to_owned());
    }
    if name == "." || name == ".." {
        return Err(format!("the topic name cannot be \"{name}\""));
    }
    if name.len() > MAX_NAME_LEN {
        return Err(format!("the topic name is longer than {MAX_NAME_LEN} characters"));
    }
    match name.chars().find(|c| illegal(*c)) {
        Some(c) => Err(format!(
            "the topic name contains {c:?}: only ASCII letters and digits, '.', '_' and '-' are legal"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(names: &[&str]) -> Topics {
        let mut topics = Topics::default();
        for (n, name) in (1u8..).zip(names) {
            let replicas = BrokerIds::from([BrokerId(1)]);
            let partitions = vec![Partition::new(replicas.clone(), replicas, Spares::default())];
            let id = Uuid::from_bytes([n; 16]);
            topics.insert((*name).into(), Topic { id, config: TopicConfig::default(), partitions });
        }
        topics
    }

    #[test]
    fn names_are_checked_as_kafka_does() {
        for name in ["a", "Orders.v2_x-1", &"x".repeat(249)] {
            assert_eq!(check_name(name), Ok(()));
        }
        for name in ["", ".", "..", "a b", "ü", "a/b", "a\0", &"x".repeat(250)] {
            check_name(name).unwrap_err();
        }
    }

    #[test]
    fn a_topic_is_found_by_name_and_by_id_until_it_is_gone() {
        let mut topics = topics(&["a", "b"]);
        let id = topics.get(b"b").unwrap().id;
        assert_eq!(topics.name_of(&id).map(Text::as_str), Some("b"));
        assert_eq!(topics.partition_count(), 2);
        topics.remove(b"b").unwrap();
        assert!(topics.get(b"b").is_none() && topics.name_of(&id).is_none());
        assert_eq!(topics.partition_count(), 1);
    }

    #[test]
    fn names_that_differ_in_dots_and_underscores_only_collide() {
        let topics = topics(&["a.b_c"]);
        assert_eq!(topics.colliding("a_b.c").map(Text::as_str), Some("a.b_c"));
        assert_eq!(topics.colliding("a.b_c"), None);
        assert_eq!(topics.colliding("abc"), None);
    }
}
