//! The producer's accumulator: records go in, batches for brokers come out, and the fate of each batch is decided here.
//!
//! ```text
//! append ─► open batch of the partition ─► queue of the partition ─► Shipment (one a request) ─► in flight ─► Finished
//!                 (grows while it waits)      ▲                                                     │
//!                                             └──────────── retry, in order, same sequence ◄────────┘
//! ```
//!
//! * A record is encoded where it will be sent from; of the record itself nothing is kept. What its sender wants to know
//!   later is kept once for the batch (the completion `C`), together with the record's index.
//! * A batch takes records until it is full or it is its turn: the linger time makes it due, it does not close it.
//! * [`Batcher::drain`] fills one request for one broker with at most one batch for each of its partitions.
//! * [`Batcher::complete`] takes the answer, and finishes, repeats or splits the batches. What to do about an error that
//!   has no meaning of its own for producing is asked from [`retry`](super::retry).
//! * [`Batcher::next_deadline`] says when to look again; a partition with nothing queued costs nothing.
//!
//! Invariants: every batch that was opened is finished exactly once; a partition's batches are sent, numbered and
//! repeated in the order in which they were opened (with idempotence, or one batch in flight for each partition, they are
//! written in that order as well); the bytes that are held stay below `buffer.memory`.

mod append;
mod buffers;
mod judge;
mod lane;
mod place;
mod sequences;
mod settle;
mod shipment;

pub use append::{Appended, Entry, Refused};
pub use sequences::{Identity, advance};
pub use settle::{Completed, Finished, Receipt, Rejection};
pub use shipment::{Answer, Load, Shipment};

use super::partitioner::Spread;
use super::retry::{Backoff, Policy};
use super::view::{self, View};
use crate::messages::{BrokerId, ErrorCode, LeaderEpoch};
use crate::wire::{Text, Uuid};
use buffers::Buffers;
use lane::{Lane, Order, Taken};
use sequences::Producer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The limits of a [`Batcher`].
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// `batch.size`: a batch of this many bytes takes no more records, counting the batch's header, before compression.
    pub batch_size: usize,
    /// `max.request.size`: a record whose batch of one is larger is refused; a request carries further batches only while
    /// all of it stays below, counting its framing.
    pub max_request_size: usize,
    /// `buffer.memory`: how many bytes batches may take, from their opening to their end.
    pub buffer_memory: usize,
    /// `linger.ms`: how long a batch that is not ripe waits for more.
    pub linger: Duration,
    /// A batch of so many bytes is ripe: it is sent as soon as it is its turn. Until then it goes on growing.
    pub ripe_bytes: usize,
    /// `delivery.timeout.ms`: how long a batch may wait to be sent (again), counted from its last record. While it
    /// cannot be sent it takes records for a second at most (or for `linger`, if that is longer).
    pub delivery_timeout: Duration,
    /// `max.in.flight.requests.per.connection`: how many requests one broker may owe us an answer for.
    pub max_in_flight_requests: usize,
    /// How many batches of one partition may be in flight. With idempotence brokers know the last five. Without it, only
    /// 1 keeps the order when a batch is repeated.
    pub max_in_flight_batches: usize,
    /// `retries`: how often a batch that may have reached a broker is sent again.
    pub retries: u32,
    /// The pause before a batch is sent again.
    pub backoff: Backoff,
    /// `enable.idempotence`: batches are numbered; nothing is sent before [`Batcher::set_identity`].
    pub idempotent: bool,
    /// How many bytes of records whose place does not matter go to one partition before another has its turn. A batch that
    /// still fills may get ripe first.
    pub sticky_bytes: usize,
    /// `partitioner.adaptive.partitioning.enable`: the next sticky partition is rather one whose queue is short.
    pub adaptive: bool,
    /// `partitioner.availability.timeout.ms`: ... and none whose broker took nothing for so long.
    pub availability_timeout: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            batch_size: 1_048_576,
            max_request_size: 1_048_576,
            buffer_memory: 33_554_432,
            linger: Duration::from_millis(5),
            ripe_bytes: 524_288,
            delivery_timeout: Duration::from_secs(120),
            max_in_flight_requests: 5,
            max_in_flight_batches: 5,
            retries: u32::MAX,
            backoff: Backoff::RETRY,
            idempotent: true,
            sticky_bytes: 65_536,
            adaptive: true,
            availability_timeout: None,
        }
    }
}

/// What the records of one batch share to learn of its fate.
pub trait Divide: Sized + Clone {
    /// The batch is divided because it is too large for the broker: records from index `at` on go on in a second batch,
    /// where their indexes start at 0 again. Returns what the two batches share.
    fn divide(self, at: i32) -> [Self; 2];
}

/// A topic in a [`Batcher`], as [`Batcher::topic`] found it. Good for as long as the batcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicRef(usize);

/// Names what had been appended at a time, to wait for it: see [`Batcher::flush`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// The accumulator. `C` is what the records of a batch share.
#[derive(Debug)]
pub struct Batcher<C> {
    limits: Limits,
    policy: Policy,
    producer: Producer,
    names: BTreeMap<Text, usize>,
    /// The topic that was looked up last: most producers have few.
    last_topic: usize,
    topics: Vec<Topic>,
    /// The view that the topics are of.
    view: View,
    lanes: Vec<Lane<C>>,
    outlets: BTreeMap<BrokerId, Outlet>,
    /// Lanes with something queued, by the time at which the oldest is too old.
    expiries: BTreeSet<(Instant, usize)>,
    /// How many of those have no leader.
    leaderless: usize,
    /// How many batches of each serial are not finished; more than one after a split.
    unfinished: BTreeMap<u64, u32>,
    /// What is in flight, by shipment.
    shipments: BTreeMap<u64, Vec<(usize, Order)>>,
    next_shipment: u64,
    next_serial: u64,
    /// Batches below this serial do not linger.
    flush_below: u64,
    /// What is queued was flushed for want of room, and nobody has been told.
    hurry: bool,
    /// Bytes that batches take.
    held: usize,
    /// What finished batches left.
    buffers: Buffers,
    closed: bool,
    /// How often a lane was looked at, for tests of how much work there is.
    #[cfg(test)]
    looked: std::cell::Cell<usize>,
}

/// A topic that records were sent to.
#[derive(Debug)]
struct Topic {
    name: Text,
    /// The name again: what a [`Text`] is asked for as `str` it checks each time.
    label: Arc<str>,
    id: Uuid,
    /// `None` while it is not there.
    known: Option<Arc<view::Topic>>,
    /// The lane of each partition that was used.
    lanes: Vec<Option<usize>>,
    spread: Spread,
    /// When a record was last meant for it.
    last_use: Instant,
    /// `batch.size`, or less after the broker found batches too large.
    full_len: usize,
}

/// A broker: the lanes that have something for it, by the time it is due, and how many requests it has yet to answer.
#[derive(Debug, Default)]
struct Outlet {
    due: BTreeSet<(Instant, usize)>,
    in_flight: usize,
    /// When something was last taken for it.
    last_take: Option<Instant>,
}

/// What a request takes beside its topics: header, client id, acks, transactional id. Of ordinary length; who names his
/// client with more than a hundred letters makes his requests a little longer than `max.request.size`.
const REQUEST_FRAMING: usize = 256;
/// What a topic takes in a request beside its name: a length, an id, a count.
const TOPIC_FRAMING: usize = 24;
/// What a partition takes in a request beside its batch: an index, a length.
const PARTITION_FRAMING: usize = 16;

impl<C: Divide> Batcher<C> {
    /// An empty accumulator. A batch never takes more than a quarter of the buffer, so that one can fill while others
    /// are on their way.
    pub fn new(limits: Limits) -> Batcher<C> {
        let batch_size = limits.batch_size.min(limits.buffer_memory / 4).min(limits.max_request_size);
        Batcher {
            // `retries` counts what may have reached a broker, so it is looked at here.
            policy: Policy { retries: u32::MAX, backoff: limits.backoff },
            producer: Producer { idempotent: limits.idempotent, ..Producer::default() },
            names: BTreeMap::new(),
            last_topic: 0,
            topics: Vec::new(),
            view: View::default(),
            lanes: Vec::new(),
            outlets: BTreeMap::new(),
            expiries: BTreeSet::new(),
            leaderless: 0,
            unfinished: BTreeMap::new(),
            shipments: BTreeMap::new(),
            next_shipment: 0,
            next_serial: 0,
            flush_below: 0,
            hurry: false,
            held: 0,
            buffers: Buffers::new(limits.buffer_memory),
            closed: false,
            #[cfg(test)]
            looked: std::cell::Cell::new(0),
            limits: Limits { batch_size, ..limits },
        }
    }

    /// The topic, if the view knows it; from then on [`update`](Self::update) keeps it fresh.
    #[inline(always)]
    pub fn topic(&mut self, name: &[u8], view: &View, now: Instant) -> Option<TopicRef> {
        let is_last = |topic: &&mut Topic| topic.label.as_bytes() == name;
        if let Some(topic) = self.topics.get_mut(self.last_topic).filter(is_last) {
            topic.last_use = now;
            return topic.known.is_some().then_some(TopicRef(self.last_topic));
        }
        self.another_topic(name, view, now)
    }

    /// One that is not the last that was looked up.
    #[inline(never)]
    fn another_topic(&mut self, name: &[u8], view: &View, now: Instant) -> Option<TopicRef> {
        if let Some(&at) = self.names.get(name) {
            let topic = self.topics.get_mut(at)?;
            topic.last_use = now;
            self.last_topic = at;
            return topic.known.is_some().then_some(TopicRef(at));
        }
        let known = view.topic(name)?;
        let at = self.topics.len();
        self.names.insert(known.name.clone(), at);
        self.topics.push(Topic {
            name: known.name.clone(),
            label: known.name.as_str().into(),
            id: Uuid::ZERO,
            known: None,
            lanes: Vec::new(),
            spread: Spread::default(),
            last_use: now,
            full_len: self.limits.batch_size,
        });
        self.update_topic(at, view, now);
        Some(TopicRef(at))
    }

    /// What is known of a topic, and its name.
    pub fn known(&self, topic: TopicRef) -> Option<(&Arc<str>, &Arc<view::Topic>)> {
        let topic = self.topics.get(topic.0)?;
        Some((&topic.label, topic.known.as_ref()?))
    }

    /// Takes over what a new view says of the topics in use: leaders, new partitions, topics that were made anew. Costs
    /// nothing when the view is the same as last time.
    pub fn update(&mut self, view: &View, now: Instant) {
        if self.view.is_same(view) {
            return;
        }
        self.view = view.clone();
        for at in 0..self.topics.len() {
            self.update_topic(at, view, now);
        }
    }

    /// The topics that records were meant for within the last `idle`, and those that still have some.
    pub fn topics_in_use(&self, now: Instant, idle: Duration) -> Vec<Text> {
        let is_busy = |lane: &usize| self.lanes.get(*lane).is_some_and(|lane| !lane.is_empty());
        let in_use = |topic: &&Topic| {
            now.saturating_duration_since(topic.last_use) < idle || topic.lanes.iter().flatten().any(is_busy)
        };
        self.topics.iter().filter(in_use).map(|topic| topic.name.clone()).collect()
    }

    /// Whether InitProducerId is to be asked before anything can be sent.
    pub fn needs_identity(&self) -> bool {
        self.producer.needs_identity()
    }

    /// Takes over what InitProducerId gave.
    pub fn set_identity(&mut self, identity: Identity) {
        self.producer.identity = Some(identity);
        for lane in self.queued_lanes() {
            self.settle_lane(lane);
        }
    }

    /// When to look again, if nothing else happens: something becomes due for a broker that can take it, or too old.
    pub fn next_deadline(&self) -> Option<Instant> {
        let max = self.limits.max_in_flight_requests;
        let free = self.outlets.values().filter(|outlet| outlet.in_flight < max);
        let due = free.filter_map(|outlet| outlet.due.first());
        due.chain(self.expiries.first()).map(|(at, _)| *at).min()
    }

    /// The brokers for which [`drain`](Self::drain) has something.
    pub fn ready(&self, now: Instant) -> Vec<BrokerId> {
        let is_ready = |outlet: &Outlet| {
            outlet.in_flight < self.limits.max_in_flight_requests
                && outlet.due.first().is_some_and(|(at, _)| *at <= now)
        };
        self.outlets.iter().filter(|(_, outlet)| is_ready(outlet)).map(|(broker, _)| *broker).collect()
    }

    /// The brokers that lead what is queued. Looks at all of it.
    pub fn leaders_of_queued(&self) -> BTreeSet<BrokerId> {
        let queued = self.lanes.iter().filter(|lane| !lane.queue.is_empty());
        queued.filter_map(|lane| Some(lane.leader?.0)).collect()
    }

    /// Fills a request for a broker: first what is due, then what is not but may as well go along. `None` when nothing is
    /// due, or the broker owes answers to as many requests as it may.
    pub fn drain(&mut self, broker: BrokerId, now: Instant) -> Option<Shipment> {
        let outlet = self.outlets.get(&broker)?;
        let is_due = outlet.due.first().is_some_and(|(at, _)| *at <= now);
        if !is_due || outlet.in_flight >= self.limits.max_in_flight_requests {
            return None;
        }
        let mut items = Vec::new();
        let mut left = self.limits.max_request_size.saturating_sub(REQUEST_FRAMING);
        // No more than there can be room for: others may be many.
        let most = left / MIN_BATCH + 1;
        let candidates: Vec<usize> = outlet.due.iter().take(most).map(|(_, lane)| *lane).collect();
        for at in candidates {
            self.look();
            if !items.is_empty() && left < MIN_BATCH {
                break;
            }
            let Some(item) = self.take(at, now, (!items.is_empty()).then_some(left)) else { continue };
            let framing = item.topic.len().saturating_add(TOPIC_FRAMING + PARTITION_FRAMING);
            left = left.saturating_sub(item.content.len().saturating_add(framing));
            items.push(item);
        }
        if items.is_empty() {
            return None;
        }
        let id = self.next_shipment;
        self.next_shipment = id.wrapping_add(1);
        self.shipments.insert(id, items.iter().map(|item| (item.lane, item.order)).collect());
        let outlet = self.outlets.entry(broker).or_default();
        outlet.in_flight += 1;
        outlet.last_take = Some(now);
        Some(Shipment { id, broker, items })
    }

    /// Makes everything that was appended so far due at once. It is done when [`is_done`](Self::is_done) says so.
    pub fn flush(&mut self) -> Mark {
        self.flush_below = self.flush_below.max(self.next_serial);
        for lane in self.queued_lanes() {
            self.schedule(lane);
        }
        Mark(self.next_serial)
    }

    /// Whether every batch from before the mark is finished.
    pub fn is_done(&self, mark: Mark) -> bool {
        self.unfinished.first_key_value().is_none_or(|(serial, _)| *serial >= mark.0)
    }

    /// How many records from before the mark are not finished.
    pub fn records_before(&self, mark: Mark) -> usize {
        let batches = self.lanes.iter().flat_map(|lane| lane.in_flight.iter().chain(&lane.queue));
        let before = batches.filter(|batch| batch.order.serial < mark.0);
        before.map(|batch| usize::try_from(batch.records).unwrap_or_default()).sum()
    }

    /// Takes no more records from now on, and flushes.
    pub fn close(&mut self) -> Mark {
        self.closed = true;
        self.flush()
    }

    /// Whether there are records for partitions without a leader: metadata is to be asked for.
    pub fn has_leaderless(&self) -> bool {
        self.leaderless > 0
    }

    /// Bytes that batches take, of `buffer.memory`.
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    /// Whether it takes no more records.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether something is due now because there was no room: told once.
    pub fn take_hurry(&mut self) -> bool {
        std::mem::take(&mut self.hurry)
    }

    /// Whether anything waits to be sent (again).
    pub fn has_queued(&self) -> bool {
        !self.expiries.is_empty()
    }

    /// `buffer.memory`.
    pub fn buffer_memory(&self) -> usize {
        self.limits.buffer_memory
    }

    /// Requests that are not answered.
    pub fn requests_in_flight(&self) -> usize {
        self.shipments.len()
    }

    /// Records that are queued or in flight.
    pub fn records_pending(&self) -> usize {
        self.records_before(Mark(u64::MAX))
    }

    /// Whether nothing is queued or in flight.
    pub fn is_empty(&self) -> bool {
        self.unfinished.is_empty()
    }
}

/// The least room for which another lane is looked at: a batch's header and a small record.
const MIN_BATCH: usize = 128;

impl<C: Divide> Batcher<C> {
    fn update_topic(&mut self, at: usize, view: &View, now: Instant) {
        let Some(topic) = self.topics.get_mut(at) else { return };
        let known = view.topic(&topic.name).map(Arc::clone);
        let new_id = known.as_ref().map_or(Uuid::ZERO, |known| known.id);
        let is_recreated = !topic.id.is_zero() && !new_id.is_zero() && topic.id != new_id;
        if !new_id.is_zero() {
            topic.id = new_id;
        }
        let count = known.as_ref().map(|known| known.partition_count());
        let is_resized = topic.known.as_ref().map(|known| known.partition_count()) != count;
        if is_recreated {
            // What was too large for the old one need not be for this one.
            topic.full_len = self.limits.batch_size;
        }
        topic.known = known;
        if let Some(known) = &topic.known {
            topic.spread.recheck(known.partition_count(), &known.available);
        }
        let name = topic.name.clone();
        let lanes: Vec<usize> = topic.lanes.iter().copied().flatten().collect();
        for lane_at in lanes {
            let Some(lane) = self.lanes.get_mut(lane_at) else { continue };
            let leader = leader_of(view, &name, lane.partition);
            if leader.is_some() && leader != lane.leader {
                // A new leader owes us no pause for what the old one did (KIP-951).
                lane.queue.iter_mut().for_each(|batch| batch.not_before = batch.not_before.min(now));
            }
            lane.leader = leader;
            if is_resized {
                // No batch mixes keys that were placed by different counts.
                self.held = self.held.saturating_sub(lane.close_last(&mut self.buffers));
            }
            if is_recreated && lane.sequences.is_used() {
                lane.sequences.break_off(Order::FIRST);
            }
            self.settle_lane(lane_at);
        }
    }

    /// Takes a lane's next batch for a request that has `room` left, `None` for all it needs.
    fn take(&mut self, at: usize, now: Instant, room: Option<usize>) -> Option<shipment::Item> {
        let lane = self.lanes.get_mut(at)?;
        let head = lane.queue.front_mut()?;
        if head.not_before > now || room.is_some_and(|room| head.content.len() > room) {
            return None;
        }
        let until = head.last_start(&self.limits);
        if now >= until {
            // The answer would come too late for its first record. It is given up when the time of its last one is over.
            head.not_before = head.expiry(&self.limits);
            self.schedule(at);
            return None;
        }
        let taken = lane.take_front(&self.producer, &self.limits, &mut self.buffers);
        let (partition, topic, is_filling) = (lane.partition, lane.topic, lane.is_filling());
        self.schedule(at);
        let Taken { order, content, stamp, created, records, is_retry, freed } = taken?;
        self.held = self.held.saturating_sub(freed);
        let topic = self.topics.get_mut(topic)?;
        if !is_filling {
            topic.spread.taken(partition);
        }
        Some(shipment::Item {
            lane: at,
            order,
            topic: topic.name.clone(),
            topic_id: topic.id,
            partition,
            content,
            stamp,
            until,
            created,
            records,
            is_retry,
        })
    }

    fn look(&self) {
        #[cfg(test)]
        self.looked.set(self.looked.get() + 1);
    }

    fn queued_lanes(&self) -> Vec<usize> {
        self.expiries.iter().map(|(_, lane)| *lane).collect()
    }

    /// Mends a lane's sequence numbers if need be, and schedules it.
    fn settle_lane(&mut self, at: usize) {
        if let Some(lane) = self.lanes.get_mut(at).filter(|_| self.producer.idempotent) {
            lane.mend(&mut self.producer);
        }
        self.schedule(at);
    }

    /// Puts a lane where it is found at the right time. Whether it is now the first of a broker that can take it.
    fn schedule(&mut self, at: usize) -> bool {
        self.look();
        let Some(lane) = self.lanes.get_mut(at) else { return false };
        let is_leaderless = lane.leader.is_none() && !lane.queue.is_empty();
        if is_leaderless != std::mem::replace(&mut lane.is_leaderless, is_leaderless) {
            self.leaderless =
                if is_leaderless { self.leaderless + 1 } else { self.leaderless.saturating_sub(1) };
        }
        let full_len = self.topics.get(lane.topic).map_or(self.limits.batch_size, |topic| topic.full_len);

        let expiry = lane.queue.front().map(|head| head.expiry(&self.limits));
        if expiry != lane.expiry {
            if let Some(old) = std::mem::replace(&mut lane.expiry, expiry) {
                self.expiries.remove(&(old, at));
            }
            self.expiries.extend(expiry.map(|expiry| (expiry, at)));
        }

        let due_at = lane.due_at(&self.producer, &self.limits, full_len, self.flush_below);
        let due = lane.leader.zip(due_at).map(|((broker, _), at)| (broker, at));
        if due == lane.due {
            return false;
        }
        let old = std::mem::replace(&mut lane.due, due);
        if let Some((broker, time)) = old
            && let Some(outlet) = self.outlets.get_mut(&broker)
        {
            outlet.due.remove(&(time, at));
        }
        let Some((broker, time)) = due else { return false };
        let outlet = self.outlets.entry(broker).or_default();
        outlet.due.insert((time, at));
        outlet.in_flight < self.limits.max_in_flight_requests && outlet.due.first() == Some(&(time, at))
    }
}

#[cfg(test)]
impl<C: Divide> Batcher<C> {
    /// Numbers the next batch of a partition with `first`: nobody waits for two thousand million records.
    pub(crate) fn number_from(&mut self, topic: TopicRef, partition: i32, first: i32) {
        let lane = self.lane_of(topic, partition).expect("a partition");
        self.lanes[lane].sequences.start_from(&self.producer, first);
    }

    /// How often a lane was looked at so far.
    pub(crate) fn looked(&self) -> usize {
        self.looked.get()
    }
}

fn leader_of(view: &View, topic: &str, partition: i32) -> Option<(BrokerId, LeaderEpoch)> {
    view.leader(topic, partition).ok().map(|leader| (leader.broker.id, leader.epoch))
}

/// The code for a partition that nobody leads: whether it is not there, or only has no leader.
fn absence(topic: &Topic, partition: i32) -> ErrorCode {
    match topic.known.as_ref().and_then(|known| known.partition(partition)) {
        Some(_) => ErrorCode::LEADER_NOT_AVAILABLE,
        None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    }
}

/// `at` plus `wait`, or a year later if that is past what the clock can say.
fn after(at: Instant, wait: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    at.checked_add(wait).or_else(|| at.checked_add(YEAR)).unwrap_or(at)
}

#[cfg(test)]
mod tests;
