//! Settings of the producer.

use super::{COUNT, Concerns, INT_MAX, Key, LONG, LONG_MILLIS, MILLIS};
use crate::config::producer::PartitionerKind;
use crate::config::value::Kind;

const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key::new(name, kind, doc).of(Concerns::Producer)
}

pub(super) const KEYS: &[Key] = &[
    key(
        "acks",
        Kind::Choice(&["all", "-1", "0", "1"]),
        "How many replicas must have a batch before it is written.",
    )
    .also(&["request.required.acks"])
    .default("all"),
    key("enable.idempotence", Kind::Bool, "Retries neither duplicate nor reorder (KIP-98).").default("true"),
    key("transactional.id", Kind::Text, "Names a producer of transactions across restarts."),
    key(
        "transaction.timeout.ms",
        Kind::Millis { min: 1, max: INT_MAX },
        "A transaction open for longer is aborted.",
    )
    .default("60000")
    .without_effect("transactions are not supported yet"),
    key(
        "transaction.two.phase.commit.enable",
        Kind::Bool,
        "Transactions prepared by another system (KIP-939).",
    )
    .default("false")
    .only(&["false", "f", "0"], "two-phase commit is not supported"),
    // Batches.
    key("linger.ms", LONG_MILLIS, "How long a batch waits for more records.")
        .also(&["queue.buffering.max.ms"])
        .default("5"),
    key("batch.size", COUNT, "How large a batch may grow; not set: as large as max.request.size."),
    key("max.request.size", COUNT, "The largest record and the largest request.")
        .also(&["message.max.bytes"])
        .default("1048576"),
    key("buffer.memory", LONG, "How many bytes of records may wait to be sent or acknowledged.")
        .default("33554432"),
    key(
        "queue.buffering.max.kbytes",
        Kind::Kibibytes { min: 1, max: INT_MAX },
        "The same, as librdkafka calls it, in KiB.",
    )
    .stands_in_for("buffer.memory"),
    key("max.block.ms", LONG_MILLIS, "How long send waits for room and for metadata.").default("60000"),
    key(
        "compression.type",
        Kind::Choice(&["none", "gzip", "snappy", "lz4", "zstd"]),
        "How batches are compressed.",
    )
    .also(&["compression.codec"])
    .default("none"),
    key(
        "compression.gzip.level",
        Kind::Form { expected: "a whole number from 1 to 9, or -1", check: is_gzip_level },
        "How hard gzip tries; -1: 6.",
    )
    .default("-1"),
    key("compression.lz4.level", Kind::Int { min: 1, max: 17 }, "How hard lz4 tries.")
        .default("9")
        .without_effect("lz4 has one level here"),
    key("compression.zstd.level", Kind::Int { min: -131_072, max: 22 }, "How hard zstd tries.").default("1"),
    key(
        "compression.level",
        Kind::Int { min: -1, max: 22 },
        "The level of whichever codec is used, unless its own is set; -1: its default.",
    )
    .default("-1"),
    // Delivery.
    key(
        "max.in.flight.requests.per.connection",
        Kind::Int { min: 1, max: INT_MAX },
        "Requests that await their answers.",
    )
    .also(&["max.in.flight"])
    .default("5"),
    key("delivery.timeout.ms", MILLIS, "From send to the acknowledgement, everything included (KIP-91).")
        .also(&["message.timeout.ms"])
        .default("120000"),
    key(
        "metadata.max.idle.ms",
        Kind::Millis { min: 5000, max: i64::MAX },
        "A topic unused for this long is forgotten.",
    )
    .default("300000"),
    // Partitions.
    key(
        "partitioner.class",
        Kind::Form { expected: PARTITIONERS, check: is_partitioner },
        "Which partition a record goes to.",
    )
    .also(&["partitioner"]),
    key("partitioner.adaptive.partitioning.enable", Kind::Bool, "Prefer brokers that keep up (KIP-794).")
        .default("true"),
    key(
        "partitioner.availability.timeout.ms",
        LONG_MILLIS,
        "Avoid a broker that lags by this much; 0: never.",
    )
    .default("0"),
    key("partitioner.ignore.keys", Kind::Bool, "Treat records with a key as those without.").default("false"),
];

const PARTITIONERS: &str = "one of random, consistent, consistent_random, murmur2, murmur2_random, fnv1a, fnv1a_random, or \
    RoundRobinPartitioner of the Java client; one of your own is given to the producer's builder";

fn is_partitioner(text: &str) -> bool {
    PartitionerKind::named(text).is_some()
}

fn is_gzip_level(text: &str) -> bool {
    text.parse::<i32>().is_ok_and(|level| level == -1 || (1..=9).contains(&level))
}
