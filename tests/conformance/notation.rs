//! The reader of the specs: what it refuses, and that every file is in its list.

use crate::support::reader::interpreter::{decode, encode};
use crate::support::reader::parse::parse;
use crate::support::reader::{Book, FILES, Field, Type, Value, Versions};

#[test]
fn every_spec_is_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/protocol-specs");
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".spec"))
        .collect();
    let mut listed: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    there.sort();
    listed.sort_unstable();
    assert_eq!(there, listed, "reader/mod.rs lists every file");
    let book = Book::read().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        book.apis.len() + 2,
        FILES.len(),
        "one file an API, the headers, what members tell each other"
    );
    assert!(book.apis.is_sorted_by_key(|api| api.key), "listed in the order of the keys");
}

/// Every part of the notation once.
const SAMPLE: &str = r#"# A comment.
api 99 Sample 1-5, flexible 3+, unstable 5
answered by broker, controller

  What it is for,
  in two lines.

version 1    The first (KIP-1).
version 2-4  Several,
             with more below.
version 5    The last.

request
  0+    topics: [SampleTopic], null 2+            -- what it means,
                                                  -- in two lines
    0+    name: string topic = null, null 0+, key
    2-3   partitions: [int32], ignorable
      -- a comment on the row above
    0+    replicas: [int32 broker]
  4+    at: Place, null 4+
  0+    bits: uint32 = 4294967295
  0+    share: float64 = 0.5
  0+    limit: int64 = int64.max
  3+    note: string = "", tag 7, ignorable

response
  0+    error_code: int16 error
  0+    place: Place
  0+    records: records, null 0+
  1+    id: string, never flexible

struct Place
  0+    host: string
  2+    port: uint16 = 9092
"#;

#[test]
fn a_spec_is_read_as_it_is_written() {
    let mut book = Book::default();
    parse("sample.spec", SAMPLE, &mut book).unwrap();
    let api = &book.apis[0];
    assert_eq!(
        (api.key, api.name.as_str(), api.about.as_str()),
        (99, "Sample", "What it is for, in two lines.")
    );
    assert_eq!(api.answered_by, ["broker", "controller"]);
    assert_eq!(api.versions, Versions { first: 1, last: 5 });
    assert_eq!(api.unstable, Versions { first: 5, last: 5 });
    assert_eq!(api.request.flexible, Versions { first: 3, last: 5 });
    assert_eq!(api.changes[1].text, "Several, with more below.");
    let shown: Vec<String> = api.request.body.fields.iter().map(line).collect();
    assert_eq!(
        shown,
        [
            "1-5 topics: [SampleTopic] = List([]) null 2-5",
            "4-5 at: Place = Struct([Text(\"\"), Int(9092)]) null 4-5",
            "1-5 bits: uint32 = Int(4294967295) null none",
            "1-5 share: float64 = Float(4602678819172646912) null none",
            "1-5 limit: int64 = Int(9223372036854775807) null none",
            "3-5 note: string = Text(\"\") null none, tag 7, ignorable",
        ]
    );
    assert_eq!(api.request.body.fields[0].about, "what it means, in two lines");
    let Type::List(element) = &api.request.body.fields[0].ty else { panic!("topics is a list") };
    let Type::Struct(topic) = element.as_ref() else { panic!("of structs") };
    let shown: Vec<String> = topic.fields.iter().map(line).collect();
    assert_eq!(
        shown,
        [
            "1-5 name: string = Null null 1-5, key, Topic",
            "2-3 partitions: [int32] = List([]) null none, ignorable",
            "1-5 replicas: [int32] = List([]) null none, Broker",
        ]
    );
    let shown: Vec<String> = api.response.body.fields.iter().map(line).collect();
    assert_eq!(shown[0], "1-5 error_code: int16 = Int(0) null none, Error");
    assert_eq!(shown[3], "1-5 id: string = Text(\"\") null none, never flexible");
}

fn line(field: &Field) -> String {
    let Field { versions, name, ty, default, nullable, .. } = field;
    let tag = field.tag.map(|tag| format!(", tag {tag}")).unwrap_or_default();
    let flags =
        [(field.ignorable, ", ignorable"), (field.key, ", key"), (field.never_flexible, ", never flexible")];
    let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    let entity = field.entity.map(|entity| format!(", {entity:?}")).unwrap_or_default();
    format!("{versions} {name}: {ty} = {default:?} null {nullable}{tag}{flags}{entity}")
}

#[test]
fn a_mistake_is_told_with_its_line() {
    let cases = [
        ("share: float64", "share: float46", 22, "no type `float46`"),
        ("= 4294967295", "= 4294967296", 21, "`4294967296` is no value of uint32"),
        ("= 0.5", "= half", 22, "`half` is no value of float64"),
        ("int64.max", "int32.max", 23, "`int32.max` is no value of int64"),
        ("0+    share", "0*    share", 22, "`0*` is not a range of versions"),
        ("0+    share", "6+    share", 22, "versions 6+ lie outside 1-5"),
        ("share: float64", "bits: float64", 22, "a second `bits` in SampleRequest"),
        (", tag 7", ", tag x", 24, "`x` is not a tag"),
        ("3+    note", "2+    note", 24, "not all of which are flexible"),
        ("tag 7, ignorable", "tag 7, ignored", 24, "no flag `ignored`"),
        (
            "3+    note: string = \"\", tag 7, ignorable",
            "3+    a: int8, tag 1\n  3+    b: int8, tag 1",
            25,
            "their tags rise",
        ),
        (
            "3+    note: string = \"\", tag 7, ignorable",
            "3+    a: int8, tag 1\n  3+    b: int8",
            25,
            "tagged fields come last",
        ),
        ("float64 = 0.5", "float64 = null", 22, "`null` is no value of float64"),
        ("float64 = 0.5", "float64, null 0+", 22, "float64 in versions 1-5 has no null"),
        ("name: string topic", "name: int32 topic", 16, "a topic is of type string, not int32"),
        ("name: string topic", "name: string topics", 16, "`topics` is none of topic, broker"),
        (
            "    0+    replicas: [int32 broker]",
            "      0+    replicas: [int32 broker]",
            17,
            "which is not a struct",
        ),
        (
            "    0+    replicas: [int32 broker]",
            "     0+    replicas: [int32 broker]",
            19,
            "indented by neither",
        ),
        ("name: string topic = null, null 0+, key", "name = string", 16, "is not `name: type`"),
        ("at: Place, null 4+", "at: Planet", 20, "Planet has no rows below"),
        ("2+    port: uint16 = 9092", "2+    port: Place", 34, "Place contains itself"),
        ("struct Place", "struct Place\n  0+  a: int8\nstruct Place", 34, "a second struct Place"),
        ("struct Place", "struct Other\n  0+  a: int8\nstruct Place", 32, "no field has the struct Other"),
        ("version 5    The last.", "", 2, "tell of [1, 2, 3, 4], not of each of 1-5"),
        ("version 1    The", "version 2    The", 2, "tell of [2, 2, 3, 4, 5]"),
        ("response", "request", 26, "a second `request`"),
        ("response", "answer", 26, "`answer` opens nothing"),
        ("api 99", "api x", 2, "`x` is not an API key"),
        (", flexible 3+", "", 2, "say `flexible VERSIONS` or `never flexible`"),
        (", unstable 5", ", shaky 5", 2, "`shaky 5` is neither"),
        ("answered by broker, controller", "", 2, "who answers it"),
        ("# A comment.", "  indented", 1, "an indented line below nothing"),
        ("# A comment.", "apis 1", 1, "`apis` where `api`, `header` or `data` should stand"),
        ("# A comment.", "\tapi", 1, "a tab"),
    ];
    for (from, to, line, what) in cases {
        assert!(SAMPLE.contains(from), "{from}");
        let text = SAMPLE.replacen(from, to, 1);
        let error = parse("sample.spec", &text, &mut Book::default()).expect_err(to);
        assert_eq!(error.line, line, "`{to}`: {error}");
        assert!(error.what.contains(what), "`{to}`: {error}");
        assert!(error.to_string().starts_with(&format!("protocol-specs/sample.spec:{line}: ")));
    }
}

#[test]
fn values_are_written_as_the_protocol_guide_says() {
    let mut book = Book::default();
    parse("sample.spec", SAMPLE, &mut book).unwrap();
    let response = &book.apis[0].response;
    let value = Value::Struct(vec![
        Value::Int(-1),
        Value::Struct(vec![Value::Text("b".into()), Value::Int(40_000)]),
        Value::Bytes(vec![7; 200]),
        Value::Text("id".into()),
    ]);
    let old = [&b"\xff\xff\x00\x01b\x9c\x40\x00\x00\x00\xc8"[..], &[7; 200], b"\x00\x02id"].concat();
    assert_eq!(encode(response, 2, &value), old);
    let flexible = [&b"\xff\xff\x02b\x9c\x40\x00\xc9\x01"[..], &[7; 200], b"\x00\x02id\x00"].concat();
    assert_eq!(encode(response, 3, &value), flexible);
    for (version, bytes) in [(2, old), (3, flexible)] {
        let (back, marks) = decode(response, version, &bytes).unwrap();
        assert_eq!(back, value);
        assert_eq!(marks.last().unwrap().end, bytes.len());
        assert_eq!(marks[0].path, [("SampleResponse".to_owned(), "error_code".to_owned())]);
    }
}

#[test]
fn tagged_fields_and_nulls_are_written_as_the_protocol_guide_says() {
    let mut book = Book::default();
    parse("sample.spec", SAMPLE, &mut book).unwrap();
    let request = &book.apis[0].request;
    let Value::Struct(mut fields) = Value::of_defaults(&request.body) else { panic!("a struct") };
    (fields[0], fields[1], fields[2]) = (Value::Null, Value::Null, Value::Int(1));
    let limit = b"\x3f\xe0\x00\x00\x00\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff";
    let plain = Value::Struct(fields.clone());
    assert_eq!(encode(request, 4, &plain), [&b"\x00\xff\x00\x00\x00\x01"[..], limit, b"\x00"].concat());
    fields[5] = Value::Text("hi".into());
    let tagged = Value::Struct(fields);
    let bytes = [&b"\x00\xff\x00\x00\x00\x01"[..], limit, b"\x01\x07\x03\x03hi"].concat();
    assert_eq!(encode(request, 4, &tagged), bytes);
    assert_eq!(decode(request, 4, &bytes).unwrap().0, tagged);
    let unknown = [&b"\x00\xff\x00\x00\x00\x01"[..], limit, b"\x02\x07\x03\x03hi\x09\x02??"].concat();
    assert_eq!(decode(request, 4, &unknown).unwrap().0, tagged);
}
