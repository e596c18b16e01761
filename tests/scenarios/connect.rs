//! Brokers that cannot or must not be connected to: each a clear error in bounded time, and no storm of connections.

use crate::door::{Behind, Door};
use crate::secure;
use ottla::config::SecurityProtocol;
use ottla::{Client, ClientBuilder, Error, ErrorKind};
use std::time::{Duration, Instant};

/// Why `builder` does not connect, which it must say within `limit`.
async fn refusal(builder: ClientBuilder, limit: Duration) -> Error {
    let outcome = tokio::time::timeout(limit, builder.connect()).await.expect("an error in time");
    outcome.map(|_| ()).unwrap_err()
}

#[track_caller]
fn assert_told(error: &Error, kind: ErrorKind, words: &[&str]) {
    let told = error.to_string();
    assert_eq!(error.kind(), kind, "{told}");
    for word in words {
        assert!(told.contains(word), "{word:?} is not in: {told}");
    }
}

#[tokio::test]
async fn certificates_that_do_not_hold_are_refused_with_the_reason() {
    let kafka = real_kafka!();
    for (listener, words) in [
        ("expired", ["certificate expired on 2021-01-01 00:00 UTC", "renew"]),
        ("not_yet_valid", ["not valid before 2090-01-01", "clock"]),
        ("wrong_host", ["is not for localhost, only for kafka.invalid", "subjectAltName"]),
        ("wrong_host", ["localhost:", "advertised.listeners"]),
        ("other_ca", ["a certificate authority that this client does not trust", "ssl.ca.location"]),
    ] {
        let error = refusal(secure(kafka, kafka.fact(listener)), Duration::from_secs(5)).await;
        assert_told(&error, ErrorKind::Tls, &words);
    }
}

#[tokio::test]
async fn without_its_authority_a_broker_is_not_trusted() {
    let kafka = real_kafka!();
    let builder = Client::builder().bootstrap(kafka.sasl_ssl()).set("security.protocol", "SASL_SSL").sasl(
        "PLAIN",
        kafka.user(),
        kafka.password(),
    );
    // The system's authorities; where there are none, that is what is told.
    let error = refusal(builder, Duration::from_secs(5)).await;
    assert!(matches!(error.kind(), ErrorKind::Tls | ErrorKind::Config), "{error}");
    assert!(error.to_string().contains("ssl.ca.location"), "{error}");
}

#[tokio::test]
async fn what_is_dangerous_is_done_only_by_its_name() {
    let kafka = real_kafka!();
    for listener in ["expired", "not_yet_valid", "wrong_host", "other_ca"] {
        let builder = secure(kafka, kafka.fact(listener)).dangerous_skip_certificate_verification();
        builder.connect().await.unwrap();
    }
    secure(kafka, kafka.fact("wrong_host")).dangerous_skip_hostname_verification().connect().await.unwrap();
    for listener in ["expired", "not_yet_valid", "other_ca"] {
        let builder = secure(kafka, kafka.fact(listener)).dangerous_skip_hostname_verification();
        let error = refusal(builder, Duration::from_secs(5)).await;
        assert_eq!(error.kind(), ErrorKind::Tls, "{listener}: {error}");
    }
}

#[tokio::test]
async fn peers_of_another_kind_are_named() {
    let kafka = real_kafka!();
    let http = Door::to(Behind::Says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")).await;
    let quick = |builder: ClientBuilder| builder.connection_timeout(Duration::from_secs(1));
    let plain = |bootstrap: &str| quick(Client::builder().bootstrap(bootstrap));
    let limit = Duration::from_secs(6);

    let error = refusal(quick(secure(kafka, &http.address())), limit).await;
    assert_told(&error, ErrorKind::Tls, &["an HTTP server answers there"]);
    let error = refusal(plain(&http.address()), limit).await;
    assert!(error.to_string().contains("HTTP"), "{error}");

    // TLS towards a plaintext listener, and the other way round.
    let error = refusal(quick(secure(kafka, kafka.plaintext())), limit).await;
    assert_told(
        &error,
        ErrorKind::Timeout,
        &["127.0.0.1:", "is this a plaintext port?", "security.protocol"],
    );
    let error = refusal(plain(kafka.sasl_ssl()), limit).await;
    assert!(error.to_string().contains("TLS"), "{error}");

    // Without SASL towards a listener that wants it.
    let error = refusal(plain(kafka.sasl_plaintext()), limit).await;
    assert!(error.to_string().contains("security.protocol"), "{error}");
}

#[tokio::test]
async fn a_web_server_is_recognised_over_tls() {
    let http = Door::to(Behind::Says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")).await;
    let builder = Client::builder().bootstrap(http.address()).security_protocol(SecurityProtocol::Ssl);
    let builder = builder.ca_pem(include_str!("../data/tls/ca.pem"));
    let error = refusal(builder, Duration::from_secs(20)).await;
    assert_told(&error, ErrorKind::Tls, &[&http.address(), "an HTTP server answers there"]);
}

#[tokio::test]
async fn nobody_there_and_silence_end_in_time() {
    let closed = {
        let door = Door::to(Behind::Silence).await;
        door.address()
    };
    let silent = Door::to(Behind::Silence).await;
    let quick =
        |bootstrap: &str| Client::builder().bootstrap(bootstrap).connection_timeout(Duration::from_secs(1));
    let limit = Duration::from_secs(6);
    let error = refusal(quick(&closed), limit).await;
    let words = [closed.as_str(), "nothing listens there", "Connection refused", "is the broker up"];
    assert_told(&error, ErrorKind::Timeout, &words);
    let error = refusal(quick(&silent.address()), limit).await;
    assert_told(&error, ErrorKind::Timeout, &[&silent.address(), "did not answer in time"]);
    let error = refusal(
        quick(&silent.address()).set("security.protocol", "SSL").dangerous_skip_certificate_verification(),
        limit,
    )
    .await;
    assert_told(&error, ErrorKind::Timeout, &["did not finish the handshake"]);
    let error = refusal(quick("no-such-host.invalid:9092"), limit).await;
    assert_told(&error, ErrorKind::Timeout, &["no-such-host.invalid:9092", "was not resolved"]);
}

/// Whoever calls as often as he can makes no more than five connections a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_refusal_makes_a_storm() {
    let kafka = real_kafka!();
    let wrong = |builder: ClientBuilder| builder.sasl("PLAIN", kafka.user(), "wrong");
    let broker = |listener: &str| Behind::Broker(kafka.fact(listener).to_owned());
    type Make<'a> = Box<dyn Fn(&str) -> ClientBuilder + 'a>;
    let secured = || -> Make<'_> { Box::new(|at| secure(kafka, at)) };
    let cases: Vec<(&str, Behind, Make<'_>)> = vec![
        ("wrong password", broker("sasl_ssl"), Box::new(|at| wrong(secure(kafka, at)))),
        ("expired", broker("expired"), secured()),
        ("other authority", broker("other_ca"), secured()),
        ("plaintext port", broker("plaintext"), secured()),
        ("HTTP", Behind::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), secured()),
        ("hangs up", Behind::Says(b""), Box::new(|at| Client::builder().bootstrap(at))),
        ("garbage", Behind::Says(&[0xff; 64]), Box::new(|at| Client::builder().bootstrap(at))),
    ];
    let runs = cases.into_iter().map(|(name, behind, make)| async move {
        let door = Door::to(behind).await;
        let client = make(&door.address()).build().unwrap();
        let end = Instant::now() + Duration::from_secs(8);
        let caller = || async {
            let admin = client.admin().with_timeout(Duration::from_millis(700));
            while Instant::now() < end {
                admin.describe_cluster().await.map(|_| ()).unwrap_err();
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(caller(), caller(), caller());
        let (all, most) = (door.knocks(), door.most_in(Duration::from_secs(1)));
        println!("{name}: {all} connections in 8 s, at most {most} in one");
        assert!(all >= 3, "{name}: {all}: it no longer tries");
        assert!(most <= 5, "{name}: {most} connections within a second");
    });
    ottla::task::join_all(runs).await;
}
