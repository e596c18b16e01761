//! [`Format`]: how a record is printed.

use super::Options;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ottla::consumer::{FetchedRecord, TimestampType};
use serde_json::{Value, json};
use std::io::Write;

/// How a record is printed.
#[derive(Debug)]
pub(super) enum Format {
    /// Key and value, as they are.
    Text { key_delimiter: Option<Vec<u8>>, delimiter: Vec<u8>, null: &'static [u8] },
    /// One JSON object a line, with the names that kcat uses.
    Json,
}

impl Format {
    pub(super) fn new(options: &Options) -> Format {
        if options.json {
            return Format::Json;
        }
        Format::Text {
            key_delimiter: options.key_delimiter.clone(),
            delimiter: options.delimiter.clone(),
            null: if options.null_marker { b"NULL" } else { b"" },
        }
    }

    pub(super) fn print(&self, record: &FetchedRecord<'_>, to: &mut Vec<u8>) {
        match self {
            Format::Text { key_delimiter, delimiter, null } => {
                if let Some(key_delimiter) = key_delimiter {
                    to.extend_from_slice(record.key().unwrap_or(null));
                    to.extend_from_slice(key_delimiter);
                }
                to.extend_from_slice(record.value().unwrap_or(null));
                to.extend_from_slice(delimiter);
            }
            Format::Json => print_json(record, to),
        }
    }
}

/// Written piece by piece, so that the order of the names is kcat's, and a large value is not copied once more.
fn print_json(record: &FetchedRecord<'_>, to: &mut Vec<u8>) {
    let kind = match record.timestamp_type() {
        TimestampType::LogAppendTime => "logappend",
        _ => "create",
    };
    to.extend_from_slice(b"{\"topic\":");
    print_text(record.topic(), to);
    // Writing to memory does not fail.
    let _ = write!(
        to,
        ",\"partition\":{},\"offset\":{},\"tstype\":\"{kind}\",\"ts\":{}",
        record.partition(),
        record.offset(),
        record.timestamp_ms()
    );
    let mut headers = record.headers().peekable();
    if headers.peek().is_some() {
        let mut before = "[";
        to.extend_from_slice(b",\"headers\":");
        for header in headers {
            to.extend_from_slice(before.as_bytes());
            before = ",";
            print_bytes(Some(header.key), to);
            to.push(b',');
            print_bytes(header.value, to);
        }
        to.push(b']');
    }
    to.extend_from_slice(b",\"key\":");
    print_bytes(record.key(), to);
    to.extend_from_slice(b",\"payload\":");
    print_bytes(record.value(), to);
    to.extend_from_slice(b"}\n");
}

fn print_bytes(bytes: Option<&[u8]>, to: &mut Vec<u8>) {
    match bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes)) {
        None => to.extend_from_slice(b"null"),
        Some(Ok(text)) => print_text(text, to),
        Some(Err(bytes)) => print_value(&json!({ "base64": STANDARD.encode(bytes) }), to),
    }
}

fn print_text(text: &str, to: &mut Vec<u8>) {
    // A text can always be said in JSON, and writing to memory does not fail.
    let _ = serde_json::to_writer(to, text);
}

fn print_value(value: &Value, to: &mut Vec<u8>) {
    let _ = serde_json::to_writer(to, value);
}
