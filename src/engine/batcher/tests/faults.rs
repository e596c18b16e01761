//! What becomes of batches when something goes wrong.

use super::bench::{Bench, ID, TOPIC, gone, view};
use crate::engine::batcher::{Answer, Limits, Refused};
use crate::error::{Error, ErrorKind, Sent};
use crate::messages::*;
use crate::wire::Uuid;
use std::time::Duration;

pub(super) fn limits() -> Limits {
    Limits { linger: Duration::ZERO, batch_size: 1_000, ..Limits::default() }
}

/// Codes that the cluster answers with for partition 0.
fn with_faults(codes: &[ErrorCode]) -> Bench {
    let mut bench = Bench::new(limits());
    bench.cluster.faults.insert(0, codes.iter().copied().collect());
    bench
}

/// Sends one record in each of `count` batches of partition 0 and leaves them in flight.
pub(super) fn in_flight(bench: &mut Bench, count: usize) -> Vec<crate::engine::batcher::Shipment> {
    (0..count)
        .map(|number| {
            bench.send(0, &format!("v{number}")).unwrap();
            bench.drain(0).unwrap()
        })
        .collect()
}

pub(super) fn values(bench: &Bench, partition: i32) -> Vec<&str> {
    bench.cluster.logs.get(&partition).map_or(vec![], |log| log.values.iter().map(String::as_str).collect())
}

#[test]
fn with_five_in_flight_a_retry_of_the_first_keeps_the_order() {
    let mut bench = Bench::new(limits());
    bench.open(0);
    bench.cluster.faults.entry(0).or_default().push_back(ErrorCode::NOT_ENOUGH_REPLICAS);
    for shipment in in_flight(&mut bench, 5) {
        bench.deliver(shipment);
    }
    assert_eq!(values(&bench, 0), ["open 0"], "the one was refused, the others were out of order");
    bench.run(1_000);
    assert_eq!(values(&bench, 0), ["open 0", "v0", "v1", "v2", "v3", "v4"]);
    assert!(bench.cluster.seen.iter().all(|(_, (epoch, ..))| *epoch == 0), "each kept its number");
    assert_eq!(bench.offset("v4"), Some(5));
}

#[test]
fn until_a_first_batch_is_acknowledged_no_other_follows() {
    let mut bench = Bench::new(limits());
    bench.send(0, "a").unwrap();
    let first = bench.drain(0).unwrap();
    bench.send(0, "b").unwrap();
    assert!(
        bench.drain(0).is_none(),
        "a broker that knows no producer would write it in place of a lost one"
    );
    bench.answer(first, gone(Sent::Maybe));
    bench.run(1_000);
    assert_eq!(values(&bench, 0), ["a", "b"]);
    bench.cluster.logs.clear();
    for shipment in in_flight(&mut bench, 5) {
        bench.deliver(shipment);
    }
    assert_eq!(bench.offset("v4"), Some(4));
}

#[test]
fn a_lost_answer_or_a_lost_request_makes_no_duplicate() {
    let mut bench = Bench::new(limits());
    bench.open(0);
    let shipments = in_flight(&mut bench, 3);
    for (number, mut shipment) in shipments.into_iter().enumerate() {
        if number != 1 {
            bench.cluster.produce(&shipment.request(Acks::ALL, 0, None));
        }
        let completed = bench.answer(shipment, gone(Sent::Maybe));
        assert!(completed.finished.is_empty() && completed.refresh, "the leader may be another by now");
    }
    bench.run(2_000);
    assert_eq!(values(&bench, 0), ["open 0", "v0", "v1", "v2"]);
    assert_eq!(bench.offset("v2"), Some(3));
}

#[test]
fn a_duplicate_whose_offset_the_broker_forgot_is_a_success_without_one() {
    let mut bench = with_faults(&[ErrorCode::DUPLICATE_SEQUENCE_NUMBER]);
    bench.send(0, "a").unwrap();
    bench.run(0);
    assert_eq!(bench.outcomes["a"].as_ref().unwrap(), &None, "never a guess");
}

#[test]
fn a_gap_that_no_retry_explains_is_mended_under_a_higher_epoch() {
    let mut bench = Bench::new(limits());
    bench.send(0, "before").unwrap();
    bench.send(1, "elsewhere").unwrap();
    bench.run(0);
    bench.cluster.faults.entry(0).or_default().push_back(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let [one, two] = in_flight(&mut bench, 2).try_into().unwrap();
    bench.deliver(one);
    assert!(bench.drain(0).is_none(), "not while the other is in flight");
    bench.answer(two, gone(Sent::Maybe));
    bench.run(1_000);
    assert_eq!(values(&bench, 0), ["before", "v0", "v1"]);
    let of_0: Vec<_> = bench.cluster.seen.iter().filter(|(p, _)| *p == 0).map(|(_, stamp)| *stamp).collect();
    assert_eq!(of_0, [(0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1)]);

    bench.send(1, "elsewhere again").unwrap();
    bench.run(0);
    assert_eq!(
        bench.cluster.seen.last(),
        Some(&(1, (1, 0, 1))),
        "an idle partition takes the new epoch over"
    );
}

#[test]
fn a_gap_behind_a_batch_that_may_be_written_does_not_write_it_twice() {
    let mut bench = Bench::new(limits());
    bench.open(0);
    let [mut one, two, three] = in_flight(&mut bench, 3).try_into().unwrap();
    bench.cluster.produce(&one.request(Acks::ALL, 0, None));
    bench.cluster.faults.entry(0).or_default().push_back(ErrorCode::INVALID_RECORD);
    bench.deliver(two);
    bench.deliver(three);
    bench.answer(one, gone(Sent::Maybe));
    bench.run(1_000);
    assert_eq!(values(&bench, 0), ["open 0", "v0", "v2"]);
    assert_eq!((bench.offset("v0"), bench.offset("v2")), (Some(1), Some(2)));
}

#[test]
fn no_batch_of_open_fate_falls_out_of_the_five_that_a_broker_remembers() {
    let mut bench = Bench::new(limits());
    bench.open(0);
    let mut shipments = in_flight(&mut bench, 5);
    let mut first = shipments.remove(0);
    bench.cluster.produce(&first.request(Acks::ALL, 0, None));
    for shipment in shipments {
        bench.deliver(shipment);
    }
    bench.send(0, "sixth").unwrap();
    assert!(bench.drain(0).is_none(), "one in flight, but five since");
    bench.answer(first, gone(Sent::Maybe));
    bench.run(1_000);
    assert_eq!(values(&bench, 0), ["open 0", "v0", "v1", "v2", "v3", "v4", "sixth"]);
}

#[test]
fn a_broker_that_forgot_the_producer_gets_a_higher_epoch() {
    let mut bench = Bench::new(limits());
    bench.send(0, "before").unwrap();
    bench.run(0);
    bench.cluster.logs.get_mut(&0).unwrap().forget();
    bench.cluster.faults.entry(0).or_default().push_back(ErrorCode::UNKNOWN_PRODUCER_ID);
    bench.send(0, "after").unwrap();
    bench.run(1_000);
    assert_eq!(values(&bench, 0), ["before", "after"]);
    assert_eq!(bench.cluster.seen.last(), Some(&(0, (1, 0, 1))));
}

#[test]
fn a_refused_sequence_for_ever_is_not_asked_for_ever() {
    let mut bench = Bench::new(limits());
    bench.cluster.faults.entry(0).or_default().extend([ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER; 10_000]);
    bench.send(0, "a").unwrap();
    bench.run(130_000);
    assert_eq!(bench.error("a").kind(), ErrorKind::Timeout);
    assert!(bench.cluster.seen.len() < 150, "{} requests in two minutes", bench.cluster.seen.len());
}

#[test]
fn a_batch_too_large_is_halved_until_it_fits_and_later_ones_are_smaller() {
    let mut bench = Bench::new(Limits { batch_size: 10_000, linger: Duration::from_millis(1), ..limits() });
    bench.cluster.max_batch = Some(1_500);
    let names: Vec<String> = (0..16).map(|number| format!("{number:02} {}", "x".repeat(500))).collect();
    for name in &names {
        bench.send(0, name).unwrap();
    }
    bench.run(1_000);
    assert_eq!(values(&bench, 0), names, "in order");
    assert_eq!(bench.outcomes.len(), 16);
    let refused = bench.cluster.too_large;
    assert!((1..10).contains(&refused), "{refused} refusals");
    assert!(
        bench.cluster.seen.iter().all(|(_, (epoch, ..))| *epoch == 0),
        "the halves share the numbers of the whole"
    );

    for name in &names {
        bench.send(0, &format!("again {name}")).unwrap();
    }
    bench.run(1_000);
    assert_eq!(bench.cluster.too_large, refused, "no batch was too large this time");
    assert_eq!(bench.batcher.held_bytes(), 0);
}

#[test]
fn a_single_record_too_large_fails_and_its_neighbours_do_not() {
    let mut bench = Bench::new(Limits { batch_size: 10_000, linger: Duration::from_millis(1), ..limits() });
    bench.cluster.max_batch = Some(1_000);
    let large = "x".repeat(2_000);
    for value in ["a", &large, "b"] {
        bench.send(0, value).unwrap();
    }
    bench.run(1_000);
    bench.send(0, "c").unwrap();
    bench.run(1_000);
    assert_eq!(values(&bench, 0), ["a", "b", "c"]);
    let error = bench.error(&large);
    assert_eq!(error.code(), Some(ErrorCode::MESSAGE_TOO_LARGE));
    assert!(!error.is_possibly_written());
    assert_eq!((error.topic_name(), error.partition_index()), (Some(TOPIC), Some(0)));
}

#[test]
fn what_the_broker_will_never_take_fails_at_once_and_others_go_on() {
    for code in [
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        ErrorCode::RECORD_LIST_TOO_LARGE,
        ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
        ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode(3000),
    ] {
        let mut bench = with_faults(&[code]);
        bench.send(0, "a").unwrap();
        bench.send(2, "b").unwrap();
        bench.run(0);
        assert_eq!(bench.error("a").code(), Some(code));
        assert_eq!(bench.error("a").is_possibly_written(), code == ErrorCode(3000), "{code}");
        assert_eq!(bench.offset("b"), Some(0));
        bench.send(0, "c").unwrap();
        bench.run(1_000);
        assert_eq!(bench.offset("c"), Some(0), "after {code} the partition goes on");
    }
}

#[test]
fn the_records_that_a_broker_names_get_their_own_errors() {
    let mut bench = Bench::new(Limits { linger: Duration::from_millis(1), ..limits() });
    for value in ["good", "bad"] {
        bench.send(0, value).unwrap();
    }
    bench.pass(1);
    let shipment = bench.drain(0).unwrap();
    let named = |batch_index, message: &str| ProduceRecordError {
        batch_index,
        batch_index_error_message: Some(message.into()),
    };
    let refused = ProducePartitionResponse {
        error_code: ErrorCode::INVALID_RECORD,
        record_errors: vec![named(1, "no key"), named(99, "out of range")],
        error_message: Some("compacted topics need keys".into()),
        ..ProducePartitionResponse::default()
    };
    bench.answer(shipment, Answer::Response(response(vec![refused])));
    assert!(bench.error("bad").to_string().contains("the broker says: no key"));
    assert!(bench.error("good").to_string().contains("other records of its batch were refused"));
}

pub(super) fn response(partition_responses: Vec<ProducePartitionResponse>) -> ProduceResponse {
    let topic = ProduceTopicResponse { topic_id: ID, partition_responses, ..ProduceTopicResponse::default() };
    ProduceResponse { responses: vec![topic], ..ProduceResponse::default() }
}

#[test]
fn a_partition_that_the_answer_leaves_out_is_not_acknowledged() {
    let mut bench = Bench::new(limits());
    bench.send(0, "a").unwrap();
    let shipment = bench.drain(0).unwrap();
    let for_another = ProducePartitionResponse { index: 2, ..ProducePartitionResponse::default() };
    bench.answer(shipment, Answer::Response(response(vec![for_another])));
    assert!(bench.outcomes.is_empty());
    bench.run(1_000);
    assert_eq!(bench.offset("a"), Some(0), "it was asked again");
}

#[test]
fn an_answer_by_name_counts_as_one_by_id() {
    let mut bench = Bench::new(limits());
    bench.send(0, "a").unwrap();
    let shipment = bench.drain(0).unwrap();
    let topic = ProduceTopicResponse {
        name: TOPIC.into(),
        partition_responses: vec![ProducePartitionResponse {
            base_offset: 41,
            log_append_time_ms: 77,
            ..ProducePartitionResponse::default()
        }],
        ..ProduceTopicResponse::default()
    };
    let answer = ProduceResponse { responses: vec![topic], ..ProduceResponse::default() };
    let completed = bench.answer(shipment, Answer::Response(answer));
    let receipt = completed.finished[0].result.as_ref().unwrap();
    assert_eq!((receipt.base_offset, receipt.append_time_ms), (Some(41), Some(77)));
}

#[test]
fn one_refresh_serves_all_partitions_that_moved_and_the_pause_is_kept() {
    let mut bench = Bench::new(limits());
    for partition in [0, 2] {
        bench.cluster.faults.entry(partition).or_default().push_back(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        bench.send(partition, &format!("to {partition}")).unwrap();
    }
    let shipment = bench.drain(0).unwrap();
    assert_eq!(shipment.batch_count(), 2);
    let completed = bench.deliver(shipment);
    assert!(completed.refresh && completed.hints.is_empty());
    assert!(bench.batcher.ready(bench.now).is_empty());
    let at = bench.batcher.next_deadline().unwrap() - bench.now;
    assert!((Duration::from_millis(80)..=Duration::from_millis(120)).contains(&at), "{at:?}");
}

#[test]
fn a_hint_sends_the_batch_to_the_new_leader_without_a_pause() {
    let mut bench = Bench::new(limits());
    bench.send(0, "a").unwrap();
    let shipment = bench.drain(0).unwrap();
    let moved = ProducePartitionResponse {
        error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
        current_leader: CurrentLeader { leader_id: BrokerId(1), leader_epoch: LeaderEpoch(2) },
        ..ProducePartitionResponse::default()
    };
    let completed = bench.answer(shipment, Answer::Response(response(vec![moved])));
    let mut view = bench.view.clone();
    assert_eq!(view.apply_hints(&completed.hints, &completed.endpoints), 1);
    bench.apply(view);
    assert_eq!(bench.batcher.ready(bench.now), [BrokerId(1)], "at once");
    let again = bench.drain(1).unwrap();
    bench.deliver(again);
    assert_eq!(bench.offset("a"), Some(0));
}

#[test]
fn records_wait_for_a_leader_and_say_that_they_do() {
    let mut bench = Bench::new(limits());
    bench.apply(view(ID, &[(-1, 1), (1, 1), (0, 1), (1, 1)]));
    assert!(bench.send(0, "a").unwrap(), "somebody has to ask who leads");
    assert!(bench.batcher.ready(bench.now).is_empty());
    assert!(bench.batcher.has_leaderless());
    bench.apply(view(ID, &[(1, 2), (1, 1), (0, 1), (1, 1)]));
    assert!(!bench.batcher.has_leaderless());
    bench.run(0);
    assert_eq!(bench.offset("a"), Some(0));
}

#[test]
fn a_record_that_was_never_sent_expires_as_surely_not_written() {
    let mut bench = Bench::new(Limits { delivery_timeout: Duration::from_secs(5), ..limits() });
    bench.send(0, "a").unwrap();
    for _ in 0..3 {
        let shipment = bench.drain(0).unwrap();
        bench.answer(shipment, gone(Sent::Never));
        bench.pass(1_200);
        bench.expire();
    }
    assert!(bench.outcomes.is_empty(), "no earlier than promised");
    bench.pass(1_400);
    bench.expire();
    assert_eq!(bench.error("a").kind(), ErrorKind::Timeout);
    assert!(!bench.error("a").is_possibly_written());
    assert!(bench.error("a").to_string().contains("the connection ended"), "{}", bench.error("a"));
    bench.send(0, "b").unwrap();
    bench.run(0);
    assert_eq!(bench.cluster.seen, [(0, (0, 0, 1))], "its number was free again");
}

#[test]
fn a_record_for_which_no_attempt_is_left_fails_when_its_time_is_over() {
    for sent in [Sent::Never, Sent::Maybe] {
        let mut bench = Bench::new(Limits { delivery_timeout: Duration::from_secs(5), ..limits() });
        bench.send(0, "a").unwrap();
        let shipment = bench.drain(0).unwrap();
        bench.pass(4_950);
        bench.answer(shipment, gone(sent));
        assert!(bench.outcomes.is_empty(), "no earlier than promised");
        bench.pass(49);
        bench.expire();
        assert!(bench.outcomes.is_empty() && bench.drain(0).is_none());
        assert_eq!(bench.batcher.next_deadline(), Some(bench.now + Duration::from_millis(1)));
        bench.pass(1);
        bench.expire();
        assert_eq!(bench.error("a").kind(), ErrorKind::Timeout);
        assert_eq!(bench.error("a").is_possibly_written(), sent == Sent::Maybe);
        assert!(bench.error("a").to_string().contains("the connection ended"), "{}", bench.error("a"));
    }
}

#[test]
fn no_attempt_begins_when_the_first_record_of_a_batch_has_no_time_left() {
    let delivery_timeout = Duration::from_secs(12);
    let mut bench = Bench::new(Limits { delivery_timeout, linger: Duration::ZERO, ..limits() });
    bench.apply(view(ID, &[(-1, 1), (1, 1), (0, 1), (1, 1)]));
    bench.send(0, "first").unwrap();
    bench.pass(900);
    bench.send(0, "last").unwrap();
    bench.pass(11_050);
    bench.apply(view(ID, &[(0, 2), (1, 1), (0, 1), (1, 1)]));
    let shipment = bench.drain(0).unwrap();
    assert_eq!(shipment.send_by(), Some(bench.now + Duration::from_millis(50)));
    bench.answer(shipment, gone(Sent::Never));
    bench.pass(200);
    assert!(bench.drain(0).is_none(), "its answer could come a request's time and more too late");
    assert!(bench.batcher.ready(bench.now).is_empty(), "nobody looks again and again");
    assert_eq!(bench.batcher.next_deadline(), Some(bench.now + Duration::from_millis(750)));
    bench.pass(749);
    bench.expire();
    assert!(bench.outcomes.is_empty(), "the last one has its time");
    bench.pass(1);
    bench.expire();
    for value in ["first", "last"] {
        assert_eq!(bench.error(value).kind(), ErrorKind::Timeout);
    }
}

/// Batches grow while they wait, and the first record's age is no other's.
#[test]
fn no_record_fails_before_its_own_time_is_over_nor_long_after() {
    for (delivery_ms, linger_ms) in [(12_000, 0), (120_000, 5), (2_400, 0), (6_000, 3_000)] {
        let delivery_timeout = Duration::from_millis(delivery_ms);
        let linger = Duration::from_millis(linger_ms);
        let mut bench = Bench::new(Limits { delivery_timeout, linger, ..limits() });
        bench.apply(view(ID, &[(-1, 1), (1, 1), (0, 1), (1, 1)]));
        let mut sent: Vec<(String, std::time::Instant)> = Vec::new();
        let mut failed = 0;
        while failed < 100 {
            let value = format!("{:?}", bench.now);
            bench.send(0, &value).unwrap();
            sent.push((value, bench.now));
            bench.pass(delivery_ms / 200);
            bench.expire();
            for (value, at) in &sent[failed..] {
                let Some(outcome) = bench.outcomes.get(value) else { break };
                assert!(outcome.is_err());
                let (took, late) = (bench.now - *at, (delivery_timeout / 10).max(linger));
                assert!(
                    took >= delivery_timeout && took <= delivery_timeout + late,
                    "{took:?} of {delivery_timeout:?}"
                );
                failed += 1;
            }
        }
    }
}

#[test]
fn an_expired_record_that_may_have_been_written_holds_back_what_is_new() {
    let mut bench = Bench::new(Limits { delivery_timeout: Duration::from_secs(5), ..limits() });
    bench.open(0);
    bench.send(0, "a").unwrap();
    let mut shipment = bench.drain(0).unwrap();
    bench.cluster.produce(&shipment.request(Acks::ALL, 0, None));
    bench.pass(4_000);
    bench.send(0, "b").unwrap();
    let second = bench.drain(0).unwrap();
    bench.answer(shipment, gone(Sent::Maybe));
    bench.pass(1_000);
    bench.expire();
    assert!(bench.error("a").is_possibly_written());
    bench.send(0, "c").unwrap();
    assert!(bench.drain(0).is_none(), "is there a gap before it?");
    bench.deliver(second);
    bench.run(0);
    assert_eq!(values(&bench, 0), ["open 0", "a", "b", "c"], "there was none");
    assert_eq!(bench.cluster.seen.last(), Some(&(0, (0, 3, 1))));
}

#[test]
fn when_nothing_can_prove_it_the_epoch_is_raised() {
    let mut bench = Bench::new(Limits { delivery_timeout: Duration::from_secs(5), ..limits() });
    bench.send(0, "a").unwrap();
    let shipment = bench.drain(0).unwrap();
    bench.pass(5_000);
    bench.answer(shipment, gone(Sent::Maybe));
    assert!(bench.error("a").is_possibly_written());
    bench.send(0, "b").unwrap();
    bench.run(0);
    assert_eq!(bench.cluster.seen, [(0, (1, 0, 1))]);
}

#[test]
fn records_for_a_partition_that_is_gone_say_so_when_their_time_is_over() {
    let mut bench = Bench::new(Limits { delivery_timeout: Duration::from_secs(5), ..limits() });
    bench.send(3, "a").unwrap();
    bench.apply(view(Uuid::from_bytes([8; 16]), &[(0, 0)]));
    bench.run(5_000);
    assert_eq!(bench.error("a").code(), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!(bench.send(2, "b"), Err(Refused::NoPartition(1)));
}

#[test]
fn a_topic_made_anew_gets_what_is_queued_with_numbers_from_0() {
    let mut bench = Bench::new(limits());
    bench.send(0, "a").unwrap();
    bench.run(0);
    let [flying] = in_flight(&mut bench, 1).try_into().unwrap();
    let anew = Uuid::from_bytes([8; 16]);
    bench.apply(view(anew, &[(0, 0), (1, 0), (0, 0), (1, 0)]));
    bench.send(0, "b").unwrap();
    assert!(bench.drain(0).is_none(), "what was meant for the old topic comes home first");
    bench.answer(flying, gone(Sent::Maybe));
    bench.cluster.logs.clear();
    bench.run(1_000);
    assert_eq!(values(&bench, 0), ["v0", "b"]);
    assert_eq!(bench.cluster.seen.last(), Some(&(0, (1, 1, 1))));
}

#[test]
fn retries_count_what_may_have_arrived_only() {
    let mut bench = Bench::new(Limits { retries: 1, ..limits() });
    bench.send(0, "a").unwrap();
    for _ in 0..10 {
        let shipment = bench.drain(0).unwrap();
        bench.answer(shipment, gone(Sent::Never));
        bench.pass(1_000);
    }
    let shipment = bench.drain(0).unwrap();
    bench.answer(shipment, gone(Sent::Maybe));
    bench.pass(1_000);
    let shipment = bench.drain(0).unwrap();
    bench.answer(shipment, gone(Sent::Maybe));
    assert_eq!(bench.error("a").kind(), ErrorKind::Disconnected);
}

#[test]
fn one_in_flight_keeps_the_order_without_numbers() {
    let mut bench =
        Bench::new(Limits { idempotent: false, max_in_flight_batches: 1, batch_size: 0, ..limits() });
    for value in ["a", "b", "c"] {
        bench.send(0, value).unwrap();
    }
    bench.cluster.faults.entry(0).or_default().extend([ErrorCode::NOT_ENOUGH_REPLICAS; 3]);
    bench.run(5_000);
    assert_eq!(values(&bench, 0), ["a", "b", "c"]);
}

#[test]
fn a_shipment_that_never_comes_back_is_given_up() {
    let mut bench = Bench::new(limits());
    bench.send(0, "a").unwrap();
    let shipment = bench.drain(0).unwrap();
    let (id, broker) = (shipment.id(), shipment.broker());
    drop(shipment);
    let finished = bench.batcher.lose(id, broker, &Error::new(ErrorKind::Internal, "produce"));
    bench.note(&finished);
    assert!(!bench.error("a").is_possibly_written(), "it was never sent");
    assert!(bench.batcher.lose(id, broker, &Error::new(ErrorKind::Internal, "produce")).is_empty());
    bench.send(0, "b").unwrap();
    bench.run(1_000);
    assert_eq!(bench.offset("b"), Some(0), "the partition goes on");
}

#[test]
fn a_damaged_batch_is_sent_again_from_the_bytes_it_was_made_of() {
    let mut bench = with_faults(&[ErrorCode::CORRUPT_MESSAGE]);
    bench.send(0, "a").unwrap();
    bench.run(1_000);
    assert_eq!((values(&bench, 0), bench.cluster.seen.len()), (vec!["a"], 2));
}
