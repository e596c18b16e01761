//! The protocol in which the coordinator assigns (KIP-848).

use super::*;
use crate::messages::{ConsumerGroupHeartbeatAssignment, ConsumerGroupHeartbeatPartitions, MemberEpoch};
use std::collections::BTreeMap;

const INTERVAL: Duration = Duration::from_secs(5);

fn new() -> Bench {
    with(terms(), None)
}

fn with(terms: Terms, assignor: Option<&str>) -> Bench {
    let mut bench = Bench::new(Member::modern(terms, "me".into(), assignor.map(Text::from)));
    bench.subscribe(&["orders"]);
    bench
}

/// A member of epoch 1 that owns these and has said so.
fn member_with(list: &str) -> Bench {
    let mut bench = new();
    bench.speak();
    bench.accept(1, Some(list));
    bench.assigned(list);
    bench.speak();
    bench.accept(1, None);
    bench
}

fn by_id(list: &str) -> Vec<ConsumerGroupHeartbeatPartitions> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for TopicPartition { topic, partition } in partitions(list) {
        topics.entry(id_of(&topic)).or_default().push(partition);
    }
    let topic = |(topic_id, partitions)| ConsumerGroupHeartbeatPartitions { topic_id, partitions };
    topics.into_iter().map(topic).collect()
}

impl Bench {
    #[track_caller]
    fn speak(&mut self) -> ConsumerGroupHeartbeatRequest {
        match self.next() {
            Step::Send(Request::Modern(request)) => request,
            other => panic!("no heartbeat, but {other:?}"),
        }
    }

    fn accept(&mut self, epoch: i32, assignment: Option<&str>) {
        let assignment =
            assignment.map(|list| ConsumerGroupHeartbeatAssignment { topic_partitions: by_id(list) });
        let effects = self.answer(Answer::Modern(Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some("me".into()),
            member_epoch: MemberEpoch(epoch),
            heartbeat_interval_ms: 5_000,
            assignment,
            ..Default::default()
        })));
        assert!(effects.tell.is_none() && !effects.find_coordinator);
    }

    /// Takes its leave, so that its group instance id is free.
    #[track_caller]
    fn release(&mut self) {
        let leave = self.speak();
        assert_eq!((&*leave.member_id, leave.member_epoch), ("me", MemberEpoch::LEAVE_STATIC));
        self.accept(-2, None);
    }

    fn refuse(&mut self, error_code: ErrorCode) -> Effects {
        let error_message = Some("so it is".into());
        self.answer(Answer::Modern(Ok(ConsumerGroupHeartbeatResponse {
            error_code,
            error_message,
            ..Default::default()
        })))
    }
}

#[test]
fn it_joins_with_everything_and_later_says_what_changed() {
    let mut bench = with(Terms { rack: Some("r1".into()), ..terms() }, Some("uniform"));
    let join = bench.speak();
    let whole = ConsumerGroupHeartbeatRequest {
        group_id: "billing".into(),
        member_id: "me".into(),
        member_epoch: MemberEpoch::JOIN,
        rack_id: Some("r1".into()),
        rebalance_timeout_ms: 300_000,
        subscribed_topic_names: Some(vec!["orders".into()]),
        server_assignor: Some("uniform".into()),
        topic_partitions: Some(vec![]),
        ..Default::default()
    };
    assert_eq!(join, whole);
    bench.rests();
    bench.accept(3, Some("orders-0 orders-1"));
    bench.assigned("orders-0 orders-1");

    let bare = ConsumerGroupHeartbeatRequest {
        group_id: "billing".into(),
        member_id: "me".into(),
        member_epoch: MemberEpoch(3),
        ..Default::default()
    };
    let owned = Some(by_id("orders-0 orders-1"));
    assert_eq!(bench.speak(), ConsumerGroupHeartbeatRequest { topic_partitions: owned, ..bare.clone() });
    bench.accept(3, None);
    assert_eq!(bench.wait(), INTERVAL);
    assert_eq!(bench.speak(), bare);
}

#[test]
fn another_subscription_is_said_at_once_and_a_pattern_is_taken_back() {
    let mut bench = member_with("orders-0");
    let regex = Subscription { topics: BTreeSet::new(), regex: Some("o.*".into()) };
    bench.member.subscribe(regex);
    let request = bench.speak();
    assert_eq!(request.subscribed_topic_names, Some(vec![]));
    assert_eq!(request.subscribed_topic_regex, Some("o.*".into()));
    assert_eq!((request.rebalance_timeout_ms, &request.topic_partitions), (-1, &None));
    assert_eq!(Request::Modern(request).versions(), Span::from(1));
    bench.accept(1, None);

    bench.subscribe(&["orders"]);
    assert_eq!(bench.speak().subscribed_topic_regex, Some("".into()));
    bench.answer(Answer::Modern(Err(lost())));
    bench.wait();
    let again = bench.speak();
    assert_eq!(again.subscribed_topic_regex, Some("".into()), "nobody knows whether it was heard");
    assert_eq!(again.subscribed_topic_names, Some(vec!["orders".into()]));
    bench.accept(1, None);
    bench.subscribe(&["sensors"]);
    let request = bench.speak();
    assert_eq!(request.subscribed_topic_regex, None, "it was heard");
    assert_eq!(Request::Modern(request).versions(), Span::from(0));
}

#[test]
fn it_gives_back_then_takes_then_says_so_and_heartbeats_go_on_meanwhile() {
    let mut bench = member_with("orders-0 orders-1");
    bench.wait();
    bench.speak();
    bench.accept(1, Some("orders-1 orders-2"));
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-0")));
    for _ in 0..3 {
        assert_eq!(bench.wait(), INTERVAL);
        assert_eq!(bench.speak().topic_partitions, None, "it still has orders-0");
        bench.accept(1, None);
    }
    bench.done();
    assert_eq!(bench.owned(), ["orders-1"]);
    assert_eq!(bench.next(), Step::Assign(partitions("orders-2")));
    assert_eq!(bench.wait(), INTERVAL);
    assert_eq!(bench.speak().topic_partitions, None, "it is not through yet");
    bench.accept(1, None);
    assert_eq!(bench.owned(), ["orders-1"], "not before the application has heard");
    bench.done();
    assert_eq!(bench.speak().topic_partitions, Some(by_id("orders-1 orders-2")));
    bench.accept(2, None);
    assert_eq!(bench.member.identity().generation, 2);
    assert_eq!(bench.wait(), INTERVAL);
}

#[test]
fn what_it_is_about_to_have_is_not_given_to_others() {
    let mut bench = member_with("orders-0");
    bench.wait();
    bench.speak();
    bench.accept(2, Some("orders-0 orders-1"));
    assert_eq!(bench.next(), Step::Assign(partitions("orders-1")));
    bench.wait();
    bench.speak();
    bench.answer(Answer::Modern(Err(lost())));
    bench.wait();
    assert_eq!(bench.speak().topic_partitions, Some(by_id("orders-0 orders-1")), "everything is said again");
}

#[test]
fn nothing_is_begun_with_that_was_not_named_before_the_coordinator_has_answered() {
    let mut bench = member_with("orders-0");
    bench.wait();
    bench.speak();
    bench.accept(2, Some("orders-0 orders-1"));
    assert_eq!(bench.next(), Step::Assign(partitions("orders-1")));
    bench.wait();
    bench.speak();
    bench.accept(3, Some("orders-0 orders-1 orders-2"));
    bench.done();
    assert_eq!(bench.speak().topic_partitions, Some(by_id("orders-0 orders-1")));
    bench.rests();
    bench.answer(Answer::Modern(Err(lost())));
    bench.wait();
    assert_eq!(bench.speak().topic_partitions, Some(by_id("orders-0 orders-1")));
    bench.accept(4, Some("orders-0 orders-1 orders-3"));
    bench.assigned("orders-3");
}

#[test]
fn a_newer_assignment_waits_until_the_application_is_done() {
    let mut bench = member_with("orders-0 orders-1");
    bench.wait();
    bench.speak();
    bench.accept(1, Some("orders-1"));
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-0")));
    bench.wait();
    bench.speak();
    bench.accept(2, Some("orders-0 orders-3"));
    assert!(matches!(bench.next(), Step::Wait(Some(_))));
    bench.done();
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-1")));
    bench.done();
    bench.assigned("orders-0 orders-3");
    assert_eq!(bench.speak().topic_partitions, Some(by_id("orders-0 orders-3")));
}

#[test]
fn what_is_owned_already_is_no_news_but_nothing_is() {
    let mut bench = member_with("orders-0");
    bench.wait();
    bench.speak();
    bench.accept(2, Some("orders-0"));
    assert_eq!(bench.wait(), INTERVAL, "the coordinator has said it again");

    let mut bench = new();
    bench.speak();
    bench.accept(1, Some(""));
    bench.assigned("");
    assert_eq!(bench.speak().topic_partitions, Some(vec![]));
    bench.accept(1, None);
    assert_eq!(bench.wait(), INTERVAL);
}

#[test]
fn topics_that_nobody_knows_wait_and_the_others_do_not() {
    let mut bench = new();
    bench.speak();
    bench.accept(1, Some("invoices-0 orders-0"));
    bench.assigned("orders-0");
    assert_eq!(bench.speak().topic_partitions, Some(by_id("orders-0")));
    bench.accept(1, None);
    let learn = Step::Learn(vec![id_of("invoices")]);
    assert_eq!(bench.next(), learn);
    assert_eq!(bench.wait(), Backoff::RETRY.max);
    assert_eq!(bench.next(), learn, "it asks again");
    bench.learn("invoices", 1);
    bench.assigned("invoices-0");
    assert_eq!(bench.speak().topic_partitions, Some(by_id("invoices-0 orders-0")));
    bench.accept(1, None);
    bench.wait();
    bench.speak();
}

#[test]
fn a_topic_that_was_made_anew_is_another_one() {
    let mut bench = member_with("orders-0 orders-1");
    let anew = Uuid::from_bytes([9; 16]);
    bench.learn_as("orders", anew, 4);
    assert!(matches!(bench.next(), Step::Wait(Some(_))), "the coordinator has not said so yet");
    bench.wait();
    bench.speak();
    let assignment = ConsumerGroupHeartbeatAssignment {
        topic_partitions: vec![ConsumerGroupHeartbeatPartitions { topic_id: anew, partitions: vec![1] }],
    };
    bench.answer(Answer::Modern(Ok(ConsumerGroupHeartbeatResponse {
        member_epoch: MemberEpoch(2),
        assignment: Some(assignment.clone()),
        ..Default::default()
    })));
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-0 orders-1")));
    bench.done();
    bench.assigned("orders-1");
    assert_eq!(bench.speak().topic_partitions, Some(assignment.topic_partitions));
}

#[test]
fn what_is_owned_of_a_topic_that_is_deleted_is_kept_until_the_coordinator_takes_it() {
    let mut bench = member_with("orders-0 sensors-0");
    bench.view.forget_unless(|topic| topic.as_str() != "orders");
    bench.wait();
    bench.speak();
    bench.accept(2, Some("orders-0 sensors-0 sensors-1"));
    bench.assigned("sensors-1");
    assert_eq!(bench.owned(), ["orders-0", "sensors-0", "sensors-1"]);
}

#[test]
fn who_is_fenced_loses_everything_and_joins_again_with_the_same_id() {
    for fence in [ErrorCode::FENCED_MEMBER_EPOCH, ErrorCode::UNKNOWN_MEMBER_ID] {
        let mut bench = member_with("orders-0 orders-1");
        bench.wait();
        bench.speak();
        assert!(bench.refuse(fence).tell.is_none());
        assert_eq!(bench.member.lease(), None);
        assert_eq!(bench.next(), Step::Lose(partitions("orders-0 orders-1")));
        bench.rests();
        bench.done();
        assert_eq!((bench.owned().len(), bench.member.identity().generation), (0, 0));
        let join = bench.speak();
        assert_eq!((&*join.member_id, join.member_epoch), ("me", MemberEpoch::JOIN));
        assert_eq!(join.topic_partitions, Some(vec![]));
        assert_eq!(join.subscribed_topic_names, Some(vec!["orders".into()]));
        bench.accept(7, Some("orders-0 orders-1"));
        bench.assigned("orders-0 orders-1");
        assert_eq!(bench.member.identity().generation, 7);
    }
}

#[test]
fn who_is_fenced_while_the_application_is_busy_loses_what_comes_of_it() {
    let mut bench = member_with("orders-0 orders-1");
    bench.wait();
    bench.speak();
    bench.accept(2, Some("orders-1 orders-2"));
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-0")));
    bench.wait();
    bench.speak();
    bench.refuse(ErrorCode::FENCED_MEMBER_EPOCH);
    bench.rests();
    bench.done();
    assert_eq!(bench.next(), Step::Lose(partitions("orders-1")), "what was given back is not lost");
    bench.done();
    bench.speak();
    bench.accept(3, Some("orders-3"));
    assert_eq!(bench.next(), Step::Assign(partitions("orders-3")));
    bench.wait();
    bench.speak();
    bench.refuse(ErrorCode::UNKNOWN_MEMBER_ID);
    bench.done();
    assert_eq!(bench.next(), Step::Lose(partitions("orders-3")));
}

#[test]
fn who_is_fenced_again_and_again_takes_its_time() {
    let mut bench = new();
    let mut pauses = Vec::new();
    for epoch in 0..6 {
        bench.speak();
        bench.accept(epoch + 1, Some(""));
        bench.assigned("");
        bench.speak();
        bench.refuse(ErrorCode::FENCED_MEMBER_EPOCH);
        let due = bench.now;
        while !matches!(bench.member.next(&bench.view, bench.now), Step::Send(_)) {
            bench.now += Duration::from_millis(10);
        }
        bench.answer(Answer::Modern(Err(lost())));
        bench.wait();
        pauses.push(bench.now - due);
    }
    assert!(pauses[0] < Duration::from_millis(300) && pauses[5] > Duration::from_millis(800), "{pauses:?}");
}

#[test]
fn after_an_answer_that_did_not_come_everything_is_said_again() {
    let mut bench = member_with("orders-0 orders-1");
    bench.wait();
    bench.speak();
    let effects = bench.answer(Answer::Modern(Err(lost())));
    assert!(effects.find_coordinator && effects.tell.is_none());
    assert!(bench.wait() <= Backoff::RETRY.base * 2);
    let again = bench.speak();
    assert_eq!(again.member_epoch, MemberEpoch(1), "it is still a member");
    assert_eq!(again.rebalance_timeout_ms, 300_000);
    assert_eq!(again.subscribed_topic_names, Some(vec!["orders".into()]));
    assert_eq!(again.topic_partitions, Some(by_id("orders-0 orders-1")));
    bench.accept(1, Some("orders-0 orders-1"));
    assert_eq!(bench.wait(), INTERVAL, "nothing has changed");
    assert_eq!(bench.speak().subscribed_topic_names, None);
}

#[test]
fn troubles_cost_no_partitions() {
    let troubles = [
        (code(ErrorCode::NOT_COORDINATOR), true),
        (code(ErrorCode::COORDINATOR_NOT_AVAILABLE), true),
        (code(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), false),
        (code(ErrorCode::STALE_MEMBER_EPOCH), false),
        (code(ErrorCode::THROTTLING_QUOTA_EXCEEDED), false),
        (lost(), true),
        (Error::new(ErrorKind::Timeout, "test"), true),
    ];
    for (error, elsewhere) in troubles {
        let mut bench = member_with("orders-0");
        bench.wait();
        for _ in 0..20 {
            bench.speak();
            let effects = bench.answer(Answer::Modern(Err(error.clone())));
            assert!(effects.tell.is_none(), "{error}");
            assert_eq!(effects.find_coordinator, elsewhere, "{error}");
            assert!((50..1_500).contains(&bench.wait().as_millis()), "{error}");
        }
        assert_eq!(bench.owned(), ["orders-0"], "{error}");
        bench.speak();
        bench.accept(1, None);
        assert_eq!(bench.wait(), INTERVAL);
    }
}

#[test]
fn what_only_a_person_can_mend_is_told_with_what_to_do() {
    let table = [
        (ErrorCode::UNSUPPORTED_ASSIGNOR, "group.consumer.assignors"),
        (ErrorCode::FENCED_INSTANCE_ID, "has come with group.instance.id=till-1"),
        (ErrorCode::GROUP_MAX_SIZE_REACHED, "group.consumer.max.size"),
        (ErrorCode::INVALID_REGULAR_EXPRESSION, "RE2/J"),
        (ErrorCode::INVALID_REQUEST, "client.rack"),
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, "may not READ group billing"),
        (ErrorCode::UNSUPPORTED_VERSION, "group.protocol=classic"),
        (ErrorCode::INVALID_GROUP_ID, "no name that the broker takes"),
        (ErrorCode::UNKNOWN_SERVER_ERROR, "for good"),
    ];
    for (fault, hint) in table {
        let mut bench = with(Terms { instance: Some("till-1".into()), ..terms() }, Some("mine"));
        bench.speak();
        bench.accept(1, Some("orders-0"));
        bench.assigned("orders-0");
        bench.speak();
        let told = bench.refuse(fault).tell.expect("something to tell");
        assert_eq!(told.code(), Some(fault));
        assert!(told.advice().unwrap().contains(hint), "{told}");
        assert!(told.to_string().contains("so it is"), "the coordinator's words: {told}");
        assert_eq!(bench.next(), Step::Lose(partitions("orders-0")));
        bench.done();
        bench.pass(Duration::from_secs(600));
        bench.rests();
        let is_member = fault != ErrorCode::FENCED_INSTANCE_ID;
        assert_eq!(bench.member.goodbye("").is_some(), is_member, "{fault}");
    }
    let mut bench = new();
    bench.speak();
    let too_old = Error::new(ErrorKind::UnsupportedVersion, "test");
    let told = bench.answer(Answer::Modern(Err(too_old))).tell.unwrap();
    assert!(told.to_string().contains("older than Kafka 4.0"), "{told}");
    assert_eq!(bench.member.goodbye(""), None, "it never was a member");
}

#[test]
fn a_topic_that_it_may_not_read_is_told_and_tried_again() {
    let mut bench = member_with("orders-0");
    bench.wait();
    for _ in 0..3 {
        bench.speak();
        let told = bench.refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED).tell.unwrap();
        assert!(told.to_string().contains("DESCRIBE"), "{told}");
        assert_eq!(bench.wait(), INTERVAL);
    }
    assert_eq!(bench.owned(), ["orders-0"]);
    assert_eq!(bench.speak().subscribed_topic_names, Some(vec!["orders".into()]));
}

#[test]
fn who_wants_nothing_any_more_gives_back_and_leaves() {
    let mut bench = member_with("orders-0");
    bench.subscribe(&[]);
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-0")));
    bench.wait();
    let meanwhile = bench.speak();
    assert_eq!((meanwhile.subscribed_topic_names, meanwhile.member_epoch), (None, MemberEpoch(1)));
    bench.done();
    bench.rests();
    bench.accept(1, None);
    let leave = bench.speak();
    assert_eq!((leave.member_epoch, &leave.subscribed_topic_names), (MemberEpoch::LEAVE, &None));
    bench.subscribe(&["orders"]);
    bench.rests();
    bench.accept(-1, None);
    assert_eq!(bench.speak().member_epoch, MemberEpoch::JOIN);
}

#[test]
fn who_wants_something_again_before_it_has_left_gets_it_back() {
    let mut bench = member_with("orders-0");
    bench.subscribe(&[]);
    assert_eq!(bench.next(), Step::Revoke(partitions("orders-0")));
    bench.subscribe(&["orders"]);
    bench.done();
    bench.assigned("orders-0");
    assert_eq!(bench.speak().topic_partitions, Some(by_id("orders-0")));
}

#[test]
fn who_rests_has_left_and_comes_back_as_a_new_member() {
    for (instance, epoch) in [(None, MemberEpoch::LEAVE), (Some("till-1"), MemberEpoch::LEAVE_STATIC)] {
        let mut bench = with(Terms { instance: instance.map(Text::from), ..terms() }, None);
        assert_eq!(bench.member.goodbye(""), None, "nobody knows it");
        bench.speak();
        bench.accept(1, Some("orders-0"));
        bench.assigned("orders-0");
        bench.speak();
        let Some(Goodbye::Modern(leave)) = bench.member.rest("slow") else { panic!("no goodbye") };
        assert_eq!((leave.member_epoch, leave.instance_id), (epoch, instance.map(Text::from)));
        assert_eq!(bench.next(), Step::Lose(partitions("orders-0")));
        bench.done();
        bench.pass(Duration::from_secs(600));
        bench.rests();
        bench.member.resume();
        bench.rests();
        bench.accept(2, Some("orders-0"));
        if instance.is_some() {
            bench.release();
        }
        assert_eq!(bench.speak().member_epoch, MemberEpoch::JOIN, "that answer was of the time before");
        assert!(bench.member.rest("slow").is_some(), "the coordinator may have heard of it");
        assert!(bench.member.rest("slow").is_none(), "said once");
    }
}

fn of_static() -> Bench {
    with(Terms { instance: Some("till-1".into()), ..terms() }, None)
}

#[test]
fn who_is_static_leaves_before_it_joins_again_since_its_instance_id_is_bound_to_it() {
    // Nobody knows whether the coordinator has heard of the first joining.
    let mut bench = of_static();
    assert_eq!(bench.speak().member_epoch, MemberEpoch::JOIN);
    bench.answer(Answer::Modern(Err(lost())));
    bench.wait();
    assert_eq!(bench.speak().member_epoch, MemberEpoch::LEAVE_STATIC);
    assert!(bench.answer(Answer::Modern(Err(lost()))).find_coordinator);
    assert!(bench.wait() > Duration::from_millis(50));
    bench.release();
    assert_eq!(bench.speak().member_epoch, MemberEpoch::JOIN);
    bench.accept(1, Some("orders-0"));
    bench.assigned("orders-0");
    bench.speak();
    bench.accept(1, None);

    // Fenced, it is a member all the same; unknown, it is none.
    bench.wait();
    bench.speak();
    bench.refuse(ErrorCode::FENCED_MEMBER_EPOCH);
    assert!(bench.member.goodbye("").is_some());
    assert_eq!(bench.next(), Step::Lose(partitions("orders-0")));
    bench.done();
    bench.release();
    assert_eq!(bench.speak().member_epoch, MemberEpoch::JOIN);
    bench.accept(2, None);
    bench.wait();
    bench.speak();
    bench.refuse(ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.member.goodbye(""), None);
    bench.wait();
    assert_eq!(bench.speak().member_epoch, MemberEpoch::JOIN);
}

#[test]
fn an_instance_id_that_is_anothers_is_told() {
    let mut bench = of_static();
    bench.speak();
    bench.answer(Answer::Modern(Err(lost())));
    bench.wait();
    bench.speak();
    assert!(bench.refuse(ErrorCode::FENCED_INSTANCE_ID).tell.is_none(), "joining will tell");
    assert_eq!(bench.speak().member_epoch, MemberEpoch::JOIN);
    let told = bench.refuse(ErrorCode::UNRELEASED_INSTANCE_ID).tell.unwrap();
    assert!(told.advice().unwrap().contains("group.instance.id=till-1"), "{told}");
}

#[test]
fn an_instance_that_was_killed_joins_once_the_session_of_before_is_over() {
    let mut bench = of_static();
    for _ in 0..4 {
        assert_eq!(bench.speak().member_epoch, MemberEpoch::JOIN, "it has nothing to release");
        assert!(bench.refuse(ErrorCode::UNRELEASED_INSTANCE_ID).tell.is_some(), "each time");
        assert!(!bench.member.has_failed());
        assert!(bench.wait() >= terms().heartbeat_interval, "it does not hurry");
    }
    bench.speak();
    bench.accept(1, Some("orders-0"));
    bench.assigned("orders-0");
}

#[test]
fn a_static_member_that_may_not_commit_asks_whether_another_one_has_its_instance_id() {
    let mut bench = of_static();
    bench.speak();
    bench.accept(1, Some("orders-0"));
    bench.assigned("orders-0");
    bench.speak();
    bench.accept(1, None);
    let me = bench.member.identity();
    bench.rests_for_now();
    bench.refuse_commit(ErrorCode::UNKNOWN_MEMBER_ID, &me);
    bench.speak();
    assert!(bench.refuse(ErrorCode::FENCED_INSTANCE_ID).tell.is_some(), "the older one ends");
}

#[test]
fn who_may_not_commit_since_nobody_knows_it_joins_anew() {
    let mut bench = member_with("orders-0");
    let me = bench.member.identity();
    bench.refuse_commit(ErrorCode::STALE_MEMBER_EPOCH, &me);
    bench.rests_for_now();
    bench.refuse_commit(ErrorCode::UNKNOWN_MEMBER_ID, &me);
    assert_eq!(bench.next(), Step::Lose(partitions("orders-0")));
    bench.done();
    assert_eq!(bench.speak().member_epoch, MemberEpoch::JOIN);
}

#[test]
fn who_is_left_over_when_the_coordinator_has_lost_the_group_makes_it_anew() {
    let mut bench = member_with("orders-0");
    bench.wait();
    bench.speak();
    assert!(bench.refuse(ErrorCode::GROUP_ID_NOT_FOUND).tell.is_none());
    assert_eq!(bench.next(), Step::Lose(partitions("orders-0")));
    bench.done();
    assert_eq!(bench.speak().member_epoch, MemberEpoch::JOIN);
    let told = bench.refuse(ErrorCode::GROUP_ID_NOT_FOUND).tell.expect("it may not join");
    assert!(told.advice().unwrap().contains("members of the classic protocol"), "{told}");
}

#[test]
fn the_coordinator_says_how_often_it_wants_to_hear_of_a_member() {
    let mut bench = new();
    bench.speak();
    let answer = |heartbeat_interval_ms| {
        Answer::Modern(Ok(ConsumerGroupHeartbeatResponse {
            member_epoch: MemberEpoch(1),
            heartbeat_interval_ms,
            ..Default::default()
        }))
    };
    bench.pass(Duration::from_millis(30));
    let sent = bench.now - Duration::from_millis(30);
    bench.answer(answer(100));
    assert_eq!(bench.member.lease(), Some(sent + terms().session_timeout), "it counts from when it was sent");
    assert_eq!(bench.wait(), Duration::from_millis(70));
    bench.speak();
    bench.answer(answer(0));
    assert_eq!(bench.wait(), Duration::from_millis(100), "what makes no sense changes nothing");
}

#[test]
fn an_answer_that_makes_no_member_of_it_is_a_fault() {
    let mut bench = new();
    bench.speak();
    let answer = ConsumerGroupHeartbeatResponse { member_epoch: MemberEpoch(0), ..Default::default() };
    assert!(bench.answer(Answer::Modern(Ok(answer))).find_coordinator);
    assert!(bench.wait() > Duration::from_millis(50));
    assert_eq!(bench.speak().member_epoch, MemberEpoch::JOIN);
}
