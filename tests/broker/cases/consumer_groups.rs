//! Groups of the protocol of KIP-848: ConsumerGroupHeartbeat, ConsumerGroupDescribe.

use super::groups::{group, settle};
use super::{Target, Topic};
use crate::peer::Peer;
use ottla::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatPartitions, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, DeleteGroupsRequest, DescribeGroupsRequest, DescribedConsumerGroup,
    ErrorCode, GenerationId, HeartbeatRequest, ListGroupsRequest, MemberEpoch, OffsetCommitPartition,
    OffsetCommitRequest, OffsetCommitTopic, OffsetFetchGroup, OffsetFetchRequest, OffsetFetchTopic,
};
use ottla::wire::Text;
use std::thread;
use std::time::Duration;

/// The epoch of a new group.
const FIRST: i32 = 2;

/// A member, as it would describe itself.
#[derive(Debug, Clone)]
struct Member {
    group: Text,
    id: Text,
    instance: Option<Text>,
    epoch: i32,
    owned: Vec<i32>,
    topic: Topic,
}

impl Member {
    fn new(group: &Text, id: &str, topic: &Topic) -> Member {
        let (group, id, topic) = (group.clone(), format!("{group}-{id}").into(), topic.clone());
        Member { group, id, instance: None, epoch: 0, owned: Vec::new(), topic }
    }

    fn with_instance(self, instance: &str) -> Member {
        Member { instance: Some(instance.into()), ..self }
    }

    /// What it says when it joins.
    fn joining(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(vec![self.topic.name.clone()]),
            topic_partitions: Some(Vec::new()),
            member_epoch: MemberEpoch::JOIN,
            ..self.beating()
        }
    }

    /// What it says when there is no news.
    fn beating(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: MemberEpoch(self.epoch),
            instance_id: self.instance.clone(),
            ..Default::default()
        }
    }

    /// The same with what it owns.
    fn telling(&self) -> ConsumerGroupHeartbeatRequest {
        let own =
            ConsumerGroupHeartbeatPartitions { topic_id: self.topic.id, partitions: self.owned.clone() };
        ConsumerGroupHeartbeatRequest { topic_partitions: Some(vec![own]), ..self.beating() }
    }

    /// Says it, and takes in what it hears; what it is assigned, if that is told.
    #[track_caller]
    fn say(&mut self, peer: &mut Peer, request: ConsumerGroupHeartbeatRequest) -> Option<Vec<i32>> {
        let heard = peer.ask(1, request);
        assert_eq!(heard.error_code, ErrorCode::NONE, "{heard:?}");
        assert_eq!(heard.member_id.as_ref(), Some(&self.id));
        self.epoch = heard.member_epoch.0;
        let told = assigned(&heard);
        if let Some(told) = &told {
            self.owned.clone_from(told);
        }
        told
    }

    #[track_caller]
    fn join(&mut self, peer: &mut Peer) -> Option<Vec<i32>> {
        self.say(peer, self.joining())
    }

    #[track_caller]
    fn beat(&mut self, peer: &mut Peer) -> Option<Vec<i32>> {
        self.say(peer, self.beating())
    }

    #[track_caller]
    fn tell(&mut self, peer: &mut Peer) -> Option<Vec<i32>> {
        self.say(peer, self.telling())
    }

    /// Leaves, with -1 for good and with -2 to come back.
    fn leave(&mut self, peer: &mut Peer, epoch: i32) {
        self.epoch = epoch;
        let left = peer.ask(1, self.beating());
        assert_eq!((left.error_code, left.member_epoch.0), (ErrorCode::NONE, epoch), "{left:?}");
        (self.epoch, self.owned) = (0, Vec::new());
    }
}

/// The partitions of an assignment, if there is one.
fn assigned(heard: &ConsumerGroupHeartbeatResponse) -> Option<Vec<i32>> {
    let assignment = heard.assignment.as_ref()?;
    let topics = assignment.topic_partitions.iter();
    let mut partitions: Vec<i32> = topics.flat_map(|topic| topic.partitions.iter().copied()).collect();
    partitions.sort_unstable();
    Some(partitions)
}

fn code(peer: &mut Peer, request: ConsumerGroupHeartbeatRequest) -> ErrorCode {
    let heard = peer.ask(1, request);
    assert_eq!(heard.error_message.is_some(), !heard.error_code.is_none(), "{heard:?}");
    heard.error_code
}

fn describe(peer: &mut Peer, version: i16, group: &Text) -> DescribedConsumerGroup {
    let request = ConsumerGroupDescribeRequest { group_ids: vec![group.clone()], ..Default::default() };
    peer.ask(version, request).groups[0].clone()
}

fn state(peer: &mut Peer, group: &Text) -> String {
    describe(peer, 1, group).group_state.to_string()
}

pub fn a_member_alone_gets_everything(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic_with(4, &[]));
    for version in 0..=1 {
        let group = group(target);
        let mut member = Member::new(&group, "a", &topic);
        let id = if version == 0 { Text::default() } else { member.id.clone() };
        let heard = peer.ask(version, ConsumerGroupHeartbeatRequest { member_id: id, ..member.joining() });
        assert_eq!((heard.error_code, heard.error_message.clone()), (ErrorCode::NONE, None));
        assert_eq!((heard.member_epoch.0, assigned(&heard)), (FIRST, Some(vec![0, 1, 2, 3])));
        assert_eq!(heard.heartbeat_interval_ms, 5000);
        member.id = heard.member_id.unwrap();
        assert!(!member.id.is_empty());
        (member.epoch, member.owned) = (FIRST, vec![0, 1, 2, 3]);
        assert_eq!(member.beat(&mut peer), None, "nothing is new");
        assert_eq!(member.tell(&mut peer), None);
        // Who says everything is told everything.
        let all = ConsumerGroupHeartbeatRequest {
            topic_partitions: member.telling().topic_partitions,
            member_epoch: MemberEpoch(FIRST),
            ..member.joining()
        };
        assert_eq!(member.say(&mut peer, all), Some(vec![0, 1, 2, 3]));
        assert_eq!(state(&mut peer, &group), "Stable");
        member.leave(&mut peer, -1);
        assert_eq!(state(&mut peer, &group), "Empty");
    }
}

pub fn a_partition_is_given_only_when_it_was_given_back(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic_with(4, &[]));
    let [mut a, mut b] = ["a", "b"].map(|id| Member::new(&group, id, &topic));
    a.join(&mut peer);
    assert_eq!(b.join(&mut peer), Some(vec![]), "nothing is free");
    assert_eq!(b.epoch, FIRST + 1);
    let had = a.owned.clone();
    let kept = a.beat(&mut peer).expect("it has to give two back");
    assert_eq!((kept.len(), a.epoch), (2, FIRST));
    assert_eq!(state(&mut peer, &group), "Reconciling");
    assert_eq!(b.beat(&mut peer), None, "they have not been given back");
    // While it says that it has all of them, or does not say, nothing goes on.
    a.owned = had;
    assert_eq!((a.tell(&mut peer), a.epoch), (None, FIRST));
    assert_eq!((a.beat(&mut peer), a.epoch), (None, FIRST));
    assert_eq!(b.beat(&mut peer), None);
    a.owned = kept.clone();
    assert_eq!((a.tell(&mut peer), a.epoch), (None, FIRST + 1));
    let given = b.beat(&mut peer).expect("what the other gave back");
    assert_eq!((given.len(), b.epoch), (2, FIRST + 1));
    let mut all = [kept, given].concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
    assert_eq!(state(&mut peer, &group), "Stable");
    // Who leaves gives everything back.
    b.leave(&mut peer, -1);
    assert_eq!((a.beat(&mut peer), a.epoch), (Some(vec![0, 1, 2, 3]), FIRST + 2));
}

pub fn requests_are_checked(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic());
    let member = Member::new(&group, "a", &topic);
    let joining = || member.joining();
    let own = ConsumerGroupHeartbeatPartitions { topic_id: topic.id, partitions: vec![0] };
    let invalid = [
        ConsumerGroupHeartbeatRequest { group_id: Text::default(), ..joining() },
        ConsumerGroupHeartbeatRequest { member_id: Text::default(), ..joining() },
        ConsumerGroupHeartbeatRequest { instance_id: Some(Text::default()), ..joining() },
        ConsumerGroupHeartbeatRequest { rack_id: Some(Text::default()), ..joining() },
        ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: -1, ..joining() },
        ConsumerGroupHeartbeatRequest { topic_partitions: None, ..joining() },
        ConsumerGroupHeartbeatRequest { topic_partitions: Some(vec![own]), ..joining() },
        ConsumerGroupHeartbeatRequest { subscribed_topic_names: None, ..joining() },
        ConsumerGroupHeartbeatRequest { member_epoch: MemberEpoch(-3), ..member.beating() },
        ConsumerGroupHeartbeatRequest { member_epoch: MemberEpoch(-2), ..member.beating() },
    ];
    for request in invalid {
        assert_eq!(code(&mut peer, request.clone()), ErrorCode::INVALID_REQUEST, "{request:?}");
    }
    let request = ConsumerGroupHeartbeatRequest { server_assignor: Some("sticky".into()), ..joining() };
    assert_eq!(code(&mut peer, request), ErrorCode::UNSUPPORTED_ASSIGNOR);
    for pattern in ["[", "a)|(b", "(?=x)"] {
        let request =
            ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some(pattern.into()), ..joining() };
        assert_eq!(code(&mut peer, request), ErrorCode::INVALID_REGULAR_EXPRESSION, "{pattern}");
    }
    let request = ConsumerGroupHeartbeatRequest { member_epoch: MemberEpoch(1), ..member.beating() };
    assert_eq!(code(&mut peer, request), ErrorCode::GROUP_ID_NOT_FOUND);
    let request = ConsumerGroupHeartbeatRequest { member_epoch: MemberEpoch(-1), ..member.beating() };
    assert_eq!(code(&mut peer, request), ErrorCode::GROUP_ID_NOT_FOUND);
}

pub fn epochs_are_checked(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic_with(2, &[]));
    let [mut a, mut b] = ["a", "b"].map(|id| Member::new(&group, id, &topic));
    a.join(&mut peer);
    let before = a.clone();
    for epoch in [FIRST + 1, 9] {
        a.epoch = epoch;
        assert_eq!(code(&mut peer, a.beating()), ErrorCode::FENCED_MEMBER_EPOCH);
    }
    // Perhaps it has not heard the answer to its join.
    a.epoch = 0;
    assert_eq!((a.join(&mut peer), a.epoch), (Some(vec![0, 1]), FIRST));
    b.join(&mut peer);
    a.beat(&mut peer);
    a.tell(&mut peer);
    assert_eq!(a.epoch, FIRST + 1);
    // The epoch before is good for who owns no more than it may.
    assert_eq!(code(&mut peer, before.beating()), ErrorCode::FENCED_MEMBER_EPOCH, "what it owns is not said");
    assert_eq!(code(&mut peer, before.telling()), ErrorCode::FENCED_MEMBER_EPOCH, "it owns too much");
    let late = Member { epoch: FIRST, ..a.clone() };
    assert_eq!(code(&mut peer, late.telling()), ErrorCode::NONE);
    let older = Member { epoch: 0, ..a.clone() };
    let rejoined = peer.ask(1, older.joining());
    assert_eq!((rejoined.error_code, rejoined.member_epoch.0), (ErrorCode::NONE, FIRST + 1));
    assert_eq!(assigned(&rejoined), Some(a.owned.clone()), "who joins anew is told everything");
    let stranger = Member { epoch: 1, ..Member::new(&group, "x", &topic) };
    assert_eq!(code(&mut peer, stranger.beating()), ErrorCode::UNKNOWN_MEMBER_ID);
    let stranger = Member { epoch: -1, ..stranger };
    assert_eq!(code(&mut peer, stranger.beating()), ErrorCode::UNKNOWN_MEMBER_ID);
}

pub fn a_static_member_comes_back_to_what_it_had(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic_with(2, &[]));
    let mut a = Member::new(&group, "a", &topic).with_instance("one");
    let mut again = Member::new(&group, "again", &topic).with_instance("one");
    let mut b = Member::new(&group, "b", &topic);
    assert_eq!(a.join(&mut peer), Some(vec![0, 1]));
    assert_eq!(code(&mut peer, again.joining()), ErrorCode::UNRELEASED_INSTANCE_ID);
    b.join(&mut peer);
    let had = a.beat(&mut peer).unwrap();
    assert_eq!((a.tell(&mut peer), a.epoch), (None, FIRST + 1));
    assert_eq!(b.beat(&mut peer).map(|given| given.len()), Some(1));
    a.leave(&mut peer, -2);
    assert_eq!(b.beat(&mut peer), None, "it will be back");
    assert_eq!((again.join(&mut peer), again.epoch), (Some(had), FIRST + 1), "no rebalance");
    a.epoch = FIRST + 1;
    assert_eq!(code(&mut peer, a.beating()), ErrorCode::FENCED_INSTANCE_ID);
    let unknown = Member { epoch: 2, ..Member::new(&group, "x", &topic) }.with_instance("two");
    assert_eq!(code(&mut peer, unknown.beating()), ErrorCode::UNKNOWN_MEMBER_ID);
    let described = describe(&mut peer, 1, &group);
    let member = described.members.iter().find(|member| member.member_id == again.id).unwrap();
    assert_eq!((member.instance_id.as_deref(), described.members.len()), (Some("one"), 2));
}

pub fn assignors_are_range_and_uniform(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic_with(6, &[]));
    let mut members = ["a", "b", "c"].map(|id| Member::new(&group, id, &topic));
    for member in &mut members {
        let request =
            ConsumerGroupHeartbeatRequest { server_assignor: Some("range".into()), ..member.joining() };
        member.say(&mut peer, request);
    }
    for _ in 0..4 {
        for member in &mut members {
            member.tell(&mut peer);
        }
    }
    assert_eq!(members.each_ref().map(|member| member.owned.clone()), [[0, 1], [2, 3], [4, 5]]);
    assert_eq!(describe(&mut peer, 1, &group).assignor_name, "range");
    // Most want the other one: what everybody has is even already.
    for member in &mut members {
        let request =
            ConsumerGroupHeartbeatRequest { server_assignor: Some("uniform".into()), ..member.telling() };
        member.say(&mut peer, request);
    }
    members[2].leave(&mut peer, -1);
    for _ in 0..4 {
        members[0].tell(&mut peer);
        members[1].tell(&mut peer);
    }
    assert_eq!(describe(&mut peer, 1, &group).assignor_name, "uniform");
    assert!(members[0].owned.len() == 3 && [0, 1].iter().all(|kept| members[0].owned.contains(kept)));
    assert!(members[1].owned.len() == 3 && [2, 3].iter().all(|kept| members[1].owned.contains(kept)));
}

pub fn a_pattern_subscribes_to_what_it_matches_as_a_whole(target: &Target) {
    let (mut peer, group) = (target.connect(), group(target));
    let (first, other) = (target.topic_with(2, &[]), target.topic_with(3, &[]));
    let mut a = Member::new(&group, "a", &first);
    // The names are unique: all of one, and all of the other but for its first letter.
    let (front, last) = first.name.split_at(first.name.len() - 1);
    let pattern = format!("{front}[{last}]|{}", other.name.trim_start_matches('b'));
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(Vec::new()),
        subscribed_topic_regex: Some(pattern.as_str().into()),
        ..a.joining()
    };
    let mut told = a.say(&mut peer, request).unwrap_or_default();
    // Kafka looks for topics aside.
    for _ in 0..100 {
        if !told.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
        told = a.tell(&mut peer).unwrap_or_default();
    }
    assert_eq!(told, [0, 1], "{pattern}");
    assert_eq!(describe(&mut peer, 1, &group).members[0].subscribed_topic_regex, Some(pattern.into()));
    // Names in place of a pattern.
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec![other.name.clone()]),
        subscribed_topic_regex: Some(Text::default()),
        ..a.telling()
    };
    a.say(&mut peer, request);
    for _ in 0..3 {
        a.owned = Vec::new();
        a.tell(&mut peer);
    }
    assert_eq!(describe(&mut peer, 1, &group).members[0].assignment.topic_partitions[0].topic_id, other.id);
}

pub fn a_group_is_described_and_listed(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic_with(2, &[]));
    for version in 0..=1 {
        let missing = describe(&mut peer, version, &group);
        assert_eq!(missing.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
        assert_eq!(missing.error_message, Some(format!("Group {group} not found.").into()));
    }
    let mut a = Member::new(&group, "a", &topic);
    a.join(&mut peer);
    for version in 0..=1 {
        let told = describe(&mut peer, version, &group);
        assert_eq!((told.error_code, told.group_state.as_str()), (ErrorCode::NONE, "Stable"));
        assert_eq!(
            (told.group_epoch, told.assignment_epoch, told.assignor_name.as_str()),
            (FIRST, FIRST, "uniform")
        );
        let [member] = &told.members[..] else { panic!("{told:?}") };
        assert_eq!((&member.member_id, member.member_epoch.0), (&a.id, FIRST));
        assert_eq!((member.client_id.as_str(), member.client_host.as_str()), ("peer", "/127.0.0.1"));
        assert_eq!(member.subscribed_topic_names, std::slice::from_ref(&topic.name));
        assert_eq!(member.member_type, if version >= 1 { 1 } else { -1 });
        assert_eq!(member.assignment, member.target_assignment);
        let own = &member.assignment.topic_partitions[0];
        assert_eq!(
            (own.topic_id, &own.topic_name, &own.partitions[..]),
            (topic.id, &topic.name, &[0, 1][..])
        );
        assert!(matches!(member.subscribed_topic_regex.as_deref(), None | Some("")));
    }
    let listed =
        peer.ask(5, ListGroupsRequest { types_filter: vec!["consumer".into()], ..Default::default() });
    let listed = listed.groups.iter().find(|listed| listed.group_id == group).unwrap();
    assert_eq!((listed.protocol_type.as_str(), listed.group_state.as_str()), ("consumer", "Stable"));
    let delete = |peer: &mut Peer| {
        peer.ask(2, DeleteGroupsRequest { groups_names: vec![group.clone()] }).results[0].error_code
    };
    assert_eq!(delete(&mut peer), ErrorCode::NON_EMPTY_GROUP);
    a.leave(&mut peer, -1);
    assert_eq!(delete(&mut peer), ErrorCode::NONE);
    assert_eq!(describe(&mut peer, 1, &group).error_code, ErrorCode::GROUP_ID_NOT_FOUND);
}

pub fn each_protocol_has_its_own_groups(target: &Target) {
    let (mut peer, topic) = (target.connect(), target.topic());
    let [classic, consumer] = [group(target), group(target)];
    let first = settle(&mut peer, &classic);
    let mut a = Member::new(&consumer, "a", &topic);
    a.join(&mut peer);

    let told = describe(&mut peer, 1, &classic);
    assert_eq!(told.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(told.error_message, Some(format!("Group {classic} is not a consumer group.").into()));
    let request = DescribeGroupsRequest { groups: vec![consumer.clone()], ..Default::default() };
    let told = peer.ask(6, request).groups[0].clone();
    assert_eq!((told.error_code, told.group_state.as_str()), (ErrorCode::GROUP_ID_NOT_FOUND, "Dead"));
    assert_eq!(told.error_message, Some(format!("Group {consumer} is not a classic group.").into()));

    let lost = Member { epoch: 1, ..Member::new(&classic, "a", &topic) };
    assert_eq!(code(&mut peer, lost.beating()), ErrorCode::GROUP_ID_NOT_FOUND);
    let beat = HeartbeatRequest {
        group_id: consumer.clone(),
        generation_id: GenerationId(1),
        member_id: first.member_id.clone(),
        ..Default::default()
    };
    assert_eq!(peer.ask(4, beat).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    // Without members it may be a group of the other protocol.
    a.leave(&mut peer, -1);
    assert_eq!(settle(&mut peer, &consumer).generation_id.0, 1);
}

pub fn offsets_are_of_members_of_this_epoch(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic());
    let mut a = Member::new(&group, "a", &topic);
    a.join(&mut peer);
    let commit = |peer: &mut Peer, version, id: &Text, epoch| {
        let partition = OffsetCommitPartition { committed_offset: 7, ..Default::default() };
        let topic =
            OffsetCommitTopic { name: topic.name.clone(), topic_id: topic.id, partitions: vec![partition] };
        let request = OffsetCommitRequest {
            group_id: group.clone(),
            member_id: id.clone(),
            generation_id_or_member_epoch: GenerationId(epoch),
            topics: vec![topic],
            ..Default::default()
        };
        peer.ask(version, request).topics[0].partitions[0].error_code
    };
    let none = Text::default();
    for version in 9..=10 {
        assert_eq!(commit(&mut peer, version, &a.id, FIRST), ErrorCode::NONE);
        assert_eq!(commit(&mut peer, version, &a.id, FIRST + 1), ErrorCode::STALE_MEMBER_EPOCH);
        assert_eq!(commit(&mut peer, version, &"x".into(), 1), ErrorCode::UNKNOWN_MEMBER_ID);
        assert_eq!(commit(&mut peer, version, &none, -1), ErrorCode::UNKNOWN_MEMBER_ID);
    }
    assert_eq!(commit(&mut peer, 8, &a.id, FIRST), ErrorCode::UNSUPPORTED_VERSION);
    let fetch = |peer: &mut Peer, id: Option<&Text>, epoch| {
        let topic =
            OffsetFetchTopic { name: topic.name.clone(), topic_id: topic.id, partition_indexes: vec![0] };
        let asked = OffsetFetchGroup {
            group_id: group.clone(),
            member_id: id.cloned(),
            member_epoch: MemberEpoch(epoch),
            topics: Some(vec![topic]),
        };
        let told = peer.ask(9, OffsetFetchRequest::one(asked, false, 9)).groups[0].clone();
        (told.error_code, told.topics.first().map(|topic| topic.partitions[0].committed_offset))
    };
    assert_eq!(fetch(&mut peer, Some(&a.id), FIRST), (ErrorCode::NONE, Some(7)));
    assert_eq!(fetch(&mut peer, None, -1), (ErrorCode::NONE, Some(7)), "a tool");
    assert_eq!(fetch(&mut peer, Some(&a.id), FIRST + 1), (ErrorCode::STALE_MEMBER_EPOCH, None));
    assert_eq!(fetch(&mut peer, Some(&"x".into()), 1), (ErrorCode::UNKNOWN_MEMBER_ID, None));
    a.leave(&mut peer, -1);
    assert_eq!(commit(&mut peer, 9, &none, -1), ErrorCode::NONE, "a tool, and nobody is there");
    assert_eq!(fetch(&mut peer, None, -1), (ErrorCode::NONE, Some(7)));
}

/// A commit may be on its way while a heartbeat tells the member a new epoch (KIP-1251).
pub fn an_older_epoch_will_do_for_what_the_member_had_in_it(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic_with(4, &[]));
    let [mut a, mut b] = ["a", "b"].map(|id| Member::new(&group, id, &topic));
    let commit = |peer: &mut Peer, version, member: &Member, epoch, partitions: &[i32]| {
        let partition = |index: &i32| OffsetCommitPartition {
            partition_index: *index,
            committed_offset: 7,
            ..Default::default()
        };
        let partitions = partitions.iter().map(partition).collect();
        let topic = OffsetCommitTopic { name: topic.name.clone(), topic_id: topic.id, partitions };
        let request = OffsetCommitRequest {
            group_id: group.clone(),
            member_id: member.id.clone(),
            generation_id_or_member_epoch: GenerationId(epoch),
            topics: vec![topic],
            ..Default::default()
        };
        let told = peer.ask(version, request).topics[0].partitions.clone();
        told.iter().map(|partition| partition.error_code).collect::<Vec<_>>()
    };
    const NONE: ErrorCode = ErrorCode::NONE;
    const STALE: ErrorCode = ErrorCode::STALE_MEMBER_EPOCH;
    a.join(&mut peer);
    b.join(&mut peer);
    let kept = a.beat(&mut peer).expect("it has to give two back");
    let lost: Vec<i32> = (0..4).filter(|index| !kept.contains(index)).collect();
    for version in 9..=10 {
        assert_eq!(commit(&mut peer, version, &a, FIRST, &[lost[0], kept[0]]), [NONE, NONE]);
        assert_eq!(commit(&mut peer, version, &a, FIRST - 1, &[lost[0]]), [STALE]);
    }
    a.tell(&mut peer);
    b.beat(&mut peer).expect("what the other gave back");
    assert_eq!((a.epoch, b.epoch), (FIRST + 1, FIRST + 1));
    for version in 9..=10 {
        assert_eq!(commit(&mut peer, version, &a, FIRST, &kept), [NONE, NONE], "{version}");
        assert_eq!(commit(&mut peer, version, &a, FIRST - 1, &kept), [STALE, STALE]);
        assert_eq!(commit(&mut peer, version, &a, FIRST, &lost), [STALE, STALE]);
        assert_eq!(commit(&mut peer, version, &a, FIRST, &[kept[0], lost[0]]), [STALE, STALE], "as a whole");
        assert_eq!(commit(&mut peer, version, &b, FIRST, &lost), [STALE, STALE], "it had others then");
        assert_eq!(commit(&mut peer, version, &a, FIRST + 2, &kept), [STALE, STALE]);
    }
}

pub fn who_does_not_give_back_is_out(target: &Target) {
    let (mut peer, group, topic) = (target.connect(), group(target), target.topic_with(2, &[]));
    let [mut a, mut b] = ["a", "b"].map(|id| Member::new(&group, id, &topic));
    let hasty = ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: 1_000, ..a.joining() };
    a.say(&mut peer, hasty);
    b.join(&mut peer);
    a.beat(&mut peer);
    for _ in 0..100 {
        thread::sleep(Duration::from_millis(50));
        let heard = peer.ask(1, a.beating());
        if heard.error_code == ErrorCode::UNKNOWN_MEMBER_ID {
            assert_eq!(b.beat(&mut peer), Some(vec![0, 1]));
            return;
        }
        assert_eq!(heard.error_code, ErrorCode::NONE);
    }
    panic!("it is still there");
}
