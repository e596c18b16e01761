//! Known vectors: bytes put together by hand from the protocol's description, field by field.

use super::*;
use crate::wire::{Fault, Span, Text, Uuid, Wire, WireError, decode, encode};
use bytes::{Bytes, BytesMut};

/// `value` is these bytes in this version, both ways.
#[track_caller]
fn same<T: Wire + PartialEq + std::fmt::Debug>(value: &T, version: i16, flexible: bool, pieces: &[&[u8]]) {
    let expected = pieces.concat();
    let mut bytes = BytesMut::new();
    encode(value, version, flexible, &mut bytes).unwrap();
    assert_eq!(bytes, expected[..]);
    assert_eq!(decode::<T>(&bytes.freeze(), version, flexible).as_ref(), Ok(value));
}

#[test]
fn metadata_request_for_all_topics_and_for_one() {
    same(&MetadataRequest::all_topics(), 1, false, &[&[0xff; 4]]);
    same(&MetadataRequest::all_topics(), 4, false, &[&[0xff; 4], &[1]]);
    let one = MetadataRequest::topics([Text::from("ab")]);
    same(&one, 0, false, &[&[0, 0, 0, 1], &[0, 2], b"ab"]);
    // One topic more one, zero topic id, name, no tags; auto-creation, no operations, no tags.
    same(&one, 12, true, &[&[2], &[0; 16], &[3], b"ab", &[0], &[1, 0, 0]]);
}

#[test]
fn produce_request_with_a_record_set() {
    let partition = ProducePartition { index: 3, records: Some(Bytes::from_static(b"batch").into()) };
    let topic = ProduceTopic { name: "t".into(), partition_data: vec![partition], ..Default::default() };
    let request =
        ProduceRequest { acks: Acks::ALL, timeout_ms: 1500, topic_data: vec![topic], ..Default::default() };
    let head: &[u8] = &[0xff, 0xff, 0, 0, 5, 0xdc];
    let classic: [&[u8]; 6] =
        [&[0, 0, 0, 1, 0, 1], b"t", &[0, 0, 0, 1], &[0, 0, 0, 3], &[0, 0, 0, 5], b"batch"];
    same(&request, 3, false, &[&[&[0xff, 0xff], head].concat(), &classic.concat()]);
    let flexible: [&[u8]; 6] = [&[2, 2], b"t", &[2], &[0, 0, 0, 3], &[6], b"batch\0\0\0"];
    same(&request, 9, true, &[&[&[0], head].concat(), &flexible.concat()]);
}

#[test]
fn produce_response_with_a_new_leader() {
    let leader = CurrentLeader { leader_id: BrokerId(2), leader_epoch: LeaderEpoch(5) };
    let partition = ProducePartitionResponse {
        error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
        base_offset: -1,
        current_leader: leader,
        ..Default::default()
    };
    let topic =
        ProduceTopicResponse { name: "t".into(), partition_responses: vec![partition], ..Default::default() };
    let node = NodeEndpoint { node_id: BrokerId(2), host: "b".into(), port: 9092, rack: None };
    let response =
        ProduceResponse { responses: vec![topic], node_endpoints: vec![node], ..Default::default() };
    let partition: [&[u8]; 4] = [&[0, 0, 0, 0], &[0, 6], &[0xff; 24], &[1, 0]];
    let leader: [&[u8]; 2] = [&[1, 0, 9, 0, 0, 0, 2, 0, 0, 0, 5, 0], &[0]];
    let node: &[u8] = &[1, 0, 13, 2, 0, 0, 0, 2, 2, b'b', 0, 0, 0x23, 0x84, 0, 0];
    let topic: &[u8] = &[2, 2, b't', 2];
    same(&response, 10, true, &[topic, &partition.concat(), &leader.concat(), &[0; 4], node]);
}

#[test]
fn fetch_response_names_topics_by_name_and_then_by_id() {
    let partition = FetchPartitionResponse { high_watermark: 9, ..Default::default() };
    let by_name =
        FetchTopicResponse { topic: "t".into(), partitions: vec![partition.clone()], ..Default::default() };
    let response = FetchResponse { responses: vec![by_name], ..Default::default() };
    let fixed: [&[u8]; 4] = [&[0; 6], &[0, 0, 0, 0, 0, 0, 0, 9], &[0xff; 8], &[0xff; 8]];
    let by_name: &[u8] = &[2, 2, b't', 2];
    same(&response, 12, true, &[&[0; 10], by_name, &fixed.concat(), &[1], &[0xff; 4], &[0, 0, 0, 0]]);
    let id = Uuid::from_bytes([7; 16]);
    let by_id = FetchTopicResponse { topic_id: id, partitions: vec![partition], ..Default::default() };
    let response = FetchResponse { responses: vec![by_id], ..Default::default() };
    same(
        &response,
        13,
        true,
        &[&[0; 10], &[2], &[7; 16], &[2], &fixed.concat(), &[1], &[0xff; 4], &[0, 0, 0, 0]],
    );
}

#[test]
fn find_coordinator_and_init_producer_id_in_their_oldest_and_newest_layout() {
    same(&FindCoordinatorRequest::one(CoordinatorType::GROUP, "g".into(), 0), 0, false, &[&[0, 1, b'g']]);
    let batched = FindCoordinatorRequest::one(CoordinatorType::TRANSACTION, "g".into(), 6);
    same(&batched, 6, true, &[&[1, 2, 2, b'g', 0]]);
    let idempotent =
        InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: -1, ..Default::default() };
    same(&idempotent, 0, false, &[&[0xff; 6]]);
    same(&idempotent, 6, true, &[&[0], &[0xff; 4], &[0xff; 8], &[0xff; 2], &[0, 0, 0]]);
}

#[test]
fn what_a_version_lacks_is_dropped_or_refused_as_the_row_says() {
    let reason = |result: Result<usize, WireError>| result.unwrap_err().to_string();
    let request = MetadataRequest { include_cluster_authorized_operations: true, ..Default::default() };
    let refused = reason(crate::wire::size(&request, 11, true));
    assert!(
        refused.starts_with("MetadataRequest.include_cluster_authorized_operations: version 11"),
        "{refused}"
    );
    let response = MetadataResponse { throttle_time_ms: 5, ..Default::default() };
    let dropped = crate::wire::size(&response, 0, false);
    assert_eq!(dropped, Ok(8), "two empty lists");
    let refused = crate::wire::size(&MetadataRequest::all_topics(), 0, false).unwrap_err();
    assert_eq!((refused.fault, refused.field), (Fault::Null, "topics"));
}

#[test]
fn a_null_host_is_an_error_and_not_a_crash() {
    let mut bytes = BytesMut::new();
    let response = MetadataResponse { brokers: vec![MetadataBroker::default()], ..Default::default() };
    encode(&response, 1, false, &mut bytes).unwrap();
    // Behind the count and the broker's id lies the length of its host.
    bytes[8..10].copy_from_slice(&[0xff, 0xff]);
    let error = decode::<MetadataResponse>(&bytes.freeze(), 1, false).unwrap_err();
    assert_eq!((error.fault, error.message, error.field), (Fault::Null, "MetadataBroker", "host"));
    assert_eq!(error.offset, 10);
}

#[test]
fn spans_of_the_table_are_shown_as_kafka_writes_them() {
    let versions = APIS.iter().map(|api| format!("{} {}", api.name(), api.versions)).collect::<Vec<_>>();
    assert_eq!(versions[0], "Produce 3-13");
    assert_eq!(Span::from(9).to_string(), "9+");
}
