//! A batcher on a test bench: a clock that is turned by hand, and a cluster that keeps sequence numbers as Kafka does.

use crate::engine::batcher::{
    Answer, Batcher, Completed, Divide, Entry, Finished, Identity, Limits, Refused, Shipment, TopicRef,
};
use crate::engine::view::{Asked, View};
use crate::error::{Error, ErrorKind, Sent};
use crate::messages::*;
use crate::records::{Batches, Header};
use crate::wire::Uuid;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// What a batch's records share here: which batch it was, and the index of its first record there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tag {
    pub(super) batch: usize,
    pub(super) first: i32,
}

impl Divide for Tag {
    fn divide(self, at: i32) -> [Tag; 2] {
        [self, Tag { first: self.first + at, ..self }]
    }
}

pub(super) struct Bench {
    pub(super) batcher: Batcher<Tag>,
    pub(super) view: View,
    pub(super) now: Instant,
    pub(super) rng: fastrand::Rng,
    pub(super) topic: TopicRef,
    pub(super) cluster: Cluster,
    /// The value of each record, by its batch and index.
    sent: BTreeMap<(usize, i32), String>,
    /// What became of each record that is finished.
    pub(super) outcomes: BTreeMap<String, Result<Option<i64>, Error>>,
    batches: usize,
}

pub(super) const TOPIC: &str = "orders";
pub(super) const ID: Uuid = Uuid::from_bytes([7; 16]);

impl Bench {
    /// Four partitions: even ones on broker 0, odd ones on broker 1.
    pub(super) fn new(limits: Limits) -> Bench {
        let now = crate::task::now();
        let view = view(ID, &[(0, 1), (1, 1), (0, 1), (1, 1)]);
        let mut batcher = Batcher::new(limits);
        let topic = batcher.topic(TOPIC.as_bytes(), &view, now).unwrap();
        if batcher.needs_identity() {
            batcher.set_identity(Identity { id: ProducerId(9), epoch: ProducerEpoch(0) });
        }
        Bench {
            batcher,
            view,
            now,
            rng: fastrand::Rng::with_seed(5),
            topic,
            cluster: Cluster::default(),
            sent: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            batches: 0,
        }
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    /// Appends a record; whether that woke.
    pub(super) fn send(&mut self, partition: i32, value: &str) -> Result<bool, Refused> {
        let entry = Entry {
            timestamp: 1_000,
            key: None,
            value: Some(value.as_bytes()),
            headers: [] as [Header<'_>; 0],
        };
        let next = Tag { batch: self.batches, first: 0 };
        let appended = self.batcher.append(self.topic, partition, entry, self.now, |_| (next, self.now))?;
        let (tag, index, wake) = (appended.completion, appended.index, appended.wake);
        self.batches += usize::from(tag == next);
        self.sent.insert((tag.batch, tag.first + index), value.to_owned());
        Ok(wake)
    }

    /// Lets a first batch of a partition be acknowledged: from then on several may be in flight.
    pub(super) fn open(&mut self, partition: i32) {
        self.send(partition, &format!("open {partition}")).unwrap();
        self.batcher.flush();
        self.run(0);
        self.cluster.seen.clear();
    }

    pub(super) fn drain(&mut self, broker: i32) -> Option<Shipment> {
        self.batcher.drain(BrokerId(broker), self.now)
    }

    /// Lets the cluster answer a shipment.
    pub(super) fn deliver(&mut self, mut shipment: Shipment) -> Completed<Tag> {
        let response = self.cluster.produce(&shipment.request(Acks::ALL, 30_000, None));
        self.answer(shipment, Answer::Response(response))
    }

    pub(super) fn answer(&mut self, shipment: Shipment, answer: Answer) -> Completed<Tag> {
        let completed = self.batcher.complete(shipment, answer, self.now, &mut self.rng);
        self.note(&completed.finished);
        completed
    }

    pub(super) fn expire(&mut self) {
        let finished = self.batcher.expire(self.now);
        self.note(&finished);
    }

    pub(super) fn note(&mut self, finished: &[Finished<Tag>]) {
        for Finished { completion, records, result, .. } in finished {
            for index in 0..*records {
                let value = self.sent[&(completion.batch, completion.first + index)].clone();
                let outcome = match result {
                    Ok(receipt) => Ok(receipt.base_offset.map(|base| base + i64::from(index))),
                    Err(rejection) => {
                        let own =
                            rejection.records.iter().find(|(at, _)| *at == index).map(|(_, error)| error);
                        Err(own.unwrap_or(&rejection.error).clone())
                    }
                };
                assert!(self.outcomes.insert(value.clone(), outcome).is_none(), "{value} is finished twice");
            }
        }
    }

    /// Sends and answers whatever is due, until nothing is, up to `ms` from now.
    pub(super) fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            while let Some(broker) = self.batcher.ready(self.now).first().copied() {
                let Some(shipment) = self.drain(broker.0) else { continue };
                self.deliver(shipment);
            }
            match self.batcher.next_deadline() {
                Some(at) if at <= end => self.now = at.max(self.now),
                _ => break,
            }
            self.expire();
        }
        self.now = end;
    }

    pub(super) fn apply(&mut self, view: View) {
        self.view = view;
        self.batcher.update(&self.view, self.now);
    }

    /// Offset of a record that was acknowledged.
    pub(super) fn offset(&self, value: &str) -> Option<i64> {
        self.outcomes.get(value).and_then(|outcome| outcome.as_ref().ok()).copied().flatten()
    }

    pub(super) fn error(&self, value: &str) -> &Error {
        self.outcomes[value].as_ref().unwrap_err()
    }
}

/// A view of one topic, with leader and leader epoch of each partition; -1 is no leader.
pub(super) fn view(id: Uuid, partitions: &[(i32, i32)]) -> View {
    let broker =
        |id| MetadataBroker { node_id: BrokerId(id), host: "localhost".into(), port: 9092, rack: None };
    let partition = |(index, (leader, epoch)): (usize, &(i32, i32))| MetadataPartition {
        partition_index: i32::try_from(index).unwrap(),
        leader_id: BrokerId(*leader),
        leader_epoch: LeaderEpoch(*epoch),
        ..MetadataPartition::default()
    };
    let topic = MetadataTopic {
        name: Some(TOPIC.into()),
        topic_id: id,
        partitions: partitions.iter().enumerate().map(partition).collect(),
        ..MetadataTopic::default()
    };
    let answer = MetadataResponse {
        brokers: vec![broker(0), broker(1)],
        topics: vec![topic],
        ..MetadataResponse::default()
    };
    let mut view = View::default();
    view.apply(answer, Asked::AllTopics).unwrap();
    view
}

pub(super) fn gone(sent: Sent) -> Answer {
    Answer::Failed(Error::new(ErrorKind::Disconnected, "produce").sent(sent))
}

/// The logs of the topic's partitions.
#[derive(Default)]
pub(super) struct Cluster {
    pub(super) logs: BTreeMap<i32, Log>,
    /// Codes to answer with instead of appending, by partition; the first first.
    pub(super) faults: BTreeMap<i32, VecDeque<ErrorCode>>,
    /// `max.message.bytes`.
    pub(super) max_batch: Option<usize>,
    /// How many batches were larger.
    pub(super) too_large: usize,
    /// The batches that came, in order, with their partitions.
    pub(super) seen: Vec<(i32, Stamped)>,
}

/// What was seen of a batch: epoch, base sequence, record count.
pub(super) type Stamped = (i16, i32, i32);

#[derive(Default)]
pub(super) struct Log {
    pub(super) values: Vec<String>,
    producers: BTreeMap<i64, Known>,
}

/// What a broker knows of a producer.
struct Known {
    epoch: i16,
    last: i32,
    /// First sequence and offset of the last five batches.
    recent: VecDeque<(i32, i64)>,
}

impl Cluster {
    pub(super) fn produce(&mut self, request: &ProduceRequest) -> ProduceResponse {
        let mut response = ProduceResponse::default();
        for topic in &request.topic_data {
            assert_eq!((topic.name.as_str(), topic.topic_id.is_zero()), (TOPIC, false));
            let answers = topic.partition_data.iter().map(|data| self.append(data)).collect();
            response.responses.push(ProduceTopicResponse {
                topic_id: topic.topic_id,
                partition_responses: answers,
                ..ProduceTopicResponse::default()
            });
        }
        response
    }

    fn append(&mut self, data: &ProducePartition) -> ProducePartitionResponse {
        let set = data.records.as_ref().expect("records are there").to_bytes();
        let result = match self.faults.get_mut(&data.index).and_then(VecDeque::pop_front) {
            Some(code) => Err(code),
            None if self.max_batch.is_some_and(|max| set.len() > max) => {
                self.too_large += 1;
                Err(ErrorCode::MESSAGE_TOO_LARGE)
            }
            None => Ok(()),
        };
        let mut batches = Batches::new(set);
        let batch = batches.next().expect("one batch").expect("a good one");
        assert!(batches.next().is_none(), "exactly one");
        let header = batch.header();
        self.seen.push((data.index, (header.producer_epoch, header.base_sequence, header.record_count)));
        let log = self.logs.entry(data.index).or_default();
        let result =
            result.and_then(|()| log.check(header.producer_id, header.producer_epoch, header.base_sequence));
        let (error_code, base_offset) = match result {
            Err(code) => (code, -1),
            Ok(Some(offset)) => (ErrorCode::NONE, offset),
            Ok(None) => (ErrorCode::NONE, log.take(&batch)),
        };
        ProducePartitionResponse {
            index: data.index,
            error_code,
            base_offset,
            ..ProducePartitionResponse::default()
        }
    }
}

impl Log {
    /// Whether a batch is the next one of its producer; its offset, when it is here already.
    fn check(&self, id: i64, epoch: i16, first: i32) -> Result<Option<i64>, ErrorCode> {
        let Some(known) = self.producers.get(&id).filter(|_| id >= 0) else { return Ok(None) };
        if epoch < known.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if epoch > known.epoch {
            return if first == 0 { Ok(None) } else { Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER) };
        }
        if let Some((_, offset)) = known.recent.iter().find(|(recent, _)| *recent == first) {
            return Ok(Some(*offset));
        }
        if first == behind(known.last, 1) {
            return Ok(None);
        }
        Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
    }

    fn take(&mut self, batch: &crate::records::Batch) -> i64 {
        let header = batch.header();
        let offset = i64::try_from(self.values.len()).unwrap();
        let value = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        self.values.extend(batch.records().map(|record| value(record.value().unwrap_or_default())));
        let fresh = || Known { epoch: header.producer_epoch, last: -1, recent: VecDeque::new() };
        let known = self.producers.entry(header.producer_id).or_insert_with(fresh);
        if known.epoch != header.producer_epoch {
            *known = fresh();
        }
        known.last = behind(header.base_sequence, header.record_count - 1);
        known.recent.push_back((header.base_sequence, offset));
        if known.recent.len() > 5 {
            known.recent.pop_front();
        }
        offset
    }

    /// Forgets all producers, as after retention.
    pub(super) fn forget(&mut self) {
        self.producers.clear();
    }
}

/// The sequence number so many records behind another, as the broker counts: there are 2^31 of them.
fn behind(sequence: i32, records: i32) -> i32 {
    i32::try_from((i64::from(sequence) + i64::from(records)) % (1 << 31)).unwrap()
}
