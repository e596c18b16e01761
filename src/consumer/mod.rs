//! [`Consumer`]: reads records from partitions that it was assigned.
//!
//! What to ask and what answers mean is decided in [`engine::cursor`](crate::engine::cursor); a task of its own
//! ([`fetcher`]) carries that out; [`Consumer::poll`] and the streams hand out what is queued ([`shared`]).
//!
//! May import `cluster`, `engine`, `records`, `messages`, `config`, `error`, `task`.

mod asking;
mod batch;
mod builder;
mod deserialize;
mod fetcher;
mod group;
mod hands;
mod listener;
mod metrics;
mod offsets;
mod parallel;
mod report;
mod shared;
mod stream;

#[cfg(test)]
mod tests;

pub use crate::engine::cursor::Start;
pub use crate::engine::{OffsetAndMetadata, TopicPartition};
pub use crate::records::{Header, Headers, OwnedHeader, OwnedRecord, TimestampType};
pub use batch::{Batch, BatchIter, ConsumerRecord, FetchedRecord};
pub use builder::ConsumerBuilder;
#[cfg(feature = "json")]
pub use deserialize::Json;
pub use deserialize::{DeserializationError, Deserialized, Deserializer, Raw, Typed, Utf8};
pub use group::{Commit, GroupMetadata};
pub use listener::{Rebalance, RebalanceKind};
pub use metrics::{ConsumerMetrics, PartitionMetrics};
pub use parallel::{Parallel, ProcessError};
pub use report::{PartitionReport, WhyNotFetched};
pub use stream::{PartitionStream, PartitionStreams, RecordStream};

use crate::cluster::check_name;
use crate::error::{Error, ErrorKind, Result};
use crate::task;
use asking::{Asking, Asks};
use shared::{Shared, Taking};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Reads records. Made by [`Client::consumer`](crate::Client::consumer).
///
/// Records are fetched ahead in the background, from each broker on its own, up to `queued.max.messages.kbytes`. Dropping
/// the consumer stops that at once.
///
/// They are read a batch at a time ([`poll`](Self::poll)), one by one ([`records`](Self::records)), or each partition by a
/// task of its own ([`partition_stream`](Self::partition_stream)).
///
/// ```no_run
/// # async fn example() -> ottla::Result<()> {
/// use ottla::{Client, Start};
///
/// let client = Client::from_env().await?;
/// let mut consumer = client.consumer().topic("orders", Start::Beginning).build().await?;
/// while let Some(batch) = consumer.poll().await? {
///     for record in &batch {
///         println!("{} {:?}", record.offset(), record.value());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Consumer {
    shared: Arc<Shared>,
}

/// Ends a wait for records from elsewhere. Made by [`Consumer::wakeup_handle`].
#[derive(Debug, Clone)]
pub struct Wakeup(Arc<Shared>);

impl Wakeup {
    /// The [`poll`](Consumer::poll) that waits, or else the next one, fails with [`ErrorKind::Wakeup`], once. Streams of
    /// single partitions go on.
    pub fn wakeup(&self) {
        self.0.wakeup();
    }
}

impl Consumer {
    /// The next batch, from whichever partition has one; they take turns. Waits until there is one; `None` once the
    /// consumer is closed.
    ///
    /// The position moves past a batch when it is handed out.
    ///
    /// # Errors
    /// One error for each fault, after which the next call goes on; the position of the partition it names stays.
    /// [`ErrorKind::Records`] when a batch is corrupt, unreadable or larger than allowed once
    /// decompressed; [`ErrorKind::LogTruncation`] when records that were read are no more; OFFSET_OUT_OF_RANGE when
    /// `auto.offset.reset` is `none`; what brokers refuse for good, as TOPIC_AUTHORIZATION_FAILED;
    /// [`ErrorKind::Wakeup`]. What passes by itself (a leader that moves, a broker that is down) is not told: the
    /// consumer waits and goes on.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped: a batch is handed out or stays.
    pub async fn poll(&mut self) -> Result<Option<Batch>> {
        Asking::new(self).await
    }

    /// The records of all partitions one by one, for as long as the result lives; what it has not handed out by then comes
    /// with the next [`poll`](Self::poll). Partitions that have a stream of their own are left to that.
    pub fn records(&mut self) -> RecordStream<'_> {
        RecordStream::new(self)
    }

    /// The records of one partition, for a task of its own. `poll` and [`records`](Self::records) hand out nothing of it
    /// until the stream is dropped. The stream ends when the partition is taken away, or the consumer is closed or dropped;
    /// it pauses and moves with the partition.
    ///
    /// Each partition has its share of half of `queued.max.messages.kbytes`, so that a stream that nobody reads keeps no
    /// other from its records.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the partition is not assigned or has a stream; [`ErrorKind::Closed`] after
    /// [`close`](Self::close).
    ///
    /// ```no_run
    /// # async fn example(mut consumer: ottla::Consumer) -> ottla::Result<()> {
    /// let mut readers = tokio::task::JoinSet::new();
    /// for partition in consumer.assigned() {
    ///     let mut records = consumer.partition_stream(&partition)?;
    ///     readers.spawn(async move {
    ///         while let Some(record) = records.next().await {
    ///             println!("{partition}: {:?}", record?.value);
    ///         }
    ///         Ok::<(), ottla::Error>(())
    ///     });
    /// }
    /// // The consumer is kept meanwhile: its end is the streams' end.
    /// while readers.join_next().await.is_some() {}
    /// # Ok(())
    /// # }
    /// ```
    pub fn partition_stream(&mut self, partition: &TopicPartition) -> Result<PartitionStream> {
        let id = self.shared.add_stream(partition)?;
        Ok(PartitionStream::new(Arc::clone(&self.shared), partition.clone(), id))
    }

    /// A stream for each partition that the consumer has and gets, so that a task for each of them can read it: in a group
    /// they come and go.
    ///
    /// ```no_run
    /// # async fn example(mut consumer: ottla::Consumer) -> ottla::Result<()> {
    /// let mut partitions = consumer.partition_streams();
    /// while let Some(records) = partitions.next().await {
    ///     let mut records = records?;
    ///     tokio::spawn(async move {
    ///         while let Some(record) = records.next().await {
    ///             println!("{:?}", record?.value);
    ///         }
    ///         Ok::<(), ottla::Error>(())
    ///     });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn partition_streams(&mut self) -> PartitionStreams<'_> {
        PartitionStreams::new(self)
    }

    /// What ends a wait for records from another task.
    pub fn wakeup_handle(&self) -> Wakeup {
        Wakeup(Arc::clone(&self.shared))
    }

    /// Adds partitions, each from a place to begin; those that are there are moved.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] after [`close`](Self::close);
    /// [`ErrorKind::InvalidInput`] for a name that no topic can have, or while topics are subscribed to. Nothing is assigned
    /// then.
    pub fn assign<P: Into<TopicPartition>>(
        &mut self,
        partitions: impl IntoIterator<Item = (P, Start)>,
    ) -> Result<()> {
        let partitions: Vec<_> =
            partitions.into_iter().map(|(partition, start)| (partition.into(), start)).collect();
        partitions
            .iter()
            .try_for_each(|(partition, _): &(TopicPartition, _)| check_name(&partition.topic))?;
        self.shared.redirect(|state| {
            if state.closed {
                return Err(Error::new(ErrorKind::Closed, "assign partitions to a consumer that was closed"));
            }
            if state.ties.as_ref().is_some_and(|ties| ties.is_subscribed()) {
                return Err(Error::new(ErrorKind::InvalidInput, "assign partitions")
                    .hint("the consumer is subscribed to topics, and its group assigns: unsubscribe first, or use another consumer"));
            }
            for (partition, start) in partitions {
                state.moved(&partition);
                state.cursors.assign(partition, start);
            }
            Ok(())
        })
    }

    /// Takes partitions away; what is queued of them is dropped, and their streams end.
    pub fn unassign<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        self.shared.redirect(|state| partitions.into_iter().for_each(|partition| state.unassign(partition)));
    }

    /// The partitions, in order.
    pub fn assigned(&self) -> Vec<TopicPartition> {
        self.shared.with(|state| state.cursors.assigned().cloned().collect())
    }

    /// Goes on from another place: nothing that was fetched before is handed out.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the partition is not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, start: Start) -> Result<()> {
        self.shared.seek(partition, start)
    }

    /// Hands out nothing of a partition until [`resume`](Self::resume); what is queued is kept, unless others need the room.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the partition is not assigned.
    pub fn pause(&mut self, partition: &TopicPartition) -> Result<()> {
        self.shared.redirect(|state| state.cursors.pause(partition))
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the partition is not assigned.
    pub fn resume(&mut self, partition: &TopicPartition) -> Result<()> {
        self.shared.redirect(|state| state.cursors.resume(partition))
    }

    /// The offset of the next record to be handed out; `None` until a broker has said where the beginning, the end or a
    /// time is.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the partition is not assigned.
    pub fn position(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        self.shared.with(|state| state.position(partition))
    }

    /// How many offsets are left until the end that the last answer told: the high watermark, or the last stable offset
    /// with `isolation.level=read_committed`. `None` before the first answer.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the partition is not assigned.
    pub fn lag(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        self.shared.with(|state| state.lag(partition))
    }

    /// What the consumer has done since it was made, and what it is doing now.
    pub fn metrics(&self) -> ConsumerMetrics {
        self.shared.with(|state| state.recorder.snapshot(state))
    }

    /// For each partition where it is, and why it is not being fetched when it is not: what to look at when nothing comes.
    /// It is printed a line each.
    pub fn explain(&self) -> Vec<PartitionReport> {
        let view = self.shared.cluster.view();
        self.shared.with(|state| report::reports(state, &view, task::now()))
    }

    /// Stops fetching, drops what is queued and ends all streams. A [`poll`](Self::poll) that comes later gives `None`. In a
    /// group what `poll` has handed out counts as done; what streams of single partitions have in hand is waited for; then
    /// it is committed if `enable.auto.commit` is on, the listener is told, and the group is left (not by a static member,
    /// `group.instance.id`). The brokers are told that nothing more will be asked.
    ///
    /// Takes `timeout` at most, and a moment more: whoever has not ended by then goes on in the background for a little while.
    ///
    /// # Errors
    /// Why the last commit failed; [`ErrorKind::Timeout`] when it took longer. The consumer is closed all the same.
    ///
    /// # Cancel safety
    /// Dropped or not, the consumer is closed in the background.
    pub async fn close(&mut self, timeout: Duration) -> Result<()> {
        let by = task::after(task::now(), timeout);
        self.shared.with(|state| state.hands.came_back(task::now()));
        self.shared.close(by);
        self.shared.ended(by).await
    }
}

impl Asks for Consumer {
    type Item = Result<Option<Batch>>;

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Self::Item> {
        let next = ready!(self.shared.poll_batch(cx, Taking::Batch))?;
        Poll::Ready(Ok(next.map(|(taken, _)| Batch::new(taken))))
    }

    fn stop_waiting(&mut self) {
        self.shared.stop_waiting();
    }
}

/// How long a consumer that was dropped may take to leave its group, as in the Java client.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

impl Drop for Consumer {
    /// As [`close`](Consumer::close) in the background, but what is in hand does not count as done.
    fn drop(&mut self) {
        self.shared.with(|state| state.hands.let_go());
        self.shared.close(task::after(task::now(), CLOSE_TIMEOUT));
    }
}
