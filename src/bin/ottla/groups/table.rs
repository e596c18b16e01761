//! [`render`]: a table as Kafka's own tools print theirs, so that what reads one of them reads the other.

/// A heading, and how wide its column is at least.
pub(super) type Column = (&'static str, usize);

/// The heading and the rows, each cell padded to its column's width, but for the last one of a line.
pub(super) fn render(columns: &[Column], rows: &[Vec<String>]) -> String {
    let headings: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let lines = || std::iter::once(&headings).chain(rows);
    let widest =
        |index: usize| lines().filter_map(|line| line.get(index)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> =
        (0..).zip(columns).map(|(index, (_, least))| widest(index).unwrap_or(0).max(*least)).collect();
    let line = |cells: &Vec<String>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join(" ").trim_end().to_owned()
    };
    lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A cell for what there may not be.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let row =
            |group: &str, lag: Option<i64>, host: &str| vec![group.to_owned(), or_dash(lag), host.to_owned()];
        let columns = [("GROUP", 8), ("LAG", 5), ("HOST", 15)];
        let table = render(&columns, &[row("billing-service", Some(7), "/::1"), row("é", None, "-")]);
        assert_eq!(
            table.lines().collect::<Vec<_>>(),
            ["GROUP           LAG   HOST", "billing-service 7     /::1", "é               -     -"]
        );
        assert_eq!(render(&columns, &[]), "GROUP    LAG   HOST");
    }
}
