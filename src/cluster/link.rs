//! [`Link`]: typed requests on one connection: version, encoding, answer, throttling.

use crate::engine::connection::Answer;
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::messages::{Request, Response};
use crate::net::driver::{Call, Handle, Pending};
use crate::wire::{self, Gather, Span};
use bytes::BytesMut;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// A connection, as the layers above use it.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    handle: Handle,
    timeout: Duration,
    send_by: Option<Instant>,
}

/// What a request takes beside record sets, in most cases.
const USUAL_BYTES: usize = 256;

impl Link {
    pub(super) fn new(handle: Handle, timeout: Duration) -> Link {
        Link { handle, timeout, send_by: None }
    }

    /// The same connection, for requests that may not be sent any more after a time: while the broker throttles the client,
    /// they wait.
    pub(crate) fn send_by(self, send_by: Option<Instant>) -> Link {
        Link { send_by, ..self }
    }

    /// The same connection, for requests that a broker may hold back for longer than `request.timeout.ms`, as JoinGroup, which
    /// waits for the other members.
    pub(crate) fn with_timeout(self, timeout: Duration) -> Link {
        Link { timeout, ..self }
    }

    /// The newest version of an API that both sides speak and `wanted` allows.
    pub(crate) fn version<R: Request>(&self, wanted: Span) -> Result<i16> {
        self.handle.versions().pick(R::API.key, wanted).map_err(|error| error.broker(self.handle.peer()))
    }

    /// Sends nothing for so long, as if the broker had said so.
    #[cfg(all(test, feature = "broker"))]
    pub(crate) fn mute(&self, throttle: Duration) {
        self.handle.mute(throttle);
    }

    /// How errors name the broker.
    pub(super) fn peer(&self) -> &str {
        self.handle.peer()
    }

    /// Closes the connection because of what the broker said.
    pub(super) fn close(&self, error: Error) {
        self.handle.close(error);
    }

    /// Hands a request over; requests reach the broker in the order of these calls. What comes out waits for the answer.
    ///
    /// # Errors
    /// When the version cannot express the request, or the connection is gone: nothing was sent.
    ///
    /// # Cancel safety
    /// A dropped future has either handed the request over or not.
    pub(crate) async fn send<R: Request>(&self, request: &R, version: i16) -> Result<Reply<R>> {
        self.dispatch(request, version, true).await
    }

    /// Hands over a request that the broker does not answer: Produce with `acks=0`. The reply is there as soon as the
    /// request is on its way, and holds the default.
    pub(crate) async fn send_unanswered<R: Request>(&self, request: &R, version: i16) -> Result<Reply<R>> {
        self.dispatch(request, version, false).await
    }

    /// Sends a request in the newest common version and waits for the answer.
    ///
    /// # Cancel safety
    /// A dropped future gives up the answer; the request may be carried out all the same.
    pub(crate) async fn call<R: Request>(&self, request: &R, wanted: Span) -> Result<R::Response> {
        let version = self.version::<R>(wanted)?;
        self.send(request, version).await?.await
    }

    async fn dispatch<R: Request>(&self, request: &R, version: i16, answered: bool) -> Result<Reply<R>> {
        let mut sink =
            Gather::new(BytesMut::with_capacity(USUAL_BYTES), version, R::API.flexible.has(version));
        request.encode(&mut sink);
        let body = sink.finish().map_err(|error| {
            Error::new(ErrorKind::Internal, format!("encode a request of {} version {version}", R::API.key))
                .broker(self.handle.peer())
                .sent(Sent::Never)
                .with_source(error)
        })?;
        let call =
            Call { key: R::API.key, version, body, answered, timeout: self.timeout, send_by: self.send_by };
        let pending = self.handle.send(call).await.map_err(said_of::<R>)?;
        Ok(Reply { pending, handle: self.handle.clone(), answered, request: PhantomData })
    }
}

/// An answer that is on its way.
#[derive(Debug)]
pub(crate) struct Reply<R> {
    pending: Pending,
    handle: Handle,
    answered: bool,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Reply<R> {
    fn take(&self, answer: &Answer) -> Result<R::Response> {
        if !self.answered {
            return Ok(R::Response::default());
        }
        let response: R::Response =
            wire::decode(&answer.body, answer.version, R::API.flexible.has(answer.version)).map_err(
                |error| {
                    // Client and peer read different things: nothing else that comes from it can be trusted.
                    let attempt = format!("read the answer to {} version {}", R::API.key, answer.version);
                    let error = Error::protocol(attempt, error).broker(self.handle.peer()).sent(Sent::Maybe);
                    self.handle.close(error.clone());
                    error
                },
            )?;
        self.handle.proven();
        // Older versions were held back by the broker itself before it answered.
        let throttle = u64::try_from(response.throttle_time_ms()).unwrap_or(0);
        if throttle > 0 && R::API.client_throttles.has(answer.version) {
            tracing::debug!(broker = self.handle.peer(), throttle_ms = throttle, "throttled");
            self.handle.mute(Duration::from_millis(throttle));
        }
        Ok(response)
    }
}

impl<R: Request> Future for Reply<R> {
    type Output = Result<R::Response>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.pending).poll(cx));
        Poll::Ready(answer.and_then(|answer| self.take(&answer)).map_err(said_of::<R>))
    }
}

/// What can be repeated at will writes nothing.
pub(super) fn said_of<R: Request>(error: Error) -> Error {
    if R::API.repeatable { error.of_a_read() } else { error }
}
