//! From a closed batch to what is sent, and what becomes of it when the broker does not take it.

use std::fmt;

use bytes::Bytes;

use super::batch::Batch;
use super::build::{BatchBuilder, BuildError, MAX_FRAME};
use super::compress::{Compression, CompressionError, Compressor, Decompressor};
use super::header::{Attributes, BatchHeader, HEADER_LEN, MAGIC};

/// What the producer knows of a batch only when it is sent, and anew when an epoch bump renumbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The producer id, -1 for a producer that is not idempotent.
    pub producer_id: i64,
    /// Its epoch, or -1.
    pub producer_epoch: i16,
    /// The sequence number of the batch's first record in its partition, or -1.
    pub base_sequence: i32,
    /// Whether the batch belongs to a transaction.
    pub transactional: bool,
}

impl Stamp {
    /// That of a producer that is not idempotent.
    pub const NONE: Self =
        Self { producer_id: -1, producer_epoch: -1, base_sequence: -1, transactional: false };
}

/// A batch that takes no more records and has no stamp yet. It can travel to another thread to be compressed.
pub struct ClosedBatch {
    frame: Vec<u8>,
    header: BatchHeader,
    compression: Compression,
    uncompressed_len: usize,
}

impl ClosedBatch {
    pub(super) fn new(
        frame: Vec<u8>,
        attributes: Attributes,
        last_offset_delta: i32,
        base_timestamp: i64,
        max_timestamp: i64,
    ) -> Self {
        let header = BatchHeader {
            base_offset: 0,
            length: 0,
            leader_epoch: -1,
            magic: MAGIC,
            crc: 0,
            attributes,
            last_offset_delta,
            base_timestamp,
            max_timestamp,
            producer_id: Stamp::NONE.producer_id,
            producer_epoch: Stamp::NONE.producer_epoch,
            base_sequence: Stamp::NONE.base_sequence,
            record_count: last_offset_delta.saturating_add(1),
        };
        Self { uncompressed_len: frame.len(), frame, header, compression: Compression::None }
    }

    /// Compresses the records. Takes CPU time: do it where nobody waits.
    ///
    /// A batch is compressed once; a second call does nothing.
    ///
    /// # Errors
    ///
    /// When the codec fails, or makes more of the batch than 2 GiB. The batch was uncompressed and still is.
    pub fn compress(&mut self, compressor: &mut Compressor) -> Result<(), CompressionError> {
        if compressor.codec() == Compression::None || self.compression != Compression::None {
            return Ok(());
        }
        let mut compressed = Vec::with_capacity(HEADER_LEN.saturating_add(self.frame.len() / 2));
        compressed.resize(HEADER_LEN, 0);
        compressor.compress(self.frame.get(HEADER_LEN..).unwrap_or_default(), &mut compressed)?;
        // It may wait for long, and counts with what it takes.
        if compressed.len() < compressed.capacity().saturating_sub(compressed.capacity() / 4) {
            compressed.shrink_to_fit();
        }
        if compressed.len() > MAX_FRAME {
            return Err(CompressionError::TooLarge { codec: compressor.codec(), limit: MAX_FRAME });
        }
        self.frame = compressed;
        self.compression = compressor.codec();
        self.header.attributes = self.header.attributes.with_compression(self.compression);
        Ok(())
    }

    /// Bytes of the batch, framing included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a closed batch has at least one record")]
    pub const fn len(&self) -> usize {
        self.frame.len()
    }

    /// Bytes of memory that the batch takes.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.frame.capacity()
    }

    /// Records of the batch.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// Writes the header: the batch can be sent.
    #[must_use]
    pub fn seal(mut self, stamp: Stamp) -> SealedBatch {
        apply(stamp, &mut self.header);
        self.header.seal(&mut self.frame);
        SealedBatch {
            memory: self.frame.capacity(),
            frame: self.frame.into(),
            header: self.header,
            compression: self.compression,
            uncompressed_len: self.uncompressed_len,
        }
    }
}

impl fmt::Debug for ClosedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "ClosedBatch", &self.header, self.len())
    }
}

/// A batch as it is sent.
#[derive(Clone)]
pub struct SealedBatch {
    frame: Bytes,
    memory: usize,
    header: BatchHeader,
    compression: Compression,
    uncompressed_len: usize,
}

impl SealedBatch {
    /// The bytes for the partition's field of a Produce request.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.frame
    }

    /// Bytes of the batch, framing included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a sealed batch has at least one record")]
    pub const fn len(&self) -> usize {
        self.frame.len()
    }

    /// Bytes of memory that the batch takes.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// Bytes of the batch before it was compressed, framing included.
    #[must_use]
    pub const fn uncompressed_len(&self) -> usize {
        self.uncompressed_len
    }

    /// The codec of the records.
    #[must_use]
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Records of the batch.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// What the batch is stamped with.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        Stamp {
            producer_id: self.header.producer_id,
            producer_epoch: self.header.producer_epoch,
            base_sequence: self.header.base_sequence,
            transactional: self.header.attributes.is_transactional(),
        }
    }

    /// The same records with another stamp. The bytes are changed in place when nobody else holds them (a
    /// request that is still being written does), else copied; records are neither encoded nor compressed again.
    #[must_use]
    pub fn restamp(mut self, stamp: Stamp) -> Self {
        apply(stamp, &mut self.header);
        self.frame = match self.frame.try_into_mut() {
            Ok(mut frame) => {
                self.header.seal(&mut frame);
                frame.freeze()
            }
            Err(shared) => {
                let mut frame = shared.to_vec();
                self.header.seal(&mut frame);
                frame.into()
            }
        };
        self
    }

    /// The buffer, emptied, if nobody else holds it any more.
    #[must_use]
    pub fn into_buffer(self) -> Option<Vec<u8>> {
        let mut frame = self.frame.try_into_mut().ok()?;
        frame.clear();
        Some(frame.into())
    }

    /// Splits a batch that is too large for the broker into two of about half its (uncompressed) bytes each,
    /// compressed as the whole was, to be sealed with sequences of their own. `None` when there is only one
    /// record.
    ///
    /// # Errors
    ///
    /// When compressing fails; or when the batch cannot be read, which would be a fault of this module.
    pub fn split(&self, compressor: &mut Compressor) -> Result<Option<[ClosedBatch; 2]>, BuildError> {
        if self.header.record_count < 2 {
            return Ok(None);
        }
        let mut decompressor = Decompressor::new(self.uncompressed_len);
        let whole = Batch::open(self.frame.clone(), 0, &mut decompressor)?;
        let half = HEADER_LEN.saturating_add(whole.records_len() / 2);
        let last = self.header.last_offset_delta;
        let mut first = BatchBuilder::with_capacity(half.saturating_mul(2).min(self.uncompressed_len));
        let mut records = whole.records().enumerate().peekable();
        while let Some((_, record)) =
            records.next_if(|(at, _)| first.len() < half && *at < usize::try_from(last).unwrap_or_default())
        {
            first.append(record.timestamp(), record.key(), record.value(), record.headers())?;
        }
        // A record that is larger than the others may have needed the room of the whole.
        first.shrink();
        let rest = self.uncompressed_len.saturating_sub(first.len()).saturating_add(2 * HEADER_LEN);
        let mut second = BatchBuilder::with_capacity(rest);
        for (_, record) in records {
            second.append(record.timestamp(), record.key(), record.value(), record.headers())?;
        }
        let (Some(mut first), Some(mut second)) = (first.close(), second.close()) else { return Ok(None) };
        first.compress(compressor)?;
        second.compress(compressor)?;
        Ok(Some([first, second]))
    }
}

impl fmt::Debug for SealedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "SealedBatch", &self.header, self.len())
    }
}

/// What is worth seeing of a batch, without its bytes.
fn debug(f: &mut fmt::Formatter<'_>, name: &str, header: &BatchHeader, bytes: usize) -> fmt::Result {
    f.debug_struct(name).field("header", header).field("bytes", &bytes).finish()
}

fn apply(stamp: Stamp, header: &mut BatchHeader) {
    header.producer_id = stamp.producer_id;
    header.producer_epoch = stamp.producer_epoch;
    header.base_sequence = stamp.base_sequence;
    header.attributes = header.attributes.with_transactional(stamp.transactional);
}
