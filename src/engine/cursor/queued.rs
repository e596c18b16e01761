//! What was fetched and waits for the application: record sets, opened batch by batch when their turn comes.

use super::room::Held;
use super::{CORRUPT_PAUSE, Cursor, Cursors, Place};
use crate::engine::TopicPartition;
use crate::error::{Error, ErrorKind};
use crate::messages::{AbortedTransaction, LeaderEpoch, ProducerId};
use crate::records::{Batch, Batches, ControlType, PartialBatch};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

/// A record set of one answer, and what of its transactions was aborted.
#[derive(Debug)]
pub(super) struct QueuedSet {
    batches: Batches,
    /// The answer that it is a part of.
    held: Arc<Held>,
    /// Behind the last batch that was opened.
    end: i64,
    /// Aborted transactions that have not begun yet, by first offset.
    aborted: VecDeque<AbortedTransaction>,
    /// Producers whose aborted transaction is open here.
    aborting: BTreeSet<i64>,
    read_committed: bool,
}

const STAYS: &str = "the position stays; seek to go on behind it";

/// What the front of a queue came to: a batch, the offset to begin at and the answer it is of, or why there is none.
type Taken = Result<(Batch, i64, Arc<Held>), Error>;

/// A batch for the application.
#[derive(Debug, Clone)]
pub struct FetchedBatch {
    /// Where it is from.
    pub partition: TopicPartition,
    /// The records.
    pub batch: Batch,
    /// Records below this offset were handed out before, or never asked for.
    pub from: i64,
    /// The cursor's when it was taken.
    pub(super) era: u64,
    /// Whether it was handed out before, and put back.
    pub is_again: bool,
    /// Keeps the answer's bytes counted as long as they are being handed out.
    pub(super) _held: Option<Arc<Held>>,
}

impl QueuedSet {
    pub(super) fn new(
        batches: Batches,
        held: &Arc<Held>,
        mut aborted: Vec<AbortedTransaction>,
        read_committed: bool,
    ) -> QueuedSet {
        aborted.sort_by_key(|transaction| transaction.first_offset);
        QueuedSet {
            held: Arc::clone(held),
            end: i64::MIN,
            batches,
            aborted: aborted.into(),
            aborting: BTreeSet::new(),
            read_committed,
        }
    }

    /// Copies what is left, so that nothing else of the answer is kept by it.
    pub(super) fn stand_alone(&mut self, total: &Arc<AtomicUsize>) {
        self.batches.detach();
        self.held = Held::new(self.batches.bytes_left(), total);
    }

    /// Bytes that are not handed out yet.
    pub(super) fn bytes_left(&self) -> usize {
        self.batches.bytes_left()
    }

    /// Whether the application gets this batch.
    fn is_visible(&mut self, batch: &Batch) -> bool {
        if !self.read_committed {
            return !batch.is_control();
        }
        while let Some(next) = self.aborted.front().filter(|next| next.first_offset <= batch.last_offset()) {
            self.aborting.insert(next.producer_id.0);
            self.aborted.pop_front();
        }
        let ProducerId(producer) = ProducerId(batch.header().producer_id);
        if batch.is_control() {
            if batch.control_records().any(|record| record.kind == ControlType::Abort) {
                self.aborting.remove(&producer);
            }
            return false;
        }
        !(batch.is_transactional() && self.aborting.contains(&producer))
    }
}

impl Cursors {
    /// The next batch for the application, or what keeps a partition from giving one. Partitions take turns; those that are
    /// split are for others.
    pub fn next_batch(&mut self, now: Instant) -> Option<Result<FetchedBatch, Error>> {
        if let Some(error) = self.take_error(|cursors, of| !cursors.is_split(of)) {
            return Some(Err(error));
        }
        for _ in 0..self.turns.len() {
            let partition = self.turns.pop_front()?;
            let Some(cursor) = self.partitions.get(&partition) else { continue };
            if cursor.stands_still() {
                self.turns.push_back(partition);
                continue;
            }
            let sets = cursor.queue.len();
            let outcome = self.take(&partition, now);
            match self.partitions.get(&partition).map(|cursor| cursor.queue.len()) {
                None | Some(0) => {}
                // Each answer is read to its end before the next one, so that not all of them are kept for their rest.
                Some(left) if left == sets => self.turns.push_front(partition),
                Some(_) => self.turns.push_back(partition),
            }
            if outcome.is_some() {
                return outcome;
            }
        }
        None
    }

    /// The next batch of one partition.
    pub(super) fn take(
        &mut self,
        partition: &TopicPartition,
        now: Instant,
    ) -> Option<Result<FetchedBatch, Error>> {
        let cursor = self.partitions.get_mut(partition)?;
        if matches!(cursor.place, Place::At(_))
            && let Some(rest) = cursor.rest.take()
        {
            cursor.place = Place::At(rest.batch.next_offset());
            cursor.position_epoch = LeaderEpoch(rest.batch.leader_epoch());
            return Some(Ok(rest));
        }
        let era = cursor.era;
        match cursor.take_batch()? {
            Ok((batch, from, held)) => {
                let (partition, _held) = (partition.clone(), Some(held));
                Some(Ok(FetchedBatch { partition, batch, from, era, is_again: false, _held }))
            }
            Err(error) => {
                self.refuse(partition, now);
                Some(Err(error.topic(partition.topic.as_str()).partition(partition.partition)))
            }
        }
    }

    /// Takes back a batch of which not everything was handed out: it comes again, from `from` on, before everything else of
    /// its partition. Nothing happens when the partition was moved or taken away meanwhile.
    pub fn put_back(&mut self, rest: FetchedBatch) {
        let Some(cursor) = self.partitions.get_mut(&rest.partition) else { return };
        let is_over = rest.from >= rest.batch.next_offset();
        if cursor.era != rest.era || is_over || !matches!(cursor.place, Place::At(_)) {
            return;
        }
        cursor.place = Place::At(rest.from);
        let partition = rest.partition.clone();
        cursor.rest = Some(FetchedBatch { is_again: true, ..rest });
        if cursor.split {
            self.news.push(partition);
        } else if !self.turns.contains(&partition) {
            self.turns.push_front(partition);
        }
    }

    /// Whether what was taken may still be handed out; `None` when the partition was moved or taken away meanwhile, and
    /// false while it is paused.
    pub fn may_go_on(&self, taken: &FetchedBatch) -> Option<bool> {
        let cursor = self.partitions.get(&taken.partition)?;
        (cursor.era == taken.era).then_some(!cursor.stands_still())
    }

    /// The first error that waits of the partitions that are meant.
    pub(super) fn take_error(
        &mut self,
        is_meant: impl Fn(&Cursors, &TopicPartition) -> bool,
    ) -> Option<Error> {
        let at = self.errors.iter().position(|(of, _)| is_meant(self, of))?;
        let (partition, error) = self.errors.remove(at)?;
        self.heard(&partition, &error);
        Some(error)
    }

    /// Whether something waits for the application, paused and split partitions aside.
    pub fn has_batches(&self) -> bool {
        let waits =
            |partition| self.partitions.get(partition).is_some_and(|cursor: &Cursor| !cursor.stands_still());
        self.errors.iter().any(|(of, _)| !self.is_split(of)) || self.turns.iter().any(waits)
    }

    /// Fetches a partition anew from its position, after a rest: what came was refused.
    fn refuse(&mut self, partition: &TopicPartition, now: Instant) {
        self.rewind(partition);
        if let Some(cursor) = self.partitions.get_mut(partition) {
            cursor.not_before = now.checked_add(CORRUPT_PAUSE);
        }
        self.unplanned = true;
    }
}

impl Cursor {
    /// The next batch that the application sees, with the offset to begin at.
    fn take_batch(&mut self) -> Option<Taken> {
        let Place::At(mut position) = self.place else { return None };
        while let Some(set) = self.queue.front_mut() {
            match set.batches.next() {
                None => {
                    let partial = set.batches.partial();
                    self.queue.pop_front();
                    // Its headers made no sense, and yet no batch of it was refused.
                    if self.blocked && self.queue.is_empty() {
                        return Some(Err(unreadable(position, partial)));
                    }
                }
                Some(Ok(batch)) if batch.base_offset() < set.end => {
                    let error = disordered(position, batch.base_offset(), set.end);
                    return Some(Err(error));
                }
                Some(Err(error)) => {
                    let refused = Error::new(ErrorKind::Records, "read fetched records")
                        .offset(position)
                        .hint(match error.next_offset {
                            Some(next) => {
                                format!("the position stays; to skip the batch, seek to offset {next}")
                            }
                            None => STAYS.to_owned(),
                        })
                        .with_source(error);
                    return Some(Err(refused));
                }
                Some(Ok(batch)) => {
                    set.end = batch.next_offset();
                    let visible = set.is_visible(&batch) && batch.next_offset() > position;
                    let from = position;
                    position = position.max(batch.next_offset());
                    self.place = Place::At(position);
                    self.position_epoch = LeaderEpoch(batch.leader_epoch());
                    let held = Arc::clone(&set.held);
                    if set.bytes_left() == 0 {
                        self.queue.pop_front();
                    }
                    if visible && batch.record_count() > 0 {
                        return Some(Ok((batch, from, held)));
                    }
                }
            }
        }
        None
    }
}

/// As the Java client tells it when there are bytes and no whole batch.
fn unreadable(position: i64, partial: Option<PartialBatch>) -> Error {
    let attempt = match partial {
        Some(PartialBatch { present, needed: Some(needed), .. }) => format!(
            "read fetched records: {present} bytes came of a batch that says it has {needed}, and nothing else"
        ),
        _ => "read fetched records: there are bytes, and no whole batch".to_owned(),
    };
    Error::new(ErrorKind::Records, attempt).offset(position).hint(STAYS)
}

fn disordered(position: i64, base: i64, end: i64) -> Error {
    let attempt =
        format!("read fetched records: a batch begins at offset {base}, behind one that goes up to {end}");
    Error::new(ErrorKind::Records, attempt).offset(position).hint(STAYS)
}
