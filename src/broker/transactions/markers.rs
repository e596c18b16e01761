//! The ends of transactions reach partitions and groups: markers are written where leaders are, and offsets that were pending
//! are committed or forgotten.
//!
//! Where a leader is gone its marker waits, and the transaction with it, until somebody leads again.

use super::transaction::{Generation, Stage};
use crate::broker::log::Marker;
use crate::broker::state::{Now, State};
use crate::messages::{ErrorCode, LeaderEpoch};
use crate::wire::Text;

/// That of our coordinators. It would tell an old coordinator of a transaction from its successor; here they are one.
const COORDINATOR_EPOCH: i32 = 0;

impl State {
    /// Aborts what has gone on for too long, and ends what was decided as far as leaders are there by now.
    pub(in crate::broker) fn advance_transactions(&mut self, now: Now) {
        loop {
            let due = self.transactions.deadlines.first().filter(|(deadline, _)| *deadline <= now.at);
            let Some((_, id)) = due.cloned() else { break };
            self.abort_transaction(&id, now);
        }
        if !self.transactions.ending.is_empty() {
            for id in self.transactions.ending.clone() {
                self.end_transaction(&id, now);
            }
        }
    }

    /// Aborts a transaction that goes on, and fences its producer.
    pub(in crate::broker) fn abort_transaction(&mut self, id: &Text, now: Now) {
        let State { transactions, producer_ids, .. } = self;
        let aborted = transactions.change(id, |transaction| {
            transaction.fence(now.at, || producer_ids.next());
            Ok(())
        });
        if aborted.is_ok() {
            self.end_transaction(id, now);
        }
    }

    /// Writes the markers of a transaction that was decided.
    pub(in crate::broker) fn end_transaction(&mut self, id: &Text, now: Now) {
        let Some(transaction) = self.transactions.by_id.get(id) else { return };
        let Stage::Ending { is_commit } = transaction.stage() else { return };
        let ((producer_id, epoch), generation) = transaction.ending();
        let marker = Marker {
            producer_id,
            epoch,
            is_commit,
            coordinator_epoch: COORDINATOR_EPOCH,
            has_own_epoch: generation == Generation::Second,
        };
        let (mut partitions, mut groups) = (transaction.partitions.clone(), transaction.groups.clone());
        // One that is refused is ended by others.
        partitions.retain(|(topic, index)| {
            self.leads(topic, *index) == Some(false) || {
                let _ = self.write_marker(topic, *index, &marker, now);
                false
            }
        });
        groups.retain(|group| !self.end_offsets(group, &marker));
        let _ = self.transactions.change(id, |transaction| {
            if partitions.is_empty() && groups.is_empty() {
                transaction.complete();
            }
            (transaction.partitions, transaction.groups) = (partitions, groups);
            Ok(())
        });
    }

    /// Appends a marker to a partition, at its leader.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED.
    pub(in crate::broker) fn write_marker(
        &mut self,
        topic: &Text,
        index: i32,
        marker: &Marker,
        now: Now,
    ) -> Result<(), ErrorCode> {
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let topic = self.topics.get_mut(topic.as_bytes()).ok_or(unknown)?;
        let append_time = topic.config.log_append_time.then_some(now.unix_ms);
        let retention_bytes = topic.config.retention_bytes;
        let partition = topic.partition_mut(index).ok_or(unknown)?;
        let epoch: LeaderEpoch = partition.leader_epoch;
        partition.log.producers.check_marker(marker)?;
        let written = partition.log.end_transaction(marker, epoch, append_time, now.unix_ms);
        if let Some(bytes) = retention_bytes {
            partition.log.retain_bytes(bytes);
        }
        self.woken.extend(&partition.watchers);
        written.map(drop).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)
    }

    /// Whether a partition's leader runs; `None` where there is no such partition.
    fn leads(&self, topic: &Text, index: i32) -> Option<bool> {
        let partition = self.topics.partition(topic, index).ok()?;
        Some(self.is_up(partition.leader))
    }

    /// Commits or forgets the offsets of a group that waited for a transaction, where its coordinator runs.
    fn end_offsets(&mut self, group: &Text, marker: &Marker) -> bool {
        if !self.coordinator(group).is_some_and(|coordinator| self.is_up(coordinator)) {
            return false;
        }
        if let Some(group) = self.groups.get_mut(group) {
            let committed = group.offsets.end(marker.producer_id, marker.is_commit);
            self.commits.extend(committed);
        }
        true
    }
}
