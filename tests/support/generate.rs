//! Messages made up at random from the specs.

use super::reader::{Field, Message, Struct, Type, Value};
use proptest::collection::vec;
use proptest::prelude::*;

/// Any value that a message can have in a version. What the version lacks has its default.
pub fn message(message: &Message, version: i16) -> BoxedStrategy<Value> {
    body(&message.body, version)
}

fn body(body: &Struct, version: i16) -> BoxedStrategy<Value> {
    let fields: Vec<_> = body.fields.iter().map(|each| field(each, version)).collect();
    fields.prop_map(Value::Struct).boxed()
}

fn field(field: &Field, version: i16) -> BoxedStrategy<Value> {
    if !field.versions.has(version) {
        return Just(field.default.clone()).boxed();
    }
    let default = || Just(field.default.clone());
    match (field.nullable.has(version), field.default == Value::Null) {
        // A default of null outside the versions that have null is never sent.
        (false, true) => value(&field.ty, version),
        (false, false) => prop_oneof![1 => default(), 4 => value(&field.ty, version)].boxed(),
        (true, _) => {
            prop_oneof![1 => default(), 1 => Just(Value::Null), 4 => value(&field.ty, version)].boxed()
        }
    }
}

fn value(ty: &Type, version: i16) -> BoxedStrategy<Value> {
    match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Int { .. } => int(ty),
        Type::Float64 => any::<u64>().prop_map(Value::Float).boxed(),
        Type::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        Type::String => {
            let long = (120..140usize).prop_map(|length| "x".repeat(length));
            prop_oneof![1 => Just(String::new()), 4 => "[a-z.-]{1,12}", 2 => "\\PC{1,6}", 1 => long]
                .prop_map(Value::Text)
                .boxed()
        }
        Type::Bytes | Type::Records => {
            // Above 4,096 bytes a gathering sink does not copy.
            let long = prop_oneof![Just(vec![7; 127]), Just(vec![8; 4096]), Just(vec![9; 17_000])];
            prop_oneof![8 => vec(any::<u8>(), 0..24), 1 => long].prop_map(Value::Bytes).boxed()
        }
        Type::List(element) => {
            let element = value(element, version);
            let long = match ty {
                Type::List(inner) if matches!(**inner, Type::Struct(_)) => 4,
                _ => 140,
            };
            prop_oneof![8 => vec(element.clone(), 0..3), 1 => vec(element, 0..long)]
                .prop_map(Value::List)
                .boxed()
        }
        Type::Struct(inner) => body(inner, version),
    }
}

/// Whole numbers, the ends of their range more often than the rest.
fn int(ty: &Type) -> BoxedStrategy<Value> {
    let (min, max) = ty.range().expect("a whole number");
    let (min, max) = (i64::try_from(min).expect("64 bits"), i64::try_from(max).expect("64 bits"));
    let edges = prop_oneof![Just(0), Just(1), Just(min), Just(max), Just(if min < 0 { -1 } else { 2 })];
    prop_oneof![1 => edges, 2 => min..=max, 2 => 0..=100i64].prop_map(Value::Int).boxed()
}
