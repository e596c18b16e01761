//! How members come in.

use super::super::{Answer, Ticket, Turn};
use super::member::{Member, Protocol};
use super::{ClassicGroup, State};
use crate::messages::ErrorCode;
use crate::wire::Text;
use bytes::Bytes;
use std::time::Duration;

/// A member that has not been let in is given up after so long: it does not know its id, and so cannot send heartbeats.
const NEW_MEMBER_PATIENCE: Duration = Duration::from_secs(300);

/// A wish to join, or to join again.
#[derive(Debug, Clone)]
pub(in crate::broker) struct Join {
    /// Empty for one who has none yet.
    pub(in crate::broker) member_id: Text,
    pub(in crate::broker) instance_id: Option<Text>,
    pub(in crate::broker) client_id: Text,
    pub(in crate::broker) client_host: Text,
    pub(in crate::broker) session_timeout: Duration,
    pub(in crate::broker) rebalance_timeout: Duration,
    pub(in crate::broker) protocol_type: Text,
    pub(in crate::broker) protocols: Vec<Protocol>,
    /// Whether it can be told its member id first (KIP-394).
    pub(in crate::broker) can_learn_its_id: bool,
    /// Whether it can be told to lead without assigning anything (KIP-814).
    pub(in crate::broker) can_skip_assignment: bool,
}

/// What a member is told that wanted to join.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::broker) struct Joined {
    pub(in crate::broker) error_code: ErrorCode,
    pub(in crate::broker) member_id: Text,
    pub(in crate::broker) generation: i32,
    pub(in crate::broker) protocol_type: Option<Text>,
    pub(in crate::broker) protocol: Option<Text>,
    pub(in crate::broker) leader: Text,
    pub(in crate::broker) skips_assignment: bool,
    /// For the leader: everybody.
    pub(in crate::broker) members: Vec<JoinedMember>,
}

/// A member, as the leader is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct JoinedMember {
    pub(in crate::broker) member_id: Text,
    pub(in crate::broker) instance_id: Option<Text>,
    pub(in crate::broker) metadata: Bytes,
}

impl Joined {
    pub(in crate::broker) fn refused(member_id: &Text, error_code: ErrorCode) -> Joined {
        Joined { error_code, member_id: member_id.clone(), generation: -1, ..Joined::default() }
    }
}

impl ClassicGroup {
    /// Lets a member in, or in again. The answer may have to wait for others.
    pub(in crate::broker) fn join(&mut self, join: Join, ticket: Ticket, turn: &mut Turn<'_>) {
        if let Err(error_code) = self.try_join(&join, ticket, turn) {
            turn.answers.give(ticket, Answer::Join(Joined::refused(&join.member_id, error_code)));
        }
    }

    fn try_join(&mut self, join: &Join, ticket: Ticket, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
        if !self.has_room_for(&join.member_id, turn.settings.max_size) {
            self.remove(&join.member_id, turn);
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        if !self.suits(join) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if join.member_id.is_empty() {
            return self.join_newcomer(join, ticket, turn);
        }
        if self.pending.contains_key(&join.member_id) {
            // Ids are only lent to dynamic members.
            if join.instance_id.is_some() {
                return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
            }
            self.add(join.member_id.clone(), join, ticket, turn);
            return Ok(());
        }
        self.validate(&join.member_id, join.instance_id.as_ref())?;
        self.join_again(join, ticket, turn)
    }

    fn join_newcomer(&mut self, join: &Join, ticket: Ticket, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
        let front = join.instance_id.as_ref().unwrap_or(&join.client_id);
        let id: Text = format!("{front}-{}", random_uuid(turn.rng)).into();
        match &join.instance_id {
            Some(instance) => match self.instances.get(instance).cloned() {
                Some(old) => self.replace_static(&old, id, join, ticket, turn),
                None => self.add(id, join, ticket, turn),
            },
            // Kafka lends any number of them; but asking for ids must not be able to fill the memory.
            None if join.can_learn_its_id && self.pending.len() >= turn.settings.max_size => {
                return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
            }
            None if join.can_learn_its_id => {
                self.pending.insert(id.clone(), crate::task::after(turn.now, join.session_timeout));
                let joined = Joined::refused(&id, ErrorCode::MEMBER_ID_REQUIRED);
                turn.answers.give(ticket, Answer::Join(joined));
            }
            None => self.add(id, join, ticket, turn),
        }
        Ok(())
    }

    fn join_again(&mut self, join: &Join, ticket: Ticket, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
        let id = &join.member_id;
        let member = self.members.get(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let has_changed = member.protocols != join.protocols;
        // The leader joins again for what the coordinator does not see, such as a topic that has grown.
        let starts_over = match self.state {
            State::PreparingRebalance => true,
            State::CompletingRebalance => has_changed,
            State::Stable => has_changed || self.is_leader(id),
            State::Empty => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
        };
        if starts_over {
            self.update(id, join, ticket);
            self.prepare_rebalance_or_complete_join(turn);
            return Ok(());
        }
        // It may not have heard what it was told.
        let sees_all = self.state == State::CompletingRebalance && self.is_leader(id);
        turn.answers.give(ticket, Answer::Join(self.joined(id, sees_all)));
        Ok(())
    }

    fn add(&mut self, id: Text, join: &Join, ticket: Ticket, turn: &mut Turn<'_>) {
        let member = Member {
            instance_id: join.instance_id.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols.clone(),
            assignment: Bytes::new(),
            awaiting_join: Some(ticket),
            awaiting_sync: None,
            expires: Some(crate::task::after(turn.now, NEW_MEMBER_PATIENCE)),
            is_new: true,
        };
        self.has_newcomers |= self.state == State::PreparingRebalance && self.is_initial;
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.pending.remove(&id);
        if let Some(instance) = &join.instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        self.members.insert(id, member);
        self.prepare_rebalance_or_complete_join(turn);
    }

    /// A static member is back as another process: it gets another member id, and the assignment of the one that it was.
    fn replace_static(&mut self, old: &Text, id: Text, join: &Join, ticket: Ticket, turn: &mut Turn<'_>) {
        let told_leader = self.leader.clone();
        let Some(mut member) = self.members.remove(old) else { return };
        if let Some(ticket) = member.awaiting_join.take() {
            let fenced = Joined::refused(old, ErrorCode::FENCED_INSTANCE_ID);
            turn.answers.give(ticket, Answer::Join(fenced));
        }
        if let Some(ticket) = member.awaiting_sync.take() {
            let fenced = super::Synced::refused(ErrorCode::FENCED_INSTANCE_ID);
            turn.answers.give(ticket, Answer::Sync(fenced));
        }
        if self.is_leader(old) {
            self.leader = Some(id.clone());
        }
        if self.pending_sync.remove(old) {
            self.pending_sync.insert(id.clone());
        }
        if let Some(instance) = &member.instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        member.is_new = false;
        self.members.insert(id.clone(), member);
        self.update(&id, join, ticket);
        self.extend_session(&id, turn.now);
        match self.state {
            State::Stable if self.choose_protocol() == self.protocol => {
                // Nothing has changed for the others.
                let skips = join.can_skip_assignment && self.is_leader(&id);
                let mut joined = self.joined(&id, skips);
                joined.skips_assignment = skips;
                if !join.can_skip_assignment {
                    // Told that it leads it would assign, and nobody would hear of it.
                    joined.leader = told_leader.unwrap_or_default();
                }
                if let Some(member) = self.members.get_mut(&id) {
                    member.awaiting_join = None;
                }
                turn.answers.give(ticket, Answer::Join(joined));
            }
            State::Stable => self.prepare_rebalance_or_complete_join(turn),
            // The leader may be assigning to the id that is gone.
            State::CompletingRebalance => self.prepare_rebalance(turn),
            State::PreparingRebalance | State::Empty => self.maybe_complete_join(turn),
        }
    }

    fn update(&mut self, id: &Text, join: &Join, ticket: Ticket) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.protocols.clone_from(&join.protocols);
        member.session_timeout = join.session_timeout;
        member.rebalance_timeout = join.rebalance_timeout;
        member.awaiting_join = Some(ticket);
    }

    /// What a member is told that is in.
    pub(super) fn joined(&self, id: &Text, sees_all: bool) -> Joined {
        let told = |(id, member): (&Text, &Member)| JoinedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(self.protocol.as_ref()),
        };
        Joined {
            error_code: ErrorCode::NONE,
            member_id: id.clone(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skips_assignment: false,
            members: if sees_all { self.members.iter().map(told).collect() } else { Vec::new() },
        }
    }

    /// Whether there is room for one more, or it is one of those who are here.
    fn has_room_for(&self, id: &Text, max_size: usize) -> bool {
        let known = self.members.get(id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                let waiting =
                    || self.members.values().filter(|member| member.awaiting_join.is_some()).count();
                known.is_some_and(|member| member.awaiting_join.is_some()) || waiting() < max_size
            }
            State::CompletingRebalance | State::Stable => known.is_some() || self.members.len() < max_size,
        }
    }

    /// Whether it is of the same kind as the others, and shares an assignor with all of them.
    fn suits(&self, join: &Join) -> bool {
        if self.state == State::Empty {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        let shared = self.shared_protocols();
        let is_shared = |protocol: &Protocol| self.members.is_empty() || shared.contains(&protocol.name);
        self.protocol_type.as_ref() == Some(&join.protocol_type) && join.protocols.iter().any(is_shared)
    }
}

/// A UUID in its usual form, version 4, as Kafka's member ids end with.
pub(in crate::broker) fn random_uuid(rng: &mut fastrand::Rng) -> String {
    let (version, variant) = (0x4000 | u64::from(rng.u16(..0x1000)), 0x8000 | rng.u16(..0x4000));
    let (high, low) = (rng.u32(..), rng.u64(..1 << 48));
    format!("{high:08x}-{:04x}-{version:04x}-{variant:04x}-{low:012x}", rng.u16(..))
}
