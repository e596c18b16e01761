//! What compresses batches: for each topic the codec and level that the settings want.

use crate::config::{CompressionType, ProducerConfig};
use crate::error::{Error, Result};
use crate::records::{ClosedBatch, Compression, Compressor};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A codec at a level; `None` is the codec's own default.
pub(super) type Kind = (Compression, Option<i32>);

/// Which codec is for which topic.
#[derive(Debug, Clone)]
pub(super) struct Codecs {
    default: Kind,
    topics: BTreeMap<String, Kind>,
}

impl Codecs {
    /// The codec of the settings, but for the topics that have one of their own.
    ///
    /// # Errors
    /// When a codec is left out of this build or has no such level.
    pub(super) fn new(
        config: &ProducerConfig,
        topics: BTreeMap<String, (CompressionType, Option<i32>)>,
    ) -> Result<Codecs> {
        let of_config = |codec| kind(codec, config);
        let own = |(topic, (codec, level)): (String, (CompressionType, Option<i32>))| {
            let (codec, default) = of_config(codec);
            (topic, (codec, level.or(default)))
        };
        let codecs =
            Codecs { default: of_config(config.compression), topics: topics.into_iter().map(own).collect() };
        for (codec, level) in codecs.topics.values().chain([&codecs.default]) {
            Compressor::new(*codec, *level)
                .map_err(|error| Error::config("compression.type").with_source(error))?;
        }
        Ok(codecs)
    }

    fn of(&self, topic: &str) -> Kind {
        self.topics.get(topic).copied().unwrap_or(self.default)
    }

    /// Whether anything is compressed at all.
    pub(super) fn any(&self) -> bool {
        self.topics.values().chain([&self.default]).any(|(codec, _)| *codec != Compression::None)
    }
}

/// A codec with the level that the settings have for it.
fn kind(codec: CompressionType, config: &ProducerConfig) -> Kind {
    match codec {
        CompressionType::None => (Compression::None, None),
        CompressionType::Gzip => (Compression::Gzip, config.gzip_level),
        CompressionType::Snappy => (Compression::Snappy, None),
        CompressionType::Lz4 => (Compression::Lz4, Some(config.lz4_level)),
        CompressionType::Zstd => (Compression::Zstd, Some(config.zstd_level)),
    }
}

/// Compressors that were used, to be used again: their working memory costs more than a small batch.
#[derive(Debug, Default)]
pub(super) struct Press(Vec<(Kind, Compressor)>);

impl Press {
    /// Compresses a batch as its topic wants. When that fails, it goes as it is, and the log says so.
    pub(super) fn compress(&mut self, codecs: &Codecs, topic: &str, batch: &mut ClosedBatch) {
        let kind = codecs.of(topic);
        if kind.0 == Compression::None {
            return;
        }
        let Some(at) = self.compressor(kind) else { return };
        let Some((_, compressor)) = self.0.get_mut(at) else { return };
        match catch_unwind(AssertUnwindSafe(|| batch.compress(compressor))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%topic, %error, "a batch was not compressed and goes as it is"),
            Err(_) => {
                tracing::error!(%topic, "compressing a batch panicked; it goes as it is");
                // A panic leaves the batch as it was, and the codec of no use.
                self.0.remove(at);
            }
        }
    }

    fn compressor(&mut self, kind: Kind) -> Option<usize> {
        if let Some(at) = self.0.iter().position(|(known, _)| *known == kind) {
            return Some(at);
        }
        // It was made once before, to see whether the settings are right.
        self.0.push((kind, Compressor::new(kind.0, kind.1).ok()?));
        self.0.len().checked_sub(1)
    }
}
