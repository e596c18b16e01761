//! [`ConsumerBuilder`]: what a consumer is to be.

use super::group::membership::{self, Protocol, Role};
use super::listener::{Listener, Rebalance};
use super::shared::Shared;
use super::{Consumer, Start, TopicPartition, fetcher};
use crate::cluster::Cluster;
use crate::config::keys::Concerns;
use crate::config::{
    Assignor, AutoOffsetReset, ConfigError, ConsumerConfig, GroupProtocol, IsolationLevel, Settings,
};
use crate::engine::assign::Strategy;
use crate::engine::cursor::{Cursors, Limits, Reset};
use crate::engine::group::Terms;
use crate::error::{Error, ErrorKind, Result};
use crate::task;
use crate::wire::{Text, Uuid};
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
    subscribed: Vec<Text>,
    listener: Option<Listener>,
}

impl ConsumerBuilder {
    pub(crate) fn new(cluster: Cluster, settings: Settings) -> ConsumerBuilder {
        ConsumerBuilder {
            cluster,
            settings,
            fault: None,
            partitions: Vec::new(),
            topics: Vec::new(),
            subscribed: Vec::new(),
            listener: None,
        }
    }

    /// Sets anything of a consumer by its Kafka name, as `fetch.max.wait.ms`; it counts before the client's settings. What
    /// all share that the client makes, as `request.timeout.ms` or `client.id`, is refused: it is set on
    /// [`Client::builder`].
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

    /// `group.id`: the group that shares the work and the offsets. Default: none, nothing is committed then.
    pub fn group(self, id: impl Into<String>) -> ConsumerBuilder {
        self.set("group.id", id)
    }

    /// Reads topics as a member of the [`group`](Self::group): as [`Consumer::subscribe`].
    pub fn subscribe<T: Into<Text>>(mut self, topics: impl IntoIterator<Item = T>) -> ConsumerBuilder {
        self.subscribed.extend(topics.into_iter().map(Into::into));
        self
    }

    /// Is told of partitions that the group gives and takes (ConsumerRebalanceListener of the Java client), one thing at a
    /// time. What is to be done with them is waited for, for `max.poll.interval.ms` at most; a panic is logged, and the
    /// rebalance goes on.
    ///
    /// ```no_run
    /// # async fn example(client: ottla::Client) -> ottla::Result<()> {
    /// use ottla::consumer::RebalanceKind;
    ///
    /// let consumer = client.consumer().group("billing").subscribe(["orders"]).on_rebalance(|rebalance| async move {
    ///     if rebalance.kind() == RebalanceKind::Revoked {
    ///         println!("gives back {:?}", rebalance.partitions());
    ///     }
    /// });
    /// # consumer.build().await?; Ok(()) }
    /// ```
    pub fn on_rebalance<F: Future<Output = ()> + Send + 'static>(
        mut self,
        listener: impl Fn(Rebalance) -> F + Send + Sync + 'static,
    ) -> ConsumerBuilder {
        self.listener = Some(Listener::new(listener));
        self
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
        let role = role(&config, &self.cluster)?;
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
        let ties = role.as_ref().map(|role| role.ties(self.cluster.retries().backoff));
        let mut shared = Shared::new(self.cluster, cursors, ties);
        shared.listener = self.listener;
        shared.timeout = timeout;
        shared.patience = config.fetch_max_wait.saturating_add(Duration::from_secs(1));
        shared.read_committed = config.isolation_level == IsolationLevel::ReadCommitted;
        shared.create_topics = config.allow_auto_create_topics;
        let shared = Arc::new(shared);
        shared.cluster.serve(&shared);
        let mut consumer = Consumer { shared: Arc::clone(&shared) };
        consumer.assign(partitions)?;
        if !self.subscribed.is_empty() {
            consumer.subscribe(self.subscribed)?;
        }
        let running = shared.task();
        task::spawn(fetcher::run(Arc::clone(&shared), running));
        if let Some(role) = role {
            let running = shared.task();
            task::spawn(membership::run(shared, role, running));
        }
        Ok(consumer)
    }
}

/// What the consumer is to be in its group; `None` without one.
fn role(config: &ConsumerConfig, cluster: &Cluster) -> Result<Option<Role>> {
    let Some(group) = &config.group_id else { return Ok(None) };
    let text = |text: &String| Text::from(text.as_str());
    let terms = Terms {
        group: text(group),
        instance: config.group_instance_id.as_ref().map(text),
        rack: cluster.config().client_rack.as_ref().map(text),
        session_timeout: config.session_timeout,
        heartbeat_interval: config.heartbeat_interval,
        rebalance_timeout: config.max_poll_interval,
        backoff: cluster.retries().backoff,
    };
    let protocol = match config.group_protocol {
        GroupProtocol::Classic => Protocol::Classic(
            config.partition_assignment_strategy.iter().map(|known| strategy(*known)).collect(),
        ),
        GroupProtocol::Consumer => {
            let random = task::random::<16>().map_err(|error| {
                Error::new(ErrorKind::Internal, "draw an id for the member of a group").with_source(error)
            })?;
            let id = Uuid::from_bytes(random).to_string().into();
            Protocol::Consumer(id, config.group_remote_assignor.as_ref().map(text))
        }
    };
    let auto_commit = config.enable_auto_commit.then_some(config.auto_commit_interval);
    Ok(Some(Role { terms, protocol, auto_commit, internal_topics: !config.exclude_internal_topics }))
}

fn strategy(assignor: Assignor) -> Strategy {
    match assignor {
        Assignor::Range => Strategy::Range,
        Assignor::RoundRobin => Strategy::RoundRobin,
        Assignor::Sticky => Strategy::Sticky,
        Assignor::CooperativeSticky => Strategy::CooperativeSticky,
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
