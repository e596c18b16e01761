//! [`Histogram`]: how long things took, in a bounded number of buckets.

use std::fmt;
use std::time::Duration;

/// Durations, counted in buckets that are at most a sixteenth of their value wide: from a microsecond to 38 hours, in less
/// than 5 KiB. What is longer counts as that long, what is shorter as a microsecond's fraction.
///
/// ```
/// use ottla::Histogram;
/// use std::time::Duration;
///
/// let mut latency = Histogram::default();
/// (1..=100).for_each(|ms| latency.record(Duration::from_millis(ms), 1));
/// assert_eq!(latency.count(), 100);
/// assert!((49..=54).contains(&latency.quantile(0.5).as_millis()));
/// assert_eq!(latency.max(), Duration::from_millis(100));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// As many as were needed so far.
    counts: Vec<u64>,
    count: u64,
    sum_us: u64,
    max_us: u64,
}

/// Buckets for each doubling.
const STEPS: u64 = 16;
const STEP_BITS: u32 = STEPS.ilog2();
/// The longest that is told apart.
const MOST_US: u64 = (1 << 37) - 1;

/// The bucket of a value: below [`STEPS`] each has one of its own.
fn bucket(us: u64) -> usize {
    let doublings = us.checked_ilog2().unwrap_or(0).saturating_sub(STEP_BITS);
    let index = u64::from(doublings).saturating_mul(STEPS).saturating_add(us >> doublings);
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let index = bucket as u64;
    let doublings = (index / STEPS).saturating_sub(1);
    let step = index.saturating_sub(doublings.saturating_mul(STEPS));
    (step.saturating_add(1) << doublings).saturating_sub(1)
}

impl Histogram {
    /// Counts a duration, `times` times.
    pub fn record(&mut self, duration: Duration, times: u64) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(MOST_US).min(MOST_US);
        let bucket = bucket(us);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket.saturating_add(1), 0);
        }
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(times);
        }
        self.count = self.count.saturating_add(times);
        self.sum_us = self.sum_us.saturating_add(us.saturating_mul(times));
        self.max_us = self.max_us.max(us);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, to the microsecond.
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max_us)
    }

    /// The average; zero when nothing was counted.
    pub fn mean(&self) -> Duration {
        Duration::from_micros(self.sum_us.checked_div(self.count).unwrap_or_default())
    }

    /// The duration that a share `q` of all (0.99 for the 99th percentile) did not exceed: at most a sixteenth too long.
    /// Zero when nothing was counted; a share outside of 0 to 1 is the nearest in it.
    pub fn quantile(&self, q: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the count"
        )]
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0u64;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if seen >= rank {
                return Duration::from_micros(upper(bucket).min(self.max_us));
            }
        }
        self.max()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count)
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the sorted list of all values.
        #[test]
        fn a_quantile_is_at_most_a_sixteenth_too_long(
            values in prop::collection::vec((0u64..1 << 36, 0u32..36), 1..200),
            q in 0.0f64..=1.0,
        ) {
            let mut values: Vec<u64> = values.into_iter().map(|(value, shift)| value >> shift).collect();
            let mut histogram = Histogram::default();
            values.iter().for_each(|us| histogram.record(Duration::from_micros(*us), 1));
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1];
            let told = histogram.quantile(q).as_micros() as u64;
            prop_assert!(told >= exact && told - exact <= exact / 16, "{} for {}", told, exact);
            prop_assert_eq!(histogram.max().as_micros() as u64, values[values.len() - 1]);
        }
    }

    #[test]
    fn what_is_too_long_counts_as_the_longest() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::MAX, 3);
        assert_eq!((histogram.count(), histogram.max()), (3, Duration::from_micros(MOST_US)));
        assert!(histogram.counts.len() * 8 < 5 << 10, "{}", histogram.counts.len());
        assert_eq!(Histogram::default().quantile(0.99), Duration::ZERO);
    }
}
