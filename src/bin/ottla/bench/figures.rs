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
    /// When the last record was acknowledged or failed.
    ended: Instant,
    pub(super) acknowledged: u64,
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
    pub(super) acknowledged: u64,
    pub(super) elapsed: Duration,
    latency_sum: Duration,
    pub(super) latency_max: Duration,
}

impl Figures {
    /// From `now` on.
    pub(super) fn new(now: Instant) -> Figures {
        Figures {
            began: now,
            ended: now,
            acknowledged: 0,
            failed: 0,
            latencies: Latencies::default(),
            errors: BTreeMap::new(),
            examples: BTreeMap::new(),
            recent: Recent::new(now),
        }
    }

    /// What became of a record that was due then, seen now.
    pub(super) fn settled(&mut self, outcome: &Result<Delivered>, due: Instant, now: Instant) {
        self.ended = now;
        match outcome {
            Ok(_) => {
                let latency = now.saturating_duration_since(due);
                self.acknowledged += 1;
                self.latencies.record(latency);
                self.recent.acknowledged += 1;
                self.recent.latency_sum = self.recent.latency_sum.saturating_add(latency);
                self.recent.latency_max = self.recent.latency_max.max(latency);
            }
            Err(error) => self.failed(error),
        }
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
            acknowledged: 0,
            elapsed: Duration::ZERO,
            latency_sum: Duration::ZERO,
            latency_max: Duration::ZERO,
        }
    }

    /// Nought when there are none.
    pub(super) fn latency_mean(&self) -> Duration {
        let mean = self.latency_sum.as_nanos().checked_div(self.acknowledged.into()).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }
}
