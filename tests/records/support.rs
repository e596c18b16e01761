//! Records as plain values, and batches made of them.

use bytes::Bytes;
use ottla::records::{
    Batch, BatchBuilder, Batches, Compression, Compressor, HEADER_LEN, Header, RecordsError, SealedBatch,
    Stamp,
};

pub(crate) type Blob = Option<Vec<u8>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) timestamp: i64,
    pub(crate) key: Blob,
    pub(crate) value: Blob,
    pub(crate) headers: Vec<(Vec<u8>, Blob)>,
}

impl Plain {
    pub(crate) fn new(timestamp: i64, key: &str, value: &str) -> Self {
        Self { timestamp, key: Some(key.into()), value: Some(value.into()), headers: Vec::new() }
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = Header<'_>> + Clone {
        self.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() })
    }

    pub(crate) fn append_to(&self, builder: &mut BatchBuilder) -> i32 {
        builder.append(self.timestamp, self.key.as_deref(), self.value.as_deref(), self.headers()).unwrap()
    }
}

/// The codecs that this build has.
pub(crate) fn codecs() -> impl Iterator<Item = Compression> {
    Compression::ALL.into_iter().filter(|codec| codec.check_enabled().is_ok())
}

pub(crate) fn batch(records: &[Plain], codec: Compression, stamp: Stamp) -> SealedBatch {
    let mut builder = BatchBuilder::with_capacity(0);
    for record in records {
        record.append_to(&mut builder);
    }
    let mut closed = builder.close().unwrap();
    closed.compress(&mut Compressor::new(codec, None).unwrap()).unwrap();
    closed.seal(stamp)
}

/// The one batch of a record set.
pub(crate) fn only_batch(set: &Bytes) -> Result<Batch, RecordsError> {
    let mut batches = Batches::new(set.clone());
    let batch = batches.next().expect("a whole batch")?;
    assert!(batches.next().is_none());
    assert_eq!(batches.bytes_left(), 0);
    Ok(batch)
}

/// The batch as a log keeps it.
pub(crate) fn numbered(
    batch: &Batch,
    base_offset: i64,
    epoch: i32,
    append_time: Option<i64>,
) -> Result<Bytes, RecordsError> {
    let header = batch.numbered(base_offset, epoch, append_time)?;
    Ok([&header[..], &batch.frame()[HEADER_LEN..]].concat().into())
}

pub(crate) fn plain(batch: &Batch) -> Vec<Plain> {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    batch
        .records()
        .map(|record| Plain {
            timestamp: record.timestamp(),
            key: owned(record.key()),
            value: owned(record.value()),
            headers: record.headers().map(|header| (header.key.to_vec(), owned(header.value))).collect(),
        })
        .collect()
}

/// Ten records with something of everything.
pub(crate) fn sample() -> Vec<Plain> {
    let mut records: Vec<_> = (0..10)
        .map(|at| Plain::new(1_700_000_000_000 + at * 7, &format!("key-{at}"), &"value ".repeat(at as usize)))
        .collect();
    records[1].key = None;
    records[2].value = None;
    records[3].timestamp = 1_600_000_000_000;
    records[4].headers =
        vec![(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), None), (b"a".to_vec(), Some(Vec::new()))];
    records[5].value = Some(vec![0; 300]);
    records
}
