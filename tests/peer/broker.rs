//! The truth: one broker that leads two topics of one partition each, and answers what it is asked.
//!
//! `sent` takes what is produced, with the checks of an idempotent producer's numbers; `read` has a log that grows by itself
//! and whose records say where they lie, so that whatever else is handed out is a lie.

use crate::case::Asked;
use crate::client::{READ, SENT};
use crate::forge;
use bytes::Bytes;
use ottla::messages::*;
use ottla::records::Batches;
use ottla::wire::{Text, Uuid};
use std::collections::HashMap;
use std::time::{Duration, Instant};

pub const NODE: BrokerId = BrokerId(1);
/// Topic ids, by name.
pub const IDS: [(&str, Uuid); 2] =
    [(SENT, Uuid::from_bytes([0xa1; 16])), (READ, Uuid::from_bytes([0xb2; 16]))];
/// Of both partitions.
pub const EPOCH: LeaderEpoch = LeaderEpoch(3);

/// A batch is appended to the log this often.
const GROWTH: Duration = Duration::from_millis(300);
/// Records of each.
pub const BATCH: i64 = 2;
/// Batches of one answer at most.
const BATCHES: i64 = 50;

pub struct Broker {
    port: u16,
    since: Instant,
    next_producer: i64,
    producers: HashMap<i64, Numbers>,
    next_offset: i64,
    /// Where each value of `sent` lies. A value that was written twice lies in two places.
    pub written: HashMap<String, Vec<i64>>,
}

/// What a producer may send next.
struct Numbers {
    epoch: i16,
    next: i32,
    /// The last batches: first number, records, first offset.
    last: Vec<(i32, i32, i64)>,
}

/// What there is to say to a request.
pub enum Truth {
    Now(Box<AnyResponse>),
    /// Ask again then.
    NotBefore(Instant),
}

impl Broker {
    pub fn new(port: u16) -> Broker {
        Broker {
            port,
            since: Instant::now(),
            next_producer: 4_000,
            producers: HashMap::new(),
            next_offset: 0,
            written: HashMap::new(),
        }
    }

    /// The end of the log that is read.
    pub fn log_end(&self) -> i64 {
        let batches = self.since.elapsed().as_millis() / GROWTH.as_millis();
        (1 + i64::try_from(batches).unwrap()) * BATCH
    }

    /// What would be true of a Produce request if it were carried out.
    pub fn as_if_written(request: &ProduceRequest) -> ProduceResponse {
        let topic = |topic: &ProduceTopic| ProduceTopicResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: topic
                .partition_data
                .iter()
                .map(|partition| ProducePartitionResponse { index: partition.index, ..Default::default() })
                .collect(),
        };
        ProduceResponse { responses: request.topic_data.iter().map(topic).collect(), ..Default::default() }
    }

    /// What is true, for a request that came at `came`.
    pub fn answer(&mut self, request: &AnyRequest, came: Instant) -> Truth {
        let answer: AnyResponse = match request {
            AnyRequest::ApiVersions(_) => versions().into(),
            AnyRequest::Metadata(request) => self.metadata(request).into(),
            AnyRequest::InitProducerId(request) => self.init_producer_id(request).into(),
            AnyRequest::Produce(request) => self.produce(request).into(),
            AnyRequest::ListOffsets(request) => self.list_offsets(request).into(),
            AnyRequest::Fetch(request) => match self.fetch(request, came) {
                Ok(answer) => answer.into(),
                Err(at) => return Truth::NotBefore(at),
            },
            other => AnyResponse::default_of(other.key()).unwrap(),
        };
        Truth::Now(Box::new(answer))
    }

    fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let asked = request.topics.iter().flatten().filter_map(|topic| topic.name.clone());
        MetadataResponse {
            brokers: vec![MetadataBroker {
                node_id: NODE,
                host: Text::from_static("localhost"),
                port: self.port.into(),
                ..Default::default()
            }],
            cluster_id: Some(Text::from_static("peer")),
            controller_id: NODE,
            topics: asked.map(topic).collect(),
            ..Default::default()
        }
    }

    fn init_producer_id(&mut self, request: &InitProducerIdRequest) -> InitProducerIdResponse {
        let known = self.producers.get_mut(&request.producer_id.0);
        let (id, epoch) = match known.filter(|numbers| numbers.epoch == request.producer_epoch.0) {
            Some(numbers) => {
                *numbers = Numbers { epoch: numbers.epoch + 1, next: 0, last: Vec::new() };
                (request.producer_id.0, numbers.epoch)
            }
            None => {
                self.next_producer += 1;
                self.producers.insert(self.next_producer, Numbers { epoch: 0, next: 0, last: Vec::new() });
                (self.next_producer, 0)
            }
        };
        InitProducerIdResponse {
            producer_id: ProducerId(id),
            producer_epoch: ProducerEpoch(epoch),
            ..Default::default()
        }
    }

    fn produce(&mut self, request: &ProduceRequest) -> ProduceResponse {
        let responses = request.topic_data.iter().map(|topic| {
            let partition = |partition: &ProducePartition| {
                let set = partition.records.as_ref().map(|records| records.to_bytes()).unwrap_or_default();
                let told = match is(SENT, &topic.name, topic.topic_id) && partition.index == 0 {
                    true => self.append(set),
                    false => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                };
                ProducePartitionResponse {
                    index: partition.index,
                    error_code: told.err().unwrap_or(ErrorCode::NONE),
                    base_offset: told.unwrap_or(-1),
                    ..Default::default()
                }
            };
            ProduceTopicResponse {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partition_responses: topic.partition_data.iter().map(partition).collect(),
            }
        });
        ProduceResponse { responses: responses.collect(), ..Default::default() }
    }

    /// Writes a batch once; the offset of its first record.
    fn append(&mut self, set: Bytes) -> Result<i64, ErrorCode> {
        let batch = Batches::new(set).next().and_then(Result::ok).ok_or(ErrorCode::CORRUPT_MESSAGE)?;
        let (header, count) = (batch.header(), batch.record_count());
        let epoch = header.producer_epoch;
        let numbers = self.producers.get_mut(&header.producer_id).ok_or(ErrorCode::UNKNOWN_PRODUCER_ID)?;
        if epoch < numbers.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if epoch > numbers.epoch {
            *numbers = Numbers { epoch, next: 0, last: Vec::new() };
        }
        let again =
            |(first, records, _): &&(i32, i32, i64)| (*first, *records) == (header.base_sequence, count);
        if let Some((_, _, at)) = numbers.last.iter().find(again) {
            return Ok(*at);
        }
        if header.base_sequence != numbers.next {
            return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        }
        let at = self.next_offset;
        numbers.next += count;
        numbers.last.push((header.base_sequence, count, at));
        if numbers.last.len() > 5 {
            numbers.last.remove(0);
        }
        self.next_offset += i64::from(count);
        for (offset, record) in (at..).zip(batch.records()) {
            let value = String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned();
            self.written.entry(value).or_default().push(offset);
        }
        Ok(at)
    }

    fn list_offsets(&self, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let partition = |asked: &ListOffsetsPartition| ListOffsetsPartitionResponse {
            partition_index: asked.partition_index,
            offset: if asked.timestamp == list_offsets::EARLIEST { 0 } else { self.log_end() },
            leader_epoch: EPOCH,
            ..Default::default()
        };
        let topics = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(partition).collect(),
        });
        ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
    }

    /// An answer with records, or one without when the wait is over; until then, when to look again.
    fn fetch(&self, request: &FetchRequest, came: Instant) -> Result<FetchResponse, Instant> {
        let mut some = false;
        let responses = request.topics.iter().map(|topic| {
            let partition = |asked: &FetchPartition| {
                let answer = self.fetched(topic, asked);
                some |= !answer.error_code.is_none()
                    || answer.records.as_ref().is_some_and(|set| !set.is_empty());
                answer
            };
            FetchTopicResponse {
                topic: topic.topic.clone(),
                topic_id: topic.topic_id,
                partitions: topic.partitions.iter().map(partition).collect(),
            }
        });
        let responses = responses.collect();
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        if !some && came.elapsed() < wait {
            return Err((came + wait).min(Instant::now() + GROWTH / 4));
        }
        Ok(FetchResponse { responses, ..Default::default() })
    }

    fn fetched(&self, topic: &FetchTopic, asked: &FetchPartition) -> FetchPartitionResponse {
        let end = self.log_end();
        let index = asked.partition;
        let refused = |error_code| FetchPartitionResponse {
            partition_index: index,
            error_code,
            high_watermark: -1,
            ..Default::default()
        };
        if !is(READ, &topic.topic, topic.topic_id) || index != 0 {
            return refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        if !(0..=end).contains(&asked.fetch_offset) {
            return refused(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let from = asked.fetch_offset / BATCH * BATCH;
        let to = end.min(from + BATCHES * BATCH);
        let batches: Vec<u8> = (from..to).step_by(BATCH as usize).flat_map(forge::honest).collect();
        FetchPartitionResponse {
            partition_index: index,
            high_watermark: end,
            last_stable_offset: end,
            log_start_offset: 0,
            aborted_transactions: None,
            records: Some(Bytes::from(batches).into()),
            ..Default::default()
        }
    }
}

/// The values of the records that a request holds.
pub fn values(request: &ProduceRequest) -> Vec<String> {
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    let sets = partitions.filter_map(|partition| partition.records.as_ref());
    let batches = sets.flat_map(|set| Batches::new(set.to_bytes()).filter_map(Result::ok));
    let values = |batch: ottla::records::Batch| {
        let value = |record: ottla::records::RecordView<'_>| {
            String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned()
        };
        batch.records().map(value).collect::<Vec<_>>()
    };
    batches.flat_map(values).collect()
}

fn is(wanted: &str, name: &Text, id: Uuid) -> bool {
    *name == wanted || IDS.contains(&(wanted, id))
}

fn topic(name: Text) -> MetadataTopic {
    let Some((_, topic_id)) = IDS.iter().find(|(known, _)| name == *known) else {
        let error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        return MetadataTopic { error_code, name: Some(name), ..Default::default() };
    };
    MetadataTopic {
        name: Some(name),
        topic_id: *topic_id,
        partitions: vec![MetadataPartition {
            leader_id: NODE,
            leader_epoch: EPOCH,
            replica_nodes: [NODE].into(),
            isr_nodes: [NODE].into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Everything that is spoken.
pub fn versions() -> ApiVersionsResponse {
    let offered = APIS.iter().map(|api| ApiVersion {
        api_key: api.key,
        min_version: api.negotiable.first,
        max_version: api.negotiable.last,
    });
    ApiVersionsResponse { api_keys: offered.collect(), ..Default::default() }
}

/// The offset that a Fetch request asks of `read`.
pub fn offset_asked(asked: &Asked) -> i64 {
    let AnyRequest::Fetch(request) = &asked.request else { return 0 };
    request
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|partition| partition.fetch_offset)
        .next()
        .unwrap_or(0)
}
