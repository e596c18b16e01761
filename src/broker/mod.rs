//! A Kafka broker in the process: for tests, and for trying things without a cluster.
//!
//! Real TCP, or TLS with certificates that it makes itself, with or without SASL; the client APIs of Apache Kafka 4.3 for
//! producing and reading, so that clients in any language can use it. Everything is in memory and gone when it ends.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> ottla::Result<()> {
//! use ottla::broker::Broker;
//!
//! let broker = Broker::builder().start().await?;
//! println!("kcat -b {} -L", broker.bootstrap_servers());
//! broker.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! # What it does
//! ApiVersions, Metadata (creates topics with 6 partitions unless told otherwise), CreateTopics, DeleteTopics, Produce with
//! the checks of idempotence, Fetch with sessions and long poll, ListOffsets, InitProducerId, FindCoordinator, and SASL. Each
//! in every version that Kafka 4.3 serves, with its error codes and its order of checks; where it differs, the file of the
//! API says so at its top.
//!
//! # How it is built
//! [`core`] is the broker without its sockets: requests in, answers and waits out, the time as an argument. `server` and
//! `connection` carry bytes between it and the sockets through `engine::serving`. `state` is what the brokers know, `log` a
//! partition's batches, `api/NN_name.rs` the handlers; `faults` is what every request passes first. It shares codec, records,
//! SASL and TLS with the client, and may import nothing from `cluster` upwards.

mod api;
mod builder;
mod connection;
mod core;
mod faults;
mod log;
mod server;
mod sessions;
mod state;
mod topic;
mod topic_config;
mod users;

pub use builder::BrokerBuilder;
pub use faults::{Fate, SeenRequest};

use crate::error::{Error, ErrorKind, Result};
use crate::task::Owned;
use bytes::Bytes;
use server::Shared;
use std::fmt;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use topic_config::TopicConfig;
use zeroize::Zeroizing;

/// A running broker. Dropping it ends it and all its connections at once.
pub struct Broker {
    shared: Arc<Shared>,
    host: String,
    port: u16,
    security_protocol: &'static str,
    ca_pem: Option<String>,
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
    _task: Owned,
}

/// A record batch as it lies in the log of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredBatch {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The offset of its last record.
    pub last_offset: i64,
    /// The largest timestamp of its records, in milliseconds since 1970.
    pub max_timestamp: i64,
    /// The epoch of the leader that appended it.
    pub leader_epoch: i32,
    /// The codec of its records: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    pub codec: &'static str,
    /// The producer id of the idempotent producer that wrote it, -1 for others.
    pub producer_id: i64,
    /// All of it, header included.
    pub bytes: Bytes,
}

impl Broker {
    /// How a broker is to be; `Broker::builder().start().await` is one on a free port of `127.0.0.1`.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::new()
    }

    /// The address for `bootstrap.servers`, as `host:port`.
    pub fn bootstrap_servers(&self) -> String {
        let Broker { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// The port that clients are told.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value for `security.protocol`: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub fn security_protocol(&self) -> &'static str {
        self.security_protocol
    }

    /// The certificate of the authority that signed the broker's, as PEM for `ssl.ca.pem` or a file of `ssl.ca.location`;
    /// `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The id of the cluster, which is this broker alone.
    pub fn cluster_id(&self) -> String {
        self.shared.with(|core| core.state().cluster_id.to_string())
    }

    /// Adds a user, or gives an old one another password. Means something only where the builder had a user too, as that is
    /// what makes the broker demand SASL.
    pub fn add_user(&self, name: impl Into<String>, password: impl Into<String>) {
        self.shared.users().add(name.into(), Zeroizing::new(password.into()));
    }

    /// Removes a user, and says whether there was one. Who is logged in stays so until the session ends.
    pub fn remove_user(&self, name: &str) -> bool {
        self.shared.users().remove(name)
    }

    /// Creates a topic with Kafka's default settings.
    ///
    /// # Errors
    /// [`ErrorKind::Broker`] with the code that a client would get: the name cannot be one, or is taken.
    /// [`ErrorKind::InvalidInput`] for no partitions.
    pub fn create_topic(&self, name: &str, partitions: usize) -> Result<()> {
        if partitions == 0 {
            return Err(
                Error::new(ErrorKind::InvalidInput, "a topic needs at least one partition").topic(name)
            );
        }
        let created = self.shared.with(|core| {
            let state = core.state_mut();
            let placed = state.place(partitions, 1);
            state.create_topic(name, placed, TopicConfig::default())
        });
        created.map(|_| ()).map_err(|refused| Error::broker_code(refused.code, refused.text).topic(name))
    }

    /// The names of all topics, ascending.
    pub fn topics(&self) -> Vec<String> {
        self.shared.with(|core| core.state().topics.iter().map(|(name, _)| name.to_string()).collect())
    }

    /// How many partitions a topic has, `None` when there is no such topic.
    pub fn partitions(&self, topic: &str) -> Option<usize> {
        self.shared.with(|core| core.state().topics.get(topic.as_bytes()).map(|topic| topic.partitions.len()))
    }

    /// The batches of a partition, oldest first; none when there is no such partition.
    pub fn log(&self, topic: &str, partition: i32) -> Vec<StoredBatch> {
        self.shared.with(|core| {
            let topic = core.state().topics.get(topic.as_bytes());
            let partition = topic.and_then(|topic| topic.partition(partition));
            partition
                .map(|partition| partition.log.batches().map(StoredBatch::from).collect())
                .unwrap_or_default()
        })
    }

    /// The last requests, oldest first: as many as [`BrokerBuilder::keep_requests`] says.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.shared.with(|core| core.seen())
    }

    /// Decides from now on what becomes of each request; see [`BrokerBuilder::on_request`].
    pub fn on_request(&self, decide: impl FnMut(&SeenRequest) -> Fate + Send + 'static) {
        self.shared.with(|core| core.set_hook(Some(Box::new(decide))));
    }

    /// Stops listening, lets answers that are being written reach their clients, and closes all connections; a second at the
    /// most.
    ///
    /// # Cancel safety
    /// Dropping the future ends the broker at once.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // An error means that the task is gone already.
        let _ = (&mut self.ended).await;
    }
}

impl From<&log::Stored> for StoredBatch {
    fn from(stored: &log::Stored) -> StoredBatch {
        StoredBatch {
            base_offset: stored.base_offset,
            last_offset: stored.last_offset,
            max_timestamp: stored.max_timestamp,
            leader_epoch: stored.leader_epoch.0,
            codec: stored.codec.name(),
            producer_id: stored.producer_id().0,
            bytes: stored.frame.clone(),
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("bootstrap_servers", &self.bootstrap_servers())
            .field("security_protocol", &self.security_protocol)
            .finish_non_exhaustive()
    }
}
