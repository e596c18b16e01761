//! Sockets: the one layer where tokio's network and rustls occur.
//!
//! Everything above asks for a [`dial::Dial`] and gets a stream of bytes that is connected and, where wanted, encrypted; a
//! simulation hands in one that stays in memory.

pub mod dial;
pub mod listen;
pub mod mem;
#[cfg(not(any(feature = "tls", feature = "tls-portable", feature = "tls-ring", feature = "tls-aws-lc-rs")))]
mod no_tls;
#[cfg(any(feature = "tls", feature = "tls-portable", feature = "tls-ring", feature = "tls-aws-lc-rs"))]
pub mod tls;

#[cfg(not(any(
    feature = "tls",
    feature = "tls-portable",
    feature = "tls-ring",
    feature = "tls-aws-lc-rs"
)))]
pub use no_tls as tls;
