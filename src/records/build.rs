//! The open batch: records are written where they will be sent from.

use std::fmt;

use thiserror::Error;

use super::compress::CompressionError;
use super::error::RecordsError;
use super::header::{Attributes, HEADER_LEN};
use super::record::Header;
use super::seal::ClosedBatch;
use super::varint;

/// The largest frame that the batch's length field can tell.
pub(super) const MAX_FRAME: usize = i32::MAX as usize;
/// The attributes of a record; no bit of it has a meaning yet, and readers ignore it.
const RECORD_ATTRIBUTES: u8 = 0;
const NULL: i64 = -1;

/// Why a record cannot be appended, or a batch not be compressed or split.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The batch would be longer than its length field can tell (2 GiB).
    #[error("the record would make a batch of {bytes} bytes, more than a batch can hold")]
    TooLarge {
        /// Bytes of the batch with the record.
        bytes: usize,
    },
    /// The batch has as many records as it can have.
    #[error("the batch has as many records as it can count")]
    Full,
    /// The timestamp is too far from that of the batch's first record.
    #[error("timestamp {timestamp} is too far from {base}, that of the batch's first record")]
    Timestamp {
        /// The record's timestamp, in milliseconds since the epoch.
        timestamp: i64,
        /// The first record's.
        base: i64,
    },
    /// Compressing the batch failed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// A sealed batch could not be read again to be split.
    #[error(transparent)]
    Unreadable(#[from] RecordsError),
}

/// Appends records to one growing batch; the records' bytes are all that it keeps of them.
///
/// The buffer has the header's place in front, so that the batch is whole when it is sealed, without a copy.
pub struct BatchBuilder {
    frame: Vec<u8>,
    attributes: Attributes,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

/// The sizes of a record, computed once before it is written.
struct Layout {
    timestamp_delta: i64,
    header_count: i64,
    /// Bytes after the length.
    body: usize,
    /// All bytes.
    total: usize,
}

impl BatchBuilder {
    /// An empty batch in a fresh buffer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self::reusing(Vec::with_capacity(capacity))
    }

    /// An empty batch in a buffer that has served before; what is in it goes.
    #[must_use]
    pub fn reusing(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(HEADER_LEN, 0);
        Self {
            frame: buffer,
            attributes: Attributes::default(),
            count: 0,
            base_timestamp: 0,
            max_timestamp: i64::MIN,
        }
    }

    /// Makes it a control batch, whose records are for clients only.
    pub(super) const fn make_control(&mut self) {
        self.attributes = self.attributes.with_control(true);
    }

    /// Bytes of the batch as it stands, framing included, uncompressed.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "bytes with the header, never 0; record_count tells emptiness"
    )]
    pub const fn len(&self) -> usize {
        self.frame.len()
    }

    /// Bytes of memory that the batch takes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.frame.capacity()
    }

    /// Gives back the memory that the batch does not take.
    pub fn shrink(&mut self) {
        self.frame.shrink_to_fit();
    }

    /// Records appended.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.count
    }

    /// The timestamp of the first record, in milliseconds since the epoch; `None` when the batch is empty.
    #[must_use]
    pub const fn base_timestamp(&self) -> Option<i64> {
        if self.count == 0 { None } else { Some(self.base_timestamp) }
    }

    /// The exact size of a batch that holds nothing but this record: what decides whether it can be sent at all.
    #[must_use]
    pub fn len_of_one<'h>(
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = Header<'h>>,
    ) -> usize {
        HEADER_LEN.saturating_add(layout(0, 0, key, value, headers.into_iter()).total)
    }

    /// The exact number of bytes by which this record would make the batch longer.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    pub fn cost<'h>(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = Header<'h>>,
    ) -> Result<usize, BuildError> {
        self.layout(timestamp, key, value, headers.into_iter()).map(|layout| layout.total)
    }

    /// Appends a record and returns its place in the batch, counted from 0.
    ///
    /// `timestamp` is in milliseconds since the epoch. Headers keep their order and may repeat.
    ///
    /// # Errors
    ///
    /// When the batch would be longer than 2 GiB, has 2^31-1 records, or the timestamp is out of reach of the
    /// first one. The batch is as it was.
    #[inline]
    pub fn append<'h, H>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> Result<i32, BuildError>
    where
        H: IntoIterator<Item = Header<'h>, IntoIter: Clone>,
    {
        let headers = headers.into_iter();
        let layout = self.layout(timestamp, key, value, headers.clone())?;
        Ok(self.write(timestamp, &layout, key, value, headers))
    }

    /// Appends a record unless that would make the batch longer than `limit` bytes ([`len`](Self::len)); `None`
    /// when it would. The first record is always taken: a batch of one cannot become smaller.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    #[inline]
    pub fn append_within<'h, H>(
        &mut self,
        limit: usize,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> Result<Option<i32>, BuildError>
    where
        H: IntoIterator<Item = Header<'h>, IntoIter: Clone>,
    {
        let headers = headers.into_iter();
        let layout = self.layout(timestamp, key, value, headers.clone())?;
        if self.count > 0 && self.frame.len().saturating_add(layout.total) > limit {
            return Ok(None);
        }
        Ok(Some(self.write(timestamp, &layout, key, value, headers)))
    }

    /// Ends the batch; `None` when nothing was appended, since no such batch may be sent.
    #[must_use]
    pub fn close(self) -> Option<ClosedBatch> {
        let last_offset_delta = self.count.checked_sub(1).filter(|last| *last >= 0)?;
        Some(ClosedBatch::new(
            self.frame,
            self.attributes,
            last_offset_delta,
            self.base_timestamp,
            self.max_timestamp,
        ))
    }

    #[inline(always)]
    fn layout<'h>(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = Header<'h>>,
    ) -> Result<Layout, BuildError> {
        let base = if self.count == 0 { timestamp } else { self.base_timestamp };
        let Some(timestamp_delta) = timestamp.checked_sub(base) else {
            return Err(BuildError::Timestamp { timestamp, base });
        };
        let layout = layout(timestamp_delta, self.count, key, value, headers);
        let bytes = self.frame.len().saturating_add(layout.total);
        if bytes > MAX_FRAME {
            return Err(BuildError::TooLarge { bytes });
        }
        if self.count == i32::MAX {
            return Err(BuildError::Full);
        }
        Ok(layout)
    }

    #[inline(always)]
    fn write<'h>(
        &mut self,
        timestamp: i64,
        layout: &Layout,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = Header<'h>>,
    ) -> i32 {
        let delta = self.count;
        let out = &mut self.frame;
        out.reserve(layout.total.saturating_add(varint::SLACK));
        varint::put(out, signed(layout.body));
        out.push(RECORD_ATTRIBUTES);
        varint::put(out, layout.timestamp_delta);
        varint::put(out, delta.into());
        put_nullable(out, key);
        put_nullable(out, value);
        varint::put(out, layout.header_count);
        for header in headers {
            varint::put(out, signed(header.key.len()));
            out.extend_from_slice(header.key);
            put_nullable(out, header.value);
        }
        if delta == 0 {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.count = delta.saturating_add(1);
        delta
    }
}

impl fmt::Debug for BatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchBuilder").field("records", &self.count).field("bytes", &self.len()).finish()
    }
}

#[inline(always)]
fn layout<'h>(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = Header<'h>>,
) -> Layout {
    let (mut header_count, mut header_bytes) = (0i64, 0usize);
    for header in headers {
        header_count = header_count.saturating_add(1);
        header_bytes = header_bytes
            .saturating_add(varint::len(signed(header.key.len())))
            .saturating_add(header.key.len())
            .saturating_add(nullable_len(header.value));
    }
    let body = size_of_val(&RECORD_ATTRIBUTES)
        .saturating_add(varint::len(timestamp_delta))
        .saturating_add(varint::len(offset_delta.into()))
        .saturating_add(nullable_len(key))
        .saturating_add(nullable_len(value))
        .saturating_add(varint::len(header_count))
        .saturating_add(header_bytes);
    Layout { timestamp_delta, header_count, body, total: varint::len(signed(body)).saturating_add(body) }
}

#[inline(always)]
fn nullable_len(bytes: Option<&[u8]>) -> usize {
    match bytes {
        Some(bytes) => varint::len(signed(bytes.len())).saturating_add(bytes.len()),
        None => varint::len(NULL),
    }
}

#[inline(always)]
fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            varint::put(out, signed(bytes.len()));
            out.extend_from_slice(bytes);
        }
        None => varint::put(out, NULL),
    }
}

/// A length as varints have it. No slice is longer than `isize::MAX`.
#[inline(always)]
const fn signed(len: usize) -> i64 {
    len.cast_signed() as i64
}
