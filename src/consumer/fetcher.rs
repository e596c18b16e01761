//! The task behind a consumer: asks each leader on its own, so that none waits for another, and fills the queue.

use super::shared::{Running, Shared, State, Waking};
use crate::cluster::{Cluster, OwnLane};
use crate::engine::cursor::{Effects, FetchPlan, ResetPlan};
use crate::error::Result;
use crate::messages::{BrokerId, FetchRequest, FetchResponse, Lane, ListOffsetsResponse};
use crate::task::{self, Together};
use crate::wire::Span;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument;

/// How long an answer may take beyond what the broker may wait for records, until it is doubted that this broker still
/// leads: one that stands still keeps its connections, and another one is elected long before a request is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who has to do with so many bytes is woken behind the next request, which the broker answers meanwhile.
const MUCH_BYTES: usize = 64 * 1024;

/// What a request to one leader came to.
enum Done {
    Fetch { plan: Box<FetchPlan>, answer: Result<FetchResponse>, took: Duration },
    Reset(ResetPlan, Result<ListOffsetsResponse>),
}

pub(super) async fn run(shared: Arc<Shared>, _running: Running) {
    let lane = shared.cluster.lane_of_ones_own(Lane::Fetch);
    fetch_until_closed(&shared, &lane).await;
    let sessions = shared.with(|state| {
        let sessions = state.cursors.end_sessions();
        // Positions are still to be committed.
        if state.ties.is_none() {
            state.cursors.clear();
        }
        sessions
    });
    let goodbyes = sessions.iter().map(|(broker, goodbye)| say_goodbye(&shared, &lane, *broker, goodbye));
    task::join_all(goodbyes).await;
}

async fn fetch_until_closed(shared: &Shared, lane: &OwnLane) {
    let mut requests = Together::new();
    let mut views = shared.cluster.views();
    let mut rng = task::rng();
    let mut waking = None;
    loop {
        views.mark_unchanged();
        let Some(deadline) = start(shared, lane, &mut requests) else { return };
        let now = task::now();
        // A day stands for "nothing is due": every other reason to go on wakes the task.
        let deadline = deadline.unwrap_or_else(|| task::after(now, Duration::from_secs(86_400)));
        tokio::select! {
            biased;
            done = requests.next() => waking = finish(shared, done, &mut rng),
            () = wake(waking.take()), if waking.is_some() => {}
            () = shared.plan.notified() => {}
            _ = views.changed() => {}
            () = task::sleep_until(deadline) => {}
        }
    }
}

/// Asks what can be asked now. When there is something to be asked later, if nothing happens before; `None` once the
/// consumer is closed.
fn start<'a>(
    shared: &'a Shared,
    lane: &'a OwnLane,
    requests: &mut Together<'a, Done>,
) -> Option<Option<Instant>> {
    let view = shared.cluster.view();
    let now = task::now();
    let (resets, fetches, is_stale, deadline) = shared.with(|state| {
        let State { cursors, fetching, resetting, closed: false, .. } = state else { return None };
        let (resets, lost) = cursors.plan_resets(&view, now, task::wall_ms(), resetting);
        let (fetches, is_stale) = cursors.plan_fetches(&view, now, fetching);
        resetting.extend(resets.iter().map(|plan| plan.broker));
        fetching.extend(fetches.iter().map(|plan| plan.broker));
        Some((resets, fetches, lost || is_stale, cursors.deadline(now)))
    })?;
    for plan in resets {
        requests.push(async move {
            let answer = list_offsets(&shared.cluster, &plan).await;
            Done::Reset(plan, answer)
        });
    }
    for mut plan in fetches {
        let partitions = plan.partition_count();
        let span = tracing::debug_span!("Fetch", broker = plan.broker.0, partitions);
        let request = async move {
            let began = task::now();
            let due = task::after(began, plan.max_wait().saturating_add(PATIENCE));
            let answer = fetch(lane, shared.cluster.config().request_timeout, &mut plan);
            let answer = or_who_leads(&shared.cluster, due, answer).await;
            let took = task::now().saturating_duration_since(began);
            tracing::trace!(?took, answered = answer.is_ok(), "the request is over");
            Done::Fetch { plan: Box::new(plan), answer, took }
        };
        requests.push(request.instrument(span));
    }
    if !is_stale {
        return Some(deadline);
    }
    shared.cluster.ask_for_metadata();
    // Nobody tells when a refresh has failed: ask again after a while.
    let again = task::after(now, shared.cluster.config().retry_backoff_max);
    Some(Some(deadline.map_or(again, |deadline| deadline.min(again))))
}

/// Wakes those who wait for an answer, once the requests are written that others have ready.
async fn wake(waking: Option<Waking>) {
    task::give_way().await;
    drop(waking);
}

/// Takes note of an answer. Whom to wake for it, where that is to be done after the next request.
fn finish(shared: &Shared, done: Done, rng: &mut fastrand::Rng) -> Option<Waking> {
    let now = task::now();
    let ((effects, bytes), waking) = shared.with_waking(|state| match done {
        Done::Reset(plan, answer) => {
            state.resetting.remove(&plan.broker);
            let refresh = state.cursors.digest_reset(&plan, answer, now, rng);
            (Effects { refresh, ..Effects::default() }, 0)
        }
        Done::Fetch { plan, answer, took } => {
            state.fetching.remove(&plan.broker);
            let bytes = state.recorder.fetched(&answer, took);
            (state.cursors.digest_fetch(&plan, answer, now, rng), bytes)
        }
    });
    let waking = Some(waking).filter(|_| bytes >= MUCH_BYTES);
    let Effects { refresh, hints, endpoints } = effects;
    if !hints.is_empty() {
        shared.cluster.amend_view(|view| view.apply_hints(&hints, &endpoints) > 0);
    }
    if refresh {
        shared.cluster.ask_for_metadata();
    }
    waking
}

async fn fetch(lane: &OwnLane, timeout: Duration, plan: &mut FetchPlan) -> Result<FetchResponse> {
    let link = lane.link(plan.broker, task::after(task::now(), timeout)).await?;
    let version = link.version::<FetchRequest>(plan.versions())?;
    link.send(&plan.request(version), version).await?.await
}

/// Waits for an answer. Asks who leads by now, once a second or so, while it is overdue.
async fn or_who_leads<T>(cluster: &Cluster, mut due: Instant, answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    loop {
        if let Some(answer) = task::until(due, &mut answer).await {
            return answer;
        }
        cluster.ask_for_metadata();
        due = task::after(task::now(), cluster.config().retry_backoff_max);
    }
}

async fn list_offsets(cluster: &Cluster, plan: &ResetPlan) -> Result<ListOffsetsResponse> {
    let timeout = cluster.config().request_timeout;
    let deadline = task::after(task::now(), timeout);
    let link = cluster.link(plan.broker, Lane::Normal, deadline).await?;
    link.call(&plan.request(timeout), Span::from(1)).await
}

/// Ends the session with a broker (KIP-227), unless that takes longer than a request that may still be under way.
async fn say_goodbye(shared: &Shared, lane: &OwnLane, broker: BrokerId, goodbye: &FetchRequest) {
    const SESSIONS: Span = Span::from(7);
    let deadline = task::after(task::now(), shared.patience);
    let said = async { lane.link(broker, deadline).await?.call(goodbye, SESSIONS).await };
    match task::until(deadline, said).await {
        Some(Ok(_)) => {}
        Some(Err(error)) => tracing::debug!(%broker, %error, "the fetch session was not ended"),
        None => tracing::debug!(%broker, "the fetch session was not ended in time"),
    }
}
