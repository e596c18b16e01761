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
    dial: Option<Arc<dyn Dial>>,
}

impl ClientBuilder {
    pub(super) fn new() -> ClientBuilder {
        ClientBuilder { settings: Settings::new(), fault: None, tokens: None, security: None, dial: None }
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
    /// `SCRAM-SHA-512`.
    pub fn sasl(
        mut self,
        mechanism: &str,
        username: impl Into<String>,
        password: impl Into<Secret>,
    ) -> ClientBuilder {
        self = self.set("sasl.mechanism", mechanism).set("sasl.username", username);
        let outcome = self.settings.set_secret("sasl.password", password.into()).err();
        self.fault = self.fault.or(outcome);
        self
    }

    /// Authenticates with SASL/OAUTHBEARER and the tokens of `provider`.
    pub fn oauth_bearer(mut self, provider: impl TokenProvider + 'static) -> ClientBuilder {
        self.tokens = Some(Arc::new(provider));
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

    /// Uses this dialler instead of the network: for simulations.
    #[doc(hidden)]
    pub fn dial(mut self, dial: Arc<dyn Dial>) -> ClientBuilder {
        self.dial = Some(dial);
        self
    }

    /// Uses a TLS configuration that is ready, in place of all `ssl.` settings.
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
        let config = ClientConfig::from_settings(&self.settings)?;
        self.settings.log(&[Concerns::Producer, Concerns::Consumer, Concerns::Admin]);
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let security = match self.security {
            Some(security) if config.security_protocol.is_tls() => security,
            _ => Security::from_config(&config)?,
        };
        let auth = Auth::new(&config, self.tokens)?;
        let dial = self.dial.unwrap_or_else(|| Arc::new(TcpDial::new(SocketOptions::from_config(&config))));
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
                Err(Error::new(kind, attempt).source(cause.unwrap_or(error)))
            }
        }
    }
}

/// How much longer than for one connection `connect` tries.
const MARGIN: Duration = Duration::from_secs(2);

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
