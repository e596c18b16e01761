//! What clients are kept from, and which code says so where.

use crate::batch;
use crate::cases::Topic;
use crate::cluster::Bench;
use crate::peer::Peer;
use bytes::Bytes;
use ottla::broker::{Broker, Cluster, Denial, Operation, TokenOwner, TopicSpec};
use ottla::messages::{
    AlterConfigsResource, ApiKey, ApiVersionsRequest, ConfigResourceType, CoordinatorType,
    CreatePartitionsRequest, CreatePartitionsTopic, DeleteRecordsPartition, DeleteRecordsRequest,
    DeleteRecordsTopic, DescribeConfigsRequest, DescribeConfigsResource, ErrorCode, FindCoordinatorRequest,
    HeartbeatRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, ListGroupsRequest,
    MetadataRequest, OffsetFetchGroup, OffsetFetchRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use ottla::wire::Uuid;
use std::time::Duration;

const TOPIC: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
const GROUP: ErrorCode = ErrorCode::GROUP_AUTHORIZATION_FAILED;

struct One {
    bench: Bench,
    t: Topic,
    u: Topic,
}

impl One {
    fn new() -> One {
        let bench = Bench::new(Cluster::builder().brokers(1));
        let (t, u) = (bench.topic_as(TopicSpec::new("t")), bench.topic_as(TopicSpec::new("u")));
        One { bench, t, u }
    }

    fn deny(&self, denial: Denial) -> Peer {
        self.bench.cluster.deny(denial);
        self.bench.peer(1)
    }
}

#[test]
fn who_may_not_write_is_told_so_of_the_topic_and_others_go_on() {
    let one = One::new();
    let mut peer = one.deny(Denial::new(Operation::Write).topic("t"));
    let mut both = one.t.produce(batch::of(1));
    both.topic_data.extend(one.u.produce(batch::of(1)).topic_data);
    let told = peer.ask(9, both).responses;
    let codes: Vec<_> = told.iter().map(|topic| topic.partition_responses[0].error_code).collect();
    assert_eq!(codes, [TOPIC, ErrorCode::NONE]);
    assert!(told[0].partition_responses[0].error_message.as_deref().unwrap().contains("may not"));
    assert!(one.bench.cluster.log("t", 0).is_empty() && !one.bench.cluster.log("u", 0).is_empty());
    assert_eq!(peer.fetch(12, one.t.fetch(0)).error_code, ErrorCode::NONE, "reading is something else");
}

#[test]
fn who_may_not_read_is_told_so_when_he_fetches() {
    let one = One::new();
    let mut peer = one.deny(Denial::new(Operation::Read).topic("t"));
    assert_eq!(peer.append(&one.t, batch::of(1)), 0);
    for version in [4, 12, 17] {
        assert_eq!(peer.fetch(version, one.t.fetch(0)).error_code, TOPIC, "version {version}");
        assert_eq!(peer.fetch(version, one.u.fetch(0)).error_code, ErrorCode::NONE);
    }
}

#[test]
fn a_topic_that_may_not_be_seen_is_not_there_for_who_asks_for_all() {
    let one = One::new();
    let mut peer = one.deny(Denial::new(Operation::Describe).topic("t"));
    let named = peer.ask(12, MetadataRequest::topics(["t".into(), "u".into()])).topics;
    let told: Vec<_> = named.iter().map(|topic| (topic.error_code, topic.partitions.len())).collect();
    assert_eq!(told, [(TOPIC, 0), (ErrorCode::NONE, 1)]);
    assert_eq!(named[0].topic_id, Uuid::ZERO);
    let all = peer.ask(12, MetadataRequest::all_topics()).topics;
    assert_eq!(all.iter().map(|topic| topic.name.as_deref()).collect::<Vec<_>>(), [Some("u")]);
    let hidden = one.deny(Denial::new(Operation::Describe).topic("new"));
    drop(hidden);
    peer.ask(12, MetadataRequest::topics(["new".into(), "other".into()]));
    assert_eq!(one.bench.cluster.topics(), ["other", "t", "u"], "nor is it created");
}

#[test]
fn administration_is_denied_topic_by_topic() {
    let one = One::new();
    for operation in
        [Operation::Alter, Operation::Delete, Operation::DescribeConfigs, Operation::AlterConfigs]
    {
        one.deny(Denial::new(operation).topic("t"));
    }
    let mut peer = one.bench.peer(1);
    let grow = |name: &str| CreatePartitionsTopic { name: name.into(), count: 2, assignments: None };
    let request = CreatePartitionsRequest { topics: vec![grow("t"), grow("u")], ..Default::default() };
    let codes = peer.ask(3, request).results.into_iter().map(|result| result.error_code);
    assert_eq!(codes.collect::<Vec<_>>(), [TOPIC, ErrorCode::NONE]);
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: 0 }];
    let topics = vec![DeleteRecordsTopic { name: "t".into(), partitions }];
    let told = peer.ask(2, DeleteRecordsRequest { topics, timeout_ms: 1_000 });
    assert_eq!(told.topics[0].partitions[0].error_code, TOPIC);
    let resource = DescribeConfigsResource {
        resource_type: ConfigResourceType::TOPIC,
        resource_name: "t".into(),
        configuration_keys: None,
    };
    let told = peer.ask(4, DescribeConfigsRequest { resources: vec![resource], ..Default::default() });
    assert_eq!((told.results[0].error_code, told.results[0].configs.len()), (TOPIC, 0));
    let resource = AlterConfigsResource {
        resource_type: ConfigResourceType::TOPIC,
        resource_name: "t".into(),
        configs: vec![],
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    assert_eq!(peer.ask(1, request).responses[0].error_code, TOPIC);
    one.deny(Denial::new(Operation::AlterConfigs).cluster());
    let resource = AlterConfigsResource {
        resource_type: ConfigResourceType::BROKER,
        resource_name: "1".into(),
        configs: vec![],
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    assert_eq!(peer.ask(1, request).responses[0].error_code, ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
}

#[test]
fn groups_and_transactional_ids_are_denied_by_name() {
    let one = One::new();
    one.deny(Denial::new(Operation::Read).group("g"));
    one.deny(Denial::new(Operation::Describe).group("g"));
    one.deny(Denial::new(Operation::Write).transactional_id("x"));
    one.deny(Denial::new(Operation::IdempotentWrite).cluster());
    let mut peer = one.bench.peer(1);
    let heartbeat = |group: &str| HeartbeatRequest { group_id: group.into(), ..Default::default() };
    assert_eq!(peer.ask(4, heartbeat("g")).error_code, GROUP);
    assert_ne!(peer.ask(4, heartbeat("h")).error_code, GROUP);
    let find =
        |key: &str, key_type| FindCoordinatorRequest { key: key.into(), key_type, ..Default::default() };
    assert_eq!(peer.ask(3, find("g", CoordinatorType::GROUP)).error_code, GROUP);
    assert_eq!(peer.ask(3, find("h", CoordinatorType::GROUP)).error_code, ErrorCode::NONE);
    let group = OffsetFetchGroup { group_id: "g".into(), topics: None, ..Default::default() };
    let fetched = peer.ask(8, OffsetFetchRequest { groups: vec![group], ..Default::default() });
    assert_eq!(fetched.groups[0].error_code, GROUP);
    assert_eq!(peer.ask(5, ListGroupsRequest::default()).error_code, ErrorCode::NONE);
    let id = |transactional_id: Option<&str>| InitProducerIdRequest {
        transactional_id: transactional_id.map(Into::into),
        transaction_timeout_ms: 10_000,
        ..Default::default()
    };
    let mut code = |transactional_id| peer.ask(4, id(transactional_id)).error_code;
    assert_eq!(code(Some("x")), ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_eq!(code(None), ErrorCode::NONE, "who may write to some topic");
    one.deny(Denial::new(Operation::Write));
    assert_eq!(code(None), ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

pub fn login(peer: &mut Peer, name: &str, password: &str) {
    peer.ask(1, SaslHandshakeRequest { mechanism: "PLAIN".into() });
    let auth_bytes = Bytes::from(format!("\0{name}\0{password}"));
    assert_eq!(peer.ask(2, SaslAuthenticateRequest { auth_bytes }).error_code, ErrorCode::NONE);
}

#[test]
fn a_denial_may_be_for_one_user_and_be_taken_back() {
    let runtime = runtime();
    let builder = Broker::builder().user("alice", "a").user("bob", "b");
    let broker = runtime.block_on(builder.start()).unwrap();
    broker.create_topic("t", 1).unwrap();
    let topic = Topic { name: "t".into(), id: Uuid::ZERO };
    let denied = broker.deny(Denial::new(Operation::Write).user("alice"));
    let [mut alice, mut bob] = [("alice", "a"), ("bob", "b")].map(|(name, password)| {
        let mut peer = Peer::connect(&broker.bootstrap_servers());
        login(&mut peer, name, password);
        peer
    });
    let code = |peer: &mut Peer| peer.produce(9, &topic, batch::of(1)).error_code;
    assert_eq!((code(&mut alice), code(&mut bob)), (TOPIC, ErrorCode::NONE));
    assert!(broker.allow(denied) && !broker.allow(denied));
    assert_eq!(code(&mut alice), ErrorCode::NONE);
}

/// What the broker answers to a token: error code, and lifetime or the refusal that comes before the end.
fn bear(peer: &mut Peer, token: &str) -> (ErrorCode, i64, Bytes) {
    let offered = peer.ask(1, SaslHandshakeRequest { mechanism: "OAUTHBEARER".into() });
    assert_eq!((offered.error_code, &*offered.mechanisms), (ErrorCode::NONE, &["OAUTHBEARER".into()][..]));
    let auth_bytes = Bytes::from(format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}"));
    let told = peer.ask(2, SaslAuthenticateRequest { auth_bytes });
    (told.error_code, told.session_lifetime_ms, told.auth_bytes)
}

#[test]
fn tokens_are_taken_by_what_a_test_says_of_them() {
    let runtime = runtime();
    let check = |token: &str| match token {
        "good" => Ok(TokenOwner::new("alice").lifetime(Duration::from_secs(60))),
        _ => Err("not one of ours".to_owned()),
    };
    let builder = Broker::builder().oauth_tokens(check).keep_requests(9);
    let broker = runtime.block_on(builder.start()).unwrap();
    assert_eq!(broker.security_protocol(), "SASL_PLAINTEXT");
    let mut peer = Peer::connect(&broker.bootstrap_servers());
    assert_eq!(bear(&mut peer, "good"), (ErrorCode::NONE, 60_000, Bytes::new()));
    peer.ask(12, MetadataRequest::topics([]));
    assert_eq!(broker.requests().last().unwrap().principal.as_deref(), Some("alice"));
    let mut peer = Peer::connect(&broker.bootstrap_servers());
    let (code, _, refusal) = bear(&mut peer, "bad");
    assert_eq!((code, &refusal[..]), (ErrorCode::NONE, &br#"{"status":"invalid_token"}"#[..]));
    let told = peer.ask(2, SaslAuthenticateRequest { auth_bytes: Bytes::from_static(b"\x01") });
    assert_eq!(told.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
}

#[test]
fn our_own_client_gets_in_with_an_unsecured_token() {
    let runtime = runtime();
    let broker = runtime.block_on(Broker::builder().unsecured_tokens().keep_requests(9).start()).unwrap();
    let client = ottla::Client::builder()
        .bootstrap(broker.bootstrap_servers())
        .set("security.protocol", broker.security_protocol())
        .set("sasl.mechanism", "OAUTHBEARER")
        .set("enable.sasl.oauthbearer.unsecure.jwt", "true")
        .set("sasl.oauthbearer.config", "principal=alice lifeSeconds=60");
    runtime.block_on(async {
        let client = client.connect().await.unwrap();
        client.admin().list_topics().await.unwrap();
    });
    assert!(broker.requests().iter().any(|seen| seen.principal.as_deref() == Some("alice")));
}

#[test]
fn a_broker_passes_for_one_of_an_older_release() {
    let runtime = runtime();
    let offered = |release: &str| {
        let broker = runtime.block_on(Broker::builder().as_version(release).start()).unwrap();
        Peer::connect(&broker.bootstrap_servers()).ask(
            3,
            ApiVersionsRequest { client_software_name: "a".into(), client_software_version: "1".into() },
        )
    };
    let newest = |release: &str, key| offered(release).versions_of(key).map(|span| span.last);
    assert_eq!(newest("2.8", ApiKey::FETCH), Some(12));
    assert_eq!(newest("2.8", ApiKey::DESCRIBE_CLUSTER), Some(0));
    assert_eq!(newest("2.8", ApiKey::CONSUMER_GROUP_HEARTBEAT), None);
    assert_eq!(newest("3.7", ApiKey::DESCRIBE_TOPIC_PARTITIONS), None);
    assert_eq!(newest("3.9", ApiKey::DESCRIBE_TOPIC_PARTITIONS), Some(0));
    assert_eq!(newest("3.9", ApiKey::DESCRIBE_CONFIGS), Some(4));
    let features = |release: &str| {
        let features = offered(release).finalized_features;
        features
            .iter()
            .map(|feature| (feature.name.to_string(), feature.max_version_level))
            .collect::<Vec<_>>()
    };
    let of_4_0 = [("group.version".to_owned(), 1), ("transaction.version".to_owned(), 2)];
    assert_eq!(features("4.0"), of_4_0);
    assert_eq!(features("3.9"), [], "clients would take it for one of the second generation of transactions");
    assert_eq!(offered("4.3").api_keys.len(), offered("4.2").api_keys.len());
    let wrong = runtime.block_on(Broker::builder().as_version("1.0").start()).unwrap_err().to_string();
    assert!(wrong.contains("1.0") && wrong.contains("2.8, 3.0"), "{wrong}");
}
