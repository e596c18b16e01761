//! What OffsetCommit and TxnOffsetCommit have in common: one has its offsets stand at once, the other with its transaction.

use crate::broker::core::Context;
use crate::broker::groups::offsets::{Committed, MAX_METADATA_BYTES};
use crate::broker::state::State;
use crate::broker::watch::SeenCommit;
use crate::messages::{ErrorCode, LeaderEpoch};
use crate::wire::{Text, Uuid};

/// Who commits, and for which group.
#[derive(Clone, Copy)]
pub(super) struct Committer<'a> {
    pub(super) group: &'a Text,
    pub(super) member: &'a Text,
}

/// What is to be committed of a partition.
pub(super) struct Wanted<'a> {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) metadata: Option<&'a Text>,
}

impl Committer<'_> {
    /// What is kept of a commit, and what is told of it.
    pub(super) fn commit(
        self,
        context: Context<'_>,
        topic: &Text,
        wanted: &Wanted<'_>,
    ) -> Result<(Committed, SeenCommit), ErrorCode> {
        let Wanted { partition, offset, leader_epoch, metadata } = *wanted;
        let metadata = metadata.map(Text::detach).unwrap_or_default();
        if metadata.len() > MAX_METADATA_BYTES {
            return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
        }
        let seen = SeenCommit {
            at: context.now.at,
            connection: context.connection.0,
            group: self.group.as_str().to_owned(),
            member_id: self.member.as_str().to_owned(),
            topic: topic.as_str().to_owned(),
            partition,
            offset,
        };
        Ok((Committed { offset, leader_epoch, metadata }, seen))
    }
}

/// Those of a topic's partitions that there are.
pub(super) fn known_partitions(
    state: &State,
    topic: &Text,
    indexes: impl Iterator<Item = i32>,
) -> Vec<(Uuid, i32)> {
    let Some(known) = state.topics.get(topic.as_bytes()) else { return Vec::new() };
    let there = indexes.filter(|index| known.partition(*index).is_some());
    there.map(|index| (known.id, index)).collect()
}
