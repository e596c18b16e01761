//! Soak runs: a client under load on three real brokers that are killed, stopped and moved between, and a checker that
//! compares what the client claims with what lies in the log.
//!
//! The checker is tested always, by planted histories; the runs take minutes and are started by `.ci/soak three-brokers`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    missing_debug_implementations,
    reason = "tests of the public API, with time and tasks of their own"
)]

#[path = "../support/proxy/mod.rs"]
mod proxy;
#[macro_use]
#[path = "../support/real/mod.rs"]
mod real;

#[macro_use]
mod bench;
mod beside;
mod checker;
mod consuming;
mod gaps;
mod groups;
mod history;
mod idle;
mod leaders;
mod load;
mod nearby;
mod outages;
mod reading;
mod received;
mod topics;
mod truncated;
