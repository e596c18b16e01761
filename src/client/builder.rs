//! [`ClientBuilder`]: what a client is to be.

use super::Client;
use crate::cluster::Cluster;
use crate::config::keys::Concerns;
use crate::config::{ClientConfig, ConfigError, Secret, SecurityProtocol, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::net::auth::{Auth, TokenProvider};
use crate::net::dial::{Dial, Security, SocketOptions, TcpDial};
use crate::task;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Describes a [`Client`]. Everything can be set by its Kafka name ([`set`](Self::set)); what nearly everybody sets has a
/// method of its own. A wrong setting is told by [`connect`](Self::connect), which gives the first one.
#[must_use]
pub struct ClientBuilder {
    settings: Settings,
    fault: Option<ConfigError>,
    tokens: Option<Arc<dyn TokenProvider>>,
    security: Option<Security>,
    /// The method that asked for SASL, if one did.
    wants_sasl: Option<&'static str>,
    dial: Option<Arc<dyn Dial>>,
    skips_certificates: bool,
    skips_host_names: bool,
}

impl ClientBuilder {
    pub(super) fn new() -> ClientBuilder {
        ClientBuilder {
            settings: Settings::new(),
            fault: None,
            tokens: None,
            security: None,
            wants_sasl: None,
            dial: None,
            skips_certificates: false,
            skips_host_names: false,
        }
    }

    /// Starts from these settings; what is set on the builder afterwards counts before them.
    pub fn settings(mut self, settings: Settings) -> ClientBuilder {
        self.settings = settings;
        self
    }

    /// Sets anything by its Kafka name, `linger.ms` or `sasl.username`; librdkafka's names are known as well. Settings of
    /// producers and consumers are handed on to those that the client makes.
    pub fn set(mut self, key: &str, value: impl Into<String>) -> ClientBuilder {
        let outcome = self.settings.set(key, value).err();
        self.fault = self.fault.or(outcome);
        self
    }

    /// `bootstrap.servers`: `host:port`, several of them with commas between. There is no default.
    pub fn bootstrap(self, servers: impl Into<String>) -> ClientBuilder {
        self.set("bootstrap.servers", servers)
    }

    /// `client.id`: what the client calls itself towards brokers. Default: empty.
    pub fn client_id(self, id: impl Into<String>) -> ClientBuilder {
        self.set("client.id", id)
    }

    /// `security.protocol`. Default: [`SecurityProtocol::Plaintext`].
    pub fn security_protocol(self, protocol: SecurityProtocol) -> ClientBuilder {
        self.set("security.protocol", protocol.as_str())
    }

    /// `sasl.mechanism`, `sasl.username` and `sasl.password`: the mechanism is `PLAIN`, `SCRAM-SHA-256` or
    /// `SCRAM-SHA-512`. [`Client::set_credentials`] replaces name and password later.
    ///
    /// Goes with a [`security_protocol`](Self::security_protocol) of SASL, nearly always [`SecurityProtocol::SaslSsl`];
    /// without one [`build`](Self::build) fails.
    pub fn sasl(
        mut self,
        mechanism: &str,
        username: impl Into<String>,
        password: impl Into<Secret>,
    ) -> ClientBuilder {
        self.wants_sasl = Some("sasl");
        self.set("sasl.mechanism", mechanism)
            .set("sasl.username", username)
            .set_secret("sasl.password", password.into())
    }

    /// Authenticates with SASL/OAUTHBEARER and the tokens of `provider`, which goes before whatever the settings say of
    /// tokens.
    ///
    /// Goes with a [`security_protocol`](Self::security_protocol) of SASL, as [`sasl`](Self::sasl) does.
    pub fn oauth_bearer(mut self, provider: impl TokenProvider + 'static) -> ClientBuilder {
        self.tokens = Some(Arc::new(provider));
        self.wants_sasl = Some("oauth_bearer");
        self.set("sasl.mechanism", "OAUTHBEARER")
    }

    /// `ssl.ca.location`: a PEM file of the authorities to trust, instead of the system's.
    pub fn ca_file(self, path: impl Into<String>) -> ClientBuilder {
        self.set("ssl.ca.location", path)
    }

    /// `ssl.ca.pem`: the authorities to trust, in PEM, instead of the system's.
    pub fn ca_pem(self, pem: impl Into<String>) -> ClientBuilder {
        self.set("ssl.ca.pem", pem)
    }

    /// `ssl.certificate.location` and `ssl.key.location`: PEM files of the client's certificate (and those that lead to
    /// its authority) and of its private key. They are read again at each connection: renewed ones need no restart.
    pub fn client_certificate_files(
        self,
        certificate: impl Into<String>,
        key: impl Into<String>,
    ) -> ClientBuilder {
        self.set("ssl.certificate.location", certificate).set("ssl.key.location", key)
    }

    /// `ssl.certificate.pem` and `ssl.key.pem`: the client's certificate (and those that lead to its authority) and its
    /// private key, in PEM.
    pub fn client_certificate_pem(
        self,
        certificate: impl Into<String>,
        key: impl Into<Secret>,
    ) -> ClientBuilder {
        self.set("ssl.certificate.pem", certificate).set_secret("ssl.key.pem", key.into())
    }

    /// `ssl.key.password`: what the client's private key is encrypted with.
    pub fn key_password(self, password: impl Into<Secret>) -> ClientBuilder {
        self.set_secret("ssl.key.password", password.into())
    }

    /// `request.timeout.ms`: how long one request may take. Default: 30 s. This and the other durations count to the
    /// microsecond, rounded up; one beyond the setting's range is the nearest in it.
    pub fn request_timeout(self, timeout: Duration) -> ClientBuilder {
        self.set_millis("request.timeout.ms", timeout)
    }

    /// `default.api.timeout.ms`: how long a call of the consumer or the admin client may take, repetitions included.
    /// Default: 60 s; at least the request's.
    pub fn api_timeout(self, timeout: Duration) -> ClientBuilder {
        self.set_millis("default.api.timeout.ms", timeout)
    }

    /// `socket.connection.setup.timeout.ms`: how long a connection may take to be ready, TLS and SASL included. It doubles
    /// with each failure in a row, up to `socket.connection.setup.timeout.max.ms`. Default: 10 s.
    pub fn connection_timeout(self, timeout: Duration) -> ClientBuilder {
        self.set_millis("socket.connection.setup.timeout.ms", timeout)
    }

    /// `client.rack`: where this client stands, to read from the nearest replica (KIP-392) where the brokers' `replica.selector.class`
    /// chooses by it. Default: not said, and records come from leaders.
    pub fn rack(self, rack: impl Into<String>) -> ClientBuilder {
        self.set("client.rack", rack)
    }

    /// Takes any certificate for a broker's: anyone on the way can read and change everything, and take the password.
    ///
    /// For a broker of one's own that cannot be given a proper certificate, and for nothing else. No setting does this.
    /// Does not concern a token endpoint, whose certificate is always verified, nor a configuration of
    /// [`tls_config`](Self::tls_config).
    pub fn dangerous_skip_certificate_verification(mut self) -> ClientBuilder {
        self.skips_certificates = true;
        self
    }

    /// Takes a trusted certificate for a broker's whatever host it is for: whoever has any certificate of a trusted
    /// authority can pose as the broker.
    ///
    /// For brokers behind a tunnel whose certificate has another name, with an authority of one's own
    /// ([`ca_file`](Self::ca_file)). No setting does this. Does not concern a token endpoint, nor a configuration of
    /// [`tls_config`](Self::tls_config).
    pub fn dangerous_skip_hostname_verification(mut self) -> ClientBuilder {
        self.skips_host_names = true;
        self
    }

    /// Uses this dialler instead of the network: for simulations.
    #[doc(hidden)]
    pub fn dial(mut self, dial: Arc<dyn Dial>) -> ClientBuilder {
        self.dial = Some(dial);
        self
    }

    /// Uses a TLS configuration that is ready, in place of all `ssl.` settings. Goes with a
    /// [`security_protocol`](Self::security_protocol) of TLS; without one [`build`](Self::build) fails.
    #[cfg(any(feature = "tls", feature = "tls-portable", feature = "tls-ring", feature = "tls-aws-lc-rs"))]
    pub fn tls_config(mut self, config: Arc<rustls::ClientConfig>) -> ClientBuilder {
        self.security = Some(Security::Tls(crate::net::tls::TlsClient::from_rustls(config)));
        self
    }

    /// Makes the client without asking anybody: the first call that needs a broker connects.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when a setting is missing, wrong, or contradicts another one. No time is spent on the
    /// network, but certificate files are read.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as everything that starts a task.
    pub fn build(self) -> Result<Client> {
        if let Some(fault) = self.fault {
            return Err(fault.into());
        }
        let mut config = ClientConfig::from_settings(&self.settings)?;
        self.must_be_of_use(&config)?;
        config.ssl.dangerous_skip_certificate_verification |= self.skips_certificates;
        config.ssl.dangerous_skip_hostname_verification |= self.skips_host_names;
        self.settings.log(&[Concerns::Producer, Concerns::Consumer, Concerns::Admin]);
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let security = self.security.map_or_else(|| Security::from_config(&config), Ok)?;
        let dial = self.dial.unwrap_or_else(|| Arc::new(TcpDial::new(SocketOptions::from_config(&config))));
        let auth = Auth::new(&config, self.tokens, &dial)?;
        Ok(Client { cluster: Cluster::new(config, dial, security, auth), settings: Arc::new(self.settings) })
    }

    /// Makes the client and asks a broker for the cluster, so that what is wrong with addresses, certificates or
    /// credentials is told now. Tries a little longer than one connection may take
    /// (`socket.connection.setup.timeout.ms`), and gives up at once where trying again cannot help.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] as [`build`](Self::build); [`ErrorKind::Authentication`] and [`ErrorKind::Tls`] when a broker
    /// refused us or we refused it; [`ErrorKind::Timeout`] with the cause when no broker could be reached.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the attempt and leaves nothing behind.
    pub async fn connect(self) -> Result<Client> {
        let client = self.build()?;
        let config = client.cluster.config();
        // Longer than one attempt, so that the attempt's own error is there to be told.
        let patience = config.default_api_timeout.min(config.connection_setup_timeout.saturating_add(MARGIN));
        let deadline = task::after(task::now(), patience);
        match client.cluster.refresh(deadline).await {
            Ok(_) => Ok(client),
            Err(error) => {
                let servers: Vec<String> = config.bootstrap_servers.iter().map(ToString::to_string).collect();
                client.close();
                let attempt = format!("connect to the cluster at {}", servers.join(","));
                let kind = if error.is_retriable() { ErrorKind::Timeout } else { error.kind() };
                // "timed out" once is enough: the cause tells what was tried.
                let cause = error.cause().filter(|_| error.kind() == ErrorKind::Timeout).cloned();
                Err(Error::new(kind, attempt).with_source(cause.unwrap_or(error)))
            }
        }
    }
}

impl ClientBuilder {
    fn set_secret(mut self, key: &str, value: Secret) -> ClientBuilder {
        let outcome = self.settings.set_secret(key, value).err();
        self.fault = self.fault.or(outcome);
        self
    }

    fn set_millis(mut self, key: &str, duration: Duration) -> ClientBuilder {
        let outcome = self.settings.set_duration(key, duration).err();
        self.fault = self.fault.or(outcome);
        self
    }

    /// What the program asks for by a method must not be dropped without a word because of the protocol.
    fn must_be_of_use(&self, config: &ClientConfig) -> Result<()> {
        let protocol = config.security_protocol;
        let (method, needed) = match (self.wants_sasl, &self.security) {
            (Some(method), _) if !protocol.is_sasl() => (method, "SASL_SSL or SASL_PLAINTEXT"),
            (_, Some(_)) if !protocol.is_tls() => ("tls_config", "SSL or SASL_SSL"),
            _ => return Ok(()),
        };
        let there = self.settings.tell("security.protocol");
        let what =
            format!("{method}(..) of the builder needs security.protocol={needed}, and there is {there}");
        Err(ConfigError::Contradiction(what).into())
    }
}

/// How much longer than for one connection `connect` tries.
const MARGIN: Duration = Duration::from_secs(2);

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("settings", &self.settings)
            .field("dangerous_skip_certificate_verification", &self.skips_certificates)
            .field("dangerous_skip_hostname_verification", &self.skips_host_names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
