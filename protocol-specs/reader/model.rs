//! What a spec says, as data.

use super::Value;
use std::fmt;

/// A closed range of versions; empty when `first` is above `last`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The first.
    pub first: i16,
    /// The last; `i16::MAX` for "and later".
    pub last: i16,
}

impl Versions {
    /// No version.
    pub const NONE: Versions = Versions { first: 0, last: -1 };

    /// `3+`, `8-10` or `7`.
    pub fn parse(text: &str) -> Option<Versions> {
        let number = |digits: &str| digits.parse::<i16>().ok().filter(|n| *n >= 0);
        let versions = match (text.strip_suffix('+'), text.split_once('-')) {
            (Some(first), _) => Versions { first: number(first)?, last: i16::MAX },
            (None, Some((first, last))) => Versions { first: number(first)?, last: number(last)? },
            (None, None) => Versions { first: number(text)?, last: number(text)? },
        };
        (!versions.is_empty()).then_some(versions)
    }

    /// Whether `version` lies within.
    pub fn has(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }

    /// Whether there is no version within.
    pub fn is_empty(self) -> bool {
        self.first > self.last
    }

    /// The versions in both.
    pub fn within(self, outer: Versions) -> Versions {
        let both = Versions { first: self.first.max(outer.first), last: self.last.min(outer.last) };
        if both.is_empty() { Versions::NONE } else { both }
    }

    /// Each version.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = i16> {
        self.first..=self.last
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            _ if self.is_empty() => f.write_str("none"),
            (first, i16::MAX) => write!(f, "{first}+"),
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

impl fmt::Debug for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One API.
#[derive(Debug)]
pub struct Api {
    /// Its number on the wire.
    pub key: i16,
    /// Its name.
    pub name: String,
    /// The versions that Kafka serves, unstable ones included.
    pub versions: Versions,
    /// Those that Kafka has behind a switch.
    pub unstable: Versions,
    /// The kinds of node that serve it.
    pub answered_by: Vec<String>,
    /// What it is for.
    pub about: String,
    /// What each version changed.
    pub changes: Vec<Change>,
    /// What the client sends.
    pub request: Message,
    /// What it gets.
    pub response: Message,
}

/// Fields on their own: what goes before a request or a response, or inside a field of one.
#[derive(Debug)]
pub struct Layout {
    /// What it is for.
    pub about: String,
    /// What each version changed.
    pub changes: Vec<Change>,
    /// Its fields.
    pub message: Message,
}

/// What some versions changed.
#[derive(Debug)]
pub struct Change {
    /// The versions.
    pub versions: Versions,
    /// The change, with the KIPs behind it.
    pub text: String,
}

/// A message: a struct with versions.
#[derive(Debug)]
pub struct Message {
    /// Its versions.
    pub versions: Versions,
    /// Those with compact lengths and tagged fields.
    pub flexible: Versions,
    /// Its name and fields.
    pub body: Struct,
}

/// A struct: its fields in the order of the wire, tagged ones last and by their tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Struct {
    /// Its name.
    pub name: String,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// One field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name, in snake case.
    pub name: String,
    /// The versions that have it, within those of the struct around it.
    pub versions: Versions,
    /// The versions in which it may be null, within its own.
    pub nullable: Versions,
    /// Its type.
    pub ty: Type,
    /// What its value names.
    pub entity: Option<Entity>,
    /// What stands for it where it is absent.
    pub default: Value,
    /// Its tag, if it is a tagged field.
    pub tag: Option<u32>,
    /// Whether a value may be dropped in versions without it.
    pub ignorable: bool,
    /// Whether it tells the elements of its list apart.
    pub key: bool,
    /// Whether its length keeps the old notation in flexible versions.
    pub never_flexible: bool,
    /// What it means.
    pub about: String,
}

/// The type of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// One byte, 0 or not.
    Bool,
    /// A whole number of so many bytes, signed or not, big-endian.
    Int {
        /// 1, 2, 4 or 8.
        bytes: u8,
        /// Two's complement.
        signed: bool,
    },
    /// An IEEE 754 number of eight bytes.
    Float64,
    /// Sixteen bytes.
    Uuid,
    /// UTF-8 behind its length.
    String,
    /// Bytes behind their length.
    Bytes,
    /// Record batches behind their length.
    Records,
    /// Elements behind their count.
    List(Box<Type>),
    /// Fields behind one another.
    Struct(Struct),
}

impl Type {
    /// The primitive types by name.
    pub const PRIMITIVES: &[(&str, Type)] = &[
        ("bool", Type::Bool),
        ("int8", Type::Int { bytes: 1, signed: true }),
        ("int16", Type::Int { bytes: 2, signed: true }),
        ("uint16", Type::Int { bytes: 2, signed: false }),
        ("int32", Type::Int { bytes: 4, signed: true }),
        ("uint32", Type::Int { bytes: 4, signed: false }),
        ("int64", Type::Int { bytes: 8, signed: true }),
        ("float64", Type::Float64),
        ("uuid", Type::Uuid),
        ("string", Type::String),
        ("bytes", Type::Bytes),
        ("records", Type::Records),
    ];

    /// Whether the type has a null at all.
    pub fn has_null(&self) -> bool {
        matches!(self, Type::String | Type::Bytes | Type::Records | Type::List(_) | Type::Struct(_))
    }

    /// The numbers that a whole number can be.
    pub fn range(&self) -> Option<(i128, i128)> {
        let Type::Int { bytes, signed } = self else { return None };
        let bits = u32::from(*bytes) * 8;
        Some(if *signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::List(element) => write!(f, "[{element}]"),
            Type::Struct(body) => f.write_str(&body.name),
            primitive => {
                let name = Type::PRIMITIVES.iter().find(|(_, ty)| ty == primitive).map(|(name, _)| *name);
                f.write_str(name.unwrap_or("?"))
            }
        }
    }
}

/// What a value names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    /// A topic's name.
    Topic,
    /// A broker's id.
    Broker,
    /// A group's id.
    Group,
    /// A producer's id.
    Producer,
    /// A transactional id.
    Transaction,
    /// An error code.
    Error,
}

impl Entity {
    /// By its word in the notation, with the type that it has.
    pub const ALL: &[(&str, Entity, &str)] = &[
        ("topic", Entity::Topic, "string"),
        ("broker", Entity::Broker, "int32"),
        ("group", Entity::Group, "string"),
        ("producer", Entity::Producer, "int64"),
        ("transaction", Entity::Transaction, "string"),
        ("error", Entity::Error, "int16"),
    ];
}
