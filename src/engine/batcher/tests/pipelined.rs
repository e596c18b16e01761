//! Five batches of one partition in flight, and something happens to one of them.

use super::bench::{Bench, ID, gone, view};
use super::faults::{in_flight, limits, response, values};
use crate::engine::batcher::{Answer, Limits, Shipment};
use crate::error::{ErrorKind, Sent};
use crate::messages::*;
use crate::wire::Uuid;
use std::time::Duration;

/// Five in flight after a first that was acknowledged, each a record.
fn five(limits: Limits) -> (Bench, Vec<Shipment>) {
    let mut bench = Bench::new(limits);
    bench.open(0);
    let shipments = in_flight(&mut bench, 5);
    (bench, shipments)
}

/// Epoch and base sequence of the batches that came for partition 0, each once, in the order of their first arrival.
fn numbers(bench: &Bench) -> Vec<(i16, i32)> {
    let mut numbers: Vec<(i16, i32)> = Vec::new();
    for (_, (epoch, sequence, _)) in bench.cluster.seen.iter().filter(|(partition, _)| *partition == 0) {
        if !numbers.contains(&(*epoch, *sequence)) {
            numbers.push((*epoch, *sequence));
        }
    }
    numbers
}

/// Of the third all attempts are lost on their way. The later ones are refused, and when its retries are used up they are
/// renumbered; until then nothing new may be sent, as it could be taken for the lost one.
#[test]
fn when_the_retries_of_one_in_the_middle_are_used_up_the_later_ones_start_again_in_order() {
    let (mut bench, mut shipments) = five(Limits { retries: 1, ..limits() });
    let later = shipments.split_off(3);
    let lost = shipments.pop().unwrap();
    shipments.into_iter().for_each(|shipment| drop(bench.deliver(shipment)));
    bench.answer(lost, gone(Sent::Maybe));
    bench.pass(1_000);
    let again = bench.drain(0).unwrap();
    bench.answer(again, gone(Sent::Maybe));
    let error = bench.error("v2");
    assert_eq!((error.kind(), error.is_possibly_written()), (ErrorKind::Disconnected, true));

    bench.send(0, "new").unwrap();
    for shipment in later {
        assert!(bench.drain(0).is_none(), "the later ones have to tell whether there is a gap before them");
        bench.deliver(shipment);
    }
    bench.run(2_000);
    assert_eq!(values(&bench, 0), ["open 0", "v0", "v1", "v3", "v4", "new"]);
    assert_eq!(numbers(&bench)[2..], [(0, 4), (0, 5), (1, 0), (1, 1), (1, 2)], "one bump, and from 0 on");
    assert_eq!(bench.batcher.held_bytes(), 0);
}

/// The third was written, and it is the answers that were lost: the later ones are taken, which proves it.
#[test]
fn when_the_one_whose_retries_are_used_up_was_written_nothing_is_renumbered() {
    let (mut bench, shipments) = five(Limits { retries: 0, ..limits() });
    for (number, mut shipment) in shipments.into_iter().enumerate() {
        if number == 2 {
            bench.cluster.produce(&shipment.request(Acks::ALL, 0, None));
            bench.answer(shipment, gone(Sent::Maybe));
        } else {
            bench.deliver(shipment);
        }
    }
    assert!(bench.error("v2").is_possibly_written());
    bench.send(0, "new").unwrap();
    bench.run(2_000);
    assert_eq!(values(&bench, 0), ["open 0", "v0", "v1", "v2", "v3", "v4", "new"]);
    assert_eq!(numbers(&bench), [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (0, 6)]);
}

#[test]
fn when_one_of_five_fails_for_good_the_later_ones_are_written_in_order_under_one_higher_epoch() {
    for refused in 0..5 {
        let (mut bench, shipments) = five(limits());
        for (number, shipment) in shipments.into_iter().enumerate() {
            if number == refused {
                bench.cluster.faults.entry(0).or_default().push_back(ErrorCode::INVALID_RECORD);
            }
            bench.deliver(shipment);
            if number == refused {
                bench.send(0, "new").unwrap();
            }
            assert!(number < refused || refused == 4 || bench.drain(0).is_none(), "not behind a gap");
        }
        bench.run(2_000);
        let mut expected = vec!["open 0", "v0", "v1", "v2", "v3", "v4", "new"];
        let gone = expected.remove(refused + 1);
        assert_eq!(values(&bench, 0), expected);
        assert_eq!(bench.error(gone).code(), Some(ErrorCode::INVALID_RECORD));
        assert!(!bench.error(gone).is_possibly_written());
        let renumbered: Vec<_> = numbers(&bench).into_iter().filter(|(epoch, _)| *epoch > 0).collect();
        let expected: Vec<(i16, i32)> = match refused {
            // Nobody has seen its number: the next one has it.
            4 => vec![],
            _ => (0..5 - refused as i32).map(|sequence| (1, sequence)).collect(),
        };
        assert_eq!(renumbered, expected, "of {refused}");
    }
}

/// Five batches of four records; those of `large` are too large once.
fn split_of_five(large: &[usize]) -> Bench {
    let mut bench = Bench::new(Limits { batch_size: 10_000, ..limits() });
    bench.open(0);
    let shipments: Vec<Shipment> = (0..5)
        .map(|batch| {
            for number in 0..4 {
                bench.send(0, &format!("v{batch} {number}")).unwrap();
            }
            bench.drain(0).unwrap()
        })
        .collect();
    for (number, shipment) in shipments.into_iter().enumerate() {
        if large.contains(&number) {
            bench.cluster.faults.entry(0).or_default().push_back(ErrorCode::MESSAGE_TOO_LARGE);
        }
        bench.deliver(shipment);
    }
    bench.send(0, "new").unwrap();
    bench.run(2_000);
    bench
}

#[test]
fn a_batch_too_large_among_five_is_halved_in_its_place_and_all_keep_their_numbers() {
    for large in [&[0][..], &[2], &[4], &[0, 1, 2, 3, 4]] {
        let bench = split_of_five(large);
        let records = (0..5).flat_map(|batch| (0..4).map(move |number| format!("v{batch} {number}")));
        let expected: Vec<String> =
            ["open 0".to_owned()].into_iter().chain(records).chain(["new".to_owned()]).collect();
        assert_eq!(values(&bench, 0), expected, "{large:?}");
        for (offset, value) in expected.iter().enumerate().skip(1) {
            assert_eq!(bench.offset(value), Some(offset as i64), "{value} of {large:?}");
        }
        assert!(numbers(&bench).iter().all(|(epoch, _)| *epoch == 0), "no gap: {large:?}");
        assert_eq!(bench.batcher.held_bytes(), 0);
    }
}

#[test]
fn a_batch_too_large_whose_time_is_over_is_not_halved() {
    let mut bench = Bench::new(Limits { delivery_timeout: Duration::from_secs(5), ..limits() });
    bench.send(0, "a").unwrap();
    bench.send(0, "b").unwrap();
    let shipment = bench.drain(0).unwrap();
    bench.cluster.max_batch = Some(10);
    bench.pass(5_000);
    let completed = bench.deliver(shipment);
    assert_eq!(completed.splits, 0);
    for value in ["a", "b"] {
        assert_eq!(bench.error(value).code(), Some(ErrorCode::MESSAGE_TOO_LARGE));
        assert!(!bench.error(value).is_possibly_written());
    }
    assert!(bench.batcher.is_empty() && bench.batcher.held_bytes() == 0);
    bench.cluster.max_batch = None;
    bench.send(0, "c").unwrap();
    bench.run(0);
    assert_eq!((values(&bench, 0), numbers(&bench)), (vec!["c"], vec![(0, 0)]), "their numbers are free");
}

/// Whether the hint of the first answer is known before the others come, or only after them.
#[test]
fn five_in_flight_follow_the_hint_of_a_new_leader_at_once_and_in_order() {
    for known_at_once in [true, false] {
        let (mut bench, shipments) = five(limits());
        let began = bench.now;
        let mut moved = bench.view.clone();
        for shipment in shipments {
            let answer = ProducePartitionResponse {
                error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                current_leader: CurrentLeader { leader_id: BrokerId(1), leader_epoch: LeaderEpoch(2) },
                ..ProducePartitionResponse::default()
            };
            let completed = bench.answer(shipment, Answer::Response(response(vec![answer])));
            assert!(!completed.refresh, "the answer says who leads");
            moved.apply_hints(&completed.hints, &completed.endpoints);
            if known_at_once {
                bench.apply(moved.clone());
            }
        }
        bench.apply(moved);
        assert_eq!(bench.batcher.ready(bench.now), [BrokerId(1)]);
        bench.run(0);
        assert_eq!(values(&bench, 0), ["open 0", "v0", "v1", "v2", "v3", "v4"]);
        assert_eq!(numbers(&bench), [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]);
        assert_eq!(bench.now, began, "nobody waited");
    }
}

/// Two were written to the old topic, one came too late for it, and of two nobody knows: the rest goes to the new one.
#[test]
fn of_five_in_flight_those_not_written_go_to_a_topic_that_was_made_anew() {
    let (mut bench, shipments) = five(limits());
    let anew = Uuid::from_bytes([8; 16]);
    for (number, shipment) in shipments.into_iter().enumerate() {
        if number == 2 {
            bench.cluster.logs.clear();
            bench.apply(view(anew, &[(0, 0), (1, 0), (0, 0), (1, 0)]));
        }
        match number {
            0 | 1 => {
                bench.deliver(shipment);
            }
            2 => {
                let error_code = ErrorCode::UNKNOWN_TOPIC_ID;
                let late = ProducePartitionResponse { error_code, ..ProducePartitionResponse::default() };
                bench.answer(shipment, Answer::Response(response(vec![late])));
            }
            _ => {
                assert!(bench.drain(0).is_none(), "what was meant for the old topic comes home first");
                bench.answer(shipment, gone(Sent::Maybe));
            }
        }
    }
    bench.send(0, "new").unwrap();
    bench.run(2_000);
    assert_ne!(anew, ID);
    assert_eq!((bench.offset("v0"), bench.offset("v1")), (Some(1), Some(2)), "in the old one");
    assert_eq!(values(&bench, 0), ["v2", "v3", "v4", "new"]);
    assert_eq!(numbers(&bench)[2..], [(1, 0), (1, 1), (1, 2), (1, 3)]);
}
