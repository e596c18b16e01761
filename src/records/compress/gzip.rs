//! Gzip, by flate2 on zlib-rs.
//!
//! Java writes one member through `GZIPOutputStream` and reads a sequence of members; so does this. Its reader
//! swallows whatever follows the last member, ours does not.

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::bounded::Bounded;
use super::{Compression, CompressionError, Decode, Encode};

const CODEC: Compression = Compression::Gzip;
/// The largest window, which every zlib uses.
const WINDOW_BITS: u8 = 15;
/// Room to start with, as a multiple of the input.
const USUAL_RATIO: usize = 4;

pub(super) struct Encoder(Compress);

impl Encoder {
    /// `level` is one of 1 to 9, or -1 for zlib's default.
    pub(super) fn new(level: i32) -> Self {
        let level =
            u32::try_from(level).map_or_else(|_| flate2::Compression::default(), flate2::Compression::new);
        Self(Compress::new_gzip(level, WINDOW_BITS))
    }
}

impl Encode for Encoder {
    fn encode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        self.0.reset();
        let mut rest = input;
        out.reserve((input.len() / 2).max(64));
        loop {
            let before = self.0.total_in();
            let status = self
                .0
                .compress_vec(rest, out, FlushCompress::Finish)
                .map_err(|error| CompressionError::failed(CODEC, error))?;
            rest = advance(rest, before, self.0.total_in());
            if status == Status::StreamEnd {
                return Ok(());
            }
            out.reserve(rest.len().max(1 << 10)); // it stops only for want of room
        }
    }
}

pub(super) struct Decoder;

impl Decode for Decoder {
    fn decode(&mut self, input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
        let mut bounded = Bounded::new(CODEC, limit, input.len().saturating_mul(USUAL_RATIO));
        let mut rest = input;
        loop {
            rest = member(rest, &mut bounded)?;
            if rest.is_empty() {
                return Ok(bounded.out);
            }
        }
    }
}

/// Decompresses one member and returns what follows it.
fn member<'a>(mut rest: &'a [u8], bounded: &mut Bounded) -> Result<&'a [u8], CompressionError> {
    let mut inflate = Decompress::new_gzip(WINDOW_BITS);
    loop {
        let (read, written) = (inflate.total_in(), inflate.total_out());
        let mut beyond = [0];
        let at_limit = bounded.is_full() && bounded.reserve(1).is_err();
        // At the limit the stream may still end, but not with one byte more.
        let status = if at_limit {
            inflate.decompress(rest, &mut beyond, FlushDecompress::None)
        } else {
            inflate.decompress_vec(rest, &mut bounded.out, FlushDecompress::None)
        }
        .map_err(|error| CompressionError::corrupt(CODEC, error))?;
        rest = advance(rest, read, inflate.total_in());
        let produced = inflate.total_out() != written;
        if at_limit && produced {
            return Err(bounded.too_large());
        }
        if status == Status::StreamEnd {
            return Ok(rest);
        }
        if rest.is_empty() && !produced && !bounded.is_full() {
            return Err(CompressionError::corrupt(CODEC, "the data ends early"));
        }
        if !produced && inflate.total_in() == read && (at_limit || !bounded.is_full()) {
            return Err(CompressionError::corrupt(CODEC, "the data makes no progress"));
        }
    }
}

/// `rest` without the bytes read between two readings of a stream's counter.
fn advance(rest: &[u8], before: u64, after: u64) -> &[u8] {
    usize::try_from(after.saturating_sub(before)).ok().and_then(|read| rest.get(read..)).unwrap_or_default()
}
