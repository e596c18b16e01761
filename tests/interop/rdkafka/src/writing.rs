//! Writing: records of an idempotent producer, and those of transactions.

use crate::reading::{next_record, subscribed};
use crate::{Outcome, PATIENCE};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// How many records a transaction of `copy` has at the most.
const TRANSACTION: usize = 20;

/// How long `copy` waits for another record before it ends a transaction.
const WAIT: Duration = Duration::from_millis(100);

/// What the callbacks have heard of each record.
#[derive(Default)]
struct Heard(Mutex<Vec<KafkaResult<String>>>);

impl ClientContext for Heard {}

impl ProducerContext for Heard {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let heard = result.as_ref().map(|message| {
            let value = String::from_utf8_lossy(message.payload().unwrap_or_default());
            format!("{} {} {value}", message.partition(), message.offset())
        });
        self.0.lock().expect("nobody panicked").push(heard.map_err(|(error, _)| error.clone()));
    }
}

impl Heard {
    /// What was heard since.
    fn take(&self) -> KafkaResult<Vec<String>> {
        std::mem::take(&mut *self.0.lock().expect("nobody panicked")).into_iter().collect()
    }
}

fn producer(settings: &ClientConfig, more: &[(&str, &str)]) -> KafkaResult<ThreadedProducer<Heard>> {
    let mut settings = settings.clone();
    settings.set("enable.idempotence", "true").set("partitioner", "murmur2_random");
    for (key, value) in more {
        settings.set(*key, *value);
    }
    settings.create_with_context(Heard::default())
}

/// A producer that may begin its first transaction.
fn transactional(settings: &ClientConfig, id: &str) -> KafkaResult<ThreadedProducer<Heard>> {
    let producer = producer(settings, &[("transactional.id", id)])?;
    producer.init_transactions(PATIENCE)?;
    Ok(producer)
}

/// Writes so many records with keys, and prints where each lies.
pub fn produce(settings: &ClientConfig, topic: &str, count: usize, codec: &str) -> Outcome {
    let producer = producer(settings, &[("compression.codec", codec)])?;
    send(&producer, topic, codec, count)?;
    finish(&producer)
}

/// Writes one record to a partition. An idempotent producer would wait for half a second first.
pub fn write(settings: &ClientConfig, topic: &str, partition: i32, value: &str) -> Outcome {
    let producer = producer(settings, &[("enable.idempotence", "false")])?;
    give(&producer, BaseRecord::<(), str>::to(topic).partition(partition).payload(value))?;
    finish(&producer)
}

/// Writes records in a transaction that is aborted, and then in one that is committed.
pub fn transact(settings: &ClientConfig, id: &str, topic: &str, count: usize) -> Outcome {
    let producer = transactional(settings, id)?;
    for kept in [false, true] {
        producer.begin_transaction()?;
        send(&producer, topic, if kept { "committed" } else { "aborted" }, count)?;
        // Otherwise what is to be aborted would never be sent.
        producer.flush(PATIENCE)?;
        end(&producer, kept)?;
    }
    producer.context().take()?;
    Ok(())
}

/// Copies so many records from a topic to another: each transaction has what was read and how far that is, and every third is
/// aborted and done again.
pub fn copy(settings: &ClientConfig, group: &str, id: &str, topics: [&str; 2], count: usize) -> Outcome {
    let mut reader = settings.clone();
    reader.set("enable.auto.commit", "false");
    let consumer = subscribed(&reader, group, topics[0])?;
    let producer = transactional(settings, id)?;
    let mut copied = 0;
    for number in 1.. {
        producer.begin_transaction()?;
        let (mut begun, mut next) = (BTreeMap::new(), BTreeMap::new());
        let mut read = 0;
        while read < TRANSACTION.min(count - copied) {
            let patience = if read == 0 { PATIENCE } else { WAIT };
            let Some(message) = next_record(&consumer, patience) else { break };
            let message = message?;
            begun.entry(message.partition()).or_insert(message.offset());
            next.insert(message.partition(), message.offset() + 1);
            give(
                &producer,
                BaseRecord::<(), [u8]>::to(topics[1]).payload(message.payload().unwrap_or_default()),
            )?;
            read += 1;
        }
        let member = consumer.group_metadata().ok_or("no member of a group")?;
        producer.send_offsets_to_transaction(&offsets(topics[0], next)?, &member, PATIENCE)?;
        let kept = number % 3 != 0;
        producer.flush(PATIENCE)?;
        end(&producer, kept)?;
        println!("{} {read}", if kept { "committed" } else { "aborted" });
        if kept {
            copied += read;
        } else {
            let back = consumer.seek_partitions(offsets(topics[0], begun)?, PATIENCE)?;
            back.elements().iter().try_for_each(|partition| partition.error())?;
        }
        if copied >= count {
            break;
        }
    }
    producer.context().take()?;
    Ok(())
}

fn offsets(topic: &str, of: BTreeMap<i32, i64>) -> KafkaResult<TopicPartitionList> {
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in of {
        offsets.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    }
    Ok(offsets)
}

fn end(producer: &ThreadedProducer<Heard>, kept: bool) -> KafkaResult<()> {
    if kept { producer.commit_transaction(PATIENCE) } else { producer.abort_transaction(PATIENCE) }
}

fn send(producer: &ThreadedProducer<Heard>, topic: &str, prefix: &str, count: usize) -> Outcome {
    for n in 0..count {
        let value = format!("{prefix}-{n} {}", "the same again ".repeat(5));
        let number = n.to_string();
        let headers = OwnedHeaders::new().insert(Header { key: "number", value: Some(&number) });
        let key = (n % 17).to_string();
        give(producer, BaseRecord::to(topic).key(&key).payload(&value).headers(headers))?;
    }
    Ok(())
}

/// Hands a record over.
fn give<K, P>(producer: &ThreadedProducer<Heard>, record: BaseRecord<'_, K, P>) -> Result<(), KafkaError>
where
    K: rdkafka::message::ToBytes + ?Sized,
    P: rdkafka::message::ToBytes + ?Sized,
{
    producer.send(record).map_err(|(error, _)| error)
}

/// Waits until each record is acknowledged, and prints where it lies.
fn finish(producer: &ThreadedProducer<Heard>) -> Outcome {
    producer.flush(PATIENCE)?;
    for line in producer.context().take()? {
        println!("{line}");
    }
    Ok(())
}
