//! [`ClientConfig`]: what producer, consumer and admin share: where the cluster is, how to connect, when to give up.

use super::{HostPort, Sasl, Ssl};
use std::time::Duration;

/// The settings of a client: connections, security, metadata, retries. The defaults are the Java client's.
///
/// Durations are given in milliseconds under their Kafka name. One that is longer than a hundred years is a hundred years.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// `bootstrap.servers`: brokers that are asked for the others, in the order given. No default; at least one.
    pub bootstrap_servers: Vec<HostPort>,
    /// `client.id`: what this client calls itself towards brokers (their logs, quotas and metrics). Default: empty.
    pub client_id: String,
    /// `client.rack`: where this client stands, for reading from the nearest replica (KIP-392). Default: not said.
    pub client_rack: Option<String>,
    /// `security.protocol`: TLS or not, SASL or not. Default: [`SecurityProtocol::Plaintext`].
    pub security_protocol: SecurityProtocol,
    /// How to authenticate; there exactly when [`security_protocol`](Self::security_protocol) asks for SASL.
    pub sasl: Option<Sasl>,
    /// Whom to trust and what to show over TLS. Without effect when `security_protocol` says no TLS.
    pub ssl: Ssl,

    /// `request.timeout.ms`: how long one request may take until its answer is there. Default: 30 s.
    pub request_timeout: Duration,
    /// `default.api.timeout.ms`: how long a call of the consumer or admin client may take, retries included, when it is
    /// not given a deadline of its own. Default: 60 s; at least `request.timeout.ms`.
    pub default_api_timeout: Duration,
    /// `retries`: how often a call of the admin client is tried again inside its time. Default: 2147483647.
    pub retries: u32,
    /// `retry.backoff.ms`: wait before the first retry of a request; doubles with each one after it, with jitter (KIP-580).
    /// Default: 100 ms.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`: the longest wait between two retries. Default: 1 s.
    pub retry_backoff_max: Duration,

    /// `socket.connection.setup.timeout.ms`: how long a connection may take to be ready to use, TLS and SASL included;
    /// doubles with each failure in a row (KIP-601). Default: 10 s.
    pub connection_setup_timeout: Duration,
    /// `socket.connection.setup.timeout.max.ms`: the longest such time. Default: 30 s.
    pub connection_setup_timeout_max: Duration,
    /// `reconnect.backoff.ms`: wait before a broker is connected to again after a failure; doubles with each failure in a
    /// row, with jitter. Default: 50 ms.
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`: the longest such wait. Default: 1 s.
    pub reconnect_backoff_max: Duration,
    /// `connections.max.idle.ms`: an unused connection is closed after this time; `None` (0 or -1) never. Default: 9 min.
    pub connections_max_idle: Option<Duration>,
    /// `send.buffer.bytes`: the socket's send buffer; `None` (-1 or 0) leaves it to the operating system.
    /// Default: 131072 bytes.
    pub send_buffer_bytes: Option<u32>,
    /// `receive.buffer.bytes`: the socket's receive buffer; `None` (-1 or 0) leaves it to the operating system.
    /// Default: 65536 bytes.
    pub receive_buffer_bytes: Option<u32>,
    /// `receive.message.max.bytes`: the largest answer that is read; a connection that announces a larger one is closed.
    /// A name of librdkafka's. Default: 104857600 bytes (100 MiB).
    pub receive_message_max_bytes: usize,
    /// `broker.address.family`: which addresses of a broker's name are tried. A name of librdkafka's.
    /// Default: [`AddressFamily::Any`].
    pub broker_address_family: AddressFamily,

    /// `metadata.max.age.ms`: the cluster's metadata is asked for anew after this time, even without an error.
    /// Default: 5 min.
    pub metadata_max_age: Duration,
    /// `metadata.recovery.strategy`: what to do when no known broker answers (KIP-899).
    /// Default: [`RecoveryStrategy::Rebootstrap`].
    pub metadata_recovery_strategy: RecoveryStrategy,
    /// `metadata.recovery.rebootstrap.trigger.ms`: start again from `bootstrap.servers` when no metadata came for this
    /// long (KIP-1102). Default: 5 min.
    pub metadata_recovery_rebootstrap_trigger: Duration,
}

/// `security.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SecurityProtocol {
    /// `PLAINTEXT`: neither encrypted nor authenticated.
    #[default]
    Plaintext,
    /// `SSL`: TLS; the client may show a certificate.
    Ssl,
    /// `SASL_PLAINTEXT`: authenticated by SASL, not encrypted.
    SaslPlaintext,
    /// `SASL_SSL`: authenticated by SASL inside TLS.
    SaslSsl,
}

/// `broker.address.family`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AddressFamily {
    /// `any`: IPv6 and IPv4.
    #[default]
    Any,
    /// `v4`.
    V4,
    /// `v6`.
    V6,
}

/// `metadata.recovery.strategy` (KIP-899).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RecoveryStrategy {
    /// `rebootstrap`: start again from `bootstrap.servers`.
    #[default]
    Rebootstrap,
    /// `none`: keep trying the brokers that are known.
    None,
}

impl SecurityProtocol {
    /// Whether connections are encrypted.
    pub fn is_tls(self) -> bool {
        matches!(self, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl)
    }

    /// Whether the client authenticates by SASL.
    pub fn is_sasl(self) -> bool {
        matches!(self, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl)
    }
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            bootstrap_servers: Vec::new(),
            client_id: String::new(),
            client_rack: None,
            security_protocol: SecurityProtocol::Plaintext,
            sasl: None,
            ssl: Ssl::default(),
            request_timeout: Duration::from_secs(30),
            default_api_timeout: Duration::from_secs(60),
            retries: i32::MAX.unsigned_abs(),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            connection_setup_timeout: Duration::from_secs(10),
            connection_setup_timeout_max: Duration::from_secs(30),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            connections_max_idle: Some(Duration::from_secs(540)),
            send_buffer_bytes: Some(131_072),
            receive_buffer_bytes: Some(65_536),
            receive_message_max_bytes: 104_857_600,
            broker_address_family: AddressFamily::Any,
            metadata_max_age: Duration::from_secs(300),
            metadata_recovery_strategy: RecoveryStrategy::Rebootstrap,
            metadata_recovery_rebootstrap_trigger: Duration::from_secs(300),
        }
    }
}
