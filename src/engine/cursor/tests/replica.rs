//! Reading from the replica that the leader names (KIP-392).

use super::*;

/// The leader of partition 0 is broker 1, which names broker 2.
fn sent_to_broker_2() -> Bench {
    let mut bench = Bench::at(Limits { rack: "b".into(), ..limits() }, 0);
    let plan = bench.plan();
    assert_eq!(plan.broker, BrokerId(1));
    bench.answer(&plan, vec![named(2)]);
    bench
}

fn named(replica: i32) -> FetchPartitionResponse {
    FetchPartitionResponse { preferred_read_replica: BrokerId(replica), ..found(Bytes::new()) }
}

impl Bench {
    /// Who is asked next, as soon as somebody may be asked.
    fn reads_from(&mut self) -> i32 {
        if let Some(at) = self.cursors.deadline(self.now) {
            self.now = at;
        }
        self.plan().broker.0
    }
}

#[test]
fn a_consumer_says_where_it_stands_and_goes_where_the_leader_sends_it() {
    let mut bench = sent_to_broker_2();
    let mut plan = bench.plan();
    assert_eq!(plan.broker, BrokerId(2), "at once");
    assert_eq!(plan.request(12).rack_id, "b");
    bench.answer(&plan, vec![found(batch(0, 3))]);
    assert_eq!(bench.drain(), [0, 1, 2]);
    assert_eq!(bench.reads_from(), 2);
}

#[test]
fn the_leader_is_asked_again_after_a_while() {
    let mut bench = sent_to_broker_2();
    bench.now += Duration::from_secs(299);
    assert_eq!(bench.plan().broker, BrokerId(2));
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.plan().broker, BrokerId(1));
}

/// A follower has less than the leader: that resets nothing and is no matter for the application.
#[test]
fn whatever_a_follower_refuses_the_leader_is_asked_next() {
    for code in [
        ErrorCode::OFFSET_OUT_OF_RANGE,
        ErrorCode::OFFSET_NOT_AVAILABLE,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ] {
        let mut bench = sent_to_broker_2();
        bench.fail(code);
        assert!(bench.cursors.plan_resets(&bench.view, bench.now, 0, &BTreeSet::new()).0.is_empty());
        assert_eq!(bench.reads_from(), 1, "after {code}");
        assert!(bench.cursors.next_batch(bench.now).is_none(), "{code} was told");
        assert_eq!(bench.position(), Some(0));
    }
}

#[test]
fn a_follower_that_does_not_answer_is_left() {
    let mut bench = sent_to_broker_2();
    let plan = bench.plan();
    let lost = Error::new(ErrorKind::Disconnected, "test");
    bench.cursors.digest_fetch(&plan, Err(lost), bench.now, &mut bench.rng);
    assert_eq!(bench.reads_from(), 1);
}

/// The leader goes on naming a dead follower until its session ends, and gives no records to who may read there.
#[test]
fn after_a_follower_has_died_nobody_is_told_the_rack_for_a_while() {
    let mut bench = sent_to_broker_2();
    let plan = bench.plan();
    let lost = Error::new(ErrorKind::Disconnected, "test");
    bench.cursors.digest_fetch(&plan, Err(lost), bench.now, &mut bench.rng);
    assert_eq!(bench.reads_from(), 1);
    let rack = |bench: &mut Bench| bench.plan().request(12).rack_id;
    assert_eq!(rack(&mut bench), "");
    bench.now += Duration::from_secs(9);
    assert_eq!(rack(&mut bench), "");
    bench.now += Duration::from_secs(1);
    assert_eq!(rack(&mut bench), "b");
}

/// Its log ends before what the leader had given already: it is behind, and nothing was truncated.
#[test]
fn a_follower_is_not_asked_whether_the_log_has_parted() {
    let mut bench = Bench::at(limits(), 0);
    bench.fetch(of_epoch(3, 0, 3));
    bench.drain();
    let plan = bench.plan();
    bench.answer(&plan, vec![named(2)]);
    let mut plan = bench.plan();
    assert_eq!(plan.broker, BrokerId(2));
    assert_eq!(plan.request(12).topics[0].partitions[0].last_fetched_epoch, LeaderEpoch::NONE);
    let diverging_epoch = crate::messages::EpochEndOffset { epoch: LeaderEpoch(3), end_offset: 1 };
    bench.answer(&plan, vec![FetchPartitionResponse { diverging_epoch, ..found(Bytes::new()) }]);
    assert_eq!((bench.reads_from(), bench.position()), (1, Some(3)));
    assert!(bench.cursors.next_batch(bench.now).is_none());
}

/// A leader that names a follower does not look whether its own log is the one that was read.
#[test]
fn a_leader_compares_its_log_with_what_came_from_a_follower_before_it_names_one_again() {
    let mut bench = sent_to_broker_2();
    bench.fetch(of_epoch(4, 0, 3));
    bench.drain();
    bench.fail(ErrorCode::FENCED_LEADER_EPOCH);
    assert_eq!(bench.reads_from(), 1);
    let mut plan = bench.plan();
    let request = plan.request(12);
    assert_eq!(request.rack_id, "");
    assert_eq!(request.topics[0].partitions[0].last_fetched_epoch, LeaderEpoch(4));
    bench.answer(&plan, vec![found(of_epoch(4, 3, 1))]);
    assert_eq!(bench.plan().request(12).rack_id, "b");
}

#[test]
fn a_replica_that_metadata_do_not_know_is_looked_up_and_the_leader_read_meanwhile() {
    let mut bench = Bench::at(limits(), 0);
    let plan = bench.plan();
    bench.answer(&plan, vec![named(9)]);
    let (plans, refresh) = bench.cursors.plan_fetches(&bench.view, bench.now, &BTreeSet::new());
    assert_eq!((plans[0].broker, refresh), (BrokerId(1), true));
}

/// Two brokers that send a consumer to and fro would do so at the speed of the wire.
#[test]
fn a_leader_and_a_follower_that_contradict_each_other_are_asked_with_pauses() {
    let mut bench = Bench::at(limits(), 0);
    let began = bench.now;
    let mut requests = 0;
    while bench.now - began < Duration::from_secs(10) {
        for plan in bench.plans() {
            requests += 1;
            let refused =
                FetchPartitionResponse { error_code: ErrorCode::OFFSET_OUT_OF_RANGE, ..found(Bytes::new()) };
            let answer = if plan.broker == BrokerId(1) { named(2) } else { refused };
            bench.answer(&plan, vec![answer]);
        }
        bench.now += Duration::from_millis(1);
    }
    assert!((10..=250).contains(&requests), "{requests} fetches in ten seconds");
}
