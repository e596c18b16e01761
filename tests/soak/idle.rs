//! Many partitions without a record: what it costs to wait for all of them.

use crate::proxy::{Fate, Roads};
use ottla::messages::ApiKey;
use ottla::{Client, NewTopic, Start};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

const PARTITIONS: i32 = 2_000;
/// Those who lead them.
const BROKERS: [i32; 2] = [1, 2];
/// `fetch.max.wait.ms` by default.
const WAIT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(20);

/// BEHAVIOUR 46.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn two_thousand_idle_partitions_cost_a_request_for_each_wait_and_broker() {
    let bench = bench!("idle", 0);
    let leaders = (0..PARTITIONS).map(|partition| vec![BROKERS[partition as usize % BROKERS.len()]]);
    let topic = NewTopic::named(&bench.topic).assignments(leaders).config("min.insync.replicas", "1");
    bench.create(topic).await;

    let roads = Roads::prepared(|road| road.rule(|_| Fate::Pass));
    let client = Client::builder().bootstrap(bench.cluster.kafka().plaintext()).dial(roads.dial());
    let client = client.build().unwrap();
    let began = Instant::now();
    let mut consumer = client.consumer().topic(bench.topic.as_str(), Start::End).build().await.unwrap();
    let assigned = consumer.assigned();
    assert_eq!(assigned.len(), PARTITIONS as usize);
    // Lag is known once a fetch was answered.
    while assigned.iter().any(|partition| consumer.lag(partition).unwrap().is_none()) {
        assert!(began.elapsed() < Duration::from_secs(60), "not every partition was heard of");
        sleep(Duration::from_millis(20)).await;
    }
    let requests = || roads.all().iter().map(|road| road.asked_in_all()).sum::<usize>();
    let fetches = || BROKERS.map(|id| roads.to(bench.cluster.address(id)).asked(ApiKey::FETCH));
    let (to_begin, before) = (requests(), fetches());
    println!("   {to_begin} requests and {:.3?} to begin", began.elapsed());
    let nothing = timeout(LONG, consumer.poll()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    let (all, after) = (requests() - to_begin, fetches());
    println!("   {all} requests in {LONG:?}, fetches from {before:?} to {after:?}");
    consumer.close();
    bench.client.admin().delete_topics([&bench.topic]).await.unwrap()[&bench.topic].clone().unwrap();

    assert!(to_begin < 50, "{to_begin} requests to begin");
    let most = LONG.as_millis().div_ceil(WAIT.as_millis()) as usize + 1;
    for (before, after) in before.into_iter().zip(after) {
        assert!((most / 2..=most).contains(&(after - before)), "{} fetches of one broker", after - before);
    }
    assert!(all <= BROKERS.len() * most + 2, "{all} requests in all");
}
