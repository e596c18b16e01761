//! When batches are sent, and with what.

use super::bench::{Bench, ID, TOPIC, gone, view};
use crate::engine::batcher::{Answer, Batcher, Entry, Identity, Limits, Refused};
use crate::engine::partitioner::Choice;
use crate::error::{Error, ErrorKind, Sent};
use crate::messages::*;
use crate::records::{Compression, Compressor, Header};
use std::time::Duration;

fn limits() -> Limits {
    Limits { linger: Duration::from_millis(10), batch_size: 1_000, ..Limits::default() }
}

#[test]
fn a_batch_lingers_and_is_then_due_for_its_leader() {
    let mut bench = Bench::new(limits());
    assert!(bench.send(0, "a").unwrap(), "who waits has to know of the new deadline");
    assert!(!bench.send(0, "b").unwrap(), "it stands");
    assert_eq!(bench.batcher.next_deadline(), Some(bench.now + Duration::from_millis(10)));
    assert!(bench.drain(0).is_none());

    bench.pass(10);
    assert_eq!(bench.batcher.ready(bench.now), [BrokerId(0)]);
    assert!(bench.drain(1).is_none(), "not its partition");
    let shipment = bench.drain(0).unwrap();
    bench.deliver(shipment);
    assert_eq!((bench.offset("a"), bench.offset("b")), (Some(0), Some(1)));
    assert!(bench.batcher.is_empty());
    assert_eq!(bench.batcher.held_bytes(), 0);
}

#[test]
fn a_partition_with_nothing_queued_has_no_timer() {
    let mut bench = Bench::new(limits());
    assert_eq!(bench.batcher.next_deadline(), None);
    for partition in 0..4 {
        bench.send(partition, &format!("to {partition}")).unwrap();
    }
    bench.batcher.flush();
    let shipments = [bench.drain(0).unwrap(), bench.drain(1).unwrap()];
    assert_eq!(bench.batcher.next_deadline(), None, "what is in flight has its request's time-out");
    for shipment in shipments {
        bench.answer(shipment, Answer::Unacknowledged);
    }
    assert_eq!(bench.batcher.next_deadline(), None);
}

#[test]
fn a_full_batch_does_not_linger() {
    let mut bench = Bench::new(limits());
    bench.send(0, &"x".repeat(600)).unwrap();
    assert!(bench.drain(0).is_none());
    assert!(bench.send(0, &"y".repeat(600)).unwrap(), "the first is full because this one does not fit");
    let shipment = bench.drain(0).unwrap();
    assert!((600..700).contains(&shipment.bytes()));
}

#[test]
fn a_batch_grows_while_it_waits_for_its_turn() {
    let mut bench = Bench::new(Limits { max_in_flight_batches: 1, linger: Duration::ZERO, ..limits() });
    assert!(bench.send(0, "first").unwrap());
    let first = bench.drain(0).unwrap();
    for number in 0..10 {
        assert!(!bench.send(0, &format!("then {number}")).unwrap(), "the partition has to wait");
        bench.pass(100);
    }
    assert!(bench.drain(0).is_none());
    bench.deliver(first);
    let second = bench.drain(0).unwrap();
    assert_eq!(second.batch_count(), 1);
    bench.deliver(second);
    assert_eq!(bench.cluster.seen, [(0, (0, 0, 1)), (0, (0, 1, 10))]);
}

#[test]
fn without_linger_a_record_is_due_at_once_and_batch_size_0_sends_each_alone() {
    let mut bench = Bench::new(Limits { linger: Duration::ZERO, batch_size: 0, ..limits() });
    for value in ["a", "b", "c"] {
        bench.send(0, value).unwrap();
    }
    bench.run(0);
    assert_eq!(bench.cluster.seen, [(0, (0, 0, 1)), (0, (0, 1, 1)), (0, (0, 2, 1))]);
}

#[test]
fn one_request_carries_many_partitions_and_takes_along_what_still_lingers() {
    let mut bench = Bench::new(limits());
    bench.send(0, "a").unwrap();
    bench.pass(9);
    bench.send(2, "b").unwrap();
    bench.pass(1);
    let mut shipment = bench.drain(0).unwrap();
    assert_eq!((shipment.batch_count(), shipment.broker()), (2, BrokerId(0)));
    let request = shipment.request(Acks::ALL, 1_500, Some(TOPIC.into()));
    assert_eq!((request.acks, request.timeout_ms), (Acks::ALL, 1_500));
    let [topic] = &request.topic_data[..] else { panic!("one topic") };
    assert_eq!((topic.name.as_str(), topic.topic_id), (TOPIC, ID));
    let mut indexes: Vec<i32> = topic.partition_data.iter().map(|partition| partition.index).collect();
    indexes.sort_unstable();
    assert_eq!(indexes, [0, 2]);
}

#[test]
fn a_request_with_its_framing_stays_below_its_limit_but_carries_at_least_one_batch() {
    let mut bench = Bench::new(Limits { max_request_size: 1_500, ..limits() });
    bench.send(0, &"x".repeat(800)).unwrap();
    bench.send(2, &"y".repeat(800)).unwrap();
    bench.batcher.flush();
    let mut first = bench.drain(0).unwrap();
    assert_eq!(first.batch_count(), 1);
    let size = crate::wire::size(&first.request(Acks::ALL, 0, None), 13, true).unwrap();
    assert!(size < 1_500);
    assert_eq!(bench.drain(0).unwrap().batch_count(), 1, "the other goes with the next");
}

#[test]
fn a_broker_and_a_partition_have_so_much_in_flight_and_no_more() {
    let mut bench = Bench::new(Limits {
        linger: Duration::ZERO,
        max_in_flight_requests: 3,
        max_in_flight_batches: 2,
        ..limits()
    });
    bench.open(0);
    bench.open(2);
    let mut flying = Vec::new();
    for round in 0..3 {
        bench.send(0, &format!("a{round}")).unwrap();
        flying.extend(bench.drain(0));
    }
    assert_eq!(flying.len(), 2, "two of a partition");
    bench.send(2, "b").unwrap();
    flying.extend(bench.drain(0));
    assert_eq!(flying.len(), 3);
    bench.send(2, "c").unwrap();
    assert!(bench.drain(0).is_none(), "three of a broker");
    assert!(bench.batcher.ready(bench.now).is_empty());
    let expiry = bench.batcher.next_deadline().unwrap();
    assert!(expiry > bench.now + Duration::from_secs(100), "nothing to do but to watch the time");

    bench.send(1, "d").unwrap();
    assert!(bench.drain(1).is_some(), "the other broker is not concerned");
    let first = flying.remove(0);
    bench.deliver(first);
    assert_eq!(bench.drain(0).unwrap().batch_count(), 2, "a2 and c");
}

#[test]
fn a_record_above_the_limit_is_refused_with_both_numbers_and_the_rest_goes_on() {
    let mut bench = Bench::new(Limits { max_request_size: 500, ..limits() });
    bench.send(0, "before").unwrap();
    let refused = bench.send(0, &"x".repeat(500)).unwrap_err();
    let Refused::TooLarge { size, limit: 500 } = refused.clone() else { panic!("{refused:?}") };
    assert!((561..600).contains(&size));
    assert_eq!(Error::from(refused).kind(), ErrorKind::RecordTooLarge { size, limit: 500 });
    bench.send(0, &"x".repeat(500 - 80)).unwrap();
    bench.send(0, "after").unwrap();
    bench.run(1_000);
    assert_eq!(bench.outcomes.len(), 3);
    assert!(bench.outcomes.values().all(Result::is_ok));
}

#[test]
fn the_buffer_is_a_bound_on_what_is_held_and_full_ends_the_lingering() {
    let buffer_memory = 64 * 1024;
    let hour = Duration::from_secs(3600);
    let mut bench = Bench::new(Limits {
        buffer_memory,
        batch_size: 8 * 1024,
        linger: hour,
        delivery_timeout: 2 * hour,
        ..limits()
    });
    let value = "x".repeat(1000);
    let mut sent = 0;
    let mut fill = |bench: &mut Bench| {
        for partition in 0..4 {
            while bench.send(partition, &format!("{sent} {value}")).is_ok() {
                sent += 1;
                assert!(bench.batcher.held_bytes() <= buffer_memory);
            }
            assert_eq!(bench.send(partition, &value), Err(Refused::Full));
        }
        sent
    };
    let first = fill(&mut bench);
    assert!(first > 40, "{first} kB of 64 are in");

    let shipment = bench.drain(0).expect("nothing lingers any more");
    assert_eq!(fill(&mut bench), first, "what is in flight is held as well");
    bench.deliver(shipment);
    assert!(fill(&mut bench) > first);
    assert_eq!(Error::from(Refused::Full).kind(), ErrorKind::QueueFull);

    let more = Bench::new(Limits { buffer_memory: 1000, ..limits() }).send(0, &value).unwrap_err();
    assert!(matches!(more, Refused::LargerThanBuffer { limit: 1000, .. }), "{more:?}");
}

#[test]
fn flush_makes_due_what_was_appended_and_knows_when_it_is_done() {
    let mut bench = Bench::new(Limits { linger: Duration::from_secs(3600), ..limits() });
    bench.send(0, "a").unwrap();
    bench.send(1, "b").unwrap();
    let mark = bench.batcher.flush();
    let (one, two) = (bench.drain(0).unwrap(), bench.drain(1).unwrap());
    bench.send(0, "later").unwrap();
    assert_eq!(bench.batcher.records_before(mark), 2);
    bench.deliver(one);
    assert!(!bench.batcher.is_done(mark));
    assert_eq!(bench.batcher.records_before(mark), 1);
    bench.deliver(two);
    assert!(bench.batcher.is_done(mark), "what came later is not waited for");
    assert!(bench.drain(0).is_none(), "and lingers");
}

#[test]
fn a_closed_batcher_takes_nothing_and_sends_the_rest() {
    let mut bench = Bench::new(limits());
    bench.send(0, "a").unwrap();
    let mark = bench.batcher.close();
    assert_eq!(bench.send(0, "b"), Err(Refused::Closed));
    bench.run(0);
    assert!(bench.batcher.is_done(mark));

    let mut bench = Bench::new(limits());
    for partition in 0..2 {
        bench.send(partition, &format!("value {partition}")).unwrap();
    }
    bench.batcher.close();
    let flying = bench.drain(0).unwrap();
    let finished = bench.batcher.fail_all(&Error::new(ErrorKind::Closed, "close the producer"));
    bench.note(&finished);
    assert!(bench.error("value 0").is_possibly_written() && !bench.error("value 1").is_possibly_written());
    assert!(bench.batcher.is_empty());
    assert_eq!(bench.batcher.held_bytes(), 0);
    assert!(bench.deliver(flying).finished.is_empty(), "an answer that comes after the end changes nothing");
}

#[test]
fn nothing_is_sent_before_the_producer_id_is_there() {
    let view = view(ID, &[(0, 1)]);
    let mut bench = Bench::new(Limits { idempotent: false, ..limits() });
    bench.batcher = Batcher::new(Limits { linger: Duration::ZERO, ..limits() });
    bench.topic = bench.batcher.topic(TOPIC.as_bytes(), &view, bench.now).unwrap();
    assert!(bench.batcher.needs_identity());
    assert!(bench.send(0, "a").unwrap(), "somebody has to ask for it");
    assert!(bench.batcher.ready(bench.now).is_empty());
    bench.batcher.set_identity(Identity { id: ProducerId(1), epoch: ProducerEpoch(4) });
    bench.run(0);
    assert_eq!(bench.cluster.seen, [(0, (4, 0, 1))]);
}

#[test]
fn without_idempotence_batches_have_no_numbers_and_acks_0_knows_no_offset() {
    let mut bench = Bench::new(Limits { idempotent: false, ..limits() });
    bench.send(0, "a").unwrap();
    bench.run(10);
    assert_eq!(bench.cluster.seen, [(0, (-1, -1, 1))]);

    bench.send(0, "b").unwrap();
    bench.batcher.flush();
    let shipment = bench.drain(0).unwrap();
    bench.answer(shipment, Answer::Unacknowledged);
    assert_eq!(bench.outcomes["b"].as_ref().unwrap(), &None);
}

#[test]
fn compression_happens_once_and_frees_memory_for_the_retry() {
    let mut bench = Bench::new(Limits { batch_size: 100_000, ..limits() });
    bench.send(0, &"x".repeat(50_000)).unwrap();
    let before = bench.batcher.held_bytes();
    bench.batcher.flush();
    let mut shipment = bench.drain(0).unwrap();
    assert!(shipment.has_unsealed());
    let mut gzip = Compressor::new(Compression::Gzip, None).unwrap();
    shipment.seal(|topic, batch| {
        assert_eq!(topic, &TOPIC);
        batch.compress(&mut gzip).unwrap();
    });
    assert!(shipment.bytes() < 1_000);
    bench.answer(shipment, gone(Sent::Maybe));
    assert!(bench.batcher.held_bytes() < 1_000 && before > 50_000);

    bench.pass(1_000);
    let mut again = bench.drain(0).unwrap();
    assert!(!again.has_unsealed());
    again.seal(|_, _| panic!("compressed already"));
    bench.deliver(again);
    assert_eq!(bench.batcher.held_bytes(), 0);
    assert_eq!(bench.cluster.logs[&0].values[0].len(), 50_000);
}

#[test]
fn places_follow_the_choice_and_the_topic() {
    let mut bench = Bench::new(limits());
    let (batcher, rng) = (&mut bench.batcher, &mut bench.rng);
    assert_eq!(batcher.place(bench.topic, Choice::Partition(3), bench.now, rng), Some(3));
    assert_eq!(batcher.place(bench.topic, Choice::Partition(4), bench.now, rng), None);
    let turns: Vec<_> = (0..4).map(|_| batcher.place(bench.topic, Choice::InTurn, bench.now, rng)).collect();
    assert_eq!(turns, [Some(0), Some(1), Some(2), Some(3)]);
    assert_eq!(bench.send(4, "a"), Err(Refused::NoPartition(4)));
    assert_eq!(bench.send(-1, "a"), Err(Refused::NoPartition(4)));
}

#[test]
fn sticky_records_fill_a_batch_before_they_move_on() {
    let mut bench = Bench::new(Limits { sticky_bytes: 300, linger: Duration::ZERO, ..limits() });
    let place = |bench: &mut Bench| {
        bench.batcher.place(bench.topic, Choice::Sticky, bench.now, &mut bench.rng).unwrap()
    };
    let first = place(&mut bench);
    for number in 0..4 {
        assert_eq!(place(&mut bench), first);
        bench.send(first, &format!("{number} {}", "x".repeat(90))).unwrap();
    }
    assert_eq!(place(&mut bench), first, "over its share, but the batch still fills");
    bench.run(0);
    let next: Vec<i32> = (0..30)
        .map(|_| {
            let partition = place(&mut bench);
            bench.send(partition, &"y".repeat(400)).unwrap();
            bench.run(0);
            bench.outcomes.clear();
            partition
        })
        .collect();
    assert!((0..4).all(|partition| next.contains(&partition)), "{next:?}");
}

#[test]
fn sticky_records_avoid_a_broker_that_takes_nothing() {
    let timeout = Duration::from_millis(100);
    let mut bench = Bench::new(Limits {
        availability_timeout: Some(timeout),
        linger: Duration::ZERO,
        sticky_bytes: 1,
        ..limits()
    });
    bench.send(0, "a").unwrap();
    bench.send(2, "b").unwrap();
    bench.pass(101);
    for _ in 0..20 {
        let partition = bench.batcher.place(bench.topic, Choice::Sticky, bench.now, &mut bench.rng).unwrap();
        assert!(partition % 2 == 1, "{partition} is on broker 0");
        bench.send(partition, "c").unwrap();
        let shipment = bench.drain(1).unwrap();
        bench.answer(shipment, Answer::Unacknowledged);
        bench.outcomes.clear();
    }
}

#[test]
fn more_partitions_end_the_open_batches() {
    let mut bench = Bench::new(Limits { linger: Duration::from_secs(60), ..limits() });
    bench.send(0, "by the old count").unwrap();
    bench.apply(view(ID, &[(0, 1), (1, 1), (0, 1), (1, 1), (0, 1)]));
    bench.send(0, "by the new count").unwrap();
    bench.send(4, "on the new one").unwrap();
    bench.batcher.flush();
    bench.run(0);
    let of_0: Vec<_> = bench.cluster.seen.iter().filter(|(partition, _)| *partition == 0).collect();
    assert_eq!(of_0, [&(0, (0, 0, 1)), &(0, (0, 1, 1))], "no batch mixes keys of both");
    assert_eq!(bench.outcomes.len(), 3);
}

#[test]
fn headers_and_timestamps_far_apart_are_no_hindrance() {
    let mut bench = Bench::new(limits());
    let header = Header { key: b"source", value: None };
    // The first two are too far apart for one batch.
    for (timestamp, index) in [(i64::MIN, 0), (i64::MAX, 0), (0, 1)] {
        let entry = Entry { timestamp, key: Some(b"key"), value: None, headers: [header, header] };
        let tag = super::bench::Tag { batch: 0, first: 0 };
        let appended = bench.batcher.append(bench.topic, 0, entry, bench.now, |_| (tag, bench.now)).unwrap();
        assert_eq!(appended.index, index);
    }
}

/// Whoever sends much need not wait for the linger time: a batch of some size goes as soon as it is its turn.
#[test]
fn a_batch_that_is_ripe_does_not_linger_and_goes_on_growing_until_its_turn() {
    let limits = Limits { ripe_bytes: 1_000, linger: Duration::from_secs(9), ..Limits::default() };
    let mut bench = Bench::new(limits);
    bench.open(0);
    let mut woke = 0;
    for n in 0..40 {
        woke += usize::from(bench.send(0, &format!("{n:0100}")).unwrap());
    }
    // Once when it was opened, and once when it became ripe.
    assert_eq!(woke, 2);
    let shipment = bench.drain(0).expect("it is due at once");
    assert_eq!(shipment.batch_count(), 1);
    assert!(shipment.bytes() > 4_000, "{} bytes: it took more than it needed", shipment.bytes());
}
