//! [`Consumer`]: reads records from partitions that it was assigned.
//!
//! What to ask and what answers mean is decided in [`engine::cursor`](crate::engine::cursor); a task of its own
//! ([`fetcher`]) carries that out; [`Consumer::poll`] hands out what is queued.
//!
//! May import `cluster`, `engine`, `records`, `messages`, `config`, `error`, `task`.

mod batch;
mod builder;
mod fetcher;
mod offsets;

pub use crate::engine::TopicPartition;
pub use crate::engine::cursor::Start;
pub use crate::records::{Header, Headers, OwnedHeader, OwnedRecord, TimestampType};
pub use batch::{Batch, BatchIter, FetchedRecord};
pub use builder::ConsumerBuilder;

use crate::cluster::{Cluster, Needs, check_name};
use crate::engine::cursor::Cursors;
use crate::error::{Error, ErrorKind, Result};
use crate::task::{self, Owned};
use crate::wire::Text;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Reads records. Made by [`Client::consumer`](crate::Client::consumer).
///
/// Records are fetched ahead in the background, from each broker on its own, up to `queued.max.messages.kbytes`. Dropping
/// the consumer stops that at once.
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
    fetcher: Option<Owned>,
}

#[derive(Debug)]
struct Shared {
    cluster: Cluster,
    cursors: Mutex<Cursors>,
    /// Tells the fetcher that there is something to plan.
    wake: Notify,
    /// Tells `poll` that there is something to hand out.
    ready: Notify,
    closed: AtomicBool,
    timeout: Duration,
    read_committed: bool,
    create_topics: bool,
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
    /// decompressed; OFFSET_OUT_OF_RANGE when `auto.offset.reset` is `none`; what brokers refuse for good, as
    /// TOPIC_AUTHORIZATION_FAILED. What passes by itself (a leader that moves, a broker that is down) is not told: the
    /// consumer waits and goes on.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped: a batch is handed out or stays.
    pub async fn poll(&mut self) -> Result<Option<Batch>> {
        loop {
            let mut ready = pin!(self.shared.ready.notified());
            ready.as_mut().enable();
            if self.shared.closed.load(Ordering::Acquire) {
                return Ok(None);
            }
            let (next, is_unplanned) = {
                let mut cursors = self.shared.cursors();
                (cursors.next_batch(task::now()), cursors.is_unplanned())
            };
            if is_unplanned {
                self.shared.wake.notify_one();
            }
            if let Some(next) = next {
                return next.map(|batch| Some(Batch::new(batch)));
            }
            ready.await;
        }
    }

    /// Adds partitions, each from a place to begin; those that are there are moved.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] after [`close`](Self::close);
    /// [`ErrorKind::InvalidInput`] for a name that no topic can have. Nothing is assigned then.
    pub fn assign<P: Into<TopicPartition>>(
        &mut self,
        partitions: impl IntoIterator<Item = (P, Start)>,
    ) -> Result<()> {
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "assign partitions to a consumer that was closed"));
        }
        let partitions: Vec<_> =
            partitions.into_iter().map(|(partition, start)| (partition.into(), start)).collect();
        partitions
            .iter()
            .try_for_each(|(partition, _): &(TopicPartition, _)| check_name(&partition.topic))?;
        let mut cursors = self.shared.cursors();
        for (partition, start) in partitions {
            cursors.assign(partition, start);
        }
        drop(cursors);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Takes partitions away; what is queued of them is dropped.
    pub fn unassign<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        let mut cursors = self.shared.cursors();
        for partition in partitions {
            cursors.unassign(partition);
        }
        drop(cursors);
        // There is room in the queue for others.
        self.shared.wake.notify_one();
    }

    /// The partitions, in order.
    pub fn assigned(&self) -> Vec<TopicPartition> {
        self.shared.cursors().assigned().cloned().collect()
    }

    /// Goes on from another place: nothing that was fetched before is handed out.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the partition is not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, start: Start) -> Result<()> {
        self.shared.cursors().seek(partition, start)?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Hands out nothing of a partition until [`resume`](Self::resume); what is queued is kept.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the partition is not assigned.
    pub fn pause(&mut self, partition: &TopicPartition) -> Result<()> {
        self.shared.cursors().pause(partition)
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the partition is not assigned.
    pub fn resume(&mut self, partition: &TopicPartition) -> Result<()> {
        self.shared.cursors().resume(partition)?;
        self.shared.wake.notify_one();
        self.shared.ready.notify_waiters();
        Ok(())
    }

    /// The offset of the next record to be handed out; `None` until a broker has said where the beginning, the end or a
    /// time is.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the partition is not assigned.
    pub fn position(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        self.shared.cursors().position(partition)
    }

    /// How many offsets are left until the end that the last answer told: the high watermark, or the last stable offset
    /// with `isolation.level=read_committed`. `None` before the first answer.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the partition is not assigned.
    pub fn lag(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        self.shared.cursors().lag(partition)
    }

    /// Stops fetching and drops what is queued. A [`poll`](Self::poll) that comes later gives `None`.
    pub fn close(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.fetcher = None;
        self.shared.ready.notify_waiters();
    }
}

impl Needs for Shared {
    fn topics(&self, _: Instant) -> Vec<(Text, bool)> {
        if self.closed.load(Ordering::Acquire) {
            return Vec::new();
        }
        let cursors = self.cursors();
        let mut topics: Vec<Text> = cursors.assigned().map(|partition| partition.topic.clone()).collect();
        topics.dedup();
        topics.into_iter().map(|topic| (topic, self.create_topics)).collect()
    }
}

impl Shared {
    fn cursors(&self) -> MutexGuard<'_, Cursors> {
        // No step leaves the cursors half changed.
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
