//! What the batcher costs: lanes that are looked at, bytes that are held.

use super::bench::{Bench, ID, gone, view};
use crate::engine::batcher::{Limits, Refused};
use crate::error::Sent;
use crate::messages::*;
use crate::records::{Compression, Compressor};
use std::time::Duration;

const PARTITIONS: i32 = 50_000;

fn many(limits: Limits, leader: i32) -> Bench {
    let mut bench = Bench::new(limits);
    bench.apply(view(ID, &[(leader, 2); PARTITIONS as usize]));
    bench
}

/// Looks at everything that the producer's task looks at when it wakes; whether there is something to send.
fn wake(bench: &Bench) -> bool {
    let _ = (bench.batcher.has_leaderless(), bench.batcher.next_deadline(), bench.batcher.has_queued());
    !bench.batcher.ready(bench.now).is_empty()
}

/// Each lane is looked at a few times, however many requests it takes to send them all.
#[test]
fn fifty_thousand_partitions_that_linger_are_looked_at_a_few_times_each() {
    for leader in [0, -1] {
        let mut bench = many(Limits { max_request_size: 16 * 1024, ..Limits::default() }, leader);
        for partition in 0..PARTITIONS {
            bench.send(partition, &format!("{partition:0100}")).unwrap();
            wake(&bench);
        }
        bench.pass(10);
        if leader < 0 {
            assert!(bench.batcher.has_leaderless());
            bench.apply(view(ID, &[(0, 3); PARTITIONS as usize]));
            assert!(!bench.batcher.has_leaderless());
        }
        let mut requests = 0;
        while wake(&bench) {
            let shipment = bench.drain(0).unwrap();
            bench.deliver(shipment);
            requests += 1;
        }
        assert!(requests > 500, "{requests}");
        assert_eq!(bench.outcomes.len(), PARTITIONS as usize);
        let looked = bench.batcher.looked() / PARTITIONS as usize;
        assert!(looked < 12, "each was looked at {looked} times");
        assert_eq!(bench.batcher.held_bytes(), 0);
    }
}

/// With a buffer that is full all the time, too.
#[test]
fn records_that_find_no_room_do_not_have_all_partitions_looked_at_each_time() {
    let limits = Limits { buffer_memory: 4_000_000, linger: Duration::from_secs(60), ..Limits::default() };
    let mut bench = many(Limits { max_request_size: 16 * 1024, ..limits }, 0);
    for partition in 0..PARTITIONS {
        let value = format!("{partition:0100}");
        while let Err(refused) = bench.send(partition, &value) {
            assert_eq!(refused, Refused::Full);
            let shipment = bench.drain(0).expect("nothing lingers when there is no room");
            bench.deliver(shipment);
        }
    }
    let looked = bench.batcher.looked() / PARTITIONS as usize;
    assert!(looked < 12, "each was looked at {looked} times");
}

/// Compressed, sent again, and then too large for the broker: everything that was held is given back.
#[test]
fn what_a_batch_holds_is_given_back_after_it_was_compressed_repeated_and_halved() {
    let limits = Limits { batch_size: 100_000, linger: Duration::from_millis(1), ..Limits::default() };
    let mut bench = Bench::new(Limits { buffer_memory: 1_000_000, ..limits });
    bench.open(0);
    let mut lz4 = Compressor::new(Compression::Lz4, None).unwrap();
    for number in 0..8 {
        bench.send(0, &format!("{number} {}", "x".repeat(10_000))).unwrap();
    }
    bench.pass(1);
    let before = bench.batcher.held_bytes();
    let mut sent = 0;
    while !bench.batcher.is_empty() {
        bench.pass(1_000);
        let mut shipment = bench.drain(0).unwrap();
        shipment.seal(|_, batch| batch.compress(&mut lz4).unwrap());
        assert!(bench.batcher.held_bytes() <= before + before / 10, "{}", bench.batcher.held_bytes());
        match sent {
            0 => {
                bench.answer(shipment, gone(Sent::Maybe));
                assert!(bench.batcher.held_bytes() < before / 4, "it is compressed");
            }
            1..4 => {
                bench.cluster.faults.insert(0, [ErrorCode::MESSAGE_TOO_LARGE].into());
                bench.deliver(shipment);
            }
            _ => drop(bench.deliver(shipment)),
        }
        sent += 1;
        assert!(sent < 30);
    }
    assert_eq!(bench.batcher.held_bytes(), 0);
    assert_eq!(bench.cluster.logs[&0].values.len(), 9);
    let room = (0..90).take_while(|_| bench.send(1, &"x".repeat(10_000)).is_ok()).count();
    assert!(room > 80, "{room} records of a hundredth of the buffer each");
}
