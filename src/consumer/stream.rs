//! [`RecordStream`], [`PartitionStream`] and [`PartitionStreams`]: records one by one.

use super::asking::{Asking, Asks};
use super::deserialize::{Deserialized, Deserializer};
use super::hands::Place;
use super::shared::{Shared, Taking};
use super::{Commit, Consumer, ConsumerRecord, OffsetAndMetadata};
use crate::engine::TopicPartition;
use crate::engine::cursor::FetchedBatch;
use crate::error::Result;
use crate::records::OwnedRecords;
use crate::task::CoarseClock;
use futures_core::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The records of a consumer one by one, as a [`Stream`]. Made by [`Consumer::records`].
///
/// An error is told and the stream goes on; it ends when the consumer is closed. A record that was not taken when the stream
/// is dropped comes with the next [`poll`](Consumer::poll). In a group a record is done, and committed by itself, when the
/// next one is asked for.
#[derive(Debug)]
pub struct RecordStream<'a> {
    consumer: &'a mut Consumer,
    reading: Reading,
}

/// The records of one partition one by one, as a [`Stream`], for a task of its own. Made by
/// [`Consumer::partition_stream`] and [`Consumer::partition_streams`].
///
/// An error is told and the stream goes on; it ends when the partition is taken away or the consumer is closed. When the
/// stream is dropped the partition comes with the others again, from the first record that was not taken.
///
/// In a group a record is done, and committed by itself, when the next one is asked for. When the partition is to be given
/// to another member, that waits until the record in hand is done: the next call of [`next`](Self::next) ends the stream.
/// A stream that is dropped has not done its last record.
#[derive(Debug)]
pub struct PartitionStream {
    shared: Arc<Shared>,
    partition: TopicPartition,
    id: u64,
    reading: Reading,
}

/// A stream for each partition that the consumer has or gets. Made by [`Consumer::partition_streams`].
#[derive(Debug)]
pub struct PartitionStreams<'a> {
    consumer: &'a mut Consumer,
}

/// Where a stream is: within a batch, or between two.
#[derive(Debug)]
struct Reading {
    open: Option<Open>,
    /// [`Shared::moves`] when `open` was looked at last.
    moves: u64,
    /// What is done is said by whoever reads, rather than by his coming back.
    by_hand: bool,
    clock: CoarseClock,
}

/// A batch that is being handed out.
#[derive(Debug)]
struct Open {
    taken: FetchedBatch,
    records: OwnedRecords,
    place: Place,
}

impl Open {
    fn next(&mut self) -> Option<ConsumerRecord> {
        let record = self.records.next_from(self.taken.from)?;
        self.taken.from = record.offset.saturating_add(1);
        self.place.hand_out(self.taken.from);
        Some(ConsumerRecord::new(self.taken.partition.clone(), record))
    }
}

impl Reading {
    fn new(shared: &Shared) -> Reading {
        Reading { open: None, moves: shared.moves(), by_hand: false, clock: CoarseClock::new() }
    }

    fn begin(&mut self, taken: FetchedBatch, place: Place) {
        self.open = Some(Open { records: OwnedRecords::of(taken.batch.clone()), taken, place });
    }

    /// The next record of the batch. The application has come back: what it was handed out is done.
    #[inline]
    fn next(&mut self, shared: &Shared) -> Option<ConsumerRecord> {
        let open = self.open.as_mut()?;
        if !self.by_hand {
            open.place.came_back();
        }
        let moves = shared.moves();
        // After a standstill the partition may be another member's.
        let is_late = shared.lease().is_some_and(|lease| self.clock.read().now > lease);
        if moves != self.moves || is_late {
            self.moves = moves;
            // Paused, moved, or changing hands: what may come again does when that is over.
            if shared.may_go_on(&open.taken) != Some(true) {
                self.put_back(shared);
                return None;
            }
        }
        let open = self.open.as_mut()?;
        let record = open.next();
        if record.is_none() {
            if !self.by_hand || !open.place.is_in_hand() {
                open.place.end();
            }
            self.open = None;
        }
        record
    }

    /// Gives back what was not handed out; nothing is in hand.
    fn put_back(&mut self, shared: &Shared) {
        if let Some(open) = self.open.take() {
            if !self.by_hand {
                open.place.end();
            }
            shared.put_back(open.taken);
        }
    }
}

impl<'a> RecordStream<'a> {
    pub(super) fn new(consumer: &'a mut Consumer) -> RecordStream<'a> {
        let reading = Reading::new(&consumer.shared);
        RecordStream { consumer, reading }
    }

    /// The next record; `None` once the consumer is closed.
    ///
    /// # Errors
    /// As [`Consumer::poll`].
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<ConsumerRecord>> {
        Asking::new(self).await
    }

    /// The consumer, as to commit.
    pub fn consumer(&self) -> &Consumer {
        self.consumer
    }

    /// The same records with their values read by `deserializer`.
    pub fn deserialize<D: Deserializer>(self, deserializer: D) -> Deserialized<RecordStream<'a>, D> {
        Deserialized::new(self, deserializer)
    }
}

impl Asks for RecordStream<'_> {
    type Item = Option<Result<ConsumerRecord>>;

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Self::Item> {
        loop {
            if let Some(record) = self.reading.next(&self.consumer.shared) {
                return Poll::Ready(Some(Ok(record)));
            }
            match ready!(self.consumer.shared.poll_batch(cx, Taking::Records)) {
                Ok(Some((taken, place))) => self.reading.begin(taken, place),
                Ok(None) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    fn stop_waiting(&mut self) {
        self.consumer.shared.stop_waiting();
    }
}

impl Stream for RecordStream<'_> {
    type Item = Result<ConsumerRecord>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}

impl Drop for RecordStream<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.reading.open.take() {
            // The last record stays in the application's hands until it asks for another one.
            self.consumer.shared.put_back(open.taken);
        }
    }
}

impl PartitionStream {
    pub(super) fn new(shared: Arc<Shared>, partition: TopicPartition, id: u64) -> PartitionStream {
        let reading = Reading::new(&shared);
        PartitionStream { shared, partition, id, reading }
    }

    /// The partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The next record; `None` once the partition was taken away or the consumer was closed.
    ///
    /// # Errors
    /// As [`Consumer::poll`], of this partition.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<ConsumerRecord>> {
        Asking::new(self).await
    }

    /// Commits what was handed out of this partition so far, the record in hand included. See
    /// [`Consumer::commit`].
    ///
    /// # Errors
    /// As [`Consumer::commit`].
    pub fn commit(&self) -> Commit {
        self.shared.commit_positions(Some(std::slice::from_ref(&self.partition)))
    }

    /// Commits this offset of the partition, as when the record in hand is the first of what is done next:
    /// `records.commit_offset(record.offset)`.
    ///
    /// # Errors
    /// As [`Consumer::commit_offsets`].
    pub fn commit_offset(&self, next: impl Into<OffsetAndMetadata>) -> Commit {
        self.shared.commit_offsets([(self.partition.clone(), next)])
    }

    /// The same stream, whose reader says what is done: to ask for another record says nothing.
    pub(super) fn by_hand(mut self) -> PartitionStream {
        self.reading.by_hand = true;
        self.shared.set_by_hand(&self.partition, self.id);
        self
    }

    /// Everything before this record, or everything that was handed out, is done; of a stream that is read by hand.
    pub(super) fn is_done(&self, first_open: Option<i64>) {
        let is_between = self.reading.open.is_none();
        self.shared.is_done(&self.partition, self.id, first_open, is_between);
    }

    /// The same records with their values read by `deserializer`.
    pub fn deserialize<D: Deserializer>(self, deserializer: D) -> Deserialized<PartitionStream, D> {
        Deserialized::new(self, deserializer)
    }
}

impl Asks for PartitionStream {
    type Item = Option<Result<ConsumerRecord>>;

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Self::Item> {
        loop {
            if let Some(record) = self.reading.next(&self.shared) {
                return Poll::Ready(Some(Ok(record)));
            }
            match ready!(self.shared.poll_batch_of(&self.partition, self.id, cx)) {
                Ok(Some((taken, place))) => self.reading.begin(taken, place),
                Ok(None) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    fn stop_waiting(&mut self) {
        self.shared.stop_waiting_for(&self.partition, self.id);
    }
}

impl Stream for PartitionStream {
    type Item = Result<ConsumerRecord>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}

impl Drop for PartitionStream {
    fn drop(&mut self) {
        if let Some(open) = self.reading.open.take() {
            self.shared.put_back(open.taken);
        }
        self.shared.remove_stream(&self.partition, self.id);
    }
}

impl<'a> PartitionStreams<'a> {
    pub(super) fn new(consumer: &'a mut Consumer) -> PartitionStreams<'a> {
        PartitionStreams { consumer }
    }

    /// The stream of the next partition that has none; waits until there is one. `None` once the consumer is closed.
    ///
    /// # Errors
    /// What concerns the consumer as a whole: as [`Consumer::poll`]. The next call goes on.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<PartitionStream>> {
        Asking::new(self).await
    }

    /// The consumer, as to commit.
    pub fn consumer(&self) -> &Consumer {
        self.consumer
    }
}

impl Asks for PartitionStreams<'_> {
    type Item = Option<Result<PartitionStream>>;

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Self::Item> {
        let shared = &self.consumer.shared;
        Poll::Ready(ready!(shared.poll_partition(cx)).transpose().map(|found| {
            let (partition, id) = found?;
            Ok(PartitionStream::new(Arc::clone(shared), partition, id))
        }))
    }

    fn stop_waiting(&mut self) {
        self.consumer.shared.stop_waiting();
    }
}

impl Stream for PartitionStreams<'_> {
    type Item = Result<PartitionStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}
