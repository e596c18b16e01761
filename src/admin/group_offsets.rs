//! What groups have committed: to look at, to change while nobody is in the group, and to delete.

use super::Admin;
use super::groups::{group_error, is_of_the_coordinator};
use crate::cluster::Reach;
use crate::engine::group::{Identity, commits};
use crate::engine::{OffsetAndMetadata, TopicPartition};
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{
    ErrorCode, OffsetCommitResponse, OffsetDeletePartition, OffsetDeleteRequest, OffsetDeleteResponse,
    OffsetDeleteTopic, OffsetFetchGroup, OffsetFetchGroupResponse, OffsetFetchRequest, OffsetFetchResponse,
};
use crate::wire::{Span, Text};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI16, Ordering};

/// What came of each partition.
type Outcomes<T> = BTreeMap<TopicPartition, Result<T>>;

impl Admin {
    /// What a group has committed, partition by partition. A group that is not there has committed nothing.
    ///
    /// # Errors
    /// What is wrong with the whole group (GROUP_AUTHORIZATION_FAILED, INVALID_GROUP_ID), or a time-out. What is wrong with a
    /// single partition (TOPIC_AUTHORIZATION_FAILED) is in its own outcome.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn list_group_offsets(&self, group: &str) -> Result<Outcomes<OffsetAndMetadata>> {
        let group = Text::from(group);
        let attempt = || format!("list the offsets of group '{group}'");
        let asked_in = AtomicI16::new(0);
        let build = |version| {
            asked_in.store(version, Ordering::Relaxed);
            let all = OffsetFetchGroup { group_id: group.clone(), topics: None, ..Default::default() };
            OffsetFetchRequest::one(all, false, version)
        };
        let judge = |answer: &OffsetFetchResponse| {
            let code = match answer.groups.first() {
                Some(told) => told.error_code,
                None => answer.error_code,
            };
            code.ok().err().map(|code| group_error(code, None, attempt()))
        };
        // All topics can be asked for since version 2, and from version 10 on they have ids only.
        let versions = Span::new(2, 9);
        let answer = self.cluster.call(Reach::Group(&group), build, versions, self.deadline(), judge).await?;
        let mut told = answer.into_groups(group.clone(), asked_in.into_inner()).into_iter();
        let told = told.find(|told| told.group_id == group);
        let nobody =
            || Error::new(ErrorKind::Protocol, format!("{}: the answer does not have it", attempt()));
        Ok(offsets(told.ok_or_else(nobody)?, &attempt()))
    }

    /// Sets what a group has committed, for these partitions; others keep what they have. A group that is not there is made. Only
    /// while the group has no members: they would go on with what they have, and commit over it.
    ///
    /// ```no_run
    /// use ottla::{OffsetAndMetadata, TopicPartition};
    ///
    /// # async fn skip(client: ottla::Client) -> ottla::Result<()> {
    /// let poisoned = TopicPartition::new("orders", 3);
    /// let behind_it = OffsetAndMetadata::new(4712).metadata("4711 cannot be read");
    /// for (partition, outcome) in client.admin().alter_group_offsets("billing", [(poisoned, behind_it)]).await? {
    ///     outcome?;
    ///     println!("{partition} goes on");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the coordinator cannot be found or does not answer in time; offsets may be set then, and to repeat the call does no
    /// harm. What is wrong with a single partition is in its own outcome: UNKNOWN_MEMBER_ID while the group has members,
    /// UNKNOWN_TOPIC_OR_PARTITION, OFFSET_METADATA_TOO_LARGE, GROUP_AUTHORIZATION_FAILED.
    ///
    /// # Cancel safety
    /// The offsets may be set all the same when the future is dropped.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) -> Result<Outcomes<()>> {
        let group = Text::from(group);
        let offsets: BTreeMap<TopicPartition, OffsetAndMetadata> = offsets.into_iter().collect();
        if offsets.is_empty() {
            return Ok(BTreeMap::new());
        }
        let request = commits::request(&group, &Identity::none(), &offsets);
        let attempt = || format!("set offsets of group '{group}'");
        let judge = |answer: &OffsetCommitResponse| {
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            let mut codes = partitions.map(|partition| partition.error_code);
            codes.find(|code| is_of_the_coordinator(*code)).map(|code| Error::broker_code(code, attempt()))
        };
        let build = |_| request.clone();
        // From version 10 on topics have ids only.
        let versions = Span::new(0, 9);
        let answer = self.cluster.call(Reach::Group(&group), build, versions, self.deadline(), judge).await?;
        let mut told = BTreeMap::new();
        for topic in &answer.topics {
            let partitions = topic.partitions.iter();
            told.extend(partitions.map(|one| ((topic.name.as_str(), one.partition_index), one.error_code)));
        }
        Ok(outcomes(offsets.into_keys(), &told, &attempt()))
    }

    /// Deletes what a group has committed of these partitions. What it has not committed is deleted as well as if it had.
    ///
    /// # Errors
    /// What is wrong with the whole group (GROUP_ID_NOT_FOUND, GROUP_AUTHORIZATION_FAILED), or a time-out; offsets may be deleted
    /// then, and to repeat the call does no harm. What is wrong with a single partition is in its own outcome:
    /// GROUP_SUBSCRIBED_TO_TOPIC while a member reads the topic, UNKNOWN_TOPIC_OR_PARTITION.
    ///
    /// # Cancel safety
    /// The offsets may be deleted all the same when the future is dropped.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<Outcomes<()>> {
        let group = Text::from(group);
        let mut partitions: Vec<TopicPartition> = partitions.into_iter().collect();
        partitions.sort_unstable();
        partitions.dedup();
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let topics = by_topic(partitions.iter().map(|partition| (partition, ())));
        let topics = topics.into_iter().map(|(name, indexes)| OffsetDeleteTopic {
            name,
            partitions: indexes
                .into_iter()
                .map(|(partition_index, ())| OffsetDeletePartition { partition_index })
                .collect(),
        });
        let request = OffsetDeleteRequest { group_id: group.clone(), topics: topics.collect() };
        let attempt = || format!("delete offsets of group '{group}'");
        let judge = |answer: &OffsetDeleteResponse| {
            answer.error_code.ok().err().map(|code| group_error(code, None, attempt()))
        };
        let build = |_| request.clone();
        let answer =
            self.cluster.call(Reach::Group(&group), build, Span::from(0), self.deadline(), judge).await?;
        let mut told = BTreeMap::new();
        for topic in &answer.topics {
            let partitions = topic.partitions.iter();
            told.extend(partitions.map(|one| ((topic.name.as_str(), one.partition_index), one.error_code)));
        }
        Ok(outcomes(partitions, &told, &attempt()))
    }
}

fn offsets(told: OffsetFetchGroupResponse, attempt: &str) -> Outcomes<OffsetAndMetadata> {
    let mut offsets = BTreeMap::new();
    for topic in told.topics {
        let name = topic.name.detach();
        for partition in topic.partitions {
            let index = partition.partition_index;
            let outcome = match partition.error_code.ok() {
                Err(code) => Err(partition_error(code, attempt, &name, index)),
                Ok(()) => match OffsetAndMetadata::told(&partition) {
                    Some(committed) => Ok(committed),
                    None => continue,
                },
            };
            offsets.insert(TopicPartition::new(name.clone(), index), outcome);
        }
    }
    offsets
}

fn by_topic<'a, T>(
    partitions: impl IntoIterator<Item = (&'a TopicPartition, T)>,
) -> BTreeMap<Text, Vec<(i32, T)>> {
    let mut topics: BTreeMap<Text, Vec<(i32, T)>> = BTreeMap::new();
    for (TopicPartition { topic, partition }, value) in partitions {
        topics.entry(topic.clone()).or_default().push((*partition, value));
    }
    topics
}

/// What the answer says of each partition that was asked for.
fn outcomes(
    asked: impl IntoIterator<Item = TopicPartition>,
    told: &BTreeMap<(&str, i32), ErrorCode>,
    attempt: &str,
) -> Outcomes<()> {
    let outcome = |partition: TopicPartition| {
        let TopicPartition { topic, partition: index } = &partition;
        let outcome = match told.get(&(topic.as_str(), *index)) {
            Some(code) => code.ok().map_err(|code| partition_error(code, attempt, topic, *index)),
            None => Err(Error::new(ErrorKind::Protocol, format!("{attempt}: the answer does not have it"))
                .topic(topic.as_str())
                .partition(*index)),
        };
        (partition, outcome)
    };
    asked.into_iter().map(outcome).collect()
}

fn partition_error(code: ErrorCode, attempt: &str, topic: &str, partition: i32) -> Error {
    let error = group_error(code, None, attempt.to_owned()).topic(topic).partition(partition);
    match code {
        // So a coordinator refuses who is no member while there are members, or while they gather.
        ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::REBALANCE_IN_PROGRESS => {
            error.hint("offsets can be set only while the group has no members: stop its consumers first")
        }
        ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC => {
            error.hint("a member of the group reads the topic: stop its consumers first")
        }
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
            error.hint("is there such a topic, with so many partitions?")
        }
        _ => error,
    }
}
