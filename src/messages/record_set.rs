//! Record batches inside a message, as they lie on the wire.

use crate::wire::schema::Type;
use crate::wire::{Nullable, Reader, Sink, Wire};
use bytes::{Bytes, BytesMut};

/// The record batches of one partition, still encoded: [`records`](crate::records) builds and reads them.
///
/// Decoding shares the frame, and what was decoded is in one piece; a gathering sink sends all pieces uncopied.
#[derive(Debug, Clone, Default)]
pub struct RecordSet {
    first: Bytes,
    more: Vec<Bytes>,
}

impl RecordSet {
    /// Bytes of all batches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.more.iter().fold(self.first.len(), |sum, piece| sum.saturating_add(piece.len()))
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it in one piece: shared where it is in one, else a copy.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        if self.more.is_empty() {
            return self.first.clone();
        }
        let mut whole = BytesMut::with_capacity(self.len());
        self.pieces().for_each(|piece| whole.extend_from_slice(piece));
        whole.freeze()
    }

    /// The pieces, one behind the other; some may be empty.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

impl From<Bytes> for RecordSet {
    fn from(first: Bytes) -> RecordSet {
        RecordSet { first, more: Vec::new() }
    }
}

/// Pieces, one behind the other.
impl FromIterator<Bytes> for RecordSet {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> RecordSet {
        let mut pieces = pieces.into_iter();
        RecordSet { first: pieces.next().unwrap_or_default(), more: pieces.collect() }
    }
}

/// The same bytes, in whatever pieces.
impl PartialEq for RecordSet {
    fn eq(&self, other: &RecordSet) -> bool {
        self.pieces().flat_map(|piece| &piece[..]).eq(other.pieces().flat_map(|piece| &piece[..]))
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
        self.pieces().for_each(|piece| sink.share(piece));
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
