//! Leaders that move, die, and stop for a while.

use crate::bench::{Bench, RESOLVED};
use crate::checker::{Invariant, Promises};
use crate::history::{Claim, Event, Journal, outcomes};
use crate::real::cluster::RealCluster;
use ottla::NewTopic;
use ottla::config::Acks;
use std::thread;
use std::time::{Duration, Instant};
use tokio::time::sleep;

pub const PARTITIONS: i32 = 3;

/// How long leaders are killed for: `SOAK_SECONDS`, or two minutes.
pub fn duration() -> Duration {
    let seconds = std::env::var("SOAK_SECONDS").ok().filter(|text| !text.is_empty());
    Duration::from_secs(seconds.map_or(120, |text| text.parse().expect("SOAK_SECONDS is a number")))
}

/// BEHAVIOUR 1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn leaders_moved_by_preferred_election_stall_nobody_for_two_seconds() {
    let bench = bench!("moved", PARTITIONS);
    let load = bench.load(bench.client.producer());
    sleep(Duration::from_secs(2)).await;
    for round in 0..2 {
        for partition in 0..PARTITIONS {
            let leader = bench.cluster.leader(&bench.topic, partition);
            let next = leader % RealCluster::BROKERS.end() + 1;
            bench.cluster.move_leader(&bench.topic, partition, next);
            println!("   round {round}: partition {partition} moved from {leader} to {next}");
        }
    }
    sleep(Duration::from_secs(2)).await;
    let events = load.stop(RESOLVED).await;
    let figures = bench.assert_whole(&events, &Promises::ALL).figures;
    assert_eq!(figures.acked, figures.sent);
    assert!(figures.longest_without_ack_of_a_key < Duration::from_secs(2), "{figures:?}");
}

/// BEHAVIOUR 2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn leaders_killed_every_twelve_seconds_lose_duplicate_and_reorder_nothing() {
    let bench = bench!("killed", PARTITIONS);
    let load = bench.load(bench.client.producer());
    let elections = kill_leaders(&bench.cluster, &[&bench.topic], &load.journal, duration()).await;
    let events = load.stop(RESOLVED).await;
    let figures = bench.assert_whole(&events, &Promises::ALL).figures;
    assert_eq!(figures.acked, figures.sent, "the time-out of a delivery is longer than any election");
    let resumed = elections.iter().map(|election| election.resumed(&events)).max().unwrap_or_default();
    println!("   acknowledged again within {resumed:.3?} of each election");
    assert!(resumed < Duration::from_secs(2), "{resumed:?}");
}

/// Elections take longer than deliveries may: many records are given up, not known to be written or not. What is told of
/// them is true, and what comes behind them is neither held up for good nor out of order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn deliveries_given_up_while_leaders_are_killed_break_no_promise() {
    let bench = bench!("given-up", PARTITIONS, "request.timeout.ms" = "1500");
    let load = bench.load(bench.client.producer().delivery_timeout(Duration::from_secs(3)));
    kill_leaders(&bench.cluster, &[&bench.topic], &load.journal, duration() / 2).await;
    let quiet = load.journal.now();
    sleep(Duration::from_secs(4)).await;
    let events = load.stop(RESOLVED).await;
    let figures = bench.assert_whole(&events, &Promises::ALL).figures;
    assert!(
        figures.surely_not_written + figures.possibly_written > 0,
        "elections were too fast for this run"
    );
    let later = outcomes(&events).into_iter().filter(|outcome| outcome.sent > quiet);
    let failed: Vec<_> = later.filter(|outcome| matches!(outcome.claim, Claim::Fail { .. })).collect();
    assert!(failed.is_empty(), "the brokers were well: {:?}", failed.first());
}

/// When somebody was seen to lead a partition whose leader was killed.
pub struct Election {
    pub partition: i32,
    pub at: Duration,
}

impl Election {
    /// How long it took from then until a record of the partition was acknowledged.
    fn resumed(&self, events: &[Event]) -> Duration {
        let is_of = |event: &&Event| matches!(event.claim, Claim::Ack { partition, .. } if partition == self.partition);
        let next = events.iter().filter(is_of).map(|event| event.at).find(|at| *at >= self.at);
        next.map_or(Duration::MAX, |at| at - self.at)
    }
}

/// Kills the leader of one partition of the first topic after the other, and starts each again; goes on when all topics have
/// all their copies in sync.
pub async fn kill_leaders(
    cluster: &RealCluster,
    topics: &[&str],
    journal: &Journal,
    duration: Duration,
) -> Vec<Election> {
    let (begin, mut elections) = (Instant::now(), Vec::new());
    for partition in (0..PARTITIONS).cycle() {
        let next = Instant::now() + Duration::from_secs(12);
        let leader = cluster.leader(topics[0], partition);
        cluster.kill(leader);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_secs(2));
                cluster.start(leader);
            });
            cluster.next_leader(topics[0], partition, leader);
            elections.push(Election { partition, at: journal.now() });
        });
        // With two copies out of sync nothing could be acknowledged at all.
        topics.iter().for_each(|topic| cluster.await_in_sync(topic));
        sleep(next.saturating_duration_since(Instant::now())).await;
        if begin.elapsed() >= duration {
            break;
        }
    }
    println!("   {} leaders killed within {:.0?}", elections.len(), begin.elapsed());
    elections
}

/// BEHAVIOUR 7: a follower that stands still holds back acknowledgements for longer than a request may take, of records
/// that are written. They are sent again, and not written again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn acknowledgements_that_come_too_late_duplicate_nothing() {
    let bench = bench!("held-back", PARTITIONS, "request.timeout.ms" = "1500");
    let load = bench.load(bench.client.producer());
    pause_followers(&bench).await;
    let events = load.stop(RESOLVED).await;
    let figures = bench.assert_whole(&events, &Promises::ALL).figures;
    assert_eq!(figures.acked, figures.sent);
    assert!(figures.ack_max > Duration::from_secs(3), "no request was given up: {figures:?}");
}

/// The instrument is seen to find duplicates: without idempotence the same writes records again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn without_idempotence_acknowledgements_that_come_too_late_are_found_to_duplicate() {
    let bench = bench!("twice", PARTITIONS, "request.timeout.ms" = "1500");
    let load = bench.load(bench.client.producer().set("enable.idempotence", "false"));
    pause_followers(&bench).await;
    let events = load.stop(RESOLVED).await;
    let report = bench.report(&events, &Promises { ordered: false, ..Promises::ALL });
    assert!(report.count(Invariant::Duplicated) > 0, "nothing was written twice: who would believe it?");
    assert_eq!(report.broken.len(), 1, "nothing else is broken");
}

/// Stops a follower for less than its session lasts, so that it stays in sync and everybody waits for it.
async fn pause_followers(bench: &Bench) {
    for partition in 0..PARTITIONS {
        sleep(Duration::from_secs(3)).await;
        let follower = bench.cluster.leader(&bench.topic, partition) % RealCluster::BROKERS.end() + 1;
        bench.cluster.pause(follower);
        sleep(Duration::from_millis(4_500)).await;
        bench.cluster.resume(follower);
        bench.cluster.await_in_sync(&bench.topic);
    }
    sleep(Duration::from_secs(3)).await;
}

/// BEHAVIOUR 17: the leader refuses what too few others would have a copy of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn records_wait_until_enough_copies_are_in_sync() {
    let bench = bench!("copies", 0);
    bench
        .create(NewTopic::named(&bench.topic).partitions(PARTITIONS).config("min.insync.replicas", "3"))
        .await;
    let load = bench.load(bench.client.producer());
    sleep(Duration::from_secs(2)).await;
    let leader = bench.cluster.leader(&bench.topic, 0);
    let killed = load.journal.now();
    bench.cluster.kill(leader);
    sleep(Duration::from_secs(12)).await;
    let started = load.journal.now();
    bench.cluster.start(leader);
    bench.cluster.await_in_sync(&bench.topic);
    sleep(Duration::from_secs(3)).await;
    let events = load.stop(RESOLVED).await;
    let figures = bench.assert_whole(&events, &Promises::ALL).figures;
    assert_eq!(figures.acked, figures.sent);
    let (from, to) = (killed + Duration::from_secs(1), started);
    let acked = events.iter().filter(|event| matches!(event.claim, Claim::Ack { .. }));
    assert_eq!(acked.filter(|event| event.at > from && event.at < to).count(), 0, "who had the third copy?");
}

/// BEHAVIOUR 71.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn a_leader_stopped_for_twelve_seconds_holds_up_nobody_for_longer() {
    let bench = bench!("paused", PARTITIONS);
    let load = bench.load(bench.client.producer());
    sleep(Duration::from_secs(2)).await;
    let leader = bench.cluster.leader(&bench.topic, 0);
    bench.cluster.pause(leader);
    sleep(Duration::from_secs(12)).await;
    bench.cluster.resume(leader);
    sleep(Duration::from_secs(6)).await;
    let events = load.stop(RESOLVED).await;
    let figures = bench.assert_whole(&events, &Promises::ALL).figures;
    assert_eq!(figures.acked, figures.sent);
    assert!(figures.longest_without_ack_of_a_key < Duration::from_secs(16), "{figures:?}");
}

/// The same, with requests that are given up meanwhile: they are sent again to the new leader, and the old one wakes with
/// what it had read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn a_leader_stopped_for_longer_than_a_request_may_take_is_left_for_the_next() {
    let bench = bench!("left", PARTITIONS, "request.timeout.ms" = "2000");
    let load = bench.load(bench.client.producer());
    for partition in 0..2 {
        sleep(Duration::from_secs(2)).await;
        let leader = bench.cluster.leader(&bench.topic, partition);
        bench.cluster.pause(leader);
        sleep(Duration::from_secs(15)).await;
        bench.cluster.resume(leader);
        bench.cluster.await_in_sync(&bench.topic);
    }
    let events = load.stop(RESOLVED).await;
    let figures = bench.assert_whole(&events, &Promises::ALL).figures;
    assert_eq!(figures.acked, figures.sent);
    // The session of 6 s, an election by the controllers (of which it may have been the first), and a request's time.
    assert!(figures.longest_without_ack_of_a_key < Duration::from_secs(13), "{figures:?}");
}

/// The instrument is seen to find what it is for: with acks=0 nobody promises that a record survives its leader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn records_that_nobody_acknowledged_are_found_lost_when_leaders_are_killed() {
    let bench = bench!("acks-0", PARTITIONS);
    let load = bench.load(bench.client.producer().acks(Acks::None).set("enable.idempotence", "false"));
    for partition in 0..2 {
        sleep(Duration::from_secs(2)).await;
        let leader = bench.cluster.leader(&bench.topic, partition);
        // What it has not read by then dies with it.
        bench.cluster.pause(leader);
        sleep(Duration::from_millis(500)).await;
        bench.cluster.kill(leader);
        sleep(Duration::from_secs(2)).await;
        bench.cluster.start(leader);
        bench.cluster.await_in_sync(&bench.topic);
    }
    let events = load.stop(RESOLVED).await;
    let report = bench.report(&events, &Promises { once: false, ordered: false, ..Promises::ALL });
    assert!(
        report.count(Invariant::Lost) > 0,
        "acks=0 under leader kills lost nothing: who would believe it?"
    );
    for invariant in [Invariant::Misplaced, Invariant::Phantom, Invariant::Unresolved, Invariant::Split] {
        assert_eq!(report.count(invariant), 0, "{invariant:?}");
    }
}
