//! InitProducerId: a producer id for an idempotent producer; for a transactional one the id that it had, with the next
//! epoch, which fences whoever had it before (KIP-98, KIP-360). What that one has left open is aborted first, and the producer
//! asked to come again.

use crate::broker::core::Context;
use crate::broker::state::State;
use crate::broker::transactions::{Init, Producer};
use crate::messages::{ErrorCode, InitProducerIdRequest, InitProducerIdResponse, ProducerEpoch};
use crate::wire::Text;
use std::time::Duration;

/// The longest that a transaction may stay open (Kafka's `transaction.max.timeout.ms`).
const MAX_TRANSACTION_TIMEOUT_MS: i32 = 900_000;

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &InitProducerIdRequest,
) -> InitProducerIdResponse {
    let given = context.unless_refused("", None, || match &request.transactional_id {
        // Whatever the producer had: the next one is as good.
        None => expected(request).map(|_| (state.new_producer_id(), ProducerEpoch(0))),
        Some(id) => transactional(state, context, request, id),
    });
    match given {
        Ok((producer_id, producer_epoch)) => {
            InitProducerIdResponse { producer_id, producer_epoch, ..Default::default() }
        }
        Err(code) => InitProducerIdResponse {
            error_code: if context.version < 4 { fenced_of_old(code) } else { code },
            producer_epoch: ProducerEpoch::NONE,
            ..Default::default()
        },
    }
}

fn transactional(
    state: &mut State,
    context: Context<'_>,
    request: &InitProducerIdRequest,
    id: &Text,
) -> Result<Producer, ErrorCode> {
    let expected = expected(request)?;
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let timeout = request.transaction_timeout_ms;
    let timeout = match u64::try_from(timeout) {
        Ok(ms @ 1..) if timeout <= MAX_TRANSACTION_TIMEOUT_MS => Duration::from_millis(ms),
        _ => return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT),
    };
    state.check_transaction_coordinator(id, context.broker)?;
    let State { transactions, producer_ids, .. } = state;
    match transactions.init(id, timeout, expected, context.now.at, || producer_ids.next())? {
        Init::Given(producer) => Ok(producer),
        Init::Aborts => {
            state.abort_transaction(id, context.now);
            Err(ErrorCode::CONCURRENT_TRANSACTIONS)
        }
    }
}

/// What the producer has already. Id and epoch come both or not at all.
fn expected(request: &InitProducerIdRequest) -> Result<Option<Producer>, ErrorCode> {
    let InitProducerIdRequest { producer_id, producer_epoch, .. } = *request;
    match (producer_id.is_none(), producer_epoch.is_none()) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some((producer_id, producer_epoch))),
        _ => Err(ErrorCode::INVALID_REQUEST),
    }
}

/// What is said of a fenced producer in versions that do not know PRODUCER_FENCED (KIP-588).
pub(super) fn fenced_of_old(code: ErrorCode) -> ErrorCode {
    if code == ErrorCode::PRODUCER_FENCED { ErrorCode::INVALID_PRODUCER_EPOCH } else { code }
}
