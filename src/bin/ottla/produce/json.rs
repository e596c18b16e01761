//! JSON with sorted keys and without white space, every number as it was written: read into a `f64`, a long one would
//! silently become another.

use serde::de::Error as _;
use serde_json::value::RawValue;
use serde_json::{Error, Result};
use std::collections::BTreeMap;

/// How deep values may lie in each other, as in `serde_json` itself.
const MAX_DEPTH: usize = 128;

/// The JSON text with sorted keys. Of two equal keys in an object the last one counts.
///
/// # Errors
/// When it is no JSON, or lies too deep.
pub(super) fn sorted(text: &[u8]) -> Result<Vec<u8>> {
    let mut written = Vec::with_capacity(text.len());
    write(serde_json::from_slice(text)?, MAX_DEPTH, &mut written)?;
    Ok(written)
}

fn write(value: &RawValue, depth: usize, to: &mut Vec<u8>) -> Result<()> {
    let text = value.get();
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(Error::custom(format!("more than {MAX_DEPTH} values lie in each other")));
    };
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            to.push(b'{');
            for (at, (key, member)) in members.into_iter().enumerate() {
                separate(at, to);
                serde_json::to_writer(&mut *to, &key)?;
                to.push(b':');
                write(member, deeper, to)?;
            }
            to.push(b'}');
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(text)?;
            to.push(b'[');
            for (at, element) in elements.into_iter().enumerate() {
                separate(at, to);
                write(element, deeper, to)?;
            }
            to.push(b']');
        }
        // Equal texts can be escaped in several ways.
        Some(b'"') => serde_json::to_writer(&mut *to, &serde_json::from_str::<String>(text)?)?,
        _ => to.extend_from_slice(text.as_bytes()),
    }
    Ok(())
}

fn separate(at: usize, to: &mut Vec<u8>) {
    if at > 0 {
        to.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        String::from_utf8(sorted(json.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn keys_are_sorted_at_every_depth() {
        assert_eq!(
            text(r#" {"b": [ {"d":1, "c" : null} , true ], "a": "x y", "": {} , "B":[]} "#),
            r#"{"":{},"B":[],"a":"x y","b":[{"c":null,"d":1},true]}"#
        );
    }

    #[test]
    fn numbers_stay_as_they_are() {
        let numbers = "[1.10,12345678901234567890123,-0,1e400,0.1234567890123456789]";
        assert_eq!(text(numbers), numbers);
    }

    #[test]
    fn equal_texts_are_equal_bytes() {
        assert_eq!(text(r#"{"\u006b":"\u00e9\/"}"#), r#"{"k":"é/"}"#);
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        for wrong in
            ["", "{", "{\"a\":}", "[1,]", "nul", "1 2", "{\"a\":1}{\"b\":2}", "'x'", "NaN", "\"\\ud800\""]
        {
            assert!(sorted(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(sorted(b"\"\xff\"").is_err());
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(text(&nested(MAX_DEPTH)), nested(MAX_DEPTH));
        assert!(sorted(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(sorted(nested(10_000).as_bytes()).is_err());
    }
}
