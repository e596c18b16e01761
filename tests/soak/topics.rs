//! Topics that come late, go and come again, or grow.

use crate::bench::RESOLVED;
use crate::checker::Promises;
use crate::history::{Claim, Event};
use crate::load::{Load, Pace};
use crate::real::{kafka, process};
use ottla::{ErrorKind, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// BEHAVIOUR 19.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn a_topic_created_three_seconds_later_is_waited_for_and_another_is_not_for_ever() {
    let bench = bench!("late", 0);
    let sending = |max_block_ms: &str, topic: String| {
        let producer = bench.client.producer().set("max.block.ms", max_block_ms).build().unwrap();
        tokio::spawn(async move {
            let begin = Instant::now();
            let outcome = match producer.send(Record::to(topic.as_str()).key("k0").value("k0 0")).await {
                Ok(delivery) => delivery.await,
                Err(error) => Err(error),
            };
            (outcome, begin.elapsed())
        })
    };
    let patient = sending("10000", bench.topic.clone());
    let hasty = sending("1500", bench.topic.clone());
    let hopeless = sending("5000", kafka::unique("never"));
    sleep(Duration::from_secs(3)).await;
    bench.create_topic(3).await;

    let (outcome, took) = patient.await.unwrap();
    assert_eq!(outcome.unwrap().offset, 0);
    assert!(took > Duration::from_secs(3) && took < Duration::from_secs(8), "{took:?}");
    for (task, limit) in [(hasty, 1_500), (hopeless, 5_000)] {
        let (outcome, took) = task.await.unwrap();
        let error = outcome.unwrap_err();
        println!("   after {took:.3?}: {error}");
        assert!(!error.is_possibly_written() && !error.is_fatal(), "{error}");
        assert!(error.kind() == ErrorKind::Timeout || error.code().is_some(), "{error}");
        let (least, most) = (Duration::from_millis(limit - 100), Duration::from_millis(limit + 500));
        assert!((least..=most).contains(&took), "{took:?}: {error}");
    }
}

/// BEHAVIOUR 21.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn a_topic_deleted_and_created_again_goes_on_from_the_first_offset() {
    let bench = bench!("recreated", 3);
    let load = bench.load(bench.client.producer());
    sleep(Duration::from_secs(3)).await;
    bench.client.admin().delete_topics([&bench.topic]).await.unwrap()[&bench.topic].clone().unwrap();
    // Until the last broker has heard of it, it may still acknowledge.
    sleep(Duration::from_secs(3)).await;
    let topic_since = load.journal.now();
    bench.create_topic(3).await;
    let ready = load.journal.now();
    sleep(Duration::from_secs(8)).await;
    let events = load.stop(RESOLVED).await;
    bench.assert_whole(&events, &Promises { topic_since, ..Promises::ALL });
    let acks = events.iter().filter(|event| matches!(event.claim, Claim::Ack { .. }));
    let first =
        acks.map(|event| event.at).find(|at| *at > topic_since).expect("acknowledgements in the new topic");
    println!(
        "   the first acknowledgement came {:.3?} after the topic was ready",
        first.saturating_sub(ready)
    );
    assert!(first < ready + Duration::from_secs(5), "{first:?}, ready at {ready:?}");
}

/// BEHAVIOUR 20.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn new_partitions_are_used_in_time_and_a_key_moves_once() {
    let bench = bench!("grown", 2, "metadata.max.age.ms" = "3000");
    let producer = bench.client.producer().build().unwrap();
    let load = Load::start(producer, &bench.topic, Pace { keys: 48, per_second: 500 });
    sleep(Duration::from_secs(2)).await;
    let kafka = bench.cluster.kafka();
    let alter = ["--alter", "--topic", &bench.topic, "--partitions", "6"];
    let mut java =
        kafka.java("org.apache.kafka.tools.TopicCommand", &["--bootstrap-server", kafka.plaintext()]);
    process::run(java.args(alter), b"", kafka::CLIENT_LIMIT).success();
    let grown = load.journal.now();
    sleep(Duration::from_secs(8)).await;
    let events = load.stop(RESOLVED).await;
    bench.assert_whole(&events, &Promises { same_partitions: false, ..Promises::ALL });

    let first = events.iter().find(|event| matches!(event.claim, Claim::Ack { partition: 2.., .. }));
    let first = first.expect("a record in a new partition").at;
    println!("   a new partition was used {:.3?} after there was one", first.saturating_sub(grown));
    assert!(first < grown + Duration::from_secs(5), "{first:?}, grown at {grown:?}");
    let ways: BTreeSet<usize> = ways(&events).into_values().map(|way| way.len()).collect();
    assert_eq!(ways, BTreeSet::from([1, 2]), "some keys stay, some move once, none moves back");
}

/// The partitions that a key's records went to, in the order of the sends.
fn ways(events: &[Event]) -> BTreeMap<u32, Vec<i32>> {
    let mut acks = BTreeMap::new();
    for event in events {
        if let Claim::Ack { partition, .. } = event.claim {
            acks.insert(event.name, partition);
        }
    }
    let mut ways: BTreeMap<u32, Vec<i32>> = BTreeMap::new();
    for (name, partition) in acks {
        let way = ways.entry(name.key).or_default();
        if way.last() != Some(&partition) {
            way.push(partition);
        }
    }
    ways
}
