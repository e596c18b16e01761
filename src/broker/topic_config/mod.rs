//! The settings of a topic: which there are, what they may be, and those that this broker acts on.
//!
//! All settings of Kafka 4.3 are accepted, checked and told, so that a service that creates its topics finds the broker
//! that it expects. Acted on are `max.message.bytes`, `message.timestamp.*`, `min.insync.replicas`, `cleanup.policy`,
//! `retention.*`, `*.compaction.lag.ms`, `min.cleanable.dirty.ratio` and `delete.retention.ms`. Batches keep the codec that they
//! came in whatever `compression.type` says.

mod settings;

pub(super) use settings::{SETTINGS, Setting};

use super::log::Cleaning;
use super::state::Refused;
use crate::messages::{
    AlterConfigOperation, AlterableConfig, CreatableTopicResultConfig, DescribeConfigsResourceResult,
    DescribeConfigsSynonym, ErrorCode,
};
use crate::wire::Text;
use settings::{default, find, parts};
use std::collections::BTreeMap;

/// Where a value comes from, as DescribeConfigs numbers it.
pub(super) mod source {
    /// The topic.
    pub(in crate::broker) const TOPIC: i8 = 1;
    /// What all brokers were told while they ran.
    pub(in crate::broker) const ALL_BROKERS: i8 = 3;
    /// What the broker was told at its start.
    pub(in crate::broker) const BROKER_FILE: i8 = 4;
    /// Kafka itself.
    pub(in crate::broker) const DEFAULT: i8 = 5;
}

/// Since Kafka 4.1 a new cluster sets this for all brokers (KIP-966).
const SET_FOR_ALL_BROKERS: &str = "min.insync.replicas";

/// A topic's settings: what was set, and in ready form what is acted on.
#[derive(Debug, Clone)]
pub(super) struct TopicConfig {
    set: BTreeMap<&'static str, Text>,
    /// The largest batch, in bytes.
    pub(super) max_message_bytes: usize,
    /// Whether only the last record of a key counts, which therefore needs one.
    pub(super) compacted: bool,
    /// Whether old records are deleted, whatever their keys.
    pub(super) deletes: bool,
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
    /// How long records are kept, in milliseconds, `None` for ever.
    pub(super) retention_ms: Option<i64>,
    /// How records are compacted, where they are.
    pub(super) cleaning: Cleaning,
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
            let setting = find(name).ok_or_else(|| unknown(name))?;
            let value = value.ok_or_else(|| format!("Null value not supported for topic configs: {name}"))?;
            if set.insert(setting.name, setting.check(value)?).is_some() {
                return Err(format!("Duplicate topic config name: {name}"));
            }
        }
        Ok(TopicConfig::of(set))
    }

    fn of(set: BTreeMap<&'static str, Text>) -> TopicConfig {
        let text = |name| set.get(name).map_or_else(|| default(name), Text::as_str);
        let number = |name| text(name).parse::<i64>().unwrap_or_default();
        let size = |name| usize::try_from(number(name)).ok();
        let has_policy = |policy| parts(text("cleanup.policy")).any(|own| own == policy);
        TopicConfig {
            max_message_bytes: size("max.message.bytes").unwrap_or_default(),
            compacted: has_policy("compact"),
            deletes: has_policy("delete"),
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            min_insync_replicas: size("min.insync.replicas").unwrap_or_default(),
            retention_bytes: size("retention.bytes"),
            retention_ms: Some(number("retention.ms")).filter(|ms| *ms >= 0),
            cleaning: Cleaning {
                min_lag_ms: number("min.compaction.lag.ms"),
                max_lag_ms: number("max.compaction.lag.ms"),
                min_dirty_ratio: text("min.cleanable.dirty.ratio").parse().unwrap_or_default(),
                tombstones_ms: number("delete.retention.ms"),
            },
            set,
        }
    }

    /// The same with some settings changed as IncrementalAlterConfigs has it, by the rules of Kafka's
    /// `ConfigurationControlManager`: what is taken back is not asked whether it exists.
    ///
    /// # Errors
    /// INVALID_CONFIG.
    pub(super) fn altered(&self, changes: &[AlterableConfig]) -> Result<TopicConfig, Refused> {
        let refuse = |text| Refused { code: ErrorCode::INVALID_CONFIG, text };
        let mut set = self.set.clone();
        for AlterableConfig { name, config_operation, value } in changes {
            let given = value.as_deref().unwrap_or_default();
            let Some(setting) = find(name) else {
                match *config_operation {
                    AlterConfigOperation::DELETE => continue,
                    AlterConfigOperation::SET => return Err(refuse(unknown(name))),
                    _ => return Err(refuse(no_list(*config_operation, name))),
                }
            };
            let value = match *config_operation {
                AlterConfigOperation::DELETE => {
                    set.remove(setting.name);
                    continue;
                }
                AlterConfigOperation::SET => Text::from(given),
                operation if !setting.is_list() => return Err(refuse(no_list(operation, name))),
                operation => {
                    let old = set.get(setting.name).map_or(setting.default, Text::as_str);
                    merged(old, given, operation == AlterConfigOperation::APPEND)
                }
            };
            set.insert(setting.name, setting.check(&value).map_err(refuse)?);
        }
        Ok(TopicConfig::of(set))
    }

    /// Every setting with its value and where that comes from, as CreateTopics tells it.
    pub(super) fn listing(&self) -> Vec<CreatableTopicResultConfig> {
        let row = |setting: &Setting| CreatableTopicResultConfig {
            name: Text::from_static(setting.name),
            value: Some(self.value(setting)),
            config_source: if self.set.contains_key(setting.name) { source::TOPIC } else { source::DEFAULT },
            ..Default::default()
        };
        SETTINGS.iter().map(row).collect()
    }

    /// Every setting as DescribeConfigs tells it, synonyms included.
    pub(super) fn described(&self) -> Vec<DescribeConfigsResourceResult> {
        SETTINGS.iter().map(|setting| self.describe(setting)).collect()
    }

    fn describe(&self, setting: &Setting) -> DescribeConfigsResourceResult {
        let value = self.value(setting);
        let own = self.set.get(setting.name).map(|value| synonym(setting.name, value, source::TOPIC));
        let of_brokers = setting.of_brokers.into_iter().flat_map(|name| {
            let is_set = name == SET_FOR_ALL_BROKERS;
            let set = is_set.then(|| synonym(name, setting.default, source::ALL_BROKERS));
            set.into_iter().chain([synonym(name, setting.default, source::DEFAULT)])
        });
        let synonyms: Vec<_> = own.into_iter().chain(of_brokers).collect();
        DescribeConfigsResourceResult {
            name: Text::from_static(setting.name),
            value: Some(value),
            config_source: synonyms.first().map_or(source::DEFAULT, |first| first.source),
            synonyms,
            config_type: setting.config_type(),
            documentation: None,
            ..Default::default()
        }
    }

    fn value(&self, setting: &Setting) -> Text {
        self.set.get(setting.name).cloned().unwrap_or(Text::from_static(setting.default))
    }
}

impl Default for TopicConfig {
    fn default() -> TopicConfig {
        TopicConfig::of(BTreeMap::new())
    }
}

/// A value that a setting has somewhere.
pub(super) fn synonym(name: &str, value: &str, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym { name: name.into(), value: Some(value.into()), source }
}

fn unknown(name: &str) -> String {
    format!("Unknown topic config name: {name}")
}

fn no_list(operation: AlterConfigOperation, name: &str) -> String {
    let verb = if operation == AlterConfigOperation::APPEND { "APPEND" } else { "SUBTRACT" };
    format!("Can't {verb} to key {name} because its type is not LIST.")
}

/// A list with words added that it does not have, or without them.
fn merged(list: &str, words: &str, adds: bool) -> Text {
    let mut merged: Vec<&str> = parts(list).collect();
    for word in parts(words) {
        match merged.iter().position(|own| *own == word) {
            None if adds => merged.push(word),
            Some(at) if !adds => {
                merged.remove(at);
            }
            _ => {}
        }
    }
    merged.join(",").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_its_defaults_are_allowed() {
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
        for setting in SETTINGS {
            assert_eq!(setting.check(setting.default), Ok(setting.default.into()), "{}", setting.name);
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
        assert!(config.compacted && config.deletes && config.log_append_time);
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

    fn change(name: &str, config_operation: AlterConfigOperation, value: &str) -> AlterableConfig {
        AlterableConfig { name: name.into(), config_operation, value: Some(value.into()) }
    }

    #[test]
    fn changes_leave_the_rest_as_it_is() {
        use AlterConfigOperation as Op;
        let config = TopicConfig::new([("retention.bytes", Some("5000"))]).unwrap();
        let altered = |change| config.altered(&[change]);
        let policy = |config: TopicConfig| config.set.get("cleanup.policy").cloned();
        let both = altered(change("cleanup.policy", Op::APPEND, "compact,delete")).unwrap();
        assert_eq!((both.compacted, both.deletes, both.retention_bytes), (true, true, Some(5_000)));
        assert_eq!(policy(both), Some("delete,compact".into()));
        let none = altered(change("cleanup.policy", Op::SUBTRACT, "delete")).unwrap();
        assert!(!none.compacted && !none.deletes);
        assert_eq!(altered(change("retention.bytes", Op::DELETE, "")).unwrap().retention_bytes, None);
        assert_eq!(altered(change("no.such.setting", Op::DELETE, "")).unwrap().set, config.set);
        for wrong in [
            change("no.such.setting", Op::SET, "1"),
            change("retention.ms", Op::APPEND, "1"),
            change("cleanup.policy", Op::APPEND, "forget"),
            change("retention.ms", Op::SET, "a week"),
        ] {
            assert_eq!(altered(wrong).unwrap_err().code, ErrorCode::INVALID_CONFIG);
        }
    }

    #[test]
    fn each_setting_is_told_with_all_that_it_could_be() {
        let config = TopicConfig::new([("max.message.bytes", Some("7"))]).unwrap();
        let told = config.described();
        let of = |name: &str| {
            let row = told.iter().find(|row| row.name == *name).unwrap();
            let synonym = |s: &DescribeConfigsSynonym| (s.name.to_string(), s.source);
            (row.config_source, row.synonyms.iter().map(synonym).collect::<Vec<_>>())
        };
        let (broker, own) = ("message.max.bytes".to_owned(), "max.message.bytes".to_owned());
        assert_eq!(of("max.message.bytes"), (1, vec![(own, 1), (broker, 5)]));
        assert_eq!(of("segment.ms"), (5, vec![]));
        let insync = "min.insync.replicas".to_owned();
        assert_eq!(of("min.insync.replicas"), (3, vec![(insync.clone(), 3), (insync, 5)]));
    }
}
