//! Random values there and back: sizes are exact, every sink writes the same, and whatever bytes come in, the codec
//! answers with a value that it can write or with an error that says where.
//!
//! A failure prints the smallest message that shows it; `PROPTEST_RNG_SEED` replays a run.
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

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use support::cases::cases;
use support::codec::{Subject, subjects};
use support::reader::interpreter::encode;
use support::reader::{Book, Value};
use support::{generate, lists};

/// For each version of each message.
const CASES: u32 = 48;

fn each_version(check: impl Fn(Subject<'_>, i16)) {
    let book = Book::read().unwrap();
    for subject in subjects(&book) {
        subject.message.versions.iter().for_each(|version| check(subject, version));
    }
}

fn run<S: Strategy>(
    subject: Subject<'_>,
    version: i16,
    values: S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases(CASES)) });
    runner.run(&values, test).unwrap_or_else(|error| panic!("{} version {version}: {error}", subject.name()));
}

#[test]
fn every_sink_writes_the_same_bytes_and_their_exact_count() {
    each_version(|subject, version| {
        run(subject, version, generate::message(subject.message, version), |value| {
            let bytes = Bytes::from(encode(subject.message, version, &value));
            let message = subject.decode(version, &bytes).unwrap();
            prop_assert_eq!(subject.size(version, &message).unwrap(), bytes.len());
            prop_assert_eq!(&subject.encode(version, &message).unwrap()[..], &bytes[..]);
            let gathered = subject.gather(version, &message, b"head").unwrap().concat();
            prop_assert_eq!(&gathered[..], &[&b"head"[..], &bytes].concat()[..]);
            prop_assert_eq!(&subject.decode(version, &bytes).unwrap(), &message);
            Ok(())
        });
    });
}

/// What a hostile or broken peer does to bytes; places are taken modulo the length.
#[derive(Debug, Clone)]
enum Damage {
    Flip(usize, u8),
    Set(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
}

impl Damage {
    fn any() -> impl Strategy<Value = Damage> {
        let at = || any::<usize>();
        // Lengths and counts that promise much or nothing, in both notations.
        let telling = prop_oneof![
            Just(vec![0x7f, 0xff, 0xff, 0xff]),
            Just(vec![0xff, 0xff, 0xff, 0xff]),
            Just(vec![0x80, 0, 0, 0]),
            Just(vec![0xff, 0xff]),
            Just(vec![0x7f, 0xff]),
            Just(vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
            Just(vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Just(vec![0x80, 0x80, 0x80, 0x80, 0x00]),
            Just(vec![0]),
            vec(any::<u8>(), 1..6),
        ];
        prop_oneof![
            3 => (at(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
            4 => (at(), telling.clone()).prop_map(|(at, bytes)| Damage::Set(at, bytes)),
            2 => (at(), telling).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
            1 => (at(), 1..8usize).prop_map(|(at, count)| Damage::Remove(at, count)),
            1 => (at(), 1..40usize).prop_map(|(at, count)| Damage::Repeat(at, count)),
            1 => at().prop_map(Damage::Cut),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |at: usize| at % (bytes.len() + 1);
        let range = |from: usize, count: usize| at(from)..(at(from) + count).min(bytes.len());
        match self {
            Damage::Flip(from, bit) => {
                let range = range(*from, 1);
                bytes[range].iter_mut().for_each(|byte| *byte ^= 1 << bit);
            }
            Damage::Set(from, new) => drop(bytes.splice(range(*from, new.len()), new.iter().copied())),
            Damage::Insert(from, new) => drop(bytes.splice(range(*from, 0), new.iter().copied())),
            Damage::Remove(from, count) => drop(bytes.drain(range(*from, *count))),
            Damage::Repeat(from, count) => {
                let range = range(*from, *count);
                let copy = bytes[range.clone()].to_vec();
                drop(bytes.splice(range.end..range.end, copy));
            }
            Damage::Cut(from) => bytes.truncate(at(*from)),
        }
    }
}

#[test]
fn damaged_bytes_are_a_value_or_an_error_that_says_where() {
    each_version(|subject, version| {
        let damaged = (generate::message(subject.message, version), vec(Damage::any(), 1..4));
        run(subject, version, damaged, |(value, damage)| {
            let mut bytes = encode(subject.message, version, &value);
            damage.iter().for_each(|damage| damage.apply(&mut bytes));
            judge(subject, version, bytes.into())
        });
    });
}

#[test]
fn any_bytes_are_a_value_or_an_error_that_says_where() {
    each_version(|subject, version| {
        run(subject, version, vec(any::<u8>(), 0..200), |bytes| judge(subject, version, bytes.into()));
    });
}

/// Bytes that decode are a value: it can be written, and is the same when read again. Others say what is wrong and where.
fn judge(subject: Subject<'_>, version: i16, bytes: Bytes) -> Result<(), TestCaseError> {
    match subject.decode(version, &bytes) {
        Ok(message) => {
            let again =
                subject.encode(version, &message).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let back = subject.decode(version, &again.freeze());
            prop_assert_eq!(back.map_err(|error| TestCaseError::fail(error.to_string()))?, message);
        }
        Err(error) => {
            prop_assert!(error.offset <= bytes.len(), "{}", error);
            prop_assert!(!error.message.is_empty() && !error.field.is_empty(), "{}", error);
        }
    }
    Ok(())
}

#[test]
fn bytes_behind_the_last_field_are_refused() {
    each_version(|subject, version| {
        let mut bytes = encode(subject.message, version, &Value::of_defaults(&subject.message.body));
        let len = bytes.len();
        bytes.push(0);
        let error = subject.decode(version, &bytes.into()).unwrap_err();
        assert_eq!(error.offset, len, "{} version {version}: {error}", subject.name());
    });
}

#[test]
fn long_lists_of_real_messages_are_within_the_budget() {
    each_version(|subject, version| {
        for (path, value) in lists::each_long(&subject.message.body, version, 10_000, lists::usual) {
            let bytes = Bytes::from(encode(subject.message, version, &value));
            if let Err(error) = subject.decode(version, &bytes) {
                panic!(
                    "{} version {version}, 10,000 {path} in {} bytes: {error}",
                    subject.name(),
                    bytes.len()
                );
            }
        }
    });
}
