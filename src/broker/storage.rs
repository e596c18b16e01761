//! What goes by itself so that memory does not grow without bound: records that are too old or too many (`retention.ms`,
//! `retention.bytes`), records that newer ones of their keys replace (`cleanup.policy=compact`), and whatever is too much for all
//! topics together.
//!
//! Time has no thread of its own here either: whoever asks anything has what is due done first.
//!
//! Different from Kafka: what goes are batches, not segments, and old records go within [`Limits::interval`]; the age of a batch
//! counts from its appending at the earliest, so that records with made-up times of long ago can be read; and there is a limit
//! for all topics together. Beyond it the largest partitions lose their oldest batches, and where all that is left is to
//! be kept, KAFKA_STORAGE_ERROR is what a full disk would be.

use super::state::{Now, State};
use std::time::{Duration, Instant};

/// What is kept, and how often that is looked after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of all partitions together.
    pub(super) max_bytes: usize,
    /// `log.retention.check.interval.ms`, `log.cleaner.backoff.ms`.
    pub(super) interval: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_bytes: 1024 * 1024 * 1024, interval: Duration::from_secs(1) }
    }
}

impl Limits {
    /// What is let go at once where it is too much: a sixteenth of all.
    pub(super) fn bytes_at_once(&self) -> usize {
        self.max_bytes / 16
    }
}

/// What is known of all logs together.
#[derive(Debug, Default)]
pub(super) struct Storage {
    next_cleaning: Option<Instant>,
    /// Bytes of all partitions when they were last counted, and of what was appended since.
    bytes: usize,
}

impl State {
    /// Lets go what the topics' settings let go, if that was done long enough ago.
    pub(super) fn clean_when_due(&mut self, now: Now) {
        if self.storage.next_cleaning.is_none_or(|next| now.at >= next) {
            self.clean(now, false);
        }
    }

    /// Lets go what the topics' settings let go; `at_once` compacts also where it is not worth it yet.
    pub(super) fn clean(&mut self, now: Now, at_once: bool) {
        self.storage.next_cleaning = Some(crate::task::after(now.at, self.settings.limits.interval));
        let mut bytes = 0usize;
        for (config, partition) in self.topics.with_config_mut() {
            let log = &mut partition.log;
            let mut begins_later = false;
            if config.deletes {
                let by_age = config.retention_ms.map(|ms| now.unix_ms.saturating_sub(ms));
                begins_later |= by_age.is_some_and(|oldest| log.retain_since(oldest));
                begins_later |= config.retention_bytes.is_some_and(|bytes| log.retain_bytes(bytes));
            }
            if config.compacted {
                log.compact(&config.cleaning, now.unix_ms, at_once);
            }
            bytes = bytes.saturating_add(log.bytes());
            if begins_later {
                self.woken.extend(&partition.watchers);
            }
        }
        self.storage.bytes = bytes;
    }

    /// Takes note of bytes that were appended, and makes room for more where that is too much.
    pub(super) fn has_grown(&mut self, bytes: usize) {
        self.storage.bytes = self.storage.bytes.saturating_add(bytes);
        if self.storage.bytes > self.settings.limits.max_bytes {
            self.make_room();
        }
    }

    /// Whether nothing more can be taken.
    pub(super) fn is_full(&self) -> bool {
        self.storage.bytes > self.settings.limits.max_bytes
    }

    /// Lets the largest partitions go down to one size, so that there is room for more than one append.
    fn make_room(&mut self) {
        let (mut kept, mut sizes) = (0usize, Vec::new());
        for (config, partition) in self.topics.with_config_mut() {
            let bytes = partition.log.bytes();
            if config.deletes && !config.compacted {
                sizes.push(bytes);
            } else {
                kept = kept.saturating_add(bytes);
            }
        }
        let max_bytes = self.settings.limits.max_bytes;
        let goal = max_bytes.saturating_sub(self.settings.limits.bytes_at_once()).saturating_sub(kept);
        let size = level(sizes, goal);
        let mut bytes = kept;
        for (config, partition) in self.topics.with_config_mut() {
            if !config.deletes || config.compacted {
                continue;
            }
            if partition.log.retain_at_most(size) {
                self.woken.extend(&partition.watchers);
            }
            bytes = bytes.saturating_add(partition.log.bytes());
        }
        self.storage.bytes = bytes;
        tracing::debug!(
            bytes,
            "the oldest records of the largest partitions were deleted: memory is limited"
        );
    }
}

/// The size that none may pass for all of them together not to pass `goal`.
fn level(mut sizes: Vec<usize>, goal: usize) -> usize {
    sizes.sort_unstable();
    let mut left = goal;
    let mut count = sizes.len();
    for size in sizes {
        let share = left.checked_div(count).unwrap_or(0);
        if size > share {
            return share;
        }
        left = left.saturating_sub(size);
        count = count.saturating_sub(1);
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::level;

    #[test]
    fn the_largest_lose_most() {
        assert_eq!(level(vec![1, 2, 3], 6), usize::MAX, "all fit");
        assert_eq!(level(vec![10, 2, 3], 10), 5, "2 and 3 stay");
        assert_eq!(level(vec![10, 10, 1], 9), 4);
        assert_eq!(level(vec![10, 10], 0), 0);
        assert_eq!(level(vec![], 0), usize::MAX);
    }
}
