//! Record batches in Fetch answers: each must be refused, told of, and left where it lies.

use super::FETCH;
use crate::broker::offset_asked;
use crate::case::{Act, Asked, Case, Mode};
use crate::forge::{bomb, bomb_name, compressed_lie, control, lie, sealed, with_header, with_payload};
use ottla::messages::*;
use ottla::records::{BatchHeader, Compression, HEADER_LEN};

const CODECS: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// This record set in place of the true one, given where the client reads.
fn case(name: impl Into<String>, set: impl Fn(i64) -> Vec<u8> + Send + Sync + 'static) -> Case {
    Case::on("batches", name, FETCH, move |asked| answered(asked, Some(set(offset_asked(asked)))))
}

fn answered(asked: &Asked, set: Option<Vec<u8>>) -> Act {
    let at = offset_asked(asked);
    asked.but(|answer| match answer {
        AnyResponse::Fetch(answer) => {
            let partition = &mut answer.responses[0].partitions[0];
            // There is more to come, whatever there is.
            partition.high_watermark = at + 1_000;
            partition.last_stable_offset = at + 1_000;
            partition.records = set.map(|set| bytes::Bytes::from(set).into());
        }
        _ => unreachable!("only asked for this"),
    })
}

/// A batch whose header is a lie.
fn header(name: &str, change: impl Fn(&mut BatchHeader) + Send + Sync + 'static) -> Case {
    case(name, move |at| with_header(&lie(at), &change))
}

/// A batch whose records begin with these bytes, and its count.
fn records(name: &str, count: i32, bytes: &'static [u8]) -> Case {
    case(name, move |at| {
        with_header(&with_payload(&lie(at), bytes), |header| {
            (header.record_count, header.last_offset_delta) = (count, count - 1);
        })
    })
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("crc is wrong", |at| {
            let mut batch = lie(at);
            batch[18] ^= 1;
            batch
        })
        .quick(Mode::ForEver),
        case("a flipped bit", |at| {
            let mut batch = lie(at);
            batch[HEADER_LEN + 9] ^= 0x10;
            batch
        }),
        case("the second batch is wrong", |at| {
            let mut wrong = lie(at / 2 * 2 + 2);
            wrong[18] ^= 1;
            [crate::forge::honest(at / 2 * 2), wrong].concat()
        }),
        header("base offset overflows", |header| header.base_offset = i64::MAX).quick(Mode::Twice),
        header("base offset is negative", |header| header.base_offset = -9),
        header("last offset delta is negative", |header| header.last_offset_delta = -1),
        header("last offset delta is 2^31-1 and base overflows", |header| {
            header.last_offset_delta = i32::MAX;
            header.base_offset = i64::MAX - 5;
        }),
        header("count below the records", |header| header.record_count -= 1),
        header("count above the records", |header| header.record_count += 1),
        header("count is negative", |header| header.record_count = -1),
        header("count is 2^31-1", |header| {
            (header.record_count, header.last_offset_delta) = (i32::MAX, i32::MAX - 1);
        }),
        header("count is 0", |header| header.record_count = 0),
        header("magic 0", |header| header.magic = 0),
        header("magic 1", |header| header.magic = 1),
        header("magic 3", |header| header.magic = 3).quick(Mode::ForEver),
        header("magic -1", |header| header.magic = -1),
        case("unknown codec", |at| {
            let mut batch = lie(at);
            batch[22] |= 5;
            sealed(batch)
        }),
        case("unknown attributes", |at| {
            let mut batch = lie(at);
            batch[21] |= 0x80;
            sealed(batch)
        }),
        case("length is negative", |at| with_length(at, -1)),
        case("length is 0", |at| with_length(at, 0)),
        case("length below a header", |at| with_length(at, 20)),
        case("length is 2^31-1", |at| with_length(at, i32::MAX)),
        case("cut in the header", |at| lie(at)[..30].to_vec()),
        case("cut in the records", |at| lie(at)[..100].to_vec()),
        case("garbage", |_| (0..200u8).map(|n| n.wrapping_mul(151)).collect()),
        records("record length is negative", 1, &[1, 0, 0, 0, 1, 1, 0]),
        records("record length beyond the batch", 1, &[0xfe, 0x7f, 0, 0, 0, 1, 1, 0]),
        records("record length of ten bytes", 1, &[0xff; 10]),
        records("key length -2", 1, &[12, 0, 0, 0, 3, 1, 0]),
        records("value length beyond the record", 1, &[12, 0, 0, 0, 1, 0x7e, 0]),
        records("negative count of headers", 1, &[12, 0, 0, 0, 1, 1, 1]),
        records("a header without a name", 1, &[16, 0, 0, 0, 1, 1, 2, 1, 1]),
        records("offsets that do not rise", 2, &[12, 0, 0, 2, 1, 1, 0, 12, 0, 0, 2, 1, 1, 0]),
        records("offset delta beyond the last", 1, &[12, 0, 0, 20, 1, 1, 0]),
        case("control batch with an empty key", |at| control(at, &[], &[])),
        case("control batch of garbage", |at| control(at, &[0, 0, 0], &[1, 2])).quick(Mode::ForEver),
        case("control batch with a negative version", |at| {
            control(at, &[0xff, 0xff, 0, 1], &[0, 0, 0, 0, 0, 1])
        }),
        Case::on("batches", "no records below the high watermark", FETCH, |asked| {
            answered(asked, Some(Vec::new()))
        })
        .harmless()
        .quick(Mode::ForEver),
        Case::on("batches", "null records below the high watermark", FETCH, |asked| answered(asked, None))
            .harmless(),
        Case::on("batches", "what was read before", FETCH, |asked| {
            let at = offset_asked(asked);
            answered(asked, Some(crate::forge::honest((at - 2).max(0) / 2 * 2)))
        })
        .harmless(),
        Case::on("batches", "aborted transactions of nobody", FETCH, |asked| {
            asked.but(|answer| match answer {
                AnyResponse::Fetch(answer) => {
                    let nobody = AbortedTransaction { producer_id: ProducerId(-5), first_offset: i64::MIN };
                    answer.responses[0].partitions[0].aborted_transactions = Some(vec![nobody; 10_000]);
                }
                _ => unreachable!("only asked for this"),
            })
        })
        .harmless(),
    ];
    for codec in CODECS.into_iter().filter(|codec| codec.check_enabled().is_ok()) {
        cases.extend(compressed(codec));
    }
    cases
}

fn with_length(at: i64, length: i32) -> Vec<u8> {
    let mut batch = lie(at);
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    sealed(batch)
}

fn compressed(codec: Compression) -> Vec<Case> {
    let payload = move |at| compressed_lie(at, codec)[HEADER_LEN..].to_vec();
    let bomb = case(bomb_name(codec), move |at| bomb(at, codec));
    vec![
        case(format!("{codec}, garbage"), move |at| with_payload(&compressed_lie(at, codec), &[0xa5; 300])),
        case(format!("{codec}, nothing"), move |at| with_payload(&compressed_lie(at, codec), &[])),
        case(format!("{codec}, cut"), move |at| {
            let payload = payload(at);
            with_payload(&compressed_lie(at, codec), &payload[..payload.len() / 2])
        }),
        if codec == Compression::Zstd || codec == Compression::Gzip { bomb.quick(Mode::Twice) } else { bomb },
    ]
}
