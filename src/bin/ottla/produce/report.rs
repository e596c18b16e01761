//! [`Reports`]: what became of each record, for whoever asked, and of those that failed for everybody.

use crate::output::Output;
use crate::progress::Progress;
use ottla::{Delivered, Error, ErrorKind};
use std::fmt::Display;

/// How many failures are told one by one.
const TOLD: u64 = 10;

/// How deliveries are reported on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    None,
    Text,
    Json,
}

/// Where a record was read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// Which of the sources.
    pub(super) source: usize,
    /// The line, from 1.
    pub(super) line: u64,
}

/// What became of each record.
#[derive(Debug)]
pub(super) struct Reports {
    kind: Kind,
    names: Vec<Option<String>>,
    output: Output,
    progress: Progress,
    delivered: u64,
    failed: u64,
}

impl Reports {
    pub(super) fn new(kind: Kind, names: Vec<Option<String>>, progress: Progress) -> Reports {
        Reports { kind, names, output: Output::default(), progress, delivered: 0, failed: 0 }
    }

    /// A record is in the log.
    pub(super) fn delivered(&mut self, at: &Delivered) {
        self.delivered += 1;
        let line = match self.kind {
            Kind::None => return,
            Kind::Text => as_text(at),
            Kind::Json => as_json(at),
        };
        self.output.buffer().extend_from_slice(line.as_bytes());
        // Records matter more than reports: that nobody reads them is no reason to stop.
        if self.output.spill().is_err() {
            self.kind = Kind::None;
        }
    }

    /// A record is not in the log, or not known to be.
    pub(super) fn refused(&mut self, place: Place, why: &impl Display) {
        self.failed += 1;
        if self.failed <= TOLD {
            let source = self.names.get(place.source).and_then(Option::as_deref);
            let file = source.map_or(String::new(), |name| format!("{name}, "));
            self.say(&format!("{file}line {}: {why}", place.line));
        } else if self.failed == TOLD + 1 {
            self.say("further failures are only counted");
        }
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
        if self.output.flush().is_err() {
            self.kind = Kind::None;
        }
    }

    pub(super) fn finish(&mut self) {
        self.flush();
        self.progress.finish();
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    /// The outcome of everything in one sentence.
    pub(super) fn verdict(&self) -> String {
        let all = self.delivered + self.failed;
        let verb = if self.failed == 1 { "was" } else { "were" };
        format!("{} of {all} records {verb} not delivered", self.failed)
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
    let Delivered { topic, partition, timestamp_ms, .. } = at;
    let offset = known_offset(at).map_or("unknown".to_owned(), |offset| offset.to_string());
    format!("{topic}, partition {partition}, offset {offset}, timestamp {timestamp_ms}\n")
}

fn as_json(at: &Delivered) -> String {
    let mut line = serde_json::json!({
        "topic": &*at.topic,
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
