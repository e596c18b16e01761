//! All brokers gone at once.

use crate::bench::RESOLVED;
use crate::checker::{Invariant, Promises};
use crate::history::{Claim, outcomes};
use crate::real::cluster::RealCluster;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// BEHAVIOUR 5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn all_brokers_down_for_thirty_seconds_cost_no_record_and_no_storm() {
    let bench = bench!("down", 3);
    let load = bench.load(bench.client.producer());
    sleep(Duration::from_secs(2)).await;
    bench.cluster.kill_all(RealCluster::BROKERS);
    let down = Instant::now();
    sleep(Duration::from_secs(30)).await;
    let most = bench.dials.most_a_second(down + Duration::from_secs(2));
    bench.cluster.start_all(RealCluster::BROKERS);
    bench.cluster.await_in_sync(&bench.topic);
    let back = load.journal.now();
    sleep(Duration::from_secs(3)).await;
    let events = load.stop(RESOLVED).await;
    let figures = bench.assert_whole(&events, &Promises::ALL).figures;
    println!("   at most {most} connections a second to one broker while it was down");
    assert_eq!(figures.acked, figures.sent);
    let waiting = outcomes(&events).into_iter().filter(|end| end.sent < back && end.sent + end.took > back);
    let last = waiting.map(|end| end.sent + end.took - back).max().unwrap_or_default();
    println!("   what had waited was acknowledged {last:.3?} after all brokers were back");
    assert!(last < Duration::from_secs(5), "{last:?}");
    assert!((1..=5).contains(&most), "{most} connections a second to one broker");
}

/// BEHAVIOUR 6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn all_brokers_down_for_longer_than_a_delivery_may_take_fail_records_in_time() {
    let (delivery, request) = (Duration::from_secs(10), Duration::from_secs(5));
    let bench = bench!("away", 3, "request.timeout.ms" = "5000");
    let load = bench.load(bench.client.producer().delivery_timeout(delivery));
    sleep(Duration::from_secs(2)).await;
    let before = load.journal.now();
    bench.cluster.kill_all(RealCluster::BROKERS);
    sleep(Duration::from_secs(25)).await;
    bench.cluster.start_all(RealCluster::BROKERS);
    bench.cluster.await_in_sync(&bench.topic);
    let back = load.journal.now();
    sleep(Duration::from_secs(5)).await;
    let events = load.stop(RESOLVED).await;
    let report = bench.assert_whole(&events, &Promises::ALL);

    let outcomes = outcomes(&events);
    let failures = || outcomes.iter().filter(|end| matches!(end.claim, Claim::Fail { .. }));
    assert!(failures().count() > 0, "every record was delivered, within 10 s, of an outage of 25");
    let (soonest, latest) = (
        failures().map(|end| end.took).min().unwrap_or_default(),
        failures().map(|end| end.took).max().unwrap_or_default(),
    );
    println!("   failures {soonest:.3?} to {latest:.3?} after their send");
    assert!(soonest >= delivery, "{soonest:?}");
    let slack = Duration::from_millis(500); // for a machine with other things to do
    assert!(latest <= delivery + request + slack, "{latest:?}");
    for end in failures() {
        let Claim::Fail { why, .. } = &end.claim else { continue };
        assert!(why.contains("delivery.timeout.ms"), "{} failed otherwise: {why}", end.name);
        assert!(end.sent + delivery >= before, "{} failed before the outage", end.name);
    }
    // No fatal state: everything that was sent once the brokers were back is there.
    let later: Vec<_> = outcomes.iter().filter(|end| end.sent > back).collect();
    assert!(!later.is_empty() && later.iter().all(|end| matches!(end.claim, Claim::Ack { .. })), "{later:?}");
    assert_eq!(report.count(Invariant::Surely), 0);
}
