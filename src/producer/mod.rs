//! [`Producer`]: sends records.
//!
//! ```text
//! send ─► queue::append: partitioner, then the record is encoded into its partition's open batch
//!           └► sender: takes what is ready for each broker ─► codecs: compresses ─► one request ─► answer
//!                └► queue::finish: the batch's Completion settles, and with it each record's Delivery
//! ```
//!
//! What is sent when, repeated or given up is decided in [`engine::batcher`](crate::engine::batcher), without I/O.
//!
//! May import `cluster`, `engine`, `records`, `messages`, `config`, `error`, `task`.

mod builder;
mod carrier;
mod codecs;
mod delivery;
#[cfg(feature = "json")]
mod json;
mod metrics;
mod queue;
mod record;
mod sender;
mod topic_name;

pub use crate::engine::partitioner::{BuiltIn, Choice, Partitioner, Unplaced};
pub use builder::ProducerBuilder;
pub use delivery::{Delivered, Delivery};
pub use metrics::ProducerMetrics;
pub use record::{IntoBytes, Record};

use crate::cluster::{Cluster, Needs};
use crate::config::ProducerConfig;
use crate::engine::batcher::{Batcher, Limits, Mark, Refused};
use crate::engine::retry::Backoff;
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::task::{self, CoarseClock};
use crate::wire::Text;
use codecs::Codecs;
use metrics::Recorder;
use queue::{Chooser, Obstacle, State};
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
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
    codecs: Codecs,
    chooser: Chooser,
    state: Mutex<State>,
    /// Tells the sender that there is something to do.
    wake: Notify,
    /// Tells those who wait for room, a flush or a close that batches have ended.
    progress: Notify,
    /// Who waits for room: one after the other, in the order in which they came.
    turn: tokio::sync::Mutex<()>,
    /// How many wait for room. Nobody overtakes them.
    waiting: AtomicUsize,
    /// How many batches have settled, and not everybody was told.
    telling: AtomicUsize,
    /// A first record waits for its topic: a producer id will be wanted.
    starting: AtomicBool,
    /// Nothing more will come: the sender ends when everything is done.
    closing: AtomicBool,
    /// Counts calls of `send`, not to the last one.
    calls: AtomicU32,
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
    fn start(cluster: Cluster, config: ProducerConfig, chooser: Chooser, codecs: Codecs) -> Result<Producer> {
        if config.transactional_id.is_some() {
            return Err(Error::config("transactional.id is set, and this version has no transactions"));
        }
        let state = State {
            batcher: Batcher::new(limits(&config, &cluster)),
            view: cluster.view(),
            rng: task::rng(),
            clock: CoarseClock::new(),
            recorder: Recorder::default(),
        };
        let shared = Arc::new(Shared {
            cluster,
            config,
            codecs,
            chooser,
            state: Mutex::new(state),
            wake: Notify::new(),
            progress: Notify::new(),
            turn: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
            telling: AtomicUsize::new(0),
            starting: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            calls: AtomicU32::new(0),
        });
        shared.cluster.serve(&shared);
        task::spawn(sender::run(sender::Ending(Arc::clone(&shared))));
        Ok(Producer { _last: Arc::new(LastClone(Arc::clone(&shared))), shared })
    }

    /// Queues a record. Waits, for `max.block.ms` at most, while the topic (or the partition that the record names) is not
    /// known or the buffer (`buffer.memory`) is full; otherwise it waits for nothing but the task's turn on the runtime (every
    /// thousand small records or hundred large ones). What comes back tells where the record
    /// was written: await it, keep it for later, hand it to a [callback](Delivery::then), or drop it.
    ///
    /// Who waits for room gets it in the order of the calls.
    ///
    /// # Errors
    /// The record is not queued then, and surely not written:
    /// [`ErrorKind::RecordTooLarge`] with both sizes; [`ErrorKind::InvalidInput`] when the record cannot be said (a
    /// timestamp before 1970) or the partitioner chose a partition that is not there; [`ErrorKind::Timeout`] when the
    /// topic or partition did not become known, or the buffer did not become free, in time; what a broker says of the
    /// topic (TOPIC_AUTHORIZATION_FAILED, INVALID_TOPIC_EXCEPTION); [`ErrorKind::Closed`].
    ///
    /// # Cancel safety
    /// A future that is dropped before it was ready has not queued the record.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` moves the record once more, into the body")]
    pub fn send(&self, record: Record) -> impl Future<Output = Result<Delivery>> + Send {
        async move {
            // Who sends in a loop would never be pending: on a runtime of one thread nothing would leave before the buffer is
            // full. All that the task does shares one budget, so that its records keep their order.
            if self.shared.is_to_take_part(&record) {
                task::take_part().await;
            }
            // Nearly always there is room.
            if self.shared.waiting.load(Ordering::Relaxed) == 0 {
                match self.shared.append_in_place(&record) {
                    Ok(delivery) => return Ok(delivery),
                    Err(Obstacle::Final(error)) => return Err(error),
                    Err(Obstacle::Full | Obstacle::Topic | Obstacle::Partition(_)) => {}
                }
            }
            self.shared.send_later(&record).await
        }
    }

    /// Queues a record without ever waiting.
    ///
    /// # Errors
    /// As [`send`](Self::send), but [`ErrorKind::QueueFull`] at once when the buffer is full or others wait for room, and
    /// UNKNOWN_TOPIC_OR_PARTITION when nothing is known of the topic or partition yet: it is then looked up in the
    /// background.
    pub fn try_send(&self, record: Record) -> Result<Delivery> {
        let full = || Error::from(Refused::Full).topic(record.topic()).sent(Sent::Never);
        if self.shared.waiting.load(Ordering::Relaxed) > 0 {
            return Err(full());
        }
        let error = match self.shared.append(&record) {
            Ok(delivery) => return Ok(delivery),
            Err(Obstacle::Final(error)) => return Err(error),
            Err(Obstacle::Full) => return Err(full()),
            Err(Obstacle::Partition(count)) => {
                self.shared.cluster.ask_for_metadata();
                let attempt =
                    format!("queue the record: the topic has {count} partitions as far as is known");
                Error::broker_code(crate::messages::ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, attempt)
            }
            Err(Obstacle::Topic) => {
                let until = task::after(task::now(), self.shared.config.metadata_max_idle);
                match self.shared.cluster.want_topics([record.topic().into()], true, until) {
                    Ok(()) => self.shared.cluster.ask_for_metadata(),
                    Err(error) => return Err(error.sent(Sent::Never)),
                }
                let code = crate::messages::ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                Error::broker_code(code, "queue the record before the topic is known")
            }
        };
        let error = error.topic(record.topic());
        Err(record.partition.into_iter().fold(error, Error::partition).sent(Sent::Never))
    }

    /// Sends everything that was queued before this call at once, and waits until all of it is acknowledged or has
    /// failed; each delivery tells which, as soon as this returns. Takes `delivery.timeout.ms` and one request's time at
    /// most.
    ///
    /// # Errors
    /// None so far: what became of each record its delivery tells.
    ///
    /// # Cancel safety
    /// Dropping the future gives up waiting; records are sent all the same.
    pub async fn flush(&self) -> Result<()> {
        let mark = self.shared.flush();
        self.shared.wait_for(mark).await;
        Ok(())
    }

    /// As [`flush`](Self::flush), but waits for no longer than `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::Undelivered`] with the number of records that were queued before the call and are neither acknowledged
    /// nor failed. They go on being sent.
    ///
    /// # Cancel safety
    /// As [`flush`](Self::flush).
    pub async fn flush_within(&self, timeout: Duration) -> Result<()> {
        let deadline = task::after(task::now(), timeout);
        let mark = self.shared.flush();
        if task::until(deadline, self.shared.wait_for(mark)).await.is_some() {
            return Ok(());
        }
        match self.shared.state().batcher.records_before(mark) {
            0 => Ok(()),
            records => Err(Error::new(ErrorKind::Undelivered { records }, "flush the producer in time")),
        }
    }

    /// Takes no more records, sends what is queued, and waits for it until `timeout` is over. What is not acknowledged by
    /// then fails, so that every delivery is resolved when this returns. Calls of [`send`](Self::send) that wait fail with
    /// [`ErrorKind::Closed`].
    ///
    /// # Errors
    /// [`ErrorKind::Undelivered`] with the number of records that were given up.
    ///
    /// # Cancel safety
    /// Dropping the future gives up waiting; no more records are taken, those that are queued are sent all the same.
    pub async fn close(&self, timeout: Duration) -> Result<()> {
        let deadline = task::after(task::now(), timeout);
        let mark = self.shared.state().batcher.close();
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake.notify_one();
        self.shared.progress.notify_waiters();
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
        self.shared.finish(state, finished, task::now());
        self.shared.wake.notify_one();
        match left {
            0 => Ok(()),
            records => Err(Error::new(ErrorKind::Undelivered { records }, "close the producer in time")),
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
        // Whoever asked can `try_send` now.
        self.shared.learn(view.clone(), task::now());
        Ok(view.topic(topic).map_or(0, |topic| topic.partition_count()))
    }

    /// What the producer has done since it was made, and what it is doing now.
    pub fn metrics(&self) -> ProducerMetrics {
        let state = self.shared.state();
        state.recorder.snapshot(&state.batcher, self.shared.waiting.load(Ordering::Relaxed))
    }
}

impl Shared {
    /// Whether a call of `send` takes of the task's share of the runtime: one of eight where records are small, because to
    /// take of it costs a twentieth of sending one. Where nothing is left of it, each of them: none overtakes another that waits
    /// for the next share.
    #[inline]
    fn is_to_take_part(&self, record: &Record) -> bool {
        let is_large = record.value.as_ref().is_some_and(|value| value.len() >= LARGE);
        // No more than a hint: calls at the same time may count as one.
        let calls = self.calls.load(Ordering::Relaxed).wrapping_add(1);
        self.calls.store(calls, Ordering::Relaxed);
        is_large || calls.is_multiple_of(8) || !task::has_part_left()
    }

    fn flush(&self) -> Mark {
        let mark = self.state().batcher.flush();
        self.wake.notify_one();
        mark
    }

    /// Queues a record that could not be queued at once.
    async fn send_later(&self, record: &Record) -> Result<Delivery> {
        let deadline = task::after(task::now(), self.config.max_block);
        let late = |attempt: String| {
            let error = Error::new(ErrorKind::Timeout, attempt).topic(record.topic());
            record.partition.into_iter().fold(error, Error::partition).sent(Sent::Never)
        };
        // Whoever came before waits first; in front of the buffer, not in front of what is not known of a topic.
        let mut place = self.waiting.load(Ordering::Relaxed).gt(&0).then(|| Place::take(&self.waiting));
        loop {
            let turn = match &place {
                Some(_) => task::until(deadline, self.turn.lock()).await,
                None => None,
            };
            let (mut views, obstacle) = loop {
                // Before the attempt, so that what happens in between is not missed.
                let mut progress = pin!(self.progress.notified());
                progress.as_mut().enable();
                let mut views = self.cluster.views();
                views.borrow_and_update();
                match self.append(record) {
                    Ok(delivery) => return Ok(delivery),
                    Err(Obstacle::Full) if turn.is_some() => {
                        if task::now() >= deadline {
                            return Err(late("queue the record: the buffer is full".to_owned()).hint(SLOW));
                        }
                        // Room comes with the end of a batch, and with time as well: batches stop growing.
                        let again = task::after(task::now(), LOOK_AGAIN).min(deadline);
                        let _ = task::until(again, progress).await;
                    }
                    Err(obstacle) => break (views, obstacle),
                }
            };
            drop(turn);
            match obstacle {
                Obstacle::Final(error) => return Err(error),
                Obstacle::Full if place.is_some() => {
                    return Err(
                        late("queue the record: others wait for room before it".to_owned()).hint(SLOW)
                    );
                }
                Obstacle::Full => place = Some(Place::take(&self.waiting)),
                Obstacle::Topic => {
                    place = None;
                    // The first record will need it: asked for beside the metadata, it costs no round trip of its own.
                    self.starting.store(true, Ordering::Relaxed);
                    self.wake.notify_one();
                    let name = record.topic().into();
                    let found = tokio::select! {
                        biased;
                        () = self.until_closed() => continue,
                        found = self.cluster.topic(&name, true, deadline) => found,
                    };
                    let view = found.map_err(|error| error.sent(Sent::Never))?;
                    self.learn(view, task::now());
                }
                Obstacle::Partition(count) => {
                    place = None;
                    if task::now() >= deadline {
                        return Err(late(format!("find the partition: the topic has {count} partitions")));
                    }
                    // New ones are not known to every broker at once (Java asks until `max.block.ms` is over as well).
                    self.cluster.ask_for_metadata();
                    let again =
                        task::after(task::now(), self.cluster.config().retry_backoff_max).min(deadline);
                    if task::until(again, views.changed()).await.is_some() {
                        self.learn(self.cluster.view(), task::now());
                    }
                }
            }
        }
    }
}

/// Copying a value of this length takes so long that others would wait too long for eight times as many of them.
const LARGE: usize = 2_048;
/// How often who waits for room looks without being told to.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const SLOW: &str = "brokers take records slower than they come (buffer.memory, max.block.ms)";

/// A place in the queue for room, for as long as it is kept.
struct Place<'a>(&'a AtomicUsize);

impl Place<'_> {
    fn take(waiting: &AtomicUsize) -> Place<'_> {
        waiting.fetch_add(1, Ordering::Relaxed);
        Place(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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

#[cfg(test)]
mod tests;
