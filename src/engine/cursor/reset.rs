//! Finding offsets: from the beginning, the end, a time. One ListOffsets request for each leader, for all its partitions.

use super::failed::Fault;
use super::{Cursors, Place, Reset, When};
use crate::engine::TopicPartition;
use crate::engine::view::View;
use crate::error::{Error, ErrorKind};
use crate::messages::list_offsets::{EARLIEST, LATEST};
use crate::messages::{
    BrokerId, IsolationLevel, LeaderEpoch, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// One request to one leader.
#[derive(Debug)]
pub struct ResetPlan {
    /// The leader.
    pub broker: BrokerId,
    asks: Vec<Ask>,
    isolation_level: IsolationLevel,
}

#[derive(Debug)]
struct Ask {
    partition: TopicPartition,
    generation: u64,
    epoch: LeaderEpoch,
    timestamp: i64,
}

impl ResetPlan {
    /// The request.
    pub fn request(&self, timeout: Duration) -> ListOffsetsRequest {
        let mut topics: Vec<ListOffsetsTopic> = Vec::new();
        for ask in &self.asks {
            let partition = ListOffsetsPartition {
                partition_index: ask.partition.partition,
                current_leader_epoch: ask.epoch,
                timestamp: ask.timestamp,
            };
            match topics.last_mut().filter(|topic| topic.name == ask.partition.topic) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(ListOffsetsTopic {
                    name: ask.partition.topic.clone(),
                    partitions: vec![partition],
                }),
            }
        }
        ListOffsetsRequest {
            replica_id: BrokerId::NONE,
            isolation_level: self.isolation_level,
            topics,
            timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
        }
    }
}

impl Cursors {
    /// One request for each leader whose partitions do not know where to begin, `busy` ones aside. Says too whether a
    /// partition has no leader. `wall_ms` is the time that records know, in milliseconds since 1970.
    pub fn plan_resets(
        &mut self,
        view: &View,
        now: Instant,
        wall_ms: i64,
        busy: &BTreeSet<BrokerId>,
    ) -> (Vec<ResetPlan>, bool) {
        let isolation_level = match self.limits.read_committed {
            true => IsolationLevel::READ_COMMITTED,
            false => IsolationLevel::READ_UNCOMMITTED,
        };
        let mut leaderless = false;
        let mut hopeless = Vec::new();
        let mut by_leader: BTreeMap<BrokerId, Vec<Ask>> = BTreeMap::new();
        for (partition, cursor) in &mut self.partitions {
            let Place::Unresolved { when, asked: false } = cursor.place else { continue };
            if cursor.rests(now) {
                continue;
            }
            let leader = match view.leader(&partition.topic, partition.partition) {
                Ok(leader) => leader,
                Err(code) => {
                    leaderless = true;
                    hopeless.push((partition.clone(), code));
                    continue;
                }
            };
            if busy.contains(&leader.broker.id) {
                continue;
            }
            cursor.place = Place::Unresolved { when, asked: true };
            by_leader.entry(leader.broker.id).or_default().push(Ask {
                partition: partition.clone(),
                generation: cursor.generation,
                epoch: leader.epoch,
                timestamp: when.timestamp(wall_ms),
            });
        }
        self.tell_hopeless(hopeless, now);
        let plans = by_leader.into_iter().map(|(broker, asks)| ResetPlan { broker, asks, isolation_level });
        (plans.collect(), leaderless)
    }

    /// Takes an answer, or why there is none; whether metadata are out of date.
    pub fn digest_reset(
        &mut self,
        plan: &ResetPlan,
        answer: Result<ListOffsetsResponse, Error>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> bool {
        let answers = answer.map(|answer| {
            let partitions = answer.topics.into_iter().flat_map(|topic| {
                let name = topic.name;
                topic
                    .partitions
                    .into_iter()
                    .map(move |found| (TopicPartition::new(name.clone(), found.partition_index), found))
            });
            partitions.collect::<BTreeMap<_, _>>()
        });
        let mut refresh = false;
        // One pause for all of them: partitions that rest for different times would each be asked for on its own.
        let together = rng.fork();
        for ask in &plan.asks {
            let outcome = match &answers {
                Err(error) => Err(error.clone()),
                Ok(answers) => match answers.get(&ask.partition) {
                    None => Err(Error::new(ErrorKind::Protocol, "find an offset: it was not answered")),
                    Some(found) => match found.error_code.ok() {
                        Ok(()) => Ok((found.offset, found.leader_epoch)),
                        Err(code) => Err(Error::broker_code(code, "find an offset")),
                    },
                },
            };
            refresh |= self.resolved(ask, outcome, now, &mut together.clone());
        }
        refresh
    }

    /// Asks for another place to begin, as `auto.offset.reset` says.
    pub(super) fn reset(&mut self, partition: &TopicPartition) {
        let when = match self.limits.reset {
            Reset::Earliest => When::At(EARLIEST),
            Reset::Latest | Reset::None => When::At(LATEST),
            Reset::ByDuration(age) => When::Ago(age),
        };
        self.discard(partition);
        if let Some(cursor) = self.partitions.get_mut(partition) {
            cursor.unresolve(when);
        }
    }

    fn resolved(
        &mut self,
        ask: &Ask,
        outcome: Result<(i64, LeaderEpoch), Error>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> bool {
        let current =
            self.partitions.get_mut(&ask.partition).filter(|cursor| cursor.generation == ask.generation);
        let Some(cursor) = current else { return false };
        let error = match outcome {
            Ok((offset, epoch)) if offset >= 0 => {
                cursor.place = Place::At(offset);
                (cursor.fetch_at, cursor.position_epoch, cursor.fetch_epoch) = (offset, epoch, epoch);
                cursor.failures = 0;
                cursor.not_before = None;
                return false;
            }
            // No record is that late: what comes next will be.
            Ok((-1, _)) if ask.timestamp >= 0 => {
                cursor.unresolve(When::At(LATEST));
                return false;
            }
            Ok((offset, _)) => {
                Error::new(ErrorKind::Protocol, format!("find an offset: the broker says {offset}"))
            }
            Err(error) => error,
        };
        cursor.unresolve(When::At(ask.timestamp));
        let fault =
            Fault { partition: &ask.partition, generation: ask.generation, offset: None, error: &error };
        self.failed(fault, now, rng)
    }
}

impl When {
    fn timestamp(self, wall_ms: i64) -> i64 {
        match self {
            When::At(timestamp) => timestamp,
            When::Ago(age) => {
                wall_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)).max(0)
            }
        }
    }
}
