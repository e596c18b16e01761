//! Consumers in groups, on an embedded broker and on a real Kafka: the same scenarios, and in each a group of either protocol
//! at the same time. What needs faults or a clock that stands still is in `tests/groups/`.

mod admin;
mod members;
mod offsets;
#[path = "../../support/members.rs"]
mod support;

use crate::LIMIT;
use crate::real::kafka::{RealKafka, unique};
use ottla::consumer::ConsumerBuilder;
use ottla::{Client, ClientBuilder, NewTopic, Producer, Record, TopicPartition};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);

/// How often members are heard on an embedded broker. A real Kafka has five seconds for the new protocol, and takes no less.
const HEARTBEAT: Duration = Duration::from_millis(300);

/// What administrators see of who is a member.
const CLIENT_ID: &str = "till";

/// A topic, a group that reads it, and nobody else who does.
struct World {
    client: Client,
    producer: Producer,
    protocol: &'static str,
    topic: String,
    group: String,
}

impl World {
    /// A topic with so many partitions and as many records in each, which say their offsets.
    async fn filled(ground: &Ground, partitions: i32, records: i64) -> World {
        let Ground { client, protocol } = ground;
        let world = World {
            client: client.clone(),
            producer: client.producer().build().unwrap(),
            protocol,
            topic: unique(protocol),
            group: unique("group"),
        };
        world.create(&world.topic, partitions).await;
        for partition in 0..partitions {
            world.write(partition, 0..records).await;
        }
        world
    }

    async fn create(&self, topic: &str, partitions: i32) {
        let topics = [NewTopic::named(topic).partitions(partitions)];
        self.client.admin().create_topics(topics).await.unwrap()[topic].clone().unwrap();
    }

    async fn write(&self, partition: i32, values: std::ops::Range<i64>) {
        let mut deliveries = Vec::new();
        for n in values {
            let record = Record::to(self.topic.as_str()).partition(partition).value(n.to_string());
            deliveries.push(self.producer.send(record).await.unwrap());
        }
        self.producer.flush().await.unwrap();
        for delivery in deliveries {
            delivery.await.unwrap();
        }
    }

    /// A member of the group that reads from the beginning.
    fn member(&self) -> ConsumerBuilder {
        self.member_of(&self.topic)
    }

    fn member_of(&self, topics: &str) -> ConsumerBuilder {
        let member = self.client.consumer().group(&self.group).set("group.protocol", self.protocol);
        // By the new protocol that is the broker's to say.
        let heartbeat = HEARTBEAT.as_millis().to_string();
        let member = match self.protocol {
            "classic" => member.set("heartbeat.interval.ms", heartbeat),
            _ => member,
        };
        member.auto_offset_reset("earliest").subscribe([topics])
    }

    fn at(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), partition)
    }

    /// What the group has committed, by partition.
    async fn committed(&self) -> BTreeMap<i32, i64> {
        let told = self.client.admin().list_group_offsets(&self.group).await.unwrap();
        told.into_iter().map(|(partition, offset)| (partition.partition, offset.unwrap().offset)).collect()
    }
}

/// Where a scenario takes place.
struct Ground {
    client: Client,
    protocol: &'static str,
}

#[cfg(feature = "broker")]
async fn embedded(scenario: impl AsyncFn(Ground)) {
    let broker = ottla::broker::Broker::builder().consumer_group_heartbeat_interval(HEARTBEAT);
    let broker = broker.start().await.unwrap();
    play(Client::builder().bootstrap(broker.bootstrap_servers()), true, scenario).await;
}

async fn real(kafka: &RealKafka, scenario: impl AsyncFn(Ground)) {
    // Before 4.0 the new protocol is off.
    play(crate::secure(kafka, kafka.sasl_ssl()), !kafka.is_3_x(), scenario).await;
}

async fn play(client: ClientBuilder, with_new_protocol: bool, scenario: impl AsyncFn(Ground)) {
    let client = client.client_id(CLIENT_ID).set("metadata.max.age.ms", "1000").connect().await.unwrap();
    let classic = scenario(Ground { client: client.clone(), protocol: "classic" });
    let new = async {
        if with_new_protocol {
            scenario(Ground { client, protocol: "consumer" }).await;
        }
    };
    timeout(LIMIT, async { tokio::join!(classic, new) }).await.expect("over in time");
}

/// Makes two tests of each scenario.
macro_rules! scenarios {
    ($( $name:ident )*) => {
        #[cfg(feature = "broker")]
        mod embedded {
            $(
                #[tokio::test]
                async fn $name() {
                    super::super::embedded(super::$name).await;
                }
            )*
        }
        mod real {
            $(
                #[tokio::test]
                async fn $name() {
                    super::super::real(real_kafka!(), super::$name).await;
                }
            )*
        }
    };
}
use scenarios;
