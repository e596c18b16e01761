//! `ottla produce`: each line of standard input or of files becomes a record.
//!
//! Three stages, each with a bound on what it holds: a thread reads pieces of whole lines (`input`), this task makes
//! records of them (`line`) and hands them to the producer, and the deliveries wait in a window (`window`) until each one
//! has been looked at (`report`). No line waits for the acknowledgement of the line before it.

mod input;
mod json;
mod line;
mod report;
mod window;

use crate::failure::{Failure, Outcome};
use crate::progress::Progress;
use crate::signals::Signals;
use crate::{connection, delimiter};
use bytes::Bytes;
use input::{Input, Piece};
use line::Format;
use ottla::config::ProducerConfig;
use ottla::{Error, ErrorKind, Producer};
use report::{Kind, Place, Reports};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::pin::pin;
use window::Window;

/// The bytes of a delimiter; the path keeps clap from taking each byte for an argument of its own.
type Delimiter = std::vec::Vec<u8>;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The topic to send to
    topic: String,
    /// Files of lines; `-` is standard input, and so is no file at all
    files: Vec<PathBuf>,
    /// What separates the key from the value in a line; a line without it has no key of its own
    #[arg(short = 'K', long, value_name = "DELIMITER", value_parser = delimiter::parse)]
    key_delimiter: Option<Delimiter>,
    /// The key of each record that has none of its own
    #[arg(short = 'k', long)]
    key: Option<String>,
    /// A header of each record, in the order given; NAME alone has the value null
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// Compress the batches: none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "CODEC", value_parser = ["none", "gzip", "snappy", "lz4", "zstd"])]
    compression: Option<String>,
    /// The partition; -1 or none leaves it to the partitioner
    #[arg(short = 'p', long, allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-1..))]
    partition: Option<i32>,
    /// Send empty values, and with -K empty keys, as null
    #[arg(short = 'Z', long)]
    empty_as_null: bool,
    /// What ends a record
    #[arg(short = 'D', long, value_name = "DELIMITER", default_value = r"\n", value_parser = delimiter::parse)]
    delimiter: Delimiter,
    /// The values are JSON: check each, and write it with sorted keys and without white space
    #[arg(long)]
    json: bool,
    /// The time of the records in milliseconds since 1970, instead of the time of sending
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i64).range(0..))]
    timestamp: Option<i64>,
    /// Send this many records and end
    #[arg(short = 'c', long, value_name = "N")]
    count: Option<u64>,
    /// Print where each record is in the log once it is acknowledged
    #[arg(long, conflicts_with = "json_report")]
    report: bool,
    /// The same as JSON, one record a line
    #[arg(short = 'J', long)]
    json_report: bool,
}

pub(crate) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    let mut settings = connection.settings()?;
    if let Some(codec) = &options.compression {
        settings.set("compression.type", codec)?;
    }
    let limit = ProducerConfig::from_settings(&settings).map_err(Error::from)?.max_request_size;
    let (input, sources) = Input::open(&options.files, &options.delimiter, limit)?;
    let typed = sources.is_terminal;
    if typed && !connection.is_quiet() {
        eprintln!("Each line is a record of '{}'; Ctrl-D ends.", options.topic);
    }
    let report = options.kind_of_report();
    let crowded = typed || report != Kind::None && std::io::stdout().is_terminal();
    let progress = Progress::new(connection.shows_progress() && !crowded, sources.total_bytes);
    let format = Format::new(&options)?;
    let producer = connection::connect(settings).await?.producer().build()?;
    let session = Session {
        format,
        producer,
        window: Window::new(Reports::new(report, sources.names, progress)),
        delimiter: options.delimiter,
        limit,
        left: options.count.unwrap_or(u64::MAX),
        place: Place::default(),
        signals: Signals::listen(),
        signal: None,
    };
    session.run(input).await
}

impl Options {
    fn kind_of_report(&self) -> Kind {
        match (self.report, self.json_report) {
            (true, _) => Kind::Text,
            (_, true) => Kind::Json,
            _ => Kind::None,
        }
    }
}

/// One run of the command.
struct Session {
    format: Format,
    producer: Producer,
    window: Window,
    delimiter: Vec<u8>,
    /// `max.request.size`.
    limit: usize,
    /// How many records may still be sent.
    left: u64,
    /// The line at hand.
    place: Place,
    signals: Signals,
    /// The signal that asked for an end, if one did.
    signal: Option<u8>,
}

/// Why no more lines are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// There are none, or enough were sent.
    Done,
    /// What failed would fail for the next line as well.
    Broken,
}

impl Session {
    async fn run(mut self, input: Input) -> Outcome {
        let end = self.take(input).await;
        // What it has to complain about is in the deliveries, record by record.
        let flushed = self.producer.flush().await;
        self.window.drain().await;
        let mut reports = self.window.into_reports();
        reports.finish();
        match (end, self.signal) {
            // What failed was told line by line.
            (_, Some(number)) => Err(Failure::Signal(number)),
            (End::Broken, _) => {
                Err(Failure::failed(format!("{}; the rest of the input was not sent", reports.verdict())))
            }
            (End::Done, _) if reports.failed() > 0 => Err(Failure::failed(reports.verdict())),
            (End::Done, _) => Ok(flushed?),
        }
    }

    /// Takes lines until there is a reason to take no more.
    async fn take(&mut self, mut input: Input) -> End {
        while !self.window.is_broken() {
            if self.signal.is_some() {
                input.stop();
            }
            let piece = tokio::select! {
                biased;
                number = self.signals.received(), if self.signal.is_none() => {
                    hear(&mut self.signal, number, self.window.reports());
                    continue;
                }
                piece = input.next() => piece,
                () = self.window.settle_one(), if !self.window.is_empty() => continue,
            };
            let end = match piece {
                Some(piece) => self.take_piece(piece).await,
                None => Some(End::Done),
            };
            if let Some(end) = end {
                return end;
            }
        }
        End::Broken
    }

    async fn take_piece(&mut self, piece: Piece) -> Option<End> {
        match piece {
            Piece::Source(source) => self.place = Place { source, line: 0 },
            Piece::TooLong(size) => {
                self.place.line += 1;
                let error = ErrorKind::RecordTooLarge { size, limit: self.limit };
                self.window.reports().refused(self.place, &Error::new(error, "read the line"));
            }
            Piece::Unreadable(why) => {
                self.window.reports().refused(self.place, &why);
                return Some(End::Broken);
            }
            Piece::Lines(mut lines) => {
                let bytes = lines.len();
                let before = self.left;
                let mut end = None;
                while end.is_none() && !lines.is_empty() {
                    let line = input::first_line(&mut lines, &self.delimiter);
                    self.place.line += 1;
                    end = self.send(line).await;
                }
                self.window.sweep();
                self.window.reports().progress(before - self.left, bytes);
                return end;
            }
        }
        None
    }

    async fn send(&mut self, line: Bytes) -> Option<End> {
        if self.left == 0 {
            return Some(End::Done);
        }
        let record = match self.format.record(line) {
            Ok(record) => record,
            Err(why) => {
                self.window.reports().refused(self.place, &why);
                return None;
            }
        };
        let outcome = {
            // It may wait for long: for the topic, or for room.
            let mut sending = pin!(self.producer.send(record));
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut sending => break outcome,
                    number = self.signals.received(), if self.signal.is_none() => {
                        hear(&mut self.signal, number, self.window.reports());
                    }
                }
            }
        };
        match outcome {
            Ok(delivery) => {
                self.left -= 1;
                self.window.push(self.place, delivery);
                while self.window.is_full() {
                    tokio::select! {
                        biased;
                        () = self.window.settle_one() => {}
                        number = self.signals.received(), if self.signal.is_none() => {
                            hear(&mut self.signal, number, self.window.reports());
                        }
                    }
                }
                (self.left == 0).then_some(End::Done)
            }
            Err(error) => {
                self.window.reports().refused(self.place, &error);
                (!report::concerns_one_record(&error)).then_some(End::Broken)
            }
        }
    }
}

/// Takes note of the first signal, and says what becomes of it.
fn hear(heard: &mut Option<u8>, number: u8, reports: &Reports) {
    *heard = Some(number);
    reports.say("sending what was read; interrupt once more to give that up");
}
