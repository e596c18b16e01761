//! [`ConfigError`] and [`Origin`]: what is wrong with a setting, and where it was set.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A setting that is unknown, malformed, refused, or contradicts another. No message shows a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Neither Kafka's Java client nor librdkafka nor this client knows the key.
    #[error("unknown setting '{key}' ({origin}){}", did_you_mean(*nearest))]
    UnknownKey {
        /// The key as it was written.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// The known key that looks most like it, if one does.
        nearest: Option<&'static str>,
    },
    /// The value is not of the key's type or out of its range.
    #[error("{key}={value} ({origin}): must be {expected}")]
    WrongValue {
        /// The key as it was written.
        key: String,
        /// The value; `***` when it is a secret.
        value: String,
        /// Where it was set.
        origin: Origin,
        /// What the value must be.
        expected: String,
    },
    /// The key or this value of it is known, and not supported on purpose.
    #[error("{key}{} ({origin}): {why}", value.as_ref().map(|value| format!("={value}")).unwrap_or_default())]
    Refused {
        /// The key as it was written.
        key: String,
        /// The value, when that is what is refused and it is not a secret.
        value: Option<String>,
        /// Where it was set.
        origin: Origin,
        /// Why, and what to do instead.
        why: String,
    },
    /// One setting has two names, both are set in one place, and their values differ.
    #[error(
        "{first} and {second} ({origin}) are two names of one setting and have different values: set one of them"
    )]
    TwoNames {
        /// The name that was set first.
        first: String,
        /// The name that was set after it.
        second: String,
        /// Where the second was set.
        origin: Origin,
    },
    /// Settings that are right by themselves and wrong together.
    #[error("{0}")]
    Contradiction(String),
    /// A setting that is needed and not there.
    #[error("{key} is not set: {why}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What needs it, and how to set it.
        why: String,
    },
    /// A file that does not have the syntax of its kind.
    #[error("{origin}: {what}")]
    Syntax {
        /// File and line.
        origin: Origin,
        /// What is wrong there.
        what: String,
    },
    /// A file that could not be read.
    #[error("cannot read the settings in {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Where a setting comes from. What is set in several places has the value of the first of these: the program, the
/// environment, the `.env` file, a file of settings, the default.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Set by the program, or given to it on its command line.
    Builder,
    /// A variable of the environment.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A variable of a `.env` file.
    DotEnv {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1; the last one of a value of several.
        line: usize,
    },
    /// A file of settings.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1; the first one of a value of several.
        line: usize,
    },
    /// Not set: the default.
    Default,
}

impl Origin {
    /// Whether what is set here goes before what is set there.
    pub(super) fn outranks(&self, other: &Origin) -> bool {
        self.rank() > other.rank()
    }

    /// Whether two settings are set in one place: by the program, in the environment, in one file.
    pub(super) fn is_beside(&self, other: &Origin) -> bool {
        match (self, other) {
            (Origin::DotEnv { path: a, .. }, Origin::DotEnv { path: b, .. })
            | (Origin::File { path: a, .. }, Origin::File { path: b, .. }) => a == b,
            _ => self.rank() == other.rank(),
        }
    }

    /// Whether it was set for whatever runs here, and not for this client alone: values may be meant for another program.
    pub(super) fn is_ambient(&self) -> bool {
        matches!(self, Origin::Environment { .. } | Origin::DotEnv { .. })
    }

    fn rank(&self) -> u8 {
        match self {
            Origin::Builder => 4,
            Origin::Environment { .. } => 3,
            Origin::DotEnv { .. } => 2,
            Origin::File { .. } => 1,
            Origin::Default => 0,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Builder => f.write_str("set by the program"),
            Origin::Environment { variable } => write!(f, "{variable} in the environment"),
            Origin::DotEnv { path, line } | Origin::File { path, line } => {
                write!(f, "{}, line {line}", path.display())
            }
            Origin::Default => f.write_str("default"),
        }
    }
}

impl From<ConfigError> for crate::error::Error {
    fn from(error: ConfigError) -> crate::error::Error {
        crate::error::Error::new(crate::error::ErrorKind::Config, "read the settings").with_source(error)
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|key| format!("; did you mean '{key}'?")).unwrap_or_default()
}
