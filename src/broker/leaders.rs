//! Who leads a partition: what changes when a broker goes, comes back, or a leader is moved by hand, by the rules of Kafka's
//! controller (`PartitionChangeBuilder`). Each new leader raises the leader epoch, and so does the loss of one.
//!
//! Different from Kafka: all replicas are one log, so a follower is never behind. It is in sync as soon as its broker is
//! back, and an election loses records only where a test says which; nobody's leadership is given back by itself (`auto.leader.rebalance.enable`).

use super::state::{Refused, State, coordinator_among};
use super::topic::Partition;
use crate::messages::{BrokerId, BrokerIds, ErrorCode, LeaderEpoch};

/// Records that a new leader does not have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lost {
    /// This one and all behind it.
    pub(super) from_offset: i64,
    pub(super) now_ms: i64,
}

impl State {
    /// Takes note that a broker is gone: it leads nothing any more, and clients are not told of it.
    pub(super) fn fence(&mut self, gone: BrokerId) {
        if let Some(node) = self.nodes.get_mut(&gone) {
            node.is_fenced = true;
        }
        self.forget_sessions(gone);
        let live: BrokerIds = self.live().map(|(id, _)| id).collect();
        self.groups.brokers_changed(|id| coordinator_among(&live, id));
        for (min_insync, partition) in self.topics.partitions_mut() {
            partition.lose(gone, min_insync);
            self.woken.extend(&partition.watchers);
        }
    }

    /// Takes note that a broker is back: it catches up with what it has replicas of, and leads what waited for it.
    pub(super) fn unfence(&mut self, back: BrokerId) {
        let Some(node) = self.nodes.get_mut(&back) else { return };
        node.is_fenced = false;
        let live: BrokerIds = self.live().map(|(id, _)| id).collect();
        self.groups.brokers_changed(|id| coordinator_among(&live, id));
        for (_, partition) in self.topics.partitions_mut() {
            partition.regain(back, &live);
            self.woken.extend(&partition.watchers);
        }
    }

    /// Makes a live broker the leader of a partition. One without a replica gets the old leader's. It may have lost records:
    /// then the election is an unclean one.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, BROKER_NOT_AVAILABLE.
    pub(super) fn move_leader(
        &mut self,
        topic: &str,
        index: i32,
        to: BrokerId,
        lost: Option<Lost>,
    ) -> Result<(), Refused> {
        if !self.is_live(to) {
            let text = format!("make broker {to}, which does not run, a leader");
            return Err(Refused { code: ErrorCode::BROKER_NOT_AVAILABLE, text });
        }
        let live: BrokerIds = self.live().map(|(id, _)| id).collect();
        let partition = self.topics.get_mut(topic.as_bytes()).and_then(|topic| topic.partition_mut(index));
        let Some(partition) = partition else {
            let text = "move the leader of a partition that is not there".to_owned();
            return Err(Refused { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text });
        };
        let old = partition.leader;
        if !partition.replicas.contains(&to) {
            let replaced =
                if old.is_none() { partition.replicas.first().copied().unwrap_or(old) } else { old };
            let instead = |id: &BrokerId| if *id == replaced { to } else { *id };
            partition.replicas = partition.replicas.iter().map(instead).collect();
        }
        if let Some(Lost { from_offset, now_ms }) = lost {
            partition.log.truncate(from_offset, now_ms);
        }
        partition.lead(to);
        partition.follow(&live);
        self.woken.extend(&partition.watchers);
        Ok(())
    }
}

impl Partition {
    fn lead(&mut self, leader: BrokerId) {
        self.leader = leader;
        self.leader_epoch = LeaderEpoch(self.leader_epoch.0.saturating_add(1));
        if !leader.is_none() {
            self.log.begin_epoch(self.leader_epoch);
        }
    }

    /// A broker is gone. While too few are in sync nothing is appended with acks=all, so those that leave the ISR then may
    /// lead again (KIP-966).
    fn lose(&mut self, gone: BrokerId, min_insync: usize) {
        let left: BrokerIds = self.isr.iter().copied().filter(|id| *id != gone).collect();
        let enough = left.len() >= min_insync.min(self.replicas.len());
        let had_all = |id: &BrokerId| self.isr.contains(id) || self.elr.contains(id);
        let is_eligible = |id: &BrokerId| !enough && had_all(id) && !left.contains(id);
        self.elr = self.replicas.iter().copied().filter(is_eligible).collect();
        let next = self.replicas.iter().copied().find(|id| left.contains(id)).unwrap_or(BrokerId::NONE);
        self.isr = left;
        if self.leader == gone {
            self.lead(next);
        }
    }

    /// A broker is back, and `live` are those that are there now.
    fn regain(&mut self, back: BrokerId, live: &BrokerIds) {
        if self.leader.is_none() && self.elr.contains(&back) {
            self.lead(back);
        }
        if !self.leader.is_none() {
            self.follow(live);
        }
    }

    /// Replicas that are there are in sync.
    fn follow(&mut self, live: &BrokerIds) {
        self.isr = self.replicas.iter().copied().filter(|id| live.contains(id)).collect();
        self.elr = self.elr.iter().copied().filter(|id| !live.contains(id)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::groups::GroupSettings;
    use crate::broker::state::{Node, Settings};
    use crate::broker::storage::Limits;
    use crate::broker::topic_config::TopicConfig;
    use crate::engine::serving::Offer;
    use std::sync::Arc;

    fn ids<const N: usize>(ids: [i32; N]) -> BrokerIds {
        ids.map(BrokerId).into()
    }

    /// A cluster of three brokers with a topic of one partition on these.
    fn cluster(replicas: BrokerIds) -> State {
        let offer = Arc::new(Offer::kafka_4_3([]));
        let groups = GroupSettings::default();
        let settings = Settings {
            default_partitions: 1,
            default_replication: 3,
            auto_create_topics: true,
            groups,
            limits: Limits::default(),
            offer,
        };
        let mut state = State::new(settings, 1);
        for id in 1..=3 {
            let node = Node { host: "h".into(), port: 9092, is_up: true, is_fenced: false };
            state.nodes.insert(BrokerId(id), node);
        }
        state.create_topic("t", vec![replicas], TopicConfig::default()).unwrap();
        state
    }

    /// Leader, leader epoch, ISR.
    fn led(state: &State) -> (i32, i32, BrokerIds) {
        let partition = state.topics.get(b"t").unwrap().partition(0).unwrap();
        (partition.leader.0, partition.leader_epoch.0, partition.isr.clone())
    }

    #[test]
    fn the_next_in_sync_replica_leads_when_the_leader_goes_and_stays_when_it_comes_back() {
        let mut state = cluster(ids([2, 3, 1]));
        assert_eq!(led(&state), (2, 0, ids([2, 3, 1])));
        state.fence(BrokerId(2));
        assert_eq!(led(&state), (3, 1, ids([3, 1])));
        state.unfence(BrokerId(2));
        assert_eq!(led(&state), (3, 1, ids([2, 3, 1])));
    }

    #[test]
    fn a_follower_that_goes_leaves_the_leader_and_its_epoch_alone() {
        let mut state = cluster(ids([2, 3]));
        state.fence(BrokerId(3));
        assert_eq!(led(&state), (2, 0, ids([2])));
        state.fence(BrokerId(1));
        assert_eq!(led(&state), (2, 0, ids([2])));
    }

    #[test]
    fn the_last_in_sync_replica_is_the_only_one_that_may_lead_again() {
        let mut state = cluster(ids([1, 2]));
        state.fence(BrokerId(1));
        state.fence(BrokerId(2));
        assert_eq!(led(&state), (-1, 2, ids([])));
        state.unfence(BrokerId(1));
        assert_eq!(led(&state), (-1, 2, ids([])), "it may lack records");
        state.unfence(BrokerId(2));
        assert_eq!(led(&state), (2, 3, ids([1, 2])));
    }

    #[test]
    fn replicas_that_left_when_too_few_were_in_sync_may_lead_again() {
        let mut state = cluster(ids([1, 2]));
        state.delete_topic(b"t").unwrap();
        let config = TopicConfig::new([("min.insync.replicas", Some("2"))]).unwrap();
        state.create_topic("t", vec![ids([1, 2])], config).unwrap();
        state.fence(BrokerId(1));
        state.fence(BrokerId(2));
        assert_eq!(led(&state), (-1, 2, ids([])));
        state.unfence(BrokerId(1));
        assert_eq!(led(&state), (1, 3, ids([1])), "nothing was appended without it");
        state.unfence(BrokerId(2));
        assert_eq!(led(&state), (1, 3, ids([1, 2])));
    }

    #[test]
    fn a_leader_is_moved_to_a_replica_or_to_a_broker_that_takes_over_the_replica() {
        let mut state = cluster(ids([1, 2]));
        state.move_leader("t", 0, BrokerId(2), None).unwrap();
        assert_eq!(led(&state), (2, 1, ids([1, 2])));
        state.move_leader("t", 0, BrokerId(3), None).unwrap();
        assert_eq!(led(&state), (3, 2, ids([1, 3])));
        state.move_leader("t", 0, BrokerId(3), None).unwrap();
        assert_eq!(led(&state), (3, 3, ids([1, 3])), "elected again");
        let code = |state: &mut State, topic, index, to| {
            state.move_leader(topic, index, BrokerId(to), None).map_err(|refused| refused.code)
        };
        assert_eq!(code(&mut state, "t", 1, 1), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        assert_eq!(code(&mut state, "t", 0, 7), Err(ErrorCode::BROKER_NOT_AVAILABLE));
        state.fence(BrokerId(1));
        assert_eq!(code(&mut state, "t", 0, 1), Err(ErrorCode::BROKER_NOT_AVAILABLE));
    }

    #[test]
    fn new_topics_lie_on_those_that_are_there() {
        let mut state = cluster(ids([1]));
        state.fence(BrokerId(3));
        assert!(state.place(9, 2).iter().all(|replicas| !replicas.contains(&BrokerId(3))));
        let placed = state.place(3, 3);
        assert!(placed.iter().all(|replicas| replicas.last() == Some(&BrokerId(3))), "{placed:?}");
        state.create_topic("u", placed, TopicConfig::default()).unwrap();
        let partition = state.topics.get(b"u").unwrap().partition(0).unwrap();
        assert_eq!((partition.replicas.len(), partition.isr.len()), (3, 2));
        state.delete_topic(b"t").unwrap();
        state.create_topic("t", vec![ids([3])], TopicConfig::default()).unwrap();
        assert_eq!(led(&state), (-1, 0, ids([])));
        state.unfence(BrokerId(3));
        assert_eq!(led(&state), (3, 1, ids([3])));
    }
}
