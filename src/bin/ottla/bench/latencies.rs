//! [`Latencies`]: a histogram of durations, log-linear, in 36 KiB whatever comes.

use std::time::Duration;

/// Each power of two has so many steps, as a power of two: a percentile is at most 0.8 % above the truth.
const STEPS_LOG2: u32 = 7;
/// What is longer than this, 73 minutes, counts as this.
const MAX_NS: u64 = (1 << 42) - 1;
const BUCKETS: usize = ((42 - STEPS_LOG2 as usize) + 1) << STEPS_LOG2;

/// How long things took.
#[derive(Debug, Clone)]
pub(super) struct Latencies {
    counts: Vec<u64>,
    count: u64,
    sum_ns: u128,
    max_ns: u64,
}

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies { counts: vec![0; BUCKETS], count: 0, sum_ns: 0, max_ns: 0 }
    }
}

impl Latencies {
    pub(super) fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(ns)) {
            *count += 1;
        }
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    pub(super) fn max(&self) -> Duration {
        Duration::from_nanos(self.max_ns)
    }

    /// Nought when there are none.
    pub(super) fn mean(&self) -> Duration {
        let mean = self.sum_ns.checked_div(self.count.into()).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// What `per_mille` of 1000 did not exceed; nought when there are none.
    pub(super) fn quantile(&self, per_mille: u64) -> Duration {
        let rank = u128::from(self.count) * u128::from(per_mille.min(1000));
        let rank = u64::try_from(rank.div_ceil(1000)).unwrap_or(u64::MAX).max(1);
        let mut seen = 0_u64;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if seen >= rank {
                return Duration::from_nanos(upper_end(bucket).min(self.max_ns));
            }
        }
        self.max()
    }
}

/// The first 2 × 128 buckets are a nanosecond wide, the next 128 two, the next four, and so on.
fn bucket(ns: u64) -> usize {
    let ns = ns.min(MAX_NS);
    let doublings = (ns | 1).ilog2().saturating_sub(STEPS_LOG2);
    let steps = u64::from(doublings) << STEPS_LOG2;
    usize::try_from(steps + (ns >> doublings)).unwrap_or(usize::MAX)
}

/// The largest value that falls into a bucket.
fn upper_end(bucket: usize) -> u64 {
    let doublings = (bucket >> STEPS_LOG2).saturating_sub(1);
    let step = bucket - (doublings << STEPS_LOG2);
    let step = u64::try_from(step).unwrap_or(u64::MAX);
    ((step + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_the_bucket_whose_end_is_next_above_it() {
        let mut values: Vec<u64> = (0..5000).collect();
        values.extend(
            (8..42).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1, 3 << (power - 1)]),
        );
        for ns in values {
            let at = bucket(ns);
            assert!(at < BUCKETS, "{ns}");
            let end = upper_end(at);
            assert!(end >= ns && end - ns <= ns >> STEPS_LOG2, "{ns}: {end}");
            assert!(at == 0 || upper_end(at - 1) < ns, "{ns}");
        }
        assert_eq!((bucket(u64::MAX), upper_end(BUCKETS - 1)), (BUCKETS - 1, MAX_NS));
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut latencies = Latencies::default();
        for ms in 1..=1000 {
            latencies.record(Duration::from_millis(ms));
        }
        for (per_mille, ms) in [(0, 1), (1, 1), (500, 500), (900, 900), (990, 990), (999, 999), (1000, 1000)]
        {
            let (found, exact) = (latencies.quantile(per_mille), Duration::from_millis(ms));
            assert!(found >= exact && found <= exact + exact / 128, "{per_mille}: {found:?}");
        }
        assert_eq!(latencies.max(), Duration::from_secs(1));
        assert_eq!(latencies.mean(), Duration::from_micros(500_500));
    }

    #[test]
    fn of_nothing_all_is_nought_and_what_is_too_long_is_not_lost() {
        let mut latencies = Latencies::default();
        assert_eq!((latencies.quantile(999), latencies.max(), latencies.mean()), Default::default());
        latencies.record(Duration::MAX);
        assert_eq!(latencies.quantile(500), Duration::from_nanos(MAX_NS));
    }
}
