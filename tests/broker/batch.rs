//! Record batches to produce, whole and damaged.

use bytes::Bytes;
use ottla::records::{BatchBuilder, BatchHeader, Compression, Compressor, HEADER_LEN, Stamp};
use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// A batch of records with these keys, values and the time now.
pub fn batch(records: &[(Option<&str>, &str)]) -> Bytes {
    build(records, now_ms(), Compression::None, Stamp::NONE)
}

/// A batch of `count` records.
pub fn of(count: usize) -> Bytes {
    batch(&vec![(Some("key"), "value"); count])
}

/// A batch of `count` records, the first with this time and each following a millisecond later.
pub fn at(timestamp: i64, count: usize) -> Bytes {
    build(&vec![(Some("key"), "value"); count], timestamp, Compression::None, Stamp::NONE)
}

/// A batch in a codec.
pub fn compressed(codec: Compression) -> Bytes {
    build(&[(Some("key"), "value"), (None, "other")], now_ms(), codec, Stamp::NONE)
}

/// A batch of an idempotent producer.
pub fn sequenced(producer_id: i64, producer_epoch: i16, base_sequence: i32, count: usize) -> Bytes {
    let stamp = Stamp { producer_id, producer_epoch, base_sequence, transactional: false };
    build(&vec![(Some("key"), "value"); count], now_ms(), Compression::None, stamp)
}

/// A batch of a transaction.
pub fn transactional(producer_id: i64, producer_epoch: i16, base_sequence: i32, count: usize) -> Bytes {
    let stamp = Stamp { producer_id, producer_epoch, base_sequence, transactional: true };
    build(&vec![(Some("key"), "value"); count], now_ms(), Compression::None, stamp)
}

/// A batch of about `bytes` bytes.
pub fn large(bytes: usize) -> Bytes {
    batch(&[(None, &"x".repeat(bytes))])
}

fn build(records: &[(Option<&str>, &str)], timestamp: i64, codec: Compression, stamp: Stamp) -> Bytes {
    let mut builder = BatchBuilder::with_capacity(256);
    for (n, (key, value)) in (0i64..).zip(records) {
        builder.append(timestamp + n, key.map(str::as_bytes), Some(value.as_bytes()), []).unwrap();
    }
    let mut closed = builder.close().unwrap();
    closed.compress(&mut Compressor::new(codec, None).unwrap()).unwrap();
    closed.seal(stamp).bytes().clone()
}

/// The batch with another header, whose checksum is right.
pub fn with_header(batch: &Bytes, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut bytes = batch.to_vec();
    let mut header = BatchHeader::read(bytes.first_chunk().unwrap());
    change(&mut header);
    bytes[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

/// The batch with one byte changed and its checksum left as it was.
pub fn damaged(batch: &Bytes, at: usize) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[at] ^= 1;
    bytes.into()
}
