//! Lists, texts and numbers that cannot be, as bytes of this file's own making.

use super::{API_VERSIONS, FETCH, METADATA, PRODUCE};
use crate::case::{Act, Asked, Case, Mode, Onset};
use ottla::messages::ApiKey;

/// Lengths in flexible versions are one more than they say, so that 0 is null: unsigned, seven bits a byte.
const COUNTS: [(&str, &[u8]); 6] = [
    ("null", &[0]),
    ("2^31-1", &[0xff, 0xff, 0xff, 0xff, 0x07]),
    ("2^32-2", &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ("100,000", &[0xa1, 0x8d, 0x06]),
    ("of ten bytes", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    ("that does not end", &[0xff; 12]),
];

/// Where the first list of an answer begins, behind throttle time, error code and session id.
const FIRST_LISTS: [(&str, &[ApiKey], usize); 4] = [
    ("Metadata", METADATA, 4),
    ("Produce", PRODUCE, 0),
    ("Fetch", FETCH, 10),
    ("ApiVersions", API_VERSIONS, 2),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (api, keys, at) in FIRST_LISTS {
        for (name, count) in COUNTS {
            let case = Case::on("bodies", format!("{api}, a count {name}"), keys, move |asked| {
                // The list itself stays: what is announced is not there, or what is there was not announced.
                replaced(asked, at..at + 1, count)
            });
            // Every connection begins with it, and none is made while all is well.
            cases.push(if api == "ApiVersions" { case.onset(Onset::OnceWellAnew) } else { case });
        }
    }
    // Behind throttle time and count come the first broker's id and its host.
    for (name, host) in [
        ("null host", &[0][..]),
        ("host of 2^31-2 bytes", &[0xff, 0xff, 0xff, 0xff, 0x07]),
        ("host that is not UTF-8", &[5, 0xff, 0xfe, 0x80, 0xc0]),
    ] {
        let case = Case::on("bodies", format!("Metadata, {name}"), METADATA, move |asked| {
            let length = usize::from(asked.body()[9]);
            replaced(asked, 9..9 + length, host)
        });
        cases.push(if name == "null host" { case.quick(Mode::ForEver) } else { case });
    }
    cases
}

fn replaced(asked: &Asked, range: std::ops::Range<usize>, by: &[u8]) -> Act {
    let mut body = asked.body();
    body.splice(range, by.iter().copied());
    Act::Say(asked.around(&body))
}
