//! No secret is in any log, error, panic or `Debug`, nor its base64: every way of a client at TRACE, with passwords, tokens
//! and keys that can be found again.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::string_slice,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests"
)]

#[macro_use]
#[path = "../support/real/mod.rs"]
mod real;
mod trap;

use ottla::config::{ClientConfig, Secret, Settings};
use ottla::{Client, ClientBuilder, Error, ErrorKind, Result, Token, TokenProvider};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use trap::Trap;

const JAAS: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required";

/// Settings of every kind that hold the secret, whether they make sense or not.
fn settings_with(secret: &str) -> Vec<Vec<(&'static str, String)>> {
    let sasl = |mechanism: &str| {
        vec![
            ("bootstrap.servers", "localhost:1".to_owned()),
            ("security.protocol", "SASL_PLAINTEXT".to_owned()),
            ("sasl.mechanism", mechanism.to_owned()),
        ]
    };
    let with = |mut pairs: Vec<(&'static str, String)>, more: &[(&'static str, String)]| {
        pairs.extend_from_slice(more);
        pairs
    };
    let quoted = format!("{JAAS} username=\"alice\" password=\"{secret}\";");
    let tls = |key: &'static str, value: String| {
        vec![
            ("bootstrap.servers", "localhost:1".to_owned()),
            ("security.protocol", "SSL".to_owned()),
            ("ssl.ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".to_owned()),
            (key, value),
        ]
    };
    let name_and =
        |password: &str| [("sasl.username", "alice".to_owned()), ("sasl.password", password.to_owned())];
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----");
    vec![
        with(sasl("PLAIN"), &name_and(secret)),
        with(sasl("SCRAM-SHA-512"), &name_and(secret)),
        with(sasl("PLAIN"), &name_and(&format!("{secret}\0"))),
        with(sasl("PLAIN"), &[("sasl.jaas.config", quoted.clone())]),
        with(sasl("SCRAM-SHA-256"), &[("sasl.jaas.config", quoted.clone())]),
        with(sasl("PLAIN"), &[("sasl.jaas.config", quoted.replace(';', ""))]),
        with(sasl("PLAIN"), &[("sasl.jaas.config", quoted.replace('"', ""))]),
        with(sasl("PLAIN"), &[("sasl.jaas.config", format!("{secret} {secret}"))]),
        with(with(sasl("PLAIN"), &name_and("other")), &[("sasl.jaas.config", quoted)]),
        with(sasl("OAUTHBEARER"), &[("sasl.oauthbearer.token", secret.to_owned())]),
        with(sasl("OAUTHBEARER"), &[("sasl.oauthbearer.token", format!("{secret} with spaces"))]),
        with(
            sasl("OAUTHBEARER"),
            &[
                ("sasl.oauthbearer.token.endpoint.url", "http://localhost:1/token".to_owned()),
                ("sasl.oauthbearer.client.credentials.client.id", "id".to_owned()),
                ("sasl.oauthbearer.client.credentials.client.secret", secret.to_owned()),
            ],
        ),
        with(
            sasl("OAUTHBEARER"),
            &[
                ("enable.sasl.oauthbearer.unsecure.jwt", "true".to_owned()),
                ("sasl.oauthbearer.config", format!("principal={secret} nonsense={secret}")),
            ],
        ),
        with(tls("ssl.key.pem", pem.clone()), &[("ssl.certificate.pem", pem.clone())]),
        with(
            tls("ssl.key.pem", pem.replace("PRIVATE", "ENCRYPTED PRIVATE")),
            &[("ssl.certificate.pem", pem), ("ssl.key.password", secret.to_owned())],
        ),
        tls("ssl.keystore.password", secret.to_owned()),
        tls("ssl.truststore.password", secret.to_owned()),
    ]
}

#[tokio::test]
async fn settings_builders_and_configurations_show_none() {
    let trap = Trap::new("settings");
    let secret = trap.secret.as_str();
    for pairs in settings_with(secret) {
        let mut settings = Settings::new();
        let mut builder = Client::builder();
        for (key, value) in &pairs {
            if let Err(error) = settings.set(key, value.as_str()) {
                trap.look_at(&error);
                trap.look_at(&error.to_string());
            }
            builder = builder.set(key, value.as_str());
        }
        trap.look_at(&settings);
        trap.look_at(&settings.describe());
        trap.look_at(&builder);
        match ClientConfig::from_settings(&settings) {
            Ok(config) => trap.look_at(&config),
            Err(error) => {
                trap.look_at(&error);
                trap.look_at(&error.to_string());
            }
        }
        match builder.build() {
            Ok(client) => {
                trap.look_at_client(&client);
                let error = client.admin().with_timeout(Duration::from_millis(300)).describe_cluster().await;
                trap.look_at_error(&error.unwrap_err());
            }
            Err(error) => trap.look_at_error(&error),
        }
    }
    // A file with a mistake in it is told by its line, not by what stands there.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("sasl.password={secret}\\u12\nsasl.passwort={secret}\n")).unwrap();
    match Settings::from_file(file.path()) {
        Ok(settings) => trap.look_at(&settings),
        Err(error) => {
            trap.look_at(&error);
            trap.look_at(&error.to_string());
        }
    }
    trap.look_at(&Secret::from(secret));
    trap.look_at(&Secret::from(secret.to_owned()).to_string());
    trap.look_at(&Token::new(secret).unwrap().extension("trace", "x").unwrap());
    trap.look_at(&Token::new(format!("{secret} {secret}")).unwrap_err());
    trap.assert_empty();
}

/// A server that reads once, answers this and hangs up.
async fn answering(answer: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = vec![0; 4096];
            let read = stream.read(&mut asked).await.unwrap_or(0);
            // What comes back may be what was said: an echo.
            let answer = if answer == b"echo" { &asked[..read] } else { answer };
            let _ = stream.write_all(answer).await;
        }
    });
    format!("localhost:{port}")
}

fn login(bootstrap: &str, mechanism: &str, secret: &str) -> ClientBuilder {
    Client::builder()
        .bootstrap(bootstrap)
        .set("security.protocol", "SASL_PLAINTEXT")
        .sasl(mechanism, "alice", secret)
        .connection_timeout(Duration::from_millis(300))
}

#[tokio::test]
async fn connections_that_fail_show_none() {
    let trap = Trap::new("connections");
    let secret = trap.secret.as_str();
    let peers = [
        answering(b"").await,
        answering(b"echo").await,
        answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
        "localhost:1".to_owned(),
    ];
    for peer in &peers {
        for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
            trap.look_at_error(&login(peer, mechanism, secret).connect().await.map(|_| ()).unwrap_err());
        }
    }
    for answer in [
        &b"echo"[..],
        b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
    ] {
        let url = format!("http://{}/token", answering(answer).await);
        let builder = Client::builder()
            .bootstrap("localhost:1")
            .set("security.protocol", "SASL_PLAINTEXT")
            .set("sasl.mechanism", "OAUTHBEARER")
            .set("sasl.oauthbearer.token.endpoint.url", url)
            .set("sasl.oauthbearer.client.credentials.client.id", "id")
            .set("sasl.oauthbearer.client.credentials.client.secret", secret)
            .connection_timeout(Duration::from_millis(300));
        trap.look_at_error(&builder.connect().await.map(|_| ()).unwrap_err());
    }
    trap.assert_empty();
}

/// Gives the same token each time.
struct Always(String);

impl TokenProvider for Always {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token>> + Send + '_>> {
        Box::pin(std::future::ready(Token::new(self.0.as_str())))
    }
}

#[tokio::test]
async fn logins_at_a_real_broker_show_none() {
    let kafka = real_kafka!();
    let wrong = Trap::new("refused");
    let secret = wrong.secret.as_str();
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let error = login(kafka.sasl_plaintext(), mechanism, secret).connect().await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
        wrong.look_at_error(&error);
    }
    let token = Client::builder()
        .bootstrap(kafka.sasl_plaintext())
        .set("security.protocol", "SASL_PLAINTEXT")
        .oauth_bearer(Always(secret.to_owned()));
    let error = token.connect().await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    wrong.look_at_error(&error);
    wrong.assert_empty();

    // The right ones, in use: what the broker's user, and the client's key, are called by.
    let right = Trap::of(kafka.password());
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let client = login(kafka.sasl_plaintext(), mechanism, kafka.password());
        let client = client.connection_timeout(Duration::from_secs(10)).connect().await.unwrap();
        use_it(&client, &right).await;
        client.set_credentials(kafka.user(), secret).unwrap();
        wrong.look_at_client(&client);
    }
    right.assert_empty();

    let key = std::fs::read_to_string(kafka.cert("client.key")).unwrap();
    let line = key.lines().nth(1).unwrap();
    let of_key = Trap::of(line);
    let builder = Client::builder()
        .bootstrap(kafka.fact("ssl"))
        .set("security.protocol", "SSL")
        .ca_file(kafka.ca().to_str().unwrap())
        .client_certificate_pem(std::fs::read_to_string(kafka.cert("client.pem")).unwrap(), key.as_str());
    of_key.look_at(&builder);
    use_it(&builder.connect().await.unwrap(), &of_key).await;
    of_key.assert_empty();
    wrong.assert_empty();
}

/// A record in and out, with a look at everything on the way.
async fn use_it(client: &Client, trap: &Trap) {
    trap.look_at_client(client);
    let topic = real::kafka::unique("secrets");
    let wanted = ottla::NewTopic::named(&topic).partitions(1);
    trap.look_at(&client.admin().create_topics([wanted]).await.unwrap());
    let producer = client.producer().build().unwrap();
    producer.send(ottla::Record::to(topic.as_str()).value("v")).await.unwrap().await.unwrap();
    trap.look_at(&producer);
    let start = [(ottla::TopicPartition::new(topic.as_str(), 0), ottla::Start::Beginning)];
    let mut consumer = client.consumer().assign(start).build().await.unwrap();
    trap.look_at(&consumer.poll().await.unwrap());
    trap.look_at(&consumer);
}

/// The trap itself: it would have caught one in each of these forms.
#[test]
fn a_secret_is_found_in_every_form() {
    use base64::Engine as _;
    let leaks: [fn(&str) -> String; 7] = [
        |secret| format!("x{secret}y"),
        |secret| base64::prelude::BASE64_STANDARD.encode(secret),
        |secret| base64::prelude::BASE64_STANDARD.encode(format!("\0alice\0{secret}")),
        |secret| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(format!("id:{secret}")),
        |secret| format!("{:?}", secret.as_bytes()),
        |secret| secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        |secret| format!("{:?}", bytes::Bytes::from(secret.to_owned())),
    ];
    for (number, leak) in leaks.into_iter().enumerate() {
        let trap = Trap::new("leak");
        let leaked = leak(&trap.secret);
        assert!(trap.would_find(&leaked), "form {number}: {leaked}");
        tracing::trace!(%leaked, "on purpose");
        assert!(std::panic::catch_unwind(|| trap.assert_empty()).is_err(), "form {number} in the log");
    }
    let trap = Trap::new("panic");
    let secret = trap.secret.clone();
    assert!(std::panic::catch_unwind(|| panic!("{secret}")).is_err());
    assert!(std::panic::catch_unwind(|| trap.assert_empty()).is_err(), "in a panic");
    let trap = Trap::new("debug");
    let shown: &dyn Debug = &Error::new(ErrorKind::Internal, trap.secret.clone());
    trap.look_at(&shown);
    assert!(std::panic::catch_unwind(|| trap.assert_empty()).is_err(), "in a Debug");
}
