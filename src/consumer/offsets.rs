//! Asking for offsets: the beginning, the end, a time. One request for each leader, for all its partitions.

use super::{Consumer, TopicPartition};
use crate::cluster::Cluster;
use crate::engine::retry::{Failure, Repeat};
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::messages::list_offsets::{EARLIEST, LATEST};
use crate::messages::{
    BrokerId, IsolationLevel, Lane, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, Route,
};
use crate::task;
use crate::wire::Span;
use std::collections::BTreeMap;
use std::time::Instant;

/// What is still to be asked: partition and timestamp.
type Asks = BTreeMap<TopicPartition, i64>;

impl Consumer {
    /// The offset of the first record of each partition.
    ///
    /// # Errors
    /// What a broker says of a partition when that is final; a time-out with the cause after `default.api.timeout.ms`.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn beginning_offsets<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        self.offsets(partitions.into_iter().map(|partition| (partition.clone(), EARLIEST)).collect()).await
    }

    /// The offset behind the last record of each partition that may be read: the high watermark, or the last stable offset
    /// with `isolation.level=read_committed`.
    ///
    /// # Errors
    /// As [`beginning_offsets`](Self::beginning_offsets).
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn end_offsets<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        self.offsets(partitions.into_iter().map(|partition| (partition.clone(), LATEST)).collect()).await
    }

    /// The offset of the first record of each partition that has this time (milliseconds since 1970) or a later one;
    /// `None` where there is no such record.
    ///
    /// # Errors
    /// As [`beginning_offsets`](Self::beginning_offsets).
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn offsets_for_times<'a>(
        &self,
        times: impl IntoIterator<Item = (&'a TopicPartition, i64)>,
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>> {
        let asks = times.into_iter().map(|(partition, time)| (partition.clone(), time.max(0))).collect();
        let found = self.offsets(asks).await?;
        Ok(found
            .into_iter()
            .map(|(partition, offset)| (partition, Some(offset).filter(|at| *at >= 0)))
            .collect())
    }

    async fn offsets(&self, mut asks: Asks) -> Result<BTreeMap<TopicPartition, i64>> {
        let cluster = &self.shared.cluster;
        let deadline = task::after(task::now(), self.shared.timeout);
        let isolation = match self.shared.read_committed {
            true => IsolationLevel::READ_COMMITTED,
            false => IsolationLevel::READ_UNCOMMITTED,
        };
        cluster.want_topics(asks.keys().map(|partition| partition.topic.clone()), false, deadline)?;
        let mut found = BTreeMap::new();
        let mut attempt = 0u32;
        loop {
            let mut fault = None;
            // What will not pass is told, whatever else there is.
            let mut note = |error: Error| {
                if fault.as_ref().is_none_or(Error::is_retriable) {
                    fault = Some(error);
                }
            };
            let mut by_leader: BTreeMap<BrokerId, Vec<ListOffsetsTopic>> = BTreeMap::new();
            let view = cluster.view();
            for (partition, timestamp) in &asks {
                match view.leader(&partition.topic, partition.partition) {
                    Ok(leader) => {
                        let topics = by_leader.entry(leader.broker.id).or_default();
                        add(topics, partition, leader.epoch, *timestamp);
                    }
                    Err(code) => note(about(partition, Error::broker_code(code, "find the leader"))),
                }
            }
            let round = by_leader
                .into_iter()
                .map(|(leader, topics)| ask(cluster, leader, topics, isolation, deadline));
            for outcome in task::join_all(round).await {
                match outcome {
                    Err(error) => note(error),
                    Ok(offsets) => {
                        for (partition, offset) in offsets {
                            match offset {
                                Err(error) => note(about(&partition, error)),
                                Ok(offset) if asks.remove(&partition).is_some() => {
                                    found.insert(partition, offset);
                                }
                                Ok(_) => {}
                            }
                        }
                    }
                }
            }
            if asks.is_empty() {
                return Ok(found);
            }
            let missing = || Error::new(ErrorKind::Protocol, "find offsets: a partition was not answered");
            attempt = attempt.saturating_add(1);
            again(cluster, fault.unwrap_or_else(missing), attempt, deadline).await?;
        }
    }
}

fn about(partition: &TopicPartition, error: Error) -> Error {
    error.topic(partition.topic.as_str()).partition(partition.partition)
}

fn add(
    topics: &mut Vec<ListOffsetsTopic>,
    partition: &TopicPartition,
    current_leader_epoch: crate::messages::LeaderEpoch,
    timestamp: i64,
) {
    let asked =
        ListOffsetsPartition { partition_index: partition.partition, current_leader_epoch, timestamp };
    match topics.last_mut().filter(|topic| topic.name == partition.topic) {
        Some(topic) => topic.partitions.push(asked),
        None => topics.push(ListOffsetsTopic { name: partition.topic.clone(), partitions: vec![asked] }),
    }
}

async fn ask(
    cluster: &Cluster,
    leader: BrokerId,
    topics: Vec<ListOffsetsTopic>,
    isolation_level: IsolationLevel,
    deadline: Instant,
) -> Result<Vec<(TopicPartition, Result<i64>)>> {
    let timeout_ms = i32::try_from(cluster.config().request_timeout.as_millis()).unwrap_or(i32::MAX);
    let request = ListOffsetsRequest { replica_id: BrokerId::NONE, isolation_level, topics, timeout_ms };
    let late = || Error::new(ErrorKind::Timeout, "find offsets").broker(leader);
    let call =
        async { cluster.link(leader, Lane::Normal, deadline).await?.call(&request, Span::from(1)).await };
    let answer = task::until(deadline, call).await.ok_or_else(late)??;
    let topics = answer.topics.into_iter();
    let partitions =
        topics.flat_map(|topic| topic.partitions.into_iter().map(move |found| (topic.name.clone(), found)));
    let offsets = partitions.map(|(name, found)| {
        let offset = found.error_code.ok().map(|()| found.offset);
        let offset = offset.map_err(|code| Error::broker_code(code, "find offsets").broker(leader));
        (TopicPartition::new(name, found.partition_index), offset)
    });
    Ok(offsets.collect())
}

/// Waits for the next attempt, with new metadata where that can help; the error when there is none.
async fn again(cluster: &Cluster, error: Error, attempt: u32, deadline: Instant) -> Result<()> {
    let failure = Failure {
        fault: error.kind(),
        sent: Sent::Maybe,
        repeat: Repeat::Read,
        route: Route::Leader,
        attempt,
        now: task::now(),
        deadline,
    };
    let next = cluster.retries_of_reads().decide(&failure, &mut task::rng());
    cluster.prepare(next, deadline, error).await
}
