//! The cursor that decodes, with a sticky error.

use super::{Fault, Place, Span, Text, WireError};
use bytes::Bytes;

/// Memory that decoded lists may take for each byte of the frame. Real messages stay below seven.
const BUDGET_PER_BYTE: usize = 8;
/// Memory that decoded lists may always take: lists of topics with short names and nothing else, such as the answers to
/// DeleteTopics, take up to ten for each byte, and ten thousand topics must pass.
const BUDGET_FLOOR: usize = 1024 * 1024;

/// A cursor over one frame. After the first fault it is empty and every read yields zero, null or nothing.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    frame: &'a Bytes,
    version: i16,
    flexible: bool,
    place: &'static Place,
    budget: usize,
    error: Option<WireError>,
}

impl<'a> Reader<'a> {
    /// A reader over `frame`, for one version of an API.
    ///
    /// Lists may take eight times the bytes of the frame in memory, and 1 MiB in any case.
    pub fn new(frame: &'a Bytes, version: i16, flexible: bool) -> Reader<'a> {
        let budget = frame.len().saturating_mul(BUDGET_PER_BYTE).saturating_add(BUDGET_FLOOR);
        Reader { rest: frame, frame, version, flexible, place: &Place::NOWHERE, budget, error: None }
    }

    /// The version that is read.
    #[inline(always)]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether that version is flexible (KIP-482).
    #[inline(always)]
    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// Whether a fault was found.
    #[inline(always)]
    pub fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// Bytes that are left.
    #[inline(always)]
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The bytes that are left, untaken.
    pub fn peek(&self) -> &'a [u8] {
        self.rest
    }

    /// Names the field that is read next.
    #[inline(always)]
    pub fn at(&mut self, place: &'static Place) {
        self.place = place;
    }

    /// Continues with the body behind a header: another version of another message in the same frame.
    pub fn switch(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// Keeps the first fault and empties the reader.
    #[cold]
    #[inline(never)]
    pub fn fail(&mut self, fault: Fault) {
        if self.error.is_none() {
            let Place { message, field } = *self.place;
            let offset = self.offset();
            self.error = Some(WireError { fault, message, field, offset });
        }
        self.rest = &[];
    }

    /// Bytes of the frame before what is read next. By address, because inside a tagged field `rest` ends before the
    /// frame does.
    pub fn offset(&self) -> usize {
        (self.rest.as_ptr() as usize)
            .checked_sub(self.frame.as_ptr() as usize)
            .filter(|at| *at <= self.frame.len())
            .unwrap_or(self.frame.len())
    }

    /// The next `N` bytes.
    #[inline(always)]
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                *head
            }
            None => {
                self.fail(Fault::Truncated { needed: N, left: self.rest.len() });
                [0; N]
            }
        }
    }

    /// The next `n` bytes.
    #[inline(always)]
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        match self.rest.split_at_checked(n) {
            Some((head, rest)) => {
                self.rest = rest;
                head
            }
            None => {
                self.fail(Fault::Truncated { needed: n, left: self.rest.len() });
                &[]
            }
        }
    }

    /// An unsigned variable-length integer.
    #[inline(always)]
    pub fn uvarint(&mut self) -> u32 {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                u32::from(byte)
            }
            _ => self.uvarint_slow(),
        }
    }

    #[inline(never)]
    fn uvarint_slow(&mut self) -> u32 {
        let mut x = 0u64;
        for shift in [0u32, 7, 14, 21, 28] {
            let [byte] = self.array::<1>();
            x |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(x).unwrap_or_else(|_| {
                    self.fail(Fault::Varint);
                    0
                });
            }
        }
        self.fail(Fault::Varint);
        0
    }

    /// The length of a string, `None` for null.
    #[inline(always)]
    pub fn string_len(&mut self) -> Option<usize> {
        if self.flexible {
            return (self.uvarint() as usize).checked_sub(1);
        }
        let n = i16::from_be_bytes(self.array());
        self.signed_len(i32::from(n))
    }

    /// The length of bytes, `None` for null.
    #[inline(always)]
    pub fn bytes_len(&mut self) -> Option<usize> {
        if self.flexible {
            return (self.uvarint() as usize).checked_sub(1);
        }
        let n = i32::from_be_bytes(self.array());
        self.signed_len(n)
    }

    #[inline(always)]
    fn signed_len(&mut self, n: i32) -> Option<usize> {
        if let Ok(n) = usize::try_from(n) {
            return Some(n);
        }
        if n < -1 {
            self.fail(Fault::Length(i64::from(n)));
        }
        None
    }

    /// The count of a list whose elements take at least `least` bytes each and `memory` bytes once decoded;
    /// `None` for null. The count has been checked against what is left and against the frame's budget.
    #[inline]
    pub fn count(&mut self, least: usize, memory: usize) -> Option<usize> {
        let n = self.bytes_len()?;
        if n > self.rest.len().checked_div(least.max(1)).unwrap_or(0) {
            self.fail(Fault::Length(i64::try_from(n).unwrap_or(i64::MAX)));
            return Some(0);
        }
        match self.budget.checked_sub(n.saturating_mul(memory)) {
            Some(left) => self.budget = left,
            None => {
                self.fail(Fault::Budget);
                return Some(0);
            }
        }
        Some(n)
    }

    /// A string, `None` for null.
    #[inline]
    pub fn text(&mut self) -> Option<Text> {
        let n = self.string_len()?;
        let bytes = self.take(n);
        if bytes.is_empty() {
            return Some(Text::default());
        }
        let text = Text::from_utf8(self.frame.slice_ref(bytes));
        if text.is_none() {
            self.rest = bytes;
            self.fail(Fault::Utf8);
        }
        Some(text.unwrap_or_default())
    }

    /// Bytes that share the frame, `None` for null.
    #[inline]
    pub fn bytes(&mut self) -> Option<Bytes> {
        let n = self.bytes_len()?;
        let bytes = self.take(n);
        Some(self.frame.slice_ref(bytes))
    }

    /// Everything that is left, sharing the frame.
    pub fn remaining(&mut self) -> Bytes {
        let bytes = std::mem::take(&mut self.rest);
        self.frame.slice_ref(bytes)
    }

    /// A value that was null where `nullable` does not cover the version is a fault.
    #[inline]
    pub fn check_null(&mut self, is_null: bool, nullable: Span) {
        if is_null && !nullable.has(self.version) {
            self.fail(Fault::Null);
        }
    }

    /// Reads the tagged fields behind a struct. `known` decodes those it knows and says so; others are skipped, so that
    /// a newer peer is understood (KIP-482).
    #[inline]
    pub fn tagged_fields(&mut self, known: impl FnMut(u32, &mut Reader<'a>) -> bool) {
        if !self.flexible {
            return;
        }
        let count = self.uvarint();
        if count != 0 {
            self.tagged_fields_slow(count, known);
        }
    }

    #[inline(never)]
    fn tagged_fields_slow(&mut self, count: u32, mut known: impl FnMut(u32, &mut Reader<'a>) -> bool) {
        let mut least = 0;
        let place = self.place;
        for _ in 0..count {
            // What was read inside the field before named its own places.
            self.place = place;
            let tag = self.uvarint();
            if !self.failed() && u64::from(tag) < least {
                self.fail(Fault::TagOrder(tag));
            }
            least = u64::from(tag).saturating_add(1);
            let len = self.uvarint() as usize;
            let value = self.take(len);
            if self.failed() {
                return;
            }
            let behind = std::mem::replace(&mut self.rest, value);
            if known(tag, self) && !self.rest.is_empty() {
                self.fail(Fault::Trailing(self.rest.len()));
            }
            self.rest = if self.failed() { &[] } else { behind };
        }
    }

    /// Tells whether everything was there and nothing was left over.
    ///
    /// Apache's Java client ignores bytes behind the last field. We refuse them: every version's length is exact, so
    /// left-over bytes mean that peer and client read different things, and a wrong value is worse than an error.
    ///
    /// # Errors
    /// The first fault.
    pub fn finish(mut self) -> Result<(), WireError> {
        if !self.rest.is_empty() {
            self.fail(Fault::Trailing(self.rest.len()));
        }
        self.error.map_or(Ok(()), Err)
    }

    /// Tells whether everything was there, whatever follows.
    ///
    /// # Errors
    /// The first fault.
    pub fn finish_prefix(self) -> Result<(), WireError> {
        self.error.map_or(Ok(()), Err)
    }
}
