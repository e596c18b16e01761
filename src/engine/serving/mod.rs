//! The serving side of a connection as a state machine: frames in, requests out; responses in, bytes out. The embedded
//! broker drives it with tokio, tests drive it against [`connection`](super::connection), the fuzzer with anything.
//!
//! ```text
//! space/received ─► next ─► Received ─► (the owner's work) ─► respond or skip ─► transmit
//!                             └─ SaslHandshake, SaslAuthenticate ─► sasl ─► ask users? ─► sasl_answer ─┘
//! ```
//!
//! Like Kafka, it has one request of a connection under way at a time: [`next`](Serving::next) hands out none before the
//! last was answered, so answers leave in the order of the requests and a client that does not read is not read from.
//!
//! Invariants:
//! * A request is handed out only when its API is offered in its version, its bytes are whole, and the client may ask it:
//!   before SASL has come to its end only ApiVersions, SaslHandshake and SaslAuthenticate. Anything else ends the
//!   connection, as Kafka does; ApiVersions alone is handed out in any version, because its answer tells which are served
//!   (KIP-511).
//! * After [`ended`](Serving::ended) nothing is handed out; what [`transmit`](Serving::transmit) still has is to be sent.
//! * Memory: one frame of at most the limit, 512 KiB before authentication, and what a read brings beside it.
//!
//! May import `wire`, `messages`, and its neighbours `engine::sasl` and `engine::connection`.

mod gate;
mod offer;
mod release;

use super::connection::{FrameError, Framer, Spares};
use super::sasl::{Answer, SaslError};
use crate::messages::{
    AnyRequest, AnyResponse, Api, ApiKey, ApiVersionsRequest, ErrorCode, MessageError, RequestHeader,
    ResponseHeader, SaslAuthenticateRequest, api,
};
use crate::wire::{self, Gather, Text, WireError};
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use gate::{SaslOptions, SaslStep};
pub use offer::Offer;
pub use release::Release;

use gate::{Gate, Refusal};

/// A bare SASL token may be of any length; what is too short for a header is found when it is read.
const MIN_FRAME_BYTES: usize = 0;
/// What a client may send before it is authenticated (Kafka's `sasl.server.max.receive.size`).
const MAX_UNAUTHENTICATED_BYTES: usize = 512 * 1024;
/// Bytes in front of a response: the length, the correlation id, an empty list of tagged fields.
const RESPONSE_HEAD_BYTES: usize = 9;
/// Responses below this are sent in one piece, without a segment for the head.
const ONE_PIECE_BYTES: usize = 4096;

/// What a serving connection is to be.
#[derive(Debug)]
pub struct Options {
    /// What is served.
    pub offer: Arc<Offer>,
    /// Clients must authenticate by this.
    pub sasl: Option<SaslOptions>,
    /// The largest request that is taken, in bytes (`socket.request.max.bytes`).
    pub max_frame_bytes: usize,
    /// Where the memory of large requests comes from, and where it goes.
    pub spares: Spares,
    /// Closed after so long without a request (`connections.max.idle.ms`).
    pub max_idle: Duration,
}

/// A request that awaits its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Its header.
    pub header: RequestHeader,
    /// Its body.
    pub request: AnyRequest,
    /// Bytes of its frame.
    pub frame_bytes: usize,
}

/// Why a connection has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A length that no request has.
    Frame(FrameError),
    /// A header that is no header.
    Header(WireError),
    /// A body that is not what its API and version say.
    Message(MessageError),
    /// An API, or a version of one, that is not offered.
    NotOffered(ApiKey, i16),
    /// A request that has to wait for authentication.
    Unauthenticated(ApiKey),
    /// A SASL mechanism that is not offered.
    UnsupportedMechanism(Text),
    /// SASL came to a bad end.
    Authentication(SaslError),
    /// The session's lifetime is over and it was not renewed (KIP-368).
    SessionExpired,
    /// No request for too long.
    Idle,
    /// The client closed the connection.
    Closed,
    /// The owner had enough of it.
    Owner(&'static str),
    /// A fault of this crate.
    Internal(&'static str),
}

/// The broker's end of a connection.
#[derive(Debug)]
pub struct Serving {
    offer: Arc<Offer>,
    max_frame_bytes: usize,
    max_idle: Duration,
    framer: Framer,
    gate: Gate,
    under_way: Option<UnderWay>,
    transmits: Vec<Bytes>,
    last_use: Instant,
    end: Option<End>,
}

/// The request that is being answered.
#[derive(Debug, Clone, Copy)]
struct UnderWay {
    api: &'static Api,
    version: i16,
    correlation_id: i32,
    /// A SASL token without a header; its answer has none either.
    bare: bool,
}

impl Serving {
    /// A connection that was accepted and, where the listener has TLS, secured.
    pub fn new(options: Options, now: Instant) -> Serving {
        let Options { offer, sasl, max_frame_bytes, spares, max_idle } = options;
        let first =
            if sasl.is_some() { MAX_UNAUTHENTICATED_BYTES.min(max_frame_bytes) } else { max_frame_bytes };
        Serving {
            offer,
            max_frame_bytes,
            max_idle,
            framer: Framer::new(MIN_FRAME_BYTES, first, spares),
            gate: Gate::new(sasl),
            under_way: None,
            transmits: Vec::new(),
            last_use: now,
            end: None,
        }
    }

    /// Where the next bytes of the client go, and how many may be read at most.
    pub fn space(&mut self) -> (&mut BytesMut, usize) {
        self.framer.space()
    }

    /// The next request, once the one before was answered and the bytes are there.
    pub fn next(&mut self, now: Instant) -> Option<Received> {
        if self.under_way.is_some() || self.end.is_some() {
            return None;
        }
        match self.framer.next_frame() {
            Ok(frame) => {
                let received = self.open(frame?, now);
                self.last_use = now;
                received.map_err(|end| self.end = Some(end)).ok()
            }
            Err(error) => {
                self.end = Some(End::Frame(error));
                None
            }
        }
    }

    fn open(&mut self, frame: Bytes, now: Instant) -> Result<Received, End> {
        if self.gate.expects_bare_token() {
            return self.open_bare_token(frame);
        }
        let (header, mut reader) = RequestHeader::open(&frame);
        if reader.failed() {
            return Err(reader.finish_prefix().map_or_else(End::Header, |()| End::Internal("no fault")));
        }
        let (key, version) = (header.request_api_key, header.request_api_version);
        let api = api(key).ok_or(End::NotOffered(key, version))?;
        self.gate.admit(key, now)?;
        let request = if self.offer.serves(key, version) {
            let request = AnyRequest::read(key, &mut reader).map_err(End::Message)?;
            let wrong = |error| End::Message(MessageError::Wire { key, version, error });
            reader.finish().map_err(wrong)?;
            request
        } else if key == ApiKey::API_VERSIONS {
            // Its fields are those of a version that is not known here.
            ApiVersionsRequest::default().into()
        } else {
            return Err(End::NotOffered(key, version));
        };
        self.under_way = Some(UnderWay { api, version, correlation_id: header.correlation_id, bare: false });
        Ok(Received { header, request, frame_bytes: frame.len() })
    }

    /// A token as clients before Kafka 1.0 send it, told as the request that it became.
    fn open_bare_token(&mut self, frame: Bytes) -> Result<Received, End> {
        let header = RequestHeader { request_api_key: ApiKey::SASL_AUTHENTICATE, ..Default::default() };
        let api = api(ApiKey::SASL_AUTHENTICATE).ok_or(End::Internal("no row of SaslAuthenticate"))?;
        self.under_way = Some(UnderWay { api, version: 0, correlation_id: 0, bare: true });
        let frame_bytes = frame.len();
        Ok(Received { header, request: SaslAuthenticateRequest { auth_bytes: frame }.into(), frame_bytes })
    }

    /// Takes the SASL request that is under way. `nonce` is 24 fresh random bytes.
    pub fn sasl(&mut self, request: &AnyRequest, nonce: [u8; 24], now: Instant) -> SaslStep {
        let version = self.under_way.map_or(0, |under_way| under_way.version);
        let step = self.gate.request(request, version, nonce, now);
        self.authenticated(step)
    }

    /// Takes the answer to [`SaslStep::Ask`].
    pub fn sasl_answer(&mut self, answer: Answer, now: Instant) -> SaslStep {
        let step = self.gate.answer(answer, now);
        self.authenticated(step)
    }

    fn authenticated(&mut self, step: Result<SaslStep, Box<Refusal>>) -> SaslStep {
        if self.gate.is_open() {
            self.framer.set_max_frame_bytes(self.max_frame_bytes);
        }
        step.unwrap_or_else(|refusal| {
            self.end = Some(refusal.end);
            SaslStep::Respond(refusal.response)
        })
    }

    /// Answers the request that is under way.
    pub fn respond(&mut self, response: &AnyResponse, now: Instant) {
        self.last_use = now;
        let Some(under_way) = self.under_way.take() else {
            return self.end(End::Internal("a response to nothing"));
        };
        if response.key() != under_way.api.key {
            return self.end(End::Internal("a response of another API"));
        }
        match under_way.encode(response) {
            Ok(segments) => self.transmits.extend(segments),
            Err(error) => {
                tracing::error!(%error, api = under_way.api.name(), "a response cannot be encoded");
                self.end(End::Internal("a response that the version cannot express"));
            }
        }
    }

    /// Lets the request that is under way go without an answer.
    pub fn skip(&mut self, now: Instant) {
        self.last_use = now;
        self.under_way = None;
    }

    /// Bytes for the client, in order; empty when there are none.
    pub fn transmit(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.transmits)
    }

    /// When [`expire`](Serving::expire) has something to do: never while a request is under way.
    pub fn deadline(&self) -> Option<Instant> {
        if self.under_way.is_some() { None } else { self.last_use.checked_add(self.max_idle) }
    }

    /// Takes note of the time.
    pub fn expire(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.end(End::Idle);
        }
    }

    /// Ends the connection; the first reason stays.
    pub fn end(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    /// Why the connection has ended, if it has.
    pub fn ended(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Who the client is, once it has proved it.
    pub fn principal(&self) -> Option<&str> {
        self.gate.principal()
    }
}

impl UnderWay {
    fn encode(&self, response: &AnyResponse) -> Result<Vec<Bytes>, WireError> {
        if let (true, AnyResponse::SaslAuthenticate(token)) = (self.bare, response) {
            // A refusal cannot be told: the connection ends.
            let refused = !token.error_code.is_none();
            return Ok(if refused { Vec::new() } else { in_frame(&[], vec![token.auth_bytes.clone()]) });
        }
        let version = match response {
            // The layout of version 0 is the one that every client can read (KIP-511).
            AnyResponse::ApiVersions(r) if r.error_code == ErrorCode::UNSUPPORTED_VERSION => 0,
            _ => self.version,
        };
        let mut body = Gather::new(BytesMut::new(), version, self.api.flexible.has(version));
        response.write(&mut body);
        let body = body.finish()?;
        let header_version = self.api.response_header_version(version);
        let mut header = BytesMut::with_capacity(RESPONSE_HEAD_BYTES);
        let response_header = ResponseHeader { correlation_id: self.correlation_id };
        wire::encode(&response_header, header_version, header_version >= 1, &mut header)?;
        Ok(in_frame(&header, body))
    }
}

/// Puts the length in front.
fn in_frame(header: &[u8], body: Vec<Bytes>) -> Vec<Bytes> {
    let body_bytes: usize = body.iter().map(Bytes::len).sum();
    let in_one_piece = body_bytes < ONE_PIECE_BYTES;
    let length = header.len().saturating_add(body_bytes);
    let mut head = BytesMut::with_capacity(RESPONSE_HEAD_BYTES + if in_one_piece { body_bytes } else { 0 });
    head.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
    head.put_slice(header);
    if in_one_piece {
        body.iter().for_each(|segment| head.put_slice(segment));
        return vec![head.freeze()];
    }
    let mut segments = Vec::with_capacity(body.len().saturating_add(1));
    segments.push(head.freeze());
    segments.extend(body);
    segments
}

impl End {
    /// Whether it is what connections end with when all is well.
    pub fn is_ordinary(&self) -> bool {
        matches!(self, End::Closed | End::Idle)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Frame(error) => write!(f, "the client's bytes are no request: {error}"),
            End::Header(error) => write!(f, "the request's header is wrong: {error}"),
            End::Message(error) => write!(f, "the request is wrong: {error}"),
            End::NotOffered(key, version) => write!(f, "{key} version {version} is not served"),
            End::Unauthenticated(key) => write!(f, "{key} came before the client was authenticated"),
            End::UnsupportedMechanism(name) => write!(f, "the SASL mechanism {name} is not offered"),
            End::Authentication(error) => write!(f, "authentication failed: {error}"),
            End::SessionExpired => f.write_str("the session has expired and was not renewed"),
            End::Idle => f.write_str("no request for too long"),
            End::Closed => f.write_str("the client closed the connection"),
            End::Owner(why) => f.write_str(why),
            End::Internal(what) => write!(f, "a fault of the broker: {what}"),
        }
    }
}

impl std::error::Error for End {}

#[cfg(test)]
mod tests;
