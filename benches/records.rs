//! A batch of 1,000 records of 100 bytes, written and read, beside the crate `kafka-protocol` in the same run.
//!
//! `cargo bench --bench records`. Times are for a whole batch, checksum included: microseconds here are nanoseconds a
//! record. What counts is the ratio of two lines of the same run.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "benchmarks")]

use bytes::{Bytes, BytesMut};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kafka_protocol::records::{
    Compression as TheirCompression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};
use ottla::records::{BatchBuilder, Batches, Compression, Compressor, Header, SealedBatch, Stamp};

const RECORDS: usize = 1_000;
const RECORD_BYTES: usize = 100;
const KEY_BYTES: usize = 10;
const TIMESTAMP: i64 = 1_700_000_000_000;

fn main() {
    divan::main();
}

/// What a record consists of: 100 bytes of value, or a key of 10 and a value of 90.
struct Input {
    key: Option<Bytes>,
    value: Bytes,
}

fn input(keyed: bool) -> Vec<Input> {
    let key_bytes = if keyed { KEY_BYTES } else { 0 };
    (0..RECORDS)
        .map(|at| {
            let text =
                format!("{{\"order\":{at},\"state\":\"created\",\"customer\":{}}}", at * 7919 % 10_007);
            Input {
                key: keyed.then(|| format!("key-{at:06}").into()),
                value: text.bytes().chain(std::iter::repeat(b' ')).take(RECORD_BYTES - key_bytes).collect(),
            }
        })
        .collect()
}

/// The clock moves on by a millisecond every ten records.
fn timestamp(at: usize) -> i64 {
    TIMESTAMP + at as i64 / 10
}

fn write(input: &[Input], buffer: Vec<u8>) -> SealedBatch {
    let mut builder = BatchBuilder::reusing(buffer);
    for (at, record) in input.iter().enumerate() {
        builder.append(timestamp(at), record.key.as_deref(), Some(&record.value), []).unwrap();
    }
    builder.close().unwrap().seal(Stamp::NONE)
}

fn buffer() -> Vec<u8> {
    vec![0; 2 * RECORDS * RECORD_BYTES]
}

fn theirs(input: &[Input]) -> Vec<Record> {
    let record = |(at, record): (usize, &Input)| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: at as i64,
        sequence: at as i32,
        timestamp: timestamp(at),
        key: record.key.clone(),
        value: Some(record.value.clone()),
        headers: Default::default(),
    };
    input.iter().enumerate().map(record).collect()
}

#[divan::bench(args = [false, true])]
fn encode_ottla(bencher: Bencher<'_, '_>, keyed: bool) {
    let input = input(keyed);
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(buffer)
        .bench_values(|buffer| write(black_box(&input), buffer));
}

/// The records are built beforehand and the buffer is allocated, too: what is measured is the encoding alone.
#[divan::bench(args = [false, true])]
fn encode_kafka_protocol(bencher: Bencher<'_, '_>, keyed: bool) {
    let records = theirs(&input(keyed));
    let options = RecordEncodeOptions { version: 2, compression: TheirCompression::None };
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(|| {
            let mut buffer = BytesMut::from(&buffer()[..]);
            buffer.clear();
            buffer
        })
        .bench_values(|mut buffer| {
            RecordBatchEncoder::encode(&mut buffer, black_box(&records), &options).unwrap();
            buffer
        });
}

/// Opens the batch, which checks all of it, and looks at every field of every record.
#[divan::bench(args = [false, true])]
fn decode_ottla(bencher: Bencher<'_, '_>, keyed: bool) {
    let set = write(&input(keyed), buffer()).bytes().clone();
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let batch = Batches::new(black_box(&set).clone()).next().unwrap().unwrap();
        for record in &batch {
            black_box((record.offset(), record.timestamp(), record.key(), record.value()));
        }
        batch
    });
}

/// The same with records that own their key and value (sharing the set's memory), which is what the other one gives.
#[divan::bench(args = [false, true])]
fn decode_ottla_owned(bencher: Bencher<'_, '_>, keyed: bool) {
    let set = write(&input(keyed), buffer()).bytes().clone();
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        let batch = Batches::new(black_box(&set).clone()).next().unwrap().unwrap();
        batch.records().map(|record| record.to_owned()).collect::<Vec<_>>()
    });
}

#[divan::bench(args = [false, true])]
fn decode_kafka_protocol(bencher: Bencher<'_, '_>, keyed: bool) {
    let set = write(&input(keyed), buffer()).bytes().clone();
    bencher
        .counter(ItemsCount::new(RECORDS))
        .bench(|| RecordBatchDecoder::decode(&mut black_box(&set).clone()).unwrap());
}

#[divan::bench]
fn encode_with_two_headers_ottla(bencher: Bencher<'_, '_>) {
    let input = input(true);
    let headers = [
        Header { key: b"trace", value: Some(b"0123456789abcdef") },
        Header { key: b"content-type", value: Some(b"application/json") },
    ];
    bencher.counter(ItemsCount::new(RECORDS)).with_inputs(buffer).bench_values(|buffer| {
        let mut builder = BatchBuilder::reusing(buffer);
        for (at, record) in input.iter().enumerate() {
            let value = Some(&record.value[..]);
            builder.append(timestamp(at), record.key.as_deref(), value, headers).unwrap();
        }
        builder.close().unwrap().seal(Stamp::NONE)
    });
}

fn codecs() -> impl Iterator<Item = Compression> {
    Compression::ALL.into_iter().filter(|codec| codec.check_enabled().is_ok())
}

#[divan::bench(args = codecs())]
fn compress(bencher: Bencher<'_, '_>, codec: Compression) {
    let input = input(true);
    let mut compressor = Compressor::new(codec, None).unwrap();
    let close = || {
        let mut builder = BatchBuilder::reusing(buffer());
        for (at, record) in input.iter().enumerate() {
            builder.append(timestamp(at), record.key.as_deref(), Some(&record.value), []).unwrap();
        }
        builder.close().unwrap()
    };
    bencher.counter(ItemsCount::new(RECORDS)).with_inputs(close).bench_local_values(|mut batch| {
        batch.compress(&mut compressor).unwrap();
        batch.seal(Stamp::NONE)
    });
}

#[divan::bench(args = codecs())]
fn decompress(bencher: Bencher<'_, '_>, codec: Compression) {
    let input = input(true);
    let mut builder = BatchBuilder::reusing(buffer());
    for (at, record) in input.iter().enumerate() {
        builder.append(timestamp(at), record.key.as_deref(), Some(&record.value), []).unwrap();
    }
    let mut batch = builder.close().unwrap();
    batch.compress(&mut Compressor::new(codec, None).unwrap()).unwrap();
    let set = batch.seal(Stamp::NONE).bytes().clone();
    bencher
        .counter(ItemsCount::new(RECORDS))
        .bench(|| Batches::new(black_box(&set).clone()).next().unwrap().unwrap());
}
