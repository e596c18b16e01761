//! The real thing: an Apache Kafka that tests start, its independent clients, and child processes with deadlines.
//!
//! A test binary takes it in with `#[macro_use] #[path = "../support/real/mod.rs"] mod real;`.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    unused_macros,
    reason = "each test binary uses its own part"
)]
#![allow(clippy::expect_used, clippy::panic, reason = "a test bench that fails fails the test")]

pub mod cluster;
#[macro_use]
pub mod kafka;
pub mod process;
#[path = "../skip.rs"]
mod skip;
pub mod writer;

pub use skip::{in_ci, skip};
