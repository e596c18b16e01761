//! [`OffsetAndMetadata`]: what a group commits for a partition.

use crate::messages::OffsetFetchPartitionResponse;

/// What a group commits for a partition: where to read on, and a text of the application's own.
///
/// ```
/// use ottla::OffsetAndMetadata;
///
/// let committed = OffsetAndMetadata::new(42).metadata("up to invoice 7");
/// assert_eq!((committed.offset, committed.leader_epoch), (42, None));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct OffsetAndMetadata {
    /// The next offset to read: that of the last record that was done with, and one.
    pub offset: i64,
    /// The leader epoch of the record before it, by which a log that was truncated since is told (KIP-320); `None` when whoever
    /// committed did not say.
    pub leader_epoch: Option<i32>,
    /// What the application gave with the offset; brokers take up to `offset.metadata.max.bytes` (4096).
    pub metadata: String,
}

impl OffsetAndMetadata {
    /// The next offset to read, without an epoch and with an empty text.
    pub fn new(offset: i64) -> OffsetAndMetadata {
        OffsetAndMetadata { offset, ..OffsetAndMetadata::default() }
    }

    /// The leader epoch of the record before the offset.
    #[must_use]
    pub fn leader_epoch(mut self, leader_epoch: i32) -> OffsetAndMetadata {
        self.leader_epoch = Some(leader_epoch);
        self
    }

    /// A text of the application's own.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<String>) -> OffsetAndMetadata {
        self.metadata = metadata.into();
        self
    }
}

impl OffsetAndMetadata {
    /// What an answer says that was committed; `None` when nothing was.
    pub(crate) fn told(told: &OffsetFetchPartitionResponse) -> Option<OffsetAndMetadata> {
        (told.committed_offset >= 0).then(|| OffsetAndMetadata {
            offset: told.committed_offset,
            leader_epoch: Some(told.committed_leader_epoch.0).filter(|epoch| *epoch >= 0),
            metadata: told.metadata.as_deref().unwrap_or_default().to_owned(),
        })
    }
}

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> OffsetAndMetadata {
        OffsetAndMetadata::new(offset)
    }
}
