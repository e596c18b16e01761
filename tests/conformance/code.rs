//! The codec's own listing against the specs: the messages, and the table of APIs.

use crate::compare::{self, Names};
use crate::support::codec::type_of_layout;
use crate::support::reader::interpreter::decode_field;
use crate::support::reader::{Api, Book, Field, Message, Struct, Type, Value, Versions};
use ottla::messages::APIS;
use ottla::wire::{Span, schema};

#[test]
fn the_table_of_apis_equals_the_specs() {
    let book = Book::read().unwrap();
    let specs: Vec<i16> = book.apis.iter().map(|api| api.key).collect();
    let spoken: Vec<i16> = APIS.iter().map(|api| api.key.0).collect();
    assert_eq!(spoken, specs, "one spec for each API that is spoken");
    for (api, row) in book.apis.iter().zip(APIS) {
        let stable = Versions { first: api.versions.first, last: api.versions.last - count(api.unstable) };
        assert_eq!(row.name(), api.name);
        assert_eq!(versions(row.versions), api.versions, "{}: versions", api.name);
        assert_eq!(versions(row.negotiable), stable, "{}: negotiable versions", api.name);
        let flexible = versions(row.flexible).within(api.versions);
        assert_eq!(flexible, api.request.flexible, "{}: flexible versions", api.name);
        let throttles = versions(row.client_throttles).within(api.versions);
        assert_eq!(throttles, client_throttles(api), "{}: versions since KIP-219", api.name);
    }
}

fn count(versions: Versions) -> i16 {
    i16::try_from(versions.iter().count()).unwrap()
}

/// The versions from the one on whose line names KIP-219.
fn client_throttles(api: &Api) -> Versions {
    let since = api.changes.iter().find(|change| change.text.contains("KIP-219"));
    since.map_or(Versions::NONE, |change| Versions { first: change.versions.first, last: api.versions.last })
}

#[test]
fn the_codecs_messages_equal_the_specs() {
    let book = Book::read().unwrap();
    let mut found = Vec::new();
    for (api, row) in book.apis.iter().zip(APIS) {
        for (spec, ty) in [(&api.request, row.request), (&api.response, row.response)] {
            found.extend(compare::messages(&bare(spec), &listed(spec, ty), Names::Exact));
        }
    }
    for spec in book.headers.iter().chain(&book.data).map(|layout| &layout.message) {
        let ty = type_of_layout(&spec.body.name);
        found.extend(compare::messages(&bare(spec), &listed(spec, ty), Names::Exact));
    }
    assert!(found.is_empty(), "{} differences of specs and code:\n{}", found.len(), found.join("\n"));
}

/// A spec without what the listing does not say.
fn bare(spec: &Message) -> Message {
    fn strip(body: &mut Struct) {
        for field in &mut body.fields {
            (field.entity, field.key) = (None, false);
            match &mut field.ty {
                Type::Struct(inner) => strip(inner),
                Type::List(element) => {
                    if let Type::Struct(inner) = element.as_mut() {
                        strip(inner);
                    }
                }
                _ => {}
            }
        }
    }
    let mut body = spec.body.clone();
    strip(&mut body);
    Message { versions: spec.versions, flexible: spec.flexible, body }
}

/// What the codec lists of a message, in the terms of the specs.
fn listed(spec: &Message, ty: schema::Type) -> Message {
    let schema::Type::Struct(name, fields) = ty else { panic!("{} is a struct", spec.body.name) };
    let body = listed_struct(spec, name, fields, spec.versions);
    Message { versions: spec.versions, flexible: spec.flexible, body }
}

fn listed_struct(spec: &Message, name: &str, fields: &[schema::Field], around: Versions) -> Struct {
    let fields = fields.iter().map(|field| listed_field(spec, field, around)).collect();
    Struct { name: name.to_owned(), fields }
}

fn listed_field(spec: &Message, field: &schema::Field, around: Versions) -> Field {
    let present = versions(field.versions).within(around);
    assert!(!present.is_empty(), "{}.{} is in no version", spec.body.name, field.name);
    let mut listed = Field {
        name: field.name.to_owned(),
        versions: present,
        nullable: versions(field.nullable).within(present),
        ty: listed_type(spec, field.ty, present),
        entity: None,
        default: Value::Null,
        tag: field.tag,
        ignorable: field.ignorable,
        key: false,
        never_flexible: false,
        about: String::new(),
    };
    for version in present.iter() {
        let (default, never_flexible) = default(spec, field, &listed, version);
        listed.never_flexible |= never_flexible;
        assert!(version == present.first || default == listed.default, "{}: one default", field.name);
        listed.default = default;
    }
    listed
}

/// The default, which the listing shows as its bytes, and whether its length has the old notation in a flexible version.
/// Null may be read in any version.
fn default(spec: &Message, field: &schema::Field, listed: &Field, version: i16) -> (Value, bool) {
    let nullable = if listed.nullable.is_empty() { Versions::NONE } else { spec.versions };
    let readable = Field { nullable, ..listed.clone() };
    let flexible = spec.flexible.has(version);
    let bytes = (field.default)(version, flexible);
    match decode_field(&readable, version, flexible, &bytes) {
        Ok(value) => (value, false),
        Err(error) => match decode_field(&readable, version, false, &bytes) {
            Ok(value) => (value, true),
            Err(_) => panic!("default of {} in version {version}: {error}", field.name),
        },
    }
}

fn listed_type(spec: &Message, ty: schema::Type, around: Versions) -> Type {
    match ty {
        schema::Type::Array(element) => Type::List(Box::new(listed_type(spec, *element, around))),
        schema::Type::Struct(name, fields) => Type::Struct(listed_struct(spec, name, fields, around)),
        schema::Type::Primitive(name) => {
            let known = Type::PRIMITIVES.iter().find(|(primitive, _)| *primitive == name);
            known.unwrap_or_else(|| panic!("a type `{name}`")).1.clone()
        }
    }
}

fn versions(span: Span) -> Versions {
    if span.is_empty() { Versions::NONE } else { Versions { first: span.first, last: span.last } }
}
