//! The messages of the protocol: requests and responses, one file an API.
//!
//! Each file opens with what the API does, who answers it and what changed in which version, and then lists its fields
//! in the order of the wire, in the notation of [`message!`](crate::message). Field names are Apache Kafka's in snake
//! case. Structs are plain data: build them with `..Default::default()`, whose values are the protocol's defaults.
//!
//! This layer imports [`wire`](crate::wire) only. It decides nothing: what to ask, whom, and what to make of the answer
//! belongs to the layers above.
#![allow(
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "plain data of a hidden module, outside semver"
)]

mod error_code;
mod ids;

pub use error_code::{ErrorClass, ErrorCode};
pub use ids::{Acks, BrokerId, CoordinatorType, IsolationLevel, LeaderEpoch, ProducerEpoch, ProducerId};
