//! The embedded broker, asked byte for byte: the same questions that a real Kafka is asked, with the same answers; and what
//! only an embedded one can do.
//!
//! `cases/` runs against both: `KAFKA=FILE` names a real one, otherwise one is started; where there is none only the
//! embedded broker is asked, and that is said.
#![cfg(feature = "broker")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests, with sockets and threads of their own"
)]

#[macro_use]
#[path = "../support/real/mod.rs"]
mod real;

mod batch;
mod cases;
mod cluster;
mod denials;
mod denied;
mod embedded;
mod faults;
mod groups;
mod peer;
mod quotas;
mod storage;
mod three;
mod transactions;
