//! Where [`Settings`] are read from: files, the environment, a `.env` file.

use super::error::{ConfigError, Origin};
use super::nearest::nearest;
use super::settings::{Settings, trimmed};
use super::{Secret, keys, properties};
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The most that is read of a file of settings.
const MAX_FILE: u64 = 4 << 20;

impl Settings {
    /// The settings of the process's environment, and with the feature `dotenv` those of a `.env` file in the current
    /// directory or the nearest one above it.
    ///
    /// # Errors
    /// As [`add_environment`](Self::add_environment) and `add_dot_env`.
    pub fn from_env() -> Result<Settings, ConfigError> {
        let mut settings = Settings::new();
        settings.add_environment(std::env::vars_os())?;
        #[cfg(feature = "dotenv")]
        if let Ok(directory) = std::env::current_dir() {
            settings.add_dot_env(&directory)?;
        }
        Ok(settings)
    }

    /// The settings of a file; see [`add_file`](Self::add_file).
    ///
    /// # Errors
    /// As [`add_file`](Self::add_file).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Settings, ConfigError> {
        let mut settings = Settings::new();
        settings.add_file(path)?;
        Ok(settings)
    }

    /// Adds the settings of a file: one of Java's `.properties` (in UTF-8), or the `key=value` lines of librdkafka and kcat,
    /// which are a part of it. Of two files the later one counts.
    ///
    /// # Errors
    /// When the file cannot be read, breaks the syntax, or holds a setting that [`set`](Self::set) would not take.
    pub fn add_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Settings, ConfigError> {
        let path = path.as_ref();
        let text = read(path)?;
        self.add_properties(&text, path)
    }

    /// Adds the settings of a text with the syntax of a `.properties` file; `path` is where it is said to come from.
    ///
    /// # Errors
    /// As [`add_file`](Self::add_file).
    pub fn add_properties(
        &mut self,
        text: &str,
        path: impl AsRef<Path>,
    ) -> Result<&mut Settings, ConfigError> {
        let path: Arc<Path> = Arc::from(path.as_ref());
        let origin = |line| Origin::File { path: Arc::clone(&path), line };
        let properties = properties::parse(text).map_err(|fault| ConfigError::Syntax {
            origin: origin(fault.line),
            what: fault.what.to_owned(),
        })?;
        for property in properties {
            self.insert(&property.key, Secret::from(property.value), origin(property.line))?;
        }
        Ok(self)
    }

    /// Adds the settings of environment variables: `KAFKA_` and the key in capitals, with dots as underscores, as in
    /// `KAFKA_BOOTSTRAP_SERVERS`; an empty one counts as not set. Only known keys count. Other variables are left alone,
    /// with one warning in the log about those that begin with `KAFKA_` and are a letter or two off a known one.
    ///
    /// The environment serves other programs as well. So a wrong value of a key without effect is a warning, and one that
    /// only producers, consumers, TLS or SASL have a use for is an error when that is used.
    ///
    /// The process's own are `std::env::vars_os()`.
    ///
    /// # Errors
    /// When a variable of every client's has a value that [`set`](Self::set) would not take, or that is not Unicode.
    pub fn add_environment<K: Into<OsString>, V: Into<OsString>>(
        &mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Result<&mut Settings, ConfigError> {
        let mut misspelt = Vec::new();
        for (variable, value) in variables {
            let Ok(variable) = variable.into().into_string() else { continue };
            let origin = |variable| Origin::Environment { variable };
            match value.into().into_string() {
                Ok(value) => {
                    misspelt.extend(self.add_variable(&variable, value, || origin(variable.clone()))?)
                }
                Err(_) if keys::find_variable(&variable).is_some() => {
                    let what = "the value is not Unicode".to_owned();
                    return Err(ConfigError::Syntax { origin: origin(variable), what });
                }
                Err(_) => {}
            }
        }
        warn_of(misspelt);
        Ok(self)
    }

    /// Takes a variable in if it is known; else says which one it resembles.
    fn add_variable(
        &mut self,
        variable: &str,
        value: String,
        origin: impl FnOnce() -> Origin,
    ) -> Result<Option<String>, ConfigError> {
        let Some((_, name)) = keys::find_variable(variable) else {
            return Ok(resembled(variable).map(|known| format!("{variable} ({known}?)")));
        };
        let value = trimmed(Secret::from(value));
        if !value.expose().is_empty() {
            self.insert(name, value, origin())?;
        }
        Ok(None)
    }
}

fn warn_of(misspelt: Vec<String>) {
    if !misspelt.is_empty() {
        tracing::warn!("ignored, because they are no settings: {}", misspelt.join(", "));
    }
}

/// The known variable that is a letter or two off this one.
fn resembled(variable: &str) -> Option<String> {
    let name = variable.strip_prefix("KAFKA_")?;
    let letters = if name.len() < 6 { 1 } else { 2 };
    nearest(variable, keys::variables(), letters).map(str::to_owned)
}

fn read(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|length| length == MAX_FILE) {
        return Err(unreadable(std::io::Error::other(format!("it is larger than {MAX_FILE} bytes"))));
    }
    Ok(text)
}

#[cfg(feature = "dotenv")]
mod dot_env {
    use super::{Arc, ConfigError, Origin, Path, Read, Settings, Zeroizing, read, warn_of};
    use std::cell::Cell;
    use std::io;
    use std::rc::Rc;

    impl Settings {
        /// Adds the settings of the file `.env` in this directory, or in the nearest one above it that has one. Its lines
        /// are those of a shell (`KAFKA_SASL_USERNAME=alice`); a value with `$` or spaces stands in single quotes. They
        /// count as [environment variables](Self::add_environment) do, after those, and never become part of the
        /// process's environment. Lines of other programs may have a syntax of their own.
        ///
        /// # Errors
        /// When the file cannot be read, or a `KAFKA_` variable breaks the syntax or has a value that is an error in the
        /// [environment](Self::add_environment).
        pub fn add_dot_env(&mut self, directory: &Path) -> Result<&mut Settings, ConfigError> {
            let found = directory.ancestors().map(|above| above.join(".env")).find(|path| path.is_file());
            match found {
                Some(path) => {
                    let text = read(&path)?;
                    self.add_dot_env_text(&text, &path)
                }
                None => Ok(self),
            }
        }

        /// Adds the settings of a text with the syntax of a `.env` file; `path` is where it is said to come from.
        ///
        /// # Errors
        /// As [`add_dot_env`](Self::add_dot_env).
        pub fn add_dot_env_text(&mut self, text: &str, path: &Path) -> Result<&mut Settings, ConfigError> {
            let path: Arc<Path> = Arc::from(path);
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let lines: Vec<&str> = text.lines().collect();
            let line = Rc::new(Cell::new(0));
            let origin = |line| Origin::DotEnv { path: Arc::clone(&path), line };
            let mut misspelt = Vec::new();
            let mut parsed = dotenvy::from_read_iter(Lines::new(text, Rc::clone(&line)));
            loop {
                let before = line.get();
                match parsed.next() {
                    None => break,
                    Some(Ok((variable, value))) => {
                        misspelt.extend(self.add_variable(&variable, value, || origin(line.get()))?);
                    }
                    // dotenvy's own error shows what stands there, and that may be a secret.
                    Some(Err(_)) => {
                        let faulty = lines.get(before..).unwrap_or_default();
                        let faulty = faulty.get(..line.get() - before).unwrap_or(faulty);
                        if let Some((at, what)) = fault_of_ours(faulty) {
                            let what = what.to_owned();
                            return Err(ConfigError::Syntax { origin: origin(before + 1 + at), what });
                        }
                    }
                }
            }
            warn_of(misspelt);
            Ok(self)
        }
    }

    /// What is wrong with these lines, and with which, if there is a variable of ours in them.
    fn fault_of_ours(faulty: &[&str]) -> Option<(usize, &'static str)> {
        let is_said = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let is_ours = |line: &&str| {
            let name = line.trim_start();
            name.strip_prefix("export").map_or(name, str::trim_start).starts_with("KAFKA_")
        };
        let first = faulty.iter().position(is_said)?;
        let what = match faulty.iter().skip(first).position(is_ours)? {
            0 => "not NAME=value (a value with spaces stands in quotes)",
            _ => "a quote that begins here is not closed, and KAFKA_ variables stand behind it",
        };
        Some((first, what))
    }

    /// Hands the text out line by line, so that it is known how far dotenvy has come. The last line ends, too: without
    /// that dotenvy takes white space at its end for a value that goes on.
    struct Lines {
        text: Zeroizing<Vec<u8>>,
        at: usize,
        line: Rc<Cell<usize>>,
    }

    impl Lines {
        fn new(text: &str, line: Rc<Cell<usize>>) -> Lines {
            Lines { text: Zeroizing::new(format!("{text}\n").into_bytes()), at: 0, line }
        }
    }

    impl Read for Lines {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let line = rest.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
            for (to, from) in buffer.iter_mut().zip(line) {
                *to = *from;
            }
            let count = line.len().min(buffer.len());
            self.at += count;
            if count == line.len() && count > 0 {
                self.line.set(self.line.get() + 1);
            }
            Ok(count)
        }
    }
}
