//! Record batches, honest and otherwise.

use crate::broker::BATCH;
use flate2::write::GzEncoder;
use ottla::records::{BatchBuilder, BatchHeader, Compression, Compressor, HEADER_LEN, Stamp};
use std::io::Write;
use std::sync::OnceLock;

/// What the value of a forged record begins with.
pub const LIE: &str = "lie";
/// What a bomb becomes.
const BOMB: usize = 1 << 30;
/// The piece of zeros that a bomb repeats.
const PIECE: usize = 16 << 20;
const CRC_FROM: usize = 21;

/// What the honest record at an offset says.
pub fn honest_value(offset: i64) -> String {
    format!("honest {offset}")
}

/// The honest batch that begins at an offset.
pub fn honest(base: i64) -> Vec<u8> {
    let values: Vec<String> = (base..base + BATCH).map(honest_value).collect();
    batch(base, &values, Compression::None)
}

/// A batch that would be honest if it did not say otherwise.
pub fn lie(base: i64) -> Vec<u8> {
    compressed_lie(base, Compression::None)
}

pub fn compressed_lie(base: i64, codec: Compression) -> Vec<u8> {
    let values: Vec<String> =
        (0..BATCH).map(|n| format!("{LIE} {n} {}", "and more of it ".repeat(40))).collect();
    batch(base, &values, codec)
}

fn batch(base: i64, values: &[String], codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::with_capacity(256);
    for value in values {
        builder.append(1_700_000_000_000, None, Some(value.as_bytes()), []).unwrap();
    }
    let mut closed = builder.close().unwrap();
    closed.compress(&mut Compressor::new(codec, None).unwrap()).unwrap();
    let mut bytes = closed.seal(Stamp::NONE).bytes().to_vec();
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    bytes
}

/// The batch with another header, whose length and checksum are right.
pub fn with_header(batch: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let mut header = BatchHeader::read(batch.first_chunk().unwrap());
    change(&mut header);
    sealed([&header.to_bytes()[..], &batch[HEADER_LEN..]].concat())
}

/// The batch with other bytes in place of its records, length and checksum right.
pub fn with_payload(batch: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = [&batch[..HEADER_LEN], payload].concat();
    let length = i32::try_from(bytes.len() - 12).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    sealed(bytes)
}

/// Makes the checksum right.
pub fn sealed(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// Makes the bombs of these cases, which takes long, so that nobody waits for it later.
pub fn make_bombs(cases: &[String]) {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        if cases.iter().any(|case| case.ends_with(&bomb_name(codec))) {
            drop(bomb(0, codec));
        }
    }
}

/// What a case is called that drops one.
pub fn bomb_name(codec: Compression) -> String {
    format!("{codec}, a bomb of 1 GiB")
}

/// A batch of one record, so it says, whose payload becomes a gibibyte.
pub fn bomb(base: i64, codec: Compression) -> Vec<u8> {
    static MADE: [OnceLock<Vec<u8>>; 5] = [const { OnceLock::new() }; 5];
    let payload = MADE[usize::from(codec.id())].get_or_init(|| bomb_payload(codec));
    with_payload(&compressed_lie(base, codec), payload)
}

fn bomb_payload(codec: Compression) -> Vec<u8> {
    let zeros = vec![0; PIECE];
    let times = BOMB / PIECE;
    match codec {
        Compression::None => zeros,
        // Members one behind the other are one stream (RFC 1952).
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&zeros).unwrap();
            encoder.finish().unwrap().repeat(times)
        }
        // Java's framing: a magic, two versions, then blocks behind their lengths.
        Compression::Snappy => {
            let block = snap::raw::Encoder::new().compress_vec(&zeros[..1 << 20]).unwrap();
            let block = [&u32::try_from(block.len()).unwrap().to_be_bytes()[..], &block].concat();
            [b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec(), block.repeat(BOMB >> 20)].concat()
        }
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            for _ in 0..times {
                encoder.write_all(&zeros).unwrap();
            }
            encoder.finish().unwrap()
        }
        // A frame whose blocks repeat a byte 128 KiB times: four bytes each (RFC 8878, 3.1.1.2).
        Compression::Zstd => {
            let head = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
            let block = |last: u32| (last | 1 << 1 | (128 << 10) << 3).to_le_bytes()[..3].to_vec();
            let count = BOMB / (128 << 10);
            let all = [&block(0)[..], &[0]].concat().repeat(count - 1);
            [&head[..], &all, &block(1), &[0]].concat()
        }
        _ => unreachable!("there are five codecs"),
    }
}

/// A batch of one control record with this key and value.
pub fn control(base: i64, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::with_capacity(128);
    builder.append(1_700_000_000_000, Some(key), Some(value), []).unwrap();
    let stamp = Stamp { producer_id: 4_001, producer_epoch: 0, base_sequence: -1, transactional: true };
    let bytes = builder.close().unwrap().seal(stamp).bytes().to_vec();
    with_header(&bytes, |header| {
        header.base_offset = base;
        header.attributes = header.attributes.with_control(true);
    })
}

#[test]
fn bombs_are_small_and_what_they_should_be() {
    use ottla::records::{Batches, CompressionError, Fault};
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        if codec.check_enabled().is_err() {
            continue;
        }
        let bomb = bomb(7, codec);
        assert!(bomb.len() < 64 << 20, "{codec}: {}", bomb.len());
        let error = Batches::with_limit(bomb.into(), 1 << 20).next().unwrap().unwrap_err();
        assert!(
            matches!(error.fault, Fault::Compression(CompressionError::TooLarge { .. })),
            "{codec}: {error}"
        );
    }
    let honest = Batches::new(honest(10).into()).next().unwrap().unwrap();
    let values: Vec<_> = honest.records().map(|r| (r.offset(), r.value().unwrap().to_vec())).collect();
    assert_eq!(values, [(10, b"honest 10".to_vec()), (11, b"honest 11".to_vec())]);
}
