//! Which partition a record goes to, given what waits in each.

use super::lane::Lane;
use super::{Batcher, Divide, TopicRef, after};
use crate::engine::partitioner::{Choice, Ground, Load, Unplaced};
use crate::engine::view;
use crate::messages::BrokerId;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

impl<C: Divide> Batcher<C> {
    /// The partition for what a partitioner chose; `None` when the topic has none of this number, or none at all now.
    #[inline(always)]
    pub fn place(
        &mut self,
        topic: TopicRef,
        choice: Choice,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<i32> {
        let yard = Yard { batcher: self, topic, now };
        match self.topics.get(topic.0)?.spread.stay(choice, &yard) {
            Some(partition) => Some(partition),
            None => self.place_anew(topic, choice, now, rng),
        }
    }

    /// The way of what does not stay where the record before it went.
    #[inline(never)]
    fn place_anew(
        &mut self,
        topic: TopicRef,
        choice: Choice,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<i32> {
        let entry = self.topics.get_mut(topic.0)?;
        let known = Arc::clone(entry.known.as_ref()?);
        let mut spread = std::mem::take(&mut entry.spread);
        let record = Unplaced::new("", None, None, known.partition_count(), &known.available);
        let partition = spread.place(choice, &record, &Yard { batcher: self, topic, now }, rng);
        if let Some(entry) = self.topics.get_mut(topic.0) {
            entry.spread = spread;
        }
        partition
    }
}

/// What a [`Spread`] asks about a topic's lanes.
struct Yard<'a, C> {
    batcher: &'a Batcher<C>,
    topic: TopicRef,
    now: Instant,
}

impl<C> Yard<'_, C> {
    /// What waits for the partition, in sticky shares. Java counts batches, which do not grow beyond theirs.
    fn shares_queued(&self, partition: i32) -> u32 {
        let queue = self.lane(partition).into_iter().flat_map(|lane| &lane.queue);
        let bytes: usize = queue.map(|batch| batch.content.len()).sum();
        let shares = bytes.checked_div(self.batcher.limits.sticky_bytes).unwrap_or_default();
        u32::try_from(shares).unwrap_or(u32::MAX)
    }

    fn lane(&self, partition: i32) -> Option<&Lane<C>> {
        let topic = self.batcher.topics.get(self.topic.0)?;
        let lane = (*topic.lanes.get(usize::try_from(partition).ok()?)?)?;
        self.batcher.lanes.get(lane)
    }

    /// The brokers that have not taken a batch of the topic for too long, whatever kept them: silence, or no connection.
    fn stalled(&self, topic: &view::Topic) -> BTreeSet<BrokerId> {
        let limits = &self.batcher.limits;
        let Some(timeout) = limits.availability_timeout else { return BTreeSet::new() };
        let lanes = topic.available.iter().filter_map(|partition| self.lane(*partition));
        // A long queue is no sign of it, as long as the broker takes from any.
        let last_take = |lane: &Lane<C>| self.batcher.outlets.get(&lane.leader?.0)?.last_take;
        let is_late = |lane: &&Lane<C>| {
            let ripe = lane.queue.front().map(|head| after(head.created, limits.linger));
            ripe.is_some_and(|ripe| {
                after(last_take(lane).map_or(ripe, |at| at.max(ripe)), timeout) <= self.now
            })
        };
        lanes.filter(is_late).filter_map(|lane| Some(lane.leader?.0)).collect()
    }
}

impl<C> Ground for Yard<'_, C> {
    fn share(&self) -> usize {
        self.batcher.limits.sticky_bytes
    }

    fn load(&self) -> Load {
        let topic = self.batcher.topics.get(self.topic.0).and_then(|topic| topic.known.as_ref());
        let Some(topic) = topic.filter(|_| self.batcher.limits.adaptive) else { return Load::default() };
        let stalled = self.stalled(topic);
        let mut queues = Vec::with_capacity(topic.available.len());
        for partition in &topic.available {
            let leader = topic.partition(*partition).map(|known| known.leader);
            if leader.is_none_or(|leader| !stalled.contains(&leader)) {
                queues.push((*partition, self.shares_queued(*partition)));
            }
        }
        Load::of_queues(&queues)
    }
}
