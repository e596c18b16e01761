//! Which partition a record goes to.

use crate::{MS, SECOND, TOPIC, World, simulated};
use ottla::producer::{Choice, Unplaced};
use ottla::{ErrorKind, Record};
use std::sync::{Arc, OnceLock};
use tokio::time::Instant;

/// The program's own partitioner sees topic, key, value and partitions, and may itself use the producer.
#[test]
fn a_partitioner_of_one_s_own_sees_the_record_and_may_send() {
    simulated(|world: World| async move {
        let itself = Arc::new(OnceLock::<ottla::Producer>::new());
        let producer = world
            .builder(&[])
            .partitioner({
                let itself = Arc::clone(&itself);
                move |record: &Unplaced<'_>| {
                    assert_eq!((record.topic, record.partitions, record.available), (TOPIC, 2, &[0, 1][..]));
                    if record.value == Some(b"copy me") {
                        let copy = Record::to(TOPIC).partition(0).value("copy");
                        let _sent = itself.get().unwrap().try_send(copy).unwrap();
                    }
                    Choice::Partition(record.key.map_or(0, |key| key.len() as i32) % record.partitions)
                }
            })
            .build()
            .unwrap();
        itself.set(producer.clone()).unwrap();
        for key in ["a", "bb", "ccc"] {
            drop(producer.send(Record::to(TOPIC).key(key).value("copy me")).await.unwrap());
        }
        producer.flush().await.unwrap();
        assert_eq!(world.values(TOPIC, 1), ["copy me"; 2]);
        assert_eq!(world.values(TOPIC, 0).len(), 4);
    });
}

/// A partition that was just added is waited for, one that is not there for `max.block.ms` (as in Java).
#[test]
fn a_record_for_a_partition_that_was_just_added_waits_until_it_is_known() {
    simulated(|world: World| async move {
        let producer = world.producer(&[("max.block.ms", "5000")]);
        producer.send(Record::to(TOPIC).value("first")).await.unwrap().await.unwrap();
        let waiting = tokio::spawn({
            let producer = producer.clone();
            async move { producer.send(Record::to(TOPIC).partition(2).value("new")).await.unwrap().await }
        });
        tokio::time::sleep(2 * SECOND).await;
        assert!(!waiting.is_finished());
        world.cluster.recreate_topic(TOPIC).unwrap();
        world.cluster.delete_topic(TOPIC).unwrap();
        world.cluster.create_topic(TOPIC, 3).unwrap();
        assert_eq!(waiting.await.unwrap().unwrap().partition, 2);

        let began = Instant::now();
        let error = producer.send(Record::to(TOPIC).partition(9).value("x")).await.unwrap_err();
        assert_eq!((error.kind(), error.partition_index()), (ErrorKind::Timeout, Some(9)), "{error}");
        assert!(error.to_string().contains("3 partitions") && !error.is_possibly_written(), "{error}");
        assert!((5 * SECOND..5 * SECOND + 50 * MS).contains(&began.elapsed()), "{:?}", began.elapsed());
        let error = producer.try_send(Record::to(TOPIC).partition(9).value("x")).unwrap_err();
        assert!(error.is_retriable() && error.to_string().contains("UNKNOWN_TOPIC_OR_PARTITION"), "{error}");
    });
}

/// Records without a key avoid a broker that takes nothing, however it fails to (`partitioner.availability.timeout.ms`).
#[test]
fn records_without_a_key_avoid_a_broker_that_is_silent() {
    use ottla::broker::{ApiKey, Cluster, Fate, Fault, TopicSpec};
    use ottla::net::mem::MemNet;
    let _simulation = ottla::task::simulate(3);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let net = MemNet::new(1);
        let cluster = Cluster::builder().brokers(2).listen_in_memory(&net).seed(1).start().await.unwrap();
        let ids = cluster.brokers();
        let placed = TopicSpec::new(TOPIC).placed([[ids[0]], [ids[1]], [ids[0]], [ids[1]]]);
        cluster.create_topic_as(&placed).unwrap();
        let silent = [1, 3];
        for partition in silent {
            cluster.add_fault(
                Fault::new(Fate::LoseRequest).api(ApiKey::PRODUCE).topic(TOPIC).partition(partition),
            );
        }
        let client = ottla::Client::builder()
            .bootstrap(cluster.bootstrap_servers())
            .dial(Arc::new(net.dialer()))
            .build()
            .unwrap();
        let producer = client.producer();
        let producer =
            producer.set("partitioner.availability.timeout.ms", "200").set("buffer.memory", "100000000");
        let producer = producer.build().unwrap();
        let mut late = Vec::new();
        for n in 0..8_000 {
            let delivery = producer.send(Record::to(TOPIC).value([b'x'; 1_000])).await.unwrap();
            // After the first two seconds it is known who is silent.
            if n >= 2_000 {
                late.push(delivery);
            }
            tokio::time::sleep(MS).await;
        }
        tokio::time::sleep(SECOND).await;
        let done = late.iter().filter(|delivery| delivery.outcome().is_some()).count();
        assert!(done * 100 > late.len() * 97, "{done} of {} were acknowledged", late.len());
    });
}

/// What one call has found out the next one knows, whether or not the producer's task has run in between.
#[test]
fn a_topic_that_was_asked_about_can_be_sent_to_at_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let broker = ottla::broker::Broker::builder().start().await.unwrap();
        broker.create_topic(TOPIC, 2).unwrap();
        let server = format!("127.0.0.1:{}", broker.port());
        for round in 0..200 {
            let client = ottla::Client::builder().bootstrap(server.as_str()).build().unwrap();
            let producer = client.producer().build().unwrap();
            assert_eq!(producer.partitions_for(TOPIC).await.unwrap(), 2);
            let sent = producer.try_send(Record::to(TOPIC).value("v"));
            assert!(sent.is_ok(), "round {round}: {sent:?}");
        }
    });
}
