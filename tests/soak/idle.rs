//! Many partitions without a record: what it costs to wait for all of them.

use crate::bench::Bench;
use crate::proxy::{Fate, Roads};
use ottla::messages::ApiKey;
use ottla::{Client, Consumer, NewTopic, Start};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

const PARTITIONS: i32 = 2_000;
/// Those who lead them.
const BROKERS: [i32; 2] = [1, 2];
/// `fetch.max.wait.ms` by default.
const WAIT: Duration = Duration::from_millis(500);
/// Longer than brokers take to take so many offices.
const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(20);

/// BEHAVIOUR 46.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn two_thousand_idle_partitions_cost_a_request_for_each_wait_and_broker() {
    let bench = bench!("idle", 0);
    let leaders = (0..PARTITIONS).map(|partition| vec![BROKERS[partition as usize % BROKERS.len()]]);
    let topic = NewTopic::named(&bench.topic).assignments(leaders).config("min.insync.replicas", "1");
    bench.create(topic).await;

    // While the brokers still take office, all that they refuse is asked for again, together.
    let (_, early) = begin(&bench).await;
    let asked = requests(&early);
    println!("   {asked} requests to begin while the brokers take office");
    assert!(asked < 150, "{asked} requests to begin");

    let (mut consumer, roads) = begin(&bench).await;
    let fetches = || BROKERS.map(|id| roads.to(bench.cluster.address(id)).asked(ApiKey::FETCH));
    let (to_begin, before) = (requests(&roads), fetches());
    println!("   {to_begin} requests to begin");
    let nothing = timeout(LONG, consumer.poll()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    let (all, after) = (requests(&roads) - to_begin, fetches());
    println!("   {all} requests in {LONG:?}, fetches from {before:?} to {after:?}");
    drop(consumer);
    bench.client.admin().delete_topics([&bench.topic]).await.unwrap()[&bench.topic].clone().unwrap();

    assert!(to_begin < 50, "{to_begin} requests to begin");
    let most = LONG.as_millis().div_ceil(WAIT.as_millis()) as usize + 1;
    for (before, after) in before.into_iter().zip(after) {
        assert!((most / 2..=most).contains(&(after - before)), "{} fetches of one broker", after - before);
    }
    assert!(all <= BROKERS.len() * most + 2, "{all} requests in all");
}

/// A consumer of all partitions that has heard of each, and the ways that it has taken.
async fn begin(bench: &Bench) -> (Consumer, Roads) {
    let roads = Roads::prepared(|road| road.rule(|_| Fate::Pass));
    let client = Client::builder().bootstrap(bench.cluster.kafka().plaintext()).dial(roads.dial());
    let consumer = client.build().unwrap().consumer().topic(bench.topic.as_str(), Start::End);
    let (began, consumer) = (Instant::now(), consumer.build().await.unwrap());
    let assigned = consumer.assigned();
    assert_eq!(assigned.len(), PARTITIONS as usize);
    // Lag is known once a fetch was answered.
    while assigned.iter().any(|partition| consumer.lag(partition).unwrap().is_none()) {
        assert!(began.elapsed() < LIMIT, "not every partition was heard of");
        sleep(Duration::from_millis(20)).await;
    }
    (consumer, roads)
}

fn requests(roads: &Roads) -> usize {
    roads.all().iter().map(|road| road.asked_in_all()).sum()
}
