//! [`Codec`]: what `-z` names, `zstd` or `zstd:9`.

use crate::failure::Outcome;
use ottla::config::Settings;

/// The codecs that have levels.
const WITH_LEVELS: [&str; 3] = ["gzip", "lz4", "zstd"];
/// Those that have none.
const WITHOUT_LEVELS: [&str; 2] = ["none", "snappy"];

/// A codec, and how hard it is to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Codec {
    name: String,
    level: Option<i32>,
}

impl Codec {
    /// # Errors
    /// When there is no such codec, or it has no levels; whether it has this one the settings know.
    pub(super) fn parse(text: &str) -> Result<Codec, String> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        if level.is_some() && WITHOUT_LEVELS.contains(&name) {
            return Err(format!("{name} has no levels"));
        }
        if !WITH_LEVELS.contains(&name) && !WITHOUT_LEVELS.contains(&name) {
            return Err("codecs are none, gzip, snappy, lz4 and zstd".to_owned());
        }
        let level =
            level.map(|level| level.parse().map_err(|_| format!("the level of {name} is a whole number")));
        Ok(Codec { name: name.to_owned(), level: level.transpose()? })
    }

    pub(super) fn apply(&self, settings: &mut Settings) -> Outcome {
        settings.set("compression.type", &self.name)?;
        if let Some(level) = self.level {
            settings.set(&format!("compression.{}.level", self.name), level.to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(name: &str, level: Option<i32>) -> Result<Codec, String> {
        Ok(Codec { name: name.to_owned(), level })
    }

    #[test]
    fn a_level_is_behind_a_colon() {
        assert_eq!(Codec::parse("zstd"), codec("zstd", None));
        assert_eq!(Codec::parse("zstd:19"), codec("zstd", Some(19)));
        assert_eq!(Codec::parse("zstd:-5"), codec("zstd", Some(-5)));
        assert_eq!(Codec::parse("none"), codec("none", None));
    }

    #[test]
    fn what_is_no_codec_or_level_is_told() {
        for wrong in ["", "brotli", "ZSTD", "snappy:1", "none:0", "gzip:", "gzip:fast", "zstd:3:4", ":3"] {
            assert!(Codec::parse(wrong).is_err(), "{wrong}");
        }
    }
}
