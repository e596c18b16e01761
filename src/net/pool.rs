//! [`Pool`]: one connection for each broker and [`Line`], made when first asked for, shared by all who ask for the same
//! line, replaced with back-off when it ends.
//!
//! A broker is keyed by node id *and* address: when an id moves to another address, or two ids swap theirs, the old
//! connection is no longer found and closes as soon as nothing is under way on it.
//!
//! Invariants: one attempt at a time for each broker and line, whoever waits for it and gives up; the back-off is the
//! address's, whoever is said to be there, and it grows also when connections are accepted and then end before they were
//! of use, so that no peer makes us connect more than a few times a second.

mod attempt;
mod pace;

use crate::config::{ClientConfig, HostPort};
use crate::engine::retry::Backoff;
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{BrokerId, Lane};
use crate::net::auth::Auth;
use crate::net::dial::{Dial, Security};
use crate::net::driver::Handle;
use crate::task;
use attempt::{Attempt, Connector, Stage};
use pace::Pace;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A broker, as connections know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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

/// Which of the connections to a broker: a lane that everybody shares, or one that somebody has to himself, because a
/// request that the broker holds back would hold up those of others behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    lane: Lane,
    /// `None` for everybody.
    owner: Option<u64>,
}

impl From<Lane> for Line {
    fn from(lane: Lane) -> Line {
        Line { lane, owner: None }
    }
}

/// The connections of a client.
#[derive(Debug)]
pub(crate) struct Pool {
    connector: Arc<Connector>,
    /// Owners of lines so far.
    owners: AtomicU64,
    /// Whether a peer has ended a connection.
    lost: AtomicBool,
    /// `None` once the pool is closed.
    brokers: Mutex<Option<BTreeMap<Peer, Broker>>>,
}

/// The connections to one broker.
#[derive(Debug)]
struct Broker {
    lines: BTreeMap<Line, Attempt>,
    pace: Arc<Mutex<Pace>>,
}

impl Pool {
    pub(crate) fn new(
        config: Arc<ClientConfig>,
        dial: Arc<dyn Dial>,
        security: Security,
        auth: Arc<Auth>,
    ) -> Pool {
        let connector = Arc::new(Connector { config, dial, security, auth });
        Pool {
            connector,
            owners: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            brokers: Mutex::new(Some(BTreeMap::new())),
        }
    }

    /// A line that nobody else has, until it is [released](Self::release).
    pub(crate) fn line_of_ones_own(&self, lane: Lane) -> Line {
        Line { lane, owner: Some(self.owners.fetch_add(1, Ordering::Relaxed)) }
    }

    /// Forgets a line's connections; they close when nothing is under way.
    pub(crate) fn release(&self, line: Line) {
        if let Some(brokers) = lock(&self.brokers).as_mut() {
            // In whatever order: they have nothing to do with each other.
            brokers.values_mut().for_each(|broker| drop(broker.lines.remove(&line)));
        }
    }

    /// The connection to a broker on a line: the one that is there, or a new one.
    ///
    /// # Errors
    /// Why the connection did not come about. When `deadline` comes first, or the broker is backed off past it:
    /// [`ErrorKind::Timeout`], with why the last one did not.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped: the connection is made all the same, for the next caller.
    pub(crate) async fn get(&self, peer: &Peer, line: impl Into<Line>, deadline: Instant) -> Result<Handle> {
        let (mut outcome, pace) = match self.look(peer, line.into())? {
            (Stage::Open(handle), _) => return Ok(handle),
            (Stage::UnderWay(outcome), pace) => (outcome, pace),
            (Stage::Over { .. }, _) => return Err(Error::new(ErrorKind::Internal, "start to connect")),
        };
        let late = || {
            let error = Error::new(ErrorKind::Timeout, "wait for a connection").broker(peer);
            let last = lock(&pace).last_error().cloned();
            last.map_or(error.clone(), |last| error.with_source(last))
        };
        let backed_off_until = lock(&pace).backed_off_until(task::now());
        if backed_off_until.is_some_and(|at| at > deadline) {
            return Err(late());
        }
        let told = async { outcome.wait_for(Option::is_some).await.ok().and_then(|told| told.clone()) };
        match task::until(deadline, told).await {
            None => Err(late()),
            Some(Some(outcome)) => outcome,
            // The attempt was dropped.
            Some(None) if lock(&self.brokers).is_none() => Err(closed()),
            Some(None) => {
                let attempt = "wait for a connection: the broker has moved, or is no longer in the cluster";
                Err(Error::new(ErrorKind::Connect, attempt).broker(peer))
            }
        }
    }

    /// Whether a peer has ended a connection that was there since this was last asked.
    pub(crate) fn take_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed) && self.lost.swap(false, Ordering::Relaxed)
    }

    /// What connections authenticate with.
    pub(crate) fn auth(&self) -> &Auth {
        &self.connector.auth
    }

    /// Finds the attempt, and starts one where there is none.
    fn look(&self, peer: &Peer, line: Line) -> Result<(Stage, Arc<Mutex<Pace>>)> {
        let mut brokers = lock(&self.brokers);
        let brokers = brokers.as_mut().ok_or_else(closed)?;
        if !brokers.contains_key(peer) {
            let broker = Broker { lines: BTreeMap::new(), pace: self.pace_of(&peer.address, brokers) };
            brokers.insert(peer.clone(), broker);
        }
        let Some(Broker { lines, pace }) = brokers.get_mut(peer) else { return Err(closed()) };
        let mut stage = lines.get(&line).map_or(Stage::Over { lost: false }, |attempt| attempt.stage(pace));
        if let Stage::Over { lost } = stage {
            if lost {
                self.lost.store(true, Ordering::Relaxed);
            }
            let attempt = Attempt::start(&self.connector, peer, pace);
            stage = attempt.begun();
            lines.insert(line, attempt);
        }
        Ok((stage, Arc::clone(pace)))
    }

    /// The pace of an address is kept by whoever is said to be there.
    fn pace_of(&self, address: &HostPort, brokers: &BTreeMap<Peer, Broker>) -> Arc<Mutex<Pace>> {
        let known = brokers.iter().find(|(peer, _)| peer.address == *address);
        known.map_or_else(
            || {
                let ClientConfig { reconnect_backoff, reconnect_backoff_max, .. } = *self.connector.config;
                let backoff = Backoff { base: reconnect_backoff, max: reconnect_backoff_max };
                Arc::new(Mutex::new(Pace::new(backoff, task::rng())))
            },
            |(_, broker)| Arc::clone(&broker.pace),
        )
    }

    /// How soon a broker may answer: first those with a connection, then those that may be connected to, then those that
    /// are backed off, the shortest wait first.
    pub(crate) fn readiness(&self, peer: &Peer) -> (bool, Option<Instant>) {
        let brokers = lock(&self.brokers);
        let broker = brokers.as_ref().and_then(|brokers| brokers.get(peer));
        let is_open =
            broker.and_then(|broker| broker.lines.get(&Lane::Normal.into())).is_some_and(Attempt::is_open);
        let until = broker.and_then(|broker| lock(&broker.pace).backed_off_until(task::now()));
        (!is_open, until)
    }

    /// Forgets brokers that `keep` does not want: who waits for a connection to one is told, and connections close when
    /// nothing is under way.
    pub(crate) fn retain(&self, keep: impl Fn(&Peer) -> bool) {
        if let Some(brokers) = lock(&self.brokers).as_mut() {
            brokers.retain(|peer, _| keep(peer));
        }
    }

    /// Forgets all brokers and makes no connection any more.
    pub(crate) fn close(&self) {
        lock(&self.brokers).take();
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "use a client that was closed")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks can be left half done: a poisoned one is as good as any.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
