//! The specs against Apache Kafka's definitions, which lie in the jar of its client under `common/message`.
//!
//! Compared are each API's key, versions, flexible and unstable versions and who answers it, and of each field order,
//! type, versions, nullability, tag, default, `ignorable`, key and entity. Versions count as far as they can occur: Kafka
//! writes `0+` for a field of an API whose oldest version is 4.

use crate::compare::{self, Names};
use crate::support::kafka::files_of_clients_jar;
use crate::support::reader::{Book, Entity, Field, Message, Struct, Type, Value, Versions};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

#[test]
fn specs_equal_apache_kafkas_definitions() {
    let Some(files) = files_of_clients_jar("common/message/") else { return };
    let definitions: BTreeMap<String, Json> = files
        .iter()
        .filter_map(|(name, text)| Some((name.strip_suffix(".json")?.to_owned(), json(name, text))))
        .collect();
    let book = Book::read().unwrap();
    let mut found = Vec::new();
    for api in &book.apis {
        let request = &definitions[&api.request.body.name];
        let response = &definitions[&api.response.body.name];
        found.extend(compare::messages(&api.request, &message(request), Names::Apache));
        found.extend(compare::messages(&api.response, &message(response), Names::Apache));
        let unstable = request["latestVersionUnstable"].as_bool().unwrap_or(false);
        let last = Versions { first: api.versions.last, last: api.versions.last };
        if api.unstable != if unstable { last } else { Versions::NONE } {
            found.push(format!("{}: unstable versions {}", api.name, api.unstable));
        }
        if request["apiKey"].as_i64() != Some(i64::from(api.key)) {
            found.push(format!("{}: its key is {}", api.name, request["apiKey"]));
        }
        if request["listeners"] != Json::from(api.answered_by.clone()) {
            found.push(format!("{}: answered by {}", api.name, request["listeners"]));
        }
    }
    for header in &book.headers {
        let theirs = message(&definitions[&header.message.body.name]);
        found.extend(compare::messages(&without_removed_versions(&header.message), &theirs, Names::Apache));
    }
    for data in book.data.iter().map(|data| &data.message) {
        // The user data of assignors is described by Java code only; the vectors are made by it.
        match definitions.get(&data.body.name) {
            Some(theirs) => found.extend(compare::messages(data, &message(theirs), Names::Apache)),
            None => assert!(data.body.name.ends_with("UserData"), "no definition of {}", data.body.name),
        }
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

/// Request header 0 was removed from Kafka's definitions with the last request that had it; ours keep it.
fn without_removed_versions(header: &Message) -> Message {
    let first = if header.body.name == "RequestHeader" { 1 } else { 0 };
    let left = Versions { first, last: header.versions.last };
    let mut body = header.body.clone();
    for field in &mut body.fields {
        field.versions = field.versions.within(left);
        field.nullable = field.nullable.within(left);
    }
    Message { versions: left, flexible: header.flexible, body }
}

fn json(name: &str, text: &[u8]) -> Json {
    let text = std::str::from_utf8(text).unwrap();
    let bare: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    serde_json::from_str(&bare).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn message(definition: &Json) -> Message {
    let valid = versions(&definition["validVersions"]);
    let flexible = versions(&definition["flexibleVersions"]).within(valid);
    let shared = definition["commonStructs"].as_array().cloned().unwrap_or_default();
    let body = Shared(shared).body(definition, &definition["fields"], valid);
    Message { versions: valid, flexible, body }
}

/// The structs that several fields of a message name.
struct Shared(Vec<Json>);

impl Shared {
    fn body(&self, named: &Json, fields: &Json, around: Versions) -> Struct {
        let fields = fields.as_array().into_iter().flatten().map(|field| self.field(field, around));
        let (mut tagged, mut fields): (Vec<Field>, Vec<Field>) =
            fields.partition(|field| field.tag.is_some());
        tagged.sort_by_key(|field| field.tag);
        fields.append(&mut tagged);
        Struct { name: named["name"].as_str().unwrap_or_default().to_owned(), fields }
    }

    fn field(&self, json: &Json, around: Versions) -> Field {
        known_keys_only(json.as_object().unwrap());
        let name = json["name"].as_str().unwrap().to_owned();
        let versions = versions(&json["versions"]).within(around);
        let ty = self.ty(json, json["type"].as_str().unwrap(), versions);
        let tag = json["tag"].as_u64().map(|tag| u32::try_from(tag).unwrap());
        if tag.is_some() {
            assert_eq!(
                json["taggedVersions"], json["versions"],
                "{name}: tagged in some of its versions only"
            );
        }
        let nullable = self::versions(&json["nullableVersions"]).within(versions);
        // Kafka does not mark error codes; they are known by their name.
        let is_error = name.ends_with("ErrorCode") && ty.to_string() == "int16";
        Field {
            versions,
            nullable,
            entity: json["entityType"].as_str().and_then(entity).or(is_error.then_some(Entity::Error)),
            default: default(&ty, &json["default"], nullable),
            ty,
            tag,
            ignorable: json["ignorable"].as_bool().unwrap_or(false),
            key: json["mapKey"].as_bool().unwrap_or(false),
            never_flexible: json["flexibleVersions"] == "none",
            about: String::new(),
            name,
        }
    }

    fn ty(&self, json: &Json, name: &str, versions: Versions) -> Type {
        if let Some(element) = name.strip_prefix("[]") {
            return Type::List(Box::new(self.ty(json, element, versions)));
        }
        if let Some((_, ty)) = Type::PRIMITIVES.iter().find(|(primitive, _)| *primitive == name) {
            return ty.clone();
        }
        let shared = self.0.iter().find(|shared| shared["name"] == name);
        Type::Struct(self.body(json, &shared.unwrap_or(json)["fields"], versions))
    }
}

/// A key that this test does not know could change the meaning of a field.
fn known_keys_only(field: &Map<String, Json>) {
    const KNOWN: &[&str] = &[
        "name",
        "type",
        "versions",
        "nullableVersions",
        "taggedVersions",
        "tag",
        "default",
        "ignorable",
        "mapKey",
        "entityType",
        "flexibleVersions",
        "fields",
        "about",
        "zeroCopy",
    ];
    for key in field.keys() {
        assert!(KNOWN.contains(&key.as_str()), "an unknown key `{key}` in {field:?}");
    }
}

fn versions(json: &Json) -> Versions {
    match json.as_str() {
        None | Some("none") => Versions::NONE,
        Some(text) => Versions::parse(text).unwrap_or_else(|| panic!("versions `{text}`")),
    }
}

fn default(ty: &Type, json: &Json, nullable: Versions) -> Value {
    let text = match json {
        // The definitions do not say it: Kafka's generator gives records null to begin with.
        Json::Null if *ty == Type::Records && !nullable.is_empty() => return Value::Null,
        Json::Null => return Value::default_of(ty),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    match (ty, text.as_str()) {
        (_, "null") => Value::Null,
        (Type::Bool, _) => Value::Bool(text.parse().unwrap()),
        (Type::String, _) => Value::Text(text),
        (Type::Float64, _) => Value::Float(text.parse::<f64>().unwrap().to_bits()),
        (Type::Int { .. }, _) => Value::Int(match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).unwrap(),
            None => text.parse().unwrap(),
        }),
        (_, "") => Value::default_of(ty),
        _ => panic!("the default `{text}` of {ty}"),
    }
}

/// The entity by Kafka's word for it.
fn entity(word: &str) -> Option<Entity> {
    Some(match word {
        "topicName" => Entity::Topic,
        "brokerId" => Entity::Broker,
        "groupId" => Entity::Group,
        "producerId" => Entity::Producer,
        "transactionalId" => Entity::Transaction,
        _ => return None,
    })
}
