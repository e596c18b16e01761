//! SASL without I/O: both sides of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER.
//!
//! A [`Mechanism`] is one authentication of one connection. Whoever drives it hands in what the broker said
//! and what it was asked for, and carries out the [`Step`] that comes back:
//!
//! ```text
//! Input::Start ──► Step::Send(bytes)      into SaslAuthenticate; its answer comes back as Input::Challenge
//!              ├─► Step::Derive(work)     run `work.run()` off the runtime's threads, hand back Input::Derived
//!              ├─► Step::NeedToken        ask the user's provider, hand back Input::Token
//!              └─► Step::Done             the broker has proved what the mechanism makes it prove
//! ```
//!
//! A re-authentication (KIP-368) is a new mechanism from the same [`Credentials`]. Invariants: no clock, no
//! randomness (the nonce is an argument), no I/O; nothing here panics on anything a peer sends; `Done` is
//! reached only through the mechanism's own proof; no secret, nor its base64, is in any `Debug` or error. May
//! import `crate::error` only, and does not need it.

mod error;
mod oauthbearer;
mod plain;
mod scram;
mod server;

use std::fmt;

use bytes::Bytes;
use zeroize::Zeroizing;

pub use error::SaslError;
pub(in crate::engine) use error::printable;
pub use oauthbearer::{BearerToken, OAuthBearerServer, TokenVerdict};
pub use plain::PlainServer;
pub use scram::{Derive, Derived, MAX_ITERATIONS, MIN_ITERATIONS, ScramCredential, ScramHash, ScramServer};
pub use server::{Answer, Query, ServerInput, ServerMechanism, ServerStep, server_mechanism};

/// The client's side of one authentication.
pub trait Mechanism: Send + fmt::Debug {
    /// The name sent in SaslHandshake.
    fn name(&self) -> &'static str;

    /// Takes what was asked for by the step before, gives the next step.
    ///
    /// # Errors
    /// The authentication has failed and the mechanism must not be used again: the broker's message was
    /// malformed or proved nothing, or the credentials cannot be used with this mechanism.
    fn step(&mut self, input: Input<'_>) -> Result<Step, SaslError>;

    /// Why the broker is about to refuse, when the mechanism let it say so before its last message
    /// (OAUTHBEARER does). Says more than the error code that ends the exchange.
    fn refusal(&self) -> Option<SaslError> {
        None
    }
}

/// What a [`Mechanism`] is told.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver must handle each input; hidden from users")]
pub enum Input<'a> {
    /// The first call.
    Start,
    /// The bytes of the broker's SaslAuthenticate response.
    Challenge(&'a [u8]),
    /// What [`Derive::run`] computed.
    Derived(Derived),
    /// The token that was asked for.
    Token(BearerToken),
}

/// What the driver of a [`Mechanism`] has to do next.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver must handle each step; hidden from users")]
pub enum Step {
    /// Send these bytes in a SaslAuthenticate request. They hold secrets: never log them.
    Send(Secretive),
    /// Hash a password: milliseconds to a second of work, not for a runtime's thread.
    Derive(Derive),
    /// Ask the user's provider for a token.
    NeedToken,
    /// Authenticated.
    Done,
}

/// Bytes for the peer that hold a secret or a proof of one: [`fmt::Debug`] shows only their number.
#[derive(Clone, PartialEq, Eq)]
pub struct Secretive(Bytes);

impl Secretive {
    /// Wraps bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the wire.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The bytes, for the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secretive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "*** ({} bytes)", self.0.len())
    }
}

/// Who to authenticate as, and how: lives as long as the client, makes a [`Mechanism`] for each
/// authentication.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// PLAIN (RFC 4616): the password itself goes over the wire.
    Plain {
        /// The user's name.
        username: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// SCRAM (RFC 5802, RFC 7677): proves the password without showing it, and makes the broker prove that it
    /// knows it.
    Scram {
        /// SHA-256 or SHA-512.
        hash: ScramHash,
        /// The user's name.
        username: String,
        /// The password, hashed as its UTF-8 bytes are: Kafka does not apply SASLprep.
        password: Zeroizing<String>,
        /// Whether name and password are a delegation token's id and HMAC (KIP-48).
        token_auth: bool,
    },
    /// OAUTHBEARER (RFC 7628, KIP-255): the token is asked for at each authentication.
    OAuthBearer,
}

impl Credentials {
    /// The mechanism's name, as in `sasl.mechanism`.
    pub fn mechanism_name(&self) -> &'static str {
        match self {
            Self::Plain { .. } => plain::NAME,
            Self::Scram { hash, .. } => hash.mechanism_name(),
            Self::OAuthBearer => oauthbearer::NAME,
        }
    }

    /// Starts one authentication. `nonce` is 24 fresh random bytes; SCRAM uses them, the others ignore them.
    ///
    /// # Errors
    /// [`SaslError::Credentials`] when name or password cannot be carried by the mechanism.
    pub fn mechanism(&self, nonce: [u8; 24]) -> Result<Box<dyn Mechanism>, SaslError> {
        Ok(match self {
            Self::Plain { username, password } => Box::new(plain::PlainClient::new(username, password)?),
            Self::Scram { hash, username, password, token_auth } => {
                let client = scram::ScramClient::new(*hash, username, password, nonce)?;
                Box::new(if *token_auth { client.with_token_auth() } else { client })
            }
            Self::OAuthBearer => Box::new(oauthbearer::OAuthBearerClient::new()),
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct(self.mechanism_name());
        if let Self::Plain { username, .. } | Self::Scram { username, .. } = self {
            shown.field("username", username).field("password", &"***");
        }
        shown.finish()
    }
}

/// What every mechanism of ours needs of a name and a password.
fn check_name_and_password(username: &str, password: &str) -> Result<(), SaslError> {
    if username.is_empty() {
        return Err(SaslError::Credentials("the user name is empty"));
    }
    if password.is_empty() {
        return Err(SaslError::Credentials("the password is empty"));
    }
    if username.contains('\0') {
        return Err(SaslError::Credentials("the user name contains a NUL character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
