//! [`Endpoint`]: tokens from an identity provider, by OAuth 2.0 client credentials (RFC 6749, section 4.4; KIP-768).
//!
//! One POST on a connection of its own, over TLS, or without it only where a secret may go unencrypted. The certificate is
//! verified whatever the program says of the brokers': against the system's authorities, or those of `https.ca.location`.
//! Redirects are refused, the answer is bounded, no error repeats a secret.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::http::{self, Answer, Reader, Url, form_encoded};
use super::token::{BoxFuture, Token, TokenProvider};
use crate::config::{ClientConfig, Sasl, Secret, Ssl, TokenEndpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::net::dial::{self, Dial, Security, Stream};
use crate::net::tls::TlsClient;
use crate::task;

/// Asks a token endpoint.
pub(super) struct Endpoint {
    url: Url,
    endpoint: dial::Endpoint,
    dial: Arc<dyn Dial>,
    authorization: Zeroizing<String>,
    form: Zeroizing<String>,
    /// What no error may repeat.
    secret: Secret,
    connect_timeout: Duration,
    read_timeout: Duration,
}

impl Endpoint {
    /// What the settings say.
    ///
    /// # Errors
    /// `Config` when they do not suffice, make no sense, or would send the secret unencrypted.
    pub(super) fn new(
        settings: &TokenEndpoint,
        sasl: &Sasl,
        config: &ClientConfig,
        dial: &Arc<dyn Dial>,
    ) -> Result<Endpoint> {
        let url = Url::parse(&settings.url)
            .map_err(|why| Error::config(format!("sasl.oauthbearer.token.endpoint.url: {why}")))?;
        if !url.is_https && !sasl.plaintext_allowed(&url.host) {
            return Err(Error::config(format!(
                "sasl.oauthbearer.token.endpoint.url would send the client's secret to {} unencrypted",
                url.host
            ))
            .hint("use https, or set sasl.allow.plaintext=true if the network is yours"));
        }
        let security = if url.is_https {
            // Nothing of the brokers' settings: no client certificate, no other authority, nothing dangerous.
            let ssl = Ssl { ca: settings.ca.clone(), ..Ssl::default() };
            Security::Tls(TlsClient::new(&ssl)?)
        } else {
            Security::Plaintext
        };
        let (id, secret) = id_and_secret(settings)?;
        // As long as a connection to a broker may take, in two halves, so that what went wrong is known in time to be told.
        let timeout = config.connection_setup_timeout / 2;
        Ok(Endpoint {
            endpoint: dial::Endpoint::new(url.host.as_str(), url.port, security),
            url,
            dial: Arc::clone(dial),
            authorization: authorization(id, secret.expose(), settings.url_encode)?,
            form: form(settings.scope.as_deref()),
            secret,
            connect_timeout: settings.connect_timeout.unwrap_or(timeout),
            read_timeout: settings.read_timeout.unwrap_or(timeout),
        })
    }

    async fn ask(&self) -> Result<Token> {
        let answer = self.exchange().await?;
        match answer.status {
            200 | 201 => token(&answer.body, task::wall_ms()).map_err(|why| self.refusal(ErrorKind::Authentication, why)),
            300..=399 => {
                let location = answer.location.map(|location| self.harmless(without_query(&location)));
                let to = location.map(|location| format!(" to {location}")).unwrap_or_default();
                Err(self
                    .refusal(ErrorKind::Authentication, format!("the endpoint redirects{to}, and secrets do not follow"))
                    .hint("set sasl.oauthbearer.token.endpoint.url to the address that answers"))
            }
            // What may pass.
            status @ (408 | 425 | 429 | 500 | 502..=599) => {
                Err(self.refusal(ErrorKind::Connect, format!("the endpoint answered {status}{}", self.said(&answer))))
            }
            status => Err(self
                .refusal(
                    ErrorKind::Authentication,
                    format!("the endpoint answered {status}{}", self.said(&answer)),
                )
                .hint("check sasl.oauthbearer.client.credentials.client.id, its secret and sasl.oauthbearer.scope")),
        }
    }

    async fn exchange(&self) -> Result<Answer> {
        let failed = |error: Error| {
            let outer = Error::new(error.kind(), self.attempt());
            let is_tls = error.kind() == ErrorKind::Tls;
            let outer = outer.with_source(error);
            if is_tls { outer.hint("the endpoint's authority goes into https.ca.location") } else { outer }
        };
        let deadline = task::after(task::now(), self.connect_timeout);
        let late = || Error::new(ErrorKind::Timeout, "connect (sasl.login.connect.timeout.ms)");
        let dialled = task::until(deadline, self.dial.dial(&self.endpoint, deadline)).await;
        let connected = dialled.ok_or_else(late).flatten().map_err(failed)?;
        let deadline = task::after(task::now(), self.read_timeout);
        self.post(connected.stream, deadline).await.map_err(failed)
    }

    async fn post(&self, mut stream: Box<dyn Stream>, deadline: Instant) -> Result<Answer> {
        let exchange = async {
            let lost = |error| Error::new(ErrorKind::Disconnected, "ask the endpoint").with_source(error);
            let request = http::post_form(&self.url, &self.authorization, &self.form);
            stream.write_all(&request).await.map_err(lost)?;
            stream.flush().await.map_err(lost)?;
            let mut reader = Reader::default();
            let mut piece = Zeroizing::new(vec![0; 8 * 1024]);
            loop {
                let read = stream.read(piece.as_mut_slice()).await.map_err(lost)?;
                let malformed =
                    |error| Error::new(ErrorKind::Protocol, "read the endpoint's answer").with_source(error);
                if read == 0 {
                    return reader.ended().map_err(malformed);
                }
                let bytes = piece.get(..read).unwrap_or_default();
                if let Some(answer) = reader.received(bytes).map_err(malformed)? {
                    return Ok(answer);
                }
            }
        };
        let late =
            || Error::new(ErrorKind::Timeout, "wait for the endpoint's answer (sasl.login.read.timeout.ms)");
        task::until(deadline, exchange).await.ok_or_else(late).flatten()
    }

    fn attempt(&self) -> String {
        format!("ask {} for a token", self.url)
    }

    fn refusal(&self, kind: ErrorKind, why: impl Into<String>) -> Error {
        Error::new(kind, self.attempt()).with_source(Said(why.into()))
    }

    /// What an answer says of the error (RFC 6749, section 5.2).
    fn said(&self, answer: &Answer) -> String {
        let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { return String::new() };
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let words: Vec<&str> = [text("error"), text("error_description")].into_iter().flatten().collect();
        if words.is_empty() { String::new() } else { format!(": {}", self.harmless(&words.join(": "))) }
    }

    /// One line of printable characters out of what the endpoint sent, or nothing of it when it repeats a secret.
    fn harmless(&self, text: &str) -> String {
        const MAX_CHARS: usize = 300;
        let secret = self.secret.expose();
        let encoded = self.authorization.strip_prefix(BASIC).unwrap_or(&self.authorization);
        let shapes = [secret.as_str(), encoded, &form_encoded(secret), &BASE64_STANDARD.encode(secret)];
        if shapes.iter().any(|shape| text.contains(shape)) {
            return "(withheld: it repeats the client's secret)".to_owned();
        }
        text.chars().take(MAX_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    }
}

impl TokenProvider for Endpoint {
    fn token(&self) -> BoxFuture<'_, Result<Token>> {
        Box::pin(self.ask())
    }
}

/// What is wrong, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);

const BASIC: &str = "Basic ";

fn id_and_secret(settings: &TokenEndpoint) -> Result<(&str, Secret)> {
    let missing = |key: &str| {
        Error::config(format!("{key} is not set, and sasl.oauthbearer.token.endpoint.url needs it"))
    };
    let id = settings.client_id.as_deref().filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| missing("sasl.oauthbearer.client.credentials.client.id"))?;
    let secret = settings.client_secret.clone().filter(|secret| !secret.expose().is_empty());
    Ok((id, secret.ok_or_else(|| missing("sasl.oauthbearer.client.credentials.client.secret"))?))
}

/// HTTP's Basic scheme. RFC 6749 wants id and secret encoded as in a form; many endpoints want them as they are (KIP-1025).
fn authorization(id: &str, secret: &str, url_encode: bool) -> Result<Zeroizing<String>> {
    let plain = if url_encode {
        let (id, secret) = (form_encoded(id), form_encoded(secret));
        Zeroizing::new([&id, ":", &secret].concat())
    } else if id.contains(':') {
        return Err(Error::config("sasl.oauthbearer.client.credentials.client.id has a colon")
            .hint("set sasl.oauthbearer.header.urlencode=true, if the endpoint understands it"));
    } else {
        Zeroizing::new([id, ":", secret].concat())
    };
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(plain.as_bytes()));
    Ok(Zeroizing::new([BASIC, &encoded].concat()))
}

fn form(scope: Option<&str>) -> Zeroizing<String> {
    let grant = "grant_type=client_credentials";
    match scope.map(str::trim).filter(|scope| !scope.is_empty()) {
        Some(scope) => Zeroizing::new([grant, "&scope=", &form_encoded(scope)].concat()),
        None => Zeroizing::new(grant.to_owned()),
    }
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// The token of an answer. How long it is good says `expires_in`, else the token itself.
fn token(body: &[u8], wall_ms: i64) -> Result<Token, &'static str> {
    let mut answer: Value = serde_json::from_slice(body).map_err(|_| "the endpoint's answer is no JSON")?;
    let value = match answer.get_mut("access_token").map(Value::take) {
        Some(Value::String(value)) => Zeroizing::new(value),
        _ => return Err("the endpoint's answer has no access_token"),
    };
    let seconds = answer.get("expires_in").and_then(|seconds| match seconds {
        Value::String(text) => text.parse().ok(),
        number => number.as_f64(),
    });
    let lifetime = match seconds {
        Some(seconds) => Some(lifetime(seconds)?),
        None => lifetime_of(&value, wall_ms)?,
    };
    let token = Token::new(value.as_str())
        .map_err(|_| "the endpoint's access_token has characters that no token has")?;
    Ok(match lifetime {
        Some(lifetime) => token.lifetime(lifetime),
        None => token,
    })
}

/// What is left of the life of a JSON Web Token (RFC 7519), if it is one and says so.
pub(super) fn lifetime_of(token: &str, wall_ms: i64) -> Result<Option<Duration>, &'static str> {
    let claims = token.split('.').nth(1).and_then(|claims| BASE64_URL_SAFE_NO_PAD.decode(claims).ok());
    let claims = claims.and_then(|claims| serde_json::from_slice::<Value>(&claims).ok());
    let expires = claims.and_then(|claims| claims.get("exp")?.as_f64());
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
    let left = |expires: f64| expires - wall_ms as f64 / 1000.0;
    expires.map(|expires| lifetime(left(expires))).transpose()
}

fn lifetime(seconds: f64) -> Result<Duration, &'static str> {
    /// A token that says it is good for longer is asked for again after a year.
    const YEAR_SECONDS: f64 = 365.0 * 86_400.0;
    if seconds.is_nan() || seconds <= 0.0 {
        return Err("the token has expired already: is this machine's clock right?");
    }
    Ok(Duration::from_secs_f64(seconds.min(YEAR_SECONDS)))
}

#[cfg(test)]
mod tests;
