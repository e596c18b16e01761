use proptest::prelude::*;

use super::*;

struct Vector {
    hash: ScramHash,
    username: &'static str,
    password: &'static str,
    client_nonce: &'static str,
    server_first: &'static str,
    client_final: &'static str,
    server_final: &'static str,
}

/// RFC 7677, section 3; then two that Python's hashlib computed, for the hash that no RFC has a vector of and for a name
/// that is escaped with a password that SASLprep would change (its last character is the Angstrom sign).
const VECTORS: [Vector; 3] = [
    Vector {
        hash: ScramHash::Sha256,
        username: "user",
        password: "pencil",
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    },
    Vector {
        hash: ScramHash::Sha512,
        username: "user",
        password: "pencil",
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_first: "r=rOprNGfwEbeRWgbNEkqO02431b08-2f0c-4bad-a4e6-80c0564ec865,\
                       s=Yin2FuHTt/M0kJWb0t9OI32n2VmOGi3m+JfjOvuDF88=,i=4096",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO02431b08-2f0c-4bad-a4e6-80c0564ec865,\
                       p=/rEe0l0f8TFUZ602ZhrlhFQjPTPwhuBN2OtmtUkVwke0+1HXwg97t9EAECkJuwsneJbK96u3OkWQ9AnQTfQOkQ==",
        server_final: "v=+G6+ISRLYUHLGlkL5p/wF8dGGJb1DNQ+pAw35WkWjFeKS8/Ms75mKGsQVxiMR5dTV864MOPCzaB6hba2VXMbfA==",
    },
    Vector {
        hash: ScramHash::Sha512,
        username: "us=er,",
        password: "pä߀\u{212b}",
        client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
        server_first: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                       s=Yin2FuHTt/M0kJWb0t9OI32n2VmOGi3m+JfjOvuDF88=,i=5000",
        client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                       p=SEbRPep1wp5+uzSBBjoqiUOhG67r/stDiqjE3k8udsV2AdHKJYEvJdu7kIP3mm+dJTNu/3EWTGrjvlB4GEkuGw==",
        server_final: "v=mIoS3ZtTYFX0cZyOFeKFsF2BWK9NWZ6yoxp/CakVHKg7J6tLlGmv/uiZbvnvpS4+wSMCEZsbiAXraSzTjtJhRQ==",
    },
];

fn sent(step: Step) -> String {
    match step {
        Step::Send(bytes) => String::from_utf8(bytes.as_bytes().to_vec()).unwrap(),
        other => panic!("expected bytes to send, got {other:?}"),
    }
}

fn started() -> ScramClient {
    let mut client =
        ScramClient::with_nonce(ScramHash::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO".into()).unwrap();
    client.step(Input::Start).unwrap();
    client
}

fn answer_to_first(message: &str) -> Result<Step, SaslError> {
    started().step(Input::Challenge(message.as_bytes()))
}

/// As far as the last message, which is then the server's to send.
fn proved() -> ScramClient {
    let mut client = started();
    let Step::Derive(derive) = client.step(Input::Challenge(VECTORS[0].server_first.as_bytes())).unwrap()
    else {
        panic!("the password is hashed first")
    };
    client.step(Input::Derived(derive.run())).unwrap();
    client
}

#[test]
fn vectors() {
    for vector in &VECTORS {
        let mut client = ScramClient::with_nonce(
            vector.hash,
            vector.username,
            vector.password,
            vector.client_nonce.to_owned(),
        )
        .unwrap();
        let first = sent(client.step(Input::Start).unwrap());
        assert_eq!(first, format!("n,,n={},r={}", escape_name(vector.username), vector.client_nonce));
        let Step::Derive(derive) = client.step(Input::Challenge(vector.server_first.as_bytes())).unwrap()
        else {
            panic!("the password is hashed first")
        };
        assert_eq!(sent(client.step(Input::Derived(derive.run())).unwrap()), vector.client_final);
        let last = client.step(Input::Challenge(vector.server_final.as_bytes())).unwrap();
        assert!(matches!(last, Step::Done), "{last:?}");
    }
}

#[test]
fn the_nonce_is_32_characters_of_base64() {
    let mut client = ScramClient::new(ScramHash::Sha256, "user", "pencil", [0xfb; 24]).unwrap();
    assert_eq!(sent(client.step(Input::Start).unwrap()), "n,,n=user,r=+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7");
}

#[test]
fn names_are_escaped() {
    let mut client = ScramClient::with_nonce(ScramHash::Sha256, "a,b=c=2C", "p", "n".into()).unwrap();
    assert_eq!(sent(client.step(Input::Start).unwrap()), "n,,n=a=2Cb=3Dc=3D2C,r=n");
}

#[test]
fn a_delegation_token_is_announced() {
    let client = ScramClient::with_nonce(ScramHash::Sha256, "token-id", "hmac", "n".into()).unwrap();
    let first = sent(client.with_token_auth().step(Input::Start).unwrap());
    assert_eq!(first, "n,,n=token-id,r=n,tokenauth=true");
}

#[test]
fn a_nonce_that_does_not_continue_ours_is_refused() {
    for nonce in ["rOprNGfwEbeRWgbNEkqO", "rOprNGfwEbeRWgbNEkqo%hv", "x", "%hvrOprNGfwEbeRWgbNEkqO"] {
        let error = answer_to_first(&format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")).unwrap_err();
        assert_eq!(error, SaslError::Nonce, "{nonce}");
    }
}

#[test]
fn iterations_are_bounded_before_anything_is_hashed() {
    let ask = |count: &str| {
        answer_to_first(&format!("r=rOprNGfwEbeRWgbNEkqO1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i={count}"))
    };
    for (count, found) in [
        ("0", 0),
        ("1", 1),
        ("4095", 4_095),
        ("1000001", 1_000_001),
        ("2147483647", 2_147_483_647),
        ("4294971392", 4_294_971_392),
        ("99999999999999999999999999", u64::MAX),
    ] {
        assert_eq!(ask(count).unwrap_err(), SaslError::Iterations { found }, "{count}");
    }
    for count in ["4096", "1000000"] {
        assert!(matches!(ask(count), Ok(Step::Derive(_))), "{count}");
    }
    for count in ["-4096", "+4096", "0x1000", "4096.0", "4k", ""] {
        assert!(matches!(ask(count).unwrap_err(), SaslError::Malformed { .. }), "{count}");
    }
}

#[test]
fn malformed_first_messages_are_refused() {
    for message in [
        "",
        ",",
        "r",
        "r=",
        "r=rOprNGfwEbeRWgbNEkqO1",
        "r=rOprNGfwEbeRWgbNEkqO1,s=,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO1,s=*,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO1,s=W22ZaJ0SNY7soEsUEjb6gQ==",
        "s=W22ZaJ0SNY7soEsUEjb6gQ==,r=rOprNGfwEbeRWgbNEkqO1,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO1 \u{7f},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,",
        "r=rOprNGfwEbeRWgbNEkqO1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,1=x",
    ] {
        assert!(matches!(answer_to_first(message), Err(SaslError::Malformed { .. })), "{message}");
    }
    let long = format!("r=rOprNGfwEbeRWgbNEkqO{},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "1".repeat(9_000));
    assert!(matches!(answer_to_first(&long), Err(SaslError::Malformed { .. })));
}

#[test]
fn optional_extensions_are_skipped_and_mandatory_ones_refused() {
    let known = "r=rOprNGfwEbeRWgbNEkqO1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    assert!(matches!(answer_to_first(&format!("{known},x=new,y=")), Ok(Step::Derive(_))));
    for message in [format!("m=must,{known}"), format!("{known},m=must"), format!("{known},x=new,m=")] {
        assert_eq!(answer_to_first(&message).unwrap_err(), SaslError::MandatoryExtension, "{message}");
    }
}

#[test]
fn the_server_must_prove_itself() {
    for message in [
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8=",
        "v=AAAA",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A==",
    ] {
        let error = proved().step(Input::Challenge(message.as_bytes())).unwrap_err();
        assert_eq!(error, SaslError::ServerSignature, "{message}");
    }
    for message in ["", "v", "v=", "v=*", "x=6rri", "v6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="] {
        let error = proved().step(Input::Challenge(message.as_bytes())).unwrap_err();
        assert!(matches!(error, SaslError::Malformed { .. }), "{message}: {error}");
    }
}

#[test]
fn a_refusal_is_reported_in_one_printable_line() {
    let refused = |reason: &str| SaslError::Refused { mechanism: "SCRAM-SHA-256", reason: reason.to_owned() };
    let error = proved().step(Input::Challenge(b"e=invalid-proof\r\n\x1b[31m")).unwrap_err();
    assert_eq!(error, refused("invalid-proof\u{fffd}\u{fffd}\u{fffd}[31m"));
    let error = answer_to_first("e=unknown-user").unwrap_err();
    assert_eq!(error, refused("unknown-user"));
}

/// Seen on a real broker: SASL_AUTHENTICATION_FAILED in answer to the first message, whatever the password.
#[test]
fn a_name_that_kafka_cannot_read_is_the_likely_reason_of_a_refusal() {
    let refusal = |name: &str| {
        let mut client = ScramClient::new(ScramHash::Sha256, name, "päß", [1; 24]).unwrap();
        client.step(Input::Start).unwrap();
        client.refusal()
    };
    assert!(refusal("žofie").is_some_and(|error| error.to_string().contains("ASCII")));
    assert_eq!(refusal("zofie"), None);
    assert_eq!(proved().refusal(), None);
}

#[test]
fn inputs_out_of_turn_are_errors_and_end_the_exchange() {
    let mut client = ScramClient::new(ScramHash::Sha512, "user", "pencil", [1; 24]).unwrap();
    assert!(matches!(client.step(Input::Challenge(b"v=AAAA")), Err(SaslError::OutOfTurn { .. })));
    assert!(matches!(client.step(Input::Start), Err(SaslError::OutOfTurn { .. })));
    let mut client = proved();
    client.step(Input::Challenge(VECTORS[0].server_final.as_bytes())).unwrap();
    let again = client.step(Input::Challenge(VECTORS[0].server_final.as_bytes()));
    assert!(matches!(again, Err(SaslError::OutOfTurn { .. })));
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        "[rsivem]=[ -~]{0,40}(,[rsivemx]=[ -~]{0,40}){0,4}".prop_map(String::into_bytes),
        "r=rOprNGfwEbeRWgbNEkqO[ -~]{0,8},s=[A-Za-z0-9+/=]{0,12},i=[0-9]{0,8}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn no_hostile_first_message_panics_or_is_accepted(message in hostile()) {
        if let Ok(step) = started().step(Input::Challenge(&message)) {
            prop_assert!(matches!(step, Step::Derive(_)));
        }
    }

    #[test]
    fn no_hostile_last_message_panics_or_is_accepted(message in hostile()) {
        // The proof costs 4,096 hashes; the state after it is what counts.
        let mut client = started();
        client.state = State::AwaitFinal { server_signature: Zeroizing::new(vec![0xa5; 32]) };
        prop_assert!(client.step(Input::Challenge(&message)).is_err());
    }
}
