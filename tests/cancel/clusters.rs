//! The futures of the embedded cluster, dropped at every poll: what was begun is done, what was not ready has started nothing.

use crate::world::{Drops, Polled, SECOND, runtime};
use ottla::broker::Cluster;
use ottla::net::mem::MemNet;

/// Drops the future that `make` gives after 0, 1, 2.. polls until it is ready before that, each time on a cluster whose first
/// broker has a client; `look` is told how often it was polled, and whether it was ready.
fn at_every_poll<T>(
    name: &str,
    make: impl AsyncFn(&mut Option<Cluster>) -> T,
    look: impl AsyncFn(&MemNet, Option<&Cluster>, usize, bool),
) {
    for drops in [Drops::AtOnce, Drops::WhenWoken] {
        for polls in 0.. {
            assert!(polls < 100, "{name} is not ready after 100 polls");
            let was_ready = runtime().block_on(async {
                let net = MemNet::new(1);
                let cluster =
                    Cluster::builder().brokers(2).listen_in_memory(&net).seed(1).start().await.unwrap();
                let client = ottla::Client::builder().bootstrap("broker-1:9092");
                let client = client.dial(std::sync::Arc::new(net.dialer())).connect().await.unwrap();
                let mut cluster = Some(cluster);
                let was_ready = Polled::times(polls, drops, make(&mut cluster)).await.is_some();
                look(&net, cluster.as_ref(), polls, was_ready).await;
                client.close();
                was_ready
            });
            if was_ready {
                println!("{name}: {polls} polls, {drops:?}");
                break;
            }
        }
    }
}

/// Whether somebody listens there.
async fn answers(net: &MemNet, broker: &str) -> bool {
    let client = ottla::Client::builder().bootstrap(broker).dial(std::sync::Arc::new(net.dialer()));
    tokio::time::timeout(SECOND, client.connect()).await.is_ok_and(|connected| connected.is_ok())
}

#[test]
fn a_broker_that_is_to_stop_stops() {
    let look = async |net: &MemNet, cluster: Option<&Cluster>, polls, _| {
        let runs = cluster.unwrap().is_running(1);
        assert_eq!(runs, polls == 0, "after {polls} polls");
        tokio::time::sleep(SECOND).await;
        assert_eq!(answers(net, "broker-1:9092").await, runs, "after {polls} polls");
    };
    at_every_poll("stop_broker", async |all| all.as_ref().unwrap().stop_broker(1).await.unwrap(), look);
    at_every_poll("crash_broker", async |all| all.as_ref().unwrap().crash_broker(1).await.unwrap(), look);
}

#[test]
fn a_broker_whose_start_is_dropped_is_not_started() {
    let stopped = async |all: &mut Option<Cluster>| {
        let cluster = all.take().unwrap();
        cluster.stop_broker(1).await.unwrap();
        cluster
    };
    for address in [None, Some("broker-7:9092")] {
        let start = async |all: &mut Option<Cluster>| {
            let cluster = stopped(all).await;
            let cluster = all.insert(cluster);
            match address {
                None => cluster.start_broker(1).await.unwrap(),
                Some(address) => cluster.start_broker_at(1, address).await.unwrap(),
            }
        };
        at_every_poll("start_broker", start, async |net, cluster, polls, was_ready| {
            let Some(cluster) = cluster else { return };
            // Its polls begin with those of the stop.
            let at = address.unwrap_or("broker-1:9092");
            tokio::time::sleep(SECOND).await;
            if !was_ready && cluster.is_running(1) {
                assert_eq!(polls, 0, "{at}: started by a future that was dropped");
            }
            let listens = if polls == 0 { "broker-1:9092" } else { at };
            assert_eq!(answers(net, listens).await, cluster.is_running(1), "{at} after {polls} polls");
        });
    }
}

#[test]
fn a_cluster_whose_shutdown_is_dropped_is_gone() {
    let shut_down = async |all: &mut Option<Cluster>| all.take().unwrap().shutdown().await;
    at_every_poll("shutdown", shut_down, async |net, cluster, polls, _| {
        tokio::time::sleep(SECOND).await;
        for broker in ["broker-1:9092", "broker-2:9092"] {
            assert_eq!(answers(net, broker).await, cluster.is_some(), "{broker} after {polls} polls");
        }
    });
}
