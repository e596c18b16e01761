//! Appending: the path of every record.

use super::lane::{Batch, Content, Lane, Order, open_until};
use super::{Batcher, Divide, Limits, TopicRef};
use crate::error::{Error, ErrorKind, Sent};
use crate::records::{BatchBuilder, BuildError, HEADER_LEN, Header};
use std::sync::Arc;
use std::time::Instant;

/// A record on its way into a batch.
#[derive(Debug, Clone)]
pub struct Entry<'a, H> {
    /// In milliseconds since 1970.
    pub timestamp: i64,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: H,
}

/// Where a record was appended.
#[derive(Debug)]
pub struct Appended<C> {
    /// What its batch's records share.
    pub completion: C,
    /// The record's index in its batch.
    pub index: i32,
    /// Whether there is now something to do earlier than [`Batcher::next_deadline`] said before: wake who waits for it.
    pub wake: bool,
}

/// Why a record was not appended. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// No more than `buffer.memory` is held: wait until something is finished. What is queued lingers no longer, so wake
    /// who waits for [`Batcher::next_deadline`].
    Full,
    /// The batcher is closed.
    Closed,
    /// The topic has no such partition; it has this many.
    NoPartition(i32),
    /// The record alone would be more than `max.request.size`.
    TooLarge {
        /// What it takes, with the header of a batch.
        size: usize,
        /// What it may take.
        limit: usize,
    },
    /// The record alone would be more than `buffer.memory`.
    LargerThanBuffer {
        /// What it takes, with the header of a batch.
        size: usize,
        /// What there is.
        limit: usize,
    },
    /// The record cannot be said.
    Build(BuildError),
}

/// The room that the first batch of a partition gets, or one after a small one.
const MIN_ROOM: usize = 512;
/// What a record takes at most beside key, value and headers: seven varints of at most ten bytes.
const RECORD_FRAMING: usize = 70;
/// What a header takes at most beside its key and value.
const HEADER_FRAMING: usize = 10;

impl<C: Divide> Batcher<C> {
    /// Appends a record to the open batch of a partition; opens one if need be, with what `open` makes of the topic's name
    /// for its records to share, and the time: a batch lingers from its opening, while `now` may be some milliseconds old.
    ///
    /// # Errors
    /// See [`Refused`]. Only after [`Refused::Full`] can the same call succeed later.
    #[inline(always)]
    pub fn append<'r, H>(
        &mut self,
        topic: TopicRef,
        partition: i32,
        record: Entry<'r, H>,
        now: Instant,
        open: impl FnOnce(&Arc<str>) -> (C, Instant),
    ) -> Result<Appended<C>, Refused>
    where
        H: IntoIterator<Item = Header<'r>, IntoIter: Clone>,
    {
        let record = Measured::new(record);
        match self.append_to_open(topic, partition, &record, now) {
            Some(appended) => Ok(appended),
            None => self.append_anyhow(topic, partition, &record, open),
        }
    }

    /// The way of nearly every record: into the batch that is open. `None` when there is none that takes it, whatever the
    /// reason.
    #[inline(always)]
    fn append_to_open<'r, H: Iterator<Item = Header<'r>> + Clone>(
        &mut self,
        topic: TopicRef,
        partition: i32,
        record: &Measured<'r, H>,
        now: Instant,
    ) -> Option<Appended<C>> {
        let topic = self.topics.get_mut(topic.0).filter(|_| !self.closed)?;
        let at = (*topic.lanes.get(usize::try_from(partition).ok()?)?)?;
        let lane = self.lanes.get_mut(at)?;
        let batch = lane.queue.back_mut().filter(|last| now <= last.open_until)?;
        let room = self.limits.buffer_memory.saturating_sub(self.held);
        let ripe_len = topic.full_len.min(self.limits.ripe_bytes);
        let added = batch.append(record, topic.full_len, ripe_len, room)?;
        batch.newest = batch.newest.max(now);
        self.held = self.held.saturating_add(added.memory);
        topic.spread.appended(lane.partition, added.bytes);
        let completion = batch.completion.clone();
        let wake = added.is_ripe && self.schedule(at);
        Some(Appended { completion, index: added.index, wake })
    }

    /// The way of the others: into a new batch, or back with the reason.
    #[inline(never)]
    fn append_anyhow<'r, H: Iterator<Item = Header<'r>> + Clone>(
        &mut self,
        topic: TopicRef,
        partition: i32,
        record: &Measured<'r, H>,
        open: impl FnOnce(&Arc<str>) -> (C, Instant),
    ) -> Result<Appended<C>, Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        self.limits.check(record)?;
        let at = self.lane_of(topic, partition)?;
        // There may be room for a new batch where there is none for the open one to double.
        let appended = self.append_to_new(topic, at, record, open);
        if let Err(Refused::Full) = appended
            && self.flush_below < self.next_serial
        {
            let queued = self.expiries.len();
            self.flush();
            // As many of those to come do not linger either: who looks at all the lanes again for each batch that finds
            // room would do little else where there are many.
            self.flush_below = self.flush_below.saturating_add(u64::try_from(queued).unwrap_or(u64::MAX));
            self.hurry = true;
        }
        appended
    }

    /// Opens a batch with the record.
    #[inline(never)]
    fn append_to_new<'r, H: Iterator<Item = Header<'r>> + Clone>(
        &mut self,
        topic: TopicRef,
        at: usize,
        record: &Measured<'r, H>,
        open: impl FnOnce(&Arc<str>) -> (C, Instant),
    ) -> Result<Appended<C>, Refused> {
        let (Some(lane), Some(topic)) = (self.lanes.get_mut(at), self.topics.get_mut(topic.0)) else {
            return Err(Refused::NoPartition(0));
        };
        // Whether or not there is room for another one: the last one takes no more.
        self.held = self.held.saturating_sub(lane.close_last(&mut self.buffers));
        let room = self.limits.buffer_memory.saturating_sub(self.held);
        let size = record.size();
        if size > room {
            return Err(Refused::Full);
        }
        let wanted = lane.usual_len.saturating_add(lane.usual_len / 8).max(MIN_ROOM).min(topic.full_len);
        let wanted = wanted.max(record.most).min(room).max(size);
        let mut builder = BatchBuilder::reusing(self.buffers.take(wanted, room));
        let Entry { timestamp, key, value, headers } = &record.entry;
        let index = builder.append(*timestamp, *key, *value, headers.clone()).map_err(Refused::Build)?;
        let outlet = lane.leader.and_then(|(broker, _)| self.outlets.get(&broker));
        let is_busy = outlet.is_some_and(|outlet| outlet.in_flight >= self.limits.max_in_flight_requests);
        topic.spread.opened(lane.partition, self.limits.sticky_most(is_busy));
        topic.spread.appended(lane.partition, builder.len().saturating_sub(HEADER_LEN));
        let (completion, now) = open(&topic.label);
        let batch = Batch {
            order: Order { serial: self.next_serial, part: 0 },
            completion,
            records: index.saturating_add(1),
            charge: builder.capacity(),
            content: Content::Open(builder),
            stamp: None,
            ordinal: 0,
            created: now,
            open_until: open_until(&self.limits, now),
            newest: now,
            not_before: now,
            failures: 0,
            attempts: 0,
            sent: Sent::Never,
            last_error: None,
        };
        self.held = self.held.saturating_add(batch.charge);
        let completion = batch.completion.clone();
        self.next_serial = self.next_serial.wrapping_add(1);
        self.unfinished.insert(batch.order.serial, 1);
        lane.queue.push_back(batch);
        let wake = self.schedule(at) || self.is_lacking(at);
        Ok(Appended { completion, index, wake })
    }

    /// Whether an identity or a leader is missing: nothing is due then, and somebody has to ask for it.
    fn is_lacking(&self, lane: usize) -> bool {
        self.needs_identity() || self.lanes.get(lane).is_some_and(|lane| lane.leader.is_none())
    }

    /// The lane of a partition that the topic has.
    pub(super) fn lane_of(&mut self, topic: TopicRef, partition: i32) -> Result<usize, Refused> {
        let entry = self.topics.get_mut(topic.0).ok_or(Refused::NoPartition(0))?;
        let count = entry.known.as_ref().map_or(0, |known| known.partition_count());
        let index = usize::try_from(partition).map_err(|_| Refused::NoPartition(count))?;
        if let Some(Some(lane)) = entry.lanes.get(index) {
            // Also of a partition that is gone: what waits for it will say so.
            return Ok(*lane);
        }
        if partition >= count {
            return Err(Refused::NoPartition(count));
        }
        let known = entry.known.as_ref().filter(|known| known.available.binary_search(&partition).is_ok());
        let leader = known.and_then(|known| known.partition(partition));
        let leader = leader.map(|partition| (partition.leader, partition.leader_epoch));
        let lane = self.lanes.len();
        self.lanes.push(Lane::new(topic.0, partition, leader));
        if entry.lanes.len() <= index {
            entry.lanes.resize(index.saturating_add(1), None);
        }
        if let Some(slot) = entry.lanes.get_mut(index) {
            *slot = Some(lane);
        }
        Ok(lane)
    }
}

impl Limits {
    /// How many bytes of records whose place does not matter go to one partition at most as long as its batch fills: as
    /// many as make it ripe, unless its broker is too busy to take it soon.
    fn sticky_most(&self, is_busy: bool) -> usize {
        let most = self.sticky_bytes.saturating_mul(2);
        if is_busy { most } else { most.max(self.ripe_bytes) }
    }

    fn check<'r, H: Iterator<Item = Header<'r>> + Clone>(
        &self,
        record: &Measured<'r, H>,
    ) -> Result<(), Refused> {
        let (request, buffer) = (self.max_request_size, self.buffer_memory);
        if record.most <= request.min(buffer) {
            return Ok(());
        }
        match record.size() {
            size if size > request => Err(Refused::TooLarge { size, limit: request }),
            size if size > buffer => Err(Refused::LargerThanBuffer { size, limit: buffer }),
            _ => Ok(()),
        }
    }
}

/// A record and what it takes at most, in a batch of its own.
struct Measured<'r, H> {
    entry: Entry<'r, H>,
    most: usize,
}

/// What a record added to its batch.
struct Added {
    index: i32,
    /// Bytes of the batch.
    bytes: usize,
    /// Bytes of memory.
    memory: usize,
    /// Whether the batch has just become ripe.
    is_ripe: bool,
}

impl<'r, H: Iterator<Item = Header<'r>> + Clone> Measured<'r, H> {
    #[inline(always)]
    fn new(entry: Entry<'r, impl IntoIterator<Item = Header<'r>, IntoIter = H>>) -> Measured<'r, H> {
        let Entry { timestamp, key, value, headers } = entry;
        let entry = Entry { timestamp, key, value, headers: headers.into_iter() };
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let most =
            entry.headers.clone().fold(HEADER_LEN + RECORD_FRAMING + len(key) + len(value), |sum, header| {
                sum.saturating_add(HEADER_FRAMING)
                    .saturating_add(header.key.len())
                    .saturating_add(len(header.value))
            });
        Measured { entry, most }
    }

    /// What it takes exactly, in a batch of its own.
    fn size(&self) -> usize {
        BatchBuilder::len_of_one(self.entry.key, self.entry.value, self.entry.headers.clone())
    }
}

impl<C> Batch<C> {
    /// Appends, if the batch is open and takes the record without growing by more than there is `room` for.
    #[inline(always)]
    fn append<'r, H: Iterator<Item = Header<'r>> + Clone>(
        &mut self,
        record: &Measured<'r, H>,
        full_len: usize,
        ripe_len: usize,
        room: usize,
    ) -> Option<Added> {
        let Content::Open(builder) = &mut self.content else { return None };
        let (len, capacity) = (builder.len(), builder.capacity());
        // Buffers double when they grow.
        let needed = len.saturating_add(record.most);
        if needed > capacity && needed.max(capacity.saturating_mul(2)).saturating_sub(capacity) > room {
            return None;
        }
        let Entry { timestamp, key, value, headers } = &record.entry;
        // A timestamp too far from the first one is another reason for a new batch.
        let index = builder.append_if_fits(full_len, *timestamp, *key, *value, headers.clone())?;
        let memory = builder.capacity().saturating_sub(capacity);
        let added = Added {
            index,
            bytes: builder.len().saturating_sub(len),
            memory,
            is_ripe: len < ripe_len && builder.len() >= ripe_len,
        };
        self.records = index.saturating_add(1);
        self.charge = self.charge.saturating_add(memory);
        Some(added)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        const ATTEMPT: &str = "queue the record";
        match refused {
            Refused::Full => Error::new(ErrorKind::QueueFull, ATTEMPT),
            Refused::Closed => Error::new(ErrorKind::Closed, ATTEMPT),
            Refused::NoPartition(count) => {
                Error::new(ErrorKind::InvalidInput, format!("{ATTEMPT}: the topic has {count} partitions"))
            }
            Refused::TooLarge { size, limit } => {
                Error::new(ErrorKind::RecordTooLarge { size, limit }, ATTEMPT)
            }
            Refused::LargerThanBuffer { size, limit } => Error::new(
                ErrorKind::InvalidInput,
                format!("{ATTEMPT}: it takes {size} bytes and buffer.memory is {limit}"),
            ),
            Refused::Build(error) => Error::new(ErrorKind::InvalidInput, ATTEMPT).with_source(error),
        }
    }
}
