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

use super::api::{self, Checked, Fetching, GroupWait};
use super::denials::ANONYMOUS;
use super::faults::{Byte, Decision, Fate, Manner, Refusal, corrupt_records};
use super::quotas::Client;
use super::state::{Node, Now, Refused, Settings, State};
use super::watch::{Sender, Watch};
use crate::engine::serving::Received;
use crate::messages::{AnyRequest, AnyResponse, BrokerId, ErrorCode, RequestHeader, api as row_of};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Why connections to a broker that was stopped end.
const DOWN: &str = "the broker was stopped";

/// Names a connection; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub(super) u64);

/// A request whose bytes were checked as far as that needs no state.
#[derive(Debug)]
pub(super) struct Call {
    header: RequestHeader,
    request: AnyRequest,
    bytes: usize,
    /// The batches of a Produce request.
    checked: Checked,
}

impl Call {
    /// Checks a request: record batches are opened here, so that it happens outside of any lock.
    pub(super) fn new(received: Received) -> Call {
        let Received { header, request, frame_bytes: bytes } = received;
        let checked = api::check(&request, header.request_api_version);
        Call { header, request, bytes, checked }
    }
}

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Step {
    /// Send this, in this manner.
    Respond(Box<AnyResponse>, Manner),
    /// The client gets no answer.
    Skip,
    /// The client gets no answer, and is not read from for so long.
    Mute(Duration),
    /// SASL is the connection's own business: let it take the request, and answer with what it says.
    Authenticate(Box<AnyRequest>, Manner),
    /// Call [`Core::resume`] when the connection is woken, and at this time at the latest.
    Wait(Instant),
    /// Call [`Core::resume`] at this time, also if the client is gone by then: what a broker has read it carries out.
    Delay(Instant),
    /// Take no notice of what the client sends from now on.
    Silence,
    /// Close the connection, for this reason.
    Close(&'static str),
}

impl Step {
    /// An answer. A client that is told that it is throttled is not read from for so long.
    pub(super) fn respond(response: impl Into<AnyResponse>) -> Step {
        let response = Box::new(response.into());
        let manner = match u64::try_from(response.throttle_time_ms()) {
            Err(_) | Ok(0) => Manner::Whole,
            Ok(pause_ms) => Manner::Muted(Duration::from_millis(pause_ms)),
        };
        Step::Respond(response, manner)
    }

    /// The same, but as a fault has it.
    fn altered(self, alteration: Alteration) -> Step {
        match (self, alteration) {
            (Step::Respond(mut response, manner), Alteration::Records(at)) => {
                corrupt_records(&mut response, at);
                Step::Respond(response, manner)
            }
            (Step::Respond(response, _), Alteration::Manner(manner)) => Step::Respond(response, manner),
            (Step::Respond(mut response, _), Alteration::Throttle { pause, client_waits }) => {
                response.set_throttle_time_ms(i32::try_from(pause.as_millis()).unwrap_or(i32::MAX));
                let manner = if client_waits { Manner::Muted(pause) } else { Manner::Late(pause) };
                Step::Respond(response, manner)
            }
            (Step::Authenticate(request, _), Alteration::Manner(manner)) => {
                Step::Authenticate(request, manner)
            }
            (step, _) => step,
        }
    }
}

/// Who calls, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// The broker that was asked.
    pub(super) broker: BrokerId,
    pub(super) connection: ConnectionId,
    /// What the client calls itself.
    pub(super) client_id: &'a str,
    /// Where it is, as group members are told of each other.
    pub(super) host: &'a str,
    /// Whose quotas hold.
    pub(super) client: &'a Client,
    /// Bytes of the request.
    pub(super) bytes: usize,
    pub(super) version: i16,
    pub(super) now: Now,
    /// What a fault has the broker refuse, or a denial.
    pub(super) refusal: Option<&'a Refusal>,
    /// Of several groups or transactional ids, those that are denied.
    pub(super) denied: &'a [String],
}

impl Context<'_> {
    /// Does the work for a topic or a partition of it, unless a fault has that refused; or does it and refuses it then.
    ///
    /// # Errors
    /// What the fault says, and the work's own.
    pub(super) fn unless_refused<T, E: From<Refused>>(
        self,
        topic: &str,
        partition: Option<i32>,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        match self.refusal.filter(|refusal| refusal.scope.covers(topic, partition)) {
            None => work(),
            Some(refusal) if refusal.is_done => work().and_then(|_| Err(refusal.refused().into())),
            Some(refusal) => Err(refusal.refused().into()),
        }
    }

    /// Does the work for one of several groups or transactional ids, unless a fault has the request refused, or the code says that this
    /// one is denied.
    ///
    /// # Errors
    /// The code, what the fault says, and the work's own.
    pub(super) fn unless_denied<T, E: From<Refused>>(
        self,
        name: &str,
        code: ErrorCode,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if self.denied.iter().any(|denied| denied == name) {
            return Err(Refused { code, text: code.description().to_owned() }.into());
        }
        self.unless_refused("", None, work)
    }

    /// The same for a request as a whole and for each of its partitions, where a fault's code has its place in one of them.
    pub(super) fn split(self, is_of_partitions: impl Fn(ErrorCode) -> bool) -> (Self, Self) {
        let is = |refusal: &&Refusal| is_of_partitions(refusal.code);
        let whole = Context { refusal: self.refusal.filter(|refusal| !is(refusal)), ..self };
        (whole, Context { refusal: self.refusal.filter(is), ..self })
    }

    /// The error code that a fault has the broker answer with before it does anything.
    pub(super) fn refused_before(self) -> Option<ErrorCode> {
        self.refusal.filter(|refusal| !refusal.is_done).map(|refusal| refusal.code)
    }

    /// The error code that a fault has the broker answer with.
    pub(super) fn refused_code(self) -> Option<ErrorCode> {
        self.refusal.map(|refusal| refusal.code)
    }
}

/// What a fault changes in an answer, or in the way it is sent.
#[derive(Debug, Clone, Copy)]
enum Alteration {
    None,
    Manner(Manner),
    /// One byte of the records is inverted.
    Records(usize),
    /// A quota holds the client back for so long, or the answer where clients are too old for it.
    Throttle {
        pause: Duration,
        client_waits: bool,
    },
}

impl Alteration {
    /// A throttled answer in a version of an API.
    fn throttle(request: &AnyRequest, version: i16, pause: Duration) -> Alteration {
        let client_waits = row_of(request.key()).is_some_and(|row| row.client_throttles.has(version));
        Alteration::Throttle { pause, client_waits }
    }
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
    /// Where the client is.
    host: String,
    /// Who it is, by its last request.
    client: Client,
    parked: Option<Parked>,
}

/// A call that waits.
#[derive(Debug)]
enum Parked {
    Fetch(Box<Fetching>, Alteration),
    Group(GroupWait, Alteration),
    /// Until a time.
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

    /// What watches the requests.
    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// What watches the requests, to be told what to do with them.
    pub(super) fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    /// Takes in a connection to one of the brokers.
    pub(super) fn connect(&mut self, broker: BrokerId, peer: &str, now: Now) -> ConnectionId {
        let id = ConnectionId(self.next_connection);
        self.next_connection = self.next_connection.wrapping_add(1);
        let client = Client { broker, user: ANONYMOUS.to_owned(), client_id: String::new() };
        let connection = Connection { broker, host: host_of(peer), client, parked: None };
        self.connections.insert(id, connection);
        self.watch.connected(broker, id, peer, now);
        id
    }

    /// Takes in a broker that clients reach there; it does not run yet.
    pub(super) fn add_broker(&mut self, id: BrokerId, host: &str, port: u16) {
        let node = Node { host: host.into(), port, is_up: false, is_fenced: true };
        self.state.nodes.insert(id, node);
    }

    /// Lets a broker serve. The controller takes one that registers for a new process (KIP-631): if it had not noticed that the
    /// old one was gone it does now, so others lead what that led, and its fetch sessions are forgotten.
    pub(super) fn start_broker(&mut self, id: BrokerId) {
        if self.state.is_live(id) {
            self.state.fence(id);
        }
        if let Some(node) = self.state.nodes.get_mut(&id) {
            node.is_up = true;
        }
        self.state.quotas.forget(id);
        self.state.unfence(id);
    }

    /// Lets a broker serve no more: from now on its connections get no answer, not even of what waits. Nobody else takes
    /// note before [`State::fence`].
    pub(super) fn stop_broker(&mut self, id: BrokerId) {
        if let Some(node) = self.state.nodes.get_mut(&id) {
            node.is_up = false;
        }
        let its = self.connections.iter().filter(|(_, connection)| connection.broker == id);
        self.state.woken.extend(its.map(|(connection, _)| *connection));
    }

    /// Forgets a connection, and what it waited for.
    pub(super) fn disconnect(&mut self, id: ConnectionId) {
        let parked = self.connections.remove(&id).and_then(|connection| connection.parked);
        self.forget(id, parked);
    }

    /// Takes a request.
    pub(super) fn call(&mut self, id: ConnectionId, call: Call, principal: Option<&str>, now: Now) -> Step {
        let Some(broker) = self.serving_broker(id) else { return Step::Close(DOWN) };
        self.advance(now);
        let sender = Sender {
            broker,
            connection: id,
            client_id: call.header.client_id.as_ref().map(|id| id.0.as_str()),
            principal,
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.client.is_now(principal.unwrap_or(ANONYMOUS), sender.client_id.unwrap_or_default());
        }
        self.state.clean_when_due(now);
        let version = call.header.request_api_version;
        let Decision { fate, scope, .. } =
            self.watch.judge(&self.state, &sender, version, &call.request, now);
        let refuse = |code, is_done| Refusal { code, is_done, scope: scope.clone() };
        match fate {
            Fate::Pass => self.answer(id, call, None, Alteration::None, now),
            Fate::Throttle(pause) => {
                let throttle = Alteration::throttle(&call.request, version, pause);
                self.answer(id, call, None, throttle, now)
            }
            Fate::Delay(pause) => {
                let until = crate::task::after(now.at, pause);
                self.park(id, Parked::Delayed(Box::new(call), until))
            }
            Fate::DelayAnswer(pause) => self.answer_in(id, call, Manner::Late(pause), now),
            Fate::Fail(code) => self.answer(id, call, Some(&refuse(code, false)), Alteration::None, now),
            Fate::FailAfterwards(code) => {
                self.answer(id, call, Some(&refuse(code, true)), Alteration::None, now)
            }
            Fate::LoseRequest => Step::Skip,
            Fate::LoseAnswer => self.answer_into_the_void(id, call, now),
            Fate::Silence => Step::Silence,
            Fate::Close => Step::Close("so decided by a fault"),
            Fate::Cut(bytes) => self.answer_in(id, call, Manner::Cut(bytes), now),
            Fate::Corrupt(Byte::OfAnswer(at)) => self.answer_in(id, call, Manner::Corrupt(at), now),
            Fate::Corrupt(Byte::OfRecords(at)) => self.answer(id, call, None, Alteration::Records(at), now),
            Fate::Split { bytes, pause } => self.answer_in(id, call, Manner::Split { bytes, pause }, now),
        }
    }

    /// Looks again at a call that waits.
    pub(super) fn resume(&mut self, id: ConnectionId, now: Now) -> Step {
        if self.serving_broker(id).is_none() {
            return Step::Close(DOWN);
        }
        self.advance(now);
        match self.unpark(id) {
            None => Step::Skip,
            Some(Parked::Delayed(call, until)) if now.at >= until => {
                self.answer(id, *call, None, Alteration::None, now)
            }
            Some(parked @ Parked::Delayed(..)) => self.park(id, parked),
            Some(Parked::Fetch(fetching, alteration)) => match fetching.resume(&mut self.state, now) {
                Ok(response) => Step::respond(response).altered(alteration),
                Err(fetching) => self.park(id, Parked::Fetch(fetching, alteration)),
            },
            Some(Parked::Group(wait, alteration)) => match wait.resume(&mut self.state, now) {
                Ok(response) => Step::respond(response).altered(alteration),
                Err(wait) => self.park(id, Parked::Group(wait, alteration)),
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

    /// Does what is due by now, whoever asks.
    pub(super) fn advance(&mut self, now: Now) {
        self.state.advance_transactions(now);
        self.watch.committed(std::mem::take(&mut self.state.commits));
    }

    fn answer(
        &mut self,
        id: ConnectionId,
        call: Call,
        refusal: Option<&Refusal>,
        alteration: Alteration,
        now: Now,
    ) -> Step {
        let Some(connection) = self.connections.get(&id) else { return Step::Skip };
        let Call { header, request, bytes, checked } = call;
        let client = &connection.client;
        let denied = self.state.denials.of(&self.state, connection.broker, &client.user, &request);
        let context = Context {
            broker: connection.broker,
            connection: id,
            client_id: header.client_id.as_ref().map_or("", |id| id.0.as_str()),
            host: &connection.host,
            client: &connection.client,
            bytes,
            version: header.request_api_version,
            now,
            refusal: refusal.or(denied.refusal.as_ref()),
            denied: &denied.names,
        };
        let outcome = api::handle(&mut self.state, context, request, checked);
        self.watch.committed(std::mem::take(&mut self.state.commits));
        match outcome {
            api::Outcome::Done(step) => step.altered(alteration),
            api::Outcome::Fetching(fetching) => self.park(id, Parked::Fetch(fetching, alteration)),
            api::Outcome::Waiting(wait) => self.park(id, Parked::Group(wait, alteration)),
        }
    }

    fn answer_in(&mut self, id: ConnectionId, call: Call, manner: Manner, now: Now) -> Step {
        self.answer(id, call, None, Alteration::Manner(manner), now)
    }

    /// Does what a request asks for, and says nothing; what would wait is not waited for.
    fn answer_into_the_void(&mut self, id: ConnectionId, call: Call, now: Now) -> Step {
        match self.answer(id, call, None, Alteration::None, now) {
            Step::Wait(_) => {
                let parked = self.unpark(id);
                self.forget(id, parked);
                Step::Skip
            }
            Step::Respond(..) | Step::Mute(_) => Step::Skip,
            other => other,
        }
    }

    /// Nobody waits for a call's answer any more. What a group owes a member it goes on working at.
    fn forget(&mut self, id: ConnectionId, parked: Option<Parked>) {
        match parked {
            Some(Parked::Fetch(fetching, _)) => fetching.unwatch(&mut self.state, id),
            Some(Parked::Group(wait, _)) => wait.forget(&mut self.state),
            Some(Parked::Delayed(..)) | None => {}
        }
    }

    fn park(&mut self, id: ConnectionId, parked: Parked) -> Step {
        let step = match &parked {
            Parked::Fetch(fetching, _) => Step::Wait(fetching.look_again(&self.state)),
            Parked::Group(wait, _) => Step::Wait(wait.until()),
            Parked::Delayed(_, until) => Step::Delay(*until),
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.parked = Some(parked);
        }
        step
    }

    fn unpark(&mut self, id: ConnectionId) -> Option<Parked> {
        self.connections.get_mut(&id)?.parked.take()
    }

    /// The broker of a connection, if it runs.
    fn serving_broker(&self, id: ConnectionId) -> Option<BrokerId> {
        let broker = self.connections.get(&id)?.broker;
        self.state.nodes.get(&broker).filter(|node| node.is_up).map(|_| broker)
    }
}

/// The address of a client without its port, as Kafka writes those of group members.
fn host_of(peer: &str) -> String {
    let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host);
    format!("/{}", host.trim_start_matches('[').trim_end_matches(']'))
}
