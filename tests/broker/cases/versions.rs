//! ApiVersions, and the small APIs.

use super::Target;
use crate::peer::{Peer, frame};
use crate::real::kafka::unique;
use ottla::messages::{
    APIS, ApiKey, ApiVersion, ApiVersionsRequest, ApiVersionsResponse, CoordinatorType,
    DescribeClusterRequest, EndpointType, ErrorCode, FindCoordinatorRequest, InitProducerIdRequest,
    InitProducerIdResponse, MetadataRequest, ProducerEpoch, ProducerId, ResponseHeader,
    SaslAuthenticateRequest, SaslHandshakeRequest, api,
};
use ottla::wire::{Text, Wire};

fn software() -> ApiVersionsRequest {
    ApiVersionsRequest { client_software_name: "peer".into(), client_software_version: "1.0".into() }
}

pub fn the_offer_is_that_of_kafka_for_what_is_served(target: &Target) {
    let mut peer = target.connect();
    for version in 0..=4 {
        let response = peer.ask(version, software());
        assert_eq!(response.error_code, ErrorCode::NONE);
        for api in APIS {
            let offered =
                response.versions_of(api.key).unwrap_or_else(|| panic!("{} is missing", api.name()));
            let first = if api.key == ApiKey::PRODUCE { 0 } else { api.negotiable.first };
            assert_eq!((offered.first, offered.last), (first, api.negotiable.last), "{}", api.name());
        }
    }
}

pub fn an_apiversions_of_the_future_is_told_what_there_is(target: &Target) {
    let mut peer = target.connect();
    let mut future = frame(4, 1, &software().into());
    future[3] = 99;
    peer.send_frame(&future);
    let answer = peer.take_frame().unwrap();
    let (_, mut reader) = ResponseHeader::open(&answer, api(ApiKey::API_VERSIONS).unwrap(), 0);
    let answer = ApiVersionsResponse::decode(&mut reader);
    reader.finish().unwrap();
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_VERSION);
    let own = ApiVersion { api_key: ApiKey::API_VERSIONS, min_version: 0, max_version: 4 };
    assert_eq!(answer.api_keys, [own]);
    assert_eq!(peer.ask(4, software()).error_code, ErrorCode::NONE, "the connection goes on");
}

pub fn odd_software_names_are_refused(target: &Target) {
    let mut peer = target.connect();
    for (name, expected) in [
        ("", ErrorCode::INVALID_REQUEST),
        ("-", ErrorCode::INVALID_REQUEST),
        ("a b", ErrorCode::INVALID_REQUEST),
        ("a_b", ErrorCode::INVALID_REQUEST),
        ("a-", ErrorCode::INVALID_REQUEST),
        ("a.-b", ErrorCode::NONE),
    ] {
        let request = ApiVersionsRequest { client_software_name: name.into(), ..software() };
        assert_eq!(peer.ask(3, request).error_code, expected, "{name:?}");
    }
}

pub fn what_is_not_served_ends_the_connection(target: &Target) {
    let request = frame(12, 1, &MetadataRequest::topics([]).into());
    for (at, byte) in [(3, 14), (3, 99), (2, 0x80), (1, 200), (0, 0x7f)] {
        let mut peer = target.connect();
        let mut wrong = request.clone();
        wrong[at] = byte;
        peer.send_frame(&wrong);
        assert!(peer.is_closed(), "byte {at} is {byte}");
    }
    let mut peer = target.connect();
    peer.send_frame(&request[..request.len() - 1]);
    assert!(peer.is_closed(), "a request that was cut");
}

pub fn producer_ids_are_unique_and_transactional_ones_fenced(target: &Target) {
    let mut peer = target.connect();
    for version in 0..=5 {
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        let given = [peer.ask(version, request.clone()), peer.ask(version, request)];
        assert!(
            given.iter().all(|given| given.error_code.is_none() && given.producer_epoch == ProducerEpoch(0))
        );
        assert_ne!(given[0].producer_id, given[1].producer_id);
    }
    let id = unique("transactional");
    let init = |timeout, producer: Option<(ProducerId, ProducerEpoch)>| {
        let (producer_id, producer_epoch) = producer.unwrap_or((ProducerId::NONE, ProducerEpoch::NONE));
        InitProducerIdRequest {
            transactional_id: Some(id.as_str().into()),
            transaction_timeout_ms: timeout,
            producer_id,
            producer_epoch,
            ..Default::default()
        }
    };
    await_coordinator(&mut peer, &init(60_000, None));
    let first = peer.ask(5, init(60_000, None));
    let second = peer.ask(5, init(60_000, None));
    assert_eq!(
        (second.producer_id, second.producer_epoch.0),
        (first.producer_id, first.producer_epoch.0 + 1)
    );
    let of = |given: &InitProducerIdResponse| Some((given.producer_id, given.producer_epoch));
    let third = peer.ask(5, init(60_000, of(&second)));
    assert_eq!((third.error_code, third.producer_epoch.0), (ErrorCode::NONE, second.producer_epoch.0 + 1));
    assert_eq!(peer.ask(5, init(60_000, of(&first))).error_code, ErrorCode::PRODUCER_FENCED);
    assert_eq!(peer.ask(3, init(60_000, of(&first))).error_code, ErrorCode::INVALID_PRODUCER_EPOCH);
    for timeout in [0, -1, 900_001] {
        assert_eq!(peer.ask(5, init(timeout, None)).error_code, ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    }
    let half = InitProducerIdRequest { producer_epoch: ProducerEpoch(3), ..init(60_000, None) };
    assert_eq!(peer.ask(5, half).error_code, ErrorCode::INVALID_REQUEST);
    let empty = InitProducerIdRequest { transactional_id: Some(Text::default()), ..init(60_000, None) };
    assert_eq!(peer.ask(5, empty).error_code, ErrorCode::INVALID_REQUEST);
}

/// A real broker makes the coordinator's topic when it is first asked.
fn await_coordinator(peer: &mut Peer, init: &InitProducerIdRequest) {
    for _ in 0..200 {
        let key = init.transactional_id.clone().unwrap();
        peer.ask(4, FindCoordinatorRequest::one(CoordinatorType::TRANSACTION, key, 4));
        if peer.ask(5, init.clone()).error_code.is_none() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("no transaction coordinator");
}

pub fn coordinators_are_found_in_every_version(target: &Target) {
    let mut peer = target.connect();
    let brokers = peer.ask(12, MetadataRequest::topics([])).brokers;
    for version in 0..=6 {
        let key: Text = "billing".into();
        let request = FindCoordinatorRequest::one(CoordinatorType::GROUP, key.clone(), version);
        let mut found = None;
        for _ in 0..200 {
            let response = peer.ask(version, request.clone());
            let coordinators = response.into_coordinators(key.clone(), version);
            if coordinators[0].error_code.is_none() {
                found = coordinators.first().cloned();
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let found = found.expect("a coordinator");
        assert_eq!(found.node_id, brokers[0].node_id, "version {version}");
        assert_eq!((found.host, found.port), (brokers[0].host.clone(), brokers[0].port));
    }
    let nonsense = FindCoordinatorRequest::one(CoordinatorType(9), "x".into(), 4);
    assert_eq!(peer.ask(4, nonsense).coordinators[0].error_code, ErrorCode::INVALID_REQUEST);
}

pub fn sasl_where_there_is_none_is_out_of_place(target: &Target) {
    let mut peer = target.connect();
    for version in [0, 1] {
        let response = peer.ask(version, SaslHandshakeRequest { mechanism: "PLAIN".into() });
        assert_eq!(response.error_code, ErrorCode::ILLEGAL_SASL_STATE);
    }
    let response = peer.ask(2, SaslAuthenticateRequest::default());
    assert_eq!(response.error_code, ErrorCode::ILLEGAL_SASL_STATE);
}

pub fn the_cluster_is_told_in_every_version(target: &Target) {
    let mut peer = target.connect();
    let known = peer.ask(12, MetadataRequest::topics([]));
    for version in 0..=2 {
        let told = peer.ask(version, DescribeClusterRequest::default());
        assert_eq!((told.error_code, told.error_message), (ErrorCode::NONE, None));
        assert_eq!(Some(told.cluster_id), known.cluster_id);
        assert_eq!(told.controller_id, known.controller_id);
        let broker = &told.brokers[0];
        assert_eq!((broker.broker_id, broker.is_fenced), (known.brokers[0].node_id, false));
        assert_eq!((&broker.host, broker.port), (&known.brokers[0].host, known.brokers[0].port));
        assert_eq!(told.cluster_authorized_operations, i32::MIN);
        let with_operations =
            DescribeClusterRequest { include_cluster_authorized_operations: true, ..Default::default() };
        let told = peer.ask(version, with_operations).cluster_authorized_operations;
        assert_eq!(told, 0b1_1111_1010_0000);
    }
    for (endpoint_type, code) in [
        (EndpointType::CONTROLLERS, ErrorCode::MISMATCHED_ENDPOINT_TYPE),
        (EndpointType(7), ErrorCode::UNSUPPORTED_ENDPOINT_TYPE),
    ] {
        let told = peer.ask(2, DescribeClusterRequest { endpoint_type, ..Default::default() });
        assert_eq!((told.error_code, told.brokers.len()), (code, 0));
        assert!(told.error_message.is_some());
    }
}
