//! Metadata: one view of the cluster for everybody, refreshed by one task on age, on demand and on error.
//!
//! Whoever finds the view wanting (an unknown topic, a leader that is none) asks for a refresh; many that ask at once get
//! one request, which begins after they asked. The last good view stays until a better one is there, however many
//! refreshes fail. Rounds that bring nothing new are followed by pauses that grow, as after failures: whoever asks again
//! and again gets about one request a second.
//!
//! Any broker can answer. The one that is asked is drawn by chance among those that are ready; when it takes long, or
//! what it says makes no sense, another one is asked, and behind the known brokers come the bootstrap servers (KIP-899).

use super::link::Link;
use super::{Needs, Shared};
use crate::config::RecoveryStrategy;
use crate::engine::retry::Backoff;
use crate::engine::view::{Asked, Changes, UnknownLeader, View};
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{ErrorCode, Lane, MetadataRequest, MetadataRequestTopic, MetadataResponse};
use crate::net::pool::Peer;
use crate::task::{self, race};
use crate::wire::{Span, Text};
use std::collections::BTreeMap;
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
    /// Held by whoever changes the view, so that no change is lost; readers do not wait for it.
    changing: Mutex<()>,
    last_round: watch::Sender<Round>,
    wants: Mutex<Wants>,
    wake: Notify,
}

/// The last round that has ended, well or not.
#[derive(Debug, Clone, Default)]
struct Round {
    number: u64,
    error: Option<Error>,
    /// There will be no other.
    closed: bool,
}

/// A topic that somebody looks for.
#[derive(Debug, Clone, Copy)]
struct Want {
    /// Whether the broker may create it. Not any more once it was seen: who deletes it then means it.
    create: bool,
    until: Instant,
}

#[derive(Debug, Default)]
struct Wants {
    topics: BTreeMap<Text, Want>,
    /// Those who need topics for as long as they are there.
    users: Vec<Weak<dyn Needs>>,
    refresh: bool,
    rebootstrap: bool,
    /// The number of the last round that has begun.
    begun: u64,
}

impl Metadata {
    pub(super) fn new() -> Metadata {
        Metadata {
            view: watch::Sender::new(View::default()),
            changing: Mutex::default(),
            last_round: watch::Sender::new(Round::default()),
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

    /// Asks for a refresh soon, without waiting for it. It will have a higher number than the one that is returned.
    pub(super) fn ask(&self) -> u64 {
        let begun = {
            let mut wants = self.wants();
            wants.refresh = true;
            wants.begun
        };
        self.wake.notify_one();
        begun
    }

    /// Asks to start from the bootstrap servers (KIP-1102).
    pub(super) fn ask_to_rebootstrap(&self) {
        self.wants().rebootstrap = true;
        self.ask();
    }

    /// Keeps these topics in the view until a time.
    pub(super) fn want_topics(&self, topics: impl IntoIterator<Item = Text>, create: bool, until: Instant) {
        let mut wants = self.wants();
        for topic in topics {
            let want = wants.topics.entry(topic).or_insert(Want { create, until });
            *want = Want { create: want.create || create, until: want.until.max(until) };
        }
    }

    /// Keeps the topics in the view that `user` needs, for as long as he is there.
    pub(super) fn add_user(&self, user: Weak<dyn Needs>) {
        let mut wants = self.wants();
        wants.users.retain(|user| user.strong_count() > 0);
        wants.users.push(user);
    }

    /// The topics that the view is to have, and whether the broker may create them. All others are forgotten (KIP-526).
    fn needed(&self) -> BTreeMap<Text, bool> {
        let now = task::now();
        let (mut topics, users): (BTreeMap<Text, bool>, Vec<_>) = {
            let mut wants = self.wants();
            wants.topics.retain(|_, want| want.until > now);
            let topics = wants.topics.iter().map(|(topic, want)| (topic.clone(), want.create)).collect();
            (topics, wants.users.clone())
        };
        // Users have locks of their own.
        for (topic, create) in users.iter().filter_map(Weak::upgrade).flat_map(|user| user.topics(now)) {
            *topics.entry(topic).or_default() |= create;
        }
        topics
    }

    /// Replaces the view by one that `change` has made better: a hint of a broker.
    pub(super) fn amend(&self, change: impl FnOnce(&mut View) -> bool) {
        let _changing = lock(&self.changing);
        self.view.send_if_modified(change);
    }

    /// Takes over what a broker says; whether anything in it is new.
    fn learn(&self, answers: Vec<MetadataResponse>) -> Result<bool> {
        let _changing = lock(&self.changing);
        let mut view = self.view();
        let mut is_news = false;
        for answer in answers {
            let changes = view.apply(answer, Asked::SomeTopics)?;
            is_news |= brings_news(&changes);
            report(&changes);
        }
        let needed = self.needed();
        view.forget_unless(|topic| needed.contains_key(topic));
        for (topic, want) in &mut self.wants().topics {
            want.create &= view.topic(topic).is_none();
        }
        self.view.send_replace(view);
        Ok(is_news)
    }

    /// Ends all waits: there will be no other view.
    pub(super) fn close(&self) {
        self.last_round.send_modify(|round| round.closed = true);
    }

    /// Ready when a refresh is wanted.
    async fn wanted(&self) {
        while !self.wants().refresh {
            self.wake.notified().await;
        }
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
        let mut rounds = self.last_round.subscribe();
        let mut last = None;
        loop {
            let before = self.ask();
            let is_over = |round: &Round| round.closed || round.number > before;
            let ended =
                async { rounds.wait_for(is_over).await.map(|round| round.clone()).unwrap_or_default() };
            let Some(round) = task::until(deadline, ended).await else {
                let error = Error::new(ErrorKind::Timeout, "refresh metadata");
                return Err(last.map_or(error.clone(), |cause: Error| error.with_source(cause)));
            };
            match round.error {
                _ if round.closed => return Err(super::closed()),
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
        lock(&self.wants)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks can be left half done: a poisoned one is as good as any.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task that refreshes. The cluster ends it.
pub(super) async fn run(shared: Arc<Shared>) {
    let Shared { config, metadata, .. } = &*shared;
    let backoff = Backoff { base: config.retry_backoff, max: config.retry_backoff_max };
    let mut too_old = task::after(task::now(), config.metadata_max_age);
    let mut in_vain = 0u32;
    let mut failing_since = None;
    loop {
        task::until(too_old, metadata.wanted()).await;
        let begun = task::now();
        let outcome = refresh(&shared, failing_since).await;
        in_vain = if matches!(outcome, Ok(true)) { 0 } else { in_vain.saturating_add(1) };
        match &outcome {
            Ok(_) => failing_since = None,
            Err(error) => {
                failing_since = failing_since.or(Some(begun));
                tracing::warn!(%error, "metadata was not refreshed");
            }
        }
        metadata.last_round.send_modify(|round| {
            round.number = round.number.wrapping_add(1);
            round.error = outcome.err();
        });
        let pause = backoff.after(in_vain.max(1), &mut task::rng()).max(LEAST_PAUSE);
        task::sleep_until(task::after(begun, pause)).await;
        too_old = task::after(begun, config.metadata_max_age);
        // Who asks after a longer silence has another reason to.
        let silence = task::after(begun, backoff.max.saturating_mul(2));
        if task::until(silence.min(too_old), metadata.wanted()).await.is_none() {
            in_vain = 0;
        }
    }
}

/// What came of asking one broker.
enum Told {
    /// A view that holds water, and whether anything in it is new.
    View { is_news: bool },
    /// To start from the bootstrap servers (KIP-1102).
    Rebootstrap,
}

/// One round: asks until one broker has given a view that holds water. Says whether anything in it is new.
///
/// When rounds have failed for `metadata.recovery.rebootstrap.trigger.ms`, counted from the first that did, the bootstrap
/// servers are asked before those that were known (KIP-1102).
async fn refresh(cluster: &Arc<Shared>, failing_since: Option<Instant>) -> Result<bool> {
    let rebootstrap = {
        let mut wants = cluster.metadata.wants();
        wants.refresh = false;
        wants.begun = wants.begun.wrapping_add(1);
        std::mem::take(&mut wants.rebootstrap)
    };
    let requests = requests(&cluster.metadata.needed());
    let failing = failing_since.map(|since| task::now().saturating_duration_since(since));
    let stale = failing.is_some_and(|time| time >= cluster.config.metadata_recovery_rebootstrap_trigger);
    let may_rebootstrap = cluster.config.metadata_recovery_strategy == RecoveryStrategy::Rebootstrap;
    let mut peers = cluster.known_brokers();
    if !peers.is_empty() && !(may_rebootstrap && (rebootstrap || stale)) {
        if may_rebootstrap {
            peers.extend(cluster.bootstrap_servers());
        }
        if let Told::View { is_news } = ask_one_of(cluster, peers, &requests).await? {
            return Ok(is_news);
        }
    }
    let mut peers = cluster.bootstrap_servers();
    if stale && !rebootstrap {
        peers.extend(cluster.known_brokers());
    }
    match ask_one_of(cluster, peers, &requests).await? {
        Told::View { is_news } => Ok(is_news),
        Told::Rebootstrap => {
            Err(Error::broker_code(ErrorCode::REBOOTSTRAP_REQUIRED, "start from the bootstrap servers"))
        }
    }
}

/// One request for the topics that may be created and one for those that may not.
fn requests(topics: &BTreeMap<Text, bool>) -> Vec<MetadataRequest> {
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

async fn ask_one_of(cluster: &Arc<Shared>, peers: Vec<Peer>, requests: &[MetadataRequest]) -> Result<Told> {
    let deadline = task::after(task::now(), cluster.config.request_timeout);
    let asking = |peer| async {
        let told = ask(cluster, peer, requests, deadline).await;
        // Another one may do: then nobody is told of this.
        told.inspect_err(|error| tracing::debug!(%error, "a broker gave no metadata"))
    };
    let told = race(peers, STAGGER, deadline, asking).await;
    told.map_err(|failed| {
        let late = || Error::new(ErrorKind::Timeout, "ask any broker for metadata");
        super::worst(failed).unwrap_or_else(late)
    })
}

async fn ask(
    cluster: &Arc<Shared>,
    peer: Peer,
    requests: &[MetadataRequest],
    deadline: Instant,
) -> Result<Told> {
    let handle = cluster.pool.get(&peer, Lane::Normal, deadline).await?;
    let link = Link::new(handle, cluster.config.request_timeout);
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        // Version 4 is the first that can be told not to create topics.
        let answer = link.call(request, Span::from(4)).await?;
        if answer.error_code == ErrorCode::REBOOTSTRAP_REQUIRED
            && cluster.config.metadata_recovery_strategy == RecoveryStrategy::Rebootstrap
        {
            return Ok(Told::Rebootstrap);
        }
        answers.push(answer);
    }
    let is_news = cluster.metadata.learn(answers).map_err(|error| error.broker(&peer))?;
    // Bootstrap servers are kept as long as they are needed: to connect to them for each round would be a storm.
    cluster.forget_brokers_not_in(&cluster.metadata.view(), peer.id.is_none());
    Ok(Told::View { is_news })
}

fn brings_news(changes: &Changes) -> bool {
    let Changes { cluster, brokers, recreated, vanished, grown, leaders, .. } = changes;
    let topics = !(recreated.is_empty() && vanished.is_empty() && grown.is_empty());
    cluster.is_some() || !brokers.is_empty() || topics || *leaders > 0
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
    for error in &changes.errors {
        tracing::warn!(topic = ?error.name, code = %error.code, "topic cannot be told of");
    }
    if changes.leaderless > 0 {
        tracing::warn!(partitions = changes.leaderless, "partitions have no leader");
    }
    if let Some(UnknownLeader { topic, partition, leader }) = &changes.unknown_leader {
        tracing::warn!(%topic, partition, %leader, "metadata name a leader that they do not list: what was known stands");
    }
    tracing::debug!(
        leaders = changes.leaders,
        leaderless = changes.leaderless,
        stale = changes.stale,
        "metadata"
    );
}
