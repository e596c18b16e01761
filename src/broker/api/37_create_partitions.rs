//! CreatePartitions: lets topics grow, checked as the controller of Kafka 4.3 does (`ControllerApis`,
//! `ReplicationControlManager`).

use super::assignment;
use crate::broker::core::Context;
use crate::broker::state::{Refused, State};
use crate::messages::{
    BrokerIds, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult, ErrorCode,
};
use crate::wire::Text;
use std::collections::BTreeSet;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut once = BTreeSet::new();
    let names = request.topics.iter().map(|topic| &topic.name);
    let twice: BTreeSet<&Text> = names.filter(|name| !once.insert(*name)).collect();
    let duplicate = |name: &&Text| {
        let text = "Duplicate topic name.".to_owned();
        answer(name, Err(Refused { code: ErrorCode::INVALID_REQUEST, text }))
    };
    let mut results: Vec<_> = twice.iter().map(duplicate).collect();
    let mut created = 0usize;
    for topic in request.topics.iter().filter(|topic| !twice.contains(&topic.name)) {
        let grown = context.unless_refused(&topic.name, None, || {
            let placed = plan(state, topic, &mut created)?;
            if !request.validate_only {
                state.add_partitions(topic.name.as_bytes(), placed);
            }
            Ok::<_, Refused>(())
        });
        results.push(answer(&topic.name, grown));
    }
    CreatePartitionsResponse { results, ..Default::default() }
}

/// The brokers of the new partitions.
fn plan(
    state: &mut State,
    topic: &CreatePartitionsTopic,
    created: &mut usize,
) -> Result<Vec<BrokerIds>, Refused> {
    let CreatePartitionsTopic { name, count, assignments } = topic;
    let Some(found) = state.topics.get(name.as_bytes()) else {
        let text = "This server does not host this topic-partition.".to_owned();
        return Err(Refused { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text });
    };
    let old = found.partitions.len();
    let replication = found.partitions.first().map_or(1, |partition| partition.replicas.len());
    let additional = additional(name, old, *count)?;
    *created = created.saturating_add(additional);
    state.may_grow(additional)?;
    assignment::check_count(*created)?;
    let Some(assignments) = assignments else {
        return Ok(state.place(additional, replication));
    };
    if assignments.len() != additional {
        let text = format!(
            "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
            assignments.len()
        );
        return Err(assignment::wrong(text));
    }
    let mut expected = Some(replication);
    let first = i32::try_from(old).unwrap_or(i32::MAX);
    for (partition, assigned) in (first..).zip(assignments) {
        assignment::check(state, partition, &assigned.broker_ids, &mut expected)?;
    }
    Ok(assignments.iter().map(|assigned| assigned.broker_ids.clone()).collect())
}

/// How many partitions a topic gets on top of those that it has.
fn additional(name: &str, old: usize, count: i32) -> Result<usize, Refused> {
    let refuse = |text| Err(Refused { code: ErrorCode::INVALID_PARTITIONS, text });
    match usize::try_from(count).ok().and_then(|count| count.checked_sub(old)) {
        Some(0) => refuse(format!("Topic already has {old} partition(s).")),
        Some(additional) => Ok(additional),
        None => refuse(format!(
            "The topic {name} currently has {old} partition(s); {count} would not be an increase."
        )),
    }
}

fn answer(name: &Text, result: Result<(), Refused>) -> CreatePartitionsTopicResult {
    let (error_code, error_message) = match result {
        Ok(()) => (ErrorCode::NONE, None),
        Err(Refused { code, text }) => (code, Some(text.into())),
    };
    CreatePartitionsTopicResult { name: name.clone(), error_code, error_message }
}
