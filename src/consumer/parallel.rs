//! [`Consumer::process`]: records side by side, in order by key or by partition.
//!
//! Each partition has a worker, which reads its stream and starts the handlers; what they have done it tells by the
//! [`Place`](super::hands::Place) of the stream, as the offset up to which nothing is left out. So committing, handing over
//! and `max.poll.interval.ms` are as with any stream.

use super::stream::PartitionStream;
use super::{Consumer, ConsumerRecord, TopicPartition};
use crate::error::Error;
use crate::task::Tasks;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt::{self, Debug, Display};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, watch};

/// More than that at once serves nobody.
const MOST: usize = 100_000;

/// How records are processed side by side: what stays in order, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parallel {
    order: Order,
    concurrency: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Key,
    Partition,
}

impl Parallel {
    /// Records of one key (and partition) one after the other; up to `concurrency` (1 to 100,000) at once in all. Records without
    /// a key have no order.
    pub fn by_key(concurrency: usize) -> Parallel {
        Parallel { order: Order::Key, concurrency: concurrency.clamp(1, MOST) }
    }

    /// Records of one partition one after the other; up to `concurrency` (1 to 100,000) partitions at once.
    pub fn by_partition(concurrency: usize) -> Parallel {
        Parallel { order: Order::Partition, concurrency: concurrency.clamp(1, MOST) }
    }
}

/// Why [`Consumer::process`] has ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProcessError<E> {
    /// What the consumer had to tell, as by [`Consumer::poll`].
    Consumer(Error),
    /// The handler has refused a record, which is not done.
    Handler {
        /// Where the record is from.
        partition: TopicPartition,
        /// Its offset.
        offset: i64,
        /// What the handler said.
        error: E,
    },
    /// The handler has panicked over a record, which is not done.
    Panicked {
        /// Where the record is from.
        partition: TopicPartition,
        /// Its offset.
        offset: i64,
    },
}

impl<E: Display> Display for ProcessError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessError::Consumer(error) => Display::fmt(error, f),
            ProcessError::Handler { partition, offset, error } => {
                write!(f, "the handler has refused offset {offset} of {partition}: {error}")
            }
            ProcessError::Panicked { partition, offset } => {
                write!(f, "the handler has panicked over offset {offset} of {partition}")
            }
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for ProcessError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ProcessError::Consumer(error) => Some(error),
            ProcessError::Handler { error, .. } => Some(error),
            ProcessError::Panicked { .. } => None,
        }
    }
}

impl Consumer {
    /// Gives each record to `handler`, many side by side, until the consumer is closed. What is committed (by itself, or by
    /// [`commit`](Self::commit)) of a partition goes up to the first record that is not done. A partition that is to be given
    /// to another member of the group waits for the records that were begun.
    ///
    /// ```no_run
    /// # async fn example(mut consumer: ottla::Consumer) -> Result<(), Box<dyn std::error::Error>> {
    /// use ottla::consumer::Parallel;
    ///
    /// consumer
    ///     .process(Parallel::by_key(64), |record| async move {
    ///         println!("{:?}", record.value);
    ///         Ok::<(), std::io::Error>(())
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The first record that the handler refuses or panics over, or what the consumer has to tell; what was begun is brought to
    /// its end before. The next call goes on with the first record that was not done.
    ///
    /// # Cancel safety
    /// Handlers that run are aborted when the future is dropped; their records are not done, and come again.
    pub async fn process<F, R, E>(&mut self, parallel: Parallel, handler: F) -> Result<(), ProcessError<E>>
    where
        F: Fn(ConsumerRecord) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Send + 'static,
    {
        let work =
            Arc::new(Work { parallel, permits: Arc::new(Semaphore::new(parallel.concurrency)), handler });
        let (stop, stopped) = watch::channel(false);
        let mut workers: Tasks<Result<(), ProcessError<E>>> = Tasks::new();
        let mut running = 0usize;
        let mut failed = None;
        let mut streams = self.partition_streams();
        let mut is_open = true;
        while is_open || running > 0 {
            tokio::select! {
                biased;
                ended = workers.next(), if running > 0 => {
                    running = running.saturating_sub(1);
                    failed = failed.or(ended.err());
                }
                stream = streams.next(), if is_open => match stream {
                    Some(Ok(stream)) => {
                        running = running.saturating_add(1);
                        let worker = Worker::new(stream.by_hand(), Arc::clone(&work), stopped.clone());
                        workers.spawn(worker.run());
                    }
                    Some(Err(error)) => failed = failed.or(Some(ProcessError::Consumer(error))),
                    None => is_open = false,
                },
            }
            if failed.is_some() {
                stop.send_replace(true);
                is_open = false;
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// What all workers share.
struct Work<F> {
    parallel: Parallel,
    permits: Arc<Semaphore>,
    handler: F,
}

/// Reads one partition.
struct Worker<F, E> {
    stream: PartitionStream,
    work: Arc<Work<F>>,
    stopped: watch::Receiver<bool>,
    handlers: Tasks<()>,
    ended: mpsc::Receiver<Ended<E>>,
    end: mpsc::Sender<Ended<E>>,
    /// Keys of which a record is being handled, and what waits behind it.
    lanes: HashMap<Option<Bytes>, VecDeque<ConsumerRecord>>,
    /// Offsets that were handed out and are not done.
    open: BTreeSet<i64>,
    running: usize,
}

/// A handler's end.
struct Ended<E> {
    offset: i64,
    lane: Option<Bytes>,
    /// `None` when it has panicked.
    outcome: Option<Result<(), E>>,
}

/// Tells of the handler's end, whatever that is.
struct Teller<E> {
    ended: Option<Ended<E>>,
    to: mpsc::Sender<Ended<E>>,
}

impl<E> Drop for Teller<E> {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            // There is room for all that may run; nobody listens once the worker is gone.
            let _ = self.to.try_send(ended);
        }
    }
}

impl<F, R, E> Worker<F, E>
where
    F: Fn(ConsumerRecord) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    fn new(stream: PartitionStream, work: Arc<Work<F>>, stopped: watch::Receiver<bool>) -> Worker<F, E> {
        let (end, ended) = mpsc::channel(work.most_open());
        let (lanes, open) = (HashMap::new(), BTreeSet::new());
        Worker { stream, work, stopped, handlers: Tasks::new(), ended, end, lanes, open, running: 0 }
    }

    async fn run(mut self) -> Result<(), ProcessError<E>> {
        let most = self.work.most_open();
        let mut failed = None;
        let mut is_over = false;
        loop {
            is_over |= *self.stopped.borrow() || failed.is_some();
            if is_over && self.running == 0 {
                return failed.map_or(Ok(()), Err);
            }
            tokio::select! {
                biased;
                Some(ended) = self.ended.recv() => failed = failed.or(self.finish(ended, is_over)),
                _ = self.stopped.changed(), if !is_over => {}
                next = self.stream.next(), if !is_over && self.open.len() < most => match next {
                    Some(Ok(record)) => self.begin(record),
                    Some(Err(error)) => failed = failed.or(Some(ProcessError::Consumer(error))),
                    // The partition is another one's: what waits is not begun any more.
                    None => is_over = true,
                },
            }
        }
    }

    fn begin(&mut self, record: ConsumerRecord) {
        self.open.insert(record.offset);
        let lane = match self.work.parallel.order {
            Order::Partition => Some(Bytes::new()),
            Order::Key => record.key.clone(),
        };
        if lane.is_none() {
            return self.start(record, None);
        }
        match self.lanes.get_mut(&lane) {
            Some(waiting) => waiting.push_back(record),
            None => {
                self.lanes.insert(lane.clone(), VecDeque::new());
                self.start(record, lane);
            }
        }
    }

    fn start(&mut self, record: ConsumerRecord, lane: Option<Bytes>) {
        self.running = self.running.saturating_add(1);
        let ended = Ended { offset: record.offset, lane, outcome: None };
        let mut teller = Teller { ended: Some(ended), to: self.end.clone() };
        let work = Arc::clone(&self.work);
        self.handlers.spawn(async move {
            let _permit = work.permits.acquire().await;
            let outcome = (work.handler)(record).await;
            if let Some(ended) = &mut teller.ended {
                ended.outcome = Some(outcome);
            }
        });
    }

    /// Notes a handler's end, and starts what has waited for it, unless it is over.
    fn finish(&mut self, ended: Ended<E>, is_over: bool) -> Option<ProcessError<E>> {
        self.running = self.running.saturating_sub(1);
        let Ended { offset, lane, outcome } = ended;
        let partition = || self.stream.topic_partition().clone();
        match outcome {
            Some(Ok(())) => {
                self.open.remove(&offset);
                self.stream.is_done(self.open.first().copied());
            }
            Some(Err(error)) => return Some(ProcessError::Handler { partition: partition(), offset, error }),
            None => return Some(ProcessError::Panicked { partition: partition(), offset }),
        }
        let waiting = lane.as_ref().and_then(|_| self.lanes.get_mut(&lane));
        match waiting.and_then(VecDeque::pop_front) {
            Some(next) if !is_over => self.start(next, lane),
            _ => drop(self.lanes.remove(&lane)),
        }
        None
    }
}

impl<F> Work<F> {
    /// How many records of a partition are open at most: a few more than can be begun, so that a key with many records does
    /// not keep others from beginning.
    fn most_open(&self) -> usize {
        self.parallel.concurrency.saturating_mul(4)
    }
}

impl<F> Debug for Work<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("parallel", &self.parallel).finish_non_exhaustive()
    }
}
