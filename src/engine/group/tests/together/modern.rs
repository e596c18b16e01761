//! The protocol of KIP-848, as the coordinator sees it.

use super::*;
use crate::messages::{ConsumerGroupHeartbeatAssignment, ConsumerGroupHeartbeatPartitions, MemberEpoch};

#[test]
fn a_group_holds_together() {
    for seed in 0..SEEDS {
        let member = |seat, terms| Member::modern(terms, format!("m{seat}").into(), None);
        World::new(seed, Group::default(), member).live();
    }
}

#[derive(Default)]
struct Group {
    epoch: i32,
    members: BTreeMap<Text, Peer>,
    topics: BTreeMap<&'static str, i32>,
    answers: Vec<(Call, Answer)>,
}

/// A member, as the coordinator sees it.
#[derive(Debug, Clone)]
struct Peer {
    instance: Option<Text>,
    epoch: i32,
    /// Of which it has perhaps not heard that it is over.
    previous: i32,
    topics: BTreeSet<Text>,
    target: BTreeSet<TopicPartition>,
    assigned: BTreeSet<TopicPartition>,
    /// It has not yet said that it has given them back.
    revoking: BTreeSet<TopicPartition>,
    revoke_by: Option<Instant>,
    /// Static, and gone for a while.
    has_left: bool,
    expires: Instant,
}

impl Coordinator for Group {
    fn hear(&mut self, call: Call, request: Request, now: Instant) {
        let Request::Modern(request) = request else { panic!("it is a group of the new protocol") };
        let answer = self
            .heartbeat(&request, now)
            .unwrap_or_else(|error_code| ConsumerGroupHeartbeatResponse { error_code, ..Default::default() });
        self.answers.push((call, Answer::Modern(Ok(answer))));
    }

    fn tick(&mut self, now: Instant) {
        let is_over = |peer: &Peer| peer.due() <= now;
        let over: Vec<Text> =
            self.members.iter().filter(|(_, peer)| is_over(peer)).map(|(id, _)| id.clone()).collect();
        over.iter().for_each(|id| self.remove(id));
    }

    fn due(&self) -> Option<Instant> {
        self.members.values().map(Peer::due).min()
    }

    fn answers(&mut self) -> Vec<(Call, Answer)> {
        std::mem::take(&mut self.answers)
    }

    fn count(&mut self, topics: &BTreeMap<&'static str, i32>) {
        self.topics.clone_from(topics);
        self.assign();
    }
}

impl Peer {
    fn due(&self) -> Instant {
        self.revoke_by.map_or(self.expires, |at| at.min(self.expires))
    }

    fn holds(&self, partition: &TopicPartition) -> bool {
        self.assigned.contains(partition) || self.revoking.contains(partition)
    }
}

impl Group {
    fn heartbeat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        now: Instant,
    ) -> Result<ConsumerGroupHeartbeatResponse, ErrorCode> {
        let id = &request.member_id;
        let owned = request.topic_partitions.as_ref().map(|topics| self.by_name(topics));
        match request.member_epoch {
            MemberEpoch::JOIN => self.join(id, request.instance_id.as_ref(), now)?,
            epoch => self.check(id, request.instance_id.as_ref(), epoch, owned.as_ref())?,
        }
        if request.member_epoch < MemberEpoch::JOIN {
            self.leave(id, request.member_epoch);
            return Ok(ConsumerGroupHeartbeatResponse {
                member_epoch: request.member_epoch,
                ..Default::default()
            });
        }
        let is_full =
            owned.is_some() && request.rebalance_timeout_ms >= 0 && request.subscribed_topic_names.is_some();
        let mut is_news = false;
        let mut before = BTreeSet::new();
        if let Some(peer) = self.members.get_mut(id) {
            peer.expires = now + SESSION;
            before.clone_from(&peer.assigned);
            if let Some(names) = &request.subscribed_topic_names {
                let names: BTreeSet<Text> = names.iter().cloned().collect();
                is_news = std::mem::replace(&mut peer.topics, names) != peer.topics;
            }
        }
        if is_news {
            self.assign();
        }
        self.reconcile(id, owned.as_ref(), now);
        let peer = self.members.get(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let assignment = || ConsumerGroupHeartbeatAssignment { topic_partitions: by_id(&peer.assigned) };
        Ok(ConsumerGroupHeartbeatResponse {
            member_epoch: MemberEpoch(peer.epoch),
            heartbeat_interval_ms: 1_000,
            assignment: (is_full || before != peer.assigned).then(assignment),
            ..Default::default()
        })
    }

    fn join(&mut self, id: &Text, instance: Option<&Text>, now: Instant) -> Result<(), ErrorCode> {
        let of_instance = |peer: &Peer| instance.is_some() && peer.instance.as_ref() == instance;
        let known = self.members.iter().find(|(_, peer)| of_instance(peer)).map(|(id, _)| id.clone());
        if let Some(known) = known {
            let peer = self.members.get(&known).filter(|peer| peer.has_left);
            let mut peer = peer.ok_or(ErrorCode::UNRELEASED_INSTANCE_ID)?.clone();
            peer.has_left = false;
            self.members.remove(&known);
            self.members.insert(id.clone(), peer);
        }
        let peer = self.members.entry(id.clone()).or_insert_with(|| Peer {
            instance: instance.cloned(),
            epoch: 0,
            previous: 0,
            topics: BTreeSet::new(),
            target: BTreeSet::new(),
            assigned: BTreeSet::new(),
            revoking: BTreeSet::new(),
            revoke_by: None,
            has_left: false,
            expires: now,
        });
        (peer.epoch, peer.previous) = (0, 0);
        Ok(())
    }

    fn check(
        &self,
        id: &Text,
        instance: Option<&Text>,
        MemberEpoch(epoch): MemberEpoch,
        owned: Option<&BTreeSet<TopicPartition>>,
    ) -> Result<(), ErrorCode> {
        let peer = self.members.get(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if peer.instance.as_ref() != instance {
            return Err(ErrorCode::FENCED_INSTANCE_ID);
        }
        let has_all = || owned.is_some_and(|owned| owned.is_subset(&peer.assigned));
        if epoch < 0 || epoch == peer.epoch && !peer.has_left || epoch == peer.previous && has_all() {
            Ok(())
        } else {
            Err(ErrorCode::FENCED_MEMBER_EPOCH)
        }
    }

    fn leave(&mut self, id: &Text, epoch: MemberEpoch) {
        if epoch == MemberEpoch::LEAVE {
            self.remove(id);
        } else if let Some(peer) = self.members.get_mut(id) {
            // Whoever comes with its instance id gets what it had.
            peer.has_left = true;
        }
    }

    fn remove(&mut self, id: &Text) {
        if self.members.remove(id).is_some() {
            self.assign();
        }
    }

    /// Says who is to have what, in the end.
    fn assign(&mut self) {
        self.epoch += 1;
        self.members.values_mut().for_each(|peer| peer.target.clear());
        for (topic, count) in &self.topics {
            let wants = |peer: &&mut Peer| peer.topics.iter().any(|wanted| wanted.as_str() == *topic);
            let mut takers: Vec<&mut Peer> = self.members.values_mut().filter(wants).collect();
            let turns = takers.len();
            for index in (0..*count).filter(|_| turns > 0) {
                let at = usize::try_from(index).unwrap() % turns;
                takers[at].target.insert(TopicPartition::new(*topic, index));
            }
        }
    }

    /// Brings a member as near to its target as the others let it.
    fn reconcile(&mut self, id: &Text, owned: Option<&BTreeSet<TopicPartition>>, now: Instant) {
        let Some(mut peer) = self.members.remove(id) else { return };
        if let Some(owned) = owned {
            peer.revoking.retain(|own| owned.contains(own));
        }
        if peer.revoking.is_empty() {
            peer.revoke_by = None;
            peer.revoking = peer.assigned.difference(&peer.target).cloned().collect();
            // Who joins has nothing, whatever it had.
            let is_gone = |own: &TopicPartition| owned.is_some_and(|owned| !owned.contains(own));
            peer.assigned = peer.assigned.intersection(&peer.target).cloned().collect();
            peer.revoking.retain(|own| !is_gone(own));
        }
        if peer.revoking.is_empty() {
            let is_free = |new: &&TopicPartition| !self.members.values().any(|other| other.holds(new));
            let new: Vec<TopicPartition> = peer.target.iter().filter(is_free).cloned().collect();
            peer.assigned.extend(new);
            if peer.epoch != self.epoch {
                (peer.previous, peer.epoch) = (peer.epoch, self.epoch);
            }
        } else {
            peer.revoke_by.get_or_insert(now + REBALANCE);
        }
        self.members.insert(id.clone(), peer);
    }

    fn by_name(&self, topics: &[ConsumerGroupHeartbeatPartitions]) -> BTreeSet<TopicPartition> {
        let name = |id| self.topics.keys().find(|topic| id_of(topic) == id).expect("a topic that is there");
        let one = |topic: &ConsumerGroupHeartbeatPartitions| {
            let name = *name(topic.topic_id);
            topic.partitions.iter().map(move |index| TopicPartition::new(name, *index)).collect::<Vec<_>>()
        };
        topics.iter().flat_map(one).collect()
    }
}

fn by_id(partitions: &BTreeSet<TopicPartition>) -> Vec<ConsumerGroupHeartbeatPartitions> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for TopicPartition { topic, partition } in partitions {
        topics.entry(id_of(topic)).or_default().push(*partition);
    }
    let topic = |(topic_id, partitions)| ConsumerGroupHeartbeatPartitions { topic_id, partitions };
    topics.into_iter().map(topic).collect()
}
