//! The broker's side: the same shape as the client's, with questions about users in place of work and tokens.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::oauthbearer::{self, BearerToken, OAuthBearerServer, TokenVerdict};
use super::plain::{self, PlainServer};
use super::scram::{ScramCredential, ScramHash, ScramServer};
use super::{SaslError, Secretive};

/// The broker's side of one authentication.
pub trait ServerMechanism: Send + fmt::Debug {
    /// The name in SaslHandshake.
    fn name(&self) -> &'static str;

    /// Takes the client's message or the answer to a question, gives the next step.
    ///
    /// # Errors
    /// The client is refused; the broker answers SASL_AUTHENTICATION_FAILED with the error's text and closes.
    fn step(&mut self, input: ServerInput<'_>) -> Result<ServerStep, SaslError>;
}

/// The server's side of the mechanism that a SaslHandshake names, or nothing for a mechanism we do not have.
/// `nonce` is 24 fresh random bytes.
pub fn server_mechanism(name: &str, nonce: [u8; 24]) -> Option<Box<dyn ServerMechanism>> {
    match name {
        plain::NAME => Some(Box::new(PlainServer::new())),
        oauthbearer::NAME => Some(Box::new(OAuthBearerServer::new())),
        _ => {
            let hash = ScramHash::from_mechanism_name(name)?;
            Some(Box::new(ScramServer::new(hash, nonce)))
        }
    }
}

/// What a [`ServerMechanism`] is told.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a broker must handle each input; hidden from users")]
pub enum ServerInput<'a> {
    /// The bytes of the client's SaslAuthenticate request.
    Client(&'a [u8]),
    /// The answer to [`ServerStep::Ask`].
    Answer(Answer),
}

/// What a broker has to do next.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a broker must handle each step; hidden from users")]
pub enum ServerStep {
    /// Look this up and hand back an [`Answer`].
    Ask(Query),
    /// Send these bytes in the SaslAuthenticate response; the client's next request follows.
    Send(Secretive),
    /// Authenticated: send these bytes in the last response.
    Done {
        /// The last message, empty for most mechanisms.
        message: Bytes,
        /// Whom the client is.
        principal: String,
        /// How long the credential is good for, where it says so: the session must not outlive it (KIP-368).
        lifetime: Option<Duration>,
    },
}

impl ServerStep {
    /// Done with nothing more to say.
    pub(super) fn done(principal: String) -> Self {
        Self::Done { message: Bytes::new(), principal, lifetime: None }
    }
}

/// A question to the broker's store of users.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a broker must answer each question; hidden from users")]
pub enum Query {
    /// The password of a user (PLAIN).
    Password {
        /// The user's name.
        username: String,
    },
    /// The stored SCRAM keys of a user.
    Scram {
        /// The hash they are for.
        hash: ScramHash,
        /// The user's name.
        username: String,
    },
    /// Whether a token is good.
    Token(BearerToken),
}

/// The answer to a [`Query`].
#[expect(clippy::exhaustive_enums, reason = "plain data from the broker's store; hidden from users")]
pub enum Answer {
    /// No such user, or none with such a credential.
    Nobody,
    /// The user's password.
    Password(Zeroizing<String>),
    /// The user's stored keys.
    Scram(ScramCredential),
    /// What the token's check said.
    Token(TokenVerdict),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Password(_) => "Password(***)",
            Self::Scram(_) => "Scram(***)",
            Self::Token(TokenVerdict::Accepted { .. }) => "Token(accepted)",
            Self::Token(TokenVerdict::Refused { .. }) => "Token(refused)",
        })
    }
}
