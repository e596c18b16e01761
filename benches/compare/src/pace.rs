//! Ticks at a rate, from a timer of the kernel that is waited for as for a socket: a program that answers requests hears of
//! them in the same way, and timers of runtimes count in milliseconds.

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

/// How often, and how many times.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub rate: u64,
    pub ticks: u64,
}

/// Begun: gives the time at which each tick was due, which may have passed.
pub struct Ticks {
    timer: OwnedFd,
    interval: Duration,
    first: Instant,
    expired: u64,
    given: u64,
    ticks: u64,
}

impl Pace {
    pub fn blocking(self) -> Ticks {
        self.begin(TimerfdFlags::empty())
    }

    fn begin(self, flags: TimerfdFlags) -> Ticks {
        let interval = Duration::from_secs(1) / u32::try_from(self.rate).expect("a rate");
        let spec = Timespec::try_from(interval).expect("an interval");
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).expect("a timer");
        let first = Instant::now() + interval;
        timerfd_settime(
            &timer,
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: spec, it_value: spec },
        )
        .expect("a timer that is set");
        Ticks { timer, interval, first, expired: 0, given: 0, ticks: self.ticks }
    }
}

impl Ticks {
    /// Waits for the next tick, `None` after the last.
    pub fn wait(&mut self) -> Option<Instant> {
        if self.given == self.expired && self.given < self.ticks {
            self.expired += read(&self.timer).expect("a timer that ticks");
        }
        self.give()
    }

    fn give(&mut self) -> Option<Instant> {
        let due = self.first + self.interval * u32::try_from(self.given).expect("fewer ticks");
        self.given += 1;
        (self.given <= self.ticks).then_some(due)
    }
}

/// The same for a task.
pub struct AsyncTicks {
    ready: AsyncFd<OwnedFd>,
    ticks: Ticks,
}

impl AsyncTicks {
    pub fn begin(pace: Pace) -> AsyncTicks {
        let ticks = pace.begin(TimerfdFlags::NONBLOCK);
        let timer = ticks.timer.try_clone().expect("a descriptor");
        #[expect(
            deprecated,
            reason = "the successor is unsafe; the descriptor stays in here and is not exchanged"
        )]
        let ready = AsyncFd::new(timer);
        AsyncTicks { ready: ready.expect("a runtime with I/O"), ticks }
    }

    pub async fn wait(&mut self) -> Option<Instant> {
        while self.ticks.given == self.ticks.expired && self.ticks.given < self.ticks.ticks {
            let mut guard = self.ready.readable().await.expect("a timer");
            if let Ok(expired) = guard.try_io(|timer| read(timer.get_ref())) {
                self.ticks.expired += expired.expect("a timer that ticks");
                // There is nothing more to read before the next tick, which will be told of.
                guard.clear_ready();
            }
        }
        self.ticks.give()
    }
}

fn read(timer: &OwnedFd) -> std::io::Result<u64> {
    let mut count = [0; 8];
    rustix::io::read(timer, &mut count)?;
    Ok(u64::from_ne_bytes(count))
}
