//! The memory of finished batches, for those to come.
//!
//! Fresh memory costs more than filling it: the system hands it out page by page, zeroed, at the first touch. What was used
//! last is used first, since it is still in the processor's cache.

use std::collections::VecDeque;

/// Buffers of finished batches.
#[derive(Debug)]
pub(super) struct Buffers {
    /// The last one is the one that was used last.
    free: VecDeque<Vec<u8>>,
    /// Bytes that they take.
    bytes: usize,
    /// Bytes that they may take.
    most: usize,
}

/// Smaller ones are as cheap from the allocator.
const WORTH_KEEPING: usize = 16 << 10;

impl Buffers {
    /// None yet. They never take more than an eighth of `buffer.memory`.
    pub(super) fn new(buffer_memory: usize) -> Buffers {
        Buffers { free: VecDeque::new(), bytes: 0, most: buffer_memory / 8 }
    }

    /// A buffer with room for `wanted` bytes, and for `limit` at most.
    pub(super) fn take(&mut self, wanted: usize, limit: usize) -> Vec<u8> {
        let most = wanted.saturating_mul(2).min(limit);
        let fits = |buffer: &Vec<u8>| (wanted..=most).contains(&buffer.capacity());
        match self.free.iter().rposition(fits).and_then(|at| self.free.remove(at)) {
            Some(buffer) => {
                self.bytes = self.bytes.saturating_sub(buffer.capacity());
                buffer
            }
            None => Vec::with_capacity(wanted),
        }
    }

    /// Takes a buffer back; those that lay longest go.
    pub(super) fn give(&mut self, buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        if bytes < WORTH_KEEPING || bytes > self.most {
            return;
        }
        while self.bytes.saturating_add(bytes) > self.most {
            let Some(oldest) = self.free.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.capacity());
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.free.push_back(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_is_used_first_and_only_for_batches_of_its_size() {
        let mut buffers = Buffers::new(1 << 20);
        let [first, second] = [0, 1].map(|_| Vec::<u8>::with_capacity(32 << 10));
        let last = second.as_ptr();
        buffers.give(first);
        buffers.give(second);
        assert_ne!(buffers.take(8 << 10, usize::MAX).capacity(), 32 << 10, "four times what is wanted");
        assert_ne!(buffers.take(20 << 10, 24 << 10).capacity(), 32 << 10, "more than there is room for");
        assert_ne!(buffers.take(33 << 10, usize::MAX).capacity(), 32 << 10, "less than is wanted");
        let again = buffers.take(20 << 10, usize::MAX);
        assert_eq!(again.as_ptr(), last);
        assert_eq!(buffers.bytes, 32 << 10);
    }

    #[test]
    fn they_take_an_eighth_of_the_memory_and_the_oldest_go() {
        let mut buffers = Buffers::new(1 << 20);
        for kib in [40, 50, 60, 17, 1, 200] {
            buffers.give(Vec::with_capacity(kib << 10));
        }
        let kept: Vec<usize> = buffers.free.iter().map(|buffer| buffer.capacity() >> 10).collect();
        assert_eq!(kept, [50, 60, 17]);
        assert_eq!(buffers.bytes, 127 << 10);
    }
}
