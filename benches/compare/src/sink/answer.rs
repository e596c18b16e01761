//! What the sink answers: the versions of a real broker, two topics that it leads, a producer id, and an acknowledgement
//! for whatever is produced. Anybody may log in.

use super::{TOPIC, TOPIC_ONE};
use bytes::{BufMut, Bytes, BytesMut};
use ottla::messages::{
    APIS, AnyRequest, AnyResponse, Api, ApiKey, ApiVersion, ApiVersionsResponse, BrokerId, ErrorCode,
    InitProducerIdResponse, LeaderEpoch, MetadataBroker, MetadataPartition, MetadataRequest,
    MetadataResponse, MetadataTopic, ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopic,
    ProduceTopicResponse, ProducerEpoch, ProducerId, RequestHeader, ResponseHeader, SaslAuthenticateResponse,
    SaslHandshakeResponse, api,
};
use ottla::wire::{self, Uuid};
use std::collections::HashMap;

/// Name, id, partitions.
const TOPICS: [(&str, [u8; 16], i32); 2] =
    [(TOPIC, *b"a topic to sink.", 6), (TOPIC_ONE, *b"another to sink.", 1)];

/// The answers of one connection.
pub struct Answers {
    port: u16,
    /// By topic and partition, so that acknowledgements differ.
    next: HashMap<(i32, Uuid, ottla::wire::Text), i64>,
}

impl Answers {
    pub fn new(port: u16) -> Answers {
        Answers { port, next: HashMap::new() }
    }

    /// The frame that answers a request's.
    pub fn answer(&mut self, frame: &Bytes) -> Option<Bytes> {
        let (header, mut reader) = RequestHeader::open(frame);
        let (key, mut version) = (header.request_api_key, header.request_api_version);
        let api = api(key).unwrap_or_else(|| panic!("asked for {key}, which was not offered"));
        let response: AnyResponse = match AnyRequest::read(key, &mut reader) {
            Ok(AnyRequest::ApiVersions(_)) => versions(ErrorCode::NONE).into(),
            Ok(AnyRequest::Metadata(request)) => self.metadata(&request).into(),
            Ok(AnyRequest::InitProducerId(_)) => InitProducerIdResponse {
                producer_id: ProducerId(1),
                producer_epoch: ProducerEpoch(0),
                ..Default::default()
            }
            .into(),
            Ok(AnyRequest::Produce(request)) => self.produce(request).into(),
            Ok(AnyRequest::SaslHandshake(_)) => {
                SaslHandshakeResponse { mechanisms: vec!["PLAIN".into()], ..Default::default() }.into()
            }
            Ok(AnyRequest::SaslAuthenticate(_)) => SaslAuthenticateResponse::default().into(),
            // Newer than ours: in version 0, as brokers do.
            Err(_) if key == ApiKey::API_VERSIONS => {
                version = 0;
                versions(ErrorCode::UNSUPPORTED_VERSION).into()
            }
            other => panic!("asked for {other:?}"),
        };
        Some(framed(api, version, header.correlation_id, &response))
    }

    fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let wanted = |name: &str, id: Uuid| {
            let Some(topics) = &request.topics else { return true };
            topics
                .iter()
                .any(|topic| topic.topic_id == id || topic.name.as_ref().is_some_and(|text| **text == *name))
        };
        let topics = TOPICS.iter().map(|(name, id, count)| (*name, Uuid::from_bytes(*id), *count));
        MetadataResponse {
            brokers: vec![MetadataBroker {
                node_id: BrokerId(1),
                host: "127.0.0.1".into(),
                port: self.port.into(),
                rack: None,
            }],
            cluster_id: Some("sink".into()),
            controller_id: BrokerId(1),
            topics: topics.filter(|(name, id, _)| wanted(name, *id)).map(topic).collect(),
            ..Default::default()
        }
    }

    fn produce(&mut self, request: ProduceRequest) -> ProduceResponse {
        let responses = request.topic_data.into_iter().map(|topic| self.append(topic)).collect();
        ProduceResponse { responses, ..Default::default() }
    }

    fn append(&mut self, topic: ProduceTopic) -> ProduceTopicResponse {
        let mut partition_responses = Vec::new();
        for partition in topic.partition_data {
            let records = partition.records.map(|records| records.to_bytes()).unwrap_or_default();
            // Of the one batch: the last field of its header says how many records there are.
            let count: [u8; 4] = records[57..61].try_into().expect("a batch");
            let place = (partition.index, topic.topic_id, topic.name.clone());
            let next = self.next.entry(place).or_default();
            partition_responses.push(ProducePartitionResponse {
                index: partition.index,
                base_offset: *next,
                log_start_offset: 0,
                ..Default::default()
            });
            *next += i64::from(i32::from_be_bytes(count));
        }
        ProduceTopicResponse { name: topic.name, topic_id: topic.topic_id, partition_responses }
    }
}

fn framed(api: &Api, version: i16, correlation_id: i32, response: &AnyResponse) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i32(0);
    let header = ResponseHeader { correlation_id };
    let layout = api.response_header_version(version);
    wire::encode(&header, layout, layout >= 1, &mut out).expect("a header");
    response.encode(version, &mut out).expect("an answer");
    let length = i32::try_from(out.len() - 4).expect("a length");
    out[..4].copy_from_slice(&length.to_be_bytes());
    out.freeze()
}

fn versions(error_code: ErrorCode) -> ApiVersionsResponse {
    let entry = |api: &&Api| ApiVersion {
        api_key: api.key,
        // librdkafka takes a broker without Produce 0 for one that has none of the old features (KAFKA-18659).
        min_version: if api.key == ApiKey::PRODUCE { 0 } else { api.negotiable.first },
        max_version: api.negotiable.last,
    };
    ApiVersionsResponse { error_code, api_keys: APIS.iter().map(entry).collect(), ..Default::default() }
}

fn topic((name, topic_id, partitions): (&str, Uuid, i32)) -> MetadataTopic {
    let me = BrokerId(1);
    let partition = |partition_index| MetadataPartition {
        partition_index,
        leader_id: me,
        leader_epoch: LeaderEpoch(0),
        replica_nodes: [me].into(),
        isr_nodes: [me].into(),
        ..Default::default()
    };
    MetadataTopic {
        name: Some(name.into()),
        topic_id,
        partitions: (0..partitions).map(partition).collect(),
        ..Default::default()
    }
}
