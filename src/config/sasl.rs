//! [`Sasl`]: how the client authenticates, and where a password may travel unencrypted.

use super::error::ConfigError;
use super::jaas::{Jaas, LoginModule};
use super::keys::Part;
use super::oauth;
use super::settings::Settings;
use super::{Pem, Secret};
use std::net::IpAddr;
use std::time::Duration;

/// The SASL settings of a client.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sasl {
    /// `sasl.mechanism`. No default here: Java's is GSSAPI (Kerberos), which this client does not speak.
    pub mechanism: SaslMechanism,
    /// `sasl.username`, or `username` of `sasl.jaas.config`: for PLAIN and SCRAM.
    pub username: Option<String>,
    /// `sasl.password`, or `password` of `sasl.jaas.config`: for PLAIN and SCRAM.
    pub password: Option<Secret>,
    /// `tokenauth` of `sasl.jaas.config`: user name and password are a delegation token's id and HMAC (KIP-48, SCRAM).
    /// Default: false.
    pub token_auth: bool,
    /// `sasl.allow.plaintext`: whether PLAIN and OAUTHBEARER may send their secret to a host other than this one without
    /// TLS. A setting of this client's own; ask [`plaintext_allowed`](Self::plaintext_allowed). Default: false.
    pub allow_plaintext: bool,
    /// For OAUTHBEARER: where tokens come from, unless the program gives them itself.
    pub oauth: OauthBearer,
    /// When a token or login is renewed before it expires.
    pub login_refresh: LoginRefresh,
}

/// `sasl.mechanism`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SaslMechanism {
    /// `PLAIN` (RFC 4616): the broker sees the password.
    Plain,
    /// `SCRAM-SHA-256` (RFC 7677): each side proves to know the password.
    ScramSha256,
    /// `SCRAM-SHA-512`.
    ScramSha512,
    /// `OAUTHBEARER` (RFC 7628, KIP-255): a token.
    OauthBearer,
}

/// Where OAUTHBEARER's tokens come from.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OauthBearer {
    /// `sasl.oauthbearer.token`: one token, used as it is. A setting of this client's own.
    pub token: Option<Secret>,
    /// A token that nobody signed, made by the client itself, for development only: `sasl.jaas.config` with
    /// `unsecuredLoginStringClaim_sub`, or `enable.sasl.oauthbearer.unsecure.jwt` with `sasl.oauthbearer.config`.
    pub unsecured: Option<UnsecuredToken>,
    /// `sasl.oauthbearer.token.endpoint.url` and what goes with it (KIP-768).
    pub endpoint: Option<TokenEndpoint>,
    /// SASL extensions that are sent with each token (KIP-342), in the order given: `sasl.oauthbearer.extensions`, or
    /// `extension_NAME` of `sasl.jaas.config`.
    pub extensions: Vec<(String, String)>,
}

/// The claims of an unsecured token (RFC 7515, appendix A.5), as Java's `OAuthBearerUnsecuredLoginCallbackHandler` has them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UnsecuredToken {
    /// `unsecuredLoginPrincipalClaimName`: the claim that names the user. Default: `sub`.
    pub principal_claim_name: String,
    /// `unsecuredLoginScopeClaimName`: the claim that lists the scope. Default: `scope`.
    pub scope_claim_name: String,
    /// `unsecuredLoginLifetimeSeconds`: how long the token is valid. Default: 1 h.
    pub lifetime: Duration,
    /// `unsecuredLoginStringClaim_NAME`.
    pub string_claims: Vec<(String, String)>,
    /// `unsecuredLoginNumberClaim_NAME`.
    pub number_claims: Vec<(String, f64)>,
    /// `unsecuredLoginListClaim_NAME`.
    pub list_claims: Vec<(String, Vec<String>)>,
}

/// An endpoint that hands out tokens, and how to ask it (OAuth 2.0 client credentials, KIP-768).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TokenEndpoint {
    /// `sasl.oauthbearer.token.endpoint.url`: `http`, `https` or `file`.
    pub url: String,
    /// `sasl.oauthbearer.client.credentials.client.id`, or `clientId` of `sasl.jaas.config`.
    pub client_id: Option<String>,
    /// `sasl.oauthbearer.client.credentials.client.secret`, or `clientSecret` of `sasl.jaas.config`.
    pub client_secret: Option<Secret>,
    /// `sasl.oauthbearer.scope`, or `scope` of `sasl.jaas.config`.
    pub scope: Option<String>,
    /// `sasl.oauthbearer.header.urlencode`: id and secret are URL-encoded in the header (KIP-1025). Default: false.
    pub url_encode: bool,
    /// `https.ca.location` or `https.ca.pem`, names of librdkafka's: whom to trust to be the endpoint, instead of the
    /// system's certificates. What `ssl.ca.location` says is for brokers only, as in Java and librdkafka.
    pub ca: Option<Pem>,
    /// `sasl.login.connect.timeout.ms`: how long connecting may take, TLS included.
    /// Default: half of `socket.connection.setup.timeout.ms`.
    pub connect_timeout: Option<Duration>,
    /// `sasl.login.read.timeout.ms`: how long the answer may take. Default: half of `socket.connection.setup.timeout.ms`.
    pub read_timeout: Option<Duration>,
}

/// When a token is renewed (KIP-255), and how patient the client is with the endpoint that renews it (KIP-768).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LoginRefresh {
    /// `sasl.login.refresh.window.factor`: renew after this part of its lifetime. Default: 0.8; 0.5 to 1.
    pub window_factor: f64,
    /// `sasl.login.refresh.window.jitter`: up to this part of its lifetime is added by chance. Default: 0.05; 0 to 0.25.
    pub window_jitter: f64,
    /// `sasl.login.refresh.min.period.seconds`: at least this long between two renewals. Default: 60 s; up to 15 min.
    pub min_period: Duration,
    /// `sasl.login.refresh.buffer.seconds`: renew at least this long before it expires. Default: 300 s; up to 1 h.
    pub buffer: Duration,
    /// `sasl.login.retry.backoff.ms`: wait after the first failure; doubles with each one after it. Default: 100 ms.
    pub retry_backoff: Duration,
    /// `sasl.login.retry.backoff.max.ms`: the longest such wait. Default: 10 s.
    pub retry_backoff_max: Duration,
}

impl Sasl {
    /// The settings of a mechanism, with no credentials and Java's defaults for the rest.
    pub fn new(mechanism: SaslMechanism) -> Sasl {
        Sasl {
            mechanism,
            username: None,
            password: None,
            token_auth: false,
            allow_plaintext: false,
            oauth: OauthBearer::default(),
            login_refresh: LoginRefresh::default(),
        }
    }

    /// Reads the settings of a client whose protocol asks for SASL.
    pub(super) fn from_settings(settings: &Settings) -> Result<Sasl, ConfigError> {
        settings.must_be_right(Part::Sasl)?;
        let jaas = jaas(settings)?;
        let Some(_) = settings.text("sasl.mechanism") else {
            return Err(ConfigError::Missing {
                key: "sasl.mechanism",
                why: format!(
                    "{} needs one: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
                    settings.tell("security.protocol")
                ),
            });
        };
        let mechanism = settings.parsed("sasl.mechanism", SaslMechanism::named)?;
        if let Some(jaas) = &jaas {
            mechanism.must_fit(jaas.module, settings)?;
        }
        let mut sasl = Sasl {
            allow_plaintext: settings.flag("sasl.allow.plaintext")?,
            login_refresh: LoginRefresh::from_settings(settings)?,
            ..Sasl::new(mechanism)
        };
        if mechanism == SaslMechanism::OauthBearer {
            sasl.oauth = oauth::from_settings(settings, jaas.as_ref())?;
        } else {
            sasl.read_credentials(settings, jaas.as_ref())?;
        }
        Ok(sasl)
    }

    /// User and password, from `sasl.username` and `sasl.password` or from `sasl.jaas.config`.
    fn read_credentials(&mut self, settings: &Settings, jaas: Option<&Jaas>) -> Result<(), ConfigError> {
        let username = either(settings, jaas, "sasl.username", "username")?;
        let password = either(settings, jaas, "sasl.password", "password")?;
        for (key, value) in [("sasl.username", &username), ("sasl.password", &password)] {
            match value {
                None => {
                    return Err(ConfigError::Missing {
                        key,
                        why: format!("{} needs it", settings.tell("sasl.mechanism")),
                    });
                }
                Some(value) if value.expose().contains('\0') => {
                    return Err(ConfigError::Contradiction(format!(
                        "{key} must not contain a NUL character"
                    )));
                }
                Some(_) => {}
            }
        }
        self.username = username.map(|name| name.expose().clone());
        self.password = password;
        let token = jaas.and_then(|jaas| jaas.option("tokenauth"));
        self.token_auth = token.is_some_and(|value| value.expose().eq_ignore_ascii_case("true"));
        Ok(())
    }

    /// Whether this mechanism may be used with `host` over a connection without TLS: SCRAM always, because the secret
    /// itself is not sent; PLAIN and OAUTHBEARER when `sasl.allow.plaintext` says so, or when `host` is this machine.
    pub fn plaintext_allowed(&self, host: &str) -> bool {
        !self.mechanism.sends_secret() || self.allow_plaintext || is_loopback(host)
    }
}

fn jaas(settings: &Settings) -> Result<Option<Jaas>, ConfigError> {
    let Some((text, origin)) = settings.secret("sasl.jaas.config") else { return Ok(None) };
    let parsed = Jaas::parse(text.expose());
    parsed.map(Some).map_err(|fault| ConfigError::Refused {
        key: "sasl.jaas.config".to_owned(),
        value: None,
        origin: origin.clone(),
        why: fault,
    })
}

/// A value that has a key of its own and is an option of `sasl.jaas.config`. Where both are set, the one counts that was
/// set where it goes before the other; from one place they must be equal.
pub(super) fn either(
    settings: &Settings,
    jaas: Option<&Jaas>,
    key: &'static str,
    option: &str,
) -> Result<Option<Secret>, ConfigError> {
    let own = settings.secret(key);
    let optional = jaas.and_then(|jaas| jaas.option(option)).zip(settings.secret("sasl.jaas.config"));
    Ok(match (own, optional) {
        (Some((own, _)), None) => Some(own.clone()),
        (Some((own, own_origin)), Some((other, (_, origin)))) if !origin.outranks(own_origin) => {
            if !own_origin.outranks(origin) && own.expose() != other.expose() {
                return Err(ConfigError::Contradiction(format!(
                    "{key} ({own_origin}) and {option} in sasl.jaas.config ({origin}) differ: set one of them"
                )));
            }
            Some(own.clone())
        }
        (_, Some((other, _))) => Some(other.clone()),
        (None, None) => None,
    })
}

impl LoginRefresh {
    fn from_settings(settings: &Settings) -> Result<LoginRefresh, ConfigError> {
        Ok(LoginRefresh {
            window_factor: settings.factor("sasl.login.refresh.window.factor")?,
            window_jitter: settings.factor("sasl.login.refresh.window.jitter")?,
            min_period: settings.seconds("sasl.login.refresh.min.period.seconds")?,
            buffer: settings.seconds("sasl.login.refresh.buffer.seconds")?,
            retry_backoff: settings.millis("sasl.login.retry.backoff.ms")?,
            retry_backoff_max: settings.millis("sasl.login.retry.backoff.max.ms")?,
        })
    }
}

/// Whether a host name or address is surely this machine's own: `localhost`, a name under it (RFC 6761), or a loopback address.
fn is_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

impl SaslMechanism {
    /// Kafka's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
            SaslMechanism::OauthBearer => "OAUTHBEARER",
        }
    }

    /// The mechanism that is called so.
    pub fn named(name: &str) -> Option<SaslMechanism> {
        let all = [Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::OauthBearer];
        all.into_iter().find(|mechanism| mechanism.as_str().eq_ignore_ascii_case(name))
    }

    fn must_fit(self, module: LoginModule, settings: &Settings) -> Result<(), ConfigError> {
        let (class, fits) = match module {
            LoginModule::Plain => ("PlainLoginModule", self == SaslMechanism::Plain),
            LoginModule::Scram => {
                ("ScramLoginModule", matches!(self, SaslMechanism::ScramSha256 | SaslMechanism::ScramSha512))
            }
            LoginModule::OauthBearer => ("OAuthBearerLoginModule", self == SaslMechanism::OauthBearer),
        };
        if fits {
            return Ok(());
        }
        Err(ConfigError::Contradiction(format!(
            "{} does not go with the {class} of sasl.jaas.config ({})",
            settings.tell("sasl.mechanism"),
            settings.origin("sasl.jaas.config")
        )))
    }

    /// Whether the secret itself goes over the connection.
    pub fn sends_secret(self) -> bool {
        matches!(self, SaslMechanism::Plain | SaslMechanism::OauthBearer)
    }
}

impl Default for UnsecuredToken {
    fn default() -> UnsecuredToken {
        UnsecuredToken {
            principal_claim_name: "sub".to_owned(),
            scope_claim_name: "scope".to_owned(),
            lifetime: Duration::from_secs(3600),
            string_claims: Vec::new(),
            number_claims: Vec::new(),
            list_claims: Vec::new(),
        }
    }
}

impl Default for LoginRefresh {
    fn default() -> LoginRefresh {
        LoginRefresh {
            window_factor: 0.8,
            window_jitter: 0.05,
            min_period: Duration::from_secs(60),
            buffer: Duration::from_secs(300),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_unencrypted_to_this_machine_only() {
        let plain = Sasl::new(SaslMechanism::Plain);
        for host in [
            "localhost",
            "LocalHost.",
            "kafka.localhost",
            "127.0.0.1",
            "127.8.9.1",
            "::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(plain.plaintext_allowed(host), "{host}");
        }
        for host in [
            "",
            "kafka",
            "localhost.example.com",
            "notlocalhost",
            "10.0.0.1",
            "0.0.0.0",
            "::",
            "fe80::1",
            "127.0.0.1.nip.io",
        ] {
            assert!(!plain.plaintext_allowed(host), "{host}");
        }
        let allowed = Sasl { allow_plaintext: true, ..plain };
        assert!(allowed.plaintext_allowed("kafka"));
        assert!(Sasl::new(SaslMechanism::ScramSha512).plaintext_allowed("kafka"));
        assert!(!Sasl::new(SaslMechanism::OauthBearer).plaintext_allowed("kafka"));
    }
}
