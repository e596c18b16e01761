//! Reading from a follower that is nearer than the leader (KIP-392).
//!
//! Who says in which rack he stands may be sent to another replica by the leader. That counts until `metadata.max.age.ms`
//! is over, so that the leader is asked again now and then, and until the replica fails: no fault of a follower is more than
//! a way back to the leader, and a follower that has less than the leader does not make an offset out of range.
//!
//! Followers are not asked whether the log has parted, and a leader that names one does not look. So a leader that is asked
//! after records have come from a follower is not told the rack, once: it reads, and compares.

use super::plan::{FetchPlan, Planned};
use super::{Cursor, Cursors};
use crate::engine::TopicPartition;
use crate::engine::view::View;
use crate::messages::{BrokerId, LeaderEpoch};
use crate::wire::Text;
use std::time::{Duration, Instant};

/// How long nobody is told the rack after a follower has failed. The leader goes on naming a follower that is dead until its
/// session has ended (`broker.session.timeout.ms`, 9 s), and gives no records meanwhile.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Another replica that the leader has named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replica {
    broker: BrokerId,
    until: Instant,
    /// The leader's, when it did.
    epoch: LeaderEpoch,
}

/// The broker to read a partition from.
pub(super) enum ReadFrom {
    Leader,
    Follower(BrokerId),
    /// The leader, and metadata are out of date: they do not know the replica that it has named.
    LeaderForNow,
}

impl Cursor {
    pub(super) fn read_from(
        &self,
        view: &View,
        partition: &TopicPartition,
        leader: LeaderEpoch,
        now: Instant,
    ) -> ReadFrom {
        // A new leader has to compare its log with what was read before anybody is believed.
        let named = self.replica.filter(|replica| replica.until > now && replica.epoch == leader);
        let Some(Replica { broker: replica, .. }) = named else { return ReadFrom::Leader };
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
        self.partitions.get(partition)?.replica.map(|replica| replica.broker)
    }

    /// The leader says who is nearer.
    pub(super) fn prefer(&mut self, planned: &Planned, replica: BrokerId, now: Instant) {
        let until = now.checked_add(self.limits.replica_max_age).unwrap_or(now);
        if let Some(cursor) = self.current(planned) {
            tracing::debug!(partition = %planned.partition, %replica, "read from a replica nearby");
            cursor.replica = Some(Replica { broker: replica, until, epoch: planned.asked.epoch });
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

    /// A request failed as a whole: a follower that does not answer is not to be named again soon.
    pub(super) fn request_failed(&mut self, plan: &FetchPlan, now: Instant) {
        if plan.partitions.iter().any(|planned| planned.is_of_follower) {
            self.rack_rests_until = now.checked_add(AFTER_FAILURE);
        }
    }

    /// The rack to tell.
    pub(super) fn rack(&self, now: Instant) -> Text {
        let rests = self.rack_rests_until.is_some_and(|until| until > now);
        if rests { Text::default() } else { self.limits.rack.clone() }
    }

    /// The cursor that a request was for, unless it was moved since.
    pub(super) fn current(&mut self, planned: &Planned) -> Option<&mut Cursor> {
        self.partitions.get_mut(&planned.partition).filter(|cursor| cursor.generation == planned.generation)
    }
}
