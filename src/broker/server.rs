//! A broker with its sockets: the listener's task, and what the connections' tasks of all brokers share.

use super::connection::{Ending, Stop, serve, stopped};
use super::core::{ConnectionId, Core};
use super::state::Now;
use super::users::Users;
use crate::engine::connection::Spares;
use crate::engine::serving::{Offer, Options, SaslOptions};
use crate::messages::BrokerId;
use crate::net::listen::Listen;
use crate::task::{self, Owned, Tasks};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::select;
use tokio::sync::{Notify, oneshot, watch};

/// Connections of a broker at once; those beyond wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 10_000;
/// Closed after so long without a request (Kafka's `connections.max.idle.ms`).
const MAX_IDLE: Duration = Duration::from_secs(600);
/// How long connections may take to write their last answers when the broker shuts down.
const GRACE: Duration = Duration::from_secs(1);

/// What the tasks of a cluster share.
#[derive(Debug)]
pub(super) struct Shared {
    inner: Mutex<Inner>,
    users: Users,
    offer: Arc<Offer>,
    sasl: Option<SaslOptions>,
    max_request_bytes: usize,
    spares: Spares,
}

#[derive(Debug)]
struct Inner {
    core: Core,
    wakers: BTreeMap<ConnectionId, Arc<Notify>>,
}

/// The time, by both clocks.
pub(super) fn now() -> Now {
    Now { at: task::now(), unix_ms: task::wall_ms() }
}

impl Shared {
    pub(super) fn new(
        core: Core,
        users: Users,
        sasl: Option<SaslOptions>,
        max_request_bytes: usize,
    ) -> Shared {
        let offer = Arc::clone(&core.state().settings.offer);
        let spares = core.state().spares.clone();
        let inner = Mutex::new(Inner { core, wakers: BTreeMap::new() });
        Shared { inner, users, offer, sasl, max_request_bytes, spares }
    }

    pub(super) fn users(&self) -> &Users {
        &self.users
    }

    /// Works with the core, then wakes the connections that it has news for.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Core) -> T) -> T {
        // A panic in a handler is a fault of ours, but the next call may do well all the same.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut inner.core);
        inner.wake();
        result
    }

    pub(super) fn connect(&self, broker: BrokerId, peer: &str) -> (ConnectionId, Arc<Notify>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let id = inner.core.connect(broker, peer, now());
        let wake = Arc::new(Notify::new());
        inner.wakers.insert(id, Arc::clone(&wake));
        (id, wake)
    }

    pub(super) fn disconnect(&self, id: ConnectionId) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.wakers.remove(&id);
        inner.core.disconnect(id);
        inner.wake();
    }

    pub(super) fn serving_options(&self) -> Options {
        Options {
            offer: Arc::clone(&self.offer),
            sasl: self.sasl.clone(),
            max_frame_bytes: self.max_request_bytes,
            spares: self.spares.clone(),
            max_idle: MAX_IDLE,
        }
    }
}

impl Inner {
    /// Wakes the connections that there is news for.
    fn wake(&mut self) {
        for woken in self.core.take_woken() {
            if let Some(waker) = self.wakers.get(&woken) {
                waker.notify_one();
            }
        }
    }
}

/// A broker that listens. Dropping it ends it and its connections at once.
#[derive(Debug)]
pub(super) struct Server {
    stop: watch::Sender<Option<Ending>>,
    ended: oneshot::Receiver<()>,
    _task: Owned,
}

impl Server {
    /// Serves a broker's connections on the current runtime.
    pub(super) fn start(listen: Listen, broker: BrokerId, shared: Arc<Shared>) -> Server {
        let (stop, stopped) = watch::channel(None);
        let (done, ended) = oneshot::channel();
        let task = Owned::spawn(async move {
            accept(listen, broker, shared, stopped).await;
            let _ = done.send(());
        });
        Server { stop, ended, _task: task }
    }

    /// Ready when nobody listens any more and no connection is left.
    pub(super) async fn end(mut self, ending: Ending) {
        self.stop.send_replace(Some(ending));
        // An error means that the task is gone already.
        let _ = (&mut self.ended).await;
    }
}

/// Accepts connections until the broker ends, then lets them end.
async fn accept(listen: Listen, broker: BrokerId, shared: Arc<Shared>, mut stop: Stop) {
    let mut tasks = Tasks::new();
    let mut open = 0usize;
    loop {
        select! {
            biased;
            () = stopped(&mut stop) => break,
            () = tasks.next() => open = open.saturating_sub(1),
            accepted = listen.accept(), if open < MAX_CONNECTIONS => {
                open = open.saturating_add(1);
                tasks.spawn(serve(accepted, broker, Arc::clone(&shared), stop.clone()));
            }
        }
    }
    drop(listen);
    let ending = *stop.borrow();
    if ending != Some(Ending::Abrupt) {
        let ends = async {
            while open > 0 {
                tasks.next().await;
                open = open.saturating_sub(1);
            }
        };
        let _ = task::until(task::after(task::now(), GRACE), ends).await;
    }
    tasks.end().await;
}
