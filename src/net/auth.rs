//! [`Auth`]: what a connection authenticates with, made anew for each authentication so that rotated credentials count.

use crate::config::{ClientConfig, Sasl, SaslMechanism};
use crate::engine::sasl::{BearerToken, Credentials, Mechanism, ScramHash};
use crate::error::{Error, ErrorKind};
use crate::task;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// A token for SASL/OAUTHBEARER, and how long it is good.
#[derive(Debug, Clone)]
pub struct Token {
    bearer: BearerToken,
    lifetime: Option<Duration>,
}

impl Token {
    /// A token as its issuer wrote it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when it has characters that no bearer token has.
    pub fn new(value: impl Into<String>) -> Result<Token, Error> {
        let bearer = BearerToken::new(value).map_err(invalid)?;
        Ok(Token { bearer, lifetime: None })
    }

    /// How long it is good from now on: until then it is used again. Without it each authentication asks for a new one.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Token {
        self.lifetime = Some(lifetime);
        self
    }

    /// Adds an extension (KIP-342).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when key or value has characters that an extension cannot have.
    pub fn extension(mut self, key: impl Into<String>, value: impl Into<String>) -> Result<Token, Error> {
        self.bearer = self.bearer.extension(key, value).map_err(invalid)?;
        Ok(self)
    }
}

fn invalid(error: crate::engine::sasl::SaslError) -> Error {
    Error::new(ErrorKind::InvalidInput, "make an OAUTHBEARER token").source(error)
}

/// Gives tokens for SASL/OAUTHBEARER: at the first connection, when the last token has run out, and before a session ends
/// (KIP-368).
pub trait TokenProvider: Send + Sync {
    /// The next token. Called by one connection at a time; a failure is told by the connection that needed it, and asked
    /// again with back-off.
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token, Error>> + Send + '_>>;
}

/// Credentials and tokens of a client.
pub(crate) struct Auth {
    credentials: Option<Credentials>,
    provider: Option<Arc<dyn TokenProvider>>,
    /// The last token, and when it has run out.
    token: Mutex<Option<(BearerToken, Instant)>>,
}

impl Auth {
    /// From the settings and, for OAUTHBEARER, the application's provider.
    pub(crate) fn new(
        config: &ClientConfig,
        provider: Option<Arc<dyn TokenProvider>>,
    ) -> Result<Auth, Error> {
        let credentials = config.sasl.as_ref().map(credentials).transpose()?;
        let provider = match &config.sasl {
            Some(sasl) if sasl.mechanism == SaslMechanism::OauthBearer => Some(token_source(sasl, provider)?),
            _ => None,
        };
        Ok(Auth { credentials, provider, token: Mutex::new(None) })
    }

    /// Whether SASL is asked for.
    pub(crate) fn is_sasl(&self) -> bool {
        self.credentials.is_some()
    }

    /// Starts an authentication.
    pub(crate) fn mechanism(&self) -> Result<Box<dyn Mechanism>, Error> {
        let attempt = "start the SASL exchange";
        let Some(credentials) = &self.credentials else {
            return Err(Error::new(ErrorKind::Internal, attempt));
        };
        let nonce = task::random().map_err(|error| Error::new(ErrorKind::Internal, attempt).source(error))?;
        credentials
            .mechanism(nonce)
            .map_err(|error| Error::new(ErrorKind::Authentication, attempt).source(error))
    }

    /// A token: the last one while it is good, else a new one.
    pub(crate) async fn token(&self) -> Result<BearerToken, Error> {
        let Some(provider) = &self.provider else {
            return Err(Error::new(
                ErrorKind::Internal,
                "ask for an OAUTHBEARER token: there is no provider",
            ));
        };
        let mut last = self.token.lock().await;
        if let Some((token, until)) = &*last
            && *until > task::now()
        {
            return Ok(token.clone());
        }
        let token = provider.token().await?;
        *last = token.lifetime.map(|lifetime| (token.bearer.clone(), renew_at(lifetime)));
        Ok(token.bearer)
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

/// As `sasl.login.refresh.window.factor`: a token is replaced at four fifths of its life.
fn renew_at(lifetime: Duration) -> Instant {
    task::after(task::now(), lifetime.mul_f64(0.8))
}

fn credentials(sasl: &Sasl) -> Result<Credentials, Error> {
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

fn token_source(
    sasl: &Sasl,
    provider: Option<Arc<dyn TokenProvider>>,
) -> Result<Arc<dyn TokenProvider>, Error> {
    if let Some(provider) = provider {
        return Ok(provider);
    }
    let Some(token) = &sasl.oauth.token else {
        return Err(Error::config(
            "SASL/OAUTHBEARER needs a token: give the client builder a token provider",
        ));
    };
    let mut bearer = Token::new(token.expose().clone())?;
    for (key, value) in &sasl.oauth.extensions {
        bearer = bearer.extension(key, value)?;
    }
    Ok(Arc::new(Fixed(bearer)))
}

/// One token from the settings, for ever.
struct Fixed(Token);

impl TokenProvider for Fixed {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token, Error>> + Send + '_>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}
