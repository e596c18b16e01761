//! A log that is cut off behind those who have read it (KIP-320): a replica that was away is elected although it lacks what
//! the dead leader had, and goes on with other records at the same offsets.

use crate::bench::Bench;
use ottla::config::Acks;
use ottla::{Consumer, ErrorKind, NewTopic, Record, Start, TopicPartition};
use std::time::Duration;
use tokio::time::timeout;

/// Longer than the brokers take to elect somebody, and a client to hear of it.
const LIMIT: Duration = Duration::from_secs(60);
/// In which somebody would still read what is too much.
const A_WHILE: Duration = Duration::from_secs(2);
/// Up to here both replicas have the same.
const PARTED_AT: i64 = 10;
/// Up to here the leader went on alone.
const POSITION: i64 = 30;
/// Up to here the other one went on: beyond where readers were, so that there is a record at their position.
const END: i64 = 45;
/// Where somebody is who takes his time.
const SLOW: i64 = 5;

/// BEHAVIOUR 43. Four read: one as records come; one that is paused meanwhile and asks again when there is a record at its
/// position, which is not the one that it waited for; one that is to be asked; and one that has not seen yet what is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn a_log_that_is_cut_off_behind_a_reader_is_told_with_both_offsets() {
    let bench = bench!("truncated", 0);
    // The third broker has no copy, and keeps the office of the controllers filled.
    let (first, second) = (1, 2);
    let topic = NewTopic::named(&bench.topic).assignments([vec![first, second]]);
    let topic = topic.config("min.insync.replicas", "1").config("unclean.leader.election.enable", "true");
    bench.create(topic).await;
    let partition = TopicPartition::new(bench.topic.as_str(), 0);
    produce(&bench, "both", PARTED_AT, Acks::All).await;

    bench.cluster.stop(second);
    produce(&bench, "lost", POSITION - PARTED_AT, Acks::Leader).await;
    let reader = |policy: &str| {
        let start = [(partition.clone(), Start::Beginning)];
        bench.client.consumer().auto_offset_reset(policy).assign(start).build()
    };
    let [mut prompt, mut paused, mut asking, mut slow] = [
        reader("latest").await.unwrap(),
        reader("earliest").await.unwrap(),
        reader("none").await.unwrap(),
        reader("none").await.unwrap(),
    ];
    let whole: Vec<String> = named("both", 0, PARTED_AT).chain(named("lost", PARTED_AT, POSITION)).collect();
    for consumer in [&mut prompt, &mut paused, &mut asking] {
        assert_eq!(read(consumer, POSITION).await, whole);
        assert_eq!(consumer.lag(&partition).unwrap(), Some(0));
    }
    assert_eq!(read(&mut slow, SLOW).await, whole[..SLOW as usize]);
    paused.pause(&partition).unwrap();

    bench.cluster.kill(first);
    bench.cluster.start(second);
    assert_eq!(bench.cluster.next_leader(&bench.topic, 0, first), second);
    produce(&bench, "other", END - PARTED_AT, Acks::Leader).await;
    paused.resume(&partition).unwrap();
    // In which the slow one's fetcher hears of it, and drops what it had fetched.
    tokio::time::sleep(A_WHILE).await;

    let others: Vec<String> = named("other", PARTED_AT, END).collect();
    for consumer in [&mut prompt, &mut paused] {
        let error = fails(consumer).await;
        assert_eq!(error.kind(), ErrorKind::LogTruncation { position: POSITION, parted_at: PARTED_AT });
        println!("   {error}");
        assert_eq!(read(consumer, END - PARTED_AT).await, others);
    }
    let error = fails(&mut asking).await;
    assert_eq!(error.kind(), ErrorKind::LogTruncation { position: POSITION, parted_at: PARTED_AT });
    assert!(error.to_string().contains("seek"), "{error}");
    let early = timeout(A_WHILE, asking.poll()).await;
    assert!(early.is_err(), "it was not said where to go on: {early:?}");
    asking.seek(&partition, Start::Offset(PARTED_AT)).unwrap();
    assert_eq!(read(&mut asking, END - PARTED_AT).await, others);
    let rest: Vec<String> = named("both", SLOW, PARTED_AT).chain(others).collect();
    assert_eq!(read(&mut slow, END - SLOW).await, rest);
    for consumer in [&mut prompt, &mut paused, &mut asking, &mut slow] {
        let more = timeout(A_WHILE, consumer.poll()).await;
        assert!(more.is_err(), "everything was read: {more:?}");
        assert_eq!(consumer.position(&partition).unwrap(), Some(END));
    }
}

/// Sends records of this name, each in a batch of its own, to whoever leads.
async fn produce(bench: &Bench, name: &str, count: i64, acks: Acks) {
    let producer = bench.client.producer().acks(acks).set("enable.idempotence", "false");
    let producer = producer.build().unwrap();
    for _ in 0..count {
        let record = Record::to(bench.topic.as_str()).partition(0).value(name);
        producer.send(record).await.unwrap().await.unwrap();
    }
}

/// What [`produce`] has written.
fn named(name: &str, from: i64, to: i64) -> impl Iterator<Item = String> {
    (from..to).map(move |offset| format!("{name} {offset}"))
}

/// The next records, with their offsets.
async fn read(consumer: &mut Consumer, count: i64) -> Vec<String> {
    let mut seen = Vec::new();
    while (seen.len() as i64) < count {
        let batch =
            timeout(LIMIT, consumer.poll()).await.unwrap_or_else(|_| panic!("no more after {seen:?}"));
        for record in &batch.unwrap().unwrap() {
            let value = String::from_utf8_lossy(record.value().unwrap_or_default());
            seen.push(format!("{value} {}", record.offset()));
        }
    }
    seen
}

async fn fails(consumer: &mut Consumer) -> ottla::Error {
    timeout(LIMIT, consumer.poll()).await.expect("an error in time").expect_err("records are gone")
}
