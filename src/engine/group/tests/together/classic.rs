//! The classic protocol, as the coordinator sees it.

use super::*;
use crate::messages::{GenerationId, JoinGroupMember, JoinGroupProtocol, SyncGroupAssignment};
use bytes::Bytes;

/// How the members of a group assign, by seed and seat.
fn strategies(seed: u64, seat: usize) -> Vec<Strategy> {
    use Strategy::{CooperativeSticky, Range, RoundRobin, Sticky};
    match seed % 5 {
        0 => vec![Range],
        1 => vec![CooperativeSticky],
        2 => vec![Sticky, RoundRobin],
        3 if seat == 0 => vec![Range, CooperativeSticky],
        _ => vec![CooperativeSticky],
    }
}

#[test]
fn a_group_holds_together() {
    for seed in 0..SEEDS {
        let member = |seat, terms| Member::classic(terms, strategies(seed, seat));
        World::new(seed, Group::default(), member).live();
    }
}

#[derive(Default)]
struct Group {
    members: BTreeMap<Text, Peer>,
    generation: i32,
    phase: Phase,
    leader: Text,
    protocol: Text,
    answers: Vec<(Call, Answer)>,
    /// How many names it has given.
    names: usize,
    /// Whose time is over: a name is given once.
    gone: BTreeSet<Text>,
}

#[derive(Default, PartialEq)]
enum Phase {
    #[default]
    Empty,
    /// Until then who has not joined again is waited for.
    Preparing(Instant),
    Completing,
    Stable,
}

struct Peer {
    instance: Option<Text>,
    protocols: Vec<JoinGroupProtocol>,
    joins: Option<Call>,
    syncs: Option<Call>,
    expires: Instant,
    assignment: Bytes,
}

impl Coordinator for Group {
    fn hear(&mut self, call: Call, request: Request, now: Instant) {
        match request {
            Request::Join(request) => self.join(call, request, now),
            Request::Sync(request) => self.sync(call, request, now),
            Request::Heartbeat(request) => {
                let known = self.check(&request.member_id, request.group_instance_id.as_ref());
                let error_code = known.map_or_else(
                    |code| code,
                    |()| match self.phase {
                        _ if request.generation_id.0 != self.generation => ErrorCode::ILLEGAL_GENERATION,
                        Phase::Preparing(_) => ErrorCode::REBALANCE_IN_PROGRESS,
                        _ => ErrorCode::NONE,
                    },
                );
                self.renew(&request.member_id, now);
                let answer = HeartbeatResponse { error_code, ..Default::default() };
                self.answers.push((call, Answer::Heartbeat(Ok(answer))));
            }
            Request::Leave(_, member) => {
                self.remove(&member.member_id, now);
                self.answers.push((call, Answer::Leave(Ok(LeaveGroupResponse::default()))));
            }
            Request::Modern(_) => panic!("it is a classic group"),
        }
        self.complete(now);
    }

    fn tick(&mut self, now: Instant) {
        let is_over = |peer: &Peer| peer.expires <= now && peer.joins.is_none() && peer.syncs.is_none();
        let over: Vec<Text> =
            self.members.iter().filter(|(_, peer)| is_over(peer)).map(|(id, _)| id.clone()).collect();
        over.iter().for_each(|id| self.remove(id, now));
        self.complete(now);
    }

    fn due(&self) -> Option<Instant> {
        let waits = |peer: &&Peer| peer.joins.is_none() && peer.syncs.is_none();
        let sessions = self.members.values().filter(waits).map(|peer| peer.expires);
        let rebalance = if let Phase::Preparing(until) = self.phase { Some(until) } else { None };
        sessions.chain(rebalance).min()
    }

    fn answers(&mut self) -> Vec<(Call, Answer)> {
        std::mem::take(&mut self.answers)
    }

    fn count(&mut self, _: &BTreeMap<&'static str, i32>) {}
}

impl Group {
    fn check(&self, id: &Text, instance: Option<&Text>) -> Result<(), ErrorCode> {
        let of_instance =
            self.members.iter().find(|(_, peer)| instance.is_some() && peer.instance.as_ref() == instance);
        match (of_instance, self.members.contains_key(id)) {
            (Some((known, _)), _) if known != id => Err(ErrorCode::FENCED_INSTANCE_ID),
            (_, false) => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            _ => Ok(()),
        }
    }

    fn renew(&mut self, id: &Text, now: Instant) {
        if let Some(peer) = self.members.get_mut(id) {
            peer.expires = now + SESSION;
        }
    }

    fn join(&mut self, call: Call, request: JoinGroupRequest, now: Instant) {
        let instance = request.group_instance_id.clone();
        let mut id = request.member_id.clone();
        if id.is_empty() {
            self.names += 1;
            id = format!("m{}", self.names).into();
            let known = |peer: &Peer| instance.is_some() && peer.instance == instance;
            let replaced = self.members.iter().find(|(_, peer)| known(peer)).map(|(id, _)| id.clone());
            if let Some(peer) = replaced.and_then(|old| self.members.remove(&old)) {
                self.refuse(&peer, ErrorCode::FENCED_INSTANCE_ID);
            } else if instance.is_none() {
                // It is a member from the next time on, as with KIP-394; here nobody forgets the name.
                let error_code = ErrorCode::MEMBER_ID_REQUIRED;
                let answer = JoinGroupResponse { error_code, member_id: id, ..Default::default() };
                return self.answers.push((call, Answer::Join(Ok(answer))));
            }
        } else if !self.members.contains_key(&id) && (instance.is_some() || self.gone.contains(&id)) {
            return self.refuse_join(call, ErrorCode::UNKNOWN_MEMBER_ID);
        }
        let peer = self.members.entry(id).or_insert_with(|| Peer {
            instance,
            protocols: Vec::new(),
            joins: None,
            syncs: None,
            expires: now,
            assignment: Bytes::new(),
        });
        peer.protocols = request.protocols;
        peer.expires = now + SESSION;
        // An older one of the same member: its client has given it up.
        peer.joins = Some(call);
        self.rebalance(now);
    }

    fn rebalance(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Preparing(_)) {
            return;
        }
        self.phase = Phase::Preparing(now + REBALANCE);
        let syncs: Vec<Call> = self.members.values_mut().filter_map(|peer| peer.syncs.take()).collect();
        for call in syncs {
            self.refuse_sync(call, ErrorCode::REBALANCE_IN_PROGRESS);
        }
    }

    /// Ends the joining, when all have joined or time is over.
    fn complete(&mut self, now: Instant) {
        let Phase::Preparing(until) = self.phase else { return };
        if until > now && self.members.values().any(|peer| peer.joins.is_none()) {
            return;
        }
        let late = |peer: &Peer| peer.joins.is_none() && peer.instance.is_none();
        let late: Vec<Text> =
            self.members.iter().filter(|(_, peer)| late(peer)).map(|(id, _)| id.clone()).collect();
        for id in late {
            self.members.remove(&id);
            self.gone.insert(id);
        }
        self.generation += 1;
        let Some(leader) = self.members.iter().find(|(_, peer)| peer.joins.is_some()) else {
            self.phase =
                if self.members.is_empty() { Phase::Empty } else { Phase::Preparing(now + REBALANCE) };
            return;
        };
        self.leader = leader.0.clone();
        let knows = |peer: &Peer, name: &Text| peer.protocols.iter().any(|known| known.name == *name);
        let common = leader.1.protocols.iter().map(|protocol| &protocol.name);
        let mut common = common.filter(|name| self.members.values().all(|peer| knows(peer, name)));
        self.protocol = common.next().expect("the members share an assignor").clone();
        self.phase = Phase::Completing;
        let seen: Vec<JoinGroupMember> = self.members.iter().map(|(id, peer)| self.seen(id, peer)).collect();
        for (id, peer) in &mut self.members {
            peer.expires = now + SESSION;
            let Some(call) = peer.joins.take() else { continue };
            let answer = JoinGroupResponse {
                generation_id: GenerationId(self.generation),
                protocol_name: Some(self.protocol.clone()),
                leader: self.leader.clone(),
                member_id: id.clone(),
                members: if *id == self.leader { seen.clone() } else { Vec::new() },
                ..Default::default()
            };
            self.answers.push((call, Answer::Join(Ok(answer))));
        }
    }

    fn seen(&self, id: &Text, peer: &Peer) -> JoinGroupMember {
        let said = peer.protocols.iter().find(|protocol| protocol.name == self.protocol);
        JoinGroupMember {
            member_id: id.clone(),
            group_instance_id: peer.instance.clone(),
            metadata: said.map(|protocol| protocol.metadata.clone()).unwrap_or_default(),
        }
    }

    fn sync(&mut self, call: Call, request: SyncGroupRequest, now: Instant) {
        if let Err(code) = self.check(&request.member_id, request.group_instance_id.as_ref()) {
            return self.refuse_sync(call, code);
        }
        if request.generation_id.0 != self.generation {
            return self.refuse_sync(call, ErrorCode::ILLEGAL_GENERATION);
        }
        self.renew(&request.member_id, now);
        match self.phase {
            Phase::Empty => self.refuse_sync(call, ErrorCode::UNKNOWN_MEMBER_ID),
            Phase::Preparing(_) => self.refuse_sync(call, ErrorCode::REBALANCE_IN_PROGRESS),
            Phase::Completing | Phase::Stable => {
                let is_leader = request.member_id == self.leader && self.phase == Phase::Completing;
                if let Some(peer) = self.members.get_mut(&request.member_id) {
                    peer.syncs = Some(call);
                }
                if is_leader {
                    self.assign(request.assignments);
                }
                if self.phase == Phase::Stable {
                    self.tell(now);
                }
            }
        }
    }

    fn assign(&mut self, assignments: Vec<SyncGroupAssignment>) {
        self.phase = Phase::Stable;
        self.members.values_mut().for_each(|peer| peer.assignment = Bytes::new());
        for SyncGroupAssignment { member_id, assignment } in assignments {
            if let Some(peer) = self.members.get_mut(&member_id) {
                peer.assignment = assignment;
            }
        }
    }

    fn tell(&mut self, now: Instant) {
        for peer in self.members.values_mut() {
            let Some(call) = peer.syncs.take() else { continue };
            peer.expires = now + SESSION;
            let assignment = peer.assignment.clone();
            let answer = SyncGroupResponse { assignment, ..Default::default() };
            self.answers.push((call, Answer::Sync(Ok(answer))));
        }
    }

    fn remove(&mut self, id: &Text, now: Instant) {
        self.gone.insert(id.clone());
        let Some(peer) = self.members.remove(id) else { return };
        self.refuse(&peer, ErrorCode::UNKNOWN_MEMBER_ID);
        if self.members.is_empty() {
            self.phase = Phase::Empty;
        } else {
            self.rebalance(now);
        }
    }

    fn refuse(&mut self, peer: &Peer, code: ErrorCode) {
        if let Some(call) = peer.joins {
            self.refuse_join(call, code);
        }
        if let Some(call) = peer.syncs {
            self.refuse_sync(call, code);
        }
    }

    fn refuse_join(&mut self, call: Call, error_code: ErrorCode) {
        self.answers.push((call, Answer::Join(Ok(JoinGroupResponse { error_code, ..Default::default() }))));
    }

    fn refuse_sync(&mut self, call: Call, error_code: ErrorCode) {
        self.answers.push((call, Answer::Sync(Ok(SyncGroupResponse { error_code, ..Default::default() }))));
    }
}
