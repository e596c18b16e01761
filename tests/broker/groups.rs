//! Groups of a cluster: who coordinates them, what becomes of them when that is another, and faults by script.

use crate::cases::Topic;
use crate::cases::groups::{join, joining, settle};
use crate::cluster::Bench;
use crate::peer::Peer;
use crate::three::Three as _;
use ottla::broker::{ApiKey, Cluster, Fate, Fault, TopicSpec};
use ottla::messages::{
    AnyRequest, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, CoordinatorType,
    DeleteGroupsRequest, DescribeGroupsRequest, ErrorCode, FindCoordinatorRequest, HeartbeatRequest,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeavingMember, ListGroupsRequest, MemberEpoch,
    OffsetCommitPartition, OffsetCommitRequest, OffsetCommitTopic, OffsetDeletePartition,
    OffsetDeleteRequest, OffsetDeleteTopic, OffsetFetchGroup, OffsetFetchRequest, OffsetFetchTopic,
    SyncGroupAssignment, SyncGroupRequest,
};
use ottla::wire::Text;
use std::thread;
use std::time::Duration;

const NONE: ErrorCode = ErrorCode::NONE;

fn coordinator(peer: &mut Peer, group: &Text) -> i32 {
    let found = peer.ask(4, FindCoordinatorRequest::one(CoordinatorType::GROUP, group.clone(), 4));
    assert_eq!(found.coordinators[0].error_code, NONE);
    found.coordinators[0].node_id.0
}

/// A group that has its coordinator on the first of these of three brokers, and, when the third is gone, on the second of
/// these of two.
fn group_on(of_three: u32, of_two: u32) -> Text {
    key_on(of_three, of_two).into()
}

/// The same for any key that has a coordinator.
pub fn key_on(of_three: u32, of_two: u32) -> String {
    let hash = |name: &str| name.bytes().fold(0u32, |hash, b| hash.wrapping_mul(31).wrapping_add(b.into()));
    let names = (0..1000).map(|n| format!("group-{n}"));
    let is_it = |name: &String| hash(name) % 3 + 1 == of_three && hash(name) % 2 + 1 == of_two;
    names.into_iter().find(is_it).unwrap()
}

fn beating(group: &Text, member: &JoinGroupResponse) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: group.clone(),
        generation_id: member.generation_id,
        member_id: member.member_id.clone(),
        ..Default::default()
    }
}

fn committing(group: &Text, topic: &Topic, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitPartition { committed_offset: offset, ..Default::default() };
    let topic =
        OffsetCommitTopic { name: topic.name.clone(), topic_id: topic.id, partitions: vec![partition] };
    OffsetCommitRequest { group_id: group.clone(), topics: vec![topic], ..Default::default() }
}

fn fetching(group: &Text, topic: Option<&Topic>) -> OffsetFetchRequest {
    let topics = topic.map(|topic| {
        let (name, topic_id) = (topic.name.clone(), topic.id);
        vec![OffsetFetchTopic { name, topic_id, partition_indexes: vec![0] }]
    });
    OffsetFetchRequest::one(
        OffsetFetchGroup { group_id: group.clone(), topics, ..Default::default() },
        false,
        9,
    )
}

fn committed(peer: &mut Peer, group: &Text, topic: &Topic) -> i64 {
    peer.ask(9, fetching(group, Some(topic))).groups[0].topics[0].partitions[0].committed_offset
}

fn joining_consumer(group: &Text, topic: &Topic) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.clone(),
        member_id: "member".into(),
        member_epoch: MemberEpoch::JOIN,
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec![topic.name.clone()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

/// A request of every API that is about a group, in a version; each about the topic where it is about topics.
fn every_api(group: &Text, topic: &Topic) -> Vec<(i16, AnyRequest)> {
    let stranger = JoinGroupResponse { member_id: "stranger".into(), ..Default::default() };
    let partition = OffsetDeletePartition { partition_index: 0 };
    let deleting = OffsetDeleteTopic { name: topic.name.clone(), partitions: vec![partition] };
    let member = LeavingMember { member_id: "stranger".into(), ..Default::default() };
    let groups = vec![group.clone()];
    let sync = SyncGroupRequest {
        group_id: group.clone(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        ..Default::default()
    };
    vec![
        (9, joining(group, &Text::default(), &["range"]).into()),
        (5, sync.into()),
        (4, beating(group, &stranger).into()),
        (5, LeaveGroupRequest::one(group.clone(), member, 5).into()),
        (9, committing(group, topic, 1).into()),
        (9, fetching(group, Some(topic)).into()),
        (
            1,
            OffsetFetchRequest {
                group_id: group.clone(),
                ..OffsetFetchRequest::one(fetching(group, Some(topic)).groups.remove(0), false, 1)
            }
            .into(),
        ),
        (0, OffsetDeleteRequest { group_id: group.clone(), topics: vec![deleting] }.into()),
        (6, DescribeGroupsRequest { groups: groups.clone(), ..Default::default() }.into()),
        (2, DeleteGroupsRequest { groups_names: groups.clone() }.into()),
        (1, joining_consumer(group, topic).into()),
        (1, ConsumerGroupDescribeRequest { group_ids: groups, ..Default::default() }.into()),
    ]
}

fn codes(peer: &mut Peer, version: i16, request: AnyRequest) -> Vec<ErrorCode> {
    let mut codes = Vec::new();
    peer.ask_any(version, request).unwrap().faults(&mut |code| codes.push(code));
    codes
}

#[test]
fn a_group_is_served_by_its_coordinator_alone() {
    let bench = Bench::new(Cluster::builder());
    let topic = bench.topic_as(TopicSpec::new("t"));
    let group = group_on(2, 1);
    assert_eq!(coordinator(&mut bench.peer(1), &group), 2);
    for (version, request) in every_api(&group, &topic) {
        let key = request.key();
        let told = codes(&mut bench.peer(3), version, request);
        assert_eq!(told, [ErrorCode::NOT_COORDINATOR], "{key} {version}");
    }
    settle(&mut bench.peer(2), &group);
    let listed = [1, 2, 3].map(|broker| bench.peer(broker).ask(5, ListGroupsRequest::default()).groups.len());
    assert_eq!(listed, [0, 1, 0]);
}

#[test]
fn a_group_goes_on_with_another_coordinator() {
    let bench = Bench::new(Cluster::builder());
    let topic = bench.topic_as(TopicSpec::new("t"));
    let [classic, consumer] = [group_on(3, 1), group_on(3, 2)];
    let member = settle(&mut bench.peer(3), &classic);
    let mine = OffsetCommitRequest {
        generation_id_or_member_epoch: member.generation_id,
        member_id: member.member_id.clone(),
        ..committing(&classic, &topic, 7)
    };
    assert_eq!(codes(&mut bench.peer(3), 9, mine.into()), []);
    let epoch = bench.peer(3).ask(1, joining_consumer(&consumer, &topic)).member_epoch;
    let beat = ConsumerGroupHeartbeatRequest {
        group_id: consumer.clone(),
        member_id: "member".into(),
        member_epoch: epoch,
        ..Default::default()
    };
    bench.stop(3);
    assert_eq!(coordinator(&mut bench.peer(1), &classic), 1);
    for broker in [1, 3] {
        let mut peer = bench.peer(broker);
        assert_eq!(peer.ask(4, beating(&classic, &member)).error_code, NONE, "the same generation");
        assert_eq!(committed(&mut peer, &classic, &topic), 7);
        let heard = bench.peer(if broker == 1 { 2 } else { 3 }).ask(1, beat.clone());
        assert_eq!((heard.error_code, heard.member_epoch), (NONE, epoch));
        if broker == 1 {
            bench.start(3);
        }
    }
}

#[test]
fn who_waits_for_others_hears_that_the_coordinator_is_another() {
    let bench = Bench::new(Cluster::builder());
    let group = group_on(1, 2);
    let first = settle(&mut bench.peer(1), &group);
    let mut second = bench.peer(1);
    let id = second.ask(9, joining(&group, &Text::default(), &["range"])).member_id;
    let waiting = second.send(9, joining(&group, &id, &["range"]).into());
    thread::sleep(Duration::from_millis(100));
    bench.stop(3);
    let told = second.take::<JoinGroupRequest>(9, waiting).unwrap();
    assert_eq!(told.error_code, ErrorCode::NOT_COORDINATOR);
    let mut there = bench.peer(2);
    assert_eq!(there.ask(4, beating(&group, &first)).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(there.ask(9, joining(&group, &first.member_id, &["range"])).generation_id.0, 2);
}

#[test]
fn sessions_may_be_as_short_as_the_builder_says() {
    let shortest = Duration::from_millis(100);
    let bench = Bench::new(Cluster::builder().brokers(1).group_session_timeouts(shortest..=shortest * 10));
    let (mut peer, group): (_, Text) = (bench.peer(1), "g".into());
    for (session_timeout_ms, code) in [
        (99, ErrorCode::INVALID_SESSION_TIMEOUT),
        (1001, ErrorCode::INVALID_SESSION_TIMEOUT),
        (100, ErrorCode::MEMBER_ID_REQUIRED),
        (1000, ErrorCode::MEMBER_ID_REQUIRED),
    ] {
        let request =
            JoinGroupRequest { session_timeout_ms, ..joining(&group, &Text::default(), &["range"]) };
        assert_eq!(peer.ask(9, request).error_code, code, "{session_timeout_ms}");
    }
    let brief = |id: &Text| JoinGroupRequest { session_timeout_ms: 200, ..joining(&group, id, &["range"]) };
    let id = peer.ask(9, brief(&Text::default())).member_id;
    let silent = peer.ask(9, brief(&id));
    // The other one waits for it, and nobody says anything.
    let mut other = bench.peer(1);
    let id = other.ask(9, brief(&Text::default())).member_id;
    let alone = other.ask(9, brief(&id));
    assert_eq!((alone.error_code, alone.members.len()), (NONE, 1));
    assert_eq!(peer.ask(4, beating(&group, &silent)).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn each_api_has_a_place_for_a_code_and_does_nothing() {
    let bench = Bench::new(Cluster::builder().brokers(1));
    let topic = bench.topic_as(TopicSpec::new("t"));
    let (mut peer, group): (_, Text) = (bench.peer(1), "g".into());
    let code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    let listing = (5, AnyRequest::from(ListGroupsRequest::default()));
    bench.cluster.add_fault(Fault::new(Fate::Fail(code)));
    for (version, request) in every_api(&group, &topic).into_iter().chain([listing]) {
        let key = request.key();
        assert_eq!(codes(&mut peer, version, request), [code], "{key} {version}");
    }
    bench.cluster.clear_faults();
    assert_eq!(peer.ask(5, ListGroupsRequest::default()).groups, [], "nothing was done");
    // Codes of partitions are for partitions, of which some may be meant.
    let unstable = Fault::new(Fate::Fail(ErrorCode::UNSTABLE_OFFSET_COMMIT)).topic("t");
    bench.cluster.add_fault(unstable.api(ApiKey::OFFSET_FETCH).times(1));
    let told = peer.ask(9, fetching(&group, Some(&topic))).groups[0].clone();
    assert_eq!(
        (told.error_code, told.topics[0].partitions[0].error_code),
        (NONE, ErrorCode::UNSTABLE_OFFSET_COMMIT)
    );
    assert_eq!(committed(&mut peer, &group, &topic), -1);
}

#[test]
fn what_is_done_and_refused_or_not_answered_is_done() {
    let bench = Bench::new(Cluster::builder().brokers(1));
    let topic = bench.topic_as(TopicSpec::new("t"));
    let (mut peer, group): (_, Text) = (bench.peer(1), "g".into());
    let code = ErrorCode::REQUEST_TIMED_OUT;
    let fault = |fate, api| Fault::new(fate).api(api).times(1);
    bench.cluster.add_fault(fault(Fate::FailAfterwards(code), ApiKey::OFFSET_COMMIT));
    assert_eq!(codes(&mut peer, 9, committing(&group, &topic, 5).into()), [code]);
    assert_eq!(committed(&mut peer, &group, &topic), 5);
    bench.cluster.add_fault(fault(Fate::LoseAnswer, ApiKey::OFFSET_COMMIT));
    peer.send(9, committing(&group, &topic, 6).into());
    assert_eq!(committed(&mut peer, &group, &topic), 6);

    let first = settle(&mut bench.peer(1), &group);
    bench.cluster.add_fault(fault(Fate::FailAfterwards(code), ApiKey::JOIN_GROUP));
    let again = peer.ask(9, joining(&group, &first.member_id, &["range"]));
    assert_eq!(again.error_code, code);
    assert_eq!(peer.ask(4, beating(&group, &first)).error_code, ErrorCode::ILLEGAL_GENERATION);
    // A join that would wait is not waited for; the group waits for whoever does not know that it is in.
    let lent = peer.ask(9, joining(&group, &Text::default(), &["range"])).member_id;
    bench.cluster.add_fault(fault(Fate::LoseAnswer, ApiKey::JOIN_GROUP));
    peer.send(9, joining(&group, &lent, &["range"]).into());
    let second = peer.ask(9, joining(&group, &first.member_id, &["range"]));
    assert_eq!((second.generation_id.0, second.members.len()), (3, 2));
}

#[test]
fn a_client_that_hangs_up_while_it_waits_leaves_its_member_behind() {
    let bench = Bench::new(Cluster::builder().brokers(1));
    let (mut peer, group): (_, Text) = (bench.peer(1), "g".into());
    let first = settle(&mut peer, &group);
    let mut gone = bench.peer(1);
    let id = gone.ask(9, joining(&group, &Text::default(), &["range"])).member_id;
    gone.send(9, joining(&group, &id, &["range"]).into());
    while peer.ask(4, beating(&group, &first)).error_code == NONE {
        thread::sleep(Duration::from_millis(10));
    }
    drop(gone);
    thread::sleep(Duration::from_millis(50));
    let both = peer.ask(9, joining(&group, &first.member_id, &["range"]));
    assert_eq!(both.members.len(), 2, "its session decides");
    let third = join(&mut bench.peer(1), &"another".into(), &["range"]);
    assert_eq!(third.generation_id.0, 1, "other groups are not concerned");
}

/// The one who waits and would have looked at the group when it is due may go away before.
#[test]
fn who_waits_is_not_forgotten_when_another_one_hangs_up() {
    let sessions = Duration::from_secs(1)..=Duration::from_secs(60);
    let bench = Bench::new(Cluster::builder().brokers(1).group_session_timeouts(sessions));
    let group = Text::from("g");
    let asking = |id: &Text, session_timeout_ms| JoinGroupRequest {
        session_timeout_ms,
        rebalance_timeout_ms: 60_000,
        ..joining(&group, id, &["range"])
    };
    let lend = |peer: &mut Peer, ms| peer.ask(9, asking(&Text::default(), ms)).member_id;
    let (mut first, mut gone, mut idle) = (bench.peer(1), bench.peer(1), bench.peer(1));
    let id = lend(&mut first, 60_000);
    first.ask(9, asking(&id, 60_000));
    let of_gone = lend(&mut gone, 60_000);
    gone.send(9, asking(&of_gone, 60_000).into());
    // Those that were lent an id are waited for.
    let long = lend(&mut idle, 60_000);
    thread::sleep(Duration::from_millis(100));
    let waiting = first.send(9, asking(&id, 60_000).into());
    thread::sleep(Duration::from_millis(100));
    lend(&mut idle, 1_000);
    let leaving = LeavingMember { member_id: long, ..Default::default() };
    assert_eq!(codes(&mut idle, 5, LeaveGroupRequest::one(group.clone(), leaving, 5).into()), []);
    drop(gone);
    let told = first.take::<JoinGroupRequest>(9, waiting).expect("nobody else is waited for");
    assert_eq!((told.error_code, told.members.len()), (NONE, 2));
}

/// It is kept, and so it has a limit: a frame may have a hundred times as much.
#[test]
fn what_members_bring_has_a_limit() {
    let bench = Bench::new(Cluster::builder().brokers(1));
    let (mut peer, group): (_, Text) = (bench.peer(1), "g".into());
    let bringing = |bytes: usize| {
        let mut request = joining(&group, &Text::default(), &["range", "sticky"]);
        request.protocols[1].metadata = vec![7; bytes].into();
        request
    };
    assert_eq!(peer.ask(9, bringing(1_000_000)).error_code, ErrorCode::MEMBER_ID_REQUIRED);
    assert_eq!(peer.ask(9, bringing(1 << 20)).error_code, ErrorCode::UNKNOWN_SERVER_ERROR);
    let member = join(&mut peer, &group, &["range"]);
    let assigning = |bytes: usize| {
        let one =
            SyncGroupAssignment { member_id: member.member_id.clone(), assignment: vec![7; bytes].into() };
        SyncGroupRequest {
            group_id: group.clone(),
            generation_id: member.generation_id,
            member_id: member.member_id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: vec![one],
            ..Default::default()
        }
    };
    assert_eq!(peer.ask(5, assigning((16 << 20) + 1)).error_code, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!(peer.ask(5, assigning(16 << 20)).assignment.len(), 16 << 20);
    let topic = Topic { name: "t".into(), id: Default::default() };
    let subscribing = |names: usize| ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some((0..names).map(|at| format!("{at:0100}").into()).collect()),
        ..joining_consumer(&"modern".into(), &topic)
    };
    assert_eq!(peer.ask(1, subscribing(10_486)).error_code, ErrorCode::INVALID_REQUEST);
    assert_eq!(peer.ask(1, subscribing(10_485)).error_code, NONE);
}

#[test]
fn offsets_are_recorded_with_the_partitions_that_they_are_of() {
    let bench = Bench::new(Cluster::builder().brokers(1).keep_requests(100));
    let topic = bench.topic_as(TopicSpec::new("t"));
    let (mut peer, group): (_, Text) = (bench.peer(1), "g".into());
    peer.ask(10, committing(&group, &topic, 5));
    peer.ask(9, fetching(&group, Some(&topic)));
    peer.ask(9, fetching(&group, None));
    let partition = OffsetDeletePartition { partition_index: 0 };
    let deleting = OffsetDeleteTopic { name: topic.name.clone(), partitions: vec![partition] };
    peer.ask(0, OffsetDeleteRequest { group_id: group.clone(), topics: vec![deleting] });
    let seen = bench.cluster.requests();
    let about: Vec<_> = seen.iter().rev().take(4).rev().map(|seen| seen.partitions.clone()).collect();
    let (one, whole) = (vec![("t".to_owned(), Some(0))], vec![("t".to_owned(), None)]);
    assert_eq!(about, [one.clone(), one.clone(), whole, one]);
}
