//! The protocol in which a member assigns.

use super::*;
use crate::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolPartitions, ConsumerProtocolSubscription, GenerationId,
    JoinGroupMember, StickyAssignorUserData,
};
use bytes::Bytes;

/// So short that heartbeats right after a rebalance are no more often.
const INTERVAL: Duration = Duration::from_millis(200);
const EAGER: [Strategy; 2] = [Strategy::Range, Strategy::CooperativeSticky];
const COOPERATIVE: [Strategy; 1] = [Strategy::CooperativeSticky];

fn with(terms: Terms, strategies: &[Strategy]) -> Bench {
    let terms = Terms { heartbeat_interval: INTERVAL, ..terms };
    seldom(terms, strategies)
}

fn seldom(terms: Terms, strategies: &[Strategy]) -> Bench {
    let mut bench = Bench::new(Member::classic(terms, strategies.to_vec()));
    bench.subscribe(&["orders"]);
    bench
}

fn new(strategies: &[Strategy]) -> Bench {
    with(terms(), strategies)
}

/// A follower of generation 1 that owns these.
fn member_with(strategies: &[Strategy], list: &str) -> Bench {
    settled(new(strategies), list)
}

fn settled(mut bench: Bench, list: &str) -> Bench {
    bench.join();
    bench.follow(1);
    bench.sync();
    bench.assign(list);
    bench.assigned(list);
    bench
}

fn shares(list: &str) -> Vec<ConsumerProtocolPartitions> {
    let mut topics: Vec<ConsumerProtocolPartitions> = Vec::new();
    for TopicPartition { topic, partition } in partitions(list) {
        match topics.iter_mut().find(|known| known.topic == topic) {
            Some(known) => known.partitions.push(partition),
            None => topics.push(ConsumerProtocolPartitions { topic, partitions: vec![partition] }),
        }
    }
    topics
}

fn subscription_of(request: &JoinGroupRequest, assignor: &str) -> ConsumerProtocolSubscription {
    let protocol = request.protocols.iter().find(|protocol| &*protocol.name == assignor).unwrap();
    ConsumerProtocolSubscription::read(&protocol.metadata).unwrap()
}

fn another(id: &str, topics: &[&str]) -> JoinGroupMember {
    let subscription = ConsumerProtocolSubscription {
        topics: topics.iter().copied().map(Text::from).collect(),
        ..Default::default()
    };
    let metadata = subscription.write(ConsumerProtocolSubscription::VERSION).unwrap();
    JoinGroupMember { member_id: id.into(), group_instance_id: None, metadata }
}

impl Bench {
    #[track_caller]
    fn join(&mut self) -> JoinGroupRequest {
        match self.next() {
            Step::Send(Request::Join(request)) => request,
            other => panic!("no JoinGroup, but {other:?}"),
        }
    }

    #[track_caller]
    fn sync(&mut self) -> SyncGroupRequest {
        match self.next() {
            Step::Send(Request::Sync(request)) => request,
            other => panic!("no SyncGroup, but {other:?}"),
        }
    }

    #[track_caller]
    fn heartbeat(&mut self) -> HeartbeatRequest {
        match self.next() {
            Step::Send(Request::Heartbeat(request)) => request,
            other => panic!("no Heartbeat, but {other:?}"),
        }
    }

    fn joins(&mut self, answer: JoinGroupResponse) -> Effects {
        self.answer(Answer::Join(Ok(answer)))
    }

    fn follow(&mut self, generation: i32) {
        self.joins(in_generation(generation, "another", vec![]));
    }

    fn refuse_join(&mut self, error_code: ErrorCode) -> Effects {
        self.joins(JoinGroupResponse { error_code, ..Default::default() })
    }

    fn assign(&mut self, list: &str) {
        let assignment =
            ConsumerProtocolAssignment { assigned_partitions: shares(list), ..Default::default() };
        self.assign_raw(assignment.write(ConsumerProtocolAssignment::VERSION).unwrap());
    }

    fn assign_raw(&mut self, assignment: Bytes) {
        let effects = self.answer(Answer::Sync(Ok(SyncGroupResponse { assignment, ..Default::default() })));
        assert!(effects.tell.is_none());
    }

    fn refuse_sync(&mut self, error_code: ErrorCode) -> Effects {
        self.answer(Answer::Sync(Ok(SyncGroupResponse { error_code, ..Default::default() })))
    }

    fn beaten(&mut self, error_code: ErrorCode) -> Effects {
        self.answer(Answer::Heartbeat(Ok(HeartbeatResponse { error_code, ..Default::default() })))
    }

    /// Sends a heartbeat when it is due, and has it answered.
    #[track_caller]
    fn beat(&mut self, answer: ErrorCode) -> Effects {
        self.wait();
        self.heartbeat();
        self.beaten(answer)
    }

    fn generation(&self) -> i32 {
        self.member.identity().generation
    }
}

fn in_generation(generation: i32, leader: &str, members: Vec<JoinGroupMember>) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id: GenerationId(generation),
        protocol_name: Some("cooperative-sticky".into()),
        leader: leader.into(),
        member_id: "me".into(),
        members,
        ..Default::default()
    }
}

#[test]
fn it_joins_syncs_and_is_heard_of() {
    let mut bench = new(&EAGER);
    let join = bench.join();
    assert_eq!((&*join.group_id, &*join.member_id, &*join.protocol_type), ("billing", "", "consumer"));
    assert_eq!((join.session_timeout_ms, join.rebalance_timeout_ms), (45_000, 300_000));
    let names: Vec<&str> = join.protocols.iter().map(|protocol| &*protocol.name).collect();
    assert_eq!(names, ["range", "cooperative-sticky"]);
    assert_eq!(subscription_of(&join, "range").topics, [Text::from("orders")]);
    bench.rests();
    bench.follow(4);
    let sync = bench.sync();
    assert_eq!((sync.generation_id, &*sync.member_id, sync.assignments.len()), (GenerationId(4), "me", 0));
    assert_eq!(sync.protocol_name.as_deref(), Some("cooperative-sticky"));
    bench.assign("orders-1 orders-2");
    assert!(bench.owned().is_empty(), "not before the application has heard");
    bench.assigned("orders-1 orders-2");
    assert_eq!(bench.owned(), ["orders-1", "orders-2"]);
    assert_eq!(bench.wait(), INTERVAL);
    let beat = bench.heartbeat();
    assert_eq!((beat.generation_id, &*beat.member_id), (GenerationId(4), "me"));
    bench.pass(Duration::from_millis(20));
    bench.beaten(ErrorCode::NONE);
    assert_eq!(bench.wait(), INTERVAL - Duration::from_millis(20), "from when it was sent");
    let sent = bench.now - INTERVAL;
    assert_eq!(bench.member.lease(), Some(sent + terms().session_timeout));
}

#[test]
fn the_coordinator_names_a_member_before_it_joins_but_not_for_ever() {
    let mut bench = new(&EAGER);
    let name = |bench: &mut Bench| {
        let error_code = ErrorCode::MEMBER_ID_REQUIRED;
        bench.joins(JoinGroupResponse { error_code, member_id: "me-2".into(), ..Default::default() })
    };
    bench.join();
    name(&mut bench);
    for _ in 0..4 {
        assert_eq!(&*bench.join().member_id, "me-2");
        name(&mut bench);
    }
    bench.join();
    name(&mut bench);
    assert!(bench.wait() > Duration::from_millis(50));
    bench.join();
    bench.follow(1);
    bench.sync();
}

#[test]
fn eager_members_give_everything_back_before_they_join() {
    let mut bench = member_with(&EAGER, "orders-0 orders-1");
    bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-0 orders-1")));
    bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.owned().len(), 2, "the application is still at it");
    bench.done();
    let join = bench.join();
    assert_eq!(&*join.member_id, "me");
    assert!(subscription_of(&join, "range").owned_partitions.is_empty());
    bench.rests();
}

#[test]
fn cooperative_members_keep_what_they_have_and_join_again_after_giving_back() {
    let mut bench = member_with(&COOPERATIVE, "orders-0 orders-1");
    bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    let said = subscription_of(&bench.join(), "cooperative-sticky");
    assert_eq!(said.owned_partitions, shares("orders-0 orders-1"));
    assert_eq!(said.generation_id, GenerationId(1));
    bench.follow(2);
    bench.sync();
    bench.assign("orders-1 orders-2");
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-0")));
    bench.done();
    bench.assigned("orders-2");
    let said = subscription_of(&bench.join(), "cooperative-sticky");
    assert_eq!(said.owned_partitions, shares("orders-1 orders-2"));
    assert_eq!(said.generation_id, GenerationId(2));
    bench.follow(3);
    bench.sync();
    bench.assign("orders-1 orders-2");
    bench.assigned("");
    assert_eq!(bench.wait(), INTERVAL, "nothing was given back: no more rounds");
}

#[test]
fn who_leaves_in_the_middle_of_a_round_sees_it_through_since_nobody_commits_before() {
    let mut bench = member_with(&COOPERATIVE, "orders-0");
    bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    bench.join();
    bench.subscribe(&[]);
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-0")));
    bench.follow(2);
    bench.sync();
    bench.assign("orders-0 orders-1");
    assert_eq!(bench.member.identity().generation, 2, "what is done is committed under this one");
    bench.done();
    assert!(matches!(bench.next(), Step::Send(Request::Leave(..))));

    let mut leader = member_with(&COOPERATIVE, "orders-0");
    leader.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    leader.join();
    leader.joins(in_generation(2, "me", vec![another("me", &["orders"])]));
    leader.subscribe(&[]);
    assert_eq!(leader.next(), Step::Lead(vec!["orders".into()]));
    assert_eq!(leader.next(), Step::Revoke(partitions("orders-0")));
    leader.member.lead(&Topics::default());
    leader.sync();
}

#[test]
fn who_may_not_commit_since_nobody_knows_it_is_a_member_no_more() {
    let mut bench = member_with(&COOPERATIVE, "orders-0");
    let me = bench.member.identity();
    let former = Identity { generation: 0, ..me.clone() };
    bench.refuse_commit(ErrorCode::UNKNOWN_MEMBER_ID, &former);
    bench.wait();
    bench.heartbeat();
    bench.refuse_commit(ErrorCode::UNKNOWN_MEMBER_ID, &me);
    assert_eq!(bench.member.lease(), None);
    assert_eq!(bench.next(), Step::Lose(partitions("orders-0")));
    bench.done();
    assert_eq!(&*bench.join().member_id, "");

    let mut joins = member_with(&COOPERATIVE, "orders-0");
    joins.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    joins.join();
    let me = joins.member.identity();
    joins.refuse_commit(ErrorCode::ILLEGAL_GENERATION, &me);
    joins.rests();
    joins.refuse_commit(ErrorCode::UNKNOWN_MEMBER_ID, &me);
    assert_eq!(joins.next(), Step::Lose(partitions("orders-0")), "the answer may never come");
}

#[test]
fn who_has_something_to_give_back_before_it_joins_again_does_not_wait_for_the_next_join() {
    let mut bench = member_with(&COOPERATIVE, "orders-0");
    bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    bench.join();
    bench.subscribe(&["sensors"]);
    bench.answer(Answer::Join(Err(lost())));
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-0")));
    bench.beat(ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(bench.member.lease(), None, "the commit of what is given back would be refused for ever");
    bench.done();
    bench.join();
}

#[test]
fn heartbeats_are_as_often_as_a_short_max_poll_interval_needs() {
    let brief = Terms { rebalance_timeout: Duration::from_secs(3), ..terms() };
    let mut bench = settled(seldom(brief, &COOPERATIVE), "orders-0");
    for _ in 0..8 {
        bench.beat(ErrorCode::NONE);
    }
    assert_eq!(bench.wait(), Duration::from_secs(1));
}

#[test]
fn who_may_not_commit_in_its_generation_asks_at_once() {
    let mut bench = settled(seldom(terms(), &COOPERATIVE), "orders-0");
    let me = bench.member.identity();
    bench.rests_for_now();
    bench.refuse_commit(ErrorCode::ILLEGAL_GENERATION, &me);
    bench.heartbeat();
}

#[test]
fn what_is_kept_is_claimed_in_the_generation_of_the_member_and_what_was_not_carried_out_is_not() {
    let mut bench = member_with(&COOPERATIVE, "orders-0");
    bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    bench.join();
    bench.follow(2);
    bench.sync();
    bench.refuse_sync(ErrorCode::REBALANCE_IN_PROGRESS);
    let join = bench.join();
    let said = subscription_of(&join, "cooperative-sticky");
    assert_eq!((said.owned_partitions, said.generation_id), (shares("orders-0"), GenerationId(2)));
    assert_eq!(said.user_data.as_deref(), Some(&[0, 0, 0, 2][..]));
}

#[test]
fn a_sticky_assignor_hears_what_an_eager_member_had() {
    let mut bench = member_with(&[Strategy::Sticky], "orders-0 orders-2");
    let remembered = |join: &JoinGroupRequest| {
        let said = subscription_of(join, "sticky");
        assert_eq!(said.owned_partitions, [], "it has given them back");
        StickyAssignorUserData::read(&said.user_data.unwrap()).unwrap()
    };
    let had = |list, generation| StickyAssignorUserData {
        previous_assignment: shares(list),
        generation: GenerationId(generation),
    };
    bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(matches!(bench.next(), Step::Revoke(_)));
    bench.done();
    assert_eq!(remembered(&bench.join()), had("orders-0 orders-2", 1));
    bench.follow(2);
    bench.sync();
    bench.refuse_sync(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(remembered(&bench.join()), had("orders-0 orders-2", 1), "of generation 2 it had nothing");
    bench.refuse_join(ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(remembered(&bench.join()), had("orders-0 orders-2", 1));
}

#[test]
fn a_lease_counts_from_when_the_coordinator_was_asked() {
    let mut bench = new(&EAGER);
    let lease = |from: Instant| Some(from + terms().session_timeout);
    let joined = bench.now;
    bench.join();
    bench.pass(Duration::from_secs(120));
    bench.follow(1);
    assert_eq!(bench.member.lease(), lease(joined), "this process may have been stopped meanwhile");
    let synced = bench.now;
    bench.sync();
    bench.pass(INTERVAL / 2);
    bench.assign("orders-0");
    assert_eq!(bench.member.lease(), lease(synced));
    bench.assigned("orders-0");
    assert_eq!(bench.wait(), INTERVAL / 2);
}

#[test]
fn a_leader_assigns_to_everybody() {
    let mut bench = new(&COOPERATIVE);
    let own = bench.join().protocols.remove(0).metadata;
    let me = JoinGroupMember { member_id: "me".into(), group_instance_id: None, metadata: own };
    let garbled = JoinGroupMember {
        member_id: "odd".into(),
        group_instance_id: None,
        metadata: Bytes::from_static(b"\x00\x01\xff\xff\xff"),
    };
    bench.joins(in_generation(1, "me", vec![me, another("you", &["orders", "sensors"]), garbled]));
    assert_eq!(bench.next(), Step::Lead(vec!["orders".into(), "sensors".into()]));
    assert_eq!(bench.wait(), INTERVAL);
    bench.heartbeat();
    bench.beaten(ErrorCode::REBALANCE_IN_PROGRESS);
    bench.member.lead(&[("orders".into(), 4), ("sensors".into(), 4)].into_iter().collect());
    let sync = bench.sync();
    let share = |id: &str| {
        let of = sync.assignments.iter().find(|share| &*share.member_id == id).unwrap();
        ConsumerProtocolAssignment::read(&of.assignment).unwrap().assigned_partitions
    };
    assert_eq!(share("me"), shares("orders-0 orders-1 orders-2 orders-3"));
    assert_eq!(share("you"), shares("sensors-0 sensors-1 sensors-2 sensors-3"));
    assert_eq!(share("odd"), [], "a foreign blob never fails the group");
    bench.assign("orders-0 orders-1 orders-2 orders-3");
    bench.assigned("orders-0 orders-1 orders-2 orders-3");
    assert!(bench.wait() <= INTERVAL, "the heartbeat said nothing that is not known");
    bench.heartbeat();
}

/// Leads the group on `orders`, which has this many partitions, as far as it assigns.
fn leader(counted: i32, skip_assignment: bool) -> Bench {
    let mut bench = new(&COOPERATIVE);
    bench.join();
    let answer = in_generation(1, "me", vec![another("me", &["orders"])]);
    bench.joins(JoinGroupResponse { skip_assignment, ..answer });
    assert_eq!(bench.next(), Step::Lead(vec!["orders".into()]));
    bench.member.lead(&[("orders".into(), counted)].into_iter().collect());
    bench
}

#[test]
fn a_leader_sees_that_a_topic_has_other_partitions() {
    let mut bench = leader(4, false);
    bench.sync();
    bench.assign("orders-0");
    bench.assigned("orders-0");
    bench.member.heed(&bench.view);
    bench.learn("sensors", 9);
    bench.member.heed(&bench.view);
    assert_eq!(bench.wait(), INTERVAL);
    bench.learn("orders", 6);
    bench.member.heed(&bench.view);
    bench.heartbeat();
    bench.beaten(ErrorCode::NONE);
    let reason = bench.join().reason.unwrap();
    assert!(reason.contains("orders"), "{reason}");

    bench.follow(2);
    bench.sync();
    bench.assign("");
    assert!(matches!(bench.next(), Step::Revoke(_)));
    bench.done();
    bench.assigned("");
    bench.join();
    bench.follow(3);
    bench.sync();
    bench.assign("");
    bench.assigned("");
    bench.learn("orders", 9);
    bench.member.heed(&bench.view);
    assert!(matches!(bench.next(), Step::Wait(Some(_))), "it is another member's task by now");
}

#[test]
fn a_leader_sees_that_a_topic_is_deleted_and_comes_back() {
    let mut bench = leader(4, false);
    bench.sync();
    bench.assign("orders-0");
    bench.assigned("orders-0");
    bench.view.forget_unless(|_| false);
    bench.member.heed(&bench.view);
    assert_eq!(bench.wait(), INTERVAL, "nobody has asked for it");
    bench.heartbeat();
    bench.beaten(ErrorCode::NONE);
    bench.lack("orders", ErrorCode::LEADER_NOT_AVAILABLE);
    bench.member.heed(&bench.view);
    assert_eq!(bench.wait(), INTERVAL, "it is there, if only by half");
    bench.heartbeat();
    bench.beaten(ErrorCode::NONE);
    bench.lack("orders", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    bench.member.heed(&bench.view);
    assert!(bench.join().reason.unwrap().contains("orders"));
    bench.joins(in_generation(2, "me", vec![another("me", &["orders"])]));
    assert_eq!(bench.next(), Step::Lead(vec!["orders".into()]));
    bench.member.lead(&Topics::default());
    bench.member.heed(&bench.view);
    bench.sync();
    bench.assign("");
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-0")));
    bench.done();
    bench.assigned("");
    bench.join();
    bench.joins(in_generation(3, "me", vec![another("me", &["orders"])]));
    bench.next();
    bench.member.lead(&Topics::default());
    bench.sync();
    bench.assign("");
    bench.assigned("");
    bench.member.heed(&bench.view);
    assert_eq!(bench.wait(), INTERVAL, "nothing has changed");
    bench.heartbeat();
    bench.learn("orders", 4);
    bench.member.heed(&bench.view);
    bench.join();
}

#[test]
fn a_static_leader_that_comes_back_assigns_nothing_and_minds_the_topics() {
    let mut bench = leader(4, true);
    assert_eq!(bench.sync().assignments, [], "the coordinator has the assignment");
    bench.assign("orders-0");
    bench.assigned("orders-0");
    bench.member.heed(&bench.view);
    assert_eq!(bench.wait(), INTERVAL, "nothing has changed");
    bench.heartbeat();
    bench.learn("orders", 6);
    bench.member.heed(&bench.view);
    bench.join();
}

#[test]
fn who_is_cast_out_loses_everything_and_joins_again() {
    let table = [(ErrorCode::UNKNOWN_MEMBER_ID, ""), (ErrorCode::ILLEGAL_GENERATION, "me")];
    for (fault, member) in table {
        for strategies in [&EAGER[..], &COOPERATIVE[..]] {
            let mut bench = member_with(strategies, "orders-0 orders-1");
            assert!(bench.beat(fault).tell.is_none());
            assert_eq!((bench.generation(), bench.member.lease()), (-1, None));
            assert_eq!(bench.next(), Step::Lose(partitions("orders-0 orders-1")));
            bench.rests();
            bench.done();
            assert!(bench.owned().is_empty());
            let join = bench.join();
            assert_eq!(&*join.member_id, member);
            let said = subscription_of(&join, "cooperative-sticky");
            assert_eq!((said.owned_partitions.len(), said.generation_id), (0, GenerationId(-1)));
        }
        let mut bench = member_with(&COOPERATIVE, "orders-0");
        bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
        bench.join();
        bench.follow(2);
        bench.sync();
        bench.refuse_sync(fault);
        assert_eq!(bench.next(), Step::Lose(partitions("orders-0")));
    }
}

#[test]
fn who_is_cast_out_while_the_application_is_busy_loses_what_comes_of_it() {
    let mut bench = member_with(&COOPERATIVE, "orders-0 orders-1");
    bench.subscribe(&["orders", "sensors"]);
    bench.join();
    bench.follow(2);
    bench.sync();
    bench.assign("orders-0 orders-1 sensors-0");
    assert_eq!(bench.next(), Step::Assign(partitions("sensors-0")));
    bench.beat(ErrorCode::UNKNOWN_MEMBER_ID);
    bench.rests();
    bench.done();
    assert_eq!(bench.next(), Step::Lose(partitions("orders-0 orders-1 sensors-0")));
}

#[test]
fn who_is_cast_out_while_it_syncs_does_not_join_before_that_is_answered() {
    let mut bench = member_with(&COOPERATIVE, "orders-0");
    bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    bench.join();
    bench.follow(2);
    bench.sync();
    bench.beat(ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.next(), Step::Lose(partitions("orders-0")));
    bench.done();
    bench.rests();
    bench.assign("orders-0 orders-1");
    assert_eq!(&*bench.join().member_id, "", "what it was assigned then is nothing now");
}

#[test]
fn an_answer_to_a_heartbeat_of_before_says_nothing() {
    for fault in
        [ErrorCode::ILLEGAL_GENERATION, ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::REBALANCE_IN_PROGRESS]
    {
        let mut bench = member_with(&COOPERATIVE, "orders-0");
        bench.member.enforce_rebalance("test");
        bench.pass(INTERVAL);
        bench.heartbeat();
        bench.join();
        bench.follow(2);
        bench.sync();
        bench.assign("orders-0");
        bench.assigned("");
        bench.beaten(fault);
        assert_eq!((bench.owned(), bench.generation()), (vec!["orders-0".to_owned()], 2), "{fault}");
        assert!(matches!(bench.next(), Step::Wait(Some(_)) | Step::Send(Request::Heartbeat(_))), "{fault}");
    }
}

#[test]
fn troubles_with_heartbeats_cost_no_partitions_and_no_rebalance() {
    let troubles = [
        (code(ErrorCode::NOT_COORDINATOR), true),
        (code(ErrorCode::COORDINATOR_NOT_AVAILABLE), true),
        (code(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), false),
        (code(ErrorCode::THROTTLING_QUOTA_EXCEEDED), false),
        (lost(), true),
    ];
    for (error, elsewhere) in troubles {
        let mut bench = member_with(&EAGER, "orders-0");
        bench.wait();
        for _ in 0..20 {
            bench.heartbeat();
            let effects = bench.answer(Answer::Heartbeat(Err(error.clone())));
            assert_eq!((effects.find_coordinator, effects.tell.is_none()), (elsewhere, true), "{error}");
            assert!((50..1_500).contains(&bench.wait().as_millis()), "{error}");
        }
        bench.heartbeat();
        bench.beaten(ErrorCode::NONE);
        assert_eq!(bench.wait(), INTERVAL, "{error}");
        assert_eq!(bench.owned(), ["orders-0"], "{error}");
    }
}

#[test]
fn troubles_with_joining_are_waited_for() {
    let mut bench = settled(seldom(terms(), &COOPERATIVE), "orders-0");
    // Until they are as seldom as they get.
    (0..5).for_each(|_| drop(bench.beat(ErrorCode::NONE)));
    bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    bench.join();
    for error in [lost(), code(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), lost(), lost(), lost()] {
        let effects = bench.answer(Answer::Join(Err(error.clone())));
        assert_eq!(effects.find_coordinator, error.code().is_none());
        assert!((50..1_500).contains(&bench.wait().as_millis()));
        bench.join();
    }
    assert_eq!(bench.owned(), ["orders-0"]);
    assert_eq!(bench.member.identity().member, Text::from("me"));
}

#[test]
fn a_lost_answer_to_a_join_does_not_cost_what_a_member_has() {
    let mut bench = member_with(&COOPERATIVE, "orders-0");
    bench.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    bench.join();
    bench.pass(INTERVAL);
    bench.answer(Answer::Join(Err(lost())));
    bench.heartbeat();
    bench.beaten(ErrorCode::ILLEGAL_GENERATION);
    bench.wait();
    let said = subscription_of(&bench.join(), "cooperative-sticky");
    assert_eq!(said.owned_partitions, shares("orders-0"));
}

#[test]
fn what_only_a_person_can_mend_is_told_with_what_to_do() {
    let table = [
        (ErrorCode::FENCED_INSTANCE_ID, "group.instance.id=till-1"),
        (ErrorCode::INCONSISTENT_GROUP_PROTOCOL, "partition.assignment.strategy"),
        (ErrorCode::INVALID_SESSION_TIMEOUT, "session.timeout.ms=45000"),
        (ErrorCode::GROUP_MAX_SIZE_REACHED, "group.max.size"),
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, "may not READ group billing"),
        (ErrorCode::UNKNOWN_SERVER_ERROR, "for good"),
    ];
    let terms = Terms { instance: Some("till-1".into()), ..terms() };
    for (fault, hint) in table {
        let mut bench = with(terms.clone(), &EAGER);
        bench.join();
        let told = bench.refuse_join(fault).tell.unwrap();
        assert!(told.advice().unwrap().contains(hint), "{told}");
        bench.pass(Duration::from_secs(600));
        bench.rests();
    }
    let mut bench = with(terms, &EAGER);
    bench.join();
    bench.follow(1);
    bench.sync();
    bench.assign("orders-0");
    bench.assigned("orders-0");
    assert!(bench.beat(ErrorCode::FENCED_INSTANCE_ID).tell.is_some());
    assert_eq!(bench.next(), Step::Lose(partitions("orders-0")));
    bench.done();
    bench.pass(Duration::from_secs(600));
    bench.rests();
}

#[test]
fn who_rests_has_left_and_joins_again_when_the_application_is_back() {
    let mut bench = member_with(&EAGER, "orders-0");
    bench.pass(INTERVAL);
    bench.heartbeat();
    let Some(Goodbye::Classic(group, leaving)) = bench.member.rest("slow") else { panic!("no goodbye") };
    assert_eq!((&*group, &*leaving.member_id, leaving.reason.as_deref()), ("billing", "me", Some("slow")));
    assert_eq!(bench.next(), Step::Lose(partitions("orders-0")));
    bench.done();
    bench.beaten(ErrorCode::NONE);
    assert_eq!(bench.member.lease(), None, "that answer was of the time before");
    bench.pass(Duration::from_secs(600));
    bench.rests();
    bench.member.resume();
    assert_eq!(&*bench.join().member_id, "");
}

#[test]
fn static_members_do_not_leave() {
    let mut bench = with(Terms { instance: Some("till-1".into()), ..terms() }, &EAGER);
    let join = bench.join();
    assert_eq!(join.group_instance_id, Some("till-1".into()));
    assert_eq!(Request::Join(join).versions(), Span::from(5));
    bench.follow(1);
    bench.sync();
    bench.assign("orders-0");
    bench.assigned("orders-0");
    assert_eq!(bench.member.goodbye("closed"), None);
    assert_eq!(bench.member.rest("slow"), None);
    assert_eq!(bench.next(), Step::Lose(partitions("orders-0")));
    bench.done();
    bench.member.resume();
    assert_eq!(&*bench.join().member_id, "me");
}

#[test]
fn who_rests_while_it_joins_does_not_join_twice_at_once() {
    let mut bench = new(&EAGER);
    bench.join();
    bench.member.rest("slow");
    bench.member.resume();
    bench.rests();
    bench.follow(3);
    bench.join();
    assert_eq!(bench.generation(), -1);
}

#[test]
fn other_topics_are_read_once_the_join_under_way_is_over() {
    for strategies in [&EAGER[..], &COOPERATIVE[..]] {
        let mut bench = new(strategies);
        bench.join();
        bench.subscribe(&["sensors"]);
        bench.rests();
        bench.follow(1);
        bench.sync();
        bench.assign("orders-0");
        assert_eq!(subscription_of(&bench.join(), "cooperative-sticky").topics, [Text::from("sensors")]);
        bench.follow(2);
        bench.sync();
        bench.assign("sensors-1");
        bench.assigned("sensors-1");
        assert_eq!(bench.wait(), INTERVAL);
    }
}

#[test]
fn what_nobody_subscribed_to_is_not_taken() {
    let mut bench = new(&EAGER);
    bench.join();
    bench.follow(1);
    bench.sync();
    bench.assign("orders-0 sensors-1");
    bench.assigned("orders-0");
    assert_eq!(bench.wait(), INTERVAL);
}

#[test]
fn an_assignment_that_cannot_be_read_is_asked_for_again_and_none_is_none() {
    let mut bench = new(&EAGER);
    bench.join();
    bench.follow(1);
    bench.sync();
    bench.assign_raw(Bytes::from_static(b"\x00\x01\x7f"));
    bench.wait();
    bench.join();
    bench.follow(2);
    bench.sync();
    bench.assign_raw(Bytes::new());
    bench.assigned("");
}

#[test]
fn who_reads_nothing_any_more_gives_everything_back_and_leaves() {
    let mut bench = member_with(&[Strategy::CooperativeSticky], "orders-0 orders-1");
    bench.subscribe(&[]);
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-0 orders-1")));
    bench.done();
    let Step::Send(Request::Leave(group, member)) = bench.next() else { panic!("it does not leave") };
    assert_eq!((group.as_str(), member.member_id.as_str()), ("billing", "me"));
    assert_eq!(bench.generation(), -1);
    bench.rests();
    bench.answer(Answer::Leave(Err(lost())));
    bench.rests();
    // And comes back as somebody new.
    bench.subscribe(&["orders"]);
    let Step::Send(Request::Join(request)) = bench.next() else { panic!("it does not join") };
    assert_eq!(request.member_id, Text::default());
}

#[test]
fn another_rebalance_right_after_one_is_heard_of_soon() {
    let mut bench = settled(seldom(terms(), &COOPERATIVE), "orders-0");
    let waits: Vec<Duration> = (0..6)
        .map(|_| {
            let waited = bench.wait();
            bench.heartbeat();
            bench.beaten(ErrorCode::NONE);
            waited
        })
        .collect();
    assert_eq!(waits, [200, 400, 800, 1_600, 3_000, 3_000].map(Duration::from_millis));
}
