//! Who may ask what: SASL between ApiVersions and everything else (KIP-43, KIP-152), and again before the session ends
//! (KIP-368).

use super::End;
use crate::engine::sasl::{
    Answer, Query, SaslError, ServerInput, ServerMechanism, ServerStep, server_mechanism,
};
use crate::messages::{
    AnyRequest, AnyResponse, ApiKey, ErrorCode, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest, SaslHandshakeResponse,
};
use crate::wire::Text;
use bytes::Bytes;
use std::time::{Duration, Instant};

/// Kafka ignores a client that wants to authenticate again sooner, so that nobody keeps it busy with that.
const MIN_RENEWAL: Duration = Duration::from_secs(1);

/// The SASL of a listener.
#[derive(Debug, Clone)]
pub struct SaslOptions {
    /// The mechanisms that are offered, in this order.
    pub mechanisms: Vec<Text>,
    /// Sessions end after so long unless authenticated again (`connections.max.reauth.ms`).
    pub session_lifetime: Option<Duration>,
}

/// What the owner has to do for an exchange to go on.
#[derive(Debug)]
pub enum SaslStep {
    /// Look this up and call [`Serving::sasl_answer`](super::Serving::sasl_answer).
    Ask(Query),
    /// Send this with [`Serving::respond`](super::Serving::respond).
    Respond(AnyResponse),
}

/// An authentication that came to a bad end: what to tell the client, and why the connection ends.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) response: AnyResponse,
    pub(super) end: End,
}

/// The state of a connection's authentication.
#[derive(Debug)]
pub(super) struct Gate {
    options: Option<SaslOptions>,
    session: Option<Session>,
    exchange: Option<Exchange>,
}

#[derive(Debug)]
struct Session {
    principal: String,
    since: Instant,
    ends: Option<Instant>,
}

#[derive(Debug)]
struct Exchange {
    mechanism: Box<dyn ServerMechanism>,
    /// After a SaslHandshake 0 the tokens come bare.
    bare: bool,
}

impl Gate {
    pub(super) fn new(options: Option<SaslOptions>) -> Gate {
        Gate { options, session: None, exchange: None }
    }

    /// Whether requests of any kind are taken.
    pub(super) fn is_open(&self) -> bool {
        self.options.is_none() || self.session.is_some()
    }

    /// Whether the next frame is a token without a header.
    pub(super) fn expects_bare_token(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.bare)
    }

    /// Who the client is, once it has proved it.
    pub(super) fn principal(&self) -> Option<&str> {
        self.session.as_ref().map(|session| session.principal.as_str())
    }

    /// Whether a request may be taken now.
    pub(super) fn admit(&self, key: ApiKey, now: Instant) -> Result<(), End> {
        if self.exchange.is_some() {
            let expected = key == ApiKey::SASL_AUTHENTICATE;
            return if expected { Ok(()) } else { Err(End::Unauthenticated(key)) };
        }
        match &self.session {
            _ if self.options.is_none() => Ok(()),
            None if matches!(key, ApiKey::API_VERSIONS | ApiKey::SASL_HANDSHAKE) => Ok(()),
            None => Err(End::Unauthenticated(key)),
            Some(session) if key != ApiKey::SASL_HANDSHAKE && session.has_ended(now) => {
                Err(End::SessionExpired)
            }
            Some(_) => Ok(()),
        }
    }

    /// Answers SaslHandshake, or takes the client's token of a SaslAuthenticate.
    pub(super) fn request(
        &mut self,
        request: &AnyRequest,
        version: i16,
        nonce: [u8; 24],
        now: Instant,
    ) -> Result<SaslStep, Box<Refusal>> {
        match request {
            AnyRequest::SaslAuthenticate(request) => self.authenticate(request, now),
            AnyRequest::SaslHandshake(request) => self.handshake(request, version, nonce, now),
            other => Err(refuse(SaslHandshakeResponse::default(), End::Unauthenticated(other.key()))),
        }
    }

    fn handshake(
        &mut self,
        request: &SaslHandshakeRequest,
        version: i16,
        nonce: [u8; 24],
        now: Instant,
    ) -> Result<SaslStep, Box<Refusal>> {
        let may_begin = self.session.as_ref().is_none_or(|session| session.may_be_renewed(now));
        let Some(options) = self.options.as_ref().filter(|_| may_begin) else {
            return Ok(respond(handshake_response(ErrorCode::ILLEGAL_SASL_STATE, Vec::new())));
        };
        let mechanisms = options.mechanisms.clone();
        let offered = mechanisms.contains(&request.mechanism);
        match offered.then(|| server_mechanism(&request.mechanism, nonce)).flatten() {
            Some(mechanism) => {
                self.exchange = Some(Exchange { mechanism, bare: version == 0 });
                Ok(respond(handshake_response(ErrorCode::NONE, mechanisms)))
            }
            None => Err(refuse(
                handshake_response(ErrorCode::UNSUPPORTED_SASL_MECHANISM, mechanisms),
                End::UnsupportedMechanism(request.mechanism.detach()),
            )),
        }
    }

    fn authenticate(
        &mut self,
        request: &SaslAuthenticateRequest,
        now: Instant,
    ) -> Result<SaslStep, Box<Refusal>> {
        if self.exchange.is_none() {
            let text = "SaslAuthenticate was not expected: no SaslHandshake came before it";
            return Ok(respond(refusal(ErrorCode::ILLEGAL_SASL_STATE, text.to_owned())));
        }
        self.step(ServerInput::Client(&request.auth_bytes), now)
    }

    /// Takes the answer to a question about users.
    pub(super) fn answer(&mut self, answer: Answer, now: Instant) -> Result<SaslStep, Box<Refusal>> {
        self.step(ServerInput::Answer(answer), now)
    }

    fn step(&mut self, input: ServerInput<'_>, now: Instant) -> Result<SaslStep, Box<Refusal>> {
        let Some(exchange) = &mut self.exchange else {
            let end = End::Internal("no exchange is under way");
            return Err(refuse(SaslAuthenticateResponse::default(), end));
        };
        match exchange.mechanism.step(input) {
            Ok(ServerStep::Ask(query)) => Ok(SaslStep::Ask(query)),
            Ok(ServerStep::Send(token)) => Ok(respond(token_response(token.into_bytes(), None))),
            Ok(ServerStep::Done { message, principal, lifetime }) => {
                self.exchange = None;
                self.enter(principal, lifetime, message, now)
            }
            Err(error) => {
                let text = self.refusal_text();
                Err(fail(text, error))
            }
        }
    }

    /// What Kafka tells a client that is not let in: nothing that would tell a guesser how close he was.
    fn refusal_text(&self) -> String {
        let mechanism = self.exchange.as_ref().map_or("", |exchange| exchange.mechanism.name());
        if mechanism == "PLAIN" {
            return "Authentication failed: Invalid username or password".to_owned();
        }
        let phase = if self.session.is_some() { "re-authentication" } else { "authentication" };
        format!(
            "Authentication failed during {phase} due to invalid credentials with SASL mechanism {mechanism}"
        )
    }

    fn enter(
        &mut self,
        principal: String,
        of_credential: Option<Duration>,
        message: Bytes,
        now: Instant,
    ) -> Result<SaslStep, Box<Refusal>> {
        if self.session.as_ref().is_some_and(|session| session.principal != principal) {
            let reason = "Cannot change principals during re-authentication".to_owned();
            return Err(fail(reason.clone(), SaslError::Refused { mechanism: "SASL", reason }));
        }
        let of_listener = self.options.as_ref().and_then(|options| options.session_lifetime);
        let lifetime = of_listener.into_iter().chain(of_credential).min();
        let ends = lifetime.and_then(|lifetime| now.checked_add(lifetime));
        self.session = Some(Session { principal, since: now, ends });
        Ok(respond(token_response(message, lifetime)))
    }
}

impl Session {
    fn has_ended(&self, now: Instant) -> bool {
        self.ends.is_some_and(|ends| now > ends)
    }

    /// Only sessions that end can be renewed.
    fn may_be_renewed(&self, now: Instant) -> bool {
        self.ends.is_some() && now.saturating_duration_since(self.since) >= MIN_RENEWAL
    }
}

fn respond(response: impl Into<AnyResponse>) -> SaslStep {
    SaslStep::Respond(response.into())
}

fn handshake_response(error_code: ErrorCode, mechanisms: Vec<Text>) -> SaslHandshakeResponse {
    SaslHandshakeResponse { error_code, mechanisms }
}

fn token_response(auth_bytes: Bytes, lifetime: Option<Duration>) -> SaslAuthenticateResponse {
    let session_lifetime_ms =
        lifetime.map_or(0, |lifetime| i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
    SaslAuthenticateResponse { error_message: None, auth_bytes, session_lifetime_ms, ..Default::default() }
}

fn refusal(error_code: ErrorCode, text: String) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse { error_code, error_message: Some(text.into()), ..Default::default() }
}

fn fail(text: String, error: SaslError) -> Box<Refusal> {
    let response = refusal(ErrorCode::SASL_AUTHENTICATION_FAILED, text);
    refuse(response, End::Authentication(error))
}

fn refuse(response: impl Into<AnyResponse>, end: End) -> Box<Refusal> {
    Box::new(Refusal { response: response.into(), end })
}
