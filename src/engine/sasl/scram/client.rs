//! The client's side: two messages out, two in, and the server's proof checked last.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::super::error::printable;
use super::super::{Input, Mechanism, SaslError, Secretive, Step, check_name_and_password};
use super::message::{Parts, decode64, encode64, escape_name, is_nonce};
use super::{Derive, Derived, MAX_ITERATIONS, MIN_ITERATIONS, ScramHash, crypto};

/// "No channel binding, none wanted", and no authorization id.
const GS2_HEADER: &str = "n,,";

pub(in super::super) struct ScramClient {
    hash: ScramHash,
    nonce: String,
    first_bare: String,
    state: State,
}

enum State {
    Start { password: Zeroizing<String> },
    AwaitFirst { password: Zeroizing<String> },
    Deriving { server_first: String, nonce: String },
    AwaitFinal { server_signature: Zeroizing<Vec<u8>> },
    Over,
}

impl ScramClient {
    pub(in super::super) fn new(
        hash: ScramHash,
        username: &str,
        password: &str,
        nonce: [u8; 24],
    ) -> Result<Self, SaslError> {
        Self::with_nonce(hash, username, password, encode64(&nonce))
    }

    /// The RFC's vectors have nonces of their own.
    pub(super) fn with_nonce(
        hash: ScramHash,
        username: &str,
        password: &str,
        nonce: String,
    ) -> Result<Self, SaslError> {
        check_name_and_password(username, password)?;
        let first_bare = format!("n={},r={nonce}", escape_name(username));
        let password = Zeroizing::new(password.to_owned());
        Ok(Self { hash, nonce, first_bare, state: State::Start { password } })
    }

    /// Tells the broker to look for a delegation token of this name, not for a user (`ScramExtensions` in
    /// Kafka).
    pub(in super::super) fn with_token_auth(mut self) -> Self {
        self.first_bare.push_str(",tokenauth=true");
        self
    }

    fn server_first(&mut self, password: Zeroizing<String>, message: &[u8]) -> Result<Step, SaslError> {
        let first = ServerFirst::parse(self.name(), message)?;
        if !first.nonce.starts_with(&self.nonce) || first.nonce.len() == self.nonce.len() {
            return Err(SaslError::Nonce);
        }
        let found = first.iterations;
        let iterations = u32::try_from(found)
            .ok()
            .filter(|count| (MIN_ITERATIONS..=MAX_ITERATIONS).contains(count))
            .ok_or(SaslError::Iterations { found })?;
        self.state = State::Deriving { server_first: first.text.to_owned(), nonce: first.nonce.to_owned() };
        Ok(Step::Derive(Derive { hash: self.hash, password, salt: first.salt, iterations }))
    }

    fn client_final(&mut self, server_first: &str, nonce: &str, derived: &Derived) -> Step {
        let hash = self.hash;
        let without_proof = format!("c={},r={nonce}", encode64(GS2_HEADER.as_bytes()));
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare);

        let client_key = crypto::client_key(hash, &derived.salted_password);
        let stored_key = crypto::stored_key(hash, &client_key);
        let client_signature = crypto::signature(hash, &stored_key, &auth_message);
        let proof = crypto::xor(&client_key, &client_signature);

        let server_key = crypto::server_key(hash, &derived.salted_password);
        let server_signature = crypto::signature(hash, &server_key, &auth_message);
        self.state = State::AwaitFinal { server_signature };
        Step::Send(Secretive::new(format!("{without_proof},p={}", encode64(&proof))))
    }

    fn server_final(&self, server_signature: &[u8], message: &[u8]) -> Result<Step, SaslError> {
        let mut parts = Parts::new(self.name(), message)?;
        if let Some(reason) = message.strip_prefix(b"e=") {
            return Err(SaslError::Refused { mechanism: self.name(), reason: printable(reason) });
        }
        let value = parts.value('v', "the last message has no server signature")?;
        let found = decode64(value).ok_or(parts.malformed("a server signature that is not base64"))?;
        parts.skip_extensions()?;
        if bool::from(found.ct_eq(server_signature)) {
            Ok(Step::Done)
        } else {
            Err(SaslError::ServerSignature)
        }
    }
}

impl Mechanism for ScramClient {
    fn name(&self) -> &'static str {
        self.hash.mechanism_name()
    }

    fn step(&mut self, input: Input<'_>) -> Result<Step, SaslError> {
        match (std::mem::replace(&mut self.state, State::Over), input) {
            (State::Start { password }, Input::Start) => {
                self.state = State::AwaitFirst { password };
                Ok(Step::Send(Secretive::new(format!("{GS2_HEADER}{}", self.first_bare))))
            }
            (State::AwaitFirst { password }, Input::Challenge(message)) => {
                self.server_first(password, message)
            }
            (State::Deriving { server_first, nonce }, Input::Derived(derived)) => {
                Ok(self.client_final(&server_first, &nonce, &derived))
            }
            (State::AwaitFinal { server_signature }, Input::Challenge(message)) => {
                self.server_final(&server_signature, message)
            }
            _ => Err(SaslError::OutOfTurn { mechanism: self.name(), what: "this input" }),
        }
    }

    /// `ScramMessages` of Apache Kafka has no room for other names, in spite of the RFC, and its broker only
    /// says that they are wrong.
    fn refusal(&self) -> Option<SaslError> {
        let unread = matches!(self.state, State::AwaitFirst { .. }) && !self.first_bare.is_ascii();
        unread.then(|| SaslError::Refused {
            mechanism: self.name(),
            reason:
                "with SCRAM, Apache Kafka takes user names of ASCII characters only (passwords may have any)"
                    .to_owned(),
        })
    }
}

impl fmt::Debug for ScramClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramClient").field("hash", &self.hash).finish_non_exhaustive()
    }
}

struct ServerFirst<'a> {
    text: &'a str,
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u64,
}

impl<'a> ServerFirst<'a> {
    fn parse(mechanism: &'static str, message: &'a [u8]) -> Result<Self, SaslError> {
        let mut parts = Parts::new(mechanism, message)?;
        let text = parts.rest();
        if let Some(reason) = text.strip_prefix("e=") {
            return Err(SaslError::Refused { mechanism, reason: printable(reason.as_bytes()) });
        }
        let nonce = parts.value('r', "no nonce")?;
        let salt = parts.value('s', "no salt")?;
        let iterations = parts.value('i', "no iteration count")?;
        if !is_nonce(nonce) {
            return Err(parts.malformed("a nonce that is not printable"));
        }
        let salt = decode64(salt).ok_or(parts.malformed("a salt that is not base64"))?;
        if !iterations.bytes().all(|b| b.is_ascii_digit()) {
            return Err(parts.malformed("an iteration count that is not a number"));
        }
        parts.skip_extensions()?;
        // Only digits: the one error left is a number beyond 64 bits, which is out of bounds all the same.
        Ok(Self { text, nonce, salt, iterations: iterations.parse().unwrap_or(u64::MAX) })
    }
}

#[cfg(test)]
mod tests;
