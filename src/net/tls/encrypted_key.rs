//! Private keys in PEM that are encrypted with a password (`BEGIN ENCRYPTED PRIVATE KEY`): PKCS#8 (RFC 5958) by PBES2
//! (RFC 8018) with PBKDF2 and AES-CBC, which is what OpenSSL writes.
//!
//! No I/O. Nothing here is told by an error but what kind of thing is wrong; buffers that held a key are overwritten.

use aes::cipher::{BlockCipherDecrypt, KeyInit as _};
use aes::{Aes128, Aes192, Aes256, Block};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{EagerHash, Hmac, Mac as _};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

/// Nobody's key has more, and each is a quarter of a microsecond.
const MAX_ITERATIONS: u32 = 10_000_000;
const BLOCK_BYTES: usize = 16;

/// Why a key was not decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the encrypted private key is malformed")]
    Malformed,
    #[error("the private key is encrypted in a way that is not read (only PBES2 with PBKDF2 and AES-CBC is)")]
    Scheme,
    #[error("the private key's password is to be hashed more than {MAX_ITERATIONS} times")]
    Iterations,
    #[error("ssl.key.password does not decrypt the private key")]
    Password,
}

/// The first encrypted private key of a PEM text, as PKCS#8 in DER.
pub(super) fn decrypt(pem: &[u8], password: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let der = section(pem).ok_or(Fault::Malformed)?;
    let sealed = Sealed::read(&der)?;
    let mut key = Zeroizing::new(vec![0; sealed.key_bytes]);
    match sealed.prf {
        Prf::Sha1 => pbkdf2::<Sha1>(password, sealed.salt, sealed.iterations, &mut key),
        Prf::Sha256 => pbkdf2::<Sha256>(password, sealed.salt, sealed.iterations, &mut key),
        Prf::Sha384 => pbkdf2::<Sha384>(password, sealed.salt, sealed.iterations, &mut key),
        Prf::Sha512 => pbkdf2::<Sha512>(password, sealed.salt, sealed.iterations, &mut key),
    }
    let opened = match key.len() {
        16 => cbc(&Aes128::new_from_slice(&key).map_err(|_| Fault::Malformed)?, &sealed),
        24 => cbc(&Aes192::new_from_slice(&key).map_err(|_| Fault::Malformed)?, &sealed),
        _ => cbc(&Aes256::new_from_slice(&key).map_err(|_| Fault::Malformed)?, &sealed),
    };
    // One wrong password in 256 leaves a good padding behind: what comes out must be one sequence as well.
    let opened = opened.ok_or(Fault::Password)?;
    match element(&opened, SEQUENCE) {
        Some((_, [])) => Ok(opened),
        _ => Err(Fault::Password),
    }
}

/// The bytes between the first pair of lines that name an encrypted key.
fn section(pem: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let base64: String = body.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(base64).ok().map(Zeroizing::new)
}

/// What is encrypted, and how.
struct Sealed<'a> {
    prf: Prf,
    salt: &'a [u8],
    iterations: u32,
    key_bytes: usize,
    iv: [u8; BLOCK_BYTES],
    data: &'a [u8],
}

/// The hash of PBKDF2's HMAC.
#[derive(Debug, Clone, Copy)]
enum Prf {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

// Tags of DER.
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

// Object identifiers: of RSA's PKCS (1.2.840.113549.1.5), of its digests (1.2.840.113549.2), of NIST's AES (2.16.840.1.101.3.4.1).
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const DIGESTS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];
const AES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];

impl<'a> Sealed<'a> {
    fn read(der: &'a [u8]) -> Result<Sealed<'a>, Fault> {
        let (whole, _) = need(element(der, SEQUENCE))?;
        let (scheme, rest) = need(element(whole, SEQUENCE))?;
        let (data, _) = need(element(rest, OCTETS))?;
        let (kdf, cipher) = {
            let (oid, rest) = need(element(scheme, OID))?;
            let (parameters, _) = need(element(rest, SEQUENCE)).map_err(|_| Fault::Scheme)?;
            if oid != PBES2 {
                return Err(Fault::Scheme);
            }
            let (kdf, rest) = need(element(parameters, SEQUENCE))?;
            (kdf, need(element(rest, SEQUENCE))?.0)
        };
        let (key_bytes, iv) = read_cipher(cipher)?;
        let mut sealed = Sealed { prf: Prf::Sha1, salt: &[], iterations: 0, key_bytes, iv, data };
        sealed.read_kdf(kdf)?;
        Ok(sealed)
    }

    fn read_kdf(&mut self, kdf: &'a [u8]) -> Result<(), Fault> {
        let (oid, rest) = need(element(kdf, OID))?;
        if oid != PBKDF2 {
            return Err(Fault::Scheme);
        }
        let (parameters, _) = need(element(rest, SEQUENCE))?;
        let (salt, rest) = element(parameters, OCTETS).ok_or(Fault::Scheme)?;
        let (count, mut rest) = need(element(rest, INTEGER))?;
        self.salt = salt;
        self.iterations =
            unsigned(count).filter(|count| (1..=MAX_ITERATIONS).contains(count)).ok_or(Fault::Iterations)?;
        if let Some((length, after)) = element(rest, INTEGER) {
            let fits = unsigned(length).is_some_and(|length| usize::try_from(length) == Ok(self.key_bytes));
            rest = if fits { after } else { return Err(Fault::Malformed) };
        }
        // Left out, it is HMAC with SHA-1.
        if let Some((prf, _)) = element(rest, SEQUENCE) {
            let (oid, _) = need(element(prf, OID))?;
            self.prf = match oid.strip_prefix(DIGESTS) {
                Some([7]) => Prf::Sha1,
                Some([9]) => Prf::Sha256,
                Some([10]) => Prf::Sha384,
                Some([11]) => Prf::Sha512,
                _ => return Err(Fault::Scheme),
            };
        }
        Ok(())
    }
}

/// The length of the key, and the first block's predecessor.
fn read_cipher(cipher: &[u8]) -> Result<(usize, [u8; BLOCK_BYTES]), Fault> {
    let (oid, rest) = need(element(cipher, OID))?;
    let key_bytes = match oid.strip_prefix(AES) {
        Some([2]) => 16,
        Some([22]) => 24,
        Some([42]) => 32,
        _ => return Err(Fault::Scheme),
    };
    let (iv, _) = need(element(rest, OCTETS))?;
    Ok((key_bytes, iv.try_into().map_err(|_| Fault::Malformed)?))
}

fn need<T>(found: Option<T>) -> Result<T, Fault> {
    found.ok_or(Fault::Malformed)
}

/// The content of the element of DER that `bytes` begin with, and what follows it; `None` when it is another one.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*length) {
        short @ ..=0x7f => (short, rest),
        // Of no definite length: not DER.
        0x80 => return None,
        long @ 0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(long - 0x80)?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    (*first == tag).then(|| rest.split_at_checked(length)).flatten()
}

/// A whole number that is not negative and fits.
fn unsigned(content: &[u8]) -> Option<u32> {
    let digits = content.strip_prefix(&[0]).unwrap_or(content);
    let is_negative = content.first().is_some_and(|first| *first >= 0x80);
    let fits = digits.len() <= 4 && !content.is_empty() && !is_negative;
    fits.then(|| digits.iter().fold(0, |number, digit| number << 8 | u32::from(*digit)))
}

/// RFC 8018, section 5.2.
fn pbkdf2<D: EagerHash>(password: &[u8], salt: &[u8], iterations: u32, key: &mut [u8]) {
    // HMAC takes a key of any length.
    let Ok(keyed) = Hmac::<D>::new_from_slice(password) else { return };
    let bytes = <D as Digest>::output_size();
    for (block, number) in key.chunks_mut(bytes).zip(1_u32..) {
        let mut last =
            keyed.clone().chain_update(salt).chain_update(number.to_be_bytes()).finalize().into_bytes();
        block.iter_mut().zip(&last).for_each(|(sum, byte)| *sum = *byte);
        for _ in 1..iterations {
            last = keyed.clone().chain_update(&last).finalize().into_bytes();
            block.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
        }
    }
}

/// Decrypts and takes the padding off; `None` when there is none, as after a wrong password.
fn cbc<C: BlockCipherDecrypt<BlockSize = aes::cipher::consts::U16>>(
    cipher: &C,
    sealed: &Sealed<'_>,
) -> Option<Zeroizing<Vec<u8>>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.data.len()));
    let mut previous = sealed.iv;
    let (blocks, []) = sealed.data.as_chunks::<BLOCK_BYTES>() else { return None };
    for encrypted in blocks {
        let mut block = Block::from(*encrypted);
        cipher.decrypt_block(&mut block);
        plain.extend(block.iter().zip(previous).map(|(byte, before)| byte ^ before));
        previous = *encrypted;
    }
    let padding = usize::from(*plain.last()?);
    let rest = plain.len().checked_sub(padding).filter(|_| (1..=BLOCK_BYTES).contains(&padding))?;
    let is_padding = plain.get(rest..)?.iter().all(|byte| usize::from(*byte) == padding);
    plain.truncate(rest);
    is_padding.then_some(plain)
}

#[cfg(test)]
mod tests;
