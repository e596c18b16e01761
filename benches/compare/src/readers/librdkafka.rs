//! librdkafka, through `rdkafka`: `BaseConsumer::poll`, which gives a message that borrows; the cheapest that it has.

use crate::job::ReadJob;
use crate::reading::{Eyes, Reader};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// So often the job's time is looked at while nothing comes.
const WAIT: Duration = Duration::from_millis(100);

pub struct Librdkafka;

impl Reader for Librdkafka {
    fn read<E: Eyes>(job: &ReadJob, mut eyes: E) -> E {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &job.address);
        // It assigns nothing without a group; nothing is committed.
        config.set("group.id", "compare").set("enable.auto.commit", "false");
        for (key, value) in job.settings() {
            config.set(key, value);
        }
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let mut partitions = TopicPartitionList::new();
        let from = if job.from_end { Offset::End } else { Offset::Beginning };
        for partition in 0..job.partitions {
            partitions.add_partition_offset(&job.topic, partition, from).expect("an offset");
        }
        consumer.assign(&partitions).expect("assigned");
        let end = job.limit.map(|limit| Instant::now() + limit);
        while end.is_none_or(|end| Instant::now() < end) {
            let Some(message) = consumer.poll(WAIT) else { continue };
            let message = message.expect("a message");
            if !eyes.see(message.partition(), message.offset(), message.key(), message.payload()) {
                break;
            }
        }
        // To close it takes its time, which nobody asked for.
        std::mem::forget(consumer);
        eyes
    }
}
