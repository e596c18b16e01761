//! What decoding takes in memory: at most eight times the bytes that were received, and a little, whatever they claim.
//!
//! The peak of the whole process is measured, so this test is alone in its binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod support;

use bytes::Bytes;
use support::codec::{Subject, subjects};
use support::memory::peak_bytes;
use support::reader::interpreter::encode;
use support::reader::{Book, Value};
use support::{lists, skip};

/// The bytes of a frame full of small elements.
const FRAME: usize = 512 * 1024;
/// What the lists of such a frame may take: eight bytes for each of its own, and a megabyte.
const BUDGET: usize = 8 * FRAME + 1024 * 1024;
/// What the process may grow by beside them: the allocator's own, threads, pages that were not touched before.
const NOISE: usize = 2 * 1024 * 1024;

#[test]
fn decoding_takes_no_more_memory_than_the_bytes_justify() {
    let book = Book::read().unwrap();
    if peak_bytes(|| ()).is_none() {
        return skip::skip("the peak of memory is only known on Linux");
    }
    let mut worst = 0;
    for subject in subjects(&book) {
        let version = subject.message.versions.last;
        for (path, bytes) in full_frames(subject, version) {
            let grown = peak_bytes(|| drop(subject.decode(version, &bytes))).unwrap();
            assert!(grown < BUDGET + NOISE, "{} {path}: {grown} bytes for {}", subject.name(), bytes.len());
            worst = worst.max(grown);
        }
        let grown = peak_bytes(|| promises(subject, version)).unwrap();
        assert!(grown < NOISE, "{}: {grown} bytes for counts without elements", subject.name());
    }
    assert!(worst > FRAME, "the measurement sees something: {worst} bytes");
}

/// For each list of a message, a frame that it fills with elements that are as small as can be.
fn full_frames(subject: Subject<'_>, version: i16) -> Vec<(String, Bytes)> {
    let lists = |count| lists::each_long(&subject.message.body, version, count, lists::least).into_iter();
    let sized = |value: &Value| encode(subject.message, version, value).len();
    lists(100)
        .zip(lists(200))
        .enumerate()
        .map(|(at, ((path, some), (_, more)))| {
            let count = FRAME * 100 / (sized(&more) - sized(&some));
            let (_, value) = lists(count).nth(at).unwrap();
            (path, encode(subject.message, version, &value).into())
        })
        .collect()
}

/// Decodes small messages in which each length and count in turn promises as much as can be said.
fn promises(subject: Subject<'_>, version: i16) {
    for (_, value) in lists::each_long(&subject.message.body, version, 2, lists::usual) {
        let bytes = encode(subject.message, version, &value);
        for at in 0..bytes.len() {
            for promise in
                [&[0x7f, 0xff, 0xff, 0xff][..], &[0xff, 0xff, 0xff, 0xff, 0x07], &[0, 0x7f, 0xff, 0xff]]
            {
                let frame = [&bytes[..at], promise, &bytes[(at + promise.len()).min(bytes.len())..]].concat();
                drop(subject.decode(version, &frame.into()));
            }
        }
    }
}
