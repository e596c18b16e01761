//! One client connection as a state machine: bytes, time and answers to its questions go in; bytes, events and the next
//! deadline come out. It does no I/O, reads no clock and draws no random numbers, so that tokio, the fuzzer and simulated
//! time drive it alike.
//!
//! ```text
//! new ─► ApiVersions ─► SaslHandshake ─► SaslAuthenticate.. ─► Ready ─► (re-authentication, KIP-368) ─► Closed
//! ```
//!
//! Invariants:
//! * Answers come in the order of the requests; another correlation id, or an answer to nothing, closes the connection.
//! * Each request handed in with [`send`](Connection::send) gets exactly one [`Event::Answer`], also when the connection
//!   closes: the error then says whether its bytes may have reached the broker.
//! * Every wait has a deadline: the set-up's, then each request's. A request that is not answered in time closes the
//!   connection, because whatever follows would be late as well.
//! * While muted (throttled, KIP-219) or re-authenticating, requests wait here.
//!
//! May import `wire`, `messages`, `error`, and its neighbour `engine::sasl`.

mod frame;
mod handshake;
mod spares;
mod versions;

use crate::engine::sasl::{BearerToken, Derive, Derived, Input, Mechanism};
use crate::error::{Error, ErrorKind, Sent};
use crate::messages::{ApiKey, ClientId, RequestHeader, ResponseHeader, api};
use crate::wire::{self, WireError};
use bytes::{BufMut, Bytes, BytesMut};
use handshake::{Handshake, Progress};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use frame::{FrameError, Framer};
pub use spares::Spares;
pub use versions::Versions;

/// The least bytes of an answer: its correlation id.
const MIN_ANSWER_BYTES: usize = 4;
/// Buffers of large answers that are kept for the next ones; an answer of Fetch rarely has more.
const SPARE_BYTES: usize = 8 * 1024 * 1024;
/// A broker cannot mute a client for longer.
const MAX_THROTTLE: Duration = Duration::from_secs(60);
/// No broker computes a longer throttle time, though the protocol's field could say 24 days: it is nonsense, ..
const NONSENSE_THROTTLE: Duration = Duration::from_secs(600);
/// .. and worth this pause only.
const NONSENSE_PAUSE: Duration = Duration::from_secs(10);
/// Sessions are not renewed sooner, however short they are said to be: that would be all that is done.
const MIN_SESSION: Duration = Duration::from_secs(1);

/// What a connection is to be.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain limits of a hidden module, built by net and by tests")]
pub struct Options {
    /// How errors name the broker, as `1 (kafka.example:9092)`.
    pub peer: String,
    /// `client.id`.
    pub client_id: Option<ClientId>,
    /// Whether SASL follows on ApiVersions.
    pub sasl: bool,
    /// The largest frame that is accepted, in bytes.
    pub max_frame_bytes: usize,
    /// Requests that may wait for their answers at once, at least one.
    pub max_in_flight: usize,
    /// Closed after so long without a request; never when `None`.
    pub max_idle: Option<Duration>,
    /// When the set-up must be done.
    pub setup_deadline: Instant,
    /// For the share of the session's lifetime after which it is renewed.
    pub rng: fastrand::Rng,
}

/// A request, encoded but for its header.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data of a hidden module, built by net and by tests")]
pub struct Outgoing {
    /// Names the request in its [`Event::Answer`].
    pub id: u64,
    /// The API.
    pub key: ApiKey,
    /// The version that `body` is encoded in.
    pub version: i16,
    /// The request behind its header, in pieces.
    pub body: Vec<Bytes>,
    /// Whether the broker answers at all: not to Produce with `acks=0`.
    pub answered: bool,
    /// How long the broker may take from the moment the request is sent.
    pub timeout: Duration,
    /// When it may not be sent any more, if throttling or those before it keep it waiting until then.
    pub send_by: Option<Instant>,
}

/// What happened, in order.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver must handle each event; hidden from users")]
pub enum Event {
    /// SASL begins: hand in a [`Mechanism`] with [`Connection::authenticate`].
    NeedMechanism,
    /// Hash a password off the runtime's threads and hand the result to [`Connection::derived`].
    Derive(Derive),
    /// Ask for a token and hand it to [`Connection::token`].
    NeedToken,
    /// Requests can be sent.
    Ready,
    /// A request has ended: its answer, or why there is none.
    Answer(u64, Result<Answer, Error>),
}

/// An answer behind its header.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "plain data of a hidden module")]
pub struct Answer {
    /// The version of the request, which is the answer's.
    pub version: i16,
    /// The body; empty when the broker does not answer.
    pub body: Bytes,
}

/// Bytes for the peer.
pub type Transmit = Vec<Bytes>;

/// The client's end of a connection.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    framer: Framer,
    stage: Stage,
    handshake: Handshake,
    versions: Arc<Versions>,
    next_correlation_id: i32,
    queued: VecDeque<Outgoing>,
    transmits: VecDeque<Frame>,
    /// Frames that were given out and are not known to be written: whose request it was, if the broker will not answer it.
    given_out: VecDeque<Option<Unanswered>>,
    /// Requests without an answer that are not written yet.
    unanswered: usize,
    in_flight: VecDeque<InFlight>,
    events: VecDeque<Event>,
    muted_until: Option<Instant>,
    renew_at: Option<Instant>,
    last_use: Option<Instant>,
    /// Whether a request has been answered.
    answered: bool,
}

#[derive(Debug)]
enum Stage {
    SettingUp,
    Ready,
    Renewing { deadline: Instant },
    Closed(Error),
}

/// A request on its way to the stream.
#[derive(Debug)]
struct Frame {
    correlation_id: i32,
    bytes: Transmit,
    unanswered: Option<Unanswered>,
}

/// A request that ends when it is written.
#[derive(Debug, Clone, Copy)]
struct Unanswered {
    id: u64,
    version: i16,
}

#[derive(Debug)]
struct InFlight {
    correlation_id: i32,
    key: ApiKey,
    version: i16,
    /// `None` for the handshake's own.
    id: Option<u64>,
    handed_over: bool,
    deadline: Instant,
}

impl Connection {
    /// A connection whose transport is there; ApiVersions goes out first.
    pub fn new(options: Options) -> Connection {
        let mut connection = Connection {
            framer: Framer::new(MIN_ANSWER_BYTES, options.max_frame_bytes, Spares::new(SPARE_BYTES)),
            stage: Stage::SettingUp,
            handshake: Handshake::new(options.sasl),
            versions: Arc::default(),
            next_correlation_id: 0,
            queued: VecDeque::new(),
            transmits: VecDeque::new(),
            given_out: VecDeque::new(),
            unanswered: 0,
            in_flight: VecDeque::new(),
            events: VecDeque::new(),
            muted_until: None,
            renew_at: None,
            last_use: None,
            answered: false,
            options,
        };
        let deadline = connection.options.setup_deadline;
        let first = connection.handshake.start();
        connection.advance(first, deadline, None);
        connection
    }

    /// Takes a request. Its fate is told by [`Event::Answer`], at once when the connection is closed.
    pub fn send(&mut self, request: Outgoing, now: Instant) {
        if let Stage::Closed(error) = &self.stage {
            let error = error.clone().sent(Sent::Never);
            self.events.push_back(Event::Answer(request.id, Err(error)));
            return;
        }
        self.last_use = Some(now);
        self.queued.push_back(request);
        self.pump(now);
    }

    /// How many more requests could be under way at once.
    pub fn room(&self) -> usize {
        self.options.max_in_flight.saturating_sub(self.pending())
    }

    /// Where the next bytes of the peer go, and how many may be read at most.
    pub fn space(&mut self) -> (&mut BytesMut, usize) {
        self.framer.space()
    }

    /// Takes note that bytes were appended to [`space`](Connection::space).
    pub fn received(&mut self, now: Instant) {
        while !matches!(self.stage, Stage::Closed(_)) {
            match self.framer.next_frame() {
                Ok(Some(frame)) => self.frame(frame, now),
                Ok(None) => break,
                Err(error) => self.close(Error::new(ErrorKind::Protocol, "read a frame").with_source(error)),
            }
        }
        self.pump(now);
    }

    /// Takes note that the peer has closed its side.
    pub fn received_end(&mut self) {
        let attempt = match self.stage {
            Stage::SettingUp => "set up a connection",
            _ if self.framer.is_inside_frame() => "read an answer, of which only a part came",
            _ => "wait for the peer",
        };
        let mut error = Error::new(ErrorKind::Disconnected, attempt);
        if matches!(self.stage, Stage::SettingUp) {
            error = error.hint(self.handshake.advice_on_end());
        }
        self.close(error);
    }

    /// The next frame to send. Once given out it counts as possibly received; [`written`](Connection::written) is to be
    /// told when the stream has all of it.
    pub fn transmit(&mut self) -> Option<Transmit> {
        let Frame { correlation_id, bytes, unanswered } = self.transmits.pop_front()?;
        let at = self.in_flight.iter().position(|request| request.correlation_id == correlation_id);
        if let Some(request) = at.and_then(|at| self.in_flight.get_mut(at)) {
            request.handed_over = true;
        }
        self.given_out.push_back(unanswered);
        Some(bytes)
    }

    /// Takes note that the stream has all of the oldest frame that was given out.
    pub fn written(&mut self) {
        if let Some(Some(Unanswered { id, version })) = self.given_out.pop_front() {
            self.unanswered = self.unanswered.saturating_sub(1);
            self.events.push_back(Event::Answer(id, Ok(Answer { version, body: Bytes::new() })));
        }
    }

    /// What happened next.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Answers [`Event::NeedMechanism`].
    pub fn authenticate(&mut self, mechanism: Box<dyn Mechanism>, now: Instant) {
        let next = self.handshake.authenticate(mechanism);
        self.go_on(next, now);
    }

    /// Answers [`Event::Derive`].
    pub fn derived(&mut self, derived: Derived, now: Instant) {
        let next = self.handshake.step(Input::Derived(derived));
        self.go_on(next, now);
    }

    /// Answers [`Event::NeedToken`].
    pub fn token(&mut self, token: BearerToken, now: Instant) {
        let next = self.handshake.step(Input::Token(token));
        self.go_on(next, now);
    }

    /// Sends nothing for so long: the broker throttles this client (KIP-219). At most a minute; nonsense counts as ten
    /// seconds.
    pub fn mute(&mut self, throttle: Duration, now: Instant) {
        let pause = if throttle > NONSENSE_THROTTLE { NONSENSE_PAUSE } else { throttle.min(MAX_THROTTLE) };
        let until = now.checked_add(pause);
        self.muted_until = self.muted_until.max(until);
    }

    /// When [`expire`](Connection::expire) is to be called, if nothing else happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let stage = match &self.stage {
            Stage::SettingUp => Some(self.options.setup_deadline),
            Stage::Renewing { deadline } => Some(*deadline),
            Stage::Closed(_) => return None,
            Stage::Ready => self.renew_at,
        };
        let answer = self.in_flight.iter().map(|request| request.deadline).min();
        let muted = self.muted_until.filter(|_| !self.queued.is_empty());
        let too_late = self.queued.iter().filter_map(|request| request.send_by).min();
        [stage, answer, muted, too_late, self.idle_at()].into_iter().flatten().min()
    }

    /// Does what the time asks for.
    pub fn expire(&mut self, now: Instant) {
        if self.muted_until.is_some_and(|until| until <= now) {
            self.muted_until = None;
        }
        match &self.stage {
            Stage::SettingUp if self.options.setup_deadline <= now => {
                let error = Error::new(ErrorKind::Timeout, self.handshake.attempt())
                    .hint("the peer took the connection and did not answer in time (socket.connection.setup.timeout.ms)");
                return self.close(error);
            }
            Stage::Renewing { deadline } if *deadline <= now => {
                return self.close(Error::new(ErrorKind::Timeout, "re-authenticate"));
            }
            _ => {}
        }
        if let Some(late) = self.in_flight.iter().find(|request| request.deadline <= now) {
            let error = Error::new(ErrorKind::Timeout, format!("wait for the answer to {}", late.key))
                .hint("the connection is replaced (request.timeout.ms)");
            return self.close(error);
        }
        // With the last of them gone it may have been idle for too long.
        self.give_up_queued(now);
        if self.idle_at().is_some_and(|at| at <= now) {
            return self
                .close(Error::new(ErrorKind::Closed, "the connection was idle (connections.max.idle.ms)"));
        }
        self.pump(now);
    }

    /// Gives back the requests that nobody can use any more.
    fn give_up_queued(&mut self, now: Instant) {
        let is_late = |request: &Outgoing| request.send_by.is_some_and(|by| by <= now);
        if !self.queued.iter().any(is_late) {
            return;
        }
        let (late, queued): (VecDeque<_>, _) =
            std::mem::take(&mut self.queued).into_iter().partition(is_late);
        self.queued = queued;
        for Outgoing { id, key, .. } in late {
            let error = Error::new(ErrorKind::Timeout, format!("send {key} before it is too late"));
            let error = error.broker(&self.options.peer).sent(Sent::Never);
            self.events.push_back(Event::Answer(id, Err(error)));
        }
    }

    /// Ends the connection: every request that waits fails with `error`.
    pub fn close(&mut self, error: Error) {
        if matches!(self.stage, Stage::Closed(_)) {
            return;
        }
        let error = self.advise(error.broker(&self.options.peer));
        self.fail_unanswered(&error);
        // A refusal to authenticate again is the connection's end, and no word about the requests on it: another connection,
        // with other credentials, may carry them.
        let theirs = match (&self.stage, error.kind()) {
            (Stage::Renewing { .. }, ErrorKind::Authentication) => {
                let attempt = "use a connection whose session could not be renewed";
                Error::new(ErrorKind::Disconnected, attempt)
                    .broker(&self.options.peer)
                    .with_source(error.clone())
            }
            _ => error.clone(),
        };
        for request in self.in_flight.drain(..) {
            let sent = if request.handed_over { Sent::Maybe } else { Sent::Never };
            if let Some(id) = request.id {
                self.events.push_back(Event::Answer(id, Err(theirs.clone().sent(sent))));
            }
        }
        for request in self.queued.drain(..) {
            self.events.push_back(Event::Answer(request.id, Err(theirs.clone().sent(Sent::Never))));
        }
        self.stage = Stage::Closed(error);
    }

    fn fail_unanswered(&mut self, error: &Error) {
        let given_out = self.given_out.drain(..).flatten().map(|request| (request, Sent::Maybe));
        let waiting = self
            .transmits
            .drain(..)
            .filter_map(|frame| frame.unanswered)
            .map(|request| (request, Sent::Never));
        for (Unanswered { id, .. }, sent) in given_out.chain(waiting) {
            self.events.push_back(Event::Answer(id, Err(error.clone().sent(sent))));
        }
        self.unanswered = 0;
    }

    /// A listener that wants SASL answers ApiVersions to everybody and hangs up on whatever comes next.
    fn advise(&self, error: Error) -> Error {
        let hung_up = error.kind() == ErrorKind::Disconnected && matches!(self.stage, Stage::Ready);
        if hung_up && !self.options.sasl && !self.answered && !self.in_flight.is_empty() {
            return error.hint(
                "the peer hung up on the first request: does its listener want SASL (security.protocol)?",
            );
        }
        error
    }

    /// Why the connection is closed, if it is.
    pub fn closed(&self) -> Option<&Error> {
        match &self.stage {
            Stage::Closed(error) => Some(error),
            _ => None,
        }
    }

    /// What the broker offers; empty before [`Event::Ready`].
    pub fn versions(&self) -> &Arc<Versions> {
        &self.versions
    }

    /// Requests that wait for an answer or to be sent.
    pub fn pending(&self) -> usize {
        self.in_flight.len().saturating_add(self.queued.len()).saturating_add(self.unanswered)
    }

    /// Whether [`transmit`](Connection::transmit) has bytes.
    pub fn has_transmits(&self) -> bool {
        !self.transmits.is_empty()
    }

    fn idle_at(&self) -> Option<Instant> {
        if !matches!(self.stage, Stage::Ready) || self.pending() > 0 {
            return None;
        }
        self.last_use?.checked_add(self.options.max_idle?)
    }

    /// Sends what may be sent now.
    fn pump(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Ready) {
            return;
        }
        if self.renew_at.is_some_and(|at| at <= now) {
            return self.renew(now);
        }
        if self.muted_until.is_some_and(|until| until > now) {
            return;
        }
        while self.in_flight.len().saturating_add(self.unanswered) < self.options.max_in_flight.max(1) {
            let Some(request) = self.queued.pop_front() else { return };
            // It may have waited here for longer than the connection may be idle.
            self.last_use = Some(now);
            let Outgoing { id, key, version, body, answered, timeout, send_by: _ } = request;
            let deadline = now.checked_add(timeout).unwrap_or(now);
            if answered {
                self.submit(key, version, body, Some(id), deadline);
            } else {
                self.unanswered = self.unanswered.saturating_add(1);
                self.put(key, version, body, Some(Unanswered { id, version }));
            }
        }
    }

    fn renew(&mut self, now: Instant) {
        self.renew_at = None;
        // Requests under way are answered before: brokers keep the order. New ones wait until it is done.
        let deadline = now.checked_add(Duration::from_secs(30)).unwrap_or(now);
        self.stage = Stage::Renewing { deadline };
        self.handshake.renew();
        self.events.push_back(Event::NeedMechanism);
    }

    fn submit(&mut self, key: ApiKey, version: i16, body: Vec<Bytes>, id: Option<u64>, deadline: Instant) {
        let correlation_id = self.put(key, version, body, None);
        let request = InFlight { correlation_id, key, version, id, handed_over: false, deadline };
        self.in_flight.push_back(request);
    }

    /// Puts the header in front and hands the frame out; the correlation id it got.
    fn put(&mut self, key: ApiKey, version: i16, body: Vec<Bytes>, unanswered: Option<Unanswered>) -> i32 {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = correlation_id.checked_add(1).unwrap_or(0);
        match self.header(key, version, correlation_id, &body) {
            Ok(header) => {
                let mut frame = Vec::with_capacity(body.len().saturating_add(1));
                frame.push(header);
                frame.extend(body);
                self.transmits.push_back(Frame { correlation_id, bytes: frame, unanswered });
            }
            Err(error) => self.close(Error::protocol("encode a request's header", error)),
        }
        correlation_id
    }

    /// The length of the frame and the request's header.
    fn header(
        &self,
        key: ApiKey,
        version: i16,
        correlation_id: i32,
        body: &[Bytes],
    ) -> Result<Bytes, WireError> {
        let header = RequestHeader {
            request_api_key: key,
            request_api_version: version,
            correlation_id,
            client_id: self.options.client_id.clone(),
        };
        let layout = api(key).map_or(1, |api| api.request_header_version(version));
        let header_bytes = wire::size(&header, layout, layout >= 2)?;
        let body_bytes: usize = body.iter().map(Bytes::len).sum();
        let length = header_bytes.saturating_add(body_bytes);
        let mut out = BytesMut::with_capacity(header_bytes.saturating_add(4));
        // A request that is larger than the notation can say was refused long before: max.request.size is an int.
        out.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
        wire::encode(&header, layout, layout >= 2, &mut out)?;
        Ok(out.freeze())
    }

    fn frame(&mut self, frame: Bytes, now: Instant) {
        let Some(request) = self.in_flight.pop_front() else {
            return self
                .close(Error::new(ErrorKind::Protocol, "read an answer where no request was under way"));
        };
        let (header, body) = match open(&frame, &request) {
            Ok(opened) => opened,
            Err(error) => {
                let error =
                    Error::protocol(format!("read the header of the answer to {}", request.key), error);
                self.in_flight.push_front(request);
                return self.close(error);
            }
        };
        if header.correlation_id != request.correlation_id {
            let attempt = format!(
                "read the answer to {} with correlation id {}: the peer answered {}",
                request.key, request.correlation_id, header.correlation_id
            );
            self.in_flight.push_front(request);
            return self.close(Error::new(ErrorKind::Protocol, attempt));
        }
        self.last_use = Some(now);
        match request.id {
            Some(id) => {
                self.answered = true;
                self.events.push_back(Event::Answer(id, Ok(Answer { version: request.version, body })))
            }
            None => {
                let next = self.handshake.answer(&body);
                self.go_on(next, now);
            }
        }
    }

    /// Does what the handshake asks for next, within the deadline of the set-up or of the renewal.
    fn go_on(&mut self, next: Result<Progress, Error>, now: Instant) {
        let deadline = match &self.stage {
            Stage::SettingUp => self.options.setup_deadline,
            Stage::Renewing { deadline } => *deadline,
            Stage::Ready | Stage::Closed(_) => return,
        };
        self.advance(next, deadline, Some(now));
    }

    fn advance(&mut self, next: Result<Progress, Error>, deadline: Instant, now: Option<Instant>) {
        match next {
            Err(error) => self.close(error),
            Ok(Progress::Send { key, version, body }) => {
                self.submit(key, version, vec![body], None, deadline)
            }
            Ok(Progress::Derive(derive)) => self.events.push_back(Event::Derive(derive)),
            Ok(Progress::NeedToken) => self.events.push_back(Event::NeedToken),
            Ok(Progress::NeedMechanism) => self.events.push_back(Event::NeedMechanism),
            Ok(Progress::Done { lifetime }) => {
                if matches!(self.stage, Stage::SettingUp) {
                    self.versions = Arc::new(self.handshake.versions());
                    self.events.push_back(Event::Ready);
                }
                self.stage = Stage::Ready;
                self.last_use = now;
                self.renew_at = now.zip(lifetime).and_then(|(now, lifetime)| {
                    // As Java's client: somewhere in 85 to 95 % of the lifetime, so that clients do not renew in step.
                    let share = 0.85 + 0.10 * self.options.rng.f64();
                    now.checked_add(lifetime.mul_f64(share).max(MIN_SESSION))
                });
                if let Some(now) = now {
                    self.pump(now);
                }
            }
        }
    }
}

/// The header of an answer and what is behind it.
fn open(frame: &Bytes, request: &InFlight) -> Result<(ResponseHeader, Bytes), WireError> {
    let Some(api) = api(request.key) else { return Ok((ResponseHeader::default(), frame.clone())) };
    let (header, mut reader) = ResponseHeader::open(frame, api, request.version);
    let body = if reader.failed() { Bytes::new() } else { reader.remaining() };
    reader.finish().map(|()| (header, body))
}

#[cfg(test)]
mod tests;
