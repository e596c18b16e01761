//! The ends of transactions in the log: markers, the offset up to which everything is decided, and what was aborted.
//!
//! A marker is a control batch that the leader appends when the coordinator says so. Kafka keeps aborted transactions in an
//! index beside each segment (`TransactionIndex`); here they are a list beside the log, which goes as the log goes.
//!
//! Different from Kafka: a fetch is told of the aborted transactions that its records have to do with, and of no later ones.

use super::{Log, Marker, Memory, RecordsError};
use crate::messages::{LeaderEpoch, ProducerId};
use crate::records::{Batch, ControlType, Decompressor, control};

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) struct Aborted {
    pub(in crate::broker) producer_id: ProducerId,
    /// Of its first record.
    pub(in crate::broker) first_offset: i64,
    /// Of its marker.
    last_offset: i64,
    /// Up to where everything was decided when it was.
    last_stable_offset: i64,
}

impl Log {
    /// Ends a transaction that [`Producers::check_marker`](super::Producers::check_marker) has found right: appends its marker,
    /// also where nothing is open. `now_ms` is the marker's time.
    ///
    /// # Errors
    /// The log would end beyond the last offset there is.
    pub(in crate::broker) fn end_transaction(
        &mut self,
        marker: &Marker,
        epoch: LeaderEpoch,
        append_time: Option<i64>,
        now_ms: i64,
    ) -> Result<i64, RecordsError> {
        let Marker { producer_id, epoch: producer_epoch, is_commit, coordinator_epoch, .. } = *marker;
        let built =
            control::end_transaction(is_commit, coordinator_epoch, now_ms, producer_id.0, producer_epoch.0);
        // Its few bytes fit into any batch.
        let Ok(sealed) = built else { return Ok(self.end_offset) };
        let batch = Batch::open(sealed.bytes().clone(), 0, &mut Decompressor::new(usize::MAX))?;
        let offset = self.append(&batch, epoch, append_time, Memory::Own)?;
        self.close(marker, offset, now_ms);
        Ok(offset)
    }

    /// The aborted transactions that have to do with records from one offset up to another, oldest marker first.
    pub(in crate::broker) fn aborted(&self, from: i64, to: i64) -> Vec<Aborted> {
        let first = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        let mut found = Vec::new();
        for aborted in self.aborted.range(first..) {
            if aborted.first_offset < to {
                found.push(*aborted);
            }
            // What was decided later has begun later.
            if aborted.last_stable_offset >= to {
                break;
            }
        }
        found
    }

    /// Forgets the aborted transactions that ended before the log's start.
    pub(super) fn forget_aborted(&mut self) {
        let gone = self.aborted.partition_point(|aborted| aborted.last_offset < self.start_offset);
        self.aborted.drain(..gone);
    }

    /// Remembers a batch as it was when it was appended.
    pub(super) fn replay(&mut self, index: usize, now_ms: i64) {
        let Some(stored) = self.batches.get(index) else { return };
        let Some(header) = stored.header() else { return };
        if !header.attributes.is_control() {
            if let Some((sequence, appended)) = stored.sequence(&header) {
                self.producers.remember(sequence, appended, now_ms);
            }
            return;
        }
        let offset = stored.base_offset;
        let Some(control) = stored.open().and_then(|batch| batch.control_records().next()) else { return };
        let marker = Marker {
            producer_id: ProducerId(header.producer_id),
            epoch: header.producer_epoch.into(),
            is_commit: control.kind == ControlType::Commit,
            coordinator_epoch: control.coordinator_epoch.unwrap_or(-1),
            has_own_epoch: false,
        };
        self.close(&marker, offset, now_ms);
    }

    fn close(&mut self, marker: &Marker, offset: i64, now_ms: i64) {
        let Some(first_offset) = self.producers.end(marker, now_ms) else { return };
        if !marker.is_commit {
            let open = self.producers.first_open();
            self.aborted.push_back(Aborted {
                producer_id: marker.producer_id,
                first_offset,
                last_offset: offset,
                last_stable_offset: open.unwrap_or(offset.saturating_add(1)),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::log::{Appended, Sequence};
    use crate::messages::ProducerEpoch;
    use crate::records::{BatchBuilder, Stamp};

    const EPOCH: LeaderEpoch = LeaderEpoch(0);

    fn send(log: &mut Log, producer: i64, sequence: i32) -> i64 {
        let mut builder = BatchBuilder::with_capacity(100);
        builder.append(1, None, Some(b"v"), []).unwrap();
        let stamp =
            Stamp { producer_id: producer, producer_epoch: 0, base_sequence: sequence, transactional: true };
        let bytes = builder.close().unwrap().seal(stamp).bytes().clone();
        let batch = Batch::open(bytes, 0, &mut Decompressor::new(1 << 20)).unwrap();
        let base_offset = log.append(&batch, EPOCH, None, Memory::Own).unwrap();
        let batch = Sequence::of(batch.header()).unwrap();
        let appended = Appended { first: sequence, last: sequence, base_offset, max_timestamp: -1 };
        log.producers.remember(batch, appended, 1);
        base_offset
    }

    fn end(log: &mut Log, producer: i64, is_commit: bool) -> i64 {
        let marker = Marker {
            producer_id: ProducerId(producer),
            epoch: ProducerEpoch(0),
            is_commit,
            coordinator_epoch: 0,
            has_own_epoch: false,
        };
        log.end_transaction(&marker, EPOCH, None, 1).unwrap()
    }

    /// 1 and 2 interleaved, both aborted; 3 open from 5 on; 1 committed at 7 and aborted at 9.
    fn log() -> Log {
        let mut log = Log::new(EPOCH, crate::engine::connection::Spares::default());
        send(&mut log, 1, 0);
        send(&mut log, 2, 0);
        assert_eq!(log.last_stable_offset(), 0);
        assert_eq!(end(&mut log, 1, false), 2);
        assert_eq!(log.last_stable_offset(), 1);
        send(&mut log, 2, 1);
        assert_eq!(end(&mut log, 2, false), 4);
        assert_eq!(log.last_stable_offset(), 5);
        send(&mut log, 3, 0);
        send(&mut log, 1, 1);
        end(&mut log, 1, true);
        send(&mut log, 1, 2);
        end(&mut log, 1, false);
        assert_eq!((log.last_stable_offset(), log.end_offset()), (5, 10));
        log
    }

    fn aborted(log: &Log, from: i64, to: i64) -> Vec<(i64, i64)> {
        log.aborted(from, to).iter().map(|aborted| (aborted.producer_id.0, aborted.first_offset)).collect()
    }

    #[test]
    fn who_reads_is_told_what_was_aborted_of_it() {
        let log = log();
        assert_eq!(aborted(&log, 0, 5), [(1, 0), (2, 1)]);
        assert_eq!(aborted(&log, 0, 1), [(1, 0)]);
        assert_eq!(aborted(&log, 3, 5), [(2, 1)], "the rest of it");
        assert_eq!(aborted(&log, 4, 5), [(2, 1)], "its marker");
        assert_eq!(aborted(&log, 5, 8), []);
        assert_eq!(aborted(&log, 5, 10), [(1, 8)]);
    }

    #[test]
    fn what_was_aborted_goes_with_the_log() {
        let mut log = log();
        log.delete_before(3);
        assert_eq!(aborted(&log, 0, 10), [(2, 1), (1, 8)]);
        log.delete_before(7);
        assert_eq!((log.last_stable_offset(), log.aborted.len()), (7, 1), "open since before the start");
        end(&mut log, 3, true);
        assert_eq!(log.last_stable_offset(), log.end_offset());
        log.delete_before(99);
        assert!(log.aborted.is_empty());
    }

    #[test]
    fn a_truncated_log_is_as_it_was() {
        let mut log = log();
        log.truncate(9, 1);
        assert_eq!(aborted(&log, 0, 9), [(1, 0), (2, 1)]);
        assert!(log.producers.is_open(ProducerId(1), ProducerEpoch(0)), "its marker is lost");
        assert_eq!(log.last_stable_offset(), 5);
        log.truncate(4, 1);
        assert_eq!((aborted(&log, 0, 9), log.last_stable_offset()), (vec![(1, 0)], 1));
    }

    #[test]
    fn a_marker_is_a_control_batch_of_its_producer() {
        let log = log();
        let markers: Vec<_> =
            log.batches().filter_map(|stored| stored.open()).filter(Batch::is_control).collect();
        assert_eq!(markers.len(), 4);
        let header = markers[2].header();
        assert_eq!((header.base_offset, header.producer_id, header.base_sequence), (7, 1, -1));
        assert!(markers[2].is_transactional());
        let said: Vec<_> = markers.iter().flat_map(Batch::control_records).map(|said| said.kind).collect();
        use ControlType::{Abort, Commit};
        assert_eq!(said, [Abort, Abort, Commit, Abort]);
    }
}
