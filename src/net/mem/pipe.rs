//! One way of a connection: a bounded queue of bytes with the time at which they arrive.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};

use super::Way;
use crate::task;

/// What a pipe holds before a writer has to wait: a socket's two buffers.
const CAPACITY_BYTES: usize = 128 * 1024;

pub(super) struct Pipe {
    segments: VecDeque<(Instant, Bytes)>,
    buffered: usize,
    /// Taken in all.
    carried: u64,
    end: End,
    /// Nobody will read again.
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    rng: fastrand::Rng,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Open,
    /// The writer closed: after what is on the way comes the end, at this time.
    Closed(Instant),
    /// Reset: after what is on the way comes an error.
    Reset,
}

/// What a write came to.
pub(super) struct Taken {
    pub(super) bytes: usize,
    /// The connection carried its last byte: the other way ends too.
    pub(super) cut: bool,
}

/// What a read came to.
pub(super) enum Given {
    /// Bytes were put, or none where the end is.
    Now,
    /// Nothing before then: ask again.
    Later(Instant),
}

impl Pipe {
    pub(super) fn new(rng: fastrand::Rng) -> Self {
        Self {
            segments: VecDeque::new(),
            buffered: 0,
            carried: 0,
            end: End::Open,
            reader_gone: false,
            reader: None,
            writer: None,
            rng,
        }
    }

    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        way: &Way,
    ) -> Poll<io::Result<Taken>> {
        if self.end == End::Reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.end != End::Open || self.reader_gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        if offered == 0 {
            return Poll::Ready(Ok(Taken { bytes: 0, cut: false }));
        }
        let room = CAPACITY_BYTES - self.buffered;
        if room == 0 {
            self.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let until_cut = way.cut_after.map_or(u64::MAX, |cut| cut.saturating_sub(self.carried));
        let bytes = self
            .by_chance(way.max_write)
            .min(offered)
            .min(room)
            .min(usize::try_from(until_cut).unwrap_or(usize::MAX));
        self.take(slices, bytes, way);
        let cut = until_cut <= bytes as u64;
        if cut {
            self.reset();
        }
        Poll::Ready(Ok(Taken { bytes, cut }))
    }

    fn take(&mut self, slices: &[IoSlice<'_>], bytes: usize, way: &Way) {
        let mut segment = BytesMut::with_capacity(bytes);
        for slice in slices {
            segment.extend_from_slice(slice.get(..bytes - segment.len()).unwrap_or(slice));
        }
        if !segment.is_empty() {
            let arrival = self.arrival(way);
            self.segments.push_back((arrival, segment.freeze()));
        }
        self.buffered += bytes;
        self.carried += bytes as u64;
        wake(&mut self.reader);
    }

    /// When bytes that leave now arrive, unless those before them in the queue arrive later still.
    fn arrival(&mut self, way: &Way) -> Instant {
        let jitter = way.jitter.mul_f64(self.rng.f64());
        task::after(task::now(), way.latency + jitter)
    }

    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        room: usize,
        way: &Way,
        mut put: impl FnMut(&[u8]),
    ) -> Poll<io::Result<Given>> {
        self.reader = Some(context.waker().clone());
        if way.hold {
            return Poll::Pending;
        }
        let Some((arrival, segment)) = self.segments.front_mut() else {
            return match self.end {
                End::Open => Poll::Pending,
                End::Closed(at) if at > task::now() => Poll::Ready(Ok(Given::Later(at))),
                End::Closed(_) => Poll::Ready(Ok(Given::Now)),
                End::Reset => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            };
        };
        if *arrival > task::now() {
            return Poll::Ready(Ok(Given::Later(*arrival)));
        }
        let most = by_chance(&mut self.rng, way.max_read);
        let bytes = segment.len().min(room).min(most);
        put(segment.get(..bytes).unwrap_or_default());
        segment.advance(bytes);
        if segment.is_empty() {
            self.segments.pop_front();
        }
        self.buffered -= bytes;
        wake(&mut self.writer);
        Poll::Ready(Ok(Given::Now))
    }

    fn by_chance(&mut self, limit: Option<usize>) -> usize {
        by_chance(&mut self.rng, limit)
    }

    /// The writer has said all.
    pub(super) fn close(&mut self, way: &Way) {
        if self.end == End::Open {
            self.end = End::Closed(self.arrival(way));
            self.wake_both();
        }
    }

    /// The reader listens no more.
    pub(super) fn leave(&mut self) {
        self.reader_gone = true;
        self.wake_both();
    }

    /// What is on the way arrives, then an error.
    pub(super) fn reset(&mut self) {
        self.end = End::Reset;
        self.wake_both();
    }

    /// An error at once.
    pub(super) fn abort(&mut self) {
        self.segments.clear();
        self.buffered = 0;
        self.reset();
    }

    pub(super) fn wake_both(&mut self) {
        wake(&mut self.reader);
        wake(&mut self.writer);
    }
}

/// No limit, or by chance one, or up to the limit.
fn by_chance(rng: &mut fastrand::Rng, limit: Option<usize>) -> usize {
    match limit {
        None => usize::MAX,
        Some(limit) => {
            if rng.bool() {
                1
            } else {
                rng.usize(1..=limit.max(1))
            }
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
