//! Fetch sessions (KIP-227): a broker remembers what a consumer reads, is told what changed, and answers with what is new.
//!
//! Thousands of idle partitions then cost a few bytes for each long poll. What the broker remembers is believed only as
//! long as its answers say so: after a request whose fate is not known, or an error of the session, everything is said
//! again, once.

use super::plan::Planned;
use crate::engine::TopicPartition;
use crate::messages::{ErrorCode, FetchPartitionResponse, FetchRequest, FetchResponse, LeaderEpoch};
use crate::wire::Uuid;
use std::collections::BTreeMap;

/// The epoch of a session's last request.
const FINAL: i32 = -1;

/// A session with one broker.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// 0 for none.
    id: i32,
    /// Counts the requests of the session; 0 says everything, and asks for a new one.
    epoch: i32,
    /// Counts partitions that had records in answers.
    turn: usize,
    /// What the broker remembers.
    known: BTreeMap<TopicPartition, Asked>,
}

/// What is asked of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) topic_id: Uuid,
    pub(super) offset: i64,
    /// Of the record before that offset.
    pub(super) last_epoch: LeaderEpoch,
    /// Of the leader.
    pub(super) epoch: LeaderEpoch,
    /// How many bytes are wanted.
    pub(super) max_bytes: i32,
}

/// What one request says of its session.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    pub(super) id: i32,
    pub(super) epoch: i32,
    /// What the broker is to forget.
    pub(super) forgotten: Vec<Forgotten>,
}

#[derive(Debug, Clone)]
pub(super) struct Forgotten {
    pub(super) partition: TopicPartition,
    pub(super) topic_id: Uuid,
    /// The topic was made anew: by name it is the same, and not to be forgotten.
    pub(super) is_replaced: bool,
}

impl Words {
    /// Whether the request says everything, whatever the broker remembers.
    pub(super) fn is_full(&self) -> bool {
        self.epoch == 0
    }
}

impl Session {
    /// The partition, of so many, that a full request begins with: brokers fill the answer in the request's order, so it is
    /// the one behind those that had something the last time. Within a session the broker sees to that.
    pub(super) fn turn(&self, partitions: usize) -> usize {
        self.turn.checked_rem(partitions).unwrap_or(0)
    }

    /// Words a request for these partitions, which are in order, and marks those that the broker has to be told of.
    pub(super) fn word(&self, partitions: &mut [Planned]) -> Words {
        let Session { id, epoch, known, .. } = self;
        // Of what it thinks we know it would not tell us the end of the log again.
        let is_unheard = |planned: &Planned| planned.is_unheard && known.contains_key(&planned.partition);
        if *epoch == 0 || partitions.iter().any(is_unheard) {
            partitions.iter_mut().for_each(|planned| planned.is_news = true);
            return Words { id: *id, epoch: 0, forgotten: Vec::new() };
        }
        for planned in &mut *partitions {
            planned.is_news = known.get(&planned.partition) != Some(&planned.asked);
        }
        let mut forgotten = Vec::new();
        for (partition, Asked { topic_id, .. }) in known {
            let wanted = partitions.binary_search_by(|planned| planned.partition.cmp(partition));
            let wanted = wanted.ok().and_then(|at| partitions.get(at));
            if wanted.is_none_or(|planned| planned.asked.topic_id != *topic_id) {
                let (partition, topic_id) = (partition.clone(), *topic_id);
                forgotten.push(Forgotten { partition, topic_id, is_replaced: wanted.is_some() });
            }
        }
        Words { id: *id, epoch: *epoch, forgotten }
    }

    /// The broker has answered: it remembers what the request said.
    pub(super) fn answered(&mut self, words: &Words, partitions: &[Planned], answer: &FetchResponse) {
        let found = answer.responses.iter().flat_map(|topic| &topic.partitions);
        let has_records =
            |found: &&FetchPartitionResponse| found.records.as_ref().is_some_and(|set| !set.is_empty());
        self.turn = self.turn.wrapping_add(found.filter(has_records).count().max(1));
        if answer.session_id == 0 {
            // It keeps none, or none any more.
            *self = Session { turn: self.turn, ..Session::default() };
            return;
        }
        self.id = answer.session_id;
        self.epoch = words.epoch.checked_add(1).unwrap_or(1);
        for Forgotten { partition, .. } in words.forgotten.iter().filter(|forgotten| !forgotten.is_replaced) {
            self.known.remove(partition);
        }
        if words.is_full() {
            self.known.clear();
        }
        let news = partitions.iter().filter(|planned| planned.is_news);
        self.known.extend(news.map(|planned| (planned.partition.clone(), planned.asked)));
    }

    /// The request that ends the session, if there is one: brokers keep only so many.
    pub(super) fn goodbye(&self) -> Option<FetchRequest> {
        (self.id != 0).then(|| FetchRequest {
            session_id: self.id,
            session_epoch: FINAL,
            ..Default::default()
        })
    }

    /// The request has failed: what the broker remembers is not known. Whether only the session was wrong, so that the
    /// same is to be asked again at once.
    pub(super) fn failed(&mut self, words: &Words, code: Option<ErrorCode>) -> bool {
        let id = if code == Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND) { 0 } else { self.id };
        *self = Session { id, turn: self.turn, ..Session::default() };
        let is_of_session = matches!(
            code,
            Some(
                ErrorCode::FETCH_SESSION_ID_NOT_FOUND
                    | ErrorCode::INVALID_FETCH_SESSION_EPOCH
                    | ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR
                    | ErrorCode::INCONSISTENT_TOPIC_ID
            )
        );
        is_of_session && !words.is_full()
    }
}
