//! [`Listen`]: the accepting side for the embedded broker, over TCP or in memory, with TLS or without.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use super::dial::{Connected, Stream};
use super::mem::{MemListener, MemNet};
use super::tls::TlsServer;
use crate::error::{Error, ErrorKind, Result};
use crate::task;

/// Pause after an error that is not one connection's, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket.
pub struct Listen {
    socket: Socket,
    tls: Option<TlsServer>,
}

enum Socket {
    Tcp(TcpListener),
    Mem(MemListener),
}

impl Listen {
    /// Listens on a TCP address; port 0 lets the system choose one.
    ///
    /// # Errors
    /// `Connect` when the address cannot be listened on: not this machine's, or taken.
    pub async fn tcp(address: impl ToSocketAddrs + fmt::Debug, tls: Option<TlsServer>) -> Result<Self> {
        let attempt = format!("listen on {address:?}");
        let failed = |error: io::Error| Error::new(ErrorKind::Connect, attempt.clone()).with_source(error);
        let listener = TcpListener::bind(&address).await.map_err(failed)?;
        Ok(Self { socket: Socket::Tcp(listener), tls })
    }

    /// Listens in memory, under a name that its network's dialler connects to.
    ///
    /// # Errors
    /// `Connect` when somebody listens there already.
    pub fn mem(net: &MemNet, host: &str, port: u16, tls: Option<TlsServer>) -> Result<Self> {
        Ok(Self { socket: Socket::Mem(net.listen(host, port)?), tls })
    }

    /// The port, also where the system chose it.
    pub fn port(&self) -> u16 {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().map_or(0, |address| address.port()),
            Socket::Mem(listener) => listener.port(),
        }
    }

    /// The next connection, before any handshake: one slow client does not keep the others waiting. Errors of
    /// the system are waited out.
    ///
    /// # Cancel safety
    /// No connection is lost when the future is dropped.
    pub async fn accept(&self) -> Accepted {
        let (raw, peer) = match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = accept_tcp(listener).await;
                (Box::new(stream) as Box<dyn Stream>, peer.to_string())
            }
            Socket::Mem(listener) => {
                let (stream, peer) = listener.accept().await;
                (Box::new(stream) as Box<dyn Stream>, peer)
            }
        };
        Accepted { raw, peer, tls: self.tls.clone() }
    }
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listen").field("port", &self.port()).field("tls", &self.tls.is_some()).finish()
    }
}

async fn accept_tcp(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            // Without it a small answer waits for the client's delayed acknowledgement. A failure means that
            // the client is gone, which its first read says too.
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "TCP_NODELAY");
                }
                return (stream, peer);
            }
            Err(error) if is_of_one_connection(&error) => tracing::debug!(%error, "accept"),
            Err(error) => {
                tracing::warn!(%error, "accept");
                task::sleep_until(task::after(task::now(), ACCEPT_PAUSE)).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// A connection that was taken but not yet secured.
pub struct Accepted {
    raw: Box<dyn Stream>,
    peer: String,
    tls: Option<TlsServer>,
}

impl Accepted {
    /// Where the client is.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The TLS handshake, if the listener has TLS.
    ///
    /// # Errors
    /// `Tls` when the client ends it, `Timeout` when it does not come to its end before `deadline`.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn secure(self, deadline: Instant) -> Result<Connected> {
        let Self { raw, peer, tls } = self;
        let stream = match tls {
            None => raw,
            Some(tls) => tls.accept(raw, &peer, deadline).await?,
        };
        Ok(Connected { stream, peer })
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("peer", &self.peer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::dial::{Dial, Endpoint, Security, SocketOptions, TcpDial};
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    async fn poll_once<F: Future>(future: F) -> bool {
        let mut future = pin!(future);
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
    }

    async fn accepts_after_giving_up(listen: Listen, endpoint: Endpoint, dial: impl Dial) {
        assert!(!poll_once(listen.accept()).await, "nobody has connected yet");
        let deadline = task::now() + Duration::from_secs(10);
        let (connected, accepted) = tokio::join!(dial.dial(&endpoint, deadline), listen.accept());
        connected.unwrap();
        accepted.secure(deadline).await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_accept_loses_no_tcp_connection() {
        let listen = Listen::tcp("127.0.0.1:0", None).await.unwrap();
        assert_ne!(listen.port(), 0);
        let endpoint = Endpoint::new("127.0.0.1", listen.port(), Security::Plaintext);
        accepts_after_giving_up(listen, endpoint, TcpDial::new(SocketOptions::default())).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_accept_loses_no_connection_in_memory() {
        let net = MemNet::new(1);
        let listen = Listen::mem(&net, "broker", 0, None).unwrap();
        let endpoint = Endpoint::new("broker", listen.port(), Security::Plaintext);
        accepts_after_giving_up(listen, endpoint, net.dialer()).await;
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_it() {
        let first = Listen::tcp("127.0.0.1:0", None).await.unwrap();
        let address = format!("127.0.0.1:{}", first.port());
        let error = Listen::tcp(address.as_str(), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.to_string().contains(&address), "{error}");
    }
}
