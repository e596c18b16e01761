//! What a consumer, its fetcher and its streams share, and who is woken when.

use crate::cluster::{Cluster, Needs};
use crate::consumer::metrics::Recorder;
use crate::engine::TopicPartition;
use crate::engine::cursor::{Cursors, FetchedBatch};
use crate::error::{Error, ErrorKind, Result};
use crate::messages::BrokerId;
use crate::task;
use crate::wire::Text;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) cluster: Cluster,
    state: Mutex<State>,
    /// Tells the fetcher that there is something to plan, or that it is to end.
    pub(super) plan: Notify,
    /// Counts what streams have to look at before they hand out another record: seeks, pauses, partitions that are gone.
    moves: AtomicU64,
    pub(super) timeout: Duration,
    /// How long ending a session may take.
    pub(super) patience: Duration,
    pub(super) read_committed: bool,
    pub(super) create_topics: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) cursors: Cursors,
    pub(super) recorder: Recorder,
    /// Brokers with a Fetch request under way.
    pub(super) fetching: BTreeSet<BrokerId>,
    /// Brokers with a ListOffsets request under way.
    pub(super) resetting: BTreeSet<BrokerId>,
    pub(super) closed: bool,
    /// [`Wakeup::wakeup`](super::Wakeup::wakeup) was called, and `poll` has not told yet.
    woken: bool,
    /// Who waits in `poll`.
    reader: Option<Waker>,
    streams: BTreeMap<TopicPartition, Listener>,
    next_stream: u64,
    /// Whom to wake as soon as the lock is free, beside those for whom there is something new.
    waking: Vec<Waker>,
}

/// The stream of a partition.
#[derive(Debug)]
struct Listener {
    id: u64,
    waker: Option<Waker>,
    place: Place,
}

/// The offset that a stream hands out next, -1 as long as the cursor knows better. A seek puts another one in its place, so
/// that what a stream says of an earlier one is not heard.
pub(super) type Place = Arc<AtomicI64>;

fn unknown() -> Place {
    Arc::new(AtomicI64::new(-1))
}

impl Shared {
    /// With the rest to be filled in.
    pub(super) fn new(cluster: Cluster, cursors: Cursors) -> Shared {
        let state = State {
            cursors,
            recorder: Recorder::default(),
            fetching: BTreeSet::new(),
            resetting: BTreeSet::new(),
            closed: false,
            woken: false,
            reader: None,
            streams: BTreeMap::new(),
            next_stream: 0,
            waking: Vec::new(),
        };
        Shared {
            cluster,
            state: Mutex::new(state),
            plan: Notify::new(),
            moves: AtomicU64::new(0),
            timeout: Duration::ZERO,
            patience: Duration::ZERO,
            read_committed: false,
            create_topics: false,
        }
    }

    /// Looks at the state or changes it; then wakes everybody for whom there is something.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // No step leaves the state half changed.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut state);
        let waking = state.due();
        drop(state);
        waking.into_iter().for_each(Waker::wake);
        result
    }

    /// As [`with`](Self::with), for those who take batches: the fetcher plans anew if that makes a difference.
    fn take<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let (result, is_unplanned) = self.with(|state| (work(state), state.cursors.is_unplanned()));
        if is_unplanned {
            self.plan.notify_one();
        }
        result
    }

    /// Changes what is read, and from where: the fetcher plans anew, and streams look before they go on.
    pub(super) fn redirect<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let result = self.with(|state| {
            // While the lock is held: who sees the new number sees the change.
            self.moves.fetch_add(1, Ordering::Relaxed);
            work(state)
        });
        self.plan.notify_one();
        result
    }

    /// Changes whenever a stream has to look whether what it has may still be handed out.
    pub(super) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }

    /// The next batch for `poll`; `None` when the consumer was closed.
    pub(super) fn poll_batch(&self, cx: &Context<'_>) -> Poll<Result<Option<FetchedBatch>>> {
        self.take(|state| {
            if state.closed {
                return Poll::Ready(Ok(None));
            }
            if std::mem::take(&mut state.woken) {
                return Poll::Ready(Err(Error::new(ErrorKind::Wakeup, "wait for records")));
            }
            match state.cursors.next_batch(task::now()) {
                Some(next) => {
                    state.recorder.handed_out(&next);
                    Poll::Ready(next.map(Some))
                }
                None => {
                    state.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    }

    /// Gives back what was not handed out of a batch.
    pub(super) fn put_back(&self, rest: FetchedBatch) {
        self.with(|state| {
            state.moved(&rest.partition);
            state.cursors.put_back(rest);
        });
    }

    /// Whether what was taken of a partition may still be handed out, and may be now.
    pub(super) fn may_go_on(&self, taken: &FetchedBatch) -> Option<bool> {
        self.with(|state| if state.closed { None } else { state.cursors.may_go_on(taken) })
    }

    pub(super) fn wakeup(&self) {
        self.with(|state| state.woken = true);
    }

    /// Ends everything; the fetcher says goodbye to the brokers.
    pub(super) fn close(&self) {
        self.redirect(|state| state.closed = true);
    }

    /// Registers the one stream of a partition.
    pub(super) fn add_stream(&self, partition: &TopicPartition) -> Result<u64> {
        self.redirect(|state| {
            if state.closed {
                let attempt = "read a partition of a consumer that was closed";
                return Err(Error::new(ErrorKind::Closed, attempt));
            }
            if !state.cursors.split(partition)? {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "read a partition that has a stream already",
                )
                .topic(partition.topic.as_str())
                .partition(partition.partition));
            }
            let id = state.next_stream;
            state.next_stream = id.wrapping_add(1);
            state.streams.insert(partition.clone(), Listener { id, waker: None, place: unknown() });
            Ok(id)
        })
    }

    pub(super) fn remove_stream(&self, partition: &TopicPartition, id: u64) {
        self.redirect(|state| {
            if state.streams.get(partition).is_some_and(|stream| stream.id == id) {
                state.streams.remove(partition);
                state.cursors.join(partition);
            }
        });
    }

    /// The next batch for the stream of a partition, and where the stream is to say how far it is; `None` when the partition
    /// was taken away or the consumer was closed.
    pub(super) fn poll_batch_of(
        &self,
        partition: &TopicPartition,
        id: u64,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<(FetchedBatch, Place)>>> {
        self.take(|state| {
            let stream = state.streams.get_mut(partition).filter(|stream| stream.id == id);
            let Some(stream) = stream.filter(|_| !state.closed) else { return Poll::Ready(Ok(None)) };
            match state.cursors.next_batch_of(partition, task::now()) {
                Some(next) => {
                    state.recorder.handed_out(&next);
                    Poll::Ready(next.map(|taken| {
                        // None of its records was handed out yet.
                        stream.place.store(taken.from, Ordering::Relaxed);
                        Some((taken, Arc::clone(&stream.place)))
                    }))
                }
                None => {
                    stream.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    }
}

impl State {
    /// Takes partitions away, with their streams.
    pub(super) fn unassign(&mut self, partition: &TopicPartition) {
        self.cursors.unassign(partition);
        let stream = self.streams.remove(partition);
        self.waking.extend(stream.and_then(|stream| stream.waker));
    }

    /// What a stream said of a partition no longer counts.
    pub(super) fn moved(&mut self, partition: &TopicPartition) {
        if let Some(stream) = self.streams.get_mut(partition) {
            stream.place = unknown();
        }
    }

    /// The next offset that the application gets.
    pub(super) fn position(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        let known = self.cursors.position(partition)?;
        let place = self.streams.get(partition).map(|stream| stream.place.load(Ordering::Relaxed));
        Ok(place.filter(|at| *at >= 0).or(known))
    }

    /// How many offsets are left to the end.
    pub(super) fn lag(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        let (position, end) = (self.position(partition)?, self.cursors.end(partition)?);
        Ok(position.zip(end).map(|(position, end)| end.saturating_sub(position).max(0)))
    }

    /// Those for whom there is something.
    fn due(&mut self) -> Vec<Waker> {
        let mut due = std::mem::take(&mut self.waking);
        if self.reader.is_some() && (self.closed || self.woken || self.cursors.has_batches()) {
            due.extend(self.reader.take());
        }
        for partition in self.cursors.take_news() {
            due.extend(self.streams.get_mut(&partition).and_then(|stream| stream.waker.take()));
        }
        if self.closed {
            due.extend(self.streams.values_mut().filter_map(|stream| stream.waker.take()));
        }
        due
    }
}

impl Needs for Shared {
    fn topics(&self, _: Instant) -> Vec<(Text, bool)> {
        self.with(|state| {
            if state.closed {
                return Vec::new();
            }
            let mut topics: Vec<Text> =
                state.cursors.assigned().map(|partition| partition.topic.clone()).collect();
            topics.dedup();
            topics.into_iter().map(|topic| (topic, self.create_topics)).collect()
        })
    }
}
