//! The task behind a consumer: asks each leader on its own, so that none waits for another, and fills the queue.

use super::Shared;
use crate::cluster::{Cluster, OwnLane};
use crate::engine::cursor::{Effects, FetchPlan, ResetPlan};
use crate::error::Result;
use crate::messages::{BrokerId, FetchRequest, FetchResponse, Lane, ListOffsetsResponse};
use crate::task::{self, Tasks};
use crate::wire::Span;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a request to one leader came to.
enum Done {
    Fetch(Box<FetchPlan>, Result<FetchResponse>),
    Reset(ResetPlan, Result<ListOffsetsResponse>),
}

/// Leaders with a request under way.
#[derive(Default)]
struct Busy {
    fetch: BTreeSet<BrokerId>,
    reset: BTreeSet<BrokerId>,
}

/// The fetcher's end: nobody waits for batches any more, be it that the runtime was shut down.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.ready.notify_waiters();
    }
}

pub(super) async fn run(shared: Arc<Shared>) {
    let _ending = Ending(Arc::clone(&shared));
    let mut tasks = Tasks::new();
    let mut busy = Busy::default();
    let mut views = shared.cluster.views();
    let mut rng = task::rng();
    let lane = Arc::new(shared.cluster.lane_of_ones_own(Lane::Fetch));
    loop {
        views.mark_unchanged();
        let lacks_leaders = start(&shared, &lane, &mut busy, &mut tasks);
        let now = task::now();
        let deadline = shared.cursors().deadline(now);
        // A day stands for "nothing is due": every other reason to go on wakes the task.
        let mut deadline = deadline.unwrap_or_else(|| task::after(now, Duration::from_secs(86_400)));
        if lacks_leaders {
            // Nobody tells when a refresh has failed: ask again after a while.
            deadline = deadline.min(task::after(now, shared.cluster.config().retry_backoff_max));
        }
        tokio::select! {
            biased;
            done = tasks.next() => finish(&shared, &mut busy, done, &mut rng),
            () = shared.wake.notified() => {}
            _ = views.changed() => {}
            () = task::sleep_until(deadline) => {}
        }
        // Errors that planning found wait for the application as well.
        if shared.cursors().has_batches() {
            shared.ready.notify_waiters();
        }
    }
}

/// Asks what can be asked now; whether a partition has no leader that could be.
fn start(shared: &Shared, lane: &Arc<OwnLane>, busy: &mut Busy, tasks: &mut Tasks<Done>) -> bool {
    let view = shared.cluster.view();
    let now = task::now();
    let mut cursors = shared.cursors();
    let (resets, lost) = cursors.plan_resets(&view, now, task::wall_ms(), &busy.reset);
    let (fetches, leaderless) = cursors.plan_fetches(&view, now, &busy.fetch);
    drop(cursors);
    if lost || leaderless {
        shared.cluster.ask_for_metadata();
    }
    for plan in resets {
        busy.reset.insert(plan.broker);
        let cluster = shared.cluster.clone();
        tasks.spawn(async move {
            let answer = list_offsets(&cluster, &plan).await;
            Done::Reset(plan, answer)
        });
    }
    for mut plan in fetches {
        busy.fetch.insert(plan.broker);
        let (lane, timeout) = (Arc::clone(lane), shared.cluster.config().request_timeout);
        tasks.spawn(async move {
            let answer = fetch(&lane, timeout, &mut plan).await;
            Done::Fetch(Box::new(plan), answer)
        });
    }
    lost || leaderless
}

fn finish(shared: &Shared, busy: &mut Busy, done: Done, rng: &mut fastrand::Rng) {
    let now = task::now();
    let refresh = match done {
        Done::Reset(plan, answer) => {
            busy.reset.remove(&plan.broker);
            shared.cursors().digest_reset(&plan, answer, now, rng)
        }
        Done::Fetch(plan, answer) => {
            busy.fetch.remove(&plan.broker);
            let Effects { refresh, hints, endpoints } =
                shared.cursors().digest_fetch(&plan, answer, now, rng);
            if !hints.is_empty() {
                shared.cluster.amend_view(|view| view.apply_hints(&hints, &endpoints) > 0);
            }
            refresh
        }
    };
    if refresh {
        shared.cluster.ask_for_metadata();
    }
}

async fn fetch(lane: &OwnLane, timeout: Duration, plan: &mut FetchPlan) -> Result<FetchResponse> {
    let link = lane.link(plan.broker, task::after(task::now(), timeout)).await?;
    let version = link.version::<FetchRequest>(plan.versions())?;
    link.send(&plan.request(version), version).await?.await
}

async fn list_offsets(cluster: &Cluster, plan: &ResetPlan) -> Result<ListOffsetsResponse> {
    let timeout = cluster.config().request_timeout;
    let deadline = task::after(task::now(), timeout);
    let link = cluster.link(plan.broker, Lane::Normal, deadline).await?;
    link.call(&plan.request(timeout), Span::from(1)).await
}
