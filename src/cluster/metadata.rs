//! Metadata: one view of the cluster for everybody, refreshed by one task on age, on demand and on error.
//!
//! Whoever finds the view wanting (an unknown topic, a leader that is none) asks for a refresh; many that ask at once get
//! one request. The last good view stays until a better one is there, however many refreshes fail.
//!
//! Any broker can answer. The one that is asked is drawn by chance among those that are not backed off; when it takes
//! long a second one is asked beside it. When no known broker answers, the bootstrap servers are asked again (KIP-899).

use super::Shared;
use super::link::Link;
use crate::config::RecoveryStrategy;
use crate::engine::retry::Backoff;
use crate::engine::view::{Asked, Changes, View};
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{Lane, MetadataRequest, MetadataRequestTopic, MetadataResponse};
use crate::net::pool::Peer;
use crate::task::{self, race};
use crate::wire::{Span, Text};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How long one broker is asked alone before another one is asked beside it.
const STAGGER: Duration = Duration::from_secs(1);
/// A view is not asked for more often than this, whatever goes wrong.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// The state of metadata, shared by the task that refreshes it and those who read.
#[derive(Debug)]
pub(super) struct Metadata {
    view: watch::Sender<View>,
    /// Counts the rounds that have ended, well or not, and says how the last one did.
    rounds: watch::Sender<Round>,
    wants: Mutex<Wants>,
    wake: Notify,
}

#[derive(Debug, Clone, Default)]
struct Round {
    number: u64,
    error: Option<Error>,
}

#[derive(Debug, Default)]
struct Wants {
    /// By topic: whether the broker may create it.
    topics: HashMap<Text, bool>,
    refresh: bool,
    rebootstrap: bool,
}

impl Metadata {
    pub(super) fn new() -> Metadata {
        Metadata {
            view: watch::Sender::new(View::default()),
            rounds: watch::Sender::new(Round::default()),
            wants: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// The last good view.
    pub(super) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Tells of each new view.
    pub(super) fn subscribe(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Asks for a refresh soon, without waiting for it.
    pub(super) fn ask(&self) {
        self.wants().refresh = true;
        self.wake.notify_one();
    }

    /// Asks to start from the bootstrap servers (KIP-1102).
    pub(super) fn ask_to_rebootstrap(&self) {
        self.wants().rebootstrap = true;
        self.ask();
    }

    /// Keeps these topics in the view from now on.
    pub(super) fn add_topics(&self, topics: impl IntoIterator<Item = Text>, create: bool) {
        let mut wants = self.wants();
        for topic in topics {
            *wants.topics.entry(topic).or_default() |= create;
        }
    }

    /// Replaces the view by one that `change` has made better: a hint of a broker.
    pub(super) fn amend(&self, change: impl FnOnce(&mut View) -> bool) {
        self.view.send_if_modified(|view| change(view));
    }

    /// Waits for a refresh that begins after this call.
    ///
    /// # Errors
    /// Why no broker could be asked, when that will not pass by itself; a time-out otherwise.
    pub(super) async fn refresh(&self, deadline: Instant) -> Result<View> {
        self.refresh_until(deadline, |_| Some(Ok(()))).await
    }

    /// Refreshes until `enough` says so, or says why it never will be.
    pub(super) async fn refresh_until(
        &self,
        deadline: Instant,
        enough: impl Fn(&View) -> Option<Result<()>>,
    ) -> Result<View> {
        let mut rounds = self.rounds.subscribe();
        let mut last = None;
        loop {
            rounds.mark_unchanged();
            self.ask();
            let ended = task::until(deadline, rounds.changed()).await;
            if ended.is_none() {
                let error = Error::new(ErrorKind::Timeout, "refresh metadata");
                return Err(last.map_or(error.clone(), |cause: Error| error.source(cause)));
            }
            let round = rounds.borrow_and_update().clone();
            match round.error {
                Some(error) if !error.is_retriable() && error.kind() != ErrorKind::Protocol => {
                    return Err(error);
                }
                Some(error) => last = Some(error),
                None => {
                    let view = self.view();
                    match enough(&view) {
                        Some(outcome) => return outcome.map(|()| view),
                        None => last = None,
                    }
                }
            }
        }
    }

    fn wants(&self) -> MutexGuard<'_, Wants> {
        self.wants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that refreshes. It ends when the client is gone.
pub(super) async fn run(shared: Weak<Shared>) {
    let mut failures = 0u32;
    let mut last_success = task::now();
    loop {
        let Some(cluster) = shared.upgrade() else { return };
        let max_age = cluster.config.metadata_max_age;
        // Only a weak reference is held while waiting, so that a dropped client ends the task.
        let idle = task::after(task::now(), max_age);
        if !cluster.metadata.wants().refresh {
            let metadata = Arc::clone(&cluster.metadata);
            drop(cluster);
            task::until(idle, metadata.wake.notified()).await;
            let Some(again) = shared.upgrade() else { return };
            if again.is_closed() {
                return;
            }
            again.metadata.wants().refresh = true;
            continue;
        }
        let begun = task::now();
        let outcome = refresh(&cluster, last_success).await;
        // While leaders are missing, those who wait for them ask again and again: the pauses grow as after failures.
        failures = if matches!(outcome, Ok(false)) { 0 } else { failures.saturating_add(1) };
        if outcome.is_ok() {
            last_success = task::now();
        }
        if let Err(error) = &outcome {
            tracing::warn!(%error, "metadata was not refreshed");
        }
        cluster.metadata.rounds.send_modify(|round| {
            round.number = round.number.wrapping_add(1);
            round.error = outcome.err();
        });
        let backoff = Backoff { base: cluster.config.retry_backoff, max: cluster.config.retry_backoff_max };
        let pause = backoff.after(failures.max(1), &mut task::rng()).max(LEAST_PAUSE);
        drop(cluster);
        task::sleep_until(task::after(begun, pause).max(task::now())).await;
    }
}

/// One round: asks until one broker has given a view that holds water. Says whether something is missing in it that
/// another round may bring.
async fn refresh(cluster: &Arc<Shared>, last_success: Instant) -> Result<bool> {
    let (requests, rebootstrap) = {
        let mut wants = cluster.metadata.wants();
        wants.refresh = false;
        (requests(&wants.topics), std::mem::take(&mut wants.rebootstrap))
    };
    let stale = task::now().saturating_duration_since(last_success)
        >= cluster.config.metadata_recovery_rebootstrap_trigger;
    let may_rebootstrap = cluster.config.metadata_recovery_strategy == RecoveryStrategy::Rebootstrap;
    let known = cluster.known_brokers();
    let mut error = None;
    if !known.is_empty() && !(may_rebootstrap && (rebootstrap || stale)) {
        match ask_one_of(cluster, known, &requests).await {
            Ok(incomplete) => return Ok(incomplete),
            Err(failed) if !may_rebootstrap => return Err(failed),
            Err(failed) => error = Some(failed),
        }
    }
    let bootstrap = cluster.config.bootstrap_servers.iter();
    let bootstrap = bootstrap.map(|address| Peer { id: None, address: address.clone() }).collect();
    ask_one_of(cluster, bootstrap, &requests).await.map_err(|failed| {
        // A known broker that answered with something final says more than a bootstrap server that is down.
        error.filter(|error| !error.is_retriable()).unwrap_or(failed)
    })
}

/// One request for the topics that may be created and one for those that may not.
fn requests(topics: &HashMap<Text, bool>) -> Vec<MetadataRequest> {
    let mut names: Vec<(&Text, &bool)> = topics.iter().collect();
    names.sort();
    let (create, keep): (Vec<_>, Vec<_>) = names.into_iter().partition(|(_, create)| **create);
    let request = |topics: Vec<(&Text, &bool)>, allow_auto_topic_creation| MetadataRequest {
        topics: Some(
            topics
                .into_iter()
                .map(|(name, _)| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() })
                .collect(),
        ),
        allow_auto_topic_creation,
        ..Default::default()
    };
    match (create.is_empty(), keep.is_empty()) {
        (true, _) => vec![request(keep, false)],
        (false, true) => vec![request(create, true)],
        (false, false) => vec![request(create, true), request(keep, false)],
    }
}

async fn ask_one_of(cluster: &Arc<Shared>, peers: Vec<Peer>, requests: &[MetadataRequest]) -> Result<bool> {
    let deadline = task::after(task::now(), cluster.config.request_timeout);
    let answers = race(peers, STAGGER, deadline, |peer| ask(cluster, peer, requests, deadline)).await;
    let answers = answers.map_err(|failed| {
        let late = || Error::new(ErrorKind::Timeout, "ask any broker for metadata");
        // What a person has to mend is told before what may pass.
        let (retriable, last): (Vec<Error>, Vec<Error>) = failed.into_iter().partition(Error::is_retriable);
        last.into_iter().chain(retriable).next().unwrap_or_else(late)
    })?;
    let mut view = cluster.metadata.view();
    let mut incomplete = false;
    for answer in answers {
        let changes = view.apply(answer, Asked::SomeTopics)?;
        incomplete |= changes.is_incomplete();
        report(&changes);
    }
    cluster.forget_brokers_not_in(&view);
    cluster.metadata.view.send_replace(view);
    Ok(incomplete)
}

async fn ask(
    cluster: &Arc<Shared>,
    peer: Peer,
    requests: &[MetadataRequest],
    deadline: Instant,
) -> Result<Vec<MetadataResponse>> {
    let handle = cluster.pool.get(&peer, Lane::Normal, deadline).await?;
    let link = Link::new(handle, cluster.config.request_timeout);
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        // Version 4 is the first that can be told not to create topics.
        answers.push(link.call(request, Span::from(4)).await?);
    }
    Ok(answers)
}

/// Says what is worth a line in a log.
fn report(changes: &Changes) {
    if let Some((before, now)) = &changes.cluster {
        tracing::error!(%before, %now, "the brokers belong to another cluster than before");
    }
    for topic in &changes.recreated {
        tracing::warn!(topic = %topic.name, old = %topic.old, new = %topic.new, "topic was deleted and created again");
    }
    for topic in &changes.vanished {
        tracing::warn!(%topic, "topic is gone");
    }
    tracing::debug!(
        leaders = changes.leaders,
        leaderless = changes.leaderless,
        stale = changes.stale,
        "metadata"
    );
}
