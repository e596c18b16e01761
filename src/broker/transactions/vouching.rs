//! What leaders and group coordinators ask a transaction's coordinator before they take anything of the transaction (KIP-890):
//! whether the partition or group is in it, or that it be added. In Kafka these are requests between brokers
//! (`AddPartitionsToTxnManager`); here it is a question to the table.

use super::{Generation, Partitions, Producer};
use crate::broker::state::{Now, State};
use crate::messages::ErrorCode;
use crate::wire::Text;

/// What a client's version makes of what is not in its transaction yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Vouching {
    /// It is added: a producer of the second generation does not do that itself.
    Adds,
    /// It is an error that asks to abort.
    Verifies,
    /// It is an error that older clients know.
    VerifiesOld,
}

/// What is to be in a transaction.
#[derive(Debug, Clone)]
pub(in crate::broker) enum Part {
    Partition(Text, i32),
    /// The offsets of a group.
    Group(Text),
}

impl Vouching {
    pub(in crate::broker) fn of_produce(version: i16) -> Vouching {
        match version {
            12.. => Vouching::Adds,
            11 => Vouching::Verifies,
            _ => Vouching::VerifiesOld,
        }
    }

    pub(in crate::broker) fn of_offset_commit(version: i16) -> Vouching {
        match version {
            5.. => Vouching::Adds,
            4 => Vouching::Verifies,
            _ => Vouching::VerifiesOld,
        }
    }
}

impl State {
    /// Sees that a part of what a client writes is in its transaction.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE, INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, INVALID_PRODUCER_EPOCH,
    /// CONCURRENT_TRANSACTIONS, TRANSACTION_ABORTABLE, INVALID_TXN_STATE.
    pub(in crate::broker) fn vouch(
        &mut self,
        id: &Text,
        producer: Producer,
        part: Part,
        vouching: Vouching,
        now: Now,
    ) -> Result<(), ErrorCode> {
        if !self.coordinator(id).is_some_and(|coordinator| self.is_up(coordinator)) {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        let transactions = &mut self.transactions;
        let vouched = match part {
            Part::Partition(topic, index) if vouching == Vouching::Adds => {
                let partitions = Partitions::from([(topic.detach(), index)]);
                transactions.add(id, producer, (partitions, None), Generation::Second, now.at)
            }
            Part::Group(group) if vouching == Vouching::Adds => {
                let added = (Partitions::new(), Some(group.detach()));
                transactions.add(id, producer, added, Generation::Second, now.at)
            }
            Part::Partition(topic, index) => transactions.verify(id, producer, &(topic, index)),
            Part::Group(group) => transactions.verify_group(id, producer, &group),
        };
        vouched.map_err(|code| match code {
            ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
            ErrorCode::TRANSACTION_ABORTABLE if vouching == Vouching::VerifiesOld => {
                ErrorCode::INVALID_TXN_STATE
            }
            code => code,
        })
    }
}
