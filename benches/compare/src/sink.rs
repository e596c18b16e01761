//! A broker that answers at once and keeps nothing: what is measured beside it is the client alone.

use crate::TOPIC;
use bytes::{Bytes, BytesMut};
use ottla::messages::{
    APIS, AnyRequest, AnyResponse, ApiVersion, ApiVersionsResponse, BrokerId, InitProducerIdResponse,
    LeaderEpoch, MetadataBroker, MetadataPartition, MetadataResponse, MetadataTopic,
    ProducePartitionResponse, ProduceResponse, ProduceTopicResponse, ProducerEpoch, ProducerId,
    RequestHeader, ResponseHeader, api,
};
use ottla::wire::{self, Uuid};
use std::collections::HashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PARTITIONS: i32 = 6;
const TOPIC_ID: [u8; 16] = *b"a topic to sink.";

pub fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        println!("127.0.0.1:{port}");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(serve(stream, port));
        }
    });
}

async fn serve(mut stream: TcpStream, port: u16) {
    stream.set_nodelay(true).expect("a socket");
    let mut offsets: HashMap<i32, i64> = HashMap::new();
    loop {
        let Ok(length) = stream.read_i32().await else { return };
        let mut frame = BytesMut::zeroed(usize::try_from(length).expect("a length"));
        if stream.read_exact(&mut frame).await.is_err() {
            return;
        }
        let frame = frame.freeze();
        if let Some(answer) = answer(&frame, port, &mut offsets) {
            let length = i32::try_from(answer.len()).expect("a length").to_be_bytes();
            if stream.write_all(&[&length[..], &answer].concat()).await.is_err() {
                return;
            }
        }
    }
}

fn answer(frame: &Bytes, port: u16, offsets: &mut HashMap<i32, i64>) -> Option<Bytes> {
    let (header, mut reader) = RequestHeader::open(frame);
    let (key, mut version) = (header.request_api_key, header.request_api_version);
    let api = api(key).expect("an API that was offered");
    let response: AnyResponse = match AnyRequest::read(key, &mut reader) {
        Ok(AnyRequest::ApiVersions(_)) => versions().into(),
        Ok(AnyRequest::Metadata(_)) => metadata(port).into(),
        Ok(AnyRequest::InitProducerId(_)) => InitProducerIdResponse {
            producer_id: ProducerId(1),
            producer_epoch: ProducerEpoch(0),
            ..Default::default()
        }
        .into(),
        Ok(AnyRequest::Produce(request)) => {
            let mut topics = Vec::new();
            for topic in request.topic_data {
                let mut partitions = Vec::new();
                for partition in topic.partition_data {
                    let records = partition.records.map(|records| records.0).unwrap_or_default();
                    let count: [u8; 4] = records[57..61].try_into().expect("a batch");
                    let next = offsets.entry(partition.index).or_default();
                    partitions.push(ProducePartitionResponse {
                        index: partition.index,
                        base_offset: *next,
                        log_start_offset: 0,
                        ..Default::default()
                    });
                    *next += i64::from(i32::from_be_bytes(count));
                }
                topics.push(ProduceTopicResponse {
                    name: topic.name,
                    topic_id: topic.topic_id,
                    partition_responses: partitions,
                });
            }
            ProduceResponse { responses: topics, ..Default::default() }.into()
        }
        // Newer than ours: in version 0, as brokers do.
        Err(_) if key == ottla::messages::ApiKey::API_VERSIONS => {
            version = 0;
            versions().into()
        }
        other => panic!("asked for {other:?}"),
    };
    let mut out = BytesMut::new();
    let header = ResponseHeader { correlation_id: header.correlation_id };
    let layout = api.response_header_version(version);
    wire::encode(&header, layout, layout >= 1, &mut out).expect("a header");
    response.encode(version, &mut out).expect("an answer");
    Some(out.freeze())
}

fn versions() -> ApiVersionsResponse {
    let entry = |api: &&ottla::messages::Api| ApiVersion {
        api_key: api.key,
        min_version: api.negotiable.first,
        max_version: api.negotiable.last,
    };
    ApiVersionsResponse { api_keys: APIS.iter().map(entry).collect(), ..Default::default() }
}

fn metadata(port: u16) -> MetadataResponse {
    let me = BrokerId(1);
    let partition = |partition_index| MetadataPartition {
        partition_index,
        leader_id: me,
        leader_epoch: LeaderEpoch(0),
        replica_nodes: [me].into(),
        isr_nodes: [me].into(),
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![MetadataBroker {
            node_id: me,
            host: "127.0.0.1".into(),
            port: port.into(),
            rack: None,
        }],
        cluster_id: Some("sink".into()),
        controller_id: me,
        topics: vec![MetadataTopic {
            name: Some(TOPIC.into()),
            topic_id: Uuid::from_bytes(TOPIC_ID),
            partitions: (0..PARTITIONS).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}
