//! [`Batch`], [`FetchedRecord`] and [`ConsumerRecord`]: what a consumer gets.

use crate::engine::TopicPartition;
use crate::engine::cursor::FetchedBatch;
use crate::records::{self, Headers, OwnedHeader, OwnedRecord, RecordView, TimestampType};
use bytes::Bytes;

/// Records of one partition, in order. Owns the bytes they lie in, so it can be kept and sent to another task; its records
/// borrow from it, not from the consumer.
///
/// The bytes are those of the answer that the batch came in: as long as the batch (or an owned record of it) lives, so do
/// they. [`ConsumerRecord::detach`] copies a record out.
#[derive(Debug, Clone)]
pub struct Batch {
    partition: TopicPartition,
    batch: records::Batch,
    from: i64,
}

/// A record that borrows from its [`Batch`].
#[derive(Debug, Clone, Copy)]
pub struct FetchedRecord<'a> {
    batch: &'a Batch,
    view: RecordView<'a>,
}

/// The records of a [`Batch`].
#[derive(Debug, Clone)]
pub struct BatchIter<'a> {
    batch: &'a Batch,
    records: records::Records<'a>,
}

impl Batch {
    pub(super) fn new(fetched: FetchedBatch) -> Batch {
        let FetchedBatch { partition, batch, from, .. } = fetched;
        Batch { partition, batch, from }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.partition.topic
    }

    /// The partition's index.
    pub fn partition(&self) -> i32 {
        self.partition.partition
    }

    /// Topic and partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The offset to go on from when all records of the batch are done: what a commit would say.
    pub fn next_offset(&self) -> i64 {
        self.batch.next_offset()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no record: all of them lie before the place where reading began.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The records, by ascending offset.
    pub fn iter(&self) -> BatchIter<'_> {
        BatchIter { batch: self, records: self.batch.records() }
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = FetchedRecord<'a>;
    type IntoIter = BatchIter<'a>;

    fn into_iter(self) -> BatchIter<'a> {
        self.iter()
    }
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = FetchedRecord<'a>;

    #[inline]
    fn next(&mut self) -> Option<FetchedRecord<'a>> {
        loop {
            let view = self.records.next()?;
            // A fetch gives whole batches: the first may begin before the offset that was asked for.
            if view.offset() >= self.batch.from {
                return Some(FetchedRecord { batch: self.batch, view });
            }
        }
    }
}

impl<'a> FetchedRecord<'a> {
    /// The topic.
    pub fn topic(&self) -> &'a str {
        self.batch.topic()
    }

    /// The partition's index.
    pub fn partition(&self) -> i32 {
        self.batch.partition()
    }

    /// The offset in the partition.
    pub fn offset(&self) -> i64 {
        self.view.offset()
    }

    /// Milliseconds since 1970, -1 when the record has no time.
    pub fn timestamp_ms(&self) -> i64 {
        self.view.timestamp()
    }

    /// Whether the producer gave the time or the broker.
    pub fn timestamp_type(&self) -> TimestampType {
        self.view.timestamp_type()
    }

    /// The key.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.view.key()
    }

    /// The value; `None` is a tombstone.
    pub fn value(&self) -> Option<&'a [u8]> {
        self.view.value()
    }

    /// The headers in their order; names may occur more than once.
    pub fn headers(&self) -> Headers<'a> {
        self.view.headers()
    }

    /// The record with shared bytes, which keep the batch's bytes alive.
    pub fn to_owned(&self) -> ConsumerRecord {
        ConsumerRecord::new(self.batch.partition.clone(), self.view.to_owned())
    }
}

/// A record that stands for itself. Its bytes are those of the answer that it came in, and keep all of that alive:
/// [`detach`](Self::detach) is for records that are kept for long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerRecord {
    /// Where it is from.
    pub partition: TopicPartition,
    /// The offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970, -1 when the record has no time.
    pub timestamp_ms: i64,
    /// Whether the producer gave the time or the broker.
    pub timestamp_type: TimestampType,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers in their order; names may occur more than once.
    pub headers: Vec<OwnedHeader>,
}

impl ConsumerRecord {
    pub(super) fn new(partition: TopicPartition, record: OwnedRecord) -> ConsumerRecord {
        let OwnedRecord { offset, timestamp, timestamp_type, key, value, headers } = record;
        ConsumerRecord { partition, offset, timestamp_ms: timestamp, timestamp_type, key, value, headers }
    }

    /// The same record in one buffer of its own, so that the memory of the answer that it came in is free to go.
    #[must_use]
    pub fn detach(self) -> ConsumerRecord {
        let ConsumerRecord { partition, offset, timestamp_ms, timestamp_type, key, value, headers } = self;
        let record = OwnedRecord { offset, timestamp: timestamp_ms, timestamp_type, key, value, headers };
        ConsumerRecord::new(partition, record.detach())
    }
}
