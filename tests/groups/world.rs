//! Brokers, a writer, and services that read in groups.

use ottla::broker::Cluster;
use ottla::consumer::{ConsumerBuilder, Rebalance, RebalanceKind, TopicPartition};
use ottla::net::mem::MemNet;
use ottla::{Client, Consumer, Producer, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
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

/// What a listener was told.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<Vec<Event>>>);

pub type Event = (RebalanceKind, Vec<TopicPartition>);

impl Told {
    pub fn add(&self, rebalance: &Rebalance) {
        self.0.lock().unwrap().push((rebalance.kind(), rebalance.partitions().to_vec()));
    }

    pub fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    pub fn of(&self, kind: RebalanceKind) -> Vec<TopicPartition> {
        let all = self.all().into_iter().filter(|(told, _)| *told == kind);
        all.flat_map(|(_, partitions)| partitions).collect()
    }
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

/// Polls for a while, and gives what came: partition and value.
pub async fn read_for(consumer: &mut Consumer, time: Duration) -> Vec<(i32, String)> {
    let mut read = Vec::new();
    let _ = tokio::time::timeout(time, async {
        while let Some(batch) = consumer.poll().await.unwrap() {
            let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
            read.extend(batch.iter().map(|record| (record.partition(), text(record.value()))));
        }
    })
    .await;
    read
}

/// Polls until so many records came.
pub async fn read(consumer: &mut Consumer, count: usize) -> Vec<(i32, String)> {
    let mut read = Vec::new();
    while read.len() < count {
        let batch = consumer.poll().await.unwrap().expect("the consumer is closed");
        let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
        read.extend(batch.iter().map(|record| (record.partition(), text(record.value()))));
    }
    read
}

/// Polls several consumers side by side until the check is content with what they have.
pub async fn settle(consumers: &mut [&mut Consumer], check: impl Fn(&[Vec<TopicPartition>]) -> bool) {
    for _ in 0..600 {
        for consumer in consumers.iter_mut() {
            let _ = tokio::time::timeout(SECOND / 10, consumer.poll()).await.map(|polled| polled.unwrap());
        }
        let assigned: Vec<_> = consumers.iter().map(|consumer| consumer.assigned()).collect();
        if check(&assigned) {
            return;
        }
    }
    panic!("the group does not settle: {:?}", consumers.iter().map(|c| c.assigned()).collect::<Vec<_>>());
}

/// Whether partitions are shared out, each to one, and everybody has so many.
pub fn shared(assigned: &[Vec<TopicPartition>], counts: &[usize]) -> bool {
    let all: BTreeSet<&TopicPartition> = assigned.iter().flatten().collect();
    let lens: Vec<usize> = assigned.iter().map(Vec::len).collect();
    lens == counts && all.len() == counts.iter().sum::<usize>()
}
