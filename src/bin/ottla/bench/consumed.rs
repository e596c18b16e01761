//! What a run of consuming came to, as lines for people and as JSON for programs.

use super::cpu::CpuTime;
use super::figures::Figures;
use super::summary::{cpu_time, cpu_us, per_second, percentiles, percentiles_json, throughput};
use crate::progress::count_of_records;
use indicatif::{HumanBytes, HumanCount};
use ottla::consumer::TimestampType;
use serde_json::{Value, json};
use std::fmt::Write;

/// What a run came to.
#[derive(Debug)]
pub(super) struct Consumed<'a> {
    pub(super) topic: &'a str,
    pub(super) figures: &'a Figures,
    /// Records that were written while it ran: only of these it is known how long they took.
    pub(super) fresh: u64,
    /// Whose time they have.
    pub(super) time: TimestampType,
    pub(super) cpu: Option<CpuTime>,
}

impl Consumed<'_> {
    pub(super) fn text(&self) -> String {
        let Consumed { figures, fresh, cpu, .. } = self;
        let (count, bytes, elapsed) = (figures.done, figures.bytes, figures.elapsed());
        let mut text = format!(
            "{} with {} of keys and values read in {:.3} s\n",
            count_of_records(count),
            HumanBytes(bytes),
            elapsed.as_secs_f64()
        );
        // Writing to memory does not fail.
        let _ = writeln!(text, "{}", throughput(count, bytes, elapsed));
        let _ = if *fresh == 0 {
            writeln!(text, "latency: not known, as no record was written since it began")
        } else {
            let (from, percentiles) = (self.from(), percentiles(&figures.latencies));
            let fresh = HumanCount(*fresh);
            writeln!(text, "latency from {from}, of {fresh} written since it began: {percentiles}")
        };
        let _ = write!(text, "{}", cpu_time(*cpu, count));
        text
    }

    pub(super) fn json(&self) -> Value {
        let Consumed { topic, figures, fresh, cpu, .. } = self;
        let (count, bytes, elapsed) = (figures.done, figures.bytes, figures.elapsed());
        let is_known = *fresh > 0;
        json!({
            "topic": topic,
            "records": count,
            "bytes": bytes,
            "seconds": elapsed.as_secs_f64(),
            "records_per_second": per_second(count, elapsed),
            "bytes_per_second": per_second(bytes, elapsed),
            "latency_from": is_known.then(|| self.from()),
            "latency_records": fresh,
            "latency_ms": is_known.then(|| percentiles_json(&figures.latencies)),
            "cpu_user_seconds": cpu.map(|cpu| cpu.user.as_secs_f64()),
            "cpu_system_seconds": cpu.map(|cpu| cpu.system.as_secs_f64()),
            "cpu_us_per_record": cpu.and_then(|cpu| cpu_us(cpu, count)),
        })
    }

    /// What the latency is counted from, by the topic's `message.timestamp.type`.
    fn from(&self) -> &'static str {
        if self.time == TimestampType::LogAppendTime { "LogAppendTime" } else { "CreateTime" }
    }
}
