//! Messages with one long list each, for what they cost in memory.

use super::reader::{Struct, Type, Value};

/// For each list of a struct, at any depth, the struct of defaults with `count` equal elements in that list, and one in
/// each list around it; with the path of the list.
pub fn each_long(
    body: &Struct,
    version: i16,
    count: usize,
    element: fn(&Type) -> Value,
) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (at, field) in body.fields.iter().enumerate().filter(|(_, field)| field.versions.has(version)) {
        let with = |value: Value| {
            let Value::Struct(mut fields) = Value::of_defaults(body) else { panic!("a struct") };
            fields[at] = value;
            Value::Struct(fields)
        };
        let inside = |inner: &Struct| {
            let lists = each_long(inner, version, count, element);
            lists
                .into_iter()
                .map(|(path, value)| (format!("{}.{path}", field.name), value))
                .collect::<Vec<_>>()
        };
        match &field.ty {
            Type::Struct(inner) => {
                found.extend(inside(inner).into_iter().map(|(path, value)| (path, with(value))))
            }
            Type::List(ty) => {
                found.push((field.name.clone(), with(Value::List(vec![element(ty); count]))));
                if let Type::Struct(inner) = ty.as_ref() {
                    let lists = inside(inner).into_iter();
                    found.extend(lists.map(|(path, value)| (path, with(Value::List(vec![value])))));
                }
            }
            _ => {}
        }
    }
    found
}

/// The element that takes the fewest bytes.
pub fn least(ty: &Type) -> Value {
    Value::default_of(ty)
}

/// An element as real messages have it: no name is empty.
pub fn usual(ty: &Type) -> Value {
    match ty {
        Type::String => Value::Text("t0001".into()),
        Type::Struct(body) => {
            let value = |ty: &Type, default: &Value| match ty {
                Type::String if *default != Value::Null => usual(ty),
                Type::Struct(_) => usual(ty),
                _ => default.clone(),
            };
            Value::Struct(body.fields.iter().map(|field| value(&field.ty, &field.default)).collect())
        }
        other => Value::default_of(other),
    }
}
