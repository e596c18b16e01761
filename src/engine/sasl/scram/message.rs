//! The grammar of RFC 5802, section 7: `attribute=value` parts divided by commas.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::super::SaslError;

/// No message of an honest peer comes near it; beyond it nothing is parsed, still less hashed.
const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// One message, taken apart from the left.
pub(super) struct Parts<'a> {
    mechanism: &'static str,
    rest: Option<&'a str>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(mechanism: &'static str, message: &'a [u8]) -> Result<Self, SaslError> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(SaslError::Malformed { mechanism, what: "longer than any SCRAM message" });
        }
        let text = std::str::from_utf8(message)
            .map_err(|_| SaslError::Malformed { mechanism, what: "not UTF-8" })?;
        Ok(Self { mechanism, rest: Some(text) })
    }

    /// The next part as it stands.
    pub(super) fn raw(&mut self) -> Option<&'a str> {
        let (part, rest) = match self.rest?.split_once(',') {
            Some((part, rest)) => (part, Some(rest)),
            None => (self.rest?, None),
        };
        self.rest = rest;
        Some(part)
    }

    /// The value of the next part, which must be `attribute`.
    pub(super) fn value(&mut self, attribute: char, missing: &'static str) -> Result<&'a str, SaslError> {
        let part = self.raw().unwrap_or_default();
        match part.strip_prefix(attribute).and_then(|rest| rest.strip_prefix('=')) {
            Some(value) if !value.is_empty() => Ok(value),
            _ if part.starts_with("m=") => Err(SaslError::MandatoryExtension),
            _ => Err(self.malformed(missing)),
        }
    }

    /// What is left to be taken apart.
    pub(super) fn rest(&self) -> &'a str {
        self.rest.unwrap_or_default()
    }

    /// What follows the known parts: optional extensions are skipped, as the RFC asks, anything else is
    /// refused. Kafka's own have names of more than one letter (`tokenauth`, KIP-48).
    pub(super) fn skip_extensions(mut self) -> Result<(), SaslError> {
        while let Some(part) = self.raw() {
            match part.split_once('=') {
                Some(("m", _)) => return Err(SaslError::MandatoryExtension),
                Some((name, _)) if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic()) => {}
                _ => return Err(self.malformed("something after its end that is no extension")),
            }
        }
        Ok(())
    }

    pub(super) fn malformed(&self, what: &'static str) -> SaslError {
        SaslError::Malformed { mechanism: self.mechanism, what }
    }
}

pub(super) fn encode64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub(super) fn decode64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// A user's name as a part's value: `,` and `=` would end it.
pub(super) fn escape_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// The name again, or nothing when an `=` is not one of the two escapes.
pub(super) fn unescape_name(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (character, rest) = part
            .strip_prefix("2C")
            .map(|rest| (',', rest))
            .or_else(|| Some(('=', part.strip_prefix("3D")?)))?;
        name.push(character);
        name.push_str(rest);
    }
    Some(name)
}

/// Printable ASCII without the comma.
pub(super) fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}
