//! The open batch: records are written where they will be sent from.

use std::fmt;

use thiserror::Error;

use super::compress::CompressionError;
use super::error::RecordsError;
use super::header::{Attributes, HEADER_LEN};
use super::record::Header;
use super::seal::ClosedBatch;
use super::varint::{self, Short, Word};

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
    /// The numbers, as long as all are short.
    short: Option<Numbers>,
}

/// The numbers of a record, those of its headers apart, coded.
struct Numbers {
    body: Short,
    /// What `body` says.
    body_len: usize,
    timestamp_delta: Short,
    offset_delta: Short,
    key_len: Short,
    value_len: Short,
    header_count: Short,
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

    /// Goes on in another buffer; what is in it goes. Returns its own.
    #[must_use]
    pub fn move_to(&mut self, mut buffer: Vec<u8>) -> Vec<u8> {
        buffer.clear();
        buffer.extend_from_slice(&self.frame);
        std::mem::replace(&mut self.frame, buffer)
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

    /// As [`append`](Self::append), unless that would make the batch longer than `limit` bytes ([`len`](Self::len)):
    /// `None` then, as for every other reason. An answer that fits into registers; this is the path of nearly every record.
    #[inline]
    pub fn append_if_fits<'h, H>(
        &mut self,
        limit: usize,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> Option<i32>
    where
        H: IntoIterator<Item = Header<'h>, IntoIter: Clone>,
    {
        let headers = headers.into_iter();
        let timestamp_delta = timestamp.checked_sub(self.base_for(timestamp))?;
        // A layout that went through a `Result` would go through memory.
        let layout = layout(timestamp_delta, self.count, key, value, headers.clone());
        let fits = self.frame.len().saturating_add(layout.total) <= limit.min(MAX_FRAME);
        (fits && self.count < i32::MAX).then(|| self.write(timestamp, &layout, key, value, headers))
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

    /// What the timestamp of the next record is told against.
    #[inline(always)]
    const fn base_for(&self, timestamp: i64) -> i64 {
        if self.count == 0 { timestamp } else { self.base_timestamp }
    }

    #[inline(always)]
    fn layout<'h>(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = Header<'h>>,
    ) -> Result<Layout, BuildError> {
        let base = self.base_for(timestamp);
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
        match &layout.short {
            Some(numbers) => numbers.put(out, key, value),
            None => put_long(out, layout, delta, key, value),
        }
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

impl Numbers {
    /// Of a record that takes `fixed` bytes beside them; `None` when one of them is long.
    #[inline(always)]
    fn of(
        [timestamp_delta, offset_delta, key_len, value_len, header_count]: [i64; 5],
        fixed: usize,
    ) -> Option<Self> {
        let (timestamp_delta, offset_delta) = (Short::new(timestamp_delta)?, Short::new(offset_delta)?);
        let (key_len, value_len) = (Short::new(key_len)?, Short::new(value_len)?);
        let header_count = Short::new(header_count)?;
        let body_len = fixed
            .saturating_add(timestamp_delta.len())
            .saturating_add(offset_delta.len())
            .saturating_add(key_len.len())
            .saturating_add(value_len.len())
            .saturating_add(header_count.len());
        let body = Short::new(signed(body_len))?;
        Some(Self { body, body_len, timestamp_delta, offset_delta, key_len, value_len, header_count })
    }

    /// Appends a record up to its headers.
    #[inline(always)]
    fn put(&self, out: &mut Vec<u8>, key: Option<&[u8]>, value: Option<&[u8]>) {
        let Self { body, timestamp_delta, offset_delta, key_len, value_len, header_count, .. } = *self;
        Word::default().then(body).then_byte(RECORD_ATTRIBUTES).then(timestamp_delta).put(out);
        let next = Word::default().then(offset_delta).then(key_len);
        let next = match key {
            // The length of a null takes one byte.
            None => next,
            Some(key) => {
                next.put(out);
                out.extend_from_slice(key);
                Word::default()
            }
        };
        next.then(value_len).put(out);
        out.extend_from_slice(value.unwrap_or_default());
        Word::default().then(header_count).put(out);
    }
}

/// Appends a record up to its headers, whatever its numbers.
#[cold]
fn put_long(out: &mut Vec<u8>, layout: &Layout, offset_delta: i32, key: Option<&[u8]>, value: Option<&[u8]>) {
    varint::put(out, signed(layout.body));
    out.push(RECORD_ATTRIBUTES);
    varint::put(out, layout.timestamp_delta);
    varint::put(out, offset_delta.into());
    put_nullable(out, key);
    put_nullable(out, value);
    varint::put(out, layout.header_count);
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
    let payload = key.map_or(0, <[u8]>::len).saturating_add(value.map_or(0, <[u8]>::len));
    let fixed = size_of_val(&RECORD_ATTRIBUTES).saturating_add(header_bytes).saturating_add(payload);
    let lens = [timestamp_delta, offset_delta.into(), nullable(key), nullable(value), header_count];
    if let Some(short) = Numbers::of(lens, fixed) {
        let body = short.body_len;
        let total = short.body.len().saturating_add(body);
        return Layout { timestamp_delta, header_count, body, total, short: Some(short) };
    }
    let body = lens.into_iter().fold(fixed, |sum, number| sum.saturating_add(varint::len(number)));
    let total = varint::len(signed(body)).saturating_add(body);
    Layout { timestamp_delta, header_count, body, total, short: None }
}

/// The length that says how long bytes are, or that there are none.
#[inline(always)]
fn nullable(bytes: Option<&[u8]>) -> i64 {
    bytes.map_or(NULL, |bytes| signed(bytes.len()))
}

#[inline(always)]
fn nullable_len(bytes: Option<&[u8]>) -> usize {
    varint::len(nullable(bytes)).saturating_add(bytes.map_or(0, <[u8]>::len))
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    varint::put(out, nullable(bytes));
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// A length as varints have it. No slice is longer than `isize::MAX`.
#[inline(always)]
const fn signed(len: usize) -> i64 {
    len.cast_signed() as i64
}
