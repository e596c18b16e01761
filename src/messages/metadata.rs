//! Metadata (key 3): the brokers of the cluster, its topics, their partitions and leaders.
//!
//! Any broker answers. It may create a missing topic on the way, if the request and the broker's settings allow that.
//!
//! | version | what changed |
//! | --- | --- |
//! | 0 | an empty list of topics asks for all |
//! | 1 | null asks for all topics, an empty list for none; racks, controller and internal topics are told |
//! | 2 | cluster id (KIP-78) |
//! | 3 | throttle time (KIP-124) |
//! | 4 | the client says whether topics may be created |
//! | 5 | offline replicas (KIP-112) |
//! | 6 | the broker answers before it throttles (KIP-219) |
//! | 7 | leader epochs (KIP-320) |
//! | 8 | authorized operations on request (KIP-430) |
//! | 9 | flexible |
//! | 10 | topic ids in the response (KIP-516); asking by id was announced but not served |
//! | 11 | operations on the cluster moved to DescribeCluster (KIP-700) |
//! | 12 | asking by topic id works |
//! | 13 | an error code for the whole answer, for REBOOTSTRAP_REQUIRED (KIP-1102) |

use super::{BrokerId, BrokerIds, ErrorCode, LeaderEpoch};
use crate::message;
use crate::wire::{Text, Uuid};

message! {
    /// Asks for brokers and topics.
    pub struct MetadataRequest {
        /// The topics to tell of. All when null; in version 0 all when empty.
        0..    => topics: Option<Vec<MetadataRequestTopic>> = Some(Vec::new()), null 1..;
        /// Whether the broker may create what is missing, if its settings let it.
        4..    => allow_auto_topic_creation: bool = true;
        8..=10 => include_cluster_authorized_operations: bool;
        8..    => include_topic_authorized_operations: bool;
    }

    /// A topic that is asked for, by name or (from version 12) by id.
    pub struct MetadataRequestTopic {
        10.. => topic_id: Uuid, ignorable;
        /// Null when asked for by id.
        0..  => name: Option<Text> = Some(Text::default()), null 10..;
    }

    /// The cluster view: live brokers, topics, partitions and leaders.
    pub struct MetadataResponse {
        /// How long the client was or is to be throttled, in milliseconds.
        3..    => throttle_time_ms: i32, ignorable;
        0..    => brokers: Vec<MetadataBroker>;
        2..    => cluster_id: Option<Text>, null 2.., ignorable;
        /// The broker that takes requests for the controller; with KRaft any live broker, -1 when none is known.
        1..    => controller_id: BrokerId = BrokerId::NONE, ignorable;
        0..    => topics: Vec<MetadataTopic>;
        /// A bit for each operation that is allowed, `i32::MIN` when not asked for.
        8..=10 => cluster_authorized_operations: i32 = i32::MIN;
        13..   => error_code: ErrorCode, ignorable;
    }

    /// A live broker, as the listener advertises it that the request came in on.
    pub struct MetadataBroker {
        0.. => node_id: BrokerId;
        0.. => host: Text;
        0.. => port: i32;
        1.. => rack: Option<Text>, null 1.., ignorable;
    }

    /// A topic, or why there is none.
    pub struct MetadataTopic {
        0..  => error_code: ErrorCode;
        /// Null only when asked for by an id that is not known.
        0..  => name: Option<Text> = Some(Text::default()), null 12..;
        /// Zero only when asked for by a name that is not known.
        10.. => topic_id: Uuid, ignorable;
        1..  => is_internal: bool, ignorable;
        0..  => partitions: Vec<MetadataPartition>;
        /// A bit for each operation that is allowed, `i32::MIN` when not asked for.
        8..  => topic_authorized_operations: i32 = i32::MIN;
    }

    /// A partition and who holds it.
    pub struct MetadataPartition {
        /// LEADER_NOT_AVAILABLE or LISTENER_NOT_FOUND when the leader cannot be told.
        0.. => error_code: ErrorCode;
        0.. => partition_index: i32;
        /// -1 when there is none.
        0.. => leader_id: BrokerId;
        7.. => leader_epoch: LeaderEpoch = LeaderEpoch::NONE, ignorable;
        0.. => replica_nodes: BrokerIds;
        0.. => isr_nodes: BrokerIds;
        5.. => offline_replicas: BrokerIds, ignorable;
    }
}

impl MetadataRequest {
    /// Asks for every topic, in a version from 1 on.
    pub fn all_topics() -> MetadataRequest {
        MetadataRequest { topics: None, ..MetadataRequest::default() }
    }

    /// Asks for topics by name.
    pub fn topics(names: impl IntoIterator<Item = Text>) -> MetadataRequest {
        let by_name = |name| MetadataRequestTopic { name: Some(name), ..MetadataRequestTopic::default() };
        MetadataRequest {
            topics: Some(names.into_iter().map(by_name).collect()),
            ..MetadataRequest::default()
        }
    }

    /// Asks for topics by their ids, in a version from 12 on.
    pub fn topics_by_id(ids: impl IntoIterator<Item = Uuid>) -> MetadataRequest {
        let by_id = |topic_id| MetadataRequestTopic { topic_id, name: None };
        MetadataRequest { topics: Some(ids.into_iter().map(by_id).collect()), ..MetadataRequest::default() }
    }
}
