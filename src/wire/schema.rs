//! What a message says of itself: the listing that conformance tests compare with `protocol-specs/`.
#![expect(clippy::exhaustive_enums, clippy::exhaustive_structs, reason = "plain data of a hidden module")]

use super::Span;

/// The type of a value on the wire.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// A primitive, by Kafka's name: `int32`, `string`, `bytes`, `records`, `uuid`..
    Primitive(&'static str),
    /// A list.
    Array(&'static Type),
    /// A struct: its name and its fields in the order of the wire, tagged ones last.
    Struct(&'static str, &'static [Field]),
}

/// One field of a struct.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Kafka's name in snake case.
    pub name: &'static str,
    /// The versions that have it.
    pub versions: Span,
    /// The versions in which it may be null.
    pub nullable: Span,
    /// The tag of a tagged field (KIP-482).
    pub tag: Option<u32>,
    /// Its type.
    pub ty: Type,
    /// Whether a value may be dropped silently in a version that lacks the field.
    pub ignorable: bool,
    /// The default, encoded as the given version and flexibility does it.
    pub default: fn(i16, bool) -> Vec<u8>,
}
