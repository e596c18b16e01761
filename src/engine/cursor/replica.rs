//! Reading from a follower that is nearer than the leader (KIP-392).
//!
//! Who says in which rack he stands may be sent to another replica by the leader. That counts until `metadata.max.age.ms`
//! is over, so that the leader is asked again now and then, and until the replica fails: no fault of a follower is more than
//! a way back to the leader, and a follower that has less than the leader does not make an offset out of range.

use super::plan::Planned;
use super::{Cursor, Cursors};
use crate::engine::TopicPartition;
use crate::engine::view::View;
use crate::messages::BrokerId;
use std::time::Instant;

/// The broker to read a partition from.
pub(super) enum ReadFrom {
    Leader,
    Follower(BrokerId),
    /// The leader, and metadata are out of date: they do not know the replica that it has named.
    LeaderForNow,
}

impl Cursor {
    pub(super) fn read_from(&self, view: &View, partition: &TopicPartition, now: Instant) -> ReadFrom {
        let Some((replica, until)) = self.replica else { return ReadFrom::Leader };
        if until <= now {
            return ReadFrom::Leader;
        }
        let topic = view.topic(&partition.topic);
        let holders = topic.and_then(|topic| topic.partition(partition.partition));
        let is_offline = holders.is_some_and(|found| found.offline.contains(&replica));
        match view.broker(replica) {
            Some(_) if !is_offline => ReadFrom::Follower(replica),
            _ => ReadFrom::LeaderForNow,
        }
    }
}

impl Cursors {
    /// The replica that the leader of a partition has named, if it has.
    pub fn preferred_replica(&self, partition: &TopicPartition) -> Option<BrokerId> {
        self.partitions.get(partition)?.replica.map(|(replica, _)| replica)
    }

    /// The leader says who is nearer.
    pub(super) fn prefer(&mut self, planned: &Planned, replica: BrokerId, now: Instant) {
        let until = now.checked_add(self.limits.replica_max_age).unwrap_or(now);
        if let Some(cursor) = self.current(planned) {
            tracing::debug!(partition = %planned.partition, %replica, "read from a replica nearby");
            cursor.replica = Some((replica, until));
        }
    }

    /// The leader is asked next. Whether it was another one who answered.
    pub(super) fn back_to_leader(&mut self, planned: &Planned) -> bool {
        if planned.is_of_follower
            && let Some(cursor) = self.current(planned)
        {
            cursor.replica = None;
        }
        planned.is_of_follower
    }

    /// The cursor that a request was for, unless it was moved since.
    pub(super) fn current(&mut self, planned: &Planned) -> Option<&mut Cursor> {
        self.partitions.get_mut(&planned.partition).filter(|cursor| cursor.generation == planned.generation)
    }
}
