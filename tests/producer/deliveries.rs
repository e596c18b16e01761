//! Deliveries, callbacks, flush and close.

use crate::{MS, SECOND, TOPIC, World, simulated};
use ottla::broker::{ApiKey, Fate, Fault};
use ottla::{Delivered, ErrorKind, Record, Result};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

/// A callback, and where its outcome comes out.
fn callback() -> (impl FnOnce(Result<Delivered>) + Send, Receiver<Result<Delivered>>) {
    let (to, from) = channel();
    (move |outcome| to.send(outcome).unwrap(), from)
}

#[test]
fn a_callback_is_called_once_with_the_outcome_before_and_after_it_is_known() {
    simulated(|world: World| async move {
        let producer = world.producer(&[]);
        let (early, told_early) = callback();
        let (late, told_late) = callback();
        producer.send(Record::to(TOPIC).partition(1).value("a")).await.unwrap().then(early);
        let delivery = producer.send(Record::to(TOPIC).partition(1).value("b")).await.unwrap();
        assert!(told_early.try_recv().is_err(), "nothing is known yet");
        producer.flush().await.unwrap();
        let at = told_early.try_recv().unwrap().unwrap();
        assert_eq!((at.topic(), at.partition, at.offset), (TOPIC, 1, 0));
        delivery.then(late);
        assert_eq!(told_late.try_recv().unwrap().unwrap().offset, 1);
        assert!(
            told_early.recv().is_err() && told_late.recv().is_err(),
            "no second call, and the callbacks are gone"
        );
    });
}

#[test]
fn a_callback_may_panic_or_send_and_the_others_are_called() {
    simulated(|world: World| async move {
        let producer = world.producer(&[]);
        let (last, told) = callback();
        producer.send(Record::to(TOPIC).partition(0).value("a")).await.unwrap().then(|_| panic!("a test's"));
        let again = producer.clone();
        producer.send(Record::to(TOPIC).partition(0).value("b")).await.unwrap().then(move |outcome| {
            let _sent =
                again.try_send(Record::to(TOPIC).partition(0).value(format!("after {outcome:?}"))).unwrap();
        });
        producer.send(Record::to(TOPIC).partition(0).value("c")).await.unwrap().then(last);
        producer.flush().await.unwrap();
        assert_eq!(told.try_recv().unwrap().unwrap().offset, 2);
        producer.flush().await.unwrap();
        assert_eq!(world.values(TOPIC, 0).len(), 4, "what the callback sent is there");
    });
}

/// The broker finds batches of more than 200 bytes too large: they are halved until they fit, and every record's callback
/// and delivery hears of its own offset.
#[test]
fn callbacks_and_deliveries_follow_their_records_through_a_split() {
    simulated(|world: World| async move {
        world
            .cluster
            .create_topic_as(&ottla::broker::TopicSpec::new("small").setting("max.message.bytes", "200"))
            .unwrap();
        let producer = world.producer(&[("linger.ms", "50")]);
        let told = Arc::<Mutex<Vec<(usize, i64)>>>::default();
        let mut deliveries = Vec::new();
        for n in 0..40 {
            let record = || Record::to("small").value(format!("{n:020}"));
            let delivery = producer.send(record()).await.unwrap();
            if n % 2 == 0 {
                let told = Arc::clone(&told);
                delivery.then(move |outcome| told.lock().unwrap().push((n, outcome.unwrap().offset)));
            } else {
                deliveries.push((n, tokio::spawn(delivery)));
            }
        }
        for (n, delivery) in deliveries {
            let offset = delivery.await.unwrap().unwrap().offset;
            told.lock().unwrap().push((n, offset));
        }
        producer.flush().await.unwrap();
        let mut told = told.lock().unwrap().clone();
        told.sort_unstable();
        assert_eq!(told, (0..40).map(|n| (n, n as i64)).collect::<Vec<_>>());
        assert!(producer.metrics().batch_split_total >= 3, "{:?}", producer.metrics());
    });
}

/// Who sees that a flush is done finds each outcome, without waiting once more.
#[test]
fn outcomes_are_there_when_a_flush_is_done() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let broker = ottla::broker::Broker::builder().start().await.unwrap();
        broker.create_topic(TOPIC, 4).unwrap();
        let client =
            ottla::Client::builder().bootstrap(format!("127.0.0.1:{}", broker.port())).build().unwrap();
        let producer = client.producer().set("linger.ms", "0").build().unwrap();
        for round in 0..300 {
            let deliveries: Vec<_> = (0..4).map(|n| Record::to(TOPIC).partition(n).value("v")).collect();
            let mut waiting = Vec::new();
            for record in deliveries {
                waiting.push(producer.send(record).await.unwrap());
            }
            producer.flush().await.unwrap();
            for delivery in &waiting {
                assert!(delivery.outcome().expect("known").is_ok(), "round {round}");
            }
        }
    });
}

#[test]
fn a_flush_obeys_its_deadline_and_says_how_many_are_left() {
    simulated(|world: World| async move {
        let producer = world.producer(&[]);
        producer.send(Record::to(TOPIC).value("first")).await.unwrap().await.unwrap();
        let fault = world.lose_requests();
        let mut waiting = Vec::new();
        for n in 0..7 {
            waiting.push(producer.send(Record::to(TOPIC).value(n.to_string())).await.unwrap());
        }
        let began = Instant::now();
        let error = producer.flush_within(3 * SECOND).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Undelivered { records: 7 }, "{error}");
        assert!((3 * SECOND..3 * SECOND + 20 * MS).contains(&began.elapsed()), "{:?}", began.elapsed());
        world.cluster.remove_fault(fault);
        producer.flush_within(60 * SECOND).await.unwrap();
        for delivery in waiting {
            delivery.await.unwrap();
        }
    });
}

#[test]
fn a_close_says_how_many_were_given_up_and_ends_those_who_wait_for_room() {
    simulated(|world: World| async move {
        let producer = world.producer(&[("buffer.memory", "40000"), ("batch.size", "10000")]);
        producer.send(Record::to(TOPIC).value("first")).await.unwrap().await.unwrap();
        let _lost = world.lose_requests();
        let mut queued = Vec::new();
        while let Ok(delivery) = producer.try_send(Record::to(TOPIC).partition(1).value([b'x'; 1_000])) {
            queued.push(delivery);
        }
        let waiting = tokio::spawn({
            let producer = producer.clone();
            async move { producer.send(Record::to(TOPIC).value([b'x'; 9_000])).await }
        });
        tokio::time::sleep(SECOND).await;
        let error = producer.close(SECOND).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Undelivered { records: queued.len() }, "{error}");
        assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
        for delivery in queued {
            let error = delivery.outcome().expect("resolved").unwrap_err();
            assert_eq!((error.topic_name(), error.partition_index()), (Some(TOPIC), Some(1)), "{error}");
        }
    });
}

#[test]
fn a_delivery_that_was_ready_is_ready_once() {
    simulated(|world: World| async move {
        let producer = world.producer(&[]);
        let mut delivery = producer.send(Record::to(TOPIC).value("v")).await.unwrap();
        assert!((&mut delivery).await.is_ok());
        assert!(delivery.outcome().is_none());
        assert_eq!((&mut delivery).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

/// 300 requests at once to a broker that answers slowly: without idempotence Java and librdkafka let that be.
#[test]
fn as_many_requests_are_in_flight_as_the_settings_let() {
    simulated(|world: World| async move {
        let producer = world.producer(&[
            ("enable.idempotence", "false"),
            ("max.in.flight.requests.per.connection", "1000"),
            ("linger.ms", "0"),
        ]);
        producer.send(Record::to(TOPIC).partition(0).value("first")).await.unwrap().await.unwrap();
        world.cluster.add_fault(Fault::new(Fate::DelayAnswer(SECOND)).api(ApiKey::PRODUCE).times(1));
        let mut waiting = Vec::new();
        for n in 0..300 {
            waiting.push(producer.send(Record::to(TOPIC).partition(0).value(n.to_string())).await.unwrap());
            tokio::time::sleep(MS / 10).await;
        }
        for delivery in waiting {
            delivery.await.unwrap();
        }
        assert_eq!(world.values(TOPIC, 0).len(), 301);
    });
}

/// The topic is made anew while a request is on its way: the answer names the old id, and is understood.
#[test]
fn an_answer_under_the_topic_s_old_id_is_understood() {
    simulated(|world: World| async move {
        let producer = world.attentive_client().producer().set("linger.ms", "0").build().unwrap();
        producer.send(Record::to(TOPIC).partition(0).value("first")).await.unwrap().await.unwrap();
        let slow = Fault::new(Fate::DelayAnswer(2 * SECOND)).api(ApiKey::PRODUCE).times(1);
        world.cluster.add_fault(slow);
        let delivery = producer.send(Record::to(TOPIC).partition(0).value("old")).await.unwrap();
        tokio::time::sleep(100 * MS).await;
        world.cluster.recreate_topic(TOPIC).unwrap();
        let began = Instant::now();
        assert_eq!(delivery.await.unwrap().offset, 1);
        assert!(began.elapsed() < 3 * SECOND, "{:?}", began.elapsed());
        assert_eq!(
            world.values(TOPIC, 0),
            Vec::<String>::new(),
            "it was written before the topic was made anew"
        );
    });
}

#[test]
fn a_timestamp_before_1970_is_refused_before_it_spoils_a_batch() {
    simulated(|world: World| async move {
        let producer = world.producer(&[]);
        let good = producer.send(Record::to(TOPIC).partition(0).timestamp_ms(0).value("1970")).await.unwrap();
        for before in [-1, i64::MIN] {
            let record = Record::to(TOPIC).partition(0).timestamp_ms(before).value("x");
            let error = producer.send(record).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
        assert_eq!(good.await.unwrap().timestamp_ms, 0);
    });
}

/// A flush that begins while callbacks are being called returns when they have been, as in Java.
#[test]
fn callbacks_were_called_when_a_flush_is_done() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let broker = ottla::broker::Broker::builder().start().await.unwrap();
        broker.create_topic(TOPIC, 1).unwrap();
        let client =
            ottla::Client::builder().bootstrap(format!("127.0.0.1:{}", broker.port())).build().unwrap();
        let producer = client.producer().build().unwrap();
        let called = Arc::new(Mutex::new(false));
        let calling = Arc::clone(&called);
        let [first, second] = ["a", "b"].map(|value| producer.send(Record::to(TOPIC).value(value)));
        first.await.unwrap().then(move |_| {
            std::thread::sleep(100 * MS);
            *calling.lock().unwrap() = true;
        });
        let second = second.await.unwrap();
        while second.outcome().is_none() {
            tokio::task::yield_now().await;
        }
        producer.flush().await.unwrap();
        assert!(*called.lock().unwrap());
    });
}

/// Many sends that one task awaits together: the log has the order of the calls.
#[test]
fn sends_that_are_awaited_together_keep_their_order() {
    simulated(|world: World| async move {
        let producer = world.producer(&[("linger.ms", "0")]);
        producer.partitions_for(TOPIC).await.unwrap();
        let value = |n: usize| format!("{n:0100}");
        let sends = (0..5_000).map(|n| producer.send(Record::to(TOPIC).partition(0).value(value(n))));
        for sent in ottla::task::join_all(sends).await {
            drop(sent.unwrap());
        }
        producer.flush().await.unwrap();
        assert!(world.values(TOPIC, 0) == (0..5_000).map(value).collect::<Vec<_>>());
    });
}

/// On a runtime of one thread nothing would leave, and nobody else go on, as long as a task sends.
#[test]
fn who_sends_in_a_loop_lets_others_go_on() {
    simulated(|world: World| async move {
        let producer = world.producer(&[]);
        producer.partitions_for(TOPIC).await.unwrap();
        for (bytes, most) in [(10, 1_024), (2_048, 128)] {
            let turns = Arc::new(Mutex::new(0));
            let turning = Arc::clone(&turns);
            let other = tokio::spawn(async move {
                loop {
                    *turning.lock().unwrap() += 1;
                    tokio::task::yield_now().await;
                }
            });
            for _ in 0..10 * most {
                drop(producer.send(Record::to(TOPIC).value(vec![b'x'; bytes])).await.unwrap());
            }
            other.abort();
            let turns = *turns.lock().unwrap();
            assert!(turns >= 9, "{turns} turns beside {} records of {bytes} bytes", 10 * most);
        }
        producer.flush().await.unwrap();
    });
}

/// Even if the producer's task has never run.
#[test]
fn deliveries_are_resolved_when_the_runtime_ends_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let delivery = runtime.block_on(async {
        let broker = ottla::broker::Broker::builder().start().await.unwrap();
        broker.create_topic(TOPIC, 1).unwrap();
        let client =
            ottla::Client::builder().bootstrap(format!("127.0.0.1:{}", broker.port())).build().unwrap();
        client.producer().build().unwrap().partitions_for(TOPIC).await.unwrap();
        let sent = client.producer().build().unwrap().try_send(Record::to(TOPIC).value("v"));
        Some(sent.unwrap())
    });
    drop(runtime);
    let error = delivery.unwrap().outcome().expect("resolved").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
}

#[test]
fn a_close_ends_those_who_wait_for_a_topic() {
    simulated(|world: World| async move {
        world.cluster.add_fault(Fault::new(Fate::LoseRequest).api(ApiKey::METADATA));
        let producer = world.producer(&[]);
        let waiting = tokio::spawn({
            let producer = producer.clone();
            async move { producer.send(Record::to("unknown").value("v")).await }
        });
        tokio::time::sleep(SECOND).await;
        let began = Instant::now();
        producer.close(SECOND).await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
        let error = producer.send(Record::to("unknown").value("v")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    });
}

/// Who polled a delivery last is told, and nobody else.
#[test]
fn a_delivery_that_goes_from_one_task_to_another_wakes_the_last() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    simulated(|world: World| async move {
        let producer = world.producer(&[]);
        let mut delivery = producer.send(Record::to(TOPIC).value("v")).await.unwrap();
        let mut other = producer.send(Record::to(TOPIC).value("w")).await.unwrap();
        let tasks: Vec<_> = (0..1_000).map(|_| Arc::new(Count(AtomicUsize::new(0)))).collect();
        for task in &tasks {
            let waker = Arc::clone(task).into();
            assert!(std::pin::pin!(&mut delivery).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        let first = Arc::clone(&tasks[0]).into();
        assert!(std::pin::pin!(&mut other).poll(&mut Context::from_waker(&first)).is_pending());
        let awaited = tokio::spawn(delivery);
        producer.flush().await.unwrap();
        assert_eq!(awaited.await.unwrap().unwrap().offset, 0);
        assert_eq!(other.await.unwrap().offset, 1);
        let woken: Vec<usize> = tasks.iter().map(|task| task.0.load(Ordering::Relaxed)).collect();
        assert_eq!(woken[0], 1, "for the other delivery");
        assert_eq!(woken[1..].iter().sum::<usize>(), 0, "who does not wait any more is not woken");
    });
}

#[test]
fn the_way_to_the_leader_is_made_while_a_producer_id_is_asked_for() {
    simulated(|world: World| async move {
        world.cluster.add_fault(Fault::new(Fate::Delay(SECOND)));
        let producer = world.producer(&[("linger.ms", "0")]);
        let began = Instant::now();
        producer.send(Record::to(TOPIC).value("first")).await.unwrap().await.unwrap();
        // Versions and metadata; versions and the id, and beside them the versions of the leader; the record.
        assert_eq!(began.elapsed().as_secs(), 5);
    });
}
