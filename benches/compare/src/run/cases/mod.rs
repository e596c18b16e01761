//! What is measured, and the rows of the table that come of it.

mod consuming;
mod producing;

use super::programs::Figures;
use crate::source::Log;

/// What a case runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SinkKind {
    /// Answers at once.
    Plain,
    /// Answers 20 ms after each request came in.
    Distant,
    /// Answers at once, over TLS, to whoever has logged in by SASL/PLAIN.
    Secure,
    /// Brokers with a full topic, `compare source`, so many, and with its options.
    Source(usize, &'static [&'static str]),
    /// One, over TLS as above.
    SecureSource,
}

/// What a client is to do.
pub enum Work {
    /// The job and, behind client and address, its arguments, for a scale of the work.
    Write(fn(f64) -> Vec<String>),
    /// A topic of the case's own, of this name.
    Read(Read),
}

/// What there is to read.
pub struct Read {
    pub job: &'static str,
    pub partitions: i32,
    /// Records that are read, or seconds of reading, at scale 1.
    pub much: f64,
    /// Records that lie in the topic at scale 1.
    pub there: f64,
    pub codec: &'static str,
}

/// One way to use a client.
pub struct Case {
    pub name: &'static str,
    pub sink: SinkKind,
    pub work: Work,
    /// Bytes of the values.
    pub bytes: usize,
    /// Settings beside the job's own.
    pub settings: &'static str,
    /// Runs a round.
    pub repeat: usize,
    /// In the first round alone.
    pub once: bool,
    /// The share of the work that is done against a real Kafka, which has to keep it; none at 0.
    pub on_kafka: f64,
}

/// All cases: those that write, then those that read.
pub fn all() -> impl Iterator<Item = &'static Case> {
    producing::CASES.iter().chain(&consuming::CASES)
}

/// All rows, in the table's order.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    producing::ROWS.iter().chain(&consuming::ROWS)
}

impl Case {
    pub fn reads(&self) -> bool {
        matches!(self.work, Work::Read(_))
    }

    /// The job and, behind client and address, its arguments.
    pub fn words(&self, scale: f64) -> Vec<String> {
        match &self.work {
            Work::Write(words) => words(scale),
            Work::Read(Read { job, partitions, much, .. }) => {
                let much = if *job == "idle" { seconds(much * scale) } else { count(much * scale) };
                vec![(*job).into(), self.name.into(), partitions.to_string(), much]
            }
        }
    }

    /// Whether there is something to be said of what no client can do without.
    pub fn has_floor(&self) -> bool {
        let Work::Write(words) = &self.work else { return false };
        let is_plain = self.sink == SinkKind::Plain && self.settings.is_empty();
        is_plain && words(1.0).first().is_some_and(|job| job == "produce" || job == "latency")
    }

    /// Whether its source counts.
    pub fn counts(&self) -> bool {
        matches!(self.sink, SinkKind::Source(_, options) if options.contains(&"--count"))
    }

    /// Figures out of a source's counts: bytes that were sent over those of the log that was read, and requests.
    pub fn judge(&self, figures: &mut Figures) {
        let of = |name: &str| figures.get(name).copied().unwrap_or_default();
        let (sent, log, fetches, others) = (of("sent"), of("log_bytes"), of("fetches"), of("others"));
        if let Work::Read(Read { much, there, .. }) = self.work
            && there > 0.0
        {
            figures.insert("received".into(), sent / (log * much / there));
        }
        figures.insert("requests".into(), fetches + others);
    }

    /// What has to be there before.
    pub fn log(&self, scale: f64) -> Option<Log> {
        let Work::Read(read) = &self.work else { return None };
        Some(Log {
            topic: self.name.to_owned(),
            partitions: read.partitions,
            records: (read.there * scale) as u64,
            bytes: self.bytes,
            codec: read.codec.to_owned(),
        })
    }
}

fn count(records: f64) -> String {
    (records as u64).max(1).to_string()
}

fn seconds(time: f64) -> String {
    (time.round() as u64).max(1).to_string()
}

/// How many records are acknowledged when a job is done, those included that went before to warm up.
pub fn records(words: &[String]) -> u64 {
    let number = |index: usize| words.get(index).map_or(0, |word| crate::number::<u64>(word));
    match words[0].as_str() {
        "produce" => number(1) + number(1) / 10,
        "latency" => number(1) * (number(2) + 1),
        "first" => 1,
        "consume" | "deliver" | "idle" => 0,
        other => panic!("'{other}' ends when it likes"),
    }
}

/// What a row's figure of ours is to be.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// At most so many times the lowest of the peers.
    OfLowest(f64),
    /// At most so many times librdkafka's.
    OfLibrdkafka(f64),
    /// At least so many times the higher of librdkafka's and franz-go's.
    OfFastest(f64),
    /// At most so much, whatever the peers take.
    AtMost(f64),
    /// At most so many times what ours has in another case.
    TimesOurs(&'static str, f64),
    /// At most so much more than what ours has in another case.
    PlusOurs(&'static str, f64),
    /// For the reader's information.
    None,
}

/// One row: the median of one figure of a case.
pub struct Row {
    pub label: &'static str,
    pub case: &'static str,
    pub figure: &'static str,
    pub digits: usize,
    pub target: Target,
}

const fn row(
    label: &'static str,
    case: &'static str,
    figure: &'static str,
    digits: usize,
    target: Target,
) -> Row {
    Row { label, case, figure, digits, target }
}
