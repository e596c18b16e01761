//! Figures, and the line they are printed as: `CLIENT name=value name=value`.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// Measures from its making on.
pub struct Stopwatch {
    began: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch { began: Instant::now(), cpu: cpu() }
    }

    /// User and system time since.
    pub fn cpu(&self) -> Duration {
        cpu().saturating_sub(self.cpu)
    }

    /// CPU and elapsed time for each record, records a second, and the peak of the memory.
    pub fn report(&self, client: &str, records: u64, more: &str) {
        let (elapsed, cpu) = (self.began.elapsed(), self.cpu());
        let each = |time: Duration| time.as_secs_f64() * 1e6 / records as f64;
        println!(
            "{client} cpu_us={:.4} elapsed_us={:.4} per_second={:.0} records={records} rss_mib={:.1}{more}",
            each(cpu),
            each(elapsed),
            records as f64 / elapsed.as_secs_f64(),
            peak_mib()
        );
    }
}

/// Measures what is acknowledged between two points in time: from a second after its making, for so long.
pub struct Marks {
    warm: Instant,
    end: Instant,
    /// At the first of them, with what was acknowledged before.
    begun: Option<(Stopwatch, u64)>,
    /// At the last.
    acknowledged: u64,
}

impl Marks {
    pub fn new(time: Duration) -> Marks {
        let warm = Instant::now() + Duration::from_secs(1);
        Marks { warm, end: warm + time, begun: None, acknowledged: 0 }
    }

    /// With so many acknowledged: whether to go on.
    pub fn go_on(&mut self, acknowledged: u64) -> bool {
        let now = Instant::now();
        if self.begun.is_none() && now >= self.warm {
            self.begun = Some((Stopwatch::start(), acknowledged));
        }
        self.acknowledged = acknowledged;
        now < self.end
    }

    /// At once after the last.
    pub fn report(&self, client: &str) {
        let (watch, before) = self.begun.as_ref().expect("time that has passed");
        watch.report(client, self.acknowledged - before, "");
    }
}

/// How long acknowledgements took.
#[derive(Default)]
pub struct Latencies(pub Vec<Duration>);

impl Latencies {
    pub fn words(mut self) -> String {
        self.0.sort_unstable();
        let at = |part: f64| {
            let index = ((self.0.len() as f64 * part) as usize).min(self.0.len() - 1);
            self.0[index].as_secs_f64() * 1e3
        };
        format!(" p50_ms={:.4} p99_ms={:.4} max_ms={:.3}", at(0.5), at(0.99), at(1.0))
    }
}

/// A clock that all processes of the machine share.
pub fn monotonic_ns() -> u64 {
    u64::try_from(clock(ClockId::Monotonic).as_nanos()).expect("some centuries")
}

/// User and system time of the whole process, also of threads that have ended.
fn cpu() -> Duration {
    clock(ClockId::ProcessCPUTime)
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}

fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: f64 = peak.split_whitespace().next().expect("a figure").parse().expect("a number");
    kib / 1024.0
}
