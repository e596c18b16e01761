//! What lies in the log of a partition, for tests to look at.

use super::log::Stored;
use crate::records::OwnedRecord;
use bytes::Bytes;

/// A record batch as it lies in the log of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredBatch {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The offset of its last record.
    pub last_offset: i64,
    /// The largest timestamp of its records, in milliseconds since 1970.
    pub max_timestamp: i64,
    /// The epoch of the leader that appended it.
    pub leader_epoch: i32,
    /// The codec of its records: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    pub codec: &'static str,
    /// The producer id of the idempotent producer that wrote it, -1 for others.
    pub producer_id: i64,
    /// Whether it belongs to a transaction.
    pub is_transactional: bool,
    /// Of a marker that ends a transaction, whether that was committed: it holds no records of users. `None` for others.
    pub marker: Option<bool>,
    /// All of it, header included.
    pub bytes: Bytes,
}

/// A record as it lies in the log of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// Its offset.
    pub offset: i64,
    /// Its time, in milliseconds since 1970; -1 for none.
    pub timestamp: i64,
    /// Its key; null is not the same as empty.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers in their order.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    /// The producer id of the idempotent producer that wrote it, -1 for others.
    pub producer_id: i64,
    /// The epoch of the leader that appended it.
    pub leader_epoch: i32,
}

impl From<&Stored> for StoredBatch {
    fn from(stored: &Stored) -> StoredBatch {
        StoredBatch {
            base_offset: stored.base_offset,
            last_offset: stored.last_offset,
            max_timestamp: stored.max_timestamp,
            leader_epoch: stored.leader_epoch.0,
            codec: stored.codec.name(),
            producer_id: stored.producer_id().0,
            is_transactional: stored.is_transactional(),
            marker: stored.is_commit(),
            bytes: stored.frame.to_bytes(),
        }
    }
}

impl StoredRecord {
    /// The records of a batch; a marker has none.
    pub(super) fn of(stored: &Stored) -> Vec<StoredRecord> {
        let (producer_id, leader_epoch) = (stored.producer_id().0, stored.leader_epoch.0);
        let batch = stored.open().filter(|batch| !batch.is_control());
        let records = batch.iter().flat_map(|batch| batch.records()).map(|record| {
            let OwnedRecord { offset, timestamp, key, value, headers, .. } = record.to_owned();
            let headers = headers.into_iter().map(|header| (header.key, header.value)).collect();
            StoredRecord { offset, timestamp, key, value, headers, producer_id, leader_epoch }
        });
        records.collect()
    }
}
