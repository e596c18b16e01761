//! Runtimes that are shut down with work in flight, and what is held beyond their end.

use crate::world::{SECOND, TOPIC, World, runtime};
use ottla::broker::{ApiKey, Fate, Fault};
use ottla::{ErrorKind, Record};
use std::time::{Duration, Instant};

/// Nothing that is called after its runtime's end may take longer, on the real clock.
const LIMIT: Duration = Duration::from_secs(5);

fn multi_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Sends many records, awaits none, and leaves with all in hand. `answers` says whether the broker may acknowledge any.
async fn busy(answers: bool) -> (World, Vec<(String, ottla::Delivery)>) {
    let world = World::new().await;
    world.producer.partitions_for(TOPIC).await.unwrap();
    if !answers {
        world.broker.add_fault(Fault::new(Fate::LoseAnswer).api(ApiKey::PRODUCE));
    }
    let mut deliveries = Vec::new();
    for n in 0..200 {
        let value = format!("{n:0>100}");
        let delivery = world.producer.try_send(Record::to(TOPIC).value(value.clone()));
        deliveries.extend(delivery.map(|delivery| (value, delivery)));
    }
    (world, deliveries)
}

#[test]
fn every_delivery_is_resolved_when_the_runtime_ends() {
    let of_many = multi_thread as fn() -> _;
    for (name, runtime_of, answers) in [
        ("one thread", runtime as fn() -> _, true),
        ("many threads", of_many, true),
        ("many threads, nothing is acknowledged", of_many, false),
    ] {
        let _seed = ottla::task::simulate(1);
        let runtime: tokio::runtime::Runtime = runtime_of();
        let (world, deliveries) = runtime.block_on(busy(answers));
        let began = Instant::now();
        drop(runtime);
        let queued = deliveries.len();
        assert!(queued > 100, "{name}: {queued} were queued");
        let outcomes = self::runtime().block_on(async {
            let told = async |(value, delivery)| (value, tokio::time::timeout(SECOND, delivery).await);
            ottla::task::join_all(deliveries.into_iter().map(told)).await
        });
        let mut closed = 0;
        for (value, outcome) in outcomes {
            match outcome.unwrap_or_else(|_| panic!("{name}: a delivery is not resolved")) {
                Ok(at) => {
                    let stored = world.broker.records(TOPIC, at.partition).into_iter();
                    let lies =
                        stored.filter(|record| record.offset == at.offset).filter_map(|record| record.value);
                    assert_eq!(lies.collect::<Vec<_>>(), [value], "{name}: acknowledged at {at:?}");
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Closed, "{name}: {error}");
                    assert!(error.to_string().contains("runtime"), "{name}: {error}");
                    closed += 1;
                }
            }
        }
        println!("{name}: {closed} were told that the runtime was shut down");
        // On one thread the runtime ends before the first request is under way.
        let in_flight = if name == "many threads" { 0 } else { queued };
        assert!(closed >= in_flight, "{name}: {closed} of {queued} were in flight");
        drop(world);
        assert!(began.elapsed() < LIMIT, "{name}: {:?}", began.elapsed());
    }
}

#[test]
fn what_outlives_its_runtime_neither_panics_nor_waits_for_ever() {
    let _seed = ottla::task::simulate(2);
    let first = runtime();
    let (mut world, _deliveries) = first.block_on(busy(true));
    drop(first);
    let began = Instant::now();
    runtime().block_on(async {
        let sent = tokio::time::timeout(60 * SECOND, world.producer.send(Record::to(TOPIC).value("late")));
        let error = sent.await.expect("send ends").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        assert_eq!(
            world.producer.try_send(Record::to(TOPIC).value("late")).unwrap_err().kind(),
            ErrorKind::Closed
        );
        let flushed = tokio::time::timeout(60 * SECOND, world.producer.flush());
        flushed.await.expect("flush ends").ok();
        let closed = tokio::time::timeout(60 * SECOND, world.producer.close(SECOND));
        closed.await.expect("close ends").ok();
        // Batches that were queued may still be taken.
        let end = async { while let Ok(Some(_)) = world.consumer.poll().await {} };
        tokio::time::timeout(60 * SECOND, end).await.expect("poll ends");
        let admin = world.client.admin();
        let listed = tokio::time::timeout(600 * SECOND, admin.list_topics());
        listed.await.expect("list_topics ends").unwrap_err();
    });
    drop(world);
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
}

#[test]
fn everything_may_be_dropped_without_a_runtime() {
    let _seed = ottla::task::simulate(3);
    let runtime = runtime();
    let (World { net: _net, broker, client, producer, consumer }, deliveries) = runtime.block_on(busy(true));
    // On a thread of its own, where no runtime is entered.
    std::thread::spawn(move || {
        drop(consumer);
        drop(producer);
        drop(deliveries);
        client.close();
        drop(client);
        drop(broker);
    })
    .join()
    .unwrap();
    runtime.block_on(async { tokio::time::sleep(SECOND).await });
}
