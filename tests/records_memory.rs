//! Decompression bombs: a gibibyte in a batch of a megabyte is refused, and takes no more memory than the limit lets it.
//!
//! The peak of the whole process is measured, so this test is alone in its binary.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]
#![allow(clippy::indexing_slicing, reason = "a test may fail loudly")]

#[path = "support/memory.rs"]
#[allow(unreachable_pub, reason = "shared with other test binaries")]
mod memory;
#[path = "support/skip.rs"]
#[allow(unreachable_pub, dead_code, reason = "shared with other test binaries")]
mod skip;

use std::io::Write;

use bytes::Bytes;
use memory::peak_bytes;
use ottla::records::{
    Attributes, BatchHeader, Batches, Compression, CompressionError, Compressor, DEFAULT_DECOMPRESSED_LIMIT,
    Fault,
};

const MIB: usize = 1 << 20;
/// What the records of a bomb become.
const BOMB: usize = 1024 * MIB;
/// The output, once more half of it when an allocator cannot grow in place, and what codecs have of their own.
const BUDGET: usize = DEFAULT_DECOMPRESSED_LIMIT + DEFAULT_DECOMPRESSED_LIMIT / 2 + 16 * MIB;

#[test]
fn bombs_are_refused_within_the_limit() {
    if peak_bytes(|| ()).is_none() {
        return skip::skip("the peak of memory is only known on Linux");
    }
    let mut worst = 0;
    for codec in Compression::ALL {
        if codec == Compression::None || codec.check_enabled().is_err() {
            continue;
        }
        let set = batch(codec, &bomb(codec));
        assert!(set.len() < BOMB / 20, "{codec}: {} bytes", set.len());
        let grown = peak_bytes(|| {
            let error = Batches::new(set.clone()).next().unwrap().unwrap_err();
            let limit = DEFAULT_DECOMPRESSED_LIMIT;
            assert_eq!(error.fault, Fault::Compression(CompressionError::TooLarge { codec, limit }));
        })
        .unwrap();
        assert!(grown < BUDGET, "{codec}: {grown} bytes");
        worst = worst.max(grown);
        drop(set);
    }
    assert!(worst > DEFAULT_DECOMPRESSED_LIMIT / 2, "the measurement sees something: {worst} bytes");
}

/// A gibibyte of zeros.
fn bomb(codec: Compression) -> Vec<u8> {
    let piece = vec![0; 16 * MIB];
    let pieces = BOMB / piece.len();
    if codec == Compression::Lz4 {
        // Only one frame is read, so it has to be a long one.
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        for _ in 0..pieces {
            encoder.write_all(&piece).unwrap();
        }
        return encoder.finish().unwrap();
    }
    let mut one = Vec::new();
    Compressor::new(codec, None).unwrap().compress(&piece, &mut one).unwrap();
    one.repeat(pieces)
}

/// A batch of one record that has this payload.
fn batch(codec: Compression, payload: &[u8]) -> Bytes {
    let header = BatchHeader {
        base_offset: 0,
        length: (payload.len() + 49).try_into().unwrap(),
        leader_epoch: 0,
        magic: 2,
        crc: 0,
        attributes: Attributes::default().with_compression(codec),
        last_offset_delta: 0,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: 1,
    };
    let mut frame = [&header.to_bytes()[..], payload].concat();
    let crc = crc32c::crc32c(&frame[21..]);
    frame[17..21].copy_from_slice(&crc.to_be_bytes());
    frame.into()
}
