//! The `message!` table: one row describes a field once, and gives it everywhere.
//!
//! From each row come the struct's field, its default, its decoding, encoding and exact size, and its line in the schema
//! listing, for both directions. Layouts that are not rows of fields (headers, record batches) are hand-written
//! [`Wire`](super::Wire) impls; the table's notation stays small.

use super::{Counter, Sink, Wire, Writer};

/// Describes structs of the protocol.
///
/// ```text
/// message! {
///     /// What it is.
///     pub struct Name {
///         /// What the field means.
///         VERSIONS => field: Type = default, flags;
///     }
///     tags {
///         TAG: VERSIONS => field: Type = default, flags;
///     }
/// }
/// ```
///
/// `VERSIONS` is `3..` or `8..=10`. The default is the type's own when none is written. Flags are `null VERSIONS` (the
/// field, an `Option`, may be null in these) and `ignorable` (a value is dropped in a version that lacks the field;
/// otherwise encoding it there is an error). Fields of `tags` are written in ascending order of their tags, and only
/// when they differ from their default (KIP-482).
#[macro_export]
#[doc(hidden)]
macro_rules! message {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$fmeta:meta])*
               $lo:literal $dots:tt $($hi:literal)? => $f:ident : $t:ty $(= $d:expr)?
               $(, $flag:ident $($flo:literal $fdots:tt $($fhi:literal)?)?)* ; )*
        }
        $( tags {
            $( $(#[$gmeta:meta])*
               $tag:literal : $glo:literal $gdots:tt $($ghi:literal)? => $g:ident : $gt:ty $(= $gd:expr)?
               $(, $gflag:ident $($gflo:literal $gfdots:tt $($gfhi:literal)?)?)* ; )*
        } )?
    )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::exhaustive_structs, reason = "messages are plain data outside semver, built with ..Default")]
        pub struct $name {
            $( $(#[$fmeta])* pub $f: $t, )*
            $($( $(#[$gmeta])* pub $g: $gt, )*)?
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                $name {
                    $( $f: $crate::message_default!($($d)?), )*
                    $($( $g: $crate::message_default!($($gd)?), )*)?
                }
            }
        }

        #[allow(unused_variables, unused_mut, reason = "a struct may have no fields or no tagged ones")]
        impl $crate::wire::Wire for $name {
            const TYPE: $crate::wire::schema::Type = $crate::wire::schema::Type::Struct(stringify!($name), &[
                $( $crate::wire::schema::Field {
                    name: stringify!($f),
                    versions: $crate::message_span!($lo $dots $($hi)?),
                    nullable: $crate::wire::Span::NONE
                        $(.or($crate::message_null!($flag $($flo $fdots $($fhi)?)?)))*,
                    tag: None,
                    ty: <$t as $crate::wire::Wire>::TYPE,
                    ignorable: false $(| $crate::message_ignorable!($flag))*,
                    default: |version, flexible| {
                        let value: $t = $crate::message_default!($($d)?);
                        $crate::wire::default_bytes(&value, version, flexible)
                    },
                }, )*
                $($( $crate::wire::schema::Field {
                    name: stringify!($g),
                    versions: $crate::message_span!($glo $gdots $($ghi)?),
                    nullable: $crate::wire::Span::NONE
                        $(.or($crate::message_null!($gflag $($gflo $gfdots $($gfhi)?)?)))*,
                    tag: Some($tag),
                    ty: <$gt as $crate::wire::Wire>::TYPE,
                    ignorable: false $(| $crate::message_ignorable!($gflag))*,
                    default: |version, flexible| {
                        let value: $gt = $crate::message_default!($($gd)?);
                        $crate::wire::default_bytes(&value, version, flexible)
                    },
                }, )*)?
            ]);

            #[inline]
            fn min_wire(version: i16, flexible: bool) -> usize {
                let mut least = usize::from(flexible);
                $( if $crate::message_span!($lo $dots $($hi)?).has(version) {
                    least = least.saturating_add(<$t as $crate::wire::Wire>::min_wire(version, flexible));
                } )*
                least.max(1)
            }

            fn encode<S: $crate::wire::Sink>(&self, sink: &mut S) {
                let version = sink.version();
                $(
                    sink.at(&$crate::wire::Place { message: stringify!($name), field: stringify!($f) });
                    if $crate::message_span!($lo $dots $($hi)?).has(version) {
                        $( $crate::message_check_null!($flag $($flo $fdots $($fhi)?)?, sink, self.$f); )*
                        $crate::wire::Wire::encode(&self.$f, sink);
                    } else if !(false $(| $crate::message_ignorable!($flag))*) {
                        let default: $t = $crate::message_default!($($d)?);
                        if self.$f != default {
                            sink.fail($crate::wire::Fault::NotInVersion(version));
                        }
                    }
                )*
                let mut tagged = 0u32;
                $($(
                    sink.at(&$crate::wire::Place { message: stringify!($name), field: stringify!($g) });
                    let $g = {
                        let default: $gt = $crate::message_default!($($gd)?);
                        self.$g != default
                    };
                    let present = sink.flexible() && $crate::message_span!($glo $gdots $($ghi)?).has(version);
                    if $g && !present && !(false $(| $crate::message_ignorable!($gflag))*) {
                        sink.fail($crate::wire::Fault::NotInVersion(version));
                    }
                    let $g = $g && present;
                    tagged = tagged.saturating_add(u32::from($g));
                )*)?
                if sink.flexible() {
                    sink.uvarint(tagged);
                    $($( if $g {
                        sink.at(&$crate::wire::Place { message: stringify!($name), field: stringify!($g) });
                        $( $crate::message_check_null!($gflag $($gflo $gfdots $($gfhi)?)?, sink, self.$g); )*
                        $crate::wire::put_tagged(sink, $tag, &self.$g);
                    } )*)?
                }
            }

            fn decode(reader: &mut $crate::wire::Reader<'_>) -> Self {
                let version = reader.version();
                let mut value = $name {
                    $( $f: if $crate::message_span!($lo $dots $($hi)?).has(version) {
                        reader.at(&$crate::wire::Place { message: stringify!($name), field: stringify!($f) });
                        let field = <$t as $crate::wire::Wire>::decode(reader);
                        $( $crate::message_check_null!($flag $($flo $fdots $($fhi)?)?, reader, field); )*
                        field
                    } else {
                        $crate::message_default!($($d)?)
                    }, )*
                    $($( $g: $crate::message_default!($($gd)?), )*)?
                };
                reader.at(&$crate::wire::Place { message: stringify!($name), field: "tagged fields" });
                reader.tagged_fields(|tag, reader| match tag {
                    $($( $tag if $crate::message_span!($glo $gdots $($ghi)?).has(version) => {
                        reader.at(&$crate::wire::Place { message: stringify!($name), field: stringify!($g) });
                        value.$g = $crate::wire::Wire::decode(reader);
                        $( $crate::message_check_null!($gflag $($gflo $gfdots $($gfhi)?)?, reader, value.$g); )*
                        true
                    } )*)?
                    _ => false,
                });
                value
            }

            fn faults(&self, see: &mut dyn FnMut(i16)) {
                $( $crate::wire::Wire::faults(&self.$f, see); )*
                $($( $crate::wire::Wire::faults(&self.$g, see); )*)?
            }
        }

        impl $crate::wire::Nullable for $name {
            fn encode_option<S: $crate::wire::Sink>(value: Option<&Self>, sink: &mut S) {
                match value {
                    Some(value) => {
                        sink.put(&[1]);
                        $crate::wire::Wire::encode(value, sink);
                    }
                    None => sink.put(&[0xff]),
                }
            }

            fn decode_option(reader: &mut $crate::wire::Reader<'_>) -> Option<Self> {
                let marker = i8::from_be_bytes(reader.array());
                (marker >= 0).then(|| <Self as $crate::wire::Wire>::decode(reader))
            }
        }
    )* };
}

/// A row's default.
#[macro_export]
#[doc(hidden)]
macro_rules! message_default {
    () => {
        ::core::default::Default::default()
    };
    ($d:expr) => {
        $d
    };
}

/// A row's versions.
#[macro_export]
#[doc(hidden)]
macro_rules! message_span {
    ($lo:literal ..) => {
        $crate::wire::Span::from($lo)
    };
    ($lo:literal ..= $hi:literal) => {
        $crate::wire::Span::new($lo, $hi)
    };
}

/// The versions of a `null` flag; one arm a flag.
#[macro_export]
#[doc(hidden)]
macro_rules! message_null {
    (null $lo:literal $dots:tt $($hi:literal)?) => { $crate::message_span!($lo $dots $($hi)?) };
    (ignorable) => { $crate::wire::Span::NONE };
}

/// Whether a flag is `ignorable`; one arm a flag.
#[macro_export]
#[doc(hidden)]
macro_rules! message_ignorable {
    (null) => {
        false
    };
    (ignorable) => {
        true
    };
}

/// Checks a field against its `null` flag; one arm a flag.
#[macro_export]
#[doc(hidden)]
macro_rules! message_check_null {
    (null $lo:literal $dots:tt $($hi:literal)?, $end:expr, $field:expr) => {
        $end.check_null($field.is_none(), $crate::message_span!($lo $dots $($hi)?))
    };
    (ignorable, $end:expr, $field:expr) => {};
}

/// Appends one tagged field: tag, size, value.
pub fn put_tagged<T: Wire, S: Sink>(sink: &mut S, tag: u32, value: &T) {
    let mut counter = Counter::new(sink.version(), sink.flexible());
    value.encode(&mut counter);
    sink.uvarint(tag);
    // A value of 4 GiB cannot be in memory as a message: its frame would not be let through.
    sink.uvarint(u32::try_from(counter.count()).unwrap_or(u32::MAX));
    value.encode(sink);
}

/// A default as the schema listing shows it: its bytes.
pub fn default_bytes<T: Wire>(value: &T, version: i16, flexible: bool) -> Vec<u8> {
    let mut counter = Counter::new(version, flexible);
    value.encode(&mut counter);
    let mut out = vec![0; counter.count()];
    value.encode(&mut Writer::new(&mut out, version, flexible));
    out
}
