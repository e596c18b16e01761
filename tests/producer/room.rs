//! Room in the buffer, and who gets it.

use crate::{MS, SECOND, TOPIC, World, simulated};
use ottla::broker::{ApiKey, Fate, Fault};
use ottla::{ErrorKind, Producer, Record};
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

/// A large record that waits is not overtaken by small ones that come later, although there is room for those first.
#[test]
fn who_waits_for_room_gets_it_in_turn() {
    simulated(|world: World| async move {
        let producer = world.producer(&[("buffer.memory", "40000"), ("batch.size", "5000")]);
        producer.send(Record::to(TOPIC).value("first")).await.unwrap().await.unwrap();
        let lost = world.lose_requests();
        fill(&producer).await;
        let order = Arc::<Mutex<Vec<usize>>>::default();
        let waiting = [30_000, 500, 500, 500].map(|size| {
            let (producer, order) = (producer.clone(), Arc::clone(&order));
            async move {
                drop(producer.send(Record::to(TOPIC).value(vec![b'y'; size])).await.unwrap());
                order.lock().unwrap().push(size);
            }
        });
        let waiting = tokio::spawn(ottla::task::join_all(waiting));
        tokio::time::sleep(SECOND).await;
        world.cluster.remove_fault(lost);
        // Nobody waits for room at this time: he comes when the first of it is free.
        while order.lock().unwrap().is_empty() && producer.metrics().buffer_available_bytes < 2_000 {
            tokio::time::sleep(MS).await;
        }
        drop(producer.send(Record::to(TOPIC).value([b'z'; 500])).await.unwrap());
        assert_eq!(
            *order.lock().unwrap(),
            [30_000, 500, 500, 500],
            "whoever came last waited for all of them"
        );
        waiting.await.unwrap();
    });
}

/// Fills the buffer, until there is no room even after batches have ended and given back what they did not need.
async fn fill(producer: &Producer) {
    let mut refused = 0;
    while refused < 3 {
        match producer.try_send(Record::to(TOPIC).value([b'x'; 1_000])) {
            Ok(_) => refused = 0,
            Err(_) => {
                refused += 1;
                tokio::time::sleep(MS).await;
            }
        }
    }
}

#[test]
fn a_send_that_is_given_up_leaves_its_place_to_the_next() {
    simulated(|world: World| async move {
        let producer =
            world.producer(&[("buffer.memory", "20000"), ("batch.size", "5000"), ("max.block.ms", "60000")]);
        producer.send(Record::to(TOPIC).value("first")).await.unwrap().await.unwrap();
        let lost = world.lose_requests();
        fill(&producer).await;
        let waiting = |size: usize| {
            let producer = producer.clone();
            tokio::spawn(
                async move { producer.send(Record::to(TOPIC).value(vec![b'y'; size])).await.map(drop) },
            )
        };
        let (first, second) = (waiting(9_000), waiting(1_000));
        tokio::time::sleep(SECOND).await;
        assert_eq!(producer.metrics().waiting_sends, 2);
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        world.cluster.remove_fault(lost);
        second.await.unwrap().unwrap();
        producer.flush().await.unwrap();
        assert_eq!(producer.metrics().waiting_sends, 0);
        assert_eq!(producer.metrics().buffer_available_bytes, 20_000, "everything was given back");
    });
}

/// `max.block.ms` is one time for all that `send` waits for; nobody waits for longer.
#[test]
fn waiting_for_room_ends_with_max_block_ms() {
    simulated(|world: World| async move {
        let producer =
            world.producer(&[("buffer.memory", "20000"), ("batch.size", "5000"), ("max.block.ms", "700")]);
        producer.send(Record::to(TOPIC).value("first")).await.unwrap().await.unwrap();
        let _lost = world.lose_requests();
        fill(&producer).await;
        let began = Instant::now();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let producer = producer.clone();
                tokio::spawn(
                    async move { producer.send(Record::to(TOPIC).value([b'y'; 1_000])).await.map(drop) },
                )
            })
            .collect();
        for waiting in waiting {
            let error = waiting.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
            assert!(!error.is_possibly_written());
            assert!(error.to_string().contains("buffer.memory"), "{error}");
        }
        assert!((700 * MS..760 * MS).contains(&began.elapsed()), "{:?}", began.elapsed());
        let error = producer.try_send(Record::to(TOPIC).value([b'z'; 1_000])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QueueFull);
    });
}

/// Batches that ended half full in an outage do not take what they do not need: nearly all of the buffer holds records.
#[test]
fn in_an_outage_the_buffer_is_filled_with_records_and_not_with_air() {
    simulated(|world: World| async move {
        let producer = world.producer(&[("buffer.memory", "4000000"), ("linger.ms", "5")]);
        // Large batches, so that large ones are expected.
        for _ in 0..20 {
            for _ in 0..900 {
                drop(producer.send(Record::to(TOPIC).partition(0).value([b'x'; 1_000])).await.unwrap());
            }
            producer.flush().await.unwrap();
        }
        let _lost = world.lose_requests();
        let mut bytes = 0;
        // Slowly: a batch ends after a second, whether it is full or not.
        for _ in 0..600 {
            let sent = producer.try_send(Record::to(TOPIC).partition(0).value([b'x'; 10_000]));
            bytes += if sent.is_ok() { 10_000 } else { 0 };
            tokio::time::sleep(50 * MS).await;
        }
        assert!(bytes > 2_800_000, "{bytes} bytes of records");
    });
}

/// Whoever tries again and again finds room in the end: he does not keep the producer from sending.
#[test]
fn trying_without_end_does_not_keep_the_producer_from_sending() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let broker = ottla::broker::Broker::builder().start().await.unwrap();
        broker.create_topic(TOPIC, 1).unwrap();
        let client =
            ottla::Client::builder().bootstrap(format!("127.0.0.1:{}", broker.port())).build().unwrap();
        let producer = client.producer().buffer_memory(40_000).build().unwrap();
        producer.partitions_for(TOPIC).await.unwrap();
        let began = std::time::Instant::now();
        let mut taken = 0;
        while taken < 500 {
            match producer.try_send(Record::to(TOPIC).value([b'x'; 1_000])) {
                Ok(_) => taken += 1,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::QueueFull, "{error}");
                    assert!(began.elapsed() < 20 * SECOND, "{taken} records in {:?}", began.elapsed());
                    tokio::task::yield_now().await;
                }
            }
        }
    });
}

/// What waits for room gets what becomes free without any batch having ended.
#[test]
fn room_that_comes_with_time_is_given_to_who_waits() {
    simulated(|world: World| async move {
        let producer = world.producer(&[("buffer.memory", "100000"), ("batch.size", "25000")]);
        producer.send(Record::to(TOPIC).partition(0).value("first")).await.unwrap().await.unwrap();
        let _lost = world.lose_requests();
        // Partition 0 owes five answers; an open batch of partition 1 doubles until it cannot.
        let mut bytes = 0;
        loop {
            let send = producer.send(Record::to(TOPIC).partition(1).value([b'x'; 500]));
            match tokio::time::timeout(5 * SECOND, send).await {
                Ok(sent) => drop(sent.unwrap()),
                Err(_) => break,
            }
            bytes += 500;
        }
        assert!(bytes > 80_000, "{bytes} bytes of records in a buffer of 100,000");
    });
}

/// What waiting for the topic took is not there for waiting for room.
#[test]
fn max_block_ms_is_one_time_for_the_topic_and_for_room() {
    simulated(|world: World| async move {
        let settings = [("buffer.memory", "20000"), ("batch.size", "5000"), ("max.block.ms", "700")];
        let producer = world.producer(&settings);
        producer.send(Record::to(TOPIC).value("first")).await.unwrap().await.unwrap();
        let _lost = world.lose_requests();
        fill(&producer).await;
        world.cluster.create_topic("late", 1).unwrap();
        let slow = Fault::new(Fate::Delay(400 * MS)).api(ApiKey::METADATA).times(1);
        world.cluster.add_fault(slow);
        let began = Instant::now();
        let error = producer.send(Record::to("late").value([b'y'; 1_000])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.to_string().contains("buffer"), "the topic became known: {error}");
        assert!((700 * MS..760 * MS).contains(&began.elapsed()), "{:?}", began.elapsed());
    });
}
