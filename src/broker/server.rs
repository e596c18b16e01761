//! The broker with its sockets: the listener's task, and what the connections' tasks share.

use super::connection::{Stop, serve, stopped};
use super::core::{ConnectionId, Core};
use super::state::Now;
use super::users::Users;
use crate::engine::serving::{Offer, Options, SaslOptions};
use crate::messages::BrokerId;
use crate::net::listen::Listen;
use crate::task::{self, Tasks};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::select;
use tokio::sync::Notify;

/// Connections at once; those beyond wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 10_000;
/// Closed after so long without a request (Kafka's `connections.max.idle.ms`).
const MAX_IDLE: Duration = Duration::from_secs(600);
/// How long connections may take to write their last answers when the broker shuts down.
const GRACE: Duration = Duration::from_secs(1);

/// What the tasks of a broker share.
#[derive(Debug)]
pub(super) struct Shared {
    inner: Mutex<Inner>,
    users: Users,
    broker: BrokerId,
    offer: Arc<Offer>,
    sasl: Option<SaslOptions>,
    max_request_bytes: usize,
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
        broker: BrokerId,
        sasl: Option<SaslOptions>,
        max_request_bytes: usize,
    ) -> Shared {
        let offer = Arc::clone(&core.state().settings.offer);
        let inner = Mutex::new(Inner { core, wakers: BTreeMap::new() });
        Shared { inner, users, broker, offer, sasl, max_request_bytes }
    }

    pub(super) fn users(&self) -> &Users {
        &self.users
    }

    /// Works with the core, then wakes the connections that it has news for.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Core) -> T) -> T {
        // A panic in a handler is a fault of ours, but the next call may do well all the same.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut inner.core);
        for woken in inner.core.take_woken() {
            if let Some(waker) = inner.wakers.get(&woken) {
                waker.notify_one();
            }
        }
        result
    }

    pub(super) fn connect(&self) -> (ConnectionId, Arc<Notify>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let id = inner.core.connect(self.broker);
        let wake = Arc::new(Notify::new());
        inner.wakers.insert(id, Arc::clone(&wake));
        (id, wake)
    }

    pub(super) fn disconnect(&self, id: ConnectionId) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.wakers.remove(&id);
        inner.core.disconnect(id);
    }

    pub(super) fn serving_options(&self) -> Options {
        Options {
            offer: Arc::clone(&self.offer),
            sasl: self.sasl.clone(),
            max_frame_bytes: self.max_request_bytes,
            max_idle: MAX_IDLE,
        }
    }
}

/// Accepts connections until the broker shuts down, then lets them end.
pub(super) async fn accept(listen: Listen, shared: Arc<Shared>, mut stop: Stop) {
    let mut tasks = Tasks::new();
    let mut open = 0usize;
    loop {
        select! {
            biased;
            () = stopped(&mut stop) => break,
            () = tasks.next() => open = open.saturating_sub(1),
            accepted = listen.accept(), if open < MAX_CONNECTIONS => {
                open = open.saturating_add(1);
                tasks.spawn(serve(accepted, Arc::clone(&shared), stop.clone()));
            }
        }
    }
    drop(listen);
    let ends = async {
        while open > 0 {
            tasks.next().await;
            open = open.saturating_sub(1);
        }
    };
    // Those that are left end when `tasks` is dropped.
    let _ = task::until(task::after(task::now(), GRACE), ends).await;
}
