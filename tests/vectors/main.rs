//! Bytes that Kafka's own Java classes wrote, for every message and version that is spoken: they decode, encode back to
//! the same bytes, and each of their truncations is an error that says field and offset.
//!
//! `make` writes the files beside this one anew, with `java/Vectors.java`, which says what the fillings are. The bytes also
//! hold the interpreter of the specs to account, which the other tests trust.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

#[path = "../support/mod.rs"]
mod support;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use support::codec::{Subject, subjects};
use support::kafka;
use support::reader::Book;
use support::reader::interpreter::{self, Mark, TAGS};
use support::skip::skip;

/// The bytes of a message by version and filling.
type Fillings = BTreeMap<(i16, String), Bytes>;

/// Every line of the files, by message.
fn vectors() -> BTreeMap<String, Fillings> {
    let mut vectors: BTreeMap<String, Fillings> = BTreeMap::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines().filter(|line| !line.starts_with('#')) {
            let [message, version, filling, text] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{}: {line}", path.display())
            };
            let bytes = if text == "-" { Vec::new() } else { STANDARD_NO_PAD.decode(text).unwrap() };
            let key = (version.parse().unwrap(), filling.to_owned());
            vectors.entry(message.to_owned()).or_default().insert(key, bytes.into());
        }
    }
    vectors
}

/// Runs `check` on every message, version and filling.
fn each(mut check: impl FnMut(Subject<'_>, i16, &str, &Bytes, &Fillings)) {
    let (book, vectors) = (Book::read().unwrap(), vectors());
    for subject in subjects(&book) {
        let fillings = &vectors[subject.name()];
        for ((version, filling), bytes) in fillings {
            check(subject, *version, filling, bytes, fillings);
        }
    }
}

#[test]
fn every_message_and_version_is_there() {
    let (book, vectors) = (Book::read().unwrap(), vectors());
    let mut spoken: Vec<&str> =
        subjects(&book).iter().map(|subject| subject.message.body.name.as_str()).collect();
    spoken.sort_unstable();
    assert_eq!(vectors.keys().collect::<Vec<_>>(), spoken);
    for subject in subjects(&book) {
        // Kafka 4 has no class for request header 0 any more.
        let since = if subject.name() == "RequestHeader" { 1 } else { 0 };
        for version in subject.message.versions.iter().filter(|version| *version >= since) {
            let flexible = subject.message.flexible.has(version);
            let wanted: &[&str] = match flexible {
                true => &["default", "foreign", "full", "nulls", "random1", "random2"],
                false => &["default", "full", "nulls", "random1", "random2"],
            };
            let there: Vec<&str> = vectors[subject.name()]
                .keys()
                .filter(|key| key.0 == version)
                .map(|key| key.1.as_str())
                .collect();
            assert_eq!(there, wanted, "{} version {version}", subject.name());
        }
    }
}

#[test]
fn the_files_are_what_kafka_writes() {
    let lib = kafka::lib_folder();
    if !lib.join(format!("kafka-clients-{}.jar", kafka::VERSION)).is_file() {
        return skip(&format!("no jars of Kafka in {} (tests/kafka/fetch brings them)", lib.display()));
    }
    if Command::new("java").arg("-version").output().is_err() {
        return skip("no Java here");
    }
    let (folder, fresh) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"), tempfile::tempdir().unwrap());
    let made =
        Command::new(folder.join("make")).arg(fresh.path()).env("OTTLA_KAFKA_LIB", &lib).output().unwrap();
    assert!(made.status.success(), "tests/vectors/make: {}", String::from_utf8_lossy(&made.stderr));
    for entry in std::fs::read_dir(fresh.path()).unwrap() {
        let (fresh, name) = (entry.as_ref().unwrap().path(), entry.as_ref().unwrap().file_name());
        let same = std::fs::read(&fresh).unwrap() == std::fs::read(folder.join(&name)).unwrap_or_default();
        assert!(same, "tests/vectors/{} is not what tests/vectors/make writes", name.display());
    }
}

#[test]
fn what_kafka_writes_passes_through_the_codec() {
    each(|subject, version, filling, bytes, fillings| {
        let name = subject.name();
        let message = subject
            .decode(version, bytes)
            .unwrap_or_else(|error| panic!("{name} version {version}, {filling}: {error}"));
        let again = subject.encode(version, &message).unwrap();
        // Tagged fields that nobody knows are skipped; what is left are the fields of "full".
        let expected = if filling == "foreign" { &fillings[&(version, "full".to_owned())] } else { bytes };
        assert!(
            again == *expected,
            "{name} version {version}, {filling}: not the same bytes again: {message:?}"
        );
    });
}

#[test]
fn what_kafka_writes_passes_through_the_interpreter_of_the_specs() {
    each(|subject, version, filling, bytes, fillings| {
        let (value, _) = interpreter::decode(subject.message, version, bytes)
            .unwrap_or_else(|error| panic!("{} version {version}, {filling}: {error}", subject.name()));
        let again = interpreter::encode(subject.message, version, &value);
        let expected = if filling == "foreign" { &fillings[&(version, "full".to_owned())] } else { bytes };
        assert!(again == *expected, "{} version {version}, {filling}: {value:?}", subject.name());
    });
}

#[test]
fn every_truncation_names_the_field_and_the_offset() {
    let mut cuts = 0;
    each(|subject, version, filling, bytes, _| {
        let (_, marks) = interpreter::decode(subject.message, version, bytes).unwrap();
        for cut in 0..bytes.len() {
            let error = subject.decode(version, &bytes.slice(..cut)).expect_err("a truncated message");
            let mark: &Mark = marks.iter().find(|mark| mark.end > cut).unwrap();
            // A count that promises more than is left is refused at the list, before its elements are read; so is the
            // size of a tagged field.
            let within = mark
                .path
                .iter()
                .any(|(message, field)| (message, field) == (&error.message.into(), &error.field.into()));
            let place = format!("{} version {version}, {filling}, cut at {cut}: {error}", subject.name());
            assert!(within, "{place}; the bytes belong to {:?}", mark.path);
            assert!(error.offset <= cut && !error.field.is_empty(), "{place}");
            cuts += 1;
        }
    });
    assert!(cuts > 10_000, "{cuts} truncations");
}

#[test]
fn the_place_of_tagged_fields_has_the_interpreters_name() {
    let book = Book::read().unwrap();
    let subjects = subjects(&book);
    let header = subjects.iter().find(|subject| subject.name() == "ResponseHeader").unwrap();
    let error = header.decode(1, &Bytes::from_static(&[0, 0, 0, 1])).unwrap_err();
    assert_eq!((error.message, error.field, error.offset), ("ResponseHeader", TAGS, 4));
}
