//! Settings of every client, and of the admin client: brokers, connections, metadata, retries.

use super::{COUNT, Concerns, INT_MAX, Key, LONG_MILLIS, MILLIS};
use crate::config::value::Kind;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "bootstrap.servers",
        Kind::List,
        "Brokers to ask for all others, as host:port, with commas between.",
    )
    .also(&["metadata.broker.list"]),
    Key::new("client.id", Kind::Text, "What the client calls itself towards brokers.").default(""),
    Key::new(
        "client.rack",
        Kind::Text,
        "Where the client stands, to read from the nearest replica (KIP-392).",
    )
    .default("")
    .without_effect("records are read from leaders only yet"),
    // Connections.
    Key::new(
        "socket.connection.setup.timeout.ms",
        LONG_MILLIS,
        "How long a connection may take to be ready for use.",
    )
    .default("10000"),
    Key::new(
        "socket.connection.setup.timeout.max.ms",
        LONG_MILLIS,
        "What that time grows to after failures in a row.",
    )
    .default("30000"),
    Key::new("reconnect.backoff.ms", LONG_MILLIS, "Wait after the first failure to connect to a broker.")
        .default("50"),
    Key::new("reconnect.backoff.max.ms", LONG_MILLIS, "What that wait grows to after failures in a row.")
        .default("1000"),
    Key::new(
        "connections.max.idle.ms",
        OR_NEVER,
        "A connection unused for this long is closed; 0 or -1: never.",
    )
    .default("540000"),
    Key::new("send.buffer.bytes", SOCKET_BUFFER, "Send buffer of a socket; -1 or 0: the system's.")
        .also(&["socket.send.buffer.bytes"])
        .default("-1"),
    Key::new("receive.buffer.bytes", SOCKET_BUFFER, "Receive buffer of a socket; -1 or 0: the system's.")
        .also(&["socket.receive.buffer.bytes"])
        .default("-1"),
    Key::new(
        "receive.message.max.bytes",
        Kind::Int { min: 1000, max: INT_MAX },
        "The largest answer that is read.",
    )
    .default("104857600"),
    Key::new(
        "broker.address.family",
        Kind::Choice(&["any", "v4", "v6"]),
        "Which addresses of a name are tried.",
    )
    .default("any"),
    Key::new(
        "client.dns.lookup",
        Kind::Choice(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"]),
        "How the names of brokers are resolved (KIP-302).",
    )
    .default("use_all_dns_ips")
    .only(
        &["use_all_dns_ips"],
        "every address of a name is tried; canonical names serve Kerberos only, which is not supported",
    ),
    // Requests.
    Key::new("request.timeout.ms", MILLIS, "How long one request may take until its answer is there.")
        .default("30000"),
    Key::new(
        "socket.timeout.ms",
        Kind::Millis { min: 10, max: INT_MAX },
        "The same, as librdkafka calls it.",
    )
    .stands_in_for("request.timeout.ms"),
    Key::new(
        "default.api.timeout.ms",
        MILLIS,
        "How long a call without a deadline may take, retries included.",
    )
    .default("60000"),
    Key::new("retries", COUNT, "How often a request is sent again inside its time.")
        .also(&["message.send.max.retries"])
        .default("2147483647"),
    Key::new("retry.backoff.ms", LONG_MILLIS, "Wait before the first retry of a request (KIP-580).")
        .default("100"),
    Key::new("retry.backoff.max.ms", LONG_MILLIS, "What that wait grows to.").default("1000"),
    // Metadata.
    Key::new("metadata.max.age.ms", LONG_MILLIS, "Metadata older than this is asked for anew.")
        .default("300000"),
    Key::new("topic.metadata.refresh.interval.ms", OR_NEVER, "The same, as librdkafka calls it; -1: never.")
        .stands_in_for("metadata.max.age.ms"),
    Key::new(
        "metadata.recovery.strategy",
        Kind::Choice(&["rebootstrap", "none"]),
        "What to do when no known broker answers (KIP-899).",
    )
    .default("rebootstrap"),
    Key::new(
        "metadata.recovery.rebootstrap.trigger.ms",
        LONG_MILLIS,
        "Start again from bootstrap.servers when no metadata came for this long (KIP-1102).",
    )
    .default("300000"),
    Key::new("bootstrap.controllers", Kind::List, "Controllers to talk to instead of brokers (KIP-919).")
        .of(Concerns::Admin)
        .refused("the admin client talks to brokers, which forward to the controller; set bootstrap.servers"),
];

const OR_NEVER: Kind = Kind::Millis { min: -1, max: i64::MAX };
const SOCKET_BUFFER: Kind = Kind::Int { min: -1, max: INT_MAX };
