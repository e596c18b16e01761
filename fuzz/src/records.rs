//! Record batches: hostile sets are refused batch by batch, what is accepted can be read to the end and written again.

use crate::input::Input;
use bytes::{Bytes, BytesMut};
use ottla::records::{
    Batch, BatchBuilder, Batches, BuildError, Compression, Compressor, Decompressor, Header, OwnedRecord,
    Stamp,
};

const LIMIT: usize = 1 << 20;
/// Where a batch has its length, its checksum, and what the checksum is of.
const LENGTH_AT: usize = 8;
const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;

/// A record set, as it is or with lengths and checksums mended, so that the fuzzer gets behind them.
pub fn batches(mut input: Input<'_>) {
    let mend = input.byte() & 1 == 1;
    let mut set = BytesMut::from(input.rest());
    if mend {
        mend_first(&mut set);
    }
    let set = set.freeze();
    let mut batches = Batches::with_limit(set.clone(), LIMIT);
    let mut turns = 0;
    loop {
        turns += 1;
        assert!(turns <= set.len() + 2, "no progress");
        match batches.next() {
            Some(Ok(batch)) => read(&batch),
            Some(Err(error)) => {
                let _ = error.to_string();
                assert!(batches.next().is_none(), "a batch after an error");
                if !batches.skip_refused() {
                    break;
                }
            }
            None => break,
        }
    }
    assert!(batches.bytes_left() <= set.len());
}

/// Makes the first batch end where the input does, and its checksum right.
fn mend_first(set: &mut BytesMut) {
    if set.len() <= CRC_FROM {
        return;
    }
    let length = u32::try_from(set.len() - LENGTH_AT - 4).unwrap();
    set[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&set[CRC_FROM..]);
    set[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
}

/// An accepted batch: its records can be read, and a batch built of them holds the same.
fn read(batch: &Batch) {
    let _ = batch.control_records().count();
    let records: Vec<_> = batch.records().map(|record| record.to_owned()).collect();
    let offsets: Vec<_> = records.iter().map(|record| record.offset).collect();
    assert!(offsets.is_sorted_by(|a, b| a < b), "offsets do not rise: {offsets:?}");
    for (view, owned) in batch.records().zip(&records) {
        assert_eq!(&view.detach(), owned);
        view.headers().for_each(drop);
    }
    // A timestamp too far from the first one cannot be written: then there is nothing to compare.
    if let Some(again) = rebuild(&records, Compression::None) {
        compare(&records, &again);
    }
}

/// Records of the fuzzer's making, through a codec and back.
pub fn build_and_read_back(mut input: Input<'_>) {
    let codec = *input.one_of(&Compression::ALL);
    let stamp = Stamp {
        producer_id: input.i64(),
        producer_epoch: input.u16().cast_signed(),
        base_sequence: input.u32().cast_signed(),
        transactional: input.byte() & 1 == 1,
    };
    let mut builder = BatchBuilder::with_capacity(0);
    let mut wanted = Vec::new();
    while !input.is_empty() && wanted.len() < 64 {
        let shape = input.byte();
        let timestamp = input.i64() >> (shape >> 2 & 63);
        let key = (shape & 1 == 1).then(|| input.chunk());
        let value = (shape & 2 == 2).then(|| input.chunk());
        let count = input.below(4);
        let headers: Vec<_> = (0..count)
            .map(|_| Header { key: input.chunk(), value: (input.byte() & 1 == 1).then(|| input.chunk()) })
            .collect();
        let (before, cost) = (builder.len(), builder.cost(timestamp, key, value, headers.iter().copied()));
        let appended = builder.append(timestamp, key, value, headers.iter().copied());
        assert_eq!(cost.is_ok(), appended.is_ok());
        assert_eq!(builder.len(), before + cost.unwrap_or(0), "the announced cost");
        if appended.is_ok() {
            wanted.push((timestamp, key, value, headers));
        }
    }
    let Some(mut closed) = builder.close() else { return assert!(wanted.is_empty()) };
    closed.compress(&mut Compressor::new(codec, None).unwrap()).unwrap();
    let sealed = closed.seal(stamp);
    let batch = open(sealed.bytes().clone());
    assert_eq!(batch.header().producer_id, stamp.producer_id);
    let got: Vec<_> = batch.records().collect();
    assert_eq!(got.len(), wanted.len());
    for (got, (timestamp, key, value, headers)) in got.iter().zip(&wanted) {
        assert_eq!((got.timestamp(), got.key(), got.value()), (*timestamp, *key, *value));
        assert!(got.headers().eq(headers.iter().copied()));
    }
    halves(&sealed, batch.records().map(|record| record.detach()).collect());
}

/// What MESSAGE_TOO_LARGE makes of a batch holds the same records.
fn halves(sealed: &ottla::records::SealedBatch, wanted: Vec<OwnedRecord>) {
    let halves = match sealed.split(&mut Compressor::new(Compression::None, None).unwrap()) {
        Ok(Some(halves)) => halves,
        Ok(None) => return assert_eq!(wanted.len(), 1, "only a batch of one cannot be split"),
        // The second half starts at another timestamp, from which the others may be out of reach.
        Err(BuildError::Timestamp { .. }) => return,
        Err(error) => panic!("what we built we can split: {error}"),
    };
    let got: Vec<_> = halves
        .into_iter()
        .flat_map(|half| {
            open(half.seal(Stamp::NONE).bytes().clone())
                .records()
                .map(|record| record.detach())
                .collect::<Vec<_>>()
        })
        .collect();
    compare(&wanted, &got);
}

fn rebuild(records: &[OwnedRecord], codec: Compression) -> Option<Vec<OwnedRecord>> {
    let mut builder = BatchBuilder::with_capacity(0);
    for record in records {
        let headers =
            record.headers.iter().map(|header| Header { key: &header.key, value: header.value.as_deref() });
        builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), headers).ok()?;
    }
    let mut closed = builder.close()?;
    closed.compress(&mut Compressor::new(codec, None).unwrap()).unwrap();
    Some(open(closed.seal(Stamp::NONE).bytes().clone()).records().map(|record| record.to_owned()).collect())
}

fn open(bytes: Bytes) -> Batch {
    Batch::open(bytes, 0, &mut Decompressor::new(64 << 20)).expect("what we build we can read")
}

/// All but the offsets, which holes may have set apart.
fn compare(wanted: &[OwnedRecord], got: &[OwnedRecord]) {
    assert_eq!(wanted.len(), got.len());
    for (wanted, got) in wanted.iter().zip(got) {
        assert_eq!((&wanted.key, &wanted.value, &wanted.headers), (&got.key, &got.value, &got.headers));
        assert_eq!(wanted.timestamp, got.timestamp);
    }
}
