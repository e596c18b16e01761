use super::*;
use crate::error::ErrorKind;
use crate::messages::{
    CurrentLeader, MetadataBroker, MetadataPartition, MetadataResponse, MetadataTopic, NodeEndpoint,
};

const A: Uuid = Uuid::from_bytes([0xa; 16]);
const B: Uuid = Uuid::from_bytes([0xb; 16]);

fn broker(id: i32) -> MetadataBroker {
    MetadataBroker {
        node_id: BrokerId(id),
        host: Text::from(format!("b{id}.example")),
        port: 9092,
        rack: None,
    }
}

/// A partition with its leader and leader epoch.
fn partition(index: i32, leader: i32, epoch: i32) -> MetadataPartition {
    MetadataPartition {
        partition_index: index,
        leader_id: BrokerId(leader),
        leader_epoch: LeaderEpoch(epoch),
        replica_nodes: [BrokerId(1), BrokerId(2)].into(),
        isr_nodes: [BrokerId(1), BrokerId(2)].into(),
        ..Default::default()
    }
}

fn topic(name: &str, id: Uuid, partitions: impl Into<Vec<MetadataPartition>>) -> MetadataTopic {
    MetadataTopic {
        name: Some(name.into()),
        topic_id: id,
        partitions: partitions.into(),
        ..Default::default()
    }
}

fn failed(name: &str, error_code: ErrorCode) -> MetadataTopic {
    MetadataTopic { error_code, name: Some(name.into()), ..Default::default() }
}

fn answer(topics: impl Into<Vec<MetadataTopic>>) -> MetadataResponse {
    MetadataResponse {
        brokers: vec![broker(1), broker(2)],
        cluster_id: Some("here".into()),
        controller_id: BrokerId(2),
        topics: topics.into(),
        ..Default::default()
    }
}

fn orders() -> MetadataTopic {
    topic("orders", A, [partition(0, 1, 5), partition(1, 2, 7)])
}

/// A view that knows `orders`.
fn view() -> View {
    let mut view = View::default();
    view.apply(answer([orders()]), Asked::SomeTopics).unwrap();
    view
}

fn leader(view: &View, topic: &str, partition: i32) -> Result<(i32, i32), ErrorCode> {
    view.leader(topic, partition).map(|leader| (leader.broker.id.0, leader.epoch.0))
}

#[test]
fn an_answer_tells_brokers_topics_and_leaders() {
    let mut view = View::default();
    assert!(view.is_empty());
    assert_eq!(leader(&view, "orders", 0), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));

    let changes = view.apply(answer([orders()]), Asked::SomeTopics).unwrap();
    assert_eq!(
        changes,
        Changes { brokers: vec![BrokerId(1), BrokerId(2)], leaders: 2, ..Changes::default() }
    );
    assert!(!changes.is_incomplete());
    assert_eq!(view.cluster_id().unwrap(), "here");
    assert_eq!(view.controller().unwrap().to_string(), "2 (b2.example:9092)");
    assert_eq!(leader(&view, "orders", 1), Ok((2, 7)));
    assert_eq!(leader(&view, "orders", 2), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    let orders = view.topic("orders").unwrap();
    assert_eq!((orders.partition_count(), &orders.available[..]), (2, &[0, 1][..]));
    assert_eq!(view.topic_by_id(A), Some(orders));

    let again = view.apply(answer([self::orders()]), Asked::SomeTopics).unwrap();
    assert_eq!(again, Changes::default(), "the same answer changes nothing");
}

#[test]
fn nonsense_is_refused_whole_and_the_last_good_view_stays() {
    let with_brokers = |brokers: Vec<MetadataBroker>| MetadataResponse { brokers, ..answer([orders()]) };
    let with_port = |port| with_brokers(vec![broker(1), MetadataBroker { port, ..broker(2) }]);
    let at_2 = |partitions: &[MetadataPartition]| answer([orders(), topic("t", B, partitions)]);
    let rows = [
        (with_brokers(vec![]), Nonsense::NoBrokers),
        (with_port(0), Nonsense::Port(BrokerId(2), 0)),
        (with_port(70_000), Nonsense::Port(BrokerId(2), 70_000)),
        (with_port(-1), Nonsense::Port(BrokerId(2), -1)),
        (
            with_brokers(vec![MetadataBroker { host: Text::default(), ..broker(3) }]),
            Nonsense::EmptyHost(BrokerId(3)),
        ),
        (with_brokers(vec![broker(-1)]), Nonsense::BrokerId(BrokerId(-1))),
        (with_brokers(vec![broker(1), broker(2), broker(1)]), Nonsense::BrokerTwice(BrokerId(1))),
        (answer([MetadataTopic { name: None, ..orders() }]), Nonsense::NoName),
        (answer([topic("", A, [])]), Nonsense::NoName),
        (answer([orders(), topic("t", B, []), orders()]), Nonsense::TopicTwice("orders".into())),
        (at_2(&[partition(-1, 1, 1)]), Nonsense::PartitionIndex("t".into(), -1)),
        (
            at_2(&[partition(1, 1, 1), partition(0, 1, 1), partition(1, 1, 1)]),
            Nonsense::PartitionTwice("t".into(), 1),
        ),
    ];
    for (answer, nonsense) in rows {
        let mut view = view();
        let before = format!("{view:?}");
        let error = view.apply(answer, Asked::AllTopics).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Nonsense>());
        assert_eq!(source, Some(&nonsense));
        assert_eq!(format!("{view:?}"), before, "{nonsense}");
    }
}

#[test]
fn an_error_of_the_whole_answer_changes_nothing() {
    let mut view = view();
    let refused = MetadataResponse { error_code: ErrorCode::REBOOTSTRAP_REQUIRED, ..Default::default() };
    let error = view.apply(refused, Asked::AllTopics).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::REBOOTSTRAP_REQUIRED));
    assert_eq!(leader(&view, "orders", 0), Ok((1, 5)));
}

#[test]
fn partitions_in_any_order_and_with_holes_are_found() {
    let mut view = View::default();
    let odd = topic("odd", A, [partition(7, 1, 1), partition(0, 2, 1), partition(3, 1, 1)]);
    view.apply(answer([odd]), Asked::SomeTopics).unwrap();
    assert_eq!(leader(&view, "odd", 0), Ok((2, 1)));
    assert_eq!(leader(&view, "odd", 3), Ok((1, 1)));
    assert_eq!(leader(&view, "odd", 7), Ok((1, 1)));
    assert_eq!(leader(&view, "odd", 1), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}

#[test]
fn an_older_leader_epoch_is_ignored() {
    let mut view = view();
    let late = topic("orders", A, [partition(0, 2, 4), partition(1, 1, 8)]);
    let changes = view.apply(answer([late]), Asked::SomeTopics).unwrap();
    assert_eq!((changes.stale, changes.leaders), (1, 1));
    assert!(changes.is_incomplete(), "who answered so late may know better soon");
    assert_eq!(leader(&view, "orders", 0), Ok((1, 5)), "as it was");
    assert_eq!(leader(&view, "orders", 1), Ok((1, 8)));
}

#[test]
fn a_broker_without_leader_epochs_is_believed() {
    let mut view = view();
    let changes = view.apply(answer([topic("orders", A, [partition(0, 2, -1)])]), Asked::SomeTopics).unwrap();
    assert_eq!(leader(&view, "orders", 0), Ok((2, -1)));
    assert_eq!(changes.stale, 1, "but a topic of one id does not lose partition 1");
    assert_eq!(leader(&view, "orders", 1), Ok((2, 7)));
}

#[test]
fn a_recreated_topic_starts_afresh_with_its_new_id() {
    let mut view = view();
    let changes = view.apply(answer([topic("orders", B, [partition(0, 2, 0)])]), Asked::SomeTopics).unwrap();
    assert_eq!(changes.recreated, [Recreated { name: "orders".into(), old: A, new: B }]);
    assert_eq!((changes.stale, leader(&view, "orders", 0)), (0, Ok((2, 0))));
    assert_eq!(
        leader(&view, "orders", 1),
        Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        "it has fewer partitions"
    );
    assert_eq!(view.topic_by_id(A), None);
    assert_eq!(&view.topic_by_id(B).unwrap().name, "orders");
}

#[test]
fn recreation_is_noticed_across_the_time_between() {
    let mut view = view();
    let gone = failed("orders", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let changes = view.apply(answer([gone.clone()]), Asked::SomeTopics).unwrap();
    assert_eq!(changes.vanished, [Text::from("orders")]);
    assert!(changes.is_incomplete(), "it may be on its way");
    assert_eq!(leader(&view, "orders", 0), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!(view.topic_by_id(A), None);

    assert!(view.apply(answer([gone]), Asked::SomeTopics).unwrap().vanished.is_empty(), "told once");
    let changes = view.apply(answer([topic("orders", B, [partition(0, 2, 0)])]), Asked::SomeTopics).unwrap();
    assert_eq!(changes.recreated, [Recreated { name: "orders".into(), old: A, new: B }]);
    assert_eq!(view.missing("orders"), None);
}

#[test]
fn what_was_not_asked_for_stays_and_a_full_list_drops_the_rest() {
    let mut view = view();
    view.apply(answer([topic("other", B, [partition(0, 1, 0)])]), Asked::SomeTopics).unwrap();
    assert_eq!(view.topics().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["orders", "other"]);

    let changes = view.apply(answer([topic("other", B, [partition(0, 1, 0)])]), Asked::AllTopics).unwrap();
    assert_eq!(changes.vanished, [Text::from("orders")]);
    assert_eq!(view.topics().len(), 1);
}

#[test]
fn a_topic_in_trouble_is_kept_and_one_that_is_forbidden_is_not() {
    let mut view = view();
    let changes =
        view.apply(answer([failed("orders", ErrorCode::LEADER_NOT_AVAILABLE)]), Asked::SomeTopics).unwrap();
    assert_eq!(changes.errors.len(), 1);
    assert!(changes.is_incomplete());
    assert_eq!(leader(&view, "orders", 0), Ok((1, 5)));

    let forbidden = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    let changes = view.apply(answer([failed("orders", forbidden)]), Asked::SomeTopics).unwrap();
    assert_eq!(changes.errors, [TopicError { name: Some("orders".into()), id: Uuid::ZERO, code: forbidden }]);
    assert!(!changes.is_incomplete(), "asking again changes nothing");
    assert_eq!(leader(&view, "orders", 0), Err(forbidden), "the reason is told to those who want to send");
}

#[test]
fn an_unknown_topic_id_takes_away_the_topic_of_that_id() {
    let mut view = view();
    let gone = MetadataTopic {
        error_code: ErrorCode::UNKNOWN_TOPIC_ID,
        name: None,
        topic_id: A,
        ..Default::default()
    };
    let changes = view.apply(answer([gone]), Asked::SomeTopics).unwrap();
    assert_eq!(changes.vanished, [Text::from("orders")]);
    assert_eq!(view.topic("orders"), None);
}

#[test]
fn a_leader_that_nobody_knows_is_no_leader() {
    let mut view = View::default();
    let changes = view
        .apply(answer([topic("t", A, [partition(0, 9, 1), partition(1, 1, 1)])]), Asked::SomeTopics)
        .unwrap();
    assert_eq!(changes.leaderless, 1);
    assert!(changes.is_incomplete());
    assert_eq!(leader(&view, "t", 0), Err(ErrorCode::LEADER_NOT_AVAILABLE));
    assert_eq!(view.topic("t").unwrap().available, [1]);
    assert_eq!(view.topic("t").unwrap().partition(0).unwrap().error, ErrorCode::LEADER_NOT_AVAILABLE);
}

#[test]
fn where_a_leader_is_named_that_nobody_knows_what_was_known_stands() {
    let mut view = view();
    let before = leader(&view, "orders", 0);
    let changes =
        view.apply(answer([topic("orders", A, [partition(0, 9, 7), partition(1, 2, 9)])]), Asked::SomeTopics);
    let changes = changes.unwrap();
    assert_eq!(leader(&view, "orders", 0), before);
    assert_eq!(leader(&view, "orders", 1), Ok((2, 9)), "the rest is learnt");
    let unknown = changes.unknown_leader.as_ref().unwrap();
    assert_eq!((unknown.topic.as_str(), unknown.partition, unknown.leader), ("orders", 0, BrokerId(9)));
    assert!(changes.is_incomplete(), "asked again");
}

#[test]
fn brokers_that_go_take_their_leaderships_along() {
    let mut view = view();
    let alone = MetadataResponse { brokers: vec![broker(2)], ..answer([]) };
    let changes = view.apply(alone, Asked::SomeTopics).unwrap();
    assert_eq!(changes.brokers, [BrokerId(1)]);
    assert_eq!(leader(&view, "orders", 0), Err(ErrorCode::LEADER_NOT_AVAILABLE));
    assert_eq!(view.topic("orders").unwrap().available, [1]);

    view.apply(answer([]), Asked::SomeTopics).unwrap();
    assert_eq!(leader(&view, "orders", 0), Ok((1, 5)), "and bring them back");
    assert_eq!(view.topic("orders").unwrap().available, [0, 1]);
}

#[test]
fn moved_brokers_are_named() {
    let mut view = view();
    let swapped = MetadataResponse {
        brokers: vec![
            MetadataBroker { host: "b2.example".into(), ..broker(1) },
            MetadataBroker { host: "b1.example".into(), ..broker(2) },
            broker(3),
        ],
        ..answer([])
    };
    let changes = view.apply(swapped, Asked::SomeTopics).unwrap();
    assert_eq!(changes.brokers, [BrokerId(1), BrokerId(2), BrokerId(3)]);
    assert_eq!(view.broker(BrokerId(1)).unwrap().to_string(), "1 (b2.example:9092)");
}

#[test]
fn another_cluster_is_reported_and_not_mixed_in() {
    let mut view = view();
    let other = MetadataResponse {
        cluster_id: Some("there".into()),
        ..answer([topic("t", B, [partition(0, 1, 0)])])
    };
    let changes = view.apply(other, Asked::SomeTopics).unwrap();
    assert_eq!(changes.cluster, Some(("here".into(), "there".into())));
    assert_eq!((view.topic("orders"), leader(&view, "t", 0)), (None, Ok((1, 0))));

    let silent = MetadataResponse { cluster_id: None, ..answer([]) };
    assert_eq!(view.apply(silent, Asked::SomeTopics).unwrap().cluster, None, "an old broker does not tell");
    assert_eq!(view.cluster_id().unwrap(), "there");
}

#[test]
fn new_partitions_are_reported() {
    let mut view = view();
    let grown = topic("orders", A, [partition(0, 1, 5), partition(1, 2, 7), partition(2, 2, 0)]);
    assert_eq!(view.apply(answer([grown]), Asked::SomeTopics).unwrap().grown, [Text::from("orders")]);

    let changes = view.apply(answer([orders()]), Asked::SomeTopics).unwrap();
    assert_eq!((changes.stale, view.topic("orders").unwrap().partition_count()), (1, 3), "a late answer");
}

fn hint(partition: i32, leader: i32, epoch: i32) -> Hint {
    let leader = CurrentLeader { leader_id: BrokerId(leader), leader_epoch: LeaderEpoch(epoch) };
    Hint { topic: "orders".into(), partition, leader }
}

#[test]
fn a_newer_leader_hint_is_taken_with_its_address() {
    let mut view = view();
    let shared = view.clone();
    let endpoint = NodeEndpoint { node_id: BrokerId(3), host: "b3.example".into(), port: 9093, rack: None };
    assert_eq!(view.apply_hints(&[hint(0, 3, 6), hint(1, 1, 8)], &[endpoint]), 2);
    assert_eq!((leader(&view, "orders", 0), leader(&view, "orders", 1)), (Ok((3, 6)), Ok((1, 8))));
    assert_eq!(view.broker(BrokerId(3)).unwrap().to_string(), "3 (b3.example:9093)");
    assert!(view.revision() > shared.revision());
    assert_eq!(leader(&shared, "orders", 0), Ok((1, 5)), "who holds the old picture keeps it");

    let late = view.apply(answer([orders()]), Asked::SomeTopics).unwrap();
    assert_eq!(
        (late.stale, leader(&view, "orders", 1)),
        (2, Ok((1, 8))),
        "metadata that lags does not undo it"
    );
}

#[test]
fn void_hints_are_passed_over() {
    let mut view = view();
    let nowhere = NodeEndpoint { node_id: BrokerId(4), host: Text::default(), port: 9093, rack: None };
    let void = [
        hint(0, 2, 5),   // not newer
        hint(0, 2, 4),   // older
        hint(0, -1, -1), // says nothing
        hint(0, 3, 9),   // a broker that nobody knows
        hint(0, 4, 9),   // a broker without an address
        hint(9, 2, 9),   // a partition that nobody knows
        Hint { topic: "unknown".into(), ..hint(0, 2, 9) },
    ];
    assert_eq!(view.apply_hints(&void, &[nowhere]), 0);
    assert_eq!(leader(&view, "orders", 0), Ok((1, 5)));
}

#[test]
fn a_topic_that_was_away_for_one_answer_keeps_its_leader_epochs() {
    let mut view = view();
    let gone = failed("orders", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    view.apply(answer([gone]), Asked::SomeTopics).unwrap();
    let late = topic("orders", A, [partition(0, 2, 4), partition(1, 2, 7)]);
    let changes = view.apply(answer([late]), Asked::SomeTopics).unwrap();
    assert_eq!((leader(&view, "orders", 0), changes.stale), (Ok((1, 5)), 1));
}

#[test]
fn a_forgotten_topic_is_as_never_asked_for() {
    let mut view = view();
    view.apply(answer([failed("gone", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)]), Asked::SomeTopics).unwrap();
    view.forget_unless(|name| name != "orders" && name != "gone");
    assert!(view.missing("gone").is_none());
    assert_eq!((view.topic("orders"), view.topic_by_id(A), view.missing("orders")), (None, None, None));
}

#[test]
fn two_hundred_thousand_partitions_are_taken_at_once() {
    let topics: Vec<MetadataTopic> = (0..2_000u32)
        .map(|number| {
            let mut id = [1; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            let partitions: Vec<_> = (0..100).map(|index| partition(index, 1 + index % 2, 3)).collect();
            topic(&format!("topic-{number}"), Uuid::from_bytes(id), partitions)
        })
        .collect();
    let mut view = View::default();
    let changes = view.apply(answer(topics.clone()), Asked::AllTopics).unwrap();
    assert_eq!(changes.leaders, 200_000);
    let held = view.clone();
    assert_eq!(view.apply(answer(topics), Asked::AllTopics).unwrap(), Changes::default());
    assert_eq!(leader(&held, "topic-1999", 99), leader(&view, "topic-1999", 99));
    assert!(size_of::<Partition>() <= 112, "a partition costs its size, nothing on the heap");
}
