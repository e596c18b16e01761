//! The way of a record into its batch, and of a batch's fate to those who wait for it.

use super::delivery::{Completion, Settled};
use super::metrics::Recorder;
use super::{Delivery, Record, Shared};
use crate::engine::batcher::{Batcher, Entry, Finished, Mark, Refused};
use crate::engine::partitioner::{BuiltIn, Choice, Partitioner, Unplaced};
use crate::engine::view::View;
use crate::error::{Error, ErrorKind, Sent};
use crate::records::Header;
use crate::task::{self, CoarseClock, Time};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

/// What `send` and the sender share.
pub(super) struct State {
    pub(super) batcher: Batcher<Arc<Completion>>,
    pub(super) view: View,
    pub(super) rng: fastrand::Rng,
    pub(super) clock: CoarseClock,
    pub(super) recorder: Recorder,
}

/// Who chooses partitions.
pub(super) enum Chooser {
    /// One of those that have a name.
    BuiltIn(BuiltIn),
    /// The program's own.
    Own(Arc<dyn Partitioner>),
}

/// Why a record could not be appended.
pub(super) enum Obstacle {
    /// The buffer is full: wait for progress.
    Full,
    /// The topic is not in the view.
    Topic,
    /// The record names a partition that the topic does not have, as far as is known: it has so many.
    Partition(i32),
    /// Nothing will help.
    Final(Error),
}

impl Shared {
    #[inline]
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No step leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`append`](Self::append), in place: what it returns stays in registers then. For the path of every record only.
    #[inline(always)]
    pub(super) fn append_in_place(&self, record: &Record) -> Result<Delivery, Obstacle> {
        let chosen = match &self.chooser {
            Chooser::Own(partitioner) if record.partition.is_none() => {
                Some(self.ask(&**partitioner, record)?)
            }
            _ => None,
        };
        let mut state = self.state();
        let State { batcher, view, rng, clock, .. } = &mut *state;
        if batcher.is_closed() {
            let error = Error::from(Refused::Closed).topic(record.topic());
            return Err(Obstacle::Final(error.sent(Sent::Never)));
        }
        let Time { now, wall_ms } = clock.read();
        let topic = batcher.topic(record.topic.as_bytes(), view, now).ok_or(Obstacle::Topic)?;
        let partition = match record.partition {
            Some(partition) => partition,
            None => {
                let (name, known) = batcher.known(topic).ok_or(Obstacle::Topic)?;
                let count = known.partition_count();
                let choice = match (&self.chooser, chosen) {
                    (Chooser::BuiltIn(chooser), _) => chooser.choose(&record.unplaced(name, known)),
                    (Chooser::Own(_), chosen) => chosen.unwrap_or(Choice::Sticky),
                };
                let placed = batcher.place(topic, choice, now, rng);
                placed.ok_or_else(|| Obstacle::Final(no_place(record, choice, count)))?
            }
        };
        let timestamp = match record.own_timestamp() {
            None => wall_ms,
            Some(timestamp) if timestamp >= 0 => timestamp,
            Some(timestamp) => return Err(Obstacle::Final(before_1970(record, timestamp))),
        };
        let headers = record.headers.iter();
        let entry = Entry {
            timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: headers.map(|(name, value)| Header { key: name.as_bytes(), value: value.as_deref() }),
        };
        let open = |name: &Arc<str>| (Completion::new(Arc::clone(name), partition), task::now());
        match batcher.append(topic, partition, entry, now, open) {
            Ok(appended) => {
                if appended.wake {
                    self.wake.notify_one();
                }
                Ok(Delivery::new(appended.completion, appended.index.unsigned_abs(), timestamp))
            }
            Err(Refused::Full) => {
                // What is queued lingers no longer. Said once: who tries again and again would keep the sender from sleeping.
                if batcher.take_hurry() {
                    self.wake.notify_one();
                }
                Err(Obstacle::Full)
            }
            Err(Refused::NoPartition(count)) if partition >= count => Err(Obstacle::Partition(count)),
            Err(refused) => {
                let error = Error::from(refused).topic(record.topic()).partition(partition);
                Err(Obstacle::Final(error.sent(Sent::Never)))
            }
        }
    }

    /// Appends a record to a batch, if that can be done now.
    pub(super) fn append(&self, record: &Record) -> Result<Delivery, Obstacle> {
        self.append_in_place(record)
    }

    /// Asks the program's own partitioner. Without the lock: it may take its time, or send.
    fn ask(&self, partitioner: &dyn Partitioner, record: &Record) -> Result<Choice, Obstacle> {
        let (name, known) = {
            let mut state = self.state();
            let State { batcher, view, clock, .. } = &mut *state;
            let topic =
                batcher.topic(record.topic.as_bytes(), view, clock.read().now).ok_or(Obstacle::Topic)?;
            let (name, known) = batcher.known(topic).ok_or(Obstacle::Topic)?;
            (Arc::clone(name), Arc::clone(known))
        };
        Ok(partitioner.choose(&record.unplaced(&name, &known)))
    }

    /// Takes over a view, if it is newer than the one that is known.
    pub(super) fn learn(&self, view: View, now: Instant) {
        let mut state = self.state();
        if view.revision() < state.view.revision() {
            return;
        }
        state.batcher.update(&view, now);
        state.view = view;
    }

    /// Tells deliveries what became of their batches: all at once with the change of `state`, so that who sees that a flush
    /// is done also finds each outcome, and without the lock, because whoever is told may send.
    pub(super) fn finish(
        &self,
        mut state: MutexGuard<'_, State>,
        finished: Vec<Finished<Arc<Completion>>>,
        now: Instant,
    ) {
        if finished.is_empty() {
            return;
        }
        let mut settled = Vec::with_capacity(finished.len());
        for batch in finished {
            state.recorder.finished(&batch, now);
            settled.push(settle(batch));
        }
        self.telling.fetch_add(1, Ordering::AcqRel);
        drop(state);
        settled.into_iter().for_each(Settled::tell);
        self.telling.fetch_sub(1, Ordering::AcqRel);
        self.progress.notify_waiters();
    }

    pub(super) async fn wait_for(&self, mark: Mark) {
        loop {
            let mut progress = pin!(self.progress.notified());
            progress.as_mut().enable();
            // Callbacks of what is done have been called by then, as in Java.
            if self.state().batcher.is_done(mark) && self.telling.load(Ordering::Acquire) == 0 {
                return;
            }
            progress.await;
        }
    }

    /// Until the producer is closed.
    pub(super) async fn until_closed(&self) {
        loop {
            let mut progress = pin!(self.progress.notified());
            progress.as_mut().enable();
            if self.state().batcher.is_closed() {
                return;
            }
            progress.await;
        }
    }
}

impl Record {
    fn unplaced<'a>(&'a self, name: &'a str, topic: &'a crate::engine::view::Topic) -> Unplaced<'a> {
        let (key, value) = (self.key.as_deref(), self.value.as_deref());
        Unplaced::new(name, key, value, topic.partition_count(), &topic.available)
    }
}

fn settle(batch: Finished<Arc<Completion>>) -> Settled {
    match batch.result {
        Ok(receipt) => batch.completion.written(receipt.base_offset.unwrap_or(-1), receipt.append_time_ms),
        Err(rejection) if rejection.records.is_empty() => batch.completion.failed(rejection.error),
        Err(rejection) => {
            let errors = rejection.records.into_iter().map(|(at, error)| (at.unsigned_abs(), error));
            batch.completion.refused(errors.collect(), rejection.error)
        }
    }
}

fn no_place(record: &Record, choice: Choice, partitions: i32) -> Error {
    let attempt = match choice {
        Choice::Partition(chosen) => {
            format!("place the record: the partitioner chose {chosen}, and there are {partitions} partitions")
        }
        _ => "place the record: the topic has no partitions".to_owned(),
    };
    Error::new(ErrorKind::InvalidInput, attempt).topic(record.topic()).sent(Sent::Never)
}

fn before_1970(record: &Record, timestamp: i64) -> Error {
    let attempt = format!("queue the record: its timestamp is {timestamp}, and none is before 1970");
    Error::new(ErrorKind::InvalidInput, attempt).topic(record.topic()).sent(Sent::Never)
}
