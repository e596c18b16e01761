//! EndTxn: a transaction is committed or aborted, and its markers are written where leaders are.

use super::init_producer_id::fenced_of_old;
use crate::broker::core::Context;
use crate::broker::state::State;
use crate::broker::transactions::{End, Generation, Producer};
use crate::messages::{EndTxnRequest, EndTxnResponse, ErrorCode, ProducerEpoch, ProducerId};

pub(super) fn handle(state: &mut State, context: Context<'_>, request: &EndTxnRequest) -> EndTxnResponse {
    let ended = context.unless_refused("", None, || end(state, context, request));
    let (error_code, (producer_id, producer_epoch)) = match ended {
        Ok(next) => (ErrorCode::NONE, next),
        Err(code) => {
            let code = if context.version < 2 { fenced_of_old(code) } else { code };
            (code, (ProducerId::NONE, ProducerEpoch::NONE))
        }
    };
    EndTxnResponse { error_code, producer_id, producer_epoch, ..Default::default() }
}

/// Ends it, and says who the producer is from now on.
fn end(state: &mut State, context: Context<'_>, request: &EndTxnRequest) -> Result<Producer, ErrorCode> {
    let EndTxnRequest { transactional_id: id, producer_id, producer_epoch, committed } = request;
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    state.check_transaction_coordinator(id, context.broker)?;
    let generation = if context.version >= 5 { Generation::Second } else { Generation::First };
    let producer = (*producer_id, *producer_epoch);
    let State { transactions, producer_ids, .. } = state;
    let end =
        transactions.end(id, producer, *committed, generation, context.now.at, || producer_ids.next())?;
    if end == End::Begins {
        state.end_transaction(id, context.now);
    }
    Ok(state.transactions.next_producer(id).unwrap_or(producer))
}
