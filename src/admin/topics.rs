//! Topics: what there is, what is to be, what is to go.

use super::{Admin, topic_error};
use crate::cluster::Reach;
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{
    BrokerId, BrokerIds, CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicState, DeleteTopicsRequest, ErrorCode,
    MetadataRequest, MetadataResponse, MetadataTopic,
};
use crate::wire::{Span, Text, Uuid};
use std::collections::BTreeMap;

/// A topic and its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its id, as Kafka prints it; `None` from brokers before 2.8.
    pub id: Option<String>,
    /// Whether Kafka keeps it for itself.
    pub is_internal: bool,
    /// Its partitions, by index.
    pub partitions: Vec<PartitionInfo>,
}

/// A partition and who holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionInfo {
    /// Its index in the topic.
    pub index: i32,
    /// The broker that leads it; `None` while there is none.
    pub leader: Option<i32>,
    /// The leader's epoch, if the brokers tell it.
    pub leader_epoch: Option<i32>,
    /// The brokers that hold it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those in sync with the leader.
    pub isr: Vec<i32>,
    /// Those that are not alive.
    pub offline: Vec<i32>,
}

/// A topic to create.
///
/// ```
/// use ottla::NewTopic;
///
/// let topic = NewTopic::named("orders").partitions(12).replication_factor(3).config("cleanup.policy", "compact");
/// # let _ = topic;
/// ```
#[derive(Debug, Clone)]
pub struct NewTopic {
    name: String,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    assignments: Vec<Vec<i32>>,
    configs: Vec<(String, String)>,
}

impl NewTopic {
    /// A topic with the cluster's default of partitions and replicas.
    pub fn named(name: impl Into<String>) -> NewTopic {
        NewTopic {
            name: name.into(),
            partitions: None,
            replication_factor: None,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }

    /// How many partitions. Default: `num.partitions` of the cluster.
    #[must_use]
    pub fn partitions(mut self, partitions: i32) -> NewTopic {
        self.partitions = Some(partitions);
        self
    }

    /// How many replicas each has. Default: `default.replication.factor` of the cluster.
    #[must_use]
    pub fn replication_factor(mut self, replicas: i16) -> NewTopic {
        self.replication_factor = Some(replicas);
        self
    }

    /// Which brokers hold which partition, by partition index, the preferred leader first; in place of both counts.
    #[must_use]
    pub fn assignments(mut self, assignments: impl IntoIterator<Item = Vec<i32>>) -> NewTopic {
        self.assignments = assignments.into_iter().collect();
        self
    }

    /// A setting of the topic, `retention.ms` for example.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> NewTopic {
        self.configs.push((name.into(), value.into()));
        self
    }

    fn to_message(&self) -> CreatableTopic {
        let assigned = !self.assignments.is_empty();
        let assignments =
            (0..).zip(&self.assignments).map(|(partition_index, brokers)| CreatableReplicaAssignment {
                partition_index,
                broker_ids: brokers.iter().copied().map(BrokerId).collect::<BrokerIds>(),
            });
        let configs = self.configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: name.as_str().into(),
            value: Some(value.as_str().into()),
        });
        CreatableTopic {
            name: self.name.as_str().into(),
            num_partitions: self.partitions.filter(|_| !assigned).unwrap_or(-1),
            replication_factor: self.replication_factor.filter(|_| !assigned).unwrap_or(-1),
            assignments: assignments.collect(),
            configs: configs.collect(),
        }
    }
}

impl Admin {
    /// All topics that this client may see, Kafka's own included.
    ///
    /// # Errors
    /// When no broker answers in time, or none will.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn list_topics(&self) -> Result<Vec<TopicInfo>> {
        let answer = self.metadata(MetadataRequest::all_topics()).await?;
        let mut topics: Vec<TopicInfo> =
            answer.topics.iter().filter(|topic| topic.error_code.ok().is_ok()).map(info).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Some topics, each with its description or why there is none. Does not create them.
    ///
    /// # Errors
    /// When no broker answers in time, or none will.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn describe_topics<T: AsRef<str>>(
        &self,
        names: impl IntoIterator<Item = T>,
    ) -> Result<BTreeMap<String, Result<TopicInfo>>> {
        let names = names.into_iter().map(|name| Text::from(name.as_ref()));
        let answer = self.metadata(MetadataRequest::topics(names)).await?;
        let described = answer.topics.iter().map(|topic| {
            let name = topic.name.as_deref().unwrap_or_default().to_owned();
            let outcome = match topic.error_code.ok().is_ok() {
                true => Ok(info(topic)),
                false => Err(topic_error(topic.error_code, None, "describe the topic", &name)),
            };
            (name, outcome)
        });
        Ok(described.collect())
    }

    /// The partitions of one topic.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION when there is no such topic; otherwise as [`describe_topics`](Self::describe_topics).
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>> {
        let mut described = self.describe_topics([topic]).await?;
        match described.remove(topic) {
            Some(outcome) => outcome.map(|info| info.partitions),
            None => Err(Error::new(ErrorKind::Protocol, "describe the topic: the answer does not have it")
                .topic(topic)),
        }
    }

    /// Creates topics, each with what came of it.
    ///
    /// # Errors
    /// When the controller does not answer in time; topics may have been created then. What is wrong with a single topic
    /// (TOPIC_ALREADY_EXISTS, INVALID_REPLICATION_FACTOR, POLICY_VIOLATION..) is in its own outcome.
    ///
    /// # Cancel safety
    /// The topics may be created all the same when the future is dropped.
    pub async fn create_topics(
        &self,
        topics: impl IntoIterator<Item = NewTopic>,
    ) -> Result<BTreeMap<String, Result<()>>> {
        self.create(topics.into_iter().collect(), false).await
    }

    /// Checks what [`create_topics`](Self::create_topics) would do, and creates nothing.
    ///
    /// # Errors
    /// As [`create_topics`](Self::create_topics).
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn validate_topics(
        &self,
        topics: impl IntoIterator<Item = NewTopic>,
    ) -> Result<BTreeMap<String, Result<()>>> {
        self.create(topics.into_iter().collect(), true).await
    }

    /// Deletes topics, each with what came of it.
    ///
    /// # Errors
    /// When the controller does not answer in time; topics may have been deleted then. What is wrong with a single topic
    /// (UNKNOWN_TOPIC_OR_PARTITION, TOPIC_DELETION_DISABLED..) is in its own outcome.
    ///
    /// # Cancel safety
    /// The topics may be deleted all the same when the future is dropped.
    pub async fn delete_topics<T: AsRef<str>>(
        &self,
        names: impl IntoIterator<Item = T>,
    ) -> Result<BTreeMap<String, Result<()>>> {
        let names: Vec<Text> = names.into_iter().map(|name| Text::from(name.as_ref())).collect();
        let timeout_ms = self.timeout_ms();
        let build = |version| {
            let by_name = |name: &Text| DeleteTopicState { name: Some(name.clone()), topic_id: Uuid::ZERO };
            match version {
                6.. => DeleteTopicsRequest {
                    topics: names.iter().map(by_name).collect(),
                    timeout_ms,
                    ..Default::default()
                },
                _ => DeleteTopicsRequest { topic_names: names.clone(), timeout_ms, ..Default::default() },
            }
        };
        let not_controller = |code| controller_moved(code, "delete topics");
        let answer = self
            .cluster
            .call(Reach::Controller, build, Span::from(1), self.deadline(), |answer| {
                answer.responses.iter().find_map(|topic| not_controller(topic.error_code))
            })
            .await?;
        let outcomes = answer.responses.iter().map(|topic| {
            let name = topic.name.as_deref().unwrap_or_default().to_owned();
            let outcome = topic
                .error_code
                .ok()
                .map_err(|code| topic_error(code, topic.error_message.as_deref(), "delete the topic", &name));
            (name, outcome)
        });
        Ok(outcomes.collect())
    }

    async fn create(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
    ) -> Result<BTreeMap<String, Result<()>>> {
        let request = CreateTopicsRequest {
            topics: topics.iter().map(NewTopic::to_message).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
        };
        let judge = |answer: &CreateTopicsResponse| {
            answer.topics.iter().find_map(|topic| controller_moved(topic.error_code, "create topics"))
        };
        let build = |_| request.clone();
        let answer =
            self.cluster.call(Reach::Controller, build, Span::from(2), self.deadline(), judge).await?;
        let outcomes = answer.topics.iter().map(|topic| {
            let message = topic.error_message.as_deref();
            let outcome = topic
                .error_code
                .ok()
                .map_err(|code| topic_error(code, message, "create the topic", &topic.name));
            (topic.name.to_string(), outcome)
        });
        Ok(outcomes.collect())
    }

    async fn metadata(&self, mut request: MetadataRequest) -> Result<MetadataResponse> {
        request.allow_auto_topic_creation = false;
        let judge = |answer: &MetadataResponse| {
            answer.error_code.ok().err().map(|code| Error::broker_code(code, "ask for topics"))
        };
        let build = |_| request.clone();
        self.cluster.call(Reach::Any, build, Span::from(4), self.deadline(), judge).await
    }
}

/// The whole request went to the wrong broker, so that it did nothing and is worth repeating.
fn controller_moved(code: ErrorCode, attempt: &'static str) -> Option<Error> {
    (code == ErrorCode::NOT_CONTROLLER).then(|| Error::broker_code(code, attempt))
}

fn info(topic: &MetadataTopic) -> TopicInfo {
    let mut partitions: Vec<PartitionInfo> = topic
        .partitions
        .iter()
        .map(|partition| PartitionInfo {
            index: partition.partition_index,
            leader: Some(partition.leader_id.0).filter(|id| *id >= 0),
            leader_epoch: Some(partition.leader_epoch.0).filter(|epoch| *epoch >= 0),
            replicas: ids(&partition.replica_nodes),
            isr: ids(&partition.isr_nodes),
            offline: ids(&partition.offline_replicas),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    TopicInfo {
        name: topic.name.as_deref().unwrap_or_default().to_owned(),
        id: Some(topic.topic_id).filter(|id| !id.is_zero()).map(|id| id.to_string()),
        is_internal: topic.is_internal,
        partitions,
    }
}

fn ids(brokers: &BrokerIds) -> Vec<i32> {
    brokers.as_slice().iter().map(|broker| broker.0).collect()
}
