//! A certificate authority made on the spot, for the embedded broker and for tests.
//!
//! rcgen writes the certificates; the keys are P-256 and graviola signs, because rcgen's own back ends
//! compile C. Needs the feature `tls` and a processor that graviola runs on.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber, SignatureAlgorithm,
};
use rustls::SignatureScheme;
use rustls::pki_types::PrivatePkcs8KeyDer;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::tls::graviola;
use crate::config::{Pem, Secret};
use crate::error::{Error, ErrorKind, Result};
use crate::task;

/// A certificate authority whose key lives in memory only.
pub struct Authority {
    issuer: Issuer<'static, Key>,
    certificate: String,
}

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Identity {
    /// The certificate. The authority's own is not in it.
    pub certificate: Pem,
    /// The private key, PKCS#8.
    pub key: Pem,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validity {
    /// From 2020 to the end of 2119.
    Current,
    /// In the year 2020 only.
    Expired,
    /// In the year 2119 only.
    Future,
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// `Config` when graviola does not run here, `Internal` when the system has no randomness to give.
    pub fn new(common_name: &str) -> Result<Self> {
        let key = Key::generate()?;
        let mut params = params(common_name, &[], &key, Validity::Current)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(unmade)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// The authority's certificate, PEM: what clients have to trust.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for these host names and IP addresses, good for servers and for clients.
    ///
    /// # Errors
    /// `InvalidInput` when a name cannot be in a certificate, else as [`Authority::new`].
    pub fn issue(&self, names: &[&str], validity: Validity) -> Result<Identity> {
        let key = Key::generate()?;
        let mut params = params(names.first().unwrap_or(&"nameless"), names, &key, validity)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(unmade)?.pem();
        let text = |text: String| Pem::Text(Secret::from(text));
        Ok(Identity { certificate: text(certificate), key: text(key.pem()) })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn params(common_name: &str, names: &[&str], key: &Key, validity: Validity) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "put a name into a certificate").with_source(error)
    })?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let (from, to) = match validity {
        Validity::Current => (2020, 2120),
        Validity::Expired => (2020, 2021),
        Validity::Future => (2119, 2120),
    };
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    // rcgen derives both from hashes of the back ends that it is built without here.
    params.serial_number = Some(SerialNumber::from_slice(&random::<16>()?));
    let key_id = Sha256::digest(key.der_bytes());
    params.key_identifier_method = KeyIdMethod::PreSpecified(key_id.iter().copied().take(20).collect());
    Ok(params)
}

fn unmade(error: rcgen::Error) -> Error {
    Error::new(ErrorKind::Internal, "make a certificate").with_source(error)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    task::random().map_err(|error| Error::new(ErrorKind::Internal, "draw random bytes").with_source(error))
}

const SCALAR_BYTES: usize = 32;
/// An uncompressed point of P-256: the byte 4, then both coordinates.
const POINT_BYTES: usize = 65;

/// A P-256 key.
struct Key {
    scalar: Zeroizing<[u8; SCALAR_BYTES]>,
    point: Vec<u8>,
    signing: Arc<dyn rustls::sign::SigningKey>,
}

impl Key {
    fn generate() -> Result<Self> {
        /// The chance that a random number is no scalar of P-256 is 2^-32, each time.
        const TRIES: usize = 4;
        let provider = graviola()?;
        let mut refusal = None;
        for _ in 0..TRIES {
            let scalar = Zeroizing::new(random::<SCALAR_BYTES>()?);
            let der = PrivatePkcs8KeyDer::from(pkcs8(&scalar, &[]).to_vec());
            match provider.key_provider.load_private_key(der.into()) {
                Err(error) => refusal = Some(error),
                Ok(signing) => {
                    let point = signing.public_key().and_then(|spki| {
                        let start = spki.len().checked_sub(POINT_BYTES)?;
                        spki.get(start..).map(<[u8]>::to_vec)
                    });
                    if let Some(point) = point {
                        return Ok(Self { scalar, point, signing });
                    }
                }
            }
        }
        let error = Error::new(ErrorKind::Internal, "make a P-256 key");
        Err(match refusal {
            Some(refusal) => error.with_source(refusal),
            None => error,
        })
    }

    fn pem(&self) -> String {
        let der = pkcs8(&self.scalar, &self.point);
        let text = Zeroizing::new(BASE64_STANDARD.encode(&*der));
        let mut pem = String::with_capacity(text.len() + 64);
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        for (index, character) in text.chars().enumerate() {
            if index > 0 && index % 64 == 0 {
                pem.push('\n');
            }
            pem.push(character);
        }
        pem.push_str("\n-----END PRIVATE KEY-----\n");
        pem
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, rcgen::Error> {
        let signer = self.signing.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]);
        let signature = signer.and_then(|signer| signer.sign(message).ok());
        signature.ok_or(rcgen::Error::RemoteKeyError)
    }
}

/// `PrivateKeyInfo` (RFC 5208) around an `ECPrivateKey` (RFC 5915), with the public key where it is known:
/// some TLS libraries want it there.
fn pkcs8(scalar: &[u8; SCALAR_BYTES], point: &[u8]) -> Zeroizing<Vec<u8>> {
    /// OBJECT IDENTIFIERs `id-ecPublicKey` and `prime256v1`.
    const ALGORITHM: [u8; 19] =
        [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    const INTEGER_0: [u8; 3] = [2, 1, 0];
    const INTEGER_1: [u8; 3] = [2, 1, 1];
    const SEQUENCE: u8 = 0x30;
    const OCTET_STRING: u8 = 4;
    const BIT_STRING: u8 = 3;
    const CONTEXT_1: u8 = 0xa1;
    let public = match point {
        [] => Zeroizing::new(Vec::new()),
        point => der(CONTEXT_1, &[&der(BIT_STRING, &[&[0], point])]),
    };
    let key = der(SEQUENCE, &[&INTEGER_1, &der(OCTET_STRING, &[scalar]), &public]);
    der(SEQUENCE, &[&INTEGER_0, &der(SEQUENCE, &[&ALGORITHM]), &der(OCTET_STRING, &[&key])])
}

/// One element of DER; its content is shorter than 256 bytes.
fn der(tag: u8, content: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = content.iter().map(|part| part.len()).sum();
    let mut element = Zeroizing::new(Vec::with_capacity(length + 3));
    element.push(tag);
    if length >= 128 {
        element.push(0x81);
    }
    element.extend(u8::try_from(length));
    content.iter().for_each(|part| element.extend_from_slice(part));
    element
}
