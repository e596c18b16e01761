//! What the application has in its hands: handed out, and not come back from. Only what it came back from is committed by
//! itself, and a partition is given to another member only when nothing of it is in the application's hands.

use crate::engine::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// How far a reader is within a batch. A seek puts another one in its place, so that what a reader says of an earlier one is
/// not heard.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<Offsets>);

#[derive(Debug)]
struct Offsets {
    /// The offset that is handed out next, -1 as long as the cursor knows better.
    next: AtomicI64,
    /// Behind the last record that the application came back from.
    done: AtomicI64,
}

impl Place {
    pub(super) fn unknown() -> Place {
        Place(Arc::new(Offsets { next: AtomicI64::new(-1), done: AtomicI64::new(-1) }))
    }

    /// A batch was handed out as a whole.
    pub(super) fn of_batch(from: i64, next: i64) -> Place {
        let place = Place::unknown();
        place.begin(from);
        place.hand_out(next);
        place
    }

    /// None of the records of a batch was handed out yet.
    pub(super) fn begin(&self, offset: i64) {
        self.0.done.store(offset, Ordering::Relaxed);
        self.0.next.store(offset, Ordering::Relaxed);
    }

    /// The application came back: what it was handed out is done.
    pub(super) fn came_back(&self) {
        self.0.done.store(self.0.next.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Everything before this offset is handed out.
    pub(super) fn hand_out(&self, next: i64) {
        self.0.next.store(next, Ordering::Relaxed);
    }

    /// Everything before this offset is done, or everything that was handed out.
    pub(super) fn is_done(&self, before: Option<i64>) {
        let next = self.0.next.load(Ordering::Relaxed);
        self.0.done.store(before.map_or(next, |before| before.min(next)), Ordering::Relaxed);
    }

    /// The batch is over; the cursor knows.
    pub(super) fn end(&self) {
        self.0.next.store(-1, Ordering::Relaxed);
        self.0.done.store(-1, Ordering::Relaxed);
    }

    /// The offset that is handed out next; `None` when the cursor knows better.
    pub(super) fn next(&self) -> Option<i64> {
        known(&self.0.next)
    }

    /// Behind the last record that is done; `None` when the cursor knows better.
    pub(super) fn done(&self) -> Option<i64> {
        known(&self.0.done)
    }

    /// Whether the application has a record.
    pub(super) fn is_in_hand(&self) -> bool {
        self.done() < self.next()
    }
}

fn known(offset: &AtomicI64) -> Option<i64> {
    Some(offset.load(Ordering::Relaxed)).filter(|offset| *offset >= 0)
}

/// Signs of life of one reader: that it asks, or that it goes on within a batch.
#[derive(Debug)]
pub(super) struct Pulse {
    at: Instant,
    done: Option<i64>,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Pulse {
        Pulse { at: now, done: None }
    }

    pub(super) fn beat(&mut self, now: Instant) {
        self.at = now;
    }

    /// Since when nothing was heard of the reader.
    pub(super) fn silent_since(&mut self, place: Option<&Place>, now: Instant) -> Instant {
        let done = place.and_then(Place::done);
        if done != self.done {
            (self.done, self.at) = (done, now);
        }
        self.at
    }
}

/// What `poll` or the stream of all partitions has handed out, and what streams of single partitions have left behind.
#[derive(Debug)]
pub(super) struct Hands {
    held: Option<(TopicPartition, Place)>,
    /// Behind what was done of partitions whose stream was dropped with a record in hand: whoever reads on from there takes
    /// it for done.
    left: BTreeMap<TopicPartition, i64>,
    pub(super) pulse: Pulse,
}

impl Hands {
    pub(super) fn new(now: Instant) -> Hands {
        Hands { held: None, left: BTreeMap::new(), pulse: Pulse::new(now) }
    }

    pub(super) fn came_back(&mut self, now: Instant) {
        self.held = None;
        self.pulse.beat(now);
    }

    /// Handed out a batch, up to `next`.
    pub(super) fn take(&mut self, partition: &TopicPartition, place: Place) {
        self.left.remove(partition);
        self.held = Some((partition.clone(), place));
    }

    /// The application will not come back: what it has is not done, and not waited for.
    pub(super) fn let_go(&mut self) {
        if let Some((partition, place)) = self.held.take()
            && let Some(done) = place.done()
        {
            self.left.insert(partition, done);
        }
    }

    /// A stream of the partition was dropped with a record in hand.
    pub(super) fn leave(&mut self, partition: &TopicPartition, done: i64) {
        self.left.insert(partition.clone(), done);
    }

    /// How far the application is in a partition that it has something of.
    pub(super) fn place(&self, partition: &TopicPartition) -> Option<&Place> {
        self.held.as_ref().filter(|(of, _)| of == partition).map(|(_, place)| place)
    }

    /// Behind what is done of a partition of which a stream has left something behind.
    pub(super) fn left(&self, partition: &TopicPartition) -> Option<i64> {
        self.left.get(partition).copied()
    }

    /// The application said where to go on, or the partition is gone: what it has in its hands does not count any more.
    pub(super) fn moved(&mut self, partition: &TopicPartition) {
        if self.place(partition).is_some() {
            self.held = None;
        }
        self.left.remove(partition);
    }

    /// Since when nothing was heard of whoever reads all partitions.
    pub(super) fn silent_since(&mut self, now: Instant) -> Instant {
        let place = self.held.as_ref().map(|(_, place)| place);
        self.pulse.silent_since(place, now)
    }
}
