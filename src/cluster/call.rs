//! Requests that find their broker, and are repeated as long as that can help.

use super::link::said_of;
use super::{Cluster, Link};
use crate::engine::retry::{Failure, Next, Repeat, is_worth_a_warning};
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::messages::{Request, Route};
use crate::task;
use crate::wire::Span;
use std::time::Instant;

/// Who is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Any broker.
    Any,
    /// The controller; any broker passes requests on to it where the view names none.
    Controller,
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
        reach: Reach,
        build: impl Fn(i16) -> R,
        wanted: Span,
        deadline: Instant,
        judge: impl Fn(&R::Response) -> Option<Error>,
    ) -> Result<R::Response> {
        let policy = self.retries();
        let mut attempt = 0u32;
        loop {
            attempt = attempt.saturating_add(1);
            let mut used = None;
            let outcome = self.try_once(reach, &build, wanted, deadline, &mut used).await;
            let error = match outcome {
                Ok(response) => match judge(&response) {
                    None => return Ok(response),
                    Some(error) => error,
                },
                Err(error) => error,
            };
            let failure = Failure {
                fault: error.kind(),
                sent: if error.is_possibly_written() { Sent::Maybe } else { Sent::Never },
                repeat: if R::API.repeatable { Repeat::Read } else { Repeat::WriteOnce },
                route: route(reach),
                attempt,
                now: task::now(),
                deadline,
            };
            let next = policy.decide(&failure, &mut task::rng());
            if is_worth_a_warning(error.kind(), attempt) {
                tracing::warn!(%error, attempt, "a request fails again and again");
            } else {
                tracing::debug!(%error, ?next, attempt, "request failed");
            }
            if let (Next::Reconnect(_), Some(link)) = (next, &used) {
                link.close(error.clone());
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
            Next::Retry(at) | Next::Reconnect(at) => {
                task::sleep_until(at).await;
                Ok(())
            }
            Next::Refresh(at) | Next::FindCoordinator(at) => {
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
        reach: Reach,
        build: impl Fn(i16) -> R,
        wanted: Span,
        deadline: Instant,
        used: &mut Option<Link>,
    ) -> Result<R::Response> {
        let link = used.insert(self.some_link::<R>(reach, deadline).await?);
        let version = link.version::<R>(wanted)?;
        let late = |sent| {
            let attempt = format!("wait for the answer to {}", R::API.key);
            said_of::<R>(Error::new(ErrorKind::Timeout, attempt).broker(link.peer()).sent(sent))
        };
        let sent = task::until(deadline, link.send(&build(version), version)).await;
        let reply = sent.ok_or_else(|| late(Sent::Never))??;
        task::until(deadline, reply).await.ok_or_else(|| late(Sent::Maybe))?
    }

    async fn some_link<R: Request>(&self, reach: Reach, deadline: Instant) -> Result<Link> {
        let view = match self.view() {
            view if view.is_empty() => self.refresh(deadline).await?,
            view => view,
        };
        let controller = view.controller().filter(|_| reach == Reach::Controller).map(|broker| broker.id);
        let readiest = || self.shared.known_brokers().first().and_then(|peer| peer.id);
        match controller.or_else(readiest) {
            Some(broker) => self.link(broker, R::API.lane, deadline).await,
            None => Err(Error::new(ErrorKind::Internal, "find a broker: the view has none")),
        }
    }
}

fn route(reach: Reach) -> Route {
    match reach {
        Reach::Any => Route::Any,
        Reach::Controller => Route::Controller,
    }
}
