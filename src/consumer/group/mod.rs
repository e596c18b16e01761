//! A consumer as a member of a group: one task ([`membership`]) drives the [`Member`](crate::engine::group::Member) of the
//! engine; what that means for the application is in [`chores`]; what both share is in [`ties`].
//!
//! Invariants:
//! * What is committed by itself was handed out and come back from; nothing else ever is.
//! * A partition is handed out only between the end of `Assign` and the begin of `Revoke` or `Lose`.
//! * After a standstill longer than the session, or `max.poll.interval.ms`, nothing is handed out before the coordinator was heard of,
//!   for five seconds at most.

mod chores;
mod commit;
pub(super) mod membership;
mod said;
mod subscription;
pub(super) mod ties;

pub use commit::Commit;

use super::Consumer;
use crate::error::Result;
use crate::wire::Text;

/// Who a consumer is to its group: what a transactional producer commits offsets with (ConsumerGroupMetadata of the Java
/// client).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GroupMetadata {
    /// `group.id`.
    pub group_id: String,
    /// The generation of a classic group, or the member epoch; -1 for who is no member.
    pub generation_id: i32,
    /// The member's id; empty for who is no member.
    pub member_id: String,
    /// `group.instance.id`.
    pub group_instance_id: Option<String>,
}

impl Consumer {
    /// Reads these topics as a member of the group `group.id`, instead of those before; a name that begins with `^` is a
    /// pattern that has to match whole names of topics. The group is joined in the background; partitions come and go
    /// ([`ConsumerBuilder::on_rebalance`](super::ConsumerBuilder::on_rebalance) tells of it).
    ///
    /// Patterns are matched by the client, whenever metadata are refreshed (`metadata.max.age.ms`); with
    /// `group.protocol=consumer` the broker matches them, by its own rules (RE2).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) without a `group.id`, for a name that no topic can have, a
    /// pattern that is none, or while partitions are assigned by [`assign`](Self::assign);
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub fn subscribe<T: Into<Text>>(&mut self, topics: impl IntoIterator<Item = T>) -> Result<()> {
        self.shared.subscribe(topics.into_iter().map(Into::into))
    }

    /// Gives all partitions of the group back and leaves it, in the background: what is done is committed if
    /// `enable.auto.commit` is on, and the listener is told. Nothing more is handed out from now on.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub fn unsubscribe(&mut self) -> Result<()> {
        self.shared.subscribe([])
    }

    /// The topics and patterns that are subscribed to.
    pub fn subscription(&self) -> Vec<Text> {
        self.shared.with(|state| {
            let wanted = state.ties.iter().filter_map(|ties| ties.wanted.as_ref());
            wanted.flat_map(|wanted| wanted.topics.iter().chain(&wanted.patterns)).cloned().collect()
        })
    }

    /// Who the consumer is to its group by now; `None` without a `group.id`.
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        self.shared.with(|state| {
            let ties = state.ties.as_ref()?;
            let identity = &ties.identity;
            Some(GroupMetadata {
                group_id: ties.group.as_str().to_owned(),
                generation_id: identity.generation,
                member_id: identity.member.as_str().to_owned(),
                group_instance_id: identity.instance.as_ref().map(|instance| instance.as_str().to_owned()),
            })
        })
    }

    /// Asks for a rebalance of a classic group (KIP-568), for this reason; in the new protocol that is the coordinator's
    /// affair, and nothing happens.
    pub fn enforce_rebalance(&mut self, reason: impl Into<String>) {
        self.shared.with(|state| {
            if let Some(ties) = &mut state.ties {
                ties.orders.rejoin = Some(reason.into());
            }
        });
        self.shared.ask_group.notify_one();
    }
}
