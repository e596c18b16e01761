//! What a partition remembers of idempotent producers (KIP-98): the epoch and the last five batches of each, by which a
//! batch that comes again is told from one that is missing; and where the transaction of each has begun that is open here.
//!
//! The rules are those of `ProducerAppendInfo` and `ProducerStateEntry` in Kafka 4.3. Above all, a producer that is not
//! remembered may begin with any sequence number (retention may have taken what it wrote, KIP-360), so UNKNOWN_PRODUCER_ID,
//! which older brokers answered here, is never answered.
//!
//! Who has a transaction open is never forgotten: there are no more of them than transactional ids.

use crate::messages::{ErrorCode, ProducerEpoch, ProducerId};
use crate::records::BatchHeader;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Batches of a producer that are remembered: as many as may be in flight at once.
const REMEMBERED_BATCHES: usize = 5;
/// Producers that a partition remembers; the one that was silent longest goes first.
const MAX_PRODUCERS: usize = 10_000;
/// Producers that the coordinator was asked about without anything coming of it.
const MAX_ASKED: usize = 1_000;
/// How long a silent producer is remembered (Kafka's `producer.id.expiration.ms`).
const EXPIRATION_MS: i64 = 24 * 60 * 60 * 1000;

/// The producers of one partition.
#[derive(Debug, Default)]
pub(in crate::broker) struct Producers {
    by_id: BTreeMap<ProducerId, Producer>,
    /// Where transactions have begun that are open.
    open: BTreeSet<(i64, ProducerId)>,
    /// What producers wanted to begin or go on with, since the coordinator was asked about them.
    asked: BTreeMap<ProducerId, Asked>,
}

/// What a producer has brought while it had no transaction open (Kafka's `VerificationStateEntry`). The coordinator may have
/// refused some of it only for a while; whatever is behind it has to wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    epoch: ProducerEpoch,
    lowest_sequence: i32,
    /// Whether each of its transactions begins at 0.
    has_own_epochs: bool,
}

#[derive(Debug)]
struct Producer {
    epoch: ProducerEpoch,
    /// Oldest first; none of an epoch that a marker has begun.
    batches: VecDeque<Appended>,
    /// The first offset of the transaction that is open.
    open_from: Option<i64>,
    /// That of the newest marker.
    coordinator_epoch: Option<i32>,
    last_seen_ms: i64,
}

/// Where a batch of an idempotent producer belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) struct Sequence {
    pub(in crate::broker) producer_id: ProducerId,
    pub(in crate::broker) epoch: ProducerEpoch,
    pub(in crate::broker) first: i32,
    pub(in crate::broker) last: i32,
    pub(in crate::broker) is_transactional: bool,
}

/// The end of a transaction, as its coordinator tells the leaders of its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) struct Marker {
    pub(in crate::broker) producer_id: ProducerId,
    pub(in crate::broker) epoch: ProducerEpoch,
    /// Committed, or aborted.
    pub(in crate::broker) is_commit: bool,
    pub(in crate::broker) coordinator_epoch: i32,
    /// Whether each transaction has an epoch of its own, so that the marker has a newer one than the records (KIP-890).
    pub(in crate::broker) has_own_epoch: bool,
}

/// A batch that was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) struct Appended {
    pub(in crate::broker) first: i32,
    pub(in crate::broker) last: i32,
    pub(in crate::broker) base_offset: i64,
    /// The largest time of its records: what Kafka answers for the time of appending when the batch comes again, whatever
    /// the topic's times are.
    pub(in crate::broker) max_timestamp: i64,
}

/// What is to be done with a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) enum Verdict {
    /// Append it.
    Append,
    /// It is there already.
    Duplicate(Appended),
    /// Refuse it, and why.
    Refuse(ErrorCode, String),
}

impl Sequence {
    /// That of a batch, if an idempotent producer wrote it.
    pub(in crate::broker) fn of(header: &BatchHeader) -> Option<Sequence> {
        (header.producer_id >= 0).then(|| Sequence {
            producer_id: ProducerId(header.producer_id),
            epoch: ProducerEpoch(header.producer_epoch),
            first: header.base_sequence,
            last: last_sequence(header.base_sequence, header.last_offset_delta),
            is_transactional: header.attributes.is_transactional(),
        })
    }
}

impl Producer {
    fn new(epoch: ProducerEpoch, now_ms: i64) -> Producer {
        Producer {
            epoch,
            batches: VecDeque::new(),
            open_from: None,
            coordinator_epoch: None,
            last_seen_ms: now_ms,
        }
    }

    fn is_kept(&self, oldest_kept: i64) -> bool {
        self.last_seen_ms > oldest_kept || self.open_from.is_some()
    }

    fn enter(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }
}

impl Producers {
    /// Judges a batch that comes at `now_ms`.
    pub(in crate::broker) fn check(&self, batch: Sequence, now_ms: i64) -> Verdict {
        let Sequence { producer_id, epoch, first, last, is_transactional } = batch;
        let Some(producer) = self.kept(producer_id, now_ms) else {
            return self.check_asked(batch, true).unwrap_or(Verdict::Append);
        };
        if epoch < producer.epoch {
            let text = format!(
                "the epoch {epoch} of producer {producer_id} is smaller than the last seen epoch {}",
                producer.epoch
            );
            return Verdict::Refuse(ErrorCode::INVALID_PRODUCER_EPOCH, text);
        }
        let comes_again = |old: &&Appended| epoch == producer.epoch && old.first == first && old.last == last;
        if let Some(old) = producer.batches.iter().find(comes_again) {
            return Verdict::Duplicate(*old);
        }
        if let Some(refused) = self.check_asked(batch, producer.batches.is_empty()) {
            return refused;
        }
        if epoch > producer.epoch {
            if first != 0 {
                return out_of_order(batch, "0, as its epoch is new");
            }
        } else {
            let expected = producer.batches.back().map_or(0, |newest| following(newest.last));
            if expected != first {
                return out_of_order(batch, &expected.to_string());
            }
        }
        if producer.open_from.is_some() && !is_transactional {
            let text = format!("producer {producer_id} is in a transaction, and the batch in none");
            return Verdict::Refuse(ErrorCode::INVALID_TXN_STATE, text);
        }
        Verdict::Append
    }

    /// Whether a newer epoch of a producer was seen.
    pub(in crate::broker) fn is_fenced(&self, producer_id: ProducerId, epoch: ProducerEpoch) -> bool {
        self.by_id.get(&producer_id).is_some_and(|producer| epoch < producer.epoch)
    }

    /// Remembers that the coordinator is asked about a batch.
    pub(in crate::broker) fn ask(&mut self, batch: Sequence, has_own_epochs: bool) {
        let Sequence { producer_id, epoch, first, .. } = batch;
        if self.asked.len() >= MAX_ASKED && !self.asked.contains_key(&producer_id) {
            self.asked.pop_first();
        }
        let new = Asked { epoch, lowest_sequence: first, has_own_epochs };
        let asked = self.asked.entry(producer_id).or_insert(new);
        // Of which generation the producer is the first of them has said.
        if asked.epoch < epoch {
            *asked = Asked { has_own_epochs: asked.has_own_epochs, ..new };
        } else if asked.epoch == epoch {
            asked.lowest_sequence = asked.lowest_sequence.min(first);
        }
    }

    /// Why a batch has to wait for others that the coordinator was asked about, if so.
    fn check_asked(&self, batch: Sequence, knows_nothing: bool) -> Option<Verdict> {
        let asked = self.asked.get(&batch.producer_id)?;
        if asked.has_own_epochs && knows_nothing && batch.first != 0 {
            return Some(out_of_order(batch, "0, as nothing is known of it"));
        }
        (batch.first > asked.lowest_sequence)
            .then(|| out_of_order(batch, &format!("{}, which it wanted to send", asked.lowest_sequence)))
    }

    /// Whether a producer has a transaction open in this epoch.
    pub(in crate::broker) fn is_open(&self, producer_id: ProducerId, epoch: ProducerEpoch) -> bool {
        let producer = self.by_id.get(&producer_id);
        producer.is_some_and(|producer| producer.epoch == epoch && producer.open_from.is_some())
    }

    /// The first offset of the transactions that are open.
    pub(in crate::broker) fn first_open(&self) -> Option<i64> {
        self.open.first().map(|(offset, _)| *offset)
    }

    /// Remembers a batch that was appended at `now_ms`.
    pub(in crate::broker) fn remember(&mut self, batch: Sequence, appended: Appended, now_ms: i64) {
        let producer = self.entry(batch.producer_id, batch.epoch, now_ms);
        producer.enter(batch.epoch);
        if producer.batches.len() >= REMEMBERED_BATCHES {
            producer.batches.pop_front();
        }
        producer.batches.push_back(appended);
        if !batch.is_transactional {
            return;
        }
        if producer.open_from.is_none() {
            producer.open_from = Some(appended.base_offset);
            self.open.insert((appended.base_offset, batch.producer_id));
        }
        self.asked.remove(&batch.producer_id);
    }

    /// Checks the end of a transaction, whether or not one is open.
    ///
    /// # Errors
    /// INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED.
    pub(in crate::broker) fn check_marker(&self, marker: &Marker) -> Result<(), ErrorCode> {
        let Some(producer) = self.by_id.get(&marker.producer_id) else { return Ok(()) };
        // A marker of its own epoch may come again once it has done its work: its answer may have been lost (KAFKA-19999).
        let is_late = marker.epoch < producer.epoch
            || (marker.has_own_epoch && marker.epoch == producer.epoch && producer.open_from.is_some());
        if is_late {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if producer.coordinator_epoch.is_some_and(|known| known > marker.coordinator_epoch) {
            return Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED);
        }
        Ok(())
    }

    /// Remembers the end of a transaction; answers with its first offset if it was open.
    pub(in crate::broker) fn end(&mut self, marker: &Marker, now_ms: i64) -> Option<i64> {
        // One of the second generation may have begun its next transaction with the epoch that the marker has.
        let goes_on = |asked: &Asked| asked.has_own_epochs && asked.epoch == marker.epoch;
        if !self.asked.get(&marker.producer_id).is_some_and(goes_on) {
            self.asked.remove(&marker.producer_id);
        }
        let producer = self.entry(marker.producer_id, marker.epoch, now_ms);
        producer.enter(marker.epoch);
        producer.coordinator_epoch = Some(marker.coordinator_epoch);
        let first = producer.open_from.take()?;
        self.open.remove(&(first, marker.producer_id));
        Some(first)
    }

    fn kept(&self, producer_id: ProducerId, now_ms: i64) -> Option<&Producer> {
        let oldest_kept = now_ms.saturating_sub(EXPIRATION_MS);
        self.by_id.get(&producer_id).filter(|producer| producer.is_kept(oldest_kept))
    }

    /// A producer that is heard of at `now_ms`; a new one has this epoch.
    fn entry(&mut self, producer_id: ProducerId, epoch: ProducerEpoch, now_ms: i64) -> &mut Producer {
        let oldest_kept = now_ms.saturating_sub(EXPIRATION_MS);
        match self.by_id.get(&producer_id) {
            None => self.make_room(oldest_kept),
            Some(producer) if !producer.is_kept(oldest_kept) => {
                self.by_id.remove(&producer_id);
            }
            Some(_) => {}
        }
        let producer = self.by_id.entry(producer_id).or_insert_with(|| Producer::new(epoch, now_ms));
        producer.last_seen_ms = now_ms;
        producer
    }

    fn make_room(&mut self, oldest_kept: i64) {
        if self.by_id.len() < MAX_PRODUCERS {
            return;
        }
        self.by_id.retain(|_, producer| producer.is_kept(oldest_kept));
        if self.by_id.len() >= MAX_PRODUCERS {
            let closed = self.by_id.iter().filter(|(_, producer)| producer.open_from.is_none());
            let silent = closed.min_by_key(|(_, producer)| producer.last_seen_ms);
            if let Some(id) = silent.map(|(id, _)| *id) {
                self.by_id.remove(&id);
            }
        }
    }
}

fn out_of_order(batch: Sequence, expected: &str) -> Verdict {
    let Sequence { producer_id, epoch, first, .. } = batch;
    let text = format!(
        "out of order sequence number for producer {producer_id} with epoch {epoch}: {first}, expected {expected}"
    );
    Verdict::Refuse(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, text)
}

/// The sequence number of a batch's last record: they wrap from the largest number to 0.
fn last_sequence(first: i32, last_offset_delta: i32) -> i32 {
    match first.checked_add(last_offset_delta) {
        Some(last) => last,
        None => last_offset_delta.wrapping_sub(i32::MAX.wrapping_sub(first)).wrapping_sub(1),
    }
}

fn following(sequence: i32) -> i32 {
    sequence.checked_add(1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ProducerId = ProducerId(7);

    fn batch(epoch: i16, first: i32, last: i32) -> Sequence {
        Sequence { producer_id: ID, epoch: ProducerEpoch(epoch), first, last, is_transactional: false }
    }

    fn marker(epoch: i16, has_own_epoch: bool) -> Marker {
        let (producer_id, epoch) = (ID, ProducerEpoch(epoch));
        Marker { producer_id, epoch, is_commit: true, coordinator_epoch: 3, has_own_epoch }
    }

    fn append(producers: &mut Producers, batch: Sequence, base_offset: i64) {
        assert_eq!(producers.check(batch, 0), Verdict::Append, "{batch:?}");
        let Sequence { first, last, .. } = batch;
        producers.remember(batch, Appended { first, last, base_offset, max_timestamp: -1 }, 0);
    }

    fn refused(producers: &Producers, batch: Sequence) -> ErrorCode {
        match producers.check(batch, 0) {
            Verdict::Refuse(code, _) => code,
            other => panic!("{batch:?}: {other:?}"),
        }
    }

    #[test]
    fn five_batches_are_known_when_they_come_again_and_no_more() {
        let mut producers = Producers::default();
        for n in 0..6 {
            append(&mut producers, batch(0, n * 10, n * 10 + 9), i64::from(n) * 100);
        }
        for n in 1..6 {
            let Verdict::Duplicate(old) = producers.check(batch(0, n * 10, n * 10 + 9), 0) else {
                panic!("batch {n} is no duplicate")
            };
            assert_eq!(old.base_offset, i64::from(n) * 100);
        }
        assert_eq!(refused(&producers, batch(0, 0, 9)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert_eq!(refused(&producers, batch(0, 50, 58)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    }

    #[test]
    fn a_gap_is_refused_and_the_next_in_line_is_not() {
        let mut producers = Producers::default();
        append(&mut producers, batch(0, 0, 0), 0);
        assert_eq!(refused(&producers, batch(0, 2, 2)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        append(&mut producers, batch(0, 1, 4), 1);
    }

    #[test]
    fn an_unknown_producer_begins_where_it_likes() {
        append(&mut Producers::default(), batch(3, 1_000, 1_004), 0);
    }

    #[test]
    fn a_new_epoch_begins_at_0_and_fences_the_old() {
        let mut producers = Producers::default();
        append(&mut producers, batch(1, 0, 4), 0);
        assert_eq!(refused(&producers, batch(2, 5, 6)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        append(&mut producers, batch(2, 0, 4), 5);
        assert_eq!(refused(&producers, batch(1, 5, 6)), ErrorCode::INVALID_PRODUCER_EPOCH);
        assert!(
            matches!(producers.check(batch(2, 0, 4), 0), Verdict::Duplicate(old) if old.base_offset == 5)
        );
    }

    #[test]
    fn sequence_numbers_wrap_to_0() {
        assert_eq!(last_sequence(5, 3), 8);
        assert_eq!(last_sequence(i32::MAX, 0), i32::MAX);
        assert_eq!(last_sequence(i32::MAX, 1), 0);
        assert_eq!(last_sequence(i32::MAX - 1, 3), 1);
        let mut producers = Producers::default();
        append(&mut producers, batch(0, i32::MAX - 1, 1), 0);
        append(&mut producers, batch(0, 2, 2), 4);
        let mut producers = Producers::default();
        append(&mut producers, batch(0, i32::MAX, i32::MAX), 0);
        append(&mut producers, batch(0, 0, 0), 1);
    }

    #[test]
    fn a_producer_that_was_silent_for_a_day_is_unknown() {
        let mut producers = Producers::default();
        append(&mut producers, batch(3, 0, 4), 0);
        assert_ne!(producers.check(batch(3, 9, 9), EXPIRATION_MS - 1), Verdict::Append);
        assert_eq!(producers.check(batch(3, 9, 9), EXPIRATION_MS), Verdict::Append);
        let appended = Appended { first: 9, last: 9, base_offset: 5, max_timestamp: -1 };
        producers.remember(batch(3, 9, 9), appended, EXPIRATION_MS);
        let of_yesterday = producers.check(batch(3, 0, 4), EXPIRATION_MS);
        assert!(
            matches!(of_yesterday, Verdict::Refuse(..)),
            "its old batches are forgotten: {of_yesterday:?}"
        );
    }

    #[test]
    fn the_producer_that_was_silent_longest_is_forgotten_first() {
        let mut producers = Producers::default();
        for id in 0..=10_000 {
            let batch = Sequence { producer_id: ProducerId(id), ..batch(0, 0, 0) };
            let appended = Appended { first: 0, last: 0, base_offset: id, max_timestamp: -1 };
            producers.remember(batch, appended, id);
        }
        assert_eq!(producers.by_id.len(), 10_000);
        assert!(!producers.by_id.contains_key(&ProducerId(0)));
        assert!(producers.by_id.contains_key(&ProducerId(1)));
    }

    #[test]
    fn a_transaction_is_open_from_its_first_batch_to_its_marker() {
        let mut producers = Producers::default();
        let transactional = |first| Sequence { is_transactional: true, ..batch(0, first, first) };
        append(&mut producers, transactional(0), 7);
        append(&mut producers, transactional(1), 9);
        assert_eq!(producers.first_open(), Some(7));
        assert!(producers.is_open(ID, ProducerEpoch(0)) && !producers.is_open(ID, ProducerEpoch(1)));
        assert_eq!(refused(&producers, batch(0, 2, 2)), ErrorCode::INVALID_TXN_STATE);
        assert_eq!(producers.end(&marker(0, false), 0), Some(7));
        assert_eq!((producers.first_open(), producers.end(&marker(0, false), 0)), (None, None));
        append(&mut producers, batch(0, 2, 2), 11);
    }

    #[test]
    fn a_marker_with_an_epoch_of_its_own_begins_the_next_one() {
        let mut producers = Producers::default();
        append(&mut producers, Sequence { is_transactional: true, ..batch(4, 0, 9) }, 0);
        assert_eq!(producers.check_marker(&marker(4, true)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
        assert_eq!(producers.check_marker(&marker(3, false)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
        assert_eq!(producers.check_marker(&marker(5, true)), Ok(()));
        producers.end(&marker(5, true), 0);
        assert!(producers.is_fenced(ID, ProducerEpoch(4)) && !producers.is_fenced(ID, ProducerEpoch(5)));
        assert_eq!(producers.check_marker(&marker(5, true)), Ok(()), "it may come again");
        let older = Marker { coordinator_epoch: 2, ..marker(5, true) };
        assert_eq!(producers.check_marker(&older), Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED));
        assert_eq!(refused(&producers, batch(4, 10, 10)), ErrorCode::INVALID_PRODUCER_EPOCH);
        assert_eq!(refused(&producers, batch(5, 10, 10)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        append(&mut producers, batch(5, 0, 0), 11);
    }

    #[test]
    fn who_has_a_transaction_open_is_not_forgotten() {
        let mut producers = Producers::default();
        append(&mut producers, Sequence { is_transactional: true, ..batch(0, 0, 0) }, 0);
        for id in 100..=10_101 {
            let batch = Sequence { producer_id: ProducerId(id), ..batch(0, 0, 0) };
            let appended = Appended { first: 0, last: 0, base_offset: id, max_timestamp: -1 };
            producers.remember(batch, appended, EXPIRATION_MS + id);
        }
        assert_eq!(producers.first_open(), Some(0));
        assert!(matches!(producers.check(batch(0, 0, 0), 2 * EXPIRATION_MS), Verdict::Duplicate(_)));
    }

    #[test]
    fn what_the_coordinator_was_asked_about_comes_first() {
        let mut producers = Producers::default();
        let transactional = |epoch, first| Sequence { is_transactional: true, ..batch(epoch, first, first) };
        append(&mut producers, transactional(0, 0), 0);
        producers.ask(transactional(1, 0), false);
        assert_eq!(refused(&producers, transactional(0, 1)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        append(&mut producers, transactional(1, 0), 1);
        append(&mut producers, transactional(1, 1), 2);
        producers.ask(transactional(1, 1), true);
        producers.end(&marker(1, false), 0);
        assert_eq!(refused(&producers, transactional(1, 2)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        producers.end(&marker(2, true), 0);
        append(&mut producers, transactional(2, 0), 4);
        producers.ask(transactional(2, 0), false);
        producers.end(&marker(2, true), 0);
        append(&mut producers, transactional(2, 1), 4);
    }

    #[test]
    fn each_transaction_begins_at_0_where_each_has_an_epoch() {
        let mut producers = Producers::default();
        producers.ask(batch(0, 5, 5), false);
        producers.ask(batch(0, 5, 5), true);
        assert_eq!(producers.check(batch(0, 5, 5), 0), Verdict::Append);
        let mut producers = Producers::default();
        producers.ask(batch(0, 5, 5), true);
        assert_eq!(refused(&producers, batch(0, 5, 5)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        for id in 0..2_000 {
            producers.ask(Sequence { producer_id: ProducerId(id), ..batch(0, 0, 0) }, true);
        }
        assert_eq!(producers.asked.len(), MAX_ASKED);
    }
}
