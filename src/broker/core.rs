//! The broker without its sockets: requests of connections go in, answers and waits come out.
//!
//! ```text
//! Call::new (bytes checked, no lock) ─► call ─► watched ─► api::handle ─► Step
//!                                                └─ Step::Wait ─► (woken, or time) ─► resume ─► Step
//! ```
//!
//! It does no I/O, reads no clock and draws no random numbers but from its seed. A call that waits (a fetch for records, a
//! delayed answer) is parked here under its connection; [`take_woken`](Core::take_woken) names the connections for which
//! [`resume`](Core::resume) is worth a call before their time is over. A connection has one call at a time.

use super::api::{self, Checked, Fetching};
use super::faults::{Fate, Hook, SeenRequest, Sender, Watch};
use super::state::{Now, Settings, State};
use crate::engine::serving::Received;
use crate::messages::{AnyRequest, AnyResponse, BrokerId, RequestHeader};
use std::collections::BTreeMap;
use std::time::Instant;

/// Names a connection; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub(super) u64);

/// A request whose bytes were checked as far as that needs no state.
#[derive(Debug)]
pub(super) struct Call {
    header: RequestHeader,
    request: AnyRequest,
    /// The batches of a Produce request.
    checked: Checked,
}

impl Call {
    /// Checks a request: record batches are opened here, so that it happens outside of any lock.
    pub(super) fn new(received: Received) -> Call {
        let Received { header, request, .. } = received;
        let checked = api::check(&request, header.request_api_version);
        Call { header, request, checked }
    }
}

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Step {
    /// Send this.
    Respond(Box<AnyResponse>),
    /// The client gets no answer.
    Skip,
    /// SASL is the connection's own business: let it take the request, and answer with what it says.
    Authenticate(Box<AnyRequest>),
    /// Call [`Core::resume`] when the connection is woken, and at this time at the latest.
    Wait(Instant),
    /// Close the connection, for this reason.
    Close(&'static str),
}

impl Step {
    /// An answer.
    pub(super) fn respond(response: impl Into<AnyResponse>) -> Step {
        Step::Respond(Box::new(response.into()))
    }
}

/// Who calls, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    /// The broker that was asked.
    pub(super) broker: BrokerId,
    pub(super) connection: ConnectionId,
    pub(super) version: i16,
    pub(super) now: Now,
}

/// The brokers of a cluster and their connections.
#[derive(Debug)]
pub(super) struct Core {
    state: State,
    watch: Watch,
    connections: BTreeMap<ConnectionId, Connection>,
    next_connection: u64,
}

#[derive(Debug)]
struct Connection {
    broker: BrokerId,
    parked: Option<Parked>,
}

/// A call that waits.
#[derive(Debug)]
enum Parked {
    Fetch(Box<Fetching>),
    /// Until a time; the answer of what follows is lost if so decided.
    Delayed(Box<Call>, Instant),
}

impl Core {
    pub(super) fn new(settings: Settings, watch: Watch, seed: u64) -> Core {
        Core { state: State::new(settings, seed), watch, connections: BTreeMap::new(), next_connection: 0 }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// The requests that are kept, oldest first.
    pub(super) fn seen(&self) -> Vec<SeenRequest> {
        self.watch.seen()
    }

    /// Replaces what decides about requests.
    pub(super) fn set_hook(&mut self, hook: Option<Hook>) {
        self.watch.set_hook(hook);
    }

    /// Takes in a connection to one of the brokers.
    pub(super) fn connect(&mut self, broker: BrokerId) -> ConnectionId {
        let id = ConnectionId(self.next_connection);
        self.next_connection = self.next_connection.wrapping_add(1);
        self.connections.insert(id, Connection { broker, parked: None });
        id
    }

    /// Forgets a connection, and what it waited for.
    pub(super) fn disconnect(&mut self, id: ConnectionId) {
        let parked = self.connections.remove(&id).and_then(|connection| connection.parked);
        if let Some(Parked::Fetch(fetching)) = parked {
            fetching.unwatch(&mut self.state, id);
        }
    }

    /// Takes a request.
    pub(super) fn call(&mut self, id: ConnectionId, call: Call, principal: Option<&str>, now: Now) -> Step {
        let sender = Sender {
            connection: id.0,
            client_id: call.header.client_id.as_ref().map(|id| id.0.as_str()),
            principal,
        };
        match self.watch.judge(&sender, call.header.request_api_version, &call.request, now) {
            Fate::Pass => self.answer(id, call, now),
            Fate::Close => Step::Close("so decided by its hook"),
            Fate::LoseRequest => Step::Skip,
            Fate::LoseAnswer => self.answer_into_the_void(id, call, now),
            Fate::Delay(pause) => {
                let until = crate::task::after(now.at, pause);
                self.park(id, Parked::Delayed(Box::new(call), until), until)
            }
        }
    }

    /// Looks again at a call that waits.
    pub(super) fn resume(&mut self, id: ConnectionId, now: Now) -> Step {
        let Some(connection) = self.connections.get_mut(&id) else { return Step::Skip };
        match connection.parked.take() {
            None => Step::Skip,
            Some(Parked::Delayed(call, until)) if now.at >= until => self.answer(id, *call, now),
            Some(parked @ Parked::Delayed(_, until)) => self.park(id, parked, until),
            Some(Parked::Fetch(fetching)) => match fetching.resume(&mut self.state, now) {
                Ok(response) => Step::respond(response),
                Err(fetching) => self.park_fetch(id, fetching),
            },
        }
    }

    /// Connections whose parked call is worth a look.
    pub(super) fn take_woken(&mut self) -> Vec<ConnectionId> {
        let mut woken = self.state.take_woken();
        woken.sort_unstable();
        woken.dedup();
        woken
    }

    fn answer(&mut self, id: ConnectionId, call: Call, now: Now) -> Step {
        let Some(connection) = self.connections.get(&id) else { return Step::Skip };
        let version = call.header.request_api_version;
        let context = Context { broker: connection.broker, connection: id, version, now };
        match api::handle(&mut self.state, context, call.request, call.checked) {
            api::Outcome::Done(step) => step,
            api::Outcome::Fetching(fetching) => self.park_fetch(id, fetching),
        }
    }

    /// Does what a request asks for, and says nothing; what would wait is not waited for.
    fn answer_into_the_void(&mut self, id: ConnectionId, call: Call, now: Now) -> Step {
        match self.answer(id, call, now) {
            Step::Wait(_) => {
                if let Some(Parked::Fetch(fetching)) = self.unpark(id) {
                    fetching.unwatch(&mut self.state, id);
                }
                Step::Skip
            }
            Step::Respond(_) => Step::Skip,
            other => other,
        }
    }

    fn park_fetch(&mut self, id: ConnectionId, fetching: Box<Fetching>) -> Step {
        let until = fetching.until();
        self.park(id, Parked::Fetch(fetching), until)
    }

    fn park(&mut self, id: ConnectionId, parked: Parked, until: Instant) -> Step {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.parked = Some(parked);
        }
        Step::Wait(until)
    }

    fn unpark(&mut self, id: ConnectionId) -> Option<Parked> {
        self.connections.get_mut(&id)?.parked.take()
    }
}
