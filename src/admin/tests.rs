//! Groups and their offsets, on embedded brokers.
#![cfg(feature = "broker")]

use super::*;
use crate::Client;
use crate::broker::{Cluster as Brokers, Fate, Fault};
use crate::cluster::Reach;
use crate::engine::{OffsetAndMetadata, TopicPartition};
use crate::error::{ErrorKind, Result};
use crate::messages::{
    ApiKey, ConsumerGroupHeartbeatRequest, ConsumerProtocolAssignment, ConsumerProtocolPartitions,
    ConsumerProtocolSubscription, JoinGroupProtocol, JoinGroupRequest, LeaveGroupRequest, LeavingMember,
    MemberEpoch, SyncGroupAssignment, SyncGroupRequest,
};
use crate::net::mem::MemNet;
use crate::wire::{Span, Text};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

const TOPIC: &str = "orders";

struct World {
    brokers: Brokers,
    admin: Admin,
}

async fn world(seed: u64) -> World {
    let net = MemNet::new(seed);
    let brokers = Brokers::builder().brokers(3).listen_in_memory(&net).seed(seed).keep_requests(10_000);
    let brokers = brokers.start().await.unwrap();
    brokers.create_topic(TOPIC, 3).unwrap();
    let client = Client::builder().bootstrap(brokers.bootstrap_servers()).dial(Arc::new(net.dialer()));
    let admin = client.set("client.id", "till").build().unwrap().admin();
    World { brokers, admin }
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

fn set(offsets: &[(i32, i64)]) -> Vec<(TopicPartition, OffsetAndMetadata)> {
    offsets.iter().map(|(partition, offset)| (at(*partition), (*offset).into())).collect()
}

impl World {
    /// Sets offsets of a group, all of which must succeed.
    async fn commit(&self, group: &str, offsets: &[(i32, i64)]) {
        let told = self.admin.alter_group_offsets(group, set(offsets)).await.unwrap();
        assert!(told.len() == offsets.len() && told.values().all(Result::is_ok), "{told:?}");
    }

    async fn committed(&self, group: &str) -> BTreeMap<i32, i64> {
        let told = self.admin.list_group_offsets(group).await.unwrap();
        told.into_iter().map(|(at, outcome)| (at.partition, outcome.unwrap().offset)).collect()
    }

    /// One member joins, with these blobs, and gives itself the second of them.
    async fn join(&self, group: &str, protocol_type: &str, metadata: Bytes, assignment: Bytes) -> Text {
        let group_id = Text::from(group);
        let (admin, deadline) = (&self.admin, self.admin.deadline());
        let protocol = JoinGroupProtocol { name: "range".into(), metadata };
        let join = JoinGroupRequest {
            group_id: group_id.clone(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 45_000,
            protocol_type: protocol_type.into(),
            protocols: vec![protocol],
            ..Default::default()
        };
        // Version 3 is the last that makes a member of one that has no id yet.
        let reach = Reach::Group(&group_id);
        let joined = admin.cluster.call(reach, |_| join.clone(), Span::new(0, 3), deadline, |_| None);
        let joined = joined.await.unwrap();
        let mine = SyncGroupAssignment { member_id: joined.member_id.clone(), assignment };
        let sync = SyncGroupRequest {
            group_id: group_id.clone(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            protocol_type: Some(protocol_type.into()),
            protocol_name: Some("range".into()),
            assignments: vec![mine],
            ..Default::default()
        };
        let synced = admin.cluster.call(reach, |_| sync.clone(), Span::from(0), deadline, |_| None);
        assert!(synced.await.unwrap().error_code.is_none());
        joined.member_id
    }

    /// One consumer of all the topic joins.
    async fn join_as_consumer(&self, group: &str) -> Text {
        let subscription = ConsumerProtocolSubscription { topics: vec![TOPIC.into()], ..Default::default() };
        let all = ConsumerProtocolPartitions { topic: TOPIC.into(), partitions: vec![2, 0, 1] };
        let assignment = ConsumerProtocolAssignment { assigned_partitions: vec![all], user_data: None };
        self.join(group, "consumer", subscription.write(3).unwrap(), assignment.write(3).unwrap()).await
    }

    async fn leave(&self, group: &str, member_id: Text) {
        let group_id = Text::from(group);
        let member = LeavingMember { member_id, ..Default::default() };
        let leave =
            LeaveGroupRequest { group_id: group_id.clone(), members: vec![member], ..Default::default() };
        let left = self.admin.cluster.call(
            Reach::Group(&group_id),
            |_| leave.clone(),
            Span::from(3),
            self.admin.deadline(),
            |_| None,
        );
        assert!(left.await.unwrap().error_code.is_none());
    }

    /// One consumer of the new protocol joins, or says what it says later.
    async fn heartbeat(&self, group: &str, epoch: MemberEpoch) -> MemberEpoch {
        let group_id = Text::from(group);
        let is_new = epoch == MemberEpoch::JOIN;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: group_id.clone(),
            member_id: "AAAAAAAAAAAAAAAAAAAAAQ".into(),
            member_epoch: epoch,
            rack_id: is_new.then(|| "eu-1a".into()),
            rebalance_timeout_ms: if is_new { 45_000 } else { -1 },
            subscribed_topic_names: is_new.then(|| vec![TOPIC.into()]),
            topic_partitions: is_new.then(Vec::new),
            ..Default::default()
        };
        let told = self.admin.cluster.call(
            Reach::Group(&group_id),
            |_| request.clone(),
            Span::from(0),
            self.admin.deadline(),
            |told| told.error_code.ok().err().map(|code| Error::broker_code(code, "join")),
        );
        told.await.unwrap().member_epoch
    }

    async fn listed(&self, which: ListGroups) -> Vec<String> {
        let listed = self.admin.list_groups(&which).await.unwrap().all().unwrap();
        listed.into_iter().map(|group| group.group_id).collect()
    }
}

fn code<T>(outcome: &Result<T>) -> ErrorCode {
    outcome.as_ref().err().and_then(Error::code).unwrap_or(ErrorCode::NONE)
}

#[tokio::test(start_paused = true)]
async fn the_groups_of_all_brokers_are_listed_and_filtered() {
    let world = world(1).await;
    let names: Vec<String> = (0..20).map(|number| format!("group-{number:02}")).collect();
    for name in &names {
        world.commit(name, &[(0, 1)]).await;
    }
    world.join_as_consumer("group-07").await;
    assert_eq!(world.listed(ListGroups::all()).await, names);
    assert_eq!(world.listed(ListGroups::all().states([GroupState::Stable])).await, ["group-07"]);
    assert_eq!(world.listed(ListGroups::all().types([GroupType::Classic])).await.len(), 20);
    assert_eq!(world.listed(ListGroups::all().types([GroupType::Share])).await.len(), 0);
    let listed = world.admin.list_groups(&ListGroups::all()).await.unwrap().valid;
    let stable = &listed[7];
    assert_eq!((stable.state.clone(), stable.protocol_type.as_str()), (Some(GroupState::Stable), "consumer"));
    assert_eq!((listed[8].state.clone(), listed[8].protocol_type.as_str()), (Some(GroupState::Empty), ""));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_tell_its_groups_is_named() {
    let world = world(2).await;
    for number in 0..9 {
        world.commit(&format!("group-{number}"), &[(0, 1)]).await;
    }
    let refuse = Fault::new(Fate::Fail(ErrorCode::CLUSTER_AUTHORIZATION_FAILED)).api(ApiKey::LIST_GROUPS);
    world.brokers.add_fault(refuse.broker(2));
    let listed = world.admin.list_groups(&ListGroups::all()).await.unwrap();
    assert!((1..9).contains(&listed.valid.len()), "{}", listed.valid.len());
    assert_eq!(listed.errors.len(), 1);
    assert!(listed.errors[0].to_string().contains("broker 2"), "{}", listed.errors[0]);
    assert!(listed.all().is_err());
    world.brokers.clear_faults();

    // One that goes while it is asked is not waited for.
    world.brokers.add_fault(Fault::new(Fate::Silence).api(ApiKey::LIST_GROUPS).broker(3));
    let start = task::now();
    let all = ListGroups::all();
    let (listed, ()) = tokio::join!(world.admin.list_groups(&all), async {
        task::sleep_until(task::now() + Duration::from_secs(1)).await;
        world.brokers.stop_broker(3).await.unwrap();
    });
    assert_eq!(listed.unwrap().errors.len(), 1);
    assert!(task::now() - start < Duration::from_secs(5), "{:?}", task::now() - start);
}

#[tokio::test(start_paused = true)]
async fn a_group_of_consumers_is_described_with_what_its_members_have() {
    let world = world(3).await;
    let member = world.join_as_consumer("billing").await;
    world.commit("idle", &[(0, 7)]).await;
    let mut described = world.admin.describe_groups(["billing", "idle", "nobody"]).await;
    assert_eq!(described.len(), 3);
    assert_eq!(code(&described["nobody"]), ErrorCode::GROUP_ID_NOT_FOUND);
    let idle = described.remove("idle").unwrap().unwrap();
    assert_eq!((idle.state, idle.members.len(), idle.assignor), (GroupState::Empty, 0, None));
    let billing = described.remove("billing").unwrap().unwrap();
    assert_eq!((&billing.state, &billing.group_type), (&GroupState::Stable, &GroupType::Classic));
    assert_eq!(billing.assignor.as_deref(), Some("range"));
    assert!(billing.coordinator.is_some());
    let [only] = &billing.members[..] else { panic!("{billing:?}") };
    assert_eq!(only.member_id, member.as_str());
    assert_eq!(only.subscription.as_deref(), Some(&[TOPIC.to_owned()][..]));
    assert_eq!(only.assignment, Some(vec![at(0), at(1), at(2)]));
    assert_eq!((only.client_id.as_str(), only.host.chars().next()), ("till", Some('/')));
}

#[tokio::test(start_paused = true)]
async fn a_group_of_the_new_protocol_is_described_as_well() {
    let world = world(9).await;
    let epoch = world.heartbeat("billing", MemberEpoch::JOIN).await;
    let epoch = world.heartbeat("billing", epoch).await;
    assert_eq!(world.listed(ListGroups::all().types([GroupType::Consumer])).await, ["billing"]);
    let described = world.admin.describe_groups(["billing"]).await.remove("billing").unwrap().unwrap();
    assert_eq!((&described.group_type, described.protocol_type.as_str()), (&GroupType::Consumer, "consumer"));
    assert_eq!((described.state, described.group_epoch), (GroupState::Stable, Some(epoch.0)));
    assert_eq!((described.assignment_epoch, described.assignor.is_some()), (Some(epoch.0), true));
    let [only] = &described.members[..] else { panic!("{:?}", described.members) };
    assert_eq!((only.member_epoch, only.rack.as_deref()), (Some(epoch.0), Some("eu-1a")));
    assert_eq!(only.subscription.as_deref(), Some(&[TOPIC.to_owned()][..]));
    assert_eq!(only.target_assignment, Some(vec![at(0), at(1), at(2)]));

    let told = world.admin.alter_group_offsets("billing", set(&[(0, 9)])).await.unwrap();
    assert_eq!(code(&told[&at(0)]), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(code(&world.admin.delete_groups(["billing"]).await["billing"]), ErrorCode::NON_EMPTY_GROUP);
    world.heartbeat("billing", MemberEpoch::LEAVE).await;
    world.commit("billing", &[(0, 9)]).await;
    assert_eq!(world.committed("billing").await, BTreeMap::from([(0, 9)]));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_member_fails_no_description() {
    let world = world(4).await;
    let foreign = Bytes::from_static(b"\x7f\xff{\"url\": \"http://worker\"}");
    world.join("connect", "connect", foreign.clone(), foreign).await;
    let described = world.admin.describe_groups(["connect"]).await.remove("connect").unwrap().unwrap();
    assert_eq!(described.protocol_type, "connect");
    let [worker] = &described.members[..] else { panic!("{described:?}") };
    assert_eq!((&worker.subscription, &worker.assignment), (&None, &None));
}

#[tokio::test(start_paused = true)]
async fn offsets_are_set_listed_and_deleted_while_nobody_is_there() {
    let world = world(5).await;
    let noted = OffsetAndMetadata::new(42).leader_epoch(3).metadata("up to invoice 7");
    let told = world.admin.alter_group_offsets("billing", [(at(1), noted.clone()), (at(0), 5.into())]).await;
    assert!(told.unwrap().values().all(Result::is_ok));
    let mut listed = world.admin.list_group_offsets("billing").await.unwrap();
    assert_eq!(listed.remove(&at(1)).unwrap().unwrap(), noted);
    assert_eq!(listed.remove(&at(0)).unwrap().unwrap(), OffsetAndMetadata::new(5));
    assert!(listed.is_empty(), "{listed:?}");
    assert!(world.committed("nobody").await.is_empty());

    let told = world.admin.alter_group_offsets("billing", set(&[(2, 1), (9, 1)])).await.unwrap();
    assert_eq!(
        (code(&told[&at(2)]), code(&told[&at(9)])),
        (ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    );

    let told = world.admin.delete_group_offsets("billing", [at(0), at(2), at(2)]).await.unwrap();
    assert_eq!((told.len(), code(&told[&at(0)])), (2, ErrorCode::NONE));
    assert_eq!(world.committed("billing").await, BTreeMap::from([(1, 42)]));
    let none = world.admin.delete_group_offsets("nobody", [at(0)]).await.unwrap_err();
    assert_eq!(none.code(), Some(ErrorCode::GROUP_ID_NOT_FOUND));
    assert!(none.to_string().contains("'nobody'"), "{none}");
}

#[tokio::test(start_paused = true)]
async fn members_keep_their_group_and_its_offsets_from_being_changed() {
    let world = world(6).await;
    world.commit("billing", &[(0, 5)]).await;
    let member = world.join_as_consumer("billing").await;
    let told = world.admin.alter_group_offsets("billing", set(&[(0, 9)])).await.unwrap();
    let refused = told[&at(0)].as_ref().unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::UNKNOWN_MEMBER_ID));
    assert!(refused.to_string().contains("stop its consumers first"), "{refused}");
    let told = world.admin.delete_group_offsets("billing", [at(0)]).await.unwrap();
    assert_eq!(code(&told[&at(0)]), ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
    let deleted = world.admin.delete_groups(["billing", "nobody"]).await;
    assert_eq!(code(&deleted["billing"]), ErrorCode::NON_EMPTY_GROUP);
    assert_eq!(code(&deleted["nobody"]), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(world.committed("billing").await, BTreeMap::from([(0, 5)]));

    world.leave("billing", member).await;
    world.commit("billing", &[(0, 9)]).await;
    assert_eq!(world.committed("billing").await, BTreeMap::from([(0, 9)]));
    assert!(world.admin.delete_groups(["billing"]).await["billing"].is_ok());
    assert!(world.listed(ListGroups::all()).await.is_empty());
}

/// Answers that come out of order of what was asked, or from a coordinator that is none yet, are asked for again.
#[tokio::test(start_paused = true)]
async fn an_election_is_waited_for() {
    let apis = [ApiKey::OFFSET_COMMIT, ApiKey::OFFSET_FETCH, ApiKey::DESCRIBE_GROUPS, ApiKey::DELETE_GROUPS];
    for failing in [ErrorCode::NOT_COORDINATOR, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS] {
        let world = world(7).await;
        for api in apis {
            world.brokers.add_fault(Fault::new(Fate::Fail(failing)).api(api).times(3));
        }
        world.commit("billing", &[(0, 5)]).await;
        assert_eq!(world.committed("billing").await, BTreeMap::from([(0, 5)]));
        assert!(world.admin.describe_groups(["billing"]).await["billing"].is_ok());
        assert!(world.admin.delete_groups(["billing"]).await["billing"].is_ok());
        for api in apis {
            let asked = world.brokers.requests().iter().filter(|seen| seen.api_key == api.0).count();
            assert_eq!(asked, 4, "{api}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_has_no_coordinator_fails_alone_and_in_time() {
    let world = world(8).await;
    let absent = Fault::new(Fate::Fail(ErrorCode::COORDINATOR_NOT_AVAILABLE)).api(ApiKey::FIND_COORDINATOR);
    world.brokers.add_fault(absent);
    let start = task::now();
    let admin = world.admin.with_timeout(Duration::from_secs(5));
    let described = admin.describe_groups((0..200).map(|number| format!("group-{number}"))).await;
    assert_eq!(described.len(), 200);
    for (group, outcome) in described {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains(&format!("'{group}'")), "{error}");
    }
    assert!(task::now() - start <= Duration::from_secs(5), "{:?}", task::now() - start);
}

/// A third of the groups are its own, more than are asked about at a time: the others are not asked about after them, when there
/// is no time any more.
#[tokio::test(start_paused = true)]
async fn a_broker_that_says_nothing_holds_up_its_own_groups_only() {
    let world = world(9).await;
    let groups: Vec<String> = (0..300).map(|number| format!("group-{number}")).collect();
    for group in &groups {
        world.commit(group, &[(0, 1)]).await;
    }
    let described = world.admin.describe_groups(&groups).await;
    let of = |described: &Result<GroupDescription>| {
        described.as_ref().ok().and_then(|group| Some(group.coordinator.as_ref()?.id))
    };
    let its: Vec<&String> =
        described.iter().filter(|(_, outcome)| of(outcome) == Some(2)).map(|(group, _)| group).collect();
    assert!((70..130).contains(&its.len()), "{}", its.len());
    world.brokers.add_fault(Fault::new(Fate::Silence).api(ApiKey::CONSUMER_GROUP_DESCRIBE).broker(2));
    for (group, outcome) in world.admin.describe_groups(&groups).await {
        match outcome {
            Ok(_) => assert!(!its.contains(&&group), "{group}"),
            Err(error) => assert!(its.contains(&&group), "{group}: {error}"),
        }
    }
}
