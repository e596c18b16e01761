//! After the end nothing is left: no task, no connection.

use crate::world::{SECOND, TOPIC, World, client, runtime, tasks};
use ottla::net::mem::MemNet;
use ottla::{ErrorKind, Record, Start, TopicPartition};

/// A broker, and how many tasks there are without a client.
async fn broker(net: &MemNet) -> (ottla::broker::Broker, usize) {
    let broker = ottla::broker::Broker::builder().listen_in_memory(net, "broker-1", 9092).seed(1);
    let broker = broker.start().await.unwrap();
    broker.create_topic(TOPIC, 2).unwrap();
    tokio::time::sleep(SECOND).await;
    (broker, tasks())
}

#[test]
fn a_client_that_is_closed_leaves_nothing_behind() {
    let _seed = ottla::task::simulate(1);
    runtime().block_on(async {
        let net = MemNet::new(1);
        let (_broker, before) = broker(&net).await;
        let client = client(&net);
        let producer = client.producer().build().unwrap();
        let start = [(TopicPartition::new(TOPIC, 0), Start::Beginning)];
        let mut consumer = client.consumer().assign(start).build().await.unwrap();
        producer.send(Record::to(TOPIC).value("v").partition(0)).await.unwrap().await.unwrap();
        consumer.poll().await.unwrap().unwrap();
        assert!(tasks() > before && net.open_ends() > 0);
        producer.close(5 * SECOND).await.unwrap();
        consumer.close(5 * SECOND).await.unwrap();
        client.close();
        tokio::time::sleep(5 * SECOND).await;
        assert_eq!((tasks(), net.open_ends()), (before, 0), "closed, and still held");
    });
}

#[test]
fn what_is_only_dropped_leaves_nothing_behind_and_sends_what_it_has() {
    let _seed = ottla::task::simulate(2);
    runtime().block_on(async {
        let net = MemNet::new(2);
        let (broker, before) = broker(&net).await;
        {
            let client = client(&net);
            let producer = client.producer().build().unwrap();
            let mut consumer = client.consumer().topic(TOPIC, Start::Beginning).build().await.unwrap();
            drop(producer.send(Record::to(TOPIC).value("v").partition(0)).await.unwrap());
            tokio::time::timeout(SECOND, consumer.poll()).await.unwrap().unwrap();
            drop(producer.send(Record::to(TOPIC).value("w").partition(0)).await.unwrap());
        }
        tokio::time::sleep(5 * SECOND).await;
        assert_eq!((tasks(), net.open_ends()), (before, 0));
        assert_eq!(
            broker.log(TOPIC, 0).last().map(|batch| batch.last_offset),
            Some(1),
            "what was queued is sent"
        );
    });
}

#[test]
fn a_hundred_clients_come_and_go() {
    let _seed = ottla::task::simulate(3);
    runtime().block_on(async {
        let net = MemNet::new(3);
        let (_broker, before) = broker(&net).await;
        for round in 0..100 {
            let client = client(&net);
            let consumer = client.consumer().topic(TOPIC, Start::End).build().await.unwrap();
            let producer = client.producer().build().unwrap();
            drop(producer.send(Record::to(TOPIC).value("v")).await.unwrap());
            if round % 2 == 0 {
                client.close();
            }
            drop((consumer, producer, client));
        }
        tokio::time::sleep(120 * SECOND).await;
        assert_eq!((tasks(), net.open_ends()), (before, 0));
    });
}

/// A world of its own is closed while its broker is silent: nothing waits for an answer that does not come.
#[test]
fn a_client_of_a_silent_broker_closes_in_time() {
    let _seed = ottla::task::simulate(4);
    runtime().block_on(async {
        let World { net, broker, client, producer, mut consumer } = World::new().await;
        producer.send(Record::to(TOPIC).value("v")).await.unwrap().await.unwrap();
        broker.on_request(|_| ottla::broker::Fate::LoseRequest);
        let delivery = producer.send(Record::to(TOPIC).value("w")).await.unwrap();
        let began = tokio::time::Instant::now();
        let error = producer.close(3 * SECOND).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Undelivered { records: 1 }, "{error}");
        assert!(began.elapsed() < 4 * SECOND, "{:?}", began.elapsed());
        assert!(delivery.await.unwrap_err().is_possibly_written());
        consumer.close(5 * SECOND).await.unwrap();
        client.close();
        drop((producer, consumer, client));
        tokio::time::sleep(60 * SECOND).await;
        drop(broker);
        tokio::time::sleep(SECOND).await;
        assert_eq!((tasks(), net.open_ends()), (0, 0));
    });
}
