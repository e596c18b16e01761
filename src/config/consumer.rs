//! [`ConsumerConfig`]: what a consumer fetches, where it starts, and how it belongs to a group.

use super::error::ConfigError;
use super::keys::Part;
use super::settings::Settings;
use super::value;
use std::time::Duration;

/// The settings of a consumer, besides those of its [client](super::ClientConfig). The defaults are the Java client's.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// `group.id`: the group that shares the work and the offsets. Default: none, partitions are assigned by the program.
    pub group_id: Option<String>,
    /// `group.instance.id`: this member is the same after a restart (KIP-345). In the new protocol one that was killed is let
    /// in again when the session of before is over: until then each poll gives UNRELEASED_INSTANCE_ID, where Java's consumer
    /// ends. Default: none.
    pub group_instance_id: Option<String>,
    /// `group.protocol`. Default: [`GroupProtocol::Classic`].
    pub group_protocol: GroupProtocol,
    /// `group.remote.assignor`: the broker's assignor, for [`GroupProtocol::Consumer`] only. Default: the broker chooses.
    pub group_remote_assignor: Option<String>,
    /// `partition.assignment.strategy`: the assignors this member can work with, the preferred one first, for
    /// [`GroupProtocol::Classic`] only. Default: range, cooperative-sticky.
    pub partition_assignment_strategy: Vec<Assignor>,
    /// `session.timeout.ms`: a member that was not heard of for this long is taken out of the group. For
    /// [`GroupProtocol::Classic`] only; else the broker's `group.consumer.session.timeout.ms`. Default: 45 s.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`: how often a member lets hear of itself. For [`GroupProtocol::Classic`] only; else the
    /// broker's `group.consumer.heartbeat.interval.ms`. Default: 3 s; less than `session.timeout.ms`.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`: a member that neither polls nor waits for records for this long leaves the group (KIP-62), and
    /// the next call tells of it ([`ErrorKind::MaxPollExceeded`](crate::ErrorKind::MaxPollExceeded)). Default: 5 min.
    pub max_poll_interval: Duration,
    /// `max.poll.records`: the most records that one poll returns. Default: 500.
    pub max_poll_records: usize,

    /// `enable.auto.commit`: commit by itself what was handed out and come back from. Default: true with a `group.id`,
    /// false without.
    pub enable_auto_commit: bool,
    /// `auto.commit.interval.ms`: how often. Default: 5 s.
    pub auto_commit_interval: Duration,
    /// `auto.offset.reset`: where to start when there is no committed offset, or none that is still there.
    /// Default: [`AutoOffsetReset::Latest`].
    pub auto_offset_reset: AutoOffsetReset,
    /// `isolation.level`. Default: [`IsolationLevel::ReadUncommitted`].
    pub isolation_level: IsolationLevel,

    /// `fetch.min.bytes`: the broker waits until it has this much, but no longer than `fetch.max.wait.ms`. Default: 1.
    pub fetch_min_bytes: u32,
    /// `fetch.max.wait.ms`. Default: 500 ms.
    pub fetch_max_wait: Duration,
    /// `fetch.max.bytes`: the most that one answer of a broker should hold; a single larger batch still comes.
    /// At least 512 bytes less than `receive.message.max.bytes`. Default: 52428800 (50 MiB).
    pub fetch_max_bytes: u32,
    /// `max.partition.fetch.bytes`: the most that one answer should hold of one partition; a single larger batch still
    /// comes. Default: 1048576 (1 MiB).
    pub max_partition_fetch_bytes: u32,
    /// `queued.max.messages.kbytes`: how much may be fetched ahead and not handed out yet, all partitions together; the
    /// setting in KiB, here in bytes. A name of librdkafka's. Default: 67108864 (64 MiB).
    pub queued_max_bytes: usize,
    /// `fetch.max.decompressed.bytes`: the most that the records of one batch may take uncompressed; a batch beyond it is
    /// an error. A setting of this client's own. Default: 134217728 (128 MiB).
    pub fetch_max_decompressed_bytes: usize,

    /// `allow.auto.create.topics`: a topic that is subscribed to may come into being by it, if the broker is set so.
    /// Default: true.
    pub allow_auto_create_topics: bool,
    /// `exclude.internal.topics`: a pattern does not match the topics that Kafka keeps for itself. Default: true.
    pub exclude_internal_topics: bool,
}

/// `group.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum GroupProtocol {
    /// `classic`: one of the members assigns the partitions.
    #[default]
    Classic,
    /// `consumer`: the broker does (KIP-848).
    Consumer,
}

/// An assignor of the classic protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Assignor {
    /// `range`: neighbouring partitions of each topic.
    Range,
    /// `roundrobin`: partitions dealt one by one.
    RoundRobin,
    /// `sticky`: balanced, with as few moves as possible (KIP-54).
    Sticky,
    /// `cooperative-sticky`: the same, and what does not move is read on during the rebalance (KIP-429).
    CooperativeSticky,
}

/// `auto.offset.reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AutoOffsetReset {
    /// `earliest` (librdkafka also `smallest`, `beginning`): the oldest record that is there.
    Earliest,
    /// `latest` (librdkafka also `largest`, `end`): the next record to be written.
    #[default]
    Latest,
    /// `none` (librdkafka also `error`): the application is told, and decides.
    None,
    /// `by_duration:PnDTnHnMn.nS`: the first record that is not older than this (KIP-1106).
    ByDuration(Duration),
}

/// `isolation.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum IsolationLevel {
    /// `read_uncommitted`: all records, those of open and aborted transactions too.
    #[default]
    ReadUncommitted,
    /// `read_committed`: records of committed transactions, and records without one (KIP-98).
    ReadCommitted,
}

impl ConsumerConfig {
    /// Reads the settings of a consumer.
    ///
    /// # Errors
    /// When settings contradict each other: answers that may be larger than what is read; with a `group.id` settings of
    /// one group protocol with the other (KIP-848), or heartbeats that are rarer than the session allows.
    pub fn from_settings(settings: &Settings) -> Result<ConsumerConfig, ConfigError> {
        settings.must_be_right(Part::Consumer)?;
        let group_id = settings.text("group.id").map(str::to_owned);
        let group_protocol = settings.parsed("group.protocol", GroupProtocol::named)?;
        let session_timeout = settings.millis("session.timeout.ms")?;
        let heartbeat_interval = settings.millis("heartbeat.interval.ms")?;
        if group_id.is_some() {
            group_protocol.refuse_foreign(settings)?;
        }
        let is_member = group_id.is_some() && group_protocol == GroupProtocol::Classic;
        if is_member && heartbeat_interval >= session_timeout {
            return Err(ConfigError::Contradiction(format!(
                "{} must be less than {}",
                settings.tell("heartbeat.interval.ms"),
                settings.tell("session.timeout.ms")
            )));
        }
        Ok(ConsumerConfig {
            enable_auto_commit: group_id.is_some() && auto_commit(settings)?,
            group_id,
            group_instance_id: settings.text("group.instance.id").map(str::to_owned),
            group_protocol,
            group_remote_assignor: settings.text("group.remote.assignor").map(str::to_owned),
            partition_assignment_strategy: settings.parsed("partition.assignment.strategy", assignors)?,
            session_timeout,
            heartbeat_interval,
            max_poll_interval: settings.millis("max.poll.interval.ms")?,
            max_poll_records: settings.number("max.poll.records")?,
            auto_commit_interval: settings.millis("auto.commit.interval.ms")?,
            auto_offset_reset: settings.parsed("auto.offset.reset", AutoOffsetReset::named)?,
            isolation_level: settings.parsed("isolation.level", IsolationLevel::named)?,
            fetch_min_bytes: settings.number("fetch.min.bytes")?,
            fetch_max_wait: settings.millis("fetch.max.wait.ms")?,
            fetch_max_bytes: fetch_max_bytes(settings)?,
            max_partition_fetch_bytes: settings.number("max.partition.fetch.bytes")?,
            queued_max_bytes: settings.number("queued.max.messages.kbytes")?,
            fetch_max_decompressed_bytes: settings.number("fetch.max.decompressed.bytes")?,
            allow_auto_create_topics: settings.flag("allow.auto.create.topics")?,
            exclude_internal_topics: settings.flag("exclude.internal.topics")?,
        })
    }
}

/// In a group offsets are committed unless that is switched off.
fn auto_commit(settings: &Settings) -> Result<bool, ConfigError> {
    if settings.is_given("enable.auto.commit") { settings.flag("enable.auto.commit") } else { Ok(true) }
}

/// A larger answer than is read would close the connection, and be asked for again: the default makes way for
/// `receive.message.max.bytes`, a value that was set is an error, as in librdkafka.
fn fetch_max_bytes(settings: &Settings) -> Result<u32, ConfigError> {
    /// What stands around the records of an answer, by librdkafka's reckoning.
    const AROUND: u32 = 512;
    let (fetched, read): (u32, u32) =
        (settings.number("fetch.max.bytes")?, settings.number("receive.message.max.bytes")?);
    let most = read.saturating_sub(AROUND);
    if fetched > most && settings.is_given("fetch.max.bytes") {
        return Err(ConfigError::Contradiction(format!(
            "{} must be at least {AROUND} bytes less than {}",
            settings.tell("fetch.max.bytes"),
            settings.tell("receive.message.max.bytes")
        )));
    }
    Ok(fetched.min(most))
}

fn assignors(text: &str) -> Option<Vec<Assignor>> {
    value::list(text).map(Assignor::named).collect()
}

impl GroupProtocol {
    fn named(text: &str) -> Option<GroupProtocol> {
        match value::choice(text, &["classic", "consumer"])? {
            "classic" => Some(GroupProtocol::Classic),
            _ => Some(GroupProtocol::Consumer),
        }
    }

    /// Settings of the other protocol are refused, with what does their work in this one (KIP-848).
    fn refuse_foreign(self, settings: &Settings) -> Result<(), ConfigError> {
        const CLASSIC_ONLY: [(&str, &str); 4] = [
            (
                "session.timeout.ms",
                "the broker's group.consumer.session.timeout.ms, or the group's consumer.session.timeout.ms",
            ),
            (
                "heartbeat.interval.ms",
                "the broker's group.consumer.heartbeat.interval.ms, or the group's consumer.heartbeat.interval.ms",
            ),
            (
                "partition.assignment.strategy",
                "group.remote.assignor, one of the broker's group.consumer.assignors",
            ),
            ("group.protocol.type", "nothing"),
        ];
        const CONSUMER_ONLY: [(&str, &str); 1] = [("group.remote.assignor", "partition.assignment.strategy")];
        let foreign: &[(&str, &str)] = match self {
            GroupProtocol::Classic => &CONSUMER_ONLY,
            GroupProtocol::Consumer => &CLASSIC_ONLY,
        };
        match foreign.iter().find(|(key, _)| settings.is_given(key)) {
            Some((key, instead)) => Err(ConfigError::Contradiction(format!(
                "{} does not apply with {}; what decides there is {instead}",
                settings.tell(key),
                settings.tell("group.protocol"),
            ))),
            None => Ok(()),
        }
    }
}

impl Assignor {
    /// The assignor that Kafka calls so, or the Java client's class of it.
    pub fn named(name: &str) -> Option<Assignor> {
        let class = name.strip_prefix("class ").unwrap_or(name);
        let class = class.strip_prefix("org.apache.kafka.clients.consumer.").unwrap_or(class);
        Some(match class {
            "range" | "RangeAssignor" => Assignor::Range,
            "roundrobin" | "RoundRobinAssignor" => Assignor::RoundRobin,
            "sticky" | "StickyAssignor" => Assignor::Sticky,
            "cooperative-sticky" | "CooperativeStickyAssignor" => Assignor::CooperativeSticky,
            _ => return None,
        })
    }

    /// Kafka's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
            Assignor::Sticky => "sticky",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }
}

impl AutoOffsetReset {
    /// The policy that Java or librdkafka calls so.
    pub fn named(name: &str) -> Option<AutoOffsetReset> {
        let name = name.to_ascii_lowercase();
        Some(match name.as_str() {
            "earliest" | "smallest" | "beginning" => AutoOffsetReset::Earliest,
            "latest" | "largest" | "end" => AutoOffsetReset::Latest,
            "none" | "error" => AutoOffsetReset::None,
            other => AutoOffsetReset::ByDuration(value::iso_duration(other.strip_prefix("by_duration:")?)?),
        })
    }
}

impl IsolationLevel {
    fn named(text: &str) -> Option<IsolationLevel> {
        match value::choice(text, &["read_uncommitted", "read_committed"])? {
            "read_committed" => Some(IsolationLevel::ReadCommitted),
            _ => Some(IsolationLevel::ReadUncommitted),
        }
    }
}

impl Default for ConsumerConfig {
    fn default() -> ConsumerConfig {
        ConsumerConfig {
            group_id: None,
            group_instance_id: None,
            group_protocol: GroupProtocol::Classic,
            group_remote_assignor: None,
            partition_assignment_strategy: vec![Assignor::Range, Assignor::CooperativeSticky],
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            max_poll_interval: Duration::from_secs(300),
            max_poll_records: 500,
            enable_auto_commit: false,
            auto_commit_interval: Duration::from_secs(5),
            auto_offset_reset: AutoOffsetReset::Latest,
            isolation_level: IsolationLevel::ReadUncommitted,
            fetch_min_bytes: 1,
            fetch_max_wait: Duration::from_millis(500),
            fetch_max_bytes: 52_428_800,
            max_partition_fetch_bytes: 1_048_576,
            queued_max_bytes: 67_108_864,
            fetch_max_decompressed_bytes: 134_217_728,
            allow_auto_create_topics: true,
            exclude_internal_topics: true,
        }
    }
}
