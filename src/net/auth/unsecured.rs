//! [`Unsecured`]: tokens that nobody signed (RFC 7515, appendix A.5), for development, as Java's
//! `OAuthBearerUnsecuredLoginCallbackHandler` makes them.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::token::{BoxFuture, Token, TokenProvider};
use crate::config::UnsecuredToken;
use crate::error::Result;
use crate::task;

/// Makes a token each time that one is asked for.
pub(super) struct Unsecured(pub(super) UnsecuredToken);

impl TokenProvider for Unsecured {
    fn token(&self) -> BoxFuture<'_, Result<Token>> {
        let token = Token::new(compact(&self.0, task::wall_ms()));
        Box::pin(std::future::ready(token.map(|token| token.lifetime(self.0.lifetime))))
    }
}

/// Header and claims, and no signature behind the last dot.
fn compact(token: &UnsecuredToken, wall_ms: i64) -> String {
    let encode = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
    format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims(token, wall_ms)))
}

/// Written by hand: the crate's JSON is optional. `iat` and `exp` are seconds with three places, as Java writes them.
fn claims(token: &UnsecuredToken, wall_ms: i64) -> String {
    let life_ms = i64::try_from(token.lifetime.as_millis()).unwrap_or(i64::MAX);
    let expires_ms = wall_ms.saturating_add(life_ms);
    let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
    let mut json = format!("{{\"iat\":{},\"exp\":{}", seconds(wall_ms), seconds(expires_ms));
    let mut claim = |name: &str, value: &dyn Fn(&mut String)| {
        json.push(',');
        string(&mut json, name);
        json.push(':');
        value(&mut json);
    };
    for (name, value) in &token.string_claims {
        claim(name, &|json| string(json, value));
    }
    for (name, value) in &token.number_claims {
        // The settings take finite numbers only.
        claim(name, &|json| json.push_str(&value.to_string()));
    }
    for (name, values) in &token.list_claims {
        claim(name, &|json| {
            json.push('[');
            for (index, value) in values.iter().enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                string(json, value);
            }
            json.push(']');
        });
    }
    json.push('}');
    json
}

/// A JSON string.
fn string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c.is_control() && c.is_ascii() => {
                // Writing into a string cannot fail.
                write!(json, "\\u{:04x}", u32::from(c)).ok();
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_token_has_a_header_claims_and_no_signature() {
        let mut token = UnsecuredToken::default();
        token.string_claims.push(("sub".to_owned(), "al\"i\\ce\n žofie".to_owned()));
        token.number_claims.push(("level".to_owned(), 2.5));
        token.list_claims.push(("scope".to_owned(), vec!["read".to_owned(), "write".to_owned()]));
        token.list_claims.push(("none".to_owned(), Vec::new()));
        token.lifetime = Duration::from_secs(60);
        let compact = compact(&token, 1_700_000_000_042);
        let parts: Vec<_> = compact.split('.').collect();
        let decode = |part| String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(parts.len(), 3);
        assert_eq!(decode(parts[0]), r#"{"alg":"none"}"#);
        assert_eq!(
            decode(parts[1]),
            "{\"iat\":1700000000.042,\"exp\":1700000060.042,\"sub\":\"al\\\"i\\\\ce\\u000a žofie\",\
             \"level\":2.5,\"scope\":[\"read\",\"write\"],\"none\":[]}"
        );
        assert_eq!(parts[2], "");
    }
}
