//! [`Leaders`]: which broker leads each partition.

use ottla::admin::PartitionInfo;
use std::collections::BTreeMap;

/// Which broker leads each partition of the topics that were looked up; one without a leader is not among them.
#[derive(Debug, Default)]
pub(super) struct Leaders(BTreeMap<String, BTreeMap<i32, i32>>);

impl Leaders {
    /// Whether the topic was looked up.
    pub(super) fn know(&self, topic: &str) -> bool {
        self.0.contains_key(topic)
    }

    /// A topic was looked up.
    pub(super) fn learn(&mut self, topic: &str, partitions: &[PartitionInfo]) {
        let led = partitions.iter().filter_map(|partition| Some((partition.index, partition.leader?)));
        self.0.insert(topic.to_owned(), led.collect());
    }

    /// Who leads the partition; -1 when nobody does, or it is not known who.
    pub(super) fn of(&self, topic: &str, partition: i32) -> i32 {
        self.0.get(topic).and_then(|led| led.get(&partition)).copied().unwrap_or(-1)
    }
}
