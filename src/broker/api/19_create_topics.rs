//! CreateTopics: checks as the controller of Kafka 4.3 does (`ReplicationControlManager`), and creates.

use super::assignment;
use crate::broker::core::Context;
use crate::broker::state::{Refused, State};
use crate::broker::topic_config::TopicConfig;
use crate::messages::{
    BrokerIds, CreatableTopic, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse, ErrorCode,
};
use crate::wire::{Text, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// A topic that may be created.
struct Plan {
    partitions: Vec<BrokerIds>,
    replication: usize,
    config: TopicConfig,
}

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut once = BTreeSet::new();
    let twice: BTreeSet<&Text> =
        request.topics.iter().map(|topic| &topic.name).filter(|name| !once.insert(*name)).collect();
    let mut response = CreateTopicsResponse::default();
    let mut created = 0usize;
    for name in &twice {
        let refused = refuse(ErrorCode::INVALID_REQUEST, "Duplicate topic name.".to_owned());
        response.topics.push(answer(name, Err(refused)));
    }
    for topic in request.topics.iter().filter(|topic| !twice.contains(&topic.name)) {
        let result = context.unless_refused(&topic.name, None, || {
            let Plan { partitions, replication, config } = plan(state, topic, &mut created)?;
            let (count, told) = (partitions.len(), config.clone());
            let id = if request.validate_only {
                Uuid::ZERO
            } else {
                state.create_topic(&topic.name, partitions, config)?
            };
            Ok((id, count, replication, told))
        });
        response.topics.push(answer(&topic.name, result));
    }
    response
}

fn plan(state: &mut State, topic: &CreatableTopic, created: &mut usize) -> Result<Plan, Refused> {
    state.may_create(&topic.name, 0)?;
    let configs = topic.configs.iter().map(|c| (c.name.as_str(), c.value.as_ref().map(Text::as_str)));
    let config = TopicConfig::new(configs).map_err(|text| refuse(ErrorCode::INVALID_CONFIG, text))?;
    let (partitions, replication) = if topic.assignments.is_empty() {
        let (partitions, replication) = sizes(state, topic)?;
        *created = created.saturating_add(partitions);
        assignment::check_count(*created)?;
        (state.place(partitions, replication), replication)
    } else {
        *created = created.saturating_add(topic.assignments.len());
        assignment::check_count(*created)?;
        assigned(state, topic)?
    };
    state.may_create(&topic.name, partitions.len())?;
    Ok(Plan { partitions, replication, config })
}

/// Partitions and replicas where the controller places them.
fn sizes(state: &State, topic: &CreatableTopic) -> Result<(usize, usize), Refused> {
    let replication = match topic.replication_factor {
        -1 => state.default_replication(),
        factor => usize::try_from(factor).ok().filter(|n| *n > 0).ok_or_else(|| {
            let text = "Replication factor must be larger than 0, or -1 to use the default value.";
            refuse(ErrorCode::INVALID_REPLICATION_FACTOR, text.to_owned())
        })?,
    };
    let partitions = match topic.num_partitions {
        -1 => state.settings.default_partitions,
        partitions => partitions,
    };
    let partitions = usize::try_from(partitions).ok().filter(|n| *n > 0).ok_or_else(|| {
        let text = "Number of partitions must be larger than 0, or -1 to use the default value.";
        refuse(ErrorCode::INVALID_PARTITIONS, text.to_owned())
    })?;
    let brokers = state.nodes.len();
    if replication > brokers {
        let text = format!(
            "Unable to replicate the partition {replication} time(s): The target replication factor of \
             {replication} cannot be reached because only {brokers} broker(s) are registered."
        );
        return Err(refuse(ErrorCode::INVALID_REPLICATION_FACTOR, text));
    }
    Ok((partitions, replication))
}

/// Partitions that the request itself places.
fn assigned(state: &State, topic: &CreatableTopic) -> Result<(Vec<BrokerIds>, usize), Refused> {
    for (given, what) in
        [(i32::from(topic.replication_factor), "replication factor"), (topic.num_partitions, "numPartitions")]
    {
        if given != -1 {
            let text = format!("A manual partition assignment was specified, but {what} was not set to -1.");
            return Err(refuse(ErrorCode::INVALID_REQUEST, text));
        }
    }
    let mut by_index = BTreeMap::new();
    let mut replication = None;
    for assigned in &topic.assignments {
        let index = assigned.partition_index;
        assignment::check(state, index, &assigned.broker_ids, &mut replication)?;
        if by_index.insert(index, assigned.broker_ids.clone()).is_some() {
            let text = format!("Found multiple manual partition assignments for partition {index}");
            return Err(assignment::wrong(text));
        }
    }
    if !by_index.keys().copied().eq((0i32..).take(by_index.len())) {
        let text = "partitions should be a consecutive 0-based integer sequence";
        return Err(assignment::wrong(text.to_owned()));
    }
    Ok((by_index.into_values().collect(), replication.unwrap_or_default()))
}

fn answer(name: &Text, result: Result<(Uuid, usize, usize, TopicConfig), Refused>) -> CreatableTopicResult {
    match result {
        Ok((topic_id, partitions, replication, config)) => CreatableTopicResult {
            name: name.clone(),
            topic_id,
            error_message: None,
            num_partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
            replication_factor: i16::try_from(replication).unwrap_or(i16::MAX),
            configs: Some(config.listing()),
            ..Default::default()
        },
        Err(Refused { code, text }) => CreatableTopicResult {
            name: name.clone(),
            error_code: code,
            error_message: Some(text.into()),
            ..Default::default()
        },
    }
}

fn refuse(code: ErrorCode, text: String) -> Refused {
    Refused { code, text }
}
