//! The tool, as a person or a script drives it: the built binary against the embedded broker, and against a real Kafka.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "child processes live on the real clock")]

// First, so that its macro is known below.
#[macro_use]
#[path = "../support/real/mod.rs"]
mod real;

mod bench;
mod bench_consume;
mod broker;
mod consume;
mod consume_format;
mod consume_group;
mod envelope;
mod failures;
mod groups;
mod interrupted;
mod produce;
mod quickstart;
mod tool;
mod topics;
