//! A fetched record set, batch by batch.

use bytes::{Buf, Bytes};

use super::batch::{Batch, check_magic};
use super::compress::{DEFAULT_DECOMPRESSED_LIMIT, Decompressor};
use super::error::{Fault, Position, RecordsError};
use super::header::{FRAME_OVERHEAD, HEADER_LEN, LENGTH_AT, MAGIC_AT};

/// Walks the batches of a record set.
///
/// Each batch is opened, and decompressed, when it is asked for, so that a set of many compressed batches needs
/// the memory of one at a time. A broker cuts the set where its limit is: the partial batch at the end is no error
/// but will come with the next fetch, unless it is [all there is](Self::partial).
///
/// After an error there are no more batches: the position stays. [`skip_refused`](Self::skip_refused) goes on, for
/// a user who asked for that.
#[derive(Debug)]
pub struct Batches {
    rest: Bytes,
    /// Where `rest` begins in the record set.
    at: usize,
    decompressor: Decompressor,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// A batch was refused; it is as long as this, when its frame can be told at all.
    Refused(Option<usize>),
    Partial(PartialBatch),
}

/// The beginning of a batch at the end of a record set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialBatch {
    /// Its base offset, when that much of it is there.
    pub base_offset: Option<i64>,
    /// Bytes of it that are there.
    pub present: usize,
    /// Bytes that it has in all, when that much of it is there: a fetch must allow for them.
    pub needed: Option<usize>,
    /// Whether the record set holds nothing else, so that fetching it again would bring no progress.
    pub is_first: bool,
}

impl Batches {
    /// The batches of `set`, each decompressed to at most [`DEFAULT_DECOMPRESSED_LIMIT`] bytes.
    #[must_use]
    pub const fn new(set: Bytes) -> Self {
        Self::with_limit(set, DEFAULT_DECOMPRESSED_LIMIT)
    }

    /// The batches of `set`, each decompressed to at most `limit` bytes.
    #[must_use]
    pub const fn with_limit(set: Bytes, limit: usize) -> Self {
        Self { rest: set, at: 0, decompressor: Decompressor::new(limit), state: State::Reading }
    }

    /// The batch that is cut off at the end of the set, once everything before it has been read.
    #[must_use]
    pub const fn partial(&self) -> Option<PartialBatch> {
        match self.state {
            State::Partial(partial) => Some(partial),
            _ => None,
        }
    }

    /// Copies what is left into a buffer of its own: the one that it was a part of is free to go.
    pub fn detach(&mut self) {
        self.rest = Bytes::copy_from_slice(&self.rest);
    }

    /// Bytes not read yet.
    #[must_use]
    pub const fn bytes_left(&self) -> usize {
        self.rest.len()
    }

    /// Goes on after the batch that was refused. `false` when no batch was, or when it does not even say where it
    /// ends.
    pub fn skip_refused(&mut self) -> bool {
        let State::Refused(Some(len)) = self.state else { return false };
        self.advance(len);
        self.state = State::Reading;
        true
    }

    fn advance(&mut self, len: usize) {
        self.rest.advance(len.min(self.rest.len()));
        self.at = self.at.saturating_add(len);
    }

    /// Cuts the next whole frame off, or finds that it is partial.
    fn next_frame(&mut self) -> Result<Option<Bytes>, RecordsError> {
        let front = &self.rest[..];
        let base_offset = front.first_chunk().map(|bytes| i64::from_be_bytes(*bytes));
        let length =
            front.get(LENGTH_AT..).and_then(<[u8]>::first_chunk).map(|bytes| i32::from_be_bytes(*bytes));
        let needed = length.and_then(|length| usize::try_from(length).ok()?.checked_add(FRAME_OVERHEAD));
        let magic = front.get(MAGIC_AT).map(|byte| byte.cast_signed()).map_or(Ok(()), check_magic);
        let fault = match (length, needed, magic) {
            // Where batches end is believed even of the old formats, which have the length in the same place.
            (Some(length), needed, _) if needed.is_none_or(|needed| needed <= MAGIC_AT) => {
                Some((Fault::Length(length), LENGTH_AT))
            }
            (_, _, Err(fault)) => Some(fault),
            (Some(length), Some(needed), _) if needed < HEADER_LEN => {
                Some((Fault::Length(length), LENGTH_AT))
            }
            _ => None,
        };
        if let Some((fault, byte)) = fault {
            self.state = State::Refused(needed.filter(|len| (1..=front.len()).contains(len)));
            return Err(RecordsError {
                fault,
                base_offset: base_offset.unwrap_or(-1),
                position: Position::Received(self.at.saturating_add(byte)),
                next_offset: None,
            });
        }
        match needed {
            Some(needed) if needed <= front.len() => Ok(Some(self.rest.slice(..needed))),
            _ => {
                if !front.is_empty() {
                    let present = front.len();
                    self.state =
                        State::Partial(PartialBatch { base_offset, present, needed, is_first: self.at == 0 });
                }
                Ok(None)
            }
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state != State::Reading {
            return None;
        }
        let frame = match self.next_frame() {
            Ok(frame) => frame?,
            Err(error) => return Some(Err(error)),
        };
        let len = frame.len();
        let batch = Batch::open(frame, self.at, &mut self.decompressor);
        match &batch {
            Ok(_) => self.advance(len),
            Err(_) => self.state = State::Refused(Some(len)),
        }
        Some(batch)
    }
}
