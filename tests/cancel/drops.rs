//! Each public future, dropped after each number of polls it can take: the world goes on as if it had never been, or as if
//! it had been awaited, and never as something in between.

use crate::world::{BUFFER, Drops, Polled, SECOND, TOPIC, World, client, runtime};
use ottla::admin::ListGroups;
use ottla::broker::{ApiKey, Fate, Fault};
use ottla::{NewTopic, Record, Start, TopicPartition};
use std::collections::BTreeMap;

/// What may lie in the log that the probe has not written.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Leaves {
    Nothing,
    /// The value `it`, once, if the future was ready; otherwise nothing.
    IfReady,
    /// The value `it`, once if the future was ready; otherwise once or not at all.
    Perhaps,
}

impl Leaves {
    fn times(self, was_ready: bool) -> std::ops::RangeInclusive<usize> {
        match self {
            Leaves::Nothing => 0..=0,
            Leaves::IfReady | Leaves::Perhaps if was_ready => 1..=1,
            Leaves::IfReady => 0..=0,
            Leaves::Perhaps => 0..=1,
        }
    }
}

/// Drops the future that `make` gives after 0, 1, 2.. polls until it is ready before that, each time in a new world, at once and
/// when it is woken, and looks whether the world is well.
fn at_every_poll<T>(name: &str, leaves: Leaves, make: impl AsyncFn(&mut World) -> T) {
    for drops in [Drops::AtOnce, Drops::WhenWoken] {
        at_every_poll_in(name, drops, leaves, &make);
    }
}

fn at_every_poll_in<T>(name: &str, drops: Drops, leaves: Leaves, make: &impl AsyncFn(&mut World) -> T) {
    for polls in 0.. {
        assert!(polls < 500, "{name} is not ready after 500 polls");
        let _seed = ottla::task::simulate(polls as u64);
        let runtime = runtime();
        let was_ready = runtime.block_on(async {
            let mut world = World::new().await;
            let was_ready = Polled::times(polls, drops, make(&mut world)).await.is_some();
            let name = format!("{name}, dropped {drops:?} after {polls} polls");
            is_well(&name, &mut world, leaves.times(was_ready)).await;
            was_ready
        });
        if was_ready {
            println!("{name}: {polls} polls, {drops:?}");
            return;
        }
    }
}

/// Records go in and come out, the whole buffer can be used, and nothing is there twice.
async fn is_well(name: &str, world: &mut World, allowed: std::ops::RangeInclusive<usize>) {
    let probes: Vec<String> = (0..3).map(|n| format!("probe-{n}")).collect();
    for probe in &probes {
        let sent = world.producer.send(Record::to(TOPIC).value(probe.clone()).partition(0)).await;
        let delivery = sent.unwrap_or_else(|error| panic!("{name}: {error}"));
        delivery.await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    world.producer.flush().await.unwrap();
    assert!(world.has_the_whole_buffer().await, "{name}: something is held of the buffer");

    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for value in world.values(TOPIC) {
        *seen.entry(value).or_default() += 1;
    }
    let all = world.broker.topics().into_iter().flat_map(|topic| world.values(&topic));
    let it = all.filter(|value| value == "it").count();
    assert!(allowed.contains(&it), "{name}: the record lies {it} times in the log, and {allowed:?} was to");
    assert!(probes.iter().all(|probe| seen[probe] == 1), "{name}: {seen:?}");

    // The consumer, from the beginning: each record once.
    let mut read: BTreeMap<String, usize> = BTreeMap::new();
    let start = [0, 1].map(|partition| (TopicPartition::new(TOPIC, partition), Start::Beginning));
    world.consumer.assign(start).unwrap();
    while read.values().sum::<usize>() < seen.values().sum::<usize>() {
        let next = tokio::time::timeout(10 * SECOND, world.consumer.poll()).await;
        let batch = next.unwrap_or_else(|_| panic!("{name}: read {read:?} of {seen:?}")).unwrap().unwrap();
        for record in &batch {
            let value = std::str::from_utf8(record.value().unwrap()).unwrap();
            *read.entry(value.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(read, seen, "{name}");
}

fn it() -> Record {
    Record::to(TOPIC).value("it").partition(0)
}

#[test]
fn connecting() {
    at_every_poll("connect", Leaves::Nothing, async |world| {
        let dial = std::sync::Arc::new(world.net.dialer());
        ottla::Client::builder().bootstrap("broker-1:9092").dial(dial).connect().await.unwrap();
    });
}

#[test]
fn sending_and_its_delivery() {
    at_every_poll("send", Leaves::IfReady, async |world| {
        drop(world.producer.send(it()).await.unwrap());
    });
    at_every_poll("send, to a topic that is not known yet", Leaves::IfReady, async |world| {
        drop(world.producer.send(Record::to("unheard-of").value("it")).await.unwrap());
    });
    at_every_poll("send, when the buffer is full", Leaves::IfReady, async |world| {
        let large = |n: u8| Record::to(TOPIC).value(vec![b'a' + n; BUFFER / 3]).partition(1);
        for n in 0..2 {
            drop(world.producer.send(large(n)).await.unwrap());
        }
        drop(
            world.producer.send(Record::to(TOPIC).value("y".repeat(BUFFER / 3)).partition(1)).await.unwrap(),
        );
        drop(world.producer.send(it()).await.unwrap());
    });
    at_every_poll("a delivery", Leaves::Perhaps, async |world| {
        world.producer.send(it()).await.unwrap().await.unwrap();
    });
    at_every_poll("a delivery that is polled by two", Leaves::Perhaps, async |world| {
        let (mut first, mut second) = (
            world.producer.send(it()).await.unwrap(),
            world.producer.send(Record::to(TOPIC).value("other").partition(1)).await.unwrap(),
        );
        let first_was_ready = tokio::select! {
            _ = &mut first => true,
            _ = &mut second => false,
        };
        // Once it was ready it is over.
        match first_was_ready {
            true => assert!(first.await.is_err()),
            false => drop(first.await.unwrap()),
        }
    });
    at_every_poll("flush", Leaves::Perhaps, async |world| {
        world.producer.partitions_for(TOPIC).await.unwrap();
        drop(world.producer.try_send(it()).unwrap());
        world.producer.flush().await.unwrap();
    });
    at_every_poll("partitions_for", Leaves::Nothing, async |world| {
        assert_eq!(world.producer.partitions_for(TOPIC).await.unwrap(), 2);
    });
}

#[test]
fn closing_a_producer() {
    at_every_poll("close", Leaves::Perhaps, async |world| {
        let producer = client(&world.net).producer().build().unwrap();
        drop(producer.send(it()).await.unwrap());
        producer.close(5 * SECOND).await.unwrap();
    });
}

#[test]
fn reading() {
    at_every_poll("poll", Leaves::Perhaps, async |world| {
        world.producer.send(it()).await.unwrap().await.unwrap();
        assert_eq!(world.consumer.poll().await.unwrap().unwrap().len(), 1);
    });
    at_every_poll("a record of a stream, and its value", Leaves::Perhaps, async |world| {
        world.producer.send(it()).await.unwrap().await.unwrap();
        let mut texts = world.consumer.records().deserialize(ottla::consumer::Utf8);
        assert_eq!(texts.next().await.unwrap().unwrap().value.unwrap(), "it");
    });
    at_every_poll("a record of a partition's stream", Leaves::Perhaps, async |world| {
        let mut stream = world.consumer.partition_stream(&TopicPartition::new(TOPIC, 0)).unwrap();
        world.producer.send(it()).await.unwrap().await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap().value.unwrap(), "it");
    });
    at_every_poll("a consumer's build", Leaves::Nothing, async |world| {
        let consumer = world.client.consumer().topic(TOPIC, Start::Timestamp(1)).build().await.unwrap();
        assert_eq!(consumer.assigned().len(), 2);
    });
    let both = || [0, 1].map(|partition| TopicPartition::new(TOPIC, partition));
    at_every_poll("beginning_offsets", Leaves::Nothing, async |world| {
        world.consumer.beginning_offsets(&both()).await.unwrap();
    });
    at_every_poll("end_offsets", Leaves::Nothing, async |world| {
        world.consumer.end_offsets(&both()).await.unwrap();
    });
    at_every_poll("offsets_for_times", Leaves::Nothing, async |world| {
        world.consumer.offsets_for_times(both().iter().map(|partition| (partition, 5))).await.unwrap();
    });
}

/// The probe is seen to find the smallest thing that is held.
#[test]
fn a_byte_that_leaks_is_found() {
    runtime().block_on(async {
        let world = World::new().await;
        world.producer.partitions_for(TOPIC).await.unwrap();
        assert!(world.has_the_whole_buffer().await);
        let lost = world.broker.add_fault(Fault::new(Fate::LoseRequest).api(ApiKey::PRODUCE).times(1));
        let delivery = world.producer.try_send(Record::to(TOPIC).value("").partition(0)).unwrap();
        assert!(!world.has_the_whole_buffer().await, "an empty record is held, and nobody notices");
        world.broker.remove_fault(lost);
        delivery.await.unwrap();
        assert!(world.has_the_whole_buffer().await);
    });
}

/// So is a `send` that has queued its record and is not ready.
#[test]
#[should_panic(expected = "the record lies 1 times in the log, and 0..=0 was to")]
fn a_send_that_waits_when_it_has_queued_is_found() {
    at_every_poll("a late send", Leaves::IfReady, async |world| {
        drop(world.producer.send(it()).await.unwrap());
        tokio::time::sleep(SECOND).await;
    });
}

/// And a permit that is handed to somebody who is dropped before he takes it, which is when he was woken and at no other time.
#[test]
fn what_is_handed_to_a_future_that_is_dropped_is_seen_to_be_lost() {
    runtime().block_on(async {
        for (drops, is_lost) in [(Drops::AtOnce, false), (Drops::WhenWoken, true)] {
            let (hand, permit) = tokio::sync::oneshot::channel();
            let handing = tokio::spawn(async move {
                tokio::time::sleep(SECOND).await;
                hand.send("a permit").is_ok()
            });
            assert!(Polled::times(1, drops, permit).await.is_none());
            assert_eq!(handing.await.unwrap(), is_lost, "{drops:?}");
        }
    });
}

/// A poll that was dropped has handed nothing out: whoever polls next gets the batch.
#[test]
fn a_poll_that_is_dropped_takes_no_batch_along() {
    for (polls, drops) in (1..20).flat_map(|polls| [(polls, Drops::AtOnce), (polls, Drops::WhenWoken)]) {
        let _seed = ottla::task::simulate(polls as u64);
        runtime().block_on(async {
            let mut world = World::new().await;
            world.producer.send(it()).await.unwrap().await.unwrap();
            let taken = Polled::times(polls, drops, world.consumer.poll()).await;
            let batch = match taken {
                Some(batch) => batch,
                None => tokio::time::timeout(5 * SECOND, world.consumer.poll()).await.expect("the batch"),
            };
            assert_eq!(batch.unwrap().unwrap().len(), 1);
        });
    }
}

#[test]
fn administration() {
    at_every_poll("list_topics", Leaves::Nothing, async |world| {
        world.client.admin().list_topics().await.unwrap();
    });
    at_every_poll("describe_topics", Leaves::Nothing, async |world| {
        world.client.admin().describe_topics([TOPIC]).await.unwrap();
    });
    at_every_poll("partitions_for", Leaves::Nothing, async |world| {
        world.client.admin().partitions_for(TOPIC).await.unwrap();
    });
    at_every_poll("describe_cluster", Leaves::Nothing, async |world| {
        world.client.admin().describe_cluster().await.unwrap();
    });
    at_every_poll("create_topics", Leaves::Nothing, async |world| {
        world.client.admin().create_topics([NewTopic::named("new").partitions(1)]).await.unwrap();
    });
    at_every_poll("validate_topics", Leaves::Nothing, async |world| {
        world.client.admin().validate_topics([NewTopic::named("new").partitions(1)]).await.unwrap();
    });
    at_every_poll("delete_topics", Leaves::Nothing, async |world| {
        world.client.admin().delete_topics(["old"]).await.unwrap();
    });
}

#[test]
fn administration_of_groups() {
    let offsets = || [(TopicPartition::new(TOPIC, 0), 1.into())];
    at_every_poll("list_groups", Leaves::Nothing, async |world| {
        world.client.admin().list_groups(&ListGroups::all()).await.unwrap().all().unwrap();
    });
    at_every_poll("describe_groups", Leaves::Nothing, async |world| {
        assert_eq!(world.client.admin().describe_groups(["one", "two"]).await.len(), 2);
    });
    at_every_poll("alter_group_offsets", Leaves::Nothing, async |world| {
        world.client.admin().alter_group_offsets("one", offsets()).await.unwrap();
    });
    at_every_poll("list_group_offsets", Leaves::Nothing, async |world| {
        world.client.admin().list_group_offsets("one").await.unwrap();
    });
    at_every_poll("delete_group_offsets", Leaves::Nothing, async |world| {
        let partition = TopicPartition::new(TOPIC, 0);
        drop(world.client.admin().delete_group_offsets("one", [partition]).await);
    });
    at_every_poll("delete_groups", Leaves::Nothing, async |world| {
        assert_eq!(world.client.admin().delete_groups(["one", "two"]).await.len(), 2);
    });
}
