#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// Real codecs, of which this build may lack one.
fn codecs() -> impl Iterator<Item = Compression> {
    Compression::ALL.into_iter().filter(|codec| *codec != Compression::None && codec.check_enabled().is_ok())
}

fn compress(codec: Compression, level: Option<i32>, input: &[u8]) -> Vec<u8> {
    let mut out = b"before".to_vec();
    Compressor::new(codec, level).unwrap().compress(input, &mut out).unwrap();
    assert!(out.starts_with(b"before"), "it appends");
    out.split_off(6)
}

fn decompress(codec: Compression, input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let out = Decompressor::new(limit).decompress(codec, input)?;
    assert!(out.capacity() <= limit.max(out.len()), "{} for {}", out.capacity(), out.len());
    Ok(out)
}

/// Text that compresses somewhat, longer than a block of any codec.
fn text(len: usize) -> Vec<u8> {
    let words =
        (0..).flat_map(|at: u64| format!("order {} is {} ", at * 7919 % 10_007, at % 13).into_bytes());
    words.take(len).collect()
}

#[test]
fn names_ids_and_levels_are_kafkas() {
    let names: Vec<_> = Compression::ALL.iter().map(|codec| (codec.id(), codec.to_string())).collect();
    let expected = [(0, "none"), (1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")];
    assert_eq!(names, expected.map(|(id, name)| (id, name.to_owned())));
    for codec in Compression::ALL {
        assert_eq!(Compression::from_id(codec.id()), Some(codec));
        assert_eq!(codec.name().parse(), Ok(codec));
    }
    assert_eq!(Compression::from_id(5), None);
    let error = "GZip".parse::<Compression>().unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"unknown compression type "GZip": there are none, gzip, snappy, lz4 and zstd"#
    );
}

#[test]
fn levels_are_checked_and_the_error_says_which_there_are() {
    for (codec, good, bad) in [
        (Compression::Gzip, &[-1, 1, 9][..], &[-2, 0, 10][..]),
        (Compression::Lz4, &[1, 9, 17], &[0, -1, 18]),
        (Compression::Zstd, &[-131_072, -5, 0, 3, 22], &[-131_073, 23]),
        (Compression::Snappy, &[], &[0, 1]),
        (Compression::None, &[], &[0, 1]),
    ] {
        for level in good {
            assert_eq!(codec.check_level(*level), Ok(()));
        }
        for level in bad {
            assert_eq!(codec.check_level(*level), Err(CompressionError::Level { codec, level: *level }));
            assert!(Compressor::new(codec, Some(*level)).is_err());
        }
    }
    let says = |codec: Compression, level| codec.check_level(level).unwrap_err().to_string();
    assert_eq!(says(Compression::Gzip, 0), "gzip has no level 0: it has 1 to 9 and -1, its default");
    assert_eq!(says(Compression::Zstd, 23), "zstd has no level 23: it has -131072 to 22");
    assert_eq!(says(Compression::Snappy, 1), "snappy has no level 1: it has no levels");
}

#[test]
fn every_level_comes_back() {
    let input = text(20_000);
    for codec in codecs() {
        let levels: Vec<Option<i32>> = match codec {
            Compression::Zstd => [-131_072, -100, -5, -1, 0].into_iter().chain(1..=22).map(Some).collect(),
            _ => codec.levels().into_iter().flatten().map(Some).collect(),
        };
        for level in levels.into_iter().chain([None, codec.default_level()]) {
            let compressed = compress(codec, level, &input);
            let next_to_nothing = level == Some(-131_072);
            assert!(compressed.len() < input.len() || next_to_nothing, "{codec} {level:?}");
            assert_eq!(decompress(codec, &compressed, input.len()).as_ref(), Ok(&input), "{codec} {level:?}");
        }
    }
    let gzip = |level| compress(Compression::Gzip, Some(level), &input).len();
    assert!(gzip(9) < gzip(1), "levels have an effect");
}

#[test]
fn the_limit_is_exact() {
    for codec in codecs() {
        for len in [1, 1000, 65_536, 300_000] {
            let input = text(len);
            let compressed = compress(codec, None, &input);
            assert_eq!(decompress(codec, &compressed, len).as_ref(), Ok(&input), "{codec} {len}");
            let limit = len - 1;
            let error = decompress(codec, &compressed, limit).unwrap_err();
            assert_eq!(error, CompressionError::TooLarge { codec, limit }, "{codec} {len}");
        }
        assert_eq!(decompress(codec, &compress(codec, None, &[]), 0), Ok(Vec::new()), "{codec}");
    }
}

#[test]
fn every_truncation_is_an_error_and_so_is_anything_behind() {
    let input = text(40_000);
    for codec in codecs() {
        let whole = compress(codec, None, &input);
        for len in 0..whole.len() {
            if codec == Compression::Snappy && (len < 8 || len >= 16 && is_chunk_end(&whole, len)) {
                continue; // a sequence of chunks has no end mark; whoever has the record count notices
            }
            let error = decompress(codec, &whole[..len], 1 << 20);
            assert!(matches!(error, Err(CompressionError::Corrupt { .. })), "{codec} {len}: {error:?}");
        }
        let mut more = whole;
        more.push(0);
        assert!(decompress(codec, &more, 1 << 20).is_err(), "{codec}");
    }
}

fn is_chunk_end(whole: &[u8], len: usize) -> bool {
    let mut at = 16;
    while at < len {
        at += 4 + u32::from_be_bytes(*whole[at..].first_chunk().unwrap()) as usize;
    }
    at == len
}

#[test]
fn what_java_streams_is_read_too() {
    let input = text(1000);
    let twice = [&input[..], &input].concat();
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Zstd] {
        if codec.check_enabled().is_ok() {
            let one = compress(codec, None, &input);
            assert_eq!(decompress(codec, &[&one[..], &one].concat(), 2000), Ok(twice.clone()), "{codec}");
        }
    }
}

mod snappy {
    use super::*;

    #[test]
    fn raw_is_read_as_librdkafka_writes_it() {
        let input = text(100_000);
        let raw = snap::raw::Encoder::new().compress_vec(&input).unwrap();
        assert_eq!(decompress(Compression::Snappy, &raw, input.len()), Ok(input));
    }

    #[test]
    fn frames_are_javas() {
        let input = text(70_000);
        let framed = compress(Compression::Snappy, None, &input);
        assert_eq!(framed[..16], *b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01");
        let mut rest = &framed[16..];
        let mut sizes = Vec::new();
        while let Some((len, after)) = rest.split_first_chunk() {
            let (chunk, after) = after.split_at(u32::from_be_bytes(*len) as usize);
            sizes.push(snap::raw::decompress_len(chunk).unwrap());
            rest = after;
        }
        assert_eq!(sizes, [32_768, 32_768, 70_000 - 65_536]);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused_before_memory_is_taken() {
        let claim = |len: u64| {
            let mut raw = vec![0; 10];
            let end = {
                let mut at = 0;
                let mut left = len;
                while left >= 0x80 {
                    raw[at] = left as u8 | 0x80;
                    left >>= 7;
                    at += 1;
                }
                raw[at] = left as u8;
                at + 1
            };
            raw.truncate(end);
            decompress(Compression::Snappy, &raw, usize::MAX)
        };
        for len in [1 << 20, (1 << 32) - 1, 1 << 32] {
            assert!(matches!(claim(len), Err(CompressionError::Corrupt { .. })));
        }
        let chunk = [&b"\x82SNAPPY\x00\0\0\0\x01\0\0\0\x01"[..], &[0xff, 0xff, 0xff, 0xff, 0]].concat();
        assert!(decompress(Compression::Snappy, &chunk, 1000).is_err());
        let version = b"\x82SNAPPY\x00\0\0\0\x01\0\0\0\0";
        assert!(decompress(Compression::Snappy, version, 1000).is_err());
    }

    #[test]
    fn the_best_ratio_is_within_the_bound() {
        let input = vec![7; 1 << 20];
        let raw = snap::raw::Encoder::new().compress_vec(&input).unwrap();
        assert!(raw.len() * MAX_RATIO_SEEN > input.len());
        assert_eq!(decompress(Compression::Snappy, &raw, input.len()), Ok(input));
    }

    const MAX_RATIO_SEEN: usize = 32;
}

mod lz4 {
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    use super::*;

    #[test]
    fn frames_are_such_as_java_reads() {
        let framed = compress(Compression::Lz4, None, &text(300_000));
        // Magic; version 1, independent blocks, no checksums, size or dictionary; blocks of 256 KiB.
        assert_eq!(framed[..6], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x50]);
        assert_eq!(framed[framed.len() - 4..], [0; 4], "the end mark");
    }

    #[test]
    fn other_frames_are_read() {
        let input = text(300_000);
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
                let info = FrameInfo::new()
                    .block_mode(mode)
                    .block_size(size)
                    .block_checksums(true)
                    .content_checksum(true)
                    .content_size(Some(input.len() as u64));
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&input).unwrap();
                let frame = encoder.finish().unwrap();
                assert_eq!(decompress(Compression::Lz4, &frame, input.len()).as_ref(), Ok(&input));
                let mut wrong = frame;
                let last = wrong.len() - 1;
                wrong[last] ^= 1;
                assert!(decompress(Compression::Lz4, &wrong, input.len()).is_err(), "the content checksum");
            }
        }
    }
}

#[cfg(feature = "zstd")]
mod zstd {
    use std::io::{Read, Write};

    use structured_zstd::encoding::{CompressionLevel, StreamingEncoder};

    use super::*;

    #[test]
    fn a_second_decoder_reads_what_is_written() {
        for len in [0, 1, 1000, 300_000] {
            let input = text(len);
            for level in [-7, 1, 3, 9, 19] {
                let frame = compress(Compression::Zstd, Some(level), &input);
                let mut out = Vec::new();
                ruzstd::decoding::StreamingDecoder::new(&frame[..]).unwrap().read_to_end(&mut out).unwrap();
                assert!(out == input, "{len} {level}");
            }
        }
    }

    #[test]
    fn a_second_encoders_frames_are_read() {
        let input = text(300_000);
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let frame = ruzstd::encoding::compress_to_vec(&input[..], level);
        assert_eq!(decompress(Compression::Zstd, &frame, input.len()), Ok(input));
    }

    #[test]
    fn frames_without_a_size_are_bounded_like_others() {
        let input = text(300_000);
        let mut encoder = StreamingEncoder::new(Vec::new(), CompressionLevel::from_level(3));
        encoder.write_all(&input).unwrap();
        let frame = encoder.finish().unwrap();
        assert_eq!(decompress(Compression::Zstd, &frame, input.len()).as_ref(), Ok(&input));
        let limit = input.len() - 1;
        assert_eq!(
            decompress(Compression::Zstd, &frame, limit),
            Err(CompressionError::TooLarge { codec: Compression::Zstd, limit })
        );
    }

    #[test]
    fn a_size_that_cannot_be_is_refused_before_memory_is_taken() {
        // A frame of one block that says 2^40 bytes, and one that says 100 MiB.
        for size in [1u64 << 40, 100 << 20] {
            let frame =
                [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &size.to_le_bytes(), &[0x09, 0, 0, b'x']].concat();
            assert!(decompress(Compression::Zstd, &frame, 64 << 20).is_err());
        }
    }
}

#[cfg(not(feature = "zstd"))]
#[test]
fn zstd_names_the_feature_that_brings_it() {
    let error = Compressor::new(Compression::Zstd, None).unwrap_err();
    assert_eq!(error.to_string(), "zstd is not compiled in: turn on the crate's feature `zstd`");
    assert_eq!(Decompressor::default().decompress(Compression::Zstd, &[]), Err(error));
}

proptest! {
    #[test]
    fn damaged_data_is_bounded_and_harmless(
        len in 0usize..3000,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        limit in 0usize..5000,
    ) {
        let input = text(len);
        for codec in codecs() {
            let mut data = compress(codec, None, &input);
            for (at, byte) in &changes {
                let at = at.index(data.len());
                data[at] = *byte;
            }
            if let Ok(out) = decompress(codec, &data, limit) {
                prop_assert!(out.len() <= limit);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_bounded_and_harmless(data in proptest::collection::vec(any::<u8>(), 0..200), limit in 0usize..5000) {
        let magic: [&[u8]; 5] = [
            &[],
            &[0x1f, 0x8b, 8],
            b"\x82SNAPPY\x00\0\0\0\x01\0\0\0\x01",
            &[0x04, 0x22, 0x4d, 0x18],
            &[0x28, 0xb5, 0x2f, 0xfd],
        ];
        for codec in codecs() {
            for data in [data.clone(), [magic[usize::from(codec.id())], &data].concat()] {
                if let Ok(out) = decompress(codec, &data, limit) {
                    prop_assert!(out.len() <= limit);
                }
            }
        }
    }
}
