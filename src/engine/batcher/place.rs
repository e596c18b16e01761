//! Which partition a record goes to, given what waits in each.

use super::lane::{Content, Lane};
use super::{Batcher, Divide, TopicRef, after};
use crate::engine::partitioner::{Choice, Ground, Load, Unplaced};
use std::sync::Arc;
use std::time::Instant;

impl<C: Divide> Batcher<C> {
    /// The partition for what a partitioner chose; `None` when the topic has none of this number, or none at all now.
    pub fn place(
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
    fn lane(&self, partition: i32) -> Option<&Lane<C>> {
        let topic = self.batcher.topics.get(self.topic.0)?;
        let lane = (*topic.lanes.get(usize::try_from(partition).ok()?)?)?;
        self.batcher.lanes.get(lane)
    }

    /// Whether the broker has not taken what was due for too long.
    fn is_stalled(&self, lane: &Lane<C>) -> bool {
        let outlet = lane.leader.and_then(|(broker, _)| self.batcher.outlets.get(&broker));
        let waiting = outlet.and_then(|outlet| outlet.due.first());
        let timeout = self.batcher.limits.availability_timeout;
        waiting.zip(timeout).is_some_and(|((since, _), timeout)| after(*since, timeout) <= self.now)
    }
}

impl<C> Ground for Yard<'_, C> {
    fn share(&self) -> usize {
        self.batcher.limits.sticky_bytes
    }

    fn is_filling(&self, partition: i32) -> bool {
        let last = self.lane(partition).and_then(|lane| lane.queue.back());
        last.is_some_and(|batch| matches!(batch.content, Content::Open(_)))
    }

    fn load(&self) -> Load {
        let topic = self.batcher.topics.get(self.topic.0).and_then(|topic| topic.known.as_ref());
        let Some(topic) = topic.filter(|_| self.batcher.limits.adaptive) else { return Load::default() };
        let mut queues = Vec::with_capacity(topic.available.len());
        for partition in &topic.available {
            let lane = self.lane(*partition);
            if !lane.is_some_and(|lane| self.is_stalled(lane)) {
                let queued = lane.map_or(0, |lane| lane.queue.len());
                queues.push((*partition, u32::try_from(queued).unwrap_or(u32::MAX)));
            }
        }
        Load::of_queues(&queues)
    }
}
