//! The name of a record's topic, kept in the record itself when it is short.

use std::sync::Arc;

/// A topic's name.
///
/// Each record has one, and most are short: those take no memory of their own. A name is put together from whole words,
/// because a processor that reads a word soon after it was written byte by byte waits until all bytes have arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TopicName {
    /// The first bytes, zeros behind.
    Short(u8, [u8; SHORT]),
    Long(Arc<str>),
}

/// With its length and what tells it from a long one, three words.
const SHORT: usize = 22;

impl TopicName {
    #[inline]
    pub(super) fn new(name: &str) -> TopicName {
        let bytes = name.as_bytes();
        match u8::try_from(bytes.len()) {
            Ok(len) if bytes.len() <= SHORT => TopicName::Short(len, padded(bytes)),
            _ => TopicName::Long(name.into()),
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            TopicName::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            TopicName::Long(name) => name.as_bytes(),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            // It was a string.
            TopicName::Short(..) => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            TopicName::Long(name) => name,
        }
    }
}

/// Up to 22 bytes, with zeros behind.
#[inline]
fn padded(bytes: &[u8]) -> [u8; SHORT] {
    let [first, second, third] = words(bytes).map(u64::to_le_bytes);
    let mut padded = [0; SHORT];
    padded[..8].copy_from_slice(&first);
    padded[8..16].copy_from_slice(&second);
    padded[16..].copy_from_slice(&third[..SHORT - 16]);
    padded
}

/// Up to 24 bytes as words, with zeros behind.
#[inline]
fn words(bytes: &[u8]) -> [u64; 3] {
    let word =
        |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|word| u64::from_le_bytes(*word));
    // The last bytes, read together with those in front of them, which are shifted out.
    let rest = |at: usize| {
        let last = bytes.last_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        last.unbounded_shr((at.saturating_add(8).saturating_sub(bytes.len()) as u32).saturating_mul(8))
    };
    match (word(0), word(8)) {
        (Some(first), Some(second)) => [first, second, rest(16)],
        (Some(first), None) => [first, rest(8), 0],
        (None, _) => [half_word(bytes), 0, 0],
    }
}

/// Up to seven bytes as a word.
#[inline]
fn half_word(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            let [first, last] = [first, last].map(|half| u64::from(u32::from_le_bytes(*half)));
            first | last.wrapping_shl((bytes.len().saturating_sub(4) as u32).saturating_mul(8))
        }
        _ => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_lengths_come_back() {
        let long = "orders.v1-0123456789_ä-and-so-on";
        for name in (0..long.len()).filter_map(|len| long.get(..len)) {
            let kept = TopicName::new(name);
            assert_eq!((kept.as_str(), kept.as_bytes()), (name, name.as_bytes()));
            assert_eq!(matches!(kept, TopicName::Short(..)), name.len() <= SHORT);
        }
    }

    #[test]
    fn a_name_takes_three_words() {
        assert_eq!(size_of::<TopicName>(), 24);
    }
}
