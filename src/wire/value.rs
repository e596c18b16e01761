//! [`Wire`]: a value that lies on the wire, and the primitives that are.

use super::schema::Type;
use super::{Counter, Fault, Reader, Sink, Text, Uuid, WireError, Writer};
use bytes::{Bytes, BytesMut};

/// A value of the protocol: both directions, its least size, and what it says of itself.
pub trait Wire: Sized {
    /// The type, for the schema listing.
    const TYPE: Type;

    /// The fewest bytes a value takes in a version; lists check their count with it.
    #[inline(always)]
    fn min_wire(_version: i16, _flexible: bool) -> usize {
        1
    }

    /// Appends the value.
    fn encode<S: Sink>(&self, sink: &mut S);

    /// Takes the value; a default after a fault, which the reader keeps.
    fn decode(reader: &mut Reader<'_>) -> Self;

    /// Shows every error code inside that is not NONE, so that a caller can judge any answer alike.
    fn faults(&self, _see: &mut dyn FnMut(i16)) {}

    /// Takes `count` values behind one another.
    #[inline]
    fn decode_list(reader: &mut Reader<'_>, count: usize) -> Vec<Self> {
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(Self::decode(reader));
            if reader.failed() {
                break;
            }
        }
        list
    }
}

/// A value with a null of its own, so that `Option` of it is [`Wire`] as well.
pub trait Nullable: Wire {
    /// Appends the value or its null.
    fn encode_option<S: Sink>(value: Option<&Self>, sink: &mut S);
    /// Takes the value or its null.
    fn decode_option(reader: &mut Reader<'_>) -> Option<Self>;
}

/// Decodes a whole frame.
///
/// # Errors
/// What is wrong first, also bytes that are left over.
pub fn decode<T: Wire>(frame: &Bytes, version: i16, flexible: bool) -> Result<T, WireError> {
    let mut reader = Reader::new(frame, version, flexible);
    let value = T::decode(&mut reader);
    reader.finish().map(|()| value)
}

/// The exact size of a value.
///
/// # Errors
/// What the version cannot express.
pub fn size<T: Wire>(value: &T, version: i16, flexible: bool) -> Result<usize, WireError> {
    let mut counter = Counter::new(version, flexible);
    value.encode(&mut counter);
    counter.finish()
}

/// Appends a value to `out`, after reserving its exact size.
///
/// # Errors
/// What the version cannot express; nothing was written then.
pub fn encode<T: Wire>(value: &T, version: i16, flexible: bool, out: &mut BytesMut) -> Result<(), WireError> {
    let start = out.len();
    out.resize(start.saturating_add(size(value, version, flexible)?), 0);
    let mut writer = Writer::new(out.get_mut(start..).unwrap_or_default(), version, flexible);
    value.encode(&mut writer);
    writer.finish()
}

macro_rules! number {
    ($($t:ty => $name:literal),* $(,)?) => { $(
        impl Wire for $t {
            const TYPE: Type = Type::Primitive($name);

            #[inline(always)]
            fn min_wire(_: i16, _: bool) -> usize {
                size_of::<$t>()
            }

            #[inline(always)]
            fn encode<S: Sink>(&self, sink: &mut S) {
                sink.put(&self.to_be_bytes());
            }

            #[inline(always)]
            fn decode(reader: &mut Reader<'_>) -> Self {
                <$t>::from_be_bytes(reader.array())
            }

            #[inline]
            fn decode_list(reader: &mut Reader<'_>, count: usize) -> Vec<Self> {
                let bytes = reader.take(count.saturating_mul(size_of::<$t>()));
                bytes.as_chunks().0.iter().map(|chunk| <$t>::from_be_bytes(*chunk)).collect()
            }
        }
    )* };
}
number!(
    i8 => "int8",
    i16 => "int16",
    u16 => "uint16",
    i32 => "int32",
    u32 => "uint32",
    i64 => "int64",
    f64 => "float64",
);

impl Wire for bool {
    const TYPE: Type = Type::Primitive("bool");

    #[inline(always)]
    fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put(&[u8::from(*self)]);
    }

    #[inline(always)]
    fn decode(reader: &mut Reader<'_>) -> Self {
        reader.array::<1>() != [0]
    }
}

impl Wire for Uuid {
    const TYPE: Type = Type::Primitive("uuid");

    #[inline(always)]
    fn min_wire(_: i16, _: bool) -> usize {
        16
    }

    #[inline(always)]
    fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put(self.as_bytes());
    }

    #[inline(always)]
    fn decode(reader: &mut Reader<'_>) -> Self {
        Uuid::from_bytes(reader.array())
    }
}

impl Wire for Text {
    const TYPE: Type = Type::Primitive("string");

    #[inline(always)]
    fn min_wire(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 2 }
    }

    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) {
        Text::encode_option(Some(self), sink);
    }

    #[inline]
    fn decode(reader: &mut Reader<'_>) -> Self {
        let text = reader.text();
        not_null(reader, text)
    }
}

impl Nullable for Text {
    #[inline]
    fn encode_option<S: Sink>(value: Option<&Self>, sink: &mut S) {
        let bytes = value.map(Text::as_bytes);
        sink.string_len(bytes.map(<[u8]>::len));
        sink.put(bytes.unwrap_or_default());
    }

    #[inline]
    fn decode_option(reader: &mut Reader<'_>) -> Option<Self> {
        reader.text()
    }
}

impl Wire for Bytes {
    const TYPE: Type = Type::Primitive("bytes");

    #[inline(always)]
    fn min_wire(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }

    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) {
        Bytes::encode_option(Some(self), sink);
    }

    #[inline]
    fn decode(reader: &mut Reader<'_>) -> Self {
        let bytes = reader.bytes();
        not_null(reader, bytes)
    }
}

impl Nullable for Bytes {
    #[inline]
    fn encode_option<S: Sink>(value: Option<&Self>, sink: &mut S) {
        sink.bytes_len(value.map(Bytes::len));
        if let Some(bytes) = value {
            sink.share(bytes);
        }
    }

    #[inline]
    fn decode_option(reader: &mut Reader<'_>) -> Option<Self> {
        reader.bytes()
    }
}

impl<T: Wire> Wire for Vec<T> {
    const TYPE: Type = Type::Array(&T::TYPE);

    #[inline(always)]
    fn min_wire(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }

    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) {
        Vec::encode_option(Some(self), sink);
    }

    #[inline]
    fn decode(reader: &mut Reader<'_>) -> Self {
        let list = Vec::decode_option(reader);
        not_null(reader, list)
    }

    fn faults(&self, see: &mut dyn FnMut(i16)) {
        for value in self {
            value.faults(see);
        }
    }
}

impl<T: Wire> Nullable for Vec<T> {
    #[inline]
    fn encode_option<S: Sink>(value: Option<&Self>, sink: &mut S) {
        sink.bytes_len(value.map(Vec::len));
        for element in value.into_iter().flatten() {
            element.encode(sink);
        }
    }

    #[inline]
    fn decode_option(reader: &mut Reader<'_>) -> Option<Self> {
        let least = T::min_wire(reader.version(), reader.flexible());
        let count = reader.count(least, size_of::<T>())?;
        Some(T::decode_list(reader, count))
    }
}

impl<T: Nullable> Wire for Option<T> {
    const TYPE: Type = T::TYPE;

    #[inline(always)]
    fn min_wire(version: i16, flexible: bool) -> usize {
        // A null struct takes one byte, whatever its fields take.
        T::min_wire(version, flexible).min(if flexible { 1 } else { 4 })
    }

    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) {
        T::encode_option(self.as_ref(), sink);
    }

    #[inline]
    fn decode(reader: &mut Reader<'_>) -> Self {
        T::decode_option(reader)
    }

    fn faults(&self, see: &mut dyn FnMut(i16)) {
        if let Some(value) = self {
            value.faults(see);
        }
    }
}

#[inline]
fn not_null<T: Default>(reader: &mut Reader<'_>, value: Option<T>) -> T {
    value.unwrap_or_else(|| {
        reader.fail(Fault::Null);
        T::default()
    })
}
