//! What the settings say about OAUTHBEARER's tokens: given ones, unsecured ones, an endpoint that hands them out.

use super::error::ConfigError;
use super::jaas::Jaas;
use super::sasl::{OauthBearer, TokenEndpoint, UnsecuredToken, either};
use super::settings::Settings;
use super::{ssl, value};

/// Reads them. None at all is no error: the program may give tokens itself.
pub(super) fn from_settings(settings: &Settings, jaas: Option<&Jaas>) -> Result<OauthBearer, ConfigError> {
    let mut oauth = OauthBearer {
        token: settings.secret("sasl.oauthbearer.token").map(|(token, _)| token.clone()),
        endpoint: endpoint(settings, jaas)?,
        ..OauthBearer::default()
    };
    if let Some(text) = settings.text("sasl.oauthbearer.extensions") {
        oauth.extensions =
            extensions(text).ok_or_else(|| wrong(settings, "sasl.oauthbearer.extensions", EXTENSIONS))?;
    }
    if settings.flag("enable.sasl.oauthbearer.unsecure.jwt")? {
        let text = settings.secret("sasl.oauthbearer.config").map_or("", |(text, _)| text.expose());
        let (token, extensions) =
            librdkafka_claims(text).ok_or_else(|| wrong(settings, "sasl.oauthbearer.config", CLAIMS))?;
        oauth.unsecured = Some(token);
        oauth.extensions.extend(extensions);
    }
    if let Some(jaas) = jaas {
        for prefix in ["extension_", "unsecuredLoginExtension_"] {
            let given = jaas.with_prefix(prefix);
            oauth.extensions.extend(given.map(|(name, value)| (name.to_owned(), value.expose().clone())));
        }
        if jaas.with_prefix("unsecuredLogin").next().is_some() {
            let token = java_claims(jaas).ok_or_else(|| wrong(settings, "sasl.jaas.config", JAAS_CLAIMS))?;
            oauth.unsecured = Some(token);
        }
    }
    if !oauth.extensions.iter().all(is_extension) {
        return Err(ConfigError::Contradiction(
            "a SASL extension has a name of letters that is not 'auth', and a value of visible characters (KIP-342)".to_owned(),
        ));
    }
    Ok(oauth)
}

const EXTENSIONS: &str = "name=value, with commas between";
const CLAIMS: &str = "name=value with spaces between, where the names are principal, principalClaimName, scope, \
    scopeClaimName, lifeSeconds and extension_NAME, and principal is there";
const JAAS_CLAIMS: &str = "for an unsecured token: unsecuredLoginStringClaim_NAME for the principal's claim (sub), numbers in \
    unsecuredLoginNumberClaim_NAME and unsecuredLoginLifetimeSeconds, and neither iat nor exp";

fn wrong(settings: &Settings, key: &'static str, expected: &str) -> ConfigError {
    ConfigError::Refused {
        key: key.to_owned(),
        value: None,
        origin: settings.origin(key),
        why: format!("must be {expected}"),
    }
}

fn endpoint(settings: &Settings, jaas: Option<&Jaas>) -> Result<Option<TokenEndpoint>, ConfigError> {
    let Some(url) = settings.text("sasl.oauthbearer.token.endpoint.url") else { return Ok(None) };
    let id = either(settings, jaas, "sasl.oauthbearer.client.credentials.client.id", "clientId")?;
    let secret = either(settings, jaas, "sasl.oauthbearer.client.credentials.client.secret", "clientSecret")?;
    let scope = either(settings, jaas, "sasl.oauthbearer.scope", "scope")?;
    let timeout = |key| settings.text(key).map(|_| settings.millis(key)).transpose();
    Ok(Some(TokenEndpoint {
        url: url.to_owned(),
        client_id: id.map(|id| id.expose().clone()),
        client_secret: secret,
        scope: scope.map(|scope| scope.expose().clone()),
        ca: ssl::endpoint_ca(settings)?,
        url_encode: settings.flag("sasl.oauthbearer.header.urlencode")?,
        connect_timeout: timeout("sasl.login.connect.timeout.ms")?,
        read_timeout: timeout("sasl.login.read.timeout.ms")?,
    }))
}

/// `name=value,name=value`.
fn extensions(text: &str) -> Option<Vec<(String, String)>> {
    value::list(text).map(|pair| pair.split_once('=').map(owned)).collect()
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.trim().to_owned(), value.trim().to_owned())
}

/// RFC 7628, section 3.1; `auth` is the token's own.
fn is_extension((name, value): &(String, String)) -> bool {
    let visible = |c: char| matches!(c, ' '..='~' | '\t' | '\r' | '\n');
    !name.is_empty()
        && name != "auth"
        && name.chars().all(|c| c.is_ascii_alphabetic())
        && value.chars().all(visible)
}

/// The claims of `sasl.jaas.config`, as Java's `OAuthBearerUnsecuredLoginCallbackHandler` reads them.
fn java_claims(jaas: &Jaas) -> Option<UnsecuredToken> {
    let mut token = UnsecuredToken::default();
    let option = |name: &str| jaas.option(&format!("unsecuredLogin{name}"));
    if let Some(name) = option("PrincipalClaimName") {
        token.principal_claim_name.clone_from(name.expose());
    }
    if let Some(name) = option("ScopeClaimName") {
        token.scope_claim_name.clone_from(name.expose());
    }
    if let Some(seconds) = option("LifetimeSeconds") {
        token.lifetime = value::seconds(seconds.expose())?;
    }
    for (name, value) in jaas.with_prefix("unsecuredLoginStringClaim_") {
        token.string_claims.push((name.to_owned(), value.expose().clone()));
    }
    for (name, value) in jaas.with_prefix("unsecuredLoginNumberClaim_") {
        let number: f64 = value.expose().parse().ok()?;
        token.number_claims.push((name.to_owned(), Some(number).filter(|number| number.is_finite())?));
    }
    for (name, value) in jaas.with_prefix("unsecuredLoginListClaim_") {
        token.list_claims.push((name.to_owned(), java_list(value.expose())));
    }
    token.is_complete().then_some(token)
}

/// The first character separates the elements: `|one|two`.
fn java_list(text: &str) -> Vec<String> {
    let mut chars = text.chars();
    match chars.next() {
        Some(separator) => chars.as_str().split(separator).map(str::to_owned).collect(),
        None => Vec::new(),
    }
}

/// librdkafka's claims, and the extensions among them.
fn librdkafka_claims(text: &str) -> Option<(UnsecuredToken, Vec<(String, String)>)> {
    let mut token = UnsecuredToken::default();
    let mut extensions = Vec::new();
    let (mut principal, mut scope) = (None, Vec::new());
    for pair in text.split_ascii_whitespace() {
        let (name, value) = pair.split_once('=')?;
        match name {
            "principalClaimName" => value.clone_into(&mut token.principal_claim_name),
            "principal" => principal = Some(value.to_owned()),
            "scopeClaimName" => value.clone_into(&mut token.scope_claim_name),
            "scope" => scope = value::list(value).map(str::to_owned).collect(),
            "lifeSeconds" => token.lifetime = value::seconds(value)?,
            _ => extensions.push((name.strip_prefix("extension_")?.to_owned(), value.to_owned())),
        }
    }
    token.string_claims.push((token.principal_claim_name.clone(), principal?));
    if !scope.is_empty() {
        token.list_claims.push((token.scope_claim_name.clone(), scope));
    }
    token.is_complete().then_some((token, extensions))
}

impl UnsecuredToken {
    /// Whether the principal is there, and no claim that the token's maker sets itself.
    fn is_complete(&self) -> bool {
        let strings = self.string_claims.iter().map(|(name, _)| name);
        let numbers = self.number_claims.iter().map(|(name, _)| name);
        let lists = self.list_claims.iter().map(|(name, _)| name);
        let reserved = strings.chain(numbers).chain(lists).any(|name| name == "iat" || name == "exp");
        let mut principals = self.string_claims.iter().filter(|(name, _)| *name == self.principal_claim_name);
        !reserved && !self.lifetime.is_zero() && principals.any(|(_, value)| !value.trim().is_empty())
    }
}
