//! What becomes of a partition that could not be read, whatever was asked of it: the retry policy decides, and what will
//! not pass by itself is told to the application.

use super::Cursors;
use crate::engine::TopicPartition;
use crate::engine::retry::{Failure, Next, Repeat, is_worth_a_warning};
use crate::error::{Error, Sent};
use crate::messages::{ErrorCode, Route};
use std::time::{Duration, Instant};

/// A partition for which a request failed.
pub(super) struct Fault<'a> {
    pub(super) partition: &'a TopicPartition,
    /// The one of the request: after a seek the failure is of no interest.
    pub(super) generation: u64,
    pub(super) offset: Option<i64>,
    pub(super) error: &'a Error,
}

impl Cursors {
    /// Lets the partition rest as long as the policy says; whether metadata are out of date.
    pub(super) fn failed(&mut self, fault: Fault<'_>, now: Instant, rng: &mut fastrand::Rng) -> bool {
        let Fault { partition, generation, offset, error } = fault;
        let policy = self.limits.policy;
        let current = self.partitions.get_mut(partition).filter(|cursor| cursor.generation == generation);
        let Some(cursor) = current else { return false };
        cursor.failures = cursor.failures.saturating_add(1);
        let failure = Failure {
            fault: error.kind(),
            sent: Sent::Maybe,
            repeat: Repeat::Read,
            route: Route::Leader,
            attempt: cursor.failures,
            now,
            // A consumer has no deadline: it waits for its partitions as long as it is asked to.
            deadline: now.checked_add(Duration::from_secs(86_400)).unwrap_or(now),
        };
        let next = policy.decide(&failure, rng);
        let mut told = None;
        let (at, refresh) = match next {
            Next::Retry(at) | Next::Reconnect(at) => (Some(at), false),
            Next::Refresh(at) | Next::FindCoordinator(at) | Next::Rebootstrap(at) => (Some(at), true),
            // Whatever the code means elsewhere, of a fetch it makes nothing.
            Next::Done => (now.checked_add(policy.backoff.after(cursor.failures, rng)), false),
            Next::Fail | Next::Expire => {
                let error = error.clone().topic(partition.topic.as_str()).partition(partition.partition);
                told = Some(match offset {
                    Some(offset) => error.offset(offset),
                    None => error,
                });
                (now.checked_add(policy.backoff.max), true)
            }
        };
        if is_worth_a_warning(error.kind(), cursor.failures) {
            tracing::warn!(%partition, %error, times = cursor.failures, "partition is not read, again and again");
        } else {
            tracing::debug!(%partition, %error, ?next, "partition not read");
        }
        cursor.not_before = at;
        if let Some(error) = told {
            self.tell(partition, error);
        }
        refresh
    }

    /// Keeps an error for the application, in the place of one about the same partition that it has not fetched.
    pub(super) fn tell(&mut self, partition: &TopicPartition, error: Error) {
        match self.errors.iter_mut().find(|(of, _)| of == partition) {
            Some((_, older)) => *older = error,
            None => self.errors.push_back((partition.clone(), error)),
        }
        if self.is_split(partition) {
            self.news.push(partition.clone());
        }
    }

    /// A failure of a whole request is told once, not for each of its partitions; readers of split partitions each hear of
    /// it. There were so many errors before.
    pub(super) fn tell_once(&mut self, before: usize) {
        let mut new = self.errors.split_off(before.min(self.errors.len()));
        let mut is_told = false;
        new.retain(|(of, _)| self.is_split(of) || !std::mem::replace(&mut is_told, true));
        self.errors.append(&mut new);
    }

    /// What is wrong no longer is not told.
    pub(super) fn forget_error(&mut self, partition: &TopicPartition) {
        self.errors.retain(|(of, _)| of != partition);
    }

    /// Partitions that metadata refuse us for good: told, and then looked at again once a while.
    pub(super) fn tell_hopeless(&mut self, found: Vec<(TopicPartition, ErrorCode)>, now: Instant) {
        for (partition, code) in found {
            if code.is_retriable() {
                continue;
            }
            let error = Error::broker_code(code, "find the leader of a partition");
            self.tell(&partition, error.topic(partition.topic.as_str()).partition(partition.partition));
            if let Some(cursor) = self.partitions.get_mut(&partition) {
                cursor.not_before = now.checked_add(self.limits.policy.backoff.max);
            }
        }
    }
}
