//! [`Place`]: where the quickstart runs, on which topic, and where that topic ended before.

use crate::connection;
use crate::failure::{Failure, Outcome};
use ottla::broker::Broker;
use ottla::config::Settings;
use ottla::{Admin, Client, NewTopic, OffsetAndMetadata, TopicPartition, task};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many partitions a new topic gets.
const PARTITIONS: i32 = 6;

/// Settings that are of no use without a cluster.
const ABOUT_A_CLUSTER: [&str; 5] =
    ["security.protocol", "sasl.mechanism", "sasl.username", "sasl.password", "ssl.ca.location"];

/// Where the quickstart runs.
#[derive(Debug)]
pub(super) struct Place {
    settings: Settings,
    /// Each partition with its end before this run.
    ends: BTreeMap<TopicPartition, i64>,
    pub(super) description: String,
    pub(super) farewell: String,
    /// The broker, when it is ours; it ends when this is dropped.
    _broker: Option<Broker>,
}

impl Place {
    /// The cluster that the settings name, or else an embedded broker.
    pub(super) async fn find(connection: &connection::Options, topic: &str) -> Outcome<Place> {
        let mut settings = connection.settings()?;
        if let Some(servers) = settings.get("bootstrap.servers").map(str::to_owned) {
            let place = Place::on(settings, topic, None).await?;
            return Ok(Place {
                description: format!("On the cluster at {servers}, topic '{topic}'."),
                farewell: format!("The topic stays: `ottla topics delete {topic}` removes it."),
                ..place
            });
        }
        if let Some(key) = ABOUT_A_CLUSTER.iter().find(|key| settings.is_set(key)) {
            return Err(Failure::usage(format!(
                "{key} is set ({}), and bootstrap.servers is not: name the cluster (KAFKA_BOOTSTRAP_SERVERS, -b), \
                 or set neither to run on an embedded broker",
                settings.origin(key)
            )));
        }
        let broker = Broker::builder().start().await?;
        let servers = broker.bootstrap_servers();
        settings.set("bootstrap.servers", servers.as_str())?;
        let place = Place::on(settings, topic, Some(broker)).await?;
        Ok(Place {
            description: format!(
                "No cluster is set, so this runs on an embedded broker at {servers}, topic '{topic}'."
            ),
            farewell: "With KAFKA_BOOTSTRAP_SERVERS and the like set, the same runs on your cluster."
                .to_owned(),
            ..place
        })
    }

    async fn on(settings: Settings, topic: &str, broker: Option<Broker>) -> Outcome<Place> {
        let client = connection::connect(settings.clone()).await?;
        let partitions = partitions(&client.admin(), topic).await?;
        let consumer = client.consumer().build().await?;
        let ends = consumer.end_offsets(&partitions).await?;
        Ok(Place { settings, ends, description: String::new(), farewell: String::new(), _broker: broker })
    }

    /// A client for one service: each has its own, as services in processes of their own have.
    pub(super) async fn client(&self) -> Outcome<Client> {
        connection::connect(self.settings.clone()).await
    }

    pub(super) fn partitions(&self) -> Vec<TopicPartition> {
        self.ends.keys().cloned().collect()
    }

    /// Makes a group that begins where the topic ended before this run.
    pub(super) async fn make_group(&self, group: &str) -> Outcome {
        let offsets =
            self.ends.iter().map(|(partition, end)| (partition.clone(), OffsetAndMetadata::new(*end)));
        let outcomes = self.client().await?.admin().alter_group_offsets(group, offsets).await?;
        for (_, outcome) in outcomes {
            outcome?;
        }
        Ok(())
    }

    /// Takes groups away again: the next run has its own.
    pub(super) async fn delete_groups(&self, groups: &[String]) -> Outcome {
        for (_, outcome) in self.client().await?.admin().delete_groups(groups).await {
            outcome?;
        }
        Ok(())
    }
}

/// The partitions of the topic, which is created when it is missing.
async fn partitions(admin: &Admin, topic: &str) -> Outcome<Vec<TopicPartition>> {
    let is_missing =
        |error: &ottla::Error| error.code().is_some_and(|code| code.name() == "UNKNOWN_TOPIC_OR_PARTITION");
    match admin.partitions_for(topic).await {
        Err(error) if is_missing(&error) => {
            let outcomes = admin.create_topics([NewTopic::named(topic).partitions(PARTITIONS)]).await?;
            for (_, outcome) in outcomes {
                match outcome {
                    // Somebody else was faster.
                    Err(error) if error.code().is_some_and(|code| code.name() == "TOPIC_ALREADY_EXISTS") => {}
                    outcome => outcome.map_err(|error| error.hint("--topic names one that is there"))?,
                }
            }
        }
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    // A new topic takes a moment until all brokers know of it.
    loop {
        match admin.partitions_for(topic).await {
            Ok(partitions) if partitions.iter().all(|partition| partition.leader.is_some()) => {
                return Ok(partitions
                    .iter()
                    .map(|partition| TopicPartition::new(topic, partition.index))
                    .collect());
            }
            Err(error) if !is_missing(&error) && !error.is_retriable() => return Err(error.into()),
            _ => task::sleep_until(task::after(task::now(), Duration::from_millis(50))).await,
        }
    }
}
