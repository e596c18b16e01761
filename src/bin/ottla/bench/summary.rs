//! What a run came to, as lines for people and as JSON for programs.

use super::cpu::CpuTime;
use super::figures::{Figures, Recent};
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

/// The line that is told while it goes on.
pub(super) fn interim(recent: &Recent, record_bytes: usize) -> String {
    let (count, elapsed) = (recent.acknowledged, recent.elapsed);
    format!(
        "{} acknowledged, {} records/s, {}/s, {} avg latency, {} max latency",
        count_of_records(count),
        HumanCount(whole(per_second(count, elapsed))),
        HumanBytes(whole(per_second(count, elapsed) * record_bytes as f64)),
        ms(recent.latency_mean()),
        ms(recent.latency_max),
    )
}

impl Summary<'_> {
    pub(super) fn text(&self) -> String {
        let Summary { asked, figures, cpu } = self;
        let (count, elapsed) = (figures.acknowledged, figures.elapsed());
        let mut text = format!(
            "{} of {} bytes acknowledged in {:.3} s, {} failed\n",
            count_of_records(count),
            asked.record_bytes,
            elapsed.as_secs_f64(),
            HumanCount(figures.failed)
        );
        // Writing to memory does not fail.
        let _ = writeln!(
            text,
            "throughput: {} records/s, {}/s",
            HumanCount(whole(per_second(count, elapsed))),
            HumanBytes(whole(per_second(count, elapsed) * asked.record_bytes as f64))
        );
        let from = if asked.rate.is_some() { "from when it was due" } else { "from when it was handed over" };
        let _ = write!(text, "latency {from}:");
        for (name, per_mille) in QUANTILES {
            let _ = write!(text, " {name} {},", ms(figures.latencies.quantile(per_mille)));
        }
        let _ = writeln!(text, " max {}, mean {}", ms(figures.latencies.max()), ms(figures.latencies.mean()));
        let _ = match cpu {
            Some(cpu) => writeln!(
                text,
                "CPU: {:.2} s user, {:.2} s system, {:.2} us for each record",
                cpu.user.as_secs_f64(),
                cpu.system.as_secs_f64(),
                self.cpu_us_per_record(*cpu).unwrap_or_default()
            ),
            None => writeln!(text, "CPU: not known on this system"),
        };
        for (kind, count) in &figures.errors {
            let _ = writeln!(text, "failed: {} times {kind}: {}", HumanCount(*count), figures.example(kind));
        }
        text.trim_end().to_owned()
    }

    pub(super) fn json(&self) -> Value {
        let Summary { asked, figures, cpu } = self;
        let (count, elapsed) = (figures.acknowledged, figures.elapsed());
        let quantiles =
            QUANTILES.iter().map(|(name, per_mille)| (*name, figures.latencies.quantile(*per_mille)));
        let others = [("max", figures.latencies.max()), ("mean", figures.latencies.mean())];
        let latency: BTreeMap<&str, f64> =
            quantiles.chain(others).map(|(name, latency)| (name, in_ms(latency))).collect();
        json!({
            "topic": asked.topic,
            "record_bytes": asked.record_bytes,
            "target_records_per_second": asked.rate,
            "acknowledged": count,
            "failed": figures.failed,
            "errors": figures.errors,
            "seconds": elapsed.as_secs_f64(),
            "records_per_second": per_second(count, elapsed),
            "bytes_per_second": per_second(count, elapsed) * asked.record_bytes as f64,
            "latency_ms": latency,
            "cpu_user_seconds": cpu.map(|cpu| cpu.user.as_secs_f64()),
            "cpu_system_seconds": cpu.map(|cpu| cpu.system.as_secs_f64()),
            "cpu_us_per_record": cpu.and_then(|cpu| self.cpu_us_per_record(cpu)),
        })
    }

    fn cpu_us_per_record(&self, cpu: CpuTime) -> Option<f64> {
        let records = self.figures.acknowledged.saturating_add(self.figures.failed);
        (records > 0).then(|| cpu.total().as_secs_f64() * 1e6 / records as f64)
    }
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
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
