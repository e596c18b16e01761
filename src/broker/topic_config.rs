//! The settings of a topic: which there are, what they may be, and those that this broker acts on.
//!
//! All settings of Kafka 4.3 are accepted, checked and told, so that a service that creates its topics finds the broker
//! that it expects. Acted on are `max.message.bytes`, `message.timestamp.*`, `min.insync.replicas`, `retention.bytes`, and of
//! `cleanup.policy=compact` that records need keys. Batches keep the codec that they came in whatever `compression.type`
//! says, and nothing is deleted by age or compacted.

use crate::messages::CreatableTopicResultConfig;
use crate::wire::Text;
use std::collections::BTreeMap;

/// Of a topic, as DescribeConfigs numbers the sources of settings.
const DYNAMIC_TOPIC_CONFIG: i8 = 1;
const DEFAULT_CONFIG: i8 = 5;

/// What values a setting may have.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Boolean,
    Integer {
        least: i64,
        most: i64,
    },
    /// Between 0 and 1.
    Ratio,
    OneOf(&'static [&'static str]),
    /// Some of these, divided by commas.
    SomeOf(&'static [&'static str]),
    /// Anything.
    Text,
}

struct Setting {
    name: &'static str,
    kind: Kind,
    default: &'static str,
}

const fn setting(name: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting { name, kind, default }
}

const fn long(least: i64) -> Kind {
    Kind::Integer { least, most: i64::MAX }
}

const fn int(least: i64) -> Kind {
    Kind::Integer { least, most: i32::MAX as i64 }
}

const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

/// By name, ascending.
static SETTINGS: &[Setting] = &[
    setting("cleanup.policy", Kind::SomeOf(&["compact", "delete"]), "delete"),
    setting("compression.gzip.level", Kind::Integer { least: -1, most: 9 }, "-1"),
    setting("compression.lz4.level", Kind::Integer { least: 1, most: 17 }, "9"),
    setting("compression.type", Kind::OneOf(CODECS), "producer"),
    setting("compression.zstd.level", Kind::Integer { least: -131_072, most: 22 }, "3"),
    setting("delete.retention.ms", long(0), "86400000"),
    setting("file.delete.delay.ms", long(0), "60000"),
    setting("flush.messages", long(1), "9223372036854775807"),
    setting("flush.ms", long(0), "9223372036854775807"),
    setting("follower.replication.throttled.replicas", Kind::Text, ""),
    setting("index.interval.bytes", int(0), "4096"),
    setting("leader.replication.throttled.replicas", Kind::Text, ""),
    setting("local.retention.bytes", long(-2), "-2"),
    setting("local.retention.ms", long(-2), "-2"),
    setting("max.compaction.lag.ms", long(1), "9223372036854775807"),
    setting("max.message.bytes", int(0), "1048588"),
    setting("message.timestamp.after.max.ms", long(0), "3600000"),
    setting("message.timestamp.before.max.ms", long(0), "9223372036854775807"),
    setting("message.timestamp.type", Kind::OneOf(&["CreateTime", "LogAppendTime"]), "CreateTime"),
    setting("min.cleanable.dirty.ratio", Kind::Ratio, "0.5"),
    setting("min.compaction.lag.ms", long(0), "0"),
    setting("min.insync.replicas", int(1), "1"),
    setting("preallocate", Kind::Boolean, "false"),
    setting("remote.log.copy.disable", Kind::Boolean, "false"),
    setting("remote.log.delete.on.disable", Kind::Boolean, "false"),
    setting("remote.storage.enable", Kind::Boolean, "false"),
    setting("retention.bytes", long(-1), "-1"),
    setting("retention.ms", long(-1), "604800000"),
    setting("segment.bytes", int(1024 * 1024), "1073741824"),
    setting("segment.index.bytes", int(4), "10485760"),
    setting("segment.jitter.ms", long(0), "0"),
    setting("segment.ms", long(1), "604800000"),
    setting("unclean.leader.election.enable", Kind::Boolean, "false"),
];

/// A topic's settings: what was set, and in ready form what is acted on.
#[derive(Debug, Clone)]
pub(super) struct TopicConfig {
    set: BTreeMap<&'static str, Text>,
    /// The largest batch, in bytes.
    pub(super) max_message_bytes: usize,
    /// Whether only the last record of a key counts, which therefore needs one.
    pub(super) compacted: bool,
    /// Whether records get the time of appending.
    pub(super) log_append_time: bool,
    /// How far a record's time may lie behind the broker's clock, in milliseconds.
    pub(super) timestamp_before_max_ms: i64,
    /// How far ahead.
    pub(super) timestamp_after_max_ms: i64,
    /// Replicas that must be in sync for `acks=all`.
    pub(super) min_insync_replicas: usize,
    /// Bytes of a partition that are kept, `None` for all.
    pub(super) retention_bytes: Option<usize>,
}

impl TopicConfig {
    /// Checks settings as CreateTopics has them.
    ///
    /// # Errors
    /// A sentence for the client.
    pub(super) fn new<'a>(
        settings: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<TopicConfig, String> {
        let mut set = BTreeMap::new();
        for (name, value) in settings {
            let setting = find(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?;
            let value = value.ok_or_else(|| format!("Null value not supported for topic configs: {name}"))?;
            check(setting, value)?;
            if set.insert(setting.name, Text::from(value.trim())).is_some() {
                return Err(format!("Duplicate topic config name: {name}"));
            }
        }
        Ok(TopicConfig::of(set))
    }

    fn of(set: BTreeMap<&'static str, Text>) -> TopicConfig {
        let text = |name| set.get(name).map_or_else(|| default(name), Text::as_str);
        let number = |name| text(name).parse::<i64>().unwrap_or_default();
        let size = |name| usize::try_from(number(name)).ok();
        TopicConfig {
            max_message_bytes: size("max.message.bytes").unwrap_or_default(),
            compacted: text("cleanup.policy").split(',').any(|policy| policy.trim() == "compact"),
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            min_insync_replicas: size("min.insync.replicas").unwrap_or_default(),
            retention_bytes: size("retention.bytes"),
            set,
        }
    }

    /// Every setting with its value and where that comes from.
    pub(super) fn listing(&self) -> Vec<CreatableTopicResultConfig> {
        let row = |setting: &Setting| {
            let set = self.set.get(setting.name);
            CreatableTopicResultConfig {
                name: Text::from_static(setting.name),
                value: Some(set.cloned().unwrap_or(Text::from_static(setting.default))),
                config_source: if set.is_some() { DYNAMIC_TOPIC_CONFIG } else { DEFAULT_CONFIG },
                ..Default::default()
            }
        };
        SETTINGS.iter().map(row).collect()
    }
}

impl Default for TopicConfig {
    fn default() -> TopicConfig {
        TopicConfig::of(BTreeMap::new())
    }
}

fn find(name: &str) -> Option<&'static Setting> {
    let index = SETTINGS.binary_search_by_key(&name, |setting| setting.name).ok()?;
    SETTINGS.get(index)
}

fn default(name: &str) -> &'static str {
    find(name).map_or("", |setting| setting.default)
}

fn check(setting: &Setting, value: &str) -> Result<(), String> {
    let Setting { name, kind, .. } = setting;
    let invalid = |why: String| Err(format!("Invalid value {value} for configuration {name}: {why}"));
    let trimmed = value.trim();
    match kind {
        Kind::Boolean if ["true", "false"].iter().any(|word| trimmed.eq_ignore_ascii_case(word)) => Ok(()),
        Kind::Boolean => invalid("Expected value to be either true or false".to_owned()),
        Kind::Integer { least, most } => match trimmed.parse::<i64>() {
            Ok(number) if number < *least => invalid(format!("Value must be at least {least}")),
            Ok(number) if number > *most => invalid(format!("Value must be no more than {most}")),
            Ok(_) => Ok(()),
            Err(_) => invalid("Not a number of type INT or LONG".to_owned()),
        },
        Kind::Ratio => match trimmed.parse::<f64>() {
            Ok(number) if (0.0..=1.0).contains(&number) => Ok(()),
            Ok(_) => invalid("Value must be between 0 and 1".to_owned()),
            Err(_) => invalid("Not a number of type DOUBLE".to_owned()),
        },
        Kind::OneOf(words) if words.contains(&trimmed) => Ok(()),
        Kind::OneOf(words) => invalid(format!("String must be one of: {}", words.join(", "))),
        Kind::SomeOf(words) => match trimmed.split(',').map(str::trim).find(|word| !words.contains(word)) {
            Some(_) if trimmed.is_empty() => Ok(()),
            None => Ok(()),
            Some(_) => invalid(format!("String must be one of: {}", words.join(", "))),
        },
        Kind::Text => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_its_defaults_are_allowed() {
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
        for setting in SETTINGS {
            assert_eq!(check(setting, setting.default), Ok(()), "{}", setting.name);
        }
        assert_eq!(TopicConfig::default().max_message_bytes, 1_048_588);
        assert_eq!(TopicConfig::default().retention_bytes, None);
    }

    #[test]
    fn what_is_set_is_acted_on_and_told() {
        let set = [
            ("cleanup.policy", Some("compact, delete")),
            ("max.message.bytes", Some(" 1000")),
            ("message.timestamp.type", Some("LogAppendTime")),
            ("retention.bytes", Some("5000")),
        ];
        let config = TopicConfig::new(set).unwrap();
        assert!(config.compacted && config.log_append_time);
        assert_eq!((config.max_message_bytes, config.retention_bytes), (1_000, Some(5_000)));
        let told = config.listing();
        let of = |name: &str| {
            let row = told.iter().find(|row| row.name == *name).unwrap();
            (row.value.as_ref().map(Text::as_str), row.config_source)
        };
        assert_eq!(of("max.message.bytes"), (Some("1000"), 1));
        assert_eq!(of("segment.ms"), (Some("604800000"), 5));
    }

    #[test]
    fn what_is_unknown_or_out_of_bounds_is_refused_by_name() {
        for (name, value) in [
            ("no.such.setting", Some("1")),
            ("retention.ms", None),
            ("retention.ms", Some("-2")),
            ("retention.ms", Some("a week")),
            ("min.insync.replicas", Some("0")),
            ("max.message.bytes", Some("2147483648")),
            ("cleanup.policy", Some("compact,forget")),
            ("compression.type", Some("brotli")),
            ("preallocate", Some("perhaps")),
            ("min.cleanable.dirty.ratio", Some("1.5")),
        ] {
            let error = TopicConfig::new([(name, value)]).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
        TopicConfig::new([("flush.ms", Some("1")), ("flush.ms", Some("2"))]).unwrap_err();
    }
}
