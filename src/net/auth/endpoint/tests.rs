use super::*;
use crate::config::Settings;
use crate::net::mem::MemNet;

const SECRET: &str = "marker s3cret";

fn endpoint(net: &MemNet, more: &[(&str, &str)]) -> Result<Endpoint> {
    let mut pairs = vec![
        ("bootstrap.servers", "kafka:9092"),
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.allow.plaintext", "true"),
        ("sasl.oauthbearer.token.endpoint.url", "http://login.example/token?tenant=t"),
        ("sasl.oauthbearer.client.credentials.client.id", "id"),
        ("sasl.oauthbearer.client.credentials.client.secret", SECRET),
        ("sasl.oauthbearer.scope", "read write"),
    ];
    pairs.retain(|(key, _)| !more.iter().any(|(other, _)| other == key));
    pairs.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    let config = ClientConfig::from_settings(&Settings::from_map(pairs).unwrap()).unwrap();
    let sasl = config.sasl.clone().unwrap();
    let dial: Arc<dyn Dial> = Arc::new(net.dialer());
    Endpoint::new(&sasl.oauth.endpoint.clone().unwrap(), &sasl, &config, &dial)
}

/// Asks an endpoint that answers `answer`; what it was asked, and what came of it.
async fn ask(answer: &str) -> (String, Result<Token>) {
    let net = MemNet::new(1);
    let listener = net.listen("login.example", 80).unwrap();
    let answer = answer.to_owned();
    let server = task::spawn(async move {
        let (mut stream, _) = listener.accept().await;
        let mut asked = Vec::new();
        while !asked.ends_with(b"scope=read+write") {
            assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    });
    let outcome = endpoint(&net, &[]).unwrap().token().await;
    (server.await.unwrap(), outcome)
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn refused(answer: &str) -> Error {
    let error = ask(answer).await.1.unwrap_err();
    for shape in [SECRET, &BASE64_STANDARD.encode(SECRET), &BASE64_STANDARD.encode(format!("id:{SECRET}"))] {
        assert!(!format!("{error} {error:?}").contains(shape), "{error}");
    }
    error
}

#[tokio::test(start_paused = true)]
async fn client_credentials_are_posted_and_a_token_comes_back() {
    let (asked, token) =
        ask(&ok(r#"{"access_token":"abc.def.ghi","token_type":"Bearer","expires_in":300}"#)).await;
    let authorization =
        format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("id:{SECRET}")));
    assert!(asked.starts_with("POST /token?tenant=t HTTP/1.1\r\nHost: login.example\r\n"), "{asked}");
    assert!(asked.contains(&authorization), "{asked}");
    assert!(asked.ends_with("\r\n\r\ngrant_type=client_credentials&scope=read+write"), "{asked}");
    let token = token.unwrap();
    assert_eq!(token.bearer.value(), "abc.def.ghi");
    assert_eq!(token.lifetime, Some(Duration::from_secs(300)));
}

#[tokio::test(start_paused = true)]
async fn refusals_are_told_with_the_endpoints_words() {
    let body = r#"{"error":"invalid_client","error_description":"no\nsuch client"}"#;
    let error = refused(&ok(body).replacen("200 OK", "401 Unauthorized", 1)).await;
    assert_eq!(error.kind(), ErrorKind::Authentication);
    let told = error.to_string();
    assert!(told.contains("ask http://login.example/token for a token"), "{told}");
    assert!(told.contains("the endpoint answered 401: invalid_client: no\u{fffd}such client"), "{told}");
    assert!(told.contains("client.credentials.client.id"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_worth_another_try() {
    for status in ["500", "503", "429", "408"] {
        let error = refused(&format!("HTTP/1.1 {status} Busy\r\nContent-Length: 0\r\n\r\n")).await;
        assert!(error.is_retriable() && error.to_string().contains(status), "{error}");
    }
    for status in ["400", "403", "404", "501"] {
        let error = refused(&format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")).await;
        assert!(!error.is_retriable(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn redirects_are_not_followed() {
    let error =
        refused("HTTP/1.1 302 Found\r\nLocation: https://evil.example/?q=1\r\nContent-Length: 0\r\n\r\n")
            .await;
    let told = error.to_string();
    assert!(told.contains("redirects to https://evil.example/,") && !told.contains("q=1"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_the_endpoint_repeats_is_not_shown() {
    for shape in
        [SECRET.to_owned(), "marker+s3cret".to_owned(), BASE64_STANDARD.encode(format!("id:{SECRET}"))]
    {
        let body = format!(r#"{{"error":"wrong","error_description":"it was {shape}"}}"#);
        let error = refused(&ok(&body).replacen("200 OK", "400 Bad", 1)).await;
        assert!(error.to_string().contains("withheld") && !error.to_string().contains(&shape), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_without_a_token_are_refused() {
    for (body, why) in [
        ("<html>", "is no JSON"),
        ("{}", "has no access_token"),
        (r#"{"access_token":7}"#, "has no access_token"),
        (r#"{"access_token":"a b"}"#, "characters that no token has"),
        (r#"{"access_token":"a","expires_in":0}"#, "expired already"),
    ] {
        let error = refused(&ok(body)).await;
        assert!(error.to_string().contains(why), "{error}");
    }
    let error = refused("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n").await;
    assert!(error.to_string().contains("more than 262144 bytes"), "{error}");
    let error = refused("SSH-2.0-OpenSSH\r\n").await;
    assert!(error.to_string().contains("not HTTP"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn silence_and_nobody_there_end_in_time() {
    let net = MemNet::new(1);
    let endpoint = endpoint(&net, &[("sasl.login.read.timeout.ms", "700")]).unwrap();
    let error = endpoint.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    let listener = net.listen("login.example", 80).unwrap();
    let start = task::now();
    let error = endpoint.token().await.unwrap_err();
    assert_eq!((error.kind(), task::now() - start), (ErrorKind::Timeout, Duration::from_millis(700)));
    drop(listener);
}

#[test]
fn a_lifetime_comes_from_the_answer_or_from_the_token() {
    let jwt = |claims: &str| format!("e30.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(claims));
    let wall_ms = 1_700_000_000_000;
    let expires = jwt(r#"{"exp":1700000060}"#);
    let of =
        |body: String| token(body.as_bytes(), wall_ms).map(|token| token.lifetime.map(|life| life.as_secs()));
    assert_eq!(of(format!(r#"{{"access_token":"{expires}"}}"#)), Ok(Some(60)));
    assert_eq!(of(format!(r#"{{"access_token":"{expires}","expires_in":"30"}}"#)), Ok(Some(30)));
    assert_eq!(of(r#"{"access_token":"opaque"}"#.to_owned()), Ok(None));
    assert_eq!(of(format!(r#"{{"access_token":"{}"}}"#, jwt("{}"))), Ok(None));
    assert_eq!(of(r#"{"access_token":"opaque","expires_in":1e300}"#.to_owned()), Ok(Some(31_536_000)));
    let past = jwt(r#"{"exp":1}"#);
    assert!(of(format!(r#"{{"access_token":"{past}"}}"#)).is_err());
}

#[tokio::test]
async fn settings_that_do_not_suffice_are_refused_by_name() {
    let net = MemNet::new(1);
    let refused = |more: &[(&str, &str)]| endpoint(&net, more).map(|_| ()).unwrap_err();
    for (more, why) in [
        (("sasl.allow.plaintext", "false"), "login.example unencrypted"),
        (("sasl.oauthbearer.client.credentials.client.id", ""), "client.id is not set"),
        (("sasl.oauthbearer.client.credentials.client.secret", ""), "client.secret is not set"),
        (("sasl.oauthbearer.client.credentials.client.id", "a:b"), "urlencode"),
        (("sasl.oauthbearer.token.endpoint.url", "http://a b/"), "characters that a URL cannot have"),
    ] {
        let error = refused(&[more]);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(why), "{error}");
    }
    let local =
        [("sasl.oauthbearer.token.endpoint.url", "http://localhost/t"), ("sasl.allow.plaintext", "false")];
    assert!(endpoint(&net, &local).is_ok());
    let colon = [
        ("sasl.oauthbearer.client.credentials.client.id", "a:b"),
        ("sasl.oauthbearer.header.urlencode", "true"),
    ];
    let encoded = BASE64_STANDARD.encode("a%3Ab:marker+s3cret");
    assert_eq!(*endpoint(&net, &colon).unwrap().authorization, format!("Basic {encoded}"));
}
