//! Producer id, epoch and sequence numbers: all that makes a producer idempotent is decided here (KIP-98, KIP-360).
//!
//! The broker remembers, for each producer id and partition, the last sequence number that it wrote, and takes only the
//! next. A batch keeps its number through all retries, so that it is written once and in order.
//!
//! A number that was given away and surely not written leaves a gap, behind which the broker refuses everything. Then the
//! partition waits until nothing of it is in flight, nor waits with a number from before the gap (that may have been
//! written, and only its number can tell), and starts again at 0 under a higher epoch. A batch of which nobody knows whether it was written ([`Sequences::unresolved`]) holds back new batches until one behind it is acknowledged,
//! which proves that there is no gap, or there is nothing left that could be.
//!
//! Transactions are to fit in here: [`Producer::transactional`] marks batches; what differs for them is that a gap is not
//! mended but aborts the transaction.

use super::lane::Order;
use crate::messages::{ProducerEpoch, ProducerId};
use crate::records::Stamp;

/// Who the broker takes the producer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// What InitProducerId gave.
    pub id: ProducerId,
    /// What it gave, or higher by the gaps that were mended since.
    pub epoch: ProducerEpoch,
}

/// The identity of the whole producer.
#[derive(Debug, Clone, Default)]
pub(super) struct Producer {
    /// Whether batches are numbered at all.
    pub(super) idempotent: bool,
    /// Whether batches belong to transactions.
    pub(super) transactional: bool,
    /// `None` until InitProducerId is answered, and after the epochs of an id are used up or a broker refused it.
    pub(super) identity: Option<Identity>,
}

impl Producer {
    /// Whether nothing can be sent before InitProducerId was asked (again).
    pub(super) fn needs_identity(&self) -> bool {
        self.idempotent && self.identity.is_none()
    }

    /// Drops the identity, if it is still that of a batch whose id the broker refused.
    pub(super) fn disown(&mut self, stamp: Stamp) {
        self.identity = self.identity.filter(|identity| identity.id.0 != stamp.producer_id);
    }

    /// Raises the epoch; drops the identity when it was the last epoch.
    fn bump(&mut self) {
        self.identity = self.identity.and_then(|Identity { id, epoch }| {
            epoch.0.checked_add(1).map(|epoch| Identity { id, epoch: ProducerEpoch(epoch) })
        });
    }

    fn stamp(&self, identity: Identity, base_sequence: i32) -> Stamp {
        Stamp {
            producer_id: identity.id.0,
            producer_epoch: identity.epoch.0,
            base_sequence,
            transactional: self.transactional,
        }
    }
}

/// The sequence number that lies `records` behind another: 0 comes after 2^31-1.
pub fn advance(sequence: i32, records: i32) -> i32 {
    sequence.wrapping_add(records) & i32::MAX
}

/// The sequence numbers of one partition.
#[derive(Debug, Clone, Default)]
pub(super) struct Sequences {
    /// Under which identity `next` counts.
    identity: Option<Identity>,
    /// What the next new batch gets.
    next: i32,
    /// The newest batch that was acknowledged.
    acked: Option<Order>,
    /// The newest batch that was given up although it may have been written.
    unresolved: Option<Order>,
    /// The first gap: batches from here on get new numbers.
    gap: Option<Order>,
}

impl Sequences {
    /// Whether a batch that has no number yet may get one and be sent; `idle` when nothing is in flight.
    ///
    /// Beside others in flight only under the identity of those, since a number under another one starts at 0 and could
    /// overtake them; and only once the broker has acknowledged a number, since until then it knows nothing of the
    /// producer and takes any (`ProducerAppendInfo.checkSequence`): should the first batch be lost on its way, the second
    /// would be written in its place.
    pub(super) fn may_number(&self, producer: &Producer, idle: bool) -> bool {
        producer.identity.is_some()
            && self.gap.is_none()
            && self.unresolved.is_none()
            && (idle || self.identity == producer.identity && self.acked.is_some())
    }

    /// Whether a batch that has a number may be sent again.
    pub(super) fn may_repeat(&self, order: Order) -> bool {
        self.gap.is_none_or(|gap| order < gap)
    }

    /// Numbers a new batch. `None` when there is no identity.
    pub(super) fn number(&mut self, producer: &Producer, records: i32) -> Option<Stamp> {
        let identity = producer.identity?;
        if self.identity != Some(identity) {
            *self = Sequences { identity: Some(identity), ..Sequences::default() };
        }
        let stamp = producer.stamp(identity, self.next);
        self.next = advance(self.next, records);
        Some(stamp)
    }

    /// A batch is in the log.
    pub(super) fn acked(&mut self, order: Order) {
        self.acked = self.acked.max(Some(order));
        if self.unresolved <= self.acked {
            self.unresolved = None;
        }
    }

    /// A numbered batch is given up. `is_last` when no batch has a number behind it.
    pub(super) fn lost(&mut self, order: Order, stamp: Stamp, maybe_written: bool, is_last: bool) {
        if self.acked > Some(order) {
            // A later one is in the log: a broker that knows nothing of a producer takes any number. There is no gap.
        } else if maybe_written {
            self.unresolved = self.unresolved.max(Some(order));
        } else if is_last && self.is_of(stamp) {
            // Nobody has seen the number: the next batch can have it.
            self.next = stamp.base_sequence;
        } else {
            self.break_off(order);
        }
    }

    /// There is a gap here: the broker says so, or knows nothing of the producer, or the partition is a new one.
    pub(super) fn break_off(&mut self, order: Order) {
        self.gap = Some(self.gap.map_or(order, |gap| gap.min(order)));
    }

    /// Whether any number was ever given.
    pub(super) fn is_used(&self) -> bool {
        self.identity.is_some()
    }

    /// Nothing that has a number waits or is in flight: what is unresolved now stays so.
    pub(super) fn settle_unresolved(&mut self) {
        if let Some(order) = self.unresolved.take() {
            self.break_off(order);
        }
    }

    /// Starts again at 0 if there is a gap. Call it when nothing is in flight; `waiting` are the batches that have numbers
    /// and wait for their retries, in order, with their record counts. Returns their new stamps.
    pub(super) fn mend(
        &mut self,
        producer: &mut Producer,
        waiting: impl Iterator<Item = (Order, i32)> + Clone,
    ) -> Option<Vec<Stamp>> {
        let gap = self.gap?;
        if waiting.clone().any(|(order, _)| order < gap) {
            return None;
        }
        if self.identity == producer.identity {
            producer.bump();
        }
        producer.identity?;
        *self = Sequences { identity: producer.identity, ..Sequences::default() };
        Some(waiting.filter_map(|(_, records)| self.number(producer, records)).collect())
    }

    /// Gives the next new batch this number. A broker that knows nothing of a producer takes any.
    #[cfg(test)]
    pub(super) fn start_from(&mut self, producer: &Producer, first: i32) {
        *self = Sequences { identity: producer.identity, next: first, ..Sequences::default() };
    }

    fn is_of(&self, stamp: Stamp) -> bool {
        let of = |identity: Identity| {
            identity.id.0 == stamp.producer_id && identity.epoch.0 == stamp.producer_epoch
        };
        self.identity.is_some_and(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer(epoch: i16) -> Producer {
        let identity = Identity { id: ProducerId(7), epoch: ProducerEpoch(epoch) };
        Producer { idempotent: true, transactional: false, identity: Some(identity) }
    }

    fn order(serial: u64) -> Order {
        Order { serial, part: 0 }
    }

    #[test]
    fn behind_the_largest_sequence_comes_0() {
        assert_eq!(advance(0, 10), 10);
        assert_eq!(advance(i32::MAX, 1), 0);
        assert_eq!(advance(i32::MAX - 1, 5), 3);
        assert_eq!(advance(i32::MAX, i32::MAX), i32::MAX - 1);

        let mut sequences =
            Sequences { next: i32::MAX - 2, identity: producer(0).identity, ..Sequences::default() };
        assert_eq!(sequences.number(&producer(0), 4).unwrap().base_sequence, i32::MAX - 2);
        assert_eq!(sequences.number(&producer(0), 1).unwrap().base_sequence, 1);
    }

    #[test]
    fn the_last_number_is_given_again_when_its_batch_was_surely_not_written() {
        let mut sequences = Sequences::default();
        sequences.number(&producer(0), 4).unwrap();
        let refused = sequences.number(&producer(0), 3).unwrap();
        sequences.lost(order(2), refused, false, true);
        assert_eq!(sequences.number(&producer(0), 1).unwrap().base_sequence, 4);
        assert!(sequences.may_number(&producer(0), true));
    }

    #[test]
    fn a_number_behind_which_others_were_written_is_not_given_again() {
        let mut sequences = Sequences::default();
        let refused = sequences.number(&producer(0), 1).unwrap();
        sequences.number(&producer(0), 1).unwrap();
        sequences.acked(order(2));
        sequences.lost(order(1), refused, false, true);
        assert!(sequences.may_number(&producer(0), true));
        assert_eq!(sequences.number(&producer(0), 1).unwrap().base_sequence, 2);
    }

    #[test]
    fn a_gap_is_mended_under_a_higher_epoch_once_for_all_partitions() {
        let mut producer = producer(3);
        let (mut a, mut b) = (Sequences::default(), Sequences::default());
        for sequences in [&mut a, &mut b] {
            let refused = sequences.number(&producer, 2).unwrap();
            sequences.number(&producer, 5).unwrap();
            sequences.lost(order(1), refused, false, false);
            assert!(!sequences.may_number(&producer, true) && !sequences.may_repeat(order(2)));
        }
        let stamps = a.mend(&mut producer, [(order(2), 5), (order(3), 1)].into_iter()).unwrap();
        let told: Vec<_> = stamps.iter().map(|stamp| (stamp.producer_epoch, stamp.base_sequence)).collect();
        assert_eq!(told, [(4, 0), (4, 5)]);
        let stamps = b.mend(&mut producer, [(order(2), 5)].into_iter()).unwrap();
        assert_eq!((stamps[0].producer_epoch, stamps[0].base_sequence), (4, 0), "the same bump serves both");
        assert_eq!(b.mend(&mut producer, [].into_iter()), None);
    }

    #[test]
    fn a_gap_is_not_mended_while_a_batch_before_it_may_have_been_written() {
        let mut producer = producer(0);
        let mut sequences = Sequences::default();
        let stamps: Vec<Stamp> = (0..3).map(|_| sequences.number(&producer, 1).unwrap()).collect();
        sequences.lost(order(2), stamps[1], false, false);
        let waiting = [(order(1), 1), (order(3), 1)];
        assert_eq!(sequences.mend(&mut producer, waiting.into_iter()), None);
        assert!(sequences.may_repeat(order(1)) && !sequences.may_repeat(order(3)));
        let stamps = sequences.mend(&mut producer, waiting.into_iter().skip(1)).unwrap();
        assert_eq!((stamps[0].producer_epoch, stamps[0].base_sequence), (1, 0));
    }

    #[test]
    fn after_the_last_epoch_a_new_producer_id_is_needed() {
        let mut producer = producer(i16::MAX);
        let mut sequences = Sequences::default();
        sequences.number(&producer, 1).unwrap();
        sequences.break_off(order(1));
        assert_eq!(sequences.mend(&mut producer, [(order(1), 1)].into_iter()), None);
        assert!(producer.needs_identity());
        producer.identity = Some(Identity { id: ProducerId(8), epoch: ProducerEpoch(0) });
        let stamps = sequences.mend(&mut producer, [(order(1), 1)].into_iter()).unwrap();
        assert_eq!((stamps[0].producer_id, stamps[0].producer_epoch, stamps[0].base_sequence), (8, 0, 0));
    }

    #[test]
    fn a_batch_of_unknown_fate_holds_back_new_ones_until_a_later_one_is_acknowledged() {
        let mut producer = producer(0);
        let mut sequences = Sequences::default();
        let first = sequences.number(&producer, 1).unwrap();
        sequences.number(&producer, 1).unwrap();
        sequences.lost(order(1), first, true, false);
        assert!(!sequences.may_number(&producer, true));
        assert!(sequences.may_repeat(order(2)), "what has a number may find out");
        let mut proven = sequences.clone();
        proven.acked(order(2));
        assert!(proven.may_number(&producer, true));

        sequences.settle_unresolved();
        assert!(sequences.mend(&mut producer, [].into_iter()).is_some(), "nothing will ever prove it");
        assert_eq!(producer.identity.unwrap().epoch, ProducerEpoch(1));
    }
}
