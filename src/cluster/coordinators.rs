//! Coordinators of groups: which broker coordinates a group is asked once, and again when somebody finds that it does no more.
//!
//! Any broker can answer; the one that is asked is the readiest, and when it takes long another one is asked beside it, as for
//! metadata. What a broker says stands until a request to the coordinator fails in a way that leaves doubt: then it is
//! forgotten, and the next request asks anew.
//!
//! Invariant: a coordinator that is remembered was in the view when it was. One that the view lacks, or has under another
//! address, makes a refresh first; refreshes that bring nothing new are paced, so whoever asks again and again waits.

use super::{Cluster, Link};
use crate::engine::retry::Repeat;
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::messages::{
    BrokerId, Coordinator, CoordinatorType, ErrorClass, ErrorCode, FindCoordinatorRequest, Request, Route,
};
use crate::task;
use crate::wire::{Span, Text};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long one broker is asked alone before another one is asked beside it.
const STAGGER: Duration = Duration::from_secs(1);
/// How often within the time after which an answer is overdue it is looked up whether another broker coordinates the group.
const LOOKS: u32 = 4;
/// Groups whose coordinators are remembered: a program that has to do with more of them asks more often.
const MAX_GROUPS: usize = 10_000;

/// The coordinators that are known.
#[derive(Debug, Default)]
pub(super) struct Coordinators {
    groups: Mutex<BTreeMap<Text, BrokerId>>,
}

impl Coordinators {
    fn of(&self, group: &Text) -> Option<BrokerId> {
        self.groups().get(group).copied()
    }

    fn remember(&self, group: &Text, broker: BrokerId) {
        let mut groups = self.groups();
        if groups.len() >= MAX_GROUPS && !groups.contains_key(group) {
            groups.pop_first();
        }
        groups.insert(group.detach(), broker);
    }

    fn forget(&self, group: &Text, broker: BrokerId) {
        let mut groups = self.groups();
        if groups.get(group) == Some(&broker) {
            groups.remove(group);
        }
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<Text, BrokerId>> {
        // Nothing under this lock can be left half done: a poisoned one is as good as any.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a failure of a request to a coordinator leaves doubt that it is the coordinator, or that it lives.
pub(super) fn leaves_doubt(fault: ErrorKind) -> bool {
    match fault {
        ErrorKind::Broker(code) => code.class() == ErrorClass::StaleCoordinator,
        ErrorKind::Timeout
        | ErrorKind::Disconnected
        | ErrorKind::Connect
        | ErrorKind::Resolve
        | ErrorKind::Protocol => true,
        _ => false,
    }
}

impl Cluster {
    /// The broker that coordinates a group: the one that is known, or the one that the brokers tell of. Asks until there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] with the last fault when there is none in time; what the brokers say when that is final
    /// (GROUP_AUTHORIZATION_FAILED, INVALID_GROUP_ID).
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn coordinator(&self, group: &Text, deadline: Instant) -> Result<BrokerId> {
        let mut attempt = 0u32;
        loop {
            attempt = attempt.saturating_add(1);
            let error = match self.coordinator_once(group, deadline).await {
                Ok(broker) => return Ok(broker),
                Err(error) => error,
            };
            let failed = super::call::Failed {
                policy: self.retries_of_reads(),
                repeat: Repeat::Read,
                route: Route::GroupCoordinator,
                attempt,
                deadline,
            };
            let next = failed.decide(&error);
            self.prepare(next, deadline, error).await?;
        }
    }

    /// Forgets that a broker coordinates a group, because it says that it does not, or does not answer. What was learnt since
    /// stays.
    pub(crate) fn forget_coordinator(&self, group: &Text, broker: BrokerId) {
        self.shared.coordinators.forget(group, broker);
    }

    /// Waits for an answer of a group's coordinator. Looks up, once it is overdue and then every so often, whether another broker
    /// coordinates the group by now: one that stands still keeps its connections, and another one takes over long before a
    /// request is given up.
    ///
    /// # Errors
    /// NOT_COORDINATOR when it is another one; the request may be carried out all the same.
    ///
    /// # Cancel safety
    /// That of the answer.
    pub(crate) async fn unless_moved<T>(
        &self,
        group: &Text,
        broker: BrokerId,
        patience: Duration,
        answer: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut answer = pin!(answer);
        let mut pause = patience;
        loop {
            let due = task::after(task::now(), pause);
            if let Some(answer) = task::until(due, &mut answer).await {
                return answer;
            }
            pause = patience / LOOKS;
            let again = task::after(task::now(), patience);
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                // Not the one that does not answer.
                found = self.find_coordinator(group, Some(broker), again) => {
                    if let Ok(found) = found && found.node_id != broker {
                        let attempt = format!(
                            "wait for an answer of broker {}, while {} coordinates group '{group}'",
                            broker.0, found.node_id.0
                        );
                        self.forget_coordinator(group, broker);
                        if let Err(error) = self.settle(group, found, again).await {
                            tracing::debug!(%error, "the next request looks the coordinator up again");
                        }
                        return Err(Error::broker_code(ErrorCode::NOT_COORDINATOR, attempt).sent(Sent::Maybe));
                    }
                }
            }
        }
    }

    /// As [`coordinator`](Self::coordinator), but asks once.
    pub(super) async fn coordinator_once(&self, group: &Text, deadline: Instant) -> Result<BrokerId> {
        if let Some(known) = self.shared.coordinators.of(group) {
            return Ok(known);
        }
        let found = self.find_coordinator(group, None, deadline).await?;
        self.settle(group, found, deadline).await
    }

    /// Makes sure that the view knows the broker that was found, and remembers it.
    async fn settle(&self, group: &Text, found: Coordinator, deadline: Instant) -> Result<BrokerId> {
        let id = found.node_id;
        let in_view = self.view().broker(id).map(|broker| (broker.host.clone(), i32::from(broker.port)));
        if in_view != Some((found.host, found.port)) {
            // One of the two is newer. After this the view is, as it comes later.
            let view = self.refresh(deadline).await?;
            if view.broker(id).is_none() {
                let attempt =
                    format!("find broker {}, which coordinates group '{group}': no metadata of it yet", id.0);
                return Err(Error::new(ErrorKind::Connect, attempt));
            }
        }
        self.shared.coordinators.remember(group, id);
        Ok(id)
    }

    /// Asks one broker after the other until one has answered, whatever it says. `last` is asked after all others.
    async fn find_coordinator(
        &self,
        group: &Text,
        last: Option<BrokerId>,
        deadline: Instant,
    ) -> Result<Coordinator> {
        if self.view().is_empty() {
            self.refresh(deadline).await?;
        }
        let mut brokers: Vec<BrokerId> =
            self.shared.known_brokers().into_iter().filter_map(|peer| peer.id).collect();
        brokers.sort_by_key(|broker| Some(*broker) == last);
        let deadline = deadline.min(task::after(task::now(), self.config().request_timeout));
        let asking = |broker| async move {
            let link = self.link(broker, FindCoordinatorRequest::API.lane, deadline).await?;
            task::until(deadline, ask(&link, group))
                .await
                .unwrap_or_else(|| Err(Error::new(ErrorKind::Timeout, attempt(group)).broker(link.peer())))
        };
        task::race(brokers, STAGGER, deadline, asking).await.unwrap_or_else(|failed| {
            let late = || Error::new(ErrorKind::Timeout, attempt(group));
            Err(super::worst(failed).unwrap_or_else(late))
        })
    }
}

/// What a broker says; the outer error when it did not say anything.
async fn ask(link: &Link, group: &Text) -> Result<Result<Coordinator>> {
    let version = link.version::<FindCoordinatorRequest>(Span::from(0))?;
    let request = FindCoordinatorRequest::one(CoordinatorType::GROUP, group.clone(), version);
    let answer = link.send(&request, version).await?.await?;
    let found =
        answer.into_coordinators(group.clone(), version).into_iter().find(|found| found.key == *group);
    let nonsense = |what| Error::new(ErrorKind::Protocol, format!("{}: {what}", attempt(group)));
    let found = found.ok_or_else(|| nonsense("the answer is about others").broker(link.peer()))?;
    if let Err(code) = found.error_code.ok() {
        return Ok(Err(refused(code, group).broker(link.peer())));
    }
    if found.node_id.0 < 0 {
        return Err(nonsense("the answer names no broker").broker(link.peer()));
    }
    Ok(Ok(found))
}

fn attempt(group: &Text) -> String {
    format!("find the coordinator of group '{group}'")
}

fn refused(code: ErrorCode, group: &Text) -> Error {
    let error = Error::broker_code(code, attempt(group));
    match code {
        ErrorCode::GROUP_AUTHORIZATION_FAILED => error.hint("the user lacks DESCRIBE or READ on the group"),
        ErrorCode::INVALID_GROUP_ID => error.hint("a group's id (group.id) must not be empty"),
        ErrorCode::COORDINATOR_NOT_AVAILABLE => error.hint(
            "the brokers have no leader for this group's partition of __consumer_offsets: are enough of them up?",
        ),
        _ => error,
    }
}
