//! A Kafka client in pure Rust.

pub mod error;
#[doc(hidden)]
pub mod messages;
pub mod task;
#[doc(hidden)]
pub mod wire;

pub use error::{Error, ErrorKind, Result};
