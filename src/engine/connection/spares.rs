//! The memory of large frames and record sets, used again.
//!
//! A system that gives a process new memory clears it page by page, which costs more than to read a frame into it; and
//! allocators give large pieces back at once. So a large buffer that nobody looks at any more is kept for what comes.

use bytes::{Bytes, BytesMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Memory up to here comes from the allocator, and goes back to it.
const SMALL_BYTES: usize = 64 * 1024;

/// Large buffers that are not in use any more, kept for what comes: at most so many bytes, and the newest of them. As made by
/// `default`, none.
///
/// Clones share them; the last one gone, nothing is kept.
#[derive(Debug, Clone, Default)]
pub struct Spares {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// From the oldest to the newest.
    buffers: Vec<BytesMut>,
    bytes: usize,
    limit: usize,
}

/// A buffer that was filled and given out, which goes back when nobody looks at it any more.
struct Lent {
    buffer: BytesMut,
    home: Weak<Mutex<Kept>>,
}

impl Spares {
    /// None yet, and never more than so many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Spares {
        Spares { kept: Arc::new(Mutex::new(Kept { limit, ..Kept::default() })) }
    }

    /// An empty buffer with room for so many bytes.
    #[must_use]
    pub fn take(&self, bytes: usize) -> BytesMut {
        self.take_ahead(bytes, bytes)
    }

    /// The same for bytes that may never come: a kept buffer has room for all of them and not much more, a new one for `ahead`.
    pub(super) fn take_ahead(&self, bytes: usize, ahead: usize) -> BytesMut {
        if bytes <= SMALL_BYTES {
            return BytesMut::with_capacity(bytes.min(ahead));
        }
        let kept = lock(&self.kept).take(bytes);
        let new = if bytes <= ahead { rounded(bytes) } else { ahead };
        kept.unwrap_or_else(|| BytesMut::with_capacity(new))
    }

    /// Gives out what a buffer was filled with; its memory comes back here.
    #[must_use]
    pub fn lend(&self, buffer: BytesMut) -> Bytes {
        if buffer.capacity() <= SMALL_BYTES {
            return buffer.freeze();
        }
        Bytes::from_owner(Lent { buffer, home: Arc::downgrade(&self.kept) })
    }

    /// Lets go of one that was not wanted for a long time.
    pub(super) fn let_one_go(&self) {
        drop(lock(&self.kept).remove(0));
    }
}

impl Kept {
    fn take(&mut self, bytes: usize) -> Option<BytesMut> {
        let most = rounded(bytes.saturating_add(bytes / 8));
        let fits = |buffer: &BytesMut| (bytes..=most).contains(&buffer.capacity());
        // The newest is the likeliest to be in a processor's cache.
        self.remove(self.buffers.iter().rposition(fits)?)
    }

    fn keep(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        if buffer.capacity() > self.limit {
            return;
        }
        self.bytes = self.bytes.saturating_add(buffer.capacity());
        self.buffers.push(buffer);
        while self.bytes > self.limit {
            drop(self.remove(0));
        }
    }

    fn remove(&mut self, at: usize) -> Option<BytesMut> {
        let buffer = (at < self.buffers.len()).then(|| self.buffers.remove(at))?;
        self.bytes = self.bytes.saturating_sub(buffer.capacity());
        Some(buffer)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            lock(&home).keep(std::mem::take(&mut self.buffer));
        }
    }
}

/// A little more, so that the buffer fits what is nearly of the same size.
fn rounded(bytes: usize) -> usize {
    let step = bytes.checked_next_power_of_two().unwrap_or(bytes) / 16;
    bytes.checked_next_multiple_of(step.max(1)).unwrap_or(bytes)
}

/// Nothing is half done when a holder of the lock panics.
fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn frame(spares: &Spares, bytes: usize) -> Bytes {
        let mut buffer = spares.take(bytes);
        assert!(buffer.is_empty() && buffer.capacity() >= bytes);
        buffer.resize(bytes, 7);
        spares.lend(buffer)
    }

    fn kept(spares: &Spares) -> (usize, usize) {
        let kept = lock(&spares.kept);
        assert_eq!(kept.bytes, kept.buffers.iter().map(BytesMut::capacity).sum::<usize>());
        (kept.buffers.len(), kept.bytes)
    }

    #[test]
    fn a_buffer_is_used_again_when_the_last_slice_of_its_frame_is_gone() {
        let spares = Spares::new(8 * MIB);
        let first = frame(&spares, MIB);
        let place = first.as_ptr();
        let slice = first.slice(1_000..2_000);
        drop(first);
        assert_eq!(kept(&spares).0, 0, "a slice of it is looked at");
        assert_ne!(frame(&spares, MIB).as_ptr(), place);
        drop(slice);
        assert_eq!(frame(&spares, MIB - 100).as_ptr(), place, "the newest that fits");
    }

    #[test]
    fn a_buffer_is_neither_too_small_nor_much_too_large() {
        let spares = Spares::new(8 * MIB);
        drop(frame(&spares, MIB));
        for other in [MIB + 1, MIB / 2] {
            let frame = frame(&spares, other);
            assert_eq!(kept(&spares).0, 1, "another one for {other}");
            std::mem::forget(frame);
        }
    }

    #[test]
    fn no_more_is_kept_than_the_limit_and_nothing_without_an_owner() {
        let spares = Spares::new(3 * MIB);
        let frames: Vec<_> = (0..5).map(|_| frame(&spares, MIB)).collect();
        drop(frame(&spares, 4 * MIB));
        assert_eq!(kept(&spares), (0, 0), "too large for all of the room");
        drop(frames);
        assert_eq!(kept(&spares), (3, 3 * MIB));
        spares.let_one_go();
        assert_eq!(kept(&spares), (2, 2 * MIB));
        let late = frame(&spares, MIB);
        let home = Arc::downgrade(&spares.kept);
        drop(spares);
        assert!(home.upgrade().is_none());
        assert_eq!(late.len(), MIB);
    }
}
