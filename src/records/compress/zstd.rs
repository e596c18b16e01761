//! Zstandard, by structured-zstd.
//!
//! Java streams through zstd-jni, so its frames say no content size and a window as large as the level has it
//! (128 MiB at level 22); librdkafka says the content size. A frame is decompressed straight into the output,
//! which serves as its window, so that a window is never allocated because a header asks for it. Several frames
//! may follow each other, as in Java.

use structured_zstd::decoding::errors::{
    DecodeBlockContentError, DecodeBufferError, DecompressBlockError, ExecuteSequencesError,
    FrameDecoderError,
};
use structured_zstd::decoding::{
    ContentChecksum, FrameDecoder, FrameSizeError, find_frame_compressed_size, frame_decompressed_bound,
};
use structured_zstd::encoding::{CompressionLevel, FrameCompressor};

use super::{Compression, CompressionError, Decode, Encode};

const CODEC: Compression = Compression::Zstd;
/// What four bytes of a frame can become at most: a block of 128 KiB that repeats one byte.
const MAX_RATIO: usize = (128 << 10) / 4;

pub(super) struct Encoder(CompressionLevel);

impl Encoder {
    /// `level` is one of C's, -131072 to 22, where 0 is the default.
    pub(super) const fn new(level: i32) -> Self {
        Self(CompressionLevel::from_level(level))
    }
}

impl Encode for Encoder {
    fn encode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        // Made anew each time: it cannot move between threads, and costs two microseconds.
        let mut compressor: FrameCompressor = FrameCompressor::new(self.0);
        compressor.set_content_checksum(false); // the batch has its CRC, and Java writes none
        out.extend_from_slice(&compressor.compress_independent_frame(input));
        Ok(())
    }
}

pub(super) struct Decoder(FrameDecoder);

impl Decoder {
    pub(super) fn new() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_content_checksum(ContentChecksum::Verify);
        Self(decoder)
    }
}

impl Decode for Decoder {
    fn decode(&mut self, input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
        let bound = output_bound(input)?;
        // Zeroed memory of this size is not touched before the decoder writes it.
        let mut out = vec![0; bound.min(limit)];
        let written = self.0.decode_all(input, &mut out).map_err(|error| {
            if bound > limit && outgrew(&error, limit) {
                CompressionError::TooLarge { codec: CODEC, limit }
            } else {
                CompressionError::corrupt(CODEC, error)
            }
        })?;
        out.truncate(written);
        if written < out.capacity() / 2 {
            out.shrink_to_fit(); // the bound counts whole blocks
        }
        Ok(out)
    }
}

/// Whether decoding failed because the output would have become larger than `limit`.
fn outgrew(error: &FrameDecoderError, limit: usize) -> bool {
    use DecodeBlockContentError::{BackendOverflow, DecompressBlockError as Block};
    let FrameDecoderError::FailedToReadBlockBody(body) = error else {
        return matches!(error, FrameDecoderError::TargetTooSmall);
    };
    let (tail, requested) = match body {
        BackendOverflow { .. } => return true,
        Block(DecompressBlockError::LiteralsOutputOverflow { tail, requested, .. })
        | Block(DecompressBlockError::ExecuteSequencesError(
            ExecuteSequencesError::OutputBufferOverflow { tail, requested, .. }
            | ExecuteSequencesError::DecodebufferError(DecodeBufferError::OutputBufferOverflow {
                tail,
                requested,
                ..
            }),
        )) => (*tail, *requested),
        _ => return false,
    };
    tail.saturating_add(requested) > limit
}

/// The most that the frames in `input` can become, by what their headers say and what their length allows.
fn output_bound(input: &[u8]) -> Result<usize, CompressionError> {
    let corrupt = |error: FrameSizeError| CompressionError::corrupt(CODEC, format!("{error:?}"));
    if input.is_empty() {
        return Err(CompressionError::corrupt(CODEC, "there is no frame"));
    }
    let mut bound = 0u64;
    let mut rest = input;
    while !rest.is_empty() {
        bound = bound.saturating_add(frame_decompressed_bound(rest).map_err(corrupt)?);
        let frame_len = find_frame_compressed_size(rest).map_err(corrupt)?;
        rest = rest.get(frame_len.max(1)..).unwrap_or_default();
    }
    let possible = input.len().saturating_mul(MAX_RATIO);
    Ok(usize::try_from(bound).unwrap_or(usize::MAX).min(possible))
}
