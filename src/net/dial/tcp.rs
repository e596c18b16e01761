//! [`TcpDial`]: real sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use super::race::{Attempts, first_to_connect, mix};
use super::{BoxFuture, Connected, Dial, Endpoint, Resolve, SystemResolver};
use crate::config::{AddressFamily, ClientConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::task;

/// A name with more addresses than this is tried by the first so many of them, after shuffling.
const MAX_ADDRESSES: usize = 32;

/// A silent peer is asked for a sign of life after this time, and again at this interval.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(30);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Connects over TCP: resolves at each connect, tries every address of both families, the fastest wins.
#[derive(Debug, Clone)]
pub struct TcpDial {
    options: SocketOptions,
    resolver: Arc<dyn Resolve>,
}

/// What the sockets are to be like. `TCP_NODELAY` and keep-alive are always on.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SocketOptions {
    /// `send.buffer.bytes`; `None` leaves it to the operating system.
    pub send_buffer_bytes: Option<u32>,
    /// `receive.buffer.bytes`; `None` leaves it to the operating system.
    pub receive_buffer_bytes: Option<u32>,
    /// `broker.address.family`: which addresses of a name are tried.
    pub family: AddressFamily,
}

impl SocketOptions {
    /// What the settings say.
    pub fn from_config(config: &ClientConfig) -> Self {
        Self {
            send_buffer_bytes: config.send_buffer_bytes,
            receive_buffer_bytes: config.receive_buffer_bytes,
            family: config.broker_address_family,
        }
    }
}

impl TcpDial {
    /// Sockets with these options, names resolved by the operating system.
    pub fn new(options: SocketOptions) -> Self {
        Self { options, resolver: Arc::new(SystemResolver) }
    }

    /// Names resolved by somebody else.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver, ..self }
    }

    async fn resolve(&self, endpoint: &Endpoint, deadline: Instant) -> Result<Vec<SocketAddr>> {
        let failed = || Error::new(ErrorKind::Resolve, "connect").broker(endpoint);
        let Some(found) = task::until(deadline, self.resolver.resolve(&endpoint.host, endpoint.port)).await
        else {
            return Err(Error::new(ErrorKind::Timeout, "resolve the host name").broker(endpoint));
        };
        let mut addresses =
            found.map_err(|error| failed().with_source(error).hint("check the host's name"))?;
        let resolved = addresses.len();
        addresses.retain(|address| is_of(address, self.options.family));
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            let hint = match resolved {
                0 => "the name exists but has no address",
                _ => "the name has addresses, but none of the family that broker.address.family asks for",
            };
            return Err(failed().hint(hint));
        }
        let mut mixed = mix(addresses, &mut task::rng());
        mixed.truncate(MAX_ADDRESSES);
        Ok(mixed)
    }
}

impl Dial for TcpDial {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, deadline: Instant) -> BoxFuture<'a, Result<Connected>> {
        Box::pin(async move {
            let addresses = self.resolve(endpoint, deadline).await?;
            let options = self.options;
            let (peer, socket) = first_to_connect(addresses, deadline, |address| connect(address, options))
                .await
                .map_err(|attempts| no_connection(endpoint, attempts))?;
            tracing::debug!(%endpoint, %peer, "connected");
            let stream = endpoint.security.secure(socket, endpoint, deadline).await?;
            Ok(Connected { stream, peer: peer.to_string() })
        })
    }
}

fn no_connection(endpoint: &Endpoint, attempts: Attempts) -> Error {
    let (kind, hint) = if attempts.timed_out() {
        (ErrorKind::Timeout, "does a firewall drop the packets, and is this address reachable from here?")
    } else if attempts.all_refused() {
        (ErrorKind::Connect, "nothing listens there: is the broker up, and the port right?")
    } else {
        (ErrorKind::Connect, "is the broker reachable from here?")
    };
    Error::new(kind, "connect").broker(endpoint).with_source(attempts).hint(hint)
}

async fn connect(address: SocketAddr, options: SocketOptions) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Before connecting: the window that is offered to the peer follows from the buffer.
    if let Some(bytes) = options.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = socket.connect(address).await?;
    if stream.local_addr()? == stream.peer_addr()? {
        // The system gave the socket the very port of this machine that it connects to, and TCP let it meet
        // itself.
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE_AFTER).with_interval(KEEP_ALIVE_INTERVAL);
    SockRef::from(&stream).set_tcp_keepalive(&keep_alive)?;
    Ok(stream)
}

fn is_of(address: &SocketAddr, family: AddressFamily) -> bool {
    match family {
        AddressFamily::Any => true,
        AddressFamily::V4 => address.is_ipv4(),
        AddressFamily::V6 => address.is_ipv6(),
    }
}

#[cfg(test)]
mod tests;
