//! Reading: from partitions, and as a member of a group.

use crate::{Outcome, PATIENCE};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// So often a member looks whether it was told to leave.
const WAIT: Duration = Duration::from_millis(100);

/// A member of a group that begins at the beginning.
pub fn subscribed(settings: &ClientConfig, group: &str, topic: &str) -> KafkaResult<BaseConsumer> {
    let mut settings = settings.clone();
    settings.set("group.id", group).set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = settings.create()?;
    consumer.subscribe(&[topic])?;
    Ok(consumer)
}

/// The next record, if one comes in time. `poll` gives nothing as well when something else has happened.
pub fn next_record(consumer: &BaseConsumer, patience: Duration) -> Option<KafkaResult<BorrowedMessage<'_>>> {
    let deadline = Instant::now() + patience;
    loop {
        let message = consumer.poll(deadline.saturating_duration_since(Instant::now()));
        if message.is_some() || Instant::now() >= deadline {
            return message;
        }
    }
}

/// Reads so many records as a member of a group, prints and commits them.
pub fn consume(settings: &ClientConfig, group: &str, topic: &str, count: usize) -> Outcome {
    let mut settings = settings.clone();
    settings.set("enable.auto.commit", "false");
    let consumer = subscribed(&settings, group, topic)?;
    print(&consumer, count)?;
    consumer.commit_consumer_state(CommitMode::Sync)?;
    Ok(())
}

/// Reads so many records of all partitions of a topic without a group, and prints them.
pub fn read(settings: &ClientConfig, topic: &str, partitions: i32, count: usize) -> Outcome {
    let mut settings = settings.clone();
    // It assigns nothing without a name for a group, even if it asks for none.
    settings.set("group.id", "nobody").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = settings.create()?;
    let mut assigned = TopicPartitionList::new();
    for partition in 0..partitions {
        assigned.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assigned)?;
    print(&consumer, count)
}

/// Reads as a member of a group, and prints what each record says, until it is told to leave by SIGTERM.
pub fn member(settings: &ClientConfig, group: &str, topic: &str) -> Outcome {
    let leave = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&leave))?;
    let consumer = subscribed(settings, group, topic)?;
    while !leave.load(Ordering::Relaxed) {
        if let Some(message) = consumer.poll(WAIT) {
            println!("{}", text(&message?));
        }
    }
    Ok(())
}

fn print(consumer: &BaseConsumer, count: usize) -> Outcome {
    for _ in 0..count {
        let message = next_record(consumer, PATIENCE).ok_or("no record comes")??;
        println!("{} {} {}", message.partition(), message.offset(), text(&message));
    }
    Ok(())
}

fn text(message: &BorrowedMessage<'_>) -> String {
    String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned()
}
