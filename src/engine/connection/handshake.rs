//! What comes before the first request: ApiVersions with its fall-back (KIP-35, KIP-511), then SASL (KIP-43, KIP-152),
//! and SASL again before the session's lifetime ends (KIP-368).

use super::Versions;
use crate::engine::sasl::{Derive, Input, Mechanism, Step, printable};
use crate::error::{Error, ErrorKind};
use crate::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode, Request, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse, api,
};
use crate::wire::{self, Span, Text};
use bytes::{Bytes, BytesMut};
use std::time::Duration;

/// Names this client to the broker (KIP-511).
const SOFTWARE_NAME: &str = "ottla";
/// Our version, as the broker logs it.
const SOFTWARE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The handshake's state.
#[derive(Debug)]
pub(super) struct Handshake {
    sasl: bool,
    awaits: Awaits,
    /// The version of the request whose answer is awaited.
    version: i16,
    fell_back: bool,
    versions: Versions,
    mechanism: Option<Box<dyn Mechanism>>,
    lifetime: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    ApiVersions,
    Mechanism,
    SaslHandshake,
    SaslAuthenticate,
    /// An input of the driver: a derived key or a token.
    Driver,
    Nothing,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Progress {
    Send { key: ApiKey, version: i16, body: Bytes },
    NeedMechanism,
    Derive(Derive),
    NeedToken,
    Done { lifetime: Option<Duration> },
}

impl Handshake {
    pub(super) fn new(sasl: bool) -> Handshake {
        Handshake {
            sasl,
            awaits: Awaits::ApiVersions,
            version: 0,
            fell_back: false,
            versions: Versions::default(),
            mechanism: None,
            lifetime: None,
        }
    }

    pub(super) fn start(&mut self) -> Result<Progress, Error> {
        let newest = api(ApiKey::API_VERSIONS).map_or(0, |api| api.negotiable.last);
        self.api_versions(newest)
    }

    /// Begins anew with SASL, on a connection that is ready.
    pub(super) fn renew(&mut self) {
        self.awaits = Awaits::Mechanism;
        self.lifetime = None;
    }

    /// What the broker offers.
    pub(super) fn versions(&self) -> Versions {
        self.versions.clone()
    }

    /// What was attempted last, for an error.
    pub(super) fn attempt(&self) -> &'static str {
        match self.awaits {
            Awaits::ApiVersions => "negotiate versions (ApiVersions)",
            Awaits::Mechanism | Awaits::Nothing => "set up a connection",
            Awaits::SaslHandshake => "agree on a SASL mechanism (SaslHandshake)",
            Awaits::SaslAuthenticate => "authenticate (SaslAuthenticate)",
            Awaits::Driver => "prepare the SASL exchange",
        }
    }

    /// What a peer that hangs up here usually means.
    pub(super) fn advice_on_end(&self) -> &'static str {
        match self.awaits {
            Awaits::ApiVersions => {
                "the peer hung up on the first request: is it a Kafka listener, and is security.protocol the listener's?"
            }
            Awaits::SaslAuthenticate => "the peer hung up during authentication: are the credentials right?",
            _ => "the peer hung up while the connection was set up",
        }
    }

    pub(super) fn authenticate(&mut self, mechanism: Box<dyn Mechanism>) -> Result<Progress, Error> {
        if self.awaits != Awaits::Mechanism {
            return Err(Error::new(ErrorKind::Internal, "a SASL mechanism came where none was asked for"));
        }
        let request = SaslHandshakeRequest { mechanism: Text::from_static(mechanism.name()) };
        self.mechanism = Some(mechanism);
        self.awaits = Awaits::SaslHandshake;
        // Version 1 is the one after which SaslAuthenticate follows, and every supported broker has it.
        self.send(&request, self.versions.pick(ApiKey::SASL_HANDSHAKE, Span::new(1, 1))?)
    }

    /// Takes the body of the awaited answer.
    pub(super) fn answer(&mut self, body: &Bytes) -> Result<Progress, Error> {
        match self.awaits {
            Awaits::ApiVersions => self.api_versions_answer(body),
            Awaits::SaslHandshake => self.sasl_handshake_answer(body),
            Awaits::SaslAuthenticate => self.sasl_authenticate_answer(body),
            _ => Err(Error::new(ErrorKind::Protocol, "read an answer of the handshake that was not awaited")),
        }
    }

    /// Hands an input to the mechanism and does what it asks for.
    pub(super) fn step(&mut self, input: Input<'_>) -> Result<Progress, Error> {
        let Some(mechanism) = &mut self.mechanism else {
            return Err(Error::new(ErrorKind::Internal, "no SASL exchange is under way"));
        };
        let name = mechanism.name();
        let step = mechanism.step(input).map_err(|error| {
            Error::new(ErrorKind::Authentication, format!("authenticate with {name}")).with_source(error)
        })?;
        match step {
            Step::Send(bytes) => {
                self.awaits = Awaits::SaslAuthenticate;
                let version = self.versions.pick(ApiKey::SASL_AUTHENTICATE, Span::from(0))?;
                self.send(&SaslAuthenticateRequest { auth_bytes: bytes.into_bytes() }, version)
            }
            Step::Derive(derive) => {
                self.awaits = Awaits::Driver;
                Ok(Progress::Derive(derive))
            }
            Step::NeedToken => {
                self.awaits = Awaits::Driver;
                Ok(Progress::NeedToken)
            }
            Step::Done => {
                self.awaits = Awaits::Nothing;
                self.mechanism = None;
                Ok(Progress::Done { lifetime: self.lifetime })
            }
        }
    }

    fn api_versions(&mut self, version: i16) -> Result<Progress, Error> {
        self.awaits = Awaits::ApiVersions;
        let request = if version >= 3 {
            ApiVersionsRequest {
                client_software_name: Text::from_static(SOFTWARE_NAME),
                client_software_version: Text::from_static(SOFTWARE_VERSION),
            }
        } else {
            ApiVersionsRequest::default()
        };
        self.send(&request, version)
    }

    fn api_versions_answer(&mut self, body: &Bytes) -> Result<Progress, Error> {
        let attempt = "negotiate versions (ApiVersions)";
        let code =
            body.first_chunk::<2>().map_or(ErrorCode::NONE, |code| ErrorCode(i16::from_be_bytes(*code)));
        if code == ErrorCode::UNSUPPORTED_VERSION && self.version > 0 && !self.fell_back {
            // The answer to a version that the broker does not know has version 0's layout (KIP-511).
            let named = self.named_version(body)?;
            self.fell_back = true;
            return self.api_versions(named);
        }
        if code != ErrorCode::NONE {
            return Err(Error::broker_code(code, attempt));
        }
        let response: ApiVersionsResponse = self.decode::<ApiVersionsRequest>(body)?;
        self.versions = Versions::from_response(&response);
        if self.sasl {
            self.awaits = Awaits::Mechanism;
            return Ok(Progress::NeedMechanism);
        }
        self.awaits = Awaits::Nothing;
        Ok(Progress::Done { lifetime: None })
    }

    /// The version of ApiVersions to fall back to: the newest that the refusal names and we speak, 0 when it names none.
    fn named_version(&self, body: &Bytes) -> Result<i16, Error> {
        let response: ApiVersionsResponse = wire::decode(body, 0, false)
            .map_err(|error| Error::protocol("read the refusal of ApiVersions", error))?;
        let offered = Versions::from_response(&response);
        match offered.offered(ApiKey::API_VERSIONS) {
            None => Ok(0),
            Some(_) => offered.pick(ApiKey::API_VERSIONS, Span::new(0, self.version.saturating_sub(1))),
        }
    }

    fn sasl_handshake_answer(&mut self, body: &Bytes) -> Result<Progress, Error> {
        let response: SaslHandshakeResponse = self.decode::<SaslHandshakeRequest>(body)?;
        if response.error_code == ErrorCode::NONE {
            return self.step(Input::Start);
        }
        let wanted = self.mechanism.as_ref().map_or("", |mechanism| mechanism.name());
        let offered: Vec<&str> = response.mechanisms.iter().map(Text::as_str).collect();
        let attempt = format!("agree on the SASL mechanism {wanted}: {}", response.error_code);
        Err(Error::new(ErrorKind::Authentication, attempt).hint(format!(
            "the broker offers {}; set sasl.mechanism to one of them",
            printable(offered.join(", ").as_bytes())
        )))
    }

    fn sasl_authenticate_answer(&mut self, body: &Bytes) -> Result<Progress, Error> {
        let response: SaslAuthenticateResponse = self.decode::<SaslAuthenticateRequest>(body)?;
        if response.error_code != ErrorCode::NONE {
            let name = self.mechanism.as_ref().map_or("SASL", |mechanism| mechanism.name());
            let said = printable(response.error_message.as_deref().unwrap_or_default().as_bytes());
            let attempt = format!("authenticate with {name}: {} {said}", response.error_code);
            let mut error = Error::new(ErrorKind::Authentication, attempt.trim_end().to_owned())
                .hint("check sasl.username and sasl.password, or the token");
            if let Some(refusal) = self.mechanism.as_ref().and_then(|mechanism| mechanism.refusal()) {
                error = error.with_source(refusal);
            }
            return Err(error);
        }
        self.lifetime =
            u64::try_from(response.session_lifetime_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis);
        self.step(Input::Challenge(&response.auth_bytes))
    }

    fn send<R: Request>(&mut self, request: &R, version: i16) -> Result<Progress, Error> {
        self.version = version;
        let mut body = BytesMut::new();
        wire::encode(request, version, R::API.flexible.has(version), &mut body)
            .map_err(|error| Error::protocol(self.attempt(), error))?;
        Ok(Progress::Send { key: R::API.key, version, body: body.freeze() })
    }

    fn decode<R: Request>(&self, body: &Bytes) -> Result<R::Response, Error> {
        wire::decode(body, self.version, R::API.flexible.has(self.version))
            .map_err(|error| Error::protocol(self.attempt(), error))
    }
}
