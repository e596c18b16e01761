//! [`ConsumerMetrics`]: what a consumer did, as numbers.

use super::shared::State;
use crate::engine::TopicPartition;
use crate::engine::cursor::FetchedBatch;
use crate::error::Result;
use crate::histogram::Histogram;
use crate::messages::FetchResponse;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a consumer has done since it was made, and what it is doing now, at the time of
/// [`Consumer::metrics`](super::Consumer::metrics). Names are those of the Java client's consumer metrics where it has the
/// same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerMetrics {
    /// `records-consumed-total`: records of the batches that were handed out.
    pub records_consumed_total: u64,
    /// `bytes-consumed-total`: bytes of these batches as they were received, compressed.
    pub bytes_consumed_total: u64,
    /// Batches that were handed out.
    pub batch_total: u64,
    /// `fetch-total`: Fetch requests that came to an end.
    pub fetch_total: u64,
    /// Those of them that failed as a whole.
    pub fetch_error_total: u64,
    /// Bytes of batches that were received.
    pub fetch_byte_total: u64,
    /// `fetch-latency`: from asking for a connection to the answer, which brokers hold back for `fetch.max.wait.ms` while
    /// there is nothing new.
    pub fetch_latency: Histogram,
    /// `fetch-throttle-time`: how long brokers asked to wait (KIP-219), for each answer that did.
    pub fetch_throttle_time: Histogram,
    /// Fetch requests that are under way.
    pub fetches_in_flight: usize,
    /// Bytes of answers in memory of which not everything was handed out; at most about `queued.max.messages.kbytes`.
    pub queued_bytes: usize,
    /// `assigned-partitions`, each with where it is.
    pub partitions: BTreeMap<TopicPartition, PartitionMetrics>,
}

/// Where a consumer is in one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionMetrics {
    /// The offset of the next record to be handed out, as soon as it is known.
    pub position: Option<i64>,
    /// `records-lag`: offsets up to the end that the last answer told.
    pub lag: Option<i64>,
    /// Bytes of its records that wait to be handed out.
    pub queued_bytes: usize,
    /// `preferred-read-replica`: the broker that it is read from instead of the leader (KIP-392).
    pub preferred_read_replica: Option<i32>,
}

impl ConsumerMetrics {
    /// `records-lag-max`: the largest lag of a partition; `None` before any is known.
    pub fn records_lag_max(&self) -> Option<i64> {
        self.partitions.values().filter_map(|partition| partition.lag).max()
    }

    /// `fetch-size-avg`: bytes of batches for each Fetch request; `None` before any.
    pub fn fetch_size(&self) -> Option<f64> {
        (self.fetch_total > 0).then(|| self.fetch_byte_total as f64 / self.fetch_total as f64)
    }
}

/// Counts, a batch or a request at a time.
#[derive(Debug, Default)]
pub(super) struct Recorder(ConsumerMetrics);

impl Recorder {
    /// A batch was handed out.
    pub(super) fn handed_out(&mut self, next: &Result<FetchedBatch>) {
        let Ok(FetchedBatch { batch, is_again: false, .. }) = next else { return };
        let counts = &mut self.0;
        counts.batch_total = counts.batch_total.saturating_add(1);
        let records = u64::from(batch.record_count().unsigned_abs());
        counts.records_consumed_total = counts.records_consumed_total.saturating_add(records);
        counts.bytes_consumed_total = counts.bytes_consumed_total.saturating_add(batch.frame().len() as u64);
    }

    /// A request came to an end.
    /// Counts an answer; how many bytes of records it has.
    pub(super) fn fetched(&mut self, answer: &Result<FetchResponse>, took: Duration) -> usize {
        let counts = &mut self.0;
        counts.fetch_total = counts.fetch_total.saturating_add(1);
        let Ok(answer) = answer else {
            counts.fetch_error_total = counts.fetch_error_total.saturating_add(1);
            return 0;
        };
        counts.fetch_latency.record(took, 1);
        if let Ok(ms @ 1..) = u64::try_from(answer.throttle_time_ms) {
            counts.fetch_throttle_time.record(Duration::from_millis(ms), 1);
        }
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        let bytes: usize = partitions.filter_map(|found| Some(found.records.as_ref()?.len())).sum();
        counts.fetch_byte_total = counts.fetch_byte_total.saturating_add(bytes as u64);
        bytes
    }

    pub(super) fn snapshot(&self, state: &State) -> ConsumerMetrics {
        let cursors = &state.cursors;
        let of = |partition: &TopicPartition| PartitionMetrics {
            position: state.position(partition).ok().flatten(),
            lag: state.lag(partition).ok().flatten(),
            queued_bytes: cursors.queued_bytes_of(partition),
            preferred_read_replica: cursors.preferred_replica(partition).map(|broker| broker.0),
        };
        ConsumerMetrics {
            fetches_in_flight: state.fetching.len(),
            queued_bytes: cursors.queued_bytes(),
            partitions: cursors.assigned().map(|partition| (partition.clone(), of(partition))).collect(),
            ..self.0.clone()
        }
    }
}
