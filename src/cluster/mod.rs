//! The cluster as everybody above sees it: a view, connections, and requests that find their broker and are repeated.
//!
//! One [`Cluster`] is shared by a client and all its producers, consumers and admin clients: one pool, one view. Where a
//! request goes and on which connection is a property of its row in the table of APIs; whether it is repeated is decided
//! by [`engine::retry`](crate::engine::retry) alone. Deadlines come from the public call and are absolute; the only
//! time-out of this layer's own is that of one request (`request.timeout.ms`).
//!
//! May import `net`, `engine`, `messages`, `config`, `error`, `task`.

mod call;
mod link;
mod metadata;

pub(crate) use call::Reach;
pub(crate) use link::{Link, Reply};

use crate::config::{ClientConfig, HostPort, Secret};
use crate::engine::retry::{Backoff, Policy};
use crate::engine::view::View;
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{BrokerId, Lane};
use crate::net::auth::Auth;
use crate::net::dial::{Dial, Security};
use crate::net::pool::{Peer, Pool};
use crate::task;
use crate::wire::Text;
use metadata::Metadata;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::watch;

/// A cluster; clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Arc<ClientConfig>,
    pool: Pool,
    metadata: Arc<Metadata>,
    closed: AtomicBool,
}

impl Cluster {
    /// A cluster nobody has been asked about yet. Starts the task that keeps metadata fresh.
    pub(crate) fn new(config: ClientConfig, dial: Arc<dyn Dial>, security: Security, auth: Auth) -> Cluster {
        let config = Arc::new(config);
        let pool = Pool::new(Arc::clone(&config), dial, security, Arc::new(auth));
        let shared = Arc::new(Shared {
            config,
            pool,
            metadata: Arc::new(Metadata::new()),
            closed: AtomicBool::new(false),
        });
        task::spawn(metadata::run(Arc::downgrade(&shared)));
        Cluster { shared }
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

    /// Keeps topics in the view from now on; `create` lets the broker create missing ones.
    pub(crate) fn watch_topics(&self, topics: impl IntoIterator<Item = Text>, create: bool) {
        self.shared.metadata.add_topics(topics, create);
    }

    /// Uses what a broker said of new leaders (KIP-951): `change` says whether the view became better.
    pub(crate) fn amend_view(&self, change: impl FnOnce(&mut View) -> bool) {
        self.shared.metadata.amend(change);
    }

    /// A view that knows the topic, from now on kept in it.
    ///
    /// # Errors
    /// What the brokers say of the topic when that is final; a time-out with what they said last otherwise.
    pub(crate) async fn topic(&self, name: &Text, create: bool, deadline: Instant) -> Result<View> {
        self.shared.open()?;
        self.watch_topics([name.clone()], create);
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
                .source(Error::broker_code(code, "the brokers' last word"))
                .hint("does the topic exist, and is its name right?"),
            _ => error.topic(name.as_str()),
        })
    }

    /// A connection to a broker of the view, on a lane.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] when the view has no such broker; otherwise why no connection came about.
    pub(crate) async fn link(&self, id: BrokerId, lane: Lane, deadline: Instant) -> Result<Link> {
        self.shared.open()?;
        let Some(peer) = self.shared.peer(id) else {
            return Err(Error::new(ErrorKind::Connect, format!("find the address of broker {}", id.0))
                .hint("the broker is not in the cluster's metadata: is it down?"));
        };
        self.shared.link(&peer, lane, deadline).await
    }

    /// Replaces user name and password from the next authentication on.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when they cannot be used; the old ones stay.
    pub(crate) fn set_credentials(&self, username: String, password: &Secret) -> Result<()> {
        self.shared.pool.auth().set_credentials(username, password)
    }

    /// Refuses every further call. Connections close when nothing is under way on them.
    pub(crate) fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.metadata.ask();
        self.shared.pool.close();
    }
}

impl Shared {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn open(&self) -> Result<()> {
        if self.is_closed() {
            Err(Error::new(ErrorKind::Closed, "use a client that was closed"))
        } else {
            Ok(())
        }
    }

    fn peer(&self, id: BrokerId) -> Option<Peer> {
        let view = self.metadata.view();
        let broker = view.broker(id)?;
        Some(Peer { id: Some(id), address: HostPort::new(broker.host.as_str(), broker.port) })
    }

    /// The brokers of the view, those that are backed off last, otherwise by chance.
    fn known_brokers(&self) -> Vec<Peer> {
        let view = self.metadata.view();
        let mut peers: Vec<Peer> = view
            .brokers()
            .map(|broker| Peer {
                id: Some(broker.id),
                address: HostPort::new(broker.host.as_str(), broker.port),
            })
            .collect();
        task::rng().shuffle(&mut peers);
        peers.sort_by_cached_key(|peer| self.pool.readiness(peer));
        peers
    }

    async fn link(&self, peer: &Peer, lane: Lane, deadline: Instant) -> Result<Link> {
        let handle = self.pool.get(peer, lane, deadline).await?;
        Ok(Link::new(handle, self.config.request_timeout))
    }

    fn forget_brokers_not_in(&self, view: &View) {
        self.pool.retain(|peer| match peer.id {
            None => view.brokers().next().is_none(),
            Some(id) => view.broker(id).is_some_and(|broker| {
                broker.host.as_str() == peer.address.host && broker.port == peer.address.port
            }),
        });
    }
}

impl Drop for Shared {
    /// Wakes the task that refreshes metadata, which then finds that nobody is left.
    fn drop(&mut self) {
        self.metadata.ask();
    }
}
