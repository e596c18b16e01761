//! What stands in for [`tls`](super::tls) in a build without any TLS feature: the same names, which nobody
//! can make a value of.

use std::time::Instant;

use super::dial::{Endpoint, Stream};
use crate::config::{Pem, Ssl};
use crate::error::{Error, Result};

/// TLS towards brokers: not in this build.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_enums, reason = "it has no value, and never will")]
pub enum TlsClient {}

/// TLS towards clients: not in this build.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_enums, reason = "it has no value, and never will")]
pub enum TlsServer {}

impl TlsClient {
    /// Always refused.
    ///
    /// # Errors
    /// `Config`, naming the feature to turn on.
    pub fn new(_: &Ssl) -> Result<Self> {
        Err(absent())
    }

    #[expect(clippy::unused_async, reason = "the signature of what it stands in for")]
    pub(super) async fn connect<S: Stream + 'static>(
        &self,
        _: S,
        _: &Endpoint,
        _: Instant,
    ) -> Result<Box<dyn Stream>> {
        match *self {}
    }
}

impl TlsServer {
    /// Always refused.
    ///
    /// # Errors
    /// `Config`, naming the feature to turn on.
    pub fn new(_: &Pem, _: &Pem, _: Option<&Pem>) -> Result<Self> {
        Err(absent())
    }

    #[expect(clippy::unused_async, reason = "the signature of what it stands in for")]
    pub(super) async fn accept<S: Stream + 'static>(
        &self,
        _: S,
        _: &str,
        _: Instant,
    ) -> Result<Box<dyn Stream>> {
        match *self {}
    }
}

fn absent() -> Error {
    Error::config("this build of ottla has no TLS")
        .hint("turn on its feature `tls`, or `tls-portable` for processors that `tls` does not run on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feature_to_turn_on_is_named() {
        let Err(error) = TlsClient::new(&Ssl::default());
        assert!(error.to_string().contains("`tls`"), "{error}");
    }
}
