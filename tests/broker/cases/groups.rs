//! Groups of the classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup; DescribeGroups, ListGroups, DeleteGroups.

use super::Target;
use super::transactions::settled;
use crate::peer::Peer;
use crate::real::kafka::unique;
use bytes::Bytes;
use ottla::messages::{
    CoordinatorType, DeleteGroupsRequest, DescribeGroupsRequest, DescribedGroup, ErrorCode,
    FindCoordinatorRequest, GenerationId, HeartbeatRequest, JoinGroupProtocol, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeavingMember, ListGroupsRequest, ListedGroup, SyncGroupAssignment,
    SyncGroupRequest, SyncGroupResponse,
};
use ottla::wire::Text;
use std::thread;
use std::time::Duration;

/// A group that nobody else uses, whose coordinator is ready.
pub fn group(target: &Target) -> Text {
    let group: Text = unique("group").into();
    let mut peer = target.connect();
    let find = FindCoordinatorRequest::one(CoordinatorType::GROUP, group.clone(), 4);
    let probe =
        HeartbeatRequest { group_id: group.clone(), member_id: "nobody".into(), ..Default::default() };
    for _ in 0..300 {
        let found = peer.ask(4, find.clone()).coordinators[0].error_code.is_none();
        if found && peer.ask(4, probe.clone()).error_code == ErrorCode::UNKNOWN_MEMBER_ID {
            return group;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("no coordinator of {group}");
}

/// A wish to join with these assignors; the second byte of what is told to one is its place.
pub fn joining(group: &Text, member_id: &Text, assignors: &[&str]) -> JoinGroupRequest {
    let protocol = |(place, name): (u8, &&str)| JoinGroupProtocol {
        name: (*name).into(),
        metadata: vec![7, place].into(),
    };
    JoinGroupRequest {
        group_id: group.clone(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member_id.clone(),
        protocol_type: "consumer".into(),
        protocols: (0..).zip(assignors).map(protocol).collect(),
        ..Default::default()
    }
}

fn static_joining(group: &Text, instance: &str, assignors: &[&str]) -> JoinGroupRequest {
    JoinGroupRequest {
        group_instance_id: Some(instance.into()),
        ..joining(group, &Text::default(), assignors)
    }
}

/// Joins as a new dynamic member, with the detour by way of MEMBER_ID_REQUIRED; the answer is not waited for.
fn begin_join(peer: &mut Peer, group: &Text, assignors: &[&str]) -> (Text, i32) {
    let first = peer.ask(9, joining(group, &Text::default(), assignors));
    assert_eq!(first.error_code, ErrorCode::MEMBER_ID_REQUIRED, "{first:?}");
    let again = joining(group, &first.member_id, assignors);
    (first.member_id, peer.send(9, again.into()))
}

/// The same, with the answer, which must be a good one.
pub fn join(peer: &mut Peer, group: &Text, assignors: &[&str]) -> JoinGroupResponse {
    let (_, correlation_id) = begin_join(peer, group, assignors);
    joined(peer, correlation_id)
}

fn joined(peer: &mut Peer, correlation_id: i32) -> JoinGroupResponse {
    let joined = peer.take::<JoinGroupRequest>(9, correlation_id).unwrap();
    assert_eq!(joined.error_code, ErrorCode::NONE, "{joined:?}");
    joined
}

fn syncing(
    group: &Text,
    member: &JoinGroupResponse,
    assigned: &[(&Text, &'static [u8])],
) -> SyncGroupRequest {
    let assignment = |(member_id, assignment): &(&Text, &'static [u8])| SyncGroupAssignment {
        member_id: (*member_id).clone(),
        assignment: Bytes::from_static(assignment),
    };
    SyncGroupRequest {
        group_id: group.clone(),
        generation_id: member.generation_id,
        member_id: member.member_id.clone(),
        protocol_type: member.protocol_type.clone(),
        protocol_name: member.protocol_name.clone(),
        assignments: assigned.iter().map(assignment).collect(),
        ..Default::default()
    }
}

fn synced(peer: &mut Peer, correlation_id: i32) -> SyncGroupResponse {
    peer.take::<SyncGroupRequest>(5, correlation_id).unwrap()
}

/// Joins alone and gets an assignment.
pub fn settle(peer: &mut Peer, group: &Text) -> JoinGroupResponse {
    let member = join(peer, group, &["range"]);
    let done = peer.ask(5, syncing(group, &member, &[(&member.member_id, b"all")]));
    assert_eq!((done.error_code, &done.assignment[..]), (ErrorCode::NONE, &b"all"[..]));
    member
}

fn beat(peer: &mut Peer, group: &Text, member_id: &Text, generation: GenerationId) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: group.clone(),
        generation_id: generation,
        member_id: member_id.clone(),
        ..Default::default()
    };
    peer.ask(4, request).error_code
}

/// Until the coordinator has taken up what others sent by their own connections, and wants the member to join again.
fn await_rebalance(peer: &mut Peer, group: &Text, member: &JoinGroupResponse) {
    let mut beat = || beat(peer, group, &member.member_id, member.generation_id);
    let told = settled(&mut beat, |code| !code.is_none());
    assert_eq!(told, ErrorCode::REBALANCE_IN_PROGRESS);
}

fn leave(peer: &mut Peer, group: &Text, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
    let member = |(id, instance): &(&str, Option<&str>)| LeavingMember {
        member_id: (*id).into(),
        group_instance_id: instance.map(Text::from),
        reason: None,
    };
    let request = LeaveGroupRequest {
        group_id: group.clone(),
        members: members.iter().map(member).collect(),
        ..Default::default()
    };
    let left = peer.ask(5, request);
    assert_eq!(left.error_code, ErrorCode::NONE);
    left.members.iter().map(|member| member.error_code).collect()
}

fn describe(peer: &mut Peer, version: i16, group: &Text) -> DescribedGroup {
    let request = DescribeGroupsRequest { groups: vec![group.clone()], ..Default::default() };
    peer.ask(version, request).groups[0].clone()
}

fn state(peer: &mut Peer, group: &Text) -> String {
    describe(peer, 6, group).group_state.to_string()
}

fn listed(peer: &mut Peer, version: i16, request: ListGroupsRequest, group: &Text) -> Option<ListedGroup> {
    let listed = peer.ask(version, request);
    assert_eq!(listed.error_code, ErrorCode::NONE);
    listed.groups.into_iter().find(|listed| listed.group_id == *group)
}

pub fn a_member_joins_and_gets_its_assignment_in_every_version(target: &Target) {
    let mut peer = target.connect();
    for version in 0..=9 {
        let group = group(target);
        let mut joined = peer.ask(version, joining(&group, &Text::default(), &["range"]));
        if version >= 4 {
            assert_eq!(joined.error_code, ErrorCode::MEMBER_ID_REQUIRED);
            assert_eq!((joined.generation_id.0, joined.leader.as_str()), (-1, ""));
            let name = if version >= 7 { None } else { Some(Text::default()) };
            assert_eq!(joined.protocol_name, name);
            assert!(joined.member_id.starts_with("peer-"), "{joined:?}");
            joined = peer.ask(version, joining(&group, &joined.member_id, &["range"]));
        }
        assert_eq!((joined.error_code, joined.generation_id.0), (ErrorCode::NONE, 1), "{joined:?}");
        assert_eq!((&joined.leader, joined.skip_assignment), (&joined.member_id, false));
        assert_eq!(joined.protocol_name, Some("range".into()));
        assert_eq!(joined.protocol_type, (version >= 7).then(|| "consumer".into()));
        let members: Vec<_> = joined.members.iter().map(|m| (&m.member_id, &m.metadata[..])).collect();
        assert_eq!(members, [(&joined.member_id, &[7, 0][..])]);
        // Version 5 wants the protocol type, which JoinGroup tells since version 7.
        let sync = if version >= 7 { 5 } else { version.min(4) };
        let synced = peer.ask(sync, syncing(&group, &joined, &[(&joined.member_id, b"all")]));
        assert_eq!((synced.error_code, &synced.assignment[..]), (ErrorCode::NONE, &b"all"[..]));
        assert_eq!(synced.protocol_name, (sync >= 5).then(|| "range".into()));
        assert_eq!(beat(&mut peer, &group, &joined.member_id, joined.generation_id), ErrorCode::NONE);
        let member = LeavingMember { member_id: joined.member_id.clone(), ..Default::default() };
        let left = peer.ask(version.min(5), LeaveGroupRequest::one(group.clone(), member, version.min(5)));
        assert_eq!(left.error_of_one(), ErrorCode::NONE);
        assert_eq!(state(&mut peer, &group), "Empty");
    }
}

pub fn a_second_member_makes_the_first_join_again(target: &Target) {
    let (mut a, mut b, group) = (target.connect(), target.connect(), group(target));
    let first = settle(&mut a, &group);
    let (id, joining_b) = begin_join(&mut b, &group, &["range", "roundrobin"]);
    await_rebalance(&mut a, &group, &first);
    let early = a.ask(5, syncing(&group, &first, &[]));
    assert_eq!(early.error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(state(&mut a, &group), "PreparingRebalance");
    let leader = a.ask(9, joining(&group, &first.member_id, &["range"]));
    let follower = joined(&mut b, joining_b);
    assert_eq!((leader.generation_id.0, follower.generation_id.0), (2, 2));
    assert_eq!((&leader.leader, &follower.leader), (&first.member_id, &first.member_id));
    assert_eq!((leader.members.len(), follower.members.len()), (2, 0), "the leader alone is told of all");
    assert_eq!((follower.member_id.clone(), follower.protocol_name.clone()), (id, Some("range".into())));
    assert_eq!(state(&mut a, &group), "CompletingRebalance");
    let waiting = b.send(5, syncing(&group, &follower, &[]).into());
    let own = a.ask(5, syncing(&group, &leader, &[(&follower.member_id, b"b"), (&leader.member_id, b"a")]));
    assert_eq!((own.error_code, &own.assignment[..]), (ErrorCode::NONE, &b"a"[..]));
    assert_eq!(&synced(&mut b, waiting).assignment[..], b"b");
    // It may be asked for again.
    assert_eq!(&b.ask(5, syncing(&group, &follower, &[])).assignment[..], b"b");
    assert_eq!(state(&mut a, &group), "Stable");
}

pub fn a_member_that_leaves_makes_the_others_join_again(target: &Target) {
    let (mut a, mut b, group) = (target.connect(), target.connect(), group(target));
    let first = settle(&mut a, &group);
    let (id, joining_b) = begin_join(&mut b, &group, &["range"]);
    a.ask(9, joining(&group, &first.member_id, &["range"]));
    let follower = joined(&mut b, joining_b);
    let waiting = b.send(5, syncing(&group, &follower, &[]).into());
    thread::sleep(Duration::from_millis(100));
    // Who waits for an assignment that will not come is told.
    assert_eq!(leave(&mut a, &group, &[(&first.member_id, None)]), [ErrorCode::NONE]);
    assert_eq!(synced(&mut b, waiting).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    let alone = b.ask(9, joining(&group, &id, &["range"]));
    assert_eq!((alone.generation_id.0, &alone.leader), (3, &id));
    assert_eq!(alone.members.len(), 1);
}

pub fn who_waits_to_be_let_in_and_is_made_to_leave_is_unknown(target: &Target) {
    let (mut a, mut b, group) = (target.connect(), target.connect(), group(target));
    let first = settle(&mut a, &group);
    let (id, joining_b) = begin_join(&mut b, &group, &["range"]);
    await_rebalance(&mut a, &group, &first);
    assert_eq!(leave(&mut a, &group, &[(&id, None)]), [ErrorCode::NONE]);
    let refused = b.take::<JoinGroupRequest>(9, joining_b).unwrap();
    assert_eq!((refused.error_code, refused.member_id.as_str()), (ErrorCode::UNKNOWN_MEMBER_ID, ""));
    assert_eq!(beat(&mut a, &group, &first.member_id, first.generation_id), ErrorCode::REBALANCE_IN_PROGRESS);
}

pub fn what_cannot_join_is_refused_by_code(target: &Target) {
    let (mut peer, group) = (target.connect(), group(target));
    let none = Text::default();
    let code = |peer: &mut Peer, request: JoinGroupRequest| {
        let refused = peer.ask(9, request.clone());
        assert_eq!((refused.generation_id.0, refused.protocol_name), (-1, None));
        assert_eq!(refused.member_id, request.member_id);
        refused.error_code
    };
    assert_eq!(code(&mut peer, joining(&none, &none, &["range"])), ErrorCode::INVALID_GROUP_ID);
    for session_timeout_ms in [-1, 0, 5_999, 1_800_001] {
        let request = JoinGroupRequest { session_timeout_ms, ..joining(&group, &none, &["range"]) };
        assert_eq!(code(&mut peer, request), ErrorCode::INVALID_SESSION_TIMEOUT, "{session_timeout_ms}");
    }
    let stranger = joining(&group, &"stranger".into(), &["range"]);
    assert_eq!(code(&mut peer, stranger.clone()), ErrorCode::UNKNOWN_MEMBER_ID, "no such group");
    assert_eq!(code(&mut peer, joining(&group, &none, &[])), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let typeless = JoinGroupRequest { protocol_type: none.clone(), ..joining(&group, &none, &["range"]) };
    assert_eq!(code(&mut peer, typeless), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);

    let member = settle(&mut peer, &group);
    assert_eq!(code(&mut peer, stranger), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(code(&mut peer, joining(&group, &none, &["sticky"])), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let other = JoinGroupRequest { protocol_type: "connect".into(), ..joining(&group, &none, &["range"]) };
    assert_eq!(code(&mut peer, other), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let instance = JoinGroupRequest {
        group_instance_id: Some("x".into()),
        ..joining(&group, &member.member_id, &["range"])
    };
    assert_eq!(code(&mut peer, instance), ErrorCode::UNKNOWN_MEMBER_ID);
}

pub fn generations_and_members_are_checked(target: &Target) {
    let (mut peer, group) = (target.connect(), group(target));
    let member = settle(&mut peer, &group);
    let (id, now, old) = (&member.member_id, member.generation_id, GenerationId(0));
    assert_eq!(beat(&mut peer, &group, id, old), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(beat(&mut peer, &group, &"x".into(), now), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(beat(&mut peer, &Text::default(), id, now), ErrorCode::INVALID_GROUP_ID);
    assert_eq!(beat(&mut peer, &"no-such-group".into(), id, now), ErrorCode::UNKNOWN_MEMBER_ID);
    let sync = syncing(&group, &member, &[]);
    let code = |peer: &mut Peer, request: SyncGroupRequest| peer.ask(5, request).error_code;
    let request = SyncGroupRequest { generation_id: old, ..sync.clone() };
    assert_eq!(code(&mut peer, request), ErrorCode::ILLEGAL_GENERATION);
    let request = SyncGroupRequest { member_id: "x".into(), ..sync.clone() };
    assert_eq!(code(&mut peer, request), ErrorCode::UNKNOWN_MEMBER_ID);
    let request = SyncGroupRequest { protocol_name: Some("sticky".into()), ..sync.clone() };
    assert_eq!(code(&mut peer, request), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let request = SyncGroupRequest { protocol_type: None, ..sync.clone() };
    assert_eq!(code(&mut peer, request), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let request = SyncGroupRequest { group_id: Text::default(), ..sync.clone() };
    assert_eq!(code(&mut peer, request), ErrorCode::INVALID_GROUP_ID);
    let request = SyncGroupRequest { group_id: "no-such-group".into(), ..sync };
    assert_eq!(code(&mut peer, request), ErrorCode::UNKNOWN_MEMBER_ID);
}

pub fn a_member_that_joins_again_is_told_what_it_knows_unless_something_changed(target: &Target) {
    let (mut a, mut b, group) = (target.connect(), target.connect(), group(target));
    let first = settle(&mut a, &group);
    let (id, joining_b) = begin_join(&mut b, &group, &["range"]);
    let leader = a.ask(9, joining(&group, &first.member_id, &["range"]));
    let follower = joined(&mut b, joining_b);
    // While the leader assigns, both are told again.
    let again = b.ask(9, joining(&group, &id, &["range"]));
    assert_eq!(again, follower);
    let again = a.ask(9, joining(&group, &first.member_id, &["range"]));
    assert_eq!((again.generation_id, again.members.len()), (leader.generation_id, 2));
    a.ask(5, syncing(&group, &leader, &[]));
    b.ask(5, syncing(&group, &follower, &[]));
    let again = b.ask(9, joining(&group, &id, &["range"]));
    assert_eq!((again.generation_id.0, again.members.len()), (2, 0), "a follower without news");
    // A leader that joins again wants another generation, and so does a follower with other assignors.
    let waiting = a.send(9, joining(&group, &first.member_id, &["range"]).into());
    let changed = b.ask(9, joining(&group, &id, &["roundrobin", "range"]));
    assert_eq!((changed.generation_id.0, joined(&mut a, waiting).generation_id.0), (3, 3));
}

pub fn members_vote_for_an_assignor_that_all_have(target: &Target) {
    let (mut peers, group) = ([(); 3].map(|()| target.connect()), group(target));
    let first = join(&mut peers[0], &group, &["a", "b", "c"]);
    let second = begin_join(&mut peers[1], &group, &["b", "c"]);
    let third = begin_join(&mut peers[2], &group, &["c", "b", "a"]);
    // They came by other connections: one that joins again before them is told what it knows.
    await_rebalance(&mut peers[0], &group, &first);
    let all = [
        peers[0].ask(9, joining(&group, &first.member_id, &["a", "b", "c"])),
        joined(&mut peers[1], second.1),
        joined(&mut peers[2], third.1),
    ];
    // `a` is not everybody's; of the others two want `b` first, one `c`.
    assert!(all.iter().all(|member| member.protocol_name == Some("b".into())), "{all:?}");
    let mut told: Vec<_> = all[0].members.iter().map(|member| member.metadata.to_vec()).collect();
    told.sort();
    assert_eq!(told, [[7, 0], [7, 1], [7, 1]], "what each told that assignor");
}

pub fn a_static_member_comes_back_without_a_rebalance(target: &Target) {
    let (mut a, mut b, group) = (target.connect(), target.connect(), group(target));
    let first = a.ask(9, static_joining(&group, "one", &["range"]));
    assert_eq!((first.error_code, first.generation_id.0), (ErrorCode::NONE, 1), "{first:?}");
    assert!(first.member_id.starts_with("one-"));
    assert_eq!(first.members[0].group_instance_id, Some("one".into()));
    a.ask(5, syncing(&group, &first, &[(&first.member_id, b"all")]));

    let back = b.ask(9, static_joining(&group, "one", &["range"]));
    assert_eq!((back.error_code, back.generation_id.0), (ErrorCode::NONE, 1));
    assert!(back.member_id != first.member_id && back.skip_assignment);
    assert_eq!((&back.leader, back.members.len()), (&back.member_id, 1));
    assert_eq!(&b.ask(5, syncing(&group, &back, &[])).assignment[..], b"all");

    // An old client is not told that it leads: it would assign, and nobody would hear of it.
    let old = b.ask(8, static_joining(&group, "one", &["range"]));
    assert_eq!((old.skip_assignment, old.members.len()), (false, 0));
    assert_eq!(old.leader, back.member_id);
    let fenced = SyncGroupRequest { group_instance_id: Some("one".into()), ..syncing(&group, &first, &[]) };
    assert_eq!(a.ask(5, fenced).error_code, ErrorCode::FENCED_INSTANCE_ID);
    let beat = |member_id: &Text| HeartbeatRequest {
        group_id: group.clone(),
        generation_id: GenerationId(1),
        member_id: member_id.clone(),
        group_instance_id: Some("one".into()),
    };
    assert_eq!(a.ask(4, beat(&first.member_id)).error_code, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(a.ask(4, beat(&old.member_id)).error_code, ErrorCode::NONE);
    let fenced =
        JoinGroupRequest { member_id: first.member_id.clone(), ..static_joining(&group, "one", &["range"]) };
    assert_eq!(a.ask(9, fenced).error_code, ErrorCode::FENCED_INSTANCE_ID);
    // With other assignors it makes a difference to the others.
    let changed = b.ask(9, static_joining(&group, "one", &["sticky", "range"]));
    assert_eq!((changed.generation_id.0, changed.skip_assignment), (2, false));
}

pub fn who_leaves_is_told_one_by_one(target: &Target) {
    let (mut peer, group) = (target.connect(), group(target));
    let unknown = [("x", None), ("", Some("one")), ("x", Some("one"))];
    assert_eq!(leave(&mut peer, &group, &unknown), [ErrorCode::UNKNOWN_MEMBER_ID; 3], "no such group");
    let member = peer.ask(9, static_joining(&group, "one", &["range"]));
    peer.ask(5, syncing(&group, &member, &[]));
    let borrowed = peer.ask(9, joining(&group, &Text::default(), &["range"])).member_id;
    let leaving = [
        ("x", None),
        ("x", Some("one")),
        ("", Some("two")),
        ("", None),
        (&borrowed, None),
        ("", Some("one")),
    ];
    let codes = [
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::FENCED_INSTANCE_ID,
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::NONE,
        ErrorCode::NONE,
    ];
    assert_eq!(leave(&mut peer, &group, &leaving), codes);
    assert_eq!(state(&mut peer, &group), "Empty");
    for version in 0..=5 {
        let member = LeavingMember { member_id: "x".into(), ..Default::default() };
        let request = LeaveGroupRequest::one(Text::default(), member, version);
        assert_eq!(peer.ask(version, request).error_code, ErrorCode::INVALID_GROUP_ID);
    }
}

pub fn a_silent_member_is_gone_after_its_session(target: &Target) {
    let (mut a, mut b, group) = (target.connect(), target.connect(), group(target));
    let request =
        |id: &Text| JoinGroupRequest { session_timeout_ms: 6_000, ..joining(&group, id, &["range"]) };
    let id = a.ask(9, request(&Text::default())).member_id;
    let silent = a.ask(9, request(&id));
    a.ask(5, syncing(&group, &silent, &[]));
    let began = std::time::Instant::now();
    let alone = join(&mut b, &group, &["range"]);
    let waited = began.elapsed().as_secs_f64();
    assert!((5.0..8.0).contains(&waited), "waited {waited} s for a session of 6 s");
    assert_eq!((alone.generation_id.0, alone.members.len()), (2, 1));
    assert_eq!(beat(&mut a, &group, &id, silent.generation_id), ErrorCode::UNKNOWN_MEMBER_ID);
}

pub fn a_group_is_described_by_its_state(target: &Target) {
    let (mut peer, group) = (target.connect(), group(target));
    for version in 0..=6 {
        let dead = describe(&mut peer, version, &group);
        let code = if version >= 6 { ErrorCode::GROUP_ID_NOT_FOUND } else { ErrorCode::NONE };
        assert_eq!((dead.error_code, dead.group_state.as_str()), (code, "Dead"), "version {version}");
        assert_eq!(dead.error_message.is_some(), version >= 6);
    }
    let member = settle(&mut peer, &group);
    for version in 0..=6 {
        let described = describe(&mut peer, version, &group);
        assert_eq!((described.error_code, described.group_state.as_str()), (ErrorCode::NONE, "Stable"));
        assert_eq!(
            (described.protocol_type.as_str(), described.protocol_data.as_str()),
            ("consumer", "range")
        );
        let told = &described.members[0];
        assert_eq!((&told.member_id, told.client_id.as_str()), (&member.member_id, "peer"));
        assert_eq!(told.client_host, "/127.0.0.1");
        assert_eq!((&told.member_metadata[..], &told.member_assignment[..]), (&[7, 0][..], &b"all"[..]));
        assert_eq!(described.authorized_operations, i32::MIN);
    }
    let request = DescribeGroupsRequest {
        groups: vec![group.clone(), Text::default()],
        include_authorized_operations: true,
    };
    let mut both = peer.ask(6, request).groups;
    both.sort_by_key(|described| described.group_id.clone());
    assert_eq!(both[0].error_code, ErrorCode::GROUP_ID_NOT_FOUND, "{:?}", both[0]);
    assert_eq!(both[1].authorized_operations, 3400);
    leave(&mut peer, &group, &[(&member.member_id, None)]);
    let empty = describe(&mut peer, 6, &group);
    assert_eq!((empty.group_state.as_str(), empty.protocol_type.as_str()), ("Empty", "consumer"));
    assert_eq!((empty.protocol_data.as_str(), empty.members.len()), ("", 0));
}

pub fn groups_are_listed_by_state_and_type(target: &Target) {
    let (mut peer, group) = (target.connect(), group(target));
    let all = ListGroupsRequest::default;
    assert_eq!(listed(&mut peer, 5, all(), &group), None);
    let member = settle(&mut peer, &group);
    for version in 0..=5 {
        let found = listed(&mut peer, version, all(), &group).unwrap();
        assert_eq!(found.protocol_type, "consumer");
        assert_eq!(found.group_state, if version >= 4 { "Stable" } else { "" });
        assert_eq!(found.group_type, if version >= 5 { "classic" } else { "" });
    }
    let by = |states: &[&str], types: &[&str]| ListGroupsRequest {
        states_filter: states.iter().map(|state| Text::from(*state)).collect(),
        types_filter: types.iter().map(|kind| Text::from(*kind)).collect(),
    };
    for (states, types, is_listed) in [
        (&["Stable"][..], &[][..], true),
        (&["stable"], &["Classic"], true),
        (&["Empty", "Stable"], &["consumer", "classic"], true),
        (&["Empty"], &[], false),
        (&[], &["consumer"], false),
        (&["Nonsense"], &[], false),
    ] {
        assert_eq!(
            listed(&mut peer, 5, by(states, types), &group).is_some(),
            is_listed,
            "{states:?} {types:?}"
        );
    }
    leave(&mut peer, &group, &[(&member.member_id, None)]);
    assert!(listed(&mut peer, 5, by(&["Empty"], &[]), &group).is_some());
}

pub fn groups_are_deleted_when_they_are_empty(target: &Target) {
    let (mut peer, group) = (target.connect(), group(target));
    let delete = |peer: &mut Peer, version, group: &Text| {
        let request = DeleteGroupsRequest { groups_names: vec![group.clone()] };
        let deleted = peer.ask(version, request);
        assert_eq!(deleted.results[0].group_id, *group);
        deleted.results[0].error_code
    };
    for version in 0..=2 {
        assert_eq!(delete(&mut peer, version, &group), ErrorCode::GROUP_ID_NOT_FOUND);
        let member = settle(&mut peer, &group);
        assert_eq!(member.generation_id.0, 1, "another group of that name");
        assert_eq!(delete(&mut peer, version, &group), ErrorCode::NON_EMPTY_GROUP);
        leave(&mut peer, &group, &[(&member.member_id, None)]);
        assert_eq!(delete(&mut peer, version, &group), ErrorCode::NONE);
        assert_eq!(state(&mut peer, &group), "Dead");
    }
    assert_eq!(delete(&mut peer, 2, &Text::default()), ErrorCode::GROUP_ID_NOT_FOUND);
}
