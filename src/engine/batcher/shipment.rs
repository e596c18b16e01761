//! Batches on their way to a broker: one Produce request with one batch for each of many partitions.

use super::lane::{Content, Order};
use crate::error::Error;
use crate::messages::{
    Acks, BrokerId, ProducePartition, ProduceRequest, ProduceResponse, ProduceTopic, RecordSet,
};
use crate::records::{ClosedBatch, SealedBatch, Stamp};
use crate::wire::{Text, Uuid};
use std::collections::BTreeMap;
use std::time::Instant;

/// What one request carries. It owns the records until it is handed back with the answer.
///
/// Everything that takes time (compressing, checksums) is done here, away from the batcher and whoever waits for it.
#[derive(Debug)]
#[must_use = "its records are in flight until it is handed back"]
pub struct Shipment {
    pub(super) id: u64,
    pub(super) broker: BrokerId,
    pub(super) items: Vec<Item>,
}

/// One batch of a shipment.
#[derive(Debug)]
pub(super) struct Item {
    /// Its lane's place in the batcher.
    pub(super) lane: usize,
    pub(super) order: Order,
    pub(super) topic: Text,
    pub(super) topic_id: Uuid,
    pub(super) partition: i32,
    pub(super) content: Content,
    pub(super) stamp: Stamp,
    /// When it may not be sent any more.
    pub(super) until: Instant,
    /// When its first record was appended.
    pub(super) created: Instant,
    pub(super) records: i32,
    /// Whether it may have been sent before.
    pub(super) is_retry: bool,
}

/// What is worth counting of a batch in a shipment.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Load {
    /// When its first record was appended.
    pub created: Instant,
    /// How many records it has.
    pub records: u64,
    /// Whether it may have been sent before.
    pub is_retry: bool,
    /// Bytes as they are sent.
    pub bytes: usize,
    /// Bytes before compression.
    pub uncompressed_bytes: usize,
}

/// What became of a shipment's request.
#[derive(Debug)]
pub enum Answer {
    /// The broker answered.
    Response(ProduceResponse),
    /// It was written to the socket, and with `acks=0` that is all there will ever be.
    Unacknowledged,
    /// It was not sent, or not answered; the error says whether it may have arrived.
    Failed(Error),
}

impl Shipment {
    /// Names the shipment while it is under way.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The broker that leads all its partitions.
    pub fn broker(&self) -> BrokerId {
        self.broker
    }

    /// The batches, to be counted.
    pub fn batches(&self) -> impl Iterator<Item = Load> {
        self.items.iter().map(|item| Load {
            created: item.created,
            records: u64::from(item.records.unsigned_abs()),
            is_retry: item.is_retry,
            bytes: item.content.len(),
            uncompressed_bytes: item.sealed().map_or(item.content.len(), SealedBatch::uncompressed_len),
        })
    }

    /// How many batches there are, one a partition.
    pub fn batch_count(&self) -> usize {
        self.items.len()
    }

    /// When it may not be sent any more, if it waits for a connection until then: some of its records have no time left.
    pub fn send_by(&self) -> Option<Instant> {
        self.items.iter().map(|item| item.until).min()
    }

    /// Bytes of the batches as they are now.
    pub fn bytes(&self) -> usize {
        self.items.iter().map(|item| item.content.len()).sum()
    }

    /// Whether the topics' ids are known, without which Produce 13 and above cannot be used.
    pub fn has_topic_ids(&self) -> bool {
        self.items.iter().all(|item| !item.topic_id.is_zero())
    }

    /// Whether there is something for [`seal`](Self::seal) to compress: not in a retry.
    pub fn has_unsealed(&self) -> bool {
        self.items.iter().any(|item| matches!(item.content, Content::Closed(_)))
    }

    /// Compresses what is sent for the first time (`compress` is given each such batch and its topic), then stamps and
    /// checksums. A batch that `compress` leaves as it is goes uncompressed.
    pub fn seal(&mut self, mut compress: impl FnMut(&Text, &mut ClosedBatch)) {
        for Item { topic, content, stamp, .. } in &mut self.items {
            *content = match std::mem::replace(content, Content::Away) {
                Content::Closed(mut batch) => {
                    compress(topic, &mut batch);
                    Content::Sealed(batch.seal(*stamp))
                }
                // Its sequence numbers were mended since it was sent.
                Content::Sealed(batch) if batch.stamp() != *stamp => Content::Sealed(batch.restamp(*stamp)),
                other => other,
            };
        }
    }

    /// The request; what is not [sealed](Self::seal) yet goes uncompressed. Topics are named and have their ids: the
    /// version decides which is sent.
    pub fn request(&mut self, acks: Acks, timeout_ms: i32, transactional_id: Option<Text>) -> ProduceRequest {
        self.seal(|_, _| {});
        let mut topics: BTreeMap<&Text, ProduceTopic> = BTreeMap::new();
        for item in &self.items {
            let topic = topics.entry(&item.topic).or_insert_with(|| ProduceTopic {
                name: item.topic.clone(),
                topic_id: item.topic_id,
                partition_data: Vec::new(),
            });
            let records = item.sealed().map(|batch| RecordSet::from(batch.bytes().clone()));
            topic.partition_data.push(ProducePartition { index: item.partition, records });
        }
        ProduceRequest { transactional_id, acks, timeout_ms, topic_data: topics.into_values().collect() }
    }
}

impl Item {
    pub(super) fn sealed(&self) -> Option<&SealedBatch> {
        match &self.content {
            Content::Sealed(batch) => Some(batch),
            _ => None,
        }
    }
}
