//! Partitions of a consumer group: they come with committed offsets, and stand still while they change hands.

use super::{Cursors, LeaderEpoch, Place, Reset, Start};
use crate::engine::TopicPartition;
use crate::error::{Error, ErrorKind};

impl Cursors {
    /// Adds a partition that goes on from the committed offset, or, where there is none, as `auto.offset.reset` says.
    pub fn assign_committed(&mut self, partition: &TopicPartition, committed: Option<(i64, LeaderEpoch)>) {
        let start = committed.map_or(Start::Offset(0), |(offset, _)| Start::Offset(offset));
        self.assign(partition.clone(), start);
        match committed {
            Some((_, epoch)) => {
                if let Some(cursor) = self.partitions.get_mut(partition) {
                    (cursor.position_epoch, cursor.fetch_epoch) = (epoch, epoch);
                }
            }
            None if self.limits.reset == Reset::None => {
                if let Some(cursor) = self.partitions.get_mut(partition) {
                    cursor.place = Place::Lost;
                }
                let error = Error::new(ErrorKind::NoOffset, "begin to read a partition")
                    .topic(partition.topic.as_str())
                    .partition(partition.partition)
                    .hint("the group has committed no offset of it and auto.offset.reset is none: seek to where reading is to begin");
                self.tell(partition, error);
            }
            None => self.reset(partition),
        }
    }

    /// Holds a partition that changes hands, or lets it go on: it is neither fetched nor handed out meanwhile.
    pub fn withhold(&mut self, partition: &TopicPartition, withheld: bool) {
        let Some(cursor) = self.partitions.get_mut(partition) else { return };
        cursor.withheld = withheld;
        if !withheld && cursor.split {
            self.news.push(partition.clone());
        }
    }

    /// Whether a partition changes hands.
    pub fn is_withheld(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_some_and(|cursor| cursor.withheld)
    }

    /// The epoch of the record before the position; none when it is not known.
    pub fn position_epoch(&self, partition: &TopicPartition) -> LeaderEpoch {
        self.partitions.get(partition).map_or(LeaderEpoch::NONE, |cursor| cursor.position_epoch)
    }
}
