//! [`TlsClient`]: rustls's client configuration out of the `ssl.` settings, kept fresh, and the handshake.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsConnector;

use super::stream::{Explained, FirstBytes};
use super::verify::{AnyCertificate, AnyHostName};
use super::{explain, pem, provider};
use crate::config::{Pem, Ssl, TlsVersion};
use crate::error::{Error, ErrorKind, Result};
use crate::net::dial::{Endpoint, Stream};
use crate::task;

/// TLS towards brokers. Clones share their configuration, and with it the sessions that can be resumed.
#[derive(Clone)]
pub struct TlsClient(Arc<Source>);

enum Source {
    /// The user's own, taken as it is.
    Given(Arc<ClientConfig>),
    /// Made from settings that name files: made anew when one of them has changed.
    Files { settings: Box<Settings>, current: Mutex<Current> },
}

/// What does not change while the client lives.
struct Settings {
    ssl: Ssl,
    provider: Arc<CryptoProvider>,
    /// Of the system; only there when no CA was given.
    system_roots: Option<Arc<RootCertStore>>,
}

struct Current {
    fingerprint: Fingerprint,
    config: Arc<ClientConfig>,
}

impl TlsClient {
    /// Reads certificates and keys, or the system's certificates, and checks that a handshake can be made
    /// with them. Blocks for some milliseconds.
    ///
    /// # Errors
    /// `Config`: something cannot be read or used, the system trusts nobody, or no provider of cryptography
    /// runs here.
    pub fn new(ssl: &Ssl) -> Result<Self> {
        warn_of_danger(ssl);
        let trusts_system = ssl.ca.is_none() && !ssl.dangerous_skip_certificate_verification;
        let system_roots = if trusts_system { Some(Arc::new(system_roots()?)) } else { None };
        let settings =
            Settings { ssl: ssl.clone(), provider: with_suites(&provider::provider()?, ssl)?, system_roots };
        let material = Material::read(ssl)?;
        let config = Arc::new(settings.client_config(&material)?);
        if !names_files(ssl) {
            return Ok(Self::from_rustls(config));
        }
        let current = Mutex::new(Current { fingerprint: material.fingerprint(), config });
        Ok(Self(Arc::new(Source::Files { settings: Box::new(settings), current })))
    }

    /// Takes a ready configuration; the `ssl.` settings then have no part in it.
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        Self(Arc::new(Source::Given(config)))
    }

    /// The handshake, on a stream that is connected to `endpoint`.
    pub(in crate::net) async fn connect<S: Stream + 'static>(
        &self,
        stream: S,
        endpoint: &Endpoint,
        deadline: Instant,
    ) -> Result<Box<dyn Stream>> {
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| {
            Error::new(ErrorKind::Tls, "TLS handshake")
                .broker(endpoint)
                .with_source(error)
                .hint("a certificate can be for a DNS name or an IP address only")
        })?;
        let handshake = async {
            let config = self.clone().current().await;
            let shown = config.client_auth_cert_resolver.has_certs();
            let connector = TlsConnector::from(config);
            (connector.connect(name, FirstBytes::new(stream)).into_fallible().await, shown)
        };
        match task::until(deadline, handshake).await {
            Some((Ok(stream), shown)) => Ok(Box::new(Explained::new(stream, endpoint.clone(), shown))),
            Some((Err((error, stream)), shown)) => {
                Err(explain::handshake(endpoint, shown, error, stream.kept()))
            }
            None => Err(explain::stalled(endpoint)),
        }
    }

    /// The configuration of now: files are read again, off the runtime's threads.
    async fn current(self) -> Arc<ClientConfig> {
        if let Source::Given(config) = &*self.0 {
            return Arc::clone(config);
        }
        let source = Arc::clone(&self.0);
        // A panic in it, or a runtime that shuts down: what was good last time is what there is.
        task::blocking(move || source.refreshed()).await.unwrap_or_else(|| self.0.last_good())
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").finish_non_exhaustive()
    }
}

impl Source {
    fn last_good(&self) -> Arc<ClientConfig> {
        match self {
            Self::Given(config) => Arc::clone(config),
            Self::Files { current, .. } => {
                Arc::clone(&current.lock().unwrap_or_else(PoisonError::into_inner).config)
            }
        }
    }

    /// A file that cannot be read or used, perhaps because it is being replaced, leaves the last good
    /// configuration in use.
    fn refreshed(&self) -> Arc<ClientConfig> {
        let Self::Files { settings, current } = self else { return self.last_good() };
        let material = match Material::read(&settings.ssl) {
            Ok(material) => material,
            Err(error) => {
                tracing::warn!(%error, "the certificates read before stay in use");
                return self.last_good();
            }
        };
        let fingerprint = material.fingerprint();
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.fingerprint != fingerprint {
            match settings.client_config(&material) {
                Ok(config) => {
                    tracing::info!("certificates have changed: new ones are used from now on");
                    *current = Current { fingerprint, config: Arc::new(config) };
                }
                Err(error) => tracing::warn!(%error, "the certificates read before stay in use"),
            }
        }
        Arc::clone(&current.config)
    }
}

/// What the settings name, as it was read.
struct Material {
    ca: Option<pem::Text>,
    certificate: Option<pem::Text>,
    key: Option<pem::Text>,
}

type Fingerprint = [u8; 32];

impl Material {
    fn read(ssl: &Ssl) -> Result<Self> {
        let read = |setting: &str, pem: &Option<Pem>| -> Result<Option<pem::Text>> {
            pem.as_ref().map(|pem| pem::Text::read(setting, pem)).transpose()
        };
        Ok(Self {
            ca: read("ssl.ca.location", &ssl.ca)?,
            certificate: read("ssl.certificate.location", &ssl.certificate)?,
            key: read("ssl.key.location", &ssl.key)?,
        })
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        for text in [&self.ca, &self.certificate, &self.key].into_iter().flatten() {
            hash.update(text.bytes.len().to_be_bytes());
            hash.update(text.bytes.as_slice());
        }
        hash.finalize().into()
    }
}

impl Settings {
    fn client_config(&self, material: &Material) -> Result<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&versions(&self.ssl.enabled_protocols)?)
            .map_err(|error| {
                Error::config("ssl.enabled.protocols and ssl.cipher.suites leave nothing").with_source(error)
            })?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(material)?);
        let mut config = match (&material.certificate, &material.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => builder
                .with_client_auth_cert(
                    certificate.certificates()?,
                    key.private_key(self.ssl.key_password.as_ref())?,
                )
                .map_err(|error| {
                    Error::config(format!(
                        "{} and {} cannot be used together",
                        certificate.origin, key.origin
                    ))
                    .with_source(error)
                    .hint("is the key the certificate's own, and the certificate the file's first?")
                })?,
            _ => {
                return Err(Error::config(
                    "a client certificate needs both ssl.certificate.location and ssl.key.location (or their .pem forms)",
                ));
            }
        };
        // Does nothing unless SSLKEYLOGFILE is set, as in browsers and curl: for reading a capture of one's
        // own traffic.
        config.key_log = Arc::new(rustls::KeyLogFile::new());
        Ok(config)
    }

    fn verifier(&self, material: &Material) -> Result<Arc<dyn ServerCertVerifier>> {
        if self.ssl.dangerous_skip_certificate_verification {
            return Ok(Arc::new(AnyCertificate(Arc::clone(&self.provider))));
        }
        let roots = match (&material.ca, &self.system_roots) {
            (Some(ca), _) => Arc::new(given_roots(ca)?),
            (None, Some(roots)) => Arc::clone(roots),
            (None, None) => Arc::new(system_roots()?),
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
            .build()
            .map_err(|error| Error::config("no certificate to trust can be used").with_source(error))?;
        if self.ssl.dangerous_skip_hostname_verification {
            return Ok(Arc::new(AnyHostName(verifier)));
        }
        Ok(verifier)
    }
}

fn names_files(ssl: &Ssl) -> bool {
    [&ssl.ca, &ssl.certificate, &ssl.key].into_iter().flatten().any(|pem| matches!(pem, Pem::File(_)))
}

fn warn_of_danger(ssl: &Ssl) {
    if ssl.dangerous_skip_certificate_verification {
        tracing::warn!(
            "DANGEROUS: certificates are not verified: anyone on the way can read and change everything"
        );
    } else if ssl.dangerous_skip_hostname_verification {
        tracing::warn!(
            "DANGEROUS: host names are not verified: whoever has any trusted certificate can pose as a broker"
        );
    }
}

fn given_roots(ca: &pem::Text) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in ca.certificates()? {
        roots.add(certificate).map_err(|error| {
            Error::config(format!("{} holds a malformed certificate", ca.origin)).with_source(error)
        })?;
    }
    Ok(roots)
}

/// The system's certificates; where it has none, Mozilla's when they were built in.
fn system_roots() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    #[cfg(feature = "webpki-roots")]
    {
        tracing::info!("this system has no certificate store: Mozilla's certificates of this build are used");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        Ok(roots)
    }
    #[cfg(not(feature = "webpki-roots"))]
    Err(no_system_roots(found.errors))
}

#[cfg(any(not(feature = "webpki-roots"), test))]
fn no_system_roots(errors: Vec<rustls_native_certs::Error>) -> Error {
    let error = Error::config("TLS: this system trusts no certificate authority at all").hint(
        "install its certificates (Debian, Alpine: package ca-certificates), or name the cluster's CA in \
         ssl.ca.location, or build ottla with its feature `webpki-roots`",
    );
    match errors.into_iter().next() {
        Some(cause) => error.with_source(cause),
        None => error,
    }
}

fn versions(enabled: &[TlsVersion]) -> Result<Vec<&'static SupportedProtocolVersion>> {
    let mut versions = Vec::new();
    for (version, supported) in
        [(TlsVersion::V1_3, &rustls::version::TLS13), (TlsVersion::V1_2, &rustls::version::TLS12)]
    {
        if enabled.contains(&version) {
            versions.push(supported);
        }
    }
    if versions.is_empty() {
        return Err(Error::config("ssl.enabled.protocols enables none").hint("give TLSv1.2, TLSv1.3 or both"));
    }
    Ok(versions)
}

/// The provider, restricted to `ssl.cipher.suites`.
fn with_suites(provider: &Arc<CryptoProvider>, ssl: &Ssl) -> Result<Arc<CryptoProvider>> {
    if ssl.cipher_suites.is_empty() {
        return Ok(Arc::clone(provider));
    }
    let mut restricted = CryptoProvider::clone(provider);
    restricted.cipher_suites = Vec::new();
    for wanted in &ssl.cipher_suites {
        // Java and the standards write TLS_AES.., rustls TLS13_AES.. .
        let is_wanted = |name: &str| name == wanted || name.replacen("TLS13_", "TLS_", 1) == *wanted;
        let suite = provider.cipher_suites.iter().find(|suite| is_wanted(&suite_name(suite)));
        restricted.cipher_suites.push(*suite.ok_or_else(|| {
            let known: Vec<_> = provider.cipher_suites.iter().map(suite_name).collect();
            Error::config(format!("ssl.cipher.suites: {wanted} is not to be had"))
                .hint(format!("this build has {}", known.join(", ")))
        })?);
    }
    Ok(Arc::new(restricted))
}

fn suite_name(suite: &rustls::SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_trusts_nobody_is_told_with_the_ways_out() {
        let text = no_system_roots(Vec::new()).to_string();
        for way_out in ["ca-certificates", "ssl.ca.location", "`webpki-roots`"] {
            assert!(text.contains(way_out), "{text}");
        }
    }

    /// Whatever this machine trusts, roots of its own are there only when no CA is given.
    #[test]
    fn given_and_system_roots_are_never_mixed() {
        let ssl = Ssl { ca: Some(Pem::Text("no certificate in here".into())), ..Ssl::default() };
        assert!(TlsClient::new(&ssl).is_err(), "the system's certificates stood in for a CA that was given");
    }
}
