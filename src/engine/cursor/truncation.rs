//! A log that was cut off behind what was read from it (KIP-320).
//!
//! A leader that was elected although it did not have everything continues the log at a lower offset: what lies at a
//! position then is not what follows the records before it. The epoch of the last record that was read tells: the broker
//! compares it with its own log, and says from where on the two differ.

use super::plan::Planned;
use super::{Cursor, Cursors, Place, Reset};
use crate::engine::TopicPartition;
use crate::error::{Error, ErrorKind};
use crate::messages::{EpochEndOffset, LeaderEpoch};
use std::time::Instant;

impl Cursor {
    /// The epoch of the record before `fetch_at`, as far as a leader of this epoch can know of it.
    pub(super) fn last_epoch(&self, leader: LeaderEpoch) -> LeaderEpoch {
        if self.fetch_epoch <= leader { self.fetch_epoch } else { LeaderEpoch::NONE }
    }

    /// Goes on without the broker's comparison, which it could not make. Whether there was one.
    pub(super) fn forgets_epoch(&mut self) -> bool {
        !std::mem::replace(&mut self.fetch_epoch, LeaderEpoch::NONE).is_none()
    }
}

impl Cursors {
    /// The broker's log has parted from what was read.
    ///
    /// What the application has not seen yet is fetched anew without a word. What it has seen and is no more is told, with
    /// both offsets; then reading goes on where the logs part, or, with `auto.offset.reset=none`, when the application
    /// has said where.
    pub(super) fn parted(
        &mut self,
        planned: &Planned,
        told: &EpochEndOffset,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) {
        let is_lost_on_truncation = self.limits.reset == Reset::None;
        let Some(cursor) = self.current(planned) else { return };
        if cursor.fetch_at != planned.asked.offset {
            return; // Of a position that was given up meanwhile: the next answer tells.
        }
        if told.end_offset >= cursor.fetch_at {
            // Everything that was read is there. An epoch without a record is not known to each replica.
            let is_older = told.epoch < planned.asked.last_epoch;
            cursor.fetch_epoch = if is_older { told.epoch } else { LeaderEpoch::NONE };
            return;
        }
        let Place::At(position) = cursor.place else { return };
        let partition = &planned.partition;
        tracing::warn!(
            %partition, position, fetched = cursor.fetch_at, epoch = %planned.asked.last_epoch, parted_at = told.end_offset,
            parted_epoch = %told.epoch, "the log was truncated"
        );
        if position <= told.end_offset {
            self.rewind(partition);
            // A broker that gives records and takes them back is not asked at the speed of the wire.
            return self.rest(partition, now, rng);
        }
        let error = Error::new(
            ErrorKind::LogTruncation { position, parted_at: told.end_offset },
            "read on in a partition whose log was truncated",
        );
        let hint = if is_lost_on_truncation {
            "auto.offset.reset is none: seek to where reading is to go on"
        } else {
            "records that were read are no more (an unclean leader election?): reading goes on where the logs part"
        };
        let error = error.topic(partition.topic.as_str()).partition(partition.partition).hint(hint);
        self.discard(partition);
        self.tell(partition, error);
        if let Some(cursor) = self.partitions.get_mut(partition) {
            cursor.era = cursor.generation;
            cursor.place = if is_lost_on_truncation { Place::Lost } else { Place::At(told.end_offset) };
            (cursor.fetch_at, cursor.position_epoch) = (told.end_offset, told.epoch);
            cursor.fetch_epoch = told.epoch;
            // Nothing is fetched before that was heard: what is handed out next must not come as a surprise.
            cursor.blocked = true;
        }
    }

    /// The application has heard of it.
    pub(super) fn heard(&mut self, partition: &TopicPartition, error: &Error) {
        if let ErrorKind::LogTruncation { .. } = error.kind()
            && let Some(cursor) = self.partitions.get_mut(partition)
        {
            cursor.blocked = false;
            self.unplanned = true;
        }
    }
}
