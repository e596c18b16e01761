//! How members get their assignments: the leader hands in those of all of them.

use super::super::{Answer, Ticket, Turn};
use super::{ClassicGroup, State};
use crate::messages::ErrorCode;
use crate::wire::Text;
use bytes::Bytes;
use std::collections::BTreeMap;

/// A member that asks for its assignment, or the leader that brings everybody's.
#[derive(Debug, Clone)]
pub(in crate::broker) struct Sync {
    pub(in crate::broker) member_id: Text,
    pub(in crate::broker) instance_id: Option<Text>,
    pub(in crate::broker) generation: i32,
    pub(in crate::broker) protocol_type: Option<Text>,
    pub(in crate::broker) protocol: Option<Text>,
    pub(in crate::broker) assignments: Vec<(Text, Bytes)>,
}

/// What a member is told that asked for its assignment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::broker) struct Synced {
    pub(in crate::broker) error_code: ErrorCode,
    pub(in crate::broker) protocol_type: Option<Text>,
    pub(in crate::broker) protocol: Option<Text>,
    pub(in crate::broker) assignment: Bytes,
}

impl Synced {
    pub(in crate::broker) fn refused(error_code: ErrorCode) -> Synced {
        Synced { error_code, ..Synced::default() }
    }
}

impl ClassicGroup {
    /// Gives a member its assignment, when the leader has brought it.
    pub(in crate::broker) fn sync(&mut self, sync: Sync, ticket: Ticket, turn: &mut Turn<'_>) {
        if let Err(error_code) = self.try_sync(sync, ticket, turn) {
            turn.answers.give(ticket, Answer::Sync(Synced::refused(error_code)));
        }
    }

    fn try_sync(&mut self, sync: Sync, ticket: Ticket, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
        let id = &sync.member_id;
        self.validate(id, sync.instance_id.as_ref())?;
        if sync.generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let differs =
            |said: &Option<Text>, own: &Option<Text>| said.is_some() && own.is_some() && said != own;
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        match self.state {
            State::Empty => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            State::PreparingRebalance => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            State::CompletingRebalance => {
                if let Some(member) = self.members.get_mut(id) {
                    member.awaiting_sync = Some(ticket);
                }
                self.has_asked(id);
                if self.is_leader(id) {
                    self.assign(&sync.assignments, turn);
                }
                Ok(())
            }
            State::Stable => {
                self.has_asked(id);
                turn.answers.give(ticket, Answer::Sync(self.synced(id)));
                Ok(())
            }
        }
    }

    /// Takes the leader's word for who gets what; who is not named gets nothing.
    fn assign(&mut self, assignments: &[(Text, Bytes)], turn: &mut Turn<'_>) {
        self.state = State::Stable;
        let assignments: BTreeMap<&Text, &Bytes> =
            assignments.iter().map(|(id, bytes)| (id, bytes)).collect();
        for (id, member) in &mut self.members {
            member.assignment =
                assignments.get(id).map(|bytes| Bytes::copy_from_slice(bytes)).unwrap_or_default();
        }
        let all: Vec<Text> = self.members.keys().cloned().collect();
        for id in all {
            let synced = self.synced(&id);
            let Some(member) = self.members.get_mut(&id) else { continue };
            if let Some(ticket) = member.awaiting_sync.take() {
                turn.answers.give(ticket, Answer::Sync(synced));
                member.extend_session(turn.now);
            }
        }
    }

    fn synced(&self, id: &Text) -> Synced {
        Synced {
            error_code: ErrorCode::NONE,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.members.get(id).map(|member| member.assignment.clone()).unwrap_or_default(),
        }
    }

    fn has_asked(&mut self, id: &Text) {
        self.pending_sync.remove(id);
        if self.pending_sync.is_empty() {
            self.sync_until = None;
        }
    }
}
