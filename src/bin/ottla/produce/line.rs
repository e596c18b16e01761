//! [`Format`]: how a line becomes a record.

use super::envelope::Envelope;
use super::{Kept, Options, json};
use crate::delimiter;
use crate::failure::{Failure, Outcome};
use bytes::Bytes;
use ottla::Record;

/// How a line becomes a record.
#[derive(Debug)]
pub(super) struct Format {
    /// What all records have in common.
    common: Record,
    key: Option<Bytes>,
    shape: Shape,
}

/// What a line consists of.
#[derive(Debug)]
enum Shape {
    Plain { key_delimiter: Option<Vec<u8>>, empty_as_null: bool, json: bool },
    Envelope { keeps_partition: bool, keeps_timestamp: bool },
}

/// A record that a line became.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) record: Record,
    /// How many bytes key and value have.
    pub(super) bytes: usize,
}

impl Format {
    pub(super) fn new(options: &Options) -> Outcome<Format> {
        let mut common = Record::to(options.topic.as_str());
        for header in &options.headers {
            common = match header.split_once('=') {
                Some(("", _)) => return Err(Failure::usage(format!("-H {header}: a header needs a name"))),
                Some((name, value)) => common.header(name, value),
                None => common.null_header(header.as_str()),
            };
        }
        let partition = options.partition.filter(|partition| *partition >= 0);
        let keeps = |what: Kept| options.keep.contains(&what);
        if partition.is_some() && keeps(Kept::Partition) {
            return Err(Failure::usage("-p and --keep partition: one of them decides"));
        }
        if options.timestamp.is_some() && keeps(Kept::Timestamp) {
            return Err(Failure::usage("--timestamp and --keep timestamp: one of them decides"));
        }
        common = partition.into_iter().fold(common, Record::partition);
        common = options.timestamp.into_iter().fold(common, Record::timestamp_ms);
        let shape = match options.envelope {
            true => Shape::Envelope {
                keeps_partition: keeps(Kept::Partition),
                keeps_timestamp: keeps(Kept::Timestamp),
            },
            false => Shape::Plain {
                key_delimiter: options.key_delimiter.clone(),
                empty_as_null: options.empty_as_null,
                json: options.json,
            },
        };
        let key = options.key.as_ref().map(|key| Bytes::copy_from_slice(key.as_bytes()));
        Ok(Format { common, key, shape })
    }

    /// The record that a line is.
    ///
    /// # Errors
    /// When it is to be JSON, and is not, or not of the right shape.
    pub(super) fn record(&self, line: Bytes) -> Result<Made, Malformed> {
        match &self.shape {
            Shape::Plain { key_delimiter, empty_as_null, json } => {
                let (own_key, value) = match key_delimiter.as_deref() {
                    Some(delimiter) => split(line, delimiter),
                    None => (None, line),
                };
                let key = match own_key {
                    Some(key) if key.is_empty() && *empty_as_null => None,
                    Some(key) => Some(key),
                    None => self.key.clone(),
                };
                let value = Some(value).filter(|value| !value.is_empty() || !*empty_as_null);
                let value = match value {
                    Some(value) if *json => Some(sorted(&value)?),
                    value => value,
                };
                Ok(made(self.common.clone(), key, value))
            }
            Shape::Envelope { keeps_partition, keeps_timestamp } => {
                let envelope = Envelope::read(&line)
                    .map_err(|error| Malformed::new("read the line as a record", &error))?;
                let mut record = self.common.clone();
                for (name, value) in envelope.headers.0 {
                    record = match value.bytes(&line) {
                        Some(value) => record.header(&*name, value),
                        None => record.null_header(&*name),
                    };
                }
                // Negative is what other writers say when they do not know.
                let partition = envelope.partition.filter(|partition| *keeps_partition && *partition >= 0);
                let time = envelope.ts.filter(|time| *keeps_timestamp && *time >= 0);
                record = partition.into_iter().fold(record, Record::partition);
                record = time.into_iter().fold(record, Record::timestamp_ms);
                let key = envelope.key.bytes(&line).or_else(|| self.key.clone());
                Ok(made(record, key, envelope.payload.bytes(&line)))
            }
        }
    }
}

fn made(mut record: Record, key: Option<Bytes>, value: Option<Bytes>) -> Made {
    let bytes = key.as_ref().map_or(0, Bytes::len) + value.as_ref().map_or(0, Bytes::len);
    record = key.into_iter().fold(record, Record::key);
    Made { record: value.into_iter().fold(record, Record::value), bytes }
}

fn sorted(value: &[u8]) -> Result<Bytes, Malformed> {
    json::sorted(value).map(Bytes::from).map_err(|error| Malformed::new("read the value as JSON", &error))
}

/// A line is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("{attempt}: {why}")]
pub(super) struct Malformed {
    attempt: &'static str,
    why: String,
}

impl Malformed {
    /// The parser's own words, with the place in the line: which line it is, is told elsewhere.
    fn new(attempt: &'static str, error: &serde_json::Error) -> Malformed {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let text = error.to_string();
        let why = match text.strip_suffix(&place) {
            Some(why) if error.line() == 1 => format!("{why}, at byte {}", error.column()),
            _ => text,
        };
        Malformed { attempt, why }
    }
}

/// Key and value, as kcat splits them: at the first delimiter; without one there is no key.
fn split(mut line: Bytes, delimiter: &[u8]) -> (Option<Bytes>, Bytes) {
    match delimiter::find(&line, delimiter) {
        Some(at) => {
            let key = line.split_to(at);
            (Some(key), line.split_off(delimiter.len()))
        }
        None => (None, line),
    }
}
