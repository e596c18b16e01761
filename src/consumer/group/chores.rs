//! What partitions that come and go mean for the application: the [`Step`](crate::engine::group::Step)s that take their
//! time. Heartbeats and commits go on meanwhile.

use super::commit;
use super::ties::Standing;
use crate::consumer::RebalanceKind;
use crate::consumer::listener;
use crate::consumer::shared::{Shared, State};
use crate::engine::TopicPartition;
use crate::engine::assign::Topics;
use crate::engine::view::View;
use crate::messages::LeaderEpoch;
use crate::task;
use crate::wire::Text;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// What the listener has at least, when giving partitions back has taken all the time there was.
const LEAST_TO_LISTEN: Duration = Duration::from_secs(1);

/// Gives partitions back in order: waits until nothing of them is in the application's hands, commits what is done, tells
/// the listener. It takes `patience` and a moment at the most: other members do not wait any longer.
pub(super) async fn revoke(shared: &Arc<Shared>, partitions: Vec<TopicPartition>, patience: Duration) {
    let by = task::after(task::now(), patience);
    withhold(shared, &partitions, true);
    let waits = Waits::begin(shared);
    let in_time = shared
        .reached(by, |state| {
            is_over(state) || !partitions.iter().any(|partition| state.is_in_hand(partition))
        })
        .await;
    drop(waits);
    if !in_time {
        tracing::warn!(
            partitions = partitions.len(),
            "partitions are given back while the application has records of them: another member reads these again"
        );
    }
    let committed = shared.with(|state| {
        let ties =
            state.ties.as_ref().filter(|ties| ties.auto_commit && ties.standing != Standing::Outside)?;
        let by = ties.closing.map_or(by, |closing| closing.min(by));
        let deadline = by.min(task::after(task::now(), shared.timeout));
        let (reply, committed) = oneshot::channel();
        state.auto_commit(&partitions, Some(reply), deadline);
        Some(committed)
    });
    if let Some(committed) = committed {
        shared.ask_group.notify_one();
        let outcome = tokio::select! {
            biased;
            outcome = committed => outcome,
            // Who was cast out meanwhile commits nothing any more, and has to join again.
            _ = shared.reached(never(), is_over) => Ok(Ok(())),
        };
        if let Ok(Err(error)) = outcome {
            tracing::warn!(%error, "what was done before a rebalance was not committed");
            shared.with(|state| state.ties.as_mut().map(|ties| ties.part_with(error)));
        }
    }
    // However long all that took: whoever was told that they came is told that they go.
    let moment = task::after(task::now(), LEAST_TO_LISTEN.min(patience));
    listener::tell(shared, RebalanceKind::Revoked, &partitions, by.max(moment)).await;
    // Commits that the application has ordered before come first.
    shared.reached(by, |state| is_over(state) || !state.has_commits_of(&partitions)).await;
    shared.redirect(|state| state.release(&partitions));
}

/// Drops partitions that others have.
pub(super) async fn lose(shared: &Arc<Shared>, partitions: Vec<TopicPartition>, patience: Duration) {
    tracing::warn!(
        partitions = partitions.len(),
        "the group has given this member's partitions to others: what was not committed is read again there"
    );
    // What was taken away before it was known where to begin nobody has heard of.
    let known = |state: &State, partition: &TopicPartition| state.cursors.position(partition).is_ok();
    let partitions = shared.redirect(|state| {
        let partitions: Vec<_> = partitions.into_iter().filter(|partition| known(state, partition)).collect();
        state.release(&partitions);
        partitions
    });
    if partitions.is_empty() {
        return;
    }
    let by = task::after(task::now(), patience);
    listener::tell(shared, RebalanceKind::Lost, &partitions, by).await;
}

/// Begins with partitions at their committed offsets.
pub(super) async fn assign(shared: &Arc<Shared>, partitions: Vec<TopicPartition>, patience: Duration) {
    if !partitions.is_empty() && !begin(shared, &partitions).await {
        return;
    }
    let by = task::after(task::now(), patience);
    listener::tell(shared, RebalanceKind::Assigned, &partitions, by).await;
    withhold(shared, &partitions, false);
}

/// Looks up where to begin, for as long as that takes; false when they are taken away again before it is known.
async fn begin(shared: &Arc<Shared>, partitions: &[TopicPartition]) -> bool {
    let committed = loop {
        let deadline = task::after(task::now(), shared.timeout);
        let asked = tokio::select! {
            biased;
            gone = shared.reached(never(), is_over) => {
                if gone { return false } else { continue }
            }
            asked = commit::committed(shared, partitions, deadline) => asked,
        };
        match asked {
            Ok(committed) => break committed,
            Err(error) => {
                tracing::warn!(%error, "it is not known yet where to begin");
                if !error.is_retriable() {
                    shared.with(|state| state.ties.as_mut().map(|ties| ties.tell(error)));
                }
                let pause = shared.cluster.config().retry_backoff_max;
                task::sleep_until(task::after(task::now(), pause)).await;
            }
        }
    };
    // After a standstill they may be others' since long.
    shared.reached(never(), |state| is_over(state) || !state.holds(task::now())).await;
    if shared.with(is_over) {
        return false;
    }
    shared.redirect(|state| {
        for partition in partitions {
            let known = committed.get(partition);
            let epoch = known.and_then(|known| known.leader_epoch).map_or(LeaderEpoch::NONE, LeaderEpoch);
            let at = known.map(|known| (known.offset, epoch));
            state.cursors.assign_committed(partition, at);
            state.cursors.withhold(partition, true);
            if let Some(ties) = &mut state.ties {
                ties.unsaved.remove(partition);
                ties.committed.extend(at.map(|(offset, _)| (partition.clone(), offset)));
            }
        }
    });
    true
}

/// Which partitions topics have, for the leader. What is not in the view after it was refreshed is not there.
pub(super) async fn topics(shared: &Shared, names: &[Text]) -> Topics {
    let is_known = |view: &View| names.iter().all(|name| view.topic(name).is_some());
    let mut view = shared.cluster.view();
    // A topic that is only just made has no leader at first.
    for _ in 0..2 {
        if is_known(&view) {
            break;
        }
        let deadline = task::after(task::now(), shared.cluster.config().request_timeout);
        match shared.cluster.refresh(deadline).await {
            Ok(newer) => view = newer,
            Err(error) => tracing::warn!(%error, "assigns with what is known of the topics"),
        }
    }
    let mut topics = Topics::default();
    for name in names {
        let Some(topic) = view.topic(name) else { continue };
        let rack = |id: &_| view.broker(*id).and_then(|broker| broker.rack.clone());
        let racks = topic.partitions.iter().map(|partition| partition.replicas.iter().map(rack).collect());
        topics.add_with_racks(name.clone(), racks.collect());
    }
    topics
}

fn withhold(shared: &Shared, partitions: &[TopicPartition], withheld: bool) {
    shared.redirect(|state| {
        for partition in partitions {
            state.cursors.withhold(partition, withheld);
        }
        if !withheld {
            state.wake_all();
        }
    });
}

/// So late that something else ends the wait.
fn never() -> Instant {
    task::after(task::now(), Duration::from_secs(86_400))
}

/// Whether it is of no use to wait any longer: the consumer has to be gone by now, or the partitions belong to others.
fn is_over(state: &mut State) -> bool {
    state.ties.as_ref().is_none_or(|ties| {
        ties.standing == Standing::Outside || ties.closing.is_some_and(|by| by <= task::now())
    })
}

/// While it lives the application's coming back is told.
struct Waits<'a>(&'a Shared);

impl Waits<'_> {
    fn begin(shared: &Shared) -> Waits<'_> {
        count(shared, |waits| waits.saturating_add(1));
        Waits(shared)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        count(self.0, |waits| waits.saturating_sub(1));
    }
}

fn count(shared: &Shared, change: impl Fn(usize) -> usize) {
    shared.with(|state| {
        if let Some(ties) = &mut state.ties {
            ties.waits = change(ties.waits);
        }
    });
}
