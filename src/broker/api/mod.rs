//! The APIs, one file each, named by their keys. A handler takes the state and a request and gives the answer; it knows no
//! connection, no clock and no other handler.

#[path = "25_add_offsets_to_txn.rs"]
mod add_offsets_to_txn;
#[path = "24_add_partitions_to_txn.rs"]
mod add_partitions_to_txn;
#[path = "18_api_versions.rs"]
mod api_versions;
mod assignment;
mod committing;
#[path = "69_consumer_group_describe.rs"]
mod consumer_group_describe;
#[path = "68_consumer_group_heartbeat.rs"]
mod consumer_group_heartbeat;
#[path = "37_create_partitions.rs"]
mod create_partitions;
#[path = "19_create_topics.rs"]
mod create_topics;
#[path = "42_delete_groups.rs"]
mod delete_groups;
#[path = "21_delete_records.rs"]
mod delete_records;
#[path = "20_delete_topics.rs"]
mod delete_topics;
#[path = "60_describe_cluster.rs"]
mod describe_cluster;
#[path = "32_describe_configs.rs"]
mod describe_configs;
#[path = "15_describe_groups.rs"]
mod describe_groups;
#[path = "75_describe_topic_partitions.rs"]
mod describe_topic_partitions;
#[path = "26_end_txn.rs"]
mod end_txn;
#[path = "01_fetch.rs"]
mod fetch;
#[path = "10_find_coordinator.rs"]
mod find_coordinator;
mod group_wait;
#[path = "12_heartbeat.rs"]
mod heartbeat;
#[path = "44_incremental_alter_configs.rs"]
mod incremental_alter_configs;
#[path = "22_init_producer_id.rs"]
mod init_producer_id;
#[path = "11_join_group.rs"]
mod join_group;
#[path = "13_leave_group.rs"]
mod leave_group;
#[path = "16_list_groups.rs"]
mod list_groups;
#[path = "02_list_offsets.rs"]
mod list_offsets;
#[path = "03_metadata.rs"]
mod metadata;
#[path = "08_offset_commit.rs"]
mod offset_commit;
#[path = "47_offset_delete.rs"]
mod offset_delete;
#[path = "09_offset_fetch.rs"]
mod offset_fetch;
#[path = "23_offset_for_leader_epoch.rs"]
mod offset_for_leader_epoch;
mod operations;
#[path = "00_produce.rs"]
mod produce;
#[path = "14_sync_group.rs"]
mod sync_group;
#[path = "28_txn_offset_commit.rs"]
mod txn_offset_commit;
#[path = "27_write_txn_markers.rs"]
mod write_txn_markers;

use super::core::{Context, Step};
use super::faults::Manner;
use super::state::State;
use crate::messages::{AnyRequest, ApiKey, SaslAuthenticateResponse, SaslHandshakeResponse};

use std::time::Duration;

pub(super) use fetch::Fetching;
pub(super) use group_wait::GroupWait;
pub(super) use metadata::snapshot as metadata_snapshot;
pub(super) use produce::Checked;

/// What is served.
pub(super) const SERVED: [ApiKey; 35] = [
    ApiKey::PRODUCE,
    ApiKey::FETCH,
    ApiKey::LIST_OFFSETS,
    ApiKey::METADATA,
    ApiKey::OFFSET_COMMIT,
    ApiKey::OFFSET_FETCH,
    ApiKey::FIND_COORDINATOR,
    ApiKey::JOIN_GROUP,
    ApiKey::HEARTBEAT,
    ApiKey::LEAVE_GROUP,
    ApiKey::SYNC_GROUP,
    ApiKey::DESCRIBE_GROUPS,
    ApiKey::LIST_GROUPS,
    ApiKey::SASL_HANDSHAKE,
    ApiKey::API_VERSIONS,
    ApiKey::CREATE_TOPICS,
    ApiKey::DELETE_TOPICS,
    ApiKey::DELETE_RECORDS,
    ApiKey::INIT_PRODUCER_ID,
    ApiKey::OFFSET_FOR_LEADER_EPOCH,
    ApiKey::ADD_PARTITIONS_TO_TXN,
    ApiKey::ADD_OFFSETS_TO_TXN,
    ApiKey::END_TXN,
    ApiKey::WRITE_TXN_MARKERS,
    ApiKey::TXN_OFFSET_COMMIT,
    ApiKey::DESCRIBE_CONFIGS,
    ApiKey::SASL_AUTHENTICATE,
    ApiKey::CREATE_PARTITIONS,
    ApiKey::DELETE_GROUPS,
    ApiKey::INCREMENTAL_ALTER_CONFIGS,
    ApiKey::OFFSET_DELETE,
    ApiKey::DESCRIBE_CLUSTER,
    ApiKey::CONSUMER_GROUP_HEARTBEAT,
    ApiKey::CONSUMER_GROUP_DESCRIBE,
    ApiKey::DESCRIBE_TOPIC_PARTITIONS,
];

/// What a handler came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The call is over, or somebody else's.
    Done(Step),
    /// There is not enough to read yet.
    Fetching(Box<Fetching>),
    /// Other members of a group are not there yet.
    Waiting(GroupWait),
}

/// Checks what can be checked of a request by its bytes alone.
pub(super) fn check(request: &AnyRequest, version: i16) -> Checked {
    match request {
        AnyRequest::Produce(request) => produce::check(request, version),
        _ => Checked::default(),
    }
}

/// A pause as answers tell it.
fn throttle_time_ms(pause: Duration) -> i32 {
    i32::try_from(pause.as_millis()).unwrap_or(i32::MAX)
}

/// Answers a request.
pub(super) fn handle(
    state: &mut State,
    context: Context<'_>,
    request: AnyRequest,
    checked: Checked,
) -> Outcome {
    let step = match request {
        AnyRequest::Produce(request) => produce::handle(state, context, request, checked),
        AnyRequest::Fetch(request) => return fetch::handle(state, context, &request),
        AnyRequest::JoinGroup(request) => return join_group::handle(state, context, &request),
        AnyRequest::SyncGroup(request) => return sync_group::handle(state, context, request),
        AnyRequest::Heartbeat(request) => Step::respond(heartbeat::handle(state, context, &request)),
        AnyRequest::LeaveGroup(request) => Step::respond(leave_group::handle(state, context, request)),
        AnyRequest::OffsetCommit(request) => Step::respond(offset_commit::handle(state, context, &request)),
        AnyRequest::OffsetFetch(request) => Step::respond(offset_fetch::handle(state, context, request)),
        AnyRequest::DescribeGroups(request) => {
            Step::respond(describe_groups::handle(state, context, &request))
        }
        AnyRequest::ListGroups(request) => Step::respond(list_groups::handle(state, context, &request)),
        AnyRequest::DeleteGroups(request) => Step::respond(delete_groups::handle(state, context, request)),
        AnyRequest::OffsetDelete(request) => Step::respond(offset_delete::handle(state, context, &request)),
        AnyRequest::ConsumerGroupHeartbeat(request) => {
            Step::respond(consumer_group_heartbeat::handle(state, context, &request))
        }
        AnyRequest::ConsumerGroupDescribe(request) => {
            Step::respond(consumer_group_describe::handle(state, context, &request))
        }
        AnyRequest::ListOffsets(request) => Step::respond(list_offsets::handle(state, context, &request)),
        AnyRequest::Metadata(request) => Step::respond(metadata::handle(state, context, &request)),
        AnyRequest::FindCoordinator(request) => {
            Step::respond(find_coordinator::handle(state, context, request))
        }
        AnyRequest::ApiVersions(request) => Step::respond(api_versions::handle(state, context, &request)),
        request @ (AnyRequest::InitProducerId(_)
        | AnyRequest::AddPartitionsToTxn(_)
        | AnyRequest::AddOffsetsToTxn(_)
        | AnyRequest::EndTxn(_)
        | AnyRequest::WriteTxnMarkers(_)
        | AnyRequest::TxnOffsetCommit(_)) => of_transactions(state, context, request),
        request @ (AnyRequest::CreateTopics(_)
        | AnyRequest::DeleteTopics(_)
        | AnyRequest::DeleteRecords(_)
        | AnyRequest::CreatePartitions(_)
        | AnyRequest::DescribeConfigs(_)
        | AnyRequest::IncrementalAlterConfigs(_)
        | AnyRequest::DescribeCluster(_)
        | AnyRequest::DescribeTopicPartitions(_)) => of_administration(state, context, request),
        AnyRequest::OffsetForLeaderEpoch(request) => {
            Step::respond(offset_for_leader_epoch::handle(state, context, &request))
        }
        AnyRequest::SaslHandshake(_) if context.refusal.is_some() => {
            let error_code = context.refused_code().unwrap_or_default();
            Step::respond(SaslHandshakeResponse { error_code, ..Default::default() })
        }
        AnyRequest::SaslAuthenticate(_) if context.refusal.is_some() => {
            let error_code = context.refused_code().unwrap_or_default();
            Step::respond(SaslAuthenticateResponse { error_code, ..Default::default() })
        }
        request @ (AnyRequest::SaslHandshake(_) | AnyRequest::SaslAuthenticate(_)) => {
            Step::Authenticate(Box::new(request), Manner::Whole)
        }
    };
    Outcome::Done(step)
}

/// Answers what administrators ask.
fn of_administration(state: &mut State, context: Context<'_>, request: AnyRequest) -> Step {
    match request {
        AnyRequest::CreateTopics(request) => Step::respond(create_topics::handle(state, context, &request)),
        AnyRequest::DeleteTopics(request) => Step::respond(delete_topics::handle(state, context, request)),
        AnyRequest::DeleteRecords(request) => Step::respond(delete_records::handle(state, context, &request)),
        AnyRequest::CreatePartitions(request) => {
            Step::respond(create_partitions::handle(state, context, &request))
        }
        AnyRequest::DescribeConfigs(request) => {
            Step::respond(describe_configs::handle(state, context, &request))
        }
        AnyRequest::IncrementalAlterConfigs(request) => {
            Step::respond(incremental_alter_configs::handle(state, context, &request))
        }
        AnyRequest::DescribeCluster(request) => {
            Step::respond(describe_cluster::handle(state, context, &request))
        }
        AnyRequest::DescribeTopicPartitions(request) => {
            Step::respond(describe_topic_partitions::handle(state, context, &request))
        }
        _ => Step::Close("nothing of administration"),
    }
}

/// Answers a request of a producer that has an id, or of who ends its transaction.
fn of_transactions(state: &mut State, context: Context<'_>, request: AnyRequest) -> Step {
    match request {
        AnyRequest::InitProducerId(request) => {
            Step::respond(init_producer_id::handle(state, context, &request))
        }
        AnyRequest::AddPartitionsToTxn(request) => {
            Step::respond(add_partitions_to_txn::handle(state, context, &request))
        }
        AnyRequest::AddOffsetsToTxn(request) => {
            Step::respond(add_offsets_to_txn::handle(state, context, &request))
        }
        AnyRequest::EndTxn(request) => Step::respond(end_txn::handle(state, context, &request)),
        AnyRequest::WriteTxnMarkers(request) => {
            Step::respond(write_txn_markers::handle(state, context, &request))
        }
        AnyRequest::TxnOffsetCommit(request) => {
            Step::respond(txn_offset_commit::handle(state, context, &request))
        }
        _ => Step::Close("an API that is not one of transactions"),
    }
}
