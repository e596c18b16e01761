//! [`TlsServer`]: the accepting side, for the embedded broker.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::{pem, provider};
use crate::config::Pem;
use crate::error::{Error, ErrorKind, Result};
use crate::net::dial::Stream;
use crate::task;

/// TLS towards clients. Clones share their configuration.
#[derive(Clone)]
pub struct TlsServer(Arc<ServerConfig>);

impl TlsServer {
    /// Shows `certificate` (and those that lead to its CA); with `client_ca`, each client must show one that
    /// is signed by it.
    ///
    /// # Errors
    /// `Config`: something cannot be read or used, or no provider of cryptography runs here.
    pub fn new(certificate: &Pem, key: &Pem, client_ca: Option<&Pem>) -> Result<Self> {
        let provider = provider::provider()?;
        let unusable = |error: rustls::Error| {
            Error::config("the broker's certificate and key cannot be used together").with_source(error)
        };
        let certificate = pem::Text::read("the broker's certificate", certificate)?.certificates()?;
        let key = pem::Text::read("the broker's key", key)?.private_key(None)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .map_err(unusable)?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let ca = pem::Text::read("the clients' CA", ca)?;
                let malformed = || Error::config(format!("{} holds a malformed certificate", ca.origin));
                let mut roots = RootCertStore::empty();
                for certificate in ca.certificates()? {
                    roots.add(certificate).map_err(|error| malformed().with_source(error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| malformed().with_source(error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(certificate, key).map_err(unusable)?;
        Ok(Self(Arc::new(config)))
    }

    /// The handshake with a client at `peer`.
    pub(in crate::net) async fn accept<S: Stream + 'static>(
        &self,
        stream: S,
        peer: &str,
        deadline: Instant,
    ) -> Result<Box<dyn Stream>> {
        let attempt = || format!("TLS handshake with the client at {peer}");
        let acceptor = TlsAcceptor::from(Arc::clone(&self.0));
        match task::until(deadline, acceptor.accept(stream)).await {
            Some(Ok(stream)) => Ok(Box::new(stream)),
            Some(Err(error)) => Err(Error::new(ErrorKind::Tls, attempt()).with_source(error)),
            None => Err(Error::new(ErrorKind::Timeout, attempt())),
        }
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}
