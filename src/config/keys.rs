//! The table of every setting that is known: to Apache's Java client 4.3, to librdkafka 2, and to this client alone.
//!
//! A row is a [`Key`]. The rows stand in files by whom they concern; what only librdkafka or only Java has a use for is in
//! `keys/elsewhere.rs`. Looking a key up goes by its name and its aliases, and by what an environment variable calls it.

mod common;
mod consumer;
mod elsewhere;
mod producer;
mod security;

use super::value::Kind;
pub(super) use security::NOT_PEM;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

/// A setting that is known.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Key {
    /// Its name, as the Java client writes it where it has it.
    pub name: &'static str,
    /// Other names of the same, librdkafka's for the most part.
    pub aliases: &'static [&'static str],
    /// What its value must be.
    pub kind: Kind,
    /// Its value when it is not set; `None` when there is none, or when it depends on others.
    pub default: Option<&'static str>,
    /// Whose it is.
    pub concerns: Concerns,
    /// What becomes of it.
    pub status: Status,
    /// The only values that are accepted, if not all of its type are, and why no other is.
    pub only: Option<(&'static [&'static str], &'static str)>,
    /// What it does, in a sentence; for one without effect, why.
    pub doc: &'static str,
}

/// Whose setting it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Concerns {
    /// Every client's.
    Client,
    /// The producer's.
    Producer,
    /// The consumer's.
    Consumer,
    /// The admin client's.
    Admin,
}

/// What becomes of a setting here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It does what it says.
    Used,
    /// Another name for nearly the same as this key; its value is used when this key is not set.
    StandsInFor(&'static str),
    /// Accepted and without effect, and why.
    WithoutEffect(&'static str),
    /// Refused, and why and what to do instead.
    Refused(&'static str),
}

/// What has to be in use for a setting to matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Every client.
    Client,
    /// TLS.
    Tls,
    /// SASL.
    Sasl,
    /// A producer.
    Producer,
    /// A consumer.
    Consumer,
    /// An admin client.
    Admin,
}

const INT_MAX: i64 = i32::MAX as i64;
/// Bytes or counts that are an `int` in Java.
const COUNT: Kind = Kind::Int { min: 0, max: INT_MAX };
/// Bytes that are a `long` in Java.
const LONG: Kind = Kind::Int { min: 0, max: i64::MAX };
/// Milliseconds that are an `int` in Java, or a field of 32 bits on the wire.
const MILLIS: Kind = Kind::Millis { min: 0, max: INT_MAX };
/// Milliseconds that are a `long` in Java.
const LONG_MILLIS: Kind = Kind::Millis { min: 0, max: i64::MAX };

/// The rows, file by file.
const TABLES: [&[Key]; 5] = [common::KEYS, security::KEYS, producer::KEYS, consumer::KEYS, elsewhere::KEYS];

impl Key {
    /// A setting that is used.
    const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Key {
        Key {
            name,
            aliases: &[],
            kind,
            default: None,
            concerns: Concerns::Client,
            status: Status::Used,
            only: None,
            doc,
        }
    }

    const fn default(mut self, text: &'static str) -> Key {
        self.default = Some(text);
        self
    }

    const fn also(mut self, aliases: &'static [&'static str]) -> Key {
        self.aliases = aliases;
        self
    }

    const fn only(mut self, values: &'static [&'static str], why: &'static str) -> Key {
        self.only = Some((values, why));
        self
    }

    const fn of(mut self, concerns: Concerns) -> Key {
        self.concerns = concerns;
        self
    }

    const fn stands_in_for(mut self, key: &'static str) -> Key {
        self.status = Status::StandsInFor(key);
        self
    }

    const fn without_effect(mut self, why: &'static str) -> Key {
        self.status = Status::WithoutEffect(why);
        self
    }

    const fn refused(mut self, why: &'static str) -> Key {
        self.status = Status::Refused(why);
        self
    }

    /// What has to be in use for it to matter.
    pub(super) fn part(&self) -> Part {
        let is_of = |prefixes: &[&str]| prefixes.iter().any(|prefix| self.name.starts_with(prefix));
        match self.concerns {
            Concerns::Client if is_of(&["ssl.", "enable.ssl."]) => Part::Tls,
            Concerns::Client if is_of(&["sasl.", "enable.sasl.", "https."]) => Part::Sasl,
            Concerns::Client => Part::Client,
            Concerns::Producer => Part::Producer,
            Concerns::Consumer => Part::Consumer,
            Concerns::Admin => Part::Admin,
        }
    }

    /// Whether nothing here has a use for it, whatever its value.
    pub(super) fn is_idle(&self) -> bool {
        match self.status {
            Status::WithoutEffect(_) => true,
            Status::Refused(_) => matches!(self.part(), Part::Client | Part::Admin),
            Status::Used | Status::StandsInFor(_) => false,
        }
    }

    /// Every name it has, its own first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// Every setting that is known.
pub fn all() -> impl Iterator<Item = &'static Key> {
    TABLES.into_iter().flatten()
}

/// The setting of this name or alias. librdkafka's and kcat's prefix `topic.` may stand before it.
pub fn find(name: &str) -> Option<&'static Key> {
    let names = &index().names;
    names.get(name).or_else(|| names.get(name.strip_prefix("topic.")?)).copied()
}

/// The setting of this environment variable (`KAFKA_` and the name in capitals, dots as underscores), and which of its
/// names the variable has.
pub(super) fn find_variable(variable: &str) -> Option<(&'static Key, &'static str)> {
    index().variables.get(variable).copied()
}

/// Every environment variable that is known.
pub(super) fn variables() -> impl Iterator<Item = &'static str> {
    index().variables.keys().map(String::as_str)
}

/// What an environment variable calls the setting of this name.
pub fn variable(name: &str) -> String {
    format!("KAFKA_{}", name.replace(['.', '-'], "_").to_ascii_uppercase())
}

/// The keys that stand in for this one when it is not set.
pub(super) fn stand_ins(name: &str) -> impl Iterator<Item = &'static Key> + use<'_> {
    all().filter(move |key| matches!(key.status, Status::StandsInFor(main) if main == name))
}

struct Index {
    names: HashMap<&'static str, &'static Key>,
    /// In order: of two that are as near, the same one is always named.
    variables: BTreeMap<String, (&'static Key, &'static str)>,
}

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index = Index { names: HashMap::new(), variables: BTreeMap::new() };
        for key in all() {
            for name in key.names() {
                index.names.insert(name, key);
                // `KAFKA_DEBUG` or `KAFKA_LOG_LEVEL` is some other program's: no dot makes it Kafka's.
                if name.contains('.') || !key.is_idle() {
                    index.variables.insert(variable(name), (key, name));
                }
            }
        }
        index
    })
}
