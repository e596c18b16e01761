//! Fetch sessions (KIP-227): what a consumer reads is remembered, so that requests name only what changed and answers only
//! what has news.
//!
//! The rules are those of `FetchSession.scala` in Kafka 4.3. Sessions outlive their connection; a full cache makes room only
//! by a session that was not used for two minutes, and otherwise answers without a session, which every client takes.

use crate::messages::{ErrorCode, FetchPartition, FetchRequest, LeaderEpoch};
use crate::wire::{Text, Uuid};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Kafka's `max.incremental.fetch.session.cache.slots`.
const MAX_SESSIONS: usize = 1_000;
/// Partitions of all sessions together, which bounds their memory.
const MAX_PARTITIONS: usize = 500_000;
/// A session that was used since cannot be evicted.
const EVICTABLE_AFTER: Duration = Duration::from_secs(120);
/// The session id of no session.
const NO_SESSION: i32 = 0;
/// The epoch that asks for a session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch outside of any session.
const FINAL_EPOCH: i32 = -1;

/// A partition as a fetch names it: by topic id, or by name with the id zero.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub(super) topic_id: Uuid,
    pub(super) topic: Text,
    pub(super) partition: i32,
}

/// What is wanted of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) offset: i64,
    pub(super) max_bytes: i32,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) last_fetched_epoch: LeaderEpoch,
}

/// What an answer tells of a partition, as far as sessions care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) high_watermark: i64,
    pub(super) log_start_offset: i64,
    pub(super) has_records: bool,
    /// An error or a diverging epoch.
    pub(super) has_fault: bool,
}

/// How the answer to a fetch is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// Outside of any session.
    Sessionless,
    /// The client asks for a session.
    New,
    /// Within a session: only news are told.
    Incremental(i32),
}

impl Context {
    /// The id of the session that there is.
    pub(super) fn id(self) -> i32 {
        match self {
            Context::Incremental(id) => id,
            Context::Sessionless | Context::New => NO_SESSION,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: BTreeMap<i32, Session>,
    partitions: usize,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    by_topic_id: bool,
    partitions: BTreeMap<Named, Cached>,
    next_turn: u64,
    last_used: Instant,
}

#[derive(Debug)]
struct Cached {
    wanted: Wanted,
    /// Partitions that had records go last the next time, so that none is starved by the limit of bytes.
    turn: u64,
    high_watermark: i64,
    log_start_offset: i64,
}

impl Sessions {
    /// Finds the context of a request and all that it wants, in the order in which it is to be served.
    ///
    /// # Errors
    /// Those of KIP-227, for the request as a whole.
    pub(super) fn open(
        &mut self,
        request: &FetchRequest,
        by_topic_id: bool,
        now: Instant,
    ) -> Result<(Context, Vec<(Named, Wanted)>), ErrorCode> {
        let FetchRequest { session_id, session_epoch, .. } = *request;
        if matches!(session_epoch, INITIAL_EPOCH | FINAL_EPOCH) {
            self.remove(session_id);
            let context = if session_epoch == FINAL_EPOCH { Context::Sessionless } else { Context::New };
            return Ok((context, named(request).collect()));
        }
        let session = self.by_id.get_mut(&session_id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.epoch != session_epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.by_topic_id != by_topic_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        let before = session.partitions.len();
        session.update(request);
        let after = session.partitions.len();
        session.last_used = now;
        self.partitions = self.partitions.saturating_sub(before).saturating_add(after);
        if after == 0 {
            self.remove(session_id);
            return Ok((Context::Sessionless, Vec::new()));
        }
        session.epoch = session.epoch.checked_add(1).unwrap_or(1);
        Ok((Context::Incremental(session_id), session.in_turn()))
    }

    /// Keeps a session for a request that asked for one; answers with its id, 0 when there is no room.
    pub(super) fn create(
        &mut self,
        partitions: &[(Named, Wanted, Told)],
        by_topic_id: bool,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> i32 {
        if !self.make_room(partitions.len(), now) {
            return NO_SESSION;
        }
        let mut session =
            Session { epoch: 1, by_topic_id, partitions: BTreeMap::new(), next_turn: 0, last_used: now };
        for (named, wanted, told) in partitions {
            let cached = session.add(named.detach(), *wanted);
            cached.tell(*told);
        }
        let mut id = rng.i32(1..);
        while self.by_id.contains_key(&id) {
            id = rng.i32(1..);
        }
        self.partitions = self.partitions.saturating_add(session.partitions.len());
        self.by_id.insert(id, session);
        id
    }

    /// Whether an answer within a session has to tell of a partition.
    pub(super) fn is_news(&self, session_id: i32, named: &Named, told: Told) -> bool {
        let session = self.by_id.get(&session_id);
        let cached = session.and_then(|session| session.partitions.get(named));
        cached.is_none_or(|cached| cached.is_news(told))
    }

    /// Remembers what an answer within a session tells.
    pub(super) fn tell(&mut self, session_id: i32, named: &Named, told: Told) {
        let Some(session) = self.by_id.get_mut(&session_id) else { return };
        let next_turn = session.next_turn;
        let Some(cached) = session.partitions.get_mut(named) else { return };
        if told.has_records {
            cached.turn = next_turn;
            session.next_turn = next_turn.saturating_add(1);
        }
        cached.tell(told);
    }

    /// What a session has.
    pub(super) fn named(&self, session_id: i32) -> impl Iterator<Item = &Named> {
        self.by_id.get(&session_id).into_iter().flat_map(|session| session.partitions.keys())
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.by_id.remove(&id) {
            self.partitions = self.partitions.saturating_sub(session.partitions.len());
        }
    }

    fn make_room(&mut self, partitions: usize, now: Instant) -> bool {
        if partitions > MAX_PARTITIONS {
            return false;
        }
        while self.by_id.len() >= MAX_SESSIONS || self.partitions.saturating_add(partitions) > MAX_PARTITIONS
        {
            let oldest = self.by_id.iter().min_by_key(|(_, session)| session.last_used);
            match oldest.map(|(id, session)| (*id, now.saturating_duration_since(session.last_used))) {
                Some((id, unused)) if unused > EVICTABLE_AFTER => self.remove(id),
                _ => return false,
            }
        }
        true
    }
}

impl Session {
    fn update(&mut self, request: &FetchRequest) {
        for (named, wanted) in named(request) {
            match self.partitions.get_mut(&named) {
                Some(cached) => cached.wanted = wanted,
                None => {
                    self.add(named.detach(), wanted);
                }
            }
        }
        for topic in &request.forgotten_topics_data {
            for partition in &topic.partitions {
                let (topic_id, topic) = (topic.topic_id, topic.topic.clone());
                self.partitions.remove(&Named { topic_id, topic, partition: *partition });
            }
        }
    }

    fn add(&mut self, named: Named, wanted: Wanted) -> &mut Cached {
        let turn = self.next_turn;
        self.next_turn = turn.saturating_add(1);
        // -1 is no watermark, so the first answer tells it.
        let cached = Cached { wanted, turn, high_watermark: -1, log_start_offset: -1 };
        self.partitions.entry(named).insert_entry(cached).into_mut()
    }

    fn in_turn(&self) -> Vec<(Named, Wanted)> {
        let mut all: Vec<_> = self.partitions.iter().collect();
        all.sort_by_key(|(_, cached)| cached.turn);
        all.into_iter().map(|(named, cached)| (named.clone(), cached.wanted)).collect()
    }
}

impl Cached {
    fn is_news(&self, told: Told) -> bool {
        told.has_records
            || told.has_fault
            || told.high_watermark != self.high_watermark
            || told.log_start_offset != self.log_start_offset
    }

    /// Remembers what is told.
    fn tell(&mut self, told: Told) {
        // After a fault the partition is told again when the fault is gone.
        self.high_watermark = if told.has_fault { -1 } else { told.high_watermark };
        self.log_start_offset = told.log_start_offset;
    }
}

impl Named {
    /// A copy that no longer pins the request's frame.
    fn detach(&self) -> Named {
        Named { topic: self.topic.detach(), ..self.clone() }
    }
}

/// The partitions that a request names.
fn named(request: &FetchRequest) -> impl Iterator<Item = (Named, Wanted)> + '_ {
    request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            let FetchPartition { fetch_offset, partition_max_bytes, .. } = *partition;
            let named = Named {
                topic_id: topic.topic_id,
                topic: topic.topic.clone(),
                partition: partition.partition,
            };
            // In a fetch every negative epoch is none (Kafka's `FetchRequest`), in other requests -1 only.
            let epoch = |told: LeaderEpoch| told.max(LeaderEpoch::NONE);
            let wanted = Wanted {
                offset: fetch_offset,
                max_bytes: partition_max_bytes,
                leader_epoch: epoch(partition.current_leader_epoch),
                last_fetched_epoch: epoch(partition.last_fetched_epoch),
            };
            (named, wanted)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{FetchTopic, ForgottenTopic};

    const NEWS: Told = Told { high_watermark: 5, log_start_offset: 0, has_records: false, has_fault: false };

    fn request(session_id: i32, session_epoch: i32, offsets: &[(i32, i64)]) -> FetchRequest {
        let partitions = offsets
            .iter()
            .map(|&(partition, fetch_offset)| FetchPartition {
                partition,
                fetch_offset,
                ..Default::default()
            })
            .collect();
        let topics = vec![FetchTopic { topic: "t".into(), partitions, ..Default::default() }];
        FetchRequest { session_id, session_epoch, topics, ..Default::default() }
    }

    fn forgetting(session_id: i32, session_epoch: i32, partitions: &[i32]) -> FetchRequest {
        let forgotten =
            ForgottenTopic { topic: "t".into(), partitions: partitions.to_vec(), ..Default::default() };
        FetchRequest { forgotten_topics_data: vec![forgotten], ..request(session_id, session_epoch, &[]) }
    }

    struct Bench {
        sessions: Sessions,
        now: Instant,
        rng: fastrand::Rng,
    }

    impl Bench {
        fn new() -> Bench {
            let rng = fastrand::Rng::with_seed(1);
            Bench { sessions: Sessions::default(), now: crate::task::now(), rng }
        }

        fn open(&mut self, request: &FetchRequest) -> Result<(Context, Vec<(i32, i64)>), ErrorCode> {
            let (context, wanted) = self.sessions.open(request, false, self.now)?;
            let wanted = wanted.iter().map(|(named, wanted)| (named.partition, wanted.offset)).collect();
            Ok((context, wanted))
        }

        fn create(&mut self, offsets: &[(i32, i64)]) -> i32 {
            let request = request(0, 0, offsets);
            let (context, wanted) = self.sessions.open(&request, false, self.now).unwrap();
            assert_eq!(context, Context::New);
            let all: Vec<_> = wanted.into_iter().map(|(named, wanted)| (named, wanted, NEWS)).collect();
            self.sessions.create(&all, false, self.now, &mut self.rng)
        }
    }

    fn partition(partition: i32) -> Named {
        Named { topic_id: Uuid::ZERO, topic: "t".into(), partition }
    }

    #[test]
    fn a_session_remembers_what_is_read_and_takes_changes() {
        let mut bench = Bench::new();
        let id = bench.create(&[(0, 10), (1, 20)]);
        let within = Context::Incremental(id);
        assert_eq!(bench.open(&request(id, 1, &[])), Ok((within, vec![(0, 10), (1, 20)])));
        assert_eq!(
            bench.open(&request(id, 2, &[(1, 25), (2, 0)])),
            Ok((within, vec![(0, 10), (1, 25), (2, 0)]))
        );
        assert_eq!(bench.open(&forgetting(id, 3, &[0])), Ok((within, vec![(1, 25), (2, 0)])));
        assert_eq!(bench.open(&forgetting(id, 4, &[1, 2])), Ok((Context::Sessionless, vec![])));
        assert_eq!(bench.open(&request(id, 5, &[])), Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
        assert_eq!(bench.sessions.partitions, 0);
    }

    #[test]
    fn epochs_that_do_not_follow_are_refused_and_wrap_to_1() {
        let mut bench = Bench::new();
        let id = bench.create(&[(0, 0)]);
        assert_eq!(bench.open(&request(id, 2, &[])), Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
        bench.open(&request(id, 1, &[])).unwrap();
        assert_eq!(bench.open(&request(id, 1, &[])), Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
        bench.sessions.by_id.get_mut(&id).unwrap().epoch = i32::MAX;
        bench.open(&request(id, i32::MAX, &[])).unwrap();
        bench.open(&request(id, 1, &[])).unwrap();
    }

    #[test]
    fn names_and_ids_do_not_mix_within_a_session() {
        let mut bench = Bench::new();
        let id = bench.create(&[(0, 0)]);
        let mixed = bench.sessions.open(&request(id, 1, &[]), true, bench.now);
        assert_eq!(mixed, Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR));
    }

    #[test]
    fn a_full_fetch_closes_the_session_that_it_names() {
        let mut bench = Bench::new();
        let id = bench.create(&[(0, 0)]);
        assert_eq!(bench.open(&request(id, -1, &[(0, 3)])), Ok((Context::Sessionless, vec![(0, 3)])));
        assert_eq!(bench.open(&request(id, 1, &[])), Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    }

    #[test]
    fn only_news_are_told_and_what_was_told_goes_last() {
        let mut bench = Bench::new();
        let id = bench.create(&[(0, 0), (1, 0)]);
        let mut news = |partition_index, told| {
            let named = partition(partition_index);
            let news = bench.sessions.is_news(id, &named, told);
            bench.sessions.tell(id, &named, told);
            news
        };
        assert!(!news(0, NEWS));
        assert!(news(0, Told { high_watermark: 6, ..NEWS }));
        assert!(!news(0, Told { high_watermark: 6, ..NEWS }));
        assert!(news(0, Told { high_watermark: 6, log_start_offset: 1, ..NEWS }));
        assert!(news(1, Told { has_fault: true, ..NEWS }));
        assert!(news(1, NEWS), "the fault is gone");
        assert!(!news(1, NEWS));
        assert!(news(0, Told { has_records: true, high_watermark: 6, log_start_offset: 1, ..NEWS }));
        assert_eq!(bench.open(&request(id, 1, &[])).unwrap().1, [(1, 0), (0, 0)]);
    }

    #[test]
    fn a_full_cache_makes_room_only_by_what_was_not_used_for_long() {
        let mut bench = Bench::new();
        let first = bench.create(&[(0, 0)]);
        bench.now += Duration::from_secs(1);
        for _ in 1..MAX_SESSIONS {
            assert_ne!(bench.create(&[(0, 0)]), 0);
        }
        assert_eq!(bench.create(&[(0, 0)]), 0);
        bench.now += EVICTABLE_AFTER + Duration::from_secs(1);
        assert_ne!(bench.create(&[(0, 0)]), 0);
        assert_eq!(bench.sessions.by_id.len(), MAX_SESSIONS);
        assert!(!bench.sessions.by_id.contains_key(&first), "the oldest went");
    }
}
