//! [`Logs`]: which partitions there are, and where they begin and end.

use crate::failure::Outcome;
use ottla::error::ErrorCode;
use ottla::{Admin, Client, Consumer, Error, Result, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// Topics, as far as they are there, and a consumer to ask with.
#[derive(Debug)]
pub(super) struct Logs {
    consumer: Consumer,
    /// The partitions of each topic, and whether somebody leads them; or why there are none.
    topics: BTreeMap<String, Result<BTreeMap<i32, bool>>>,
}

impl Logs {
    /// Looks for topics.
    pub(super) async fn find(client: &Client, admin: &Admin, topics: &BTreeSet<String>) -> Outcome<Logs> {
        // To look is not to create, and costs no member of a group.
        let consumer = client.consumer().build().await?;
        let mut found = BTreeMap::new();
        if !topics.is_empty() {
            for (name, described) in admin.describe_topics(topics).await? {
                let partitions = described.map(|topic| {
                    topic.partitions.iter().map(|one| (one.index, one.leader.is_some())).collect()
                });
                found.insert(name, partitions);
            }
        }
        Ok(Logs { consumer, topics: found })
    }

    /// Whether a topic is not there: it was deleted since somebody committed something of it.
    pub(super) fn is_gone(&self, name: &str) -> bool {
        self.topic(name).is_some_and(|found| matches!(found, Err(error) if is_of_a_topic_that_is_gone(error)))
    }

    /// What is wrong with topics that may be there.
    pub(super) fn failed(&self) -> impl Iterator<Item = String> {
        let failed = self.topics.values().filter_map(|found| found.as_ref().err());
        failed.filter(|error| !is_of_a_topic_that_is_gone(error)).map(ToString::to_string)
    }

    /// The indexes of a topic's partitions, each with whether somebody leads it; or why there are none.
    pub(super) fn topic(&self, name: &str) -> Option<&Result<BTreeMap<i32, bool>>> {
        self.topics.get(name)
    }

    /// Where those of these partitions begin that somebody can be asked about.
    pub(super) async fn beginnings(
        &self,
        of: &BTreeSet<TopicPartition>,
    ) -> Outcome<BTreeMap<TopicPartition, i64>> {
        Ok(self.consumer.beginning_offsets(of.iter().filter(|one| self.is_led(one))).await?)
    }

    /// Where those of these partitions end that somebody can be asked about.
    pub(super) async fn ends(&self, of: &BTreeSet<TopicPartition>) -> Outcome<BTreeMap<TopicPartition, i64>> {
        Ok(self.consumer.end_offsets(of.iter().filter(|one| self.is_led(one))).await?)
    }

    /// The first records of this time or later, where there are some.
    pub(super) async fn at(
        &self,
        of: &BTreeSet<TopicPartition>,
        time_ms: i64,
    ) -> Outcome<BTreeMap<TopicPartition, Option<i64>>> {
        let asked = of.iter().filter(|one| self.is_led(one)).map(|one| (one, time_ms));
        Ok(self.consumer.offsets_for_times(asked).await?)
    }

    /// Whether a partition is there and somebody leads it. To ask about others would be to wait for them.
    pub(super) fn is_led(&self, partition: &TopicPartition) -> bool {
        let topic = self.topic(&partition.topic).and_then(|found| found.as_ref().ok());
        topic.and_then(|partitions| partitions.get(&partition.partition)).copied().unwrap_or(false)
    }
}

fn is_of_a_topic_that_is_gone(error: &Error) -> bool {
    error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}
