//! The hash functions of keys.

/// Murmur2 as `org.apache.kafka.common.utils.Utils.murmur2` has it. Its partition is
/// `(hash & 0x7fffffff) % partitions`.
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    let (words, rest) = data.as_chunks();
    // Java hashes the length as a 32-bit number; a longer key cannot be in a record.
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = words.iter().fold(SEED ^ len, |hash, word| {
        let k = u32::from_le_bytes(*word).wrapping_mul(M);
        hash.wrapping_mul(M) ^ (k ^ (k >> R)).wrapping_mul(M)
    });
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// FNV-1a as librdkafka and Sarama have it: the absolute value of the hash taken as a signed number.
pub fn fnv1a(data: &[u8]) -> u32 {
    let hash =
        data.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.cast_signed().unsigned_abs()
}

/// CRC-32 (the one of zip and Ethernet, not the CRC-32C of record batches), as in librdkafka's `consistent`.
pub fn crc32(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}
