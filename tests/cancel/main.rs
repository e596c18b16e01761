//! Futures that are dropped, runtimes that are shut down, clients that are closed: nothing is lost, sent twice, leaked or
//! left waiting.
//!
//! Everything happens on a paused clock with an embedded broker in a network in memory, so that a future's polls can be
//! counted and each run is the same.
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

mod accounts;
mod clusters;
mod drops;
mod runtimes;
mod world;
