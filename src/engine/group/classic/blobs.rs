//! The blobs that members send each other through the coordinator, which reads none of them.

use crate::engine::TopicPartition;
use crate::engine::assign::{self, Strategy};
use crate::engine::group::Subscription;
use crate::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolPartitions, ConsumerProtocolSubscription,
    CooperativeStickyAssignorUserData, GenerationId, JoinGroupMember, JoinGroupProtocol,
    StickyAssignorUserData,
};
use crate::wire::{Text, WireError};
use bytes::Bytes;
use std::collections::BTreeSet;

/// What a member says of itself when it joins.
pub(super) struct Claims<'a> {
    pub(super) subscription: &'a Subscription,
    pub(super) rack: Option<&'a Text>,
    /// What it owns while it joins.
    pub(super) owned: &'a BTreeSet<TopicPartition>,
    /// The generation of which it is a member: what it owns, it owns by right. Leaders before Kafka 3.5 take claims of an
    /// older generation than another member's for lost (KAFKA-14639), and would give away what is still read.
    pub(super) generation: GenerationId,
    pub(super) remembered: &'a Remembered,
}

/// The last assignment that was carried out, by which an eager assignor that is sticky remembers what members have given
/// back before they join (KIP-54).
#[derive(Debug, Default)]
pub(super) struct Remembered {
    pub(super) partitions: BTreeSet<TopicPartition>,
    pub(super) generation: GenerationId,
}

/// What it says to the assignors, each in its own way.
pub(super) fn protocols(strategies: &[Strategy], claims: &Claims<'_>) -> Vec<JoinGroupProtocol> {
    let protocol = |strategy: &Strategy| {
        let subscription = ConsumerProtocolSubscription {
            topics: claims.subscription.topics.iter().cloned().collect(),
            user_data: user_data(*strategy, claims),
            owned_partitions: by_topic(claims.owned),
            generation_id: claims.generation,
            rack_id: claims.rack.cloned(),
        };
        // Names come from metadata or were checked: they fit.
        let metadata = subscription.write(ConsumerProtocolSubscription::VERSION).unwrap_or_default();
        JoinGroupProtocol { name: strategy.name().into(), metadata }
    };
    strategies.iter().map(protocol).collect()
}

fn user_data(strategy: Strategy, claims: &Claims<'_>) -> Option<Bytes> {
    let written = match strategy {
        Strategy::Sticky => {
            let Remembered { partitions, generation } = claims.remembered;
            StickyAssignorUserData { previous_assignment: by_topic(partitions), generation: *generation }
                .write()
        }
        Strategy::CooperativeSticky => {
            CooperativeStickyAssignorUserData { generation: claims.generation }.write()
        }
        Strategy::Range | Strategy::RoundRobin => return None,
    };
    written.ok()
}

/// What a leader gives a member.
pub(super) fn assignment(partitions: &[TopicPartition]) -> Bytes {
    let assignment =
        ConsumerProtocolAssignment { assigned_partitions: by_topic(partitions), user_data: None };
    assignment.write(ConsumerProtocolAssignment::VERSION).unwrap_or_default()
}

/// An empty assignment is none: of a group whose leader has forgotten this member.
pub(super) fn assigned(assignment: &Bytes) -> Result<BTreeSet<TopicPartition>, WireError> {
    if assignment.is_empty() {
        return Ok(BTreeSet::new());
    }
    let assignment = ConsumerProtocolAssignment::read(assignment)?;
    Ok(flat(assignment.assigned_partitions).collect())
}

/// A member as the leader sees it. One whose metadata make no sense gets nothing; the others are not to suffer.
pub(super) fn member_of(member: &JoinGroupMember, strategy: Strategy) -> assign::Member {
    let read = ConsumerProtocolSubscription::read(&member.metadata);
    let subscription = read.unwrap_or_default();
    let user_data = subscription.user_data.as_ref().filter(|data| !data.is_empty());
    let (mut owned, mut generation) = (subscription.owned_partitions, subscription.generation_id);
    match strategy {
        Strategy::Sticky => {
            if let Some(data) = user_data.and_then(|data| StickyAssignorUserData::read(data).ok()) {
                (owned, generation) = (data.previous_assignment, data.generation);
            }
        }
        Strategy::CooperativeSticky if generation == GenerationId::NONE => {
            let data = user_data.and_then(|data| CooperativeStickyAssignorUserData::read(data).ok());
            generation = data.map_or(generation, |data| data.generation);
        }
        _ => {}
    }
    assign::Member {
        id: member.member_id.clone(),
        instance: member.group_instance_id.clone(),
        rack: subscription.rack_id.filter(|rack| !rack.is_empty()),
        topics: subscription.topics,
        owned: flat(owned).collect(),
        generation: generation.0,
    }
}

fn by_topic<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Vec<ConsumerProtocolPartitions> {
    let mut topics: Vec<ConsumerProtocolPartitions> = Vec::new();
    for TopicPartition { topic, partition } in partitions {
        match topics.last_mut().filter(|last| last.topic == *topic) {
            Some(last) => last.partitions.push(*partition),
            None => {
                topics.push(ConsumerProtocolPartitions { topic: topic.clone(), partitions: vec![*partition] })
            }
        }
    }
    topics
}

fn flat(topics: Vec<ConsumerProtocolPartitions>) -> impl Iterator<Item = TopicPartition> {
    topics.into_iter().flat_map(|ConsumerProtocolPartitions { topic, partitions }| {
        partitions.into_iter().map(move |partition| TopicPartition::new(topic.clone(), partition))
    })
}
