//! What went wrong in a handshake, for the person who is woken by it: what the broker did, and what to
//! change.

use std::fmt;
use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible};

use crate::error::{Error, ErrorKind};
use crate::net::dial::Endpoint;

const ATTEMPT: &str = "TLS handshake";

/// An error of the handshake; `said` is the beginning of what the peer said, `shown` whether the client has a
/// certificate.
pub(super) fn handshake(endpoint: &Endpoint, shown: bool, error: io::Error, said: &[u8]) -> Error {
    let Some(cause) = rustls_error(&error) else {
        return cut_off(endpoint, error, said);
    };
    if !said.is_empty() && !is_tls(said) {
        return not_tls(endpoint, said);
    }
    classify(endpoint, shown, cause)
}

/// An error that rustls reports after the handshake; others pass unchanged.
pub(super) fn later(endpoint: &Endpoint, shown: bool, error: io::Error) -> io::Error {
    match rustls_error(&error) {
        Some(cause) => io::Error::new(error.kind(), classify(endpoint, shown, cause)),
        None => error,
    }
}

/// No end of the handshake before the deadline.
pub(super) fn stalled(endpoint: &Endpoint) -> Error {
    Error::new(ErrorKind::Timeout, ATTEMPT).broker(endpoint).hint(
        "the peer took the connection but did not finish the handshake within socket.connection.setup.timeout.ms: \
         is it overloaded, or not a TLS listener?",
    )
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What went wrong in words; the words of rustls are for programmers.
#[derive(Debug)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

fn failed(endpoint: &Endpoint, what: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::Tls, ATTEMPT).broker(endpoint).with_source(Failure(what.into())).hint(hint.into())
}

/// The connection ended. A broker that restarts does that too: worth a retry, unlike the rest here.
fn cut_off(endpoint: &Endpoint, error: io::Error, said: &[u8]) -> Error {
    let cut = Error::new(ErrorKind::Disconnected, ATTEMPT).broker(endpoint).with_source(error);
    if said.is_empty() {
        return cut.hint(
            "the peer closed without answering TLS: is this a plaintext port? Use the port of the broker's SSL or \
             SASL_SSL listener, or set security.protocol to PLAINTEXT or SASL_PLAINTEXT",
        );
    }
    cut
}

/// A TLS record: handshake, alert, or one of the other three types, in version 3.x.
fn is_tls(said: &[u8]) -> bool {
    matches!(said, [20..=24, 3, ..] | [20..=24])
}

fn not_tls(endpoint: &Endpoint, said: &[u8]) -> Error {
    let hint = if said.starts_with(b"HTTP/") || said.starts_with(b"<") {
        "an HTTP server answers there, not a Kafka broker: check host and port"
    } else if said.starts_with(b"SSH-") {
        "an SSH server answers there, not a Kafka broker: check host and port"
    } else {
        "is this a plaintext port? Use the port of the broker's SSL or SASL_SSL listener, or set security.protocol to \
         PLAINTEXT or SASL_PLAINTEXT"
    };
    failed(endpoint, format!("the peer does not speak TLS, it answered \"{}\"", said.escape_ascii()), hint)
}

fn classify(endpoint: &Endpoint, shown: bool, error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(error) => certificate(endpoint, error),
        rustls::Error::NoCertificatesPresented => failed(
            endpoint,
            "the broker showed no certificate",
            "check the keystore of the broker's listener",
        ),
        rustls::Error::AlertReceived(alert) => alert_received(endpoint, shown, *alert),
        rustls::Error::PeerIncompatible(why) => incompatible(endpoint, why),
        other => Error::new(ErrorKind::Tls, ATTEMPT).broker(endpoint).with_source(other.clone()),
    }
}

fn certificate(endpoint: &Endpoint, error: &CertificateError) -> Error {
    match error {
        CertificateError::ExpiredContext { time, not_after } => failed(
            endpoint,
            format!("the broker's certificate expired on {} (it is {} here)", Utc(*not_after), Utc(*time)),
            "renew the certificate on the broker, or set this machine's clock",
        ),
        CertificateError::Expired => failed(
            endpoint,
            "the broker's certificate has expired",
            "renew the certificate on the broker, or set this machine's clock",
        ),
        CertificateError::NotValidYetContext { time, not_before } => failed(
            endpoint,
            format!(
                "the broker's certificate is not valid before {} (it is {} here)",
                Utc(*not_before),
                Utc(*time)
            ),
            "set this machine's clock, or give the broker a certificate that is valid already",
        ),
        CertificateError::NotValidForNameContext { presented, .. } => wrong_name(endpoint, presented),
        CertificateError::UnknownIssuer => failed(
            endpoint,
            "the broker's certificate is signed by a certificate authority that this client does not trust",
            "put the authority's certificate (PEM) into the file that ssl.ca.location names; if it is there, the broker \
             may leave out an intermediate certificate",
        ),
        CertificateError::BadSignature => failed(
            endpoint,
            "the broker's certificate is not signed by the authority that it names",
            "is the certificate in ssl.ca.location an older one of the same name?",
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => failed(
            endpoint,
            format!("the broker's certificate may not be used by a server: {error}"),
            "issue it with the extended key usage serverAuth",
        ),
        CertificateError::Other(other) => other_certificate(endpoint, other),
        error => Error::new(ErrorKind::Tls, ATTEMPT)
            .broker(endpoint)
            .with_source(Failure(format!("the broker's certificate cannot be used: {error}"))),
    }
}

fn wrong_name(endpoint: &Endpoint, presented: &[String]) -> Error {
    let what = match presented {
        [] => "the broker's certificate is for no host at all: it has no subjectAltName (a common name does not count)"
            .to_owned(),
        names => {
            // "DnsName(\"kafka\")" in rustls's words.
            let names: Vec<_> = names.iter().map(|name| bare_name(name)).collect();
            format!("the broker's certificate is not for {}, only for {}", endpoint.host, names.join(", "))
        }
    };
    failed(
        endpoint,
        what,
        "use one of its names in bootstrap.servers and in the broker's advertised.listeners, or issue the certificate \
         with this one among its subjectAltNames",
    )
}

fn bare_name(shown: &str) -> &str {
    let inner = shown.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(shown).trim_matches('"')
}

/// Two mistakes of home-made certificates that OpenSSL lets pass.
fn other_certificate(endpoint: &Endpoint, error: &OtherError) -> Error {
    let text = error.to_string();
    if text.contains("CaUsedAsEndEntity") {
        return failed(
            endpoint,
            "the broker shows the certificate of a certificate authority as its own",
            "sign a separate certificate for the broker with it (basicConstraints=CA:FALSE), and leave this one in ssl.ca.location",
        );
    }
    if text.contains("UnsupportedCertVersion") {
        return failed(
            endpoint,
            "the broker's certificate is of X.509 version 1, which cannot name a host",
            "issue it with extensions: `openssl x509 -req -extfile FILE ..` with a subjectAltName in FILE",
        );
    }
    failed(
        endpoint,
        format!("the broker's certificate cannot be used: {text}"),
        "issue a new certificate for the broker",
    )
}

fn alert_received(endpoint: &Endpoint, shown: bool, alert: AlertDescription) -> Error {
    let hint = match alert {
        // Java says bad_certificate of a certificate that is not there.
        AlertDescription::CertificateRequired
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
            if !shown =>
        {
            "the broker wants a client certificate: set ssl.certificate.location and ssl.key.location"
        }
        AlertDescription::HandshakeFailure => {
            "broker and client have no cipher suite in common, or the broker wants a client certificate \
             (ssl.certificate.location, ssl.key.location)"
        }
        AlertDescription::ProtocolVersion => {
            "broker and client have no TLS version in common: ottla speaks 1.2 and 1.3, see ssl.enabled.protocols"
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateRequired
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::AccessDenied => {
            "the broker refuses the client's certificate: is it valid, and signed by a CA of the broker's truststore?"
        }
        AlertDescription::UnrecognisedName => {
            "the broker does not know the host name that it was asked for (SNI)"
        }
        _ => "the broker's log says more",
    };
    failed(endpoint, format!("the broker answered with the TLS alert {alert:?}"), hint)
}

fn incompatible(endpoint: &Endpoint, why: &PeerIncompatible) -> Error {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => failed(
            endpoint,
            "the broker speaks no TLS version that this client may use",
            "ottla speaks TLS 1.2 and 1.3: see ssl.enabled.protocols here and on the broker",
        ),
        other => failed(
            endpoint,
            format!("broker and client have nothing in common: {other:?}"),
            "see ssl.cipher.suites and ssl.enabled.protocols here and on the broker",
        ),
    }
}

/// A time as `2026-03-01 12:00 UTC`.
struct Utc(UnixTime);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY_SECONDS: u64 = 86_400;
        let (days, second) = (self.0.as_secs() / DAY_SECONDS, self.0.as_secs() % DAY_SECONDS);
        let (year, month, day) = civil(days);
        write!(f, "{year}-{month:02}-{day:02} {:02}:{:02} UTC", second / 3_600, second % 3_600 / 60)
    }
}

/// The date of a number of days after 1970-01-01, counted in years that begin in March, so that leap days
/// come last.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_400_YEARS: u64 = 146_097;
    let days = days + 719_468; // from 0000-03-01
    let (era, day_of_era) = (days / DAYS_400_YEARS, days % DAYS_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates() {
        for (seconds, shown) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (1_735_689_600, "2025-01-01 00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(Utc(UnixTime::since_unix_epoch(Duration::from_secs(seconds))).to_string(), shown);
        }
    }

    #[test]
    fn names_are_shown_bare() {
        assert_eq!(bare_name("DnsName(\"kafka.example\")"), "kafka.example");
        assert_eq!(bare_name("IpAddress(10.0.0.1)"), "10.0.0.1");
        assert_eq!(bare_name("kafka"), "kafka");
    }
}
