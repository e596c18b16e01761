//! Partitions that have a reader of their own: what is fetched of them is for nobody else.
//!
//! A reader that is slow must not keep the others from theirs, so each of these partitions has its share of what may be
//! queued, and is not fetched while it holds that much. The others share the rest and take turns, as ever.

use super::{Cursors, FetchedBatch};
use crate::engine::TopicPartition;
use crate::error::Error;
use std::time::Instant;

impl Cursors {
    /// Gives a partition a reader of its own; whether it had none.
    ///
    /// # Errors
    /// When it is not assigned.
    pub fn split(&mut self, partition: &TopicPartition) -> Result<bool, Error> {
        let cursor = self.cursor_mut(partition)?;
        let had_none = !std::mem::replace(&mut cursor.split, true);
        if had_none && let Some(cursor) = self.partitions.get_mut(partition) {
            cursor.queue.iter_mut().for_each(|set| set.stand_alone(&self.held_split));
        }
        self.turns.retain(|turn| turn != partition);
        Ok(had_none)
    }

    /// Takes the reader of its own away: what is queued comes with the others.
    pub fn join(&mut self, partition: &TopicPartition) {
        let Some(cursor) = self.partitions.get_mut(partition) else { return };
        cursor.split = false;
        if (cursor.rest.is_some() || !cursor.queue.is_empty()) && !self.turns.contains(partition) {
            self.turns.push_back(partition.clone());
        }
        self.unplanned = true;
    }

    /// The next batch of a split partition, or what keeps it from giving one.
    pub fn next_batch_of(
        &mut self,
        partition: &TopicPartition,
        now: Instant,
    ) -> Option<Result<FetchedBatch, Error>> {
        if let Some(error) = self.take_error(|_, of| of == partition) {
            return Some(Err(error));
        }
        let cursor = self.partitions.get(partition)?;
        if cursor.stands_still() {
            return None;
        }
        let was_full = self.partition_room(cursor).is_none();
        let next = self.take(partition, now);
        let is_full =
            self.partitions.get(partition).is_some_and(|cursor| self.partition_room(cursor).is_none());
        self.unplanned |= was_full && !is_full;
        next
    }

    /// The split partitions that have something new for their readers since this was asked last.
    pub fn take_news(&mut self) -> Vec<TopicPartition> {
        std::mem::take(&mut self.news)
    }

    pub(super) fn is_split(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_some_and(|cursor| cursor.split)
    }
}
