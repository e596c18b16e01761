//! Record batches inside a message, as they lie on the wire.

use crate::wire::schema::Type;
use crate::wire::{Nullable, Reader, Sink, Wire};
use bytes::Bytes;
use std::ops::Deref;

/// The record batches of one partition, still encoded: [`records`](crate::records) builds and reads them.
///
/// Decoding shares the frame; a gathering sink sends them uncopied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordSet(pub Bytes);

impl From<Bytes> for RecordSet {
    fn from(bytes: Bytes) -> RecordSet {
        RecordSet(bytes)
    }
}

impl Deref for RecordSet {
    type Target = Bytes;
    fn deref(&self) -> &Bytes {
        &self.0
    }
}

impl Wire for RecordSet {
    const TYPE: Type = Type::Primitive("records");

    #[inline(always)]
    fn min_wire(version: i16, flexible: bool) -> usize {
        Bytes::min_wire(version, flexible)
    }

    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) {
        self.0.encode(sink);
    }

    #[inline]
    fn decode(reader: &mut Reader<'_>) -> RecordSet {
        RecordSet(Bytes::decode(reader))
    }
}

impl Nullable for RecordSet {
    #[inline]
    fn encode_option<S: Sink>(value: Option<&RecordSet>, sink: &mut S) {
        Bytes::encode_option(value.map(|set| &set.0), sink);
    }

    #[inline]
    fn decode_option(reader: &mut Reader<'_>) -> Option<RecordSet> {
        Bytes::decode_option(reader).map(RecordSet)
    }
}
