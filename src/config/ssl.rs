//! [`Ssl`]: whom the client trusts and what it shows over TLS.

use super::Secret;
use super::error::{ConfigError, Origin};
use super::keys::{NOT_PEM, Part};
use super::settings::Settings;
use super::value;
use std::path::PathBuf;

/// The TLS settings of a client. Certificates and keys are PEM.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Ssl {
    /// Whom to trust, instead of the system's certificates: `ssl.ca.location` (a file, or a directory of files) or
    /// `ssl.ca.pem`; in Java's words `ssl.truststore.location` or `ssl.truststore.certificates` with
    /// `ssl.truststore.type=PEM`. Default: the system's certificates.
    pub ca: Option<Pem>,
    /// The client's certificate and those that lead to its CA, in this order: `ssl.certificate.location` or
    /// `ssl.certificate.pem`; in Java's words `ssl.keystore.location` or `ssl.keystore.certificate.chain`.
    /// Default: none. Given together with [`key`](Self::key).
    pub certificate: Option<Pem>,
    /// The certificate's private key: `ssl.key.location` or `ssl.key.pem`; in Java's words `ssl.keystore.location` or
    /// `ssl.keystore.key`. Default: none.
    pub key: Option<Pem>,
    /// `ssl.key.password`: what the private key is encrypted with. Keys in PKCS#8 (`BEGIN ENCRYPTED PRIVATE KEY`) are read
    /// that PBES2 encrypts with PBKDF2 and AES-CBC, as `openssl pkcs8 -topk8` does. Default: none.
    pub key_password: Option<Secret>,
    /// `ssl.enabled.protocols`: Default: TLS 1.2 and 1.3.
    pub enabled_protocols: Vec<TlsVersion>,
    /// `ssl.cipher.suites`: the names of those that may be used (as in `TLS13_AES_128_GCM_SHA256` or
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`). Default: empty, all that the provider has.
    pub cipher_suites: Vec<String>,
    /// Whether the broker's certificate may be for another host. No setting sets it, only the program. Default: false.
    pub dangerous_skip_hostname_verification: bool,
    /// Whether the broker's certificate is not looked at. No setting sets it, only the program. Default: false.
    pub dangerous_skip_certificate_verification: bool,
}

/// PEM text, or the file that holds it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Pem {
    /// A file; read when a connection is made, so that a renewed certificate is used without a restart.
    File(PathBuf),
    /// The text itself.
    Text(Secret),
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// `TLSv1.2`.
    V1_2,
    /// `TLSv1.3`.
    V1_3,
}

impl Ssl {
    /// Reads the settings of TLS.
    pub(super) fn from_settings(settings: &Settings) -> Result<Ssl, ConfigError> {
        settings.must_be_right(Part::Tls)?;
        let trust_store = java_store(settings, "ssl.truststore.location", "ssl.truststore.type")?;
        let key_store = java_store(settings, "ssl.keystore.location", "ssl.keystore.type")?;
        let ca = one_of(
            settings,
            [file("ssl.ca.location"), text("ssl.ca.pem"), trust_store, text("ssl.truststore.certificates")],
        )?;
        let certificate = one_of(
            settings,
            [
                file("ssl.certificate.location"),
                text("ssl.certificate.pem"),
                key_store,
                text("ssl.keystore.certificate.chain"),
            ],
        )?;
        let key = one_of(
            settings,
            [file("ssl.key.location"), text("ssl.key.pem"), key_store, text("ssl.keystore.key")],
        )?;
        if certificate.is_some() != key.is_some() {
            let (there, missing) = if key.is_some() {
                ("a private key", "ssl.certificate.location")
            } else {
                ("a certificate", "ssl.key.location")
            };
            return Err(ConfigError::Missing {
                key: missing,
                why: format!("a client with {there} needs a certificate and its key"),
            });
        }
        Ok(Ssl {
            ca,
            certificate,
            key,
            key_password: settings.secret("ssl.key.password").map(|(password, _)| password.clone()),
            enabled_protocols: protocols(settings)?,
            cipher_suites: settings.list("ssl.cipher.suites").into_iter().map(str::to_owned).collect(),
            ..Ssl::default()
        })
    }
}

/// A key that names PEM, and whether it names a file of it.
#[derive(Clone, Copy)]
struct Source {
    key: &'static str,
    is_file: bool,
}

fn file(key: &'static str) -> Source {
    Source { key, is_file: true }
}

fn text(key: &'static str) -> Source {
    Source { key, is_file: false }
}

/// Java's stores are JKS unless their type says otherwise.
fn java_store(settings: &Settings, location: &'static str, kind: &str) -> Result<Source, ConfigError> {
    if settings.text(location).is_some() && settings.text(kind).is_none() {
        return Err(ConfigError::Refused {
            key: location.to_owned(),
            value: settings.get(location).map(str::to_owned),
            origin: settings.origin(location),
            why: format!("{kind} is not set, and without it the store is JKS; {NOT_PEM}"),
        });
    }
    Ok(file(location))
}

/// Whom to trust to be an endpoint that hands out tokens.
pub(super) fn endpoint_ca(settings: &Settings) -> Result<Option<Pem>, ConfigError> {
    one_of(settings, [file("https.ca.location"), text("https.ca.pem")])
}

/// The one of these that is set. Of several, the one that was set where it goes before the others.
fn one_of<const N: usize>(settings: &Settings, sources: [Source; N]) -> Result<Option<Pem>, ConfigError> {
    let mut found: Option<(Source, &Secret, &Origin)> = None;
    for source in sources {
        let Some((value, origin)) = settings.secret(source.key) else { continue };
        match found {
            Some((_, _, earlier)) if earlier.outranks(origin) => {}
            Some((other, _, earlier)) if !origin.outranks(earlier) => {
                return Err(ConfigError::Contradiction(format!(
                    "{} and {} are set both, and say the same thing: set one of them",
                    settings.tell(other.key),
                    settings.tell(source.key)
                )));
            }
            _ => found = Some((source, value, origin)),
        }
    }
    Ok(found.and_then(|(source, value, _)| source.pem(value)))
}

impl Source {
    /// librdkafka's `probe` stands for the system's certificates.
    fn pem(self, value: &Secret) -> Option<Pem> {
        if self.is_file {
            let is_probe = self.key.ends_with(".ca.location") && value.expose() == "probe";
            if is_probe { None } else { Some(Pem::File(PathBuf::from(value.expose()))) }
        } else {
            Some(Pem::Text(value.clone()))
        }
    }
}

/// The enabled versions, up to the newest one that `ssl.protocol` allows.
fn protocols(settings: &Settings) -> Result<Vec<TlsVersion>, ConfigError> {
    let newest = match settings.text("ssl.protocol") {
        Some(text) if text.eq_ignore_ascii_case("TLSv1.2") => TlsVersion::V1_2,
        _ => TlsVersion::V1_3,
    };
    let mut versions = settings.parsed("ssl.enabled.protocols", TlsVersion::list)?;
    versions.retain(|version| *version <= newest);
    if versions.is_empty() {
        return Err(ConfigError::Contradiction(format!(
            "{} and {} leave no version of TLS to use",
            settings.tell("ssl.enabled.protocols"),
            settings.tell("ssl.protocol")
        )));
    }
    Ok(versions)
}

impl TlsVersion {
    /// The versions of a list of names; `None` when one is not known, or older than 1.2.
    pub(super) fn list(text: &str) -> Option<Vec<TlsVersion>> {
        let mut versions = value::list(text).map(TlsVersion::named).collect::<Option<Vec<_>>>()?;
        versions.sort_unstable();
        versions.dedup();
        Some(versions).filter(|versions| !versions.is_empty())
    }

    fn named(name: &str) -> Option<TlsVersion> {
        match value::choice(name, &["TLSv1.2", "TLSv1.3"])? {
            "TLSv1.2" => Some(TlsVersion::V1_2),
            _ => Some(TlsVersion::V1_3),
        }
    }
}

impl Default for Ssl {
    fn default() -> Ssl {
        Ssl {
            ca: None,
            certificate: None,
            key: None,
            key_password: None,
            enabled_protocols: vec![TlsVersion::V1_2, TlsVersion::V1_3],
            cipher_suites: Vec::new(),
            dangerous_skip_hostname_verification: false,
            dangerous_skip_certificate_verification: false,
        }
    }
}
