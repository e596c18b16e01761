//! Messages made up at random from the specs and written by their interpreter go through the codec and come out as the
//! same bytes, in every version; the codec finds every error code in them.
//!
//! A failure prints the smallest message that shows it; `PROPTEST_RNG_SEED` replays a run.

use crate::support::cases::cases;
use crate::support::codec::{Subject, subjects};
use crate::support::generate;
use crate::support::reader::interpreter::{decode, encode};
use crate::support::reader::{Book, Entity, Value};
use bytes::Bytes;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use proptest::{prop_assert, prop_assert_eq};

/// For each version of each message.
const CASES: u32 = 64;

#[test]
fn what_the_interpreter_writes_passes_through_the_codec() {
    let book = Book::read().unwrap();
    for subject in subjects(&book) {
        for version in subject.message.versions.iter() {
            let mut runner =
                TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases(CASES)) });
            runner
                .run(&generate::message(subject.message, version), |value| {
                    passes_through(subject, version, &value)
                })
                .unwrap_or_else(|error| panic!("{} version {version}: {error}", subject.name()));
        }
    }
}

fn passes_through(subject: Subject<'_>, version: i16, value: &Value) -> Result<(), TestCaseError> {
    let bytes = Bytes::from(encode(subject.message, version, value));
    let read = decode(subject.message, version, &bytes).map_err(TestCaseError::fail)?;
    prop_assert!(read.0 == *value, "the interpreter reads back {:?}", read.0);
    let message = subject.decode(version, &bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let again = subject.encode(version, &message).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&again[..], &bytes[..]);
    prop_assert_eq!(message.faults(), errors(subject, version, value));
    Ok(())
}

/// The error codes in a message that are not NONE, as the spec marks them.
fn errors(subject: Subject<'_>, version: i16, value: &Value) -> Vec<i16> {
    let mut found = Vec::new();
    value.walk(&subject.message.body, version, &mut |field, value| match value {
        Value::Int(code) if field.entity == Some(Entity::Error) && *code != 0 => {
            found.push(i16::try_from(*code).unwrap())
        }
        _ => {}
    });
    found
}
