//! Medians, ratios, Markdown.

use super::Results;
use super::cases::{self, Case, Row, Target};
use super::programs::Figures;
use crate::clients::FLOOR;
use std::fmt::Write;

/// What was compared, to the version.
const LOCK: &str = include_str!("../../Cargo.lock");
const GO_MOD: &str = include_str!("../../franz/go.mod");

pub fn render(clients: &[String], results: &Results) -> String {
    let mut out = format!("| medians | {} | ours / peer | target |\n", clients.join(" | "));
    out.push_str(&"| --- ".repeat(clients.len() + 3));
    out.push_str("|\n");
    for row in cases::rows() {
        let medians: Vec<Option<f64>> = clients.iter().map(|client| median(row, client, results)).collect();
        if medians.iter().all(Option::is_none) {
            continue;
        }
        write!(out, "| {} |", row.label).expect("a string");
        for value in &medians {
            let cell = value.map_or("-".to_owned(), |value| format!("{value:.*}", row.digits));
            write!(out, " {cell} |").expect("a string");
        }
        let (ratio, target) = match row.target {
            Target::TimesOurs(..) | Target::PlusOurs(..) => beside_itself(row, results),
            _ => verdict(row, clients, &medians),
        };
        writeln!(out, " {ratio} | {target} |").expect("a string");
    }
    out
}

fn median(row: &Row, client: &str, results: &Results) -> Option<f64> {
    let runs = results.get(&(row.case, client.to_owned()))?;
    let mut values: Vec<f64> = runs.iter().filter_map(|figures| figures.get(row.figure).copied()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

/// The cells of ratio and target.
fn verdict(row: &Row, clients: &[String], medians: &[Option<f64>]) -> (String, String) {
    let of = |name: &str| clients.iter().position(|client| client == name).and_then(|index| medians[index]);
    let lowest = || {
        let both = clients.iter().zip(medians);
        let peers = both.filter(|(client, _)| !["ottla", FLOOR].contains(&client.as_str()));
        peers.filter_map(|(_, median)| *median).min_by(f64::total_cmp)
    };
    let fastest = || [of("librdkafka"), of("franz-go")].into_iter().flatten().max_by(f64::total_cmp);
    let (peer, limit, sign) = match row.target {
        Target::OfLowest(limit) => (lowest(), limit, "<="),
        Target::OfLibrdkafka(limit) => (of("librdkafka"), limit, "<="),
        Target::OfFastest(limit) => (fastest(), limit, ">="),
        Target::AtMost(limit) => (Some(1.0), limit, "<="),
        Target::TimesOurs(..) | Target::PlusOurs(..) | Target::None => return (String::new(), String::new()),
    };
    let Some((ours, peer)) = of("ottla").zip(peer) else { return ("-".into(), format!("{sign} {limit}")) };
    let ratio = ours / peer;
    let met = if sign == "<=" { ratio <= limit } else { ratio >= limit };
    let shown = if let Target::AtMost(_) = row.target { String::new() } else { format!("{ratio:.2}") };
    let against = match row.target {
        Target::OfLibrdkafka(_) => " of librdkafka's",
        Target::OfFastest(_) => " of librdkafka's and franz-go's",
        _ => "",
    };
    (shown, format!("{sign} {limit}{against}: {}", if met { "met" } else { "**missed**" }))
}

/// The same cells where ours is measured by itself in another case.
fn beside_itself(row: &Row, results: &Results) -> (String, String) {
    let of = |case| median(&Row { case, ..*row }, "ottla", results);
    let (shown, limit, is_met) = match row.target {
        Target::TimesOurs(other, limit) => {
            let ratio = of(row.case).zip(of(other)).map(|(ours, other)| ours / other);
            let shown = ratio.map(|ratio| format!("{ratio:.2}"));
            (shown, format!("<= {limit} of ours above"), ratio.map(|ratio| ratio <= limit))
        }
        Target::PlusOurs(other, limit) => {
            let more = of(row.case).zip(of(other)).map(|(ours, other)| ours - other);
            let shown = more.map(|more| format!("{more:+.*}", row.digits));
            (shown, format!("<= {limit} more than ours above"), more.map(|more| more <= limit))
        }
        _ => (None, String::new(), None),
    };
    let met = is_met.map_or("", |met| if met { ": met" } else { ": **missed**" });
    (shown.unwrap_or("-".into()), limit + met)
}

/// What the reader of the table has to know.
pub fn notes(clients: &[String], cases: &[&Case], against: &str, rounds: usize, scale: f64) -> String {
    let versions: Vec<String> = clients.iter().map(|client| version(client)).collect();
    let mut notes = format!(
        "{}. Against {against}. {rounds} interleaved rounds, scale {scale}; clients on one core, the other side on another.\n",
        versions.join(", ")
    );
    if cases.iter().any(|case| !case.reads()) {
        notes.push_str(PRODUCING);
    }
    if cases.iter().any(|case| case.reads()) {
        notes.push_str(CONSUMING);
    }
    notes
}

const PRODUCING: &str = "\
Producing: acks=all, no key, each record handed over and acknowledged on its own. Idempotent, but for rskafka, which \
cannot be; five requests in flight, but krafka keeps one batch of a partition in flight and rskafka has no limit. \
Linger 5 ms and batches of 1 MB; linger 0 where acks are timed and where the first is waited for. At 20 ms (if \
that was run) each client's own defaults: librdkafka is not idempotent then.\n";
const CONSUMING: &str = "\
Consuming: each client's own defaults, assigned partitions and no group, each record looked at on its own; batches of 16 kB \
(before compression). CPU counts from the making of the client.\n";

/// What is not in the medians, and why.
pub fn failures(failures: &[String]) -> String {
    let line = |failure| format!("- {failure}\n");
    let lines: String = failures.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("\nFailed, and not in the medians:\n\n{lines}") }
}

fn version(client: &str) -> String {
    let of_crate = |name: &str| {
        let (_, rest) =
            LOCK.split_once(&format!("name = \"{name}\"\nversion = \"")).expect("a locked version");
        rest.split('"').next().expect("a version").to_owned()
    };
    match client {
        "librdkafka" => {
            let library = of_crate("rdkafka-sys");
            let library = library.split_once('+').expect("the library's version").1;
            format!("librdkafka {library} (rdkafka {})", of_crate("rdkafka"))
        }
        "franz-go" => {
            let (_, rest) = GO_MOD.split_once("franz-go v").expect("a required version");
            format!("franz-go {}", rest.split_whitespace().next().expect("a version"))
        }
        FLOOR => "The floor: the same requests from tokio without a client".to_owned(),
        name => format!("{name} {}", of_crate(name)),
    }
}

/// Figures for the log.
pub fn line(figures: &Figures) -> String {
    figures.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}
