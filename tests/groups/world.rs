//! Brokers, a writer, and services that read in groups.

pub use crate::support::{Told, read, read_for, settle, shared};

use ottla::broker::Cluster;
use ottla::consumer::{ConsumerBuilder, TopicPartition};
use ottla::net::mem::MemNet;
use ottla::{Client, Producer, Record};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub const TOPIC: &str = "orders";
pub const GROUP: &str = "billing";
pub const SECOND: Duration = Duration::from_secs(1);
pub const PROTOCOLS: [&str; 2] = ["classic", "consumer"];

pub struct World {
    pub net: MemNet,
    pub brokers: Cluster,
    pub client: Client,
    pub producer: Producer,
}

impl World {
    /// A topic with so many partitions on so many brokers.
    pub async fn new(brokers: usize, partitions: usize) -> World {
        let net = MemNet::new(7);
        let brokers = Cluster::builder()
            .brokers(brokers)
            .consumer_group_heartbeat_interval(SECOND)
            .listen_in_memory(&net)
            .seed(7)
            .start()
            .await
            .unwrap();
        brokers.create_topic(TOPIC, partitions).unwrap();
        let client = client(&brokers, &net);
        let producer = client.producer().build().unwrap();
        World { net, brokers, client, producer }
    }

    /// A service's own client.
    pub fn client(&self) -> Client {
        client(&self.brokers, &self.net)
    }

    /// A client that is told from others.
    pub fn client_called(&self, id: &str) -> Client {
        let client = Client::builder().bootstrap(self.brokers.bootstrap_servers()).client_id(id);
        client.dial(Arc::new(self.net.dialer())).build().unwrap()
    }

    pub async fn write(&self, partition: i32, values: std::ops::Range<u32>) {
        for n in values {
            let record = Record::to(TOPIC).partition(partition).value(n.to_string());
            self.producer.send(record).await.unwrap().await.unwrap();
        }
    }

    /// A member of the group that reads from the beginning.
    pub fn member(&self, protocol: &str) -> ConsumerBuilder {
        member(self.client(), protocol)
    }

    /// One that is told from others, and keeps what it need not give back.
    pub fn cooperative_member(&self, id: &str, protocol: &str) -> ConsumerBuilder {
        let member = member(self.client_called(id), protocol);
        match protocol {
            "classic" => member.set("partition.assignment.strategy", "cooperative-sticky"),
            _ => member,
        }
    }

    /// The broker that coordinates the group.
    pub async fn coordinator(&self) -> i32 {
        let told = self.client.admin().describe_groups([GROUP]).await;
        told[GROUP].as_ref().unwrap().coordinator.as_ref().unwrap().id
    }

    pub async fn committed(&self, group: &str) -> BTreeMap<TopicPartition, i64> {
        let told = self.client.admin().list_group_offsets(group).await.unwrap();
        told.into_iter().map(|(partition, offset)| (partition, offset.unwrap().offset)).collect()
    }
}

fn client(brokers: &Cluster, net: &MemNet) -> Client {
    let client = Client::builder().bootstrap(brokers.bootstrap_servers());
    client.dial(Arc::new(net.dialer())).build().unwrap()
}

fn member(client: Client, protocol: &str) -> ConsumerBuilder {
    client
        .consumer()
        .group(GROUP)
        .set("group.protocol", protocol)
        .auto_offset_reset("earliest")
        .subscribe([TOPIC])
}

pub fn at(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

/// Runs on a clock that stands still while anybody works.
pub fn paused(seed: u64, test: impl Future<Output = ()>) {
    let _seed = ottla::task::simulate(seed);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(3_600), test).await.expect("the test hangs");
    });
}
