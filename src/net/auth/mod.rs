//! [`Auth`]: what a connection authenticates with, made anew for each authentication so that rotated credentials count.
//!
//! User names and passwords are replaced by [`Auth::set_credentials`]; tokens come from a [`TokenProvider`]: the
//! application's, or one of ours made from the settings (one token for ever, unsecured ones, a file, an endpoint).
//!
//! Invariants: no secret in any `Debug`, error or event; nothing is sent unencrypted that the settings do not allow to be.
//! May import `engine::sasl`, `engine::retry`, `net::dial`, `config`, `error`, `task`.

#[cfg(feature = "json")]
mod endpoint;
mod file;
#[cfg(feature = "json")]
mod http;
mod token;
mod tokens;
mod unsecured;

pub use token::{Token, TokenProvider};

use crate::config::{ClientConfig, Sasl, SaslMechanism, Secret, TokenEndpoint};
use crate::engine::sasl::{BearerToken, Credentials, Mechanism, ScramHash};
use crate::error::{Error, ErrorKind, Result};
use crate::net::dial::Dial;
use crate::task;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;
use tokens::Tokens;
use unsecured::Unsecured;
use zeroize::Zeroizing;

/// Credentials and tokens of a client.
pub(crate) struct Auth {
    /// `None` without SASL.
    credentials: Option<RwLock<Credentials>>,
    /// For OAUTHBEARER.
    tokens: Option<Tokens>,
}

impl Auth {
    /// From the settings and, for OAUTHBEARER, the application's provider; a token endpoint is reached with `dial`.
    pub(crate) fn new(
        config: &ClientConfig,
        provider: Option<Arc<dyn TokenProvider>>,
        dial: &Arc<dyn Dial>,
    ) -> Result<Auth> {
        let Some(sasl) = &config.sasl else { return Ok(Auth { credentials: None, tokens: None }) };
        let tokens = if sasl.mechanism == SaslMechanism::OauthBearer {
            let provider = provider.map_or_else(|| from_settings(sasl, config, dial), Ok)?;
            Some(Tokens::new(provider, sasl.login_refresh, sasl.oauth.extensions.clone()))
        } else {
            None
        };
        Ok(Auth { credentials: Some(RwLock::new(credentials(sasl)?)), tokens })
    }

    /// Whether SASL is asked for.
    pub(crate) fn is_sasl(&self) -> bool {
        self.credentials.is_some()
    }

    /// Replaces user name and password from the next authentication on.
    pub(crate) fn set_credentials(&self, username: String, password: &Secret) -> Result<()> {
        let attempt = "set new credentials";
        let refused = |why: &'static str| Err(Error::new(ErrorKind::InvalidInput, attempt).hint(why));
        let Some(credentials) = &self.credentials else {
            return refused("the client does not use SASL (security.protocol)");
        };
        let mut credentials = credentials.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = credentials.clone();
        match &mut new {
            Credentials::Plain { username: name, password: secret }
            | Credentials::Scram { username: name, password: secret, .. } => {
                *name = username;
                *secret = Zeroizing::new(password.expose().clone());
            }
            Credentials::OAuthBearer => {
                return refused(
                    "the client uses OAUTHBEARER, whose token provider gives new tokens by itself",
                );
            }
        }
        // What the mechanism cannot carry is told now, and the old ones stay.
        new.mechanism([0; 24])
            .map_err(|error| Error::new(ErrorKind::InvalidInput, attempt).with_source(error))?;
        *credentials = new;
        Ok(())
    }

    /// Waits until an authentication could begin, so that nobody connects in vain.
    ///
    /// # Cancel safety
    /// A provider that is asked for a token goes on when the future is dropped.
    pub(crate) async fn ready(&self, deadline: Instant) -> Result<()> {
        let Some(tokens) = &self.tokens else { return Ok(()) };
        task::until(deadline, tokens.ready()).await.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Timeout, "get an OAUTHBEARER token: wait for the provider"))
        })
    }

    /// Starts an authentication.
    pub(crate) fn mechanism(&self) -> Result<Box<dyn Mechanism>> {
        let attempt = "start the SASL exchange";
        let Some(credentials) = &self.credentials else {
            return Err(Error::new(ErrorKind::Internal, attempt));
        };
        let nonce =
            task::random().map_err(|error| Error::new(ErrorKind::Internal, attempt).with_source(error))?;
        let credentials = credentials.read().unwrap_or_else(PoisonError::into_inner);
        credentials
            .mechanism(nonce)
            .map_err(|error| Error::new(ErrorKind::Authentication, attempt).with_source(error))
    }

    /// A token: the last one while it is good, else a new one.
    pub(crate) async fn token(&self) -> Result<BearerToken> {
        match &self.tokens {
            Some(tokens) => tokens.get().await,
            None => {
                Err(Error::new(ErrorKind::Internal, "ask for an OAUTHBEARER token: there is no provider"))
            }
        }
    }

    /// Takes note that a broker refused what [`mechanism`](Self::mechanism) and [`token`](Self::token) gave.
    pub(crate) fn refused(&self) {
        if let Some(tokens) = &self.tokens {
            tokens.refused();
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

fn credentials(sasl: &Sasl) -> Result<Credentials> {
    let hash = match sasl.mechanism {
        SaslMechanism::OauthBearer => return Ok(Credentials::OAuthBearer),
        SaslMechanism::Plain => None,
        SaslMechanism::ScramSha256 => Some(ScramHash::Sha256),
        SaslMechanism::ScramSha512 => Some(ScramHash::Sha512),
    };
    let (Some(username), Some(password)) = (&sasl.username, &sasl.password) else {
        return Err(Error::config(format!(
            "sasl.username and sasl.password are needed for {}",
            sasl.mechanism.as_str()
        )));
    };
    let username = username.clone();
    let password = Zeroizing::new(password.expose().clone());
    Ok(match hash {
        None => Credentials::Plain { username, password },
        Some(hash) => Credentials::Scram { hash, username, password, token_auth: sasl.token_auth },
    })
}

/// The one source of tokens that the settings name.
fn from_settings(sasl: &Sasl, config: &ClientConfig, dial: &Arc<dyn Dial>) -> Result<Arc<dyn TokenProvider>> {
    let oauth = &sasl.oauth;
    match (&oauth.token, &oauth.unsecured, &oauth.endpoint) {
        (Some(token), None, None) => Ok(Arc::new(Fixed(Token::new(token.expose().as_str())?))),
        (None, Some(unsecured), None) => Ok(Arc::new(Unsecured(unsecured.clone()))),
        (None, None, Some(endpoint)) => match endpoint.url.get(..7) {
            Some(scheme) if scheme.eq_ignore_ascii_case("file://") => {
                Ok(Arc::new(file::TokenFile::new(&endpoint.url)?))
            }
            _ => from_endpoint(endpoint, sasl, config, dial),
        },
        (None, None, None) => Err(Error::config("SASL/OAUTHBEARER needs tokens, and nobody gives them").hint(
            "set sasl.oauthbearer.token.endpoint.url, or hand a token provider to the client builder's oauth_bearer",
        )),
        _ => Err(Error::config(
            "several settings say where OAUTHBEARER's tokens come from: set one of sasl.oauthbearer.token, \
             sasl.oauthbearer.token.endpoint.url and the claims of an unsecured token",
        )),
    }
}

#[cfg(feature = "json")]
fn from_endpoint(
    endpoint: &TokenEndpoint,
    sasl: &Sasl,
    config: &ClientConfig,
    dial: &Arc<dyn Dial>,
) -> Result<Arc<dyn TokenProvider>> {
    Ok(Arc::new(endpoint::Endpoint::new(endpoint, sasl, config, dial)?))
}

#[cfg(not(feature = "json"))]
fn from_endpoint(
    _: &TokenEndpoint,
    _: &Sasl,
    _: &ClientConfig,
    _: &Arc<dyn Dial>,
) -> Result<Arc<dyn TokenProvider>> {
    Err(Error::config("this build of ottla cannot read what sasl.oauthbearer.token.endpoint.url answers")
        .hint("turn on its feature `json`, or hand a token provider to the client builder's oauth_bearer"))
}

/// One token from the settings, for ever.
struct Fixed(Token);

impl TokenProvider for Fixed {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token>> + Send + '_>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}
