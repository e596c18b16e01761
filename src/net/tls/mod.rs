//! TLS through rustls: whom to trust, what to show, and what went wrong in words.
//!
//! Host names are always verified, IP addresses against the certificate's IP names; TLS 1.2 at least. Roots
//! are the system's or the given ones, never both. No process-wide provider is installed: each configuration
//! carries its own (`provider.rs`). Certificate and key files are read again at each connection, so that
//! renewed ones are used without a restart.

mod client;
mod encrypted_key;
mod explain;
mod pem;
mod provider;
mod server;
mod stream;
mod verify;

pub use client::TlsClient;
#[cfg(all(
    any(feature = "broker", test),
    feature = "tls",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub(super) use provider::graviola;
pub use server::TlsServer;

#[cfg(test)]
#[cfg(all(feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests;
