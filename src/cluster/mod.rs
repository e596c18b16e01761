//! The cluster as everybody above sees it: a view, connections, and requests that find their broker and are repeated.
//!
//! One [`Cluster`] is shared by a client and all its producers, consumers and admin clients: one pool, one view. Where a
//! request goes and on which connection is a property of its row in the table of APIs; whether it is repeated is decided
//! by [`engine::retry`](crate::engine::retry) alone. Deadlines come from the public call and are absolute; the only
//! time-out of this layer's own is that of one request (`request.timeout.ms`).
//!
//! May import `net`, `engine`, `messages`, `config`, `error`, `task`.

mod call;
mod coordinators;
mod link;
mod metadata;

pub(crate) use call::Reach;
pub(crate) use link::{Link, Reply};

use crate::config::{ClientConfig, HostPort, Secret};
use crate::engine::retry::{Backoff, Policy};
use crate::engine::view::{Broker, View};
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{BrokerId, Lane};
use crate::net::auth::Auth;
use crate::net::dial::{Dial, Security};
use crate::net::pool::{Line, Peer, Pool};
use crate::task::{self, Owned};
use crate::wire::Text;
use coordinators::Coordinators;
use metadata::Metadata;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// Who uses topics for as long as he is there.
pub(crate) trait Needs: fmt::Debug + Send + Sync + 'static {
    /// The topics that he needs now, and whether the broker may create them.
    fn topics(&self, now: Instant) -> Vec<(Text, bool)>;
}

/// A cluster; clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    shared: Arc<Shared>,
    /// Refreshes metadata until the last clone is gone or the cluster is closed.
    refresher: Arc<Mutex<Option<Owned>>>,
}

#[derive(Debug)]
struct Shared {
    config: Arc<ClientConfig>,
    pool: Pool,
    metadata: Metadata,
    coordinators: Coordinators,
    closed: AtomicBool,
}

/// A lane of somebody's own, for requests that brokers hold back: a consumer's long polls would hold up those of another
/// consumer on the same connection.
#[derive(Debug)]
pub(crate) struct OwnLane {
    line: Line,
    cluster: Cluster,
}

impl OwnLane {
    /// A connection to a broker of the view: as [`Cluster::link`].
    pub(crate) async fn link(&self, id: BrokerId, deadline: Instant) -> Result<Link> {
        self.cluster.link(id, self.line, deadline).await
    }
}

impl Drop for OwnLane {
    fn drop(&mut self) {
        self.cluster.shared.pool.release(self.line);
    }
}

impl Cluster {
    /// A cluster nobody has been asked about yet. Starts the task that keeps metadata fresh.
    pub(crate) fn new(config: ClientConfig, dial: Arc<dyn Dial>, security: Security, auth: Auth) -> Cluster {
        let config = Arc::new(config);
        let pool = Pool::new(Arc::clone(&config), dial, security, Arc::new(auth));
        let shared = Arc::new(Shared {
            config,
            pool,
            metadata: Metadata::new(),
            coordinators: Coordinators::default(),
            closed: AtomicBool::new(false),
        });
        let refresher = Owned::spawn(metadata::run(Arc::clone(&shared)));
        Cluster { shared, refresher: Arc::new(Mutex::new(Some(refresher))) }
    }

    /// The settings.
    pub(crate) fn config(&self) -> &ClientConfig {
        &self.shared.config
    }

    /// How requests are repeated.
    pub(crate) fn retries(&self) -> Policy {
        let ClientConfig { retries, retry_backoff, retry_backoff_max, .. } = *self.shared.config;
        Policy { retries, backoff: Backoff { base: retry_backoff, max: retry_backoff_max } }
    }

    /// How a consumer's requests are repeated: as long as its own deadlines let it, whatever `retries` says, which is the
    /// producer's and the admin client's.
    pub(crate) fn retries_of_reads(&self) -> Policy {
        Policy { retries: u32::MAX, ..self.retries() }
    }

    /// The last good view of the cluster.
    pub(crate) fn view(&self) -> View {
        self.shared.metadata.view()
    }

    /// Tells of each new view.
    pub(crate) fn views(&self) -> watch::Receiver<View> {
        self.shared.metadata.subscribe()
    }

    /// Asks for new metadata soon, without waiting.
    pub(crate) fn ask_for_metadata(&self) {
        self.shared.metadata.ask();
    }

    /// Waits for new metadata.
    ///
    /// # Errors
    /// A time-out, or what keeps every broker from answering and will not pass by itself.
    pub(crate) async fn refresh(&self, deadline: Instant) -> Result<View> {
        self.shared.open()?;
        self.shared.metadata.refresh(deadline).await
    }

    /// Keeps topics in the view until a time; `create` lets the broker create missing ones.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for names that no topic can have: they would spoil every request that they are in.
    pub(crate) fn want_topics(
        &self,
        topics: impl IntoIterator<Item = Text>,
        create: bool,
        until: Instant,
    ) -> Result<()> {
        let topics: Vec<Text> = topics.into_iter().collect();
        topics.iter().try_for_each(check_name)?;
        self.shared.metadata.want_topics(topics, create, until);
        Ok(())
    }

    /// Keeps the topics in the view that `user` needs, for as long as he is there. All others are forgotten in time.
    pub(crate) fn serve(&self, user: &Arc<impl Needs>) {
        let user: Arc<dyn Needs> = Arc::clone(user) as Arc<dyn Needs>;
        self.shared.metadata.add_user(Arc::downgrade(&user));
    }

    /// Uses what a broker said of new leaders (KIP-951): `change` says whether the view became better.
    pub(crate) fn amend_view(&self, change: impl FnOnce(&mut View) -> bool) {
        self.shared.metadata.amend(change);
    }

    /// A view that knows the topic.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a name that no topic can have. What the brokers say of the topic when that is final; a time-out with what they said last otherwise.
    pub(crate) async fn topic(&self, name: &Text, create: bool, deadline: Instant) -> Result<View> {
        self.shared.open()?;
        self.want_topics([name.clone()], create, deadline)?;
        let view = self.view();
        if view.topic(name).is_some() {
            return Ok(view);
        }
        let attempt = "find the topic";
        let found = self.shared.metadata.refresh_until(deadline, |view| {
            if view.topic(name).is_some() {
                return Some(Ok(()));
            }
            let fatal = view.missing(name).filter(|code| !code.is_retriable())?;
            Some(Err(Error::broker_code(fatal, attempt)))
        });
        found.await.map_err(|error| match self.view().missing(name) {
            Some(code) if error.kind() == ErrorKind::Timeout => Error::new(ErrorKind::Timeout, attempt)
                .topic(name.as_str())
                .with_source(Error::broker_code(code, "the brokers' last word"))
                .hint("does the topic exist, and is its name right?"),
            _ => error.topic(name.as_str()),
        })
    }

    /// Connections on a lane that nobody else uses; they close when the result is dropped.
    pub(crate) fn lane_of_ones_own(&self, lane: Lane) -> OwnLane {
        OwnLane { line: self.shared.pool.line_of_ones_own(lane), cluster: self.clone() }
    }

    /// A connection to a broker of the view, on a lane.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] when the view has no such broker; otherwise why no connection came about.
    pub(crate) async fn link(&self, id: BrokerId, lane: impl Into<Line>, deadline: Instant) -> Result<Link> {
        self.shared.open()?;
        let link = match self.shared.peer(id) {
            Some(peer) => self.shared.link(&peer, lane, deadline).await,
            None => Err(Error::new(ErrorKind::Connect, format!("find the address of broker {}", id.0))
                .hint("the broker is not in the cluster's metadata: is it down?")),
        };
        // Whoever hung up may do so because he leads no more, and with `acks=0` that is all that he ever says of it.
        if link.as_ref().is_err_and(Error::is_retriable) || self.shared.pool.take_lost() {
            self.ask_for_metadata();
        }
        link
    }

    /// Replaces user name and password from the next authentication on.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when they cannot be used; the old ones stay.
    pub(crate) fn set_credentials(&self, username: String, password: &Secret) -> Result<()> {
        self.shared.pool.auth().set_credentials(username, password)
    }

    /// Refuses every further call, and ends those that wait for metadata or for a connection. Connections close when
    /// nothing is under way on them.
    pub(crate) fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.refresher.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.shared.metadata.close();
        self.shared.pool.close();
    }
}

/// Kafka's longest name of a topic, in characters, which are ASCII.
const MAX_NAME: usize = 249;

/// Refuses names that no broker can be asked for; what else is wrong with a name the broker says.
pub(crate) fn check_name(name: &Text) -> Result<()> {
    if (1..=MAX_NAME).contains(&name.len()) {
        return Ok(());
    }
    let attempt =
        format!("name a topic: names have 1 to {MAX_NAME} characters, and this one has {}", name.len());
    Err(Error::new(ErrorKind::InvalidInput, attempt))
}

/// The failure to tell of several: what a person has to mend comes before what may pass.
fn worst(failed: Vec<Error>) -> Option<Error> {
    let (retriable, last): (Vec<Error>, Vec<Error>) = failed.into_iter().partition(Error::is_retriable);
    last.into_iter().chain(retriable).next()
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "use a client that was closed")
}

impl Shared {
    fn open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(closed()) } else { Ok(()) }
    }

    fn peer(&self, id: BrokerId) -> Option<Peer> {
        let view = self.metadata.view();
        let broker = view.broker(id)?;
        Some(Peer { id: Some(id), address: HostPort::new(broker.host.as_str(), broker.port) })
    }

    /// The brokers of the view, the readiest first, otherwise by chance.
    fn known_brokers(&self) -> Vec<Peer> {
        let view = self.metadata.view();
        let peer = |broker: &Arc<Broker>| Peer {
            id: Some(broker.id),
            address: HostPort::new(broker.host.as_str(), broker.port),
        };
        self.by_readiness(view.brokers().map(peer).collect())
    }

    /// The entries of `bootstrap.servers`, in the same order.
    fn bootstrap_servers(&self) -> Vec<Peer> {
        let servers = self.config.bootstrap_servers.iter();
        self.by_readiness(servers.map(|address| Peer { id: None, address: address.clone() }).collect())
    }

    fn by_readiness(&self, mut peers: Vec<Peer>) -> Vec<Peer> {
        task::rng().shuffle(&mut peers);
        peers.sort_by_cached_key(|peer| self.pool.readiness(peer));
        peers
    }

    async fn link(&self, peer: &Peer, lane: impl Into<Line>, deadline: Instant) -> Result<Link> {
        let handle = self.pool.get(peer, lane, deadline).await?;
        Ok(Link::new(handle, self.config.request_timeout))
    }

    fn forget_brokers_not_in(&self, view: &View, keep_bootstrap: bool) {
        self.pool.retain(|peer| match peer.id {
            None => keep_bootstrap,
            Some(id) => view.broker(id).is_some_and(|broker| {
                broker.host.as_str() == peer.address.host && broker.port == peer.address.port
            }),
        });
    }
}

#[cfg(test)]
mod tests;
