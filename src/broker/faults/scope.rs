//! [`Scope`]: topics and partitions that a fault is for; and which of them a request is about.

use crate::broker::sessions::Sessions;
use crate::broker::state::{Refused, State};
use crate::messages::{
    AnyRequest, BrokerId, ConfigResourceType, ErrorCode, FetchRequest, OffsetFetchRequest,
    TxnOffsetCommitTopic,
};
use crate::wire::{Text, Uuid};

/// Topics and partitions: all, those of a name, those of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::broker) struct Scope {
    /// All when there are none.
    pub(in crate::broker) topics: Vec<String>,
    pub(in crate::broker) partition: Option<i32>,
}

/// An error code that a fault has the broker answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct Refusal {
    pub(in crate::broker) code: ErrorCode,
    /// Whether what is asked for is done all the same.
    pub(in crate::broker) is_done: bool,
    pub(in crate::broker) scope: Scope,
}

/// A topic that a request names, and the partition if it does.
pub(in crate::broker) type Concerned = (String, Option<i32>);

impl Scope {
    /// Whether it leaves nothing out.
    pub(in crate::broker) fn is_everything(&self) -> bool {
        self.topics.is_empty() && self.partition.is_none()
    }

    /// Whether a partition is in it; of a topic as a whole, whether some of it is.
    pub(in crate::broker) fn covers(&self, topic: &str, partition: Option<i32>) -> bool {
        let both = self.partition.zip(partition);
        let has_topic = self.topics.is_empty() || self.topics.iter().any(|own| own == topic);
        has_topic && both.is_none_or(|(own, other)| own == other)
    }
}

impl Refusal {
    /// What is answered.
    pub(in crate::broker) fn refused(&self) -> Refused {
        let is_denied = matches!(
            self.code,
            ErrorCode::TOPIC_AUTHORIZATION_FAILED
                | ErrorCode::GROUP_AUTHORIZATION_FAILED
                | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        );
        let text = if is_denied { self.code.description() } else { "so decided by a fault" };
        Refused { code: self.code, text: text.to_owned() }
    }
}

/// The topics and partitions that a request to a broker is about; none where it is about other things.
pub(in crate::broker) fn concerned(state: &State, broker: BrokerId, request: &AnyRequest) -> Vec<Concerned> {
    match request {
        AnyRequest::Produce(request) => {
            let topics = request.topic_data.iter().flat_map(|topic| {
                let name = name(state, &topic.topic_id, &topic.name);
                topic.partition_data.iter().map(move |partition| (name.clone(), Some(partition.index)))
            });
            topics.collect()
        }
        AnyRequest::Fetch(request) => fetched(state, state.sessions_of(broker), request),
        AnyRequest::ListOffsets(request) => {
            let topics = request.topics.iter().flat_map(|topic| {
                let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
                indexes.map(|index| (topic.name.to_string(), Some(index)))
            });
            topics.collect()
        }
        AnyRequest::OffsetCommit(request) => {
            let topics = request.topics.iter().flat_map(|topic| {
                let name = name(state, &topic.topic_id, &topic.name);
                let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
                indexes.map(move |index| (name.clone(), Some(index)))
            });
            topics.collect()
        }
        AnyRequest::OffsetFetch(request) => offsets_fetched(state, request),
        AnyRequest::OffsetDelete(request) => {
            let topics = request.topics.iter().flat_map(|topic| {
                let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
                indexes.map(|index| (topic.name.to_string(), Some(index)))
            });
            topics.collect()
        }
        AnyRequest::OffsetForLeaderEpoch(request) => {
            let topics = request.topics.iter().flat_map(|topic| {
                let indexes = topic.partitions.iter().map(|partition| partition.partition);
                indexes.map(|index| (topic.topic.to_string(), Some(index)))
            });
            topics.collect()
        }
        request @ (AnyRequest::AddPartitionsToTxn(_)
        | AnyRequest::WriteTxnMarkers(_)
        | AnyRequest::TxnOffsetCommit(_)) => of_transactions(request),
        AnyRequest::Metadata(request) => match &request.topics {
            None => state.topics.iter().map(|(name, _)| (name.to_string(), None)).collect(),
            Some(topics) => {
                let named = topics.iter().map(|topic| {
                    let own = topic.name.clone().unwrap_or_default();
                    (name(state, &topic.topic_id, &own), None)
                });
                named.collect()
            }
        },
        request => administered(state, request),
    }
}

/// The same of what administrators ask.
fn administered(state: &State, request: &AnyRequest) -> Vec<Concerned> {
    match request {
        AnyRequest::CreateTopics(request) => {
            request.topics.iter().map(|topic| (topic.name.to_string(), None)).collect()
        }
        AnyRequest::DeleteRecords(request) => {
            let topics = request.topics.iter().flat_map(|topic| {
                let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
                indexes.map(|index| (topic.name.to_string(), Some(index)))
            });
            topics.collect()
        }
        AnyRequest::CreatePartitions(request) => {
            request.topics.iter().map(|topic| (topic.name.to_string(), None)).collect()
        }
        AnyRequest::DescribeTopicPartitions(request) if request.topics.is_empty() => {
            state.topics.iter().map(|(name, _)| (name.to_string(), None)).collect()
        }
        AnyRequest::DescribeTopicPartitions(request) => {
            request.topics.iter().map(|topic| (topic.name.to_string(), None)).collect()
        }
        AnyRequest::DescribeConfigs(request) => {
            let its = request.resources.iter().filter(|r| r.resource_type == ConfigResourceType::TOPIC);
            its.map(|resource| (resource.resource_name.to_string(), None)).collect()
        }
        AnyRequest::IncrementalAlterConfigs(request) => {
            let its = request.resources.iter().filter(|r| r.resource_type == ConfigResourceType::TOPIC);
            its.map(|resource| (resource.resource_name.to_string(), None)).collect()
        }
        AnyRequest::DeleteTopics(request) => {
            let by_name = request.topic_names.iter().map(Text::to_string);
            let by_either = request.topics.iter().map(|topic| {
                let own = topic.name.clone().unwrap_or_default();
                name(state, &topic.topic_id, &own)
            });
            by_name.chain(by_either).map(|name| (name, None)).collect()
        }
        _ => Vec::new(),
    }
}

/// The partitions that are added to a transaction, ended or committed with it.
fn of_transactions(request: &AnyRequest) -> Vec<Concerned> {
    let all = |topic: &Text, indexes: &[i32]| -> Vec<Concerned> {
        indexes.iter().map(|index| (topic.to_string(), Some(*index))).collect()
    };
    match request {
        AnyRequest::AddPartitionsToTxn(request) => {
            let transactions = request.transactions.iter().flat_map(|transaction| &transaction.topics);
            let topics = transactions.chain(&request.v3_and_below_topics);
            topics.flat_map(|topic| all(&topic.name, &topic.partitions)).collect()
        }
        AnyRequest::WriteTxnMarkers(request) => {
            let topics = request.markers.iter().flat_map(|marker| &marker.topics);
            topics.flat_map(|topic| all(&topic.name, &topic.partition_indexes)).collect()
        }
        AnyRequest::TxnOffsetCommit(request) => {
            let of_topic = |topic: &TxnOffsetCommitTopic| {
                let indexes: Vec<i32> =
                    topic.partitions.iter().map(|partition| partition.partition_index).collect();
                all(&topic.name, &indexes)
            };
            request.topics.iter().flat_map(of_topic).collect()
        }
        _ => Vec::new(),
    }
}

/// The partitions that groups are asked for; all topics are those that have an offset.
fn offsets_fetched(state: &State, request: &OffsetFetchRequest) -> Vec<Concerned> {
    let committed = |id: &Text| {
        let group = state.groups.get(id).into_iter();
        group.flat_map(|group| group.offsets.iter().map(|(topic, _)| (topic.to_string(), None)))
    };
    let mut concerned = Vec::new();
    for group in &request.groups {
        match &group.topics {
            None => concerned.extend(committed(&group.group_id)),
            Some(topics) => concerned.extend(topics.iter().flat_map(|topic| {
                let name = name(state, &topic.topic_id, &topic.name);
                topic.partition_indexes.iter().map(move |index| (name.clone(), Some(*index)))
            })),
        }
    }
    match &request.topics {
        None => concerned.extend(committed(&request.group_id)),
        Some(topics) => concerned.extend(topics.iter().flat_map(|topic| {
            topic.partition_indexes.iter().map(|index| (topic.name.to_string(), Some(*index)))
        })),
    }
    concerned
}

/// What a fetch reads: what it names, and what its session has beside that.
fn fetched(state: &State, sessions: Option<&Sessions>, request: &FetchRequest) -> Vec<Concerned> {
    let named = request.topics.iter().flat_map(|topic| {
        let name = name(state, &topic.topic_id, &topic.topic);
        topic.partitions.iter().map(move |partition| (name.clone(), Some(partition.partition)))
    });
    let cached = sessions.into_iter().flat_map(|sessions| sessions.named(request.session_id));
    let cached = cached.map(|named| (name(state, &named.topic_id, &named.topic), Some(named.partition)));
    named.chain(cached).collect()
}

fn name(state: &State, id: &Uuid, name: &Text) -> String {
    let named = if id.is_zero() { None } else { state.topics.name_of(id) };
    named.unwrap_or(name).to_string()
}
