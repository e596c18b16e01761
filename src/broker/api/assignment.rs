//! Assignments of partitions to brokers that a request makes itself, checked as Kafka's `ReplicationControlManager` does.

use crate::broker::state::{Refused, State};
use crate::messages::{BrokerId, BrokerIds, ErrorCode};
use std::collections::BTreeSet;

/// Partitions of all topics of a request (Kafka's limit for one batch of its metadata log).
const MAX_PARTITIONS_OF_REQUEST: usize = 10_000;

/// Checks the brokers of a partition; `replication` is how many those before it had.
pub(super) fn check(
    state: &State,
    partition: i32,
    brokers: &BrokerIds,
    replication: &mut Option<usize>,
) -> Result<(), Refused> {
    if brokers.is_empty() {
        return Err(wrong("The manual partition assignment includes an empty replica list.".to_owned()));
    }
    if let Some(unknown) = brokers.iter().find(|id| !state.nodes.contains_key(id)) {
        let text = format!(
            "The manual partition assignment includes broker {unknown}, but no such broker is registered."
        );
        return Err(wrong(text));
    }
    if !brokers.iter().any(|id| state.is_live(*id)) {
        let text = format!(
            "All brokers specified in the manual partition assignment for partition {partition} are fenced or in \
             controlled shutdown."
        );
        return Err(wrong(text));
    }
    let distinct: BTreeSet<BrokerId> = brokers.iter().copied().collect();
    if distinct.len() != brokers.len() {
        let text = "The manual partition assignment includes a broker more than once.";
        return Err(wrong(text.to_owned()));
    }
    let expected = *replication.get_or_insert(brokers.len());
    if expected != brokers.len() {
        let text = format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
             with previous partitions, which have {expected} replica(s).",
            brokers.len()
        );
        return Err(wrong(text));
    }
    Ok(())
}

/// Checks how many partitions a request is to create in all.
pub(super) fn check_count(partitions: usize) -> Result<(), Refused> {
    if partitions <= MAX_PARTITIONS_OF_REQUEST {
        return Ok(());
    }
    let text = "Excessively large number of partitions per request.".to_owned();
    Err(Refused { code: ErrorCode::POLICY_VIOLATION, text })
}

/// The refusal of an assignment.
pub(super) fn wrong(text: String) -> Refused {
    Refused { code: ErrorCode::INVALID_REPLICA_ASSIGNMENT, text }
}
