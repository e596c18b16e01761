//! Where encoded bytes go: counted, copied, or gathered for a vectored write.

use super::{Fault, Place, Span, WireError};
use bytes::{BufMut, Bytes, BytesMut};

/// A destination of encoded bytes.
///
/// Like the reader's, its error is sticky: the first thing that the version cannot say is kept, and the caller asks
/// once at the end.
pub trait Sink {
    /// The version of the API that is written.
    fn version(&self) -> i16;
    /// Whether that version is flexible: compact lengths and tagged fields (KIP-482).
    fn flexible(&self) -> bool;
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);
    /// Names the field that is written next.
    fn at(&mut self, place: &'static Place);
    /// Keeps the first fault.
    fn fail(&mut self, fault: Fault);

    /// Appends `len` bytes, every one of which `write` sets in place. A sink that counts does not call it.
    fn fill(&mut self, len: usize, write: impl FnOnce(&mut [u8]));

    /// Appends shared bytes, without a copy where the sink can.
    #[inline]
    fn share(&mut self, bytes: &Bytes) {
        self.put(bytes);
    }

    /// Appends an unsigned variable-length integer.
    #[inline(always)]
    fn uvarint(&mut self, x: u32) {
        match u8::try_from(x) {
            Ok(byte) if byte < 0x80 => self.put(&[byte]),
            _ => self.uvarint_slow(x),
        }
    }

    /// An unsigned variable-length integer of more than one byte.
    fn uvarint_slow(&mut self, mut x: u32) {
        let mut bytes = [0u8; 5];
        let mut len = 0usize;
        for slot in &mut bytes {
            let [low, ..] = x.to_le_bytes();
            x >>= 7;
            len = len.saturating_add(1);
            if x == 0 {
                *slot = low;
                break;
            }
            *slot = low | 0x80;
        }
        self.put(bytes.get(..len).unwrap_or(&bytes));
    }

    /// The length of a string: 16 bits, or compact in flexible versions.
    #[inline]
    fn string_len(&mut self, len: Option<usize>) {
        if self.flexible() {
            return self.compact_len(len);
        }
        match len.map(i16::try_from) {
            None => self.put(&(-1i16).to_be_bytes()),
            Some(Ok(n)) => self.put(&n.to_be_bytes()),
            Some(Err(_)) => self.fail(Fault::TooLong(len.unwrap_or_default())),
        }
    }

    /// The length of bytes or the count of a list: 32 bits, or compact in flexible versions.
    #[inline]
    fn bytes_len(&mut self, len: Option<usize>) {
        if self.flexible() {
            return self.compact_len(len);
        }
        match len.map(i32::try_from) {
            None => self.put(&(-1i32).to_be_bytes()),
            Some(Ok(n)) => self.put(&n.to_be_bytes()),
            Some(Err(_)) => self.fail(Fault::TooLong(len.unwrap_or_default())),
        }
    }

    /// A compact length: one more than the length, zero for null.
    #[inline]
    fn compact_len(&mut self, len: Option<usize>) {
        match len.map(|n| i32::try_from(n).map(|n| n.unsigned_abs().saturating_add(1))) {
            None => self.uvarint(0),
            Some(Ok(n)) => self.uvarint(n),
            Some(Err(_)) => self.fail(Fault::TooLong(len.unwrap_or_default())),
        }
    }

    /// Faults when a value is null and `nullable` does not cover the version.
    #[inline]
    fn check_null(&mut self, is_null: bool, nullable: Span) {
        if is_null && !nullable.has(self.version()) {
            self.fail(Fault::Null);
        }
    }
}

/// Counts what would be written.
///
/// Wraps where others saturate, as every step waits for the one before: no values in memory add up to more than there
/// can be, and a size that was wrong would not fit its [`Writer`].
#[derive(Debug)]
pub struct Counter {
    len: usize,
    version: i16,
    flexible: bool,
    place: &'static Place,
    error: Option<WireError>,
}

impl Counter {
    /// A counter for one version.
    pub fn new(version: i16, flexible: bool) -> Counter {
        Counter { len: 0, version, flexible, place: &Place::NOWHERE, error: None }
    }

    /// The bytes counted so far, whatever failed.
    pub fn count(&self) -> usize {
        self.len
    }

    /// The bytes counted.
    ///
    /// # Errors
    /// The first fault.
    pub fn finish(self) -> Result<usize, WireError> {
        self.error.map_or(Ok(self.len), Err)
    }
}

impl Sink for Counter {
    #[inline(always)]
    fn version(&self) -> i16 {
        self.version
    }

    #[inline(always)]
    fn flexible(&self) -> bool {
        self.flexible
    }

    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        self.len = self.len.wrapping_add(bytes.len());
    }

    #[inline(always)]
    fn fill(&mut self, len: usize, _write: impl FnOnce(&mut [u8])) {
        self.len = self.len.wrapping_add(len);
    }

    #[inline(always)]
    fn uvarint(&mut self, x: u32) {
        // Bits in use, seven a byte, as (bits * 37) >> 8 for 1..=32 bits.
        let bits = 38u32.wrapping_sub((x | 1).leading_zeros());
        self.len = self.len.wrapping_add((bits.wrapping_mul(37) >> 8) as usize);
    }

    #[inline(always)]
    fn at(&mut self, place: &'static Place) {
        self.place = place;
    }

    #[cold]
    fn fail(&mut self, fault: Fault) {
        keep(&mut self.error, fault, self.place, self.len);
    }
}

/// Copies everything into room that was counted out for it.
///
/// A slice of the exact size instead of a buffer that grows: the many values of two or four bytes are then plain stores,
/// which encodes twice as fast.
#[derive(Debug)]
pub struct Writer<'a> {
    room: &'a mut [u8],
    len: usize,
    version: i16,
    flexible: bool,
    place: &'static Place,
    error: Option<WireError>,
}

impl<'a> Writer<'a> {
    /// A writer for one version that fills `room`.
    pub fn new(room: &'a mut [u8], version: i16, flexible: bool) -> Writer<'a> {
        Writer { room, len: 0, version, flexible, place: &Place::NOWHERE, error: None }
    }

    /// Tells whether everything could be said and filled the room.
    ///
    /// # Errors
    /// The first fault.
    pub fn finish(mut self) -> Result<(), WireError> {
        let unused = self.room.len().saturating_sub(self.len);
        if unused != 0 {
            self.fail(Fault::Trailing(unused));
        }
        self.error.map_or(Ok(()), Err)
    }
}

impl Sink for Writer<'_> {
    #[inline(always)]
    fn version(&self) -> i16 {
        self.version
    }

    #[inline(always)]
    fn flexible(&self) -> bool {
        self.flexible
    }

    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        self.fill(bytes.len(), |room| room.copy_from_slice(bytes));
    }

    #[inline(always)]
    fn fill(&mut self, len: usize, write: impl FnOnce(&mut [u8])) {
        match self.room.get_mut(self.len..).and_then(|rest| rest.get_mut(..len)) {
            Some(room) => {
                write(room);
                self.len = self.len.wrapping_add(len);
            }
            None => self.fail(Fault::TooLong(len)),
        }
    }

    #[inline(always)]
    fn at(&mut self, place: &'static Place) {
        self.place = place;
    }

    #[cold]
    fn fail(&mut self, fault: Fault) {
        keep(&mut self.error, fault, self.place, self.len);
    }
}

/// Copies small things and keeps large [`Bytes`] as segments of their own: record sets go to the socket uncopied.
#[derive(Debug)]
pub struct Gather {
    head: BytesMut,
    segments: Vec<Bytes>,
    len: usize,
    version: i16,
    flexible: bool,
    place: &'static Place,
    error: Option<WireError>,
}

/// Shared bytes of at least this length become a segment; below, a copy is cheaper than one more `iovec`.
const SEGMENT_BYTES: usize = 4096;

impl Gather {
    /// A gathering sink for one version that goes on behind `head`.
    pub fn new(head: BytesMut, version: i16, flexible: bool) -> Gather {
        let len = head.len();
        Gather { head, segments: Vec::new(), len, version, flexible, place: &Place::NOWHERE, error: None }
    }

    /// Everything written, in order; the first segment starts with what `head` held.
    ///
    /// # Errors
    /// The first fault.
    pub fn finish(mut self) -> Result<Vec<Bytes>, WireError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if !self.head.is_empty() {
            self.segments.push(self.head.freeze());
        }
        Ok(self.segments)
    }
}

impl Sink for Gather {
    #[inline(always)]
    fn version(&self) -> i16 {
        self.version
    }

    #[inline(always)]
    fn flexible(&self) -> bool {
        self.flexible
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.len = self.len.saturating_add(bytes.len());
        self.head.put_slice(bytes);
    }

    fn fill(&mut self, len: usize, write: impl FnOnce(&mut [u8])) {
        self.len = self.len.saturating_add(len);
        let start = self.head.len();
        self.head.resize(start.saturating_add(len), 0);
        write(self.head.get_mut(start..).unwrap_or_default());
    }

    fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < SEGMENT_BYTES {
            return self.put(bytes);
        }
        self.len = self.len.saturating_add(bytes.len());
        if !self.head.is_empty() {
            self.segments.push(self.head.split().freeze());
        }
        self.segments.push(bytes.clone());
    }

    #[inline(always)]
    fn at(&mut self, place: &'static Place) {
        self.place = place;
    }

    #[cold]
    fn fail(&mut self, fault: Fault) {
        keep(&mut self.error, fault, self.place, self.len);
    }
}

#[cold]
fn keep(error: &mut Option<WireError>, fault: Fault, place: &'static Place, offset: usize) {
    let Place { message, field } = *place;
    error.get_or_insert(WireError { fault, message, field, offset });
}
