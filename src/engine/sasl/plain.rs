//! PLAIN (RFC 4616): name and password in one message, an empty answer when they are right.
//!
//! The message itself comes from the crate `sasl`, which does not look for NUL, the separator; that check is
//! here. The server's side is ours.

use std::fmt;

use sasl::client::Mechanism as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::server::{Answer, Query, ServerInput, ServerMechanism, ServerStep};
use super::{Input, Mechanism, SaslError, Secretive, Step, check_name_and_password};

pub(super) const NAME: &str = "PLAIN";

pub(super) struct PlainClient {
    state: ClientState,
}

enum ClientState {
    Start { username: String, password: Zeroizing<String> },
    Sent,
    Done,
}

impl PlainClient {
    pub(super) fn new(username: &str, password: &str) -> Result<Self, SaslError> {
        check_name_and_password(username, password)?;
        if password.contains('\0') {
            return Err(SaslError::Credentials(
                "the password contains a NUL character, which PLAIN cannot carry",
            ));
        }
        let (username, password) = (username.to_owned(), Zeroizing::new(password.to_owned()));
        Ok(Self { state: ClientState::Start { username, password } })
    }
}

impl Mechanism for PlainClient {
    fn name(&self) -> &'static str {
        NAME
    }

    fn step(&mut self, input: Input<'_>) -> Result<Step, SaslError> {
        match (std::mem::replace(&mut self.state, ClientState::Done), input) {
            (ClientState::Start { username, password }, Input::Start) => {
                self.state = ClientState::Sent;
                let message = sasl::client::mechanisms::Plain::new(username, password.as_str()).initial();
                Ok(Step::Send(Secretive::new(message)))
            }
            (ClientState::Sent, Input::Challenge(b"")) => Ok(Step::Done),
            (ClientState::Sent, Input::Challenge(_)) => {
                Err(SaslError::Malformed { mechanism: NAME, what: "a challenge, where PLAIN has none" })
            }
            _ => Err(SaslError::OutOfTurn { mechanism: NAME, what: "this input" }),
        }
    }
}

impl fmt::Debug for PlainClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainClient").finish_non_exhaustive()
    }
}

/// The broker's side of PLAIN: asks for the user's password and compares.
pub struct PlainServer {
    state: ServerState,
}

enum ServerState {
    Start,
    Asked { username: String, password: Zeroizing<String> },
    Done,
}

impl PlainServer {
    /// One authentication.
    pub fn new() -> Self {
        Self { state: ServerState::Start }
    }
}

impl Default for PlainServer {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerMechanism for PlainServer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn step(&mut self, input: ServerInput<'_>) -> Result<ServerStep, SaslError> {
        match (std::mem::replace(&mut self.state, ServerState::Done), input) {
            (ServerState::Start, ServerInput::Client(message)) => {
                let (username, password) = parse(message)?;
                self.state = ServerState::Asked { username: username.clone(), password };
                Ok(ServerStep::Ask(Query::Password { username }))
            }
            (ServerState::Asked { username, password }, ServerInput::Answer(Answer::Password(known))) => {
                if bool::from(known.as_bytes().ct_eq(password.as_bytes())) {
                    Ok(ServerStep::done(username))
                } else {
                    Err(refused())
                }
            }
            (ServerState::Asked { .. }, ServerInput::Answer(Answer::Nobody)) => Err(refused()),
            _ => Err(SaslError::OutOfTurn { mechanism: NAME, what: "this input" }),
        }
    }
}

impl fmt::Debug for PlainServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainServer").finish_non_exhaustive()
    }
}

/// `[authzid] NUL username NUL password`; as Kafka, an authorization id other than the user's name is
/// refused.
fn parse(message: &[u8]) -> Result<(String, Zeroizing<String>), SaslError> {
    let malformed = |what| SaslError::Malformed { mechanism: NAME, what };
    let text = std::str::from_utf8(message).map_err(|_| malformed("not UTF-8"))?;
    let mut parts = text.split('\0');
    let (Some(authzid), Some(username), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed("not three parts divided by NUL"));
    };
    if username.is_empty() || password.is_empty() {
        return Err(malformed("an empty user name or password"));
    }
    if !authzid.is_empty() && authzid != username {
        return Err(malformed("an authorization id that is not the user's name"));
    }
    Ok((username.to_owned(), Zeroizing::new(password.to_owned())))
}

/// The same for an unknown user and a wrong password, as Kafka answers it.
fn refused() -> SaslError {
    SaslError::Refused { mechanism: NAME, reason: "invalid user name or password".to_owned() }
}
