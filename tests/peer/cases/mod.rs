//! The cases, by family.
#![allow(clippy::too_many_lines, reason = "tables of cases")]

mod batches;
mod bodies;
mod connect;
mod counts;
mod frames;
mod metadata;
mod produce;
mod sasl;
mod tls;

use crate::case::{Act, Case, Lie, Mode, Security};
use ottla::messages::ApiKey;

/// Requests that follow when a connection is set up.
const ALL: &[ApiKey] =
    &[ApiKey::METADATA, ApiKey::PRODUCE, ApiKey::FETCH, ApiKey::LIST_OFFSETS, ApiKey::INIT_PRODUCER_ID];
const FETCH: &[ApiKey] = &[ApiKey::FETCH];
const PRODUCE: &[ApiKey] = &[ApiKey::PRODUCE];
const METADATA: &[ApiKey] = &[ApiKey::METADATA];
const LIST_OFFSETS: &[ApiKey] = &[ApiKey::LIST_OFFSETS];
const INIT_PRODUCER_ID: &[ApiKey] = &[ApiKey::INIT_PRODUCER_ID];
const API_VERSIONS: &[ApiKey] = &[ApiKey::API_VERSIONS];

fn every() -> Vec<Case> {
    let families = [
        frames::cases,
        bodies::cases,
        counts::cases,
        metadata::cases,
        produce::cases,
        batches::cases,
        connect::cases,
        tls::cases,
        sasl::cases,
    ];
    let cases = families.into_iter().flat_map(|cases| cases());
    // Without TLS nobody can lie in it.
    cases.filter(|case| crate::tls::BUILT || case.security != Security::Tls).collect()
}

/// What `PEER_CASES` asks for: `quick`, `all`, or a part of names.
pub fn plays(wanted: &str) -> Vec<(Case, Mode)> {
    if wanted == "quick" {
        return every().into_iter().filter_map(|case| case.quick.map(|mode| (case, mode))).collect();
    }
    let both = [Mode::ForEver, Mode::Twice]
        .into_iter()
        .flat_map(|mode| every().into_iter().map(move |case| (case, mode)));
    both.filter(|(case, _)| wanted == "all" || case.full_name().contains(wanted)).collect()
}

/// Nothing but the truth, which is counted as a lie.
pub fn no_lie() -> Lie {
    Lie::Answer(Box::new(|asked| Some(Act::Say(asked.honestly()))))
}

#[test]
fn names_are_unique_and_each_family_is_in_the_gate() {
    let mut names: Vec<String> = every().iter().map(Case::full_name).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    let quick = plays("quick");
    for family in ["frames", "bodies", "batches", "connect", "tls", "sasl"] {
        let is_there = quick.iter().any(|(case, _)| case.family == family);
        assert!(is_there || family == "tls" && !crate::tls::BUILT, "{family}");
    }
    assert!(plays("crc").len() >= 2 && plays("all").len() == 2 * count);
}
