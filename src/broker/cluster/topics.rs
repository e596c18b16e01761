//! The topics of a [`Cluster`]: made, moved and deleted by call, and what is stored in them.

use super::{Cluster, invalid};
use crate::broker::core::Core;
use crate::broker::leaders::Lost;
use crate::broker::server::now;
use crate::broker::state::{Refused, State};
use crate::broker::stored::{StoredBatch, StoredRecord};
use crate::broker::topic::{Partition, Topic};
use crate::broker::topic_config::TopicConfig;
use crate::error::{Error, Result};
use crate::messages::{BrokerId, BrokerIds, ErrorCode};

/// A topic that is to be made; each method says what holds without it.
#[derive(Debug, Clone)]
#[must_use]
pub struct TopicSpec {
    name: String,
    partitions: usize,
    replication: Option<usize>,
    placed: Vec<Vec<i32>>,
    settings: Vec<(String, String)>,
}

/// A partition at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionInfo {
    /// The id of the broker that leads it, `None` when nobody can.
    pub leader: Option<i32>,
    /// Counts its leaders, from 0.
    pub leader_epoch: i32,
    /// The ids of the brokers that hold it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub isr: Vec<i32>,
    /// The first offset that can be read.
    pub log_start_offset: i64,
    /// The offset that the next record gets. Every replica has all records below it.
    pub high_watermark: i64,
    /// The offset up to which every transaction is decided.
    pub last_stable_offset: i64,
}

impl TopicSpec {
    /// A topic of one partition.
    pub fn new(name: impl Into<String>) -> TopicSpec {
        let (placed, settings) = (Vec::new(), Vec::new());
        TopicSpec { name: name.into(), partitions: 1, replication: None, placed, settings }
    }

    /// How many partitions it has: 1 by default.
    pub fn partitions(mut self, partitions: usize) -> TopicSpec {
        self.partitions = partitions;
        self
    }

    /// On how many brokers each partition lies: 3 by default, or all where there are fewer.
    pub fn replication(mut self, replication: usize) -> TopicSpec {
        self.replication = Some(replication);
        self
    }

    /// The brokers of each partition, its first leader first, in place of numbers of partitions and replicas: `[[1, 2], [2, 3]]`
    /// is two partitions on two brokers each. Leaders take turns by default, from a random broker on.
    pub fn placed<const N: usize>(mut self, partitions: impl IntoIterator<Item = [i32; N]>) -> TopicSpec {
        self.placed = partitions.into_iter().map(Vec::from).collect();
        self
    }

    /// A setting by its Kafka name, such as `min.insync.replicas`: Kafka's defaults hold otherwise.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> TopicSpec {
        self.settings.push((name.into(), value.into()));
        self
    }

    fn create(&self, state: &mut State) -> Result<()> {
        let settings = self.settings.iter().map(|(name, value)| (name.as_str(), Some(value.as_str())));
        let config = TopicConfig::new(settings).map_err(|text| invalid(text).topic(&self.name))?;
        let placed = self.place(state).map_err(|text| invalid(text).topic(&self.name))?;
        let created = state.create_topic(&self.name, placed, config);
        created.map(drop).map_err(|refused| refused_by_code(refused, &self.name))
    }

    fn place(&self, state: &mut State) -> Result<Vec<BrokerIds>, String> {
        let brokers = state.nodes.len();
        if self.placed.is_empty() {
            let replication = self.replication.unwrap_or(state.default_replication());
            if self.partitions == 0 {
                return Err("a topic needs at least one partition".to_owned());
            }
            if !(1..=brokers).contains(&replication) {
                return Err(format!("{replication} replicas cannot be on {brokers} brokers"));
            }
            return Ok(state.place(self.partitions, replication));
        }
        let place = |replicas: &Vec<i32>| {
            let known = |id: &i32| state.nodes.contains_key(&BrokerId(*id));
            match replicas.iter().find(|id| !known(id)) {
                Some(nobody) => Err(format!("the cluster has no broker {nobody}")),
                None if replicas.is_empty() => Err("a partition needs a broker".to_owned()),
                None => Ok(replicas.iter().copied().map(BrokerId).collect()),
            }
        };
        self.placed.iter().map(place).collect()
    }
}

/// Topics.
impl Cluster {
    /// Creates a topic with Kafka's default settings, each partition on three brokers, or on all where there are fewer.
    ///
    /// # Errors
    /// As [`create_topic_as`](Cluster::create_topic_as).
    pub fn create_topic(&self, name: &str, partitions: usize) -> Result<()> {
        self.create_topic_as(&TopicSpec::new(name).partitions(partitions))
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// [`ErrorKind::Broker`](crate::ErrorKind::Broker) with the code that a client would get: the name cannot be one, or is
    /// taken. [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for no partitions, brokers that are not there, and
    /// settings that cannot be.
    pub fn create_topic_as(&self, topic: &TopicSpec) -> Result<()> {
        self.shared.with(|core| topic.create(core.state_mut()))
    }

    /// Deletes a topic with all that is stored in it.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let deleted = self.shared.with(|core| core.state_mut().delete_topic(name.as_bytes()));
        deleted.map(drop).ok_or_else(|| unknown("delete a topic").topic(name))
    }

    /// Deletes a topic and creates it again in the same moment: the same partitions on the same brokers, with the same settings,
    /// empty, under another topic id and from leader epoch 0 on.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub fn recreate_topic(&self, name: &str) -> Result<()> {
        self.shared.with(|core| {
            let state = core.state_mut();
            let Some(Topic { config, partitions, .. }) = state.delete_topic(name.as_bytes()) else {
                return Err(unknown("recreate a topic").topic(name));
            };
            let placed = partitions.into_iter().map(|partition| partition.replicas).collect();
            let created = state.create_topic(name, placed, config);
            created.map(drop).map_err(|refused| refused_by_code(refused, name))
        })
    }

    /// The names of all topics, ascending.
    pub fn topics(&self) -> Vec<String> {
        self.shared.with(|core| core.state().topics.iter().map(|(name, _)| name.to_string()).collect())
    }

    /// The id of a topic as Kafka's tools write it, `None` when there is no such topic.
    pub fn topic_id(&self, topic: &str) -> Option<String> {
        self.shared.with(|core| core.state().topics.get(topic.as_bytes()).map(|topic| topic.id.to_string()))
    }

    /// How many partitions a topic has, `None` when there is no such topic.
    pub fn partitions(&self, topic: &str) -> Option<usize> {
        self.shared.with(|core| core.state().topics.get(topic.as_bytes()).map(|topic| topic.partitions.len()))
    }

    /// How a partition is, `None` when there is no such partition.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<PartitionInfo> {
        self.with_partition(topic, partition, |partition| {
            let Partition { leader, leader_epoch, replicas, isr, log, .. } = partition;
            let numbers = |ids: &BrokerIds| ids.iter().map(|id| id.0).collect();
            PartitionInfo {
                leader: Some(leader.0).filter(|_| !leader.is_none()),
                leader_epoch: leader_epoch.0,
                replicas: numbers(replicas),
                isr: numbers(isr),
                log_start_offset: log.start_offset(),
                high_watermark: log.end_offset(),
                last_stable_offset: log.last_stable_offset(),
            }
        })
    }

    /// Makes a live broker the leader of a partition under the next leader epoch, also when it leads it already. One that
    /// has no replica of it takes over the old leader's.
    ///
    /// # Errors
    /// [`ErrorKind::Broker`](crate::ErrorKind::Broker): UNKNOWN_TOPIC_OR_PARTITION, or BROKER_NOT_AVAILABLE when the broker
    /// is known not to run. As in Kafka, one that has crashed can be elected until it is fenced.
    pub fn move_leader(&self, topic: &str, partition: i32, to: i32) -> Result<()> {
        self.elect(topic, partition, to, None)
    }

    /// Makes a live broker the leader of a partition that does not have the last records (an unclean election): what lies at
    /// `lost_from` and beyond is gone, whole batches, and with it what was remembered of its producers. Everything else is as
    /// in [`move_leader`](Cluster::move_leader).
    ///
    /// # Errors
    /// As [`move_leader`](Cluster::move_leader).
    pub fn elect_uncleanly(&self, topic: &str, partition: i32, to: i32, lost_from: i64) -> Result<()> {
        let lost = Lost { from_offset: lost_from, now_ms: now().unix_ms };
        self.elect(topic, partition, to, Some(lost))
    }

    fn elect(&self, topic: &str, partition: i32, to: i32, lost: Option<Lost>) -> Result<()> {
        let elect = |core: &mut Core| core.state_mut().move_leader(topic, partition, BrokerId(to), lost);
        self.shared.with(elect).map_err(|refused| refused_by_code(refused, topic).partition(partition))
    }

    /// Deletes the records of a partition below an offset, and answers with the log start offset from then on: `offset`, or
    /// the end of the log where that comes first (DeleteRecords).
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) -> Result<i64> {
        self.shared.with(|core| {
            let state = core.state_mut();
            let found =
                state.topics.get_mut(topic.as_bytes()).and_then(|topic| topic.partition_mut(partition));
            let Some(found) = found else {
                return Err(unknown("delete records").topic(topic).partition(partition));
            };
            found.log.delete_before(offset);
            state.woken.extend(&found.watchers);
            Ok(found.log.start_offset())
        })
    }

    /// Deletes and compacts at once what the topics' settings let go, also where Kafka would wait for more
    /// (`min.cleanable.dirty.ratio`). The newest batch of a partition is never compacted.
    pub fn clean_logs(&self) {
        self.shared.with(|core| core.state_mut().clean(now(), true));
    }

    /// The batches of a partition, oldest first; none when there is no such partition.
    pub fn log(&self, topic: &str, partition: i32) -> Vec<StoredBatch> {
        let batches = |partition: &Partition| partition.log.batches().map(StoredBatch::from).collect();
        self.with_partition(topic, partition, batches).unwrap_or_default()
    }

    /// The records of a partition that can be read, oldest first, whether or not their transactions are committed; none when there is no such partition.
    pub fn records(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        let stored = self.with_partition(topic, partition, |partition| {
            (partition.log.start_offset(), partition.log.batches().cloned().collect::<Vec<_>>())
        });
        let (start_offset, batches) = stored.unwrap_or_default();
        let records = batches.iter().flat_map(StoredRecord::of);
        records.filter(|record| record.offset >= start_offset).collect()
    }

    fn with_partition<T>(
        &self,
        topic: &str,
        partition: i32,
        work: impl FnOnce(&Partition) -> T,
    ) -> Option<T> {
        self.shared.with(|core| {
            // Transactions may have gone on for too long since anybody has asked.
            core.advance(now());
            let topic = core.state().topics.get(topic.as_bytes())?;
            topic.partition(partition).map(work)
        })
    }
}

fn refused_by_code(refused: Refused, topic: &str) -> Error {
    Error::broker_code(refused.code, refused.text).topic(topic)
}

fn unknown(attempt: &'static str) -> Error {
    Error::broker_code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, attempt)
}
