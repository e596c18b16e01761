//! What a run of producing came to, as lines for people and as JSON for programs; and what it shares with one of consuming.

use super::cpu::CpuTime;
use super::figures::{Figures, Recent};
use super::latencies::Latencies;
use crate::progress::count_of_records;
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// The percentiles that are told, and what they are of 1000.
const QUANTILES: [(&str, u64); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)];

/// What was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) topic: String,
    pub(super) record_bytes: usize,
    pub(super) rate: Option<u64>,
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) asked: &'a Asked,
    pub(super) figures: &'a Figures,
    pub(super) cpu: Option<CpuTime>,
}

/// The line that is told while it goes on; `done` is what happens to records.
pub(super) fn interim(recent: &Recent, done: &str) -> String {
    let each_second = |count| whole(per_second(count, recent.elapsed));
    let mut line = format!(
        "{} {done}, {} records/s, {}/s",
        count_of_records(recent.done),
        HumanCount(each_second(recent.done)),
        HumanBytes(each_second(recent.bytes)),
    );
    if recent.timed > 0 {
        let (mean, max) = (ms(recent.latency_mean()), ms(recent.latency_max));
        // Writing to memory does not fail.
        let _ = write!(line, ", {mean} avg latency, {max} max latency");
    }
    line
}

impl Summary<'_> {
    pub(super) fn text(&self) -> String {
        let Summary { asked, figures, cpu } = self;
        let (count, elapsed) = (figures.done, figures.elapsed());
        let mut text = format!(
            "{} of {} bytes acknowledged in {:.3} s, {} failed\n",
            count_of_records(count),
            asked.record_bytes,
            elapsed.as_secs_f64(),
            HumanCount(figures.failed)
        );
        // Writing to memory does not fail.
        // Writing to memory does not fail.
        let _ = writeln!(text, "{}", throughput(count, figures.bytes, elapsed));
        let from = if asked.rate.is_some() { "from when it was due" } else { "from when it was handed over" };
        let _ = writeln!(text, "latency {from}: {}", percentiles(&figures.latencies));
        let _ = writeln!(text, "{}", cpu_time(*cpu, self.records()));
        for (kind, count) in &figures.errors {
            let _ = writeln!(text, "failed: {} times {kind}: {}", HumanCount(*count), figures.example(kind));
        }
        text.trim_end().to_owned()
    }

    pub(super) fn json(&self) -> Value {
        let Summary { asked, figures, cpu } = self;
        let (count, elapsed) = (figures.done, figures.elapsed());
        json!({
            "topic": asked.topic,
            "record_bytes": asked.record_bytes,
            "target_records_per_second": asked.rate,
            "acknowledged": count,
            "failed": figures.failed,
            "errors": figures.errors,
            "seconds": elapsed.as_secs_f64(),
            "records_per_second": per_second(count, elapsed),
            "bytes_per_second": per_second(figures.bytes, elapsed),
            "latency_ms": percentiles_json(&figures.latencies),
            "cpu_user_seconds": cpu.map(|cpu| cpu.user.as_secs_f64()),
            "cpu_system_seconds": cpu.map(|cpu| cpu.system.as_secs_f64()),
            "cpu_us_per_record": cpu.and_then(|cpu| cpu_us(cpu, self.records())),
        })
    }

    /// Those that failed cost something too.
    fn records(&self) -> u64 {
        self.figures.done.saturating_add(self.figures.failed)
    }
}

/// Records and bytes a second.
pub(super) fn throughput(records: u64, bytes: u64, elapsed: Duration) -> String {
    let each_second = |count| whole(per_second(count, elapsed));
    let (records, bytes) = (each_second(records), each_second(bytes));
    format!("throughput: {} records/s, {}/s", HumanCount(records), HumanBytes(bytes))
}

pub(super) fn percentiles(latencies: &Latencies) -> String {
    let mut text = String::new();
    for (name, per_mille) in QUANTILES {
        let _ = write!(text, "{name} {}, ", ms(latencies.quantile(per_mille)));
    }
    let _ = write!(text, "max {}, mean {}", ms(latencies.max()), ms(latencies.mean()));
    text
}

/// In milliseconds, by name.
pub(super) fn percentiles_json(latencies: &Latencies) -> BTreeMap<&'static str, f64> {
    let quantiles = QUANTILES.iter().map(|(name, per_mille)| (*name, latencies.quantile(*per_mille)));
    let others = [("max", latencies.max()), ("mean", latencies.mean())];
    quantiles.chain(others).map(|(name, latency)| (name, in_ms(latency))).collect()
}

pub(super) fn cpu_time(cpu: Option<CpuTime>, records: u64) -> String {
    let Some(cpu) = cpu else { return "CPU: not known on this system".to_owned() };
    let (user, system) = (cpu.user.as_secs_f64(), cpu.system.as_secs_f64());
    let each = cpu_us(cpu, records).unwrap_or_default();
    format!("CPU: {user:.2} s user, {system:.2} s system, {each:.2} us for each record")
}

/// For each record; of none there is none.
pub(super) fn cpu_us(cpu: CpuTime, records: u64) -> Option<f64> {
    (records > 0).then(|| cpu.total().as_secs_f64() * 1e6 / records as f64)
}

pub(super) fn per_second(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { count as f64 / elapsed.as_secs_f64() }
}

fn whole(number: f64) -> u64 {
    number.round() as u64
}

fn in_ms(duration: Duration) -> f64 {
    // To the microsecond: what is behind that is noise.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn ms(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1e3)
}
