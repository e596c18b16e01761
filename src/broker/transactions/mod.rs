//! Transactions: what their coordinators know (KIP-98, KIP-360, KIP-890).
//!
//! [`Transaction`] is the state of one transactional id, this page the table of all of them; `markers` ends what was decided,
//! in the logs of the partitions and in the offsets of groups, and aborts what has gone on for too long; `vouching` answers
//! leaders and group coordinators who want to know what belongs to a transaction.
//!
//! As `__transaction_state` is replicated in Kafka, a transactional id keeps its state when another broker coordinates it.
//! Time has no thread of its own: what is due is done before the next request is looked at, and whoever waits for records that
//! are decided waits until then at the most.
//!
//! Different from Kafka: where the leaders are there, markers are written together with the decision, so that CONCURRENT_TRANSACTIONS
//! after an EndTxn is rare; what has gone on for too long is aborted at once, and not within the next ten seconds; of offsets a
//! transaction knows the group, not the partition of `__consumer_offsets`.

mod markers;
mod transaction;
mod vouching;

pub(super) use transaction::{End, Generation, Init, Partitions, Producer};
pub(super) use vouching::{Part, Vouching};

use crate::messages::{ErrorCode, ProducerId};
use crate::wire::Text;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use transaction::{Stage, Transaction};

/// Transactional ids that are remembered; beyond that one that is in no transaction makes room.
const MAX_IDS: usize = 10_000;
/// How long one is remembered that is not used (`transactional.id.expiration.ms`).
const EXPIRATION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Partitions and groups of all transactions together.
const MAX_PARTITIONS: usize = 1_000_000;

/// The transactional ids of a cluster.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    by_id: BTreeMap<Text, Transaction>,
    /// When those are aborted that go on.
    deadlines: BTreeSet<(Instant, Text)>,
    /// Those that are decided, but whose markers are not all written.
    ending: BTreeSet<Text>,
    /// Partitions and groups of all of them.
    partitions: usize,
}

impl Transactions {
    /// Lets a producer in.
    ///
    /// # Errors
    /// PRODUCER_FENCED, CONCURRENT_TRANSACTIONS; POLICY_VIOLATION when there are too many.
    pub(super) fn init(
        &mut self,
        id: &Text,
        timeout: Duration,
        expected: Option<Producer>,
        now: Instant,
        mut new_id: impl FnMut() -> ProducerId,
    ) -> Result<Init, ErrorCode> {
        if !self.by_id.contains_key(id) {
            self.make_room(now)?;
            self.by_id.insert(id.detach(), Transaction::new(new_id(), now));
        }
        self.change(id, |transaction| transaction.init(timeout, expected, now, new_id))
    }

    /// Adds partitions and groups to a transaction, and begins it if it is not there.
    ///
    /// # Errors
    /// INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS; POLICY_VIOLATION when they are too many.
    pub(super) fn add(
        &mut self,
        id: &Text,
        producer: Producer,
        (partitions, group): (Partitions, Option<Text>),
        generation: Generation,
        now: Instant,
    ) -> Result<(), ErrorCode> {
        let room = MAX_PARTITIONS.saturating_sub(self.partitions);
        self.change(id, |transaction| {
            transaction.check(producer)?;
            if partitions.len() >= room {
                return Err(ErrorCode::POLICY_VIOLATION);
            }
            transaction.go_on(generation, now);
            transaction.partitions.extend(partitions);
            transaction.groups.extend(group);
            Ok(())
        })
    }

    /// Checks that a partition is in a transaction.
    ///
    /// # Errors
    /// INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS, TRANSACTION_ABORTABLE.
    pub(super) fn verify(
        &self,
        id: &Text,
        producer: Producer,
        partition: &(Text, i32),
    ) -> Result<(), ErrorCode> {
        self.verify_by(id, producer, |transaction| transaction.partitions.contains(partition))
    }

    /// Checks that the offsets of a group are in a transaction.
    ///
    /// # Errors
    /// As [`verify`](Transactions::verify).
    pub(super) fn verify_group(&self, id: &Text, producer: Producer, group: &Text) -> Result<(), ErrorCode> {
        self.verify_by(id, producer, |transaction| transaction.groups.contains(group))
    }

    fn verify_by(
        &self,
        id: &Text,
        producer: Producer,
        is_in_it: impl FnOnce(&Transaction) -> bool,
    ) -> Result<(), ErrorCode> {
        let transaction = self.get(id)?;
        transaction.check(producer)?;
        if is_in_it(transaction) { Ok(()) } else { Err(ErrorCode::TRANSACTION_ABORTABLE) }
    }

    /// Decides a transaction.
    ///
    /// # Errors
    /// INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, INVALID_TXN_STATE, CONCURRENT_TRANSACTIONS.
    pub(super) fn end(
        &mut self,
        id: &Text,
        producer: Producer,
        is_commit: bool,
        generation: Generation,
        now: Instant,
        new_id: impl FnOnce() -> ProducerId,
    ) -> Result<End, ErrorCode> {
        self.change(id, |transaction| transaction.end(producer, is_commit, generation, now, new_id))
    }

    /// The producer of a transactional id after what was decided.
    pub(super) fn next_producer(&self, id: &Text) -> Option<Producer> {
        self.by_id.get(id).map(Transaction::next_producer)
    }

    /// When the next transaction is aborted, if it goes on for so long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn get(&self, id: &Text) -> Result<&Transaction, ErrorCode> {
        match self.by_id.get(id) {
            _ if id.is_empty() => Err(ErrorCode::INVALID_REQUEST),
            None => Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING),
            Some(transaction) => Ok(transaction),
        }
    }

    /// Works with a transaction, and keeps what is known of all of them right.
    fn change<T>(
        &mut self,
        id: &Text,
        work: impl FnOnce(&mut Transaction) -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        self.get(id)?;
        let Some((id, transaction)) = self.by_id.get_key_value(id).map(|(id, _)| id.clone()).and_then(|id| {
            let transaction = self.by_id.get_mut(&id)?;
            Some((id, transaction))
        }) else {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        };
        let size =
            |transaction: &Transaction| transaction.partitions.len().saturating_add(transaction.groups.len());
        let (before, deadline) = (size(transaction), transaction.deadline());
        let result = work(transaction);
        self.partitions = self.partitions.saturating_sub(before).saturating_add(size(transaction));
        let (next, is_ending) = (transaction.deadline(), matches!(transaction.stage(), Stage::Ending { .. }));
        if next != deadline {
            deadline.map(|deadline| self.deadlines.remove(&(deadline, id.clone())));
            next.map(|deadline| self.deadlines.insert((deadline, id.clone())));
        }
        if is_ending {
            self.ending.insert(id);
        } else {
            self.ending.remove(&id);
        }
        result
    }

    /// Room for another transactional id: the one that was not used for the longest goes, unless it is in a transaction.
    fn make_room(&mut self, now: Instant) -> Result<(), ErrorCode> {
        if self.by_id.len() < MAX_IDS {
            return Ok(());
        }
        let is_idle =
            |transaction: &Transaction| matches!(transaction.stage(), Stage::Empty | Stage::Ended { .. });
        let is_kept = |transaction: &Transaction| {
            !is_idle(transaction) || now.saturating_duration_since(transaction.last_used()) < EXPIRATION
        };
        self.by_id.retain(|_, transaction| is_kept(transaction));
        if self.by_id.len() < MAX_IDS {
            return Ok(());
        }
        let idle = self.by_id.iter().filter(|(_, transaction)| is_idle(transaction));
        let oldest = idle.min_by_key(|(_, transaction)| transaction.last_used()).map(|(id, _)| id.clone());
        oldest.and_then(|id| self.by_id.remove(&id)).map(drop).ok_or(ErrorCode::POLICY_VIOLATION)
    }
}

#[cfg(test)]
mod tests;
