//! What the coordinator has assigned, by topic id, and what is owned.

use crate::engine::TopicPartition;
use crate::engine::view::View;
use crate::messages::{ConsumerGroupHeartbeatAssignment, ConsumerGroupHeartbeatPartitions};
use crate::wire::{Text, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Partitions, with the ids of their topics.
pub(super) type Named = BTreeMap<TopicPartition, Uuid>;

/// An assignment, and how far the member has come with it.
#[derive(Debug)]
pub(super) struct Target {
    partitions: BTreeMap<Uuid, BTreeSet<i32>>,
    /// The application has heard of it, if only in part.
    pub(super) is_told: bool,
    /// All of it is owned, and nothing else.
    pub(super) is_reached: bool,
    /// When to ask again for the topics that nobody knows.
    pub(super) ask_at: Option<Instant>,
}

impl Target {
    pub(super) fn new(assignment: ConsumerGroupHeartbeatAssignment) -> Target {
        let mut partitions: BTreeMap<Uuid, BTreeSet<i32>> = BTreeMap::new();
        for topic in assignment.topic_partitions {
            partitions.entry(topic.topic_id).or_default().extend(topic.partitions);
        }
        Target { partitions, is_told: false, is_reached: false, ask_at: None }
    }

    pub(super) fn is_same(&self, other: &Target) -> bool {
        self.partitions == other.partitions
    }

    /// Starts again.
    pub(super) fn begin(&mut self) {
        (self.is_told, self.is_reached, self.ask_at) = (false, false, None);
    }

    /// What it is by name, and the ids of topics that nobody can name. One of which something is owned keeps its name when it
    /// is deleted and the view forgets it.
    pub(super) fn resolve(&self, view: &View, holdings: &Holdings) -> (Named, Vec<Uuid>) {
        let (mut named, mut unknown) = (Named::new(), Vec::new());
        for (id, partitions) in &self.partitions {
            let known = view.topic_by_id(*id).map(|topic| &topic.name);
            let Some(topic) = known.or_else(|| holdings.name_of(*id)) else {
                unknown.push(*id);
                continue;
            };
            for partition in partitions {
                let partition = TopicPartition::new(topic.clone(), *partition);
                if known.is_some() {
                    named.insert(partition, *id);
                } else {
                    // The topic of that name that there is now comes before the one that was.
                    named.entry(partition).or_insert(*id);
                }
            }
        }
        (named, unknown)
    }
}

/// What is owned, and of which topics it is.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    owned: BTreeSet<TopicPartition>,
    ids: Named,
}

impl Holdings {
    pub(super) fn owned(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    /// What is owned, but not in a target.
    pub(super) fn beyond(&self, target: &Named) -> Vec<TopicPartition> {
        let surplus = self.ids.iter().filter(|(own, id)| target.get(*own) != Some(*id));
        surplus.map(|(own, _)| own.clone()).collect()
    }

    /// What is in a target, but not owned.
    pub(super) fn missing(&self, mut target: Named) -> Named {
        target.retain(|partition, _| !self.owned.contains(partition));
        target
    }

    pub(super) fn add(&mut self, named: Named) {
        self.owned.extend(named.keys().cloned());
        self.ids.extend(named);
    }

    pub(super) fn remove(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.owned.remove(partition);
            self.ids.remove(partition);
        }
    }

    pub(super) fn clear(&mut self) {
        self.owned.clear();
        self.ids.clear();
    }

    /// As the coordinator is told, together with what is about to be owned.
    pub(super) fn by_id(&self, soon: &Named) -> Vec<ConsumerGroupHeartbeatPartitions> {
        let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
        for (own, id) in self.ids.iter().chain(soon) {
            topics.entry(*id).or_default().push(own.partition);
        }
        let topic = |(topic_id, partitions)| ConsumerGroupHeartbeatPartitions { topic_id, partitions };
        topics.into_iter().map(topic).collect()
    }

    fn name_of(&self, id: Uuid) -> Option<&Text> {
        self.ids.iter().find(|(_, of)| **of == id).map(|(own, _)| &own.topic)
    }
}
