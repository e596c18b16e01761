//! OAUTHBEARER (RFC 7628), as Kafka speaks it (KIP-255), with the extensions of KIP-342.
//!
//! One message carries the token; the broker answers nothing, or a JSON object that says why not, which the
//! client acknowledges with one byte before the broker fails the exchange.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use super::error::printable;
use super::server::{Answer, Query, ServerInput, ServerMechanism, ServerStep};
use super::{Input, Mechanism, SaslError, Secretive, Step};

pub(super) const NAME: &str = "OAUTHBEARER";

/// Divides the key-value pairs, and is the client's whole answer to a refusal.
const SEPARATOR: char = '\u{1}';
/// Far above any token's size; a message beyond it is not parsed.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// A token and what goes with it.
#[derive(Clone)]
pub struct BearerToken {
    value: Zeroizing<String>,
    extensions: Vec<(String, String)>,
}

impl BearerToken {
    /// A token, as its issuer wrote it.
    ///
    /// # Errors
    /// [`SaslError::Credentials`] when it has characters that RFC 6750 does not allow in a token.
    pub fn new(value: impl Into<String>) -> Result<Self, SaslError> {
        let value = Zeroizing::new(value.into());
        let body = value.trim_end_matches('=');
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
        if body.is_empty() || !body.bytes().all(allowed) {
            return Err(SaslError::Credentials(
                "the OAUTHBEARER token is empty or has characters that no token has (a quote, a space, a line end?)",
            ));
        }
        Ok(Self { value, extensions: Vec::new() })
    }

    /// Adds an extension (KIP-342), which the broker may look at beside the token.
    ///
    /// # Errors
    /// [`SaslError::Credentials`] when the key is not ASCII letters or is `auth`, or the value has control
    /// characters.
    pub fn extension(mut self, key: impl Into<String>, value: impl Into<String>) -> Result<Self, SaslError> {
        let (key, value) = (key.into(), value.into());
        if !is_extension(&key, &value) {
            return Err(SaslError::Credentials(
                "an OAUTHBEARER extension needs a key of ASCII letters other than \"auth\" and a value of printable ASCII",
            ));
        }
        self.extensions.push((key, value));
        Ok(self)
    }

    /// The token itself: for whoever checks it.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The extensions, in the order they were added.
    pub fn extensions(&self) -> &[(String, String)] {
        &self.extensions
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerToken").field("value", &"***").finish_non_exhaustive()
    }
}

fn is_extension(key: &str, value: &str) -> bool {
    let key_is_fine = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphabetic()) && key != "auth";
    let byte_is_fine = |b: u8| matches!(b, b'!'..=b'~' | b' ' | b'\t' | b'\r' | b'\n');
    key_is_fine && !value.is_empty() && value.bytes().all(byte_is_fine)
}

#[derive(Debug)]
pub(super) struct OAuthBearerClient {
    state: ClientState,
    refusal: Option<SaslError>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum ClientState {
    Start,
    NeedsToken,
    Sent,
    Acknowledged,
    Over,
}

impl OAuthBearerClient {
    pub(super) fn new() -> Self {
        Self { state: ClientState::Start, refusal: None }
    }

    fn go(&mut self, next: ClientState, step: Step) -> Result<Step, SaslError> {
        self.state = next;
        Ok(step)
    }
}

impl Mechanism for OAuthBearerClient {
    fn name(&self) -> &'static str {
        NAME
    }

    fn step(&mut self, input: Input<'_>) -> Result<Step, SaslError> {
        match (std::mem::replace(&mut self.state, ClientState::Over), input) {
            (ClientState::Start, Input::Start) => self.go(ClientState::NeedsToken, Step::NeedToken),
            (ClientState::NeedsToken, Input::Token(token)) => {
                self.go(ClientState::Sent, Step::Send(first_message(&token)))
            }
            (ClientState::Sent, Input::Challenge(b"")) => Ok(Step::Done),
            (ClientState::Sent, Input::Challenge(json)) => {
                self.refusal = Some(refusal_from(json));
                self.go(ClientState::Acknowledged, Step::Send(Secretive::new(&b"\x01"[..])))
            }
            // A broker answers the acknowledgement with an error code; one that goes on has refused all the
            // same.
            (ClientState::Acknowledged, Input::Challenge(_)) => {
                Err(self.refusal().unwrap_or(SaslError::OutOfTurn { mechanism: NAME, what: "a challenge" }))
            }
            _ => Err(SaslError::OutOfTurn { mechanism: NAME, what: "this input" }),
        }
    }

    fn refusal(&self) -> Option<SaslError> {
        self.refusal.clone()
    }
}

/// `n,,` (no authorization id, no channel binding), then `auth` and the extensions, each closed by the
/// separator, and one more.
fn first_message(token: &BearerToken) -> Secretive {
    let extensions: usize = token.extensions.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
    let mut message = String::with_capacity(token.value.len() + extensions + 32);
    message.push_str("n,,\u{1}auth=Bearer ");
    message.push_str(&token.value);
    for (key, value) in &token.extensions {
        message.push(SEPARATOR);
        message.push_str(key);
        message.push('=');
        message.push_str(value);
    }
    message.push(SEPARATOR);
    message.push(SEPARATOR);
    Secretive::new(message)
}

fn refusal_from(json: &[u8]) -> SaslError {
    let Some(fields) = flat_json(json) else {
        return SaslError::TokenRefused { status: printable(json), scope: None, openid_configuration: None };
    };
    let find = |name: &str| {
        let field = fields.iter().find(|(key, _)| key == name);
        field.map(|(_, value)| printable(value.as_bytes())).filter(|value| !value.is_empty())
    };
    SaslError::TokenRefused {
        status: find("status").unwrap_or_else(|| "no status given".to_owned()),
        scope: find("scope"),
        openid_configuration: find("openid-configuration"),
    }
}

/// Reads a JSON object whose values are all strings: RFC 7628 allows no other, and the crate's JSON is
/// optional. `None` for anything else.
fn flat_json(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    const MAX_FIELDS: usize = 16;
    let mut rest = std::str::from_utf8(bytes).ok()?.trim().strip_prefix('{')?.trim_start();
    let mut fields = Vec::new();
    if let Some(after) = rest.strip_prefix('}') {
        return after.is_empty().then_some(fields);
    }
    while fields.len() < MAX_FIELDS {
        let (key, after) = json_string(rest)?;
        let (value, after) = json_string(after.trim_start().strip_prefix(':')?.trim_start())?;
        fields.push((key, value));
        let after = after.trim_start();
        if let Some(after) = after.strip_prefix('}') {
            return after.is_empty().then_some(fields);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
    None
}

/// One JSON string and what follows it.
fn json_string(text: &str) -> Option<(String, &str)> {
    let mut chars = text.strip_prefix('"')?.chars();
    let mut string = String::new();
    loop {
        match chars.next()? {
            '"' => return Some((string, chars.as_str())),
            '\\' => string.push(json_escape(&mut chars)?),
            c if c.is_control() => return None,
            c => string.push(c),
        }
    }
}

fn json_escape(chars: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        c @ ('"' | '\\' | '/') => c,
        'u' => {
            let digits: String = chars.by_ref().take(4).collect();
            let unit = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4)?;
            // Half of a surrogate pair: nothing a status or scope has. Shown as unreadable, not refused.
            char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        _ => return None,
    })
}

/// What a broker's check of a token said.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_enums, reason = "plain data from the broker's check; hidden from users")]
pub enum TokenVerdict {
    /// The token is good.
    Accepted {
        /// Whom it names.
        principal: String,
        /// How long it is still good.
        lifetime: Option<Duration>,
    },
    /// The token is not good.
    Refused {
        /// Why: `invalid_token` or `insufficient_scope` in Kafka's brokers.
        status: String,
        /// The scope that is needed.
        scope: Option<String>,
    },
}

/// The broker's side of OAUTHBEARER.
#[derive(Debug)]
pub struct OAuthBearerServer {
    state: ServerState,
}

#[derive(Debug)]
enum ServerState {
    Start,
    Asked,
    Refused(SaslError),
    Over,
}

impl OAuthBearerServer {
    /// One authentication.
    pub fn new() -> Self {
        Self { state: ServerState::Start }
    }
}

impl Default for OAuthBearerServer {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerMechanism for OAuthBearerServer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn step(&mut self, input: ServerInput<'_>) -> Result<ServerStep, SaslError> {
        match (std::mem::replace(&mut self.state, ServerState::Over), input) {
            (ServerState::Start, ServerInput::Client(message)) => {
                let token = parse_first_message(message)?;
                self.state = ServerState::Asked;
                Ok(ServerStep::Ask(Query::Token(token)))
            }
            (
                ServerState::Asked,
                ServerInput::Answer(Answer::Token(TokenVerdict::Accepted { principal, lifetime })),
            ) => Ok(ServerStep::Done { message: bytes::Bytes::new(), principal, lifetime }),
            (ServerState::Asked, ServerInput::Answer(answer)) => {
                let (status, scope) = match answer {
                    Answer::Token(TokenVerdict::Refused { status, scope }) => (status, scope),
                    _ => ("invalid_token".to_owned(), None),
                };
                let json = refusal_json(&status, scope.as_deref());
                self.state = ServerState::Refused(SaslError::TokenRefused {
                    status,
                    scope,
                    openid_configuration: None,
                });
                Ok(ServerStep::Send(Secretive::new(json)))
            }
            (ServerState::Refused(error), ServerInput::Client(_)) => Err(error),
            _ => Err(SaslError::OutOfTurn { mechanism: NAME, what: "this input" }),
        }
    }
}

fn parse_first_message(message: &[u8]) -> Result<BearerToken, SaslError> {
    let malformed = |what| SaslError::Malformed { mechanism: NAME, what };
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(malformed("longer than any token"));
    }
    let text = std::str::from_utf8(message).map_err(|_| malformed("not UTF-8"))?;
    let (header, pairs) = text.split_once(SEPARATOR).ok_or(malformed("no key-value pairs"))?;
    if !header.starts_with("n,") || !header.ends_with(',') {
        return Err(malformed("a GS2 header other than \"n,,\""));
    }
    let pairs = pairs.strip_suffix("\u{1}\u{1}").ok_or(malformed("it does not end in two separators"))?;
    let mut token = None;
    let mut extensions = Vec::new();
    for pair in pairs.split(SEPARATOR) {
        match pair.split_once('=').ok_or(malformed("a pair without \"=\""))? {
            ("auth", value) => {
                let bearer = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer "));
                let value = bearer.ok_or(malformed("an \"auth\" that is not a bearer token"))?.trim_start();
                token = Some(BearerToken::new(value).map_err(|_| malformed("characters that no token has"))?);
            }
            (key, value) if is_extension(key, value) => extensions.push((key.to_owned(), value.to_owned())),
            _ => return Err(malformed("an extension with a bad key or value")),
        }
    }
    let token = token.ok_or(malformed("no \"auth\""))?;
    Ok(BearerToken { extensions, ..token })
}

fn refusal_json(status: &str, scope: Option<&str>) -> String {
    let quoted = |text: &str| -> String {
        let escaped = text.chars().flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c if c.is_control() => vec![' '],
            c => vec![c],
        });
        std::iter::once('"').chain(escaped).chain(std::iter::once('"')).collect()
    };
    match scope {
        Some(scope) => format!("{{\"status\":{},\"scope\":{}}}", quoted(status), quoted(scope)),
        None => format!("{{\"status\":{}}}", quoted(status)),
    }
}
