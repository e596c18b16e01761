//! Taking answers: what each of them means for its partitions.

use super::plan::{FetchPlan, Planned};
use super::queued::QueuedSet;
use super::room::Held;
use super::{Cursor, Cursors, Place, Reset, When};
use crate::engine::TopicPartition;
use crate::engine::retry::Backoff;
use crate::engine::view::Hint;
use crate::error::{Error, ErrorKind};
use crate::messages::{
    BrokerId, ErrorCode, FetchPartitionResponse, FetchResponse, LeaderEpoch, NodeEndpoint,
};
use crate::records::{BatchHeader, Batches, HEADER_LEN};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;

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

impl Cursors {
    /// Takes an answer, or why there is none.
    pub fn digest_fetch(
        &mut self,
        plan: &FetchPlan,
        answer: Result<FetchResponse, Error>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Effects {
        let mut effects = Effects::default();
        // One pause for all that fails: the long poll of who is back first would hold up the others.
        let together = rng.fork();
        let granted = self.granted.remove(&plan.broker);
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
                self.request_failed(plan, now);
                for planned in &plan.partitions {
                    self.back_to_leader(planned);
                    effects.refresh |= self.failed(planned.fault(&error), now, &mut together.clone());
                }
                self.tell_once(told);
                return effects;
            }
        };
        if answer.responses.is_empty() && answer.throttle_time_ms > 0 {
            // A quota: the broker has read nothing, and the connection keeps still as long as it is told to (KIP-219).
            self.note_progress(plan, false, now, rng);
            return effects;
        }
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        let bytes = partitions.filter_map(|found| found.records.as_ref()).map(|records| records.len()).sum();
        let held = Held::new(bytes, &self.held);
        let took = now.saturating_duration_since(plan.began);
        self.appetites.entry(plan.broker).or_default().learn(granted.unwrap_or(0), bytes, took);
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
                let (moved, refresh) =
                    self.digest_partition(planned, found, &held, now, &mut together.clone());
                progress |= moved;
                effects.refresh |= refresh;
            }
        }
        // Within a session only what is new is told.
        for planned in unanswered.into_iter().flatten().filter(|_| plan.is_full) {
            let error =
                Error::new(ErrorKind::Protocol, "find the partition in the answer to a Fetch request");
            effects.refresh |=
                self.failed(planned.fault(&error.broker(plan.broker)), now, &mut together.clone());
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
        held: &Arc<Held>,
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
                self.parted(planned, &found.diverging_epoch, now, rng);
            }
            return (false, false);
        }
        if !found.preferred_read_replica.is_none() {
            self.prefer(planned, found.preferred_read_replica, now);
        }
        let current =
            self.partitions.get_mut(partition).filter(|cursor| cursor.generation == planned.generation);
        // Where it is not known where to go on, what another broker has to say is of no use.
        let Some(cursor) = current.filter(|cursor| matches!(cursor.place, Place::At(_))) else {
            return (true, false);
        };
        cursor.failures = 0;
        cursor.unchecked &= !planned.is_check;
        cursor.resets = 0;
        cursor.not_before = None;
        if !self.errors.is_empty() {
            self.errors.retain(|(of, _)| of != partition);
        }
        cursor.high_watermark = Some(found.high_watermark).filter(|offset| *offset >= 0);
        cursor.last_stable_offset = Some(found.last_stable_offset).filter(|offset| *offset >= 0);
        cursor.log_start_offset = Some(found.log_start_offset).filter(|offset| *offset >= 0);
        let set = found.records.map(|records| records.to_bytes()).unwrap_or_default();
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
        cursor.unchecked |= planned.is_of_follower;
        // Who has a reader of his own may keep it for long, and not the rest of the answer with it.
        let alone = cursor.split.then(|| Held::new(set.len(), &self.held_split));
        let set = if alone.is_some() && !held.is_all(set.len()) { Bytes::copy_from_slice(&set) } else { set };
        let held = alone.as_ref().unwrap_or(held);
        let batches = Batches::with_limit(set, self.limits.decompressed_max_bytes);
        let aborted = found.aborted_transactions.unwrap_or_default();
        cursor.queue.push_back(QueuedSet::new(batches, held, aborted, self.limits.read_committed));
        if cursor.split {
            self.news.push(partition.clone());
        } else if !self.turns.contains(partition) {
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
        if cursor.rest.is_some() || !cursor.queue.is_empty() {
            return self.rest(partition, now, rng);
        }
        if self.limits.reset == Reset::None {
            let error = Error::broker_code(ErrorCode::OFFSET_OUT_OF_RANGE, "fetch")
                .topic(partition.topic.as_str())
                .partition(partition.partition)
                .offset(planned.asked.offset)
                .hint("auto.offset.reset is none: seek to an offset that is there");
            // What else is under way for this position says nothing any more.
            self.discard(partition);
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

    pub(super) fn rest(&mut self, partition: &TopicPartition, now: Instant, rng: &mut fastrand::Rng) {
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
