//! A network in memory, for simulated time: names, ports, streams with bounded buffers, and faults on
//! request.
//!
//! Everything follows the runtime's (paused) clock and a seed, so that a run can be repeated. [`Faults`] are
//! set for an address and act on its connections at once, also on those that are open.

mod pipe;
mod stream;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::dial::{BoxFuture, Connected, Dial, Endpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::task;
use pipe::Pipe;
pub use stream::MemStream;

/// Connections that wait to be accepted; the next one waits to be connected.
const BACKLOG: usize = 128;
/// Attempts to connect that are remembered for each address.
const ATTEMPTS: usize = 10_000;
/// The first of the ports that are given out for port 0.
const FIRST_FREE_PORT: u16 = 49_152;

/// A network. Clones are the same one.
#[derive(Clone)]
pub struct MemNet(Arc<Mutex<State>>);

struct State {
    rng: fastrand::Rng,
    links: BTreeMap<(String, u16), Link>,
    connections: u64,
}

/// What is known of an address: who listens, its faults, its connections.
#[derive(Default)]
struct Link {
    faults: Arc<Mutex<Faults>>,
    backlog: Option<mpsc::Sender<(MemStream, String)>>,
    connections: Vec<[Weak<Mutex<Pipe>>; 2]>,
    attempts: VecDeque<Instant>,
}

/// What goes wrong with connects and connections to an address. By default nothing does.
#[derive(Debug, Clone, Default)]
#[expect(clippy::exhaustive_structs, reason = "plain data for tests, built with ..Default::default()")]
pub struct Faults {
    /// Connects are refused.
    pub refuse: bool,
    /// Connects get no answer.
    pub hang: bool,
    /// On the way to the server.
    pub to_server: Way,
    /// On the way to the client.
    pub to_client: Way,
}

/// What happens to bytes on one way.
#[derive(Debug, Clone, Default)]
#[expect(clippy::exhaustive_structs, reason = "plain data for tests, built with ..Default::default()")]
pub struct Way {
    /// How long bytes take.
    pub latency: Duration,
    /// Up to this much is added to it by chance; the order stays.
    pub jitter: Duration,
    /// A read gives at most so many bytes: by chance one, or more up to this.
    pub max_read: Option<usize>,
    /// A write takes at most so many bytes: by chance one, or more up to this.
    pub max_write: Option<usize>,
    /// Bytes are taken and do not arrive, nor does the end, until this is false again.
    pub hold: bool,
    /// The connection is reset, both ways, when it has carried so many bytes this way; they do arrive.
    pub cut_after: Option<u64>,
}

impl MemNet {
    /// An empty network, whose chance comes from `seed`.
    pub fn new(seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self(Arc::new(Mutex::new(State { rng, links: BTreeMap::new(), connections: 0 })))
    }

    /// Listens; port 0 is given a free one.
    ///
    /// # Errors
    /// `Connect` when somebody listens there already.
    pub fn listen(&self, host: &str, port: u16) -> Result<MemListener> {
        let mut state = lock(&self.0);
        let is_free = |state: &State, port| {
            let link = state.links.get(&(host.to_owned(), port));
            link.and_then(|link| link.backlog.as_ref()).is_none_or(mpsc::Sender::is_closed)
        };
        let port = match port {
            0 => (FIRST_FREE_PORT..=u16::MAX).find(|port| is_free(&state, *port)),
            port => Some(port).filter(|port| is_free(&state, *port)),
        };
        let Some(port) = port else {
            return Err(Error::new(ErrorKind::Connect, "listen")
                .broker(host)
                .with_source(io::Error::from(io::ErrorKind::AddrInUse)));
        };
        let (sender, receiver) = mpsc::channel(BACKLOG);
        state.link(host, port).backlog = Some(sender);
        Ok(MemListener { port, backlog: tokio::sync::Mutex::new(receiver) })
    }

    /// A dialler into this network.
    pub fn dialer(&self) -> MemDial {
        MemDial(self.clone())
    }

    /// Sets what goes wrong with an address, from now on, for new connections and open ones.
    pub fn set_faults(&self, host: &str, port: u16, faults: Faults) {
        let connections = {
            let mut state = lock(&self.0);
            let link = state.link(host, port);
            *lock(&link.faults) = faults;
            link.connections.clone()
        };
        pipes(&connections).for_each(|pipe| lock(&pipe).wake_both());
    }

    /// Resets all connections to an address: what was on the way is lost.
    pub fn cut(&self, host: &str, port: u16) {
        // They stay known: who reads behind held bytes hears of the end when these are let go.
        let connections = lock(&self.0).link(host, port).connections.clone();
        pipes(&connections).for_each(|pipe| lock(&pipe).abort());
    }

    /// When somebody tried to connect to an address, also in vain: the last 10,000 times.
    pub fn attempts(&self, host: &str, port: u16) -> Vec<Instant> {
        lock(&self.0).link(host, port).attempts.iter().copied().collect()
    }

    /// How many connections were made so far, to all addresses.
    pub fn connections_made(&self) -> u64 {
        lock(&self.0).connections
    }

    /// How many ends of connections somebody holds now: two for each connection that is open.
    pub fn open_ends(&self) -> usize {
        let state = lock(&self.0);
        let pairs = state.links.values().flat_map(|link| &link.connections);
        // Each end holds both pipes.
        pairs.map(|[to_server, _]| to_server.strong_count()).sum()
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<(MemStream, String)> {
        let faults = {
            let mut state = lock(&self.0);
            let link = state.link(&endpoint.host, endpoint.port);
            link.note_attempt(task::now());
            lock(&link.faults).clone()
        };
        task::sleep_until(task::after(task::now(), faults.to_server.latency + faults.to_client.latency))
            .await;
        if faults.hang {
            std::future::pending::<()>().await;
        }
        let backlog = {
            let mut state = lock(&self.0);
            state.link(&endpoint.host, endpoint.port).backlog.clone().filter(|_| !faults.refuse)
        };
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let place = backlog.as_ref().ok_or_else(refused)?.reserve().await.map_err(|_| refused())?;
        let (client, server, name) = lock(&self.0).connect(&endpoint.host, endpoint.port);
        place.send((server, name.clone()));
        Ok((client, name))
    }
}

impl fmt::Debug for MemNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemNet").finish_non_exhaustive()
    }
}

impl State {
    fn link(&mut self, host: &str, port: u16) -> &mut Link {
        self.links.entry((host.to_owned(), port)).or_default()
    }

    fn connect(&mut self, host: &str, port: u16) -> (MemStream, MemStream, String) {
        self.connections += 1;
        let name = format!("mem-{}", self.connections);
        let [to_server, to_client] =
            [self.rng.fork(), self.rng.fork()].map(|rng| Arc::new(Mutex::new(Pipe::new(rng))));
        let link = self.link(host, port);
        link.connections.retain(|pair| pair.iter().any(|pipe| pipe.strong_count() > 0));
        link.connections.push([Arc::downgrade(&to_server), Arc::downgrade(&to_client)]);
        let faults = &link.faults;
        let client = MemStream::new(true, &to_client, &to_server, faults);
        let server = MemStream::new(false, &to_server, &to_client, faults);
        (client, server, name)
    }
}

impl Link {
    fn note_attempt(&mut self, now: Instant) {
        if self.attempts.len() >= ATTEMPTS {
            self.attempts.pop_front();
        }
        self.attempts.push_back(now);
    }
}

/// Connects into a [`MemNet`].
#[derive(Debug, Clone)]
pub struct MemDial(MemNet);

impl Dial for MemDial {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, deadline: Instant) -> BoxFuture<'a, Result<Connected>> {
        Box::pin(async move {
            let failed = |kind| Error::new(kind, "connect").broker(endpoint);
            let (stream, peer) = task::until(deadline, self.0.connect(endpoint))
                .await
                .ok_or_else(|| failed(ErrorKind::Timeout))?
                .map_err(|error| failed(ErrorKind::Connect).with_source(error))?;
            let stream = endpoint.security.secure(stream, endpoint, deadline).await?;
            Ok(Connected { stream, peer })
        })
    }
}

/// Accepts connections to an address of a [`MemNet`]. Dropping it refuses further ones; those accepted go on.
#[derive(Debug)]
pub struct MemListener {
    port: u16,
    backlog: tokio::sync::Mutex<mpsc::Receiver<(MemStream, String)>>,
}

impl MemListener {
    /// The port, also where it was asked for as 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The next connection, and a name for the client.
    ///
    /// # Cancel safety
    /// No connection is lost when the future is dropped.
    pub async fn accept(&self) -> (MemStream, String) {
        let next = self.backlog.lock().await.recv().await;
        match next {
            Some(connection) => connection,
            // The network is gone, and nobody can connect any more.
            None => std::future::pending().await,
        }
    }
}

fn pipes(connections: &[[Weak<Mutex<Pipe>>; 2]]) -> impl Iterator<Item = Arc<Mutex<Pipe>>> {
    connections.iter().flatten().filter_map(Weak::upgrade)
}

/// A panic elsewhere leaves nothing here half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
