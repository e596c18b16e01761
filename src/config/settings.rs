//! [`Settings`]: keys and values from wherever they are set, and which of them counts.

use super::error::{ConfigError, Origin};
use super::keys::{self, Concerns, Key, Part, Status};
use super::nearest::nearest;
use super::{Secret, value};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Settings under Kafka's own names, each with where it comes from.
///
/// What is set in several places has the value of the first of these: the program ([`set`](Self::set)), the environment,
/// the `.env` file, a file of settings, the default. The order in which they are added does not matter.
///
/// Names are the Java client's, or librdkafka's for the same; a value is checked as it comes in, one of the environment
/// that only producers, consumers, TLS or SASL have a use for not before it is used: it may be another program's. Keys that only the other
/// two clients have a use for are accepted ([`without_effect`](Self::without_effect) lists them). White space around a
/// value is not part of it; [`set_secret`](Self::set_secret) takes one that must keep it.
///
/// ```
/// use ottla::config::{ProducerConfig, Settings};
///
/// let mut settings = Settings::new();
/// settings.add_properties("compression.type=zstd\nlinger.ms=20", "producer.properties")?;
/// settings.set("queue.buffering.max.ms", "50")?;
/// assert_eq!(ProducerConfig::from_settings(&settings)?.linger.as_millis(), 50);
///
/// let error = settings.set("liner.ms", "5").unwrap_err();
/// assert_eq!(error.to_string(), "unknown setting 'liner.ms' (set by the program); did you mean 'linger.ms'?");
/// # Ok::<(), ottla::config::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct Settings {
    given: BTreeMap<&'static str, Given>,
}

/// A value that was set.
#[derive(Clone)]
struct Given {
    key: &'static Key,
    /// The name it was set by.
    name: String,
    value: Secret,
    origin: Origin,
}

impl Settings {
    /// No settings: everything has its default.
    pub fn new() -> Settings {
        Settings::default()
    }

    /// The settings of a map, or of any pairs, as if the program had [`set`](Self::set) each.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn from_map<K: AsRef<str>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Settings, ConfigError> {
        let mut settings = Settings::new();
        for (key, value) in pairs {
            settings.set(key.as_ref(), value)?;
        }
        Ok(settings)
    }

    /// Sets a key; the program's word goes before every other, and its last word before an earlier one.
    ///
    /// # Errors
    /// When the key is unknown, the value is not one of its type, or the key is refused. Then nothing has changed.
    pub fn set(&mut self, key: &str, value: impl Into<String>) -> Result<&mut Settings, ConfigError> {
        let value = Secret::from(value.into());
        self.insert(key, trimmed(value), Origin::Builder)?;
        Ok(self)
    }

    /// The same for a value that is secret already; it is taken as it is, white space included.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_secret(&mut self, key: &str, value: Secret) -> Result<&mut Settings, ConfigError> {
        self.insert(key, value, Origin::Builder)?;
        Ok(self)
    }

    /// Takes a value in, unless one is there that goes before it.
    pub(super) fn insert(&mut self, name: &str, value: Secret, origin: Origin) -> Result<(), ConfigError> {
        let key = keys::find(name).ok_or_else(|| unknown(name, &origin))?;
        match check(key, name, value.expose(), &origin) {
            Err(fault) if origin.is_ambient() && key.is_idle() => {
                tracing::warn!("ignored: {fault}");
                return Ok(());
            }
            // Told when it matters, see `must_be_right`: no client is stopped by what it has no use for.
            Err(_) if origin.is_ambient() && key.part() != Part::Client => {}
            outcome => outcome?,
        }
        let given = Given { key, name: name.to_owned(), value, origin };
        if let Some(earlier) = self.given.get(key.name) {
            earlier.contradicts(&given)?;
            if earlier.prevails_over(&given) {
                return Ok(());
            }
        }
        self.given.insert(key.name, given);
        Ok(())
    }

    /// The value that was set for a key, by any of its names; `None` when it was not, or when it is a secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        let given = self.given.get(keys::find(name)?.name)?;
        if given.key.kind.is_secret() { None } else { Some(given.value.expose()) }
    }

    /// The value that was set for a key, wrapped.
    pub fn get_secret(&self, name: &str) -> Option<&Secret> {
        self.given.get(keys::find(name)?.name).map(|given| &given.value)
    }

    /// Whether a key was set, by any of its names.
    pub fn is_set(&self, name: &str) -> bool {
        self.get_secret(name).is_some()
    }

    /// Where the value of a key comes from.
    pub fn origin(&self, name: &str) -> Origin {
        let given = keys::find(name).and_then(|key| self.given.get(key.name));
        given.map_or(Origin::Default, |given| given.origin.clone())
    }

    /// The settings that are used and have a value, each with where it comes from; secrets are `***`.
    pub fn describe(&self) -> Vec<Described> {
        let used = keys::all().filter(|key| !matches!(key.status, Status::WithoutEffect(_)));
        used.filter_map(|key| match self.given.get(key.name) {
            Some(given) => Some(given.describe(None)),
            None => key.default.map(|value| Described {
                key: key.name,
                value: value.to_owned(),
                origin: Origin::Default,
                why_unused: None,
            }),
        })
        .collect()
    }

    /// The settings that were given and that clients of these kinds have no use for, each with the reason.
    pub fn without_effect(&self, clients: &[Concerns]) -> Vec<Described> {
        let given = self.given.values();
        given
            .filter_map(|given| match given.key.status {
                Status::WithoutEffect(why) => Some(given.describe(Some(why))),
                _ if given.key.concerns == Concerns::Client => None,
                _ if clients.contains(&given.key.concerns) => None,
                _ => Some(given.describe(Some(given.key.concerns.reason()))),
            })
            .collect()
    }

    /// Sets a key of a client that is made from another one, which has connected with what they share by then.
    pub(crate) fn set_for(&mut self, client: Concerns, key: &str, value: String) -> Result<(), ConfigError> {
        // A producer has its own, though the admin client's calls go by it, too.
        const ITS_OWN: [&str; 1] = ["retries"];
        let known = keys::find(key).filter(|known| !known.is_idle() && !ITS_OWN.contains(&known.name));
        if known.is_some_and(|known| known.concerns == Concerns::Client) {
            return Err(ConfigError::Refused {
                key: key.to_owned(),
                value: None,
                origin: Origin::Builder,
                why: format!(
                    "it is the client's, and {} shares it: set it on Client::builder()",
                    client.noun()
                ),
            });
        }
        self.set(key, value).map(drop)
    }

    /// Sets a key that counts milliseconds: to the microsecond, rounded up, and within the key's range.
    pub(crate) fn set_duration(&mut self, key: &str, duration: Duration) -> Result<(), ConfigError> {
        let kind = keys::find(key).map(|known| known.kind);
        let text =
            kind.and_then(|kind| kind.duration(duration)).unwrap_or_else(|| duration.as_millis().to_string());
        self.set(key, text).map(drop)
    }

    /// Writes both lists to the log, at debug level.
    pub fn log(&self, clients: &[Concerns]) {
        for setting in self.describe() {
            if setting.origin != Origin::Default {
                tracing::debug!("{setting}");
            }
        }
        for setting in self.without_effect(clients) {
            tracing::debug!("{setting}");
        }
    }
}

/// A setting, for a person to read. Its `Display` is `key = value (origin)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Described {
    /// The key's own name.
    pub key: &'static str,
    /// Its value; `***` when it is a secret.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Why it has no effect, when it has none.
    pub why_unused: Option<&'static str>,
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Described { key, value, origin, why_unused } = self;
        write!(f, "{key} = {value} ({origin})")?;
        why_unused.map_or(Ok(()), |why| write!(f, " has no effect: {why}"))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let described = self.given.values().map(|given| given.describe(None));
        f.debug_list().entries(described.map(|setting| setting.to_string())).finish()
    }
}

impl Given {
    /// One place, two names of one setting, two values.
    fn contradicts(&self, later: &Given) -> Result<(), ConfigError> {
        let differs = self.name != later.name && self.value.expose() != later.value.expose();
        if differs && self.origin.is_beside(&later.origin) {
            return Err(ConfigError::TwoNames {
                first: self.name.clone(),
                second: later.name.clone(),
                origin: later.origin.clone(),
            });
        }
        Ok(())
    }

    /// In a `.env` file the first word counts, as dotenvy has it; anywhere else the last, unless it repeats the first by
    /// another name.
    fn prevails_over(&self, later: &Given) -> bool {
        let repeats = self.name != later.name && self.origin.is_beside(&later.origin);
        let first_counts = matches!(later.origin, Origin::DotEnv { .. }) || repeats;
        self.origin.outranks(&later.origin) || first_counts && !later.origin.outranks(&self.origin)
    }

    fn describe(&self, why_unused: Option<&'static str>) -> Described {
        Described {
            key: self.key.name,
            value: shown(self.key, self.value.expose()),
            origin: self.origin.clone(),
            why_unused,
        }
    }
}

impl Concerns {
    fn noun(self) -> &'static str {
        match self {
            Concerns::Client => "every client",
            Concerns::Producer => "the producer",
            Concerns::Consumer => "the consumer",
            Concerns::Admin => "the admin client",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Concerns::Client => "it is every client's",
            Concerns::Producer => "it is the producer's",
            Concerns::Consumer => "it is the consumer's",
            Concerns::Admin => "it is the admin client's",
        }
    }
}

/// What the typed structs are parsed with.
impl Settings {
    /// Now that this part is in use, the environment's values for it must be right as well; the others were checked as they
    /// came in.
    pub(super) fn must_be_right(&self, part: Part) -> Result<(), ConfigError> {
        let mut given = self.given.values().filter(|given| given.key.part() == part);
        given.try_for_each(|given| check(given.key, &given.name, given.value.expose(), &given.origin))
    }

    /// What was given for a key or for one that stands in for it, whichever was set where it goes before the others; from
    /// one place the key's own.
    fn given(&self, name: &str) -> Option<&Given> {
        let stand_ins = keys::stand_ins(name).filter_map(|key| self.given.get(key.name));
        let given = self.given.get(name).into_iter().chain(stand_ins);
        given.reduce(|best, other| if other.origin.outranks(&best.origin) { other } else { best })
    }

    /// Whether a key was given, or one that stands in for it.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.given(name).is_some()
    }

    /// `key=value (origin)` for an error about several settings; a secret is `***`.
    pub(crate) fn tell(&self, name: &str) -> String {
        match self.given(name) {
            Some(given) => {
                format!("{}={} ({})", given.name, shown(given.key, given.value.expose()), given.origin)
            }
            None => {
                let default = keys::find(name).and_then(|key| key.default).unwrap_or("not set");
                format!("{name}={default} (default)")
            }
        }
    }

    /// The text of a key, its default included; `None` when there is none or it is empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let text = match self.given(name) {
            Some(given) => given.value.expose().as_str(),
            None => keys::find(name)?.default?,
        };
        if text.is_empty() { None } else { Some(text) }
    }

    /// The value of a key and where it comes from, unless it is empty.
    pub(super) fn secret(&self, name: &str) -> Option<(&Secret, &Origin)> {
        let given = self.given(name).filter(|given| !given.value.expose().is_empty());
        given.map(|given| (&given.value, &given.origin))
    }

    /// The words of a list.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        value::list(self.text(name).unwrap_or("")).collect()
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<bool, ConfigError> {
        self.parsed(name, value::bool)
    }

    /// A whole number, KiB as bytes. What is greater than the type holds is the greatest that it holds.
    pub(super) fn number<T: TryFrom<i64> + Bounded>(&self, name: &'static str) -> Result<T, ConfigError> {
        let unit =
            match self.given(name).map_or(keys::find(name).map(|key| key.kind), |given| Some(given.key.kind))
            {
                Some(value::Kind::Kibibytes { .. }) => 1024,
                _ => 1,
            };
        let number = self.parsed(name, value::int)?.saturating_mul(unit);
        Ok(T::try_from(number).unwrap_or(T::GREATEST))
    }

    pub(super) fn factor(&self, name: &'static str) -> Result<f64, ConfigError> {
        self.parsed(name, |text| text.parse().ok())
    }

    /// A duration in milliseconds; a negative one is a very long one.
    pub(super) fn millis(&self, name: &'static str) -> Result<Duration, ConfigError> {
        self.parsed(name, value::millis)
    }

    /// A duration in milliseconds; `None` when it is 0 or negative, for "never".
    pub(super) fn millis_or_never(&self, name: &'static str) -> Result<Option<Duration>, ConfigError> {
        let never = self.text(name).is_some_and(|text| text.starts_with('-'));
        let duration = self.millis(name)?;
        Ok(if never || duration.is_zero() { None } else { Some(duration) })
    }

    pub(super) fn seconds(&self, name: &'static str) -> Result<Duration, ConfigError> {
        self.parsed(name, value::seconds)
    }

    /// A value that `parse` understands. Values were checked, so that it does.
    pub(super) fn parsed<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        self.text(name).and_then(parse).ok_or_else(|| ConfigError::WrongValue {
            key: name.to_owned(),
            value: self.given(name).map_or_else(String::new, |given| shown(given.key, given.value.expose())),
            origin: self.given(name).map_or(Origin::Default, |given| given.origin.clone()),
            expected: keys::find(name).map_or_else(String::new, |key| key.kind.expected()),
        })
    }
}

/// A number type's greatest value.
pub(super) trait Bounded {
    const GREATEST: Self;
}

impl Bounded for usize {
    const GREATEST: usize = usize::MAX;
}

impl Bounded for u32 {
    const GREATEST: u32 = u32::MAX;
}

impl Bounded for i32 {
    const GREATEST: i32 = i32::MAX;
}

/// Whether a key takes a value.
fn check(key: &'static Key, name: &str, value: &str, origin: &Origin) -> Result<(), ConfigError> {
    let refused = |value, why: &str| ConfigError::Refused {
        key: name.to_owned(),
        value,
        origin: origin.clone(),
        why: why.to_owned(),
    };
    if let Status::Refused(why) = key.status {
        return Err(refused(None, why));
    }
    if !key.kind.admits(value) {
        return Err(ConfigError::WrongValue {
            key: name.to_owned(),
            value: shown(key, value),
            origin: origin.clone(),
            expected: key.kind.expected(),
        });
    }
    match key.only {
        Some((values, why)) if !values.iter().any(|only| only.eq_ignore_ascii_case(value)) => {
            Err(refused(Some(shown(key, value)), why))
        }
        _ => Ok(()),
    }
}

fn unknown(name: &str, origin: &Origin) -> ConfigError {
    let names = keys::all().flat_map(Key::names);
    let nearest = nearest(name, names, (name.len() / 3).clamp(1, 5));
    // A line of a PEM key that has lost its place is no key, and not to be shown.
    let show = nearest.is_some() || matches!(origin, Origin::Builder) || looks_like_a_key(name);
    let key = if show { cut(name) } else { "..".to_owned() };
    ConfigError::UnknownKey { key, origin: origin.clone(), nearest }
}

fn looks_like_a_key(name: &str) -> bool {
    let is_key_letter =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    name.len() <= 60 && name.contains('.') && name.chars().all(is_key_letter)
}

/// A value as it may be shown.
pub(super) fn shown(key: &Key, value: &str) -> String {
    if key.kind.is_secret() { "***".to_owned() } else { cut(value) }
}

/// Without control characters, and not longer than a line.
fn cut(text: &str) -> String {
    const MOST: usize = 120;
    let mut out: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        out.push_str("..");
    }
    out
}

/// Without the white space around it.
pub(super) fn trimmed(value: Secret) -> Secret {
    let text = value.expose();
    if text.trim().len() == text.len() { value } else { Secret::from(text.trim()) }
}

#[cfg(test)]
mod tests;
