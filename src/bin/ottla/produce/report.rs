//! [`Reports`]: what became of each record, for whoever asked, and of those that failed for everybody.

use crate::output::Output;
use crate::progress::{Progress, count_of_records};
use indicatif::{HumanBytes, HumanCount};
use ottla::{Delivered, Error, ErrorKind, task};
use std::fmt::Display;
use std::time::Instant;

/// How many failures are told one by one.
const TOLD: u64 = 10;

/// How deliveries are told on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Told {
    Text,
    Json,
}

/// Where a record was read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// Which of the sources.
    pub(super) source: usize,
    /// The line, from 1; 0 is the source as a whole.
    pub(super) line: u64,
}

/// What became of each record.
#[derive(Debug)]
pub(super) struct Reports {
    names: Vec<Option<String>>,
    /// What a line is called.
    unit: &'static str,
    /// How deliveries are told, if anybody wants to know.
    told: Option<Told>,
    /// Whether what is sent is copied to standard output.
    copies: bool,
    output: Output,
    progress: Progress,
    /// Whether to sum up, and whether what was delivered was acknowledged then.
    sums_up: Option<bool>,
    began: Instant,
    delivered: u64,
    delivered_bytes: u64,
    failed: u64,
    unsent: u64,
}

impl Reports {
    pub(super) fn new(names: Vec<Option<String>>, progress: Progress) -> Reports {
        Reports {
            names,
            unit: "line",
            told: None,
            copies: false,
            output: Output::default(),
            progress,
            sums_up: None,
            began: task::now(),
            delivered: 0,
            delivered_bytes: 0,
            failed: 0,
            unsent: 0,
        }
    }

    /// Tells each delivery on standard output.
    pub(super) fn telling(self, told: Option<Told>) -> Reports {
        Reports { told, ..self }
    }

    /// Copies what is sent to standard output.
    pub(super) fn copying(self, copies: bool) -> Reports {
        Reports { copies, ..self }
    }

    pub(super) fn lines_are_called(self, unit: &'static str) -> Reports {
        Reports { unit, ..self }
    }

    /// Sums up at the end, if so; `acknowledged` says what a delivery means.
    pub(super) fn summing_up(self, wanted: bool, acknowledged: bool) -> Reports {
        Reports { sums_up: wanted.then_some(acknowledged), ..self }
    }

    /// A record is in the log.
    pub(super) fn delivered(&mut self, at: &Delivered, bytes: usize) {
        self.delivered += 1;
        self.delivered_bytes = self.delivered_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let line = match self.told {
            None => return,
            Some(Told::Text) => as_text(at),
            Some(Told::Json) => as_json(at),
        };
        self.output.buffer().extend_from_slice(line.as_bytes());
        let written = self.output.spill().is_ok();
        self.look_at_output(written);
    }

    /// A record is on its way.
    pub(super) fn sent(&mut self, line: &[u8], delimiter: &[u8]) {
        if self.copies {
            let buffer = self.output.buffer();
            buffer.extend_from_slice(line);
            buffer.extend_from_slice(delimiter);
            let written = self.output.spill().is_ok();
            self.look_at_output(written);
        }
    }

    /// A record is not in the log, or not known to be.
    pub(super) fn refused(&mut self, place: Place, why: &impl Display) {
        self.failed += 1;
        if self.failed <= TOLD {
            let name = self.names.get(place.source).and_then(Option::as_deref);
            let unit = self.unit;
            let place = match (name, place.line) {
                (Some(name), 0) => name.to_owned(),
                (Some(name), line) => format!("{name}, {unit} {line}"),
                (None, 0) => "standard input".to_owned(),
                (None, line) => format!("{unit} {line}"),
            };
            self.say(&format!("{place}: {why}"));
        } else if self.failed == TOLD + 1 {
            self.say("further failures are only counted");
        }
    }

    /// So many records were read, and there is no time left to send them.
    pub(super) fn unsent(&mut self, records: u64) {
        self.unsent = self.unsent.saturating_add(records);
    }

    /// Says something to whoever runs the tool.
    pub(super) fn say(&self, text: &str) {
        self.progress.say(text);
    }

    pub(super) fn progress(&mut self, records: u64, bytes: usize) {
        self.progress.add(records, u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Lets out what there is: somebody may be waiting for it.
    pub(super) fn flush(&mut self) {
        let written = self.output.flush().is_ok();
        self.look_at_output(written);
    }

    /// Records matter more than what is said of them: that nobody reads standard output any more is no reason to stop.
    fn look_at_output(&mut self, written: bool) {
        if !written {
            self.say("nobody reads standard output any more; sending goes on without it");
            (self.told, self.copies) = (None, false);
        }
    }

    pub(super) fn finish(&mut self) {
        self.flush();
        self.progress.clear();
        if let Some(acknowledged) = self.sums_up {
            let Reports { delivered, delivered_bytes, failed, unsent, .. } = *self;
            let elapsed = task::now().saturating_duration_since(self.began);
            let took_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
            let rate = |amount: u64| amount.saturating_mul(1000).checked_div(took_ms).unwrap_or_default();
            let (seconds, thousandths) = (took_ms / 1000, took_ms % 1000);
            self.say(&format!(
                "{} {}, {}, in {seconds}.{thousandths:03} s: {} records/s, {}/s; {} failed",
                count_of_records(delivered),
                if acknowledged { "acknowledged" } else { "sent without acknowledgement" },
                HumanBytes(delivered_bytes),
                HumanCount(rate(delivered)),
                HumanBytes(rate(delivered_bytes)),
                HumanCount(failed.saturating_add(unsent)),
            ));
        }
    }

    /// Whether a record that was read is not known to be in the log.
    pub(super) fn are_bad(&self) -> bool {
        self.failed.saturating_add(self.unsent) > 0
    }

    /// The outcome of everything in one sentence.
    pub(super) fn verdict(&self) -> String {
        let lost = self.failed.saturating_add(self.unsent);
        let all = self.delivered.saturating_add(lost);
        let verb = if lost == 1 { "was" } else { "were" };
        format!("{lost} of {all} records {verb} not delivered")
    }
}

/// Whether the record is what is wrong, so that others may fare better.
pub(super) fn concerns_one_record(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::RecordTooLarge { .. } | ErrorKind::Serialization => true,
        ErrorKind::Broker(code) => {
            matches!(
                code.name(),
                "MESSAGE_TOO_LARGE" | "INVALID_RECORD" | "RECORD_LIST_TOO_LARGE" | "INVALID_TIMESTAMP"
            )
        }
        _ => false,
    }
}

fn as_text(at: &Delivered) -> String {
    let Delivered { partition, timestamp_ms, .. } = at;
    let topic = at.topic();
    let offset = known_offset(at).map_or("unknown".to_owned(), |offset| offset.to_string());
    format!("{topic}, partition {partition}, offset {offset}, timestamp {timestamp_ms}\n")
}

fn as_json(at: &Delivered) -> String {
    let mut line = serde_json::json!({
        "topic": at.topic(),
        "partition": at.partition,
        "offset": known_offset(at),
        "timestamp": at.timestamp_ms,
    })
    .to_string();
    line.push('\n');
    line
}

/// With `acks=0`, and for some repetitions, the broker does not tell the offset.
fn known_offset(at: &Delivered) -> Option<i64> {
    Some(at.offset).filter(|offset| *offset >= 0)
}
