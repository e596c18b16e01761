//! [`BrokerBuilder`] and [`ClusterBuilder`]: how one broker is to be, or several that know each other.

use super::Broker;
use super::address::Address;
use super::api::SERVED;
use super::cluster::{Cluster, Site};
use super::core::Core;
use super::denials::{Denial, Denials};
use super::faults::Fate;
use super::groups::GroupSettings;
use super::quotas::{Quota, QuotaEntity, Quotas};
use super::server::Shared;
use super::state::Settings;
use super::storage::Limits;
use super::tokens::TokenOwner;
use super::users::{MECHANISMS, OAUTHBEARER, Users};
use super::watch::{Hook, SeenRequest, Watch};
use crate::engine::serving::{Offer, Release, SaslOptions};
use crate::error::{Error, Result};
use crate::net::mem::MemNet;
use crate::net::tls::TlsServer;
use crate::task;
use crate::wire::Text;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The port of brokers in memory.
const MEM_PORT: u16 = 9092;
/// Brokers of a cluster at most.
const MAX_BROKERS: usize = 100;
/// Replicas of a topic whose creator does not say, where there are brokers enough.
const REPLICATION: usize = 3;

/// How a [`Broker`] is to be; each method says what holds without it.
#[derive(Debug)]
#[must_use]
pub struct BrokerBuilder {
    site: Site,
    options: Options,
}

/// How a [`Cluster`] is to be; each method says what holds without it.
#[derive(Debug)]
#[must_use]
pub struct ClusterBuilder {
    brokers: usize,
    listen: Address,
    options: Options,
}

/// What holds for every broker of a cluster.
pub(super) struct Options {
    pub(super) tls: bool,
    users: Users,
    pub(super) has_users: bool,
    session_lifetime: Option<Duration>,
    partitions: i32,
    auto_create_topics: bool,
    max_request_bytes: usize,
    keep_requests: usize,
    hook: Option<Hook>,
    seed: Option<u64>,
    groups: GroupSettings,
    limits: Limits,
    release: Option<String>,
    denials: Denials,
    quotas: Quotas,
}

/// Settings that one broker and a cluster have alike.
macro_rules! options {
    ($builder:ident) => {
        impl $builder {
            /// Encrypts connections with TLS: a certificate authority is made on the spot, see
            /// [`Cluster::ca_pem`](crate::broker::Cluster::ca_pem). The certificate that it gives out is good for
            /// `localhost`, `127.0.0.1`, `::1` and the hosts that are advertised at the start. Plain by default.
            pub fn tls(mut self) -> $builder {
                self.options.tls = true;
                self
            }

            /// Adds a user, which makes brokers demand SASL of every client: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Nobody
            /// needs to authenticate by default.
            pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> $builder {
                self.options.users.add(name.into(), Zeroizing::new(password.into()));
                self.options.has_users = true;
                self
            }

            /// Lets in whoever has a token that `check` takes for somebody's, by OAUTHBEARER; what it says of others is logged. Makes
            /// brokers demand SASL of every client. Called for each authentication, where others wait: it must be quick.
            pub fn oauth_tokens(
                mut self,
                check: impl Fn(&str) -> std::result::Result<TokenOwner, String> + Send + Sync + 'static,
            ) -> $builder {
                self.options.users.take_tokens(Box::new(check));
                self
            }

            /// Lets in whoever says who he is with a token that nobody signed, by OAUTHBEARER, as Kafka does unless it is told
            /// otherwise: the claim `sub` is the user, `exp` must lie ahead. Clients make such tokens themselves, see
            /// `unsecuredLoginStringClaim_sub` of Java's, `enable.sasl.oauthbearer.unsecure.jwt` of librdkafka.
            #[cfg(feature = "json")]
            pub fn unsecured_tokens(self) -> $builder {
                self.oauth_tokens(super::tokens::unsecured)
            }

            /// Gives somebody a quota, as [`Cluster::set_quota`](crate::broker::Cluster::set_quota) does. No quotas by default.
            pub fn quota(mut self, entity: QuotaEntity, quota: Quota) -> $builder {
                self.options.quotas.set(entity, quota);
                self
            }

            /// Keeps clients from something, as [`Cluster::deny`](crate::broker::Cluster::deny) does. Nothing is denied by default.
            pub fn deny(mut self, denial: Denial) -> $builder {
                self.options.denials.add(denial);
                self
            }

            /// Offers only what brokers of this release have, `2.8` to `4.3`: APIs that are younger are missing, others end at
            /// an older version. What they do is what Kafka 4.3 does, and the oldest versions are those of 4.3 too. 4.3 by default.
            pub fn as_version(mut self, release: impl Into<String>) -> $builder {
                self.options.release = Some(release.into());
                self
            }

            /// Ends a SASL session after so long unless the client authenticates again (`connections.max.reauth.ms`,
            /// KIP-368). Sessions do not end by default.
            pub fn session_lifetime(mut self, lifetime: Duration) -> $builder {
                self.options.session_lifetime = Some(lifetime);
                self
            }

            /// Partitions of a topic that is created without saying how many (`num.partitions`): 6 by default, at least 1.
            pub fn partitions(mut self, partitions: i32) -> $builder {
                self.options.partitions = partitions;
                self
            }

            /// Whether a topic is created when a client first asks for it (`auto.create.topics.enable`): so by default.
            pub fn auto_create_topics(mut self, auto_create: bool) -> $builder {
                self.options.auto_create_topics = auto_create;
                self
            }

            /// The largest request that is taken, in bytes (`socket.request.max.bytes`): 100 MiB by default.
            pub fn max_request_bytes(mut self, bytes: usize) -> $builder {
                self.options.max_request_bytes = bytes;
                self
            }

            /// How many bytes of records are kept in all partitions together: 1 GiB by default. Beyond it the largest partitions
            /// lose their oldest records; where all that is left is to be kept (`cleanup.policy=compact`), producers are answered
            /// KAFKA_STORAGE_ERROR. What single topics keep is for `retention.bytes` and `retention.ms` of theirs to say.
            pub fn max_stored_bytes(mut self, bytes: usize) -> $builder {
                self.options.limits.max_bytes = bytes;
                self
            }

            /// How often what is too old is deleted, and what was replaced is compacted (`log.retention.check.interval.ms`,
            /// `log.cleaner.backoff.ms`): every second by default, where Kafka has 5 minutes and 15 seconds. Nothing happens
            /// while nobody asks the brokers anything.
            pub fn clean_interval(mut self, interval: Duration) -> $builder {
                self.options.limits.interval = interval;
                self
            }

            /// Keeps the last `count` requests for [`Cluster::requests`](crate::broker::Cluster::requests), and as many
            /// connects for [`Cluster::connects`](crate::broker::Cluster::connects) and offsets for
            /// [`Cluster::commits`](crate::broker::Cluster::commits). None by default: kept requests keep their memory.
            pub fn keep_requests(mut self, count: usize) -> $builder {
                self.options.keep_requests = count;
                self
            }

            /// Decides what becomes of each request before it is answered. Called under a lock: it must be quick.
            pub fn on_request(
                mut self,
                decide: impl FnMut(&SeenRequest) -> Fate + Send + 'static,
            ) -> $builder {
                self.options.hook = Some(Box::new(decide));
                self
            }

            /// How long the first members of a group wait for others to join (`group.initial.rebalance.delay.ms`): not at
            /// all by default, where Kafka waits 3 seconds.
            pub fn group_initial_rebalance_delay(mut self, delay: Duration) -> $builder {
                self.options.groups.initial_rebalance_delay = delay;
                self
            }

            /// The session time-outs that members of the classic protocol may ask for (`group.min.session.timeout.ms`,
            /// `group.max.session.timeout.ms`): 6 seconds to 30 minutes by default.
            pub fn group_session_timeouts(mut self, timeouts: RangeInclusive<Duration>) -> $builder {
                (self.options.groups.min_session_timeout, self.options.groups.max_session_timeout) =
                    timeouts.into_inner();
                self
            }

            /// How long a member of the protocol of KIP-848 may be silent before it counts as gone
            /// (`group.consumer.session.timeout.ms`): 45 seconds by default.
            pub fn consumer_group_session_timeout(mut self, timeout: Duration) -> $builder {
                self.options.groups.consumer_session_timeout = timeout;
                self
            }

            /// How often members of the protocol of KIP-848 are told to send heartbeats
            /// (`group.consumer.heartbeat.interval.ms`): every 5 seconds by default. What changes in a group they hear with the
            /// next one.
            pub fn consumer_group_heartbeat_interval(mut self, interval: Duration) -> $builder {
                self.options.groups.consumer_heartbeat_interval = interval;
                self
            }

            /// How long a group of the protocol of KIP-848 keeps a target assignment at least
            /// (`group.consumer.assignment.interval.ms`), so that members that come one after the other make one rebalance: not
            /// at all by default, where Kafka has 1 second.
            pub fn consumer_group_assignment_interval(mut self, interval: Duration) -> $builder {
                self.options.groups.consumer_assignment_interval = interval;
                self
            }

            /// Makes topic ids, session ids and placement repeatable. Random by default.
            pub fn seed(mut self, seed: u64) -> $builder {
                self.options.seed = Some(seed);
                self
            }
        }
    };
}

options!(BrokerBuilder);
options!(ClusterBuilder);

impl BrokerBuilder {
    pub(super) fn new() -> BrokerBuilder {
        let site = Site { address: Address::Tcp("127.0.0.1:0".to_owned()), advertised: None };
        BrokerBuilder { site, options: Options::new() }
    }

    /// Listens on this address, such as `0.0.0.0:9092`; port 0 lets the system choose one. `127.0.0.1:0` by default.
    pub fn listen(mut self, address: impl Into<String>) -> BrokerBuilder {
        self.site.address = Address::Tcp(address.into());
        self
    }

    /// Listens in a network in memory, for tests with a paused clock.
    #[doc(hidden)]
    pub fn listen_in_memory(mut self, net: &MemNet, host: &str, port: u16) -> BrokerBuilder {
        self.site.address = Address::Mem(net.clone(), host.to_owned(), port);
        self
    }

    /// Tells clients to connect to this host and port, with port 0 to the one that is listened on. By default the host that
    /// is listened on, `localhost` where that is every address of the machine.
    pub fn advertise(mut self, host: impl Into<String>, port: u16) -> BrokerBuilder {
        self.site.advertised = Some((host.into(), port));
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
    pub async fn start(self) -> Result<Broker> {
        Cluster::start(self.options, vec![self.site]).await.map(Broker)
    }
}

impl ClusterBuilder {
    pub(super) fn new() -> ClusterBuilder {
        ClusterBuilder { brokers: 3, listen: Address::Tcp("127.0.0.1:0".to_owned()), options: Options::new() }
    }

    /// How many brokers there are, with ids from 1 on: 3 by default.
    pub fn brokers(mut self, brokers: usize) -> ClusterBuilder {
        self.brokers = brokers;
        self
    }

    /// Listens on this address, such as `0.0.0.0:9092`, the first broker on this port and the others on those that follow;
    /// port 0 lets the system choose one for each. `127.0.0.1:0` by default.
    pub fn listen(mut self, address: impl Into<String>) -> ClusterBuilder {
        self.listen = Address::Tcp(address.into());
        self
    }

    /// Listens in a network in memory, for tests with a paused clock: broker 1 is `broker-1:9092` there, and so on.
    #[doc(hidden)]
    pub fn listen_in_memory(mut self, net: &MemNet) -> ClusterBuilder {
        self.listen = Address::Mem(net.clone(), String::new(), MEM_PORT);
        self
    }

    /// Starts the brokers on the current tokio runtime. When this returns, clients can connect to all of them.
    ///
    /// # Errors
    /// `ErrorKind::Config` for settings that cannot be, or TLS in a build or on a processor without it; `ErrorKind::Connect`
    /// when an address cannot be listened on.
    ///
    /// # Cancel safety
    /// Dropping the future starts nothing.
    pub async fn start(self) -> Result<Cluster> {
        if !(1..=MAX_BROKERS).contains(&self.brokers) {
            let text = format!("an embedded cluster has 1 to {MAX_BROKERS} brokers, not {}", self.brokers);
            return Err(Error::config(text));
        }
        let sites = (0..self.brokers).map(|index| self.site(index)).collect::<Result<_>>()?;
        Cluster::start(self.options, sites).await
    }

    fn site(&self, index: usize) -> Result<Site> {
        let address = match &self.listen {
            Address::Mem(net, _, port) => {
                Address::Mem(net.clone(), format!("broker-{}", index.saturating_add(1)), *port)
            }
            Address::Tcp(first) => {
                let too_high = || Error::config(format!("{first:?} leaves no port for broker {index}"));
                let port = |port: u16| match port {
                    0 => Some(0),
                    port => u16::try_from(index).ok().and_then(|index| port.checked_add(index)),
                };
                match first.rsplit_once(':').map(|(_, port)| port.parse::<u16>()) {
                    Some(Ok(first_port)) => {
                        self.listen.clone().with_port(port(first_port).ok_or_else(too_high)?)
                    }
                    _ => return Err(Error::config(format!("{first:?} is not host:port"))),
                }
            }
        };
        Ok(Site { address, advertised: None })
    }
}

impl Options {
    fn new() -> Options {
        Options {
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
            groups: GroupSettings::default(),
            limits: Limits::default(),
            release: None,
            denials: Denials::default(),
            quotas: Quotas::default(),
        }
    }

    /// Checks what can be wrong.
    pub(super) fn check(&self) -> Result<()> {
        if self.partitions < 1 {
            return Err(Error::config("an embedded broker's topics need at least one partition"));
        }
        self.release().map(drop)
    }

    fn release(&self) -> Result<Release> {
        let Some(release) = &self.release else { return Ok(Release::NEWEST) };
        let known = || Release::ALL.iter().map(Release::to_string).collect::<Vec<_>>().join(", ");
        Release::ALL.iter().find(|known| known.to_string() == *release).copied().ok_or_else(|| {
            Error::config(format!(
                "an embedded broker cannot be one of release {release:?}: it knows {}",
                known()
            ))
        })
    }

    /// Whether clients must authenticate.
    pub(super) fn has_sasl(&self) -> bool {
        self.has_users || self.users.has_tokens()
    }

    /// A certificate for these hosts and the authority that vouches for it, if there is to be TLS.
    pub(super) fn certificate(&self, hosts: &[String]) -> Result<Option<(TlsServer, String)>> {
        if self.tls { make_tls(hosts).map(Some) } else { Ok(None) }
    }

    /// The value for `security.protocol`.
    pub(super) fn security_protocol(&self) -> &'static str {
        match (self.has_sasl(), self.tls) {
            (false, false) => "PLAINTEXT",
            (false, true) => "SSL",
            (true, false) => "SASL_PLAINTEXT",
            (true, true) => "SASL_SSL",
        }
    }

    /// What the brokers share; there are none yet.
    pub(super) fn shared(self) -> Shared {
        let release = self.release().unwrap_or(Release::NEWEST);
        let has_sasl = self.has_sasl();
        let by_password = MECHANISMS.into_iter().filter(|_| self.has_users);
        let by_token = self.users.has_tokens().then_some(OAUTHBEARER);
        let mechanisms = by_password.chain(by_token).map(Text::from_static).collect();
        let settings = Settings {
            default_partitions: self.partitions,
            default_replication: REPLICATION,
            auto_create_topics: self.auto_create_topics,
            groups: self.groups,
            limits: self.limits,
            offer: Arc::new(Offer::kafka(release, SERVED)),
        };
        let seed = self.seed.unwrap_or_else(|| task::rng().u64(..));
        let mut core = Core::new(settings, Watch::new(self.keep_requests, self.hook), seed);
        (core.state_mut().denials, core.state_mut().quotas) = (self.denials, self.quotas);
        let sasl = has_sasl.then(|| SaslOptions { mechanisms, session_lifetime: self.session_lifetime });
        Shared::new(core, self.users, sasl, self.max_request_bytes)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("tls", &self.tls).field("users", &self.users).finish_non_exhaustive()
    }
}

/// An authority and a certificate of its for the brokers.
#[cfg(all(feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn make_tls(hosts: &[String]) -> Result<(TlsServer, String)> {
    use crate::net::self_signed::{Authority, Validity};
    let authority = Authority::new("ottla embedded broker")?;
    let mut names = vec!["localhost", "127.0.0.1", "::1"];
    for host in hosts {
        if !names.contains(&host.as_str()) {
            names.push(host);
        }
    }
    let identity = authority.issue(&names, Validity::Current)?;
    let tls = TlsServer::new(&identity.certificate, &identity.key, None)?;
    Ok((tls, authority.certificate().to_owned()))
}

#[cfg(not(all(feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn make_tls(_: &[String]) -> Result<(TlsServer, String)> {
    Err(Error::config("the embedded broker cannot make certificates in this build")
        .hint("turn on the feature `tls`, which needs an x86-64 or aarch64 processor"))
}
