//! Fetch: reads batches, within the limits of bytes, in fetch sessions (KIP-227), and waits for more when there is too
//! little.
//!
//! Different from Kafka: batches come whole, never cut off at the limit; a fetch waits five minutes at the most.

use super::{Outcome, throttle_time_ms};
use crate::broker::core::{ConnectionId, Context, Step};
use crate::broker::faults::Refusal;
use crate::broker::log::Run;
use crate::broker::quotas::Client;
use crate::broker::sessions::{self, Named, Told, Wanted};
use crate::broker::state::{Now, State, check_replica, leader_hint};
use crate::broker::topic::Partition;
use crate::messages::{
    AbortedTransaction, ApiKey, EpochEndOffset, ErrorCode, FetchPartitionResponse, FetchRequest,
    FetchResponse, FetchTopicResponse, IsolationLevel, api as row_of,
};
use crate::wire::{self, Text};
use std::time::{Duration, Instant};

/// The most bytes of an answer, whatever the client asks for (Kafka's `fetch.max.bytes` of the broker).
const MAX_BYTES: usize = 55 * 1024 * 1024;
/// A client that has gone away without a word is found out when its fetch is answered.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// A fetch that is being answered, now or later.
#[derive(Debug)]
pub(in crate::broker) struct Fetching {
    client: Client,
    connection: ConnectionId,
    version: i16,
    until: Instant,
    min_bytes: usize,
    max_bytes: usize,
    committed_only: bool,
    refusal: Option<Refusal>,
    session: sessions::Context,
    wanted: Vec<(Named, Wanted)>,
}

/// What there is for one partition.
#[derive(Debug, Default)]
struct Served {
    error_code: ErrorCode,
    high_watermark: i64,
    last_stable_offset: i64,
    log_start_offset: i64,
    diverging_epoch: EpochEndOffset,
    /// Where the records are to be read from.
    offset: i64,
    run: Run,
}

pub(super) fn handle(state: &mut State, context: Context<'_>, request: &FetchRequest) -> Outcome {
    let by_id = context.version >= 13;
    let (sessions, _) = state.sessions(context.broker);
    let opened = match context.refused_code().filter(is_of_sessions) {
        None => sessions.open(request, by_id, context.now.at),
        Some(code) => Err(code),
    };
    let (session, wanted) = match opened {
        Ok(opened) => opened,
        Err(error_code) => {
            return Outcome::Done(Step::respond(FetchResponse { error_code, ..Default::default() }));
        }
    };
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(MAX_WAIT);
    // More than a quota can ever allow would be kept back for ever.
    let most = state.quotas.most_at_once(context.client).min(MAX_BYTES);
    let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0).min(most);
    let fetching = Box::new(Fetching {
        client: context.client.clone(),
        connection: context.connection,
        version: context.version,
        until: crate::task::after(context.now.at, wait),
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0).min(max_bytes),
        max_bytes,
        committed_only: request.isolation_level == IsolationLevel::READ_COMMITTED,
        refusal: context.refusal.cloned(),
        session,
        wanted,
    });
    match fetching.attempt(state, context.now) {
        Ok(response) => Outcome::Done(Step::respond(response)),
        Err(fetching) => {
            fetching.watch(state);
            Outcome::Fetching(fetching)
        }
    }
}

/// The bytes that quotas count (Kafka's `FetchResponse.sizeOf`).
fn size_of_answer(response: &FetchResponse, version: i16) -> usize {
    let flexible = row_of(ApiKey::FETCH).is_some_and(|row| row.flexible.has(version));
    wire::size(response, version, flexible).map_or(0, |bytes| bytes.saturating_add(size_of::<i32>()))
}

/// Whether a code is about a fetch session, and so about the request as a whole.
fn is_of_sessions(code: &ErrorCode) -> bool {
    matches!(
        *code,
        ErrorCode::FETCH_SESSION_ID_NOT_FOUND
            | ErrorCode::INVALID_FETCH_SESSION_EPOCH
            | ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR
    )
}

impl Fetching {
    /// When to look again: when it has to be answered, or when a transaction that it may wait for is aborted.
    pub(in crate::broker) fn look_again(&self, state: &State) -> Instant {
        let aborted = state.transactions.deadline().filter(|_| self.committed_only);
        aborted.map_or(self.until, |aborted| aborted.min(self.until))
    }

    /// Answers if there is enough by now, or if it is time.
    pub(in crate::broker) fn resume(
        self: Box<Self>,
        state: &mut State,
        now: Now,
    ) -> Result<FetchResponse, Box<Fetching>> {
        let connection = self.connection;
        let (watched, result) = (self.wanted.clone(), self.attempt(state, now));
        if result.is_ok() {
            unwatch(state, &watched, connection);
        }
        result
    }

    /// Takes it off the partitions that it waits at.
    pub(in crate::broker) fn unwatch(&self, state: &mut State, connection: ConnectionId) {
        unwatch(state, &self.wanted, connection);
    }

    fn attempt(self: Box<Self>, state: &mut State, now: Now) -> Result<FetchResponse, Box<Fetching>> {
        let served = self.serve(state);
        let bytes: usize = served.iter().map(|served| served.run.bytes).sum();
        let is_due = now.at >= self.until
            || bytes >= self.min_bytes
            || served.is_empty()
            || served.iter().any(Served::has_fault);
        if is_due { Ok(self.respond(state, served, now)) } else { Err(self) }
    }

    fn watch(&self, state: &mut State) {
        for (named, _) in &self.wanted {
            if let Some(partition) = partition_mut(state, named) {
                partition.watchers.insert(self.connection);
            }
        }
    }

    /// Looks what there is, in the order of the request, without touching a record.
    fn serve(&self, state: &State) -> Vec<Served> {
        let mut bytes_left = self.max_bytes;
        let mut nothing_yet = true;
        let serve = |(named, wanted): &(Named, Wanted)| {
            let served = self.serve_partition(state, named, wanted, bytes_left, nothing_yet);
            let served = served.unwrap_or_else(Served::refused);
            nothing_yet &= served.run.bytes == 0;
            bytes_left = bytes_left.saturating_sub(served.run.bytes);
            served
        };
        self.wanted.iter().map(serve).collect()
    }

    fn serve_partition(
        &self,
        state: &State,
        named: &Named,
        wanted: &Wanted,
        bytes_left: usize,
        at_least_one: bool,
    ) -> Result<Served, ErrorCode> {
        let name = state.resolve(self.version >= 13, &named.topic_id, &named.topic)?;
        if let Some(refusal) = &self.refusal
            && refusal.scope.covers(&name, Some(named.partition))
        {
            return Err(refusal.code);
        }
        let partition = state.topics.partition(&name, named.partition)?;
        // Followers serve those who may be sent to them (KIP-392).
        check_replica(partition, self.client.broker, wanted.leader_epoch, self.version >= 11)?;
        let log = &partition.log;
        let mut served = Served {
            high_watermark: log.end_offset(),
            last_stable_offset: log.last_stable_offset(),
            log_start_offset: log.start_offset(),
            ..Served::default()
        };
        if let Some(diverging_epoch) = diverging(partition, wanted)? {
            return Ok(Served { diverging_epoch, ..served });
        }
        if !(log.start_offset()..=log.end_offset()).contains(&wanted.offset) {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let end = if self.committed_only { log.last_stable_offset() } else { log.end_offset() };
        let max_bytes = usize::try_from(wanted.max_bytes).unwrap_or(0).min(bytes_left);
        served.offset = wanted.offset;
        served.run = log.run(wanted.offset, end, max_bytes, at_least_one);
        Ok(served)
    }

    fn respond(&self, state: &mut State, served: Vec<Served>, now: Now) -> FetchResponse {
        let told: Vec<Told> = served.iter().map(Served::told).collect();
        let mut response = self.tell(state, served, &told);
        let bytes = || size_of_answer(&response, self.version);
        let pause = state.quotas.gets(&self.client, bytes, now.at);
        if pause.is_zero() {
            response.session_id = self.remember(state, &told, now);
            return response;
        }
        // Nothing is said of partitions, so there is nothing to remember either.
        let throttle_time_ms = throttle_time_ms(pause);
        FetchResponse { throttle_time_ms, session_id: self.session.id(), ..Default::default() }
    }

    /// What there is, as far as it is news.
    fn tell(&self, state: &State, served: Vec<Served>, told: &[Told]) -> FetchResponse {
        let mut response = FetchResponse::default();
        for (((named, _), served), told) in self.wanted.iter().zip(served).zip(told) {
            if let sessions::Context::Incremental(id) = self.session
                && !state.sessions_of(self.client.broker).is_none_or(|its| its.is_news(id, named, *told))
            {
                continue;
            }
            let partition = self.partition_response(state, named, served, &mut response);
            match response.responses.last_mut() {
                Some(last) if last.topic_id == named.topic_id && last.topic == named.topic => {
                    last.partitions.push(partition);
                }
                _ => response.responses.push(FetchTopicResponse {
                    topic: named.topic.clone(),
                    topic_id: named.topic_id,
                    partitions: vec![partition],
                }),
            }
        }
        response
    }

    /// Keeps in the session what is told, and gives its id.
    fn remember(&self, state: &mut State, told: &[Told], now: Now) -> i32 {
        let (sessions, rng) = state.sessions(self.client.broker);
        let all = self.wanted.iter().zip(told);
        match self.session {
            sessions::Context::New => {
                let all: Vec<_> =
                    all.map(|((named, wanted), told)| (named.clone(), *wanted, *told)).collect();
                sessions.create(&all, self.version >= 13, now.at, rng)
            }
            sessions::Context::Incremental(id) => {
                all.for_each(|((named, _), told)| sessions.tell(id, named, *told));
                id
            }
            sessions::Context::Sessionless => self.session.id(),
        }
    }

    fn partition_response(
        &self,
        state: &State,
        named: &Named,
        served: Served,
        response: &mut FetchResponse,
    ) -> FetchPartitionResponse {
        let partition = partition(state, named);
        let tells_leader = self.version >= 16;
        let current_leader =
            leader_hint(served.error_code, self.client.broker, partition.filter(|_| tells_leader));
        if !response.node_endpoints.iter().any(|node| node.node_id == current_leader.leader_id) {
            response.node_endpoints.extend(state.endpoint(current_leader.leader_id));
        }
        let records = partition.map(|partition| partition.log.read(&served.run)).unwrap_or_default();
        let is_served = served.error_code.is_none();
        let aborted = partition.filter(|_| self.committed_only && is_served);
        FetchPartitionResponse {
            partition_index: named.partition,
            error_code: served.error_code,
            high_watermark: served.high_watermark,
            last_stable_offset: served.last_stable_offset,
            log_start_offset: served.log_start_offset,
            aborted_transactions: aborted.map(|partition| served.aborted(partition)),
            records: Some(records),
            diverging_epoch: served.diverging_epoch,
            current_leader,
            ..Default::default()
        }
    }
}

impl Served {
    fn refused(error_code: ErrorCode) -> Served {
        Served {
            error_code,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            ..Served::default()
        }
    }

    /// The aborted transactions that the records have to do with.
    fn aborted(&self, partition: &Partition) -> Vec<AbortedTransaction> {
        let end = partition.log.end_of(&self.run).unwrap_or(self.offset);
        let aborted = partition.log.aborted(self.offset, end).into_iter();
        let told = aborted.map(|aborted| AbortedTransaction {
            producer_id: aborted.producer_id,
            first_offset: aborted.first_offset,
        });
        told.collect()
    }

    fn has_fault(&self) -> bool {
        !self.error_code.is_none() || self.diverging_epoch != EpochEndOffset::default()
    }

    fn told(&self) -> Told {
        Told {
            high_watermark: self.high_watermark,
            log_start_offset: self.log_start_offset,
            has_records: self.run.bytes > 0,
            has_fault: self.has_fault(),
        }
    }
}

/// Where the log has parted from what the client read, if it has: its last record has an epoch that ends earlier here.
fn diverging(partition: &Partition, wanted: &Wanted) -> Result<Option<EpochEndOffset>, ErrorCode> {
    let read = wanted.last_fetched_epoch;
    if read.is_none() {
        return Ok(None);
    }
    let (epoch, end_offset) = partition.log.end_of_epoch(read).ok_or(ErrorCode::OFFSET_OUT_OF_RANGE)?;
    // Where the logs parted before this one's start nobody can tell any more (Kafka's `Partition`).
    if wanted.offset < partition.log.start_offset() {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    let parted = epoch < read || end_offset < wanted.offset;
    Ok(parted.then_some(EpochEndOffset { epoch, end_offset }))
}

fn unwatch(state: &mut State, wanted: &[(Named, Wanted)], connection: ConnectionId) {
    for (named, _) in wanted {
        if let Some(partition) = partition_mut(state, named) {
            partition.watchers.remove(&connection);
        }
    }
}

fn name_of(state: &State, named: &Named) -> Option<Text> {
    state.resolve(!named.topic_id.is_zero(), &named.topic_id, &named.topic).ok()
}

fn partition<'a>(state: &'a State, named: &Named) -> Option<&'a Partition> {
    let name = name_of(state, named)?;
    state.topics.get(name.as_bytes())?.partition(named.partition)
}

fn partition_mut<'a>(state: &'a mut State, named: &Named) -> Option<&'a mut Partition> {
    let name = name_of(state, named)?;
    state.topics.get_mut(name.as_bytes())?.partition_mut(named.partition)
}
