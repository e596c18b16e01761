//! [`ProducerBuilder`]: what a producer is to be.

use super::Producer;
use super::codecs::Codecs;
use super::queue::Chooser;
use crate::cluster::Cluster;
use crate::config::keys::Concerns;
use crate::config::{Acks, CompressionType, ConfigError, PartitionerKind, ProducerConfig, Settings};
use crate::engine::partitioner::{BuiltIn, Partitioner};
use crate::error::Result;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Describes a [`Producer`]. Everything can be set by its Kafka name ([`set`](Self::set)); what is set often has a method
/// of its own. A wrong setting is told by [`build`](Self::build), which gives the first one.
#[must_use]
pub struct ProducerBuilder {
    cluster: Cluster,
    settings: Settings,
    fault: Option<ConfigError>,
    partitioner: Option<Arc<dyn Partitioner>>,
    codecs: BTreeMap<String, (CompressionType, Option<i32>)>,
}

impl ProducerBuilder {
    pub(crate) fn new(cluster: Cluster, settings: Settings) -> ProducerBuilder {
        ProducerBuilder { cluster, settings, fault: None, partitioner: None, codecs: BTreeMap::new() }
    }

    /// Sets anything of a producer by its Kafka name, as `linger.ms`; it counts before the client's settings. What all share
    /// that the client makes, as `request.timeout.ms` or `client.id`, is refused: it is set on [`Client::builder`].
    ///
    /// [`Client::builder`]: crate::Client::builder
    pub fn set(mut self, key: &str, value: impl Into<String>) -> ProducerBuilder {
        let outcome = self.settings.set_for(Concerns::Producer, key, value.into()).err();
        self.fault = self.fault.or(outcome);
        self
    }

    /// `acks`: which replicas must have a record before it is acknowledged. Default: [`Acks::All`].
    pub fn acks(self, acks: Acks) -> ProducerBuilder {
        let name = match acks {
            Acks::All => "all",
            Acks::Leader => "1",
            Acks::None => "0",
        };
        self.set("acks", name)
    }

    /// `enable.idempotence`: repetitions neither duplicate nor reorder. Default: true, unless other settings contradict it.
    pub fn idempotence(self, on: bool) -> ProducerBuilder {
        self.set("enable.idempotence", on.to_string())
    }

    /// `batch.size`: how large a batch of one partition may grow, in bytes before compression. Default: 1 MiB.
    pub fn batch_size(self, bytes: usize) -> ProducerBuilder {
        self.set("batch.size", bytes.to_string())
    }

    /// `max.request.size`: the largest record and the largest request, in bytes. Default: 1 MiB.
    pub fn max_request_size(self, bytes: usize) -> ProducerBuilder {
        self.set("max.request.size", bytes.to_string())
    }

    /// `buffer.memory`: how many bytes of records may wait to be sent or acknowledged. Default: 32 MiB.
    pub fn buffer_memory(self, bytes: usize) -> ProducerBuilder {
        self.set("buffer.memory", bytes.to_string())
    }

    /// `max.block.ms`: how long [`send`](Producer::send) waits for room and for metadata. Default: 1 min.
    pub fn max_block(self, time: Duration) -> ProducerBuilder {
        self.set_duration("max.block.ms", time)
    }

    /// `max.in.flight.requests.per.connection`: Produce requests that may await their answers, from 1; with idempotence 5 at
    /// most. Default: 5.
    pub fn max_in_flight(self, requests: usize) -> ProducerBuilder {
        self.set("max.in.flight.requests.per.connection", requests.to_string())
    }

    /// `retries`: how often a batch that may have reached a broker is sent again. Default: 2147483647.
    pub fn retries(self, times: u32) -> ProducerBuilder {
        self.set("retries", times.to_string())
    }

    /// `linger.ms`: how long a batch of less than 512 KiB waits for more records. Default: 5 ms. Durations count to the
    /// microsecond, rounded up; one beyond the setting's range is the nearest in it.
    pub fn linger(self, linger: Duration) -> ProducerBuilder {
        self.set_duration("linger.ms", linger)
    }

    /// `compression.type`. Default: [`CompressionType::None`].
    pub fn compression(self, codec: CompressionType) -> ProducerBuilder {
        self.set("compression.type", codec.as_str())
    }

    /// The level of whichever codec is used, as `compression.gzip.level`, `compression.lz4.level` and
    /// `compression.zstd.level`. Default: the codec's own.
    pub fn compression_level(self, level: i32) -> ProducerBuilder {
        self.set("compression.level", level.to_string())
    }

    /// Another codec for one topic than `compression.type`, at a level of its own or (`None`) at that of the settings.
    pub fn topic_compression(
        mut self,
        topic: impl Into<String>,
        codec: CompressionType,
        level: Option<i32>,
    ) -> ProducerBuilder {
        self.codecs.insert(topic.into(), (codec, level));
        self
    }

    /// `delivery.timeout.ms`: how long a record may take from `send` to its acknowledgement, repetitions included.
    /// Default: 2 min.
    pub fn delivery_timeout(self, timeout: Duration) -> ProducerBuilder {
        self.set_duration("delivery.timeout.ms", timeout)
    }

    /// `partitioner.adaptive.partitioning.enable`: records without a key go rather to brokers that keep up (KIP-794).
    /// Default: true.
    pub fn adaptive_partitioning(self, on: bool) -> ProducerBuilder {
        self.set("partitioner.adaptive.partitioning.enable", on.to_string())
    }

    /// `partitioner.availability.timeout.ms`: records without a key avoid a broker that has not taken batches for so long;
    /// zero: never (KIP-794). Default: zero.
    pub fn availability_timeout(self, timeout: Duration) -> ProducerBuilder {
        self.set_duration("partitioner.availability.timeout.ms", timeout)
    }

    /// `partitioner.ignore.keys`: the default partitioner treats records with a key as those without. Default: false.
    pub fn ignore_keys(self, on: bool) -> ProducerBuilder {
        self.set("partitioner.ignore.keys", on.to_string())
    }

    /// Chooses the partitions of records that name none, in place of `partitioner.class`. A closure will do.
    pub fn partitioner(mut self, partitioner: impl Partitioner + 'static) -> ProducerBuilder {
        self.partitioner = Some(Arc::new(partitioner));
        self
    }

    /// Makes the producer. Asks no broker: the first record does.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when a setting is wrong or contradicts another one.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as everything that starts a task.
    pub fn build(self) -> Result<Producer> {
        if let Some(fault) = self.fault {
            return Err(fault.into());
        }
        self.settings.log(&[Concerns::Producer]);
        let config = ProducerConfig::from_settings(&self.settings)?;
        let chooser = self.partitioner.map_or(Chooser::BuiltIn(built_in(&config)), Chooser::Own);
        let codecs = Codecs::new(&config, self.codecs)?;
        Producer::start(self.cluster, config, chooser, codecs)
    }
}

impl ProducerBuilder {
    fn set_duration(mut self, key: &str, duration: Duration) -> ProducerBuilder {
        let outcome = self.settings.set_duration(key, duration).err();
        self.fault = self.fault.or(outcome);
        self
    }
}

fn built_in(config: &ProducerConfig) -> BuiltIn {
    match config.partitioner {
        PartitionerKind::Default if config.partitioner_ignore_keys => BuiltIn::IgnoreKeys,
        PartitionerKind::Default => BuiltIn::Default,
        PartitionerKind::RoundRobin => BuiltIn::RoundRobin,
        PartitionerKind::Random => BuiltIn::Random,
        PartitionerKind::Consistent => BuiltIn::Consistent,
        PartitionerKind::ConsistentRandom => BuiltIn::ConsistentRandom,
        PartitionerKind::Murmur2 => BuiltIn::Murmur2,
        PartitionerKind::Murmur2Random => BuiltIn::Murmur2Random,
        PartitionerKind::Fnv1a => BuiltIn::Fnv1a,
        PartitionerKind::Fnv1aRandom => BuiltIn::Fnv1aRandom,
    }
}

impl fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
