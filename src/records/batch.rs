//! One batch of a fetched record set, checked when it is opened and infallible from then on.

use std::fmt;

use bytes::Bytes;

use super::compress::{Compression, CompressionError, Compressor, Decompressor};
use super::control::{self, ControlRecord};
use super::error::{Fault, Position, RecordsError};
use super::header::{self, BatchHeader, FRAME_OVERHEAD, HEADER_LEN, MAGIC, TimestampType};
use super::record::{RecordView, Records};
use super::validate;

/// A record batch that owns its bytes: the part of the response it came in, or its decompressed records.
///
/// Opening it has checked all of it. The bytes of an uncompressed batch share the response's buffer, which lives
/// as long as a batch of it does.
#[derive(Clone)]
pub struct Batch {
    header: BatchHeader,
    compression: Compression,
    frame: Bytes,
    records: Bytes,
}

impl Batch {
    /// Opens the batch that is exactly `frame`, which lies at byte `at` of its record set.
    ///
    /// # Errors
    ///
    /// Anything that is wrong with it: see [`Fault`].
    pub fn open(frame: Bytes, at: usize, decompressor: &mut Decompressor) -> Result<Self, RecordsError> {
        let Some((front, payload)) = frame.split_first_chunk::<HEADER_LEN>() else {
            let length = i32::try_from(frame.len().saturating_sub(FRAME_OVERHEAD)).unwrap_or(i32::MAX);
            return Err(RecordsError {
                fault: Fault::Length(length),
                base_offset: frame.first_chunk().map_or(-1, |bytes| i64::from_be_bytes(*bytes)),
                position: Position::Received(at),
                next_offset: None,
            });
        };
        let header = BatchHeader::read(front);
        let refuse = |(fault, position)| RecordsError {
            fault,
            base_offset: header.base_offset,
            position,
            next_offset: header.next_offset(),
        };
        let received = |byte: usize| Position::Received(at.saturating_add(byte));
        let compression =
            check_header(&header, &frame).map_err(|(fault, byte)| refuse((fault, received(byte))))?;
        let compressed =
            compression != Compression::None && !(header.record_count == 0 && payload.is_empty());
        let records = if compressed {
            let records = decompressor.decompress(compression, payload);
            records.map_err(|error| refuse((error.into(), received(HEADER_LEN))))?.into()
        } else {
            frame.slice_ref(payload)
        };
        let batch = Self { header, compression, frame, records };
        batch.check_records().map_err(|(fault, byte)| {
            let in_frame = received(HEADER_LEN.saturating_add(byte));
            refuse((fault, if compressed { Position::Decompressed(byte) } else { in_frame }))
        })?;
        Ok(batch)
    }

    fn check_records(&self) -> Result<(), (Fault, usize)> {
        validate::records(&self.header, &self.records)?;
        if !self.is_control() {
            return Ok(());
        }
        let mut records = self.records();
        for record in 0.. {
            let at = self.records.len().saturating_sub(records.bytes_left());
            let Some(view) = records.next() else { break };
            control::parse(&view).map_err(|flaw| (Fault::Control { record, flaw }, at))?;
        }
        Ok(())
    }

    /// The fields of the header.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The offset that the batch begins with, whether or not compaction has left the record.
    #[must_use]
    pub const fn base_offset(&self) -> i64 {
        self.header.base_offset
    }

    /// The offset that the batch ends with, whether or not compaction has left the record.
    #[must_use]
    pub const fn last_offset(&self) -> i64 {
        self.header.base_offset.wrapping_add(self.header.last_offset_delta as i64)
    }

    /// Where a consumer goes on after this batch, whatever records it holds.
    #[must_use]
    pub const fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    /// The epoch of the leader that appended the batch, -1 when unknown.
    #[must_use]
    pub const fn leader_epoch(&self) -> i32 {
        self.header.leader_epoch
    }

    /// Records in the batch; none are left in one that compaction has emptied.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// The codec that the records came in.
    #[must_use]
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Who made the timestamps.
    #[must_use]
    pub const fn timestamp_type(&self) -> TimestampType {
        self.header.attributes.timestamp_type()
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub const fn is_transactional(&self) -> bool {
        self.header.attributes.is_transactional()
    }

    /// Whether the records are for clients, not for users.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.header.attributes.is_control()
    }

    /// The records. Those of a control batch are no user's business.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records::new(self, &self.records)
    }

    /// What the records of a control batch say; nothing when it is none.
    pub fn control_records(&self) -> impl Iterator<Item = ControlRecord> + '_ {
        let records = self.is_control().then(|| self.records());
        records.into_iter().flatten().filter_map(|view| control::parse(&view).ok())
    }

    /// The bytes as they were received, header and all.
    #[must_use]
    pub const fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// Bytes of the records, decompressed.
    #[must_use]
    pub const fn records_len(&self) -> usize {
        self.records.len()
    }

    /// The header of the batch as a log keeps it: with the offsets and the leader epoch that the leader gives it, and with the
    /// time of appending when the topic wants that instead of the producer's. What is behind it in [`frame`](Batch::frame)
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// [`Fault::BaseOffset`] when the offsets would be out of range.
    pub fn numbered(
        &self,
        base_offset: i64,
        leader_epoch: i32,
        append_time: Option<i64>,
    ) -> Result<[u8; HEADER_LEN], RecordsError> {
        let mut header = BatchHeader { base_offset, leader_epoch, ..self.header };
        check_offsets(&header).map_err(|(fault, byte)| RecordsError {
            fault,
            base_offset,
            position: Position::Received(byte),
            next_offset: None,
        })?;
        // The CRC does not cover what changes otherwise.
        if let Some(append_time) = append_time {
            header.max_timestamp = append_time;
            header.attributes = header.attributes.with_log_append_time(true);
            header.crc = header::checksum_of(&header, self.frame.get(HEADER_LEN..).unwrap_or_default());
        }
        Ok(header.to_bytes())
    }

    /// The batch without the records that are not to be kept, as a log cleaner leaves it: what is kept has its offset, the batch
    /// its producer, its codec and the offsets that it stands for. `None` when nothing is kept.
    ///
    /// # Errors
    ///
    /// Those of the codec.
    pub fn retained(
        &self,
        mut keep: impl FnMut(&RecordView<'_>) -> bool,
    ) -> Result<Option<Bytes>, CompressionError> {
        let mut kept = Vec::with_capacity(HEADER_LEN.saturating_add(self.records.len()));
        kept.resize(HEADER_LEN, 0);
        let mut header = BatchHeader { record_count: 0, max_timestamp: i64::MIN, ..self.header };
        let mut rest = self.records();
        loop {
            let start = self.records.len().saturating_sub(rest.bytes_left());
            let Some(record) = rest.next() else { break };
            if keep(&record) {
                let end = self.records.len().saturating_sub(rest.bytes_left());
                // Times and offsets count from the batch's, whatever lies before.
                kept.extend_from_slice(self.records.get(start..end).unwrap_or_default());
                header.record_count = header.record_count.saturating_add(1);
                header.max_timestamp = header.max_timestamp.max(record.timestamp());
            }
        }
        match header.record_count {
            0 => return Ok(None),
            count if count == self.header.record_count => return Ok(Some(self.frame.clone())),
            _ => {}
        }
        if self.compression != Compression::None {
            let mut compressed = vec![0; HEADER_LEN];
            let records = kept.get(HEADER_LEN..).unwrap_or_default();
            Compressor::new(self.compression, None)?.compress(records, &mut compressed)?;
            kept = compressed;
        }
        header.seal(&mut kept);
        Ok(Some(kept.into()))
    }

    pub(super) fn share(&self, part: &[u8]) -> Bytes {
        self.records.slice_ref(part)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = format_args!("{} bytes", self.records.len());
        f.debug_struct("Batch").field("header", &self.header).field("records", &records).finish()
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = RecordView<'a>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.records()
    }
}

/// Checks a header against itself and the frame. Nothing in it is believed before the CRC fits.
fn check_header(header: &BatchHeader, frame: &[u8]) -> Result<Compression, (Fault, usize)> {
    if usize::try_from(header.length).ok() != frame.len().checked_sub(FRAME_OVERHEAD) {
        return Err((Fault::Length(header.length), header::LENGTH_AT));
    }
    check_magic(header.magic)?;
    let computed = header::checksum(frame);
    if computed != header.crc {
        return Err((Fault::Crc { stored: header.crc, computed }, header::CRC_AT));
    }
    match header.attributes.unknown_bits() {
        0 => {}
        bits => return Err((Fault::Attributes(bits), header::ATTRIBUTES_AT)),
    }
    check_offsets(header)?;
    let &BatchHeader { record_count: count, last_offset_delta, .. } = header;
    if count < 0 || count.checked_sub(1).is_some_and(|last| last > last_offset_delta) {
        return Err((Fault::RecordCount { count, last_offset_delta }, header::COUNT_AT));
    }
    header.attributes.compression().map_err(|fault| (fault, header::ATTRIBUTES_AT))
}

/// Checks the magic byte, which decides what all other bytes mean.
pub(super) const fn check_magic(magic: i8) -> Result<(), (Fault, usize)> {
    match magic {
        MAGIC => Ok(()),
        0 | 1 => Err((Fault::OldMagic(magic), header::MAGIC_AT)),
        _ => Err((Fault::UnknownMagic(magic), header::MAGIC_AT)),
    }
}

fn check_offsets(header: &BatchHeader) -> Result<(), (Fault, usize)> {
    let &BatchHeader { base_offset, last_offset_delta, .. } = header;
    if last_offset_delta < 0 {
        return Err((Fault::LastOffsetDelta(last_offset_delta), header::LAST_OFFSET_DELTA_AT));
    }
    if header.next_offset().is_none() {
        return Err((Fault::BaseOffset { base_offset, last_offset_delta }, 0));
    }
    Ok(())
}
