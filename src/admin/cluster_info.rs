//! The cluster itself.

use super::Admin;
use crate::engine::view::Broker;
use crate::error::Result;

/// The cluster and its brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterInfo {
    /// The cluster's id, if its brokers tell it.
    pub cluster_id: Option<String>,
    /// The broker that takes requests for the controller; with KRaft any live one.
    pub controller: Option<i32>,
    /// The live brokers, by id.
    pub brokers: Vec<BrokerInfo>,
}

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerInfo {
    /// Its id.
    pub id: i32,
    /// Where it listens.
    pub host: String,
    /// Where it listens.
    pub port: u16,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

impl BrokerInfo {
    pub(super) fn of(broker: &Broker) -> BrokerInfo {
        BrokerInfo {
            id: broker.id.0,
            host: broker.host.to_string(),
            port: broker.port,
            rack: broker.rack.as_ref().map(ToString::to_string),
        }
    }
}

impl Admin {
    /// The cluster's id and its live brokers.
    ///
    /// # Errors
    /// When no broker answers in time, or none will.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn describe_cluster(&self) -> Result<ClusterInfo> {
        let view = self.cluster.refresh(self.deadline()).await?;
        Ok(ClusterInfo {
            cluster_id: view.cluster_id().map(ToString::to_string),
            controller: view.controller().map(|broker| broker.id.0),
            brokers: view.brokers().map(|broker| BrokerInfo::of(broker)).collect(),
        })
    }
}
