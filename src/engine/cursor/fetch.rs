//! Fetching: what to ask each leader, and what its answer means for each partition.

use super::failed::Fault;
use super::queued::QueuedSet;
use super::replica::ReadFrom;
use super::session::{Asked, Words};
use super::{Cursor, Cursors, Place, Reset, When};
use crate::engine::TopicPartition;
use crate::engine::retry::Backoff;
use crate::engine::view::{Hint, View};
use crate::error::{Error, ErrorKind};
use crate::messages::{
    BrokerId, ErrorCode, FetchPartition, FetchPartitionResponse, FetchRequest, FetchResponse, FetchTopic,
    ForgottenTopic, IsolationLevel, LeaderEpoch, NodeEndpoint,
};
use crate::records::{BatchHeader, Batches, HEADER_LEN};
use crate::wire::{Span, Text, Uuid};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// One request to one leader, so to speak; [`FetchPlan::request`] words it for a version.
#[derive(Debug)]
pub struct FetchPlan {
    /// The leader.
    pub broker: BrokerId,
    /// All that is read from it, in order.
    partitions: Vec<Planned>,
    words: Words,
    /// Whether the request said everything, so that everything is to be answered.
    is_full: bool,
    /// Which partition a full request begins with: brokers fill the answer in its order.
    turn: usize,
    template: FetchRequest,
    partition_max_bytes: i32,
    max_wait: Duration,
    began: Instant,
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
}

/// The oldest version with sessions.
const SESSIONS: i16 = 7;
/// The oldest version that says of which epoch the last record is.
const LAST_EPOCHS: i16 = 12;
/// The oldest version that names topics by their ids.
const TOPIC_IDS: i16 = 13;

/// What an answer asks of the consumer.
#[derive(Debug, Default)]
pub struct Effects {
    /// Metadata are out of date.
    pub refresh: bool,
    /// New leaders that the broker named (KIP-951).
    pub hints: Vec<Hint>,
    /// Where these leaders are.
    pub endpoints: Vec<NodeEndpoint>,
}

impl FetchPlan {
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
                last_fetched_epoch: if version >= LAST_EPOCHS {
                    planned.asked.last_epoch
                } else {
                    LeaderEpoch::NONE
                },
                partition_max_bytes: self.partition_max_bytes,
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
    fn name<'a>(&'a self, name: &'a Text, id: Uuid) -> Option<&'a Text> {
        if id.is_zero() {
            return Some(name);
        }
        let planned = self.partitions.iter().find(|planned| planned.asked.topic_id == id);
        planned.map(|planned| &planned.partition.topic)
    }

    /// Where a partition is found.
    fn find(&self, topic: &Text, partition: i32) -> Option<usize> {
        let key = |planned: &Planned| {
            planned.partition.topic.cmp(topic).then(planned.partition.partition.cmp(&partition))
        };
        self.partitions.binary_search_by(key).ok()
    }
}

impl Planned {
    fn fault<'a>(&'a self, error: &'a Error) -> Fault<'a> {
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
        if self.room() == 0 {
            self.rewind_paused();
        }
        let room = self.room();
        if room == 0 {
            return (Vec::new(), false);
        }
        let mut refresh = false;
        let mut hopeless = Vec::new();
        let mut by_leader: BTreeMap<BrokerId, Vec<Planned>> = BTreeMap::new();
        for (partition, cursor) in &self.partitions {
            if !matches!(cursor.place, Place::At(_)) || cursor.paused || cursor.blocked || cursor.rests(now) {
                continue;
            }
            let leader = match view.leader(&partition.topic, partition.partition) {
                Ok(leader) => leader,
                Err(code) => {
                    refresh = true;
                    hopeless.push((partition.clone(), code));
                    continue;
                }
            };
            let broker = match cursor.read_from(view, partition, now) {
                ReadFrom::Follower(replica) => replica,
                ReadFrom::Leader => leader.broker.id,
                ReadFrom::LeaderForNow => {
                    refresh = true;
                    leader.broker.id
                }
            };
            let is_of_follower = broker != leader.broker.id;
            let rests = self.idle_answers.get(&broker).is_some_and(|(_, until)| *until > now);
            if rests || busy.contains(&broker) {
                continue;
            }
            by_leader.entry(broker).or_default().push(Planned {
                partition: partition.clone(),
                generation: cursor.generation,
                asked: Asked {
                    topic_id: view.topic(&partition.topic).map_or(Uuid::ZERO, |topic| topic.id),
                    offset: cursor.fetch_at,
                    // A follower that has less would say that its log has parted.
                    last_epoch: if is_of_follower {
                        LeaderEpoch::NONE
                    } else {
                        cursor.last_epoch(leader.epoch)
                    },
                    epoch: leader.epoch,
                },
                is_news: true,
                is_unheard: cursor.high_watermark.is_none(),
                is_of_follower,
            });
        }
        self.tell_hopeless(hopeless, now);
        // The leaders share what may still be queued.
        let share = room.checked_div(by_leader.len().max(1)).unwrap_or(room);
        let plans =
            by_leader.into_iter().map(|(broker, partitions)| self.plan(broker, partitions, share, now));
        (plans.collect(), refresh)
    }

    fn room(&self) -> usize {
        self.limits.queued_max_bytes.saturating_sub(self.queued_bytes)
    }

    fn plan(&self, broker: BrokerId, mut partitions: Vec<Planned>, share: usize, now: Instant) -> FetchPlan {
        let words = match self.sessions.get(&broker) {
            Some(session) => session.word(&mut partitions),
            None => Words::default(),
        };
        // Another one each time. Within a session the broker sees to that.
        let turn = usize::try_from(self.next_generation).unwrap_or(0).wrapping_add(self.queued_bytes);
        let turn = turn.checked_rem(partitions.len()).unwrap_or(0);
        let limits = &self.limits;
        let int = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
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
                max_wait_ms: i32::try_from(limits.max_wait.as_millis()).unwrap_or(i32::MAX),
                min_bytes: int(limits.min_bytes),
                max_bytes: int(limits.max_bytes.min(share).max(1)),
                isolation_level,
                rack_id: limits.rack.clone(),
                ..Default::default()
            },
            partition_max_bytes: int(limits.partition_max_bytes.max(1)),
            max_wait: limits.max_wait,
            began: now,
        }
    }

    /// Takes an answer, or why there is none.
    pub fn digest_fetch(
        &mut self,
        plan: &FetchPlan,
        answer: Result<FetchResponse, Error>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Effects {
        let mut effects = Effects::default();
        let session = self.sessions.entry(plan.broker).or_default();
        let code = answer.as_ref().ok().map(|answer| answer.error_code);
        let answer = match answer.and_then(|answer| whole(answer, plan.broker)) {
            Ok(answer) => {
                session.answered(&plan.words, &plan.partitions, &answer);
                answer
            }
            Err(_) if session.failed(&plan.words, code) => return effects,
            Err(error) => {
                let told = self.errors.len();
                for planned in &plan.partitions {
                    self.back_to_leader(planned);
                    effects.refresh |= self.failed(planned.fault(&error), now, rng);
                }
                // One failure of the whole request is told once, not for each of its partitions.
                self.errors.truncate(told.saturating_add(1));
                return effects;
            }
        };
        if answer.responses.is_empty() && answer.throttle_time_ms > 0 {
            // A quota: the broker has read nothing, and the connection keeps still as long as it is told to (KIP-219).
            return effects;
        }
        let mut progress = false;
        let mut unanswered: Vec<Option<&Planned>> = plan.partitions.iter().map(Some).collect();
        for topic in answer.responses {
            let name = plan.name(&topic.topic, topic.topic_id);
            for found in topic.partitions {
                let at = name.and_then(|name| plan.find(name, found.partition_index));
                let Some(planned) = at.and_then(|at| unanswered.get_mut(at)).and_then(Option::take) else {
                    tracing::warn!(broker = %plan.broker, "a fetch was answered for a partition that was not asked for");
                    continue;
                };
                if found.current_leader.leader_id != BrokerId::NONE {
                    effects.hints.push(Hint {
                        topic: planned.partition.topic.clone(),
                        partition: planned.partition.partition,
                        leader: found.current_leader.clone(),
                    });
                }
                let (moved, refresh) = self.digest_partition(planned, found, now, rng);
                progress |= moved;
                effects.refresh |= refresh;
            }
        }
        // Within a session only what is new is told.
        for planned in unanswered.into_iter().flatten().filter(|_| plan.is_full) {
            let error =
                Error::new(ErrorKind::Protocol, "find the partition in the answer to a Fetch request");
            effects.refresh |= self.failed(planned.fault(&error.broker(plan.broker)), now, rng);
        }
        effects.endpoints = answer.node_endpoints;
        self.note_progress(plan, progress, now, rng);
        effects
    }

    /// Whether it brought progress, and whether metadata are out of date.
    fn digest_partition(
        &mut self,
        planned: &Planned,
        found: FetchPartitionResponse,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> (bool, bool) {
        let partition = &planned.partition;
        if self.current(planned).is_none() {
            return (true, false);
        }
        if let Err(code) = found.error_code.ok() {
            let is_of_follower = self.back_to_leader(planned);
            if code == ErrorCode::OFFSET_OUT_OF_RANGE {
                if is_of_follower {
                    self.rest(partition, now, rng);
                } else {
                    self.out_of_range(planned, now, rng);
                }
                return (true, false);
            }
            let error = Error::broker_code(code, "fetch");
            return (true, self.failed(planned.fault(&error), now, rng));
        }
        if found.diverging_epoch.end_offset >= 0 {
            if !self.back_to_leader(planned) {
                self.parted(planned, &found.diverging_epoch);
            }
            return (false, false);
        }
        if !found.preferred_read_replica.is_none() {
            self.prefer(planned, found.preferred_read_replica, now);
        }
        let current =
            self.partitions.get_mut(partition).filter(|cursor| cursor.generation == planned.generation);
        let Some(cursor) = current else { return (true, false) };
        cursor.failures = 0;
        cursor.resets = 0;
        cursor.not_before = None;
        if !self.errors.is_empty() {
            self.errors.retain(|(of, _)| of != partition);
        }
        cursor.high_watermark = Some(found.high_watermark).filter(|offset| *offset >= 0);
        cursor.last_stable_offset = Some(found.last_stable_offset).filter(|offset| *offset >= 0);
        cursor.log_start_offset = Some(found.log_start_offset).filter(|offset| *offset >= 0);
        let set = found.records.map(|records| records.0).unwrap_or_default();
        if set.is_empty() {
            return (false, false);
        }
        let (end, sound) = walk(&set);
        let moved = end.is_some_and(|(end, _)| end > cursor.fetch_at);
        if sound && !moved {
            return (false, false);
        }
        if let Some((end, epoch)) = end.filter(|_| moved) {
            (cursor.fetch_at, cursor.fetch_epoch) = (end, epoch);
        }
        cursor.blocked = !sound;
        self.queued_bytes = self.queued_bytes.saturating_add(set.len());
        let batches = Batches::with_limit(set, self.limits.decompressed_max_bytes);
        let aborted = found.aborted_transactions.unwrap_or_default();
        cursor.queue.push_back(QueuedSet::new(batches, aborted, self.limits.read_committed));
        if !self.turns.contains(partition) {
            self.turns.push_back(partition.clone());
        }
        (moved, false)
    }

    /// There is no record at the position: once for each position, the policy says what then.
    fn out_of_range(&mut self, planned: &Planned, now: Instant, rng: &mut fastrand::Rng) {
        let partition = &planned.partition;
        let Some(cursor) = self.current(planned) else { return };
        if cursor.fetch_at != planned.asked.offset {
            return; // Another answer has moved it meanwhile.
        }
        // A broker that cannot compare the epoch says the same: what it says without one counts.
        if !planned.asked.last_epoch.is_none() && cursor.forgets_epoch() {
            return;
        }
        // Queued records may still move the position; only when they are gone it is truly out of range.
        if self.partitions.get(partition).is_some_and(|cursor| !cursor.queue.is_empty()) {
            return self.rest(partition, now, rng);
        }
        if self.limits.reset == Reset::None {
            let error = Error::broker_code(ErrorCode::OFFSET_OUT_OF_RANGE, "fetch")
                .topic(partition.topic.as_str())
                .partition(partition.partition)
                .offset(planned.asked.offset)
                .hint("auto.offset.reset is none: seek to an offset that is there");
            self.tell(partition, error);
            if let Some(cursor) = self.partitions.get_mut(partition) {
                cursor.place = Place::Lost;
            }
            return;
        }
        tracing::warn!(%partition, offset = planned.asked.offset, policy = ?self.limits.reset, "offset out of range");
        self.reset(partition);
        let backoff = self.limits.policy.backoff;
        if let Some(cursor) = self.partitions.get_mut(partition) {
            // A broker that refuses what it has just told is not asked at the speed of the wire.
            if cursor.resets > 0 {
                cursor.not_before = now.checked_add(backoff.after(cursor.resets, rng));
            }
            cursor.resets = cursor.resets.saturating_add(1);
        }
    }

    fn rest(&mut self, partition: &TopicPartition, now: Instant, rng: &mut fastrand::Rng) {
        let backoff = self.limits.policy.backoff;
        if let Some(cursor) = self.partitions.get_mut(partition) {
            cursor.failures = cursor.failures.saturating_add(1);
            cursor.not_before = now.checked_add(backoff.after(cursor.failures, rng));
        }
    }

    /// An answer with nothing in it that came long before the wait was over: a broker that does not wait, or a log that
    /// gives nothing. Asking again at once would be a flood.
    fn note_progress(&mut self, plan: &FetchPlan, progress: bool, now: Instant, rng: &mut fastrand::Rng) {
        let waited = now.saturating_duration_since(plan.began);
        if progress || waited.saturating_mul(2) >= plan.max_wait {
            self.idle_answers.remove(&plan.broker);
            return;
        }
        let in_a_row = self.idle_answers.get(&plan.broker).map_or(0, |(n, _)| *n).saturating_add(1);
        // The first may be chance: a wait that another answer had begun.
        let backoff: Backoff = self.limits.policy.backoff;
        let until = now.checked_add(backoff.after(in_a_row.saturating_sub(1), rng)).unwrap_or(now);
        self.idle_answers.insert(plan.broker, (in_a_row, until));
    }
}

impl Cursor {
    pub(super) fn unresolve(&mut self, when: When) {
        self.place = Place::Unresolved { when, asked: false };
        self.blocked = false;
    }
}

/// The answer, unless it is an error as a whole.
fn whole(answer: FetchResponse, broker: BrokerId) -> Result<FetchResponse, Error> {
    match answer.error_code.ok() {
        Ok(()) => Ok(answer),
        Err(code) => Err(Error::broker_code(code, "fetch").broker(broker)),
    }
}

/// The offset behind the last whole batch of a record set and that batch's epoch, by the batches' headers alone, and whether
/// they make sense.
fn walk(set: &Bytes) -> (Option<(i64, LeaderEpoch)>, bool) {
    const LENGTH_END: usize = 12;
    let mut rest: &[u8] = set;
    let mut end = None;
    while let Some(front) = rest.first_chunk::<HEADER_LEN>() {
        let header = BatchHeader::read(front);
        let bytes = usize::try_from(header.length).ok().map(|length| length.saturating_add(LENGTH_END));
        let (Some(bytes), Some(next)) = (bytes.filter(|bytes| *bytes >= HEADER_LEN), header.next_offset())
        else {
            return (end, false);
        };
        if header.magic != 2 || end.is_some_and(|(end, _)| header.base_offset < end) {
            return (end, false);
        }
        let Some(behind) = rest.get(bytes..) else { return (end, end.is_some()) };
        end = Some((next, LeaderEpoch(header.leader_epoch)));
        rest = behind;
    }
    // Less than a header is left: the cut that a broker makes, unless nothing whole came at all.
    (end, end.is_some())
}
