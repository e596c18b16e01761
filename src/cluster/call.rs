//! Requests that find their broker, and are repeated as long as that can help.

use super::coordinators::leaves_doubt;
use super::link::said_of;
use super::{Cluster, Link};
use crate::engine::retry::{Failure, Next, Policy, Repeat, is_worth_a_warning};
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::messages::{BrokerId, Request, Route};
use crate::task;
use crate::wire::{Span, Text};
use std::time::{Duration, Instant};

/// How long a coordinator may take to answer what can be repeated, until it is doubted that it still is the coordinator.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach<'a> {
    /// Any broker.
    Any,
    /// The controller; any broker passes requests on to it where the view names none.
    Controller,
    /// The coordinator of this group.
    Group(&'a Text),
    /// This broker and no other, whether the view has it or not.
    Broker(BrokerId),
}

/// Whom an attempt has reached, as far as it went.
#[derive(Debug, Default)]
struct Used {
    broker: Option<BrokerId>,
    link: Option<Link>,
}

impl Cluster {
    /// Sends the request that `build` makes for the negotiated version, and repeats it until it is answered, the fault is final, or the time is over. `judge` finds the
    /// fault in an answer that was understood.
    ///
    /// # Errors
    /// The last fault; what it means for the data is the caller's to say.
    ///
    /// # Cancel safety
    /// A dropped future gives up the answer; the request may be carried out all the same.
    pub(crate) async fn call<R: Request>(
        &self,
        reach: Reach<'_>,
        build: impl Fn(i16) -> R,
        wanted: Span,
        deadline: Instant,
        judge: impl Fn(&R::Response) -> Option<Error>,
    ) -> Result<R::Response> {
        let mut attempt = 0u32;
        loop {
            attempt = attempt.saturating_add(1);
            let mut used = Used::default();
            let outcome = self.try_once(reach, &build, wanted, deadline, &mut used).await;
            let error = match outcome {
                Ok(response) => match judge(&response) {
                    None => return Ok(response),
                    Some(error) => error,
                },
                Err(error) => error,
            };
            let failed = Failed {
                policy: self.retries(),
                repeat: if R::API.repeatable { Repeat::Read } else { Repeat::WriteOnce },
                route: route(reach),
                attempt,
                deadline,
            };
            let next = failed.decide(&error);
            if let (Next::Reconnect(_), Some(link)) = (next, &used.link) {
                link.close(error.clone());
            }
            if let (Reach::Group(group), Some(broker)) = (reach, used.broker)
                && leaves_doubt(error.kind())
            {
                self.forget_coordinator(group, broker);
            }
            self.prepare(next, deadline, error).await?;
        }
    }

    /// Does what comes before the next attempt; the error when there is none.
    pub(crate) async fn prepare(&self, next: Next, deadline: Instant, error: Error) -> Result<()> {
        match next {
            Next::Fail | Next::Done => Err(error),
            // It says itself that the time is over, and where.
            Next::Expire if error.kind() == ErrorKind::Timeout => Err(error),
            Next::Expire => {
                Err(Error::new(ErrorKind::Timeout, "give up: the time is over").with_source(error))
            }
            // A coordinator that was forgotten is looked up by the next attempt.
            Next::Retry(at) | Next::Reconnect(at) | Next::FindCoordinator(at) => {
                task::sleep_until(at).await;
                Ok(())
            }
            Next::Refresh(at) => {
                task::sleep_until(at).await;
                self.refresh(deadline).await.map(drop)
            }
            Next::Rebootstrap(at) => {
                task::sleep_until(at).await;
                self.shared.metadata.ask_to_rebootstrap();
                self.refresh(deadline).await.map(drop)
            }
        }
    }

    async fn try_once<R: Request>(
        &self,
        reach: Reach<'_>,
        build: impl Fn(i16) -> R,
        wanted: Span,
        deadline: Instant,
        used: &mut Used,
    ) -> Result<R::Response> {
        let broker = *used.broker.insert(self.pick(reach, deadline).await?);
        let link = used.link.insert(self.link(broker, R::API.lane, deadline).await?);
        let version = link.version::<R>(wanted)?;
        let late = |sent| {
            let attempt = format!("wait for the answer to {}", R::API.key);
            said_of::<R>(Error::new(ErrorKind::Timeout, attempt).broker(link.peer()).sent(sent))
        };
        let sent = task::until(deadline, link.send(&build(version), version)).await;
        let reply = sent.ok_or_else(|| late(Sent::Never))??;
        let answer = task::until(deadline, reply);
        let answer = match reach {
            Reach::Group(group) if R::API.repeatable => {
                let answer = async { answer.await.transpose() };
                self.unless_moved(group, broker, PATIENCE, answer).await.transpose()
            }
            _ => answer.await,
        };
        answer.ok_or_else(|| late(Sent::Maybe))?
    }

    async fn pick(&self, reach: Reach<'_>, deadline: Instant) -> Result<BrokerId> {
        match reach {
            Reach::Group(group) => return self.coordinator_once(group, deadline).await,
            Reach::Broker(broker) => return Ok(broker),
            Reach::Any | Reach::Controller => {}
        }
        let view = match self.view() {
            view if view.is_empty() => self.refresh(deadline).await?,
            view => view,
        };
        let controller = view.controller().filter(|_| reach == Reach::Controller).map(|broker| broker.id);
        let readiest = || self.shared.known_brokers().first().and_then(|peer| peer.id);
        let nobody = || Error::new(ErrorKind::Internal, "find a broker: the view has none");
        controller.or_else(readiest).ok_or_else(nobody)
    }
}

/// What is known of a request that failed, beside the error.
pub(super) struct Failed {
    pub(super) policy: Policy,
    pub(super) repeat: Repeat,
    pub(super) route: Route,
    pub(super) attempt: u32,
    pub(super) deadline: Instant,
}

impl Failed {
    /// What to do, said in the log as well.
    pub(super) fn decide(&self, error: &Error) -> Next {
        let Failed { policy, repeat, route, attempt, deadline } = *self;
        let sent = if error.is_possibly_written() { Sent::Maybe } else { Sent::Never };
        let fault = error.kind();
        let failure = Failure { fault, sent, repeat, route, attempt, now: task::now(), deadline };
        let next = policy.decide(&failure, &mut task::rng());
        if is_worth_a_warning(fault, attempt) {
            tracing::warn!(%error, attempt, "a request fails again and again");
        } else {
            tracing::debug!(%error, ?next, attempt, "request failed");
        }
        next
    }
}

fn route(reach: Reach<'_>) -> Route {
    match reach {
        Reach::Any => Route::Any,
        Reach::Controller => Route::Controller,
        Reach::Group(_) => Route::GroupCoordinator,
        Reach::Broker(_) => Route::Node,
    }
}
