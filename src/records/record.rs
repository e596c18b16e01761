//! One record of a batch: borrowed, shared, or detached.

use std::fmt;
use std::iter::FusedIterator;

use bytes::Bytes;

use super::batch::Batch;
use super::header::TimestampType;
use super::validate::{take_header, take_record};
use super::varint::take_i32;

/// A header of a record. Kafka's keys are text, but nothing on the way checks that they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header<'a> {
    /// The key, UTF-8 by convention.
    pub key: &'a [u8],
    /// The value; null is not the same as empty.
    pub value: Option<&'a [u8]>,
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value } = *self;
        f.debug_struct("Header").field("key", &Text(key)).field("value", &value.map(Text)).finish()
    }
}

/// A record that borrows from its batch.
#[derive(Clone, Copy)]
pub struct RecordView<'a> {
    batch: &'a Batch,
    offset: i64,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// The record's offset in its partition.
    #[must_use]
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// Milliseconds since the epoch, -1 when the record has no timestamp.
    #[must_use]
    pub const fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// Who made the timestamp.
    #[must_use]
    pub const fn timestamp_type(&self) -> TimestampType {
        self.batch.timestamp_type()
    }

    /// The key; null is not the same as empty.
    #[must_use]
    pub const fn key(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// The value; null is what deletes a key from a compacted topic.
    #[must_use]
    pub const fn value(&self) -> Option<&'a [u8]> {
        self.value
    }

    /// The headers in their order, duplicates and all.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        let mut rest = self.headers;
        let count = take_i32(&mut rest).ok().and_then(|count| usize::try_from(count).ok());
        Headers { rest, left: count.unwrap_or_default() }
    }

    /// The last header with this key, which is the one that counts where a key may come once only.
    #[must_use]
    pub fn last_header(&self, key: &str) -> Option<Header<'a>> {
        self.headers().filter(|header| header.key == key.as_bytes()).last()
    }

    /// The record on its own, sharing the batch's memory: no payload is copied, and all of the batch's buffer
    /// (the fetched response, or the batch's decompressed records) lives as long as the record does.
    /// [`detach`](Self::detach) is for records that are kept.
    #[must_use]
    pub fn to_owned(&self) -> OwnedRecord {
        let share = |bytes: &[u8]| self.batch.share(bytes);
        self.own(share)
    }

    /// The record on its own, in one buffer of its own.
    #[must_use]
    pub fn detach(&self) -> OwnedRecord {
        self.to_owned().detach()
    }

    fn own(&self, share: impl Fn(&[u8]) -> Bytes) -> OwnedRecord {
        OwnedRecord {
            offset: self.offset,
            timestamp: self.timestamp,
            timestamp_type: self.timestamp_type(),
            key: self.key.map(&share),
            value: self.value.map(&share),
            headers: self
                .headers()
                .map(|header| OwnedHeader { key: share(header.key), value: header.value.map(&share) })
                .collect(),
        }
    }
}

impl fmt::Debug for RecordView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordView")
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("key", &self.key.map(Text))
            .field("value", &self.value.map(Text))
            .field("headers", &self.headers())
            .finish()
    }
}

/// Bytes of a record, shown as text with escapes.
struct Text<'a>(&'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// The records of a batch, in order of their offsets.
#[derive(Clone)]
pub struct Records<'a> {
    batch: &'a Batch,
    rest: &'a [u8],
    left: usize,
    base_offset: i64,
    base_timestamp: i64,
    append_time: Option<i64>,
}

impl<'a> Records<'a> {
    pub(super) fn new(batch: &'a Batch, records: &'a [u8]) -> Self {
        let header = batch.header();
        Self {
            batch,
            rest: records,
            left: usize::try_from(header.record_count).unwrap_or_default(),
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            append_time: match batch.timestamp_type() {
                TimestampType::CreateTime => None,
                TimestampType::LogAppendTime => Some(header.max_timestamp),
            },
        }
    }
}

impl Records<'_> {
    /// Bytes of the records that are still to come.
    pub(super) const fn bytes_left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordView<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let fields = take_record(&mut self.rest).ok();
        debug_assert!(fields.is_some(), "opening the batch has checked every record");
        let fields = fields?;
        Some(RecordView {
            batch: self.batch,
            offset: self.base_offset.wrapping_add(fields.offset_delta.into()),
            timestamp: match self.append_time {
                None => self.base_timestamp.wrapping_add(fields.timestamp_delta),
                Some(append_time) => append_time,
            },
            key: fields.key,
            value: fields.value,
            headers: fields.headers,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl ExactSizeIterator for Records<'_> {}
impl FusedIterator for Records<'_> {}

/// The records of a batch one by one, each on its own: see [`RecordView::to_owned`].
#[derive(Debug, Clone)]
pub struct OwnedRecords {
    batch: Batch,
    /// Bytes and records that are still to come.
    rest: usize,
    left: usize,
}

impl OwnedRecords {
    /// The records of a batch.
    #[must_use]
    pub fn of(batch: Batch) -> Self {
        let Records { rest, left, .. } = batch.records();
        let rest = rest.len();
        Self { batch, rest, left }
    }

    /// The next record that has this offset or a larger one.
    pub fn next_from(&mut self, offset: i64) -> Option<OwnedRecord> {
        let mut records = self.batch.records();
        let read = records.rest.len().saturating_sub(self.rest);
        records.rest = records.rest.get(read..).unwrap_or_default();
        records.left = self.left;
        let found = records.find(|record| record.offset() >= offset);
        (self.rest, self.left) = (records.rest.len(), records.left);
        Some(found?.to_owned())
    }
}

/// The headers of a record, in their order.
#[derive(Clone)]
pub struct Headers<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let fields = take_header(&mut self.rest).ok();
        debug_assert!(fields.is_some(), "opening the batch has checked every header");
        fields.map(|(key, value)| Header { key, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl ExactSizeIterator for Headers<'_> {}
impl FusedIterator for Headers<'_> {}

/// A header of an [`OwnedRecord`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwnedHeader {
    /// The key, UTF-8 by convention.
    pub key: Bytes,
    /// The value; null is not the same as empty.
    pub value: Option<Bytes>,
}

/// A record that borrows from nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnedRecord {
    /// The record's offset in its partition.
    pub offset: i64,
    /// Milliseconds since the epoch, -1 when the record has no timestamp.
    pub timestamp: i64,
    /// Who made the timestamp.
    pub timestamp_type: TimestampType,
    /// The key; null is not the same as empty.
    pub key: Option<Bytes>,
    /// The value; null is what deletes a key from a compacted topic.
    pub value: Option<Bytes>,
    /// The headers in their order, duplicates and all.
    pub headers: Vec<OwnedHeader>,
}

impl OwnedRecord {
    /// The same record in one buffer of its own: what it shared with its batch is copied, and the batch's memory
    /// is free to go.
    #[must_use]
    pub fn detach(self) -> Self {
        let headers = self.headers.iter().flat_map(|header| [Some(&header.key), header.value.as_ref()]);
        let parts = [self.key.as_ref(), self.value.as_ref()].into_iter().chain(headers);
        let buffer: Bytes = parts
            .flatten()
            .fold(Vec::new(), |mut buffer, part| {
                buffer.extend_from_slice(part);
                buffer
            })
            .into();
        let mut rest = buffer;
        let mut take = |part: &Bytes| rest.split_to(part.len());
        Self {
            key: self.key.as_ref().map(&mut take),
            value: self.value.as_ref().map(&mut take),
            headers: self
                .headers
                .iter()
                .map(|header| OwnedHeader {
                    key: take(&header.key),
                    value: header.value.as_ref().map(&mut take),
                })
                .collect(),
            ..self
        }
    }
}
