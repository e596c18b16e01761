//! The bytes of a batch in the log.

use crate::engine::connection::Spares;
use crate::records::{BatchHeader, HEADER_LEN};
use bytes::Bytes;

/// A batch as it lies in the log. The leader has written its header anew; the rest is as it came, and may still be a part of the
/// request that it came with.
#[derive(Debug, Clone, Default)]
pub(in crate::broker) struct Frame {
    /// The header, and the rest unless that is elsewhere.
    head: Bytes,
    rest: Bytes,
}

impl Frame {
    /// A header and what is behind it, which keeps the memory that it is a part of.
    pub(super) fn sharing(header: [u8; HEADER_LEN], rest: Bytes) -> Frame {
        Frame { head: Bytes::copy_from_slice(&header), rest }
    }

    /// A header and a copy of what is behind it.
    pub(super) fn copying(header: [u8; HEADER_LEN], rest: &[u8], spares: &Spares) -> Frame {
        let mut whole = spares.take(HEADER_LEN.saturating_add(rest.len()));
        whole.extend_from_slice(&header);
        whole.extend_from_slice(rest);
        spares.lend(whole).into()
    }

    pub(super) fn len(&self) -> usize {
        self.head.len().saturating_add(self.rest.len())
    }

    /// Whether nothing is left of it.
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Frame::default();
    }

    pub(super) fn header(&self) -> Option<BatchHeader> {
        self.head.first_chunk().map(BatchHeader::read)
    }

    /// All of it in one piece, which may be a copy.
    pub(in crate::broker) fn to_bytes(&self) -> Bytes {
        if self.rest.is_empty() { self.head.clone() } else { [&self.head[..], &self.rest].concat().into() }
    }

    pub(super) fn pieces(&self) -> [Bytes; 2] {
        [self.head.clone(), self.rest.clone()]
    }
}

impl From<Bytes> for Frame {
    fn from(head: Bytes) -> Frame {
        Frame { head, rest: Bytes::new() }
    }
}
