//! [`BrokerBuilder`]: how a broker is to be.

use super::Broker;
use super::api::SERVED;
use super::core::Core;
use super::faults::{Fate, Hook, SeenRequest, Watch};
use super::server::{self, Shared};
use super::state::{Node, Settings};
use super::users::{MECHANISMS, Users};
use crate::engine::serving::{Offer, SaslOptions};
use crate::error::{Error, Result};
use crate::messages::BrokerId;
use crate::net::listen::Listen;
use crate::net::mem::MemNet;
use crate::net::tls::TlsServer;
use crate::task::{self, Owned};
use crate::wire::Text;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use zeroize::Zeroizing;

/// The broker's id where nothing else is said.
const BROKER_ID: BrokerId = BrokerId(1);

/// How a [`Broker`] is to be; each method says what holds without it.
#[must_use]
pub struct BrokerBuilder {
    listen: Address,
    advertised: Option<(String, u16)>,
    tls: bool,
    users: Users,
    has_users: bool,
    session_lifetime: Option<Duration>,
    partitions: i32,
    auto_create_topics: bool,
    max_request_bytes: usize,
    keep_requests: usize,
    hook: Option<Hook>,
    seed: Option<u64>,
}

enum Address {
    Tcp(String),
    Mem(MemNet, String, u16),
}

impl BrokerBuilder {
    pub(super) fn new() -> BrokerBuilder {
        BrokerBuilder {
            listen: Address::Tcp("127.0.0.1:0".to_owned()),
            advertised: None,
            tls: false,
            users: Users::default(),
            has_users: false,
            session_lifetime: None,
            partitions: 6,
            auto_create_topics: true,
            max_request_bytes: 100 * 1024 * 1024,
            keep_requests: 0,
            hook: None,
            seed: None,
        }
    }

    /// Listens on this address, such as `0.0.0.0:9092`; port 0 lets the system choose one. `127.0.0.1:0` by default.
    pub fn listen(mut self, address: impl Into<String>) -> BrokerBuilder {
        self.listen = Address::Tcp(address.into());
        self
    }

    /// Listens in a network in memory, for tests with a paused clock.
    #[doc(hidden)]
    pub fn listen_in_memory(mut self, net: &MemNet, host: &str, port: u16) -> BrokerBuilder {
        self.listen = Address::Mem(net.clone(), host.to_owned(), port);
        self
    }

    /// Tells clients to connect to this host and port, with port 0 to the one that is listened on. By default the host that
    /// is listened on, `localhost` where that is every address of the machine.
    pub fn advertise(mut self, host: impl Into<String>, port: u16) -> BrokerBuilder {
        self.advertised = Some((host.into(), port));
        self
    }

    /// Encrypts connections with TLS: a certificate authority is made on the spot, see [`Broker::ca_pem`]. Its certificate
    /// for the broker is good for `localhost`, `127.0.0.1`, `::1` and the advertised host. Plain by default.
    pub fn tls(mut self) -> BrokerBuilder {
        self.tls = true;
        self
    }

    /// Adds a user, which makes the broker demand SASL of every client: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Nobody needs
    /// to authenticate by default.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> BrokerBuilder {
        self.users.add(name.into(), Zeroizing::new(password.into()));
        self.has_users = true;
        self
    }

    /// Ends a SASL session after so long unless the client authenticates again (`connections.max.reauth.ms`, KIP-368).
    /// Sessions do not end by default.
    pub fn session_lifetime(mut self, lifetime: Duration) -> BrokerBuilder {
        self.session_lifetime = Some(lifetime);
        self
    }

    /// Partitions of a topic that is created without saying how many (`num.partitions`): 6 by default, at least 1.
    pub fn partitions(mut self, partitions: i32) -> BrokerBuilder {
        self.partitions = partitions;
        self
    }

    /// Whether a topic is created when a client first asks for it (`auto.create.topics.enable`): so by default.
    pub fn auto_create_topics(mut self, auto_create: bool) -> BrokerBuilder {
        self.auto_create_topics = auto_create;
        self
    }

    /// The largest request that is taken, in bytes (`socket.request.max.bytes`): 100 MiB by default.
    pub fn max_request_bytes(mut self, bytes: usize) -> BrokerBuilder {
        self.max_request_bytes = bytes;
        self
    }

    /// Keeps the last `count` requests for [`Broker::requests`]. None by default: kept requests keep their memory.
    pub fn keep_requests(mut self, count: usize) -> BrokerBuilder {
        self.keep_requests = count;
        self
    }

    /// Decides what becomes of each request before it is answered. Called under the broker's lock: it must be quick.
    pub fn on_request(mut self, decide: impl FnMut(&SeenRequest) -> Fate + Send + 'static) -> BrokerBuilder {
        self.hook = Some(Box::new(decide));
        self
    }

    /// Makes topic ids, session ids and placement repeatable. Random by default.
    pub fn seed(mut self, seed: u64) -> BrokerBuilder {
        self.seed = Some(seed);
        self
    }

    /// Starts the broker on the current tokio runtime. When this returns, clients can connect.
    ///
    /// # Errors
    /// `ErrorKind::Config` for settings that cannot be, or TLS in a build or on a processor without it; `ErrorKind::Connect`
    /// when the address cannot be listened on.
    ///
    /// # Cancel safety
    /// Dropping the future starts nothing.
    pub async fn start(mut self) -> Result<Broker> {
        if self.partitions < 1 {
            return Err(Error::config("an embedded broker's topics need at least one partition"));
        }
        let host = self.advertised_host();
        let (tls, ca_pem) =
            if self.tls { make_tls(&host).map(|(tls, ca)| (Some(tls), Some(ca)))? } else { (None, None) };
        let listen = match &self.listen {
            Address::Tcp(address) => Listen::tcp(address.as_str(), tls).await?,
            Address::Mem(net, host, port) => Listen::mem(net, host, *port, tls)?,
        };
        let port = self.advertised.as_ref().map(|(_, port)| *port).filter(|port| *port != 0);
        let port = port.unwrap_or(listen.port());
        let node = Node { host: host.as_str().into(), port };
        let security_protocol = match (self.has_users, self.tls) {
            (false, false) => "PLAINTEXT",
            (false, true) => "SSL",
            (true, false) => "SASL_PLAINTEXT",
            (true, true) => "SASL_SSL",
        };
        let shared = Arc::new(self.shared(node));
        let (stop, stopped) = watch::channel(false);
        let (done, listening) = tokio::sync::oneshot::channel();
        let task = Owned::spawn({
            let shared = Arc::clone(&shared);
            async move {
                server::accept(listen, shared, stopped).await;
                let _ = done.send(());
            }
        });
        Ok(Broker { shared, host, port, security_protocol, ca_pem, stop, ended: listening, _task: task })
    }

    fn advertised_host(&self) -> String {
        if let Some((host, _)) = &self.advertised {
            return host.clone();
        }
        let host = match &self.listen {
            Address::Mem(_, host, _) => return host.clone(),
            Address::Tcp(address) => address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host),
        };
        match host.trim_start_matches('[').trim_end_matches(']') {
            "0.0.0.0" | "::" | "" => "localhost".to_owned(),
            host => host.to_owned(),
        }
    }

    fn shared(&mut self, node: Node) -> Shared {
        let settings = Settings {
            default_partitions: self.partitions,
            auto_create_topics: self.auto_create_topics,
            offer: Arc::new(Offer::kafka_4_3(SERVED)),
        };
        let seed = self.seed.unwrap_or_else(|| task::rng().u64(..));
        let watch = Watch::new(self.keep_requests, self.hook.take());
        let mut core = Core::new(settings, watch, seed);
        core.state_mut().nodes.insert(BROKER_ID, node);
        let sasl = self.has_users.then(|| SaslOptions {
            mechanisms: MECHANISMS.map(Text::from_static).to_vec(),
            session_lifetime: self.session_lifetime,
        });
        Shared::new(core, std::mem::take(&mut self.users), BROKER_ID, sasl, self.max_request_bytes)
    }
}

impl fmt::Debug for BrokerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("BrokerBuilder");
        match &self.listen {
            Address::Tcp(address) => shown.field("listen", address),
            Address::Mem(_, host, port) => shown.field("listen", &format!("{host}:{port} in memory")),
        };
        shown.field("tls", &self.tls).field("users", &self.users).finish_non_exhaustive()
    }
}

/// An authority and a certificate of its for the broker.
#[cfg(all(feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn make_tls(host: &str) -> Result<(TlsServer, String)> {
    use crate::net::self_signed::{Authority, Validity};
    let authority = Authority::new("ottla embedded broker")?;
    let mut names = vec!["localhost", "127.0.0.1", "::1"];
    if !names.contains(&host) {
        names.push(host);
    }
    let identity = authority.issue(&names, Validity::Current)?;
    let tls = TlsServer::new(&identity.certificate, &identity.key, None)?;
    Ok((tls, authority.certificate().to_owned()))
}

#[cfg(not(all(feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn make_tls(_: &str) -> Result<(TlsServer, String)> {
    Err(Error::config("the embedded broker cannot make certificates in this build")
        .hint("turn on the feature `tls`, which needs an x86-64 or aarch64 processor"))
}
