//! What Produce (from version 10) and Fetch (from 16) answers say of a new leader, so that the client need not ask for
//! metadata first (KIP-951). Fetch told the leader without its address from version 12 on (KIP-595).

use super::{BrokerId, LeaderEpoch};
use crate::message;
use crate::wire::Text;

message! {
    /// The leader that the broker knows of; both -1 when it does not say.
    pub struct CurrentLeader {
        0.. => leader_id: BrokerId = BrokerId::NONE;
        /// To be compared with the epoch that the client knows: an older hint is void.
        0.. => leader_epoch: LeaderEpoch = LeaderEpoch::NONE;
    }

    /// Where a leader that an answer names can be reached.
    pub struct NodeEndpoint {
        0.. => node_id: BrokerId;
        0.. => host: Text;
        0.. => port: i32;
        0.. => rack: Option<Text>, null 0..;
    }
}
