//! Ranges of API versions.

use std::fmt;

/// A closed range of API versions; `u16`-like, but versions are `i16` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "plain data of a hidden module, built by `message!`")]
pub struct Span {
    /// The first version.
    pub first: i16,
    /// The last version; `i16::MAX` reads "and later".
    pub last: i16,
}

impl Span {
    /// No version at all.
    pub const NONE: Span = Span { first: 1, last: 0 };

    /// The versions `first` to `last`.
    pub const fn new(first: i16, last: i16) -> Span {
        Span { first, last }
    }

    /// `first` and every later version.
    pub const fn from(first: i16) -> Span {
        Span { first, last: i16::MAX }
    }

    /// Whether `version` lies in the range.
    #[inline(always)]
    pub const fn has(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }

    /// Whether no version lies in the range.
    pub const fn is_empty(self) -> bool {
        self.first > self.last
    }

    /// The versions in both.
    pub const fn intersect(self, other: Span) -> Span {
        Span {
            first: if self.first > other.first { self.first } else { other.first },
            last: if self.last < other.last { self.last } else { other.last },
        }
    }

    /// This range, or `other` when this one is empty: how the flags of a table row are folded.
    pub const fn or(self, other: Span) -> Span {
        if self.is_empty() { other } else { self }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            _ if self.is_empty() => f.write_str("none"),
            (first, i16::MAX) => write!(f, "{first}+"),
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}
