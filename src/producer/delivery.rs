//! [`Delivery`]: what becomes of a record, told by its batch.
//!
//! Records of one batch share one [`Completion`]; a delivery is that and an index. Nothing is allocated or sent for a
//! record of its own.

use crate::engine::batcher::Divide;
use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

/// Where a record is in the log.
#[derive(Clone)]
#[non_exhaustive]
pub struct Delivered {
    /// The batch, which knows the topic.
    completion: Arc<Completion>,
    /// Its partition.
    pub partition: i32,
    /// Its offset; -1 when the broker does not say: with `acks=0`, and when a repeated batch was already in the log and
    /// the broker no longer knew where.
    pub offset: i64,
    /// Its time in milliseconds since 1970: the record's own, or the broker's where the topic is set to `LogAppendTime`.
    pub timestamp_ms: i64,
}

impl Delivered {
    /// Its topic.
    pub fn topic(&self) -> &str {
        &self.completion.topic
    }
}

impl PartialEq for Delivered {
    fn eq(&self, other: &Delivered) -> bool {
        let place = |at: &Delivered| (at.partition, at.offset, at.timestamp_ms);
        self.topic() == other.topic() && place(self) == place(other)
    }
}

impl Eq for Delivered {}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Delivered { partition, offset, timestamp_ms, .. } = self;
        f.debug_struct("Delivered")
            .field("topic", &self.topic())
            .field("partition", partition)
            .field("offset", offset)
            .field("timestamp_ms", timestamp_ms)
            .finish()
    }
}

/// A record on its way: resolves once, to where it is or to why it is not known to be there.
///
/// # Cancel safety
/// A delivery that is dropped changes nothing: the record is sent all the same. Polling it again after it was ready is an
/// error, [`ErrorKind::InvalidInput`].
#[derive(Debug)]
#[must_use = "a record is acknowledged when its delivery says so"]
pub struct Delivery {
    /// `None` once it was ready.
    completion: Option<Arc<Completion>>,
    timestamp_ms: i64,
    index: u32,
    /// Where this delivery's waker is among the completion's listeners; [`NO_SLOT`] as long as it is not.
    slot: u32,
}

const NO_SLOT: u32 = u32::MAX;

/// The fate that the records of one batch share.
#[derive(Debug)]
pub(super) struct Completion {
    topic: Arc<str>,
    partition: i32,
    outcome: OnceLock<Outcome>,
    listeners: Mutex<Vec<Listener>>,
}

#[derive(Debug, Clone)]
enum Outcome {
    Written {
        base_offset: i64,
        append_time_ms: Option<i64>,
    },
    Failed(Error),
    /// The batch was split: records from this index on are those of the second part.
    Split(u32, [Arc<Completion>; 2]),
    /// Most records share `rest`; those named have an error of their own (KIP-467).
    Each {
        errors: Vec<(u32, Error)>,
        rest: Error,
    },
}

/// Who is to be told.
enum Listener {
    /// A task that awaits a delivery.
    Task(Waker),
    /// A callback, with what its delivery is.
    Call(u32, i64, Callback),
}

type Callback = Box<dyn FnOnce(Result<Delivered>) + Send>;

/// A batch that has settled, and those who are still to be told.
#[must_use = "nobody was told yet"]
pub(super) struct Settled {
    completion: Arc<Completion>,
    listeners: Vec<Listener>,
}

impl Settled {
    /// Wakes tasks and calls callbacks. A callback that panics is reported, and harms nobody else.
    pub(super) fn tell(self) {
        for listener in self.listeners {
            match listener {
                Listener::Task(waker) => waker.wake(),
                Listener::Call(index, timestamp_ms, call) => {
                    if let Some(outcome) = self.completion.outcome(index, timestamp_ms) {
                        self::call(call, outcome);
                    }
                }
            }
        }
    }
}

impl Completion {
    pub(super) fn new(topic: Arc<str>, partition: i32) -> Arc<Completion> {
        Arc::new(Completion { topic, partition, outcome: OnceLock::new(), listeners: Mutex::default() })
    }

    /// The batch is in the log. An offset of -1 is one that is not known.
    pub(super) fn written(self: Arc<Self>, base_offset: i64, append_time_ms: Option<i64>) -> Settled {
        self.settle(Outcome::Written { base_offset, append_time_ms })
    }

    /// The batch is not known to be in the log.
    pub(super) fn failed(self: Arc<Self>, error: Error) -> Settled {
        self.settle(Outcome::Failed(error))
    }

    /// The batch was refused because of some of its records, each with the reason.
    pub(super) fn refused(self: Arc<Self>, errors: Vec<(u32, Error)>, rest: Error) -> Settled {
        self.settle(Outcome::Each { errors, rest })
    }

    /// The first word stands: nothing that comes later can make a delivery untrue that was told.
    fn settle(self: Arc<Self>, outcome: Outcome) -> Settled {
        let is_first = self.outcome.set(outcome).is_ok();
        let listeners = if is_first { std::mem::take(&mut *self.listeners()) } else { Vec::new() };
        Settled { completion: self, listeners }
    }

    /// The outcome of the record at `index`, if it is known. Follows a batch that was split.
    fn outcome(self: &Arc<Self>, index: u32, timestamp_ms: i64) -> Option<Result<Delivered>> {
        Some(match self.outcome.get()? {
            Outcome::Failed(error) => Err(error.clone()),
            Outcome::Written { .. } => Ok(Arc::clone(self).delivered(index, timestamp_ms)),
            Outcome::Each { errors, rest } => {
                let own = errors.iter().find(|(at, _)| *at == index).map(|(_, error)| error);
                Err(own.unwrap_or(rest).clone())
            }
            Outcome::Split(at, parts) => {
                let (part, index) = part_of(parts, *at, index);
                return part.outcome(index, timestamp_ms);
            }
        })
    }

    /// Where a record is, of a batch that was written.
    fn delivered(self: Arc<Self>, index: u32, timestamp_ms: i64) -> Delivered {
        let (base_offset, append_time_ms) = match self.outcome.get() {
            Some(Outcome::Written { base_offset, append_time_ms }) => (*base_offset, *append_time_ms),
            _ => (-1, None),
        };
        Delivered {
            partition: self.partition,
            offset: if base_offset < 0 { -1 } else { base_offset.saturating_add(i64::from(index)) },
            timestamp_ms: append_time_ms.unwrap_or(timestamp_ms),
            completion: self,
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of a split batch that has the record at `index`, and its index there.
fn part_of([first, second]: &[Arc<Completion>; 2], at: u32, index: u32) -> (&Arc<Completion>, u32) {
    match index.checked_sub(at) {
        None => (first, index),
        Some(index) => (second, index),
    }
}

impl Divide for Arc<Completion> {
    fn divide(self, at: i32) -> [Self; 2] {
        let at = at.unsigned_abs();
        let part = || Completion::new(Arc::clone(&self.topic), self.partition);
        let parts = [part(), part()];
        // Who waits hears of the part, not of the split: nobody is told while the producer's lock is held.
        for listener in self.settle(Outcome::Split(at, parts.clone())).listeners {
            match listener {
                Listener::Task(waker) => {
                    parts.iter().for_each(|part| part.listeners().push(Listener::Task(waker.clone())));
                }
                Listener::Call(index, timestamp_ms, call) => {
                    let (part, index) = part_of(&parts, at, index);
                    part.listeners().push(Listener::Call(index, timestamp_ms, call));
                }
            }
        }
        parts
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listener::Task(_) => f.write_str("Task"),
            Listener::Call(index, ..) => f.debug_tuple("Call").field(index).finish(),
        }
    }
}

impl Delivery {
    /// The delivery of the record at `index` of a batch, whose own time is `timestamp_ms`.
    pub(super) fn new(completion: Arc<Completion>, index: u32, timestamp_ms: i64) -> Delivery {
        Delivery { completion: Some(completion), timestamp_ms, index, slot: NO_SLOT }
    }

    /// Hands the outcome to a callback, in place of awaiting it: at once if it is known already, otherwise as soon as it is, from
    /// the producer's own task or from the call of `close` that gives the record up. It should not block; it may [`try_send`](super::Producer::try_send).
    ///
    /// It is called exactly once, also when the producer is closed or dropped or its runtime ends. One that panics is
    /// reported in the log.
    ///
    /// ```no_run
    /// # async fn example(producer: ottla::Producer) -> ottla::Result<()> {
    /// use ottla::Record;
    ///
    /// producer.send(Record::to("orders").value("paid")).await?.then(|outcome| match outcome {
    ///     Ok(at) => println!("written at offset {}", at.offset),
    ///     Err(error) => eprintln!("{error}"),
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn then(self, callback: impl FnOnce(Result<Delivered>) + Send + 'static) {
        let Delivery { completion: Some(mut completion), timestamp_ms, mut index, .. } = self else {
            return call(Box::new(callback), Err(spent()));
        };
        loop {
            if let Some(Outcome::Split(at, parts)) = completion.outcome.get() {
                let (part, within) = part_of(parts, *at, index);
                (completion, index) = (Arc::clone(part), within);
            } else if let Some(outcome) = completion.outcome(index, timestamp_ms) {
                return call(Box::new(callback), outcome);
            } else {
                let mut listeners = completion.listeners();
                // Settled between the look and the lock: look again.
                if completion.outcome.get().is_none() {
                    return listeners.push(Listener::Call(index, timestamp_ms, Box::new(callback)));
                }
            }
        }
    }

    /// The outcome, if it is known already; not after it was [awaited](Future::poll).
    pub fn outcome(&self) -> Option<Result<Delivered>> {
        self.completion.as_ref()?.outcome(self.index, self.timestamp_ms)
    }
}

/// Calls a callback. One that panics is reported, and harms nobody else.
fn call(callback: Callback, outcome: Result<Delivered>) {
    if catch_unwind(AssertUnwindSafe(|| callback(outcome))).is_err() {
        tracing::error!("a delivery callback panicked");
    }
}

fn spent() -> Error {
    Error::new(ErrorKind::InvalidInput, "await a delivery that was ready before")
}

impl Future for Delivery {
    type Output = Result<Delivered>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut completion) = self.completion.take() else { return Poll::Ready(Err(spent())) };
        loop {
            match completion.outcome.get() {
                // The record's share of the batch goes from hand to hand: nothing is counted up and down.
                Some(Outcome::Written { .. }) => {
                    return Poll::Ready(Ok(completion.delivered(self.index, self.timestamp_ms)));
                }
                Some(Outcome::Split(at, parts)) => {
                    let (part, index) = part_of(parts, *at, self.index);
                    (completion, self.index, self.slot) = (Arc::clone(part), index, NO_SLOT);
                }
                Some(Outcome::Failed(_) | Outcome::Each { .. }) => {
                    let outcome = completion.outcome(self.index, self.timestamp_ms);
                    return Poll::Ready(outcome.unwrap_or_else(|| Err(spent())));
                }
                None => {
                    let mut listeners = completion.listeners();
                    // Settled between the look and the lock: look again, nobody will wake us.
                    if completion.outcome.get().is_some() {
                        continue;
                    }
                    match usize::try_from(self.slot).ok().and_then(|slot| listeners.get_mut(slot)) {
                        Some(Listener::Task(waker)) => waker.clone_from(cx.waker()),
                        _ => {
                            self.slot = u32::try_from(listeners.len()).unwrap_or(NO_SLOT);
                            listeners.push(Listener::Task(cx.waker().clone()));
                        }
                    }
                    drop(listeners);
                    self.completion = Some(completion);
                    return Poll::Pending;
                }
            }
        }
    }
}
