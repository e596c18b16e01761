//! AddPartitionsToTxn: partitions become part of a transaction; from version 4 on brokers ask, for many transactions, and
//! may only want to know. Either all partitions of a transaction are added or none.

use super::init_producer_id::fenced_of_old;
use crate::broker::core::Context;
use crate::broker::state::State;
use crate::broker::transactions::{Generation, Partitions, Producer};
use crate::messages::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult, ErrorCode,
};
use crate::wire::Text;

/// What is asked for one transaction.
struct Asked<'a> {
    id: &'a Text,
    producer: Producer,
    topics: &'a [AddPartitionsToTxnTopic],
    verifies: bool,
    generation: Generation,
}

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    if context.version < 4 {
        let asked = Asked {
            id: &request.v3_and_below_transactional_id,
            producer: (request.v3_and_below_producer_id, request.v3_and_below_producer_epoch),
            topics: &request.v3_and_below_topics,
            verifies: false,
            generation: Generation::First,
        };
        let results_by_topic_v3_and_below = answer(state, context, &asked);
        return AddPartitionsToTxnResponse { results_by_topic_v3_and_below, ..Default::default() };
    }
    let results = request.transactions.iter().map(|transaction| {
        let asked = Asked {
            id: &transaction.transactional_id,
            producer: (transaction.producer_id, transaction.producer_epoch),
            topics: &transaction.topics,
            verifies: transaction.verify_only,
            generation: Generation::Second,
        };
        let topic_results = answer(state, context, &asked);
        AddPartitionsToTxnResult { transactional_id: transaction.transactional_id.clone(), topic_results }
    });
    AddPartitionsToTxnResponse { results_by_transaction: results.collect(), ..Default::default() }
}

fn answer(state: &mut State, context: Context<'_>, asked: &Asked<'_>) -> Vec<AddPartitionsToTxnTopicResult> {
    let named =
        || asked.topics.iter().flat_map(|topic| topic.partitions.iter().map(|index| (&topic.name, *index)));
    let is_missing = |state: &State, (topic, index): (&Text, i32)| {
        state.topics.partition(topic, index).is_err() || refused(context, topic, index).is_some()
    };
    // One that cannot be added keeps the others out.
    let is_whole = !named().any(|named| is_missing(state, named));
    let added = if is_whole { add(state, context, asked) } else { Err(ErrorCode::OPERATION_NOT_ATTEMPTED) };
    let result = |topic: &Text, index: i32| -> Result<(), ErrorCode> {
        context.unless_refused(topic, Some(index), || {
            state.topics.partition(topic, index)?;
            added?;
            if !asked.verifies {
                return Ok(());
            }
            state.transactions.verify(asked.id, asked.producer, &(topic.clone(), index))
        })
    };
    let topic_result = |topic: &AddPartitionsToTxnTopic| AddPartitionsToTxnTopicResult {
        results_by_partition: topic
            .partitions
            .iter()
            .map(|index| {
                let code = result(&topic.name, *index).err().unwrap_or_default();
                let code = if context.version < 2 { fenced_of_old(code) } else { code };
                AddPartitionsToTxnPartitionResult { partition_index: *index, partition_error_code: code }
            })
            .collect(),
        name: topic.name.clone(),
    };
    asked.topics.iter().map(topic_result).collect()
}

/// What a fault has the broker say of a partition instead of adding it.
fn refused(context: Context<'_>, topic: &Text, index: i32) -> Option<ErrorCode> {
    let refusal = context.refusal.filter(|refusal| !refusal.is_done)?;
    refusal.scope.covers(topic, Some(index)).then_some(refusal.code)
}

fn add(state: &mut State, context: Context<'_>, asked: &Asked<'_>) -> Result<(), ErrorCode> {
    let Asked { id, producer, topics, verifies, generation } = *asked;
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    state.check_transaction_coordinator(id, context.broker)?;
    if verifies {
        return Ok(());
    }
    let partitions: Partitions = topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|index| (topic.name.detach(), *index)))
        .collect();
    state.transactions.add(id, producer, (partitions, None), generation, context.now.at)
}
