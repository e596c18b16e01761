//! Names to addresses, at each connect: a broker that moved is found again.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::BoxFuture;

/// Looks up a host's addresses. Tests put a list of their own in its place.
pub trait Resolve: Send + Sync + fmt::Debug {
    /// All addresses of `host`, of both families, in any order.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The operating system's resolver, with no cache of our own.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            if let Ok(ip) = host.parse::<IpAddr>() {
                return Ok(vec![SocketAddr::new(ip, port)]);
            }
            Ok(tokio::net::lookup_host((host, port)).await?.collect())
        })
    }
}
