//! A Kafka client in pure Rust.

pub mod config;
#[doc(hidden)]
pub mod engine;
pub mod error;
#[doc(hidden)]
pub mod messages;
#[doc(hidden)]
pub mod net;
#[doc(hidden)]
pub mod records;
pub mod task;
#[doc(hidden)]
pub mod wire;

pub use error::{Error, ErrorKind, Result};
