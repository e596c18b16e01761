//! Kafka brokers in the process: for tests, and for trying things without a cluster.
//!
//! Real TCP, or TLS with certificates that they make themselves, with or without SASL; the client APIs of Apache Kafka 4.3 for
//! producing and reading, so that clients in any language can use them. Everything is in memory and gone when they end.
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
//! In a test, three lines are a Kafka of its own and a client of it:
//!
//! ```no_run
//! #[tokio::test]
//! async fn orders_are_billed() -> ottla::Result<()> {
//!     let broker = ottla::broker::Broker::builder().start().await?;
//!     broker.create_topic("orders", 3)?;
//!     let client = ottla::Client::builder().bootstrap(broker.bootstrap_servers()).connect().await?;
//!     // ... `broker.records("orders", 0)` is what the service has written ...
//!     # drop(client);
//!     Ok(())
//! }
//! ```
//!
//! A [`Broker`] is a [`Cluster`] of one. A cluster of several has topics with replicas, and its brokers can be stopped and
//! started, leaders moved, topics deleted and made again, all by call.
//!
//! # What they do
//! ApiVersions, Metadata (creates topics with 6 partitions unless told otherwise), DescribeCluster, DescribeTopicPartitions,
//! CreateTopics, CreatePartitions, DeleteTopics, DeleteRecords, DescribeConfigs and IncrementalAlterConfigs, Produce with
//! the checks of idempotence, Fetch with sessions and long poll, ListOffsets, OffsetForLeaderEpoch, InitProducerId,
//! transactions, FindCoordinator, groups of consumers by the classic protocol and by that of KIP-848 with their offsets and all that tools ask
//! of them, and SASL. Each in every version that Kafka 4.3 serves, with its error codes and its order of checks;
//! where it differs, the file of the API says so at its top.
//!
//! # What they keep
//! Everything is in memory, and bounded: records go by age and size as their topics' settings say, compacted topics are compacted,
//! and all of them together keep 1 GiB ([`max_stored_bytes`](BrokerBuilder::max_stored_bytes)).
//!
//! # How they are built
//! [`core`] is the brokers without their sockets: requests in, answers and waits out, the time as an argument. `server` and
//! `connection` carry bytes between it and the sockets through `engine::serving`. `state` is what the brokers know, `leaders`
//! who leads what, `log` a partition's batches, `storage` how much of them is kept, `denials` what users may not do, `quotas` how many bytes a second they may send and get, `groups` and `transactions` what coordinators know, `api/NN_name.rs` the handlers; `watch` is what every request
//! passes first, where it is recorded, and where `faults` may have other plans for it.
//! They share codec, records, SASL and TLS with the client, and may import nothing from `cluster` upwards.

mod address;
mod api;
mod broker_config;
mod builder;
mod cluster;
mod connection;
mod core;
mod denials;
mod faults;
mod groups;
mod leaders;
mod log;
mod outbox;
mod quotas;
mod server;
mod sessions;
mod state;
mod storage;
mod stored;
mod tokens;
mod topic;
mod topic_config;
mod transactions;
mod users;
mod watch;

pub use crate::messages::{ApiKey, ErrorCode};
pub use builder::{BrokerBuilder, ClusterBuilder};
pub use cluster::{Cluster, PartitionInfo, TopicSpec};
pub use denials::{Denial, DenialId, Operation};
pub use faults::{Byte, Fate, Fault, FaultId};
pub use quotas::{Quota, QuotaEntity};
pub use stored::{StoredBatch, StoredRecord};
pub use tokens::TokenOwner;
pub use watch::{SeenCommit, SeenConnect, SeenRequest};

use std::fmt;
use std::ops::Deref;

/// A running broker: a [`Cluster`] of one, and all that a cluster can do it can. Dropping it ends it and all its connections at
/// once.
pub struct Broker(Cluster);

impl Broker {
    /// How a broker is to be; `Broker::builder().start().await` is one on a free port of `127.0.0.1`.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::new()
    }

    /// The port that clients are told.
    pub fn port(&self) -> u16 {
        let address = self.bootstrap_servers();
        address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
    }

    /// Stops listening, lets answers that are being written reach their clients, and closes all connections; a second at the
    /// most.
    ///
    /// # Cancel safety
    /// Dropping the future ends the broker at once.
    pub async fn shutdown(self) {
        self.0.shutdown().await;
    }
}

impl Deref for Broker {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.0
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("bootstrap_servers", &self.bootstrap_servers())
            .field("security_protocol", &self.security_protocol())
            .finish_non_exhaustive()
    }
}
