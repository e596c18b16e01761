//! Lists of broker ids, which are short: replicas, in-sync replicas, offline replicas.

use super::BrokerId;
use crate::wire::schema::Type;
use crate::wire::{Fault, Nullable, Reader, Sink, Wire};
use std::{fmt, ops::Deref, slice};

/// A list of broker ids that needs no allocation up to seven, which halves the cost of decoding a Metadata response.
#[derive(Clone)]
pub struct BrokerIds(Ids);

/// As many ids as fit into the space of a `Vec` and its discriminant, twice a partition's usual replication factor.
const INLINE: usize = 7;

#[derive(Clone)]
enum Ids {
    Inline { len: u8, ids: [BrokerId; INLINE] },
    Heap(Vec<BrokerId>),
}

impl BrokerIds {
    /// The ids in their order on the wire.
    #[inline]
    pub fn as_slice(&self) -> &[BrokerId] {
        match &self.0 {
            Ids::Inline { len, ids } => ids.get(..usize::from(*len)).unwrap_or(ids),
            Ids::Heap(ids) => ids,
        }
    }
}

impl Default for BrokerIds {
    #[inline]
    fn default() -> BrokerIds {
        BrokerIds(Ids::Inline { len: 0, ids: [BrokerId(0); INLINE] })
    }
}

impl FromIterator<BrokerId> for BrokerIds {
    #[inline]
    fn from_iter<I: IntoIterator<Item = BrokerId>>(iter: I) -> BrokerIds {
        let mut iter = iter.into_iter();
        let mut ids = [BrokerId(0); INLINE];
        let mut len = 0u8;
        for slot in &mut ids {
            let Some(id) = iter.next() else { return BrokerIds(Ids::Inline { len, ids }) };
            *slot = id;
            len = len.saturating_add(1);
        }
        match iter.next() {
            None => BrokerIds(Ids::Inline { len, ids }),
            Some(next) => BrokerIds(Ids::Heap(ids.into_iter().chain([next]).chain(iter).collect())),
        }
    }
}

impl<const N: usize> From<[BrokerId; N]> for BrokerIds {
    fn from(ids: [BrokerId; N]) -> BrokerIds {
        ids.into_iter().collect()
    }
}

impl Wire for BrokerIds {
    const TYPE: Type = Vec::<BrokerId>::TYPE;

    #[inline(always)]
    fn min_wire(version: i16, flexible: bool) -> usize {
        Vec::<BrokerId>::min_wire(version, flexible)
    }

    #[inline(always)]
    fn encode<S: Sink>(&self, sink: &mut S) {
        BrokerIds::encode_option(Some(self), sink);
    }

    #[inline]
    fn decode(reader: &mut Reader<'_>) -> BrokerIds {
        BrokerIds::decode_option(reader).unwrap_or_else(|| {
            reader.fail(Fault::Null);
            BrokerIds::default()
        })
    }
}

impl Nullable for BrokerIds {
    #[inline(always)]
    fn encode_option<S: Sink>(value: Option<&Self>, sink: &mut S) {
        sink.bytes_len(value.map(|ids| ids.len()));
        let ids = value.map_or(&[][..], BrokerIds::as_slice);
        sink.fill(size_of_val(ids), |bytes| {
            for (slot, id) in bytes.as_chunks_mut().0.iter_mut().zip(ids) {
                *slot = id.0.to_be_bytes();
            }
        });
    }

    #[inline]
    fn decode_option(reader: &mut Reader<'_>) -> Option<Self> {
        let count = reader.count(size_of::<BrokerId>(), size_of::<BrokerId>())?;
        let bytes = reader.take(count.saturating_mul(size_of::<BrokerId>()));
        Some(bytes.as_chunks().0.iter().map(|id| BrokerId(i32::from_be_bytes(*id))).collect())
    }
}

impl Deref for BrokerIds {
    type Target = [BrokerId];
    fn deref(&self) -> &[BrokerId] {
        self.as_slice()
    }
}

impl<'a> IntoIterator for &'a BrokerIds {
    type Item = &'a BrokerId;
    type IntoIter = slice::Iter<'a, BrokerId>;
    fn into_iter(self) -> Self::IntoIter {
        self.as_slice().iter()
    }
}

impl PartialEq for BrokerIds {
    fn eq(&self, other: &BrokerIds) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for BrokerIds {}

impl fmt::Debug for BrokerIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_slice(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};
    use bytes::{Bytes, BytesMut};

    #[test]
    fn any_length_comes_back_in_both_notations() {
        for len in 0..20 {
            let ids: BrokerIds = (0..len).map(BrokerId).collect();
            assert_eq!(ids.len(), usize::try_from(len).unwrap());
            assert_eq!(matches!(ids.0, Ids::Inline { .. }), len <= 7);
            for flexible in [false, true] {
                let mut bytes = BytesMut::new();
                encode(&ids, 0, flexible, &mut bytes).unwrap();
                assert_eq!(decode::<BrokerIds>(&bytes.freeze(), 0, flexible).unwrap(), ids);
            }
        }
        assert_eq!(size_of::<BrokerIds>(), 32);
    }

    #[test]
    fn null_and_a_count_above_the_bytes_are_faults() {
        let fault = |bytes: &'static [u8]| {
            decode::<BrokerIds>(&Bytes::from_static(bytes), 0, false).unwrap_err().fault
        };
        assert_eq!(fault(&[0xff; 4]), Fault::Null);
        assert_eq!(fault(&[0, 0, 0, 2, 0, 0, 0, 1]), Fault::Length(2));
    }
}
