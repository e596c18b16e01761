//! The codecs of Kafka behind one interface: whole batches in, whole batches out, decompression bounded.
//!
//! Each file is one codec and says what Apache's Java client and librdkafka write and read; [`Compressor`] and
//! [`Decompressor`] keep the working memory of a codec from batch to batch.

mod bounded;
mod gzip;
mod lz4;
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use thiserror::Error;

/// How large the records of one batch may become when they are decompressed, unless told otherwise: 128 MiB.
pub const DEFAULT_DECOMPRESSED_LIMIT: usize = 128 << 20;

/// A compression codec (`compression.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Records as they are.
    #[default]
    None,
    /// Gzip: small and slow.
    Gzip,
    /// Snappy in the frames of Java's library.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard (feature `zstd`).
    Zstd,
}

impl Compression {
    /// Every codec, by id.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in a batch's attributes.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec of a number in a batch's attributes.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Kafka's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The levels that Kafka accepts (`compression.gzip.level` and so on); `None` when the codec has none.
    /// gzip also accepts -1, its default.
    #[must_use]
    pub const fn levels(self) -> Option<RangeInclusive<i32>> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(1..=9),
            Self::Lz4 => Some(1..=17),
            Self::Zstd => Some(-131_072..=22),
        }
    }

    /// Kafka's default level; `None` when the codec has none.
    #[must_use]
    pub const fn default_level(self) -> Option<i32> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(-1),
            Self::Lz4 => Some(9),
            Self::Zstd => Some(1),
        }
    }

    /// Whether this build can do it.
    ///
    /// # Errors
    ///
    /// [`CompressionError::Disabled`] naming the feature that is off.
    pub const fn check_enabled(self) -> Result<(), CompressionError> {
        match self {
            #[cfg(not(feature = "zstd"))]
            Self::Zstd => Err(CompressionError::Disabled { codec: self, feature: "zstd" }),
            _ => Ok(()),
        }
    }

    /// Whether Kafka knows the level for this codec.
    ///
    /// # Errors
    ///
    /// [`CompressionError::Level`] with what the codec has.
    pub fn check_level(self, level: i32) -> Result<(), CompressionError> {
        if self.default_level() == Some(level) || self.levels().is_some_and(|all| all.contains(&level)) {
            return Ok(());
        }
        Err(CompressionError::Level { codec: self, level })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = CompressionError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| CompressionError::UnknownName(name.into()))
    }
}

/// What compressing and decompressing can fail with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// No codec has this name.
    #[error("unknown compression type {0:?}: there are none, gzip, snappy, lz4 and zstd")]
    UnknownName(Box<str>),
    /// The codec has no such level.
    #[error("{codec} has no level {level}{}", Levels(*.codec))]
    Level {
        /// The codec.
        codec: Compression,
        /// What was asked for.
        level: i32,
    },
    /// The codec was left out of this build.
    #[error("{codec} is not compiled in: turn on the crate's feature `{feature}`")]
    Disabled {
        /// The codec.
        codec: Compression,
        /// The feature that brings it.
        feature: &'static str,
    },
    /// The bytes are not what the codec writes.
    #[error("the {codec} data is corrupt: {reason}")]
    Corrupt {
        /// The codec.
        codec: Compression,
        /// What the codec says.
        reason: Box<str>,
    },
    /// The data would become larger than the limit: a decompression bomb, or a limit too low.
    #[error("the {codec} data decompresses to more than the limit of {limit} bytes")]
    TooLarge {
        /// The codec.
        codec: Compression,
        /// The limit.
        limit: usize,
    },
    /// The codec failed to compress, which none of them does.
    #[error("{codec} failed to compress: {reason}")]
    Failed {
        /// The codec.
        codec: Compression,
        /// What the codec says.
        reason: Box<str>,
    },
}

impl CompressionError {
    fn corrupt(codec: Compression, reason: impl ToString) -> Self {
        Self::Corrupt { codec, reason: reason.to_string().into() }
    }

    fn failed(codec: Compression, reason: impl ToString) -> Self {
        Self::Failed { codec, reason: reason.to_string().into() }
    }
}

/// The levels of a codec, for people.
struct Levels(Compression);

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(levels) = self.0.levels() else { return f.write_str(": it has no levels") };
        write!(f, ": it has {} to {}", levels.start(), levels.end())?;
        match self.0.default_level() {
            Some(default) if !levels.contains(&default) => write!(f, " and {default}, its default"),
            _ => Ok(()),
        }
    }
}

/// One codec, compressing.
trait Encode: Send {
    /// Appends the compressed `input` to `out`.
    fn encode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError>;
}

/// One codec, decompressing.
trait Decode: Send {
    /// Decompresses all of `input` into a buffer of at most `limit` bytes.
    fn decode(&mut self, input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError>;
}

/// Compresses batches with one codec at one level, keeping the codec's working memory from one to the next.
pub struct Compressor {
    codec: Compression,
    encoder: Option<Box<dyn Encode>>,
}

impl Compressor {
    /// A compressor of this codec at `level`, or at Kafka's default when `None`.
    ///
    /// # Errors
    ///
    /// When the codec has no such level, or is left out of this build.
    pub fn new(codec: Compression, level: Option<i32>) -> Result<Self, CompressionError> {
        codec.check_enabled()?;
        if let Some(level) = level {
            codec.check_level(level)?;
        }
        let level = level.or(codec.default_level()).unwrap_or_default();
        let encoder: Option<Box<dyn Encode>> = match codec {
            Compression::None => None,
            Compression::Gzip => Some(Box::new(gzip::Encoder::new(level))),
            Compression::Snappy => Some(Box::new(snappy::Encoder::new())),
            Compression::Lz4 => Some(Box::new(lz4::Encoder)),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Some(Box::new(zstd::Encoder::new(level))),
            #[cfg(not(feature = "zstd"))]
            Compression::Zstd => None, // refused above
        };
        Ok(Self { codec, encoder })
    }

    /// The codec.
    #[must_use]
    pub const fn codec(&self) -> Compression {
        self.codec
    }

    /// Appends the compressed `input` to `out`.
    ///
    /// # Errors
    ///
    /// [`CompressionError::Failed`] when the codec fails.
    pub fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        match &mut self.encoder {
            Some(encoder) => encoder.encode(input, out),
            None => {
                out.extend_from_slice(input);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// Decompresses batches of any codec up to a limit, keeping the working memory of the last codec seen.
pub struct Decompressor {
    limit: usize,
    decoder: Option<(Compression, Box<dyn Decode>)>,
}

impl Decompressor {
    /// A decompressor whose output never grows beyond `limit` bytes for one batch.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, decoder: None }
    }

    /// Decompresses all of `input`, which ends where the compressed data does.
    ///
    /// # Errors
    ///
    /// When the data is corrupt, is followed by anything, becomes larger than the limit, or is of a codec left
    /// out of this build.
    pub fn decompress(&mut self, codec: Compression, input: &[u8]) -> Result<Vec<u8>, CompressionError> {
        codec.check_enabled()?;
        if let Some((kept, decoder)) = &mut self.decoder
            && *kept == codec
        {
            return decoder.decode(input, self.limit);
        }
        let decoder: Box<dyn Decode> = match codec {
            Compression::None => Box::new(bounded::Copy),
            Compression::Gzip => Box::new(gzip::Decoder),
            Compression::Snappy => Box::new(snappy::Decoder::new()),
            Compression::Lz4 => Box::new(lz4::Decoder),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Box::new(zstd::Decoder::new()),
            #[cfg(not(feature = "zstd"))]
            Compression::Zstd => Box::new(bounded::Copy), // refused above
        };
        self.decoder.insert((codec, decoder)).1.decode(input, self.limit)
    }
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::new(DEFAULT_DECOMPRESSED_LIMIT)
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
