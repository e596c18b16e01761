//! [`Kind`]: what type a setting's value has, and the parsers of the types.

use std::time::Duration;

/// The type of a setting's value, with its range.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`; librdkafka's `t`, `f`, `1` and `0` too.
    Bool,
    /// A whole number.
    Int {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A whole number of KiB.
    Kibibytes {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A duration in milliseconds, with decimals if need be. A negative one stands for "never".
    Millis {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A duration in whole seconds.
    Seconds {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A number with decimals.
    Factor {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// One of these words, in capitals or not.
    Choice(&'static [&'static str]),
    /// Words separated by commas.
    List,
    /// Any text; empty is as good as not set.
    Text,
    /// Text of a form of its own.
    Form {
        /// What it must be.
        expected: &'static str,
        /// Whether it is.
        check: fn(&str) -> bool,
    },
    /// Text that is never shown.
    Secret,
    /// The name of a class of the Java client.
    Class,
}

/// Durations above this are this: as good as for ever, and no sum of a few of them overflows a clock.
pub(super) const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Kind {
    /// Whether the value is never to be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self, Kind::Secret)
    }

    /// Whether `text` (trimmed) is a value of this type.
    pub(super) fn admits(&self, text: &str) -> bool {
        match *self {
            Kind::Bool => bool(text).is_some(),
            Kind::Int { min, max } | Kind::Kibibytes { min, max } | Kind::Seconds { min, max } => {
                int(text).is_some_and(|value| (min..=max).contains(&value))
            }
            Kind::Millis { min, max } => {
                micros(text).is_some_and(|value| (micros_of(min)..=micros_of(max)).contains(&value))
            }
            Kind::Factor { min, max } => text.parse::<f64>().is_ok_and(|value| (min..=max).contains(&value)),
            Kind::Choice(words) => choice(text, words).is_some(),
            Kind::Form { check, .. } => check(text),
            Kind::List | Kind::Text | Kind::Secret | Kind::Class => true,
        }
    }

    /// A duration as a value of this type, the nearest one in its range; `None` when it does not count milliseconds.
    pub(super) fn duration(&self, duration: Duration) -> Option<String> {
        let Kind::Millis { min, max } = *self else { return None };
        let micros = i64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(i64::MAX);
        let micros = micros.clamp(micros_of(min), micros_of(max));
        Some(match (micros / 1000, micros % 1000) {
            (millis, 0) => millis.to_string(),
            (millis, rest) => format!("{millis}.{rest:03}"),
        })
    }

    /// What a value of this type must be, to complete the sentence "must be ..".
    pub fn expected(&self) -> String {
        match *self {
            Kind::Bool => "true or false".to_owned(),
            Kind::Int { min, max } => format!("a whole number {}", range(min, max)),
            Kind::Kibibytes { min, max } => format!("a whole number of KiB {}", range(min, max)),
            Kind::Millis { min, max } => format!("a number of milliseconds {}", range(min, max)),
            Kind::Seconds { min, max } => format!("a whole number of seconds {}", range(min, max)),
            Kind::Factor { min, max } => format!("a number from {min} to {max}"),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Form { expected, .. } => expected.to_owned(),
            Kind::List => "words separated by commas".to_owned(),
            Kind::Text | Kind::Secret | Kind::Class => "text".to_owned(),
        }
    }
}

fn range(min: i64, max: i64) -> String {
    if max == i64::MAX { format!("from {min}") } else { format!("from {min} to {max}") }
}

/// `true` or `false`, as Java and librdkafka write them.
pub(super) fn bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Some(true),
        "false" | "f" | "0" => Some(false),
        _ => None,
    }
}

/// A whole number.
pub(super) fn int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A duration in milliseconds; a negative one and one of more than a hundred years is [`FOREVER`].
pub(super) fn millis(text: &str) -> Option<Duration> {
    let micros = u64::try_from(micros(text)?).map_or(FOREVER, Duration::from_micros);
    Some(micros.min(FOREVER))
}

/// A duration in seconds, within the same bounds.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    Some(u64::try_from(int(text)?).map_or(FOREVER, Duration::from_secs).min(FOREVER))
}

/// Milliseconds with up to three decimals, in microseconds.
fn micros(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let fits = (1..=3).contains(&decimals.len()) && decimals.bytes().all(|digit| digit.is_ascii_digit());
    if !fits {
        return None;
    }
    let thousandths = decimals.parse::<i64>().ok()? * [100, 10, 1].get(decimals.len() - 1)?;
    let whole_micros = micros_of(int(whole)?);
    Some(if whole.starts_with('-') {
        whole_micros.saturating_sub(thousandths)
    } else {
        whole_micros.saturating_add(thousandths)
    })
}

fn micros_of(millis: i64) -> i64 {
    millis.saturating_mul(1000)
}

/// The word of `words` that `text` is, in capitals or not.
pub(super) fn choice(text: &str, words: &[&'static str]) -> Option<&'static str> {
    words.iter().copied().find(|word| word.eq_ignore_ascii_case(text))
}

/// The words between commas, trimmed, without empty ones.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// A duration as Java's `Duration.parse` reads it (ISO 8601), not negative: `P2DT3H4M5.5S`, parts left out as one likes.
pub(super) fn iso_duration(text: &str) -> Option<Duration> {
    let text = text.to_ascii_uppercase();
    let rest = text.strip_prefix('P')?;
    let (days, clock) = match rest.split_once('T') {
        Some((days, clock)) => (days, Some(clock)),
        None => (rest, None),
    };
    if days.is_empty() && clock.is_none_or(str::is_empty) || clock.is_some_and(str::is_empty) {
        return None;
    }
    let mut total = Duration::ZERO;
    if !days.is_empty() {
        total = whole_part(days.strip_suffix('D')?, 86_400)?;
    }
    let mut rest = clock.unwrap_or("");
    for (unit, each) in [('H', 3600), ('M', 60)] {
        if let Some((number, after)) = rest.split_once(unit) {
            total = total.checked_add(whole_part(number, each)?)?;
            rest = after;
        }
    }
    if !rest.is_empty() {
        total = total.checked_add(decimal_seconds(rest.strip_suffix('S')?)?)?;
    }
    Some(total.min(FOREVER))
}

fn whole_part(number: &str, seconds: u64) -> Option<Duration> {
    digits(number)?.checked_mul(seconds).map(Duration::from_secs)
}

fn decimal_seconds(number: &str) -> Option<Duration> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if decimals.is_empty() || decimals.len() > 9 {
        return None;
    }
    let nanos = digits(&format!("{decimals:0<9}"))?;
    Some(Duration::new(digits(whole)?, u32::try_from(nanos).ok()?))
}

fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_range() {
        let kind = Kind::Int { min: 1, max: 9 };
        for (text, right) in [
            ("1", true),
            ("9", true),
            ("0", false),
            ("10", false),
            ("", false),
            ("1.0", false),
            ("1k", false),
        ] {
            assert_eq!(kind.admits(text), right, "{text}");
        }
        assert_eq!(kind.expected(), "a whole number from 1 to 9");
        let factor = Kind::Factor { min: 0.5, max: 1.0 };
        assert!(factor.admits("0.5") && factor.admits("1"));
        assert!(!factor.admits("NaN") && !factor.admits("inf") && !factor.admits("0.49"));
    }

    #[test]
    fn durations_take_decimals_and_never_overflow() {
        for (text, expected) in [
            ("5", Some(Duration::from_millis(5))),
            ("0.5", Some(Duration::from_micros(500))),
            ("1.25", Some(Duration::from_micros(1250))),
            ("-1", Some(FOREVER)),
            ("9223372036854775807", Some(FOREVER)),
            ("5.", None),
            (".5", None),
            ("1.2345", None),
            ("1.-5", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
        let kind = Kind::Millis { min: 0, max: i64::MAX };
        assert!(
            kind.admits("0")
                && kind.admits("9223372036854775807")
                && !kind.admits("-1")
                && !kind.admits("-0.5")
        );
        assert_eq!(seconds("60"), Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_duration_is_written_to_the_microsecond_and_within_the_range() {
        let kind = Kind::Millis { min: 1, max: 1000 };
        for (duration, text) in [
            (Duration::from_millis(5), "5"),
            (Duration::from_micros(1500), "1.500"),
            (Duration::from_nanos(1_000_001), "1.001"),
            (Duration::from_micros(999_001), "999.001"),
            (Duration::ZERO, "1"),
            (Duration::MAX, "1000"),
        ] {
            assert_eq!(kind.duration(duration).as_deref(), Some(text), "{duration:?}");
        }
        let long = Kind::Millis { min: 0, max: i64::MAX }.duration(Duration::MAX).unwrap();
        assert_eq!(millis(&long), Some(FOREVER));
        assert_eq!(Kind::Text.duration(Duration::ZERO), None);
    }

    #[test]
    fn iso_durations_are_read_as_java_does() {
        for (text, expected) in [
            ("P2D", Some(Duration::from_secs(172_800))),
            ("PT15M", Some(Duration::from_secs(900))),
            ("P1DT1H1M1.5S", Some(Duration::from_millis(90_061_500))),
            ("pt0.000000001s", Some(Duration::from_nanos(1))),
            ("PT10H", Some(Duration::from_secs(36_000))),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("1D", None),
            ("P1H", None),
            ("PT1S1M", None),
            ("PT-5S", None),
            ("-PT5S", None),
            ("P1M", None),
            ("PT1.S", None),
            ("PT99999999999999999999S", None),
        ] {
            assert_eq!(iso_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn words_are_found_in_capitals_or_not() {
        assert_eq!(choice("SASL_ssl", &["plaintext", "sasl_ssl"]), Some("sasl_ssl"));
        assert_eq!(choice("sasl", &["plaintext", "sasl_ssl"]), None);
        assert_eq!(list(" a, ,b,").collect::<Vec<_>>(), ["a", "b"]);
    }
}
