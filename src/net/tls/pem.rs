//! Certificates and keys out of PEM text, which is overwritten when it is let go.

use std::fs;
use std::io;
use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::encrypted_key::{self, Fault};
use crate::config::{Pem, Secret};
use crate::error::{Error, Result};

/// Above any list of certificates; a file beyond it is not one.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

const CONVERT: &str = "encrypt it anew with `openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -in KEY.pem -out NEW.pem`";

/// PEM text as it was found, and where.
pub(super) struct Text {
    /// For errors: the setting, and the file where there is one.
    pub(super) origin: String,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl Text {
    /// Reads `pem`, which `setting` named. A directory is read as all its files one after another, as for
    /// `ssl.ca.location`.
    pub(super) fn read(setting: &str, pem: &Pem) -> Result<Self> {
        match pem {
            Pem::Text(text) => Ok(Self {
                origin: setting.to_owned(),
                bytes: Zeroizing::new(text.expose().as_bytes().to_vec()),
            }),
            Pem::File(path) => {
                let origin = format!("{setting} ({})", path.display());
                let bytes = read_path(path)
                    .map_err(|error| Error::config(format!("{origin} cannot be read")).with_source(error))?;
                Ok(Self { origin, bytes })
            }
        }
    }

    /// All certificates in it; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        let found: Vec<_> = CertificateDer::pem_slice_iter(&self.bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| self.malformed("holds malformed PEM").with_source(error))?;
        if found.is_empty() {
            return Err(self.malformed("holds no certificate (no line BEGIN CERTIFICATE)"));
        }
        Ok(found)
    }

    /// The first private key in it: PKCS#8, PKCS#1 (RSA) or SEC1 (EC); PKCS#8 also encrypted, with `password`.
    pub(super) fn private_key(&self, password: Option<&Secret>) -> Result<PrivateKeyDer<'static>> {
        if self.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            return self.decrypted(password);
        }
        if self.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(Error::config(format!(
                "{}: the private key is encrypted in OpenSSL's old way, which is not read",
                self.origin
            ))
            .hint(CONVERT));
        }
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|error| match error {
            rustls::pki_types::pem::Error::NoItemsFound => self.malformed("holds no private key"),
            error => self.malformed("holds malformed PEM").with_source(error),
        })
    }

    fn decrypted(&self, password: Option<&Secret>) -> Result<PrivateKeyDer<'static>> {
        let origin = &self.origin;
        let Some(password) = password else {
            return Err(Error::config(format!("{origin}: the private key is encrypted"))
                .hint("set ssl.key.password to its password"));
        };
        match encrypted_key::decrypt(&self.bytes, password.expose().as_bytes()) {
            Ok(key) => Ok(PrivatePkcs8KeyDer::from(key.to_vec()).into()),
            Err(fault @ Fault::Password) => {
                Err(Error::config(format!("{origin}: {fault}")).hint("is it this key's own?"))
            }
            Err(fault) => Err(Error::config(format!("{origin}: {fault}")).hint(CONVERT)),
        }
    }

    fn contains(&self, line: &str) -> bool {
        self.bytes.windows(line.len()).any(|window| window == line.as_bytes())
    }

    fn malformed(&self, what: &str) -> Error {
        let error = Error::config(format!("{} {what}", self.origin));
        match self.bytes.get(..4) {
            Some([0xfe, 0xed, 0xfe, 0xed]) => error.hint(
                "it is a JKS store: export it with `keytool -importkeystore -deststoretype pkcs12 ..`, then \
                 `openssl pkcs12 -in STORE.p12 -out STORE.pem -nodes`",
            ),
            Some([0x30, 0x80..=0x84, ..]) => error.hint(
                "it is DER: `openssl x509 -inform der -in FILE -out FILE.pem` for a certificate, \
                 `openssl pkcs12 -in FILE -out FILE.pem -nodes` for a PKCS#12 store",
            ),
            _ => error,
        }
    }
}

fn read_path(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if !fs::metadata(path)?.is_dir() {
        return read_file(path);
    }
    let mut files: Vec<_> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|file| file.is_file());
    files.sort();
    let mut all = Zeroizing::new(Vec::new());
    for file in files {
        all.extend_from_slice(&read_file(&file)?);
        all.push(b'\n');
    }
    Ok(all)
}

fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let bytes = fs::metadata(path)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("{bytes} bytes are more than a file of certificates has")));
    }
    fs::read(path).map(Zeroizing::new)
}
