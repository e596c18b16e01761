//! What a group has committed: for each partition the offset to read next; and what waits for a transaction to be committed.
//!
//! Different from Kafka: offsets never expire (`offsets.retention.minutes`), they go with their topic or their group.

use crate::broker::watch::SeenCommit;
use crate::messages::{LeaderEpoch, ProducerId};
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
    topics: BTreeMap<Text, BTreeMap<i32, Kept>>,
    /// Those of transactions that are not decided.
    pending: BTreeMap<ProducerId, BTreeMap<(Text, i32), Pending>>,
    commits: u64,
}

#[derive(Debug)]
struct Kept {
    committed: Committed,
    /// Counts the commits of the group: the later one stands, whenever its transaction is decided.
    number: u64,
}

#[derive(Debug)]
struct Pending {
    kept: Kept,
    seen: SeenCommit,
}

impl Offsets {
    pub(in crate::broker) fn commit(&mut self, topic: &Text, partition: i32, committed: Committed) {
        let number = self.next_number();
        self.keep(topic, partition, Kept { committed, number });
    }

    /// Commits an offset if a producer's transaction is committed; `seen` is what is told of it then.
    pub(in crate::broker) fn commit_pending(
        &mut self,
        producer: ProducerId,
        topic: &Text,
        partition: i32,
        committed: Committed,
        seen: SeenCommit,
    ) {
        let kept = Kept { committed, number: self.next_number() };
        let of_producer = self.pending.entry(producer).or_default();
        of_producer.insert((topic.detach(), partition), Pending { kept, seen });
    }

    /// Decides what waits for a producer's transaction; answers with what is committed by it.
    pub(in crate::broker) fn end(&mut self, producer: ProducerId, is_commit: bool) -> Vec<SeenCommit> {
        let ended = self.pending.remove(&producer).filter(|_| is_commit).unwrap_or_default();
        let mut committed = Vec::new();
        for ((topic, partition), Pending { kept, seen }) in ended {
            let known = self.topics.get(&topic).and_then(|partitions| partitions.get(&partition));
            if known.is_none_or(|known| known.number < kept.number) {
                self.keep(&topic, partition, kept);
                committed.push(seen);
            }
        }
        committed
    }

    /// Whether a transaction may still change an offset.
    pub(in crate::broker) fn is_pending(&self, topic: &Text, partition: i32) -> bool {
        let named = (topic.clone(), partition);
        self.pending.values().any(|of_producer| of_producer.contains_key(&named))
    }

    pub(in crate::broker) fn get(&self, topic: &Text, partition: i32) -> Option<&Committed> {
        self.topics.get(topic)?.get(&partition).map(|kept| &kept.committed)
    }

    /// The topics of all of them and their partitions, ascending.
    pub(in crate::broker) fn iter(&self) -> impl Iterator<Item = (&Text, impl Iterator<Item = i32>)> {
        self.topics.iter().map(|(topic, partitions)| (topic, partitions.keys().copied()))
    }

    fn next_number(&mut self) -> u64 {
        self.commits = self.commits.wrapping_add(1);
        self.commits
    }

    fn keep(&mut self, topic: &Text, partition: i32, kept: Kept) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.insert(partition, kept);
        } else {
            self.topics.insert(topic.detach(), BTreeMap::from([(partition, kept)]));
        }
    }

    /// Forgets one. That there was none is as well.
    pub(in crate::broker) fn delete(&mut self, topic: &Text, partition: i32) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.topics.remove(topic);
            }
        }
        self.forget_pending(|(name, index)| name == topic && *index == partition);
    }

    pub(in crate::broker) fn forget_topic(&mut self, topic: &[u8]) {
        self.topics.remove(topic);
        self.forget_pending(|(name, _)| name.as_bytes() == topic);
    }

    fn forget_pending(&mut self, is_gone: impl Fn(&(Text, i32)) -> bool) {
        self.pending.retain(|_, of_producer| {
            of_producer.retain(|named, _| !is_gone(named));
            !of_producer.is_empty()
        });
    }

    pub(in crate::broker) fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.pending.is_empty()
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

    #[test]
    fn what_waits_for_a_transaction_stands_when_it_is_committed_unless_something_newer_does() {
        let seen = |offset| SeenCommit {
            at: crate::task::now(),
            connection: 0,
            group: "g".to_owned(),
            member_id: String::new(),
            topic: "a".to_owned(),
            partition: 0,
            offset,
        };
        let (mut offsets, a, producer): (_, Text, _) = (Offsets::default(), "a".into(), ProducerId(7));
        let pend = |offsets: &mut Offsets, partition, offset| {
            offsets.commit_pending(producer, &"a".into(), partition, committed(offset), seen(offset));
        };
        offsets.commit(&a, 0, committed(1));
        pend(&mut offsets, 0, 2);
        assert!(offsets.is_pending(&a, 0) && !offsets.is_pending(&a, 1));
        assert_eq!(offsets.get(&a, 0), Some(&committed(1)));
        assert_eq!(offsets.end(producer, false), []);
        assert_eq!((offsets.get(&a, 0), offsets.is_pending(&a, 0)), (Some(&committed(1)), false));
        pend(&mut offsets, 0, 3);
        pend(&mut offsets, 1, 4);
        offsets.commit(&a, 1, committed(9));
        let told: Vec<i64> = offsets.end(producer, true).into_iter().map(|seen| seen.offset).collect();
        assert_eq!(told, [3]);
        assert_eq!((offsets.get(&a, 0), offsets.get(&a, 1)), (Some(&committed(3)), Some(&committed(9))));
        pend(&mut offsets, 0, 5);
        offsets.delete(&a, 0);
        pend(&mut offsets, 1, 6);
        offsets.forget_topic(b"a");
        assert!(offsets.is_empty(), "{offsets:?}");
    }
}
