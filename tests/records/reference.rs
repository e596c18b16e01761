//! A second reader of record batches, written from Kafka's format description as plainly as can be, and what random
//! bytes are put through beside it. The fuzz targets include this file by its path.

use bytes::Bytes;
use ottla::records::{BatchHeader, Batches, Compression, Decompressor, HEADER_LEN};

/// Where the bytes begin that the checksum covers.
const CHECKED_FROM: usize = 21;
/// The largest output that random bytes are allowed.
const LIMIT: usize = 1 << 20;

type Blob = Option<Vec<u8>>;

#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Blob,
    pub value: Blob,
    pub headers: Vec<(Vec<u8>, Blob)>,
}

/// Walks `data` as a record set, then takes it as one batch of the right length and checksum: never a panic, and never
/// another opinion than the reference's.
pub fn record_batch(data: &[u8]) {
    let mut batches = Batches::with_limit(Bytes::copy_from_slice(data), LIMIT);
    loop {
        match batches.next() {
            Some(Ok(batch)) => assert_eq!(batch.records().count(), batch.records().len()),
            Some(Err(error)) => {
                assert!(!error.to_string().is_empty());
                if !batches.skip_refused() {
                    break;
                }
            }
            None => break,
        }
    }
    if data.len() < HEADER_LEN {
        return;
    }
    let mut frame = data.to_vec();
    frame[16] = 2;
    fix(&mut frame);
    assert_eq!(ours(&frame), expected(&frame));
}

/// What a frame holds; `None` when something in it is not sound. Does not look at the checksum, and leaves
/// decompressing to the library.
pub fn expected(frame: &[u8]) -> Option<Vec<Record>> {
    decompressed(frame).and_then(|frame| read(&frame))
}

/// The same batch without compression; `None` when that fails.
fn decompressed(frame: &[u8]) -> Option<Vec<u8>> {
    let codec = Compression::from_id(frame[22] & 7)?;
    let (header, payload) = frame.split_at(HEADER_LEN);
    if codec == Compression::None || payload.is_empty() {
        let mut frame = frame.to_vec();
        frame[22] &= !7;
        return Some(frame);
    }
    let records = Decompressor::new(LIMIT).decompress(codec, payload).ok()?;
    let mut frame = [header, &records].concat();
    frame[22] &= !7;
    fix(&mut frame);
    Some(frame)
}

/// Decompresses `data`, of which the first byte says the codec and the next two the limit.
pub fn decompress(data: &[u8]) {
    let [codec, high, low, input @ ..] = data else { return };
    let codec = Compression::ALL[usize::from(*codec) % Compression::ALL.len()];
    let limit = usize::from(u16::from_be_bytes([*high, *low]));
    if let Ok(out) = Decompressor::new(limit).decompress(codec, input) {
        assert!(out.len() <= limit && out.capacity() <= limit, "{codec}: {} of {limit}", out.capacity());
    }
}

/// Makes length and checksum of a frame right again.
pub fn fix(frame: &mut [u8]) {
    let length = (frame.len() - 12) as i32;
    frame[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&frame[CHECKED_FROM..]);
    frame[17..CHECKED_FROM].copy_from_slice(&crc.to_be_bytes());
}

/// What the library makes of a frame; `None` when it refuses it.
pub fn ours(frame: &[u8]) -> Option<Vec<Record>> {
    let batch = Batches::with_limit(Bytes::copy_from_slice(frame), LIMIT).next()?.ok()?;
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let record = |record: ottla::records::RecordView<'_>| Record {
        offset: record.offset(),
        timestamp: record.timestamp(),
        key: owned(record.key()),
        value: owned(record.value()),
        headers: record.headers().map(|header| (header.key.to_vec(), owned(header.value))).collect(),
    };
    Some(batch.records().map(record).collect())
}

fn read(frame: &[u8]) -> Option<Vec<Record>> {
    let header = BatchHeader::read(frame.first_chunk()?);
    let attributes = i16::from_be_bytes([frame[21], frame[22]]);
    let end = i128::from(header.base_offset) + i128::from(header.last_offset_delta) + 1;
    let sound = header.magic == 2
        && header.length as usize == frame.len() - 12
        && header.base_offset >= 0
        && header.last_offset_delta >= 0
        && end <= i128::from(i64::MAX)
        && attributes & !0x78 == 0
        && (0..=i64::from(header.last_offset_delta) + 1).contains(&header.record_count.into());
    if !sound {
        return None;
    }
    let mut rest = Cursor(&frame[HEADER_LEN..]);
    let mut records = Vec::new();
    let mut lowest = 0;
    for _ in 0..header.record_count {
        let mut body = Cursor(rest.blob()??);
        let (delta, mut record) = body.record(&header)?;
        if !(lowest..=i64::from(header.last_offset_delta)).contains(&delta) || !body.0.is_empty() {
            return None;
        }
        lowest = delta + 1;
        if attributes & 8 != 0 {
            record.timestamp = header.max_timestamp;
        }
        records.push(record);
    }
    let sound = rest.0.is_empty() && (attributes & 0x20 == 0 || records.iter().all(is_control));
    sound.then_some(records)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn record(&mut self, header: &BatchHeader) -> Option<(i64, Record)> {
        self.byte()?;
        let timestamp = header.base_timestamp.checked_add(self.varint(64)?)?;
        let delta = self.varint(32)?;
        let owned = |blob: Option<&[u8]>| blob.map(<[u8]>::to_vec);
        let (key, value) = (owned(self.blob()?), owned(self.blob()?));
        let mut headers = Vec::new();
        for _ in 0..u32::try_from(self.varint(32)?).ok()? {
            headers.push((self.blob()??.to_vec(), owned(self.blob()?)));
        }
        Some((delta, Record { offset: header.base_offset + delta, timestamp, key, value, headers }))
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn varint(&mut self, bits: u32) -> Option<i64> {
        let mut coded = 0u128;
        for at in 0..bits.div_ceil(7) {
            let byte = self.byte()?;
            coded |= u128::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                let value = (coded >> 1) as i128 ^ -((coded & 1) as i128);
                return if coded >> bits == 0 { value.try_into().ok() } else { None };
            }
        }
        None
    }

    fn blob(&mut self) -> Option<Option<&'a [u8]>> {
        let len = self.varint(32)?;
        if len == -1 {
            return Some(None);
        }
        let (blob, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(Some(blob))
    }
}

/// Whether a record is what a control batch may hold.
fn is_control(record: &Record) -> bool {
    let versioned = |blob: &Blob, len: usize| match blob.as_deref() {
        Some(blob @ [0, 0, ..]) => blob.len() == len,
        Some(blob @ [0..0x80, _, ..]) => blob.len() >= len,
        _ => false,
    };
    let ends_transaction = |key: &Blob| matches!(key.as_deref(), Some([_, _, 0, 0 | 1, ..]));
    versioned(&record.key, 4) && (!ends_transaction(&record.key) || versioned(&record.value, 6))
}
