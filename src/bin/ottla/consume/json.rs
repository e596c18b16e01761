//! [`Json`]: a record as `kcat -J` prints it, to the byte, and as `ottla produce -J` reads it.
//!
//! Where kcat's output would be no JSON, ours is another: bytes that are no UTF-8 are `{"base64":".."}` and not written raw.

use super::leaders::Leaders;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ottla::consumer::{FetchedRecord, TimestampType};
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CharEscape, Formatter};
use std::io::{self, Write};

/// Records as JSON objects.
#[derive(Debug)]
pub(super) struct Json {
    delimiter: Vec<u8>,
    leaders: Leaders,
}

impl Json {
    /// `delimiter` follows each object.
    pub(super) fn new(delimiter: Vec<u8>, leaders: Leaders) -> Json {
        Json { delimiter, leaders }
    }

    pub(super) fn leaders(&mut self) -> &mut Leaders {
        &mut self.leaders
    }

    /// Written piece by piece, so that the order of the names is kcat's, and a large value is not copied once more.
    pub(super) fn print(&self, record: &FetchedRecord<'_>, to: &mut Vec<u8>) {
        let kind = match record.timestamp_type() {
            TimestampType::LogAppendTime => "logappend",
            _ => "create",
        };
        to.extend_from_slice(b"{\"topic\":");
        print_text(record.topic(), to);
        // Writing to memory does not fail.
        let _ = write!(
            to,
            ",\"partition\":{},\"offset\":{},\"tstype\":\"{kind}\",\"ts\":{},\"broker\":{}",
            record.partition(),
            record.offset(),
            record.timestamp_ms(),
            self.leaders.of(record.topic(), record.partition()),
        );
        let headers = record.headers();
        if headers.len() > 0 {
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
        to.push(b'}');
        to.extend_from_slice(&self.delimiter);
    }
}

fn print_bytes(bytes: Option<&[u8]>, to: &mut Vec<u8>) {
    match bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes)) {
        None => to.extend_from_slice(b"null"),
        Some(Ok(text)) => print_text(text, to),
        Some(Err(bytes)) => print_base64(bytes, to),
    }
}

fn print_text(text: &str, to: &mut Vec<u8>) {
    // A text can always be said in JSON, and writing to memory does not fail.
    let _ = text.serialize(&mut Serializer::with_formatter(to, Kcat));
}

fn print_base64(bytes: &[u8], to: &mut Vec<u8>) {
    to.extend_from_slice(b"{\"base64\":\"");
    let start = to.len();
    // Four letters for each three bytes, and for what is left of three.
    to.resize(start + bytes.len().div_ceil(3) * 4, b'=');
    if let Some(place) = to.get_mut(start..) {
        // It has just the right size.
        let _ = STANDARD.encode_slice(bytes, place);
    }
    to.extend_from_slice(b"\"}");
}

/// serde_json's way to write, but for the letters of `\u001F`, which kcat writes large.
struct Kcat;

impl Formatter for Kcat {
    fn write_char_escape<W: ?Sized + Write>(&mut self, to: &mut W, escape: CharEscape) -> io::Result<()> {
        let letters: &[u8] = match escape {
            CharEscape::Quote => b"\\\"",
            CharEscape::ReverseSolidus => b"\\\\",
            CharEscape::Solidus => b"\\/",
            CharEscape::Backspace => b"\\b",
            CharEscape::FormFeed => b"\\f",
            CharEscape::LineFeed => b"\\n",
            CharEscape::CarriageReturn => b"\\r",
            CharEscape::Tab => b"\\t",
            CharEscape::AsciiControl(byte) => return write!(to, "\\u{byte:04X}"),
        };
        to.write_all(letters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(bytes: &[u8]) -> Vec<u8> {
        let mut printed = b"before".to_vec();
        print_bytes(Some(bytes), &mut printed);
        printed.split_off("before".len())
    }

    #[test]
    fn texts_are_escaped_as_kcat_does() {
        let text = "\0\x0b\x1f\x08\t\n\x0c\r\"\\/\x7f\u{85}\u{2028}😀";
        let json = "\"\\u0000\\u000B\\u001F\\b\\t\\n\\f\\r\\\"\\\\/\x7f\u{85}\u{2028}😀\"";
        assert_eq!(String::from_utf8(printed(text.as_bytes())).unwrap(), json);
    }

    #[test]
    fn what_is_no_text_is_base64() {
        for (bytes, json) in [
            (b"\xff".as_slice(), r#"{"base64":"/w=="}"#),
            (b"\xff\xfe", r#"{"base64":"//4="}"#),
            (b"\xff\xfe\xfd", r#"{"base64":"//79"}"#),
            (b"", r#""""#),
        ] {
            assert_eq!(String::from_utf8(printed(bytes)).unwrap(), json);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_read_as_it_was(text in "[\\x00-\\x7fž😀]{0,40}") {
            prop_assert_eq!(serde_json::from_slice::<String>(&printed(text.as_bytes())).unwrap(), text);
        }

        #[test]
        fn any_bytes_are_read_as_they_were(bytes: Vec<u8>) {
            let value: serde_json::Value = serde_json::from_slice(&printed(&bytes)).unwrap();
            let read = match &value {
                serde_json::Value::String(text) => text.as_bytes().to_vec(),
                object => STANDARD.decode(object["base64"].as_str().unwrap()).unwrap(),
            };
            prop_assert_eq!(read, bytes);
        }
    }
}
