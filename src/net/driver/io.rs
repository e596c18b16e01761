//! Reading into the framer's buffer and writing segments, vectored, without unsafe code.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// Segments that one write takes at most.
const SEGMENTS: usize = 64;
/// Bytes that wait in the outbox before more requests are taken from the connection.
const ROOM_BYTES: usize = 256 * 1024;

/// Segments on their way into the stream.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    segments: VecDeque<Bytes>,
    bytes: usize,
    unflushed: bool,
    /// How many bytes were written up to the end of each frame that is not written yet, and how many were written so far.
    ends: VecDeque<u64>,
    pushed: u64,
    written: u64,
}

impl Outbox {
    /// Whether another request may be put in.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < ROOM_BYTES
    }

    /// Whether everything was written.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty() && !self.unflushed
    }

    /// Takes a frame.
    pub(super) fn push(&mut self, segments: Vec<Bytes>) {
        for segment in segments {
            if !segment.is_empty() {
                self.bytes = self.bytes.saturating_add(segment.len());
                self.pushed = self.pushed.saturating_add(segment.len() as u64);
                self.segments.push_back(segment);
            }
        }
        self.ends.push_back(self.pushed);
    }

    /// Whether the stream has all of the oldest frame: told once for each.
    pub(super) fn take_written(&mut self) -> bool {
        let is_written = self.ends.front().is_some_and(|end| *end <= self.written);
        if is_written {
            self.ends.pop_front();
        }
        is_written
    }

    /// Writes what the stream takes, then flushes; `true` when bytes moved.
    pub(super) fn write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        let mut moved = false;
        while !self.segments.is_empty() {
            let mut slices = [IoSlice::new(&[]); SEGMENTS];
            let mut used = 0usize;
            for (slice, segment) in slices.iter_mut().zip(&self.segments) {
                *slice = IoSlice::new(segment);
                used = used.saturating_add(1);
            }
            let slices = slices.get(..used).unwrap_or_default();
            match Pin::new(&mut *stream).poll_write_vectored(cx, slices) {
                Poll::Pending => return if moved { Poll::Ready(Ok(true)) } else { Poll::Pending },
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => self.forget(n),
            }
            moved = true;
            self.unflushed = true;
        }
        if self.unflushed {
            match Pin::new(stream).poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => self.unflushed = false,
            }
        }
        Poll::Ready(Ok(moved))
    }

    fn forget(&mut self, mut n: usize) {
        self.bytes = self.bytes.saturating_sub(n);
        self.written = self.written.saturating_add(n as u64);
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

/// Reads at most `limit` bytes behind what `buffer` holds.
pub(super) fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    limit: usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    // The future holds nothing but borrows: polling a fresh one each time loses nothing.
    let mut space = buffer.limit(limit);
    pin!(stream.read_buf(&mut space)).poll(cx)
}
