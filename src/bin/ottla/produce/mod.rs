//! `ottla produce`: each line of standard input or of files, or each file, becomes a record.
//!
//! Three stages, each with a bound on what it holds: a thread reads pieces of whole lines (`input`), the session makes
//! records of them (`line`, `envelope`) and hands them to the producer, and the deliveries wait in a window (`window`) until
//! each one has been looked at (`report`). No line waits for the acknowledgement of the line before it.

mod codec;
mod envelope;
mod input;
mod json;
mod line;
mod report;
mod session;
mod window;

use crate::failure::Outcome;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::{connection, delimiter};
use codec::Codec;
use input::{Input, Manner};
use line::Format;
use ottla::Error;
use ottla::config::{Acks, ProducerConfig, Settings};
use report::{Reports, Told};
use session::Session;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;
use window::Window;

/// The bytes of a delimiter; the path keeps clap from taking each byte for an argument of its own.
type Delimiter = std::vec::Vec<u8>;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The topic to send to
    topic: String,
    /// Files, each of which is one record, or with -l or -J each of their lines; `-` is standard input, whose lines are
    /// always records, and so is no file at all
    files: Vec<PathBuf>,
    /// Send each line of a file, and not the file as one record
    #[arg(short = 'l', long)]
    lines: bool,
    /// What separates the key from the value in a line; a line without it has no key of its own
    #[arg(short = 'K', long, value_name = "DELIMITER", value_parser = delimiter::parse)]
    key_delimiter: Option<Delimiter>,
    /// The key of each record that has none of its own
    #[arg(short = 'k', long)]
    key: Option<String>,
    /// A header of each record, in the order given; NAME alone has the value null
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// Compress the batches: none, gzip, snappy, lz4 or zstd; gzip:1 to 9, zstd:1 to 22 (1 without a level). lz4 takes a
    /// level, and has but one
    #[arg(short = 'z', long, value_name = "CODEC[:LEVEL]", value_parser = Codec::parse)]
    compression: Option<Codec>,
    /// How many replicas have to have a record before it counts as sent: all (the default), 1, or 0 for not to ask
    #[arg(long, value_name = "all|1|0", allow_negative_numbers = true)]
    acks: Option<String>,
    /// Who chooses the partition: random, consistent, consistent_random, murmur2, murmur2_random, fnv1a, fnv1a_random as
    /// in librdkafka, or RoundRobinPartitioner of the Java client. The default is Java's: murmur2 of the key, and without
    /// a key one partition for a batch, then another
    #[arg(long, value_name = "NAME")]
    partitioner: Option<String>,
    /// The partition; -1 or none leaves it to the partitioner
    #[arg(short = 'p', long, allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-1..))]
    partition: Option<i32>,
    /// Send empty values, and with -K empty keys, as null
    #[arg(short = 'Z', long)]
    empty_as_null: bool,
    /// What ends a record
    #[arg(short = 'D', long, value_name = "DELIMITER", default_value = r"\n", value_parser = delimiter::parse)]
    delimiter: Delimiter,
    /// Each line is a record as `ottla consume -J` and `kcat -J` print it: an object with payload (null is a tombstone) and,
    /// if there are any, key and headers. Texts are UTF-8, {"base64":".."} is any bytes; headers are a list of names and
    /// values in turn, or an object. partition and ts count with --keep; topic, offset, tstype, broker, key_schema_id and
    /// value_schema_id do not; a line with another name, or with key_error or payload_error, is refused
    #[arg(short = 'J', long, conflicts_with_all = ["key_delimiter", "json", "empty_as_null"])]
    envelope: bool,
    /// What of a record of -J stays as it was, besides key, headers and payload: its partition, its timestamp, or both with
    /// a comma between
    #[arg(long, value_name = "WHAT", requires = "envelope", value_delimiter = ',')]
    keep: Vec<Kept>,
    /// The values are JSON: check each, and write it with sorted keys and without white space
    #[arg(long)]
    json: bool,
    /// Pass over what should be JSON (--json, -J) and is not, where it would end the command after all that was before it is
    /// delivered. It counts as failed all the same
    #[arg(long)]
    skip_malformed: bool,
    /// The time of the records in milliseconds since 1970, instead of the time of sending
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i64).range(0..))]
    timestamp: Option<i64>,
    /// Send this many records and end
    #[arg(short = 'c', long, value_name = "N")]
    count: Option<u64>,
    /// Copy what is sent to standard output, as `tee` does. When nobody reads it any more the records are still sent
    #[arg(short = 'T', long)]
    tee: bool,
    /// Print where each record is in the log once it is acknowledged, as text or as JSON
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    #[arg(conflicts_with = "tee")]
    report: Option<Told>,
    /// How long an interrupted command may take to send what it has read, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    grace: u32,
}

/// What of a record of `-J` can stay as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kept {
    Partition,
    Timestamp,
}

pub(crate) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    let mut settings = connection.settings()?;
    options.apply(&mut settings)?;
    let format = Format::new(&options)?;
    let config = ProducerConfig::from_settings(&settings).map_err(Error::from)?;
    let limit = config.max_request_size;
    let (input, sources) = Input::open(&options.files, &options.manner(limit))?;
    let typed = sources.is_terminal;
    if typed && !connection.is_quiet() {
        eprintln!("Each line is a record of '{}'; Ctrl-D ends.", options.topic);
    }
    let crowded = typed || options.prints() && std::io::stdout().is_terminal();
    let progress = Progress::new(connection.shows_progress() && !crowded, sources.total_bytes);
    let producer = connection::connect(settings).await?.producer().build()?;
    let reports = Reports::new(sources.names, progress)
        .telling(options.report)
        .copying(options.tee)
        .lines_are_called(if options.delimiter == b"\n" { "line" } else { "record" })
        .summing_up(!connection.is_quiet(), config.acks != Acks::None);
    let grace = Duration::from_secs(options.grace.into());
    Session::new(format, producer, Window::new(reports, options.topic), Signals::listen(), grace)
        .delimited(options.delimiter, limit)
        .counting(options.count)
        .skipping_malformed(options.skip_malformed)
        .run(input)
        .await
}

impl Options {
    /// What has an option of its own goes before `-X`.
    fn apply(&self, settings: &mut Settings) -> Outcome {
        if let Some(codec) = &self.compression {
            codec.apply(settings)?;
        }
        for (key, value) in [("acks", &self.acks), ("partitioner.class", &self.partitioner)] {
            if let Some(value) = value {
                settings.set(key, value)?;
            }
        }
        Ok(())
    }

    fn manner(&self, limit: usize) -> Manner {
        Manner { by_lines: self.lines || self.envelope, delimiter: self.delimiter.clone(), limit }
    }

    /// Whether there is something for standard output.
    fn prints(&self) -> bool {
        self.tee || self.report.is_some()
    }
}
