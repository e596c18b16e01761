//! [`Cluster`]: several brokers in the process that share one state, and what can be done to them.
//!
//! The brokers themselves, stopped and started, are here; topics and what is stored in `topics`, what is seen of clients and
//! done to their requests in `watching`.

mod topics;
mod watching;

pub use topics::{PartitionInfo, TopicSpec};

use super::address::Address;
use super::api::metadata_snapshot;
use super::builder::{ClusterBuilder, Options};
use super::connection::Ending;
use super::server::{Server, Shared};
use super::state::Node;
use crate::error::{Error, ErrorKind, Result};
use crate::messages::BrokerId;
use crate::net::tls::TlsServer;
use crate::task;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// Brokers in the process that know each other. Dropping it ends them and all their connections at once.
///
/// They share one memory: what a leader appends its followers have too, so every live replica is in sync, and an election
/// loses records only where it is asked to. For everything else each is a broker of its own, with a listener, fetch sessions, and answers that depend on
/// what it leads.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> ottla::Result<()> {
/// use ottla::broker::Cluster;
///
/// let cluster = Cluster::builder().brokers(3).start().await?;
/// cluster.create_topic("orders", 6)?;
/// let led_by = cluster.partition("orders", 0).and_then(|partition| partition.leader);
///
/// cluster.stop_broker(led_by.unwrap()).await?; // another of its replicas leads from now on
/// assert_ne!(cluster.partition("orders", 0).and_then(|partition| partition.leader), led_by);
/// cluster.shutdown().await;
/// # Ok(()) }
/// ```
pub struct Cluster {
    shared: Arc<Shared>,
    security_protocol: &'static str,
    tls: Option<TlsServer>,
    ca_pem: Option<String>,
    seats: Mutex<BTreeMap<BrokerId, Seat>>,
}

/// Where a broker is to be.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) address: Address,
    /// What clients are told instead; port 0 stands for the port that is listened on.
    pub(super) advertised: Option<(String, u16)>,
}

/// Where a broker listens, while it does.
#[derive(Debug)]
struct Seat {
    address: Address,
    server: Option<Server>,
}

/// The brokers.
impl Cluster {
    /// How a cluster is to be; `Cluster::builder().start().await` is one of three brokers on free ports of `127.0.0.1`.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::new()
    }

    pub(super) async fn start(options: Options, sites: Vec<Site>) -> Result<Cluster> {
        options.check()?;
        let host =
            |site: &Site| site.advertised.as_ref().map_or(site.address.host(), |(host, _)| host.clone());
        let hosts: Vec<String> = sites.iter().map(host).collect();
        let (tls, ca_pem) = options.certificate(&hosts)?.unzip();
        let security_protocol = options.security_protocol();
        let mut listening = Vec::with_capacity(sites.len());
        for ((id, site), host) in (1..).map(BrokerId).zip(sites).zip(hosts) {
            let listen = site.address.listen(tls.clone()).await?;
            let advertised = site.advertised.map(|(_, port)| port).filter(|port| *port != 0);
            let port = advertised.unwrap_or(listen.port());
            let address = site.address.with_port(listen.port());
            listening.push((id, host, port, address, listen));
        }
        let shared = Arc::new(options.shared());
        shared.with(|core| {
            for (id, host, port, ..) in &listening {
                core.add_broker(*id, host, *port);
            }
            listening.iter().for_each(|(id, ..)| core.start_broker(*id));
        });
        let seat = |(id, _, _, address, listen)| {
            let server = Some(Server::start(listen, id, Arc::clone(&shared)));
            (id, Seat { address, server })
        };
        let seats = Mutex::new(listening.into_iter().map(seat).collect());
        Ok(Cluster { shared, security_protocol, tls, ca_pem, seats })
    }

    /// The addresses of all brokers for `bootstrap.servers`, also of those that are stopped: `host:port` with commas between.
    pub fn bootstrap_servers(&self) -> String {
        self.shared.with(|core| {
            let addresses: Vec<String> = core.state().nodes.values().map(host_port).collect();
            addresses.join(",")
        })
    }

    /// The ids of all brokers, also of those that are stopped, ascending.
    pub fn brokers(&self) -> Vec<i32> {
        self.shared.with(|core| core.state().nodes.keys().map(|id| id.0).collect())
    }

    /// Where clients are told that a broker is, as `host:port`; `None` when there is no such broker.
    pub fn address(&self, broker: i32) -> Option<String> {
        self.shared.with(|core| core.state().nodes.get(&BrokerId(broker)).map(host_port))
    }

    /// Whether a broker runs.
    pub fn is_running(&self, broker: i32) -> bool {
        self.shared.with(|core| core.state().nodes.get(&BrokerId(broker)).is_some_and(|node| node.is_up))
    }

    /// The value for `security.protocol`: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub fn security_protocol(&self) -> &'static str {
        self.security_protocol
    }

    /// The certificate of the authority that signed the brokers', as PEM for `ssl.ca.pem` or a file of `ssl.ca.location`;
    /// `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The id of the cluster.
    pub fn cluster_id(&self) -> String {
        self.shared.with(|core| core.state().cluster_id.to_string())
    }

    /// Adds a user, or gives an old one another password. Means something only where the builder had a user too, as that is
    /// what makes brokers demand SASL.
    pub fn add_user(&self, name: impl Into<String>, password: impl Into<String>) {
        self.shared.users().add(name.into(), Zeroizing::new(password.into()));
    }

    /// Removes a user, and says whether there was one. Who is logged in stays so until the session ends.
    pub fn remove_user(&self, name: &str) -> bool {
        self.shared.users().remove(name)
    }

    /// Stops a broker as if its process were killed, and lets the others notice: its listener and its connections go, without
    /// a further answer; another in-sync replica leads what it led, under the next leader epoch, or nobody where there is
    /// none. Ready when its port is free.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when there is no such broker.
    ///
    /// # Cancel safety
    /// Once it was polled, the broker stops also when the future is dropped.
    pub async fn stop_broker(&self, broker: i32) -> Result<()> {
        let server = self.take_down(broker)?;
        self.shared.with(|core| core.state_mut().fence(BrokerId(broker)));
        end(server).await;
        Ok(())
    }

    /// Stops a broker as [`stop_broker`](Cluster::stop_broker) does, but nobody notices before
    /// [`fence_broker`](Cluster::fence_broker), or before it starts again: clients are told as before that it is there and leads
    /// what it led.
    ///
    /// Different from Kafka: what its followers had to confirm they confirm at once. There a leader holds answers to
    /// `acks=all` back until the follower is out of the ISR, for `replica.lag.time.max.ms`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when there is no such broker.
    ///
    /// # Cancel safety
    /// Once it was polled, the broker stops also when the future is dropped.
    pub async fn crash_broker(&self, broker: i32) -> Result<()> {
        let server = self.take_down(broker)?;
        end(server).await;
        Ok(())
    }

    /// Lets the others notice that a broker crashed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when there is no such broker, or it runs.
    pub fn fence_broker(&self, broker: i32) -> Result<()> {
        let _ = self.stopped_seat(broker)?;
        self.shared.with(|core| core.state_mut().fence(BrokerId(broker)));
        Ok(())
    }

    /// Starts a broker that was stopped, on the port that it had. Its replicas are in sync at once; it leads what nobody else
    /// could lead meanwhile. One whose end nobody had noticed is a new process all the same: others lead what it led, under the
    /// next leader epoch, and its fetch sessions are gone.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when there is no such broker, or it runs; [`ErrorKind::Connect`] when its port is taken.
    ///
    /// # Cancel safety
    /// Dropping the future starts nothing.
    pub async fn start_broker(&self, broker: i32) -> Result<()> {
        let address = self.stopped_seat(broker)?;
        self.start_on(broker, address).await
    }

    /// Starts a broker that was stopped at another address, `host:port`, where port 0 lets the system choose. That is where
    /// clients are told that it is.
    ///
    /// # Errors
    /// As [`start_broker`](Cluster::start_broker); [`ErrorKind::Config`] when the address is none.
    ///
    /// # Cancel safety
    /// Dropping the future starts nothing.
    pub async fn start_broker_at(&self, broker: i32, address: &str) -> Result<()> {
        let address = self.stopped_seat(broker)?.elsewhere(address)?;
        let host = address.host();
        self.start_on(broker, address).await?;
        let port = self.seats().get(&BrokerId(broker)).map_or(0, |seat| seat.address.port());
        self.advertise(broker, &host, port)
    }

    /// Tells clients from now on that a broker is at this address. Where it listens does not change.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when there is no such broker.
    pub fn advertise(&self, broker: i32, host: &str, port: u16) -> Result<()> {
        self.shared.with(|core| {
            let node = core.state_mut().nodes.get_mut(&BrokerId(broker)).ok_or_else(|| nobody(broker))?;
            node.host = host.into();
            node.port = port;
            Ok(())
        })
    }

    /// Lets a broker go on telling clients of the cluster as it is now, until [`release_metadata`](Cluster::release_metadata): it
    /// has not heard yet what changes. What it is asked to do is done or refused by what is true.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when there is no such broker.
    pub fn hold_metadata(&self, broker: i32) -> Result<()> {
        self.shared.with(|core| {
            let state = core.state_mut();
            let id = BrokerId(broker);
            let held = state.nodes.contains_key(&id).then(|| metadata_snapshot(state));
            state.held_metadata.insert(id, held.ok_or_else(|| nobody(broker))?);
            Ok(())
        })
    }

    /// Lets a broker tell clients of the cluster as it is.
    pub fn release_metadata(&self, broker: i32) {
        self.shared.with(|core| core.state_mut().held_metadata.remove(&BrokerId(broker)));
    }

    /// Stops listening, lets answers that are being written reach their clients, and closes all connections; a second at the
    /// most.
    ///
    /// # Cancel safety
    /// Dropping the future ends the brokers at once.
    pub async fn shutdown(self) {
        let seats = std::mem::take(&mut *self.seats());
        let servers = seats.into_values().filter_map(|seat| seat.server);
        task::join_all(servers.map(|server| server.end(Ending::Gentle))).await;
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<BrokerId, Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a broker serve no more; what still has to be waited for is its end.
    fn take_down(&self, broker: i32) -> Result<Option<Server>> {
        let mut seats = self.seats();
        let seat = seats.get_mut(&BrokerId(broker)).ok_or_else(|| nobody(broker))?;
        self.shared.with(|core| core.stop_broker(BrokerId(broker)));
        Ok(seat.server.take())
    }

    /// Where a broker that does not run listened.
    fn stopped_seat(&self, broker: i32) -> Result<Address> {
        let seats = self.seats();
        let seat = seats.get(&BrokerId(broker)).ok_or_else(|| nobody(broker))?;
        match &seat.server {
            None => Ok(seat.address.clone()),
            Some(_) => Err(invalid(format!("broker {broker} runs"))),
        }
    }

    async fn start_on(&self, broker: i32, address: Address) -> Result<()> {
        let listen = address.listen(self.tls.clone()).await?;
        let id = BrokerId(broker);
        let mut seats = self.seats();
        let seat = seats.get_mut(&id).ok_or_else(|| nobody(broker))?;
        seat.address = address.with_port(listen.port());
        self.shared.with(|core| core.start_broker(id));
        seat.server = Some(Server::start(listen, id, Arc::clone(&self.shared)));
        Ok(())
    }
}

async fn end(server: Option<Server>) {
    if let Some(server) = server {
        server.end(Ending::Abrupt).await;
    }
}

fn host_port(node: &Node) -> String {
    let Node { host, port, .. } = node;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn nobody(broker: i32) -> Error {
    invalid(format!("the cluster has no broker {broker}"))
}

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidInput, text)
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("bootstrap_servers", &self.bootstrap_servers())
            .field("security_protocol", &self.security_protocol)
            .finish_non_exhaustive()
    }
}
