//! The codec is held to `protocol-specs/`, and the specs to Apache Kafka's own definitions.
//!
//! `code` compares what the codec says of itself with the specs, in every version of every message, and lets messages
//! made up from the specs pass through it; `apache` compares the specs with the definitions inside the jar of Kafka's client, field for field; `notation` tests
//! the reader of the specs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    unreachable_pub,
    reason = "a test may fail loudly"
)]

mod apache;
mod code;
mod compare;
mod notation;
mod random;
#[path = "../support/mod.rs"]
mod support;
