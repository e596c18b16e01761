//! [`Outbox`]: bytes on their way to a client.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::IoSlice;

/// Segments on their way into the stream.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    segments: VecDeque<Bytes>,
    bytes: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, segments: Vec<Bytes>) {
        for segment in segments.into_iter().filter(|segment| !segment.is_empty()) {
            self.bytes = self.bytes.saturating_add(segment.len());
            self.segments.push_back(segment);
        }
    }

    /// Takes out what lies behind the first `bytes`.
    pub(super) fn split_off(&mut self, bytes: usize) -> Outbox {
        let mut front = bytes;
        let mut rest = Outbox::default();
        let mut kept = Outbox::default();
        for mut segment in self.segments.drain(..) {
            let tail = segment.split_off(front.min(segment.len()));
            front = front.saturating_sub(segment.len());
            kept.push(vec![segment]);
            rest.push(vec![tail]);
        }
        *self = kept;
        rest
    }

    /// Inverts a byte; nothing where there are not so many.
    pub(super) fn invert(&mut self, at: usize) {
        let mut before = 0usize;
        for segment in &mut self.segments {
            let end = before.saturating_add(segment.len());
            if at < end {
                let mut inverted = segment.to_vec();
                if let Some(byte) = inverted.get_mut(at.saturating_sub(before)) {
                    *byte = !*byte;
                }
                *segment = inverted.into();
                return;
            }
            before = end;
        }
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.segments.front().map_or(&[], |segment| segment)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled =
            slices.iter_mut().zip(&self.segments).map(|(slice, segment)| *slice = IoSlice::new(segment));
        filled.count()
    }

    fn advance(&mut self, mut n: usize) {
        self.bytes = self.bytes.saturating_sub(n);
        while let Some(front) = self.segments.front_mut() {
            if n < front.len() {
                front.advance(n);
                return;
            }
            n = n.saturating_sub(front.len());
            self.segments.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outbox_gives_its_bytes_in_order_however_they_are_taken() {
        for step in 1..12 {
            let mut outbox = Outbox::default();
            outbox.push([&b"abc"[..], b"", b"d", b"efghij"].map(Bytes::from_static).to_vec());
            let mut taken: Vec<u8> = Vec::new();
            while outbox.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 2];
                let count = outbox.chunks_vectored(&mut slices);
                let ahead: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                let n = step.min(ahead.len());
                taken.extend(&ahead[..n]);
                outbox.advance(n);
            }
            assert_eq!(taken, b"abcdefghij", "{step} at a time");
        }
    }

    fn outbox() -> Outbox {
        let mut outbox = Outbox::default();
        outbox.push([&b"abc"[..], b"d", b"efghij"].map(Bytes::from_static).to_vec());
        outbox
    }

    fn text(outbox: &mut Outbox) -> String {
        let bytes = outbox.copy_to_bytes(outbox.remaining());
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn the_outbox_is_divided_at_any_byte() {
        for at in 0..14 {
            let mut front = outbox();
            let mut rest = front.split_off(at);
            let expected = "abcdefghij".split_at(at.min(10));
            assert_eq!((text(&mut front).as_str(), text(&mut rest).as_str()), expected);
        }
    }

    #[test]
    fn one_byte_is_inverted_wherever_it_lies() {
        for at in 0..12 {
            let mut outbox = outbox();
            outbox.invert(at);
            let bytes = outbox.copy_to_bytes(10);
            let changed: Vec<usize> = (0..10).filter(|n| bytes[*n] == !b"abcdefghij"[*n]).collect();
            assert_eq!(changed, if at < 10 { vec![at] } else { vec![] });
        }
    }
}
