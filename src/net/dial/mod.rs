//! [`Dial`]: an endpoint in, a connected and secured stream of bytes out.
//!
//! One trait stands between everything above and the network: [`TcpDial`] for real sockets,
//! [`MemDial`](super::mem::MemDial) for simulated ones. The deadline is that of the whole set-up of a
//! connection (`socket.connection.setup.timeout.ms`), TLS handshake included; SASL, above, ends at the same
//! one. May import `config`, `error`, `task`.

mod race;
mod resolve;
mod tcp;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};

pub use resolve::{Resolve, SystemResolver};
pub use tcp::{SocketOptions, TcpDial};

use super::tls::TlsClient;
use crate::config::{ClientConfig, HostPort};
use crate::error::Result;

/// A boxed future of a trait's method.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes connections.
pub trait Dial: Send + Sync + fmt::Debug {
    /// Connects to `endpoint` and secures the connection as its plan says, all of it before `deadline`.
    ///
    /// # Errors
    /// `Resolve`, `Connect`, `Timeout` and `Disconnected` may pass and are worth a retry after a wait; `Tls`
    /// and `Config` need a person. All name the endpoint; no byte of Kafka's was sent.
    ///
    /// # Cancel safety
    /// Dropping the future closes whatever was being set up.
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, deadline: Instant) -> BoxFuture<'a, Result<Connected>>;
}

/// A stream of bytes that is fit for a connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that is ready for Kafka's first byte.
#[non_exhaustive]
pub struct Connected {
    /// The bytes, already decrypted. Vectored writes reach the socket, or the TLS records, as they are.
    pub stream: Box<dyn Stream>,
    /// The address that answered, for logs.
    pub peer: String,
}

impl Connected {
    /// A connection: what a dialler of one's own returns.
    pub fn new(stream: Box<dyn Stream>, peer: String) -> Self {
        Self { stream, peer }
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Where to connect, and how to secure it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Endpoint {
    /// A name or an address; an IPv6 address without brackets. With TLS, what the certificate must be for.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Encrypted or not.
    pub security: Security,
}

impl Endpoint {
    /// An endpoint.
    pub fn new(host: impl Into<String>, port: u16, security: Security) -> Self {
        Self { host: host.into(), port, security }
    }
}

/// `host:port`, with brackets around an IPv6 address.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HostPort::new(self.host.as_str(), self.port).fmt(f)
    }
}

/// Whether and how connections are encrypted; cheap to clone, made once for a client.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Security {
    /// Bytes as they are.
    Plaintext,
    /// TLS: one handshake before the first byte.
    Tls(TlsClient),
}

impl Security {
    /// What `security.protocol` and the `ssl.` settings say. Reads certificate files and the system's
    /// certificates.
    ///
    /// # Errors
    /// `Config` when a certificate or key cannot be read or used, when the system trusts nobody, or when no
    /// TLS provider runs here.
    pub fn from_config(config: &ClientConfig) -> Result<Self> {
        if config.security_protocol.is_tls() {
            Ok(Self::Tls(TlsClient::new(&config.ssl)?))
        } else {
            Ok(Self::Plaintext)
        }
    }

    /// The handshake, if there is one, on a stream that is connected to `endpoint`.
    pub(super) async fn secure<S: Stream + 'static>(
        &self,
        stream: S,
        endpoint: &Endpoint,
        deadline: Instant,
    ) -> Result<Box<dyn Stream>> {
        match self {
            Self::Plaintext => Ok(Box::new(stream)),
            Self::Tls(tls) => tls.connect(stream, endpoint, deadline).await,
        }
    }
}
