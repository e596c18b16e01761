//! What a producer's parts do where no program can bring them to do it: its numbers near their end, a request that is lost
//! between two threads.
#![cfg(feature = "broker")]

use super::carrier::Cargo;
use super::codecs::Press;
use super::*;
use crate::Client;
use crate::broker::{ApiKey, Cluster as Brokers, Fate, Fault};
use crate::engine::batcher::{Identity, Shipment};
use crate::messages::{BrokerId, Lane, ProducerEpoch, ProducerId};
use crate::net::mem::MemNet;

const TOPIC: &str = "orders";
const SECOND: Duration = Duration::from_secs(1);

/// A broker with a topic of one partition, on a network in memory, and a client.
async fn brokers() -> (Brokers, Client) {
    let net = MemNet::new(1);
    let brokers = Brokers::builder().brokers(1).listen_in_memory(&net).seed(1).start().await.unwrap();
    brokers.create_topic(TOPIC, 1).unwrap();
    let client = Client::builder().bootstrap(brokers.bootstrap_servers()).dial(Arc::new(net.dialer()));
    (brokers, client.build().unwrap())
}

/// With five in flight, where one request and one answer are lost.
#[tokio::test(start_paused = true)]
async fn behind_the_last_sequence_number_a_broker_takes_0() {
    for first in [i32::MAX - 120, i32::MAX - 99, i32::MAX] {
        let (brokers, client) = brokers().await;
        let producer = client.producer().set("linger.ms", "0").build().unwrap();
        producer.partitions_for(TOPIC).await.unwrap();
        {
            let mut state = producer.shared.state();
            let State { batcher, view, .. } = &mut *state;
            batcher.set_identity(Identity { id: ProducerId(7_000), epoch: ProducerEpoch(0) });
            let topic = batcher.topic(TOPIC.as_bytes(), view, task::now()).unwrap();
            batcher.number_from(topic, 0, first);
        }
        let fault = |fate| Fault::new(fate).api(ApiKey::PRODUCE).skip(20).every(11).times(5);
        brokers.add_fault(fault(Fate::LoseRequest));
        brokers.add_fault(fault(Fate::LoseAnswer).skip(25));
        let mut deliveries = Vec::new();
        for n in 0..200 {
            let record = Record::to(TOPIC).value(n.to_string());
            deliveries.push(producer.send(record).await.unwrap());
            task::sleep_until(task::after(task::now(), Duration::from_millis(1))).await;
        }
        for (offset, delivery) in deliveries.into_iter().enumerate() {
            assert_eq!(delivery.await.unwrap().offset, offset as i64);
        }
        let log = brokers.log(TOPIC, 0);
        let sequence = |at: usize| i32::from_be_bytes(log[at].bytes[53..57].try_into().unwrap());
        assert_eq!(sequence(0), first);
        assert!(sequence(log.len() - 1) < 200, "{}", sequence(log.len() - 1));
        let epochs = log.iter().map(|batch| i16::from_be_bytes(batch.bytes[51..53].try_into().unwrap()));
        assert!(epochs.max() == Some(0), "no gap was seen");
    }
}

/// A request whose records are lost with the thread that was to compress them leaves its place to the next one at once.
#[tokio::test(start_paused = true)]
async fn what_is_lost_on_another_thread_is_given_up_and_the_next_goes_at_once() {
    let (brokers, client) = brokers().await;
    let producer = client.producer().set("linger.ms", "0").set("max.in.flight.requests.per.connection", "1");
    let producer = producer.set("compression.type", "lz4").build().unwrap();
    producer.send(Record::to(TOPIC).value("first")).await.unwrap().await.unwrap();

    let lost = producer.try_send(Record::to(TOPIC).value([b'x'; 100_000])).unwrap();
    let leader = BrokerId(brokers.brokers()[0]);
    let shipment = producer.shared.state().batcher.drain(leader, task::now()).expect("it is due");
    let next = producer.try_send(Record::to(TOPIC).value("next")).unwrap();
    task::sleep_until(task::after(task::now(), SECOND)).await;
    assert!(next.outcome().is_none(), "one request in flight");
    lose_in_sealing(&producer.shared, shipment).await;
    let error = lost.await.unwrap_err();
    assert_eq!((error.kind(), error.is_possibly_written()), (ErrorKind::Internal, false), "{error}");
    let began = task::now();
    assert_eq!(next.await.unwrap().offset, 1);
    assert!(task::now() - began < SECOND, "nobody woke the sender");
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_carrier_is_gone_is_handed_back() {
    let (_brokers, client) = brokers().await;
    let producer = client.producer().set("linger.ms", "86400000").set("delivery.timeout.ms", "99999999");
    let producer = producer.build().unwrap();
    producer.partitions_for(TOPIC).await.unwrap();
    let lost = producer.try_send(Record::to(TOPIC).value("lost")).unwrap();
    task::sleep_until(task::after(task::now(), SECOND)).await;
    producer.shared.state().batcher.flush();
    let leader = BrokerId(1);
    let shipment = producer.shared.state().batcher.drain(leader, task::now()).expect("it is due");
    drop(Cargo::new(&producer.shared, shipment));
    let error = lost.await.unwrap_err();
    assert_eq!((error.kind(), error.is_possibly_written()), (ErrorKind::Internal, true), "{error}");
    let next = producer.send(Record::to(TOPIC).value("next")).await.unwrap();
    producer.flush().await.unwrap();
    assert_eq!(next.await.unwrap().offset, 0);
}

/// A broker that throttles the client for a minute: a record whose time is over before that fails then, and was never sent.
#[tokio::test(start_paused = true)]
async fn a_record_does_not_wait_for_the_end_of_throttling_longer_than_for_its_delivery() {
    let (brokers, client) = brokers().await;
    let producer =
        client.producer().set("linger.ms", "0").set("delivery.timeout.ms", "40000").build().unwrap();
    producer.send(Record::to(TOPIC).value("first")).await.unwrap().await.unwrap();
    let leader = BrokerId(brokers.brokers()[0]);
    let soon = task::after(task::now(), SECOND);
    producer.shared.cluster.link(leader, Lane::Produce, soon).await.unwrap().mute(60 * SECOND);
    let began = task::now();
    let error = producer.send(Record::to(TOPIC).value("late")).await.unwrap().await.unwrap_err();
    assert_eq!((error.kind(), error.is_possibly_written()), (ErrorKind::Timeout, false), "{error}");
    let took = task::now() - began;
    assert!((40 * SECOND..41 * SECOND).contains(&took), "{took:?}");
    let next = producer.send(Record::to(TOPIC).value("next")).await.unwrap();
    assert_eq!(next.await.unwrap().offset, 1, "it goes when the minute is over");
    assert!((60 * SECOND..61 * SECOND).contains(&(task::now() - began)));
}

/// Compresses on a runtime whose threads are gone.
async fn lose_in_sealing(shared: &Arc<Shared>, shipment: Shipment) {
    let dead = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let there = dead.handle().clone();
    dead.shutdown_background();
    let mut press = Press::default();
    let mut sealing = pin!(carrier::seal(shared, shipment, &mut press));
    let sealed = std::future::poll_fn(|cx| {
        let _there = there.enter();
        sealing.as_mut().poll(cx)
    });
    assert!(sealed.await.is_none());
}
