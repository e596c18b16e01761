//! [`RecordStream`] and [`PartitionStream`]: records one by one.

use super::deserialize::{Deserialized, Deserializer};
use super::shared::{Place, Shared};
use super::{Consumer, ConsumerRecord};
use crate::engine::TopicPartition;
use crate::engine::cursor::FetchedBatch;
use crate::error::Result;
use crate::records::OwnedRecords;
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

/// The records of a consumer one by one, as a [`Stream`]. Made by [`Consumer::records`].
///
/// An error is told and the stream goes on; it ends when the consumer is closed. A record that was not taken when the stream
/// is dropped comes with the next [`poll`](Consumer::poll).
#[derive(Debug)]
pub struct RecordStream<'a> {
    consumer: &'a mut Consumer,
    open: Option<Open>,
}

/// The records of one partition one by one, as a [`Stream`], for a task of its own. Made by
/// [`Consumer::partition_stream`].
///
/// An error is told and the stream goes on; it ends when the partition is taken away or the consumer is closed. When the
/// stream is dropped the partition comes with the others again, from the first record that was not taken.
#[derive(Debug)]
pub struct PartitionStream {
    shared: Arc<Shared>,
    partition: TopicPartition,
    id: u64,
    open: Option<Open>,
    place: Option<Place>,
    /// [`Shared::moves`] when `open` was looked at last.
    moves: u64,
}

/// A batch that is being handed out.
#[derive(Debug)]
struct Open {
    taken: FetchedBatch,
    records: OwnedRecords,
}

impl Open {
    fn new(taken: FetchedBatch) -> Open {
        Open { records: OwnedRecords::of(taken.batch.clone()), taken }
    }

    fn next(&mut self) -> Option<ConsumerRecord> {
        let record = self.records.next_from(self.taken.from)?;
        self.taken.from = record.offset.saturating_add(1);
        Some(ConsumerRecord::new(self.taken.partition.clone(), record))
    }
}

impl<'a> RecordStream<'a> {
    pub(super) fn new(consumer: &'a mut Consumer) -> RecordStream<'a> {
        RecordStream { consumer, open: None }
    }

    /// The next record; `None` once the consumer is closed.
    ///
    /// # Errors
    /// As [`Consumer::poll`].
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<ConsumerRecord>> {
        poll_fn(|cx| self.poll_record(cx)).await
    }

    /// The same records with their values read by `deserializer`.
    pub fn deserialize<D: Deserializer>(self, deserializer: D) -> Deserialized<RecordStream<'a>, D> {
        Deserialized::new(self, deserializer)
    }

    fn poll_record(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ConsumerRecord>>> {
        loop {
            if let Some(record) = self.open.as_mut().and_then(Open::next) {
                return Poll::Ready(Some(Ok(record)));
            }
            self.open = None;
            match ready!(self.consumer.shared.poll_batch(cx)) {
                Ok(Some(taken)) => self.open = Some(Open::new(taken)),
                Ok(None) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl Stream for RecordStream<'_> {
    type Item = Result<ConsumerRecord>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_record(cx)
    }
}

impl Drop for RecordStream<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            self.consumer.shared.put_back(open.taken);
        }
    }
}

impl PartitionStream {
    pub(super) fn new(shared: Arc<Shared>, partition: TopicPartition, id: u64) -> PartitionStream {
        let moves = shared.moves();
        PartitionStream { shared, partition, id, open: None, place: None, moves }
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
        poll_fn(|cx| self.poll_record(cx)).await
    }

    /// The same records with their values read by `deserializer`.
    pub fn deserialize<D: Deserializer>(self, deserializer: D) -> Deserialized<PartitionStream, D> {
        Deserialized::new(self, deserializer)
    }

    fn poll_record(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ConsumerRecord>>> {
        loop {
            self.heed_moves();
            if let Some(record) = self.open.as_mut().and_then(Open::next) {
                if let Some(place) = &self.place {
                    place.store(record.offset.saturating_add(1), Ordering::Relaxed);
                }
                return Poll::Ready(Some(Ok(record)));
            }
            self.open = None;
            if let Some(place) = self.place.take() {
                place.store(-1, Ordering::Relaxed);
            }
            match ready!(self.shared.poll_batch_of(&self.partition, self.id, cx)) {
                Ok(Some((taken, place))) => {
                    (self.open, self.place) = (Some(Open::new(taken)), Some(place));
                }
                Ok(None) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    /// Looks whether what is open may still be handed out, if anything has changed since it was looked at.
    fn heed_moves(&mut self) {
        let moves = self.shared.moves();
        if moves == self.moves {
            return;
        }
        self.moves = moves;
        let Some(open) = &self.open else { return };
        match self.shared.may_go_on(&open.taken) {
            Some(true) => {}
            // Paused: it comes again when that is over.
            Some(false) => self.put_back(),
            None => self.open = None,
        }
    }

    fn put_back(&mut self) {
        if let Some(open) = self.open.take() {
            self.shared.put_back(open.taken);
        }
    }
}

impl Stream for PartitionStream {
    type Item = Result<ConsumerRecord>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_record(cx)
    }
}

impl Drop for PartitionStream {
    fn drop(&mut self) {
        self.put_back();
        self.shared.remove_stream(&self.partition, self.id);
    }
}
