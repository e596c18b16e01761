//! [`Format`]: how a line becomes a record.

use super::{Options, json};
use crate::delimiter;
use crate::failure::{Failure, Outcome};
use bytes::Bytes;
use ottla::{Error, ErrorKind, Record, Result};

/// How a line becomes a record.
#[derive(Debug)]
pub(super) struct Format {
    /// What all records have in common.
    common: Record,
    key: Option<Bytes>,
    key_delimiter: Option<Vec<u8>>,
    empty_as_null: bool,
    json: bool,
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
        common =
            options.partition.filter(|partition| *partition >= 0).into_iter().fold(common, Record::partition);
        common = options.timestamp.into_iter().fold(common, Record::timestamp_ms);
        Ok(Format {
            common,
            key: options.key.as_ref().map(|key| Bytes::copy_from_slice(key.as_bytes())),
            key_delimiter: options.key_delimiter.clone(),
            empty_as_null: options.empty_as_null,
            json: options.json,
        })
    }

    /// The record that a line is.
    ///
    /// # Errors
    /// When the values are to be JSON, and this one is not.
    pub(super) fn record(&self, line: Bytes) -> Result<Record> {
        let (own_key, value) = match self.key_delimiter.as_deref() {
            Some(delimiter) => split(line, delimiter),
            None => (None, line),
        };
        let mut record = self.common.clone();
        match own_key {
            Some(key) if key.is_empty() && self.empty_as_null => {}
            Some(key) => record = record.key(key),
            None => record = self.key.clone().into_iter().fold(record, Record::key),
        }
        if value.is_empty() && self.empty_as_null {
            return Ok(record);
        }
        if self.json {
            let sorted = json::sorted(&value).map_err(|error| {
                Error::new(ErrorKind::Serialization, "read the value as JSON").source(error)
            })?;
            return Ok(record.value(sorted));
        }
        Ok(record.value(value))
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
