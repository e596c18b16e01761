//! A member of a classic group.

use super::super::Ticket;
use crate::messages::ConsumerProtocolSubscription;
use crate::wire::Text;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// An assignor that a member can work with, and what it tells whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct Protocol {
    pub(in crate::broker) name: Text,
    pub(in crate::broker) metadata: Bytes,
}

/// A member.
#[derive(Debug)]
pub(in crate::broker) struct Member {
    pub(in crate::broker) instance_id: Option<Text>,
    pub(in crate::broker) client_id: Text,
    pub(in crate::broker) client_host: Text,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    /// The assignors, the most wanted first.
    pub(super) protocols: Vec<Protocol>,
    /// What the leader has assigned to it.
    pub(in crate::broker) assignment: Bytes,
    pub(super) awaiting_join: Option<Ticket>,
    pub(super) awaiting_sync: Option<Ticket>,
    /// When it counts as gone, unless it is heard of.
    pub(super) expires: Option<Instant>,
    /// Whether it has not been let in yet.
    pub(super) is_new: bool,
}

impl Member {
    /// What it tells the assignor of this name.
    pub(in crate::broker) fn metadata(&self, protocol: Option<&Text>) -> Bytes {
        let told = self.protocols.iter().find(|own| Some(&own.name) == protocol);
        told.map(|own| own.metadata.clone()).unwrap_or_default()
    }

    /// The assignors that it can work with. A member may name many: whoever looks for several of them takes the set.
    pub(super) fn protocol_names(&self) -> BTreeSet<&Text> {
        self.protocols.iter().map(|own| &own.name).collect()
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.awaiting_join.is_some() || self.awaiting_sync.is_some()
    }

    pub(super) fn extend_session(&mut self, now: Instant) {
        self.expires = Some(crate::task::after(now, self.session_timeout));
    }

    /// Whether what a consumer tells its assignor names a topic. What cannot be read, or is not there yet, may name any.
    pub(super) fn subscribes(&self, protocol: Option<&Text>, topic: &str) -> bool {
        let subscription = ConsumerProtocolSubscription::read(&self.metadata(protocol));
        subscription.map_or(true, |subscription| subscription.topics.iter().any(|own| own.as_str() == topic))
    }
}
