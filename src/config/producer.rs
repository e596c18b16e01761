//! [`ProducerConfig`]: what a producer promises, batches and waits for.

use super::error::ConfigError;
use super::keys::Part;
use super::settings::Settings;
use std::time::Duration;

/// The settings of a producer, besides those of its [client](super::ClientConfig). The defaults are the Java client's, but
/// for [`batch_size`](Self::batch_size).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProducerConfig {
    /// `acks`: how many replicas must have a batch before it counts as written. Default: [`Acks::All`].
    pub acks: Acks,
    /// `enable.idempotence`: retries neither duplicate nor reorder (KIP-98, KIP-679). Default: true, unless `acks`,
    /// `retries` or `max.in.flight.requests.per.connection` was set to a value that does not go with it.
    pub enable_idempotence: bool,
    /// `transactional.id`: names the producer of transactions across restarts; two with the same fence each other.
    /// Default: none, no transactions.
    pub transactional_id: Option<String>,
    /// `transaction.timeout.ms`: the coordinator aborts a transaction that is open for longer. Without effect yet.
    /// Default: 60 s.
    pub transaction_timeout: Duration,

    /// `linger.ms`: how long a batch of less than 512 KiB waits for more records. Default: 5 ms.
    pub linger: Duration,
    /// `batch.size`: how large a batch of one partition may grow, in bytes before compression. Default: as large as
    /// `max.request.size` (Java: 16384), so that a batch grows while it waits for its turn, and throughput does not
    /// depend on the round trip; 0 sends each record on its own.
    pub batch_size: usize,
    /// `max.request.size`: the largest record and the largest request, in bytes before compression. Default: 1048576.
    pub max_request_size: usize,
    /// `buffer.memory`: how many bytes of records may wait to be sent or acknowledged. Default: 33554432 (32 MiB).
    pub buffer_memory: usize,
    /// `max.block.ms`: how long `send` waits for room in the buffer and for metadata. Default: 60 s.
    pub max_block: Duration,

    /// `compression.type`. Default: [`CompressionType::None`].
    pub compression: CompressionType,
    /// `compression.gzip.level`, 1 to 9; `None` (-1) is the codec's own default, 6. Default: `None`.
    pub gzip_level: Option<i32>,
    /// `compression.lz4.level`, 1 to 17. Accepted and checked, but without effect: the codec here has one level.
    /// Default: 9.
    pub lz4_level: i32,
    /// `compression.zstd.level`, -131072 to 22. Default: 1 (Java: 3), which takes half the time here for batches that are 1
    /// to 7 % larger.
    pub zstd_level: i32,

    /// `max.in.flight.requests.per.connection`: how many requests may await their answers. Default: 5; with idempotence
    /// at most 5.
    pub max_in_flight: usize,
    /// `retries`: how often a batch is sent again, inside `delivery.timeout.ms`. Default: 2147483647.
    pub retries: u32,
    /// `delivery.timeout.ms`: from `send` to the acknowledgement, everything included (KIP-91). Default: 120 s; at least
    /// `linger.ms` and `request.timeout.ms` together.
    pub delivery_timeout: Duration,
    /// `request.timeout.ms`: how long one request may take until its answer is there. Default: 30 s.
    pub request_timeout: Duration,
    /// `metadata.max.idle.ms`: a topic that was not produced to for this long is forgotten (KIP-526). Default: 5 min.
    pub metadata_max_idle: Duration,

    /// `partitioner.class`, or librdkafka's `partitioner`: which partition a record goes to when it names none.
    /// Default: [`PartitionerKind::Default`].
    pub partitioner: PartitionerKind,
    /// `partitioner.adaptive.partitioning.enable`: records without a key go rather to brokers that keep up (KIP-794).
    /// Default: true.
    pub partitioner_adaptive: bool,
    /// `partitioner.availability.timeout.ms`: records without a key avoid a broker that did not take batches for this
    /// long; `None` (0) never (KIP-794). Default: `None`.
    pub partitioner_availability_timeout: Option<Duration>,
    /// `partitioner.ignore.keys`: the default partitioner treats records with a key as those without. Default: false.
    pub partitioner_ignore_keys: bool,
}

/// `acks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Acks {
    /// `all` or `-1`: all in-sync replicas (never fewer than the topic's `min.insync.replicas`).
    #[default]
    All,
    /// `1`: the leader alone; what it has not passed on is lost with it.
    Leader,
    /// `0`: the broker does not answer; offsets are unknown and losses unseen.
    None,
}

/// `compression.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CompressionType {
    /// `none`.
    #[default]
    None,
    /// `gzip`.
    Gzip,
    /// `snappy`.
    Snappy,
    /// `lz4`.
    Lz4,
    /// `zstd` (KIP-110).
    Zstd,
}

/// The partitioners that have a name. A partitioner of the program's own is given to the builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PartitionerKind {
    /// Java's: murmur2 of the key; without a key one partition for a while, then another (KIP-480, KIP-794).
    #[default]
    Default,
    /// Java's `RoundRobinPartitioner`: one partition after the other, with or without a key.
    RoundRobin,
    /// librdkafka's `random`.
    Random,
    /// librdkafka's `consistent`: CRC-32 of the key; all records without a key in one partition.
    Consistent,
    /// librdkafka's `consistent_random`, its default: CRC-32 of the key; without a key as [`Default`](Self::Default).
    ConsistentRandom,
    /// librdkafka's `murmur2`: murmur2 of the key; all records without a key in one partition.
    Murmur2,
    /// librdkafka's `murmur2_random`: murmur2 of the key; without a key as [`Default`](Self::Default).
    Murmur2Random,
    /// librdkafka's `fnv1a`: FNV-1a of the key; all records without a key in one partition.
    Fnv1a,
    /// librdkafka's `fnv1a_random`: FNV-1a of the key; without a key as [`Default`](Self::Default).
    Fnv1aRandom,
}

impl ProducerConfig {
    /// Reads the settings of a producer.
    ///
    /// # Errors
    /// When settings contradict each other: idempotence or transactions that were asked for together with `acks`,
    /// `retries` or in-flight requests that do not go with them, or a `delivery.timeout.ms` too short for one attempt.
    pub fn from_settings(settings: &Settings) -> Result<ProducerConfig, ConfigError> {
        settings.must_be_right(Part::Producer)?;
        let acks = settings.parsed("acks", Acks::named)?;
        let retries = settings.number("retries")?;
        let max_in_flight = settings.number("max.in.flight.requests.per.connection")?;
        let transactional_id = settings.text("transactional.id").map(str::to_owned);
        let against = against_idempotence(settings, acks, retries, max_in_flight);
        let linger = settings.millis("linger.ms")?;
        let request_timeout = settings.millis("request.timeout.ms")?;
        let max_request_size = settings.number("max.request.size")?;
        let compression = settings.parsed("compression.type", CompressionType::named)?;
        let partitioner = match settings.text("partitioner.class") {
            Some(_) => settings.parsed("partitioner.class", PartitionerKind::named)?,
            None => PartitionerKind::Default,
        };
        let availability = settings.millis_or_never("partitioner.availability.timeout.ms")?;
        let mut config = ProducerConfig {
            acks,
            enable_idempotence: idempotence(settings, against, transactional_id.is_some())?,
            transactional_id,
            transaction_timeout: settings.millis("transaction.timeout.ms")?,
            linger,
            batch_size: match settings.text("batch.size") {
                Some(_) => settings.number("batch.size")?,
                None => max_request_size,
            },
            max_request_size,
            buffer_memory: settings.number("buffer.memory")?,
            max_block: settings.millis("max.block.ms")?,
            compression,
            gzip_level: Some(settings.number("compression.gzip.level")?).filter(|level| *level != -1),
            lz4_level: settings.number("compression.lz4.level")?,
            zstd_level: settings.number("compression.zstd.level")?,
            max_in_flight,
            retries,
            delivery_timeout: delivery_timeout(settings, linger, request_timeout)?,
            request_timeout,
            metadata_max_idle: settings.millis("metadata.max.idle.ms")?,
            partitioner,
            partitioner_adaptive: settings.flag("partitioner.adaptive.partitioning.enable")?,
            partitioner_availability_timeout: availability,
            partitioner_ignore_keys: settings.flag("partitioner.ignore.keys")?,
        };
        config.apply_common_level(settings)?;
        Ok(config)
    }

    /// librdkafka's `compression.level` is that of whichever codec is used.
    fn apply_common_level(&mut self, settings: &Settings) -> Result<(), ConfigError> {
        let level: i32 = settings.number("compression.level")?;
        let (own, range) = match self.compression {
            CompressionType::Gzip => ("compression.gzip.level", 1..=9),
            CompressionType::Lz4 => ("compression.lz4.level", 1..=17),
            CompressionType::Zstd => ("compression.zstd.level", 1..=22),
            CompressionType::None | CompressionType::Snappy => return Ok(()),
        };
        let outranks_own = settings.origin("compression.level").outranks(&settings.origin(own));
        if level == -1 || settings.is_given(own) && !outranks_own {
            return Ok(());
        }
        if !range.contains(&level) {
            return Err(ConfigError::Contradiction(format!(
                "{} must be from {} to {} with {}",
                settings.tell("compression.level"),
                range.start(),
                range.end(),
                settings.tell("compression.type"),
            )));
        }
        match self.compression {
            CompressionType::Gzip => self.gzip_level = Some(level),
            CompressionType::Lz4 => self.lz4_level = level,
            _ => self.zstd_level = level,
        }
        Ok(())
    }
}

/// The first setting that idempotence does not go with, and what it would have to be (KIP-679).
fn against_idempotence(
    settings: &Settings,
    acks: Acks,
    retries: u32,
    max_in_flight: usize,
) -> Option<String> {
    let (key, needed) = if acks != Acks::All {
        ("acks", "acks=all")
    } else if retries == 0 {
        ("retries", "retries above 0")
    } else if max_in_flight > 5 {
        ("max.in.flight.requests.per.connection", "at most 5 requests in flight")
    } else {
        return None;
    };
    Some(format!("needs {needed}, and there is {}", settings.tell(key)))
}

/// Whether the producer is idempotent: what contradicts it is an error when it was asked for, and else switches it off.
fn idempotence(
    settings: &Settings,
    against: Option<String>,
    transactional: bool,
) -> Result<bool, ConfigError> {
    let asked_for = settings.is_given("enable.idempotence");
    let wanted = settings.flag("enable.idempotence")?;
    let who = if transactional { "transactional.id" } else { "enable.idempotence" };
    if transactional && !wanted {
        return Err(ConfigError::Contradiction(format!(
            "{} needs idempotence, and there is {}",
            settings.tell(who),
            settings.tell("enable.idempotence")
        )));
    }
    match against {
        Some(against) if wanted && (asked_for || transactional) => {
            Err(ConfigError::Contradiction(format!("{} {against}", settings.tell(who))))
        }
        Some(against) => {
            if wanted {
                tracing::info!("the producer is not idempotent: enable.idempotence {against}");
            }
            Ok(false)
        }
        None => Ok(wanted),
    }
}

/// At least one attempt must fit: a longer default is made to, a value that was set is an error (KIP-91).
fn delivery_timeout(
    settings: &Settings,
    linger: Duration,
    request: Duration,
) -> Result<Duration, ConfigError> {
    let timeout = settings.millis("delivery.timeout.ms")?;
    let least = linger.saturating_add(request);
    if timeout >= least {
        return Ok(timeout);
    }
    if !settings.is_given("delivery.timeout.ms") {
        return Ok(least);
    }
    Err(ConfigError::Contradiction(format!(
        "{} must be at least the sum of {} and {}",
        settings.tell("delivery.timeout.ms"),
        settings.tell("linger.ms"),
        settings.tell("request.timeout.ms")
    )))
}

impl Acks {
    fn named(text: &str) -> Option<Acks> {
        match text {
            "1" => Some(Acks::Leader),
            "0" => Some(Acks::None),
            "-1" => Some(Acks::All),
            _ if text.eq_ignore_ascii_case("all") => Some(Acks::All),
            _ => None,
        }
    }
}

impl CompressionType {
    /// The codec that Kafka calls so: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    pub fn named(name: &str) -> Option<CompressionType> {
        let all = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];
        all.into_iter().find(|codec| codec.as_str().eq_ignore_ascii_case(name))
    }

    /// Kafka's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            CompressionType::None => "none",
            CompressionType::Gzip => "gzip",
            CompressionType::Snappy => "snappy",
            CompressionType::Lz4 => "lz4",
            CompressionType::Zstd => "zstd",
        }
    }
}

impl PartitionerKind {
    /// The partitioner that librdkafka calls so, or the Java client's class of this name.
    pub fn named(name: &str) -> Option<PartitionerKind> {
        let class = name.strip_prefix("org.apache.kafka.clients.producer.").unwrap_or(name);
        Some(match class {
            "random" => PartitionerKind::Random,
            "consistent" => PartitionerKind::Consistent,
            "consistent_random" => PartitionerKind::ConsistentRandom,
            "murmur2" => PartitionerKind::Murmur2,
            "murmur2_random" => PartitionerKind::Murmur2Random,
            "fnv1a" => PartitionerKind::Fnv1a,
            "fnv1a_random" => PartitionerKind::Fnv1aRandom,
            "RoundRobinPartitioner" => PartitionerKind::RoundRobin,
            _ => return None,
        })
    }
}

impl Default for ProducerConfig {
    fn default() -> ProducerConfig {
        ProducerConfig {
            acks: Acks::All,
            enable_idempotence: true,
            transactional_id: None,
            transaction_timeout: Duration::from_secs(60),
            linger: Duration::from_millis(5),
            batch_size: 1_048_576,
            max_request_size: 1_048_576,
            buffer_memory: 33_554_432,
            max_block: Duration::from_secs(60),
            compression: CompressionType::None,
            gzip_level: None,
            lz4_level: 9,
            zstd_level: 1,
            max_in_flight: 5,
            retries: i32::MAX.unsigned_abs(),
            delivery_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            metadata_max_idle: Duration::from_secs(300),
            partitioner: PartitionerKind::Default,
            partitioner_adaptive: true,
            partitioner_availability_timeout: None,
            partitioner_ignore_keys: false,
        }
    }
}
