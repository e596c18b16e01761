//! The crate `kafka-protocol` as a second opinion, in both directions.

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression as TheirCompression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};
use ottla::records::{Compression, Stamp};

use super::support::{self, Plain, only_batch};

fn theirs(at: usize, record: &Plain) -> Record {
    let blob = |bytes: &Vec<u8>| Bytes::from(bytes.clone());
    let key = |bytes: &Vec<u8>| StrBytes::from_string(String::from_utf8(bytes.clone()).unwrap());
    let headers: IndexMap<_, _> =
        record.headers.iter().map(|(name, value)| (key(name), value.as_ref().map(blob))).collect();
    Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: 4711,
        producer_epoch: 3,
        timestamp_type: TimestampType::Creation,
        offset: at as i64,
        sequence: 100 + at as i32,
        timestamp: record.timestamp,
        key: record.key.as_ref().map(blob),
        value: record.value.as_ref().map(blob),
        headers,
    }
}

const STAMP: Stamp = Stamp { producer_id: 4711, producer_epoch: 3, base_sequence: 100, transactional: true };

/// It keeps headers in a map, so duplicates are left out.
fn sample() -> Vec<Plain> {
    let mut sample = support::sample();
    sample[4].headers.pop();
    sample
}

#[test]
fn our_batches_are_read_by_it() {
    let sample = sample();
    let mut bytes = support::batch(&sample, Compression::None, STAMP).bytes().clone();
    let read = RecordBatchDecoder::decode(&mut bytes).unwrap();
    let expected: Vec<_> = sample.iter().enumerate().map(|(at, record)| theirs(at, record)).collect();
    assert_eq!(read.records, expected);
}

#[test]
fn its_batches_are_read_by_us() {
    let sample = sample();
    let records: Vec<_> = sample.iter().enumerate().map(|(at, record)| theirs(at, record)).collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: TheirCompression::None };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    let batch = only_batch(&bytes.freeze()).unwrap();
    assert_eq!(support::plain(&batch), sample);
    assert_eq!((batch.header().producer_id, batch.header().base_sequence), (4711, 100));
}
