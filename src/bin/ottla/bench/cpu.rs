//! [`CpuTime`]: what this process has cost so far, on systems that tell it without C.

use std::time::Duration;

/// CPU time of all threads of this process, those that have ended too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CpuTime {
    pub(super) user: Duration,
    pub(super) system: Duration,
}

impl CpuTime {
    /// What was spent until now; `None` where it is not known. It comes in steps of 10 ms.
    #[cfg(target_os = "linux")]
    pub(super) fn so_far() -> Option<CpuTime> {
        parse(&std::fs::read_to_string("/proc/self/stat").ok()?)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn so_far() -> Option<CpuTime> {
        None
    }

    pub(super) fn since(self, earlier: CpuTime) -> CpuTime {
        CpuTime {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }

    pub(super) fn total(self) -> Duration {
        self.user.saturating_add(self.system)
    }
}

/// `utime` and `stime` of proc(5). The name of the program, in parentheses, may hold anything.
#[cfg(any(target_os = "linux", test))]
fn parse(stat: &str) -> Option<CpuTime> {
    /// `USER_HZ`, which is part of what Linux promises, whatever the clock of the kernel is.
    const TICKS_A_SECOND: u32 = 100;
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let mut next = || {
        let ticks: u64 = fields.next()?.parse().ok()?;
        Some(Duration::from_secs(ticks) / TICKS_A_SECOND)
    };
    Some(CpuTime { user: next()?, system: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat = "4711 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 250 75 13 14 20 0 5 0\n";
        let expected = CpuTime { user: Duration::from_millis(2500), system: Duration::from_millis(750) };
        assert_eq!(parse(stat), Some(expected));
        assert_eq!(expected.total(), Duration::from_millis(3250));
        for short in ["", "1 (a)", "1 (a) R 1 2 3 4 5 6 7 8 9 10 250"] {
            assert_eq!(parse(short), None, "{short}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_done_is_seen() {
        let before = CpuTime::so_far().unwrap();
        let mut sum = 0_u64;
        while CpuTime::so_far().unwrap().since(before).total() < Duration::from_millis(20) {
            sum = (0..100_000).fold(sum, u64::wrapping_add);
        }
        assert_ne!(sum, 0);
    }
}
