//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), both sides.
//!
//! Kafka's ways: no channel binding, no SASLprep (`ScramFormatter` hashes the password's UTF-8 bytes as they
//! are), and at least 4,096 iterations (`ScramMechanism`). Ours: at most a million, checked before anything
//! is hashed, and a server that does not prove that it knows the password is refused.

mod client;
mod crypto;
mod message;
mod server;

use std::fmt;

use zeroize::Zeroizing;

pub(super) use client::ScramClient;
pub use server::{ScramCredential, ScramServer};

/// Fewer iterations protect a stolen store of keys too little: Kafka's own floor.
pub const MIN_ITERATIONS: u32 = 4_096;
/// More would occupy a thread for seconds at the server's word.
pub const MAX_ITERATIONS: u32 = 1_000_000;

/// The hash that a SCRAM mechanism is built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the two that Kafka has; hidden from users")]
pub enum ScramHash {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl ScramHash {
    /// The mechanism's name, as in `sasl.mechanism`.
    pub const fn mechanism_name(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// The hash of a mechanism's name, if it is one of the two.
    pub fn from_mechanism_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|hash| hash.mechanism_name() == name)
    }
}

/// A password to hash, as [`super::Step::Derive`] asks for it: plain data, so that whoever drives the
/// mechanism chooses the thread.
pub struct Derive {
    hash: ScramHash,
    password: Zeroizing<String>,
    salt: Vec<u8>,
    iterations: u32,
}

impl Derive {
    /// How often the password is to be hashed.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Hashes: about 0.3 us an iteration, so a millisecond to a third of a second.
    pub fn run(self) -> Derived {
        Derived {
            salted_password: crypto::salted_password(
                self.hash,
                self.password.as_bytes(),
                &self.salt,
                self.iterations,
            ),
        }
    }
}

impl fmt::Debug for Derive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derive")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// What [`Derive::run`] gives.
pub struct Derived {
    salted_password: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derived").finish_non_exhaustive()
    }
}
