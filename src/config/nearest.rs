//! Which known name an unknown one was probably meant to be.

/// Names longer than this resemble nothing: the work of comparing is bounded.
const MAX_LEN: usize = 100;

/// The name among `known` with the fewest edits to `name`, if they are at most `limit`; the first of several.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>, limit: usize) -> Option<&'a str> {
    if name.len() > MAX_LEN {
        return None;
    }
    let candidates = known.filter(|other| other.len().abs_diff(name.len()) <= limit);
    let measured = candidates.map(|other| (edits(name, other), other));
    measured.filter(|(edits, _)| *edits <= limit).min_by_key(|(edits, _)| *edits).map(|(_, other)| other)
}

/// How many letters have to be put in, left out, changed or swapped with their neighbour to get from one to the other.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut two_rows_up: Vec<usize> = Vec::new();
    let mut row_up: Vec<usize> = (0..=to.len()).collect();
    let mut left_above = None;
    for (i, &a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut left = None;
        for (j, &b) in to.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let changed = at(&row_up, j) + usize::from(a != b);
            let inserted = at(&row, j) + 1;
            let deleted = at(&row_up, j + 1) + 1;
            let mut best = changed.min(inserted).min(deleted);
            if j > 0 && left_above == Some(b) && left == Some(a) {
                best = best.min(at(&two_rows_up, j - 1) + 1);
            }
            row.push(best);
            left = Some(b);
        }
        two_rows_up = std::mem::replace(&mut row_up, row);
        left_above = Some(a);
    }
    row_up.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edits_are_counted() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "ab", 2),
            ("ab", "", 2),
            ("acks", "acks", 0),
            ("ack", "acks", 1),
            ("akcs", "acks", 1),
            ("aks", "acks", 1),
            ("axks", "acks", 1),
            ("kitten", "sitting", 3),
            ("bootstrap_servers", "bootstrap.servers", 1),
        ] {
            assert_eq!(edits(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn the_nearest_is_within_the_limit() {
        let known = ["acks", "linger.ms", "batch.size"];
        assert_eq!(nearest("linger_ms", known.into_iter(), 2), Some("linger.ms"));
        assert_eq!(nearest("something", known.into_iter(), 2), None);
        assert_eq!(nearest(&"a".repeat(101), known.into_iter(), 1000), None);
    }

    proptest! {
        #[test]
        fn edits_are_symmetric_and_bounded_by_the_longer(a in ".{0,20}", b in ".{0,20}") {
            let count = edits(&a, &b);
            prop_assert_eq!(count, edits(&b, &a));
            prop_assert!(count <= a.chars().count().max(b.chars().count()));
            prop_assert_eq!(count == 0, a == b);
        }
    }
}
