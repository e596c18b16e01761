//! Transactions: what producers, their coordinators and the leaders of partitions say to each other.
//!
//! On a real broker markers reach the partitions a little after a transaction is decided, so whatever depends on them is asked
//! until it is so: [`settled`], [`Producer::retried`].

pub mod coordinator;
pub mod offsets;
pub mod partitions;
pub mod random;
pub mod readers;

use super::{Target, Topic};
use crate::batch;
use crate::peer::Peer;
use crate::real::kafka::unique;
use ottla::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, CoordinatorType, EndTxnRequest, EndTxnResponse,
    ErrorCode, FindCoordinatorRequest, InitProducerIdRequest, ProducePartitionResponse, ProduceRequest,
    ProducerEpoch, ProducerId,
};
use ottla::wire::Text;
use std::thread;
use std::time::Duration;

pub const FENCED: ErrorCode = ErrorCode::PRODUCER_FENCED;
pub const OLD_EPOCH: ErrorCode = ErrorCode::INVALID_PRODUCER_EPOCH;
pub const MAPPING: ErrorCode = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
pub const STATE: ErrorCode = ErrorCode::INVALID_TXN_STATE;
pub const CONCURRENT: ErrorCode = ErrorCode::CONCURRENT_TRANSACTIONS;
pub const ABORTABLE: ErrorCode = ErrorCode::TRANSACTION_ABORTABLE;
pub const NONE: ErrorCode = ErrorCode::NONE;

/// Asks again until `is_so`, for as long as a real broker may take to abort what has gone on for too long.
#[track_caller]
pub fn settled<T: std::fmt::Debug>(mut ask: impl FnMut() -> T, is_so: impl Fn(&T) -> bool) -> T {
    let mut last = ask();
    for _ in 0..600 {
        if is_so(&last) {
            return last;
        }
        thread::sleep(Duration::from_millis(50));
        last = ask();
    }
    panic!("never so: {last:?}");
}

/// A transactional producer on a connection of its own.
pub struct Producer {
    pub peer: Peer,
    pub transactional_id: Text,
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
    pub timeout_ms: i32,
}

impl Producer {
    /// A new one, with epoch 0 and a transactional id that nobody else has.
    pub fn new(target: &Target) -> Producer {
        Producer::with_timeout(target, 60_000)
    }

    pub fn with_timeout(target: &Target, timeout_ms: i32) -> Producer {
        let mut producer = Producer::on(target.connect(), &unique("transactional"), timeout_ms);
        // A real broker makes the coordinator's topic when it is first asked.
        settled(|| producer.init(5, None), Result::is_ok).unwrap();
        producer
    }

    /// A producer that has not come yet.
    pub fn on(peer: Peer, transactional_id: &str, timeout_ms: i32) -> Producer {
        let (id, epoch) = (ProducerId::NONE, ProducerEpoch::NONE);
        Producer { peer, transactional_id: transactional_id.into(), id, epoch, timeout_ms }
    }

    /// One with the same transactional id.
    pub fn rival(&self, target: &Target) -> Producer {
        Producer::on(target.connect(), &self.transactional_id, self.timeout_ms)
    }

    /// InitProducerId; what it gives is the producer from then on.
    pub fn init(
        &mut self,
        version: i16,
        expected: Option<(ProducerId, ProducerEpoch)>,
    ) -> Result<i16, ErrorCode> {
        let key = self.transactional_id.clone();
        self.peer.ask(4, FindCoordinatorRequest::one(CoordinatorType::TRANSACTION, key.clone(), 4));
        let (producer_id, producer_epoch) = expected.unwrap_or((ProducerId::NONE, ProducerEpoch::NONE));
        let request = InitProducerIdRequest {
            transactional_id: Some(key),
            transaction_timeout_ms: self.timeout_ms,
            producer_id,
            producer_epoch,
            ..Default::default()
        };
        let given = self.peer.ask(version, request);
        given.error_code.ok()?;
        (self.id, self.epoch) = (given.producer_id, given.producer_epoch);
        Ok(given.producer_epoch.0)
    }

    pub fn pair(&self) -> (ProducerId, ProducerEpoch) {
        (self.id, self.epoch)
    }

    /// AddPartitionsToTxn as clients send it.
    pub fn adding(&self, topic: &Topic, partitions: &[i32]) -> AddPartitionsToTxnRequest {
        let topic = AddPartitionsToTxnTopic { name: topic.name.clone(), partitions: partitions.to_vec() };
        AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.transactional_id.clone(),
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![topic],
            ..Default::default()
        }
    }

    /// Adds partitions and takes what is said of each.
    pub fn add(&mut self, version: i16, topic: &Topic, partitions: &[i32]) -> Vec<ErrorCode> {
        let request = self.adding(topic, partitions);
        let added = self.peer.ask(version, request);
        let mut results: Vec<_> = added.results_by_topic_v3_and_below[0].results_by_partition.clone();
        results.sort_by_key(|result| result.partition_index);
        results.into_iter().map(|result| result.partition_error_code).collect()
    }

    /// A batch of its transaction for partition 0.
    pub fn batch(&self, topic: &Topic, sequence: i32, count: usize) -> ProduceRequest {
        let records = batch::transactional(self.id.0, self.epoch.0, sequence, count);
        ProduceRequest { transactional_id: Some(self.transactional_id.clone()), ..topic.produce(records) }
    }

    pub fn send(
        &mut self,
        version: i16,
        topic: &Topic,
        sequence: i32,
        count: usize,
    ) -> ProducePartitionResponse {
        let request = self.batch(topic, sequence, count);
        self.sent(version, request)
    }

    pub fn sent(&mut self, version: i16, request: ProduceRequest) -> ProducePartitionResponse {
        self.peer.ask(version, request).responses[0].partition_responses[0].clone()
    }

    /// Does something until the coordinator has nothing to end any more.
    #[track_caller]
    pub fn retried<T: std::fmt::Debug>(
        &mut self,
        mut ask: impl FnMut(&mut Producer) -> T,
        code: impl Fn(&T) -> ErrorCode,
    ) -> T {
        settled(|| ask(self), |answer| code(answer) != CONCURRENT)
    }

    /// Writes one batch in a transaction of the second generation, which it begins or goes on with.
    #[track_caller]
    pub fn write(&mut self, topic: &Topic, sequence: i32, count: usize) -> i64 {
        let done = self.retried(|own| own.send(12, topic, sequence, count), |done| done.error_code);
        assert_eq!(done.error_code, NONE, "{done:?}");
        done.base_offset
    }

    pub fn ending(&self, committed: bool) -> EndTxnRequest {
        EndTxnRequest {
            transactional_id: self.transactional_id.clone(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed,
        }
    }

    /// Ends the transaction and takes what is said, whatever it is.
    pub fn end(&mut self, version: i16, committed: bool) -> EndTxnResponse {
        let request = self.ending(committed);
        self.peer.ask(version, request)
    }

    /// Ends a transaction of the second generation, and is the next producer.
    #[track_caller]
    pub fn finish(&mut self, committed: bool) {
        let ended = self.end(5, committed);
        assert_eq!(ended.error_code, NONE, "{ended:?}");
        (self.id, self.epoch) = (ended.producer_id, ended.producer_epoch);
    }
}
