//! The settings of a broker as DescribeConfigs tells them, those that mean something here; and of what nobody can change:
//! groups, and the metrics of clients.

use super::state::{Settings, State};
use super::topic_config::{SETTINGS, source, synonym};
use crate::messages::{BrokerId, DescribeConfigsResourceResult};
use crate::wire::Text;
use std::time::Duration;

/// Types as DescribeConfigs numbers them.
const BOOLEAN: i8 = 1;
const INT: i8 = 3;
const LONG: i8 = 5;
const STRING: i8 = 2;
const LIST: i8 = 7;

/// What is set for all brokers while they run.
pub(super) fn of_all_brokers() -> Vec<DescribeConfigsResourceResult> {
    let row = row("min.insync.replicas", INT, source::ALL_BROKERS, "1");
    vec![DescribeConfigsResourceResult { read_only: false, ..row }]
}

/// The settings of one broker, by name.
pub(super) fn of(state: &State, broker: BrokerId) -> Vec<DescribeConfigsResourceResult> {
    let mut rows: Vec<_> = of_topics().chain(own(state, broker)).collect();
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    rows
}

/// The settings of any group.
pub(super) fn of_groups(state: &State) -> Vec<DescribeConfigsResourceResult> {
    let groups = &state.settings.groups;
    let ms = |duration: Duration| duration.as_millis().to_string();
    let fixed = |value: &'static str| (value.to_owned(), value);
    let rows = [
        ("consumer.assignment.interval.ms", INT, (ms(groups.consumer_assignment_interval), "1000")),
        ("consumer.heartbeat.interval.ms", INT, (ms(groups.consumer_heartbeat_interval), "5000")),
        ("consumer.session.timeout.ms", INT, (ms(groups.consumer_session_timeout), "45000")),
        ("share.assignment.interval.ms", INT, fixed("1000")),
        ("share.auto.offset.reset", STRING, fixed("latest")),
        ("share.delivery.count.limit", INT, fixed("5")),
        ("share.heartbeat.interval.ms", INT, fixed("5000")),
        ("share.isolation.level", STRING, fixed("read_uncommitted")),
        ("share.partition.max.record.locks", INT, fixed("2000")),
        ("share.record.lock.duration.ms", INT, fixed("30000")),
        ("share.renew.acknowledge.enable", BOOLEAN, fixed("true")),
        ("share.session.timeout.ms", INT, fixed("45000")),
        ("streams.assignment.interval.ms", INT, fixed("1000")),
        ("streams.heartbeat.interval.ms", INT, fixed("5000")),
        ("streams.initial.rebalance.delay.ms", INT, fixed("3000")),
        ("streams.num.standby.replicas", INT, fixed("0")),
        ("streams.session.timeout.ms", INT, fixed("45000")),
    ];
    rows.into_iter()
        .map(|(name, config_type, (value, default))| of_group(name, config_type, &value, default))
        .collect()
}

fn of_group(
    name: &'static str,
    config_type: i8,
    value: &str,
    default: &str,
) -> DescribeConfigsResourceResult {
    const ALIKE: [&str; 3] =
        ["share.auto.offset.reset", "share.isolation.level", "share.renew.acknowledge.enable"];
    let of_brokers = if ALIKE.contains(&name) { name.to_owned() } else { format!("group.{name}") };
    let is_default = value == default;
    let source = if is_default { source::DEFAULT } else { source::BROKER_FILE };
    let mut row = row(name, config_type, source, value);
    row.read_only = false;
    row.synonyms = vec![synonym(&of_brokers, value, source)];
    row.synonyms.extend((!is_default).then(|| synonym(&of_brokers, default, source::DEFAULT)));
    row
}

/// What clients are to tell of their metrics, by any subscription: nothing.
pub(super) fn of_metrics() -> Vec<DescribeConfigsResourceResult> {
    let rows = [("interval.ms", INT, "300000"), ("match", LIST, ""), ("metrics", LIST, "")];
    let tell = |(name, config_type, value)| DescribeConfigsResourceResult {
        read_only: false,
        synonyms: Vec::new(),
        ..row(name, config_type, source::DEFAULT, value)
    };
    rows.into_iter().map(tell).collect()
}

/// Checks that a resource is this broker.
///
/// # Errors
/// A sentence for the client.
pub(super) fn check_name(name: &str, broker: BrokerId, or: &str) -> Result<(), String> {
    match name.parse::<i32>() {
        Err(_) => Err(format!("Broker id must be an integer, but it is: {name}")),
        Ok(id) if id != broker.0 => {
            Err(format!("Unexpected broker id, expected {broker}{or} but received {name}"))
        }
        Ok(_) => Ok(()),
    }
}

/// What holds for topics without settings of their own.
fn of_topics() -> impl Iterator<Item = DescribeConfigsResourceResult> {
    SETTINGS.iter().filter_map(|setting| {
        let name = setting.of_brokers?;
        let mut row = row(name, setting.config_type(), source::DEFAULT, setting.default);
        row.read_only = false;
        if let Some(set) = of_all_brokers().into_iter().find(|set| set.name == *name) {
            row.config_source = set.config_source;
            row.synonyms.splice(..0, set.synonyms);
        }
        Some(row)
    })
}

/// What the builder has set, beside what Kafka's defaults are.
fn own(state: &State, broker: BrokerId) -> impl Iterator<Item = DescribeConfigsResourceResult> {
    let Settings { default_partitions, auto_create_topics, groups, .. } = &state.settings;
    let ms = |duration: Duration| duration.as_millis().to_string();
    let rows = [
        ("auto.create.topics.enable", BOOLEAN, auto_create_topics.to_string(), "true"),
        ("broker.id", INT, broker.to_string(), "-1"),
        ("connections.max.idle.ms", LONG, "600000".to_owned(), "600000"),
        ("default.replication.factor", INT, state.default_replication().to_string(), "1"),
        ("delete.topic.enable", BOOLEAN, "true".to_owned(), "true"),
        ("fetch.max.bytes", INT, "57671680".to_owned(), "57671680"),
        ("group.consumer.assignment.interval.ms", INT, ms(groups.consumer_assignment_interval), "1000"),
        ("group.consumer.heartbeat.interval.ms", INT, ms(groups.consumer_heartbeat_interval), "5000"),
        ("group.consumer.session.timeout.ms", INT, ms(groups.consumer_session_timeout), "45000"),
        ("group.initial.rebalance.delay.ms", INT, ms(groups.initial_rebalance_delay), "3000"),
        ("group.max.session.timeout.ms", INT, ms(groups.max_session_timeout), "1800000"),
        ("group.max.size", INT, groups.max_size.to_string(), "2147483647"),
        ("group.min.session.timeout.ms", INT, ms(groups.min_session_timeout), "6000"),
        ("log.retention.hours", INT, "168".to_owned(), "168"),
        ("max.request.partition.size.limit", INT, "2000".to_owned(), "2000"),
        ("node.id", INT, broker.to_string(), ""),
        ("num.partitions", INT, default_partitions.to_string(), "1"),
    ];
    rows.into_iter().map(|(name, config_type, value, default)| {
        if value == default {
            return row(name, config_type, source::DEFAULT, default);
        }
        let mut row = row(name, config_type, source::BROKER_FILE, &value);
        row.synonyms.extend((!default.is_empty()).then(|| synonym(name, default, source::DEFAULT)));
        row
    })
}

fn row(name: &'static str, config_type: i8, source: i8, value: &str) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult {
        name: Text::from_static(name),
        value: Some(value.into()),
        read_only: true,
        config_source: source,
        synonyms: vec![synonym(name, value, source)],
        config_type,
        documentation: None,
        ..Default::default()
    }
}
