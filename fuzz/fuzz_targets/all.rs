//! The one binary: the first byte of the input picks the target, so that all of them share a build and a corpus.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus { if ottla_fuzz::run(data) { Corpus::Keep } else { Corpus::Reject } });
