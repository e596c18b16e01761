//! [`Envelope`]: a record as `ottla consume -J` and `kcat -J` print it, one JSON object a line.
//!
//! A payload that is missing is no tombstone: only `null` is. A name that is not known is refused, so that a slip of the pen
//! in `headers` does not lose them without a word; so is a line whose writer could not read the key or the payload, for its
//! `null` is none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What one line says of a record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a record, as in {\"key\":\"k\",\"payload\":\"v\"}")]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) payload: Content<'a>,
    #[serde(borrow, default)]
    pub(super) key: Content<'a>,
    #[serde(borrow, default)]
    pub(super) headers: Headers<'a>,
    pub(super) partition: Option<i32>,
    pub(super) ts: Option<i64>,
    key_error: Option<IgnoredAny>,
    payload_error: Option<IgnoredAny>,
    #[serde(rename = "topic")]
    _topic: Option<IgnoredAny>,
    #[serde(rename = "offset")]
    _offset: Option<IgnoredAny>,
    #[serde(rename = "tstype")]
    _timestamp_type: Option<IgnoredAny>,
    #[serde(rename = "broker")]
    _broker: Option<IgnoredAny>,
    #[serde(rename = "key_schema_id")]
    _key_schema_id: Option<IgnoredAny>,
    #[serde(rename = "value_schema_id")]
    _value_schema_id: Option<IgnoredAny>,
}

impl<'a> Envelope<'a> {
    /// # Errors
    /// When the line is no JSON, or not of this shape.
    pub(super) fn read(line: &'a [u8]) -> serde_json::Result<Envelope<'a>> {
        let envelope: Envelope<'_> = serde_json::from_slice(line).map_err(|error| unreadable(line, error))?;
        if envelope.key_error.is_some() || envelope.payload_error.is_some() {
            return Err(Error::custom("whoever wrote the line could not read the record it speaks of"));
        }
        Ok(envelope)
    }
}

/// kcat writes bytes that are no text raw, into what is no JSON then: who pipes it should know what to do instead.
fn unreadable(line: &[u8], error: serde_json::Error) -> serde_json::Error {
    match std::str::from_utf8(line) {
        Ok(_) => error,
        Err(not_utf8) => Error::custom(format!(
            "byte {} is no UTF-8. kcat -J leaves such bytes as they are, `ottla consume -J` makes \
             {{\"base64\":\"..\"}} of them",
            not_utf8.valid_up_to() + 1
        )),
    }
}

/// A key, a payload, or the value of a header.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Content<'a> {
    #[default]
    Null,
    Bytes(Cow<'a, [u8]>),
}

impl Content<'_> {
    /// The bytes, if it is not null; those of `line`, of which this was read, are not copied.
    pub(super) fn bytes(self, line: &Bytes) -> Option<Bytes> {
        match self {
            Content::Null => None,
            Content::Bytes(Cow::Borrowed(part)) => Some(line.slice_ref(part)),
            Content::Bytes(Cow::Owned(bytes)) => Some(bytes.into()),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Content<'a>, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, null or {\"base64\":\"..\"}")
    }

    fn visit_unit<E: Error>(self) -> Result<Content<'de>, E> {
        Ok(Content::Null)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Content<'de>, E> {
        Ok(Content::Bytes(Cow::Borrowed(text.as_bytes())))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content<'de>, E> {
        Ok(Content::Bytes(Cow::Owned(text.as_bytes().to_vec())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content<'de>, A::Error> {
        let mut bytes = None;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name != "base64" || bytes.is_some() {
                return Err(Error::custom("of objects only {\"base64\":\"..\"} is bytes"));
            }
            let text = map.next_value::<Cow<'de, str>>()?;
            bytes = Some(
                STANDARD
                    .decode(text.as_bytes())
                    .map_err(|error| Error::custom(format!("base64: {error}")))?,
            );
        }
        let bytes = bytes.ok_or_else(|| Error::custom("of objects only {\"base64\":\"..\"} is bytes"))?;
        Ok(Content::Bytes(Cow::Owned(bytes)))
    }
}

/// Names and values in their order; a name can be there more than once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Headers<'a>(pub(super) Vec<(Cow<'a, str>, Content<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Headers<'a>, D::Error> {
        deserializer.deserialize_any(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers: a list of names and values in turn, or an object")
    }

    fn visit_unit<E: Error>(self) -> Result<Headers<'de>, E> {
        Ok(Headers::default())
    }

    /// As kcat prints it, and `ottla consume`.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Headers<'de>, A::Error> {
        let mut headers = Vec::new();
        while let Some(name) = list.next_element::<Cow<'de, str>>()? {
            let value = list.next_element()?;
            headers.push((name, value.ok_or_else(|| Error::custom("the last header has no value"))?));
        }
        Ok(Headers(headers))
    }

    /// As kcat's help has it, and as one writes it by hand.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers<'de>, A::Error> {
        let mut headers = Vec::new();
        while let Some(header) = map.next_entry()? {
            headers.push(header);
        }
        Ok(Headers(headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Content<'_> {
        Content::Bytes(Cow::Borrowed(text.as_bytes()))
    }

    #[test]
    fn what_kcat_prints_is_read() {
        let line = r#"{"topic":"t","partition":3,"offset":4,"tstype":"create","ts":5,"broker":1,"headers":["a","1","b",null,"a","2"],"key":"k","payload":"\u0001v"}"#;
        let envelope = Envelope::read(line.as_bytes()).unwrap();
        let names: Vec<_> = envelope.headers.0.iter().map(|(name, value)| (&**name, value)).collect();
        assert_eq!(names, [("a", &bytes("1")), ("b", &Content::Null), ("a", &bytes("2"))]);
        assert_eq!((envelope.key, envelope.payload), (bytes("k"), bytes("\u{1}v")));
        assert_eq!((envelope.partition, envelope.ts), (Some(3), Some(5)));
    }

    #[test]
    fn null_text_and_bytes_are_three_things() {
        for (json, expected) in [
            ("null", Content::Null),
            (r#""""#, bytes("")),
            (r#""null""#, bytes("null")),
            (r#"{"base64":"/w=="}"#, Content::Bytes(Cow::Owned(vec![0xff]))),
            (r#"{"base64":""}"#, Content::Bytes(Cow::Owned(vec![]))),
        ] {
            let line = format!(r#"{{"payload":{json},"headers":{{"h":{json}}}}}"#);
            let envelope = Envelope::read(line.as_bytes()).unwrap();
            assert_eq!(envelope.payload, expected, "{line}");
            assert_eq!(envelope.headers.0, [("h".into(), expected)], "{line}");
            assert_eq!(envelope.key, Content::Null);
        }
    }

    #[test]
    fn what_is_no_record_is_told() {
        for (line, told) in [
            ("", "EOF"),
            ("[]", "expected"),
            ("{}", "missing field `payload`"),
            (r#"{"key":"k"}"#, "missing field `payload`"),
            (r#"{"payload":"v"} {}"#, "trailing"),
            (r#"{"payload":"v","payload":"w"}"#, "duplicate field"),
            (r#"{"payload":"v","header":["a","b"]}"#, "unknown field `header`"),
            (r#"{"payload":1}"#, "a text, null or"),
            (r#"{"payload":{"a":1}}"#, "base64"),
            (r#"{"payload":{}}"#, "base64"),
            (r#"{"payload":{"base64":"/w==","base64":""}}"#, "base64"),
            (r#"{"payload":{"base64":"?"}}"#, "base64: "),
            (r#"{"payload":"v","headers":["a"]}"#, "the last header has no value"),
            (r#"{"payload":"v","headers":[null,"a"]}"#, "expected"),
            (r#"{"payload":"v","headers":"a"}"#, "names and values in turn"),
            (r#"{"payload":null,"payload_error":"no schema"}"#, "could not read the record"),
            (r#"{"payload":"v","partition":"x"}"#, "i32"),
        ] {
            let error = Envelope::read(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(told), "{line}: {error}");
        }
        let raw = Envelope::read(b"{\"payload\":\"\xff\"}").unwrap_err().to_string();
        assert!(raw.starts_with("byte 13 is no UTF-8. kcat -J"), "{raw}");
    }
}
