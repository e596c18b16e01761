//! [`Producer`]: sends records.
//!
//! `send` chooses a partition and encodes the record into that partition's open batch; that is all it does. What is sent
//! when, repeated or given up is decided in [`engine::batcher`](crate::engine::batcher); a task of the producer's
//! ([`sender`]) carries that out.
//!
//! May import `cluster`, `engine`, `records`, `messages`, `config`, `error`, `task`.

mod builder;
mod delivery;
#[cfg(feature = "json")]
mod json;
mod record;
mod sender;

pub use crate::engine::partitioner::{BuiltIn, Choice, Partitioner, Unplaced};
pub use builder::ProducerBuilder;
pub use delivery::{Delivered, Delivery};
pub use record::{IntoBytes, Record};

use crate::cluster::{Cluster, Needs};
use crate::config::ProducerConfig;
use crate::engine::batcher::{Batcher, Entry, Finished, Limits, Mark, Refused};
use crate::engine::retry::Backoff;
use crate::engine::view::View;
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::records::{Compression, Compressor, Header};
use crate::task;
use crate::wire::Text;
use delivery::Completion;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Sends records. Made by [`Client::producer`](crate::Client::producer); cheap to clone, and clones share batches, order
/// and buffer.
///
/// Records of one partition are written in the order of their `send` calls. With `enable.idempotence` (the default) each
/// is written once, however often it has to be sent.
///
/// When the last clone is dropped, what is queued is still sent in the background as long as the runtime lives;
/// [`flush`](Producer::flush) or [`close`](Producer::close) wait for it.
#[derive(Debug, Clone)]
pub struct Producer {
    shared: Arc<Shared>,
    /// Tells the sender when the last clone is gone.
    _last: Arc<LastClone>,
}

struct Shared {
    cluster: Cluster,
    config: ProducerConfig,
    partitioner: Arc<dyn Partitioner>,
    state: Mutex<State>,
    /// Tells the sender that there is something to do.
    wake: Notify,
    /// Tells those who wait for room, a flush or a close that batches have ended.
    progress: Notify,
    /// Nothing more will come: the sender ends when everything is done.
    closing: AtomicBool,
}

struct State {
    batcher: Batcher<Arc<Completion>>,
    view: View,
    rng: fastrand::Rng,
    wall: WallClock,
}

/// The time that records know, read once a millisecond: to read it for each record would be a tenth of what one costs.
#[derive(Debug, Default)]
struct WallClock {
    read: Option<Instant>,
    ms: i64,
}

impl WallClock {
    fn at(&mut self, now: Instant) -> i64 {
        let is_fresh = |read: Instant| now.saturating_duration_since(read) < Duration::from_millis(1);
        if !self.read.is_some_and(is_fresh) {
            (self.read, self.ms) = (Some(now), task::wall_ms());
        }
        self.ms
    }
}

#[derive(Debug)]
struct LastClone(Arc<Shared>);

impl Drop for LastClone {
    fn drop(&mut self) {
        self.0.closing.store(true, Ordering::Release);
        self.0.state().batcher.flush();
        self.0.wake.notify_one();
    }
}

impl Producer {
    fn start(
        cluster: Cluster,
        config: ProducerConfig,
        partitioner: Arc<dyn Partitioner>,
    ) -> Result<Producer> {
        if config.transactional_id.is_some() {
            return Err(Error::config("transactional.id is set, and this version has no transactions"));
        }
        compressor(&config)?;
        let state = State {
            batcher: Batcher::new(limits(&config, &cluster)),
            view: cluster.view(),
            rng: task::rng(),
            wall: WallClock::default(),
        };
        let shared = Arc::new(Shared {
            cluster,
            config,
            partitioner,
            state: Mutex::new(state),
            wake: Notify::new(),
            progress: Notify::new(),
            closing: AtomicBool::new(false),
        });
        shared.cluster.serve(&shared);
        task::spawn(sender::run(Arc::clone(&shared)));
        Ok(Producer { _last: Arc::new(LastClone(Arc::clone(&shared))), shared })
    }

    /// Queues a record. Waits, for `max.block.ms` at most, while the topic is not known or the buffer (`buffer.memory`) is
    /// full; otherwise it is ready at once. What comes back tells where the record was written: await it, keep it for
    /// later, or drop it.
    ///
    /// # Errors
    /// The record is not queued then, and surely not written:
    /// [`ErrorKind::RecordTooLarge`] with both sizes; [`ErrorKind::InvalidInput`] when the topic has no such partition;
    /// [`ErrorKind::Timeout`] when the topic did not become known, or the buffer did not become free, in time; what a
    /// broker says of the topic (TOPIC_AUTHORIZATION_FAILED, INVALID_TOPIC_EXCEPTION); [`ErrorKind::Closed`].
    ///
    /// # Cancel safety
    /// A future that is dropped before it was ready has not queued the record.
    pub async fn send(&self, record: Record) -> Result<Delivery> {
        // Nearly always there is room.
        match self.shared.append(&record) {
            Ok(delivery) => return Ok(delivery),
            Err(Obstacle::Final(error)) => return Err(error),
            Err(Obstacle::Full | Obstacle::Topic) => {}
        }
        let mut deadline = None;
        loop {
            // Registered before the attempt, so that what happens in between is not missed.
            let mut progress = pin!(self.shared.progress.notified());
            progress.as_mut().enable();
            let obstacle = match self.shared.append(&record) {
                Ok(delivery) => return Ok(delivery),
                Err(obstacle) => obstacle,
            };
            let now = task::now();
            let deadline = *deadline.get_or_insert_with(|| task::after(now, self.shared.config.max_block));
            match obstacle {
                Obstacle::Final(error) => return Err(error),
                Obstacle::Full => {
                    let late = || {
                        Error::new(ErrorKind::Timeout, "queue the record: the buffer is full")
                            .topic(record.topic())
                            .sent(Sent::Never)
                            .hint("brokers take records slower than they come (buffer.memory, max.block.ms)")
                    };
                    task::until(deadline, progress).await.ok_or_else(late)?;
                }
                Obstacle::Topic => {
                    let found = self.shared.cluster.topic(&record.topic, true, deadline).await;
                    let view = found.map_err(|error| error.sent(Sent::Never))?;
                    self.shared.learn(view, now);
                }
            }
        }
    }

    /// Queues a record without ever waiting.
    ///
    /// # Errors
    /// As [`send`](Self::send), but [`ErrorKind::QueueFull`] at once when the buffer is full, and
    /// UNKNOWN_TOPIC_OR_PARTITION when nothing is known of the topic yet: it is then looked up in the background.
    pub fn try_send(&self, record: Record) -> Result<Delivery> {
        self.shared.append(&record).map_err(|obstacle| {
            let error = match obstacle {
                Obstacle::Final(error) => error,
                Obstacle::Full => Error::from(Refused::Full).topic(record.topic()),
                Obstacle::Topic => {
                    let until = task::after(task::now(), self.shared.config.metadata_max_idle);
                    let name = record.topic.clone();
                    match self.shared.cluster.want_topics([name], true, until) {
                        Ok(()) => self.shared.cluster.ask_for_metadata(),
                        Err(error) => return error.sent(Sent::Never),
                    }
                    let code = crate::messages::ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                    Error::broker_code(code, "queue the record before the topic is known")
                        .topic(record.topic())
                }
            };
            error.sent(Sent::Never)
        })
    }

    /// Sends everything that was queued before this call at once, and waits until all of it is acknowledged or has
    /// failed; each delivery tells which. Takes `delivery.timeout.ms` and one request's time at most.
    ///
    /// # Errors
    /// None so far: what became of each record its delivery tells.
    ///
    /// # Cancel safety
    /// Dropping the future gives up waiting; records are sent all the same.
    pub async fn flush(&self) -> Result<()> {
        let mark = self.shared.state().batcher.flush();
        self.shared.wake.notify_one();
        self.shared.wait_for(mark).await;
        Ok(())
    }

    /// Takes no more records, sends what is queued, and waits for it until `timeout` is over. What is not acknowledged by
    /// then fails, so that every delivery is resolved when this returns.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] with the number of records that were given up.
    ///
    /// # Cancel safety
    /// Dropping the future gives up waiting; no more records are taken, those that are queued are sent all the same.
    pub async fn close(&self, timeout: Duration) -> Result<()> {
        let deadline = task::after(task::now(), timeout);
        let mark = self.shared.state().batcher.close();
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake.notify_one();
        if task::until(deadline, self.shared.wait_for(mark)).await.is_some() {
            return Ok(());
        }
        let mut state = self.shared.state();
        let left = state.batcher.records_before(mark);
        let error = Error::new(
            ErrorKind::Timeout,
            "close the producer: its time was over before the record was sent",
        );
        let finished = state.batcher.fail_all(&error);
        drop(state);
        self.shared.finish(finished);
        self.shared.wake.notify_one();
        match left {
            0 => Ok(()),
            left => Err(Error::new(
                ErrorKind::Timeout,
                format!("close the producer: {left} records were given up"),
            )),
        }
    }

    /// How many partitions a topic has, looked up if need be.
    ///
    /// # Errors
    /// What a broker says of the topic; a time-out after `max.block.ms`.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn partitions_for(&self, topic: &str) -> Result<i32> {
        let deadline = task::after(task::now(), self.shared.config.max_block);
        let view = self.shared.cluster.topic(&topic.into(), true, deadline).await?;
        Ok(view.topic(topic).map_or(0, |topic| topic.partition_count()))
    }
}

/// Why a record could not be appended.
enum Obstacle {
    /// The buffer is full: wait for progress.
    Full,
    /// The topic, or the partition that the record names, is not in the view.
    Topic,
    /// Nothing will help.
    Final(Error),
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No step leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, record: &Record) -> Result<Delivery, Obstacle> {
        let now = task::now();
        let mut state = self.state();
        let State { batcher, view, rng, wall } = &mut *state;
        let topic = batcher.topic(&record.topic, view, now).ok_or(Obstacle::Topic)?;
        let partition = match record.partition {
            Some(partition) => partition,
            None => {
                let (name, known) = batcher.known(topic).ok_or(Obstacle::Topic)?;
                let (key, value) = (record.key.as_deref(), record.value.as_deref());
                let count = known.partition_count();
                let unplaced = Unplaced::new(name, key, value, count, &known.available);
                let choice = self.partitioner.choose(&unplaced);
                let placed = batcher.place(topic, choice, now, rng);
                placed.ok_or_else(|| Obstacle::Final(no_place(record, choice, count)))?
            }
        };
        let timestamp = record.timestamp_ms.unwrap_or_else(|| wall.at(now));
        let entry = Entry {
            timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| Header { key: name.as_bytes(), value: value.as_deref() }),
        };
        let open = |name: &Arc<str>| Completion::new(Arc::clone(name), partition);
        let appended = match batcher.append(topic, partition, entry, now, open) {
            Ok(appended) => appended,
            Err(Refused::Full) => {
                // What is queued lingers no longer.
                self.wake.notify_one();
                return Err(Obstacle::Full);
            }
            Err(refused) => {
                let error = Error::from(refused).topic(record.topic()).partition(partition);
                return Err(Obstacle::Final(error.sent(Sent::Never)));
            }
        };
        let delivery = appended.completion.delivery(appended.index.unsigned_abs(), timestamp);
        if appended.wake {
            self.wake.notify_one();
        }
        Ok(delivery)
    }

    /// Takes over a view, if it is newer than the one that is known.
    fn learn(&self, view: View, now: Instant) {
        let mut state = self.state();
        if view.revision() < state.view.revision() {
            return;
        }
        state.batcher.update(&view, now);
        state.view = view;
    }

    /// Tells deliveries what became of their batches.
    fn finish(&self, finished: Vec<Finished<Arc<Completion>>>) {
        if finished.is_empty() {
            return;
        }
        for batch in finished {
            match batch.result {
                Ok(receipt) => {
                    batch.completion.written(receipt.base_offset.unwrap_or(-1), receipt.append_time_ms)
                }
                Err(rejection) if rejection.records.is_empty() => batch.completion.failed(rejection.error),
                Err(rejection) => {
                    let errors = rejection.records.into_iter().map(|(at, error)| (at.unsigned_abs(), error));
                    batch.completion.refused(errors.collect(), rejection.error);
                }
            }
        }
        self.progress.notify_waiters();
    }

    async fn wait_for(&self, mark: Mark) {
        loop {
            let mut progress = pin!(self.progress.notified());
            progress.as_mut().enable();
            if self.state().batcher.is_done(mark) {
                return;
            }
            progress.await;
        }
    }
}

impl Needs for Shared {
    fn topics(&self, now: Instant) -> Vec<(Text, bool)> {
        let topics = self.state().batcher.topics_in_use(now, self.config.metadata_max_idle);
        // They have been seen: who deletes one means it.
        topics.into_iter().map(|topic| (topic, false)).collect()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("config", &self.config).finish_non_exhaustive()
    }
}

fn no_place(record: &Record, choice: Choice, partitions: i32) -> Error {
    let attempt = match choice {
        Choice::Partition(chosen) => {
            format!("place the record: the partitioner chose {chosen}, and there are {partitions} partitions")
        }
        _ => "place the record: the topic has no partitions".to_owned(),
    };
    Error::new(ErrorKind::InvalidInput, attempt).topic(record.topic()).sent(Sent::Never)
}

fn limits(config: &ProducerConfig, cluster: &Cluster) -> Limits {
    let client = cluster.config();
    Limits {
        batch_size: config.batch_size,
        max_request_size: config.max_request_size,
        buffer_memory: config.buffer_memory,
        linger: config.linger,
        delivery_timeout: config.delivery_timeout,
        max_in_flight_requests: config.max_in_flight,
        max_in_flight_batches: config.max_in_flight,
        retries: config.retries,
        backoff: Backoff { base: client.retry_backoff, max: client.retry_backoff_max },
        idempotent: config.enable_idempotence,
        adaptive: config.partitioner_adaptive,
        availability_timeout: config.partitioner_availability_timeout,
        ..Limits::default()
    }
}

/// What compresses batches, as the settings say.
fn compressor(config: &ProducerConfig) -> Result<Compressor> {
    use crate::config::CompressionType;
    let (codec, level) = match config.compression {
        CompressionType::None => (Compression::None, None),
        CompressionType::Gzip => (Compression::Gzip, config.gzip_level),
        CompressionType::Snappy => (Compression::Snappy, None),
        CompressionType::Lz4 => (Compression::Lz4, Some(config.lz4_level)),
        CompressionType::Zstd => (Compression::Zstd, Some(config.zstd_level)),
    };
    Compressor::new(codec, level).map_err(|error| Error::config("compression.type").source(error))
}
