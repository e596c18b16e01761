//! [`ConsumerBuilder`]: what a consumer is to be.

use super::shared::Shared;
use super::{Consumer, Start, TopicPartition, fetcher};
use crate::cluster::Cluster;
use crate::config::keys::Concerns;
use crate::config::{AutoOffsetReset, ConfigError, ConsumerConfig, IsolationLevel, Settings};
use crate::engine::cursor::{Cursors, Limits, Reset};
use crate::error::Result;
use crate::task;
use crate::wire::Text;
use std::sync::Arc;
use std::time::Duration;

/// Describes a [`Consumer`]. Everything can be set by its Kafka name ([`set`](Self::set)). A wrong setting is told by
/// [`build`](Self::build), which gives the first one.
#[derive(Debug)]
#[must_use]
pub struct ConsumerBuilder {
    cluster: Cluster,
    settings: Settings,
    fault: Option<ConfigError>,
    partitions: Vec<(TopicPartition, Start)>,
    topics: Vec<(Text, Start)>,
}

impl ConsumerBuilder {
    pub(crate) fn new(cluster: Cluster, settings: Settings) -> ConsumerBuilder {
        ConsumerBuilder { cluster, settings, fault: None, partitions: Vec::new(), topics: Vec::new() }
    }

    /// Sets anything of a consumer by its Kafka name, as `fetch.max.wait.ms`; it counts before the client's settings. What
    /// all share that the client makes, as `request.timeout.ms` or `client.id`, is refused: it is set on
    /// [`Client::builder`]. There are no consumer groups yet: a `group.id` is warned of.
    ///
    /// [`Client::builder`]: crate::Client::builder
    pub fn set(mut self, key: &str, value: impl Into<String>) -> ConsumerBuilder {
        let outcome = self.settings.set_for(Concerns::Consumer, key, value.into()).err();
        self.fault = self.fault.or(outcome);
        self
    }

    /// `auto.offset.reset`: `earliest`, `latest`, `none`, or `by_duration:` and an ISO 8601 duration. Where to go on when
    /// there is no record at a position. Default: `latest`.
    pub fn auto_offset_reset(self, policy: impl Into<String>) -> ConsumerBuilder {
        self.set("auto.offset.reset", policy)
    }

    /// `isolation.level`. Default: [`IsolationLevel::ReadUncommitted`].
    pub fn isolation_level(self, level: IsolationLevel) -> ConsumerBuilder {
        let name = match level {
            IsolationLevel::ReadUncommitted => "read_uncommitted",
            IsolationLevel::ReadCommitted => "read_committed",
        };
        self.set("isolation.level", name)
    }

    /// Reads these partitions, each from a place to begin.
    pub fn assign<P: Into<TopicPartition>>(
        mut self,
        partitions: impl IntoIterator<Item = (P, Start)>,
    ) -> ConsumerBuilder {
        self.partitions.extend(partitions.into_iter().map(|(partition, start)| (partition.into(), start)));
        self
    }

    /// Reads all partitions that the topic has when the consumer is built, from a place to begin.
    pub fn topic(mut self, topic: impl Into<Text>, start: Start) -> ConsumerBuilder {
        self.topics.push((topic.into(), start));
        self
    }

    /// Makes the consumer. Asks a broker only for the partitions of a [`topic`](Self::topic), for
    /// `default.api.timeout.ms` at most.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when a setting is wrong or contradicts another one; when a topic is
    /// named: what brokers say of it, or that none answered.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn build(self) -> Result<Consumer> {
        if let Some(fault) = self.fault {
            return Err(fault.into());
        }
        self.settings.log(&[Concerns::Consumer]);
        let config = ConsumerConfig::from_settings(&self.settings)?;
        if config.group_id.is_some() {
            let told = self.settings.tell("group.id");
            tracing::warn!(
                "{told} has no effect: consumer groups are not supported yet, and nothing is committed"
            );
        }
        let timeout = self.cluster.config().default_api_timeout;
        let deadline = task::after(task::now(), timeout);
        let mut partitions = self.partitions;
        for (name, start) in &self.topics {
            let view = self.cluster.topic(name, config.allow_auto_create_topics, deadline).await?;
            let found =
                view.topic(name).map(|topic| topic.partitions.iter().map(|partition| partition.index));
            partitions.extend(
                found.into_iter().flatten().map(|index| (TopicPartition::new(name.clone(), index), *start)),
            );
        }
        let cursors = Cursors::new(limits(&config, &self.cluster));
        let mut shared = Shared::new(self.cluster, cursors);
        shared.timeout = timeout;
        shared.patience = config.fetch_max_wait.saturating_add(Duration::from_secs(1));
        shared.read_committed = config.isolation_level == IsolationLevel::ReadCommitted;
        shared.create_topics = config.allow_auto_create_topics;
        let shared = Arc::new(shared);
        shared.cluster.serve(&shared);
        task::spawn(fetcher::run(Arc::clone(&shared)));
        let mut consumer = Consumer { shared };
        consumer.assign(partitions)?;
        Ok(consumer)
    }
}

fn limits(config: &ConsumerConfig, cluster: &Cluster) -> Limits {
    Limits {
        max_wait: config.fetch_max_wait,
        min_bytes: config.fetch_min_bytes,
        max_bytes: config.fetch_max_bytes,
        partition_max_bytes: config.max_partition_fetch_bytes,
        queued_max_bytes: config.queued_max_bytes,
        decompressed_max_bytes: config.fetch_max_decompressed_bytes,
        read_committed: config.isolation_level == IsolationLevel::ReadCommitted,
        reset: match config.auto_offset_reset {
            AutoOffsetReset::Earliest => Reset::Earliest,
            AutoOffsetReset::Latest => Reset::Latest,
            AutoOffsetReset::None => Reset::None,
            AutoOffsetReset::ByDuration(age) => Reset::ByDuration(age),
        },
        rack: cluster.config().client_rack.as_deref().map(Text::from).unwrap_or_default(),
        replica_max_age: cluster.config().metadata_max_age,
        policy: cluster.retries_of_reads(),
    }
}
