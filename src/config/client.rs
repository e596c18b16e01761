//! [`ClientConfig`]: what producer, consumer and admin share: where the cluster is, how to connect, when to give up.

use super::error::ConfigError;
use super::settings::Settings;
use super::{HostPort, Sasl, Ssl, value};
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
    /// `client.rack`: where this client stands, for reading from the nearest replica (KIP-392) where the brokers' `replica.selector.class`
    /// chooses by it. Default: not said, and records come from leaders.
    pub client_rack: Option<String>,
    /// `security.protocol`: TLS or not, SASL or not. Default: [`SecurityProtocol::Plaintext`].
    pub security_protocol: SecurityProtocol,
    /// How to authenticate; there exactly when [`security_protocol`](Self::security_protocol) asks for SASL.
    pub sasl: Option<Sasl>,
    /// Whom to trust and what to show over TLS; the default when `security_protocol` says no TLS.
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
    /// Default: `None` (Java: 131072 bytes, which bounds what may be under way at a distance).
    pub send_buffer_bytes: Option<u32>,
    /// `receive.buffer.bytes`: the socket's receive buffer; `None` (-1 or 0) leaves it to the operating system.
    /// Default: `None` (Java: 65536 bytes).
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

    /// What the settings do that whoever wrote them may not expect, as sentences; each belongs into the log once.
    pub warnings: Vec<String>,
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

impl ClientConfig {
    /// Reads the settings that all clients share.
    ///
    /// # Errors
    /// When `bootstrap.servers` is not there or an entry of it makes no sense, when what security needs is not there, when
    /// a password would travel unencrypted, and when settings contradict each other.
    pub fn from_settings(settings: &Settings) -> Result<ClientConfig, ConfigError> {
        let security_protocol = settings.parsed("security.protocol", SecurityProtocol::named)?;
        let sasl = if security_protocol.is_sasl() { Some(Sasl::from_settings(settings)?) } else { None };
        let ssl = if security_protocol.is_tls() { Ssl::from_settings(settings)? } else { Ssl::default() };
        let request_timeout = settings.millis("request.timeout.ms")?;
        let (retry_backoff, retry_backoff_max) =
            growing(settings, "retry.backoff.ms", "retry.backoff.max.ms")?;
        let (reconnect_backoff, reconnect_backoff_max) =
            growing(settings, "reconnect.backoff.ms", "reconnect.backoff.max.ms")?;
        let (connection_setup_timeout, connection_setup_timeout_max) = growing(
            settings,
            "socket.connection.setup.timeout.ms",
            "socket.connection.setup.timeout.max.ms",
        )?;
        let mut config = ClientConfig {
            bootstrap_servers: bootstrap_servers(settings, security_protocol)?,
            client_id: settings.text("client.id").unwrap_or("").to_owned(),
            client_rack: settings.text("client.rack").map(str::to_owned),
            security_protocol,
            sasl,
            ssl,
            request_timeout,
            default_api_timeout: default_api_timeout(settings, request_timeout)?,
            retries: settings.number("retries")?,
            retry_backoff,
            retry_backoff_max,
            connection_setup_timeout,
            connection_setup_timeout_max,
            reconnect_backoff,
            reconnect_backoff_max,
            connections_max_idle: settings.millis_or_never("connections.max.idle.ms")?,
            send_buffer_bytes: socket_buffer(settings, "send.buffer.bytes")?,
            receive_buffer_bytes: socket_buffer(settings, "receive.buffer.bytes")?,
            receive_message_max_bytes: settings.number("receive.message.max.bytes")?,
            broker_address_family: settings.parsed("broker.address.family", AddressFamily::named)?,
            metadata_max_age: settings.millis("metadata.max.age.ms")?,
            metadata_recovery_strategy: settings
                .parsed("metadata.recovery.strategy", RecoveryStrategy::named)?,
            metadata_recovery_rebootstrap_trigger: settings
                .millis("metadata.recovery.rebootstrap.trigger.ms")?,
            warnings: Vec::new(),
        };
        for server in &config.bootstrap_servers {
            config.may_authenticate_with(&server.host)?;
        }
        config.warn_of_protocol(settings);
        Ok(config)
    }

    /// Whether the client may authenticate with a broker at this host: PLAIN and OAUTHBEARER without TLS only where
    /// [`Sasl::plaintext_allowed`] says so. The brokers to start from were asked about when the settings were read; those
    /// that these name are to be asked about before each connection.
    ///
    /// # Errors
    /// When the secret would go over the network unencrypted, unasked.
    pub fn may_authenticate_with(&self, host: &str) -> Result<(), ConfigError> {
        match &self.sasl {
            Some(sasl) if !self.security_protocol.is_tls() && !sasl.plaintext_allowed(host) => {
                Err(ConfigError::Contradiction(format!(
                    "sasl.mechanism={} with security.protocol={} would send its secret to {host} unencrypted: set \
                     security.protocol=SASL_SSL, or sasl.allow.plaintext=true if that is what you want",
                    sasl.mechanism.as_str(),
                    self.security_protocol.as_str(),
                )))
            }
            _ => Ok(()),
        }
    }

    fn warn_of_protocol(&mut self, settings: &Settings) {
        let protocol = settings.tell("security.protocol");
        let first = |keys: &[&'static str]| keys.iter().copied().find(|key| settings.is_given(key));
        match &self.sasl {
            Some(sasl) if !self.security_protocol.is_tls() && sasl.mechanism.sends_secret() => {
                self.warnings.push(format!(
                    "{protocol}: the secret of {} goes over the network unencrypted",
                    sasl.mechanism.as_str()
                ));
            }
            Some(sasl) if !self.security_protocol.is_tls() => self.warnings.push(format!(
                "{protocol}: what {} exchanges goes over the network unencrypted, and a weak password can be guessed from it",
                sasl.mechanism.as_str()
            )),
            Some(_) => {}
            None => {
                let key = first(&["sasl.mechanism", "sasl.username", "sasl.password", "sasl.jaas.config"]);
                self.warnings.extend(key.map(|key| {
                    format!("{key} ({}) has no effect with {protocol}", settings.origin(key))
                }));
            }
        }
        if !self.security_protocol.is_tls() {
            let key = first(&[
                "ssl.ca.location",
                "ssl.ca.pem",
                "ssl.truststore.location",
                "ssl.truststore.certificates",
                "ssl.certificate.location",
                "ssl.certificate.pem",
                "ssl.keystore.location",
                "ssl.keystore.certificate.chain",
            ]);
            self.warnings.extend(
                key.map(|key| format!("{key} ({}) has no effect with {protocol}", settings.origin(key))),
            );
        }
    }
}

/// A time and what it grows to. One of them set alone moves the other's default out of its way; of two that were set and
/// do not fit, the greatest counts, as in Java.
fn growing(
    settings: &Settings,
    first: &'static str,
    last: &'static str,
) -> Result<(Duration, Duration), ConfigError> {
    let (start, greatest) = (settings.millis(first)?, settings.millis(last)?);
    if start > greatest && !settings.is_given(last) {
        return Ok((start, start));
    }
    Ok((start.min(greatest), greatest))
}

/// A call must be able to make one request: the default grows with it, a value that was set is an error.
fn default_api_timeout(settings: &Settings, request: Duration) -> Result<Duration, ConfigError> {
    let timeout = settings.millis("default.api.timeout.ms")?;
    if timeout < request && settings.is_given("default.api.timeout.ms") {
        return Err(ConfigError::Contradiction(format!(
            "{} must not be less than {}",
            settings.tell("default.api.timeout.ms"),
            settings.tell("request.timeout.ms")
        )));
    }
    Ok(timeout.max(request))
}

fn socket_buffer(settings: &Settings, key: &'static str) -> Result<Option<u32>, ConfigError> {
    let bytes: i32 = settings.number(key)?;
    Ok(u32::try_from(bytes).ok().filter(|&bytes| bytes > 0))
}

fn bootstrap_servers(settings: &Settings, protocol: SecurityProtocol) -> Result<Vec<HostPort>, ConfigError> {
    let mut servers = Vec::new();
    for entry in settings.list("bootstrap.servers") {
        let wrong = |why: &str| ConfigError::WrongValue {
            key: "bootstrap.servers".to_owned(),
            // A user and password before the host of a URL are not for a log.
            value: entry.rsplit('@').next().unwrap_or(entry).escape_debug().to_string(),
            origin: settings.origin("bootstrap.servers"),
            expected: format!("host:port, with commas between: {why}"),
        };
        let address = match entry.split_once("://") {
            Some((listener, address)) => match SecurityProtocol::named(listener) {
                Some(named) if named == protocol => address,
                Some(_) => return Err(wrong("what stands before :// is not the security.protocol")),
                None => return Err(wrong("it is no URL")),
            },
            None => entry,
        };
        let server = HostPort::parse(address).map_err(wrong)?;
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    if servers.is_empty() {
        return Err(ConfigError::Missing {
            key: "bootstrap.servers",
            why: "it says where the cluster is, as host:port (in the environment: KAFKA_BOOTSTRAP_SERVERS)"
                .to_owned(),
        });
    }
    Ok(servers)
}

impl AddressFamily {
    fn named(text: &str) -> Option<AddressFamily> {
        match value::choice(text, &["any", "v4", "v6"])? {
            "v4" => Some(AddressFamily::V4),
            "v6" => Some(AddressFamily::V6),
            _ => Some(AddressFamily::Any),
        }
    }
}

impl RecoveryStrategy {
    fn named(text: &str) -> Option<RecoveryStrategy> {
        match value::choice(text, &["rebootstrap", "none"])? {
            "none" => Some(RecoveryStrategy::None),
            _ => Some(RecoveryStrategy::Rebootstrap),
        }
    }
}

impl SecurityProtocol {
    /// The protocol that is called so.
    pub fn named(name: &str) -> Option<SecurityProtocol> {
        let all = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];
        all.into_iter().find(|protocol| protocol.as_str().eq_ignore_ascii_case(name))
    }

    /// Kafka's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
            SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
            SecurityProtocol::SaslSsl => "SASL_SSL",
        }
    }

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
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
            receive_message_max_bytes: 104_857_600,
            broker_address_family: AddressFamily::Any,
            metadata_max_age: Duration::from_secs(300),
            metadata_recovery_strategy: RecoveryStrategy::Rebootstrap,
            metadata_recovery_rebootstrap_trigger: Duration::from_secs(300),
            warnings: Vec::new(),
        }
    }
}
