//! [`Target`]: where a group is to read on, in the words of Kafka's tool.

use super::time;
use ottla::task;
use std::time::Duration;

/// Where to read on; exactly one of these.
#[derive(Debug, clap::Args)]
#[group(id = "target", required = true, multiple = false)]
pub(super) struct Options {
    /// The first record there is
    #[arg(long)]
    to_earliest: bool,
    /// Behind the last record there is
    #[arg(long)]
    to_latest: bool,
    /// Where it is; where nothing was committed, behind the last record
    #[arg(long)]
    to_current: bool,
    /// This offset; the nearest that is there, if it is not
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// So many records further, or back with a minus
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    shift_by: Option<i64>,
    /// The first record of this time or later, such as 2026-01-31T06:30:00.000, in UTC unless an offset as +01:00 is
    /// behind it. Behind the last record where there is none
    #[arg(long, value_name = "TIME", value_parser = time::parse_datetime)]
    to_datetime: Option<i64>,
    /// The first record that is not older than this: P1DT2H30M, PT15M, 90m, 36h, 7d. Behind the last record where there
    /// is none
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration)]
    by_duration: Option<Duration>,
}

/// Where to read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Earliest,
    Latest,
    Current,
    Offset(i64),
    Shift(i64),
    /// In milliseconds since 1970.
    Time(i64),
}

/// What there is to choose from in a partition.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extent {
    /// The offset of the first record.
    pub(super) beginning: i64,
    /// The offset behind the last record.
    pub(super) end: i64,
    /// What the group has committed.
    pub(super) committed: Option<i64>,
    /// The first record of the time that is looked for.
    pub(super) at_time: Option<i64>,
}

impl Options {
    pub(super) fn target(&self) -> Target {
        let ago = |duration: Duration| {
            let duration_ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            Target::Time(task::wall_ms().saturating_sub(duration_ms))
        };
        let numbered = self.to_offset.map(Target::Offset).or(self.shift_by.map(Target::Shift));
        let timed = self.to_datetime.map(Target::Time).or(self.by_duration.map(ago));
        match numbered.or(timed) {
            Some(target) => target,
            None if self.to_earliest => Target::Earliest,
            None if self.to_latest => Target::Latest,
            None => Target::Current,
        }
    }
}

impl Target {
    /// The time to look for, if it is one. There are no records of times before 1970.
    pub(super) fn time(self) -> Option<i64> {
        match self {
            Target::Time(ms) => Some(ms.max(0)),
            _ => None,
        }
    }

    /// The offset to read on at; and what a person has to be told if it is not the one that was asked for.
    pub(super) fn offset(self, extent: Extent) -> Result<(i64, Option<String>), String> {
        let Extent { beginning, end, committed, at_time } = extent;
        match self {
            Target::Earliest => Ok((beginning, None)),
            Target::Latest => Ok((end, None)),
            Target::Current => Ok((committed.unwrap_or(end), None)),
            Target::Time(_) => Ok((at_time.unwrap_or(end), None)),
            Target::Offset(offset) => Ok(inside(offset, extent)),
            Target::Shift(by) => match committed {
                Some(committed) => Ok(inside(committed.saturating_add(by), extent)),
                None => Err("the group has committed nothing there that could be shifted".to_owned()),
            },
        }
    }
}

fn inside(offset: i64, extent: Extent) -> (i64, Option<String>) {
    let Extent { beginning, end, .. } = extent;
    if offset < beginning {
        (beginning, Some(format!("offset {offset} is not there, {beginning} is the first that is")))
    } else if offset > end {
        (end, Some(format!("offset {offset} is not there yet, {end} is behind the last that is")))
    } else {
        (offset, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_inside_of_the_partition() {
        let extent = Extent { beginning: 10, end: 20, committed: Some(15), at_time: Some(12) };
        for (target, offset, is_exact) in [
            (Target::Earliest, 10, true),
            (Target::Latest, 20, true),
            (Target::Current, 15, true),
            (Target::Time(1), 12, true),
            (Target::Offset(20), 20, true),
            (Target::Offset(9), 10, false),
            (Target::Offset(21), 20, false),
            (Target::Shift(-5), 10, true),
            (Target::Shift(-6), 10, false),
            (Target::Shift(6), 20, false),
            (Target::Shift(i64::MIN), 10, false),
            (Target::Shift(i64::MAX), 20, false),
        ] {
            let (found, remark) = target.offset(extent).unwrap();
            assert_eq!((found, remark.is_none()), (offset, is_exact), "{target:?}: {remark:?}");
        }
    }

    #[test]
    fn where_nothing_was_committed_or_written_the_end_is_next() {
        let extent = Extent { beginning: 10, end: 20, committed: None, at_time: None };
        assert_eq!(Target::Current.offset(extent).unwrap().0, 20);
        assert_eq!(Target::Time(1).offset(extent).unwrap().0, 20);
        assert!(Target::Shift(0).offset(extent).is_err());
    }
}
