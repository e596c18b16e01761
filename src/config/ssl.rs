//! [`Ssl`]: whom the client trusts and what it shows over TLS.

use super::Secret;
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
    /// `ssl.key.password`: what the private key is encrypted with. Default: none.
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
