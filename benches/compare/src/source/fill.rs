//! Topics full of records, written by our own producer: to the embedded brokers as to a real Kafka.

use crate::job::Settings;
use crate::payload::{self, Values};
use ottla::{Client, NewTopic, Producer, Record};

/// Of the batches that are written: what Java's producer fills them to as it comes.
const BATCH_BYTES: &str = "16384";
/// Records of a partition behind one another, before it is the next one's turn.
const TURN: u64 = 1_000;

/// A topic that is to be full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub topic: String,
    pub partitions: i32,
    pub records: u64,
    /// Of each value; there are no keys.
    pub bytes: usize,
    pub codec: String,
}

impl Log {
    /// From `TOPIC:PARTITIONS:RECORDS:BYTES:CODEC`.
    pub fn parse(word: &str) -> Option<Log> {
        let parts: Vec<&str> = word.split(':').collect();
        let [topic, partitions, records, bytes, codec] = parts[..] else { return None };
        Some(Log {
            topic: topic.to_owned(),
            partitions: partitions.parse().ok()?,
            records: records.parse().ok()?,
            bytes: bytes.parse().ok()?,
            codec: codec.to_owned(),
        })
    }

    pub fn word(&self) -> String {
        let Log { topic, partitions, records, bytes, codec } = self;
        format!("{topic}:{partitions}:{records}:{bytes}:{codec}")
    }
}

/// Makes the topic and writes its records.
pub async fn fill(address: &str, settings: &Settings, log: &Log) {
    let mut client = Client::builder().bootstrap(address);
    for (key, value) in settings {
        client = client.set(key, value);
    }
    let client = client.build().expect("a client");
    let topic = NewTopic::named(log.topic.as_str()).partitions(log.partitions);
    let created = client.admin().create_topics([topic]).await.expect("an answer");
    created[log.topic.as_str()].clone().expect("a topic");
    if log.records == 0 {
        return;
    }
    let producer = client
        .producer()
        .set("batch.size", BATCH_BYTES)
        .set("compression.type", log.codec.as_str())
        .build()
        .expect("a producer");
    let mut values = Values::count(payload::pool(log.bytes), log.records);
    for turn in 0..log.records.div_ceil(TURN) {
        let partition = i32::try_from(turn % log.partitions.unsigned_abs() as u64).expect("a partition");
        let values = values.by_ref().take(TURN as usize);
        write(&producer, &log.topic, partition, values).await;
    }
    producer.flush().await.expect("all of them written");
}

/// Waits for none of them but to be taken; what fails is missed by who reads.
async fn write(
    producer: &Producer,
    topic: &str,
    partition: i32,
    values: impl Iterator<Item = &'static bytes::Bytes>,
) {
    for value in values {
        let record = Record::to(topic).partition(partition).value(value.clone());
        drop(producer.send(record).await.expect("taken"));
    }
}
