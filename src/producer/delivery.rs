//! [`Delivery`]: what becomes of a record, told by its batch.
//!
//! Records of one batch share one [`Completion`]; a delivery is that and an index. Nothing is allocated or sent for a
//! record of its own.

use crate::engine::batcher::Divide;
use crate::error::{Error, ErrorKind, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

/// Where a record is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset; -1 when the broker does not say: with `acks=0`, and when a repeated batch was already in the log and
    /// the broker no longer knew where.
    pub offset: i64,
    /// Its time in milliseconds since 1970: the record's own, or the broker's where the topic is set to `LogAppendTime`.
    pub timestamp_ms: i64,
}

/// A record on its way: resolves once, to where it is or to why it is not known to be there.
///
/// # Cancel safety
/// A delivery that is dropped changes nothing: the record is sent all the same. Polling it again after it was ready gives
/// the same outcome again.
#[derive(Debug)]
#[must_use = "a record is acknowledged when its delivery says so"]
pub struct Delivery {
    completion: Arc<Completion>,
    index: u32,
    timestamp_ms: i64,
    /// Where this delivery's waker is among the completion's.
    slot: Option<usize>,
}

/// The fate that the records of one batch share.
#[derive(Debug)]
pub(super) struct Completion {
    topic: Arc<str>,
    partition: i32,
    outcome: OnceLock<Outcome>,
    wakers: Mutex<Vec<Waker>>,
}

#[derive(Debug, Clone)]
enum Outcome {
    Written {
        base_offset: i64,
        append_time_ms: Option<i64>,
    },
    Failed(Error),
    /// The batch was split: record `n` is record `n - first` of the last part whose `first` is not above it.
    Split(Vec<(u32, Arc<Completion>)>),
    /// Most records share `rest`; those named have an error of their own (KIP-467).
    Each {
        errors: Vec<(u32, Error)>,
        rest: Error,
    },
}

impl Completion {
    pub(super) fn new(topic: Arc<str>, partition: i32) -> Arc<Completion> {
        Arc::new(Completion { topic, partition, outcome: OnceLock::new(), wakers: Mutex::default() })
    }

    /// The delivery of the record at `index`, whose own time is `timestamp_ms`.
    pub(super) fn delivery(self: &Arc<Self>, index: u32, timestamp_ms: i64) -> Delivery {
        Delivery { completion: Arc::clone(self), index, timestamp_ms, slot: None }
    }

    /// The batch is in the log. An offset of -1 is one that is not known.
    pub(super) fn written(&self, base_offset: i64, append_time_ms: Option<i64>) {
        self.settle(Outcome::Written { base_offset, append_time_ms });
    }

    /// The batch is not known to be in the log.
    pub(super) fn failed(&self, error: Error) {
        self.settle(Outcome::Failed(error));
    }

    /// The batch was refused because of some of its records, each with the reason.
    pub(super) fn refused(&self, errors: Vec<(u32, Error)>, rest: Error) {
        self.settle(Outcome::Each { errors, rest });
    }

    fn settle(&self, outcome: Outcome) {
        // The first word stands: nothing that comes later can make a delivery untrue that was told.
        if self.outcome.set(outcome).is_ok() {
            for waker in std::mem::take(&mut *self.wakers()) {
                waker.wake();
            }
        }
    }

    fn look(&self, index: u32, timestamp_ms: i64) -> Option<Look<'_>> {
        let delivered = |offset, timestamp_ms| Delivered {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            offset,
            timestamp_ms,
        };
        Some(match self.outcome.get()? {
            Outcome::Failed(error) => Look::Done(Err(error.clone())),
            Outcome::Written { base_offset, append_time_ms } => {
                let offset = if *base_offset < 0 { -1 } else { base_offset.saturating_add(i64::from(index)) };
                Look::Done(Ok(delivered(offset, append_time_ms.unwrap_or(timestamp_ms))))
            }
            Outcome::Each { errors, rest } => {
                let own = errors.iter().find(|(at, _)| *at == index).map(|(_, error)| error);
                Look::Done(Err(own.unwrap_or(rest).clone()))
            }
            Outcome::Split(parts) => match parts.iter().rev().find(|(first, _)| *first <= index) {
                Some((first, part)) => Look::Part(part, index.saturating_sub(*first)),
                None => Look::Done(Err(Error::new(
                    ErrorKind::Internal,
                    "find a record in a batch that was split",
                ))),
            },
        })
    }

    fn wakers(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Divide for Arc<Completion> {
    fn divide(self, at: i32) -> [Self; 2] {
        let part = || Completion::new(Arc::clone(&self.topic), self.partition);
        let parts = [part(), part()];
        let [first, second] = &parts;
        self.settle(Outcome::Split(vec![(0, Arc::clone(first)), (at.unsigned_abs(), Arc::clone(second))]));
        parts
    }
}

enum Look<'a> {
    Done(Result<Delivered>),
    Part(&'a Arc<Completion>, u32),
}

impl Delivery {
    /// The outcome, if it is known already.
    pub fn outcome(&self) -> Option<Result<Delivered>> {
        let (mut completion, mut index) = (&self.completion, self.index);
        loop {
            match completion.look(index, self.timestamp_ms)? {
                Look::Done(outcome) => return Some(outcome),
                Look::Part(part, at) => (completion, index) = (part, at),
            }
        }
    }
}

impl Future for Delivery {
    type Output = Result<Delivered>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let part = match self.completion.look(self.index, self.timestamp_ms) {
                Some(Look::Done(outcome)) => return Poll::Ready(outcome),
                Some(Look::Part(part, index)) => Some((Arc::clone(part), index)),
                None => None,
            };
            if let Some((part, index)) = part {
                self.completion = part;
                self.index = index;
                self.slot = None;
                continue;
            }
            let completion = Arc::clone(&self.completion);
            let mut wakers = completion.wakers();
            // Settled between the look and the lock: look again, nobody will wake us.
            if completion.outcome.get().is_some() {
                continue;
            }
            match self.slot.and_then(|slot| wakers.get_mut(slot)) {
                Some(waker) => waker.clone_from(cx.waker()),
                None => {
                    self.slot = Some(wakers.len());
                    wakers.push(cx.waker().clone());
                }
            }
            return Poll::Pending;
        }
    }
}
