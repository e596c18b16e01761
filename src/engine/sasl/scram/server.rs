//! The broker's side: knows keys, never the password.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::super::server::{Answer, Query, ServerInput, ServerMechanism, ServerStep};
use super::super::{SaslError, Secretive};
use super::message::{Parts, decode64, encode64, is_nonce, unescape_name};
use super::{ScramHash, crypto};

/// What a broker stores of a user's password, as Kafka's `ScramCredential` does.
#[derive(Clone)]
pub struct ScramCredential {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Zeroizing<Vec<u8>>,
    server_key: Zeroizing<Vec<u8>>,
}

impl ScramCredential {
    /// Hashes a password for storing: work of [`super::Derive::run`]'s order.
    pub fn derive(hash: ScramHash, password: &str, salt: Vec<u8>, iterations: u32) -> Self {
        let salted_password = crypto::salted_password(hash, password.as_bytes(), &salt, iterations);
        Self::from_salted_password(hash, &salted_password, salt, iterations)
    }

    /// For a password that the client salted itself (AlterUserScramCredentials, KIP-554).
    pub fn from_salted_password(
        hash: ScramHash,
        salted_password: &[u8],
        salt: Vec<u8>,
        iterations: u32,
    ) -> Self {
        let stored_key = crypto::stored_key(hash, &crypto::client_key(hash, salted_password));
        let server_key = crypto::server_key(hash, salted_password);
        Self { salt, iterations, stored_key, server_key }
    }

    /// How often the password was hashed.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramCredential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// The broker's side of SCRAM.
pub struct ScramServer {
    hash: ScramHash,
    nonce: String,
    state: State,
}

enum State {
    Start,
    Asked(ClientFirst),
    AwaitFinal { first: ClientFirst, server_first: String, nonce: String, credential: ScramCredential },
    Over,
}

impl ScramServer {
    /// One authentication; `nonce` is 24 fresh random bytes.
    pub fn new(hash: ScramHash, nonce: [u8; 24]) -> Self {
        Self { hash, nonce: encode64(&nonce), state: State::Start }
    }

    fn server_first(&mut self, first: ClientFirst, credential: ScramCredential) -> ServerStep {
        let nonce = format!("{}{}", first.nonce, self.nonce);
        let server_first = format!("r={nonce},s={},i={}", encode64(&credential.salt), credential.iterations);
        self.state = State::AwaitFinal { first, server_first: server_first.clone(), nonce, credential };
        ServerStep::Send(Secretive::new(server_first))
    }

    fn client_final(
        &self,
        first: ClientFirst,
        server_first: &str,
        nonce: &str,
        credential: &ScramCredential,
        message: &[u8],
    ) -> Result<ServerStep, SaslError> {
        let mut parts = Parts::new(self.name(), message)?;
        let text = parts.rest();
        let binding = parts.value('c', "no channel binding")?;
        if decode64(binding).as_deref() != Some(first.gs2_header.as_bytes()) {
            return Err(parts.malformed("a channel binding that is not the first message's"));
        }
        if parts.value('r', "no nonce")? != nonce {
            return Err(SaslError::Nonce);
        }
        let (without_proof, proof) =
            text.rsplit_once(",p=").ok_or(parts.malformed("it does not end in a proof"))?;
        let proof = decode64(proof).ok_or(parts.malformed("a proof that is not base64"))?;

        let auth_message = format!("{},{server_first},{without_proof}", first.bare);
        let client_signature = crypto::signature(self.hash, &credential.stored_key, &auth_message);
        let client_key = crypto::xor(&proof, &client_signature);
        let stored_key = crypto::stored_key(self.hash, &client_key);
        let proved = proof.len() == client_signature.len()
            && bool::from(stored_key.as_slice().ct_eq(credential.stored_key.as_slice()));
        if !proved {
            return Err(self.refused());
        }
        let signature = crypto::signature(self.hash, &credential.server_key, &auth_message);
        let message = format!("v={}", encode64(&signature)).into();
        Ok(ServerStep::Done { message, principal: first.username, lifetime: None })
    }

    /// The same for an unknown user and a wrong password, as Kafka answers it.
    fn refused(&self) -> SaslError {
        SaslError::Refused { mechanism: self.name(), reason: "invalid user name or password".to_owned() }
    }
}

impl ServerMechanism for ScramServer {
    fn name(&self) -> &'static str {
        self.hash.mechanism_name()
    }

    fn step(&mut self, input: ServerInput<'_>) -> Result<ServerStep, SaslError> {
        match (std::mem::replace(&mut self.state, State::Over), input) {
            (State::Start, ServerInput::Client(message)) => {
                let first = ClientFirst::parse(self.name(), message)?;
                let username = first.username.clone();
                self.state = State::Asked(first);
                Ok(ServerStep::Ask(Query::Scram { hash: self.hash, username }))
            }
            (State::Asked(first), ServerInput::Answer(Answer::Scram(credential))) => {
                Ok(self.server_first(first, credential))
            }
            (State::Asked(_), ServerInput::Answer(Answer::Nobody)) => Err(self.refused()),
            (State::AwaitFinal { first, server_first, nonce, credential }, ServerInput::Client(message)) => {
                self.client_final(first, &server_first, &nonce, &credential, message)
            }
            _ => Err(SaslError::OutOfTurn { mechanism: self.name(), what: "this input" }),
        }
    }
}

impl fmt::Debug for ScramServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramServer").field("hash", &self.hash).finish_non_exhaustive()
    }
}

struct ClientFirst {
    gs2_header: String,
    bare: String,
    username: String,
    nonce: String,
}

impl ClientFirst {
    fn parse(mechanism: &'static str, message: &[u8]) -> Result<Self, SaslError> {
        let mut parts = Parts::new(mechanism, message)?;
        if parts.raw() != Some("n") {
            return Err(parts.malformed("channel binding, which Kafka does not have"));
        }
        let authzid = parts.raw().unwrap_or_default();
        let bare = parts.rest().to_owned();
        let username = parts.value('n', "no user name")?;
        let nonce = parts.value('r', "no nonce")?;
        let unescaped = unescape_name(username).ok_or(parts.malformed("a user name with a bare \"=\""))?;
        if !is_nonce(nonce) {
            return Err(parts.malformed("a nonce that is not printable"));
        }
        if !authzid.is_empty() && authzid.strip_prefix("a=") != Some(username) {
            return Err(parts.malformed("an authorization id that is not the user's name"));
        }
        let nonce = nonce.to_owned();
        parts.skip_extensions()?;
        Ok(Self { gs2_header: format!("n,{authzid},"), bare, username: unescaped, nonce })
    }
}
