//! Kafka's zigzag varints, the only numbers inside a record.
//!
//! Both directions are the hot loop of producing and fetching: one and two bytes have a branch each, the rest is
//! out of line. A number may be padded (`80 00` is zero, as every client reads it) but not longer than its type
//! needs at most (5 bytes for 32 bits, 10 for 64), and its bits must fit.

use super::error::RecordFlaw;

/// Longest varint of 32 bits.
const MAX_LEN_32: usize = 5;
/// Longest varint of 64 bits.
const MAX_LEN_64: usize = 10;
/// The bytes that a [`Word`] stores; what it needs in the buffer beyond what it writes.
pub(super) const SLACK: usize = 8;

#[inline(always)]
const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[inline(always)]
const fn unzigzag(coded: u64) -> i64 {
    (coded >> 1).cast_signed() ^ (coded & 1).cast_signed().wrapping_neg()
}

#[inline(always)]
const fn unzigzag_32(coded: u32) -> i32 {
    (coded >> 1).cast_signed() ^ (coded & 1).cast_signed().wrapping_neg()
}

/// Bytes that `value` takes as a varint.
#[inline(always)]
pub(super) const fn len(value: i64) -> usize {
    match zigzag(value) {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        coded => (coded.ilog2() as usize / 7).saturating_add(1),
    }
}

/// A coded number of at most three bytes: all numbers of nearly all records.
#[derive(Clone, Copy)]
pub(super) struct Short {
    bytes: u64,
    len: u32,
}

impl Short {
    /// `None` for a number that takes more.
    #[inline(always)]
    pub(super) const fn new(value: i64) -> Option<Self> {
        let (bytes, len) = match zigzag(value) {
            coded @ 0..0x80 => (coded, 1),
            coded @ 0x80..0x4000 => (coded & 0x7f | (coded << 1) & 0x7f00 | 0x80, 2),
            coded @ 0x4000..0x20_0000 => {
                (coded & 0x7f | (coded << 1) & 0x7f00 | (coded << 2) & 0x7f_0000 | 0x8080, 3)
            }
            _ => return None,
        };
        Some(Self { bytes, len })
    }

    /// Bytes that it takes.
    #[inline(always)]
    pub(super) const fn len(self) -> usize {
        self.len as usize
    }
}

/// Up to eight bytes on their way into a buffer, so that short numbers in a row are stored at once.
#[derive(Clone, Copy, Default)]
pub(super) struct Word {
    bytes: u64,
    len: u32,
}

impl Word {
    /// With a number behind. There is room for two; for three if one of them takes no more than two bytes.
    #[inline(always)]
    pub(super) const fn then(self, Short { bytes, len }: Short) -> Self {
        Self {
            bytes: self.bytes | bytes.wrapping_shl(self.len.wrapping_mul(8)),
            len: self.len.wrapping_add(len),
        }
    }

    /// With a byte behind.
    #[inline(always)]
    pub(super) const fn then_byte(self, byte: u8) -> Self {
        self.then(Short { bytes: byte as u64, len: 1 })
    }

    /// Appends it. Have [`SLACK`] bytes more reserved than is written.
    #[inline(always)]
    pub(super) fn put(self, out: &mut Vec<u8>) {
        let end = out.len().wrapping_add(self.len as usize);
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.truncate(end);
    }
}

/// Appends a number of any length.
pub(super) fn put(out: &mut Vec<u8>, value: i64) {
    let mut coded = zigzag(value);
    while coded >= 0x80 {
        out.push((coded & 0x7f) as u8 | 0x80);
        coded >>= 7;
    }
    out.push((coded & 0x7f) as u8);
}

/// Takes a 32-bit varint off the front of `rest`.
#[inline(always)]
pub(super) fn take_i32(rest: &mut &[u8]) -> Result<i32, RecordFlaw> {
    match *rest {
        [a, tail @ ..] if *a < 0x80 => {
            *rest = tail;
            Ok(unzigzag_32((*a).into()))
        }
        [a, b, tail @ ..] if *b < 0x80 => {
            *rest = tail;
            Ok(unzigzag_32(u32::from(*a) & 0x7f | u32::from(*b) << 7))
        }
        _ => take_long(rest, MAX_LEN_32, u32::MAX.into())
            .and_then(|value| i32::try_from(value).map_err(|_| RecordFlaw::VarintOverflow)),
    }
}

/// Takes a 64-bit varint off the front of `rest`.
#[inline(always)]
pub(super) fn take_i64(rest: &mut &[u8]) -> Result<i64, RecordFlaw> {
    match *rest {
        [a, tail @ ..] if *a < 0x80 => {
            *rest = tail;
            Ok(unzigzag((*a).into()))
        }
        [a, b, tail @ ..] if *b < 0x80 => {
            *rest = tail;
            Ok(unzigzag(u64::from(*a) & 0x7f | u64::from(*b) << 7))
        }
        _ => take_long(rest, MAX_LEN_64, u64::MAX),
    }
}

#[inline(never)]
fn take_long(rest: &mut &[u8], max_len: usize, max: u64) -> Result<i64, RecordFlaw> {
    let mut coded = 0u64;
    let mut shift = 0u32;
    for at in 0..max_len {
        let byte = *rest.get(at).ok_or(RecordFlaw::Truncated)?;
        let bits = u64::from(byte & 0x7f);
        let shifted = bits.wrapping_shl(shift);
        if shifted.wrapping_shr(shift) != bits {
            return Err(RecordFlaw::VarintOverflow);
        }
        coded |= shifted;
        if byte < 0x80 {
            *rest = rest.get(at.saturating_add(1)..).unwrap_or_default();
            return if coded <= max { Ok(unzigzag(coded)) } else { Err(RecordFlaw::VarintOverflow) };
        }
        shift = shift.saturating_add(7);
    }
    Err(RecordFlaw::VarintTooLong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, value);
        out
    }

    /// From Kafka's `ByteUtilsTest`.
    #[test]
    fn known_vectors() {
        let vectors: [(i64, &[u8]); 12] = [
            (0, &[0x00]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (-65, &[0x81, 0x01]),
            (8191, &[0xfe, 0x7f]),
            (-8193, &[0x81, 0x80, 0x01]),
            (i32::MAX.into(), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN.into(), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ];
        for (value, expected) in vectors {
            assert_eq!(bytes(value), expected, "{value}");
            assert_eq!(len(value), expected.len(), "{value}");
            assert_eq!(take_i64(&mut &expected[..]), Ok(value));
            if let Ok(value) = i32::try_from(value) {
                assert_eq!(take_i32(&mut &expected[..]), Ok(value));
            }
        }
    }

    #[test]
    fn padded_numbers_are_read_up_to_the_longest_form() {
        assert_eq!(take_i32(&mut &[0x80, 0x00][..]), Ok(0));
        assert_eq!(take_i32(&mut &[0x82, 0x80, 0x80, 0x80, 0x00][..]), Ok(1));
        assert_eq!(take_i32(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), Err(RecordFlaw::VarintTooLong));
        assert_eq!(take_i64(&mut &[0x80; 11][..]), Err(RecordFlaw::VarintTooLong));
    }

    #[test]
    fn bits_beyond_the_type_are_refused() {
        assert_eq!(take_i32(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), Err(RecordFlaw::VarintOverflow));
        let mut long = [0xff; 10];
        long[9] = 0x02;
        assert_eq!(take_i64(&mut &long[..]), Err(RecordFlaw::VarintOverflow));
    }

    #[test]
    fn a_cut_varint_is_truncated() {
        for cut in [&[][..], &[0x80], &[0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(take_i32(&mut &cut[..]), Err(RecordFlaw::Truncated));
            assert_eq!(take_i64(&mut &cut[..]), Err(RecordFlaw::Truncated));
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back(value: i64, shift in 0u32..64) {
            let value = value >> shift;
            let coded = bytes(value);
            prop_assert_eq!(coded.len(), len(value));
            let short = Short::new(value);
            prop_assert_eq!(short.is_some(), coded.len() <= 3);
            if let Some(short) = short {
                let mut word = Vec::new();
                Word::default().then_byte(1).then(short).then(short).put(&mut word);
                prop_assert_eq!(short.len(), coded.len());
                prop_assert_eq!(word, [&[1], &coded[..], &coded[..]].concat());
            }
            let mut rest = &coded[..];
            prop_assert_eq!(take_i64(&mut rest), Ok(value));
            prop_assert!(rest.is_empty());
            let mut rest = &coded[..];
            prop_assert_eq!(take_i32(&mut rest).ok(), i32::try_from(value).ok());
        }
    }
}
