//! Denials: what clients are kept from, as ACLs that deny would, and which error code says so where.
//!
//! Kafka's `KafkaApis` asks its authorizer about the resources of each request; [`Denials::of`] does it in one place, for all
//! APIs: what a request would do, and to what. What is denied goes through the handlers as a fault's error code does,
//! so that it stands where the API has a place for it; of several groups or transactional ids each has a place of its own.
//!
//! Different from Kafka: whoever may create or delete topics in the cluster may still be kept from one; the bits of authorized
//! operations do not tell.

use super::faults::{Concerned, Refusal, Scope, concerned};
use super::state::State;
use crate::messages::{
    AnyRequest, BrokerId, ConfigResourceType, CoordinatorType, ErrorCode, ProduceRequest, RecordSet,
};
use crate::records::BatchHeader;
use crate::wire::Text;

/// Who is not logged in.
pub(super) const ANONYMOUS: &str = "ANONYMOUS";

/// What a client would do, in the words of Kafka's ACLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Fetch; of a group: join, commit and whatever its members do.
    Read,
    /// Produce; of a transactional id: use it.
    Write,
    /// Create topics.
    Create,
    /// Delete topics, records, groups and their offsets.
    Delete,
    /// Add partitions.
    Alter,
    /// Look up topics and offsets; of a group: find, describe, and read its offsets.
    Describe,
    /// Read settings.
    DescribeConfigs,
    /// Change settings.
    AlterConfigs,
    /// Get a producer id without a transactional one; of the cluster. Whoever may write to some topic may do it all the same
    /// (KIP-679): it takes a denial of `Write` to everything as well.
    IdempotentWrite,
}

/// What clients are kept from: an operation, on what, by whom. As made by [`Denial::new`] it is for everybody and everything.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> ottla::Result<()> {
/// use ottla::broker::{Broker, Denial, Operation};
///
/// let broker = Broker::builder().user("alice", "secret").start().await?;
/// let denied = broker.deny(Denial::new(Operation::Write).topic("orders").user("alice"));
/// // ... TOPIC_AUTHORIZATION_FAILED ...
/// broker.allow(denied);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Denial {
    operation: Operation,
    resource: Option<Resource>,
    user: Option<String>,
}

/// Names a denial that was added; never used twice in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DenialId(u64);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Resource {
    Topic(String),
    Group(String),
    TransactionalId(String),
    Cluster,
}

impl Denial {
    /// Keeps everybody from doing this to anything.
    pub fn new(operation: Operation) -> Denial {
        Denial { operation, resource: None, user: None }
    }

    /// Only to this topic.
    pub fn topic(self, name: impl Into<String>) -> Denial {
        Denial { resource: Some(Resource::Topic(name.into())), ..self }
    }

    /// Only to this group.
    pub fn group(self, id: impl Into<String>) -> Denial {
        Denial { resource: Some(Resource::Group(id.into())), ..self }
    }

    /// Only to this transactional id.
    pub fn transactional_id(self, id: impl Into<String>) -> Denial {
        Denial { resource: Some(Resource::TransactionalId(id.into())), ..self }
    }

    /// Only to the cluster itself: producer ids, the settings of brokers, the list of all groups.
    pub fn cluster(self) -> Denial {
        Denial { resource: Some(Resource::Cluster), ..self }
    }

    /// Only for this user; who is not logged in is `ANONYMOUS`.
    pub fn user(self, name: impl Into<String>) -> Denial {
        Denial { user: Some(name.into()), ..self }
    }

    fn is_for(&self, user: &str, asked: &Asked) -> bool {
        self.operation == asked.0
            && self.user.as_deref().is_none_or(|own| own == user)
            && self.resource.as_ref().is_none_or(|own| *own == asked.1)
    }
}

/// The denials of a cluster.
#[derive(Debug, Default)]
pub(super) struct Denials {
    denials: Vec<(DenialId, Denial)>,
    next_id: u64,
}

/// What a request would do, and to what.
type Asked = (Operation, Resource);

/// What of a request is denied.
#[derive(Debug, Default)]
pub(super) struct Denied {
    /// All of it, or the topics that are.
    pub(super) refusal: Option<Refusal>,
    /// Of several groups or transactional ids, those that are.
    pub(super) names: Vec<String>,
}

impl Denials {
    pub(super) fn add(&mut self, denial: Denial) -> DenialId {
        let id = DenialId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        self.denials.push((id, denial));
        id
    }

    /// Takes a denial out; whether it was there.
    pub(super) fn remove(&mut self, id: DenialId) -> bool {
        let before = self.denials.len();
        self.denials.retain(|(own, _)| *own != id);
        self.denials.len() < before
    }

    /// What of a request is denied to a user.
    pub(super) fn of(&self, state: &State, broker: BrokerId, user: &str, request: &AnyRequest) -> Denied {
        if self.denials.is_empty() {
            return Denied::default();
        }
        let is_denied = |asked: &Asked| self.denials.iter().any(|(_, denial)| denial.is_for(user, asked));
        let names = match request {
            AnyRequest::ListGroups(_) if !is_denied(&(Operation::Describe, Resource::Cluster)) => Vec::new(),
            AnyRequest::ListGroups(_) => {
                state.groups.iter().map(|(id, _)| of_group(Operation::Describe, id)).collect()
            }
            request => each(request),
        };
        let names = names.into_iter().filter(is_denied).map(|(_, resource)| resource.into_name());
        Denied { names: names.collect(), refusal: self.refusal(state, broker, user, request, is_denied) }
    }

    fn refusal(
        &self,
        state: &State,
        broker: BrokerId,
        user: &str,
        request: &AnyRequest,
        is_denied: impl Fn(&Asked) -> bool,
    ) -> Option<Refusal> {
        let mut topics = Vec::new();
        for asked in asked(state, broker, request).into_iter().filter(is_denied) {
            match asked.1 {
                Resource::Topic(name) => topics.push(name),
                Resource::Cluster
                    if asked.0 == Operation::IdempotentWrite && !self.denies_all_writes(user) => {}
                whole => return Some(refusal(code_of(&whole), Vec::new())),
            }
        }
        // A subscription is refused as a whole.
        let all_at_once = matches!(request, AnyRequest::ConsumerGroupHeartbeat(_));
        let any = !topics.is_empty();
        let scope = if all_at_once { Vec::new() } else { topics };
        any.then(|| refusal(ErrorCode::TOPIC_AUTHORIZATION_FAILED, scope))
    }

    fn denies_all_writes(&self, user: &str) -> bool {
        let mut denials = self.denials.iter().map(|(_, denial)| denial);
        denials.any(|denial| {
            let is_theirs = denial.user.as_deref().is_none_or(|own| own == user);
            is_theirs && denial.operation == Operation::Write && denial.resource.is_none()
        })
    }
}

impl Resource {
    fn into_name(self) -> String {
        match self {
            Resource::Topic(name) | Resource::Group(name) | Resource::TransactionalId(name) => name,
            Resource::Cluster => String::new(),
        }
    }
}

fn refusal(code: ErrorCode, topics: Vec<String>) -> Refusal {
    Refusal { code, is_done: false, scope: Scope { topics, partition: None } }
}

fn code_of(resource: &Resource) -> ErrorCode {
    match resource {
        Resource::Topic(_) => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        Resource::Group(_) => ErrorCode::GROUP_AUTHORIZATION_FAILED,
        Resource::TransactionalId(_) => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        Resource::Cluster => ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
    }
}

/// What a request would do, and to what, as `KafkaApis` asks its authorizer.
fn asked(state: &State, broker: BrokerId, request: &AnyRequest) -> Vec<Asked> {
    use Operation::*;
    let topics = |operation| to_topics(operation, concerned(state, broker, request));
    let transaction = |id: &str| vec![(Write, Resource::TransactionalId(id.to_owned()))];
    match request {
        AnyRequest::Produce(request) => {
            // It is the batches that make it a part of a transaction.
            let id = request.transactional_id.as_deref().filter(|_| has_transactional_batch(request));
            let id = id.map(transaction);
            [id.unwrap_or_default(), topics(Write)].concat()
        }
        AnyRequest::Fetch(_) => topics(Read),
        AnyRequest::ListOffsets(_)
        | AnyRequest::OffsetForLeaderEpoch(_)
        | AnyRequest::Metadata(_)
        | AnyRequest::DescribeTopicPartitions(_) => topics(Describe),
        AnyRequest::CreateTopics(_) => topics(Create),
        AnyRequest::CreatePartitions(_) => topics(Alter),
        AnyRequest::DeleteTopics(request) => {
            // Who names a topic must be allowed to know of it.
            let by_state = request.topics.iter().filter_map(|topic| topic.name.as_ref());
            let named = request.topic_names.iter().chain(by_state);
            let named = named.map(|name| (Describe, Resource::Topic(name.to_string())));
            topics(Delete).into_iter().chain(named).collect()
        }
        AnyRequest::DeleteRecords(_) => topics(Delete),
        AnyRequest::DescribeConfigs(request) => {
            let its = request.resources.iter();
            let its = its.map(|resource| (resource.resource_type, resource.resource_name.as_str()));
            settings(DescribeConfigs, its)
        }
        AnyRequest::IncrementalAlterConfigs(request) => {
            let its = request.resources.iter();
            let its = its.map(|resource| (resource.resource_type, resource.resource_name.as_str()));
            settings(AlterConfigs, its)
        }
        AnyRequest::InitProducerId(request) => match request.transactional_id.as_deref() {
            Some(id) => transaction(id),
            None => vec![(IdempotentWrite, Resource::Cluster)],
        },
        AnyRequest::AddPartitionsToTxn(request) => {
            [transaction(&request.v3_and_below_transactional_id), topics(Write)].concat()
        }
        AnyRequest::AddOffsetsToTxn(request) => {
            [transaction(&request.transactional_id), vec![of_group(Read, &request.group_id)]].concat()
        }
        AnyRequest::ConsumerGroupDescribe(_) => {
            // Which of them its members have the answer tells.
            let all = state.topics.iter();
            all.map(|(name, _)| (Describe, Resource::Topic(name.to_string()))).collect()
        }
        AnyRequest::EndTxn(request) => transaction(&request.transactional_id),
        AnyRequest::TxnOffsetCommit(request) => {
            let group = vec![of_group(Read, &request.group_id)];
            [transaction(&request.transactional_id), group, topics(Read)].concat()
        }
        _ => asked_of_groups(request, topics),
    }
}

/// The same of a request about several groups or transactional ids, each of which has its own code.
fn each(request: &AnyRequest) -> Vec<Asked> {
    use Operation::{Delete, Describe};
    let groups = |operation, ids: &[Text]| ids.iter().map(|id| of_group(operation, id)).collect();
    match request {
        AnyRequest::FindCoordinator(request) => {
            let keys = request.coordinator_keys.iter().chain([&request.key]);
            let of = |key: &Text| match request.key_type {
                CoordinatorType::TRANSACTION => Some(Resource::TransactionalId(key.to_string())),
                CoordinatorType::GROUP => Some(Resource::Group(key.to_string())),
                _ => None,
            };
            keys.filter_map(|key| Some((Describe, of(key)?))).collect()
        }
        AnyRequest::OffsetFetch(request) => {
            let ids = request.groups.iter().map(|group| &group.group_id).chain([&request.group_id]);
            ids.map(|id| of_group(Describe, id)).collect()
        }
        AnyRequest::DescribeGroups(request) => groups(Describe, &request.groups),
        AnyRequest::ConsumerGroupDescribe(request) => groups(Describe, &request.group_ids),
        AnyRequest::DeleteGroups(request) => groups(Delete, &request.groups_names),
        _ => Vec::new(),
    }
}

/// What is asked of one group, and of the topics that its members or its offsets are about.
fn asked_of_groups(request: &AnyRequest, topics: impl Fn(Operation) -> Vec<Asked>) -> Vec<Asked> {
    use Operation::{Delete, Describe, Read};
    let both = |group, topics: Vec<Asked>| [vec![group], topics].concat();
    match request {
        AnyRequest::JoinGroup(request) => vec![of_group(Read, &request.group_id)],
        AnyRequest::SyncGroup(request) => vec![of_group(Read, &request.group_id)],
        AnyRequest::Heartbeat(request) => vec![of_group(Read, &request.group_id)],
        AnyRequest::LeaveGroup(request) => vec![of_group(Read, &request.group_id)],
        AnyRequest::OffsetCommit(request) => both(of_group(Read, &request.group_id), topics(Read)),
        AnyRequest::OffsetDelete(request) => both(of_group(Delete, &request.group_id), topics(Read)),
        AnyRequest::OffsetFetch(_) => topics(Describe),
        AnyRequest::ConsumerGroupHeartbeat(request) => {
            let named = request.subscribed_topic_names.iter().flatten();
            let named = named.map(|name| (Describe, Resource::Topic(name.to_string())));
            both(of_group(Read, &request.group_id), named.collect())
        }
        _ => Vec::new(),
    }
}

fn has_transactional_batch(request: &ProduceRequest) -> bool {
    let mut sets = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    sets.any(|partition| {
        let records = partition.records.as_ref().map(RecordSet::to_bytes).unwrap_or_default();
        let header = records.first_chunk().map(BatchHeader::read).filter(|header| header.magic == 2);
        header.is_some_and(|header| header.attributes.is_transactional())
    })
}

fn of_group(operation: Operation, id: &str) -> Asked {
    (operation, Resource::Group(id.to_owned()))
}

fn to_topics(operation: Operation, concerned: Vec<Concerned>) -> Vec<Asked> {
    let mut names: Vec<String> = concerned.into_iter().map(|(name, _)| name).collect();
    names.dedup();
    names.into_iter().map(|name| (operation, Resource::Topic(name))).collect()
}

/// Settings of topics are theirs, all others the cluster's.
fn settings<'a>(
    operation: Operation,
    resources: impl Iterator<Item = (ConfigResourceType, &'a str)>,
) -> Vec<Asked> {
    let of = |(resource_type, name): (ConfigResourceType, &str)| match resource_type {
        ConfigResourceType::TOPIC => (operation, Resource::Topic(name.to_owned())),
        ConfigResourceType::GROUP => (operation, Resource::Group(name.to_owned())),
        _ => (operation, Resource::Cluster),
    };
    resources.map(of).collect()
}
