//! DescribeConfigs and IncrementalAlterConfigs.

use super::{Target, Topic};
use crate::peer::Peer;
use crate::real::kafka::unique;
use ottla::messages::{
    AlterConfigOperation, AlterConfigsResource, AlterableConfig, ConfigResourceType, DescribeConfigsRequest,
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
    ErrorCode, IncrementalAlterConfigsRequest, MetadataRequest,
};
use ottla::wire::Text;
use std::thread;
use std::time::Duration;

fn asked(resource_type: ConfigResourceType, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResource {
    DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: keys.map(|keys| keys.iter().copied().map(Text::from).collect()),
    }
}

fn describe(peer: &mut Peer, version: i16, resource: DescribeConfigsResource) -> DescribeConfigsResult {
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: false,
    };
    peer.ask(version, request).results[0].clone()
}

fn config(peer: &mut Peer, topic: &str, name: &str) -> DescribeConfigsResourceResult {
    let result = describe(peer, 4, asked(ConfigResourceType::TOPIC, topic, Some(&[name])));
    assert_eq!((result.error_code, result.configs.len()), (ErrorCode::NONE, 1), "{result:?}");
    result.configs[0].clone()
}

fn synonyms(config: &DescribeConfigsResourceResult) -> Vec<(&str, &str, i8)> {
    fn synonym(synonym: &DescribeConfigsSynonym) -> (&str, &str, i8) {
        (&synonym.name, synonym.value.as_deref().unwrap_or("null"), synonym.source)
    }
    config.synonyms.iter().map(synonym).collect()
}

fn change(name: &str, config_operation: AlterConfigOperation, value: Option<&str>) -> AlterableConfig {
    AlterableConfig { name: name.into(), config_operation, value: value.map(Text::from) }
}

fn set(name: &str, value: &str) -> AlterableConfig {
    change(name, AlterConfigOperation::SET, Some(value))
}

fn of_topic(topic: &str, configs: Vec<AlterableConfig>) -> AlterConfigsResource {
    AlterConfigsResource { resource_type: ConfigResourceType::TOPIC, resource_name: topic.into(), configs }
}

fn alter_all(peer: &mut Peer, resources: Vec<AlterConfigsResource>) -> Vec<(ErrorCode, bool)> {
    let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
    let responses = peer.ask(1, request).responses;
    responses.into_iter().map(|r| (r.error_code, r.error_message.is_some())).collect()
}

fn alter(peer: &mut Peer, topic: &str, config: AlterableConfig) -> ErrorCode {
    let [(code, is_explained)] = alter_all(peer, vec![of_topic(topic, vec![config])])[..] else { panic!() };
    assert_eq!(is_explained, !code.is_none());
    code
}

/// A real broker hears of it from its controller.
fn await_config(peer: &mut Peer, topic: &Topic, name: &str, value: &str) -> DescribeConfigsResourceResult {
    for _ in 0..200 {
        let found = config(peer, &topic.name, name);
        if found.value.as_deref() == Some(value) {
            return found;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{name} does not become {value}");
}

pub fn a_topics_settings_are_told_with_their_sources_in_every_version(target: &Target) {
    let mut peer = target.connect();
    let topic = target.topic_with(1, &[("retention.ms", "1000"), ("cleanup.policy", "compact,delete")]);
    for version in 1..=4 {
        let all = describe(&mut peer, version, asked(ConfigResourceType::TOPIC, &topic.name, None));
        assert_eq!(
            (all.error_code, all.error_message.as_deref(), &all.resource_name),
            (ErrorCode::NONE, Some(""), &topic.name)
        );
        let types = all.configs.iter().filter(|config| config.config_type != 0).count();
        assert_eq!((all.configs.len(), types), (33, if version >= 3 { 33 } else { 0 }));
        assert!(all.configs.iter().all(|config| !config.read_only && !config.is_sensitive));
        let none = describe(&mut peer, version, asked(ConfigResourceType::TOPIC, &topic.name, Some(&[])));
        assert_eq!(none.configs.len(), 33, "no keys are all of them");
    }
    let of = |peer: &mut Peer, name| {
        let config = config(peer, &topic.name, name);
        (config.value.clone().unwrap().to_string(), config.config_source, config.config_type)
    };
    for (name, value, source, config_type) in [
        ("retention.ms", "1000", 1, 5),
        ("cleanup.policy", "compact,delete", 1, 7),
        ("segment.ms", "604800000", 5, 5),
        ("max.message.bytes", "1048588", 5, 3),
        ("min.cleanable.dirty.ratio", "0.5", 5, 6),
        ("preallocate", "false", 5, 1),
        ("compression.type", "producer", 5, 2),
        ("follower.replication.throttled.replicas", "", 5, 7),
        ("min.insync.replicas", "1", 3, 3),
    ] {
        assert_eq!(of(&mut peer, name), (value.to_owned(), source, config_type), "{name}");
    }
    let of = |peer: &mut Peer, name| config(peer, &topic.name, name);
    assert_eq!(synonyms(&of(&mut peer, "retention.ms")), [("retention.ms", "1000", 1)]);
    assert_eq!(
        synonyms(&of(&mut peer, "cleanup.policy")),
        [("cleanup.policy", "compact,delete", 1), ("log.cleanup.policy", "delete", 5)]
    );
    assert_eq!(synonyms(&of(&mut peer, "segment.bytes")), [("log.segment.bytes", "1073741824", 5)]);
    assert_eq!(synonyms(&of(&mut peer, "flush.ms")), []);
}

pub fn what_has_no_settings_is_told_by_code(target: &Target) {
    let mut peer = target.connect();
    let missing = unique("missing");
    for (resource_type, name, code) in [
        (ConfigResourceType::TOPIC, missing.as_str(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (ConfigResourceType::TOPIC, "a b", ErrorCode::INVALID_TOPIC_EXCEPTION),
        (ConfigResourceType::TOPIC, "", ErrorCode::INVALID_TOPIC_EXCEPTION),
        (ConfigResourceType::BROKER, "99", ErrorCode::INVALID_REQUEST),
        (ConfigResourceType::BROKER, "one", ErrorCode::INVALID_REQUEST),
        (ConfigResourceType::BROKER_LOGGER, "", ErrorCode::INVALID_REQUEST),
        (ConfigResourceType::GROUP, "", ErrorCode::INVALID_REQUEST),
        (ConfigResourceType::CLIENT_METRICS, "", ErrorCode::INVALID_REQUEST),
        (ConfigResourceType(3), "x", ErrorCode::INVALID_REQUEST),
    ] {
        let result = describe(&mut peer, 4, asked(resource_type, name, None));
        assert_eq!((result.error_code, result.configs.len()), (code, 0), "{resource_type} {name:?}");
        assert_eq!((result.resource_type, result.resource_name.as_str()), (resource_type, name));
    }
    for (resource_type, settings) in
        [(ConfigResourceType::CLIENT_METRICS, 3), (ConfigResourceType::GROUP, 17)]
    {
        let told = describe(&mut peer, 4, asked(resource_type, &missing, None));
        assert_eq!(
            (told.error_code, told.configs.len()),
            (ErrorCode::NONE, settings),
            "whether or not it exists"
        );
    }
}

pub fn a_groups_settings_are_those_of_the_broker(target: &Target) {
    let mut peer = target.connect();
    let told = describe(&mut peer, 4, asked(ConfigResourceType::GROUP, &unique("group"), None));
    let mut rows: Vec<_> = told.configs.iter().map(|row| (row.name.as_str(), row)).collect();
    rows.sort_unstable_by_key(|(name, _)| *name);
    assert!(rows.iter().all(|(_, row)| !row.read_only && row.config_source == row.synonyms[0].source));
    let of = |name| synonyms(rows.iter().find(|(own, _)| *own == name).unwrap().1);
    assert_eq!(
        of("consumer.assignment.interval.ms"),
        [
            ("group.consumer.assignment.interval.ms", "0", 4),
            ("group.consumer.assignment.interval.ms", "1000", 5)
        ]
    );
    assert_eq!(of("consumer.session.timeout.ms"), [("group.consumer.session.timeout.ms", "45000", 5)]);
    assert_eq!(of("share.isolation.level"), [("share.isolation.level", "read_uncommitted", 5)]);
}

pub fn a_broker_tells_its_own_settings(target: &Target) {
    let mut peer = target.connect();
    let id = peer.ask(12, MetadataRequest::topics([])).brokers[0].node_id;
    let keys = ["node.id", "num.partitions", "log.retention.hours", "message.max.bytes"];
    let own = describe(&mut peer, 4, asked(ConfigResourceType::BROKER, &id.to_string(), Some(&keys)));
    assert_eq!(own.error_code, ErrorCode::NONE);
    let of = |name: &str| {
        let row = own.configs.iter().find(|row| row.name == *name).unwrap();
        (row.value.clone().unwrap().to_string(), row.read_only, row.config_source, row.config_type)
    };
    assert_eq!(of("node.id"), (id.to_string(), true, 4, 3));
    assert_eq!(of("num.partitions"), ("6".to_owned(), true, 4, 3));
    assert_eq!(of("log.retention.hours"), ("168".to_owned(), true, 5, 3));
    assert_eq!(of("message.max.bytes"), ("1048588".to_owned(), false, 5, 3));
    let of_all = describe(&mut peer, 4, asked(ConfigResourceType::BROKER, "", None));
    let rows: Vec<_> = of_all.configs.iter().map(|row| (row.name.as_str(), row.config_source)).collect();
    assert_eq!(rows, [("min.insync.replicas", 3)]);
}

pub fn settings_are_changed_one_by_one(target: &Target) {
    let mut peer = target.connect();
    let topic = target.topic_with(1, &[("retention.bytes", "5000")]);
    for version in [0, 1] {
        let value = format!("{}", 1_000 + version);
        let resource = of_topic(&topic.name, vec![set("retention.ms", &value), set("segment.ms", "7")]);
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        let told = peer.ask(version, request).responses[0].clone();
        assert_eq!((told.error_code, told.error_message), (ErrorCode::NONE, None));
        assert_eq!((told.resource_type, told.resource_name), (ConfigResourceType::TOPIC, topic.name.clone()));
        assert_eq!(await_config(&mut peer, &topic, "retention.ms", &value).config_source, 1);
    }
    assert_eq!(config(&mut peer, &topic.name, "retention.bytes").value.as_deref(), Some("5000"), "as it was");

    let back = change("retention.ms", AlterConfigOperation::DELETE, None);
    assert_eq!(alter(&mut peer, &topic.name, back), ErrorCode::NONE);
    assert_eq!(await_config(&mut peer, &topic, "retention.ms", "604800000").config_source, 5);

    let more = change("cleanup.policy", AlterConfigOperation::APPEND, Some("compact,delete"));
    assert_eq!(alter(&mut peer, &topic.name, more), ErrorCode::NONE);
    await_config(&mut peer, &topic, "cleanup.policy", "delete,compact");
    let less = change("cleanup.policy", AlterConfigOperation::SUBTRACT, Some("delete"));
    assert_eq!(alter(&mut peer, &topic.name, less), ErrorCode::NONE);
    await_config(&mut peer, &topic, "cleanup.policy", "compact");

    let only = IncrementalAlterConfigsRequest {
        resources: vec![of_topic(&topic.name, vec![set("segment.ms", "8")])],
        validate_only: true,
    };
    assert_eq!(peer.ask(1, only).responses[0].error_code, ErrorCode::NONE);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(config(&mut peer, &topic.name, "segment.ms").value.as_deref(), Some("7"));
}

pub fn what_cannot_be_set_is_refused_by_code(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let missing = unique("missing");
    for (name, change, code) in [
        (topic.name.as_str(), set("no.such.setting", "1"), ErrorCode::INVALID_CONFIG),
        (&topic.name, set("retention.ms", "a week"), ErrorCode::INVALID_CONFIG),
        (&topic.name, set("retention.ms", "-2"), ErrorCode::INVALID_CONFIG),
        (&topic.name, set("cleanup.policy", "forget"), ErrorCode::INVALID_CONFIG),
        (
            &topic.name,
            change("retention.ms", AlterConfigOperation::APPEND, Some("1")),
            ErrorCode::INVALID_CONFIG,
        ),
        (&topic.name, change("no.such.setting", AlterConfigOperation::DELETE, None), ErrorCode::NONE),
        (&topic.name, change("retention.ms", AlterConfigOperation::SET, None), ErrorCode::INVALID_REQUEST),
        (missing.as_str(), set("retention.ms", "1"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (&missing, set("no.such.setting", "1"), ErrorCode::INVALID_CONFIG),
        ("", set("retention.ms", "1"), ErrorCode::INVALID_REQUEST),
        ("a b", set("retention.ms", "1"), ErrorCode::INVALID_TOPIC_EXCEPTION),
    ] {
        assert_eq!(alter(&mut peer, name, change.clone()), code, "{name}: {change:?}");
    }
    let twice = vec![set("retention.ms", "1"), set("retention.ms", "2")];
    assert_eq!(
        alter_all(&mut peer, vec![of_topic(&topic.name, twice)]),
        [(ErrorCode::INVALID_REQUEST, true)],
        "a setting twice"
    );
    let both = vec![of_topic(&topic.name, vec![set("retention.ms", "1")]); 2];
    assert_eq!(alter_all(&mut peer, both), [(ErrorCode::INVALID_REQUEST, true); 2], "a topic twice");
    let half = vec![set("retention.ms", "1"), set("segment.ms", "x")];
    let good = of_topic(&target.topic().name, vec![set("retention.ms", "1")]);
    let mut told = alter_all(&mut peer, vec![of_topic(&topic.name, half), good]);
    told.sort_unstable_by_key(|(code, _)| code.0);
    assert_eq!(told, [(ErrorCode::NONE, false), (ErrorCode::INVALID_CONFIG, true)], "each topic for itself");
    let kept = config(&mut peer, &topic.name, "retention.ms");
    assert_eq!(kept.config_source, 5, "all of a topic's changes or none");
    let unknown = AlterConfigsResource { resource_type: ConfigResourceType(3), ..of_topic("x", vec![]) };
    assert_eq!(alter_all(&mut peer, vec![unknown])[0].0, ErrorCode::INVALID_REQUEST);
}

pub fn a_changed_setting_holds_for_the_next_batch(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    peer.append(&topic, crate::batch::of(1));
    assert_eq!(alter(&mut peer, &topic.name, set("max.message.bytes", "10")), ErrorCode::NONE);
    await_config(&mut peer, &topic, "max.message.bytes", "10");
    for _ in 0..200 {
        let told = peer.produce(9, &topic, crate::batch::of(1)).error_code;
        if told == ErrorCode::MESSAGE_TOO_LARGE {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("the new limit does not hold");
}
