//! Ours beside librdkafka, at the same time on the same brokers, each with a topic of its own whose leaders are the same: the
//! longest time without an acknowledgement is at most 1.2 times librdkafka's, and ours breaks no promise.
//!
//! librdkafka is the program of `benches/compare`, which `SOAK_PEER` names: its C stays out of this package.
//! `.ci/soak beside` builds it and runs these.

mod peer;
mod stand;

use crate::leaders::{duration, kill_leaders};
use crate::proxy::{Fate, Passing};
use crate::real::cluster::RealCluster;
use ottla::messages::ApiKey;
use stand::{Stand, Way};
use std::time::Duration;
use tokio::time::sleep;

/// The stand for a scenario, or `return`: loudly, or failing it with `CI=true`.
macro_rules! stand {
    ($name:literal, $way:expr) => {
        match Stand::new($name, $way).await {
            Ok(stand) => stand,
            Err(why) => return crate::real::skip(why),
        }
    };
}

/// Not longer than the whole run is to be.
fn at_most(seconds: u64) -> Duration {
    duration().min(Duration::from_secs(seconds))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak beside"]
async fn killed_every_twelve_seconds_leaders_stall_ours_no_longer() {
    let stand = stand!("killed", Way::Straight);
    let race = stand.race().await;
    let topics = stand.topics();
    kill_leaders(&stand.cluster, &topics, race.journal(), duration()).await;
    race.judge(&stand).await;
}

/// One acknowledgement in fifty is lost together with its connection, as the network loses it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak beside"]
async fn lost_with_their_connections_acknowledgements_stall_ours_no_longer() {
    lost("lost", Fate::CutAnswer).await;
}

/// One acknowledgement in fifty is lost and nothing else, as a broker loses it that forgets a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak beside"]
async fn forgotten_acknowledgements_stall_ours_no_longer() {
    lost("forgotten", Fate::LoseAnswer).await;
}

async fn lost(name: &'static str, fate: Fate) {
    let stand = match Stand::new(name, Way::OverRoads).await {
        Ok(stand) => stand,
        Err(why) => return crate::real::skip(why),
    };
    let race = stand.race().await;
    let rule = move |passing: &Passing| match passing.key {
        ApiKey::PRODUCE if passing.nth % 50 == 37 => fate,
        _ => Fate::Pass,
    };
    stand.roads().for_each(|road| road.rule(rule));
    sleep(at_most(60)).await;
    stand.roads().for_each(|road| road.rule(|_| Fate::Pass));
    let met = |client: usize| stand.roads_of(client).iter().map(|road| road.met(fate)).sum::<usize>();
    println!("   lost acknowledgements: {} of ottla's, {} of librdkafka's", met(0), met(1));
    assert!(met(0) > 0 && met(1) > 0, "nothing was lost");
    race.judge(&stand).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak beside"]
async fn down_for_thirty_seconds_all_brokers_stall_ours_no_longer() {
    let stand = stand!("down", Way::Straight);
    let race = stand.race().await;
    stand.cluster.kill_all(RealCluster::BROKERS);
    sleep(at_most(30)).await;
    stand.cluster.start_all(RealCluster::BROKERS);
    stand.await_in_sync();
    race.judge(&stand).await;
}

/// The leader goes on leading, and nothing of what is sent to it arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak beside"]
async fn blackholed_for_fifteen_seconds_a_leader_stalls_ours_no_longer() {
    let stand = stand!("blackholed", Way::OverRoads);
    let race = stand.race().await;
    let leader = stand.cluster.leader(stand.topics()[0], 0);
    stand.roads_to(leader).for_each(|road| road.weather(|weather| weather.blackhole = true));
    sleep(at_most(15)).await;
    stand.roads_to(leader).for_each(|road| road.weather(|weather| weather.blackhole = false));
    race.judge(&stand).await;
}

/// A leader that stands still, for the other brokers too: another is elected meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak beside"]
async fn paused_for_fifteen_seconds_a_leader_stalls_ours_no_longer() {
    let stand = stand!("paused", Way::Straight);
    let race = stand.race().await;
    let leader = stand.cluster.leader(stand.topics()[0], 0);
    stand.cluster.pause(leader);
    sleep(at_most(15)).await;
    stand.cluster.resume(leader);
    stand.await_in_sync();
    race.judge(&stand).await;
}
