//! [`Admin`]: looks at the cluster, changes its topics and its consumer groups.
//!
//! May import `cluster`, `engine`, `messages`, `config`, `error`, `task`.

mod cluster_info;
mod group_info;
mod group_offsets;
mod groups;
mod topics;

pub use cluster_info::{BrokerInfo, ClusterInfo};
pub use group_info::{GroupDescription, GroupListing, GroupMember, GroupState, GroupType};
pub use groups::{GroupListings, ListGroups};
pub use topics::{NewTopic, PartitionInfo, TopicInfo};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::messages::ErrorCode;
use crate::task;
use std::time::{Duration, Instant};

/// Looks at the cluster, changes its topics and its consumer groups. Made by [`Client::admin`](crate::Client::admin); cheap to clone.
///
/// Calls are repeated where that is safe and can help, for `default.api.timeout.ms` in all.
#[derive(Debug, Clone)]
pub struct Admin {
    cluster: Cluster,
    timeout: Duration,
}

impl Admin {
    pub(crate) fn new(cluster: Cluster) -> Admin {
        let timeout = cluster.config().default_api_timeout;
        Admin { cluster, timeout }
    }

    /// This admin client with another time for each call, repetitions included. Default: `default.api.timeout.ms`.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Admin {
        Admin { cluster: self.cluster.clone(), timeout }
    }

    fn deadline(&self) -> Instant {
        task::after(task::now(), self.timeout)
    }

    /// What a request that waits at the broker may take there, in milliseconds: the call's time, but not longer than the
    /// connection waits for an answer.
    fn timeout_ms(&self) -> i32 {
        let timeout = self.timeout.min(self.cluster.config().request_timeout);
        i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
    }
}

/// What a broker said of one topic.
fn topic_error(code: ErrorCode, message: Option<&str>, attempt: &'static str, topic: &str) -> Error {
    let error = Error::broker_code(code, attempt).topic(topic);
    match message {
        Some(message) if !message.is_empty() => error.hint(format!("the broker says: {message}")),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
