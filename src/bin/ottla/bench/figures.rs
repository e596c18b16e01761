//! [`Figures`]: what is counted of a run, and of the time since it was last told.

use super::latencies::Latencies;
use ottla::{Delivered, Error, Result, task};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many kinds of errors are kept apart.
const ERRORS: usize = 20;

/// What is counted of a run.
#[derive(Debug)]
pub(super) struct Figures {
    began: Instant,
    /// Of each record that is produced.
    record_bytes: u64,
    /// When the last record was done or failed.
    ended: Instant,
    /// Records that were acknowledged, or read.
    pub(super) done: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    pub(super) failed: u64,
    pub(super) latencies: Latencies,
    /// How often which error came, by what it says without its topic and partition.
    pub(super) errors: BTreeMap<String, u64>,
    /// One of each.
    examples: BTreeMap<String, String>,
    recent: Recent,
}

/// What has come since it was last told.
#[derive(Debug)]
pub(super) struct Recent {
    began: Instant,
    pub(super) done: u64,
    pub(super) bytes: u64,
    pub(super) elapsed: Duration,
    /// How many of them have a latency.
    pub(super) timed: u64,
    latency_sum: Duration,
    pub(super) latency_max: Duration,
}

impl Figures {
    /// From `now` on.
    pub(super) fn new(now: Instant) -> Figures {
        Figures::of_records(0, now)
    }

    /// From `now` on, of records that are produced, of so many bytes each.
    pub(super) fn of_records(record_bytes: u64, now: Instant) -> Figures {
        Figures {
            began: now,
            record_bytes,
            ended: now,
            done: 0,
            bytes: 0,
            failed: 0,
            latencies: Latencies::default(),
            errors: BTreeMap::new(),
            examples: BTreeMap::new(),
            recent: Recent::new(now),
        }
    }

    /// What became of a record that was due then, seen now.
    pub(super) fn settled(&mut self, outcome: &Result<Delivered>, due: Instant, now: Instant) {
        match outcome {
            Ok(_) => {
                self.done(1, self.record_bytes, now);
                self.took(now.saturating_duration_since(due));
            }
            Err(error) => {
                self.ended = now;
                self.failed(error);
            }
        }
    }

    /// Records are done.
    pub(super) fn done(&mut self, records: u64, bytes: u64, now: Instant) {
        self.ended = now;
        self.done += records;
        self.bytes = self.bytes.saturating_add(bytes);
        self.recent.done += records;
        self.recent.bytes = self.recent.bytes.saturating_add(bytes);
    }

    /// One of them took so long.
    pub(super) fn took(&mut self, latency: Duration) {
        self.latencies.record(latency);
        self.recent.timed += 1;
        self.recent.latency_sum = self.recent.latency_sum.saturating_add(latency);
        self.recent.latency_max = self.recent.latency_max.max(latency);
    }

    /// A record failed, or could not be handed over.
    pub(super) fn failed(&mut self, error: &Error) {
        self.failed += 1;
        let kind = error.code().map_or_else(|| format!("{:?}", error.kind()), |code| code.name().to_owned());
        let kind = if self.errors.len() < ERRORS || self.errors.contains_key(&kind) {
            kind
        } else {
            "others".to_owned()
        };
        self.examples.entry(kind.clone()).or_insert_with(|| error.to_string());
        *self.errors.entry(kind).or_default() += 1;
    }

    /// From the first record that was due to the last that was seen.
    pub(super) fn elapsed(&self) -> Duration {
        self.ended.saturating_duration_since(self.began)
    }

    /// An error of this kind in full.
    pub(super) fn example(&self, kind: &str) -> &str {
        self.examples.get(kind).map_or("", String::as_str)
    }

    /// What has come since this was last asked.
    pub(super) fn take_recent(&mut self) -> Recent {
        let now = task::now();
        let mut recent = std::mem::replace(&mut self.recent, Recent::new(now));
        recent.elapsed = now.saturating_duration_since(recent.began);
        recent
    }
}

impl Recent {
    fn new(now: Instant) -> Recent {
        Recent {
            began: now,
            done: 0,
            bytes: 0,
            elapsed: Duration::ZERO,
            timed: 0,
            latency_sum: Duration::ZERO,
            latency_max: Duration::ZERO,
        }
    }

    /// Nought when there are none.
    pub(super) fn latency_mean(&self) -> Duration {
        let mean = self.latency_sum.as_nanos().checked_div(self.timed.into()).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }
}
