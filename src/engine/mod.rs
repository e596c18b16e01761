//! State machines without I/O: bytes, events, `now` and a seeded generator go in; bytes, events and deadlines come out.
//!
//! Nothing here opens a socket, reads a clock, draws from the system's randomness or starts a task, so everything can be
//! fuzzed, simulated and measured on its own. This layer imports [`wire`](crate::wire), [`messages`](crate::messages),
//! [`records`](crate::records) and [`error`](crate::error); limits come as plain structs, never as settings.
#![allow(
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "a hidden module, outside semver; what is re-exported says `non_exhaustive` itself"
)]

pub mod assign;
pub mod batcher;
pub mod connection;
pub mod cursor;
pub mod group;
mod offset_and_metadata;
pub mod partitioner;
pub mod retry;
pub mod sasl;
pub mod serving;
mod topic_partition;
pub mod view;

pub use offset_and_metadata::OffsetAndMetadata;
pub use topic_partition::TopicPartition;
