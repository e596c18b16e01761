//! Logging in to a real Kafka, and refusing one: each mechanism, and each way in that must stay shut.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests against a real broker: the real clock, and whatever a client says first"
)]

#[macro_use]
#[path = "support/real/mod.rs"]
mod real;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ottla::{Client, ClientBuilder, Error, ErrorKind};
use real::kafka::RealKafka;

const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

fn to(servers: &str) -> ClientBuilder {
    Client::builder().bootstrap(servers)
}

fn over_tls(kafka: &RealKafka, listener: &str, protocol: &str) -> ClientBuilder {
    let ca = kafka.ca();
    to(kafka.fact(listener)).set("security.protocol", protocol).ca_file(ca.to_str().unwrap())
}

fn as_user(client: ClientBuilder, mechanism: &str, user: &str, password: &str) -> ClientBuilder {
    client.set("sasl.mechanism", mechanism).set("sasl.username", user).set("sasl.password", password)
}

fn as_alice(kafka: &RealKafka, client: ClientBuilder) -> ClientBuilder {
    as_user(client, "PLAIN", kafka.user(), kafka.password())
}

/// Connects, and asks the cluster for itself over the connection to its own address.
async fn gets_in(client: ClientBuilder) -> Result<(), Error> {
    let client = client.connect().await?;
    let cluster = client.admin().describe_cluster().await?;
    assert!(!cluster.brokers.is_empty());
    Ok(())
}

/// The error of a client that is not to get in, which must say all of `parts`.
async fn stays_out(client: ClientBuilder, kind: ErrorKind, parts: &[&str]) {
    let start = Instant::now();
    let Err(error) = gets_in(client).await else { panic!("it got in, and was to be told {parts:?}") };
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "told after {:?}: {text}", start.elapsed());
}

#[tokio::test]
async fn every_mechanism_lets_every_user_in() {
    let kafka = real_kafka!();
    for mechanism in MECHANISMS {
        // Kafka hashes a password's UTF-8 bytes as they are, and so do we; names are another matter, see
        // below.
        let unicode = if mechanism == "PLAIN" { "user_unicode" } else { "user_scram_unicode" };
        let users = [("user", "password"), (unicode, "password_unicode")];
        for (user, password) in users.map(|(user, password)| (kafka.fact(user), kafka.fact(password))) {
            let tls = over_tls(kafka, "sasl_ssl", "SASL_SSL");
            let plaintext = to(kafka.sasl_plaintext()).set("security.protocol", "SASL_PLAINTEXT");
            for client in [tls, plaintext] {
                let outcome = gets_in(as_user(client, mechanism, user, password)).await;
                assert!(outcome.is_ok(), "{mechanism}, {user}: {}", outcome.unwrap_err());
            }
        }
    }
}

#[tokio::test]
async fn a_name_that_scram_of_kafka_cannot_read_is_told() {
    let kafka = real_kafka!();
    let (user, password) = (kafka.fact("user_unicode"), kafka.fact("password_unicode"));
    let client = as_user(over_tls(kafka, "sasl_ssl", "SASL_SSL"), "SCRAM-SHA-256", user, password);
    stays_out(client, ErrorKind::Authentication, &["user names of ASCII characters only"]).await;
}

#[tokio::test]
async fn a_wrong_password_or_user_is_refused_by_name() {
    let kafka = real_kafka!();
    for mechanism in MECHANISMS {
        for (user, password) in [(kafka.user(), "wrong"), ("nobody", kafka.password())] {
            let client = as_user(over_tls(kafka, "sasl_ssl", "SASL_SSL"), mechanism, user, password);
            stays_out(client, ErrorKind::Authentication, &["localhost:", "sasl.password"]).await;
        }
    }
}

#[tokio::test]
async fn an_oauthbearer_token_lets_its_subject_in() {
    use base64::Engine as _;
    let kafka = real_kafka!();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = format!(r#"{{"sub":"alice","iat":{now},"exp":{}}}"#, now + 600);
    let [header, claims] = [r#"{"alg":"none"}"#, &claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let client = over_tls(kafka, "sasl_ssl", "SASL_SSL")
        .set("sasl.mechanism", "OAUTHBEARER")
        .set("sasl.oauthbearer.token", format!("{header}.{claims}."));
    gets_in(client).await.unwrap();
}

#[tokio::test]
async fn an_oauthbearer_token_that_is_refused_is_told_with_its_status() {
    let kafka = real_kafka!();
    let client = over_tls(kafka, "sasl_ssl", "SASL_SSL")
        .set("sasl.mechanism", "OAUTHBEARER")
        .set("sasl.oauthbearer.token", "eyJhbGciOiJub25lIn0.e30.");
    stays_out(client, ErrorKind::Authentication, &["OAUTHBEARER", "invalid_token"]).await;
}

#[tokio::test]
async fn certificates_to_be_refused_are_refused_with_the_reason() {
    let kafka = real_kafka!();
    for (listener, parts) in [
        ("expired", ["expired on 2021-", "renew the certificate"]),
        ("not_yet_valid", ["not valid before 2090-", "clock"]),
        ("wrong_host", ["is not for localhost, only for ", "advertised.listeners"]),
        ("other_ca", ["does not trust", "ssl.ca.location"]),
    ] {
        let client = as_alice(kafka, over_tls(kafka, listener, "SASL_SSL"));
        stays_out(client, ErrorKind::Tls, &parts).await;
    }
}

#[tokio::test]
async fn a_client_certificate_opens_the_listener_that_asks_for_it() {
    let kafka = real_kafka!();
    let with = |certificate: &str, key: &str| {
        let [certificate, key] = [certificate, key].map(|name| kafka.cert(name).to_str().unwrap().to_owned());
        over_tls(kafka, "ssl", "SSL")
            .set("ssl.certificate.location", certificate)
            .set("ssl.key.location", key)
    };
    gets_in(with("client.pem", "client.key")).await.unwrap();
    let without = over_tls(kafka, "ssl", "SSL");
    stays_out(without, ErrorKind::Tls, &["client certificate", "ssl.certificate.location"]).await;
    let stranger = with("other-client.pem", "other-client.key");
    stays_out(stranger, ErrorKind::Tls, &["refuses the client's certificate"]).await;
    let encrypted = with("client.pem", "client-encrypted.key");
    stays_out(encrypted, ErrorKind::Config, &["encrypted", "ssl.key.password"]).await;
}

#[tokio::test]
async fn a_plain_port_behind_sasl_ssl_is_recognised() {
    let kafka = real_kafka!();
    let client = as_alice(kafka, over_tls(kafka, "plaintext", "SASL_SSL"))
        .set("socket.connection.setup.timeout.ms", "2000");
    stays_out(client, ErrorKind::Timeout, &["127.0.0.1:", "plaintext port?", "security.protocol"]).await;
}

#[tokio::test]
async fn a_web_server_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut client in listener.incoming().take(100).flatten() {
            let mut request = [0; 4096];
            if matches!(client.read(&mut request), Ok(1..)) {
                let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            }
        }
    });
    let ca = include_str!("data/tls/ca.pem");
    let tls = to(&address).set("security.protocol", "SSL").ca_pem(ca);
    stays_out(tls, ErrorKind::Tls, &[&address, "an HTTP server answers there"]).await;
}

#[tokio::test]
async fn a_dead_port_is_told_with_what_it_answered() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("localhost:{port}");
    let client = to(&address).set("socket.connection.setup.timeout.ms", "2000");
    stays_out(client, ErrorKind::Timeout, &[&address, "Connection refused", "is the broker up"]).await;
}
