//! [`Client`]: one cluster, from which producers, consumers and admin clients are made that share its connections and
//! its view.
//!
//! May import everything below: it puts the pieces together and does nothing else.

mod builder;

pub use builder::ClientBuilder;

use crate::admin::Admin;
use crate::cluster::Cluster;
use crate::config::{Secret, Settings};
use crate::consumer::ConsumerBuilder;
use crate::error::Result;
use crate::producer::ProducerBuilder;
use std::sync::Arc;

/// A cluster of brokers. Cheap to clone; clones, producers, consumers and admin clients share one pool of connections
/// and one view of the cluster.
///
/// ```no_run
/// # async fn example() -> ottla::Result<()> {
/// use ottla::{Client, Record};
///
/// let client = Client::from_env().await?;
/// let producer = client.producer().build()?;
/// let delivery = producer.send(Record::to("orders").key("order-17").value("paid")).await?; // queued
/// let at = delivery.await?; // acknowledged
/// println!("partition {} offset {}", at.partition, at.offset);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    cluster: Cluster,
    settings: Arc<Settings>,
}

impl Client {
    /// Starts to describe a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// A client as the environment (`KAFKA_BOOTSTRAP_SERVERS` and the like) and a `.env` file describe it, connected.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when a setting is missing or wrong; otherwise as
    /// [`ClientBuilder::connect`].
    ///
    /// # Cancel safety
    /// Dropping the future gives up the attempt and leaves nothing behind.
    pub async fn from_env() -> Result<Client> {
        Client::builder().settings(Settings::from_env()?).connect().await
    }

    /// Starts to describe a producer.
    pub fn producer(&self) -> ProducerBuilder {
        ProducerBuilder::new(self.cluster.clone(), Settings::clone(&self.settings))
    }

    /// Starts to describe a consumer.
    pub fn consumer(&self) -> ConsumerBuilder {
        ConsumerBuilder::new(self.cluster.clone(), Settings::clone(&self.settings))
    }

    /// An admin client.
    pub fn admin(&self) -> Admin {
        Admin::new(self.cluster.clone())
    }

    /// The settings that the client was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Replaces user name and password of PLAIN or SCRAM, as when a secret was rotated: they are used from the next
    /// authentication on, by this client and all that was made from it. Connections that are open stay open; where the
    /// broker limits sessions (`connections.max.reauth.ms`, KIP-368) they take the new ones before theirs ends. After an
    /// [`ErrorKind::Authentication`](crate::ErrorKind::Authentication) because of old ones, the next call tries with the new ones.
    ///
    /// Tokens of OAUTHBEARER are renewed by their [`TokenProvider`](crate::TokenProvider), certificates in files by
    /// themselves: neither needs this.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the client uses no user name and password, or
    /// these cannot be carried by its mechanism; the old ones stay.
    pub fn set_credentials(&self, username: impl Into<String>, password: impl Into<Secret>) -> Result<()> {
        self.cluster.set_credentials(username.into(), &password.into())
    }

    /// Closes the client: every further call on it, its producers, consumers and admin clients fails, and connections
    /// close as soon as nothing is under way on them. Close producers first; records that they still hold are lost.
    pub fn close(&self) {
        self.cluster.close();
    }
}
