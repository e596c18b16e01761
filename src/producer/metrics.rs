//! [`ProducerMetrics`]: what a producer did, as numbers.

use super::delivery::Completion;
use crate::engine::batcher::{Batcher, Finished, Shipment};
use crate::histogram::Histogram;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a producer has done since it was made, and what it is doing now, at the time of
/// [`Producer::metrics`](super::Producer::metrics). Names are those of the Java client's producer metrics where it has the
/// same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerMetrics {
    /// `record-send-total`: records that were acknowledged (with `acks=0`: written to a socket).
    pub record_send_total: u64,
    /// `record-error-total`: records that failed for good.
    pub record_error_total: u64,
    /// `record-retry-total`: records that were sent again, counted each time.
    pub record_retry_total: u64,
    /// `batch-split-total`: batches that were halved because a broker found them too large.
    pub batch_split_total: u64,
    /// Batches that were sent, counted each time.
    pub batch_total: u64,
    /// `request-total`: Produce requests that were sent.
    pub request_total: u64,
    /// Records in them.
    pub request_record_total: u64,
    /// Bytes of the batches in them, compressed.
    pub byte_total: u64,
    /// Bytes of the same batches before they were compressed.
    pub uncompressed_byte_total: u64,
    /// `requests-in-flight`: Produce requests that were handed over to be sent and are not answered.
    pub requests_in_flight: usize,
    /// `buffer-total-bytes`: `buffer.memory`.
    pub buffer_total_bytes: usize,
    /// `buffer-available-bytes`: how much of it is free.
    pub buffer_available_bytes: usize,
    /// Calls of `send` that wait for room (`waiting-threads`).
    pub waiting_sends: usize,
    /// Records that are queued or in flight.
    pub records_pending: usize,
    /// `record-queue-time`: from a batch's first record to when it is handed over to be sent, for each attempt.
    pub record_queue_time: Histogram,
    /// `request-latency`: from handing a request to its connection to its answer.
    pub request_latency: Histogram,
    /// From a batch's first record to its acknowledgement or failure, for each record.
    pub record_latency: Histogram,
    /// `produce-throttle-time`: how long brokers asked to wait (KIP-219), for each answer that did.
    pub produce_throttle_time: Histogram,
}

impl ProducerMetrics {
    /// `compression-rate-avg`: bytes that were sent for each byte of records; 1 without compression, `None` before anything
    /// was sent.
    pub fn compression_rate(&self) -> Option<f64> {
        (self.uncompressed_byte_total > 0)
            .then(|| self.byte_total as f64 / self.uncompressed_byte_total as f64)
    }

    /// `batch-size-avg`: bytes of a batch as it was sent; `None` before anything was.
    pub fn batch_size(&self) -> Option<f64> {
        (self.batch_total > 0).then(|| self.byte_total as f64 / self.batch_total as f64)
    }

    /// `records-per-request-avg`; `None` before anything was sent.
    pub fn records_per_request(&self) -> Option<f64> {
        (self.request_total > 0).then(|| self.request_record_total as f64 / self.request_total as f64)
    }
}

/// Counts, a batch or a request at a time.
#[derive(Debug, Default)]
pub(super) struct Recorder(ProducerMetrics);

impl Recorder {
    /// A shipment was taken to be sent.
    pub(super) fn taken(&mut self, shipment: &Shipment, now: Instant) {
        let counts = &mut self.0;
        for batch in shipment.batches() {
            counts.record_queue_time.record(now.saturating_duration_since(batch.created), 1);
            if batch.is_retry {
                counts.record_retry_total = counts.record_retry_total.saturating_add(batch.records);
            }
        }
    }

    /// A request was handed to its connection.
    pub(super) fn sent(&mut self, shipment: &Shipment) {
        let counts = &mut self.0;
        counts.request_total = counts.request_total.saturating_add(1);
        for batch in shipment.batches() {
            counts.batch_total = counts.batch_total.saturating_add(1);
            counts.request_record_total = counts.request_record_total.saturating_add(batch.records);
            counts.byte_total = counts.byte_total.saturating_add(batch.bytes as u64);
            counts.uncompressed_byte_total =
                counts.uncompressed_byte_total.saturating_add(batch.uncompressed_bytes as u64);
        }
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, took: Duration, throttle_time_ms: i32) {
        self.0.request_latency.record(took, 1);
        if let Ok(ms @ 1..) = u64::try_from(throttle_time_ms) {
            self.0.produce_throttle_time.record(Duration::from_millis(ms), 1);
        }
    }

    /// Batches were halved.
    pub(super) fn split(&mut self, batches: u64) {
        self.0.batch_split_total = self.0.batch_split_total.saturating_add(batches);
    }

    /// The fate of a batch is known.
    pub(super) fn finished(&mut self, batch: &Finished<Arc<Completion>>, now: Instant) {
        let records = u64::from(batch.records.unsigned_abs());
        let total = match batch.result {
            Ok(_) => &mut self.0.record_send_total,
            Err(_) => &mut self.0.record_error_total,
        };
        *total = total.saturating_add(records);
        self.0.record_latency.record(now.saturating_duration_since(batch.created), records);
    }

    pub(super) fn snapshot(
        &self,
        batcher: &Batcher<Arc<Completion>>,
        waiting_sends: usize,
    ) -> ProducerMetrics {
        let buffer_total_bytes = batcher.buffer_memory();
        ProducerMetrics {
            requests_in_flight: batcher.requests_in_flight(),
            buffer_total_bytes,
            buffer_available_bytes: buffer_total_bytes.saturating_sub(batcher.held_bytes()),
            waiting_sends,
            records_pending: batcher.records_pending(),
            ..self.0.clone()
        }
    }
}
