//! [`Doors`]: TLS with a certificate that is good, and with those that a client must refuse.

use crate::case::{Case, Certificate, Security};
use ottla::net::dial::Stream;
use ottla::net::self_signed::{Authority, Identity, Validity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// Whether this build can do it.
pub const BUILT: bool = true;

/// One acceptor for each certificate; all doors of a run are the same.
#[derive(Clone)]
pub struct Doors {
    good: TlsAcceptor,
    expired: TlsAcceptor,
    future: TlsAcceptor,
    wrong_host: TlsAcceptor,
    other_authority: TlsAcceptor,
    ca: String,
    client: Arc<Identity>,
}

impl Doors {
    pub fn new() -> Doors {
        let authority = Authority::new("peer").unwrap();
        let other = Authority::new("another").unwrap();
        let door =
            |authority: &Authority, name, validity| acceptor(&authority.issue(&[name], validity).unwrap());
        Doors {
            good: door(&authority, "localhost", Validity::Current),
            expired: door(&authority, "localhost", Validity::Expired),
            future: door(&authority, "localhost", Validity::Future),
            wrong_host: door(&authority, "elsewhere.invalid", Validity::Current),
            other_authority: door(&other, "localhost", Validity::Current),
            ca: authority.certificate().to_owned(),
            client: Arc::new(authority.issue(&["client"], Validity::Current).unwrap()),
        }
    }

    /// The doors that a case needs.
    pub fn of(case: &Case, all: &Option<Doors>) -> Option<Doors> {
        all.clone().filter(|_| case.security == Security::Tls)
    }

    /// What a client needs to pass through the good one.
    pub fn settings(&self) -> Vec<(String, String)> {
        let text = |pem: &ottla::config::Pem| pem_text(pem);
        let settings = [
            ("security.protocol", "SSL".to_owned()),
            ("ssl.ca.pem", self.ca.clone()),
            ("ssl.certificate.pem", text(&self.client.certificate)),
            ("ssl.key.pem", text(&self.client.key)),
        ];
        settings.map(|(key, value)| (key.to_owned(), value)).to_vec()
    }

    /// The lines of the client's private key.
    pub fn secrets(&self) -> Vec<String> {
        let key = pem_text(&self.client.key);
        key.lines().filter(|line| line.len() > 20 && !line.starts_with('-')).map(str::to_owned).collect()
    }

    pub async fn open(&self, stream: TcpStream, shown: Certificate) -> io::Result<Box<dyn Stream>> {
        let acceptor = match shown {
            Certificate::Good => &self.good,
            Certificate::Expired => &self.expired,
            Certificate::Future => &self.future,
            Certificate::WrongHost => &self.wrong_host,
            Certificate::OtherAuthority => &self.other_authority,
        };
        Ok(Box::new(acceptor.accept(stream).await?))
    }
}

fn pem_text(pem: &ottla::config::Pem) -> String {
    match pem {
        ottla::config::Pem::Text(text) => text.expose().clone(),
        other => panic!("made in memory, not {other:?}"),
    }
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(pem_text(&identity.certificate).as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pem_text(&identity.key).as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

pub fn doors() -> Option<Doors> {
    Some(Doors::new())
}
