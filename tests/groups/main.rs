//! Consumers as members of groups, of both protocols, against embedded brokers in a network in memory and on a paused clock:
//! each run is the same, and a wait of five minutes takes none.
#![cfg(feature = "broker")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "tests, with runtimes of their own"
)]

mod commits;
mod ends;
mod members;
mod streams;
#[path = "../support/members.rs"]
mod support;
mod world;
