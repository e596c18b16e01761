//! One table of all that was seen.

use crate::report::Report;
use std::collections::BTreeMap;

/// Prints a line for each play, then each failure with what was seen, then a line for each family. How many failed.
pub fn print(reports: &[Report]) -> usize {
    println!(
        "\n{:<46} {:<8} {:<6} {:>5} {:>4} {:>4} {:>5} {:>5} {:>6}  told",
        "case", "mode", "", "lies", "con", "req", "MiB", "busy", "well"
    );
    let mut families: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut failures = Vec::new();
    for report in reports {
        let faults = report.faults();
        let family = report.case.split('/').next().unwrap_or_default();
        let (run, passed) = families.entry(family).or_default();
        *run += 1;
        *passed += usize::from(faults.is_empty());
        let well = report.recovered.map_or("never".to_owned(), |took| format!("{:.1}s", took.as_secs_f64()));
        println!(
            "{:<46} {:<8} {:<6} {:>5} {:>4} {:>4} {:>5} {:>4.0}% {:>6}  {}",
            report.case,
            report.mode,
            if faults.is_empty() { "ok" } else { "FAILED" },
            report.lies,
            report.connects_worst(),
            report.requests_worst(),
            report.rss_kb >> 10,
            100.0 * report.busy_share(),
            well,
            short(&report.told()),
        );
        if !faults.is_empty() {
            failures.push(format!("{}, {}: {}", report.case, report.mode, faults.join("\n    ")));
        }
    }
    println!("\ncon, req: the most connects and requests in a second, from 2 s after the first lie");
    for failure in &failures {
        println!("FAILED {failure}");
    }
    println!();
    for (family, (run, passed)) in families {
        println!("{family:<10} {run:>4} run {passed:>4} passed");
    }
    println!("{:<10} {:>4} run {:>4} passed", "all", reports.len(), reports.len() - failures.len());
    failures.len()
}

fn short(text: &str) -> String {
    // A line of the log begins with its time.
    let text = text.split_once("WARN ").map_or(text, |(_, rest)| rest);
    text.chars().take(110).collect()
}
