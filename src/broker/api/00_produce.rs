//! Produce: checks batches and appends them, in the order of checks of Kafka 4.3 (`ProduceRequest.validateRecords`,
//! `ReplicaManager`, `UnifiedLog`, `LogValidator`, `ProducerStateManager`), stored compressed as they came. A transactional
//! batch is taken when the transaction's coordinator vouches for it (`ReplicaManager.handleProduceAppend`).
//!
//! Different from Kafka: codec and offsets are never changed, so `compression.type` of a topic has no effect and a batch
//! whose offsets have holes is refused; attribute bits without a meaning are refused; each error has a text.

use super::throttle_time_ms;
use crate::broker::core::{Context, Step};
use crate::broker::log::{Appended, Memory, Sequence, Verdict};
use crate::broker::state::{Now, Refused, State, leader_hint};
use crate::broker::topic::{Partition, Topic};
use crate::broker::topic_config::TopicConfig;
use crate::broker::transactions::{Part, Producer, Vouching};
use crate::messages::{
    Acks, ErrorCode, ProducePartition, ProducePartitionResponse, ProduceRecordError, ProduceRequest,
    ProduceResponse, ProduceTopicResponse, RecordSet,
};
use crate::records::{
    Batch, BatchHeader, Compression, CompressionError, DEFAULT_DECOMPRESSED_LIMIT, Decompressor, Fault,
    HEADER_LEN,
};
use crate::wire::Text;
use std::time::Duration;

/// Batches from here on get a buffer of their own when they are read.
const LARGE_BYTES: usize = 128 * 1024;

/// The batches of a request, opened, in the order of its topics and partitions.
pub(in crate::broker) type Checked = Vec<CheckedBatch>;

/// What the bytes alone say of a partition's records.
#[derive(Debug)]
pub(in crate::broker) struct CheckedBatch {
    /// Whether it is one batch, of a format and codec that the version allows: looked at before anything else.
    shape: Result<(), Refused>,
    bytes: usize,
    /// What it says of itself, if it is of a transaction.
    transactional: Option<Sequence>,
    /// The batch with its checksum and records found right.
    batch: Result<Batch, Refused>,
}

/// What is answered for one partition that was not refused.
struct Done {
    base_offset: i64,
    append_time_ms: i64,
    log_start_offset: i64,
}

/// Why one was refused, and because of which of its records.
struct Failed {
    refused: Refused,
    records: Vec<ProduceRecordError>,
    /// Whether the log was not asked, so that nothing is told of it.
    is_before_log: bool,
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Failed {
        Failed { refused, records: Vec::new(), is_before_log: false }
    }
}

/// What a request says of all its batches.
#[derive(Clone, Copy)]
struct Sent<'a> {
    acks: Acks,
    transactional_id: Option<&'a Text>,
}

/// Opens the batches of a request.
pub(super) fn check(request: &ProduceRequest, version: i16) -> Checked {
    let mut decompressor = Decompressor::new(DEFAULT_DECOMPRESSED_LIMIT);
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    partitions.map(|partition| check_partition(partition, version, &mut decompressor)).collect()
}

fn check_partition(
    partition: &ProducePartition,
    version: i16,
    decompressor: &mut Decompressor,
) -> CheckedBatch {
    let bytes = partition.records.as_ref().map(RecordSet::to_bytes).unwrap_or_default();
    let len = bytes.len();
    let header = bytes.first_chunk().map(BatchHeader::read).filter(|header| header.magic == 2);
    let transactional =
        header.and_then(|header| Sequence::of(&header)).filter(|sequence| sequence.is_transactional);
    let shape = check_shape(&bytes, version);
    let batch = match &shape {
        Ok(()) => Batch::open(bytes, 0, decompressor)
            .map_err(|error| refuse(code_of(&error.fault), error.to_string()))
            .and_then(check_batch),
        Err(refused) => Err(refused.clone()),
    };
    CheckedBatch { shape, bytes: len, transactional, batch }
}

/// Kafka's `ProduceRequest.validateRecords`.
fn check_shape(bytes: &[u8], version: i16) -> Result<(), Refused> {
    const LENGTH_AT: usize = 8;
    const MAGIC_AT: usize = 16;
    const ATTRIBUTES_LOW_AT: usize = 22;
    let invalid = |what: &str| {
        Err(refuse(ErrorCode::INVALID_RECORD, format!("Produce requests with version {version} {what}")))
    };
    let length = bytes.get(LENGTH_AT..).and_then(<[u8]>::first_chunk).map(|n| i32::from_be_bytes(*n));
    let frame = length.map(|length| usize::try_from(length).ok().and_then(|n| n.checked_add(LENGTH_AT + 4)));
    match (frame, bytes.get(MAGIC_AT)) {
        (Some(None), _) => {
            let text = "the batch length is negative".to_owned();
            return Err(refuse(ErrorCode::CORRUPT_MESSAGE, text));
        }
        (Some(Some(frame)), Some(2)) if frame < HEADER_LEN => {
            let text = format!("a batch of {frame} bytes is shorter than its header");
            return Err(refuse(ErrorCode::CORRUPT_MESSAGE, text));
        }
        (Some(Some(frame)), Some(2)) if frame < bytes.len() => {
            return invalid("are only allowed to contain exactly one record batch per partition");
        }
        (Some(Some(frame)), Some(magic)) if frame <= bytes.len() => {
            if *magic != 2 {
                return invalid("are only allowed to contain record batches with magic version 2");
            }
        }
        _ => return invalid("must have at least one record batch per partition"),
    }
    let codec = bytes.get(ATTRIBUTES_LOW_AT).map_or(0, |attributes| attributes & 0x07);
    if codec == Compression::Zstd.id() && version < 7 {
        let text =
            format!("Produce requests with version {version} are not allowed to use ZStandard compression");
        return Err(refuse(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, text));
    }
    Ok(())
}

/// Kafka's `LogValidator.validateBatch`, for what a client sends.
fn check_batch(batch: Batch) -> Result<Batch, Refused> {
    let header = *batch.header();
    let invalid = |text: String| Err(refuse(ErrorCode::INVALID_RECORD, text));
    if header.base_offset != 0 {
        return invalid(format!(
            "The baseOffset of the record batch should be 0, but it is {}",
            header.base_offset
        ));
    }
    if header.record_count <= 0 {
        return invalid(format!("Invalid reported count for record batch: {}", header.record_count));
    }
    if header.record_count.checked_sub(1) != Some(header.last_offset_delta) {
        return invalid(format!(
            "Inconsistent batch offset range: {} records, the last with offset delta {}",
            header.record_count, header.last_offset_delta
        ));
    }
    if batch.is_control() {
        return invalid("Clients are not allowed to write control records".to_owned());
    }
    if header.producer_id >= 0 && header.base_sequence < 0 {
        return invalid(format!(
            "Invalid sequence number {} of producer {}",
            header.base_sequence, header.producer_id
        ));
    }
    Ok(batch)
}

/// Which of Kafka's error codes a damaged batch gets.
fn code_of(fault: &Fault) -> ErrorCode {
    match fault {
        Fault::Crc { .. } | Fault::Length(_) => ErrorCode::CORRUPT_MESSAGE,
        Fault::Codec(_) | Fault::Compression(CompressionError::Disabled { .. }) => {
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
        }
        Fault::Compression(_) => ErrorCode::CORRUPT_MESSAGE,
        _ => ErrorCode::INVALID_RECORD,
    }
}

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: ProduceRequest,
    checked: Checked,
) -> Step {
    let mut response = ProduceResponse::default();
    let refused = refused_as_a_whole(&request, &checked);
    let sent = Sent { acks: request.acks, transactional_id: request.transactional_id.as_ref() };
    let mut checked = checked.into_iter();
    let mut failed = false;
    for topic in request.topic_data {
        let by_id = context.version >= 13;
        let name = state.resolve(by_id, &topic.topic_id, &topic.name);
        let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
        for partition in topic.partition_data {
            let Some(batch) = checked.next() else { break };
            let index = partition.index;
            let done = match (&name, &refused) {
                (_, Some(refused)) => Err(Failed { is_before_log: true, ..refused.clone().into() }),
                (Ok(name), None) => context
                    .unless_refused(name, Some(index), || append(state, context, sent, name, index, batch)),
                (Err(code), None) => Err(refuse(*code, "the topic id is not known".to_owned()).into()),
            };
            failed |= done.is_err();
            let hint_for = name.as_deref().unwrap_or_default();
            partition_responses.push(answer(state, context, hint_for, index, done, &mut response));
        }
        let (name, topic_id) = (topic.name, topic.topic_id);
        response.responses.push(ProduceTopicResponse { name, topic_id, partition_responses });
    }
    let pause = state.quotas.sent(context.client, context.bytes, context.now.at);
    match request.acks {
        // Nothing can be said, so the client is made to look again.
        Acks::NONE if failed => Step::Close("a batch that nobody awaits an answer to was refused"),
        Acks::NONE if pause > Duration::ZERO => Step::Mute(pause),
        Acks::NONE => Step::Skip,
        _ => {
            response.throttle_time_ms = throttle_time_ms(pause);
            Step::respond(response)
        }
    }
}

/// Why no batch of a request is even looked at (`KafkaApis.handleProduceRequest`).
fn refused_as_a_whole(request: &ProduceRequest, checked: &Checked) -> Option<Refused> {
    let mut producers =
        checked.iter().filter_map(|batch| batch.transactional).map(|batch| (batch.producer_id, batch.epoch));
    let first = producers.next()?;
    if request.transactional_id.is_none() {
        let text = "a transactional batch comes without a transactional id".to_owned();
        return Some(refuse(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, text));
    }
    let others = producers.any(|producer| producer != first);
    others.then(|| {
        let text = "Transactional records contained more than one producer ID".to_owned();
        refuse(ErrorCode::INVALID_PRODUCER_ID_MAPPING, text)
    })
}

fn append(
    state: &mut State,
    context: Context<'_>,
    sent: Sent<'_>,
    name: &Text,
    index: i32,
    checked: CheckedBatch,
) -> Result<Done, Failed> {
    let Sent { acks, transactional_id } = sent;
    let unknown = || refuse(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no {name}-{index}"));
    state.topics.partition(name, index).map_err(|_| unknown())?;
    checked.shape?;
    if let Some((batch, id)) = checked.transactional.zip(transactional_id) {
        enter_transaction(state, context, id, batch, (name, index))?;
    }
    let is_full = state.is_full();
    let Topic { config, partitions, .. } = state.topics.get_mut(name.as_bytes()).ok_or_else(unknown)?;
    let position = usize::try_from(index).map_err(|_| unknown())?;
    let partition = partitions.get_mut(position).ok_or_else(unknown)?;
    if !matches!(acks, Acks::ALL | Acks::NONE | Acks::LEADER) {
        let text = format!("acks must be -1, 0 or 1, and is {acks}");
        return Err(refuse(ErrorCode::INVALID_REQUIRED_ACKS, text).into());
    }
    if partition.leader != context.broker {
        let text = format!("the leader of {name}-{index} is broker {}", partition.leader);
        return Err(refuse(ErrorCode::NOT_LEADER_OR_FOLLOWER, text).into());
    }
    let needed = config.min_insync_replicas.min(partition.replicas.len());
    if acks == Acks::ALL && partition.isr.len() < needed {
        let text =
            format!("{} replicas of {name}-{index} are in sync, {needed} are needed", partition.isr.len());
        return Err(refuse(ErrorCode::NOT_ENOUGH_REPLICAS, text).into());
    }
    if checked.bytes > config.max_message_bytes {
        let (bytes, limit) = (checked.bytes, config.max_message_bytes);
        let text = format!("the batch has {bytes} bytes, {name} allows {limit} (max.message.bytes)");
        return Err(refuse(ErrorCode::MESSAGE_TOO_LARGE, text).into());
    }
    let batch = checked.batch?;
    check_records(&batch, config, context.now)?;
    if is_full {
        let text = "the memory that the broker may take is full of records that are to be kept".to_owned();
        return Err(refuse(ErrorCode::KAFKA_STORAGE_ERROR, text).into());
    }
    let done = write(partition, &batch, config, context)?;
    state.woken.extend(&partition.watchers);
    state.has_grown(checked.bytes);
    Ok(done)
}

/// Sees that the partition is in the producer's transaction.
fn enter_transaction(
    state: &mut State,
    context: Context<'_>,
    id: &Text,
    batch: Sequence,
    (topic, index): (&Text, i32),
) -> Result<(), Failed> {
    let before_log = |code, text| Failed { is_before_log: true, ..refuse(code, text).into() };
    let partition = state.topics.get_mut(topic.as_bytes()).and_then(|topic| topic.partition_mut(index));
    let Some(partition) = partition.filter(|partition| partition.leader == context.broker) else {
        let text = format!("another broker leads {topic}-{index}");
        return Err(before_log(ErrorCode::NOT_LEADER_OR_FOLLOWER, text));
    };
    let producer: Producer = (batch.producer_id, batch.epoch);
    if partition.log.producers.is_fenced(producer.0, producer.1) {
        let text = format!("producer {} was seen with a newer epoch than {}", producer.0, producer.1);
        return Err(before_log(ErrorCode::INVALID_PRODUCER_EPOCH, text));
    }
    if partition.log.producers.is_open(producer.0, producer.1) {
        return Ok(());
    }
    let vouching = Vouching::of_produce(context.version);
    partition.log.producers.ask(batch, vouching == Vouching::Adds);
    let part = Part::Partition(topic.clone(), index);
    let vouched = state.vouch(id, producer, part, vouching, context.now);
    vouched.map_err(|code| {
        let text = format!("the coordinator of transactional id {id} says {code} of {topic}-{index}");
        // Clients may not repeat by themselves what they do not expect here.
        let code = match code {
            ErrorCode::COORDINATOR_NOT_AVAILABLE => ErrorCode::NOT_ENOUGH_REPLICAS,
            ErrorCode::CONCURRENT_TRANSACTIONS if vouching != Vouching::Adds => {
                ErrorCode::NOT_ENOUGH_REPLICAS
            }
            code => code,
        };
        before_log(code, text)
    })
}

/// What the topic's settings demand of each record.
fn check_records(batch: &Batch, config: &TopicConfig, now: Now) -> Result<(), Failed> {
    if config.compacted {
        fail_records(batch, ErrorCode::INVALID_RECORD, |record| {
            let text = "Compacted topic cannot accept message without key";
            record.key().is_none().then(|| text.to_owned())
        })?;
    }
    if config.log_append_time {
        return Ok(());
    }
    let oldest = now.unix_ms.saturating_sub(config.timestamp_before_max_ms);
    let newest = now.unix_ms.saturating_add(config.timestamp_after_max_ms);
    fail_records(batch, ErrorCode::INVALID_TIMESTAMP, |record| {
        let timestamp = record.timestamp();
        let out = timestamp != -1 && !(oldest..=newest).contains(&timestamp);
        out.then(|| format!("Timestamp {timestamp} of message is out of range: {oldest} to {newest}"))
    })
}

/// Refuses the batch when any record is wrong, with all of those that are (KIP-467).
fn fail_records(
    batch: &Batch,
    code: ErrorCode,
    wrong: impl Fn(&crate::records::RecordView<'_>) -> Option<String>,
) -> Result<(), Failed> {
    let records: Vec<_> = (0i32..)
        .zip(batch)
        .filter_map(|(batch_index, record)| {
            let text = Text::from(wrong(&record)?);
            Some(ProduceRecordError { batch_index, batch_index_error_message: Some(text) })
        })
        .collect();
    if records.is_empty() {
        return Ok(());
    }
    let text = "One or more records have been rejected".to_owned();
    Err(Failed { records, ..refuse(code, text).into() })
}

fn write(
    partition: &mut Partition,
    batch: &Batch,
    config: &TopicConfig,
    context: Context<'_>,
) -> Result<Done, Refused> {
    let now = context.now;
    let epoch = partition.leader_epoch;
    let log = &mut partition.log;
    let sequence = Sequence::of(batch.header());
    if let Some(sequence) = sequence {
        match log.producers.check(sequence, now.unix_ms) {
            Verdict::Append => {}
            Verdict::Duplicate(Appended { base_offset, max_timestamp, .. }) => {
                let append_time_ms = max_timestamp;
                return Ok(Done { base_offset, append_time_ms, log_start_offset: log.start_offset() });
            }
            Verdict::Refuse(code, text) => return Err(refuse(code, text)),
        }
    }
    let append_time = config.log_append_time.then_some(now.unix_ms);
    let base_offset = log
        .append(batch, epoch, append_time, memory_of(batch, context))
        .map_err(|error| refuse(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string()))?;
    let append_time_ms = append_time.unwrap_or(-1);
    if let Some(sequence) = sequence {
        let Sequence { first, last, .. } = sequence;
        let max_timestamp = append_time.unwrap_or(batch.header().max_timestamp);
        log.producers.remember(sequence, Appended { first, last, base_offset, max_timestamp }, now.unix_ms);
    }
    log.appended_at(now.unix_ms);
    if let Some(bytes) = config.retention_bytes.filter(|_| config.deletes) {
        log.retain_bytes(bytes);
    }
    Ok(Done { base_offset, append_time_ms, log_start_offset: log.start_offset() })
}

/// The part of the answer for one partition; where its leader is goes into the answer as a whole.
fn answer(
    state: &State,
    context: Context<'_>,
    name: &str,
    index: i32,
    done: Result<Done, Failed>,
    response: &mut ProduceResponse,
) -> ProducePartitionResponse {
    let Failed { refused, records, is_before_log } = match done {
        Ok(Done { base_offset, append_time_ms, log_start_offset }) => {
            return ProducePartitionResponse {
                index,
                base_offset,
                log_append_time_ms: append_time_ms,
                log_start_offset,
                ..Default::default()
            };
        }
        Err(failed) => failed,
    };
    let partition = state.topics.get(name.as_bytes()).and_then(|topic| topic.partition(index));
    let tells_leader = context.version >= 10 && refused.code == ErrorCode::NOT_LEADER_OR_FOLLOWER;
    let current_leader = leader_hint(refused.code, context.broker, partition.filter(|_| tells_leader));
    if !response.node_endpoints.iter().any(|node| node.node_id == current_leader.leader_id) {
        response.node_endpoints.extend(state.endpoint(current_leader.leader_id));
    }
    let known = partition.filter(|_| tells_log_start(refused.code) && !is_before_log);
    ProducePartitionResponse {
        index,
        error_code: refused.code,
        base_offset: -1,
        log_start_offset: known.map_or(-1, |partition| partition.log.start_offset()),
        record_errors: records,
        error_message: Some(refused.text.into()),
        current_leader,
        ..Default::default()
    }
}

/// Whether an error comes with the log start offset, by which a client tells that retention took what the broker
/// remembered of it: those that `ReplicaManager.appendToLocalLog` does not name.
fn tells_log_start(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::INVALID_PRODUCER_EPOCH
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::INVALID_TXN_STATE
            | ErrorCode::NOT_ENOUGH_REPLICAS
            | ErrorCode::INVALID_TIMESTAMP
    )
}

fn refuse(code: ErrorCode, text: String) -> Refused {
    Refused { code, text }
}

/// A large batch that is nearly all of its request stays where it is. Others would keep the memory of what they came with.
fn memory_of(batch: &Batch, context: Context<'_>) -> Memory {
    let bytes = batch.frame().len();
    let rest = context.bytes.saturating_sub(bytes);
    if bytes > LARGE_BYTES && rest < bytes / 8 { Memory::Shared } else { Memory::Own }
}
