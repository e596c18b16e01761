//! The messages of the protocol: requests and responses, one file an API.
//!
//! Each file opens with what the API does, who answers it and what changed in which version, and then lists its fields
//! in the order of the wire, in the notation of [`message!`](crate::message). Field names are Apache Kafka's in snake
//! case. Structs are plain data: build them with `..Default::default()`, whose values are the protocol's defaults.
//! [`Api`] is the row of an API in the table of all that we speak: versions, flexibility, routing.
//!
//! To add an API: a file with its two tables, its row in `apis!`, its lines below, its page in `protocol-specs/`.
//!
//! This layer imports [`wire`](crate::wire) only. It decides nothing: what to ask, whom, and what to make of the answer
//! belongs to the layers above. Bytes behind a message's last field are an error, though Java ignores them;
//! [`Reader::finish`](crate::wire::Reader::finish) is where that is decided.
#![allow(
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "plain data of a hidden module, outside semver"
)]

mod api;
mod api_key;
mod broker_ids;
mod error_code;
mod header;
mod ids;
mod leader_hint;
mod record_set;

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod consumer_protocol;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_topic_partitions;
mod end_txn;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
pub mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sasl_authenticate;
mod sasl_handshake;
mod sync_group;
mod txn_offset_commit;
mod write_txn_markers;

pub use api::{APIS, AnyRequest, AnyResponse, Api, Lane, MessageError, Request, Response, Route, api};
pub use api_key::ApiKey;
pub use broker_ids::BrokerIds;
pub use error_code::{ErrorClass, ErrorCode};
pub use header::{ClientId, RequestHeader, ResponseHeader};
pub use ids::{
    Acks, AlterConfigOperation, BrokerId, ConfigResourceType, CoordinatorType, EndpointType, GenerationId,
    IsolationLevel, LeaderEpoch, MemberEpoch, ProducerEpoch, ProducerId,
};
pub use leader_hint::{CurrentLeader, NodeEndpoint};
pub use record_set::RecordSet;

pub use add_offsets_to_txn::*;
pub use add_partitions_to_txn::*;
pub use api_versions::*;
pub use consumer_group_describe::*;
pub use consumer_group_heartbeat::*;
pub use consumer_protocol::*;
pub use create_partitions::*;
pub use create_topics::*;
pub use delete_groups::*;
pub use delete_records::*;
pub use delete_topics::*;
pub use describe_cluster::*;
pub use describe_configs::*;
pub use describe_groups::*;
pub use describe_topic_partitions::*;
pub use end_txn::*;
pub use fetch::*;
pub use find_coordinator::*;
pub use heartbeat::*;
pub use incremental_alter_configs::*;
pub use init_producer_id::*;
pub use join_group::*;
pub use leave_group::*;
pub use list_groups::*;
pub use list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse,
};
pub use metadata::*;
pub use offset_commit::*;
pub use offset_delete::*;
pub use offset_fetch::*;
pub use offset_for_leader_epoch::*;
pub use produce::*;
pub use sasl_authenticate::*;
pub use sasl_handshake::*;
pub use sync_group::*;
pub use txn_offset_commit::*;
pub use write_txn_markers::*;

#[cfg(test)]
mod tests;
