//! [`ProducerConfig`]: what a producer promises, batches and waits for.

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
    /// `transaction.timeout.ms`: the coordinator aborts a transaction that is open for longer. Default: 60 s.
    pub transaction_timeout: Duration,

    /// `linger.ms`: how long a batch waits for more records. Default: 5 ms.
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
    /// `compression.zstd.level`, -131072 to 22. Default: 3.
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
    /// librdkafka's `consistent_random`, its default: CRC-32 of the key; without a key, random.
    ConsistentRandom,
    /// librdkafka's `murmur2`: murmur2 of the key; all records without a key in one partition.
    Murmur2,
    /// librdkafka's `murmur2_random`: murmur2 of the key; without a key, random.
    Murmur2Random,
    /// librdkafka's `fnv1a`: FNV-1a of the key; all records without a key in one partition.
    Fnv1a,
    /// librdkafka's `fnv1a_random`: FNV-1a of the key; without a key, random.
    Fnv1aRandom,
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
            zstd_level: 3,
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
