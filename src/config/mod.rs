//! Kafka's settings: their names, types, defaults, where they come from, and what they mean together.
//!
//! The way of a setting, top to bottom:
//!
//! 1. `keys` is one table of every key that Apache's Java client 4.3 and librdkafka know: type, range, default, aliases,
//!    and what becomes of it here (used, accepted without effect, refused and why).
//! 2. [`Settings`] collects keys and values from the program, the environment, a `.env` file and `.properties` files,
//!    checks each value against the table as it comes in, and remembers its [`Origin`].
//! 3. [`ClientConfig`], [`ProducerConfig`] and [`ConsumerConfig`] are what the rest of the crate reads: plain typed
//!    structs, parsed from the settings once. Whatever contradicts itself is refused there.
//!
//! Everything that may be a password or a key is a [`Secret`] from the moment it is read. Errors are [`ConfigError`]s,
//! which tell the key, where it was set and what would be right, and never a secret.
//!
//! Invariants: no setting changes what another layer sees (the process's environment is read, never written), an unknown
//! key is never ignored where a person wrote it on purpose, and no text, however odd, makes a parser panic.
//!
//! May import `error` only; no network, no runtime, no clock.

mod client;
mod consumer;
mod error;
mod jaas;
pub mod keys;
mod nearest;
mod oauth;
mod producer;
mod properties;
mod sasl;
mod secret;
mod server;
mod settings;
mod sources;
mod ssl;
mod value;

pub use client::{AddressFamily, ClientConfig, RecoveryStrategy, SecurityProtocol};
pub use consumer::{Assignor, AutoOffsetReset, ConsumerConfig, GroupProtocol, IsolationLevel};
pub use error::{ConfigError, Origin};
pub use producer::{Acks, CompressionType, PartitionerKind, ProducerConfig};
pub use sasl::{LoginRefresh, OauthBearer, Sasl, SaslMechanism, TokenEndpoint, UnsecuredToken};
pub use secret::Secret;
pub use server::HostPort;
pub use settings::{Described, Settings};
pub use ssl::{Pem, Ssl, TlsVersion};
pub use value::Kind;

#[cfg(test)]
pub(crate) mod tests;
