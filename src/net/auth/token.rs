//! [`Token`] and [`TokenProvider`]: how an application gives tokens for SASL/OAUTHBEARER.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::engine::sasl::{BearerToken, SaslError};
use crate::error::{Error, ErrorKind, Result};

/// A boxed future of a trait's method.
pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A token for SASL/OAUTHBEARER, and how long it is good. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct Token {
    pub(super) bearer: BearerToken,
    pub(super) lifetime: Option<Duration>,
}

impl Token {
    /// A token as its issuer wrote it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when it has characters that no bearer token has.
    pub fn new(value: impl Into<String>) -> Result<Token> {
        let bearer = BearerToken::new(value).map_err(invalid)?;
        Ok(Token { bearer, lifetime: None })
    }

    /// How long it is good from now on. It is used until then, and replaced before
    /// (`sasl.login.refresh.window.factor` and what goes with it). Without it each authentication asks for a new one.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Token {
        self.lifetime = Some(lifetime);
        self
    }

    /// Adds an extension (KIP-342). It goes before one of the same name in the settings.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when key or value has characters that an extension cannot have.
    pub fn extension(mut self, key: impl Into<String>, value: impl Into<String>) -> Result<Token> {
        self.bearer = self.bearer.extension(key, value).map_err(invalid)?;
        Ok(self)
    }

    /// Adds those of the settings that it has not.
    pub(super) fn with_extensions(mut self, extensions: &[(String, String)]) -> Result<Token> {
        for (key, value) in extensions {
            if !self.bearer.extensions().iter().any(|(own, _)| own == key) {
                self = self.extension(key.as_str(), value.as_str())?;
            }
        }
        Ok(self)
    }
}

fn invalid(error: SaslError) -> Error {
    Error::new(ErrorKind::InvalidInput, "make an OAUTHBEARER token").with_source(error)
}

/// Gives tokens for SASL/OAUTHBEARER.
///
/// ```
/// use ottla::{Result, Token, TokenProvider};
/// use std::{future::Future, pin::Pin, time::Duration};
///
/// struct Sts;
///
/// impl TokenProvider for Sts {
///     fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token>> + Send + '_>> {
///         Box::pin(async {
///             let value = String::from("ask.your.issuer"); // over the network, say
///             Ok(Token::new(value)?.lifetime(Duration::from_secs(900)))
///         })
///     }
/// }
/// ```
pub trait TokenProvider: Send + Sync {
    /// The next token.
    ///
    /// Called when the first connection needs one, and again before the last one expires
    /// (`sasl.login.refresh.window.factor`, `..window.jitter`, `..buffer.seconds`, `..min.period.seconds`), in a task of its
    /// own, never twice at once, and for at most a minute. While it fails, the last token is used until it expires, and
    /// it is called again after `sasl.login.retry.backoff.ms`, doubling to `sasl.login.retry.backoff.max.ms`; without a
    /// token that is good, calls that need a connection fail with what it said.
    ///
    /// # Errors
    /// Whatever it likes: kinds that [may pass](Error::is_retriable), such as [`ErrorKind::Connect`] and
    /// [`ErrorKind::Timeout`], are tried again until the call's own deadline; others, such as
    /// [`ErrorKind::Authentication`], end the calls that wait for a connection. Errors are logged and shown: keep secrets out.
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token>> + Send + '_>>;
}
