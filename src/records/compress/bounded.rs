//! A buffer that grows as bytes arrive, up to a limit.

use super::{Compression, CompressionError, Decode};

/// The smallest step in which a buffer grows.
const MIN_GROWTH: usize = 4 << 10;

/// The output of a decoder.
pub(super) struct Bounded {
    codec: Compression,
    limit: usize,
    /// Its spare capacity is what a decoder may fill; `capacity() <= limit`.
    pub(super) out: Vec<u8>,
}

impl Bounded {
    /// An empty buffer with room for `guess` bytes, or for the limit when that is less.
    pub(super) fn new(codec: Compression, limit: usize, guess: usize) -> Self {
        Self { codec, limit, out: Vec::with_capacity(guess.min(limit)) }
    }

    /// Makes room for `more` bytes beyond what is there.
    pub(super) fn reserve(&mut self, more: usize) -> Result<(), CompressionError> {
        let needed = self.out.len().saturating_add(more);
        if needed > self.limit {
            return Err(self.too_large());
        }
        if needed > self.out.capacity() {
            let doubled = self.out.capacity().saturating_mul(2).max(MIN_GROWTH);
            self.out.reserve_exact(doubled.max(needed).min(self.limit).saturating_sub(self.out.len()));
        }
        Ok(())
    }

    /// Makes room for all that is to come, so that nothing has to be moved while it grows.
    pub(super) fn reserve_once(&mut self, total: usize) -> Result<(), CompressionError> {
        if total > self.limit {
            return Err(self.too_large());
        }
        self.out.reserve_exact(total);
        Ok(())
    }

    /// Appends `bytes`.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), CompressionError> {
        self.reserve(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether there is no spare capacity left.
    pub(super) fn is_full(&self) -> bool {
        self.out.len() == self.out.capacity()
    }

    pub(super) fn too_large(&self) -> CompressionError {
        CompressionError::TooLarge { codec: self.codec, limit: self.limit }
    }
}

/// What uncompressed records are "decompressed" with when somebody asks for it.
pub(super) struct Copy;

impl Decode for Copy {
    fn decode(&mut self, input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
        let mut bounded = Bounded::new(Compression::None, limit, input.len());
        bounded.extend(input)?;
        Ok(bounded.out)
    }
}
