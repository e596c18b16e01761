//! [`Address`]: where a broker listens, on TCP or in memory.

use crate::error::{Error, Result};
use crate::net::listen::Listen;
use crate::net::mem::MemNet;
use crate::net::tls::TlsServer;
use std::fmt;

/// Where a broker listens.
#[derive(Clone)]
pub(super) enum Address {
    /// As `host:port`.
    Tcp(String),
    /// A name in a network in memory.
    Mem(MemNet, String, u16),
}

impl Address {
    /// Begins to listen.
    pub(super) async fn listen(&self, tls: Option<TlsServer>) -> Result<Listen> {
        match self {
            Address::Tcp(address) => Listen::tcp(address.as_str(), tls).await,
            Address::Mem(net, host, port) => Listen::mem(net, host, *port, tls),
        }
    }

    /// The host for clients to connect to.
    pub(super) fn host(&self) -> String {
        let host = match self {
            Address::Mem(_, host, _) => return host.clone(),
            Address::Tcp(address) => address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host),
        };
        match host.trim_start_matches('[').trim_end_matches(']') {
            "0.0.0.0" | "::" | "" => "localhost".to_owned(),
            host => host.to_owned(),
        }
    }

    /// The port, 0 for any and for what is no address.
    pub(super) fn port(&self) -> u16 {
        match self {
            Address::Tcp(address) => {
                address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
            }
            Address::Mem(_, _, port) => *port,
        }
    }

    /// The same with a port that is known by now.
    pub(super) fn with_port(self, port: u16) -> Address {
        match self {
            Address::Mem(net, host, _) => Address::Mem(net, host, port),
            Address::Tcp(address) => {
                let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
                Address::Tcp(format!("{host}:{port}"))
            }
        }
    }

    /// Another address on the same network.
    ///
    /// # Errors
    /// `Config` when it is not `host:port`.
    pub(super) fn elsewhere(&self, address: &str) -> Result<Address> {
        let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let Some((host, port)) = parts else {
            return Err(Error::config(format!("{address:?} is not host:port")));
        };
        Ok(match self {
            Address::Tcp(_) => Address::Tcp(address.to_owned()),
            Address::Mem(net, ..) => Address::Mem(net.clone(), host.to_owned(), port),
        })
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Mem(_, host, port) => write!(f, "{host}:{port} in memory"),
        }
    }
}
