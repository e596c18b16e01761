//! TLS as a broker of Java does it: 1.3 with AES-256-GCM, which Java prefers, so that all clients encrypt in the same way.

use rustls::ServerConfig;
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// With `broker.pem` and `broker.key` of a folder, as `tests/kafka/certs` makes it.
pub fn acceptor(folder: &str) -> TlsAcceptor {
    let folder = Path::new(folder);
    let chain = CertificateDer::pem_file_iter(folder.join("broker.pem")).expect("broker.pem");
    let chain = chain.map(|certificate| certificate.expect("a certificate")).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("broker.key")).expect("broker.key");
    let mut provider = default_provider();
    provider.cipher_suites = vec![cipher_suite::TLS13_AES_256_GCM_SHA384];
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate and its key");
    TlsAcceptor::from(Arc::new(config))
}
