//! Settings of TLS and SASL.

use super::{INT_MAX, Key, LONG_MILLIS};
use crate::config::ssl::TlsVersion;
use crate::config::value::Kind;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "security.protocol",
        Kind::Choice(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
        "TLS or not, SASL or not.",
    )
    .default("PLAINTEXT"),
    // TLS: whom to trust.
    Key::new("ssl.ca.location", Kind::Text, "PEM file, or directory of such, with the certificates to trust."),
    Key::new("ssl.ca.pem", Kind::Secret, "The certificates to trust, as PEM text."),
    Key::new("ssl.truststore.type", Kind::Text, "What ssl.truststore.location holds.").only(&["PEM"], NOT_PEM),
    Key::new("ssl.truststore.location", Kind::Text, "File with the certificates to trust, of type PEM."),
    Key::new("ssl.truststore.certificates", Kind::Secret, "The certificates to trust, as PEM text (KIP-651)."),
    Key::new("ssl.truststore.password", Kind::Secret, "Password of a JKS or PKCS#12 trust store.")
        .without_effect("a PEM file of certificates has no password"),
    Key::new("enable.ssl.certificate.verification", Kind::Bool, "Whether the broker's certificate is verified.")
        .default("true")
        .only(
            &["true", "t", "1"],
            "the broker's certificate is always verified; a program that must not calls \
             dangerous_skip_certificate_verification() of the client's builder",
        ),
    Key::new("ssl.endpoint.identification.algorithm", Kind::Text, "How the broker's host name is verified.")
        .default("https")
        .only(
            &["https"],
            "the broker's host name is always verified; a program that must not calls \
             dangerous_skip_hostname_verification() of the client's builder",
        ),
    Key::new("ssl.crl.location", Kind::Text, "File of revoked certificates.")
        .refused("revocation lists are not read; leave it out, or give the client's builder a TLS configuration"),
    // TLS: what to show.
    Key::new("ssl.certificate.location", Kind::Text, "PEM file with the client's certificate and its chain."),
    Key::new("ssl.certificate.pem", Kind::Secret, "The client's certificate and its chain, as PEM text."),
    Key::new("ssl.key.location", Kind::Text, "PEM file with the client's private key."),
    Key::new("ssl.key.pem", Kind::Secret, "The client's private key, as PEM text."),
    Key::new("ssl.key.password", Kind::Secret, "What the client's private key is encrypted with."),
    Key::new("ssl.keystore.type", Kind::Text, "What ssl.keystore.location holds.").only(&["PEM"], NOT_PEM),
    Key::new("ssl.keystore.location", Kind::Text, "File with the client's private key and certificates, of type PEM."),
    Key::new("ssl.keystore.key", Kind::Secret, "The client's private key, as PEM text (KIP-651)."),
    Key::new("ssl.keystore.certificate.chain", Kind::Secret, "The client's certificate and its chain, as PEM text."),
    Key::new("ssl.keystore.password", Kind::Secret, "Password of a JKS or PKCS#12 key store.").refused(KEYSTORE_PASSWORD),
    // TLS: how.
    Key::new(
        "ssl.enabled.protocols",
        Kind::Form { expected: "a list of TLSv1.2 and TLSv1.3; older ones are not spoken", check: are_protocols },
        "The versions of TLS that may be used.",
    )
    .default("TLSv1.2,TLSv1.3"),
    Key::new("ssl.protocol", Kind::Choice(&["TLS", "TLSv1.2", "TLSv1.3"]), "The newest version of TLS to use.")
        .default("TLSv1.3"),
    Key::new("ssl.cipher.suites", Kind::List, "The cipher suites that may be used; empty: all there are.").default(""),
    Key::new("ssl.engine.factory.class", Kind::Class, "A class that makes TLS engines.")
        .refused("classes of Java cannot be loaded; give the client's builder a TLS configuration"),
    // SASL.
    Key::new("sasl.mechanism", Kind::Text, "How the client authenticates.").also(&["sasl.mechanisms"]).only(
        &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"],
        "must be PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; GSSAPI (Kerberos, Java's default) and others are \
         not supported",
    ),
    Key::new("sasl.username", Kind::Text, "User name for PLAIN and SCRAM."),
    Key::new("sasl.password", Kind::Secret, "Password for PLAIN and SCRAM."),
    Key::new("sasl.jaas.config", Kind::Secret, "Credentials as Java takes them (KIP-85)."),
    Key::new("sasl.allow.plaintext", Kind::Bool, "Whether PLAIN and OAUTHBEARER may be used without TLS.")
        .default("false"),
    Key::new("sasl.login.refresh.window.factor", Kind::Factor { min: 0.5, max: 1.0 }, "Renew after this part of a lifetime.")
        .default("0.8"),
    Key::new("sasl.login.refresh.window.jitter", Kind::Factor { min: 0.0, max: 0.25 }, "The most that chance adds to it.")
        .default("0.05"),
    Key::new(
        "sasl.login.refresh.min.period.seconds",
        Kind::Seconds { min: 0, max: 900 },
        "At least this long between two renewals.",
    )
    .default("60"),
    Key::new("sasl.login.refresh.buffer.seconds", Kind::Seconds { min: 0, max: 3600 }, "Renew this long before expiry.")
        .default("300"),
    Key::new("sasl.login.retry.backoff.ms", LONG_MILLIS, "Wait after the first failure to get a token (KIP-768).")
        .default("100"),
    Key::new("sasl.login.retry.backoff.max.ms", LONG_MILLIS, "What that wait grows to.").default("10000"),
    // OAUTHBEARER.
    Key::new("sasl.oauthbearer.token", Kind::Secret, "One token, used as it is."),
    Key::new(
        "sasl.oauthbearer.token.endpoint.url",
        Kind::Form { expected: "an http, https or file URL without a user or password in it", check: is_plain_url },
        "Where tokens are to be had (KIP-768).",
    ),
    Key::new("https.ca.location", Kind::Text, "PEM file of the authorities that the endpoint's certificate is verified against."),
    Key::new("https.ca.pem", Kind::Secret, "The same authorities, as PEM text."),
    Key::new("sasl.oauthbearer.client.credentials.client.id", Kind::Text, "Who asks for the token (KIP-1258).")
        .also(&["sasl.oauthbearer.client.id"]),
    Key::new("sasl.oauthbearer.client.credentials.client.secret", Kind::Secret, "The asker's secret.")
        .also(&["sasl.oauthbearer.client.secret"]),
    Key::new("sasl.oauthbearer.scope", Kind::Text, "What the token is for."),
    Key::new("sasl.oauthbearer.extensions", Kind::Text, "SASL extensions sent with a token: name=value, with commas.")
        .default(""),
    Key::new("sasl.oauthbearer.method", Kind::Choice(&["default", "oidc"]), "Whether tokens come from an endpoint.")
        .default("default")
        .without_effect("tokens come from an endpoint when sasl.oauthbearer.token.endpoint.url is set"),
    Key::new("enable.sasl.oauthbearer.unsecure.jwt", Kind::Bool, "Make unsigned tokens, for development.")
        .default("false"),
    Key::new("sasl.oauthbearer.config", Kind::Secret, "The claims of such a token: name=value, with spaces."),
    Key::new("sasl.oauthbearer.grant.type", Kind::Text, "How the client shows who it is to the endpoint.")
        .default("client_credentials")
        .only(&["client_credentials"], "only client_credentials is supported; give tokens to the client's builder instead"),
    Key::new("sasl.oauthbearer.header.urlencode", Kind::Bool, "Whether id and secret are URL-encoded (KIP-1025).")
        .default("false"),
    Key::new("sasl.login.connect.timeout.ms", OR_UNSET_MILLIS, "How long connecting to the endpoint may take."),
    Key::new("sasl.login.read.timeout.ms", OR_UNSET_MILLIS, "How long the endpoint's answer may take."),
    Key::new(
        "sasl.oauthbearer.metadata.authentication.type",
        Kind::Choice(&["none", "azure_imds", "aws_iam"]),
        "Whether tokens come from a cloud's metadata service.",
    )
    .default("none")
    .only(&["none"], "tokens of a cloud's metadata service are not supported; give tokens to the client's builder instead"),
];

const OR_UNSET_MILLIS: Kind = Kind::Millis { min: 0, max: INT_MAX };

macro_rules! not_pem {
    ($more:literal) => {
        concat!(
            "only PEM is read, not JKS or PKCS#12. To get PEM: \
             'keytool -importkeystore -srckeystore STORE -destkeystore store.p12 -deststoretype PKCS12', then \
             'openssl pkcs12 -in store.p12 -nodes -out store.pem' (with -nokeys for a trust store); then set the type to \
             PEM and the location to store.pem",
            $more
        )
    };
}

/// What to do with a store that is not PEM.
pub(in crate::config) const NOT_PEM: &str = not_pem!("");
const KEYSTORE_PASSWORD: &str = not_pem!("; the password of a key in PEM is ssl.key.password");

fn are_protocols(text: &str) -> bool {
    TlsVersion::list(text).is_some()
}

fn is_plain_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let is_file = scheme.eq_ignore_ascii_case("file");
    let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    (is_file || is_http && !authority.is_empty()) && !authority.contains('@')
}
