//! Sockets: the one layer where tokio's network and rustls occur.
//!
//! Everything above asks for a [`dial::Dial`] and gets a stream of bytes that is connected and, where wanted,
//! encrypted; a simulation hands in one that stays in memory.

pub mod auth;
pub mod dial;
pub(crate) mod driver;
pub mod listen;
pub mod mem;
#[cfg(not(any(feature = "tls", feature = "tls-portable", feature = "tls-ring", feature = "tls-aws-lc-rs")))]
pub mod no_tls;
pub(crate) mod pool;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(all(
    any(feature = "broker", test),
    feature = "tls",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub mod self_signed;
#[cfg(any(feature = "tls", feature = "tls-portable", feature = "tls-ring", feature = "tls-aws-lc-rs"))]
pub mod tls;

#[cfg(not(any(
    feature = "tls",
    feature = "tls-portable",
    feature = "tls-ring",
    feature = "tls-aws-lc-rs"
)))]
pub use no_tls as tls;
