//! Every way to log in, sessions that end, and credentials that change while the client runs.

use crate::real::kafka::{self, RealKafka};
use crate::real::process;
use ottla::net::dial::{BoxFuture, Connected, Dial, Endpoint, SocketOptions, TcpDial};
use ottla::{Client, ClientBuilder, Error, ErrorKind, Result, Token, TokenProvider};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const PASSWORD_MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

fn over_tls(kafka: &RealKafka) -> ClientBuilder {
    Client::builder()
        .bootstrap(kafka.sasl_ssl())
        .set("security.protocol", "SASL_SSL")
        .ca_file(kafka.ca().to_str().unwrap())
}

fn unencrypted(bootstrap: &str) -> ClientBuilder {
    Client::builder().bootstrap(bootstrap).set("security.protocol", "SASL_PLAINTEXT")
}

/// Java's way to ask for unsecured tokens.
fn unsecured(user: &str, seconds: u32) -> String {
    format!(
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
         unsecuredLoginStringClaim_sub=\"{user}\" unsecuredLoginLifetimeSeconds=\"{seconds}\";"
    )
}

async fn works(builder: ClientBuilder) {
    let client = builder.connect().await.unwrap();
    assert!(!client.admin().describe_cluster().await.unwrap().brokers.is_empty());
}

async fn refusal(builder: ClientBuilder) -> Error {
    let started = Instant::now();
    let error = builder.connect().await.map(|_| ()).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    error
}

#[tokio::test]
async fn passwords_by_every_mechanism_with_and_without_tls() {
    let kafka = real_kafka!();
    let password = kafka.fact("password_unicode");
    for mechanism in PASSWORD_MECHANISMS {
        // Kafka hashes a password's UTF-8 bytes as they are, and so do we; names are another matter, see below.
        let user = if mechanism == "PLAIN" { "user_unicode" } else { "user_scram_unicode" };
        for (user, password) in [(kafka.user(), kafka.password()), (kafka.fact(user), password)] {
            works(over_tls(kafka).sasl(mechanism, user, password)).await;
            works(unencrypted(kafka.sasl_plaintext()).sasl(mechanism, user, password)).await;
        }
    }
    // Kafka's own SCRAM takes no such user name, whatever the password: that is told.
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let error = refusal(over_tls(kafka).sasl(mechanism, kafka.fact("user_unicode"), password)).await;
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
        assert!(error.to_string().contains("user names of ASCII characters only"), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_fatal_error_that_says_so() {
    let kafka = real_kafka!();
    for mechanism in PASSWORD_MECHANISMS {
        for (user, password) in
            [(kafka.user(), "wrong"), ("nobody", kafka.password()), ("alice", "wrong-密码")]
        {
            let error = refusal(over_tls(kafka).sasl(mechanism, user, password)).await;
            let told = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Authentication, "{told}");
            assert!(error.is_fatal() && !error.is_retriable(), "{told}");
            assert!(told.contains(mechanism) && told.contains("SASL_AUTHENTICATION_FAILED"), "{told}");
            assert!(told.contains("check sasl.username and sasl.password"), "{told}");
            assert!(told.contains("localhost:"), "{told}");
        }
    }
}

#[tokio::test]
async fn a_mechanism_that_is_not_offered_is_answered_with_those_that_are() {
    let kafka = real_kafka!();
    let error =
        refusal(unencrypted(kafka.fact("plain_only")).sasl("SCRAM-SHA-256", kafka.user(), kafka.password()))
            .await;
    let told = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{told}");
    assert!(told.contains("SCRAM-SHA-256") && told.contains("the broker offers PLAIN;"), "{told}");
}

#[tokio::test]
async fn tokens_made_by_the_client_itself_as_java_and_librdkafka_do() {
    let kafka = real_kafka!();
    let oauth = || over_tls(kafka).set("sasl.mechanism", "OAUTHBEARER");
    works(oauth().set("sasl.jaas.config", unsecured("alice", 60))).await;
    works(
        oauth()
            .set("enable.sasl.oauthbearer.unsecure.jwt", "true")
            .set("sasl.oauthbearer.config", "principal=alice lifeSeconds=60 extension_traceId=x"),
    )
    .await;
}

/// Gives tokens as the counter says, and counts.
struct Issuer<F>(Arc<AtomicUsize>, F);

impl<F: Fn(usize) -> Result<Token> + Send + Sync> TokenProvider for Issuer<F> {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token>> + Send + '_>> {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready((self.1)(count)))
    }
}

/// `{"alg":"none"}` and claims for alice from 2023 to `exp`.
fn token_until(exp: &str) -> String {
    use base64::Engine as _;
    let encode = |json: &str| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(json);
    let claims = format!("{{\"sub\":\"alice\",\"iat\":1700000000,\"exp\":{exp}}}");
    format!("{}.{}.", encode("{\"alg\":\"none\"}"), encode(&claims))
}

#[tokio::test]
async fn one_token_that_is_set_lets_its_subject_in_or_is_refused_with_the_status() {
    let kafka = real_kafka!();
    let with = |token: &str| {
        over_tls(kafka).set("sasl.mechanism", "OAUTHBEARER").set("sasl.oauthbearer.token", token)
    };
    works(with(&token_until("4000000000"))).await;
    let error = refusal(with("eyJhbGciOiJub25lIn0.e30.")).await;
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    let told = error.to_string();
    assert!(told.contains("OAUTHBEARER") && told.contains("invalid_token"), "{told}");
}

#[tokio::test]
async fn tokens_of_the_application_are_shared_by_connections_and_refusals_are_told() {
    let kafka = real_kafka!();
    let asked = Arc::new(AtomicUsize::new(0));
    let issuer = Issuer(Arc::clone(&asked), |_| {
        Ok(Token::new(token_until("4000000000"))?.lifetime(Duration::from_secs(3600)))
    });
    let client = over_tls(kafka).oauth_bearer(issuer).connect().await.unwrap();
    let topic = kafka::unique("oauth");
    client.admin().create_topics([ottla::NewTopic::named(&topic).partitions(1)]).await.unwrap();
    let producer = client.producer().build().unwrap();
    producer.send(ottla::Record::to(topic.as_str()).value("v")).await.unwrap().await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1, "bootstrap, admin and producer connections share one token");

    let expired = Issuer(Arc::default(), |_| Token::new(token_until("1700000001")));
    let error = refusal(over_tls(kafka).oauth_bearer(expired)).await;
    let told = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{told}");
    assert!(told.contains("the broker refused the OAUTHBEARER token: invalid_token"), "{told}");

    let failing =
        Issuer(Arc::default(), |_| Err(Error::new(ErrorKind::Authentication, "the vault is sealed")));
    let error = refusal(over_tls(kafka).oauth_bearer(failing)).await;
    assert!(error.to_string().contains("get an OAUTHBEARER token"), "{error}");
    assert!(error.to_string().contains("the vault is sealed"), "{error}");
}

/// Connects, and counts.
#[derive(Debug)]
struct Counting(TcpDial, AtomicUsize);

impl Dial for Counting {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, deadline: Instant) -> BoxFuture<'a, Result<Connected>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.dial(endpoint, deadline)
    }
}

/// KIP-368: sessions of this listener end after two seconds. Requests go on for ten, many at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_renewed_under_load_without_a_failure() {
    let kafka = real_kafka!();
    let at = kafka.fact("reauth");
    let by_password = |mechanism: &str| unencrypted(at).sasl(mechanism, kafka.user(), kafka.password());
    let oauth =
        unencrypted(at).set("sasl.mechanism", "OAUTHBEARER").set("sasl.jaas.config", unsecured("alice", 4));
    let mut builders: Vec<_> = PASSWORD_MECHANISMS.into_iter().map(by_password).collect();
    builders.push(oauth.set("sasl.login.refresh.min.period.seconds", "0"));
    let runs = builders.into_iter().map(|builder| async {
        let dial = Arc::new(Counting(TcpDial::new(SocketOptions::default()), AtomicUsize::new(0)));
        let client = builder.dial(Arc::clone(&dial) as Arc<dyn Dial>).connect().await.unwrap();
        let topic = kafka::unique("reauth");
        client.admin().create_topics([ottla::NewTopic::named(&topic).partitions(1)]).await.unwrap();
        let producer = client.producer().build().unwrap();
        // Until it can be written to, the topic may not be known to the broker's every part.
        producer.send(ottla::Record::to(topic.as_str()).value("first")).await.unwrap().await.unwrap();
        let (end, topic) = (Instant::now() + Duration::from_secs(10), topic.as_str());
        let asking = || async {
            let mut answers = 0u32;
            while Instant::now() < end {
                client.admin().describe_topics([topic]).await.unwrap()[topic].as_ref().unwrap();
                answers += 1;
            }
            answers
        };
        let sending = async {
            let mut deliveries = Vec::new();
            while Instant::now() < end {
                deliveries.push(producer.send(ottla::Record::to(topic).value("v")).await.unwrap());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            for (n, delivery) in deliveries.iter_mut().enumerate() {
                assert_eq!(delivery.await.unwrap().offset, n as i64 + 1, "each once, in order");
            }
        };
        let (a, b, c, ()) = tokio::join!(asking(), asking(), asking(), sending);
        assert!(a.min(b).min(c) > 50, "{a} {b} {c}");
        // Four without any fault: to the bootstrap server and on each lane that was used. Without renewal there were twelve;
        // a machine under load may renew a session too late.
        let dials = dial.1.load(Ordering::Relaxed);
        assert!(dials <= 8, "{dials} connections");
    });
    ottla::task::join_all(runs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_rotated_is_used_at_the_next_authentication() {
    let kafka = real_kafka!();
    let user = kafka::unique("rotated");
    set_password(kafka, &user, "first-password");
    let client =
        unencrypted(kafka.fact("reauth")).sasl("SCRAM-SHA-256", &user, "first-password").connect().await;
    let client = client.unwrap();
    let ask = async || client.admin().with_timeout(Duration::from_secs(3)).list_topics().await.map(|_| ());
    ask().await.unwrap();

    tokio::task::block_in_place(|| set_password(kafka, &user, SECOND));
    client.set_credentials(&user, SECOND).unwrap();
    // A session may have ended while the old one was no longer right and the new one not yet here.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let end = Instant::now() + Duration::from_secs(6);
    while Instant::now() < end {
        ask().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // A wrong one is told when the session ends, and a right one mends it without a new client.
    client.set_credentials(&user, "wrong").unwrap();
    let end = Instant::now() + Duration::from_secs(6);
    let error = loop {
        match ask().await {
            Ok(()) => assert!(Instant::now() < end, "the wrong password was never used"),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    client.set_credentials(&user, SECOND).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    ask().await.unwrap();

    let error = client.set_credentials("", "x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

/// SCRAM hashes the bytes of UTF-8 as they are.
const SECOND: &str = "druhé-tajemství-密码";

fn set_password(kafka: &RealKafka, user: &str, password: &str) {
    let config = format!("SCRAM-SHA-256=[password={password}]");
    let arguments = ["--bootstrap-server", kafka.plaintext(), "--alter", "--add-config", &config];
    let mut java = kafka.java("kafka.admin.ConfigCommand", &arguments);
    process::run(java.args(["--entity-type", "users", "--entity-name", user]), b"", kafka::CLIENT_LIMIT)
        .success();
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_wanted() {
    let kafka = real_kafka!();
    let mutual = || {
        Client::builder()
            .bootstrap(kafka.fact("ssl"))
            .set("security.protocol", "SSL")
            .ca_file(kafka.ca().to_str().unwrap())
    };
    let path = |name: &str| kafka.cert(name).to_str().unwrap().to_owned();
    let text = |name: &str| std::fs::read_to_string(kafka.cert(name)).unwrap();
    works(mutual().client_certificate_files(path("client.pem"), path("client.key"))).await;
    works(mutual().client_certificate_pem(text("client.pem"), text("client.key"))).await;
    let password = text("client-encrypted.password");
    let encrypted = || mutual().client_certificate_files(path("client.pem"), path("client-encrypted.key"));
    works(encrypted().key_password(password)).await;
    let error = refusal(encrypted().key_password("wrong")).await;
    assert!(error.to_string().contains("ssl.key.password does not decrypt the private key"), "{error}");
    let error = refusal(encrypted()).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("set ssl.key.password"), "{error}");

    let error = refusal(mutual()).await;
    let told = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Tls, "{told}");
    assert!(told.contains("the broker wants a client certificate: set ssl.certificate.location"), "{told}");
    let other = mutual().client_certificate_files(path("other-client.pem"), path("other-client.key"));
    let error = refusal(other).await;
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.to_string().contains("refuses the client's certificate"), "{error}");
    let mixed = mutual().client_certificate_files(path("client.pem"), path("other-client.key"));
    assert_eq!(refusal(mixed).await.kind(), ErrorKind::Config);
}
