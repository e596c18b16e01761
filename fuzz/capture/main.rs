//! Inputs for the corpus: what real clients and a real Kafka say to each other, what Kafka's own classes write (the vectors
//! of the tests), and a few words of our own where neither reaches.
//!
//! `fuzz/capture/make` runs it: `capture OUT LISTEN=UPSTREAM...` is a proxy that records until its standard input ends.

mod proxy;
mod seeds;

use std::io::Read;
use std::path::{Path, PathBuf};

/// Where inputs are written, each in a file named by its content.
#[derive(Debug, Clone)]
pub struct Corpus(PathBuf);

impl Corpus {
    /// Adds an input for a target of `ottla_fuzz::TARGETS`.
    pub fn add(&self, target: &str, parts: &[&[u8]]) {
        let index = ottla_fuzz::TARGETS.iter().position(|(name, _)| *name == target).expect("a target");
        let mut input = vec![u8::try_from(index).expect("few targets")];
        parts.iter().for_each(|part| input.extend_from_slice(part));
        let name = format!("{target}-{:08x}-{}", crc32c::crc32c(&input), input.len());
        std::fs::write(self.0.join(name), input).expect("a folder to write to");
    }
}

/// A chunk as `Input::chunk` reads it.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[..bytes.len().min(u16::MAX.into())];
    let mut out = match u8::try_from(bytes.len()) {
        Ok(len @ 0..=254) => vec![len],
        _ => [&[255], u16::try_from(bytes.len()).expect("cut above").to_be_bytes().as_slice()].concat(),
    };
    out.extend_from_slice(bytes);
    out
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let corpus = Corpus(arguments.next().expect("a folder for the corpus").into());
    seeds::write(&corpus, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors")));
    for pair in arguments {
        let (listen, upstream) = pair.split_once('=').expect("LISTEN=UPSTREAM");
        proxy::start(listen, upstream, corpus.clone());
    }
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new()).expect("a standard input");
}
