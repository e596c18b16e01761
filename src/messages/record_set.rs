//! Record batches inside a message, as they lie on the wire.

use crate::wire::schema::Type;
use crate::wire::{Nullable, Reader, Sink, Wire};
use bytes::Bytes;

/// The record batches of one partition, still encoded: [`records`](crate::records) builds and reads them.
///
/// Decoding shares the frame, and what was decoded is in one piece; a gathering sink sends all pieces uncopied.
#[derive(Debug, Clone)]
pub struct RecordSet(Pieces);

/// As large as one: a request has a record set for each partition, and its size counts when lists are decoded.
#[derive(Debug, Clone)]
enum Pieces {
    One(Bytes),
    Several(Box<[Bytes]>),
}

impl RecordSet {
    /// Bytes of all batches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces().iter().fold(0, |sum: usize, piece| sum.saturating_add(piece.len()))
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces().iter().all(Bytes::is_empty)
    }

    /// All of it in one piece: shared where it is in one, else a copy.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Pieces::One(whole) => whole.clone(),
            Pieces::Several(pieces) => pieces.concat().into(),
        }
    }

    /// The pieces, one behind the other; some may be empty.
    pub fn pieces(&self) -> &[Bytes] {
        match &self.0 {
            Pieces::One(whole) => std::slice::from_ref(whole),
            Pieces::Several(pieces) => pieces,
        }
    }
}

impl Default for RecordSet {
    fn default() -> RecordSet {
        Bytes::new().into()
    }
}

impl From<Bytes> for RecordSet {
    fn from(whole: Bytes) -> RecordSet {
        RecordSet(Pieces::One(whole))
    }
}

/// Pieces, one behind the other.
impl FromIterator<Bytes> for RecordSet {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> RecordSet {
        RecordSet(Pieces::Several(pieces.into_iter().collect()))
    }
}

/// The same bytes, in whatever pieces.
impl PartialEq for RecordSet {
    fn eq(&self, other: &RecordSet) -> bool {
        self.pieces().iter().flatten().eq(other.pieces().iter().flatten())
    }
}

impl Eq for RecordSet {}

impl Wire for RecordSet {
    const TYPE: Type = Type::Primitive("records");

    #[inline(always)]
    fn min_wire(version: i16, flexible: bool) -> usize {
        Bytes::min_wire(version, flexible)
    }

    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) {
        sink.bytes_len(Some(self.len()));
        self.pieces().iter().for_each(|piece| sink.share(piece));
    }

    #[inline]
    fn decode(reader: &mut Reader<'_>) -> RecordSet {
        Bytes::decode(reader).into()
    }
}

impl Nullable for RecordSet {
    #[inline]
    fn encode_option<S: Sink>(value: Option<&RecordSet>, sink: &mut S) {
        match value {
            Some(set) => set.encode(sink),
            None => sink.bytes_len(None),
        }
    }

    #[inline]
    fn decode_option(reader: &mut Reader<'_>) -> Option<RecordSet> {
        Bytes::decode_option(reader).map(RecordSet::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    #[test]
    fn pieces_are_written_and_compared_as_one() {
        let whole = RecordSet::from(Bytes::from_static(b"abcdef"));
        let pieces = ["ab", "", "cdef"].map(|piece| Bytes::from_static(piece.as_bytes()));
        let pieces: RecordSet = pieces.into_iter().collect();
        assert_eq!((&pieces, pieces.len(), pieces.is_empty()), (&whole, 6, false));
        assert_ne!(pieces, Bytes::from_static(b"abcdeg").into());
        assert_eq!(pieces.to_bytes(), whole.to_bytes());
        for flexible in [false, true] {
            let (mut one, mut other) = (BytesMut::new(), BytesMut::new());
            crate::wire::encode(&whole, 0, flexible, &mut one).unwrap();
            crate::wire::encode(&pieces, 0, flexible, &mut other).unwrap();
            assert_eq!(one, other);
        }
        assert!(RecordSet::from_iter([]).is_empty() && RecordSet::default().is_empty());
        assert_eq!(size_of::<RecordSet>(), size_of::<Bytes>());
    }
}
