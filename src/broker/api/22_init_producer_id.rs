//! InitProducerId: a producer id for an idempotent producer; for a transactional one the id that it had, with the next
//! epoch, which fences whoever had it before (KIP-98, KIP-360).

use crate::broker::core::Context;
use crate::broker::state::State;
use crate::messages::{ErrorCode, InitProducerIdRequest, InitProducerIdResponse, ProducerEpoch, ProducerId};
use crate::wire::Text;

/// The longest that a transaction may stay open (Kafka's `transaction.max.timeout.ms`).
const MAX_TRANSACTION_TIMEOUT_MS: i32 = 900_000;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &InitProducerIdRequest,
) -> InitProducerIdResponse {
    let given = context.unless_refused("", None, || match &request.transactional_id {
        // Whatever the producer had: the next one is as good.
        None => check_pair(request).map(|()| (state.new_producer_id(), ProducerEpoch(0))),
        Some(id) => transactional(state, context, request, id),
    });
    match given {
        Ok((producer_id, producer_epoch)) => {
            InitProducerIdResponse { producer_id, producer_epoch, ..Default::default() }
        }
        Err(error_code) => {
            InitProducerIdResponse { error_code, producer_epoch: ProducerEpoch::NONE, ..Default::default() }
        }
    }
}

fn transactional(
    state: &mut State,
    context: Context<'_>,
    request: &InitProducerIdRequest,
    id: &Text,
) -> Result<(ProducerId, ProducerEpoch), ErrorCode> {
    check_pair(request)?;
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    if !(1..=MAX_TRANSACTION_TIMEOUT_MS).contains(&request.transaction_timeout_ms) {
        return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    }
    if state.coordinator(id) != Some(context.broker) {
        return Err(ErrorCode::NOT_COORDINATOR);
    }
    let fenced =
        if context.version >= 4 { ErrorCode::PRODUCER_FENCED } else { ErrorCode::INVALID_PRODUCER_EPOCH };
    let next = match state.transactional(id.as_bytes()) {
        None => (state.new_producer_id(), ProducerEpoch(0)),
        Some(known) => {
            let has = (request.producer_id, request.producer_epoch);
            if !has.0.is_none() && has != known {
                return Err(fenced);
            }
            // The last epoch is kept for the coordinator's own use.
            match known.1.0.checked_add(1).filter(|epoch| *epoch < i16::MAX) {
                Some(epoch) => (known.0, ProducerEpoch(epoch)),
                None => (state.new_producer_id(), ProducerEpoch(0)),
            }
        }
    };
    state.set_transactional(id, next);
    Ok(next)
}

/// Id and epoch come both or not at all.
fn check_pair(request: &InitProducerIdRequest) -> Result<(), ErrorCode> {
    if request.producer_id.is_none() == request.producer_epoch.is_none() {
        Ok(())
    } else {
        Err(ErrorCode::INVALID_REQUEST)
    }
}
