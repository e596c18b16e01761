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
    bench.beat();
    bench.accept(1, Some(list));
    bench.assigned(list);
    bench.beat();
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
    fn beat(&mut self) -> ConsumerGroupHeartbeatRequest {
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

    fn refuse(&mut self, error_code: ErrorCode) -> Effects {
        let error_message = Some("so it is".into());
        self.answer(Answer::Modern(Ok(ConsumerGroupHeartbeatResponse {
            error_code,
            error_message,
            ..Default::default()
        })))
    }

    #[track_caller]
    fn assigned(&mut self, list: &str) {
        assert_eq!(self.next(), Step::Assign(partitions(list)));
        self.done();
    }
}

#[test]
fn it_joins_with_everything_and_later_says_what_changed() {
    let mut bench = with(Terms { rack: Some("r1".into()), ..terms() }, Some("uniform"));
    let join = bench.beat();
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
    assert_eq!(bench.beat(), ConsumerGroupHeartbeatRequest { topic_partitions: owned, ..bare.clone() });
    bench.accept(3, None);
    assert_eq!(bench.wait(), INTERVAL);
    assert_eq!(bench.beat(), bare);
}
