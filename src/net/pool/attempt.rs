//! [`Attempt`]: one connection from the wait for its turn until it is replaced, whoever asks for it meanwhile.

use super::pace::Pace;
use super::{Peer, lock};
use crate::config::{ClientConfig, HostPort};
use crate::engine::connection::Options;
use crate::error::{Error, ErrorKind, Result};
use crate::messages::ClientId;
use crate::net::auth::Auth;
use crate::net::dial::{Dial, Endpoint, Security};
use crate::net::driver::{Handle, establish};
use crate::task::{self, Owned};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::watch;

/// Requests in flight on one connection: Java's `max.in.flight.requests.per.connection` speaks of Produce alone, which
/// its sender bounds; this is for everything else.
const MAX_IN_FLIGHT: usize = 100;

/// What came of an attempt; `None` while it is under way.
type Outcome = Option<Result<Handle>>;

/// A connection, or what is to become one. It is made by a task of its own, so that callers that give up neither spoil it
/// for the others nor make the next one begin anew. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Attempt {
    outcome: watch::Receiver<Outcome>,
    _task: Owned,
}

/// What an attempt has come to.
pub(super) enum Stage {
    UnderWay(watch::Receiver<Outcome>),
    Open(Handle),
    /// It is over: another one may begin. `lost` when there was a connection, and the peer ended it.
    Over {
        lost: bool,
    },
}

/// What all attempts of a pool need.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) config: Arc<ClientConfig>,
    pub(super) dial: Arc<dyn Dial>,
    pub(super) security: Security,
    pub(super) auth: Arc<Auth>,
}

impl Attempt {
    pub(super) fn start(connector: &Arc<Connector>, peer: &Peer, pace: &Arc<Mutex<Pace>>) -> Attempt {
        let (sender, outcome) = watch::channel(None);
        let report = Report { outcome: sender, pace: Arc::clone(pace), peer: peer.clone() };
        let (connector, peer) = (Arc::clone(connector), peer.clone());
        let task = Owned::spawn(async move {
            let useless = report.wait_for_turn().await;
            let outcome = connector.connect(&peer, useless).await;
            report.tell(outcome);
        });
        Attempt { outcome, _task: task }
    }

    /// Where one stands that has just been started: whatever it has come to by now, on another thread, it is waited for
    /// and told.
    pub(super) fn begun(&self) -> Stage {
        Stage::UnderWay(self.outcome.clone())
    }

    /// Where it stands. Tells `pace` of a connection that has ended, for which the caller must forget it.
    pub(super) fn stage(&self, pace: &Mutex<Pace>) -> Stage {
        match &*self.outcome.borrow() {
            None => Stage::UnderWay(self.outcome.clone()),
            Some(Err(_)) => Stage::Over { lost: false },
            Some(Ok(handle)) => match handle.end() {
                None => Stage::Open(handle.clone()),
                Some(end) => {
                    let lost = !end.by_us;
                    lock(pace).ended(end);
                    Stage::Over { lost }
                }
            },
        }
    }

    /// Whether requests can be sent at once.
    pub(super) fn is_open(&self) -> bool {
        matches!(&*self.outcome.borrow(), Some(Ok(handle)) if handle.end().is_none())
    }
}

/// The way from an attempt to those who wait for it. A panic (in a dialler or token provider of the application) is told
/// as well, and counts as a failure.
struct Report {
    outcome: watch::Sender<Outcome>,
    pace: Arc<Mutex<Pace>>,
    peer: Peer,
}

impl Report {
    async fn wait_for_turn(&self) -> u32 {
        loop {
            let turn = lock(&self.pace).turn(task::now());
            match turn {
                Ok(useless) => return useless,
                Err(at) => task::sleep_until(at).await,
            }
        }
    }

    fn tell(&self, outcome: Result<Handle>) {
        match &outcome {
            Ok(_) => tracing::debug!(broker = %self.peer, "connected"),
            Err(error) => {
                tracing::warn!(%error, "no connection");
                lock(&self.pace).failed(error.clone(), task::now());
            }
        }
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = Error::new(ErrorKind::Internal, "connect: a dialler or token provider panicked");
            self.tell(Err(error.broker(&self.peer)));
        }
    }
}

impl Connector {
    /// Connects within the time that `useless` connections in a row leave it (KIP-601).
    ///
    /// A peer that was silent may have become well meanwhile, but not for the connection that it was silent on: when the
    /// first time-out's length is over, another one is begun beside it. Whatever comes first counts.
    async fn connect(&self, peer: &Peer, useless: u32) -> Result<Handle> {
        let first = self.config.connection_setup_timeout;
        let longest = self.config.connection_setup_timeout_max.max(first);
        let time = first.saturating_mul(1 << useless.min(10)).min(longest);
        let deadline = task::after(task::now(), time);
        let set_up = |()| async { Ok::<_, Infallible>(self.set_up(peer, deadline).await) };
        let begun = time.as_millis().div_ceil(first.as_millis().max(1)).clamp(1, 8);
        let outcome = task::race((0..begun).map(|_| ()).collect(), first, deadline, set_up).await;
        outcome.unwrap_or_else(|_| Err(late())).map_err(|error| error.broker(peer))
    }

    async fn set_up(&self, peer: &Peer, deadline: Instant) -> Result<Handle> {
        let HostPort { host, port, .. } = &peer.address;
        self.config.may_authenticate_with(host)?;
        self.auth.ready(deadline).await?;
        let endpoint = Endpoint::new(host.as_str(), *port, self.security.clone());
        let connected =
            task::until(deadline, self.dial.dial(&endpoint, deadline)).await.ok_or_else(late)??;
        tracing::trace!(broker = %peer, address = connected.peer, "transport is up");
        let options = Options {
            peer: peer.to_string(),
            client_id: Some(ClientId(self.config.client_id.as_str().into())),
            sasl: self.auth.is_sasl(),
            max_frame_bytes: self.config.receive_message_max_bytes,
            max_in_flight: MAX_IN_FLIGHT,
            max_idle: self.config.connections_max_idle,
            setup_deadline: deadline,
            rng: task::rng(),
        };
        let established = establish(connected.stream, options, Arc::clone(&self.auth)).await;
        established.inspect_err(|error| {
            if error.kind() == ErrorKind::Authentication {
                self.auth.refused();
            }
        })
    }
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "connect (socket.connection.setup.timeout.ms)")
}
