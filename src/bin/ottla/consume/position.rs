//! [`Position`]: where to begin and where to end, as kcat's `-o` says it.

use std::collections::BTreeMap;

/// A place in the partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// `beginning`: the first record there is.
    Beginning,
    /// `end`: behind the last record there is.
    End,
    /// `N`: this offset.
    Offset(i64),
    /// `-N`: so many records before the end.
    Last(i64),
    /// `s@MS`: the first record of this time.
    Since(i64),
    /// `e@MS`: where to end, before the first record of this time.
    Until(i64),
}

impl Position {
    pub(super) fn parse(text: &str) -> Result<Position, String> {
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
        let position = match text {
            "beginning" | "earliest" | "smallest" => Some(Position::Beginning),
            "end" | "latest" | "largest" => Some(Position::End),
            "stored" => {
                return Err(
                    "the stored offsets are those of a group, which begins there by itself: -G GROUP"
                        .to_owned(),
                );
            }
            _ => match (text.strip_prefix("s@"), text.strip_prefix("e@"), text.strip_prefix('-')) {
                (Some(time), ..) => number(time).map(Position::Since),
                (_, Some(time), _) => number(time).map(Position::Until),
                (.., Some(count)) => number(count).map(Position::Last),
                _ => number(text).map(Position::Offset),
            },
        };
        position.ok_or_else(|| "beginning, end, OFFSET, -N, s@MS or e@MS is expected".to_owned())
    }
}

/// Where each partition begins and ends, and where the times that matter are in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extent {
    /// The offset of the first record.
    pub(super) beginning: i64,
    /// The offset behind the last record.
    pub(super) end: i64,
    /// The first record of the time to begin at, if there is one.
    pub(super) since: Option<i64>,
    /// The first record of the time to end at, if there is one.
    pub(super) until: Option<i64>,
}

impl Extent {
    /// The offset to begin at, and whether it is the one that was asked for.
    pub(super) fn start(&self, from: Position) -> (i64, bool) {
        let wanted = match from {
            Position::Beginning | Position::Until(_) => self.beginning,
            Position::End => self.end,
            Position::Offset(offset) => offset,
            // Fewer than so many is no reason to complain.
            Position::Last(count) => self.end.saturating_sub(count).max(self.beginning),
            Position::Since(_) => self.since.unwrap_or(self.end),
        };
        let start = wanted.min(self.end).max(self.beginning);
        (start, start == wanted)
    }

    /// The offset to end at; `None` to go on for ever.
    pub(super) fn stop(&self, until_time: bool, until_end: bool) -> Option<i64> {
        match (until_time, until_end) {
            (true, _) => Some(self.until.unwrap_or(self.end).min(self.end)),
            (false, true) => Some(self.end),
            (false, false) => None,
        }
    }
}

/// The partitions among these whose asked-for offset is not there, in words.
pub(super) fn remark(from: Position, exact: &BTreeMap<i32, bool>) -> Option<String> {
    const NAMED: usize = 10;
    let missing: Vec<String> =
        exact.iter().filter(|(_, exact)| !**exact).map(|(index, _)| index.to_string()).collect();
    let Position::Offset(offset) = from else { return None };
    if missing.is_empty() {
        return None;
    }
    let named = missing.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let others = match missing.len().checked_sub(NAMED) {
        None | Some(0) => String::new(),
        Some(more) => format!(" and {more} more"),
    };
    let plural = if missing.len() == 1 { "" } else { "s" };
    Some(format!(
        "partition{plural} {named}{others} without offset {offset}: read from the nearest one there"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_kcats() {
        for (text, position) in [
            ("beginning", Position::Beginning),
            ("end", Position::End),
            ("17", Position::Offset(17)),
            ("0", Position::Offset(0)),
            ("-5", Position::Last(5)),
            ("s@1700000000000", Position::Since(1_700_000_000_000)),
            ("e@0", Position::Until(0)),
        ] {
            assert_eq!(Position::parse(text), Ok(position), "{text}");
        }
        for wrong in ["", "-", "--5", "x", "s@", "s@-1", "e@x", "1.5", "99999999999999999999", "stored"] {
            assert!(Position::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_start_is_inside_of_the_partition() {
        let extent = Extent { beginning: 10, end: 20, since: Some(15), until: None };
        for (from, start) in [
            (Position::Beginning, (10, true)),
            (Position::End, (20, true)),
            (Position::Offset(12), (12, true)),
            (Position::Offset(20), (20, true)),
            (Position::Offset(5), (10, false)),
            (Position::Offset(25), (20, false)),
            (Position::Last(3), (17, true)),
            (Position::Last(100), (10, true)),
            (Position::Since(0), (15, true)),
        ] {
            assert_eq!(extent.start(from), start, "{from:?}");
        }
        let nothing_later = Extent { since: None, ..extent };
        assert_eq!(nothing_later.start(Position::Since(9)), (20, true));
    }

    #[test]
    fn a_stop_is_the_end_at_most() {
        let extent = Extent { beginning: 0, end: 20, since: None, until: Some(12) };
        assert_eq!(extent.stop(true, false), Some(12));
        assert_eq!(extent.stop(true, true), Some(12));
        assert_eq!(extent.stop(false, true), Some(20));
        assert_eq!(extent.stop(false, false), None);
        assert_eq!(Extent { until: None, ..extent }.stop(true, false), Some(20));
        assert_eq!(Extent { until: Some(30), ..extent }.stop(true, false), Some(20), "written meanwhile");
    }

    #[test]
    fn partitions_without_the_offset_are_named_and_then_counted() {
        let exact = |missing: i32| (0..20).map(|index| (index, index >= missing)).collect();
        assert_eq!(remark(Position::Offset(7), &exact(0)), None);
        assert_eq!(remark(Position::End, &exact(1)), None);
        let one = remark(Position::Offset(7), &exact(1)).unwrap();
        assert!(one.starts_with("partition 0 without offset 7"), "{one}");
        let many = remark(Position::Offset(7), &exact(12)).unwrap();
        assert!(many.starts_with("partitions 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more without"), "{many}");
    }
}
