//! Metadata: the brokers, the topics and their partitions; creates topics that are missing.
//!
//! Different from Kafka: a topic that is created on the way is in this very answer, not in one that follows.

use super::operations;
use crate::broker::core::Context;
use crate::broker::faults::Refusal;
use crate::broker::state::State;
use crate::broker::topic::{Partition, Topic, check_name};
use crate::broker::topic_config::TopicConfig;
use crate::messages::{
    BrokerId, ErrorCode, MetadataBroker, MetadataPartition, MetadataRequest, MetadataRequestTopic,
    MetadataResponse, MetadataTopic,
};
use crate::wire::{Text, Uuid};

pub(super) fn handle(state: &mut State, context: Context<'_>, request: &MetadataRequest) -> MetadataResponse {
    let mut response = match state.held_metadata.get(&context.broker) {
        Some(held) => as_held(held, context, request),
        None => as_it_is(state, context, request),
    };
    if let Some(refusal) = context.refusal {
        refuse_parts(&mut response, refusal, request.topics.is_none());
    }
    response
}

/// All that there is to say of the cluster now.
pub(in crate::broker) fn snapshot(state: &State) -> MetadataResponse {
    MetadataResponse { topics: all_topics(state, operations::NOT_ASKED), ..without_topics(state) }
}

/// What a broker says that goes by an old view of the cluster; it creates nothing.
fn as_held(held: &MetadataResponse, context: Context<'_>, request: &MetadataRequest) -> MetadataResponse {
    let wanted = match &request.topics {
        None => return held.clone(),
        Some(topics) if topics.is_empty() && context.version == 0 => return held.clone(),
        Some(topics) => topics,
    };
    let topics = wanted.iter().map(|wanted| {
        let by_id = wanted.name.is_none() || context.version >= 12 && !wanted.topic_id.is_zero();
        let is_it = |topic: &&MetadataTopic| match by_id {
            true => topic.topic_id == wanted.topic_id,
            false => topic.name == wanted.name,
        };
        let code = if by_id { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
        held.topics.iter().find(is_it).cloned().unwrap_or_else(|| missing(wanted, code))
    });
    MetadataResponse { topics: topics.collect(), ..held.clone() }
}

fn as_it_is(state: &mut State, context: Context<'_>, request: &MetadataRequest) -> MetadataResponse {
    let mut response = without_topics(state);
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = operations::OF_CLUSTER;
    }
    let operations = if request.include_topic_authorized_operations {
        operations::OF_TOPIC
    } else {
        operations::NOT_ASKED
    };
    response.topics = match &request.topics {
        None => all_topics(state, operations),
        Some(topics) if topics.is_empty() && context.version == 0 => all_topics(state, operations),
        Some(topics) if context.version < 12 && topics.iter().any(|topic| topic.name.is_none()) => {
            // The answer cannot say null either.
            let named = |topic: &MetadataRequestTopic| MetadataRequestTopic {
                name: Some(topic.name.clone().unwrap_or_default()),
                ..topic.clone()
            };
            topics.iter().map(|topic| missing(&named(topic), ErrorCode::INVALID_REQUEST)).collect()
        }
        Some(topics) => {
            topics.iter().map(|topic| one_topic(state, context, request, topic, operations)).collect()
        }
    };
    response
}

fn without_topics(state: &State) -> MetadataResponse {
    let brokers = state.live().map(|(node_id, node)| MetadataBroker {
        node_id,
        host: node.host.clone(),
        port: i32::from(node.port),
        rack: None,
    });
    MetadataResponse {
        brokers: brokers.collect(),
        cluster_id: Some(state.cluster_id.clone()),
        controller_id: state.controller(),
        ..Default::default()
    }
}

/// Has the answer say what a fault says.
fn refuse_parts(response: &mut MetadataResponse, refusal: &Refusal, of_all: bool) {
    let Refusal { code, scope, .. } = refusal;
    match *code {
        // KIP-1102.
        ErrorCode::REBOOTSTRAP_REQUIRED => response.error_code = *code,
        ErrorCode::LEADER_NOT_AVAILABLE
        | ErrorCode::LISTENER_NOT_FOUND
        | ErrorCode::REPLICA_NOT_AVAILABLE => {
            for topic in &mut response.topics {
                let name = topic.name.clone().unwrap_or_default();
                let its = topic.partitions.iter_mut();
                for partition in its.filter(|p| scope.covers(&name, Some(p.partition_index))) {
                    partition.error_code = *code;
                    if *code != ErrorCode::REPLICA_NOT_AVAILABLE {
                        partition.leader_id = BrokerId::NONE;
                    }
                }
            }
        }
        // Who asks for all topics is not told that there are some which he may not see.
        ErrorCode::TOPIC_AUTHORIZATION_FAILED if of_all => {
            response.topics.retain(|topic| !scope.covers(topic.name.as_deref().unwrap_or_default(), None))
        }
        _ => {
            let is_refused =
                |topic: &&mut MetadataTopic| scope.covers(topic.name.as_deref().unwrap_or_default(), None);
            for topic in response.topics.iter_mut().filter(is_refused) {
                topic.error_code = *code;
                topic.partitions.clear();
                if *code == ErrorCode::TOPIC_AUTHORIZATION_FAILED {
                    topic.topic_id = Uuid::ZERO;
                }
            }
        }
    }
}

fn all_topics(state: &State, operations: i32) -> Vec<MetadataTopic> {
    state.topics.iter().map(|(name, topic)| describe(state, name, topic, operations)).collect()
}

fn one_topic(
    state: &mut State,
    context: Context<'_>,
    request: &MetadataRequest,
    wanted: &MetadataRequestTopic,
    operations: i32,
) -> MetadataTopic {
    if !wanted.topic_id.is_zero() && context.version >= 12 {
        let Some(name) = state.topics.name_of(&wanted.topic_id) else {
            return missing(
                &MetadataRequestTopic { name: None, ..wanted.clone() },
                ErrorCode::UNKNOWN_TOPIC_ID,
            );
        };
        return state.topics.get(name.as_bytes()).map_or_else(
            || missing(wanted, ErrorCode::UNKNOWN_TOPIC_ID),
            |topic| describe(state, name, topic, operations),
        );
    }
    let name = wanted.name.clone().unwrap_or_default();
    if state.topics.get(name.as_bytes()).is_none() {
        let is_refused =
            context.refusal.is_some_and(|refusal| !refusal.is_done && refusal.scope.covers(&name, None));
        let creates = !is_refused && request.allow_auto_topic_creation && state.settings.auto_create_topics;
        if let Err(code) = if creates { create(state, &name) } else { refuse(&name) } {
            return missing(wanted, code);
        }
    }
    match state.topics.get(name.as_bytes()) {
        Some(topic) => describe(state, &name, topic, operations),
        None => missing(wanted, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    }
}

fn create(state: &mut State, name: &Text) -> Result<(), ErrorCode> {
    let partitions = usize::try_from(state.settings.default_partitions).unwrap_or(1);
    let placed = state.place(partitions, state.default_replication());
    state.create_topic(name, placed, TopicConfig::default()).map(|_| ()).map_err(|refused| refused.code)
}

fn refuse(name: &Text) -> Result<(), ErrorCode> {
    check_name(name).map_err(|_| ErrorCode::INVALID_TOPIC_EXCEPTION)?;
    Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

fn missing(wanted: &MetadataRequestTopic, error_code: ErrorCode) -> MetadataTopic {
    let MetadataRequestTopic { topic_id, name } = wanted.clone();
    let topic_id = if name.is_some() { Uuid::ZERO } else { topic_id };
    MetadataTopic { error_code, name, topic_id, ..Default::default() }
}

fn describe(state: &State, name: &Text, topic: &Topic, operations: i32) -> MetadataTopic {
    MetadataTopic {
        name: Some(name.clone()),
        topic_id: topic.id,
        partitions: (0i32..)
            .zip(&topic.partitions)
            .map(|(index, partition)| describe_partition(state, index, partition))
            .collect(),
        topic_authorized_operations: operations,
        ..Default::default()
    }
}

fn describe_partition(state: &State, partition_index: i32, partition: &Partition) -> MetadataPartition {
    let error_code =
        if partition.leader.is_none() { ErrorCode::LEADER_NOT_AVAILABLE } else { ErrorCode::NONE };
    MetadataPartition {
        error_code,
        partition_index,
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.clone(),
        isr_nodes: partition.isr.clone(),
        offline_replicas: partition.replicas.iter().copied().filter(|id| !state.is_live(*id)).collect(),
    }
}
