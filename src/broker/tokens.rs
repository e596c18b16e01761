//! Who a token of OAUTHBEARER is: what a test says, or what an unsecured token says of itself.

use std::time::Duration;

/// Whose a token is, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct TokenOwner {
    pub(super) principal: String,
    pub(super) lifetime: Option<Duration>,
}

impl TokenOwner {
    /// A user; the token is good for ever.
    pub fn new(user: impl Into<String>) -> TokenOwner {
        TokenOwner { principal: user.into(), lifetime: None }
    }

    /// How long the token is good from now on: then the client has to authenticate again (KIP-368).
    pub fn lifetime(mut self, lifetime: Duration) -> TokenOwner {
        self.lifetime = Some(lifetime);
        self
    }
}

/// Says whose a token is, or why it is nobody's.
pub(super) type Check = Box<dyn Fn(&str) -> Result<TokenOwner, String> + Send + Sync>;

/// Reads a token that nobody signed (RFC 7515, appendix A.5), as Kafka's `OAuthBearerUnsecuredValidatorCallbackHandler` does: its
/// algorithm is `none`, `sub` is the user, `exp` lies ahead and `iat` does not.
#[cfg(feature = "json")]
pub(super) fn unsecured(token: &str) -> Result<TokenOwner, String> {
    read(token, crate::task::wall_ms())
}

#[cfg(feature = "json")]
fn read(token: &str, now_ms: i64) -> Result<TokenOwner, String> {
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(""), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("not an unsecured JWS: header.claims. is expected".to_owned());
    };
    let (header, claims) = (object(header, "header")?, object(claims, "claims")?);
    if header.get("alg").and_then(serde_json::Value::as_str) != Some("none") {
        return Err("the algorithm of an unsecured token is \"none\"".to_owned());
    }
    let now = now_ms as f64 / 1000.0;
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(format!("the claim {name} is not a number")),
    };
    let expires = time("exp")?.ok_or("the claim exp is missing")?;
    if expires <= now {
        return Err("the token has expired".to_owned());
    }
    if time("iat")?.is_some_and(|issued| issued > now) {
        return Err("the token is from the future".to_owned());
    }
    match claims.get("sub").and_then(serde_json::Value::as_str) {
        Some(user) if !user.is_empty() => {
            let lifetime = Duration::try_from_secs_f64(expires - now).unwrap_or(Duration::MAX);
            Ok(TokenOwner::new(user).lifetime(lifetime))
        }
        _ => Err("the claim sub is missing".to_owned()),
    }
}

#[cfg(feature = "json")]
fn object(part: &str, what: &str) -> Result<serde_json::Value, String> {
    use base64::Engine as _;
    let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(part);
    let value = bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    value.filter(serde_json::Value::is_object).ok_or(format!("the {what} is no JSON object"))
}

#[cfg(all(test, feature = "json"))]
mod tests {
    use super::*;
    use base64::Engine as _;

    fn token(header: &str, claims: &str) -> String {
        let encode = |json: &str| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(json);
        format!("{}.{}.", encode(header), encode(claims))
    }

    #[test]
    fn an_unsecured_token_says_whose_it_is_and_until_when() {
        let none = r#"{"alg":"none"}"#;
        let good = token(none, r#"{"sub":"alice","iat":9.5,"exp":25}"#);
        let owner = read(&good, 10_000).unwrap();
        assert_eq!(owner, TokenOwner::new("alice").lifetime(Duration::from_secs(15)));
        for wrong in [
            token(none, r#"{"sub":"alice","exp":10}"#),
            token(none, r#"{"sub":"alice"}"#),
            token(none, r#"{"sub":"alice","exp":"25"}"#),
            token(none, r#"{"sub":"alice","iat":11,"exp":25}"#),
            token(none, r#"{"sub":"","exp":25}"#),
            token(none, r#"{"exp":25}"#),
            token(none, "[]"),
            token(r#"{"alg":"RS256"}"#, r#"{"sub":"alice","exp":25}"#),
            format!("{good}c2lnbmF0dXJl"),
            "abc".to_owned(),
            "..".to_owned(),
        ] {
            read(&wrong, 10_000).unwrap_err();
        }
    }
}
