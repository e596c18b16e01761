//! What users do, against a real Kafka: `KAFKA=FILE` names one that runs, otherwise one is started. Groups and transactions of
//! others against an embedded broker as well.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "tests of the public API, with time and tasks of their own"
)]

#[cfg(feature = "broker")]
#[path = "../support/kafka.rs"]
#[allow(dead_code, clippy::panic, reason = "shared; only where the jars lie is asked here")]
mod jars;
#[macro_use]
#[path = "../support/real/mod.rs"]
mod real;
/// Where `jars` looks for it.
#[cfg(feature = "broker")]
mod skip {
    pub(crate) use crate::real::skip;
}

mod connect;
mod door;
mod groups;
mod login;
mod outage;
mod records;
mod transactions;

use ottla::config::SecurityProtocol;
use ottla::{Client, ClientBuilder, Consumer, Start, TopicPartition};
use real::kafka::RealKafka;
use std::time::Duration;

/// Longer than anything here may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A client over SASL_SSL with PLAIN, as users of managed clusters have it.
async fn client(kafka: &RealKafka) -> Client {
    secure(kafka, kafka.sasl_ssl()).connect().await.unwrap()
}

/// The same towards another listener, or not quite the same.
fn secure(kafka: &RealKafka, bootstrap: &str) -> ClientBuilder {
    Client::builder()
        .bootstrap(bootstrap)
        .security_protocol(SecurityProtocol::SaslSsl)
        .sasl("PLAIN", kafka.user(), kafka.password())
        .ca_file(kafka.ca().to_str().unwrap())
}

/// What one record says, owned.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// The next `count` records.
async fn take(consumer: &mut Consumer, count: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let batch =
            tokio::time::timeout(LIMIT, consumer.poll()).await.expect("a batch in time").unwrap().unwrap();
        for record in &batch {
            seen.push(Seen {
                partition: record.partition(),
                offset: record.offset(),
                timestamp_ms: record.timestamp_ms(),
                key: record.key().map(<[u8]>::to_vec),
                value: record.value().map(<[u8]>::to_vec),
                headers: record
                    .headers()
                    .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)))
                    .collect(),
            });
        }
    }
    seen
}

/// A consumer of partition 0.
async fn reader(client: &Client, topic: &str, start: Start) -> Consumer {
    client.consumer().assign([(TopicPartition::new(topic, 0), start)]).build().await.unwrap()
}
