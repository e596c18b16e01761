//! Snappy, by snap, in the frames of Java's library (xerial).
//!
//! ```text
//! 82 'S' 'N' 'A' 'P' 'P' 'Y' 00 · version i32 · compatible version i32 · (chunk length i32 · raw snappy)*
//! ```
//!
//! Java writes and reads that with chunks of 32 KiB; librdkafka writes raw snappy without any frame and reads
//! both. We write what Java writes and read both, telling them apart by the magic as they do.

use super::bounded::Bounded;
use super::{Compression, CompressionError, Decode, Encode};

const CODEC: Compression = Compression::Snappy;
const MAGIC: [u8; 8] = *b"\x82SNAPPY\x00";
/// The version that is written, and the oldest that may read it.
const VERSION: i32 = 1;
const STREAM_HEADER: usize = 16;
/// Uncompressed bytes of a chunk, as Java writes them.
const CHUNK: usize = 32 << 10;
/// More than a byte of raw snappy can become: a copy of 64 bytes takes three.
const MAX_RATIO: usize = 32;

pub(super) struct Encoder(snap::raw::Encoder);

impl Encoder {
    pub(super) fn new() -> Self {
        Self(snap::raw::Encoder::new())
    }
}

impl Encode for Encoder {
    fn encode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&VERSION.to_be_bytes());
        for chunk in input.chunks(CHUNK) {
            let length_at = out.len();
            let from = length_at.saturating_add(4);
            out.resize(from.saturating_add(snap::raw::max_compress_len(chunk.len())), 0);
            let written = self
                .0
                .compress(chunk, out.get_mut(from..).unwrap_or_default())
                .map_err(|error| CompressionError::failed(CODEC, error))?;
            out.truncate(from.saturating_add(written));
            let length = i32::try_from(written).map_err(|error| CompressionError::failed(CODEC, error))?;
            if let Some(slot) = out.get_mut(length_at..).and_then(<[u8]>::first_chunk_mut) {
                *slot = length.to_be_bytes();
            }
        }
        Ok(())
    }
}

pub(super) struct Decoder(snap::raw::Decoder);

impl Decoder {
    pub(super) fn new() -> Self {
        Self(snap::raw::Decoder::new())
    }

    /// Decompresses one piece of raw snappy, which says in front how large it becomes.
    fn raw(&mut self, input: &[u8], bounded: &mut Bounded) -> Result<(), CompressionError> {
        let len =
            snap::raw::decompress_len(input).map_err(|error| CompressionError::corrupt(CODEC, error))?;
        bounded.reserve(0)?;
        if len > input.len().saturating_mul(MAX_RATIO) {
            return Err(CompressionError::corrupt(
                CODEC,
                format!("{} bytes claim to become {len}", input.len()),
            ));
        }
        bounded.reserve(len)?;
        let from = bounded.out.len();
        bounded.out.resize(from.saturating_add(len), 0);
        let written = self
            .0
            .decompress(input, bounded.out.get_mut(from..).unwrap_or_default())
            .map_err(|error| CompressionError::corrupt(CODEC, error))?;
        bounded.out.truncate(from.saturating_add(written));
        Ok(())
    }

    /// Every chunk says in front how large it becomes: what is too large together is refused before anything is
    /// decompressed, and what is not gets its buffer in one piece.
    fn framed(&mut self, input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
        let mut total = 0usize;
        let mut rest = input;
        while let Some(chunk) = next_chunk(&mut rest)? {
            let len =
                snap::raw::decompress_len(chunk).map_err(|error| CompressionError::corrupt(CODEC, error))?;
            total = total.saturating_add(len.min(chunk.len().saturating_mul(MAX_RATIO)));
        }
        let mut bounded = Bounded::new(CODEC, limit, 0);
        bounded.reserve_once(total)?;
        let mut rest = input;
        while let Some(chunk) = next_chunk(&mut rest)? {
            self.raw(chunk, &mut bounded)?;
        }
        Ok(bounded.out)
    }
}

impl Decode for Decoder {
    fn decode(&mut self, input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
        if input.starts_with(&MAGIC) {
            self.framed(input, limit)
        } else {
            let mut bounded = Bounded::new(CODEC, limit, 0);
            self.raw(input, &mut bounded)?;
            Ok(bounded.out)
        }
    }
}

/// The next chunk, which is taken off `rest`; `None` at the end.
fn next_chunk<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, CompressionError> {
    while rest.starts_with(&MAGIC) {
        *rest = stream_header(rest)?; // Java concatenates streams, too
    }
    if rest.is_empty() {
        return Ok(None);
    }
    let (chunk, after) = rest
        .split_first_chunk()
        .and_then(|(length, after)| {
            after.split_at_checked(usize::try_from(i32::from_be_bytes(*length)).ok()?)
        })
        .ok_or_else(|| CompressionError::corrupt(CODEC, "a chunk does not fit the data"))?;
    *rest = after;
    Ok(Some(chunk))
}

/// Checks the header of a stream and returns what follows it.
fn stream_header(input: &[u8]) -> Result<&[u8], CompressionError> {
    let (header, rest) = input
        .split_first_chunk::<STREAM_HEADER>()
        .ok_or_else(|| CompressionError::corrupt(CODEC, "the stream header is cut off"))?;
    let compatible = header.last_chunk().map_or(0, |bytes| i32::from_be_bytes(*bytes));
    if compatible < VERSION {
        return Err(CompressionError::corrupt(CODEC, format!("stream version {compatible}")));
    }
    Ok(rest)
}
