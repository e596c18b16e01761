//! Metadata, CreateTopics, DeleteTopics.

use super::Target;
use crate::peer::Peer;
use crate::real::kafka::unique;
use ottla::messages::{
    BrokerId, BrokerIds, CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
    CreatableTopicResult, CreateTopicsRequest, DeleteTopicState, DeleteTopicsRequest, ErrorCode,
    MetadataRequest, MetadataRequestTopic, MetadataTopic,
};
use ottla::wire::{Text, Uuid};
use std::thread;
use std::time::Duration;

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic { name: name.into(), num_partitions, replication_factor, ..Default::default() }
}

fn create(peer: &mut Peer, version: i16, topic: CreatableTopic) -> CreatableTopicResult {
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    peer.ask(version, request).topics[0].clone()
}

fn metadata(peer: &mut Peer, version: i16, name: &str) -> MetadataTopic {
    let request =
        MetadataRequest { allow_auto_topic_creation: version < 4, ..MetadataRequest::topics([name.into()]) };
    peer.ask(version, request).topics[0].clone()
}

/// Waits until a broker knows what its controller has done.
fn await_topic(peer: &mut Peer, name: &str, is_there: bool) -> MetadataTopic {
    for _ in 0..100 {
        let topic = metadata(peer, 12, name);
        if topic.error_code.is_none() == is_there {
            return topic;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{name} is not {}", if is_there { "there" } else { "gone" });
}

fn delete(peer: &mut Peer, name: &str) {
    let by_name = DeleteTopicState { name: Some(name.into()), topic_id: Uuid::ZERO };
    let response =
        peer.ask(6, DeleteTopicsRequest { topics: vec![by_name], timeout_ms: 10_000, ..Default::default() });
    assert_eq!(response.responses[0].error_code, ErrorCode::NONE);
}

pub fn a_topic_is_created_described_and_deleted_in_every_version(target: &Target) {
    let mut peer = target.connect();
    for version in 2..=7 {
        let name = unique("create");
        let created = create(&mut peer, version, topic(&name, 3, 1));
        assert_eq!((created.error_code, created.error_message), (ErrorCode::NONE, None));
        if version >= 5 {
            assert_eq!((created.num_partitions, created.replication_factor), (3, 1));
            let configs = created.configs.unwrap();
            let config =
                |name: &str| configs.iter().find(|config| config.name == *name).unwrap().value.clone();
            assert_eq!(config("max.message.bytes"), Some("1048588".into()));
        }
        let described = await_topic(&mut peer, &name, true);
        assert_eq!(described.partitions.len(), 3);
        assert!(described.partitions.iter().all(|p| p.replica_nodes.len() == 1 && p.isr_nodes.len() == 1));
        if version >= 7 {
            assert_eq!(described.topic_id, created.topic_id);
        }
        let deleted = if version >= 6 {
            delete(&mut peer, &name);
            None
        } else {
            let request =
                DeleteTopicsRequest { topic_names: vec![name.as_str().into()], ..Default::default() };
            Some(
                peer.ask(version - 1, DeleteTopicsRequest { timeout_ms: 10_000, ..request }).responses[0]
                    .clone(),
            )
        };
        assert!(
            deleted.is_none_or(
                |deleted| deleted.error_code.is_none() && deleted.name == Some(name.as_str().into())
            )
        );
        await_topic(&mut peer, &name, false);
    }
    for version in 0..=13 {
        let name = unique("versions");
        create(&mut peer, 7, topic(&name, 2, 1));
        await_topic(&mut peer, &name, true);
        let response = peer.ask(version, MetadataRequest::topics([name.as_str().into()]));
        assert_eq!(response.topics[0].partitions.len(), 2, "version {version}");
        assert_eq!(response.brokers.len(), 1);
        assert_eq!(response.cluster_id.is_some(), version >= 2);
    }
}

pub fn what_cannot_be_created_is_refused_by_code(target: &Target) {
    let mut peer = target.connect();
    let name = unique("taken_");
    assert_eq!(create(&mut peer, 7, topic(&name, 1, 1)).error_code, ErrorCode::NONE);
    let config = |name: &str, value: &str| CreatableTopic {
        configs: vec![CreatableTopicConfig { name: name.into(), value: Some(value.into()) }],
        ..topic(&unique("config"), 1, 1)
    };
    let fresh = unique("fresh");
    for (wrong, code) in [
        (topic(&name, 1, 1), ErrorCode::TOPIC_ALREADY_EXISTS),
        (topic(&name.replace('_', "."), 1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("", 1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("..", 1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("a b", 1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic(&"x".repeat(250), 1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic(&fresh, 0, 1), ErrorCode::INVALID_PARTITIONS),
        (topic(&fresh, -2, 1), ErrorCode::INVALID_PARTITIONS),
        (topic(&fresh, 1, 0), ErrorCode::INVALID_REPLICATION_FACTOR),
        (topic(&fresh, 1, -2), ErrorCode::INVALID_REPLICATION_FACTOR),
        (topic(&fresh, 1, 9), ErrorCode::INVALID_REPLICATION_FACTOR),
        (config("no.such.setting", "1"), ErrorCode::INVALID_CONFIG),
        (config("retention.ms", "a week"), ErrorCode::INVALID_CONFIG),
        (config("cleanup.policy", "forget"), ErrorCode::INVALID_CONFIG),
        (config("min.insync.replicas", "0"), ErrorCode::INVALID_CONFIG),
    ] {
        let refused = create(&mut peer, 7, wrong.clone());
        assert_eq!(refused.error_code, code, "{wrong:?}");
        assert!(refused.error_message.is_some());
    }
    let twice = vec![topic(&fresh, 1, 1), topic(&fresh, 1, 1)];
    let response = peer.ask(7, CreateTopicsRequest { topics: twice, ..Default::default() });
    assert!(
        response.topics.iter().all(|topic| topic.error_code == ErrorCode::INVALID_REQUEST),
        "{response:?}"
    );
    assert_eq!(create(&mut peer, 7, topic(&fresh, -1, -1)).num_partitions, 6, "the default");
}

pub fn assignments_are_checked(target: &Target) {
    let mut peer = target.connect();
    let broker = peer.ask(12, MetadataRequest::topics([])).brokers[0].node_id;
    let assigned = |assignments: &[(i32, &[BrokerId])]| CreatableTopic {
        assignments: assignments
            .iter()
            .map(|(index, brokers)| CreatableReplicaAssignment {
                partition_index: *index,
                broker_ids: brokers.iter().copied().collect::<BrokerIds>(),
            })
            .collect(),
        ..topic(&unique("assigned"), -1, -1)
    };
    let right: &[BrokerId] = &[broker];
    let created = create(&mut peer, 7, assigned(&[(1, right), (0, right)]));
    assert_eq!(
        (created.error_code, created.num_partitions, created.replication_factor),
        (ErrorCode::NONE, 2, 1)
    );
    let wrong = ErrorCode::INVALID_REPLICA_ASSIGNMENT;
    for (topic, code) in [
        (assigned(&[(0, &[BrokerId(99)])]), wrong),
        (assigned(&[(0, &[])]), wrong),
        (assigned(&[(0, &[broker, broker])]), wrong),
        (assigned(&[(1, right)]), wrong),
        (assigned(&[(0, right), (0, right)]), wrong),
        (CreatableTopic { num_partitions: 1, ..assigned(&[(0, right)]) }, ErrorCode::INVALID_REQUEST),
        (CreatableTopic { replication_factor: 1, ..assigned(&[(0, right)]) }, ErrorCode::INVALID_REQUEST),
    ] {
        assert_eq!(create(&mut peer, 7, topic.clone()).error_code, code, "{topic:?}");
    }
}

pub fn to_validate_only_creates_nothing(target: &Target) {
    let mut peer = target.connect();
    let name = unique("validate");
    let only = |topic| CreateTopicsRequest { topics: vec![topic], validate_only: true, ..Default::default() };
    let checked = peer.ask(7, only(topic(&name, 2, 1))).topics[0].clone();
    assert_eq!((checked.error_code, checked.num_partitions), (ErrorCode::NONE, 2));
    assert_eq!(metadata(&mut peer, 12, &name).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let refused = peer.ask(7, only(topic("a b", 2, 1))).topics[0].error_code;
    assert_eq!(refused, ErrorCode::INVALID_TOPIC_EXCEPTION);
}

pub fn deletion_is_by_name_or_id_and_checked(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let mut deleted = |topics: Vec<(Option<&str>, Uuid)>| {
        let state = |(name, topic_id): (Option<&str>, Uuid)| DeleteTopicState {
            name: name.map(Text::from),
            topic_id,
        };
        let topics = topics.into_iter().map(state).collect();
        let response = peer.ask(6, DeleteTopicsRequest { topics, timeout_ms: 10_000, ..Default::default() });
        response.responses.iter().map(|result| (result.error_code, result.name.clone())).collect::<Vec<_>>()
    };
    let other = Uuid::from_bytes([9; 16]);
    let code = |code, name: Option<&str>| vec![(code, name.map(Text::from))];
    assert_eq!(deleted(vec![(None, other)]), code(ErrorCode::UNKNOWN_TOPIC_ID, None));
    let nobody = deleted(vec![(Some("nobody"), Uuid::ZERO)]);
    assert_eq!(nobody, code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, Some("nobody")));
    assert_eq!(deleted(vec![(Some(&topic.name), topic.id)])[0].0, ErrorCode::INVALID_REQUEST);
    assert_eq!(deleted(vec![(None, Uuid::ZERO)])[0].0, ErrorCode::INVALID_REQUEST);
    let twice = deleted(vec![(Some(&topic.name), Uuid::ZERO); 2]);
    assert_eq!(twice, code(ErrorCode::INVALID_REQUEST, Some(&topic.name)), "one answer for both");
    let twice = deleted(vec![(None, topic.id); 2]);
    assert_eq!(twice, code(ErrorCode::INVALID_REQUEST, None), "one answer for both");
    let (topics, twice) = (vec![(None, Uuid::ZERO); 2], vec![(Some(&*topic.name), topic.id); 2]);
    assert_eq!((deleted(topics).len(), deleted(twice).len()), (2, 2), "each on its own");
    assert_eq!(deleted(vec![(None, topic.id)]), code(ErrorCode::NONE, Some(&topic.name)));
}

pub fn metadata_finds_by_id(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let by_id = |topic_id| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { topic_id, name: None }]),
        ..Default::default()
    };
    for version in [12, 13] {
        let found = peer.ask(version, by_id(topic.id)).topics[0].clone();
        assert_eq!((found.error_code, found.name), (ErrorCode::NONE, Some(topic.name.clone())));
        let other = Uuid::from_bytes([9; 16]);
        let missing = peer.ask(version, by_id(other)).topics[0].clone();
        assert_eq!(
            (missing.error_code, missing.name, missing.topic_id),
            (ErrorCode::UNKNOWN_TOPIC_ID, None, other)
        );
    }
}

pub fn metadata_of_all_topics_is_asked_for_in_two_ways(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    for version in 0..=13 {
        let all = if version == 0 { MetadataRequest::topics([]) } else { MetadataRequest::all_topics() };
        let names = peer.ask(version, all).topics;
        assert!(names.iter().any(|found| found.name.as_ref() == Some(&topic.name)), "version {version}");
        if version > 0 {
            assert_eq!(peer.ask(version, MetadataRequest::topics([])).topics, []);
        }
    }
    let with_operations = MetadataRequest {
        include_topic_authorized_operations: true,
        ..MetadataRequest::topics([topic.name.clone()])
    };
    let told = peer.ask(12, with_operations).topics[0].topic_authorized_operations;
    assert_eq!(told, 0b1101_1111_1000);
    let cluster =
        MetadataRequest { include_cluster_authorized_operations: true, ..MetadataRequest::topics([]) };
    assert_eq!(peer.ask(10, cluster).cluster_authorized_operations, 0b1_1111_1010_0000);
}

pub fn a_missing_topic_is_created_only_if_allowed(target: &Target) {
    let mut peer = target.connect();
    let name = unique("missing");
    let refused = metadata(&mut peer, 12, &name);
    assert_eq!((refused.error_code, refused.topic_id), (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, Uuid::ZERO));
    assert_eq!(metadata(&mut peer, 12, "a b").error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);
    peer.ask(12, MetadataRequest::topics([name.as_str().into()]));
    assert_eq!(await_topic(&mut peer, &name, true).partitions.len(), 6);
    let impossible = peer.ask(12, MetadataRequest::topics(["a b".into()])).topics[0].error_code;
    assert_eq!(impossible, ErrorCode::INVALID_TOPIC_EXCEPTION);
}
