//! The target assignment: what each member is to have, by the assignor that most of them want.

use super::{ConsumerGroup, Member, Partitions};
use crate::broker::topic::Topics;
use crate::engine::TopicPartition;
use crate::engine::assign::{self, Strategy};
use crate::wire::{Text, Uuid};
use std::collections::BTreeMap;

/// The assignors that the coordinator has (`group.consumer.assignors`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::broker) enum Assignor {
    /// Evenly, and as little moves as can be.
    #[default]
    Uniform,
    /// Each topic on its own, in runs.
    Range,
}

impl Assignor {
    pub(in crate::broker) fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// The one of that name.
    pub(in crate::broker) fn named(name: &str) -> Option<Assignor> {
        [Assignor::Uniform, Assignor::Range].into_iter().find(|assignor| assignor.name() == name)
    }

    fn strategy(self) -> Strategy {
        match self {
            Assignor::Uniform => Strategy::Sticky,
            Assignor::Range => Strategy::Range,
        }
    }
}

impl ConsumerGroup {
    /// Raises the epoch if members want something else, or there is something else of what they want.
    pub(super) fn follow_topics(&mut self, topics: &Topics, has_resubscribed: bool) {
        if self.topics_version == Some(topics.version()) && !has_resubscribed && self.epoch > 0 {
            return;
        }
        self.topics_version = Some(topics.version());
        let is_wanted = |name: &Text| self.members.values().any(|member| member.subscribes(name));
        let wanted = topics.iter().filter(|(name, _)| is_wanted(name));
        let wanted: BTreeMap<Uuid, usize> =
            wanted.map(|(_, topic)| (topic.id, topic.partitions.len())).collect();
        if has_resubscribed || self.epoch == 0 || wanted != self.topics {
            self.raise_epoch();
        }
        self.topics = wanted;
    }

    /// Makes the target assignment of the epoch.
    pub(super) fn assign(&mut self, topics: &Topics) {
        self.assignor = self.favourite();
        let mut partitions = assign::Topics::default();
        for (name, topic) in topics.iter().filter(|(_, topic)| self.topics.contains_key(&topic.id)) {
            partitions.add(name.clone(), i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX));
        }
        let subscribed = |member: &Member| {
            let names = topics.iter().map(|(name, _)| name);
            names.filter(|name| member.subscribes(name)).cloned().collect()
        };
        let members: Vec<assign::Member> = self
            .members
            .iter()
            .map(|(id, member)| assign::Member {
                id: id.clone(),
                instance: member.instance_id.clone(),
                rack: member.rack_id.clone(),
                topics: subscribed(member),
                owned: named(topics, &member.target),
                generation: -1,
            })
            .collect();
        let mut shares = assign::assign(self.assignor.strategy(), &members, &partitions);
        for (id, member) in &mut self.members {
            member.target = by_id(topics, shares.remove(id).unwrap_or_default());
        }
        self.assignment_epoch = self.epoch;
    }

    /// The assignor that most of those want who say; the first of ours when nobody does.
    fn favourite(&self) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for assignor in self.members.values().filter_map(|member| member.assignor) {
            *votes.entry(assignor).or_default() += 1;
        }
        let most = votes.values().copied().max();
        votes
            .into_iter()
            .find(|(_, count)| Some(*count) == most)
            .map(|(assignor, _)| assignor)
            .unwrap_or_default()
    }
}

fn named(topics: &Topics, partitions: &Partitions) -> Vec<TopicPartition> {
    let known = partitions.iter().filter_map(|(id, own)| Some((topics.name_of(id)?, own)));
    known
        .flat_map(|(name, own)| own.iter().map(|partition| TopicPartition::new(name.clone(), *partition)))
        .collect()
}

fn by_id(topics: &Topics, share: Vec<TopicPartition>) -> Partitions {
    let mut partitions = Partitions::new();
    for TopicPartition { topic, partition } in share {
        if let Some(topic) = topics.get(topic.as_bytes()) {
            partitions.entry(topic.id).or_default().insert(partition);
        }
    }
    partitions
}
