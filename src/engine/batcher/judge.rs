//! What to do with a batch after an answer or a fault.
//!
//! Here is what a fault means for producing alone: a batch too large is split, a number that is not the next one waits for
//! those before it or starts again. Everything else [`retry`](crate::engine::retry) decides.

use super::lane::Batch;
use super::settle::{Completed, Receipt, Rejection};
use super::shipment::Item;
use super::{Batcher, Divide, after};
use crate::engine::retry::{Failure, Next, Repeat, is_worth_a_warning};
use crate::error::{Error, ErrorKind, Sent};
use crate::messages::{ErrorCode, ProducePartitionResponse, Route};
use crate::wire::Text;
use std::time::Instant;

/// What to do with a batch.
pub(super) enum Fate {
    Written(Receipt),
    /// Send it again, from this time on.
    Again(Instant),
    /// In two halves.
    Split,
    Lost(Rejection),
}

/// Text that the broker sent along with an error code.
#[derive(Debug, thiserror::Error)]
#[error("the broker says: {0}")]
struct Said(Text);

pub(super) const ATTEMPT: &str = "produce";

impl<C: Divide> Batcher<C> {
    pub(super) fn judge_answer(
        &mut self,
        item: &Item,
        batch: &mut Batch<C>,
        answer: ProducePartitionResponse,
        now: Instant,
        rng: &mut fastrand::Rng,
        done: &mut Completed<C>,
    ) -> Fate {
        let code = answer.error_code;
        if code.is_none() || code == ErrorCode::DUPLICATE_SEQUENCE_NUMBER {
            return Fate::Written(Receipt {
                base_offset: (answer.base_offset >= 0).then_some(answer.base_offset),
                append_time_ms: (answer.log_append_time_ms >= 0).then_some(answer.log_append_time_ms),
            });
        }
        let mut error =
            Error::broker_code(code, ATTEMPT).topic(item.topic.as_str()).partition(item.partition);
        error = error.sent(if may_be_written(code) { Sent::Maybe } else { Sent::Never });
        if let Some(text) = answer.error_message.as_ref().filter(|text| !text.is_empty()) {
            error = error.with_source(Said(text.detach()));
        }
        match code {
            ErrorCode::MESSAGE_TOO_LARGE if batch.records > 1 && !batch.is_expired(&self.limits, now) => {
                tracing::debug!(%error, records = batch.records, "a batch is split");
                Fate::Split
            }
            ErrorCode::MESSAGE_TOO_LARGE => {
                let hint = "the topic's max.message.bytes is below what the record takes";
                self.judge(batch, error.hint(hint), now, rng, done)
            }
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING
                if self.producer.idempotent && !self.producer.transactional =>
            {
                if code == ErrorCode::INVALID_PRODUCER_ID_MAPPING {
                    // Nothing will be written under this id any more. Java gives the whole producer up.
                    self.producer.disown(item.stamp);
                }
                self.judge_sequence(item, batch, error, now, rng)
            }
            // The broker knows a higher epoch. No batch of this one will be written any more.
            ErrorCode::INVALID_PRODUCER_EPOCH if self.producer.idempotent && !self.producer.transactional => {
                if let Some(lane) = self.lanes.get_mut(item.lane) {
                    lane.sequences.break_off(batch.order);
                }
                Fate::Lost(error.into())
            }
            _ => {
                let refresh = done.refresh;
                let fate = self.judge(batch, error, now, rng, done);
                if !answer.current_leader.leader_id.is_none() {
                    // It says itself who leads.
                    done.refresh = refresh;
                }
                match fate {
                    Fate::Lost(rejection) => Fate::Lost(rejection.with_records(&answer, batch.records)),
                    other => other,
                }
            }
        }
    }

    /// The broker does not find the batch's number to be the next.
    fn judge_sequence(
        &mut self,
        item: &Item,
        batch: &mut Batch<C>,
        error: Error,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Fate {
        let Some(lane) = self.lanes.get_mut(item.lane) else { return Fate::Lost(error.into()) };
        batch.last_error = Some(error.clone());
        if batch.is_expired(&self.limits, now) {
            return Fate::Lost(too_late(error).into());
        }
        if lane.has_earlier(batch.order) {
            // One before it is on its way again: that explains it.
            return Fate::Again(now);
        }
        // A gap, or the broker's memory is gone (retention, unclean election): start again under a higher epoch.
        lane.sequences.break_off(batch.order);
        batch.failures = batch.failures.saturating_add(1);
        note(batch.failures, &error);
        batch.attempts = batch.attempts.saturating_add(1);
        if batch.attempts > self.limits.retries {
            return Fate::Lost(error.into());
        }
        Fate::Again(after(now, self.limits.backoff.after(batch.failures, rng)))
    }

    /// Whether and when the batch is sent again after a fault.
    pub(super) fn judge(
        &mut self,
        batch: &mut Batch<C>,
        error: Error,
        now: Instant,
        rng: &mut fastrand::Rng,
        done: &mut Completed<C>,
    ) -> Fate {
        let answered = error.code().is_some();
        let sent = if error.is_possibly_written() { Sent::Maybe } else { Sent::Never };
        if sent == Sent::Maybe {
            batch.sent = Sent::Maybe;
        }
        batch.failures = batch.failures.saturating_add(1);
        note(batch.failures, &error);
        batch.attempts = batch.attempts.saturating_add(u32::from(answered || sent == Sent::Maybe));
        batch.last_error = Some(error.clone());
        let next = self.policy.decide(
            &Failure {
                fault: error.kind(),
                sent,
                // Numbered or not: who wants each record at most once sets retries to 0.
                repeat: Repeat::Write,
                route: Route::Leader,
                attempt: batch.failures,
                now,
                deadline: batch.expiry(&self.limits),
            },
            rng,
        );
        match next {
            Next::Done => Fate::Written(Receipt { base_offset: None, append_time_ms: None }),
            Next::Fail => Fate::Lost(error.into()),
            Next::Expire if batch.is_expired(&self.limits, now) => Fate::Lost(too_late(error).into()),
            // No attempt will begin in time, and its time is not over: nobody is told so before it is.
            Next::Expire => Fate::Again(batch.expiry(&self.limits)),
            _ if batch.attempts > self.limits.retries => Fate::Lost(error.into()),
            Next::Retry(at) | Next::Reconnect(at) => Fate::Again(at),
            Next::Refresh(at) | Next::FindCoordinator(at) | Next::Rebootstrap(at) => {
                done.refresh = true;
                Fate::Again(at)
            }
        }
    }
}

/// A batch that is sent again for good reason is no news; one that is again and again is.
fn note(failures: u32, error: &Error) {
    if is_worth_a_warning(error.kind(), failures) {
        tracing::warn!(%error, times = failures, "a batch fails again and again");
    } else {
        tracing::debug!(%error, times = failures, "a batch failed");
    }
}

impl Rejection {
    /// Names the records that the broker named.
    fn with_records(mut self, answer: &ProducePartitionResponse, count: i32) -> Rejection {
        let own = self.error.clone();
        for refused in answer.record_errors.iter().filter(|refused| (0..count).contains(&refused.batch_index))
        {
            let error = match refused.batch_index_error_message.clone() {
                Some(text) => own.clone().with_source(Said(text.detach())),
                None => own.clone(),
            };
            self.records.push((refused.batch_index, error));
        }
        if !self.records.is_empty() {
            self.error =
                self.error.hint("other records of its batch were refused: it can be sent again without them");
        }
        self
    }
}

pub(super) fn too_late(cause: Error) -> Error {
    let mut error = Error::new(ErrorKind::Timeout, "deliver the records within delivery.timeout.ms");
    if let Some(topic) = cause.topic_name() {
        error = error.topic(topic);
    }
    if let Some(partition) = cause.partition_index() {
        error = error.partition(partition);
    }
    error.with_source(cause)
}

/// Whether a batch may be in the log although the broker answered with this code. Only for codes that are found before
/// the batch is appended is it surely not. (NOT_LEADER_OR_FOLLOWER may come after: a leader that lost its office while it
/// waited for the replicas.)
fn may_be_written(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::CORRUPT_MESSAGE
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::MESSAGE_TOO_LARGE
            | ErrorCode::INVALID_TOPIC_EXCEPTION
            | ErrorCode::RECORD_LIST_TOO_LARGE
            | ErrorCode::NOT_ENOUGH_REPLICAS
            | ErrorCode::INVALID_REQUIRED_ACKS
            | ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | ErrorCode::INVALID_TIMESTAMP
            | ErrorCode::UNSUPPORTED_VERSION
            | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
            | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
            | ErrorCode::POLICY_VIOLATION
            | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::INVALID_PRODUCER_EPOCH
            | ErrorCode::INVALID_TXN_STATE
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::PRODUCER_FENCED
            | ErrorCode::INVALID_RECORD
            | ErrorCode::INVALID_REQUEST
    )
}
