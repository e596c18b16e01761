//! Planning: who is asked for what, and why a partition is not.

use super::failed::Fault;
use super::replica::ReadFrom;
use super::session::{Asked, Words};
use super::{Cursor, Cursors, Place};
use crate::engine::TopicPartition;
use crate::engine::view::View;
use crate::error::Error;
use crate::messages::{
    BrokerId, ErrorCode, FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, IsolationLevel,
    LeaderEpoch,
};
use crate::wire::{Span, Text, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// One request to one broker, so to speak; [`FetchPlan::request`] words it for a version.
#[derive(Debug)]
pub struct FetchPlan {
    /// The leader, or the replica that it named.
    pub broker: BrokerId,
    /// All that is read from it, in order.
    pub(super) partitions: Vec<Planned>,
    pub(super) words: Words,
    /// Whether the request said everything, so that everything is to be answered.
    pub(super) is_full: bool,
    /// Which partition a full request begins with: brokers fill the answer in its order.
    turn: usize,
    template: FetchRequest,
    pub(super) max_wait: Duration,
    pub(super) began: Instant,
}

#[derive(Debug)]
pub(super) struct Planned {
    pub(super) partition: TopicPartition,
    pub(super) generation: u64,
    pub(super) asked: Asked,
    /// Whether the broker does not know yet that this is asked.
    pub(super) is_news: bool,
    /// Whether no answer has told yet where the log ends.
    pub(super) is_unheard: bool,
    /// Whether it is not the leader who is asked.
    pub(super) is_of_follower: bool,
    /// Whether the leader is to compare its log with what came from a follower.
    pub(super) is_check: bool,
    /// Whether it has a reader of its own.
    is_split: bool,
}

/// How long a broker may wait for records while partitions of it are left out, because what they have was not read yet.
const HURRIED_WAIT: Duration = Duration::from_millis(100);

/// The oldest version with sessions.
const SESSIONS: i16 = 7;
/// The oldest version that says of which epoch the last record is.
const LAST_EPOCHS: i16 = 12;
/// The oldest version that names topics by their ids.
const TOPIC_IDS: i16 = 13;

/// Why a partition is not asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unasked {
    /// ListOffsets has not said yet where to begin.
    Unresolved,
    /// There is no record at the position and `auto.offset.reset` is `none`, or records that were read are no more: the
    /// application is to seek.
    Lost,
    /// The application has paused it.
    Paused,
    /// It changes hands, within a rebalance of the group.
    Withheld,
    /// Something waits to be told to the application first: a batch that will be refused, or a truncation.
    Blocked,
    /// It failed, or brought nothing again and again, and rests.
    Rests(Duration),
    /// No leader: what metadata say of it.
    Leaderless(ErrorCode),
    /// It has its share of what may be queued; this broker would be asked.
    Full(BrokerId),
    /// The broker answered with nothing, too early, and is left alone for a while.
    BrokerRests(BrokerId, Duration),
    /// The broker has a request under way, of which the partition may be a part.
    Busy(BrokerId),
}

/// What the plans are made from.
struct Ready {
    planned: Planned,
    broker: BrokerId,
    /// Whether metadata do not know the replica that the leader has named.
    refresh: bool,
}

impl FetchPlan {
    /// How many partitions are read, whether or not the broker has to be told.
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }

    /// How long the broker may wait for records before it answers.
    pub fn max_wait(&self) -> Duration {
        self.max_wait
    }

    /// The versions that can say it: topics have names up to 12 and ids from 13 on.
    pub fn versions(&self) -> Span {
        let all_have_ids = self.partitions.iter().all(|planned| !planned.asked.topic_id.is_zero());
        if all_have_ids { Span::from(4) } else { Span::new(4, TOPIC_IDS - 1) }
    }

    /// The request.
    pub fn request(&mut self, version: i16) -> FetchRequest {
        self.is_full = self.words.is_full() || version < SESSIONS;
        let (front, back) = self.partitions.split_at(if self.is_full { self.turn } else { 0 });
        let mut topics: Vec<FetchTopic> = Vec::new();
        for planned in back.iter().chain(front).filter(|planned| self.is_full || planned.is_news) {
            let partition = FetchPartition {
                partition: planned.partition.partition,
                current_leader_epoch: planned.asked.epoch,
                fetch_offset: planned.asked.offset,
                partition_max_bytes: planned.asked.max_bytes,
                last_fetched_epoch: if version >= LAST_EPOCHS {
                    planned.asked.last_epoch
                } else {
                    LeaderEpoch::NONE
                },
                ..Default::default()
            };
            let last = topics.last_mut().filter(|topic| topic.topic == planned.partition.topic);
            match last {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(FetchTopic {
                    topic: planned.partition.topic.clone(),
                    topic_id: if version >= TOPIC_IDS { planned.asked.topic_id } else { Uuid::ZERO },
                    partitions: vec![partition],
                }),
            }
        }
        FetchRequest {
            session_id: self.words.id,
            session_epoch: self.words.epoch,
            topics,
            forgotten_topics_data: if self.is_full { Vec::new() } else { self.forgotten(version) },
            ..self.template.clone()
        }
    }

    fn forgotten(&self, version: i16) -> Vec<ForgottenTopic> {
        let mut topics: Vec<ForgottenTopic> = Vec::new();
        for forgotten in &self.words.forgotten {
            if forgotten.is_replaced && version < TOPIC_IDS {
                continue;
            }
            let TopicPartition { topic, partition } = &forgotten.partition;
            let topic_id = if version >= TOPIC_IDS { forgotten.topic_id } else { Uuid::ZERO };
            match topics.last_mut().filter(|last| last.topic == *topic && last.topic_id == topic_id) {
                Some(last) => last.partitions.push(*partition),
                None => topics.push(ForgottenTopic {
                    topic: topic.clone(),
                    topic_id,
                    partitions: vec![*partition],
                }),
            }
        }
        topics
    }

    /// The name of a topic that the answer names so, or by its id.
    pub(super) fn name<'a>(&'a self, name: &'a Text, id: Uuid) -> Option<&'a Text> {
        if id.is_zero() {
            return Some(name);
        }
        let planned = self.partitions.iter().find(|planned| planned.asked.topic_id == id);
        planned.map(|planned| &planned.partition.topic)
    }

    /// Where a partition is found.
    pub(super) fn find(&self, topic: &Text, partition: i32) -> Option<usize> {
        let key = |planned: &Planned| {
            planned.partition.topic.cmp(topic).then(planned.partition.partition.cmp(&partition))
        };
        self.partitions.binary_search_by(key).ok()
    }
}

impl Planned {
    pub(super) fn fault<'a>(&'a self, error: &'a Error) -> Fault<'a> {
        Fault {
            partition: &self.partition,
            generation: self.generation,
            offset: Some(self.asked.offset),
            error,
        }
    }
}

impl Cursors {
    /// One request for each broker that has none under way. Says too whether metadata are out of date: a partition has no
    /// leader, or one that metadata do not know.
    pub fn plan_fetches(
        &mut self,
        view: &View,
        now: Instant,
        busy: &BTreeSet<BrokerId>,
    ) -> (Vec<FetchPlan>, bool) {
        (self.starved, self.unplanned) = (None, false);
        self.divide_budget();
        let mut refresh = false;
        let mut hopeless = Vec::new();
        let mut by_broker: BTreeMap<BrokerId, Vec<Planned>> = BTreeMap::new();
        let mut busy_too = BTreeSet::new();
        // Those who wait for a part of their partitions to be read.
        let mut hurried = BTreeSet::new();
        for (partition, cursor) in &self.partitions {
            match self.consider(partition, cursor, view, now, busy) {
                Ok(ready) => {
                    refresh |= ready.refresh;
                    by_broker.entry(ready.broker).or_default().push(ready.planned);
                }
                Err(Unasked::Leaderless(code)) => {
                    refresh = true;
                    hopeless.push((partition.clone(), code));
                }
                Err(Unasked::Full(broker)) => drop(hurried.insert(broker)),
                Err(Unasked::Busy(broker)) => drop(busy_too.insert(broker)),
                Err(_) => {}
            }
        }
        self.tell_hopeless(hopeless, now);
        let brokers = by_broker.len().saturating_add(busy_too.len());
        // When room is scarce each broker gets its turn.
        let behind = by_broker.split_off(&self.next_broker);
        let in_turn = behind.into_iter().chain(by_broker);
        let mut plans = Vec::new();
        for (broker, mut partitions) in in_turn {
            let has_unsplit = partitions.iter().any(|planned| !planned.is_split);
            let granted = if has_unsplit { self.grant(broker, brokers) } else { None };
            if has_unsplit && granted.is_none() {
                partitions.retain(|planned| planned.is_split);
                hurried.insert(broker);
            }
            if partitions.is_empty() {
                continue;
            }
            self.next_broker = BrokerId(broker.0.saturating_add(1));
            self.granted.insert(broker, granted.unwrap_or(0));
            let is_hurried = hurried.contains(&broker);
            plans.push(self.plan(broker, partitions, granted.unwrap_or(0), is_hurried, now));
        }
        (plans, refresh)
    }

    /// Whether a partition is asked for in the next request, and of whom.
    fn consider(
        &self,
        partition: &TopicPartition,
        cursor: &Cursor,
        view: &View,
        now: Instant,
        busy: &BTreeSet<BrokerId>,
    ) -> Result<Ready, Unasked> {
        match cursor.place {
            Place::At(_) => {}
            Place::Unresolved { .. } => return Err(Unasked::Unresolved),
            Place::Lost => return Err(Unasked::Lost),
        }
        if cursor.withheld {
            return Err(Unasked::Withheld);
        }
        if cursor.paused {
            return Err(Unasked::Paused);
        }
        if cursor.blocked {
            return Err(Unasked::Blocked);
        }
        if let Some(rest) = left_until(cursor.not_before, now) {
            return Err(Unasked::Rests(rest));
        }
        let leader = view.leader(&partition.topic, partition.partition).map_err(Unasked::Leaderless)?;
        let (broker, refresh) = match cursor.read_from(view, partition, leader.epoch, now) {
            ReadFrom::Follower(replica) => (replica, false),
            ReadFrom::Leader => (leader.broker.id, false),
            ReadFrom::LeaderForNow => (leader.broker.id, true),
        };
        if busy.contains(&broker) {
            return Err(Unasked::Busy(broker));
        }
        let idle_until = self.idle_answers.get(&broker).map(|(_, until)| *until);
        if let Some(rest) = left_until(idle_until, now) {
            return Err(Unasked::BrokerRests(broker, rest));
        }
        let max_bytes = self.partition_room(cursor).ok_or(Unasked::Full(broker))?;
        let is_of_follower = broker != leader.broker.id;
        // A follower that has less would say that its log has parted.
        let last_epoch = if is_of_follower { LeaderEpoch::NONE } else { cursor.last_epoch(leader.epoch) };
        let planned = Planned {
            partition: partition.clone(),
            generation: cursor.generation,
            asked: Asked {
                topic_id: view.topic(&partition.topic).map_or(Uuid::ZERO, |topic| topic.id),
                offset: cursor.fetch_at,
                last_epoch,
                epoch: leader.epoch,
                max_bytes,
            },
            is_news: true,
            is_unheard: cursor.high_watermark.is_none(),
            is_of_follower,
            is_check: cursor.unchecked && !is_of_follower,
            is_split: cursor.split,
        };
        Ok(Ready { planned, broker, refresh })
    }

    /// Why a partition is not in the next request, if it is not.
    pub fn why_unasked(
        &self,
        partition: &TopicPartition,
        view: &View,
        now: Instant,
        busy: &BTreeSet<BrokerId>,
    ) -> Result<Option<Unasked>, Error> {
        let cursor = self.cursor(partition)?;
        Ok(self.consider(partition, cursor, view, now, busy).err())
    }

    fn plan(
        &mut self,
        broker: BrokerId,
        mut partitions: Vec<Planned>,
        granted: usize,
        is_hurried: bool,
        now: Instant,
    ) -> FetchPlan {
        let session = self.sessions.entry(broker).or_default();
        let words = session.word(&mut partitions);
        let turn = session.turn(partitions.len());
        let is_check = partitions.iter().any(|planned| planned.is_check);
        let rack_id = if is_check { Text::default() } else { self.rack(now) };
        let shares = partitions.iter().filter(|planned| planned.is_split);
        let shares: usize = shares.filter_map(|planned| usize::try_from(planned.asked.max_bytes).ok()).sum();
        let granted = granted.saturating_add(shares);
        let limits = &self.limits;
        // What is left out until it was read must not wait for what is idle.
        let max_wait = if is_hurried { limits.max_wait.min(HURRIED_WAIT) } else { limits.max_wait };
        let int = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let granted = u32::try_from(granted).unwrap_or(u32::MAX);
        let isolation_level = if limits.read_committed {
            IsolationLevel::READ_COMMITTED
        } else {
            IsolationLevel::READ_UNCOMMITTED
        };
        FetchPlan {
            broker,
            partitions,
            words,
            is_full: true,
            turn,
            template: FetchRequest {
                max_wait_ms: i32::try_from(max_wait.as_millis()).unwrap_or(i32::MAX),
                min_bytes: int(limits.min_bytes),
                max_bytes: int(limits.max_bytes.min(granted).max(1)),
                isolation_level,
                rack_id,
                ..Default::default()
            },
            max_wait,
            began: now,
        }
    }
}

fn left_until(until: Option<Instant>, now: Instant) -> Option<Duration> {
    until?.checked_duration_since(now).filter(|left| !left.is_zero())
}
