//! One partition: its open batch, the batches that wait behind one another, and those in flight.

use super::buffers::Buffers;
use super::sequences::{Producer, Sequences};
use super::{Limits, after};
use crate::error::{Error, Sent};
use crate::messages::{BrokerId, LeaderEpoch};
use crate::records::{BatchBuilder, ClosedBatch, SealedBatch, Stamp};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The place of a batch among all: batches of a partition are sent, repeated and numbered in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Order {
    /// Counts the batches of the producer in the order in which they were opened.
    pub(super) serial: u64,
    /// The index of its first record in the batch that it was split from.
    pub(super) part: i32,
}

impl Order {
    /// Before all others.
    pub(super) const FIRST: Order = Order { serial: 0, part: 0 };
}

/// A partition that records were appended to.
#[derive(Debug)]
pub(super) struct Lane<C> {
    /// Its topic's place in the batcher.
    pub(super) topic: usize,
    pub(super) partition: i32,
    /// Who leads it, and since which epoch; `None` while nobody does.
    pub(super) leader: Option<(BrokerId, LeaderEpoch)>,
    /// What waits, in order; only the last can be open.
    pub(super) queue: VecDeque<Batch<C>>,
    /// What was sent and is not answered; its contents travel with the [`Shipment`](super::Shipment).
    pub(super) in_flight: Vec<Batch<C>>,
    pub(super) sequences: Sequences,
    /// How many batches were numbered.
    numbered: u64,
    /// Under which broker and time it is found when there is something to send.
    pub(super) due: Option<(BrokerId, Instant)>,
    /// Under which time it is found when something of it is too old.
    pub(super) expiry: Option<Instant>,
    /// Whether it is counted among those that have something to send and no leader.
    pub(super) is_leaderless: bool,
    /// The size of the last batches, which the next one is likely to get.
    pub(super) usual_len: usize,
}

/// How long a batch takes records while it cannot be sent, if it does not linger for longer: this, or [`OPEN_SHARE`] of
/// the time that a record has. Its first records may fail so much too late, so that its last ones do not fail too early.
const OPEN_AT_MOST: Duration = Duration::from_secs(1);
const OPEN_SHARE: u32 = 12;

/// A batch and what its records share.
#[derive(Debug)]
pub(super) struct Batch<C> {
    pub(super) order: Order,
    pub(super) completion: C,
    pub(super) content: Content,
    pub(super) records: i32,
    /// Its number, from the first attempt on.
    pub(super) stamp: Option<Stamp>,
    /// How many batches of the partition had been numbered before it was.
    pub(super) ordinal: u64,
    /// When its first record was appended: it lingers from then.
    pub(super) created: Instant,
    /// When it takes no more records although it is open.
    pub(super) open_until: Instant,
    /// When its last record was appended: `delivery.timeout.ms` counts from then, so that none of its records fails early.
    pub(super) newest: Instant,
    /// The pause before the next attempt ends.
    pub(super) not_before: Instant,
    /// Attempts that failed, whatever failed; for the back-off.
    pub(super) failures: u32,
    /// Attempts that may have reached a broker; for `retries`.
    pub(super) attempts: u32,
    /// Whether any attempt may have written it.
    pub(super) sent: Sent,
    pub(super) last_error: Option<Error>,
    /// What it takes of `buffer.memory`.
    pub(super) charge: usize,
}

/// A batch that was taken to be sent.
pub(super) struct Taken {
    pub(super) order: Order,
    pub(super) content: Content,
    pub(super) stamp: Stamp,
    pub(super) created: Instant,
    pub(super) records: i32,
    pub(super) is_retry: bool,
    /// Bytes of memory that it gave back.
    pub(super) freed: usize,
}

/// The records of a batch.
#[derive(Debug)]
pub(super) enum Content {
    /// Takes more.
    Open(BatchBuilder),
    /// Takes no more.
    Closed(ClosedBatch),
    /// Has been sent before.
    Sealed(SealedBatch),
    /// Is on its way.
    Away,
}

impl Content {
    /// Bytes that a request with it needs at most.
    pub(super) fn len(&self) -> usize {
        match self {
            Content::Open(builder) => builder.len(),
            Content::Closed(batch) => batch.len(),
            Content::Sealed(batch) => batch.len(),
            Content::Away => 0,
        }
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        match self {
            Content::Open(builder) => builder.capacity(),
            Content::Closed(batch) => batch.memory(),
            Content::Sealed(batch) => batch.memory(),
            Content::Away => 0,
        }
    }

    /// Its buffer, unless somebody still reads it.
    pub(super) fn into_buffer(self) -> Option<Vec<u8>> {
        match self {
            Content::Sealed(batch) => batch.into_buffer(),
            _ => None,
        }
    }

    /// Closes an open batch. One without records is no batch; the batcher never leaves one behind.
    fn close(&mut self) {
        *self = match std::mem::replace(self, Content::Away) {
            Content::Open(builder) => builder.close().map_or(Content::Away, Content::Closed),
            other => other,
        };
    }
}

impl<C> Batch<C> {
    /// Takes no more records from now on, and moves to a smaller buffer when it does not need most of its own: how many
    /// bytes it gives back. Those to come learn its size.
    fn close(&mut self, usual_len: &mut usize, buffers: &mut Buffers) -> usize {
        let Content::Open(builder) = &mut self.content else { return 0 };
        *usual_len = usual(*usual_len, builder.len());
        let mut freed = 0;
        if builder.len() < builder.capacity() / 2 {
            let smaller = buffers.take(builder.len(), builder.capacity() / 2);
            buffers.give(builder.move_to(smaller));
            freed = self.charge.saturating_sub(builder.capacity());
            self.charge = self.charge.saturating_sub(freed);
        }
        self.content.close();
        freed
    }

    /// Whether it is too old for another attempt.
    pub(super) fn is_expired(&self, limits: &Limits, now: Instant) -> bool {
        now >= self.expiry(limits)
    }

    /// When it is too old for another attempt.
    pub(super) fn expiry(&self, limits: &Limits) -> Instant {
        after(self.newest, limits.delivery_timeout)
    }

    /// When no attempt may begin any more: with a request's time on top its first record has waited for long enough.
    pub(super) fn last_start(&self, limits: &Limits) -> Instant {
        after(self.created, limits.delivery_timeout)
    }
}

/// The size to expect after a batch of `len` bytes: buffers that are a little too large cost less than those that grow.
fn usual(before: usize, len: usize) -> usize {
    len.max(before.saturating_sub(before / 4))
}

/// Until when a batch that is opened now takes records.
pub(super) fn open_until(limits: &Limits, now: Instant) -> Instant {
    after(now, OPEN_AT_MOST.min(limits.delivery_timeout / OPEN_SHARE).max(limits.linger))
}

impl<C> Lane<C> {
    pub(super) fn new(topic: usize, partition: i32, leader: Option<(BrokerId, LeaderEpoch)>) -> Lane<C> {
        Lane {
            topic,
            partition,
            leader,
            queue: VecDeque::new(),
            in_flight: Vec::new(),
            sequences: Sequences::default(),
            numbered: 0,
            due: None,
            expiry: None,
            is_leaderless: false,
            usual_len: 0,
        }
    }

    /// When there is something to send, given `full_len`, the size at which a batch need not wait for more, and
    /// `flush_below`, the serial below which none need.
    pub(super) fn due_at(
        &self,
        producer: &Producer,
        limits: &Limits,
        full_len: usize,
        flush_below: u64,
    ) -> Option<Instant> {
        let head = self.queue.front()?;
        if !self.may_send(head, producer, limits) {
            return None;
        }
        let ripe_len = full_len.min(limits.ripe_bytes);
        let lingers = matches!(&head.content, Content::Open(builder) if builder.len() < ripe_len)
            && self.queue.len() == 1
            && head.order.serial >= flush_below;
        let ripe = if lingers { after(head.created, limits.linger) } else { head.created };
        Some(ripe.max(head.not_before))
    }

    /// Whether the front of the queue may be sent, time apart.
    fn may_send(&self, head: &Batch<C>, producer: &Producer, limits: &Limits) -> bool {
        if self.in_flight.len() >= limits.max_in_flight_batches {
            return false;
        }
        match (producer.idempotent, head.stamp) {
            (false, _) => true,
            (true, None) => {
                self.sequences.may_number(producer, self.in_flight.is_empty()) && self.is_remembered(limits)
            }
            // A retry waits for those before it. The ones behind it that are in flight will be refused, and wait as well.
            (true, Some(_)) => {
                self.sequences.may_repeat(head.order)
                    && self.in_flight.iter().all(|other| other.order > head.order)
            }
        }
    }

    /// Whether the broker will remember all batches whose fate is open when one more is written: it knows the last few of
    /// a producer, and tells a repetition of these only. Those in flight may be fewer, when the answers to later ones came
    /// first, from another broker.
    fn is_remembered(&self, limits: &Limits) -> bool {
        let oldest = self.with_number().map(|batch| batch.ordinal).min();
        let window = u64::try_from(limits.max_in_flight_batches).unwrap_or(u64::MAX);
        oldest.is_none_or(|oldest| self.numbered.saturating_sub(oldest) < window)
    }

    /// Ends the open batch, if there is one. How many bytes of memory it gave back.
    pub(super) fn close_last(&mut self, buffers: &mut Buffers) -> usize {
        let Some(batch) = self.queue.back_mut() else { return 0 };
        batch.close(&mut self.usual_len, buffers)
    }

    /// Whether there is a batch that takes more.
    pub(super) fn is_filling(&self) -> bool {
        self.queue.back().is_some_and(|last| matches!(last.content, Content::Open(_)))
    }

    /// Takes the front of the queue, numbered, for sending.
    pub(super) fn take_front(
        &mut self,
        producer: &Producer,
        limits: &Limits,
        buffers: &mut Buffers,
    ) -> Option<Taken> {
        let head = self.queue.front()?;
        if !self.may_send(head, producer, limits) {
            return None;
        }
        let mut batch = self.queue.pop_front()?;
        let is_retry = matches!(batch.content, Content::Sealed(_));
        let freed = batch.close(&mut self.usual_len, buffers);
        if producer.idempotent && batch.stamp.is_none() {
            batch.stamp = self.sequences.number(producer, batch.records);
            batch.ordinal = self.numbered;
            self.numbered = self.numbered.wrapping_add(1);
        }
        let taken = Taken {
            order: batch.order,
            content: std::mem::replace(&mut batch.content, Content::Away),
            stamp: batch.stamp.unwrap_or(Stamp::NONE),
            created: batch.created,
            records: batch.records,
            is_retry,
            freed,
        };
        self.in_flight.push(batch);
        Some(taken)
    }

    /// Takes what was in flight, because its fate is known or will never be.
    pub(super) fn land(&mut self, order: Order) -> Option<Batch<C>> {
        let at = self.in_flight.iter().position(|batch| batch.order == order)?;
        Some(self.in_flight.swap_remove(at))
    }

    /// Puts a batch where it belongs in the order.
    pub(super) fn requeue(&mut self, batch: Batch<C>) {
        let at = self.queue.partition_point(|other| other.order < batch.order);
        self.queue.insert(at, batch);
    }

    /// Whether a batch before this one waits or is in flight.
    pub(super) fn has_earlier(&self, order: Order) -> bool {
        self.with_number().any(|other| other.order < order)
    }

    /// Gives a batch up: its number is free, or is a gap.
    pub(super) fn give_up(&mut self, batch: &Batch<C>) {
        if let Some(stamp) = batch.stamp {
            let is_last = !self.with_number().any(|other| other.order > batch.order);
            self.sequences.lost(batch.order, stamp, batch.sent == Sent::Maybe, is_last);
        }
    }

    /// Mends the sequence numbers as soon as that can be done.
    pub(super) fn mend(&mut self, producer: &mut Producer) {
        if self.with_number().next().is_none() {
            self.sequences.settle_unresolved();
        }
        if !self.in_flight.is_empty() {
            return;
        }
        let waiting = self.queue.iter().filter(|batch| batch.stamp.is_some());
        let waiting = waiting.map(|batch| (batch.order, batch.records));
        if let Some(stamps) = self.sequences.mend(producer, waiting) {
            let numbered = self.queue.iter_mut().filter(|batch| batch.stamp.is_some());
            for (batch, stamp) in numbered.zip(stamps) {
                batch.stamp = Some(stamp);
            }
        }
    }

    /// Whether nothing is queued or in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    fn with_number(&self) -> impl Iterator<Item = &Batch<C>> {
        self.in_flight.iter().chain(&self.queue).filter(|batch| batch.stamp.is_some())
    }
}
