use super::known::{JAVA, LIBRDKAFKA};
use super::settings;
use crate::config::keys::{self, Concerns, Key, Status};
use crate::config::{ClientConfig, ConsumerConfig, Kind, ProducerConfig, Settings};
use std::collections::HashSet;

#[test]
fn every_name_and_variable_is_there_once() {
    let mut seen = HashSet::new();
    for name in keys::all().flat_map(Key::names) {
        assert!(seen.insert(name.to_owned()), "{name}");
        assert!(seen.insert(keys::variable(name)), "{}", keys::variable(name));
    }
}

#[test]
fn every_name_of_the_two_other_clients_is_known() {
    for name in JAVA.iter().map(|(name, _)| *name).chain(LIBRDKAFKA.iter().copied()) {
        assert!(keys::find(name).is_some(), "{name}");
    }
}

#[test]
fn defaults_are_javas() {
    // Java's differ in each client; here one connection serves them all, or the value is another word for the same.
    const ON_PURPOSE: [&str; 6] = [
        "batch.size",
        "enable.auto.commit",
        "partition.assignment.strategy",
        "sasl.mechanism",
        "ssl.keystore.type",
        "ssl.truststore.type",
    ];
    for (name, default) in JAVA {
        let key = keys::find(name).unwrap();
        let is_used = matches!(key.status, Status::Used) && !ON_PURPOSE.contains(name);
        if is_used || key.default.is_some() && !ON_PURPOSE.contains(name) {
            assert_eq!(key.default.unwrap_or(""), *default, "{name}");
        }
    }
}

#[test]
fn rows_make_sense() {
    for key in keys::all() {
        assert!(!key.doc.is_empty(), "{}", key.name);
        if let Some(default) = key.default {
            assert!(Settings::from_map([(key.name, default)]).is_ok(), "{}={default}", key.name);
        }
        if let Some((values, _)) = key.only {
            for value in values {
                assert!(Settings::from_map([(key.name, *value)]).is_ok(), "{}={value}", key.name);
            }
        }
        if let Status::StandsInFor(main) = key.status {
            assert_eq!(keys::find(main).unwrap().status, Status::Used, "{}", key.name);
        }
    }
}

/// What a key is set to here, to see it work; `None` when its type says enough.
fn sample(name: &str) -> Option<&'static str> {
    Some(match name {
        "bootstrap.servers" => "other:1",
        "acks" => "1",
        "auto.offset.reset" => "by_duration:P1D",
        "compression.gzip.level" => "9",
        "compression.level" => "7",
        "enable.idempotence" => "false",
        "enable.auto.commit" => "false",
        "partition.assignment.strategy" => "sticky,roundrobin",
        "partitioner.class" => "fnv1a",
        "sasl.jaas.config" => {
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required extension_a=\"b\";"
        }
        "sasl.mechanism" => "PLAIN",
        "sasl.oauthbearer.config" => "principal=admin lifeSeconds=1",
        "sasl.oauthbearer.extensions" => "name=value",
        "sasl.oauthbearer.token.endpoint.url" => "https://login.example/token",
        "security.protocol" => "SSL",
        "ssl.enabled.protocols" | "ssl.protocol" => "TLSv1.2",
        "fetch.max.bytes" => "1000000",
        _ => return None,
    })
}

/// What else has to be set for a key to work.
fn around(name: &str) -> Vec<(&'static str, &'static str)> {
    let mut pairs = vec![("bootstrap.servers", "localhost:9092")];
    match name {
        "sasl.mechanism" | "sasl.username" | "sasl.password" | "sasl.allow.plaintext" => pairs.extend([
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "SCRAM-SHA-256"),
            ("sasl.username", "alice"),
            ("sasl.password", "alice-secret"),
        ]),
        "security.protocol" => {}
        "sasl.oauthbearer.token.endpoint.url" => {
            pairs.extend([("security.protocol", "SASL_SSL"), ("sasl.mechanism", "OAUTHBEARER")]);
        }
        _ if name.starts_with("sasl.") || name.contains("oauthbearer") || name.starts_with("https.") => pairs
            .extend([
                ("security.protocol", "SASL_SSL"),
                ("sasl.mechanism", "OAUTHBEARER"),
                ("sasl.oauthbearer.token.endpoint.url", "http://login.example"),
                ("sasl.oauthbearer.config", "principal=alice"),
            ]),
        _ if name.starts_with("ssl.") => pairs.push(("security.protocol", "SSL")),
        "compression.level" => pairs.push(("compression.type", "zstd")),
        "enable.auto.commit" => pairs.push(("group.id", "billing")),
        _ => {}
    }
    match name {
        "ssl.truststore.location" => pairs.push(("ssl.truststore.type", "PEM")),
        "ssl.keystore.location" => pairs.push(("ssl.keystore.type", "PEM")),
        "sasl.oauthbearer.config" => pairs.push(("enable.sasl.oauthbearer.unsecure.jwt", "true")),
        "ssl.certificate.location" | "ssl.certificate.pem" | "ssl.keystore.certificate.chain" => {
            pairs.push(("ssl.key.location", "key.pem"));
        }
        "ssl.key.location" | "ssl.key.pem" | "ssl.keystore.key" => {
            pairs.push(("ssl.certificate.location", "certificate.pem"));
        }
        _ => {}
    }
    pairs
}

fn other_than_default(key: &Key) -> String {
    if let Some(value) = sample(key.name) {
        return value.to_owned();
    }
    match key.kind {
        Kind::Bool => (key.default != Some("true")).to_string(),
        Kind::Int { min, max }
        | Kind::Millis { min, max }
        | Kind::Kibibytes { min, max }
        | Kind::Seconds { min, max } => {
            let default: i64 = key.default.unwrap_or("10").parse().unwrap();
            // 0 and -1 mean the same for sizes of sockets.
            (if default < max { default + 2 } else { default.max(min) - 1 }).to_string()
        }
        Kind::Factor { .. } => "0.6".replace("0.6", if key.default == Some("0.05") { "0.1" } else { "0.6" }),
        Kind::Choice(words) => {
            let default = key.default.unwrap_or("");
            words.iter().find(|word| !word.eq_ignore_ascii_case(default)).unwrap().to_string()
        }
        _ => "something".to_owned(),
    }
}

fn everything(pairs: &Settings) -> String {
    let client = ClientConfig { warnings: Vec::new(), ..ClientConfig::from_settings(pairs).unwrap() };
    let producer = ProducerConfig::from_settings(pairs).unwrap();
    let consumer = ConsumerConfig::from_settings(pairs).unwrap();
    format!("{client:?} {producer:?} {consumer:?}")
}

/// A key that the table calls used must reach a typed struct.
#[test]
fn every_setting_that_is_used_changes_something() {
    // Their one right value is their default, or they only say what another one means; Secret to Secret shows no change.
    const UNSEEN: [&str; 3] = ["ssl.truststore.type", "ssl.keystore.type", "sasl.password"];
    for key in keys::all().filter(|key| matches!(key.status, Status::Used | Status::StandsInFor(_))) {
        if UNSEEN.contains(&key.name) || key.only.is_some() && key.name != "sasl.mechanism" {
            continue;
        }
        let mut changed = settings(&around(key.name));
        let before = match key.name {
            "ssl.certificate.location"
            | "ssl.certificate.pem"
            | "ssl.keystore.certificate.chain"
            | "ssl.key.location"
            | "ssl.key.pem"
            | "ssl.keystore.key" => String::new(),
            _ => everything(&changed),
        };
        changed.set(key.name, other_than_default(key)).unwrap();
        assert_ne!(before, everything(&changed), "{}={}", key.name, other_than_default(key));
    }
}

#[test]
fn librdkafkas_topic_prefix_is_read_over() {
    assert_eq!(keys::find("topic.acks").unwrap().name, "acks");
    assert_eq!(keys::find("topic.blacklist").unwrap().name, "topic.blacklist");
    assert!(keys::find("topic.topic.acks").is_none());
    assert!(keys::find("topic.").is_none());
}

#[test]
fn variables_are_keys_in_capitals() {
    assert_eq!(keys::variable("sasl.mechanisms"), "KAFKA_SASL_MECHANISMS");
    let (key, name) = keys::find_variable("KAFKA_SASL_MECHANISMS").unwrap();
    assert_eq!((key.name, name), ("sasl.mechanism", "sasl.mechanisms"));
    assert_eq!(keys::find("linger.ms").unwrap().concerns, Concerns::Producer);
    // Without a dot it is ours only where it does something.
    assert!(keys::find_variable("KAFKA_ACKS").is_some());
    for other in ["KAFKA_DEBUG", "KAFKA_LOG_LEVEL", "KAFKA_OPAQUE", "KAFKA_SSL_CA"] {
        assert!(keys::find_variable(other).is_none(), "{other}");
    }
}
