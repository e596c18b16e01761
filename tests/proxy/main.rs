//! A client and a real Kafka with a bad road between them: [`proxy`]. [`itself`] has the proxy's own tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    unreachable_pub,
    reason = "tests on the real clock, with tasks of their own"
)]

#[path = "../support/memory.rs"]
mod memory;
#[path = "../support/proxy/mod.rs"]
mod proxy;
#[macro_use]
#[path = "../support/real/mod.rs"]
mod real;

mod flow;
mod itself;
mod lost;

use ottla::{Client, ClientBuilder, NewTopic, Start, TopicPartition};
use proxy::Road;
use real::kafka::{RealKafka, unique};
use std::time::Duration;

/// Longer than anything here may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A client that reaches the broker over a road, with times that fit a test.
fn over(road: &Road, kafka: &RealKafka) -> ClientBuilder {
    Client::builder()
        .bootstrap(kafka.plaintext())
        .dial(road.dial())
        .request_timeout(Duration::from_secs(2))
        .connection_timeout(Duration::from_secs(2))
}

/// A client that reaches the broker as everybody does.
fn direct(kafka: &RealKafka) -> Client {
    Client::builder().bootstrap(kafka.plaintext()).build().unwrap()
}

/// A new topic with one partition.
async fn topic(kafka: &RealKafka, prefix: &str) -> String {
    let name = unique(prefix);
    let wanted = NewTopic::named(&name).partitions(1);
    direct(kafka).admin().create_topics([wanted]).await.unwrap()[&name].clone().unwrap();
    name
}

/// The values of the first records of partition 0, read by a client without troubles, until `count` of them are there and
/// then for a moment longer.
async fn read(kafka: &RealKafka, topic: &str, count: usize) -> Vec<String> {
    let client = direct(kafka);
    let assigned = client.consumer().assign([(TopicPartition::new(topic, 0), Start::Beginning)]);
    let mut consumer = assigned.build().await.unwrap();
    let mut values = Vec::new();
    loop {
        let patience = if values.len() < count { LIMIT } else { Duration::from_millis(700) };
        let Ok(batch) = tokio::time::timeout(patience, consumer.poll()).await else { return values };
        for record in &batch.unwrap().unwrap() {
            values.push(String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned());
        }
    }
}
