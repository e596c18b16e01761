//! The arithmetic of RFC 5802, section 3, for both hashes.

use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use super::ScramHash;

/// `Hi(password, salt, i)`: PBKDF2 for one block.
pub(super) fn salted_password(
    hash: ScramHash,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
) -> Zeroizing<Vec<u8>> {
    match hash {
        ScramHash::Sha256 => iterate(&keyed::<Sha256>(password), salt, iterations),
        ScramHash::Sha512 => iterate(&keyed::<Sha512>(password), salt, iterations),
    }
}

pub(super) fn client_key(hash: ScramHash, salted_password: &[u8]) -> Zeroizing<Vec<u8>> {
    hmac(hash, salted_password, b"Client Key")
}

pub(super) fn server_key(hash: ScramHash, salted_password: &[u8]) -> Zeroizing<Vec<u8>> {
    hmac(hash, salted_password, b"Server Key")
}

/// `StoredKey = H(ClientKey)`.
pub(super) fn stored_key(hash: ScramHash, client_key: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match hash {
        ScramHash::Sha256 => Sha256::digest(client_key).to_vec(),
        ScramHash::Sha512 => Sha512::digest(client_key).to_vec(),
    })
}

/// A signature of the whole exchange, by the stored key (client) or the server key (server).
pub(super) fn signature(hash: ScramHash, key: &[u8], auth_message: &str) -> Zeroizing<Vec<u8>> {
    hmac(hash, key, auth_message.as_bytes())
}

/// `a XOR b`: makes the proof of key and signature, and the key again of proof and signature.
pub(super) fn xor(a: &[u8], b: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(a.iter().zip(b).map(|(a, b)| a ^ b).collect())
}

fn hmac(hash: ScramHash, key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match hash {
        ScramHash::Sha256 => keyed::<Sha256>(key).chain_update(message).finalize().into_bytes().to_vec(),
        ScramHash::Sha512 => keyed::<Sha512>(key).chain_update(message).finalize().into_bytes().to_vec(),
    })
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes a key of any length: its constructor's error cannot occur"
)]
fn keyed<D: EagerHash>(key: &[u8]) -> Hmac<D> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// The keyed state is set up once and cloned: half the work of keying it again for each iteration.
fn iterate<M: Mac + Clone>(keyed: &M, salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
    let mut last = keyed.clone().chain_update(salt).chain_update(1_u32.to_be_bytes()).finalize().into_bytes();
    let mut sum = Zeroizing::new(last.to_vec());
    for _ in 1..iterations {
        last = keyed.clone().chain_update(&last).finalize().into_bytes();
        sum.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}
