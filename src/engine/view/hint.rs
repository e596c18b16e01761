//! Learning from the leader hints that Produce and Fetch answers carry (KIP-951).

use super::{Broker, View};
use crate::messages::{BrokerId, CurrentLeader, NodeEndpoint};
use crate::wire::Text;
use std::sync::Arc;

/// Who a broker says leads a partition, instead of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Hint {
    /// The topic's name.
    pub topic: Text,
    /// The partition.
    pub partition: i32,
    /// What the answer says.
    pub leader: CurrentLeader,
}

impl View {
    /// Takes over the hints that are newer than what is known, with the addresses that came with them. Returns how many
    /// there were: for these partitions no metadata need be asked.
    ///
    /// A hint that is void is passed over, never an error: without it metadata is asked as ever.
    pub fn apply_hints(&mut self, hints: &[Hint], endpoints: &[NodeEndpoint]) -> usize {
        let mut taken = 0;
        for hint in hints {
            if !self.is_news(hint) {
                continue;
            }
            let leader = hint.leader.leader_id;
            let endpoint = endpoints.iter().find(|endpoint| endpoint.node_id == leader);
            let broker = endpoint.and_then(|NodeEndpoint { node_id, host, port, rack }| {
                Broker::checked(*node_id, host, *port, rack.as_ref()).ok()
            });
            if broker.is_some() || self.broker(leader).is_some() {
                self.take_hint(hint, broker);
                taken += 1;
            }
        }
        taken
    }

    /// Whether nothing more need be asked because of a hint: it was taken over, or what is known is newer.
    pub fn is_abreast_of(&self, hint: &Hint) -> bool {
        let CurrentLeader { leader_id, leader_epoch } = hint.leader;
        let known = self.topic(&hint.topic).and_then(|topic| topic.partition(hint.partition));
        known.is_some_and(|known| {
            known.leader_epoch > leader_epoch
                || known.leader_epoch == leader_epoch && known.leader == leader_id
        })
    }

    /// Whether the hint's leader epoch is above the one that is known.
    fn is_news(&self, hint: &Hint) -> bool {
        let CurrentLeader { leader_id, leader_epoch } = hint.leader;
        let known = self.topic(&hint.topic).and_then(|topic| topic.partition(hint.partition));
        leader_id != BrokerId::NONE && known.is_some_and(|known| leader_epoch > known.leader_epoch)
    }

    fn take_hint(&mut self, hint: &Hint, broker: Option<Broker>) {
        let inner = Arc::make_mut(&mut self.0);
        inner.revision = inner.revision.wrapping_add(1);
        if let Some(broker) = broker {
            inner.brokers.insert(broker.id, Arc::new(broker));
        }
        let Some(topic) = inner.topics.get_mut(&hint.topic) else { return };
        let topic = Arc::make_mut(topic);
        let at = topic.position(hint.partition);
        if let Some(partition) = at.and_then(|at| topic.partitions.get_mut(at)) {
            partition.leader = hint.leader.leader_id;
            partition.leader_epoch = hint.leader.leader_epoch;
            if let Err(at) = topic.available.binary_search(&hint.partition) {
                topic.available.insert(at, hint.partition);
            }
        }
    }
}
