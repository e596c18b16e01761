//! Where an example runs: on the cluster that settings name, or else on a broker of its own in this process.

use ottla::broker::Broker;
use ottla::config::Settings;
use ottla::{Client, NewTopic, Result};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A cluster, and topics that no other run uses.
pub(crate) struct Place {
    settings: Settings,
    /// Names end in this, so that runs on one cluster do not meet.
    run: String,
    topics: Vec<String>,
    /// What is in this process ends with it.
    _broker: Option<Broker>,
}

impl Place {
    pub(crate) async fn find(mut settings: Settings) -> Result<Place> {
        let mut broker = None;
        if !settings.is_set("bootstrap.servers") {
            let embedded = Broker::builder().start().await?;
            settings.set("bootstrap.servers", embedded.bootstrap_servers())?;
            broker = Some(embedded);
        }
        let run = format!("{:08x}", RandomState::new().hash_one(0) >> 32);
        Ok(Place { settings, run, topics: Vec::new(), _broker: broker })
    }

    /// A client for one service: each has its own, as services in processes of their own have.
    pub(crate) async fn client(&self) -> Result<Client> {
        Client::builder().settings(self.settings.clone()).connect().await
    }

    /// What a topic or a group is called in this run.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("example-{name}-{}", self.run)
    }

    /// Creates a topic and gives its name.
    pub(crate) async fn topic(&mut self, name: &str, partitions: i32) -> Result<String> {
        let (name, admin) = (self.name(name), self.client().await?.admin());
        for (_, created) in admin.create_topics([NewTopic::named(&name).partitions(partitions)]).await? {
            created?;
        }
        // Brokers take a moment to hear of it.
        while !admin.partitions_for(&name).await.is_ok_and(|all| all.iter().all(|one| one.leader.is_some())) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.topics.push(name.clone());
        Ok(name)
    }

    /// Takes away what the run has left on the cluster.
    pub(crate) async fn clear(self, groups: &[String]) -> Result<()> {
        let admin = self.client().await?.admin();
        for (_, deleted) in admin.delete_groups(groups).await {
            deleted?;
        }
        for (_, deleted) in admin.delete_topics(&self.topics).await? {
            deleted?;
        }
        Ok(())
    }
}
