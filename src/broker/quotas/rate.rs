//! A rate over sliding windows, as Kafka's `Rate` of a `WindowedSum` has it, and for how long who exceeds it has to pause.
//!
//! Time is cut into windows of a second, each of which begins with what is counted first in it; what was counted eleven seconds ago
//! does not count any more. Where less than ten whole windows are known the others count as empty, so that a client that was
//! idle may send ten seconds' worth at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Kafka's `quota.window.num`: ten that are over and the one that is under way.
const WINDOWS: u64 = 11;
/// Kafka's `quota.window.size.seconds`, in milliseconds.
const WINDOW_MS: u64 = 1_000;
/// What was counted so long ago is forgotten.
const MEMORY: Duration = Duration::from_millis(WINDOWS * WINDOW_MS);

/// The seconds' worth that an idle client may have at once.
pub(super) const BURST_SECONDS: u64 = WINDOWS - 1;

/// Bytes a second.
#[derive(Debug)]
pub(super) struct Rate {
    windows: VecDeque<Window>,
    last: Instant,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    last: Instant,
    bytes: f64,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Rate {
        Rate { windows: VecDeque::new(), last: now }
    }

    /// Counts bytes; fewer than none take back what was counted for nothing.
    pub(super) fn count(&mut self, bytes: f64, now: Instant) {
        self.last = self.last.max(now);
        match self.windows.back_mut().filter(|window| !has_passed(window.since, now, WINDOW_MS)) {
            Some(window) => (window.last, window.bytes) = (window.last.max(now), window.bytes + bytes),
            None => self.windows.push_back(Window { since: now, last: now, bytes }),
        }
        self.forget(now);
    }

    /// How long to pause until the rate is down to the limit, if nothing is counted meanwhile (Kafka's `QuotaUtils.throttleTime`).
    pub(super) fn pause(&mut self, limit: u64, now: Instant) -> Duration {
        self.forget(now);
        let (limit, window_ms) = (limit as f64, self.span_ms(now) as f64);
        let rate = self.windows.iter().map(|window| window.bytes).sum::<f64>() / (window_ms / 1_000.0);
        if rate <= limit {
            return Duration::ZERO;
        }
        Duration::from_millis(((rate - limit) / limit * window_ms).round() as u64)
    }

    /// Whether nothing is left of what was counted.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= MEMORY
    }

    /// When something was counted last.
    pub(super) fn last(&self) -> Instant {
        self.last
    }

    fn forget(&mut self, now: Instant) {
        self.windows.retain(|window| now.saturating_duration_since(window.last) < MEMORY);
    }

    /// The time that the rate is over: at least ten whole windows and what has passed of one more.
    fn span_ms(&self, now: Instant) -> u64 {
        let elapsed = self.windows.front().map_or(0, |oldest| elapsed_ms(oldest.since, now));
        let missing = BURST_SECONDS.saturating_sub(elapsed / WINDOW_MS);
        elapsed.saturating_add(missing.saturating_mul(WINDOW_MS)).max(1)
    }
}

fn elapsed_ms(since: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX)
}

fn has_passed(since: Instant, now: Instant, ms: u64) -> bool {
    elapsed_ms(since, now) >= ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task;

    /// What Kafka's own classes (`Sensor`, `Rate`, `QuotaUtils.throttleTime`) said of a quota of 1000 bytes a second: milliseconds, bytes, the
    /// pause in milliseconds, and whether the bytes were taken back.
    const KAFKAS: [(u64, u32, u64, bool); 48] = [
        (1664, 14044, 4044, false),
        (2132, 1450, 5026, false),
        (2144, 1511, 6525, false),
        (2405, 1407, 7671, true),
        (2629, 2151, 8191, false),
        (2868, 12576, 21528, false),
        (3141, 1491, 22746, true),
        (3259, 746, 21883, false),
        (4639, 647, 22150, false),
        (5651, 1876, 24014, true),
        (5696, 270, 23363, false),
        (5804, 17226, 40481, false),
        (6329, 429, 40385, false),
        (8149, 16529, 57094, false),
        (8801, 2320, 59762, true),
        (10781, 131, 57593, false),
        (11275, 886, 57985, false),
        (11483, 425, 58202, false),
        (12301, 137, 58521, false),
        (12541, 845, 59126, false),
        (13541, 391, 58517, false),
        (13928, 12330, 52508, false),
        (14220, 957, 53173, false),
        (15220, 14207, 54829, false),
        (15325, 639, 55363, false),
        (15702, 848, 56199, false),
        (16358, 905, 56448, false),
        (17459, 690, 39610, false),
        (17549, 2364, 41884, false),
        (17984, 2510, 43959, false),
        (18196, 292, 45039, false),
        (30585, 2487, 0, false),
        (31506, 1277, 0, false),
        (32926, 709, 0, false),
        (34218, 15109, 8949, false),
        (44877, 1481, 5931, false),
        (46042, 1658, 0, false),
        (47042, 736, 0, false),
        (47324, 282, 0, false),
        (48541, 545, 0, false),
        (50848, 2109, 0, false),
        (51848, 1030, 0, false),
        (53766, 2559, 0, false),
        (53797, 2077, 1557, false),
        (54040, 1373, 3687, false),
        (66313, 1662, 0, false),
        (68658, 10048, 1365, false),
        (69557, 479, 1945, false),
    ];

    #[test]
    fn pauses_are_those_of_kafka() {
        let began = task::now();
        let mut rate = Rate::new(began);
        for (at_ms, bytes, pause_ms, taken_back) in KAFKAS {
            let now = began + Duration::from_millis(at_ms);
            rate.count(f64::from(bytes), now);
            assert_eq!(rate.pause(1_000, now), Duration::from_millis(pause_ms), "at {at_ms} ms");
            if taken_back {
                rate.count(-f64::from(bytes), now);
            }
        }
    }

    #[test]
    fn who_was_idle_may_have_ten_seconds_worth_at_once() {
        let mut now = task::now();
        let mut rate = Rate::new(now);
        for _ in 0..3 {
            rate.count(10_000.0, now);
            assert_eq!(rate.pause(1_000, now), Duration::ZERO);
            rate.count(1.0, now);
            assert_eq!(rate.pause(1_000, now), Duration::from_millis(1));
            assert!(!rate.is_over(now + MEMORY - Duration::from_millis(1)));
            now += MEMORY;
            assert!(rate.is_over(now));
        }
    }

    #[test]
    fn who_keeps_to_the_pauses_keeps_to_the_rate() {
        let began = task::now();
        let mut rate = Rate::new(began);
        let (mut now, mut sent) = (began, 0u64);
        while now < began + Duration::from_secs(600) {
            rate.count(1_000.0, now);
            sent += 1_000;
            now += rate.pause(1_000, now) + Duration::from_millis(3);
        }
        let per_second = sent / (now - began).as_secs();
        assert!((980..=1_040).contains(&per_second), "{per_second} bytes a second");
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_does_no_harm() {
        let now = task::now() + Duration::from_secs(60);
        let mut rate = Rate::new(now);
        rate.count(1e300, now);
        rate.count(5.0, now - Duration::from_secs(30));
        assert_eq!(rate.pause(1, now), Duration::from_millis(u64::MAX));
        assert!(rate.pause(u64::MAX, now) > Duration::ZERO);
    }
}
