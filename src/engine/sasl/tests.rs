//! Client against server, for each mechanism, and what no Debug or error may show.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const USER: &str = "alice";

fn password(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn scram(hash: ScramHash, username: &str, text: &str) -> Credentials {
    Credentials::Scram { hash, username: username.to_owned(), password: password(text), token_auth: false }
}

fn plain(username: &str, text: &str) -> Credentials {
    Credentials::Plain { username: username.to_owned(), password: password(text) }
}

/// What a login ends in.
#[derive(Debug, PartialEq)]
enum End {
    Authenticated(String),
    /// The client's own reason, then the server's.
    Refused(Option<SaslError>, SaslError),
}

/// Drives both sides until one of them is through; `answer` plays the broker's store.
fn login(credentials: &Credentials, token: Option<BearerToken>, answer: impl Fn(Query) -> Answer) -> End {
    let mut client = credentials.mechanism([7; 24]).unwrap();
    let mut server = server_mechanism(client.name(), [9; 24]).unwrap();
    assert_eq!(client.name(), server.name());
    let mut step = client.step(Input::Start).unwrap();
    let mut principal = None;
    loop {
        step = match step {
            Step::Derive(derive) => client.step(Input::Derived(derive.run())).unwrap(),
            Step::NeedToken => client.step(Input::Token(token.clone().unwrap())).unwrap(),
            Step::Done => {
                return End::Authenticated(principal.expect("the client is done before the server"));
            }
            Step::Send(bytes) => {
                let mut reply = server.step(ServerInput::Client(bytes.as_bytes()));
                if let Ok(ServerStep::Ask(query)) = reply {
                    reply = server.step(ServerInput::Answer(answer(query)));
                }
                let challenge = match reply {
                    Err(error) => return End::Refused(client.refusal(), error),
                    Ok(ServerStep::Ask(query)) => panic!("asked twice: {query:?}"),
                    Ok(ServerStep::Send(bytes)) => bytes.into_bytes(),
                    Ok(ServerStep::Done { message, principal: who, .. }) => {
                        principal = Some(who);
                        message
                    }
                };
                client.step(Input::Challenge(&challenge)).unwrap()
            }
        }
    }
}

fn scram_store(name: &str, text: &str) -> impl Fn(Query) -> Answer {
    move |query| match query {
        Query::Scram { hash, username } if username == name => {
            Answer::Scram(ScramCredential::derive(hash, text, b"salt".to_vec(), MIN_ITERATIONS))
        }
        _ => Answer::Nobody,
    }
}

fn plain_store(query: Query) -> Answer {
    match query {
        Query::Password { username } if username == USER => Answer::Password(password("alice-secret")),
        _ => Answer::Nobody,
    }
}

#[test]
fn scram_client_and_server_agree() {
    for hash in [ScramHash::Sha256, ScramHash::Sha512] {
        for (name, text) in [("alice", "secret"), ("a,b=c", "päß漢字\u{212b}"), ("üser", " \0 x")] {
            let end = login(&scram(hash, name, text), None, scram_store(name, text));
            assert_eq!(end, End::Authenticated(name.to_owned()), "{hash:?} {name}");
        }
    }
}

#[test]
fn scram_refuses_a_wrong_password_and_an_unknown_user_alike() {
    let wrong = login(&scram(ScramHash::Sha256, USER, "wrong"), None, scram_store(USER, "right"));
    let unknown = login(&scram(ScramHash::Sha256, "bob", "right"), None, scram_store(USER, "right"));
    let reason = "invalid user name or password".to_owned();
    assert_eq!(wrong, End::Refused(None, SaslError::Refused { mechanism: "SCRAM-SHA-256", reason }));
    assert_eq!(wrong, unknown);
}

/// SASLprep would map the Angstrom sign to Å; Kafka does not, so these are two passwords.
#[test]
fn passwords_are_not_normalised() {
    let end = login(&scram(ScramHash::Sha256, USER, "\u{212b}"), None, scram_store(USER, "\u{c5}"));
    assert!(matches!(end, End::Refused(..)), "{end:?}");
}

#[test]
fn plain_client_and_server_agree() {
    let end = login(&plain(USER, "alice-secret"), None, plain_store);
    assert_eq!(end, End::Authenticated(USER.to_owned()));
    for credentials in [plain(USER, "alice-secreT"), plain(USER, "alice"), plain("bob", "alice-secret")] {
        let end = login(&credentials, None, plain_store);
        assert!(matches!(end, End::Refused(None, SaslError::Refused { .. })), "{end:?}");
    }
}

#[test]
fn plain_bytes() {
    let mut client = plain(USER, "sécret").mechanism([0; 24]).unwrap();
    let Step::Send(bytes) = client.step(Input::Start).unwrap() else { panic!("PLAIN speaks first") };
    assert_eq!(bytes.as_bytes(), "\0alice\0sécret".as_bytes());
    let error = client.step(Input::Challenge(b"go on")).unwrap_err();
    assert!(matches!(error, SaslError::Malformed { .. }));
}

#[test]
fn unusable_names_and_passwords_are_refused_before_anything_is_sent() {
    for credentials in [
        plain("", "x"),
        plain("x", ""),
        plain("a\0b", "x"),
        plain("a", "x\0y"),
        scram(ScramHash::Sha256, "", "x"),
        scram(ScramHash::Sha512, "x", ""),
        scram(ScramHash::Sha256, "a\0b", "x"),
    ] {
        let error = credentials.mechanism([0; 24]).unwrap_err();
        assert!(matches!(error, SaslError::Credentials(_)), "{credentials:?}: {error}");
    }
}

#[test]
fn plain_server_refuses_what_is_no_plain_message() {
    for message in
        [&b""[..], b"alice", b"\0alice", b"\0alice\0", b"\0\0x", b"\0a\0b\0c", b"bob\0alice\0x", b"\0\xff\0x"]
    {
        let error = PlainServer::new().step(ServerInput::Client(message)).unwrap_err();
        assert!(matches!(error, SaslError::Malformed { .. }), "{message:?}: {error}");
    }
    let same_authzid = PlainServer::new().step(ServerInput::Client(b"alice\0alice\0x"));
    assert!(matches!(same_authzid, Ok(ServerStep::Ask(_))));
}

fn token() -> BearerToken {
    let token = BearerToken::new("eyJhbGciOi.J9-_~+/=").unwrap();
    token.extension("logicalCluster", "lkc 1").unwrap().extension("poolId", "p").unwrap()
}

#[test]
fn oauthbearer_bytes() {
    let mut client = Credentials::OAuthBearer.mechanism([0; 24]).unwrap();
    assert!(matches!(client.step(Input::Start).unwrap(), Step::NeedToken));
    let Step::Send(bytes) = client.step(Input::Token(token())).unwrap() else { panic!("the token is sent") };
    let expected: &[u8] =
        b"n,,\x01auth=Bearer eyJhbGciOi.J9-_~+/=\x01logicalCluster=lkc 1\x01poolId=p\x01\x01";
    assert_eq!(bytes.as_bytes(), expected);
}

#[test]
fn oauthbearer_client_and_server_agree() {
    let end = login(&Credentials::OAuthBearer, Some(token()), |query| {
        let Query::Token(found) = query else { panic!("a token is asked about: {query:?}") };
        assert_eq!(found.value(), token().value());
        assert_eq!(found.extensions(), token().extensions());
        let lifetime = Some(Duration::from_secs(3_600));
        Answer::Token(TokenVerdict::Accepted { principal: USER.to_owned(), lifetime })
    });
    assert_eq!(end, End::Authenticated(USER.to_owned()));
}

#[test]
fn oauthbearer_reports_status_and_scope() {
    let (status, scope) = ("insufficient \"scope\"".to_owned(), Some("kafka:write".to_owned()));
    let end = login(&Credentials::OAuthBearer, Some(token()), |_| {
        Answer::Token(TokenVerdict::Refused { status: status.clone(), scope: scope.clone() })
    });
    let error = SaslError::TokenRefused { status, scope, openid_configuration: None };
    assert_eq!(end, End::Refused(Some(error.clone()), error.clone()));
    let text = "the broker refused the OAUTHBEARER token: insufficient \"scope\" (needs scope kafka:write)";
    assert_eq!(error.to_string(), text);
}

fn refusal_to(json: &[u8]) -> SaslError {
    let mut client = Credentials::OAuthBearer.mechanism([0; 24]).unwrap();
    client.step(Input::Start).unwrap();
    client.step(Input::Token(token())).unwrap();
    let Step::Send(bytes) = client.step(Input::Challenge(json)).unwrap() else { panic!("one byte is sent") };
    assert_eq!(bytes.as_bytes(), b"\x01");
    let after = client.step(Input::Challenge(b"")).unwrap_err();
    assert_eq!(client.refusal(), Some(after.clone()));
    after
}

#[test]
fn oauthbearer_reads_what_brokers_answer() {
    let error = |status: &str, scope: Option<&str>, configuration: Option<&str>| SaslError::TokenRefused {
        status: status.to_owned(),
        scope: scope.map(str::to_owned),
        openid_configuration: configuration.map(str::to_owned),
    };
    assert_eq!(refusal_to(br#"{"status":"invalid_token"}"#), error("invalid_token", None, None));
    let full =
        br#" { "status" : "invalid_token" , "scope":"a b\u0021","openid-configuration":"https:\/\/x" } "#;
    assert_eq!(refusal_to(full), error("invalid_token", Some("a b!"), Some("https://x")));
    assert_eq!(refusal_to(br#"{"scope":"x"}"#), error("no status given", Some("x"), None));
    assert_eq!(refusal_to(b"no JSON\n"), error("no JSON\u{fffd}", None, None));
    assert_eq!(refusal_to(br#"{"status":401}"#), error(r#"{"status":401}"#, None, None));
    assert_eq!(refusal_to(br#"{"status":"a\u00"}"#), error(r#"{"status":"a\u00"}"#, None, None));
}

#[test]
fn tokens_and_extensions_are_checked() {
    for value in ["", "=", "a b", "a\n", "\"a\"", "a=b", "tök"] {
        assert!(BearerToken::new(value).is_err(), "{value:?}");
    }
    for (key, value) in [("", "x"), ("auth", "x"), ("a1", "x"), ("a", ""), ("a", "x\u{1}y"), ("a", "ü")] {
        assert!(token().extension(key, value).is_err(), "{key:?}={value:?}");
    }
}

#[test]
fn oauthbearer_server_refuses_what_is_no_first_message() {
    for message in [
        &b""[..],
        b"n,,",
        b"n,,\x01\x01",
        b"n,,\x01auth=Bearer x\x01",
        b"y,,\x01auth=Bearer x\x01\x01",
        b"n,,\x01auth=Basic x\x01\x01",
        b"n,,\x01auth=Bearer \x01\x01",
        b"n,,\x01host=x\x01\x01",
        b"n,,\x01auth=Bearer x\x01p0rt=1\x01\x01",
    ] {
        let error = OAuthBearerServer::new().step(ServerInput::Client(message)).unwrap_err();
        assert!(matches!(error, SaslError::Malformed { .. }), "{message:?}: {error}");
    }
}

/// The marker and its base64 must be in nothing that a log or an error can show.
#[test]
fn secrets_are_not_shown() {
    use base64::Engine as _;
    let marker = "Xy77Marker";
    let forbidden = [marker.to_owned(), base64::prelude::BASE64_STANDARD.encode(marker)];
    let mut shown = Vec::new();
    for credentials in [plain(USER, marker), scram(ScramHash::Sha256, USER, marker)] {
        let mut client = credentials.mechanism([0; 24]).unwrap();
        shown.push(format!("{credentials:?} {client:?} {:?}", client.step(Input::Start).unwrap()));
        let answer = client.step(Input::Challenge(b"r=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1,s=c2FsdA==,i=4096"));
        shown.push(format!("{client:?} {answer:?}"));
        if let Ok(Step::Derive(derive)) = answer {
            let derived = derive.run();
            shown.push(format!("{derived:?}"));
            shown.push(format!("{:?} {client:?}", client.step(Input::Derived(derived))));
        }
    }
    let secret_token = BearerToken::new(marker).unwrap();
    let mut client = Credentials::OAuthBearer.mechanism([0; 24]).unwrap();
    client.step(Input::Start).unwrap();
    shown.push(format!("{secret_token:?} {:?}", client.step(Input::Token(secret_token.clone()))));
    shown.push(format!("{:?}", Query::Token(secret_token)));
    shown.push(format!("{:?}", Answer::Password(password(marker))));
    let server_step = PlainServer::new().step(ServerInput::Client(format!("\0u\0{marker}").as_bytes()));
    shown.push(format!("{server_step:?}"));
    for text in shown {
        assert!(!forbidden.iter().any(|secret| text.contains(secret)), "{text}");
    }
}

fn names() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("PLAIN"), Just("SCRAM-SHA-256"), Just("SCRAM-SHA-512"), Just("OAUTHBEARER")]
}

proptest! {
    #[test]
    fn no_client_message_makes_a_server_panic_or_accept(
        name in names(),
        first in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..64),
            "n,,n=[ -~]{0,20},r=[ -~]{0,20}(,[a-z]=[ -~]{0,9}){0,2}".prop_map(String::into_bytes),
            "n,,\u{1}auth=Bearer [!-~]{0,20}\u{1}([a-z]{1,4}=[ -~]{0,8}\u{1}){0,2}\u{1}".prop_map(String::into_bytes),
        ],
        second in "c=[a-zA-Z]{0,4},r=[ -~]{0,60},p=[A-Za-z0-9+/]{0,8}",
    ) {
        let mut server = server_mechanism(name, [9; 24]).unwrap();
        let step = server.step(ServerInput::Client(&first));
        prop_assert!(!matches!(step, Ok(ServerStep::Done { .. })), "{:?}", step);
        if let Ok(ServerStep::Ask(query)) = step {
            let answer = match query {
                Query::Password { .. } => Answer::Password(password("a password that nobody guesses")),
                Query::Scram { hash, .. } => {
                    Answer::Scram(ScramCredential::from_salted_password(hash, b"x", vec![1], 4_096))
                }
                Query::Token(_) => Answer::Nobody,
            };
            let step = server.step(ServerInput::Answer(answer));
            prop_assert!(!matches!(step, Ok(ServerStep::Done { .. })), "{:?}", step);
            let step = server.step(ServerInput::Client(second.as_bytes()));
            prop_assert!(!matches!(step, Ok(ServerStep::Done { .. })), "{:?}", step);
        }
    }

    #[test]
    fn no_refusal_makes_a_client_panic_or_accept(json in prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..64),
        r#"\{("[a-z]{1,4}":"([ -~]|\\u[0-9a-f]{2,4}|é){0,9}",?){0,3}\}"#.prop_map(String::into_bytes),
    ]) {
        let error = refusal_to(&json);
        prop_assert!(matches!(error, SaslError::TokenRefused { .. }), "{:?}", error);
        prop_assert!(!error.to_string().chars().any(char::is_control));
    }
}
