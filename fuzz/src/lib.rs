//! What is fuzzed, and what must hold.
//!
//! Each target is a function over bytes that panics when something that must hold does not. [`run`] picks one by the first
//! byte of the input; with the variable `FUZZ_TARGET` it takes inputs for that one only.
//!
//! The bytes behind it are read as an [`Input`]: numbers from the front, for choices; the rest for what a peer might send.

mod assignor_metadata;
mod assignors;
mod compression;
mod connection;
mod frames;
mod input;
mod messages;
mod records;
mod sasl;
mod serving;
mod settings;
mod view;

use input::Input;
pub use serving::look_up;
use std::sync::OnceLock;

/// The targets by name. Their order is that of the corpus: new ones go to the end.
pub const TARGETS: &[(&str, fn(Input<'_>))] = &[
    ("frames", frames::any_split_gives_the_same_frames),
    ("responses", messages::responses),
    ("requests", messages::requests),
    ("headers", messages::headers),
    ("records", records::batches),
    ("build", records::build_and_read_back),
    ("decompress", compression::decompress),
    ("compress", compression::there_and_back),
    ("connection", connection::client),
    ("serving", serving::broker),
    ("sasl_client", sasl::client),
    ("sasl_server", sasl::server),
    ("settings", settings::all_sources),
    ("view", view::metadata),
    ("assignor_metadata", assignor_metadata::blobs),
    ("assignors", assignors::groups),
];

/// Runs one input, unless it is for another target than the one that `FUZZ_TARGET` names: `false` then.
pub fn run(data: &[u8]) -> bool {
    static ONLY: OnceLock<Option<usize>> = OnceLock::new();
    let only = *ONLY.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").ok()?;
        let known = TARGETS.iter().position(|(target, _)| *target == name);
        Some(known.unwrap_or_else(|| panic!("no target {name}")))
    });
    let Some((first, rest)) = data.split_first() else { return false };
    let index = usize::from(*first) % TARGETS.len();
    if only.is_some_and(|only| only != usize::from(*first)) {
        return false;
    }
    TARGETS[index].1(Input::new(rest));
    true
}
