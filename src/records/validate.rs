//! The one pass over a batch's records that lets everything after it believe them.
//!
//! It costs a third of opening a batch of small records, the CRC another; in return iteration has no errors, and
//! a batch is refused before the first of its records is delivered.

use super::error::{Fault, RecordFlaw};
use super::header::BatchHeader;
use super::varint::{take_i32, take_i64};

/// The smallest header: a key length, a value length.
const MIN_HEADER: usize = 2;

/// The fields of one record, borrowed from the bytes.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    /// The header count and the headers.
    pub(super) headers: &'a [u8],
}

/// Checks that `records` are exactly the records of the header, in order. On a fault, says at which byte of
/// `records` the record starts that has it.
pub(super) fn records(header: &BatchHeader, records: &[u8]) -> Result<(), (Fault, usize)> {
    let count = header.record_count;
    let mut rest = records;
    let mut previous = -1;
    for record in 0..count {
        let before = rest;
        previous = record_above(previous, header, &mut rest)
            .map_err(|flaw| locate(flaw, header, record, records, before))?;
    }
    if rest.is_empty() {
        return Ok(());
    }
    Err((Fault::TrailingBytes { count, bytes: rest.len() }, position(records, rest)))
}

/// Checks the next record, whose offset delta must lie above `previous`, and returns its offset delta.
#[inline(always)]
fn record_above(previous: i32, header: &BatchHeader, rest: &mut &[u8]) -> Result<i32, RecordFlaw> {
    let fields = take_record(rest)?;
    if fields.offset_delta <= previous || fields.offset_delta > header.last_offset_delta {
        return Err(RecordFlaw::OffsetDelta);
    }
    if header.base_timestamp.checked_add(fields.timestamp_delta).is_none() {
        return Err(RecordFlaw::Timestamp);
    }
    match fields.headers {
        [0] => {}
        headers => check_headers(headers)?,
    }
    Ok(fields.offset_delta)
}

/// Takes the next record off the front of `rest`; its headers are not looked at.
#[inline(always)]
pub(super) fn take_record<'a>(rest: &mut &'a [u8]) -> Result<Fields<'a>, RecordFlaw> {
    let len = usize::try_from(take_i32(rest)?).map_err(|_| RecordFlaw::Length)?;
    let (body, after) = rest.split_at_checked(len).ok_or(RecordFlaw::Truncated)?;
    *rest = after;
    let (_attributes, mut body) = body.split_first().ok_or(RecordFlaw::Truncated)?;
    let body = &mut body;
    Ok(Fields {
        timestamp_delta: take_i64(body)?,
        offset_delta: take_i32(body)?,
        key: take_nullable(body)?,
        value: take_nullable(body)?,
        headers: body,
    })
}

fn check_headers(mut headers: &[u8]) -> Result<(), RecordFlaw> {
    let headers = &mut headers;
    let count = usize::try_from(take_i32(headers)?).map_err(|_| RecordFlaw::HeaderCount)?;
    if count > headers.len() / MIN_HEADER {
        return Err(RecordFlaw::HeaderCount);
    }
    for _ in 0..count {
        take_header(headers)?;
    }
    if headers.is_empty() { Ok(()) } else { Err(RecordFlaw::TrailingBytes) }
}

/// Takes the key and value of the next header off the front of `rest`.
#[inline(always)]
pub(super) fn take_header<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], Option<&'a [u8]>), RecordFlaw> {
    let key = take_nullable(rest)?.ok_or(RecordFlaw::Length)?; // Java refuses a null key, too
    Ok((key, take_nullable(rest)?))
}

#[inline(always)]
fn take_nullable<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordFlaw> {
    let len = take_i32(rest)?;
    let Ok(len) = usize::try_from(len) else {
        return if len == -1 { Ok(None) } else { Err(RecordFlaw::Length) };
    };
    let (bytes, after) = rest.split_at_checked(len).ok_or(RecordFlaw::Truncated)?;
    *rest = after;
    Ok(Some(bytes))
}

#[cold]
fn locate(
    flaw: RecordFlaw,
    header: &BatchHeader,
    record: i32,
    records: &[u8],
    before: &[u8],
) -> (Fault, usize) {
    let fault = if before.is_empty() {
        Fault::MissingRecords { count: header.record_count, present: record }
    } else {
        Fault::Record { record, flaw }
    };
    (fault, position(records, before))
}

/// Where the end `rest` of `records` begins.
fn position(records: &[u8], rest: &[u8]) -> usize {
    records.len().saturating_sub(rest.len())
}
