//! [`Ends`]: where each partition is to be read up to, and which have not got there.

use crate::failure::Outcome;
use ottla::{Batch, Consumer, TopicPartition, task};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often to look whether an end was reached by something that no batch tells: control records, holes of compaction.
const LOOK: Duration = Duration::from_millis(100);

/// Where partitions end that have not ended yet.
#[derive(Debug)]
pub(crate) struct Ends(BTreeMap<TopicPartition, i64>);

impl Ends {
    /// The offsets that nothing is to be read from.
    pub(crate) fn new(ends: BTreeMap<TopicPartition, i64>) -> Ends {
        Ends(ends)
    }

    /// Whether all partitions have ended.
    pub(crate) fn are_reached(&self) -> bool {
        self.0.is_empty()
    }

    /// The end of a partition; what has ended has nothing more to read.
    pub(crate) fn of(&self, partition: &TopicPartition) -> i64 {
        self.0.get(partition).copied().unwrap_or(0)
    }

    /// The next batch; `None` when there was none for a while, after a look at the positions.
    pub(crate) async fn next(&mut self, consumer: &mut Consumer) -> Outcome<Option<Batch>> {
        let looks = task::after(task::now(), LOOK);
        let batch = task::until(looks, consumer.poll()).await.transpose()?.flatten();
        if batch.is_none() {
            self.look(consumer)?;
        }
        Ok(batch)
    }

    /// A batch was read: perhaps it was the last one of its partition.
    pub(crate) fn passed(&mut self, batch: &Batch, consumer: &mut Consumer) {
        let partition = batch.topic_partition();
        if self.0.get(partition).is_some_and(|end| batch.next_offset() >= *end) {
            self.remove(partition, consumer);
        }
    }

    fn look(&mut self, consumer: &mut Consumer) -> Outcome {
        let mut ended = Vec::new();
        for (partition, end) in &self.0 {
            if consumer.position(partition)?.is_some_and(|position| position >= *end) {
                ended.push(partition.clone());
            }
        }
        for partition in &ended {
            self.remove(partition, consumer);
        }
        Ok(())
    }

    /// Nothing more of it is wanted: what was fetched behind its end must not take the room of other partitions.
    fn remove(&mut self, partition: &TopicPartition, consumer: &mut Consumer) {
        self.0.remove(partition);
        consumer.unassign([partition]);
    }
}
