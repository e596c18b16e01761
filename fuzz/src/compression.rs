//! Codecs: no output beyond the limit whatever the input, and what one side packs the other unpacks.

use crate::input::Input;
use ottla::records::{Compression, Compressor, Decompressor};

/// Hostile input, with a small limit that is asserted, and with no more memory than that.
pub fn decompress(mut input: Input<'_>) {
    let codec = *input.one_of(&Compression::ALL);
    let limit = usize::from(input.u16());
    let packed = input.rest();
    let mut decompressor = Decompressor::new(limit);
    let first = decompressor.decompress(codec, packed);
    if let Ok(output) = &first {
        assert!(output.len() <= limit, "{} bytes, the limit was {limit}", output.len());
    }
    // A decompressor that is used again forgets what it saw.
    let second = decompressor.decompress(codec, packed);
    assert_eq!(first.ok(), second.ok());
}

pub fn there_and_back(mut input: Input<'_>) {
    let codec = *input.one_of(&Compression::ALL);
    let level = codec
        .levels()
        .map(|levels| levels.start() + i32::from(input.byte()) % (levels.end() - levels.start() + 1));
    // Runs as well as noise: a few bytes say how often each chunk is repeated.
    let mut plain = Vec::new();
    while !input.is_empty() && plain.len() < 1 << 18 {
        let times = 1 + usize::from(input.byte());
        plain.extend_from_slice(&input.chunk().repeat(times));
    }
    // Low and high zstd levels alike, but not the ones that take seconds.
    let level = level.map(|level| level.min(9));
    let mut packed = Vec::new();
    Compressor::new(codec, level).unwrap().compress(&plain, &mut packed).unwrap();
    assert_eq!(Decompressor::new(plain.len()).decompress(codec, &packed).as_deref(), Ok(plain.as_slice()));
    if let Some(less) = plain.len().checked_sub(1) {
        assert!(Decompressor::new(less).decompress(codec, &packed).is_err(), "a byte more than the limit");
    }
}
