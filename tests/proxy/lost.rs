//! Requests and answers that get lost (BEHAVIOUR 7, 8, 9 and 16).

use crate::proxy::{Fate, Passing, Road};
use crate::{LIMIT, over, read, topic};
use ottla::messages::ApiKey;
use ottla::{Producer, Record};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Records of a run: small batches make many requests of them.
const RECORDS: usize = 10_000;

/// How often a connection is reset with requests under way; each time the client waits a little longer before the next.
const RESETS: usize = 8;

/// Sends records that say their number; the offset of each that was acknowledged.
async fn send(producer: &Producer, topic: &str, records: usize) -> Vec<Option<i64>> {
    let mut deliveries = Vec::with_capacity(records);
    for n in 0..records {
        deliveries.push(producer.send(Record::to(topic).partition(0).value(n.to_string())).await.unwrap());
    }
    producer.flush().await.unwrap();
    let mut offsets = Vec::with_capacity(records);
    for delivery in deliveries {
        offsets.push(delivery.await.ok().map(|at| at.offset));
    }
    offsets
}

/// One in fifty Produce requests meets each of these, by turns.
fn two_in_a_hundred(fates: &'static [Fate]) -> impl FnMut(&Passing) -> Fate + Send {
    move |passing| match passing.key {
        ApiKey::PRODUCE if passing.nth % 50 == 37 => fates[passing.nth / 50 % fates.len()],
        _ => Fate::Pass,
    }
}

async fn each_once_and_in_order(name: &str, fates: &'static [Fate]) {
    let kafka = real_kafka!();
    let topic = topic(kafka, name).await;
    let road = Road::new();
    road.rule(two_in_a_hundred(fates));
    let client = over(&road, kafka).build().unwrap();
    let producer = client.producer().set("batch.size", "200").set("linger.ms", "0").build().unwrap();
    let offsets = tokio::time::timeout(LIMIT, send(&producer, &topic, RECORDS)).await.expect("in time");
    let met: Vec<usize> = fates.iter().map(|fate| road.met(*fate)).collect();
    println!("{name}: {met:?} of {fates:?}, {} connections", road.connections().len());
    assert!(met.iter().all(|met| *met > 0), "{met:?}");
    let values = read(kafka, &topic, RECORDS).await;
    assert_eq!(values.len(), RECORDS, "each once");
    assert!(values.iter().enumerate().all(|(n, value)| *value == n.to_string()), "in order");
    for (n, offset) in offsets.into_iter().enumerate() {
        assert_eq!(offset, Some(n as i64), "where the acknowledgement said");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_duplicate_nothing() {
    each_once_and_in_order("lost-answers", &[Fate::LoseAnswer, Fate::CutAnswer]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_requests_lose_nothing() {
    each_once_and_in_order("lost-requests", &[Fate::LoseRequest, Fate::CutRequest]).await;
}

/// With a bit that is flipped on the way: the broker finds it, and the batch is sent again as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_at_once() {
    let all = &[Fate::LoseAnswer, Fate::CutRequest, Fate::CutAnswer, Fate::LoseRequest, Fate::FlipFromEnd(9)];
    each_once_and_in_order("lost-all", all).await;
}

/// The proxy is seen to do what it says: who does without idempotence gets duplicates of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_idempotence_lost_answers_duplicate_records() {
    let kafka = real_kafka!();
    let topic = topic(kafka, "duplicated").await;
    let road = Road::new();
    road.rule(two_in_a_hundred(&[Fate::CutAnswer]));
    let client = over(&road, kafka).build().unwrap();
    let careless = client.producer().set("enable.idempotence", "false").set("batch.size", "200");
    let producer = careless.set("linger.ms", "0").build().unwrap();
    send(&producer, &topic, 5_000).await;
    let values = read(kafka, &topic, 5_001).await;
    let different: HashSet<&String> = values.iter().collect();
    assert_eq!(different.len(), 5_000, "none is lost");
    assert!(values.len() > 5_000, "and some are there twice");
}

/// A request that nobody answers is given up, its connection replaced, and whatever waited behind it sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blackhole_longer_than_a_request_may_take_is_survived() {
    let kafka = real_kafka!();
    let topic = topic(kafka, "blackhole").await;
    let road = Road::new();
    let client = over(&road, kafka).build().unwrap();
    let producer = client.producer().build().unwrap();
    let sending = tokio::spawn({
        let topic = topic.clone();
        async move {
            let mut deliveries = Vec::new();
            for n in 0..400 {
                let record = Record::to(topic.as_str()).partition(0).value(n.to_string());
                deliveries.push(producer.send(record).await.unwrap());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            for (n, delivery) in deliveries.into_iter().enumerate() {
                assert_eq!(delivery.await.unwrap().offset, n as i64);
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = road.connections().len();
    road.weather(|weather| weather.blackhole = true);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(road.connections().len() > before, "a connection that is silent for 2 s is replaced");
    assert!(road.connections().len() < before + 20, "but not in a storm");
    road.weather(|weather| weather.blackhole = false);
    tokio::time::timeout(Duration::from_secs(15), sending).await.expect("well again within 15 s").unwrap();
    let values = read(kafka, &topic, 400).await;
    assert!(values.len() == 400 && values.iter().enumerate().all(|(n, value)| *value == n.to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_in_the_middle_of_everything_lose_nothing() {
    let kafka = real_kafka!();
    let topic = topic(kafka, "reset").await;
    let road = Road::new();
    road.rule(|_| Fate::Pass);
    // Requests are under way most of the time.
    road.weather(|weather| weather.latency = Duration::from_millis(5));
    let client = over(&road, kafka).build().unwrap();
    let producer = client.producer().set("batch.size", "200").set("linger.ms", "0").build().unwrap();
    let hits = Arc::new(AtomicUsize::new(0));
    let resetting = tokio::spawn({
        let (road, hits) = (road.clone(), Arc::clone(&hits));
        async move {
            while hits.load(Ordering::Relaxed) < RESETS {
                tokio::time::sleep(Duration::from_millis(200)).await;
                while road.in_flight(ApiKey::PRODUCE) == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                road.reset();
                hits.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let offsets = tokio::time::timeout(LIMIT, async {
        let mut offsets = Vec::new();
        for round in 0..10 {
            offsets.push(send(&producer, &topic, 500).await);
            tokio::time::sleep(Duration::from_millis(10 * round)).await;
        }
        offsets.concat()
    });
    let offsets = offsets.await.expect("in time");
    resetting.abort();
    assert!(offsets.iter().enumerate().all(|(n, offset)| *offset == Some(n as i64)));
    let (hits, made) = (hits.load(Ordering::Relaxed), road.connections().len());
    println!("{hits} resets with requests under way, {made} connections");
    assert!(hits == RESETS && made > RESETS / 2, "{hits} resets with requests under way, {made} connections");
    let values = read(kafka, &topic, 5_000).await;
    assert_eq!(values.len(), 5_000, "each once");
    let numbers = (0..10).flat_map(|_| 0..500).map(|n: usize| n.to_string());
    assert!(values.into_iter().eq(numbers), "in order");
}
