//! Values as JSON with sorted keys, so that equal values are equal bytes.

use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use serde::ser::{self, Serialize};
use std::fmt::{self, Display};

/// The value as JSON. Keys are sorted whatever order `serde_json` keeps: another crate may have turned on
/// `preserve_order` for the whole program.
pub(super) fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    let attempt = "write a value as JSON";
    // serde_json writes NaN and infinities as null, which would be a silent loss.
    value
        .serialize(Finite)
        .map_err(|error| Error::new(ErrorKind::Serialization, attempt).with_source(error))?;
    let fail = |error: serde_json::Error| Error::new(ErrorKind::Serialization, attempt).with_source(error);
    let mut tree = serde_json::to_value(value).map_err(fail)?;
    tree.sort_all_objects();
    serde_json::to_vec(&tree).map(Bytes::from).map_err(fail)
}

/// A serializer that writes nothing and finds numbers that JSON cannot say.
#[derive(Clone, Copy)]
struct Finite;

#[derive(Debug)]
struct NotFinite(String);

impl Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotFinite {}

impl ser::Error for NotFinite {
    fn custom<T: Display>(message: T) -> NotFinite {
        NotFinite(message.to_string())
    }
}

type Checked = std::result::Result<(), NotFinite>;

macro_rules! harmless {
    ($($method:ident($t:ty)),* $(,)?) => { $( fn $method(self, _: $t) -> Checked { Ok(()) } )* };
}

impl ser::Serializer for Finite {
    type Ok = ();
    type Error = NotFinite;
    type SerializeSeq = Finite;
    type SerializeTuple = Finite;
    type SerializeTupleStruct = Finite;
    type SerializeTupleVariant = Finite;
    type SerializeMap = Finite;
    type SerializeStruct = Finite;
    type SerializeStructVariant = Finite;

    harmless!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_u128(u128),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
        serialize_unit_struct(&'static str),
    );

    fn serialize_f32(self, number: f32) -> Checked {
        self.serialize_f64(f64::from(number))
    }

    fn serialize_f64(self, number: f64) -> Checked {
        if number.is_finite() { Ok(()) } else { Err(NotFinite(format!("JSON has no number {number}"))) }
    }

    fn serialize_none(self) -> Checked {
        Ok(())
    }

    fn serialize_unit(self) -> Checked {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Checked {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Checked {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Checked {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Checked {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> std::result::Result<Finite, NotFinite> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> std::result::Result<Finite, NotFinite> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> std::result::Result<Finite, NotFinite> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> std::result::Result<Finite, NotFinite> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> std::result::Result<Finite, NotFinite> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> std::result::Result<Finite, NotFinite> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> std::result::Result<Finite, NotFinite> {
        Ok(self)
    }
}

macro_rules! elements {
    ($($of:ident: $method:ident($($name:ty)?)),* $(,)?) => { $(
        impl ser::$of for Finite {
            type Ok = ();
            type Error = NotFinite;

            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Checked {
                value.serialize(Finite)
            }

            fn end(self) -> Checked {
                Ok(())
            }
        }
    )* };
}
elements!(
    SerializeSeq: serialize_element(),
    SerializeTuple: serialize_element(),
    SerializeTupleStruct: serialize_field(),
    SerializeTupleVariant: serialize_field(),
    SerializeStruct: serialize_field(&'static str),
    SerializeStructVariant: serialize_field(&'static str),
);

impl ser::SerializeMap for Finite {
    type Ok = ();
    type Error = NotFinite;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Checked {
        key.serialize(Finite)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
        value.serialize(Finite)
    }

    fn end(self) -> Checked {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;
    use std::collections::HashMap;

    #[derive(Serialize)]
    struct Order {
        status: &'static str,
        id: u32,
        lines: Vec<HashMap<&'static str, f64>>,
    }

    fn order(price: f64) -> Order {
        Order { status: "paid", id: 7, lines: vec![HashMap::from([("price", price), ("count", 2.0)])] }
    }

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let bytes = to_bytes(&order(1.5)).unwrap();
        assert_eq!(&bytes[..], br#"{"id":7,"lines":[{"count":2.0,"price":1.5}],"status":"paid"}"#);
    }

    #[test]
    fn a_number_that_is_none_is_an_error_and_not_null() {
        for price in [f64::NAN, f64::INFINITY] {
            let error = to_bytes(&order(price)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Serialization);
            assert!(error.to_string().contains("JSON has no number"), "{error}");
        }
    }

    #[test]
    fn a_map_whose_keys_are_no_strings_is_an_error() {
        assert!(to_bytes(&HashMap::from([((1, 2), 3)])).is_err());
    }
}
