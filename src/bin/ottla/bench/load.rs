//! [`Load`]: makes records, and hands each to the producer when it is due.
//!
//! This is done on a thread of its own, because the timers of the runtime know milliseconds only. A record that is handed
//! over late, because the one before it had to wait, was due all the same: its latency is counted from then.

use bytes::Bytes;
use ottla::{Delivery, Error, Producer, Record, Result, task};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// So many records are handed on to be watched at once, unless there is time to do so earlier.
const TOGETHER: usize = 256;
/// How many of these may wait.
pub(super) const WAITING: usize = 64;
/// Without a rate the clock is read once for so many records.
const CLOCK: u64 = 16;
/// How long it may take to hear that no more is wanted.
const NAP: Duration = Duration::from_millis(50);

/// Records that were handed over together, oldest first: when each was due, and what becomes of it.
pub(super) type Lot = VecDeque<(Instant, Delivery)>;

/// What has come of handing over.
#[derive(Debug)]
pub(super) enum Handed {
    Over(Lot),
    /// A record could not be handed over, and no more will be.
    Not(Error),
}

/// Records, and when they are due.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) producer: Producer,
    pub(super) records: Records,
    /// The numbers of the records.
    pub(super) numbers: std::ops::Range<u64>,
    /// How many are due in a second; without, each is due when the one before it was handed over.
    pub(super) rate: Option<u64>,
    /// Set when no more is wanted.
    pub(super) stop: Arc<AtomicBool>,
}

impl Load {
    /// Starts. The receiver ends when all was handed over, when the first could not be, or when no more is wanted.
    pub(super) fn start(self) -> mpsc::Receiver<Handed> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let runtime = Handle::current();
        thread::spawn(move || {
            let _entered = runtime.enter();
            let now = task::now();
            Hands { sender, together: Lot::with_capacity(TOGETHER), now }.hand_over(&self, &runtime);
        });
        receiver
    }
}

/// What the thread has at hand.
struct Hands {
    sender: mpsc::Sender<Handed>,
    together: Lot,
    /// The clock, as last read.
    now: Instant,
}

impl Hands {
    fn hand_over(mut self, load: &Load, runtime: &Handle) {
        let began = self.now;
        for (nth, number) in load.numbers.clone().enumerate() {
            let due = match load.rate {
                Some(rate) => began + due_after(nth, rate),
                None if number % CLOCK == 0 => {
                    self.now = task::now();
                    self.now
                }
                None => self.now,
            };
            self.wait_for(due, &load.stop);
            if load.stop.load(Ordering::Relaxed) {
                break;
            }
            match self.send(&load.producer, load.records.record(number), runtime) {
                Ok(delivery) => self.together.push_back((due, delivery)),
                Err(error) => {
                    // What keeps one record from being queued will keep the next one too.
                    let _ = self.sender.blocking_send(Handed::Not(error));
                    break;
                }
            }
            if self.together.len() >= TOGETHER && !self.hand_on() {
                break;
            }
        }
        self.hand_on();
    }

    fn wait_for(&mut self, due: Instant, stop: &AtomicBool) {
        while self.now < due {
            self.now = task::now();
            let left = due.saturating_duration_since(self.now);
            if left.is_zero() || stop.load(Ordering::Relaxed) {
                return;
            }
            self.hand_on();
            thread::sleep(left.min(NAP));
        }
    }

    fn send(&mut self, producer: &Producer, record: Record, runtime: &Handle) -> Result<Delivery> {
        let mut sending = pin!(producer.send(record));
        // Nearly always it need not wait, and then there is no need of a runtime.
        if let Poll::Ready(outcome) = sending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return outcome;
        }
        self.hand_on();
        let outcome = runtime.block_on(sending);
        self.now = task::now();
        outcome
    }

    /// Whether anybody still wants to know.
    fn hand_on(&mut self) -> bool {
        if self.together.is_empty() {
            return true;
        }
        let together = std::mem::replace(&mut self.together, Lot::with_capacity(TOGETHER));
        self.sender.blocking_send(Handed::Over(together)).is_ok()
    }
}

fn due_after(nth: usize, rate: u64) -> Duration {
    const NANOS: u128 = 1_000_000_000;
    let nanos = u128::try_from(nth).unwrap_or(u128::MAX).saturating_mul(NANOS) / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// How much text the values are cut from, besides one value: more than a batch, so that no batch holds a piece of it twice.
const POOL_BYTES: usize = 4 * 1024 * 1024;
/// An odd number whose multiples look drawn, by their upper half.
const SCATTER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Records of one size, each with another value: pieces of a text of random capitals, which are what Kafka's own tool sends.
#[derive(Debug, Clone)]
pub(super) struct Records {
    common: Record,
    pool: Bytes,
    bytes: usize,
    keys: Option<u64>,
}

impl Records {
    /// Records of so many bytes for a topic; with `keys`, each has one of so many.
    pub(super) fn new(topic: &str, bytes: usize, keys: Option<u64>) -> Records {
        let mut state = SCATTER;
        let mut letter = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            u8::try_from(u64::from(b'A') + (state >> 32) % 26).unwrap_or(b'Z')
        };
        let pool: Vec<u8> = (0..bytes.saturating_add(POOL_BYTES)).map(|_| letter()).collect();
        Records { common: Record::to(topic), pool: pool.into(), bytes, keys }
    }

    fn record(&self, number: u64) -> Record {
        let place = number.wrapping_mul(u64::try_from(self.bytes).unwrap_or(0));
        let at = usize::try_from(place).unwrap_or(0) % POOL_BYTES;
        let record = self.common.clone().value(self.pool.slice(at..at + self.bytes));
        match self.keys {
            Some(keys) => record.key(format!("{:08}", (number.wrapping_mul(SCATTER) >> 32) % keys.max(1))),
            None => record,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_record_is_due_at_its_time_whatever_came_of_the_others() {
        assert_eq!(due_after(0, 1000), Duration::ZERO);
        assert_eq!(due_after(1, 1000), Duration::from_millis(1));
        assert_eq!(due_after(3_000_000, 3), Duration::from_secs(1_000_000));
        assert_eq!(due_after(1, 3) * 3, Duration::from_nanos(999_999_999));
    }

    #[test]
    fn values_differ_and_keys_are_as_many_as_wanted() {
        let records = Records::new("t", 20, Some(7));
        let values: BTreeSet<String> =
            (0..1000).map(|number| format!("{:?}", records.record(number))).collect();
        assert_eq!(values.len(), 1000);
        let keys: BTreeSet<u64> =
            (0..1000_u64).map(|number| (number.wrapping_mul(SCATTER) >> 32) % 7).collect();
        assert_eq!(keys.len(), 7);
        assert_eq!(records.record(5), records.record(5), "the same in each run");
    }
}
