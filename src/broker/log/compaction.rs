//! Compaction: of each key the last record is kept, by the rules of Kafka's `LogCleaner`.
//!
//! Records keep their offsets, batches their producers, so nothing that a client remembers becomes wrong. The newest batch is
//! never touched, as little as Kafka's active segment, so the log ends where it ended. A record without a value (a tombstone)
//! is kept for `delete.retention.ms` from the first cleaning on that saw it, so that whoever reads hears of it. What is not
//! decided yet is left alone, and what was aborted is as if it had never been written.
//!
//! Different from Kafka: the time at which tombstones go is not written into the batch; batches that have become empty
//! go, since what is remembered of producers does not come from them; control batches stay.

use super::{Log, Stored};
use std::collections::HashMap;

/// What the topic's settings say of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::broker) struct Cleaning {
    /// Records that are younger are left alone (`min.compaction.lag.ms`).
    pub(in crate::broker) min_lag_ms: i64,
    /// Records that are older do not wait for more (`max.compaction.lag.ms`).
    pub(in crate::broker) max_lag_ms: i64,
    /// How much of the log must be new for it to be worth it (`min.cleanable.dirty.ratio`).
    pub(in crate::broker) min_dirty_ratio: f64,
    /// How long tombstones are kept (`delete.retention.ms`).
    pub(in crate::broker) tombstones_ms: i64,
}

/// What was compacted already.
#[derive(Debug, Default)]
pub(super) struct Cleaned {
    /// Everything below this offset.
    up_to: i64,
    /// When the first tombstones may go.
    tombstones_until_ms: Option<i64>,
}

impl Log {
    /// Compacts what may be, if it is worth it, or `at_once`; whether anything went.
    pub(in crate::broker) fn compact(&mut self, how: &Cleaning, now_ms: i64, at_once: bool) -> bool {
        let end = self.cleanable_end(how, now_ms);
        if !(at_once || self.is_worth_it(end, how, now_ms)) {
            return false;
        }
        let newest = self.newest_of_keys(end);
        let before = self.bytes;
        let mut cleaned = Cleaned { up_to: end, tombstones_until_ms: None };
        let aborted: Vec<bool> = self.batches.iter().map(|stored| self.is_aborted(stored)).collect();
        let cleanable = self.batches.iter_mut().take_while(|stored| stored.base_offset < end);
        for (stored, is_aborted) in cleanable.zip(aborted) {
            if is_aborted {
                stored.frame.clear();
                continue;
            }
            stored.clean(&newest, how, now_ms);
            let first = [cleaned.tombstones_until_ms, stored.tombstones_until_ms];
            cleaned.tombstones_until_ms = first.into_iter().flatten().min();
        }
        self.batches.retain(|stored| !stored.frame.is_empty());
        self.bytes = self.batches.iter().map(|stored| stored.frame.len()).sum();
        self.cleaned = cleaned;
        self.bytes < before
    }

    /// Where the first batch begins that is to be left alone.
    fn cleanable_end(&self, how: &Cleaning, now_ms: i64) -> i64 {
        let young = now_ms.saturating_sub(how.min_lag_ms);
        let is_young = |stored: &&Stored| how.min_lag_ms > 0 && stored.max_timestamp > young;
        let kept = [self.batches.iter().find(is_young), self.batches.back()];
        let first = kept.into_iter().flatten().map(|stored| stored.base_offset).min();
        first.unwrap_or(self.end_offset).min(self.last_stable_offset())
    }

    fn is_worth_it(&self, end: i64, how: &Cleaning, now_ms: i64) -> bool {
        if self.cleaned.tombstones_until_ms.is_some_and(|until| until <= now_ms) {
            return true;
        }
        let (mut clean, mut dirty, mut oldest) = (0usize, 0usize, i64::MAX);
        for stored in self.batches.iter().take_while(|stored| stored.base_offset < end) {
            if stored.base_offset < self.cleaned.up_to {
                clean = clean.saturating_add(stored.frame.len());
            } else {
                dirty = dirty.saturating_add(stored.frame.len());
                oldest = oldest.min(stored.max_timestamp);
            }
        }
        let is_overdue = oldest < now_ms.saturating_sub(how.max_lag_ms);
        let ratio = dirty as f64 / clean.saturating_add(dirty).max(1) as f64;
        dirty > 0 && (is_overdue || ratio > how.min_dirty_ratio)
    }

    /// Whether the records of a batch are of a transaction that was aborted.
    fn is_aborted(&self, stored: &Stored) -> bool {
        let header = stored.header().filter(|header| {
            let attributes = header.attributes;
            attributes.is_transactional() && !attributes.is_control()
        });
        header.is_some_and(|header| {
            let near = self.aborted(stored.base_offset, stored.last_offset.saturating_add(1));
            near.iter().any(|aborted| aborted.producer_id.0 == header.producer_id)
        })
    }

    /// The last offset of each key below `end`.
    fn newest_of_keys(&self, end: i64) -> HashMap<Vec<u8>, i64> {
        let mut newest = HashMap::new();
        for stored in self.batches.iter().take_while(|stored| stored.base_offset < end) {
            let Some(batch) = stored.open().filter(|batch| !batch.is_control()) else { continue };
            if self.is_aborted(stored) {
                continue;
            }
            for record in &batch {
                if let Some(key) = record.key() {
                    newest.insert(key.to_vec(), record.offset());
                }
            }
        }
        newest
    }
}

impl Stored {
    /// Leaves what is still worth keeping; nothing when the frame is empty afterwards.
    fn clean(&mut self, newest: &HashMap<Vec<u8>, i64>, how: &Cleaning, now_ms: i64) {
        let Some(batch) = self.open().filter(|batch| !batch.is_control()) else { return };
        let drops_tombstones = self.tombstones_until_ms.is_some_and(|until| until <= now_ms);
        let mut has_tombstones = false;
        let kept = batch.retained(|record| {
            let is_newest =
                record.key().and_then(|key| newest.get(key)).is_some_and(|newest| record.offset() >= *newest);
            let is_tombstone = record.value().is_none();
            let keeps = is_newest && !(is_tombstone && drops_tombstones);
            has_tombstones |= keeps && is_tombstone;
            keeps
        });
        match kept {
            // A codec that cannot write what it has read: better too much than too little.
            Err(_) => return,
            Ok(None) => self.frame.clear(),
            Ok(Some(frame)) => self.frame = frame.into(),
        }
        self.max_timestamp = self.header().map_or(self.max_timestamp, |header| header.max_timestamp);
        let until = now_ms.saturating_add(how.tombstones_ms);
        self.tombstones_until_ms = has_tombstones.then(|| self.tombstones_until_ms.unwrap_or(until));
    }
}
