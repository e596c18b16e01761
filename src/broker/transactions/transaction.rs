//! [`Transaction`]: the state of one transactional id, by the rules of `TransactionCoordinator` and `TransactionMetadata` in
//! Kafka 4.3. It knows no partition's log and no clock: calls go in, what is to be ended comes out.
//!
//! ```text
//! Empty ─► Ongoing ─► Ending(commit or abort) ─► Ended(commit or abort) ─► Ongoing ..
//!   ▲ InitProducerId                                  │
//!   └─────────────────────────────────────────────────┘
//! ```
//!
//! Two generations of producers are told apart by the versions of their requests. Those of the first keep their epoch from
//! transaction to transaction; those of the second have a new one for each (KIP-890), so that what comes late is known by its
//! epoch. The coordinator itself aborts like one of the second.

use crate::messages::{ErrorCode, ProducerEpoch, ProducerId};
use crate::wire::Text;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The epoch that producers never have: it is left for the coordinator to fence the last of them.
const LAST_EPOCH: ProducerEpoch = ProducerEpoch(i16::MAX);

/// A producer: its id and epoch.
pub(in crate::broker) type Producer = (ProducerId, ProducerEpoch);

/// Partitions of transactions, by topic and index.
pub(in crate::broker) type Partitions = BTreeSet<(Text, i32)>;

/// The generation of a producer (`transaction.version`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Generation {
    /// One epoch for all transactions.
    First,
    /// A new epoch for each (KIP-890).
    Second,
}

/// What a transactional id is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Stage {
    /// The producer is there, and has no transaction behind it.
    Empty,
    Ongoing,
    /// Decided; not all markers are written.
    Ending {
        is_commit: bool,
    },
    /// They are.
    Ended {
        is_commit: bool,
    },
}

/// The state of one transactional id.
#[derive(Debug)]
pub(in crate::broker) struct Transaction {
    producer: Producer,
    /// The id before the last change, and the epoch that a request has that comes again.
    previous_id: ProducerId,
    last_epoch: ProducerEpoch,
    /// The id from the end of this transaction on, when the epochs of this one are used up.
    next_id: Option<ProducerId>,
    timeout: Duration,
    stage: Stage,
    generation: Generation,
    /// What markers are still to be written to.
    pub(super) partitions: Partitions,
    /// Groups whose offsets are in it.
    pub(super) groups: BTreeSet<Text>,
    began: Instant,
    last_used: Instant,
}

/// What came of InitProducerId.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Init {
    /// The producer from now on.
    Given(Producer),
    /// A transaction of an earlier one is to be aborted first.
    Aborts,
}

/// What came of EndTxn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum End {
    /// It has been ended so already.
    Already,
    /// Markers are to be written.
    Begins,
}

impl Transaction {
    /// A transactional id that was never heard of.
    pub(super) fn new(id: ProducerId, now: Instant) -> Transaction {
        Transaction {
            producer: (id, ProducerEpoch::NONE),
            previous_id: ProducerId::NONE,
            last_epoch: ProducerEpoch::NONE,
            next_id: None,
            timeout: Duration::ZERO,
            stage: Stage::Empty,
            generation: Generation::First,
            partitions: Partitions::new(),
            groups: BTreeSet::new(),
            began: now,
            last_used: now,
        }
    }

    pub(in crate::broker) fn stage(&self) -> Stage {
        self.stage
    }

    /// The producer that clients know after the end of what is decided.
    pub(in crate::broker) fn next_producer(&self) -> Producer {
        self.next_id.map_or(self.producer, |id| (id, ProducerEpoch(0)))
    }

    /// Whose markers are written, and of which generation.
    pub(super) fn ending(&self) -> (Producer, Generation) {
        (self.producer, self.generation)
    }

    pub(super) fn last_used(&self) -> Instant {
        self.last_used
    }

    /// When it is aborted, if it goes on for so long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.stage == Stage::Ongoing).then(|| crate::task::after(self.began, self.timeout))
    }

    /// Lets a producer in: a new one, or one that is there and goes on after an error, `expected` (KIP-360).
    ///
    /// # Errors
    /// PRODUCER_FENCED, CONCURRENT_TRANSACTIONS.
    pub(super) fn init(
        &mut self,
        timeout: Duration,
        expected: Option<Producer>,
        now: Instant,
        new_id: impl FnOnce() -> ProducerId,
    ) -> Result<Init, ErrorCode> {
        let (id, epoch) = self.producer;
        let is_its_own = |(expected_id, expected_epoch): Producer| {
            epoch.is_none()
                || expected_id == id
                || (expected_id == self.previous_id && is_exhausted(expected_epoch))
        };
        if !expected.is_none_or(is_its_own) {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match self.stage {
            Stage::Ending { .. } => return Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            Stage::Ongoing => return Ok(Init::Aborts),
            Stage::Empty | Stage::Ended { .. } => {}
        }
        let expected_epoch = expected.map(|(_, epoch)| epoch);
        let (next, last_epoch) = match expected_epoch {
            _ if is_exhausted(epoch) && expected_epoch.is_none_or(|expected| expected == epoch) => {
                let last_epoch = if expected_epoch.is_some() { epoch } else { ProducerEpoch::NONE };
                ((new_id(), ProducerEpoch(0)), last_epoch)
            }
            None => ((id, following(epoch)), ProducerEpoch::NONE),
            Some(expected) if epoch.is_none() || expected == epoch => ((id, following(epoch)), epoch),
            // Its answer was lost, and nobody came between.
            Some(expected) if expected == self.last_epoch => (self.producer, self.last_epoch),
            Some(_) => return Err(ErrorCode::PRODUCER_FENCED),
        };
        self.become_producer(next);
        self.last_epoch = last_epoch;
        self.timeout = timeout;
        self.stage = Stage::Empty;
        self.last_used = now;
        Ok(Init::Given(next))
    }

    /// Checks that a producer is the one that there is, and nothing is being ended.
    ///
    /// # Errors
    /// INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS.
    pub(super) fn check(&self, (id, epoch): Producer) -> Result<(), ErrorCode> {
        if id != self.producer.0 {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if epoch != self.producer.1 {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match self.stage {
            Stage::Ending { .. } => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            _ => Ok(()),
        }
    }

    /// Begins a transaction unless one goes on.
    pub(super) fn go_on(&mut self, generation: Generation, now: Instant) {
        if self.stage != Stage::Ongoing {
            self.stage = Stage::Ongoing;
            self.began = now;
        }
        self.become_producer(self.producer);
        self.generation = generation;
        self.last_used = now;
    }

    /// Ends the transaction as its producer wishes.
    ///
    /// # Errors
    /// INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, INVALID_TXN_STATE, CONCURRENT_TRANSACTIONS.
    pub(super) fn end(
        &mut self,
        producer: Producer,
        is_commit: bool,
        generation: Generation,
        now: Instant,
        new_id: impl FnOnce() -> ProducerId,
    ) -> Result<End, ErrorCode> {
        let comes_again = match generation {
            Generation::First => self.check_first(producer)?,
            Generation::Second => self.check_second(producer)?,
        };
        match self.stage {
            Stage::Ongoing => {}
            Stage::Ending { is_commit: decided } if decided == is_commit => {
                return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
            }
            Stage::Ended { is_commit: decided } if decided == is_commit && comes_again => {
                return Ok(End::Already);
            }
            // A producer of the second generation does not know what its leaders have added, and may abort nothing at all.
            Stage::Empty | Stage::Ended { .. }
                if generation == Generation::Second && !is_commit && !comes_again => {}
            _ => return Err(ErrorCode::INVALID_TXN_STATE),
        }
        self.decide(is_commit, generation, now, new_id);
        Ok(End::Begins)
    }

    /// Whether the request may be one that comes again, which among the first generation cannot be told.
    fn check_first(&self, (id, epoch): Producer) -> Result<bool, ErrorCode> {
        if id != self.producer.0 {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if epoch == self.producer.1 { Ok(true) } else { Err(ErrorCode::PRODUCER_FENCED) }
    }

    /// Whether the request is one that comes again: it has the epoch of the transaction before.
    fn check_second(&self, (id, epoch): Producer) -> Result<bool, ErrorCode> {
        let (own_id, own_epoch) = self.producer;
        let of_ids_before =
            id == self.previous_id && epoch.0 == LAST_EPOCH.0.wrapping_sub(1) && own_epoch.0 == 0;
        let of_epoch_before = epoch.0.checked_add(1) == Some(own_epoch.0);
        if id != own_id && !of_ids_before {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        let is_known = match self.stage {
            Stage::Empty | Stage::Ongoing => epoch == own_epoch,
            Stage::Ending { .. } => of_epoch_before,
            Stage::Ended { .. } => of_epoch_before || of_ids_before || epoch == own_epoch,
        };
        if is_known { Ok(of_epoch_before || of_ids_before) } else { Err(ErrorCode::PRODUCER_FENCED) }
    }

    /// Aborts what goes on, whoever the producer is: it is fenced, unless it takes the abort for the answer to one of its own.
    pub(super) fn fence(&mut self, now: Instant, new_id: impl FnOnce() -> ProducerId) {
        self.decide(false, Generation::Second, now, new_id);
    }

    fn decide(
        &mut self,
        is_commit: bool,
        generation: Generation,
        now: Instant,
        new_id: impl FnOnce() -> ProducerId,
    ) {
        self.generation = generation;
        let (id, epoch) = self.producer;
        if generation == Generation::Second {
            self.next_id = is_exhausted(epoch).then(new_id);
            self.become_producer((id, following(epoch)));
            self.last_epoch = epoch;
        }
        self.stage = Stage::Ending { is_commit };
        self.last_used = now;
    }

    /// All markers are written.
    pub(super) fn complete(&mut self) {
        if let Stage::Ending { is_commit } = self.stage {
            self.stage = Stage::Ended { is_commit };
            let next = self.next_producer();
            self.become_producer(next);
            self.next_id = None;
        }
    }

    fn become_producer(&mut self, next: Producer) {
        self.previous_id = self.producer.0;
        self.producer = next;
    }
}

/// Whether a producer with this epoch cannot have a next one.
fn is_exhausted(epoch: ProducerEpoch) -> bool {
    epoch.0 >= LAST_EPOCH.0.wrapping_sub(1)
}

fn following(epoch: ProducerEpoch) -> ProducerEpoch {
    ProducerEpoch(epoch.0.saturating_add(1))
}

#[cfg(test)]
mod tests;
