//! Control records: what brokers write into a partition for clients, above all the markers that end a
//! transaction (KIP-98).
//!
//! The key is a version and a type, both i16; the value of a commit or abort marker a version (i16) and the
//! coordinator's epoch (i32). Later versions may append fields, and later types may come: Java reads over both,
//! and so does this.

use thiserror::Error;

use super::build::{BatchBuilder, BuildError};
use super::record::RecordView;
use super::seal::{SealedBatch, Stamp};

/// The version of keys and values that is written.
const VERSION: i16 = 0;
const KEY_LEN: usize = 4;
const MARKER_LEN: usize = 6;

/// What a control record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ControlType {
    /// The transaction was aborted: records of this producer since its first offset do not count.
    Abort,
    /// The transaction was committed.
    Commit,
    /// A KRaft leader was elected.
    LeaderChange,
    /// A KRaft snapshot begins.
    SnapshotHeader,
    /// A KRaft snapshot ends.
    SnapshotFooter,
    /// The version of the KRaft protocol.
    KraftVersion,
    /// The voters of the KRaft quorum.
    KraftVoters,
    /// Something newer.
    Unknown(i16),
}

impl ControlType {
    const fn from_id(id: i16) -> Self {
        match id {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KraftVersion,
            6 => Self::KraftVoters,
            id => Self::Unknown(id),
        }
    }

    const fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KraftVersion => 5,
            Self::KraftVoters => 6,
            Self::Unknown(id) => id,
        }
    }
}

/// A control record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlRecord {
    /// Its offset.
    pub offset: i64,
    /// What it is about.
    pub kind: ControlType,
    /// The transaction coordinator's epoch; only commit and abort markers have it.
    pub coordinator_epoch: Option<i32>,
}

/// What is wrong with a control record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ControlFlaw {
    /// The key is null, or too short or long for its version.
    #[error("its key does not hold a version and a type")]
    Key,
    /// A negative version.
    #[error("its version {0} is negative")]
    Version(i16),
    /// The value of a commit or abort marker is null, or too short or long for its version.
    #[error("its value does not hold a version and a coordinator epoch")]
    Value,
}

/// Reads a control record.
pub(super) fn parse(record: &RecordView<'_>) -> Result<ControlRecord, ControlFlaw> {
    let rest = versioned(record.key(), KEY_LEN, ControlFlaw::Key)?;
    let kind = rest.first_chunk().map(|id| ControlType::from_id(i16::from_be_bytes(*id)));
    let kind = kind.ok_or(ControlFlaw::Key)?;
    let coordinator_epoch = match kind {
        ControlType::Commit | ControlType::Abort => {
            let rest = versioned(record.value(), MARKER_LEN, ControlFlaw::Value)?;
            Some(rest.first_chunk().map(|epoch| i32::from_be_bytes(*epoch)).ok_or(ControlFlaw::Value)?)
        }
        _ => None,
    };
    Ok(ControlRecord { offset: record.offset(), kind, coordinator_epoch })
}

/// Takes the version off `bytes`, which in version 0 have exactly `len` bytes and later at least as many.
fn versioned(bytes: Option<&[u8]>, len: usize, flaw: ControlFlaw) -> Result<&[u8], ControlFlaw> {
    let bytes = bytes.ok_or(flaw)?;
    let (version, rest) = bytes.split_first_chunk().ok_or(flaw)?;
    let version = i16::from_be_bytes(*version);
    if version < 0 {
        return Err(ControlFlaw::Version(version));
    }
    if bytes.len() < len || version == VERSION && bytes.len() > len {
        return Err(flaw);
    }
    Ok(rest)
}

/// The batch that ends a producer's transaction in a partition, as the coordinator has the partition's leader
/// append it.
///
/// # Errors
///
/// Those of [`BatchBuilder::append`], none of which such a record can cause.
pub fn end_transaction(
    commit: bool,
    coordinator_epoch: i32,
    timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
) -> Result<SealedBatch, BuildError> {
    let kind = if commit { ControlType::Commit } else { ControlType::Abort };
    let mut key = [0; KEY_LEN];
    if let Some(id) = key.last_chunk_mut() {
        *id = kind.id().to_be_bytes();
    }
    let mut value = [0; MARKER_LEN];
    if let Some(epoch) = value.last_chunk_mut() {
        *epoch = coordinator_epoch.to_be_bytes();
    }
    let mut builder = BatchBuilder::with_capacity(128);
    builder.make_control();
    builder.append(timestamp, Some(&key), Some(&value), [])?;
    let stamp = Stamp { producer_id, producer_epoch, base_sequence: -1, transactional: true };
    builder.close().map(|batch| batch.seal(stamp)).ok_or(BuildError::Full)
}
