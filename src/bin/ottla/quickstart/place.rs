//! [`Place`]: where the quickstart runs, on which topic, and where that topic ended before.

use crate::connection;
use crate::failure::Outcome;
use ottla::{Admin, Client, NewTopic, Start, TopicPartition, task};
use std::time::Duration;

/// How many partitions a new topic gets.
const PARTITIONS: i32 = 6;

/// Where the quickstart runs.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) client: Client,
    /// Each partition with its end before this run.
    pub(super) ends: Vec<(TopicPartition, Start)>,
    pub(super) description: String,
    pub(super) farewell: String,
}

impl Place {
    /// The cluster that the settings name, or else an embedded broker.
    pub(super) async fn find(connection: &connection::Options, topic: &str) -> Outcome<Place> {
        let settings = connection.settings()?;
        let client = connection::connect(settings).await?;
        Place::on(client, topic, String::new(), String::new()).await
    }

    async fn on(client: Client, topic: &str, description: String, farewell: String) -> Outcome<Place> {
        let partitions = partitions(&client.admin(), topic).await?;
        let consumer = client.consumer().build().await?;
        let ends = consumer.end_offsets(&partitions).await?;
        let ends = ends.into_iter().map(|(partition, end)| (partition, Start::Offset(end))).collect();
        Ok(Place { client, ends, description, farewell })
    }

    pub(super) fn partitions(&self) -> Vec<TopicPartition> {
        self.ends.iter().map(|(partition, _)| partition.clone()).collect()
    }
}

/// The partitions of the topic, which is created when it is missing.
async fn partitions(admin: &Admin, topic: &str) -> Outcome<Vec<TopicPartition>> {
    let is_missing =
        |error: &ottla::Error| error.code().is_some_and(|code| code.name() == "UNKNOWN_TOPIC_OR_PARTITION");
    match admin.partitions_for(topic).await {
        Err(error) if is_missing(&error) => {
            let outcomes = admin.create_topics([NewTopic::named(topic).partitions(PARTITIONS)]).await?;
            for (_, outcome) in outcomes {
                match outcome {
                    // Somebody else was faster.
                    Err(error) if error.code().is_some_and(|code| code.name() == "TOPIC_ALREADY_EXISTS") => {}
                    outcome => outcome.map_err(|error| error.hint("--topic names one that is there"))?,
                }
            }
        }
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    // A new topic takes a moment until all brokers know of it.
    loop {
        match admin.partitions_for(topic).await {
            Ok(partitions) if partitions.iter().all(|partition| partition.leader.is_some()) => {
                return Ok(partitions
                    .iter()
                    .map(|partition| TopicPartition::new(topic, partition.index))
                    .collect());
            }
            Err(error) if !is_missing(&error) && !error.is_retriable() => return Err(error.into()),
            _ => task::sleep_until(task::after(task::now(), Duration::from_millis(50))).await,
        }
    }
}
