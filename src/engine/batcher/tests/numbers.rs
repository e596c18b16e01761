//! Producer ids, and the end of the numbers.

use super::bench::{Bench, gone};
use super::faults::{in_flight, limits, values};
use crate::engine::batcher::{Identity, Limits};
use crate::error::Sent;
use crate::messages::*;

/// A broker that does not know the producer's id will take nothing under it: the batches go under a new one, in order, and none
/// of them is lost. (Java gives the producer up; franz-go asks for a new id.)
#[test]
fn an_id_that_the_broker_does_not_know_is_replaced() {
    let mut bench = Bench::new(limits());
    bench.open(0);
    let shipments = in_flight(&mut bench, 5);
    bench.open(1);
    bench.send(1, "elsewhere").unwrap();
    let elsewhere = bench.drain(1).unwrap();
    bench.cluster.faults.insert(0, [ErrorCode::INVALID_PRODUCER_ID_MAPPING; 5].into());
    bench.cluster.faults.insert(1, [ErrorCode::INVALID_PRODUCER_ID_MAPPING].into());
    for shipment in shipments {
        bench.deliver(shipment);
        assert!(bench.batcher.needs_identity());
    }
    bench.send(0, "new").unwrap();
    bench.run(2_000);
    assert_eq!(values(&bench, 0), ["open 0"], "nothing is sent without an id");

    bench.batcher.set_identity(Identity { id: ProducerId(10), epoch: ProducerEpoch(0) });
    bench.deliver(elsewhere);
    assert!(!bench.batcher.needs_identity(), "that was said of the old one");
    bench.cluster.seen.clear();
    bench.run(2_000);
    assert_eq!(values(&bench, 0), ["open 0", "v0", "v1", "v2", "v3", "v4", "new"]);
    assert_eq!(values(&bench, 1), ["open 1", "elsewhere"]);
    let of_0: Vec<_> =
        bench.cluster.seen.iter().filter(|(at, _)| *at == 0).map(|(_, stamp)| *stamp).collect();
    assert_eq!(of_0, (0..6).map(|number| (0, number, 1)).collect::<Vec<_>>(), "from 0 on");
}

/// Numbers go from 2^31-1 to 0, in the middle of a batch too, whatever has to be sent again or halved there.
#[test]
fn behind_the_last_number_batches_go_on_with_0_in_order() {
    for first in [i32::MAX - 12, i32::MAX - 7, i32::MAX - 4, i32::MAX - 3, i32::MAX] {
        let mut bench = Bench::new(Limits { batch_size: 10_000, ..limits() });
        bench.batcher.number_from(bench.topic, 0, first);
        bench.open(0);
        let mut expected = vec!["open 0".to_owned()];
        for round in 0..4 {
            let mut shipments = Vec::new();
            for batch in 0..5 {
                for number in 0..4 {
                    let value = format!("{round} {batch} {number}");
                    bench.send(0, &value).unwrap();
                    expected.push(value);
                }
                shipments.extend(bench.drain(0));
            }
            assert_eq!(shipments.len(), 5);
            for (at, mut shipment) in shipments.into_iter().enumerate() {
                match (round, at) {
                    // Its request is lost.
                    (1, 1) => drop(bench.answer(shipment, gone(Sent::Maybe))),
                    // Its answer is lost.
                    (2, 1) => {
                        bench.cluster.produce(&shipment.request(Acks::ALL, 0, None));
                        bench.answer(shipment, gone(Sent::Maybe));
                    }
                    (3, 1) => {
                        bench.cluster.faults.insert(0, [ErrorCode::MESSAGE_TOO_LARGE].into());
                        bench.deliver(shipment);
                    }
                    _ => drop(bench.deliver(shipment)),
                }
            }
            bench.run(2_000);
        }
        assert_eq!(values(&bench, 0), expected, "from {first} on");
        assert!(bench.outcomes.values().all(Result::is_ok));
        assert!(bench.cluster.seen.iter().all(|(_, (epoch, sequence, _))| *epoch == 0 && *sequence >= 0));
    }
}
