//! The table of a topic's settings: their types, bounds and defaults, and the setting of a broker that each falls back to.

use crate::wire::Text;

/// What values a setting may have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Boolean,
    Int {
        least: i64,
        most: i64,
    },
    Long {
        least: i64,
    },
    /// Between 0 and 1.
    Ratio,
    OneOf(&'static [&'static str]),
    /// Some of these, divided by commas.
    SomeOf(&'static [&'static str]),
    /// Anything, divided by commas.
    List,
}

/// A setting.
#[derive(Debug)]
pub(in crate::broker) struct Setting {
    pub(in crate::broker) name: &'static str,
    pub(super) kind: Kind,
    pub(in crate::broker) default: &'static str,
    /// The setting of brokers that holds for topics without one of their own, where that has a default.
    pub(in crate::broker) of_brokers: Option<&'static str>,
}

const fn setting(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    of_brokers: Option<&'static str>,
) -> Setting {
    Setting { name, kind, default, of_brokers }
}

const fn long(least: i64) -> Kind {
    Kind::Long { least }
}

const fn int(least: i64) -> Kind {
    Kind::Int { least, most: i32::MAX as i64 }
}

const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const POLICIES: &[&str] = &["compact", "delete"];
const TIMES: &[&str] = &["CreateTime", "LogAppendTime"];
const LONGEST: &str = "9223372036854775807";

/// By name, ascending.
pub(in crate::broker) static SETTINGS: &[Setting] = &[
    setting("cleanup.policy", Kind::SomeOf(POLICIES), "delete", Some("log.cleanup.policy")),
    setting("compression.gzip.level", Kind::Int { least: -1, most: 9 }, "-1", Some("compression.gzip.level")),
    setting("compression.lz4.level", Kind::Int { least: 1, most: 17 }, "9", Some("compression.lz4.level")),
    setting("compression.type", Kind::OneOf(CODECS), "producer", Some("compression.type")),
    setting(
        "compression.zstd.level",
        Kind::Int { least: -131_072, most: 22 },
        "3",
        Some("compression.zstd.level"),
    ),
    setting("delete.retention.ms", long(0), "86400000", Some("log.cleaner.delete.retention.ms")),
    setting("file.delete.delay.ms", long(0), "60000", Some("log.segment.delete.delay.ms")),
    setting("flush.messages", long(1), LONGEST, Some("log.flush.interval.messages")),
    setting("flush.ms", long(0), LONGEST, None),
    setting("follower.replication.throttled.replicas", Kind::List, "", None),
    setting("index.interval.bytes", int(0), "4096", Some("log.index.interval.bytes")),
    setting("leader.replication.throttled.replicas", Kind::List, "", None),
    setting("local.retention.bytes", long(-2), "-2", Some("log.local.retention.bytes")),
    setting("local.retention.ms", long(-2), "-2", Some("log.local.retention.ms")),
    setting("max.compaction.lag.ms", long(1), LONGEST, Some("log.cleaner.max.compaction.lag.ms")),
    setting("max.message.bytes", int(0), "1048588", Some("message.max.bytes")),
    setting("message.timestamp.after.max.ms", long(0), "3600000", Some("log.message.timestamp.after.max.ms")),
    setting("message.timestamp.before.max.ms", long(0), LONGEST, Some("log.message.timestamp.before.max.ms")),
    setting("message.timestamp.type", Kind::OneOf(TIMES), "CreateTime", Some("log.message.timestamp.type")),
    setting("min.cleanable.dirty.ratio", Kind::Ratio, "0.5", Some("log.cleaner.min.cleanable.ratio")),
    setting("min.compaction.lag.ms", long(0), "0", Some("log.cleaner.min.compaction.lag.ms")),
    setting("min.insync.replicas", int(1), "1", Some("min.insync.replicas")),
    setting("preallocate", Kind::Boolean, "false", Some("log.preallocate")),
    setting("remote.log.copy.disable", Kind::Boolean, "false", None),
    setting("remote.log.delete.on.disable", Kind::Boolean, "false", None),
    setting("remote.storage.enable", Kind::Boolean, "false", None),
    setting("retention.bytes", long(-1), "-1", Some("log.retention.bytes")),
    setting("retention.ms", long(-1), "604800000", None),
    setting("segment.bytes", int(1024 * 1024), "1073741824", Some("log.segment.bytes")),
    setting("segment.index.bytes", int(4), "10485760", Some("log.index.size.max.bytes")),
    setting("segment.jitter.ms", long(0), "0", None),
    setting("segment.ms", long(1), "604800000", None),
    setting("unclean.leader.election.enable", Kind::Boolean, "false", Some("unclean.leader.election.enable")),
];

/// The setting of a name.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    let index = SETTINGS.binary_search_by_key(&name, |setting| setting.name).ok()?;
    SETTINGS.get(index)
}

/// The default of a setting.
pub(super) fn default(name: &str) -> &'static str {
    find(name).map_or("", |setting| setting.default)
}

impl Setting {
    /// Its type as DescribeConfigs numbers types.
    pub(in crate::broker) fn config_type(&self) -> i8 {
        match self.kind {
            Kind::Boolean => 1,
            Kind::OneOf(_) => 2,
            Kind::Int { .. } => 3,
            Kind::Long { .. } => 5,
            Kind::Ratio => 6,
            Kind::SomeOf(_) | Kind::List => 7,
        }
    }

    /// Whether its value is a list that can be added to.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.kind, Kind::SomeOf(_) | Kind::List)
    }

    /// Checks a value, and gives it as it is told.
    ///
    /// # Errors
    /// A sentence for the client.
    pub(super) fn check(&self, value: &str) -> Result<Text, String> {
        let invalid =
            |why: String| Err(format!("Invalid value {value} for configuration {}: {why}", self.name));
        let trimmed = value.trim();
        let whole = |least: i64, most: i64, of: &str| match trimmed.parse::<i64>() {
            Ok(number) if number < least => invalid(format!("Value must be at least {least}")),
            Ok(number) if number > most => invalid(format!("Value must be no more than {most}")),
            Ok(number) => Ok(Text::from(number.to_string())),
            Err(_) => invalid(format!("Not a number of type {of}")),
        };
        match self.kind {
            Kind::Boolean => match trimmed.to_ascii_lowercase().as_str() {
                word @ ("true" | "false") => Ok(word.into()),
                _ => invalid("Expected value to be either true or false".to_owned()),
            },
            Kind::Int { least, most } => whole(least, most, "INT"),
            Kind::Long { least } => whole(least, i64::MAX, "LONG"),
            Kind::Ratio => match trimmed.parse::<f64>() {
                Ok(number) if (0.0..=1.0).contains(&number) => Ok(Text::from(format!("{number:?}"))),
                Ok(_) => invalid("Value must be between 0 and 1".to_owned()),
                Err(_) => invalid("Not a number of type DOUBLE".to_owned()),
            },
            Kind::OneOf(words) if words.contains(&trimmed) => Ok(trimmed.into()),
            Kind::OneOf(words) => invalid(format!("String must be one of: {}", words.join(", "))),
            Kind::SomeOf(words) => match parts(trimmed).all(|word| words.contains(&word)) {
                true => Ok(joined(trimmed)),
                false => invalid(format!("String must be one of: {}", words.join(", "))),
            },
            Kind::List => Ok(joined(trimmed)),
        }
    }
}

/// The words of a list.
pub(super) fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn joined(list: &str) -> Text {
    parts(list).collect::<Vec<_>>().join(",").into()
}
