//! AddOffsetsToTxn: the offsets of a group become part of a transaction.

use super::init_producer_id::fenced_of_old;
use crate::broker::core::Context;
use crate::broker::state::State;
use crate::broker::transactions::{Generation, Partitions};
use crate::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, ErrorCode};

pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: &AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let added = context.unless_refused("", None, || add(state, context, request));
    let code = added.err().unwrap_or_default();
    let error_code = if context.version < 2 { fenced_of_old(code) } else { code };
    AddOffsetsToTxnResponse { error_code, ..Default::default() }
}

fn add(state: &mut State, context: Context<'_>, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    let AddOffsetsToTxnRequest { transactional_id, producer_id, producer_epoch, group_id } = request;
    if transactional_id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    state.check_transaction_coordinator(transactional_id, context.broker)?;
    let producer = (*producer_id, *producer_epoch);
    let added = (Partitions::new(), Some(group_id.detach()));
    state.transactions.add(transactional_id, producer, added, Generation::First, context.now.at)
}
