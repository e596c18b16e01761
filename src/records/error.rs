//! Why a record batch is refused, and where.
//!
//! Topic and partition are not known down here; the caller adds them.

use std::fmt;

use thiserror::Error;

use super::compress::CompressionError;
use super::control::ControlFlaw;

/// A record batch that is refused, whole.
///
/// The position of a consumer must not move past it by itself: skipping is a decision of the user
/// ([`next_offset`](Self::next_offset) is where it would go on).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the record batch at offset {base_offset} is refused: {fault} ({position})")]
pub struct RecordsError {
    /// What is wrong.
    pub fault: Fault,
    /// The offset that the batch claims for its first record. Nothing vouches for it but the broker.
    pub base_offset: i64,
    /// Where in the bytes.
    pub position: Position,
    /// The offset after the batch's last one, as far as its header can be believed.
    pub next_offset: Option<i64>,
}

/// Where in a record set a fault lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Byte of the record set as it was received, from its beginning.
    Received(usize),
    /// Byte of the batch's decompressed records.
    Decompressed(usize),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Received(at) => write!(f, "byte {at} of the record set"),
            Self::Decompressed(at) => write!(f, "byte {at} of the batch's decompressed records"),
        }
    }
}

/// What is wrong with a record batch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// Message format v0 or v1: written before Kafka 0.11, and never converted since.
    #[error(
        "message format v{0} is not supported (written by a client older than Kafka 0.11; only v2 is read)"
    )]
    OldMagic(i8),
    /// A magic byte that no Kafka writes.
    #[error("unknown magic byte {0}")]
    UnknownMagic(i8),
    /// The batch length is negative or shorter than a batch header.
    #[error("batch length {0} cannot hold a batch")]
    Length(i32),
    /// The checksum does not fit the bytes: they were damaged on disk or on the way.
    #[error("CRC-32C is {computed:#010x}, the batch header says {stored:#010x}")]
    Crc {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// Attribute bits that this client does not know; they may change what the bytes mean.
    #[error("unknown attribute bits {0:#06x}")]
    Attributes(u16),
    /// A compression codec that this client does not know.
    #[error("unknown compression codec {0}")]
    Codec(u8),
    /// The base offset is negative, or the batch would end beyond the largest offset.
    #[error("base offset {base_offset} with last offset delta {last_offset_delta} is out of range")]
    BaseOffset {
        /// The base offset.
        base_offset: i64,
        /// The last offset delta.
        last_offset_delta: i32,
    },
    /// The last offset delta is negative.
    #[error("last offset delta {0} is negative")]
    LastOffsetDelta(i32),
    /// A record count that is negative, or larger than the offsets of the batch allow.
    #[error("record count {count} with last offset delta {last_offset_delta}")]
    RecordCount {
        /// The record count.
        count: i32,
        /// The last offset delta.
        last_offset_delta: i32,
    },
    /// The records end before the count is reached.
    #[error("record count {count}, but the records end after {present}")]
    MissingRecords {
        /// The record count.
        count: i32,
        /// How many records there are.
        present: i32,
    },
    /// Bytes that belong to no record: the count is below the records present, or garbage follows.
    #[error("{bytes} bytes after the last of {count} records")]
    TrailingBytes {
        /// The record count.
        count: i32,
        /// Bytes after it.
        bytes: usize,
    },
    /// One record is malformed.
    #[error("record {record}: {flaw}")]
    Record {
        /// Which record, counted from 0.
        record: i32,
        /// What is wrong with it.
        flaw: RecordFlaw,
    },
    /// A record of a control batch does not hold what control records hold.
    #[error("control record {record}: {flaw}")]
    Control {
        /// Which record, counted from 0.
        record: usize,
        /// What is wrong with it.
        flaw: ControlFlaw,
    },
    /// The records cannot be decompressed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

/// What is wrong with one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordFlaw {
    /// A number takes more bytes than its type may.
    #[error("a varint that does not end")]
    VarintTooLong,
    /// A number has bits beyond its type.
    #[error("a varint out of range")]
    VarintOverflow,
    /// The bytes end inside a field.
    #[error("the bytes end inside it")]
    Truncated,
    /// A length is negative where only a length, or -1 for null, is allowed.
    #[error("a negative length")]
    Length,
    /// The header count is negative or larger than the bytes left could hold.
    #[error("an impossible header count")]
    HeaderCount,
    /// The fields end before the length of the record does.
    #[error("bytes after its last field")]
    TrailingBytes,
    /// The offset does not lie above the one before, or lies above the last of the batch.
    #[error("an offset out of order")]
    OffsetDelta,
    /// The timestamp lies outside of 64 bits.
    #[error("a timestamp out of range")]
    Timestamp,
}
