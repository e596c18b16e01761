//! The log of one partition: record batches in order, in memory, each as it came but for its offset and leader epoch.
//!
//! A batch is kept as one piece of its own, so that a large one goes from here to the socket uncopied and a small one does
//! not keep the request alive that it came in. Offsets are contiguous until `compaction` takes records out; what retention and
//! DeleteRecords take goes from the front.

mod compaction;
mod frame;
mod markers;
mod producers;

use crate::engine::connection::Spares;
use crate::messages::{LeaderEpoch, ProducerId, RecordSet};
use crate::records::{Batch, BatchHeader, Compression, ControlType, Decompressor, HEADER_LEN, RecordsError};
use std::collections::VecDeque;
use std::ops::Range;

pub(super) use producers::{Appended, Marker, Producers, Sequence, Verdict};

use compaction::Cleaned;
pub(super) use compaction::Cleaning;
use frame::Frame;
use markers::Aborted;

/// A partition's records and what the broker remembers beside them.
#[derive(Debug)]
pub(super) struct Log {
    batches: VecDeque<Stored>,
    start_offset: i64,
    end_offset: i64,
    bytes: usize,
    /// Where each leader epoch begins, ascending (KIP-101).
    epochs: Vec<(LeaderEpoch, i64)>,
    pub(super) producers: Producers,
    /// Transactions that were aborted here, by ascending offset of their markers.
    aborted: VecDeque<Aborted>,
    cleaned: Cleaned,
    spares: Spares,
}

/// A batch in the log.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) max_timestamp: i64,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) codec: Compression,
    pub(super) frame: Frame,
    /// When it was appended, in milliseconds since 1970, if that is later than the time of its records.
    appended_ms: i64,
    /// When its tombstones may go, once the cleaner has seen them (KIP-534).
    tombstones_until_ms: Option<i64>,
}

/// Where an appended batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// In memory of its own.
    Own,
    /// In that of the request that it came with, which has little else in it.
    Shared,
}

/// Batches behind one another, as a fetch takes them: which, and how many bytes they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Run {
    batches: Range<usize>,
    pub(super) bytes: usize,
}

/// A record that was looked for by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) leader_epoch: LeaderEpoch,
}

impl Log {
    /// An empty log whose leader starts with `epoch`.
    pub(super) fn new(epoch: LeaderEpoch, spares: Spares) -> Log {
        Log {
            batches: VecDeque::new(),
            start_offset: 0,
            end_offset: 0,
            bytes: 0,
            epochs: vec![(epoch, 0)],
            producers: Producers::default(),
            aborted: VecDeque::new(),
            cleaned: Cleaned::default(),
            spares,
        }
    }

    /// The first offset that can be read.
    pub(super) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// The offset that the next record gets; the high watermark too, as every in-sync replica is this very log.
    pub(super) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// The offset up to which every transaction is decided.
    pub(super) fn last_stable_offset(&self) -> i64 {
        self.producers.first_open().map_or(self.end_offset, |first| first.max(self.start_offset))
    }

    /// The batches, oldest first.
    pub(super) fn batches(&self) -> impl Iterator<Item = &Stored> {
        self.batches.iter()
    }

    /// Appends a batch, whose bytes it copies unless they may be shared, and answers with the offset of its first record. With `append_time` (milliseconds since 1970) the
    /// records get that as their time.
    ///
    /// # Errors
    /// The log would end beyond the last offset there is.
    pub(super) fn append(
        &mut self,
        batch: &Batch,
        epoch: LeaderEpoch,
        append_time: Option<i64>,
        memory: Memory,
    ) -> Result<i64, RecordsError> {
        let base_offset = self.end_offset;
        let header = batch.numbered(base_offset, epoch.0, append_time)?;
        let rest = batch.frame().slice(HEADER_LEN.min(batch.frame().len())..);
        let frame = match memory {
            Memory::Shared => Frame::sharing(header, rest),
            Memory::Own => Frame::copying(header, &rest, &self.spares),
        };
        let last_offset = base_offset.saturating_add(i64::from(batch.header().last_offset_delta));
        self.begin_epoch(epoch);
        self.bytes = self.bytes.saturating_add(frame.len());
        self.end_offset = last_offset.saturating_add(1);
        self.batches.push_back(Stored {
            base_offset,
            last_offset,
            max_timestamp: append_time.unwrap_or(batch.header().max_timestamp),
            leader_epoch: epoch,
            codec: batch.compression(),
            frame,
            appended_ms: i64::MIN,
            tombstones_until_ms: None,
        });
        Ok(base_offset)
    }

    /// Notes when the newest batch was appended.
    pub(super) fn appended_at(&mut self, now_ms: i64) {
        if let Some(newest) = self.batches.back_mut() {
            newest.appended_ms = now_ms;
        }
    }

    /// Bytes of its batches.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes where a leader begins. One that wrote nothing leaves no trace when the next begins (as in Kafka's
    /// `LeaderEpochFileCache`).
    pub(super) fn begin_epoch(&mut self, epoch: LeaderEpoch) {
        if self.newest_epoch() < epoch {
            self.epochs.retain(|(_, start)| *start < self.end_offset);
            self.epochs.push((epoch, self.end_offset));
        }
    }

    /// Lets the log start at `offset`, or at its end if that comes first; what lies wholly before it is dropped
    /// (DeleteRecords).
    pub(super) fn delete_before(&mut self, offset: i64) {
        self.start_offset = self.start_offset.max(offset.min(self.end_offset));
        while self.batches.front().is_some_and(|oldest| oldest.last_offset < self.start_offset) {
            let dropped = self.batches.pop_front().map_or(0, |oldest| oldest.frame.len());
            self.bytes = self.bytes.saturating_sub(dropped);
        }
        self.forget_epochs();
        self.forget_aborted();
    }

    /// Forgets the epochs that ended before the log's start; the one that is left there begins with the log (as in Kafka's
    /// `LeaderEpochFileCache`).
    fn forget_epochs(&mut self) {
        let begun = self.epochs.partition_point(|(_, start)| *start <= self.start_offset);
        self.epochs.drain(..begun.saturating_sub(1));
        if let Some((_, start)) = self.epochs.first_mut() {
            *start = self.start_offset.max(*start);
        }
    }

    /// Drops the batches that reach to `end_offset` or beyond, and what is remembered of them: the log ends where the first
    /// of them began.
    pub(super) fn truncate(&mut self, end_offset: i64, now_ms: i64) {
        while self.batches.back().is_some_and(|newest| newest.last_offset >= end_offset) {
            let Some(newest) = self.batches.pop_back() else { break };
            self.bytes = self.bytes.saturating_sub(newest.frame.len());
            self.end_offset = newest.base_offset;
        }
        self.start_offset = self.start_offset.min(self.end_offset);
        self.epochs.retain(|(_, start)| *start < self.end_offset);
        self.producers = Producers::default();
        self.aborted.clear();
        for index in 0..self.batches.len() {
            self.replay(index, now_ms);
        }
    }

    /// Drops the oldest batches while what is left holds at least `keep_bytes` (`retention.bytes`); the newest stays. Whether
    /// any went.
    pub(super) fn retain_bytes(&mut self, keep_bytes: usize) -> bool {
        let too_many = |log: &Log, oldest: &Stored| {
            log.batches.len() > 1 && log.bytes.saturating_sub(oldest.frame.len()) >= keep_bytes
        };
        self.drop_oldest_while(too_many)
    }

    /// Drops the oldest batches until there are at most so many bytes; the newest stays. Whether any went.
    pub(super) fn retain_at_most(&mut self, bytes: usize) -> bool {
        self.drop_oldest_while(|log, _| log.batches.len() > 1 && log.bytes > bytes)
    }

    /// Drops the oldest batches as long as their records are older than this and were appended before it (`retention.ms`). Whether
    /// any went.
    pub(super) fn retain_since(&mut self, oldest_kept_ms: i64) -> bool {
        self.drop_oldest_while(|_, oldest| oldest.max_timestamp.max(oldest.appended_ms) < oldest_kept_ms)
    }

    fn drop_oldest_while(&mut self, goes: impl Fn(&Log, &Stored) -> bool) -> bool {
        let mut begins = None;
        while let Some(oldest) = self.batches.front().filter(|oldest| goes(self, oldest)) {
            begins = Some(oldest.last_offset.saturating_add(1));
            self.bytes = self.bytes.saturating_sub(oldest.frame.len());
            self.batches.pop_front();
        }
        if let Some(offset) = begins {
            self.delete_before(offset);
        }
        begins.is_some()
    }

    /// What a fetch at `offset` may have: whole batches below `end`, in at most `max_bytes`; the first even if it is larger
    /// when `at_least_one`. Empty when nothing is there or fits.
    pub(super) fn run(&self, offset: i64, end: i64, max_bytes: usize, at_least_one: bool) -> Run {
        let first = self.index_of(offset);
        let mut run = Run { batches: first..first, bytes: 0 };
        for batch in self.batches.range(first.min(self.batches.len())..) {
            let bytes = run.bytes.saturating_add(batch.frame.len());
            let fits = bytes <= max_bytes || (at_least_one && run.batches.is_empty());
            if batch.last_offset >= end || !fits {
                break;
            }
            run.bytes = bytes;
            run.batches.end = run.batches.end.saturating_add(1);
        }
        run
    }

    /// The batches of a run, uncopied.
    pub(super) fn read(&self, run: &Run) -> RecordSet {
        self.of(run).flat_map(|batch| batch.frame.pieces()).collect()
    }

    /// The offset behind a run, if anything is in it.
    pub(super) fn end_of(&self, run: &Run) -> Option<i64> {
        self.of(run).last().map(|batch| batch.last_offset.saturating_add(1))
    }

    fn of(&self, run: &Run) -> impl Iterator<Item = &Stored> {
        let end = run.batches.end.min(self.batches.len());
        self.batches.range(run.batches.start.min(end)..end)
    }

    /// The index of the batch that holds `offset`, or of the next one.
    fn index_of(&self, offset: i64) -> usize {
        self.batches.partition_point(|batch| batch.last_offset < offset)
    }

    /// The newest leader epoch, and that of the first record.
    pub(super) fn newest_epoch(&self) -> LeaderEpoch {
        self.epochs.last().map_or(LeaderEpoch::NONE, |(epoch, _)| *epoch)
    }

    /// The leader epoch at the log's start.
    pub(super) fn oldest_epoch(&self) -> LeaderEpoch {
        let begun = self.epochs.iter().take_while(|(_, start)| *start <= self.start_offset);
        begun.last().map_or(LeaderEpoch::NONE, |(epoch, _)| *epoch)
    }

    /// The largest epoch that is not above `asked`, and the offset where it ends: up to there a client that read with
    /// `asked` and this log agree (KIP-101, KIP-320). `asked` itself, up to the log's start, when that is above it. `None`
    /// when `asked` is newer than all that is known, or none at all.
    pub(super) fn end_of_epoch(&self, asked: LeaderEpoch) -> Option<(LeaderEpoch, i64)> {
        if asked.is_none() {
            return None;
        }
        if asked == self.newest_epoch() {
            return Some((asked, self.end_offset));
        }
        let above = self.epochs.partition_point(|(epoch, _)| *epoch <= asked);
        let (_, end) = self.epochs.get(above)?;
        let epoch = above.checked_sub(1).and_then(|floor| self.epochs.get(floor)).map_or(asked, |(e, _)| *e);
        Some((epoch, *end))
    }

    /// The first record at `timestamp` or later.
    pub(super) fn find_timestamp(&self, timestamp: i64) -> Option<Found> {
        self.batches
            .iter()
            .filter(|batch| batch.max_timestamp >= timestamp)
            .find_map(|batch| batch.find(|at, time| at >= self.start_offset && time >= timestamp))
    }

    /// The first record with the largest timestamp.
    pub(super) fn find_max_timestamp(&self) -> Option<Found> {
        let newest = self.batches.iter().map(|batch| batch.max_timestamp).max()?;
        let batch = self.batches.iter().find(|batch| batch.max_timestamp == newest)?;
        batch.find(|_, time| time == newest)
    }
}

impl Stored {
    /// The first record whose offset and time are wanted.
    fn find(&self, wanted: impl Fn(i64, i64) -> bool) -> Option<Found> {
        let batch = self.open()?;
        let record = batch.records().find(|record| wanted(record.offset(), record.timestamp()))?;
        let (offset, timestamp) = (record.offset(), record.timestamp());
        Some(Found { offset, timestamp, leader_epoch: self.leader_epoch })
    }

    /// The batch again; it was checked before it was appended.
    pub(super) fn open(&self) -> Option<Batch> {
        let mut decompressor = Decompressor::new(usize::MAX);
        Batch::open(self.frame.to_bytes(), 0, &mut decompressor).ok()
    }

    /// Whose batch it is, [`ProducerId::NONE`] for nobody's.
    pub(super) fn producer_id(&self) -> ProducerId {
        self.header().map_or(ProducerId::NONE, |header| ProducerId(header.producer_id))
    }

    /// Whether it belongs to a transaction.
    pub(super) fn is_transactional(&self) -> bool {
        self.header().is_some_and(|header| header.attributes.is_transactional())
    }

    /// Of a marker, whether it commits.
    pub(super) fn is_commit(&self) -> Option<bool> {
        self.header().filter(|header| header.attributes.is_control())?;
        let said = self.open()?.control_records().next()?.kind;
        Some(said == ControlType::Commit)
    }

    /// What a partition remembers of the batch, if an idempotent producer wrote it.
    fn sequence(&self, header: &BatchHeader) -> Option<(Sequence, Appended)> {
        let sequence = Sequence::of(header)?;
        let Sequence { first, last, .. } = sequence;
        let Stored { base_offset, max_timestamp, .. } = *self;
        let appended = Appended { first, last, base_offset, max_timestamp };
        Some((sequence, appended))
    }

    fn header(&self) -> Option<BatchHeader> {
        self.frame.header()
    }
}

#[cfg(test)]
mod tests;
