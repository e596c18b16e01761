//! Questions about brokers, topics and groups, and what an administrator does.

use crate::{Outcome, PATIENCE};
use futures_executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;

/// Prints each partition of a topic with its leader.
pub fn metadata(settings: &ClientConfig, topic: &str) -> Outcome {
    let client: BaseConsumer = settings.create()?;
    let answer = client.fetch_metadata(Some(topic), PATIENCE)?;
    println!("brokers {}", answer.brokers().len());
    for topic in answer.topics() {
        if let Some(error) = topic.error() {
            return Err(RDKafkaErrorCode::from(error).into());
        }
        for partition in topic.partitions() {
            println!("partition {} leader {}", partition.id(), partition.leader());
        }
    }
    Ok(())
}

/// Prints where each partition of a topic begins and ends.
pub fn offsets(settings: &ClientConfig, topic: &str, partitions: i32) -> Outcome {
    let client: BaseConsumer = settings.create()?;
    for partition in 0..partitions {
        let (first, end) = client.fetch_watermarks(topic, partition, PATIENCE)?;
        println!("-2 {partition} {first}");
        println!("-1 {partition} {end}");
    }
    Ok(())
}

/// Prints each group with its state, protocol and number of members.
pub fn groups(settings: &ClientConfig) -> Outcome {
    let client: BaseConsumer = settings.create()?;
    for group in client.fetch_group_list(None, PATIENCE)?.groups() {
        println!("{} {} {} {}", group.name(), group.state(), group.protocol(), group.members().len());
    }
    Ok(())
}

/// Creates a topic that keeps records for an hour.
pub fn create(settings: &ClientConfig, topic: &str, partitions: i32) -> Outcome {
    let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("retention.ms", "3600000");
    each(block_on(admin(settings)?.create_topics([&topic], &options()))?)
}

/// Gives a topic more partitions: so many in all.
pub fn grow(settings: &ClientConfig, topic: &str, partitions: usize) -> Outcome {
    let wanted = NewPartitions::new(topic, partitions);
    each(block_on(admin(settings)?.create_partitions([&wanted], &options()))?)
}

/// Prints those settings of a topic that are not the defaults.
pub fn settings(settings: &ClientConfig, topic: &str) -> Outcome {
    let topic = ResourceSpecifier::Topic(topic);
    for resource in block_on(admin(settings)?.describe_configs([&topic], &options()))? {
        for entry in resource?.entries.iter().filter(|entry| !entry.is_default) {
            println!("{}={}", entry.name, entry.value.as_deref().unwrap_or(""));
        }
    }
    Ok(())
}

pub fn delete(settings: &ClientConfig, topic: &str) -> Outcome {
    each(block_on(admin(settings)?.delete_topics(&[topic], &options()))?)
}

fn admin(settings: &ClientConfig) -> rdkafka::error::KafkaResult<AdminClient<DefaultClientContext>> {
    settings.create()
}

/// Done is what all brokers know of.
fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

/// What became of each topic.
fn each(results: Vec<rdkafka::admin::TopicResult>) -> Outcome {
    for result in results {
        let topic = result.map_err(|(topic, code)| format!("{topic}: {code}"))?;
        println!("{topic}");
    }
    Ok(())
}
