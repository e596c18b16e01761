//! [`Pool`]: one connection for each broker and lane, made when first asked for, shared by everybody, replaced with
//! back-off when it ends.
//!
//! A broker is keyed by node id *and* address: when an id moves to another address, or two ids swap theirs, the old
//! connection is no longer found and closes as soon as nothing is under way on it.
//!
//! Invariants: one attempt at a time for each broker and lane; the back-off is the broker's, shared by its lanes, and it
//! grows also when connections are accepted and then end before they were of use, so that no peer makes us connect more
//! than a few times a second.

use crate::config::{ClientConfig, HostPort};
use crate::engine::connection::Options;
use crate::engine::retry::Backoff;
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{BrokerId, ClientId, Lane};
use crate::net::auth::Auth;
use crate::net::dial::{Dial, Endpoint, Security};
use crate::net::driver::{Handle, establish};
use crate::task;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests in flight on one connection: Java's `max.in.flight.requests.per.connection` speaks of Produce alone, which
/// its sender bounds; this is for everything else.
const MAX_IN_FLIGHT: usize = 100;
/// The number of [`Lane`]s.
const LANES: usize = 5;
/// A connection that lived shorter, or never gave an answer that could be understood, was of no use.
const OF_USE_AFTER: Duration = Duration::from_secs(5);

/// A broker, as connections know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    /// `None` for an entry of `bootstrap.servers`, whose id is not known yet.
    pub(crate) id: Option<BrokerId>,
    /// Where it listens.
    pub(crate) address: HostPort,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "{} ({})", id.0, self.address),
            None => write!(f, "{} (bootstrap)", self.address),
        }
    }
}

/// The connections of a client.
#[derive(Debug)]
pub(crate) struct Pool {
    config: Arc<ClientConfig>,
    dial: Arc<dyn Dial>,
    security: Security,
    auth: Arc<Auth>,
    brokers: Mutex<HashMap<Peer, Arc<Broker>>>,
}

/// The connections to one broker.
#[derive(Debug, Default)]
struct Broker {
    lanes: [tokio::sync::Mutex<Option<Handle>>; LANES],
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    not_before: Option<Instant>,
    last: Option<Error>,
}

impl Pool {
    pub(crate) fn new(
        config: Arc<ClientConfig>,
        dial: Arc<dyn Dial>,
        security: Security,
        auth: Arc<Auth>,
    ) -> Pool {
        Pool { config, dial, security, auth, brokers: Mutex::default() }
    }

    /// The connection to a broker on a lane: the one that is there, or a new one.
    ///
    /// # Errors
    /// Why the connection did not come about, or, while the broker is backed off past `deadline`, why the last one did not.
    ///
    /// # Cancel safety
    /// A connection that was being made is given up; the next caller makes it anew.
    pub(crate) async fn get(&self, peer: &Peer, lane: Lane, deadline: Instant) -> Result<Handle> {
        let broker = self.broker(peer);
        let late = || {
            let error = Error::new(ErrorKind::Timeout, "wait for a connection").broker(peer);
            broker.failures().last.clone().map_or(error.clone(), |last| error.source(last))
        };
        let slot = broker.lane(lane);
        let Some(mut slot) = task::until(deadline, slot.lock()).await else { return Err(late()) };
        if let Some(handle) = slot.as_ref() {
            match handle.end(OF_USE_AFTER) {
                None => return Ok(handle.clone()),
                Some((end, of_use)) => self.ended(&broker, end.error, end.at, of_use),
            }
            *slot = None;
        }
        let not_before = broker.failures().not_before;
        if let Some(at) = not_before {
            if at > deadline {
                return Err(late());
            }
            task::sleep_until(at).await;
        }
        let handle = self.connect(peer, &broker, deadline).await?;
        *slot = Some(handle.clone());
        Ok(handle)
    }

    /// What connections authenticate with.
    pub(crate) fn auth(&self) -> &Auth {
        &self.auth
    }

    /// When a broker may be connected to again; `None` when that is at once.
    pub(crate) fn backed_off_until(&self, peer: &Peer) -> Option<Instant> {
        let brokers = lock(&self.brokers);
        let until = brokers.get(peer)?.failures().not_before?;
        (until > task::now()).then_some(until)
    }

    /// Forgets brokers that `keep` does not want: their connections close when nothing is under way.
    pub(crate) fn retain(&self, keep: impl Fn(&Peer) -> bool) {
        lock(&self.brokers).retain(|peer, _| keep(peer));
    }

    fn broker(&self, peer: &Peer) -> Arc<Broker> {
        let mut brokers = lock(&self.brokers);
        if let Some(broker) = brokers.get(peer) {
            return Arc::clone(broker);
        }
        Arc::clone(brokers.entry(peer.clone()).or_default())
    }

    async fn connect(&self, peer: &Peer, broker: &Broker, deadline: Instant) -> Result<Handle> {
        let in_a_row = broker.failures().in_a_row;
        let longest = self.config.connection_setup_timeout_max.max(self.config.connection_setup_timeout);
        let setup = self.config.connection_setup_timeout.saturating_mul(1 << in_a_row.min(10)).min(longest);
        let setup_deadline = task::after(task::now(), setup).min(deadline);
        match self.set_up(peer, setup_deadline).await {
            Ok(handle) => {
                tracing::debug!(broker = %peer, "connected");
                Ok(handle)
            }
            Err(error) => {
                let error = error.broker(peer);
                tracing::warn!(%error, "no connection");
                self.failed(broker, error.clone(), task::now());
                Err(error)
            }
        }
    }

    async fn set_up(&self, peer: &Peer, setup_deadline: Instant) -> Result<Handle> {
        let late = || Error::new(ErrorKind::Timeout, "connect (socket.connection.setup.timeout.ms)");
        let HostPort { host, port, .. } = &peer.address;
        self.config.may_authenticate_with(host)?;
        self.auth.ready(setup_deadline).await?;
        let endpoint = Endpoint::new(host.as_str(), *port, self.security.clone());
        let dialled = task::until(setup_deadline, self.dial.dial(&endpoint, setup_deadline)).await;
        let connected = dialled.ok_or_else(late)??;
        tracing::trace!(broker = %peer, address = connected.peer, "transport is up");
        let options = Options {
            peer: peer.to_string(),
            client_id: Some(ClientId(self.config.client_id.as_str().into())),
            sasl: self.auth.is_sasl(),
            max_frame_bytes: self.config.receive_message_max_bytes,
            max_in_flight: MAX_IN_FLIGHT,
            max_idle: self.config.connections_max_idle,
            setup_deadline,
            rng: task::rng(),
        };
        let established = establish(connected.stream, options, Arc::clone(&self.auth)).await;
        established.inspect_err(|error| {
            if error.kind() == ErrorKind::Authentication {
                self.auth.refused();
            }
        })
    }

    /// Takes note of how a connection ended that had been set up.
    fn ended(&self, broker: &Broker, error: Error, at: Instant, of_use: bool) {
        if error.kind() == ErrorKind::Closed {
            return;
        }
        if of_use {
            broker.failures().in_a_row = 0;
        }
        self.failed(broker, error, at);
    }

    fn failed(&self, broker: &Broker, error: Error, at: Instant) {
        let backoff = Backoff { base: self.config.reconnect_backoff, max: self.config.reconnect_backoff_max };
        let mut failures = broker.failures();
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        let wait = backoff.after(failures.in_a_row, &mut task::rng());
        failures.not_before = Some(task::after(at, wait));
        failures.last = Some(error);
    }
}

impl Broker {
    fn lane(&self, lane: Lane) -> &tokio::sync::Mutex<Option<Handle>> {
        let [normal, produce, fetch, group, slow] = &self.lanes;
        match lane {
            Lane::Normal => normal,
            Lane::Produce => produce,
            Lane::Fetch => fetch,
            Lane::Group => group,
            Lane::Slow => slow,
        }
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        lock(&self.failures)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks can be left half done: a poisoned one is as good as any.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
