//! Settings that Java or librdkafka has a use for and this client has not. They are accepted, so that a file written for
//! one of those works here, and listed at debug level.

use super::{COUNT, Concerns, INT_MAX, Key, LONG_MILLIS, MILLIS};
use crate::config::value::Kind;

const fn key(name: &'static str, kind: Kind, why: &'static str) -> Key {
    Key::new(name, kind, why).without_effect(why)
}

const CLASSES: &str = "classes of Java cannot be loaded";
const KERBEROS: &str = "Kerberos is not supported";
const METRICS: &str = "metrics are read as snapshots of the client";
const LOGS: &str = "what is logged is decided by the program's tracing subscriber";
const CALLBACK: &str = "a function, which a setting cannot name";
const OPENSSL: &str = "TLS is rustls, not OpenSSL or Java's";
const VALIDATION: &str = "it is the broker that validates tokens";
const ASSERTION: &str = "tokens by assertion are not fetched; the program gives its own to the builder";
const BY_BYTES: &str = "buffers and batches are bounded in bytes";
const SCHEDULE: &str = "the client decides it by itself";
const OLD_BROKERS: &str = "versions are negotiated with each broker; brokers that cannot are not supported";
const SHARE: &str = "share groups are not supported yet";

pub(super) const KEYS: &[Key] = &[
    // The Java client's: classes.
    key("key.serializer", Kind::Class, CLASSES).of(Concerns::Producer),
    key("value.serializer", Kind::Class, CLASSES).of(Concerns::Producer),
    key("key.deserializer", Kind::Class, CLASSES).of(Concerns::Consumer),
    key("value.deserializer", Kind::Class, CLASSES).of(Concerns::Consumer),
    key("interceptor.classes", Kind::List, CLASSES),
    key("sasl.client.callback.handler.class", Kind::Class, CLASSES),
    key("sasl.login.callback.handler.class", Kind::Class, CLASSES),
    key("sasl.login.class", Kind::Class, CLASSES),
    key("security.providers", Kind::Text, CLASSES),
    Key::new("config.providers", Kind::List, "Classes that fill in ${provider:..} in other values.")
        .refused("values are not filled in by Java's providers; write them out, or use the environment"),
    // Metrics.
    key("metric.reporters", Kind::List, METRICS),
    key("metrics.num.samples", Kind::Int { min: 1, max: INT_MAX }, METRICS),
    key("metrics.recording.level", Kind::Choice(&["INFO", "DEBUG", "TRACE"]), METRICS),
    key("metrics.sample.window.ms", LONG_MILLIS, METRICS),
    key("enable.metrics.push", Kind::Bool, "metrics are not pushed to brokers (KIP-714)"),
    key("statistics.interval.ms", MILLIS, METRICS),
    // TLS.
    key("ssl.keymanager.algorithm", Kind::Text, OPENSSL),
    key("ssl.trustmanager.algorithm", Kind::Text, OPENSSL),
    key("ssl.provider", Kind::Text, OPENSSL),
    key("ssl.secure.random.implementation", Kind::Text, OPENSSL),
    key("ssl.curves.list", Kind::Text, OPENSSL),
    key("ssl.sigalgs.list", Kind::Text, OPENSSL),
    key("ssl.providers", Kind::Text, OPENSSL),
    key("ssl.engine.location", Kind::Text, OPENSSL),
    key("ssl.engine.id", Kind::Text, OPENSSL),
    key("ssl_engine_callback_data", Kind::Secret, OPENSSL),
    key("ssl_key", Kind::Secret, CALLBACK),
    key("ssl_certificate", Kind::Secret, CALLBACK),
    key("ssl_ca", Kind::Secret, CALLBACK),
    key("ssl.certificate.verify_cb", Kind::Text, CALLBACK),
    key("ssl.ca.certificate.stores", Kind::Text, "the system's certificates are used when none are given"),
    // Kerberos.
    key("sasl.kerberos.service.name", Kind::Text, KERBEROS),
    key("sasl.kerberos.principal", Kind::Text, KERBEROS),
    key("sasl.kerberos.kinit.cmd", Kind::Text, KERBEROS),
    key("sasl.kerberos.keytab", Kind::Text, KERBEROS),
    key("sasl.kerberos.min.time.before.relogin", LONG_MILLIS, KERBEROS),
    key("sasl.kerberos.ticket.renew.jitter", Kind::Factor { min: 0.0, max: f64::MAX }, KERBEROS),
    key("sasl.kerberos.ticket.renew.window.factor", Kind::Factor { min: 0.0, max: f64::MAX }, KERBEROS),
    // Tokens.
    key("sasl.oauthbearer.clock.skew.seconds", COUNT, VALIDATION),
    key("sasl.oauthbearer.expected.audience", Kind::List, VALIDATION),
    key("sasl.oauthbearer.expected.issuer", Kind::Text, VALIDATION),
    key("sasl.oauthbearer.jwks.endpoint.refresh.ms", LONG_MILLIS, VALIDATION),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", LONG_MILLIS, VALIDATION),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", LONG_MILLIS, VALIDATION),
    key("sasl.oauthbearer.jwks.endpoint.url", Kind::Text, VALIDATION),
    key("sasl.oauthbearer.jwt.retriever.class", Kind::Class, CLASSES),
    key("sasl.oauthbearer.jwt.validator.class", Kind::Class, VALIDATION),
    key("sasl.oauthbearer.scope.claim.name", Kind::Text, VALIDATION),
    key("sasl.oauthbearer.sub.claim.name", Kind::Text, VALIDATION),
    key("sasl.oauthbearer.assertion.algorithm", Kind::Choice(&["RS256", "ES256"]), ASSERTION),
    key("sasl.oauthbearer.assertion.claim.aud", Kind::Text, ASSERTION),
    key("sasl.oauthbearer.assertion.claim.exp.seconds", COUNT, ASSERTION),
    key("sasl.oauthbearer.assertion.claim.iss", Kind::Text, ASSERTION),
    key("sasl.oauthbearer.assertion.claim.jti.include", Kind::Bool, ASSERTION),
    key("sasl.oauthbearer.assertion.claim.nbf.seconds", COUNT, ASSERTION),
    key("sasl.oauthbearer.assertion.claim.sub", Kind::Text, ASSERTION),
    key("sasl.oauthbearer.assertion.file", Kind::Text, ASSERTION),
    key("sasl.oauthbearer.assertion.private.key.file", Kind::Text, ASSERTION),
    key("sasl.oauthbearer.assertion.private.key.passphrase", Kind::Secret, ASSERTION),
    key("sasl.oauthbearer.assertion.private.key.pem", Kind::Secret, ASSERTION),
    key("sasl.oauthbearer.assertion.template.file", Kind::Text, ASSERTION)
        .also(&["sasl.oauthbearer.assertion.jwt.template.file"]),
    // Share groups (KIP-932).
    key("share.acknowledgement.mode", Kind::Choice(&["implicit", "explicit"]), SHARE).of(Concerns::Consumer),
    key("share.acquire.mode", Kind::Choice(&["batch_optimized", "record_limit"]), SHARE)
        .of(Concerns::Consumer),
    key("internal.throw.on.fetch.stable.offset.unsupported", Kind::Bool, "internal to the Java client")
        .of(Concerns::Consumer),
    // librdkafka's: itself, its logs and callbacks.
    key("builtin.features", Kind::Text, "features are chosen when the program is built"),
    key("plugin.library.paths", Kind::Text, "libraries are not loaded at run time"),
    key("interceptors", Kind::Text, CALLBACK),
    key("enabled_events", COUNT, CALLBACK),
    key("error_cb", Kind::Text, CALLBACK),
    key("throttle_cb", Kind::Text, CALLBACK),
    key("stats_cb", Kind::Text, CALLBACK),
    key("log_cb", Kind::Text, CALLBACK),
    key("background_event_cb", Kind::Text, CALLBACK),
    key("socket_cb", Kind::Text, CALLBACK),
    key("connect_cb", Kind::Text, CALLBACK),
    key("closesocket_cb", Kind::Text, CALLBACK),
    key("open_cb", Kind::Text, CALLBACK),
    key("resolve_cb", Kind::Text, CALLBACK),
    key("oauthbearer_token_refresh_cb", Kind::Text, CALLBACK),
    key("consume_cb", Kind::Text, CALLBACK).of(Concerns::Consumer),
    key("rebalance_cb", Kind::Text, CALLBACK).of(Concerns::Consumer),
    key("offset_commit_cb", Kind::Text, CALLBACK).of(Concerns::Consumer),
    key("dr_cb", Kind::Text, CALLBACK).of(Concerns::Producer),
    key("dr_msg_cb", Kind::Text, CALLBACK).of(Concerns::Producer),
    key("partitioner_cb", Kind::Text, CALLBACK).of(Concerns::Producer),
    key("msg_order_cmp", Kind::Text, CALLBACK).of(Concerns::Producer),
    key("opaque", Kind::Text, CALLBACK),
    key("default_topic_conf", Kind::Text, CALLBACK),
    key("debug", Kind::List, LOGS),
    key("log_level", Kind::Int { min: 0, max: 7 }, LOGS),
    key("log.queue", Kind::Bool, LOGS),
    key("log.thread.name", Kind::Bool, LOGS),
    key("log.connection.close", Kind::Bool, LOGS),
    key("enable.random.seed", Kind::Bool, SCHEDULE),
    key("internal.termination.signal", Kind::Int { min: 0, max: 128 }, SCHEDULE),
    // librdkafka's: brokers and connections.
    key("api.version.request", Kind::Bool, OLD_BROKERS),
    key("api.version.request.timeout.ms", MILLIS, "socket.connection.setup.timeout.ms covers it"),
    key("api.version.fallback.ms", MILLIS, OLD_BROKERS),
    key("broker.version.fallback", Kind::Text, OLD_BROKERS),
    key("broker.address.ttl", MILLIS, "names are resolved at each connect"),
    key("socket.blocking.max.ms", MILLIS, SCHEDULE),
    key("socket.keepalive.enable", Kind::Bool, "TCP keep-alive is always on"),
    key("socket.nagle.disable", Kind::Bool, "Nagle's algorithm is always off"),
    key("socket.max.fails", COUNT, "a connection with a request that timed out is always closed"),
    key("reconnect.backoff.jitter.ms", MILLIS, "jitter is always there"),
    key("message.copy.max.bytes", COUNT, SCHEDULE),
    // librdkafka's: metadata.
    key("topic.metadata.refresh.fast.interval.ms", MILLIS, "retry.backoff.ms is that"),
    key("topic.metadata.refresh.fast.cnt", COUNT, SCHEDULE),
    key("topic.metadata.refresh.sparse", Kind::Bool, SCHEDULE),
    key(
        "topic.metadata.propagation.max.ms",
        MILLIS,
        "max.block.ms and delivery.timeout.ms bound the wait for a topic",
    ),
    key("topic.blacklist", Kind::List, "a pattern can leave topics out by itself"),
    // librdkafka's: producer.
    key("queue.buffering.max.messages", COUNT, BY_BYTES).of(Concerns::Producer),
    key("batch.num.messages", Kind::Int { min: 1, max: INT_MAX }, BY_BYTES).of(Concerns::Producer),
    key("queue.buffering.backpressure.threshold", COUNT, SCHEDULE).of(Concerns::Producer),
    key("queuing.strategy", Kind::Choice(&["fifo", "lifo"]), "records of a partition are sent in order")
        .of(Concerns::Producer),
    key("sticky.partitioning.linger.ms", MILLIS, "the partition changes with each full batch (KIP-480)")
        .of(Concerns::Producer),
    key("delivery.report.only.error", Kind::Bool, "each send has a delivery of its own")
        .of(Concerns::Producer),
    key("produce.offset.report", Kind::Bool, "each delivery has its offset").of(Concerns::Producer),
    Key::new("enable.gapless.guarantee", Kind::Bool, "Stop at the first batch that fails.")
        .of(Concerns::Producer)
        .default("false")
        .only(&["false", "f", "0"], "stopping at the first batch that fails is not supported"),
    // librdkafka's: consumer.
    key("enable.partition.eof", Kind::Bool, "position and end offsets say when an end is reached")
        .of(Concerns::Consumer),
    key("queued.min.messages", Kind::Int { min: 1, max: INT_MAX }, BY_BYTES).of(Concerns::Consumer),
    key("fetch.queue.backoff.ms", MILLIS, "fetching goes on as soon as there is room").of(Concerns::Consumer),
    key("fetch.error.backoff.ms", MILLIS, "retry.backoff.ms is that").of(Concerns::Consumer),
    key("coordinator.query.interval.ms", MILLIS, SCHEDULE).of(Concerns::Consumer),
    key("consume.callback.max.messages", COUNT, CALLBACK).of(Concerns::Consumer),
    key("offset.store.path", Kind::Text, "offsets are kept by the broker").of(Concerns::Consumer),
    key(
        "offset.store.sync.interval.ms",
        Kind::Millis { min: -1, max: INT_MAX },
        "offsets are kept by the broker",
    )
    .of(Concerns::Consumer),
];
