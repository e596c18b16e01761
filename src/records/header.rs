//! The 61 bytes in front of the records.
//!
//! ```text
//! base offset i64 · batch length i32 · leader epoch i32 · magic i8 · CRC u32 · attributes i16 · last offset delta i32
//! base timestamp i64 · max timestamp i64 · producer id i64 · producer epoch i16 · base sequence i32 · count i32
//! ```
//!
//! The length counts what follows it; the CRC covers everything after itself, so that a broker can assign offset
//! and leader epoch without computing it anew.

use super::compress::Compression;
use super::error::Fault;

/// Bytes of a batch before its first record.
pub const HEADER_LEN: usize = 61;
/// Bytes before and including the batch length: what the length does not count.
pub(super) const FRAME_OVERHEAD: usize = 12;
/// The only format that is written and read.
pub(super) const MAGIC: i8 = 2;

pub(super) const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
pub(super) const MAGIC_AT: usize = 16;
pub(super) const CRC_AT: usize = 17;
pub(super) const ATTRIBUTES_AT: usize = 21;
pub(super) const LAST_OFFSET_DELTA_AT: usize = 23;
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;
pub(super) const COUNT_AT: usize = 57;

/// Where the timestamps of a batch come from (`message.timestamp.type` of the topic).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[non_exhaustive]
pub enum TimestampType {
    /// Each record has the time its producer gave it.
    #[default]
    CreateTime,
    /// Every record has the time at which the broker appended the batch.
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;
    /// KIP-534: the base timestamp says when the tombstones of the batch may go. Deltas count from it all the same.
    const DELETE_HORIZON: i16 = 1 << 6;
    const KNOWN: i16 = 0x7f;

    const fn with(self, bit: i16, on: bool) -> Self {
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }

    /// The same with another codec.
    #[must_use]
    pub const fn with_compression(self, compression: Compression) -> Self {
        Self(self.0 & !Self::CODEC | compression.id() as i16)
    }

    /// The same with or without the log-append-time bit.
    #[must_use]
    pub const fn with_log_append_time(self, on: bool) -> Self {
        self.with(Self::LOG_APPEND_TIME, on)
    }

    /// The same with or without the transactional bit.
    #[must_use]
    pub const fn with_transactional(self, on: bool) -> Self {
        self.with(Self::TRANSACTIONAL, on)
    }

    /// The same with or without the control bit.
    #[must_use]
    pub const fn with_control(self, on: bool) -> Self {
        self.with(Self::CONTROL, on)
    }

    /// The codec of the records.
    ///
    /// # Errors
    ///
    /// [`Fault::Codec`] when no codec has this number.
    pub fn compression(self) -> Result<Compression, Fault> {
        let id = self.0.to_be_bytes()[1] & 0x07;
        Compression::from_id(id).ok_or(Fault::Codec(id))
    }

    /// Where the timestamps come from.
    #[must_use]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the records are for clients (commit and abort markers), not for users.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the log cleaner has set a time at which the tombstones go.
    #[must_use]
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// Bits that nobody has given a meaning yet.
    #[must_use]
    pub const fn unknown_bits(self) -> u16 {
        (self.0 & !Self::KNOWN).cast_unsigned()
    }
}

/// The fields of a batch header, as they lie in the bytes; nothing of it is checked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record (deltas count from it); a producer sends 0.
    pub base_offset: i64,
    /// Bytes that follow the length field.
    pub length: i32,
    /// Epoch of the leader that appended the batch, -1 when unknown.
    pub leader_epoch: i32,
    /// 2.
    pub magic: i8,
    /// CRC-32C of everything after it.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: Attributes,
    /// Delta of the last offset that the batch stands for, even when compaction removed that record.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas count from, in milliseconds since the epoch.
    pub base_timestamp: i64,
    /// The largest timestamp; the append time in a batch of that type.
    pub max_timestamp: i64,
    /// -1 when the producer is not idempotent.
    pub producer_id: i64,
    /// -1 when the producer is not idempotent.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 when the producer is not idempotent.
    pub base_sequence: i32,
    /// Records in the batch.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the fields.
    #[must_use]
    pub fn read(bytes: &[u8; HEADER_LEN]) -> Self {
        Self {
            base_offset: i64::from_be_bytes(field(bytes, 0)),
            length: i32::from_be_bytes(field(bytes, LENGTH_AT)),
            leader_epoch: i32::from_be_bytes(field(bytes, LEADER_EPOCH_AT)),
            magic: i8::from_be_bytes(field(bytes, MAGIC_AT)),
            crc: u32::from_be_bytes(field(bytes, CRC_AT)),
            attributes: Attributes(i16::from_be_bytes(field(bytes, ATTRIBUTES_AT))),
            last_offset_delta: i32::from_be_bytes(field(bytes, LAST_OFFSET_DELTA_AT)),
            base_timestamp: i64::from_be_bytes(field(bytes, BASE_TIMESTAMP_AT)),
            max_timestamp: i64::from_be_bytes(field(bytes, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(field(bytes, PRODUCER_ID_AT)),
            producer_epoch: i16::from_be_bytes(field(bytes, PRODUCER_EPOCH_AT)),
            base_sequence: i32::from_be_bytes(field(bytes, BASE_SEQUENCE_AT)),
            record_count: i32::from_be_bytes(field(bytes, COUNT_AT)),
        }
    }

    /// The fields as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        put(&mut bytes, 0, self.base_offset.to_be_bytes());
        put(&mut bytes, LENGTH_AT, self.length.to_be_bytes());
        put(&mut bytes, LEADER_EPOCH_AT, self.leader_epoch.to_be_bytes());
        put(&mut bytes, MAGIC_AT, self.magic.to_be_bytes());
        put(&mut bytes, CRC_AT, self.crc.to_be_bytes());
        put(&mut bytes, ATTRIBUTES_AT, self.attributes.0.to_be_bytes());
        put(&mut bytes, LAST_OFFSET_DELTA_AT, self.last_offset_delta.to_be_bytes());
        put(&mut bytes, BASE_TIMESTAMP_AT, self.base_timestamp.to_be_bytes());
        put(&mut bytes, MAX_TIMESTAMP_AT, self.max_timestamp.to_be_bytes());
        put(&mut bytes, PRODUCER_ID_AT, self.producer_id.to_be_bytes());
        put(&mut bytes, PRODUCER_EPOCH_AT, self.producer_epoch.to_be_bytes());
        put(&mut bytes, BASE_SEQUENCE_AT, self.base_sequence.to_be_bytes());
        put(&mut bytes, COUNT_AT, self.record_count.to_be_bytes());
        bytes
    }

    /// The offset after the last one that the batch stands for: where a consumer goes on. `None` when it would
    /// be no offset.
    #[must_use]
    pub fn next_offset(&self) -> Option<i64> {
        if self.base_offset < 0 || self.last_offset_delta < 0 {
            return None;
        }
        self.base_offset.checked_add(self.last_offset_delta.into())?.checked_add(1)
    }

    /// Writes the header in front of `frame` with its length and checksum made right.
    pub(super) fn seal(&mut self, frame: &mut [u8]) {
        let length = frame.len().saturating_sub(FRAME_OVERHEAD);
        self.length = i32::try_from(length).unwrap_or(i32::MAX); // no frame is made longer
        if let Some(front) = frame.first_chunk_mut() {
            *front = self.to_bytes();
        }
        self.crc = checksum(frame);
        if let Some(front) = frame.first_chunk_mut() {
            *front = self.to_bytes();
        }
    }
}

/// The CRC-32C of a whole frame.
pub(super) fn checksum(frame: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(frame.get(ATTRIBUTES_AT..).unwrap_or_default())
}

/// The CRC-32C of a frame that has this header.
pub(super) fn checksum_of(header: &BatchHeader, behind: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(header.to_bytes().get(ATTRIBUTES_AT..).unwrap_or_default());
    digest.update(behind);
    u32::try_from(digest.finalize()).unwrap_or_default() // it has 32 bits
}

/// `N` bytes of the header. All positions are constants below [`HEADER_LEN`], so the default is never taken.
fn field<const N: usize>(header: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    header.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

fn put<const N: usize>(header: &mut [u8; HEADER_LEN], at: usize, bytes: [u8; N]) {
    if let Some(slot) = header.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *slot = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_kafka_puts_them() {
        let header = BatchHeader {
            base_offset: 0x0102_0304_0506_0708,
            length: 0x090a_0b0c,
            leader_epoch: 0x0d0e_0f10,
            magic: 0x11,
            crc: 0x1213_1415,
            attributes: Attributes(0x1617),
            last_offset_delta: 0x1819_1a1b,
            base_timestamp: 0x1c1d_1e1f_2021_2223,
            max_timestamp: 0x2425_2627_2829_2a2b,
            producer_id: 0x2c2d_2e2f_3031_3233,
            producer_epoch: 0x3435,
            base_sequence: 0x3637_3839,
            record_count: 0x3a3b_3c3d,
        };
        let bytes: Vec<u8> = (1..=61).collect();
        assert_eq!(header.to_bytes(), bytes[..]);
        assert_eq!(BatchHeader::read(bytes.first_chunk().unwrap()), header);
    }

    #[test]
    fn attribute_bits() {
        let none = Attributes::default();
        assert_eq!(none.with_compression(Compression::Zstd).0, 4);
        assert_eq!(none.with_compression(Compression::Zstd).with_compression(Compression::Gzip).0, 1);
        assert_eq!(none.with_log_append_time(true).0, 8);
        assert_eq!(none.with_transactional(true).0, 16);
        assert_eq!(none.with_control(true).with_transactional(true).with_transactional(false).0, 32);
        assert!(Attributes(64).has_delete_horizon());
        assert_eq!(Attributes(127).unknown_bits(), 0);
        assert_eq!(Attributes(128).unknown_bits(), 128);
        assert_eq!(Attributes(i16::MIN).unknown_bits(), 0x8000);
        assert_eq!(Attributes(5).compression(), Err(Fault::Codec(5)));
        assert_eq!(Attributes(0x7b).compression(), Ok(Compression::Lz4));
    }
}
