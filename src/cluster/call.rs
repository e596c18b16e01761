//! Requests that find their broker, and are repeated as long as that can help.

use super::{Cluster, Link};
use crate::engine::retry::{Failure, Next, Repeat};
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::messages::{Request, Route};
use crate::net::pool::Peer;
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
            let outcome = task::until(deadline, self.try_once(reach, &build, wanted, deadline)).await;
            let error = match outcome {
                None => return Err(Error::new(ErrorKind::Timeout, format!("wait for {}", R::API.key))),
                Some(Ok(response)) => match judge(&response) {
                    None => return Ok(response),
                    Some(error) => error,
                },
                Some(Err(error)) => error,
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
            tracing::debug!(%error, ?next, attempt, "request failed");
            self.prepare(next, deadline, error).await?;
        }
    }

    /// Does what comes before the next attempt; the error when there is none.
    pub(crate) async fn prepare(&self, next: Next, deadline: Instant, error: Error) -> Result<()> {
        match next {
            Next::Fail | Next::Done => Err(error),
            Next::Expire => Err(Error::new(ErrorKind::Timeout, "give up: the time is over").source(error)),
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
    ) -> Result<R::Response> {
        let link = self.some_link::<R>(reach, deadline).await?;
        let version = link.version::<R>(wanted)?;
        link.send(&build(version), version).await?.await
    }

    async fn some_link<R: Request>(&self, reach: Reach, deadline: Instant) -> Result<Link> {
        self.shared.open()?;
        let view = self.view();
        let controller = view.controller().filter(|_| reach == Reach::Controller);
        if let Some(broker) = controller {
            return self.link(broker.id, R::API.lane, deadline).await;
        }
        let mut peers = self.shared.known_brokers();
        if peers.is_empty() {
            let bootstrap = self.config().bootstrap_servers.iter();
            peers.extend(bootstrap.map(|address| Peer { id: None, address: address.clone() }));
        }
        match peers.first() {
            Some(peer) => self.shared.link(peer, R::API.lane, deadline).await,
            None => Err(Error::config("bootstrap.servers names no broker")),
        }
    }
}

fn route(reach: Reach) -> Route {
    match reach {
        Reach::Any => Route::Any,
        Reach::Controller => Route::Controller,
    }
}
