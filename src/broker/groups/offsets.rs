//! What a group has committed: for each partition the offset to read next.
//!
//! Different from Kafka: offsets never expire (`offsets.retention.minutes`), they go with their topic or their group.

use crate::messages::LeaderEpoch;
use crate::wire::Text;
use std::collections::BTreeMap;

/// The longest text beside an offset, in bytes (`offset.metadata.max.bytes`).
pub(in crate::broker) const MAX_METADATA_BYTES: usize = 4096;

/// An offset that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct Committed {
    pub(in crate::broker) offset: i64,
    pub(in crate::broker) leader_epoch: LeaderEpoch,
    pub(in crate::broker) metadata: Text,
}

/// The offsets of a group, by topic and partition.
#[derive(Debug, Default)]
pub(in crate::broker) struct Offsets {
    topics: BTreeMap<Text, BTreeMap<i32, Committed>>,
}

impl Offsets {
    pub(in crate::broker) fn commit(&mut self, topic: &Text, partition: i32, committed: Committed) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.insert(partition, committed);
        } else {
            self.topics.insert(topic.detach(), BTreeMap::from([(partition, committed)]));
        }
    }

    pub(in crate::broker) fn get(&self, topic: &Text, partition: i32) -> Option<&Committed> {
        self.topics.get(topic)?.get(&partition)
    }

    /// All of them, ascending.
    pub(in crate::broker) fn iter(&self) -> impl Iterator<Item = (&Text, &BTreeMap<i32, Committed>)> {
        self.topics.iter()
    }

    /// Forgets one. That there was none is as well.
    pub(in crate::broker) fn delete(&mut self, topic: &Text, partition: i32) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.topics.remove(topic);
            }
        }
    }

    pub(in crate::broker) fn forget_topic(&mut self, topic: &[u8]) {
        self.topics.remove(topic);
    }

    pub(in crate::broker) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(offset: i64) -> Committed {
        Committed { offset, leader_epoch: LeaderEpoch(3), metadata: "m".into() }
    }

    #[test]
    fn the_last_commit_of_a_partition_stands_until_it_or_its_topic_goes() {
        let mut offsets = Offsets::default();
        let (a, b): (Text, Text) = ("a".into(), "b".into());
        offsets.commit(&a, 0, committed(1));
        offsets.commit(&a, 0, committed(5));
        offsets.commit(&a, 1, committed(6));
        offsets.commit(&b, 0, committed(7));
        assert_eq!(offsets.get(&a, 0), Some(&committed(5)));
        offsets.delete(&a, 0);
        offsets.delete(&a, 9);
        assert_eq!((offsets.get(&a, 0), offsets.get(&a, 1)), (None, Some(&committed(6))));
        offsets.forget_topic(b"a");
        assert_eq!(offsets.iter().map(|(topic, _)| topic.as_str()).collect::<Vec<_>>(), ["b"]);
        offsets.delete(&b, 0);
        assert!(offsets.is_empty());
    }
}
