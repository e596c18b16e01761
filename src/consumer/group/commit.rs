//! Commits as the application gives them, and what was committed.

use super::ties::Standing;
use crate::cluster::Reach;
use crate::consumer::shared::Shared;
use crate::consumer::{Consumer, OffsetAndMetadata, TopicPartition};
use crate::engine::group::commits::{self, Offsets};
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{
    ErrorCode, MemberEpoch, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchGroup,
    OffsetFetchGroupResponse, OffsetFetchRequest, OffsetFetchResponse, OffsetFetchTopic,
};
use crate::task;
use crate::wire::{Span, Text};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicI16, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::oneshot;

/// A commit that has been ordered: a future of what comes of it. It goes on when this is dropped; what goes wrong is logged
/// then.
#[derive(Debug)]
#[must_use = "a commit goes on when this is dropped, but nobody hears how it ended"]
pub struct Commit(Outcome);

#[derive(Debug)]
enum Outcome {
    Known(Option<Error>),
    Awaited(oneshot::Receiver<Result<()>>),
}

impl Future for Commit {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.0 {
            Outcome::Known(error) => Poll::Ready(error.take().map_or(Ok(()), Err)),
            Outcome::Awaited(reply) => Pin::new(reply).poll(cx).map(|reply| {
                let gone = |_| Error::new(ErrorKind::Closed, "commit offsets: the consumer is closed");
                reply.unwrap_or_else(|error| Err(gone(error)))
            }),
        }
    }
}

impl Consumer {
    /// Commits the positions of all partitions: everything that was handed out counts as done, what is in hand included.
    /// The request is on its way when this returns; await the result to know that it was taken (commitSync of the Java
    /// client), or go on (commitAsync). Commits reach the coordinator in the order of these calls; one that fails in a way
    /// that may pass is repeated for `default.api.timeout.ms`.
    ///
    /// ```no_run
    /// # async fn example(mut consumer: ottla::Consumer) -> ottla::Result<()> {
    /// while let Some(batch) = consumer.poll().await? {
    ///     // ... what is to be done with it ...
    ///     consumer.commit().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, FENCED_INSTANCE_ID as [`ErrorKind::Broker`] when a partition
    /// was given to another member before (CommitFailedException of the Java client): it is not committed, and the records are
    /// read again over there. What the broker says else, as GROUP_AUTHORIZATION_FAILED; [`ErrorKind::Timeout`] with the cause;
    /// [`ErrorKind::InvalidInput`] without a `group.id`; [`ErrorKind::Closed`].
    ///
    /// # Cancel safety
    /// The commit goes on when the future is dropped.
    pub fn commit(&self) -> Commit {
        self.shared.commit_positions(None)
    }

    /// Commits these offsets: of each partition the next one to read, that of the last record that was done and one. As
    /// [`commit`](Self::commit) in all else.
    ///
    /// ```no_run
    /// # async fn example(consumer: ottla::Consumer, record: ottla::consumer::ConsumerRecord) -> ottla::Result<()> {
    /// consumer.commit_offsets([(record.partition, record.offset + 1)]).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`commit`](Self::commit); OFFSET_METADATA_TOO_LARGE; [`ErrorKind::InvalidInput`] for an offset below 0.
    ///
    /// # Cancel safety
    /// The commit goes on when the future is dropped.
    pub fn commit_offsets<P: Into<TopicPartition>, O: Into<OffsetAndMetadata>>(
        &self,
        offsets: impl IntoIterator<Item = (P, O)>,
    ) -> Commit {
        self.shared.commit_offsets(offsets)
    }

    /// What the group has committed of these partitions; those without are left out. Asks the coordinator, for
    /// `default.api.timeout.ms` at most.
    ///
    /// # Errors
    /// What the coordinator says, as GROUP_AUTHORIZATION_FAILED; a time-out with the cause; [`ErrorKind::InvalidInput`] without
    /// a `group.id`.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn committed<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>> {
        let partitions: Vec<TopicPartition> = partitions.into_iter().cloned().collect();
        let deadline = task::after(task::now(), self.shared.timeout);
        committed(&self.shared, &partitions, deadline).await
    }
}

impl Shared {
    /// Orders the positions to be committed, of these partitions or of all.
    pub(in crate::consumer) fn commit_positions(&self, of: Option<&[TopicPartition]>) -> Commit {
        self.commit_with(|state| {
            let assigned: Vec<TopicPartition> = match of {
                Some(of) => of.to_vec(),
                None => state.cursors.assigned().cloned().collect(),
            };
            let unsaved = state.ties.as_mut().map(|ties| {
                let is_meant = |unsaved: &TopicPartition| of.is_none_or(|of| of.contains(unsaved));
                ties.unsaved.extract_if(.., |unsaved| is_meant(unsaved)).collect::<Vec<_>>()
            });
            (state.positions(&assigned), unsaved.unwrap_or_default())
        })
    }

    pub(in crate::consumer) fn commit_offsets<P: Into<TopicPartition>, O: Into<OffsetAndMetadata>>(
        &self,
        offsets: impl IntoIterator<Item = (P, O)>,
    ) -> Commit {
        let offsets: Offsets =
            offsets.into_iter().map(|(partition, offset)| (partition.into(), offset.into())).collect();
        if let Some((partition, offset)) = offsets.iter().find(|(_, offset)| offset.offset < 0) {
            let attempt = format!("commit offset {}: offsets begin at 0", offset.offset);
            let error = Error::new(ErrorKind::InvalidInput, attempt);
            let error = error.topic(partition.topic.as_str()).partition(partition.partition);
            return Commit(Outcome::Known(Some(error)));
        }
        self.commit_with(|state| {
            let unsaved = state.ties.as_mut().map(|ties| {
                ties.unsaved.extract_if(.., |unsaved| offsets.contains_key(unsaved)).collect::<Vec<_>>()
            });
            let unsaved: Vec<TopicPartition> = unsaved.unwrap_or_default();
            let mut offsets = offsets;
            offsets.retain(|partition, _| !unsaved.contains(partition));
            (offsets, unsaved)
        })
    }

    /// Orders what `choose` chooses: offsets, and partitions of which it is known that they were given away.
    fn commit_with(
        &self,
        choose: impl FnOnce(&mut super::super::shared::State) -> (Offsets, Vec<TopicPartition>),
    ) -> Commit {
        let (reply, outcome) = oneshot::channel();
        let deadline = task::after(task::now(), self.timeout);
        let error = self.with(|state| {
            let Some(ties) = &state.ties else {
                return Some(no_group("commit offsets"));
            };
            if ties.is_over {
                return Some(Error::new(ErrorKind::Closed, "commit offsets: the consumer is closed"));
            }
            if let Some(fatal) = &ties.fatal {
                return Some(fatal.clone());
            }
            let stale = ties.stale_code;
            let (offsets, unsaved) = choose(state);
            state.order_commit(offsets, Some(reply), deadline);
            unsaved.first().map(|partition| {
                Error::broker_code(stale, "commit offsets")
                    .topic(partition.topic.as_str())
                    .partition(partition.partition)
                    .hint("the partition was taken away before what was read of it was committed: another member reads it again")
            })
        });
        self.ask_group.notify_one();
        match error {
            Some(error) => Commit(Outcome::Known(Some(error))),
            None => Commit(Outcome::Awaited(outcome)),
        }
    }
}

/// Says that an API needs a group.
pub(super) fn no_group(attempt: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{attempt}: the consumer has no group"))
        .hint("set group.id, as with .group(\"billing\")")
}

/// Carries a commit to the coordinator. Repeated there while the coordinator moves; what it says of partitions is not judged.
pub(super) async fn send(
    shared: &Shared,
    group: &Text,
    request: OffsetCommitRequest,
    versions: Span,
    deadline: Instant,
) -> Result<OffsetCommitResponse> {
    let deadline = deadline.min(task::after(task::now(), shared.cluster.config().request_timeout));
    let judge = |answer: &OffsetCommitResponse| {
        let codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|one| one.error_code);
        let is_moving = |code: &ErrorCode| {
            matches!(
                *code,
                ErrorCode::NOT_COORDINATOR
                    | ErrorCode::COORDINATOR_NOT_AVAILABLE
                    | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            )
        };
        let mut codes = codes;
        codes
            .find(is_moving)
            .map(|code| Error::broker_code(code, format!("commit offsets of group '{group}'")))
    };
    let build = |_| request.clone();
    shared.cluster.call(Reach::Group(group), build, versions, deadline, judge).await
}

/// What the group has committed. Waits for offsets of transactions that are still open.
pub(super) async fn committed(
    shared: &Shared,
    partitions: &[TopicPartition],
    deadline: Instant,
) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>> {
    loop {
        let asked = committed_once(shared, partitions, deadline).await;
        let Err(error) = asked else { return asked };
        let may_pass =
            matches!(error.code(), Some(ErrorCode::STALE_MEMBER_EPOCH | ErrorCode::UNSTABLE_OFFSET_COMMIT));
        let at = task::after(task::now(), shared.cluster.config().retry_backoff);
        if !may_pass || at >= deadline {
            return Err(error);
        }
        task::sleep_until(at).await;
    }
}

async fn committed_once(
    shared: &Shared,
    partitions: &[TopicPartition],
    deadline: Instant,
) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>> {
    let tied = shared.with(|state| {
        let ties = state.ties.as_ref()?;
        let is_modern = ties.stale_code == ErrorCode::STALE_MEMBER_EPOCH;
        let member = (ties.standing == Standing::Member && is_modern).then(|| ties.identity.clone());
        Some((ties.group.clone(), member))
    });
    let Some((group, member)) = tied else { return Err(no_group("look up committed offsets")) };
    let attempt = || format!("look up the committed offsets of group '{group}'");
    let mut topics: BTreeMap<&Text, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topics = topics.into_iter().map(|(name, partition_indexes)| OffsetFetchTopic {
        name: name.clone(),
        partition_indexes,
        ..OffsetFetchTopic::default()
    });
    let wanted = OffsetFetchGroup {
        group_id: group.clone(),
        member_id: member.as_ref().map(|member| member.member.clone()),
        member_epoch: member.as_ref().map_or(MemberEpoch::NONE, |member| MemberEpoch(member.generation)),
        topics: Some(topics.collect()),
    };
    let asked_in = AtomicI16::new(0);
    let build = |version| {
        asked_in.store(version, Ordering::Relaxed);
        // Older brokers have no transactions that could be waited for.
        OffsetFetchRequest::one(wanted.clone(), version >= 7, version)
    };
    let judge = |answer: &OffsetFetchResponse| {
        let code = answer.groups.first().map_or(answer.error_code, |told| told.error_code);
        let by_topic = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|one| one.error_code);
        let by_group = answer.groups.iter().flat_map(|told| &told.topics);
        let by_group = by_group.flat_map(|topic| &topic.partitions).map(|one| one.error_code);
        let mut codes = std::iter::once(code).chain(by_topic).chain(by_group);
        codes.find(|code| *code != ErrorCode::NONE && is_of_all(*code)).map(|code| {
            let error = Error::broker_code(code, attempt());
            match code {
                ErrorCode::GROUP_AUTHORIZATION_FAILED => error.hint("the user may not READ the group"),
                _ => error,
            }
        })
    };
    // From version 10 on topics have ids only.
    let answer = shared.cluster.call(Reach::Group(&group), build, Span::new(1, 9), deadline, judge).await?;
    let told = answer.into_groups(group.clone(), asked_in.into_inner()).into_iter();
    let told = told.into_iter().find(|told| told.group_id == group);
    let nobody = || Error::new(ErrorKind::Protocol, format!("{}: the answer does not have it", attempt()));
    offsets(told.ok_or_else(nobody)?, &attempt())
}

/// Whether a fault concerns more than the partition that it was told of.
fn is_of_all(code: ErrorCode) -> bool {
    !matches!(code, ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

fn offsets(
    told: OffsetFetchGroupResponse,
    attempt: &str,
) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>> {
    let mut offsets = BTreeMap::new();
    for topic in told.topics {
        let name = topic.name.detach();
        for one in topic.partitions {
            let partition = TopicPartition::new(name.clone(), one.partition_index);
            match one.error_code {
                // A topic that the coordinator does not know has no offsets.
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {}
                ErrorCode::NONE => {
                    offsets.extend(OffsetAndMetadata::told(&one).map(|committed| (partition, committed)));
                }
                code => {
                    let error = Error::broker_code(code, attempt.to_owned());
                    return Err(error.topic(partition.topic.as_str()).partition(partition.partition));
                }
            }
        }
    }
    Ok(offsets)
}

/// The versions of a commit of whoever the consumer is.
pub(super) fn versions(shared: &Shared) -> Span {
    shared.with(|state| state.ties.as_ref().map_or(Span::from(2), |ties| commits::versions(&ties.identity)))
}
