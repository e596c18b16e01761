//! What the builders of clients, producers and consumers take, and what they refuse. Nobody is asked: nothing connects.

use super::*;
use crate::config::tests::logged;
use crate::net::auth::Token;
use std::future::{Future, ready};
use std::pin::Pin;

fn plain() -> ClientBuilder {
    Client::builder().bootstrap("127.0.0.1:9")
}

#[track_caller]
fn assert_refused<T: fmt::Debug>(outcome: Result<T>, words: &[&str]) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is not in: {error}");
    }
}

#[tokio::test]
async fn what_the_client_shares_is_refused_where_it_would_come_too_late() {
    let client = plain().build().unwrap();
    for (key, value) in [
        ("request.timeout.ms", "1000"),
        ("socket.timeout.ms", "1000"),
        ("retry.backoff.ms", "1"),
        ("client.id", "me"),
        ("metadata.broker.list", "other:1"),
        ("default.api.timeout.ms", "1"),
        ("security.protocol", "SSL"),
    ] {
        let words = [key, "Client::builder()"];
        assert_refused(client.producer().set(key, value).build(), &words);
        assert_refused(client.consumer().set(key, value).build().await, &words);
    }
    assert!(client.producer().set("retries", "3").set("linger.ms", "1").set("debug", "all").build().is_ok());
    assert!(client.consumer().set("fetch.min.bytes", "2").set("debug", "all").build().await.is_ok());
    assert_refused(client.producer().set("liner.ms", "1").build(), &["did you mean 'linger.ms'?"]);
}

#[test]
fn what_is_the_other_clients_is_logged() {
    let log = logged(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = plain().build().unwrap();
            client.producer().set("fetch.min.bytes", "2").build().unwrap();
            client.consumer().set("linger.ms", "2").build().await.unwrap();
        });
    });
    for line in [
        "DEBUG ottla::config::settings: fetch.min.bytes = 2 (set by the program) has no effect: it is the consumer's",
        "DEBUG ottla::config::settings: linger.ms = 2 (set by the program) has no effect: it is the producer's",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}: {log}");
    }
}

#[tokio::test]
async fn durations_keep_their_fractions_and_stay_in_range() {
    let short = Duration::from_micros(2500);
    let builder = plain().connection_timeout(short).request_timeout(Duration::MAX).api_timeout(Duration::MAX);
    let client = builder.build().unwrap();
    let config = client.cluster.config();
    let longest = Duration::from_millis(2_147_483_647);
    assert_eq!((config.connection_setup_timeout, config.request_timeout), (short, longest));
    assert_eq!(config.default_api_timeout, longest);

    let client = plain().build().unwrap();
    let producer = client.producer().linger(Duration::from_micros(500)).delivery_timeout(Duration::MAX);
    let told = format!("{producer:?}");
    assert!(
        told.contains("linger.ms = 0.500") && told.contains("delivery.timeout.ms = 2147483647"),
        "{told}"
    );
    producer.build().unwrap();
}

struct NoTokens;

impl TokenProvider for NoTokens {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token>> + Send + '_>> {
        Box::pin(ready(Err(Error::config("none"))))
    }
}

#[tokio::test]
async fn what_a_method_asks_for_needs_a_protocol_that_has_it() {
    let words = ["sasl(..)", "security.protocol=PLAINTEXT (default)", "SASL_SSL"];
    assert_refused(plain().sasl("SCRAM-SHA-256", "alice", "marker").build(), &words);
    let explicit = plain().security_protocol(SecurityProtocol::Ssl).oauth_bearer(NoTokens);
    assert_refused(explicit.build(), &["oauth_bearer(..)", "security.protocol=SSL (set by the program)"]);
    let local = plain().security_protocol(SecurityProtocol::SaslPlaintext);
    assert!(local.sasl("SCRAM-SHA-256", "alice", "marker").build().is_ok());
}

#[cfg(feature = "tls-portable")]
#[tokio::test]
async fn a_tls_configuration_needs_tls() {
    let provider = Arc::new(rustls_rustcrypto::provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let config = Arc::new(config);
    let refused = plain().tls_config(Arc::clone(&config)).build();
    assert_refused(refused, &["tls_config(..)", "SSL or SASL_SSL", "PLAINTEXT"]);
    assert!(plain().security_protocol(SecurityProtocol::Ssl).tls_config(config).build().is_ok());
}
