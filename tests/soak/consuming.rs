//! A consumer whose brokers go and come back. It has a client of its own: nobody else's troubles tell it of new leaders.

use crate::bench::{Bench, RESOLVED};
use crate::checker::Promises;
use crate::leaders::{PARTITIONS, duration, kill_leaders};
use crate::load::Load;
use crate::proxy::Roads;
use crate::reading::Reading;
use crate::real::cluster::RealCluster;
use ottla::{Client, Record, Start};
use std::time::Duration;
use tokio::time::sleep;

/// From the election of a leader to the first record of its partition.
const RESUMED: Duration = Duration::from_secs(2);

/// A load, and a consumer of it over roads.
async fn reading(bench: &Bench) -> (Load, Reading, Roads) {
    let roads = Roads::default();
    let client = Client::builder().bootstrap(bench.cluster.kafka().plaintext()).dial(roads.dial());
    let consumer = client.build().unwrap().consumer().topic(bench.topic.as_str(), Start::Beginning);
    let consumer = consumer.auto_offset_reset("none").build().await.unwrap();
    let load = bench.load(bench.client.producer());
    let reading = Reading::start(consumer, &load.journal);
    sleep(Duration::from_secs(2)).await;
    assert!(reading.count() > 0, "nothing is read");
    (load, reading, roads)
}

/// Every record once and in order, while each broker is shut down and started, and one is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn brokers_restarted_under_a_consumer_cost_it_no_record_and_repeat_none() {
    let bench = bench!("consumed", PARTITIONS);
    let topic = bench.topic.as_str();
    let (load, reading, _) = reading(&bench).await;
    for broker in RealCluster::BROKERS {
        sleep(Duration::from_secs(2)).await;
        bench.cluster.stop(broker);
        bench.cluster.start(broker);
        bench.cluster.await_in_sync(topic);
    }
    let leader = bench.cluster.leader(topic, 0);
    bench.cluster.kill(leader);
    bench.cluster.start(leader);
    bench.cluster.await_in_sync(topic);
    sleep(Duration::from_secs(2)).await;
    let events = load.stop(RESOLVED).await;
    let figures = bench.assert_whole(&events, &Promises::ALL).figures;
    assert_eq!(figures.acked, figures.sent);
    reading.assert_whole(&bench).await;
}

/// BEHAVIOUR 2, for those who read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn leaders_killed_stall_a_consumer_for_two_seconds_after_the_election_at_most() {
    let bench = bench!("read-killed", PARTITIONS);
    let (load, reading, _) = reading(&bench).await;
    let elections = kill_leaders(&bench.cluster, &[&bench.topic], &load.journal, duration() / 2).await;
    let events = load.stop(RESOLVED).await;
    bench.assert_whole(&events, &Promises::ALL);
    let resumed = elections.iter().map(|election| reading.resumed(election.partition, election.at)).max();
    let resumed = resumed.unwrap_or(Duration::MAX);
    println!("   read again within {resumed:.3?} of each election");
    reading.assert_whole(&bench).await;
    assert!(resumed < RESUMED, "{resumed:?}");
}

/// BEHAVIOUR 71, for those who read: the connection stays open, and nothing comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn a_leader_stopped_stalls_a_consumer_for_two_seconds_after_the_election_at_most() {
    let bench = bench!("read-paused", PARTITIONS);
    let (load, reading, _) = reading(&bench).await;
    let leader = bench.cluster.leader(&bench.topic, 0);
    bench.cluster.pause(leader);
    let paused = load.journal.now();
    bench.cluster.next_leader(&bench.topic, 0, leader);
    let elected = load.journal.now();
    println!("   elected {:.3?} after the leader was stopped", elected - paused);
    // Who has asked the leader for something waits for an answer; who comes fresh does not.
    let fresh = Client::builder().bootstrap(bench.cluster.kafka().plaintext()).build().unwrap();
    let record = Record::to(bench.topic.as_str()).partition(0).value("fresh");
    fresh.producer().build().unwrap().send(record).await.unwrap().await.unwrap();
    println!("   written again {:.3?} after that", load.journal.now() - elected);
    sleep(Duration::from_secs(5)).await;
    let resumed = reading.resumed(0, elected);
    println!("   read again {resumed:.3?} after the election");
    bench.cluster.resume(leader);
    sleep(Duration::from_secs(4)).await;
    load.stop(RESOLVED).await;
    reading.assert_whole(&bench).await;
    assert!(resumed < RESUMED, "{resumed:?}");
}

/// BEHAVIOUR 70, for those who read: the leader goes on leading, and nothing that it says arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn a_leader_out_of_reach_stalls_a_consumer_while_it_is_and_not_the_other_partitions() {
    let bench = bench!("read-blackholed", PARTITIONS);
    let (load, reading, roads) = reading(&bench).await;
    let leader = bench.cluster.leader(&bench.topic, 0);
    let others = (1..PARTITIONS).filter(|partition| bench.cluster.leader(&bench.topic, *partition) != leader);
    let others: Vec<i32> = others.collect();
    let road = roads.to(bench.cluster.address(leader));
    let from = load.journal.now();
    road.weather(|weather| weather.blackhole = true);
    sleep(Duration::from_secs(15)).await;
    road.weather(|weather| weather.blackhole = false);
    let back = load.journal.now();
    sleep(Duration::from_secs(5)).await;
    let gap = others.iter().map(|partition| reading.longest_gap(*partition, from, back)).max();
    let gap = gap.expect("somebody else leads as well");
    let (behind, resumed) = (reading.longest_gap(0, from, back), reading.resumed(0, back));
    println!("   {behind:.3?} without a record, read again after {resumed:.3?}; the others' {gap:.3?}");
    load.stop(RESOLVED).await;
    reading.assert_whole(&bench).await;
    assert!(behind > Duration::from_secs(14), "the road was open");
    assert!(gap < RESUMED, "{gap:?}");
    assert!(resumed < RESUMED, "{resumed:?}");
}

/// BEHAVIOUR 5, for those who read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn all_brokers_down_stall_a_consumer_for_two_seconds_after_the_election_at_most() {
    let bench = bench!("read-down", PARTITIONS);
    let (load, reading, _) = reading(&bench).await;
    bench.cluster.kill_all(RealCluster::BROKERS);
    sleep(Duration::from_secs(30)).await;
    bench.cluster.start_all(RealCluster::BROKERS);
    bench.cluster.await_led(&bench.topic);
    let led = load.journal.now();
    sleep(Duration::from_secs(5)).await;
    let resumed: Vec<_> = (0..PARTITIONS).map(|partition| reading.resumed(partition, led)).collect();
    println!("   read again {resumed:.3?} after all partitions were led");
    load.stop(RESOLVED).await;
    reading.assert_whole(&bench).await;
    assert!(resumed.iter().all(|resumed| *resumed < RESUMED), "{resumed:?}");
}
