//! [`Rebalance`]: what a consumer tells of partitions that come and go.

use super::group::Commit;
use super::shared::Shared;
use super::{OffsetAndMetadata, Start, TopicPartition};
use crate::error::Result;
use crate::task;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

/// Partitions that a group has given to a consumer or takes from it. What a listener is told
/// ([`ConsumerBuilder::on_rebalance`](super::ConsumerBuilder::on_rebalance)).
///
/// The rebalance waits until the listener has returned, for `max.poll.interval.ms` at most; heartbeats go on meanwhile, and
/// nothing of the partitions is handed out.
#[derive(Debug)]
pub struct Rebalance {
    kind: RebalanceKind,
    partitions: Vec<TopicPartition>,
    shared: Arc<Shared>,
}

/// What happens to partitions (ConsumerRebalanceListener of the Java client).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RebalanceKind {
    /// They are this consumer's from now on, and stand at their committed offsets: the place to
    /// [`seek`](Rebalance::seek). All that it has were told then; none may be new.
    Assigned,
    /// They are to be given back: nothing of them is in the application's hands any more, and what it has done is committed
    /// if `enable.auto.commit` is on. The place to commit what is left.
    Revoked,
    /// They belong to others already, or may: nothing can be committed.
    Lost,
}

impl Rebalance {
    /// What happens.
    pub fn kind(&self) -> RebalanceKind {
        self.kind
    }

    /// The partitions, in order.
    pub fn partitions(&self) -> &[TopicPartition] {
        &self.partitions
    }

    /// Commits the positions of these partitions.
    ///
    /// # Errors
    /// As [`Consumer::commit`](super::Consumer::commit).
    pub fn commit(&self) -> Commit {
        self.shared.commit_positions(Some(&self.partitions))
    }

    /// Commits these offsets.
    ///
    /// # Errors
    /// As [`Consumer::commit_offsets`](super::Consumer::commit_offsets).
    pub fn commit_offsets<P: Into<TopicPartition>, O: Into<OffsetAndMetadata>>(
        &self,
        offsets: impl IntoIterator<Item = (P, O)>,
    ) -> Commit {
        self.shared.commit_offsets(offsets)
    }

    /// Goes on from another place than the committed offset.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the partition is not assigned.
    pub fn seek(&self, partition: &TopicPartition, start: Start) -> Result<()> {
        self.shared.seek(partition, start)
    }

    /// The offset of the next record to be handed out, as [`Consumer::position`](super::Consumer::position).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the partition is not assigned.
    pub fn position(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        self.shared.with(|state| state.position(partition))
    }
}

type Told = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the application wants to be told of rebalances.
#[derive(Clone)]
pub(super) struct Listener(Arc<dyn Fn(Rebalance) -> Told + Send + Sync>);

impl Listener {
    pub(super) fn new<F: Future<Output = ()> + Send + 'static>(
        listener: impl Fn(Rebalance) -> F + Send + Sync + 'static,
    ) -> Listener {
        Listener(Arc::new(move |event| Box::pin(listener(event))))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// Tells the listener, on a task of its own: what it does wrong stays there.
pub(super) async fn tell(
    shared: &Arc<Shared>,
    kind: RebalanceKind,
    partitions: &[TopicPartition],
    by: Instant,
) {
    let Some(Listener(listener)) = shared.listener.clone() else { return };
    let event = Rebalance { kind, partitions: partitions.to_vec(), shared: Arc::clone(shared) };
    let began = task::now();
    let told = task::spawn(async move { listener(event).await });
    let stop = told.abort_handle();
    match task::until(by, told).await {
        Some(Ok(())) => {}
        Some(Err(error)) if error.is_panic() => {
            tracing::error!(?kind, "the rebalance listener has panicked; the rebalance goes on");
        }
        Some(Err(_)) => tracing::debug!(?kind, "the rebalance listener was ended with its runtime"),
        None => {
            stop.abort();
            let had_ms = by.saturating_duration_since(began).as_millis();
            tracing::error!(
                ?kind,
                had_ms,
                "the rebalance listener took longer than what was left of max.poll.interval.ms, and was ended"
            );
        }
    }
}
