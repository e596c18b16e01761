//! A message as data.

use super::{Field, Struct, Type};

/// The value of a field, a struct or a list.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Null.
    Null,
    /// `bool`.
    Bool(bool),
    /// Any whole number.
    Int(i64),
    /// `float64`, as its bits, so that every value equals itself.
    Float(u64),
    /// `uuid`.
    Uuid([u8; 16]),
    /// `string`.
    Text(String),
    /// `bytes` and `records`.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A struct: a value for each field of its spec, also for those that the version lacks.
    Struct(Vec<Value>),
}

impl Value {
    /// The value of a type when nothing else is said: zero, `false`, empty, or the struct of defaults.
    pub fn default_of(ty: &Type) -> Value {
        match ty {
            Type::Bool => Value::Bool(false),
            Type::Int { .. } => Value::Int(0),
            Type::Float64 => Value::Float(0),
            Type::Uuid => Value::Uuid([0; 16]),
            Type::String => Value::Text(String::new()),
            Type::Bytes | Type::Records => Value::Bytes(Vec::new()),
            Type::List(_) => Value::List(Vec::new()),
            Type::Struct(body) => Value::of_defaults(body),
        }
    }

    /// The struct of defaults.
    pub fn of_defaults(body: &Struct) -> Value {
        Value::Struct(body.fields.iter().map(|field| field.default.clone()).collect())
    }

    /// Shows every field of a struct value, and of those inside it, that `version` has.
    pub fn walk<'a>(&'a self, body: &'a Struct, version: i16, see: &mut dyn FnMut(&'a Field, &'a Value)) {
        let Value::Struct(values) = self else { return };
        for (field, value) in body.fields.iter().zip(values).filter(|(field, _)| field.versions.has(version))
        {
            see(field, value);
            match (&field.ty, value) {
                (Type::Struct(inner), value) => value.walk(inner, version, see),
                (Type::List(element), Value::List(list)) => {
                    if let Type::Struct(inner) = element.as_ref() {
                        list.iter().for_each(|value| value.walk(inner, version, see));
                    }
                }
                _ => {}
            }
        }
    }
}
