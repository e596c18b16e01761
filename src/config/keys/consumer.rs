//! Settings of the consumer.

use super::{COUNT, Concerns, INT_MAX, Key, MILLIS};
use crate::config::consumer::{Assignor, AutoOffsetReset};
use crate::config::value::{self, Kind};

const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key::new(name, kind, doc).of(Concerns::Consumer)
}

pub(super) const KEYS: &[Key] = &[
    // Groups.
    key("group.id", Kind::Text, "The group that shares the work and the offsets."),
    key("group.instance.id", Kind::Text, "This member is the same after a restart (KIP-345)."),
    key("group.protocol", Kind::Choice(&["classic", "consumer"]), "Who assigns partitions: a member, or the broker.")
        .default("classic"),
    key("group.remote.assignor", Kind::Text, "The broker's assignor, for group.protocol=consumer (KIP-848)."),
    key(
        "partition.assignment.strategy",
        Kind::Form { expected: ASSIGNORS, check: are_assignors },
        "The assignors this member can work with, for group.protocol=classic.",
    )
    .default("range,cooperative-sticky"),
    key("session.timeout.ms", AT_LEAST_1, "A member not heard of for this long is out, for group.protocol=classic.")
        .default("45000"),
    key("heartbeat.interval.ms", AT_LEAST_1, "How often a member lets hear of itself, for group.protocol=classic.")
        .default("3000"),
    key("max.poll.interval.ms", AT_LEAST_1, "A member that does not poll for this long leaves (KIP-62).")
        .default("300000"),
    key("max.poll.records", Kind::Int { min: 1, max: INT_MAX }, "The most records that one poll returns.")
        .default("500")
        .without_effect("a poll returns one batch, as the producer made it"),
    key("group.protocol.type", Kind::Text, "What kind of group it is.")
        .default("consumer")
        .only(&["consumer"], "the members of a group of consumers are of type consumer"),
    // Offsets.
    key("enable.auto.commit", Kind::Bool, "Commit by itself; not set: only with a group.id.")
        .also(&["auto.commit.enable"]),
    key("auto.commit.interval.ms", MILLIS, "How often.").default("5000"),
    key(
        "auto.offset.reset",
        Kind::Form { expected: RESETS, check: is_reset },
        "Where to start without a committed offset.",
    )
    .default("latest"),
    key("isolation.level", Kind::Choice(&["read_uncommitted", "read_committed"]), "Whose records are seen (KIP-98).")
        .default("read_uncommitted"),
    key("enable.auto.offset.store", Kind::Bool, "Whether what was handed out counts as done.").default("true").only(
        &["true", "t", "1"],
        "offsets are not stored apart from committing them; set enable.auto.commit=false and commit what is done",
    ),
    key("offset.store.method", Kind::Text, "Where offsets are kept.")
        .default("broker")
        .only(&["broker"], "offsets are kept by the broker"),
    // Fetching.
    key("fetch.min.bytes", COUNT, "The broker waits until it has this much.").default("1"),
    key("fetch.max.wait.ms", MILLIS, "But no longer than this.").also(&["fetch.wait.max.ms"]).default("500"),
    key("fetch.max.bytes", COUNT, "The most that one answer of a broker should hold.").default("52428800"),
    key("max.partition.fetch.bytes", COUNT, "The most that one answer should hold of one partition.")
        .also(&["fetch.message.max.bytes"])
        .default("1048576"),
    key(
        "queued.max.messages.kbytes",
        Kind::Kibibytes { min: 1, max: INT_MAX },
        "How many KiB may be fetched ahead, all partitions together.",
    )
    .default("65536"),
    key(
        "fetch.max.decompressed.bytes",
        Kind::Int { min: 1, max: INT_MAX },
        "The most that the records of one batch may take uncompressed.",
    )
    .default("134217728"),
    key("check.crcs", Kind::Bool, "Whether the checksum of a batch is verified.")
        .default("true")
        .without_effect("the checksum is always verified"),
    // Topics.
    key("allow.auto.create.topics", Kind::Bool, "A topic may come into being by being subscribed to.").default("true"),
    key("exclude.internal.topics", Kind::Bool, "A pattern does not match Kafka's own topics.")
        .default("true"),
];

const AT_LEAST_1: Kind = Kind::Millis { min: 1, max: INT_MAX };

const ASSIGNORS: &str =
    "a list of range, roundrobin, sticky, cooperative-sticky, or of the Java client's classes of these";

const RESETS: &str = "earliest, latest, none, or by_duration:PnDTnHnMn.nS (librdkafka's smallest, beginning, largest, end \
    and error too)";

fn are_assignors(text: &str) -> bool {
    let mut words = value::list(text).peekable();
    words.peek().is_some() && words.all(|word| Assignor::named(word).is_some())
}

fn is_reset(text: &str) -> bool {
    AutoOffsetReset::named(text).is_some()
}
