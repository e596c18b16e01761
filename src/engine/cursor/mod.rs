//! [`Cursors`]: where a consumer is in each of its partitions, what was fetched ahead, and what is to be asked next.
//!
//! ```text
//!                     seek, assign                    ListOffsets
//!                ──────────────────► Unresolved ──────────────────► At(offset)
//!                                        ▲     out of range, policy     │
//!                                        └──────────────────────────────┘
//!   plan_fetches ─► FetchRequest ─► digest_fetch ─► queued sets ─► next_batch ─► the application
//!                                                               └► next_batch_of ─► the reader of a split partition
//! ```
//!
//! Each partition has two offsets: `position`, the next record that the application gets, and `fetch_at`, behind what is
//! queued. A `generation` tells answers to what was asked before a seek from those after it: nothing buffered or in flight
//! from before a seek is ever handed out.
//!
//! Invariants:
//! * Every partition that may be fetched is in each request to its leader (in what the leader's session remembers, to be
//!   exact), so that no partition waits for the long poll of another; what bounds memory is one budget for all that is
//!   queued.
//! * A position moves by handing out a batch, or past what no application sees: control batches, aborted records, holes
//!   that compaction left. It never moves past a batch that was refused.
//! * An answer that brings no progress and was not waited for is followed by a pause that grows.
//! * Each request says of which leader's time the record before `fetch_at` is, so that a log which was cut off and has
//!   grown again is not taken for the one that was read ([`truncation`]).

mod failed;
mod fetch;
mod group;
mod plan;
mod queued;
mod replica;
mod reset;
mod room;
mod session;
mod split;
mod truncation;

#[cfg(test)]
mod tests;

pub use fetch::Effects;
pub use plan::{FetchPlan, Unasked};
pub use queued::FetchedBatch;
pub use reset::ResetPlan;

use super::TopicPartition;
use super::retry::Policy;
use crate::error::{Error, ErrorKind};
use crate::messages::list_offsets::{EARLIEST, LATEST};
use crate::messages::{BrokerId, FetchRequest, LeaderEpoch};
use crate::wire::Text;
use queued::QueuedSet;
use replica::Replica;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

/// How long a partition rests after one of its batches was refused.
const CORRUPT_PAUSE: Duration = Duration::from_secs(1);

/// What bounds and shapes fetching.
#[derive(Debug, Clone)]
pub struct Limits {
    /// `fetch.max.wait.ms`.
    pub max_wait: Duration,
    /// `fetch.min.bytes`.
    pub min_bytes: u32,
    /// `fetch.max.bytes`.
    pub max_bytes: u32,
    /// `max.partition.fetch.bytes`.
    pub partition_max_bytes: u32,
    /// `queued.max.messages.kbytes`, in bytes: what may be queued for the application. One larger batch still passes.
    pub queued_max_bytes: usize,
    /// What a batch may take when it is decompressed, in bytes.
    pub decompressed_max_bytes: usize,
    /// `isolation.level=read_committed`.
    pub read_committed: bool,
    /// What to do when there is no record at a position (`auto.offset.reset`).
    pub reset: Reset,
    /// `client.rack`, empty for none.
    pub rack: Text,
    /// How long a replica that the leader named is read from until the leader is asked again: `metadata.max.age.ms`.
    pub replica_max_age: Duration,
    /// How failures are repeated.
    pub policy: Policy,
}

/// `auto.offset.reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// To the first record there is.
    Earliest,
    /// Behind the last record there is.
    Latest,
    /// Tell the application.
    None,
    /// To the first record that is not older (KIP-1106). The time is taken when the reset begins.
    ByDuration(Duration),
}

/// Where to read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// From the first record there is.
    Beginning,
    /// From behind the last record there is.
    End,
    /// From this offset.
    Offset(i64),
    /// From the first record of this time or later, in milliseconds since 1970; from the end when there is none.
    Timestamp(i64),
}

/// The partitions of a consumer.
#[derive(Debug)]
pub struct Cursors {
    limits: Limits,
    partitions: BTreeMap<TopicPartition, Cursor>,
    /// Partitions with something queued, in the order of their turns.
    turns: VecDeque<TopicPartition>,
    /// What the application is to be told: at most one error for each partition, the last one.
    errors: VecDeque<(TopicPartition, Error)>,
    /// Bytes of answers that are in memory, but for those of split partitions.
    held: Arc<AtomicUsize>,
    /// Bytes of split partitions that are in memory.
    held_split: Arc<AtomicUsize>,
    /// What of the budget is for partitions that are not split.
    pool: usize,
    /// Bytes that may come with the answers to requests under way.
    granted: BTreeMap<BrokerId, usize>,
    /// How much is asked of each broker at once.
    appetites: BTreeMap<BrokerId, room::Appetite>,
    /// Whose turn it is to be asked, when not all can be.
    next_broker: BrokerId,
    /// Split partitions that have something new for their reader.
    news: Vec<TopicPartition>,
    /// The last plan was smaller than it would have been with so many bytes of room.
    starved: Option<usize>,
    /// Something changed that a plan depends on.
    unplanned: bool,
    next_generation: u64,
    /// Until when no broker is told the rack.
    rack_rests_until: Option<Instant>,
    /// What the brokers remember of what is asked of them.
    sessions: BTreeMap<BrokerId, session::Session>,
    /// Answers in a row that brought nothing, and came too early, by broker.
    idle_answers: BTreeMap<BrokerId, (u32, Instant)>,
}

#[derive(Debug)]
struct Cursor {
    generation: u64,
    /// The generation in which the application, or a truncated log, said where to go on: what was handed over before is
    /// not to be read on.
    era: u64,
    place: Place,
    paused: bool,
    /// It changes hands, within a rebalance of the group.
    withheld: bool,
    /// It has a reader of its own.
    split: bool,
    /// The leader's epoch of the record before the position; none when it is not known.
    position_epoch: LeaderEpoch,
    /// Behind what is queued.
    fetch_at: i64,
    /// The leader's epoch of the record before `fetch_at`; none when it is not known.
    fetch_epoch: LeaderEpoch,
    /// Where the leader says to read instead.
    replica: Option<Replica>,
    /// Records came from a follower since the leader has compared its log with what was read.
    unchecked: bool,
    /// Nothing is fetched: a batch is queued that will be refused, or a truncation waits to be heard of.
    blocked: bool,
    queue: VecDeque<QueuedSet>,
    /// What was put back of a batch.
    rest: Option<FetchedBatch>,
    high_watermark: Option<i64>,
    last_stable_offset: Option<i64>,
    log_start_offset: Option<i64>,
    failures: u32,
    /// Resets in a row after which there was still no record at the position.
    resets: u32,
    not_before: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// ListOffsets has to say where.
    Unresolved {
        when: When,
        asked: bool,
    },
    At(i64),
    /// There is no such offset, and the policy is to tell.
    Lost,
}

/// What to ask ListOffsets for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// A timestamp, or one of the protocol's constants.
    At(i64),
    /// So long before the question is asked.
    Ago(Duration),
}

impl Cursor {
    fn new(start: Start, generation: u64) -> Cursor {
        let unresolved = |timestamp| Place::Unresolved { when: When::At(timestamp), asked: false };
        let (place, fetch_at) = match start {
            Start::Offset(offset) => (Place::At(offset.max(0)), offset.max(0)),
            Start::Beginning => (unresolved(EARLIEST), 0),
            Start::End => (unresolved(LATEST), 0),
            Start::Timestamp(at) => (unresolved(at.max(0)), 0),
        };
        Cursor {
            generation,
            era: generation,
            place,
            paused: false,
            withheld: false,
            split: false,
            position_epoch: LeaderEpoch::NONE,
            fetch_at,
            fetch_epoch: LeaderEpoch::NONE,
            replica: None,
            unchecked: false,
            blocked: false,
            queue: VecDeque::new(),
            rest: None,
            high_watermark: None,
            last_stable_offset: None,
            log_start_offset: None,
            failures: 0,
            resets: 0,
            not_before: None,
        }
    }

    /// Whether it stands still, whoever wants it to.
    fn stands_still(&self) -> bool {
        self.paused || self.withheld
    }

    fn rests(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|at| at > now)
    }
}

impl Cursors {
    /// No partitions yet.
    pub fn new(limits: Limits) -> Cursors {
        Cursors {
            pool: limits.queued_max_bytes,
            limits,
            partitions: BTreeMap::new(),
            turns: VecDeque::new(),
            errors: VecDeque::new(),
            held: Arc::default(),
            held_split: Arc::default(),
            granted: BTreeMap::new(),
            appetites: BTreeMap::new(),
            next_broker: BrokerId(0),
            news: Vec::new(),
            starved: None,
            unplanned: false,
            next_generation: 0,
            rack_rests_until: None,
            sessions: BTreeMap::new(),
            idle_answers: BTreeMap::new(),
        }
    }

    /// Adds a partition, or moves it when it is there.
    pub fn assign(&mut self, partition: TopicPartition, start: Start) {
        let before = self.partitions.get(&partition);
        let (paused, split, withheld) =
            before.map_or((false, false, false), |cursor| (cursor.paused, cursor.split, cursor.withheld));
        self.discard(&partition);
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        self.partitions
            .insert(partition, Cursor { paused, split, withheld, ..Cursor::new(start, generation) });
    }

    /// Moves a partition: what is queued or in flight is dropped.
    ///
    /// # Errors
    /// When it is not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, start: Start) -> Result<(), Error> {
        self.cursor(partition)?;
        self.assign(partition.clone(), start);
        Ok(())
    }

    /// Takes a partition away.
    pub fn unassign(&mut self, partition: &TopicPartition) {
        self.discard(partition);
        self.partitions.remove(partition);
    }

    /// The partitions, in order.
    pub fn assigned(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.keys()
    }

    /// Holds a partition: what is queued is not handed out, and kept unless others need the room.
    ///
    /// # Errors
    /// When it is not assigned.
    pub fn pause(&mut self, partition: &TopicPartition) -> Result<(), Error> {
        self.cursor_mut(partition)?.paused = true;
        Ok(())
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// When it is not assigned.
    pub fn resume(&mut self, partition: &TopicPartition) -> Result<(), Error> {
        let cursor = self.cursor_mut(partition)?;
        cursor.paused = false;
        if cursor.split {
            self.news.push(partition.clone());
        }
        Ok(())
    }

    /// The next offset that the application gets; `None` until a broker has said where.
    ///
    /// # Errors
    /// When it is not assigned.
    pub fn position(&self, partition: &TopicPartition) -> Result<Option<i64>, Error> {
        Ok(match self.cursor(partition)?.place {
            Place::At(offset) => Some(offset),
            Place::Unresolved { .. } | Place::Lost => None,
        })
    }

    /// How many offsets lie between the position and the end of what may be read; `None` until both are known.
    ///
    /// # Errors
    /// When it is not assigned.
    pub fn lag(&self, partition: &TopicPartition) -> Result<Option<i64>, Error> {
        let Some(position) = self.position(partition)? else { return Ok(None) };
        Ok(self.end(partition)?.map(|end| end.saturating_sub(position).max(0)))
    }

    /// The end of what may be read, as the last answer told it: the last stable offset when reading committed records only,
    /// else the high watermark.
    ///
    /// # Errors
    /// When it is not assigned.
    pub fn end(&self, partition: &TopicPartition) -> Result<Option<i64>, Error> {
        let cursor = self.cursor(partition)?;
        Ok(if self.limits.read_committed { cursor.last_stable_offset } else { cursor.high_watermark })
    }

    /// When something is to be planned that now has to wait, if nothing else happens before.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let partitions = self.partitions.values().filter_map(|cursor| cursor.not_before);
        let brokers = self.idle_answers.values().map(|(_, until)| *until);
        partitions.chain(brokers).filter(|at| *at > now).min()
    }

    fn cursor(&self, partition: &TopicPartition) -> Result<&Cursor, Error> {
        self.partitions.get(partition).ok_or_else(|| not_assigned(partition))
    }

    fn cursor_mut(&mut self, partition: &TopicPartition) -> Result<&mut Cursor, Error> {
        self.partitions.get_mut(partition).ok_or_else(|| not_assigned(partition))
    }

    /// Drops what is queued for a partition and makes answers under way void.
    fn discard(&mut self, partition: &TopicPartition) {
        let generation = self.next_generation;
        let Some(cursor) = self.partitions.get_mut(partition) else { return };
        self.next_generation = generation.wrapping_add(1);
        cursor.generation = generation;
        cursor.blocked = false;
        cursor.queue.clear();
        cursor.rest = None;
        self.turns.retain(|turn| turn != partition);
        self.forget_error(partition);
    }

    /// Forgets all partitions.
    pub fn clear(&mut self) {
        self.partitions.clear();
        self.turns.clear();
        self.errors.clear();
    }

    /// Drops what is queued, and keeps the positions. What to tell each broker that remembers what was read from it (KIP-227).
    pub fn end_sessions(&mut self) -> Vec<(BrokerId, FetchRequest)> {
        let partitions: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        partitions.iter().for_each(|partition| self.discard(partition));
        let sessions = std::mem::take(&mut self.sessions).into_iter();
        sessions.filter_map(|(broker, session)| Some((broker, session.goodbye()?))).collect()
    }

    /// Drops what is queued of a partition and fetches it again from its position, when its turn comes.
    fn rewind(&mut self, partition: &TopicPartition) {
        self.discard(partition);
        if let Some(cursor) = self.partitions.get_mut(partition)
            && let Place::At(position) = cursor.place
        {
            cursor.fetch_at = position;
            cursor.fetch_epoch = cursor.position_epoch;
        }
    }
}

fn not_assigned(partition: &TopicPartition) -> Error {
    Error::new(ErrorKind::InvalidInput, "use a partition that is not assigned to this consumer")
        .topic(partition.topic.as_str())
        .partition(partition.partition)
}
