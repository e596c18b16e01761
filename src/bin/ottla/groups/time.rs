//! Times and durations as Kafka's tools take them: ISO 8601, UTC where no offset is given.

use std::time::Duration;

/// Milliseconds since 1970 of `2026-01-31T06:30:00.000+01:00`, of which everything behind the date can be left out.
pub(super) fn parse_datetime(text: &str) -> Result<i64, String> {
    const EXPECTED: &str =
        "a time as 2026-01-31T06:30:00.000 is expected, in UTC, or with an offset behind it as +01:00";
    datetime_ms(text).ok_or_else(|| EXPECTED.to_owned())
}

/// `P1DT2H30M`, as in ISO 8601, or one number and unit: `90m`, `36h`, `7d`, `45s`, `500ms`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "a duration as P1DT2H30M, PT15M, 90m, 36h or 7d is expected";
    let parsed = match text.strip_prefix('P') {
        Some(iso) => iso_duration(iso),
        None => short_duration(text),
    };
    parsed.ok_or_else(|| EXPECTED.to_owned())
}

fn datetime_ms(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let days = days_since_1970(date)?;
    let (of_day, offset) = match time {
        Some(time) => {
            let (clock, offset) = split_offset(time)?;
            (ms_of_day(clock)?, offset)
        }
        None => (0, 0),
    };
    days.checked_mul(86_400_000)?.checked_add(of_day)?.checked_sub(offset)
}

/// Splits the offset from UTC off; it comes in milliseconds.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, 0)) };
    let (clock, offset) = time.split_at_checked(at)?;
    let (sign, digits) = match offset.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, offset.strip_prefix('+')?),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "00"),
    };
    let (hours, minutes) = (digits_of(hours, 2, 18)?, digits_of(minutes, 2, 59)?);
    Some((clock, sign * (hours * 60 + minutes) * 60_000))
}

fn ms_of_day(clock: &str) -> Option<i64> {
    let mut parts = clock.split(':');
    let hours = digits_of(parts.next()?, 2, 23)?;
    let minutes = digits_of(parts.next()?, 2, 59)?;
    let (seconds, ms) = match parts.next() {
        None => (0, 0),
        Some(seconds) => {
            let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
            let is_fraction =
                (1..=9).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
            let ms: String = fraction.chars().chain("00".chars()).take(3).collect();
            (digits_of(seconds, 2, 59)?, ms.parse::<i64>().ok().filter(|_| is_fraction)?)
        }
    };
    parts.next().is_none().then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + ms)
}

/// Of a date in the Gregorian calendar; years have four digits.
fn days_since_1970(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let year = digits_of(parts.next()?, 4, 9999)?;
    let month = digits_of(parts.next()?, 2, 12).filter(|month| *month >= 1)?;
    let day = digits_of(parts.next()?, 2, 31).filter(|day| *day >= 1)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_month = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if parts.next().is_some() || day > days_of_month {
        return None;
    }
    // Years are counted from March on, so that the day that some have comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    Some(year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468)
}

/// A number of exactly so many digits, `most` at the most.
fn digits_of(text: &str, count: usize, most: i64) -> Option<i64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_number && *number <= most)
}

/// What stands behind the P.
fn iso_duration(text: &str) -> Option<Duration> {
    let (days, time) = match text.split_once('T') {
        Some((days, time)) => (days, Some(time).filter(|time| !time.is_empty())?),
        None => (text, ""),
    };
    let mut total = 0.0;
    let mut parts = 0;
    for (text, units) in [(days, &[('D', 86_400.0)][..]), (time, &[('H', 3_600.0), ('M', 60.0), ('S', 1.0)])]
    {
        let mut rest = text;
        for (unit, seconds) in units {
            if let Some((number, behind)) = rest.split_once(*unit) {
                total += number_of(number, *unit == 'S')? * seconds;
                parts += 1;
                rest = behind;
            }
        }
        if !rest.is_empty() {
            return None;
        }
    }
    Duration::try_from_secs_f64(total).ok().filter(|_| parts > 0)
}

fn short_duration(text: &str) -> Option<Duration> {
    let at = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(at)?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number_of(number, false)? * seconds).ok()
}

fn number_of(text: &str, may_have_fraction: bool) -> Option<f64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || (may_have_fraction && byte == b'.'));
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_are_iso_8601_and_utc_without_an_offset() {
        for (text, ms) in [
            ("1970-01-01", 0),
            ("1970-01-01T00:00:00.001", 1),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2000-02-29T12:34", 951_827_640_000),
            ("2026-01-31T06:30:00.000+01:00", 1_769_837_400_000),
            ("2026-01-31 05:30:00", 1_769_837_400_000),
            ("2026-01-31T00:30:00-0500", 1_769_837_400_000),
            ("2026-01-31T06:30:00+01", 1_769_837_400_000),
            ("2026-01-31T05:30:00.12345", 1_769_837_400_123),
            ("2026-01-31T05:30:00.5Z", 1_769_837_400_500),
            ("1900-03-01", -2_203_891_200_000),
        ] {
            assert_eq!(parse_datetime(text), Ok(ms), "{text}");
        }
        for wrong in [
            "",
            "now",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-00-10",
            "2026-1-1",
            "2026-01-31T",
            "2026-01-31T6:30",
            "2026-01-31T24:00:00",
            "2026-01-31T06:30:60",
            "2026-01-31T06:30:00.",
            "2026-01-31T06:30:00.x",
            "-2026-01-31",
            "2026-01-31T06:30:00+1",
            "2026-01-31T06:30:00+01:99",
            "2026-01-31T06:30:00:00",
            "+026-01-31",
            "2026-01-31-01",
        ] {
            assert!(parse_datetime(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_iso_8601_or_one_number_and_unit() {
        let seconds = Duration::from_secs;
        for (text, duration) in [
            ("P1D", seconds(86_400)),
            ("PT15M", seconds(900)),
            ("P1DT2H30M4S", seconds(95_404)),
            ("PT0.5S", Duration::from_millis(500)),
            ("90m", seconds(5_400)),
            ("36h", seconds(129_600)),
            ("7d", seconds(604_800)),
            ("45s", seconds(45)),
            ("500ms", Duration::from_millis(500)),
        ] {
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
        }
        for wrong in [
            "", "P", "PT", "P1", "1", "h", "1h30m", "-1h", "P-1D", "P1H", "PT1D", "PT1M1H", "P1.5D", "PTS",
            "1w", "PT.S",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
