//! The producer as a program sees it, against embedded brokers on simulated time: [`deliveries`](mod@deliveries),
//! [`room`](mod@room) in the buffer, [`placing`](mod@placing), how it follows its [`topics`](mod@topics), under [`quotas`](mod@quotas), what some
//! [`settings`](mod@settings) bring about, and what it [`tells`](mod@tells) of itself.
//!
//! What becomes of records under faults is in `tests/sim` and `tests/scenarios`; rules for each error code are with the batcher.
#![cfg(feature = "broker")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod deliveries;
mod placing;
mod quotas;
mod room;
mod settings;
mod tells;
mod topics;

use ottla::broker::{ApiKey, Cluster, Fate, Fault, FaultId};
use ottla::net::mem::{Faults, MemNet, Way};
use ottla::{Client, ClientBuilder, Producer, ProducerBuilder};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const TOPIC: &str = "orders";

/// A broker with a topic of two partitions, and a client; a round trip takes two milliseconds.
#[derive(Debug)]
pub struct World {
    net: MemNet,
    pub cluster: Cluster,
    pub client: Client,
}

impl World {
    /// A client of the cluster that asks for metadata ten times a second.
    pub fn attentive_client(&self) -> Client {
        client(&self.net, &self.cluster).set("metadata.max.age.ms", "100").build().unwrap()
    }

    /// Resets all connections, midway through whatever is being written.
    pub fn cut(&self) {
        for broker in self.cluster.brokers() {
            let (host, port) = address(&self.cluster, broker);
            self.net.cut(&host, port);
        }
    }

    /// How many requests of an API came so far.
    pub fn count(&self, api: ApiKey) -> usize {
        self.cluster.requests().iter().filter(|request| request.api_key == api.0).count()
    }

    /// Sets a producer up.
    pub fn producer(&self, settings: &[(&str, &str)]) -> Producer {
        self.builder(settings).build().unwrap()
    }

    pub fn builder(&self, settings: &[(&str, &str)]) -> ProducerBuilder {
        settings.iter().fold(self.client.producer(), |builder, (key, value)| builder.set(key, *value))
    }

    /// From now on Produce requests are lost, until the fault is removed.
    pub fn lose_requests(&self) -> FaultId {
        self.cluster.add_fault(Fault::new(Fate::LoseRequest).api(ApiKey::PRODUCE))
    }

    /// What lies in a partition, values as text.
    pub fn values(&self, topic: &str, partition: i32) -> Vec<String> {
        let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
        let records = self.cluster.records(topic, partition);
        records.iter().map(|record| text(record.value.as_deref())).collect()
    }
}

/// Plays `test` on simulated time.
pub fn simulated<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    simulated_on(1, test);
}

/// Plays `test` on simulated time, with so many brokers.
pub fn simulated_on<F: Future<Output = ()>>(brokers: usize, test: impl FnOnce(World) -> F) {
    let _simulation = ottla::task::simulate(7);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let net = MemNet::new(1);
        let way = Way { latency: MS, ..Default::default() };
        let cluster =
            Cluster::builder().brokers(brokers).keep_requests(10_000).listen_in_memory(&net).seed(1);
        let cluster = cluster.start().await.unwrap();
        cluster.create_topic(TOPIC, 2).unwrap();
        let faults = Faults { to_server: way.clone(), to_client: way, ..Default::default() };
        for broker in cluster.brokers() {
            let (host, port) = address(&cluster, broker);
            net.set_faults(&host, port, faults.clone());
        }
        let client = client(&net, &cluster).build().unwrap();
        test(World { net, cluster, client }).await;
    });
}

fn address(cluster: &Cluster, broker: i32) -> (String, u16) {
    let address = cluster.address(broker).unwrap();
    let (host, port) = address.rsplit_once(':').unwrap();
    (host.to_owned(), port.parse().unwrap())
}

fn client(net: &MemNet, cluster: &Cluster) -> ClientBuilder {
    Client::builder().bootstrap(cluster.bootstrap_servers()).dial(Arc::new(net.dialer()))
}
