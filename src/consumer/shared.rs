//! What a consumer, its tasks and its streams share, and who is woken when.

use super::group::ties::Ties;
use super::hands::{Hands, Place, Pulse};
use super::listener::Listener;
use crate::cluster::{Cluster, Needs};
use crate::consumer::metrics::Recorder;
use crate::engine::TopicPartition;
use crate::engine::cursor::{Cursors, FetchedBatch, Start};
use crate::error::{Error, ErrorKind, Result};
use crate::messages::BrokerId;
use crate::task;
use crate::wire::Text;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) cluster: Cluster,
    state: Mutex<State>,
    /// Tells the fetcher that there is something to plan, or that it is to end.
    pub(super) plan: Notify,
    /// Tells the membership that there is something to do for the group.
    pub(super) ask_group: Notify,
    /// Tells whoever waits for the application or for the group that something has changed.
    pub(super) stir: Notify,
    /// Counts what streams have to look at before they hand out another record: seeks, pauses, partitions that are gone.
    moves: AtomicU64,
    born: Instant,
    /// Until when the group surely keeps the partitions for this member, in milliseconds after `born`: what streams look at
    /// before each record. The largest number when there is no such time.
    lease: AtomicU64,
    /// How many tasks of the consumer's are still there.
    pub(super) tasks: watch::Sender<usize>,
    pub(super) listener: Option<Listener>,
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
    /// What the application has of all partitions.
    pub(super) hands: Hands,
    /// What ties the consumer to its group; `None` without `group.id`.
    pub(super) ties: Option<Box<Ties>>,
    /// [`Wakeup::wakeup`](super::Wakeup::wakeup) was called, and `poll` has not told yet.
    woken: bool,
    /// Who waits in `poll`.
    reader: Option<Asker>,
    streams: BTreeMap<TopicPartition, Stream>,
    next_stream: u64,
    /// Whom to wake as soon as the lock is free, beside those for whom there is something new.
    waking: Vec<Waker>,
}

/// Who waits in `poll`, and for what.
#[derive(Debug)]
struct Asker {
    waker: Waker,
    /// For a partition that has no stream, rather than for a batch.
    for_partition: bool,
}

/// What is taken of a batch at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taking {
    /// All of it.
    Batch,
    /// One record after the other.
    Records,
}

/// Those for whom there is something; woken when it is dropped.
#[must_use]
pub(super) struct Waking(Vec<Waker>);

impl Drop for Waking {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

/// The stream of a partition.
#[derive(Debug)]
struct Stream {
    id: u64,
    waker: Option<Waker>,
    place: Place,
    pulse: Pulse,
    /// What is done of it is said by its reader.
    by_hand: bool,
}

impl Shared {
    /// With the rest to be filled in.
    pub(super) fn new(cluster: Cluster, cursors: Cursors, ties: Option<Ties>) -> Shared {
        let state = State {
            cursors,
            recorder: Recorder::default(),
            fetching: BTreeSet::new(),
            resetting: BTreeSet::new(),
            closed: false,
            hands: Hands::new(task::now()),
            ties: ties.map(Box::new),
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
            ask_group: Notify::new(),
            stir: Notify::new(),
            moves: AtomicU64::new(0),
            born: task::now(),
            lease: AtomicU64::new(u64::MAX),
            tasks: watch::Sender::new(0),
            listener: None,
            timeout: Duration::ZERO,
            patience: Duration::ZERO,
            read_committed: false,
            create_topics: false,
        }
    }

    /// Looks at the state or changes it; then wakes everybody for whom there is something.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let (result, waking) = self.with_waking(work);
        drop(waking);
        result
    }

    /// The same for who wakes them later.
    pub(super) fn with_waking<T>(&self, work: impl FnOnce(&mut State) -> T) -> (T, Waking) {
        // No step leaves the state half changed.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut state);
        let waking = state.due();
        (result, Waking(waking))
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
            self.is_moved();
            work(state)
        });
        self.plan.notify_one();
        result
    }

    /// While the lock is held: who sees the new number sees the change.
    fn is_moved(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// Until when streams may hand out records without asking whether they may.
    #[inline]
    pub(super) fn lease(&self) -> Option<Instant> {
        let lease = self.lease.load(Ordering::Relaxed);
        (lease < u64::MAX).then(|| task::after(self.born, Duration::from_millis(lease)))
    }

    /// Says until when the group surely keeps the partitions.
    pub(super) fn set_lease(&self, lease: Option<Instant>) {
        let after = lease.map(|lease| lease.saturating_duration_since(self.born).as_millis());
        let after = after.map_or(u64::MAX, |after| u64::try_from(after).unwrap_or(u64::MAX));
        self.lease.store(after, Ordering::Relaxed);
    }

    /// Changes whenever a stream has to look whether what it has may still be handed out.
    pub(super) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }

    /// The next batch for `poll` and streams of all partitions, and where to say how far its records are handed out; `None`
    /// when the consumer was closed. Whoever asks has come back: what was handed out before is done.
    pub(super) fn poll_batch(
        &self,
        cx: &Context<'_>,
        taking: Taking,
    ) -> Poll<Result<Option<(FetchedBatch, Place)>>> {
        self.take(|state| {
            let now = task::now();
            if let Some(told) = self.come_back(state, now) {
                return Poll::Ready(told.map(|()| None));
            }
            let next = if state.holds(now) { None } else { state.cursors.next_batch(now) };
            let Some(next) = next else {
                state.reader = Some(Asker { waker: cx.waker().clone(), for_partition: false });
                return Poll::Pending;
            };
            state.recorder.handed_out(&next);
            Poll::Ready(next.map(|taken| {
                let from = state.hands.left(&taken.partition).unwrap_or(taken.from);
                let next = if taking == Taking::Batch { taken.batch.next_offset() } else { taken.from };
                let place = Place::of_batch(from, next);
                state.hands.take(&taken.partition, place.clone());
                Some((taken, place))
            }))
        })
    }

    /// A partition that has no stream, which gets one; `None` when the consumer was closed.
    pub(super) fn poll_partition(&self, cx: &Context<'_>) -> Poll<Result<Option<(TopicPartition, u64)>>> {
        self.with(|state| {
            if let Some(told) = self.come_back(state, task::now()) {
                return Poll::Ready(told.map(|()| None));
            }
            match state.without_stream().cloned() {
                Some(partition) => {
                    self.is_moved();
                    let id = state.add_stream(&partition);
                    Poll::Ready(id.map(|id| Some((partition, id))))
                }
                None => {
                    state.reader = Some(Asker { waker: cx.waker().clone(), for_partition: true });
                    Poll::Pending
                }
            }
        })
    }

    /// The application asks for more: nothing of what `poll` has handed out is in its hands. What it has to hear instead, if
    /// anything: that the consumer is closed, or an error.
    fn come_back(&self, state: &mut State, now: Instant) -> Option<Result<()>> {
        state.hands.came_back(now);
        if state.closed {
            return Some(Ok(()));
        }
        if std::mem::take(&mut state.woken) {
            return Some(Err(Error::new(ErrorKind::Wakeup, "wait for records")));
        }
        let ties = state.ties.as_mut()?;
        let error = ties.come_back();
        if ties.is_waited_for() {
            self.stir.notify_waiters();
        }
        if ties.has_orders() {
            self.ask_group.notify_one();
        }
        error.map(Err)
    }

    /// Gives back what was not handed out of a batch.
    pub(super) fn put_back(&self, rest: FetchedBatch) {
        self.with(|state| state.cursors.put_back(rest));
        self.stir.notify_waiters();
    }

    /// Whether what was taken of a partition may still be handed out, and may be now.
    pub(super) fn may_go_on(&self, taken: &FetchedBatch) -> Option<bool> {
        self.with(|state| {
            if state.closed {
                return None;
            }
            let may = state.cursors.may_go_on(taken)?;
            Some(may && !state.holds(task::now()))
        })
    }

    /// Whoever waited in `poll` does so no more.
    pub(super) fn stop_waiting(&self) {
        self.with(|state| {
            state.reader = None;
            state.hands.pulse.beat(task::now());
        });
    }

    /// Whoever waited for a record of a partition does so no more.
    pub(super) fn stop_waiting_for(&self, partition: &TopicPartition, id: u64) {
        self.with(|state| {
            if let Some(stream) = state.streams.get_mut(partition).filter(|stream| stream.id == id) {
                stream.waker = None;
                stream.pulse.beat(task::now());
            }
        });
    }

    pub(super) fn wakeup(&self) {
        self.with(|state| state.woken = true);
    }

    /// Hands out nothing any more. The fetcher says goodbye to the brokers, and the membership to the group, by the deadline.
    pub(super) fn close(&self, by: Instant) {
        self.redirect(|state| {
            state.closed = true;
            if let Some(ties) = &mut state.ties {
                ties.close(by);
            }
        });
        self.ask_group.notify_one();
        self.stir.notify_waiters();
    }

    /// Goes on from another place.
    pub(super) fn seek(&self, partition: &TopicPartition, start: Start) -> Result<()> {
        self.redirect(|state| {
            state.cursors.seek(partition, start)?;
            state.moved(partition);
            Ok(())
        })
    }

    /// Waits until all tasks of the consumer's have ended. What went wrong at last.
    pub(super) async fn ended(&self, by: Instant) -> Result<()> {
        /// What the last words take.
        const MOMENT: Duration = Duration::from_millis(500);
        let mut tasks = self.tasks.subscribe();
        let ended = task::until(task::after(by, MOMENT), tasks.wait_for(|tasks| *tasks == 0)).await.is_some();
        let parting = self.with(|state| state.ties.as_ref().and_then(|ties| ties.parting()));
        match parting {
            Some(error) => Err(error),
            None if ended => Ok(()),
            None => Err(Error::new(ErrorKind::Timeout, "close the consumer")
                .hint("it goes on in the background for a little while: what is not committed by then is read again")),
        }
    }

    /// Counts a task of the consumer's, until what is returned is dropped; then the consumer is closed.
    pub(super) fn task(self: &Arc<Self>) -> Running {
        self.tasks.send_modify(|tasks| *tasks = tasks.saturating_add(1));
        Running(Arc::clone(self))
    }

    /// Waits until a state is reached, for so long; whether it was.
    pub(super) async fn reached(&self, by: Instant, check: impl Fn(&mut State) -> bool) -> bool {
        loop {
            let mut stirred = std::pin::pin!(self.stir.notified());
            stirred.as_mut().enable();
            if self.with(&check) {
                return true;
            }
            if task::until(by, stirred).await.is_none() {
                return self.with(check);
            }
        }
    }

    /// Registers the one stream of a partition.
    pub(super) fn add_stream(&self, partition: &TopicPartition) -> Result<u64> {
        self.redirect(|state| {
            if state.closed {
                let attempt = "read a partition of a consumer that was closed";
                return Err(Error::new(ErrorKind::Closed, attempt));
            }
            state.add_stream(partition)
        })
    }

    /// From now on the reader of a stream says what is done.
    pub(super) fn set_by_hand(&self, partition: &TopicPartition, id: u64) {
        self.with(|state| {
            let stream = state.streams.get_mut(partition).filter(|stream| stream.id == id);
            stream.into_iter().for_each(|stream| stream.by_hand = true);
        });
    }

    /// The reader of a stream says what is done: everything before a record, or all. Between two batches the cursor knows what
    /// that is.
    pub(super) fn is_done(
        &self,
        partition: &TopicPartition,
        id: u64,
        first_open: Option<i64>,
        is_between: bool,
    ) {
        self.with(|state| {
            let Some(stream) = state.streams.get_mut(partition).filter(|stream| stream.id == id) else {
                return;
            };
            if stream.place.done().is_none() {
                return;
            }
            stream.place.is_done(first_open);
            if first_open.is_none() && is_between {
                stream.place.end();
            }
        });
        if first_open.is_none() {
            self.stir.notify_waiters();
        }
    }

    pub(super) fn remove_stream(&self, partition: &TopicPartition, id: u64) {
        self.redirect(|state| {
            if state.streams.get(partition).is_some_and(|stream| stream.id == id)
                && let Some(stream) = state.streams.remove(partition)
            {
                if stream.place.is_in_hand()
                    && let Some(done) = stream.place.done()
                {
                    if stream.by_hand {
                        // In no order: what was done behind this comes again.
                        let _ = state.cursors.seek(partition, Start::Offset(done));
                    } else {
                        state.hands.leave(partition, done);
                    }
                }
                state.cursors.join(partition);
            }
        });
        self.stir.notify_waiters();
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
            let now = task::now();
            let is_held = state.holds(now);
            let stream = state.streams.get_mut(partition).filter(|stream| stream.id == id);
            let Some(stream) = stream.filter(|_| !state.closed) else { return Poll::Ready(Ok(None)) };
            stream.pulse.beat(now);
            let next = if is_held { None } else { state.cursors.next_batch_of(partition, now) };
            match next {
                Some(next) => {
                    state.recorder.handed_out(&next);
                    Poll::Ready(next.map(|taken| {
                        // None of its records was handed out yet.
                        if stream.by_hand && stream.place.done().is_some() {
                            stream.place.hand_out(taken.from);
                            return Some((taken, stream.place.clone()));
                        }
                        let done = state.hands.left(partition).unwrap_or(taken.from);
                        stream.place = Place::of_batch(done, taken.from);
                        state.hands.moved(partition);
                        Some((taken, stream.place.clone()))
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

/// A task of the consumer's. Its end is the consumer's, be it that the runtime was shut down: nobody waits any more.
#[derive(Debug)]
pub(super) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        // One of those that end after a close takes no time away from the others.
        if !self.0.with(|state| state.closed) {
            self.0.close(task::now());
        }
        self.0.tasks.send_modify(|tasks| *tasks = tasks.saturating_sub(1));
    }
}

impl State {
    /// Takes partitions away, with their streams.
    pub(super) fn unassign(&mut self, partition: &TopicPartition) {
        self.cursors.unassign(partition);
        self.hands.moved(partition);
        let stream = self.streams.remove(partition);
        self.waking.extend(stream.and_then(|stream| stream.waker));
    }

    /// What a reader said of a partition no longer counts.
    pub(super) fn moved(&mut self, partition: &TopicPartition) {
        self.hands.moved(partition);
        if let Some(stream) = self.streams.get_mut(partition) {
            stream.place = Place::unknown();
        }
    }

    fn add_stream(&mut self, partition: &TopicPartition) -> Result<u64> {
        if !self.cursors.split(partition)? {
            return Err(Error::new(ErrorKind::InvalidInput, "read a partition that has a stream already")
                .topic(partition.topic.as_str())
                .partition(partition.partition));
        }
        let id = self.next_stream;
        self.next_stream = id.wrapping_add(1);
        let pulse = Pulse::new(task::now());
        self.streams.insert(
            partition.clone(),
            Stream { id, waker: None, place: Place::unknown(), pulse, by_hand: false },
        );
        Ok(id)
    }

    /// A partition that has no stream, and does not change hands.
    fn without_stream(&self) -> Option<&TopicPartition> {
        let mut assigned = self.cursors.assigned();
        assigned
            .find(|partition| !self.streams.contains_key(*partition) && !self.cursors.is_withheld(partition))
    }

    /// How far the application is within a batch of a partition.
    fn place(&self, partition: &TopicPartition) -> Option<&Place> {
        self.streams.get(partition).map(|stream| &stream.place).or_else(|| self.hands.place(partition))
    }

    /// The next offset that the application gets.
    pub(super) fn position(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        let known = self.cursors.position(partition)?;
        Ok(self.place(partition).and_then(Place::next).or(known))
    }

    /// Behind what the application came back from.
    pub(super) fn done(&self, partition: &TopicPartition) -> Option<i64> {
        let done = self.place(partition).and_then(Place::done).or_else(|| self.hands.left(partition));
        done.or_else(|| self.cursors.position(partition).ok().flatten())
    }

    /// Whether the application has a record of a partition in its hands.
    pub(super) fn is_in_hand(&self, partition: &TopicPartition) -> bool {
        self.place(partition).is_some_and(Place::is_in_hand)
    }

    /// How many offsets are left to the end.
    pub(super) fn lag(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        let (position, end) = (self.position(partition)?, self.cursors.end(partition)?);
        Ok(position.zip(end).map(|(position, end)| end.saturating_sub(position).max(0)))
    }

    /// Since when nothing was heard of a reader that does not wait either; `None` as long as all wait.
    pub(super) fn silent_since(&mut self, now: Instant) -> Option<Instant> {
        let mut silent: Vec<Instant> = Vec::new();
        let is_read = self.streams.is_empty() || self.without_stream().is_some();
        if self.reader.is_none() && is_read {
            silent.push(self.hands.silent_since(now));
        }
        let streams = self.streams.values_mut().filter(|stream| stream.waker.is_none());
        silent.extend(streams.map(|stream| stream.pulse.silent_since(Some(&stream.place), now)));
        silent.into_iter().min()
    }

    /// Whether nothing is to be handed out before the coordinator was heard of.
    pub(super) fn holds(&mut self, now: Instant) -> bool {
        self.ties.as_mut().is_some_and(|ties| ties.holds(now))
    }

    /// Everybody looks again whether there is something. Who has waited until now was not away.
    pub(super) fn wake_all(&mut self) {
        let now = task::now();
        if let Some(reader) = self.reader.take() {
            self.waking.push(reader.waker);
            self.hands.pulse.beat(now);
        }
        for stream in self.streams.values_mut() {
            if let Some(waker) = stream.waker.take() {
                self.waking.push(waker);
                stream.pulse.beat(now);
            }
        }
    }

    /// Those for whom there is something.
    fn due(&mut self) -> Vec<Waker> {
        let mut due = std::mem::take(&mut self.waking);
        let ties = self.ties.as_ref();
        if let Some(reader) = &self.reader
            && (self.closed
                || self.woken
                || ties.is_some_and(|ties| ties.has_news())
                || if reader.for_partition {
                    self.without_stream().is_some()
                } else {
                    !ties.is_some_and(|ties| ties.is_holding()) && self.cursors.has_batches()
                })
        {
            due.extend(self.reader.take().map(|reader| reader.waker));
            self.hands.pulse.beat(task::now());
        }
        for partition in self.cursors.take_news() {
            due.extend(self.streams.get_mut(&partition).and_then(|stream| {
                stream.pulse.beat(task::now());
                stream.waker.take()
            }));
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
            let assigned = state.cursors.assigned().map(|partition| &partition.topic);
            let mut topics: BTreeSet<&Text> = assigned.collect();
            topics.extend(state.ties.iter().flat_map(|ties| ties.topics()));
            topics.into_iter().map(|topic| (topic.clone(), self.create_topics)).collect()
        })
    }
}
