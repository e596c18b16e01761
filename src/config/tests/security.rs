use super::{assert_says, client, settings};
use crate::config::{ClientConfig, ConfigError, Pem, Sasl, SaslMechanism, Ssl, TlsVersion};
use std::path::Path;
use std::time::Duration;

fn over_tls(pairs: &[(&str, &str)]) -> Result<Sasl, ConfigError> {
    let all = [&[("security.protocol", "SASL_SSL")], pairs].concat();
    client(&all).map(|config| config.sasl.unwrap())
}

fn ssl(pairs: &[(&str, &str)]) -> Result<Ssl, ConfigError> {
    client(&[&[("security.protocol", "SSL")], pairs].concat()).map(|config| config.ssl)
}

fn is_file(pem: Option<&Pem>, path: &str) -> bool {
    matches!(pem, Some(Pem::File(file)) if file == Path::new(path))
}

const PLAIN: &str = r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="alice secret";"#;
const SCRAM: &str = r#"org.apache.kafka.common.security.scram.ScramLoginModule required username="id" password="hmac" tokenauth=true;"#;

#[test]
fn credentials_come_from_either_kind_of_setting() {
    let sasl = over_tls(&[("sasl.mechanisms", "PLAIN"), ("sasl.username", "alice"), ("sasl.password", "s")])
        .unwrap();
    assert_eq!(sasl.mechanism, SaslMechanism::Plain);
    assert_eq!((sasl.username.as_deref(), sasl.password.unwrap().expose().as_str()), (Some("alice"), "s"));
    let sasl = over_tls(&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", PLAIN)]).unwrap();
    assert_eq!(sasl.password.unwrap().expose(), "alice secret");
    let sasl = over_tls(&[("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.jaas.config", SCRAM)]).unwrap();
    assert_eq!((sasl.mechanism, sasl.token_auth), (SaslMechanism::ScramSha512, true));
}

#[test]
fn of_two_sources_of_a_password_the_nearer_one_counts() {
    let mut mixed = settings(&[("bootstrap.servers", "one"), ("sasl.jaas.config", PLAIN)]);
    mixed
        .add_environment([("KAFKA_SASL_PASSWORD", "from the environment"), ("KAFKA_SASL_MECHANISM", "PLAIN")])
        .unwrap();
    mixed.add_environment([("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")]).unwrap();
    let read = ClientConfig::from_settings(&mixed).unwrap().sasl.unwrap();
    assert_eq!(read.password.unwrap().expose(), "alice secret");
    mixed.set("sasl.password", "alice secret").unwrap();
    assert!(ClientConfig::from_settings(&mixed).is_ok());
    mixed.set("sasl.password", "other").unwrap();
    let error = ClientConfig::from_settings(&mixed).unwrap_err().to_string();
    assert!(error.contains("sasl.password (set by the program) and password in sasl.jaas.config"), "{error}");
    assert!(!error.contains("other") && !error.contains("secret\""), "{error}");
}

#[test]
fn what_is_missing_is_named() {
    for (pairs, parts) in [
        (vec![], vec!["sasl.mechanism is not set", "security.protocol=SASL_SSL", "SCRAM-SHA-256"]),
        (vec![("sasl.mechanism", "PLAIN")], vec!["sasl.username is not set", "sasl.mechanism=PLAIN"]),
        (vec![("sasl.mechanism", "PLAIN"), ("sasl.username", "a")], vec!["sasl.password is not set"]),
        (
            vec![("sasl.mechanism", "SCRAM-SHA-256"), ("sasl.jaas.config", PLAIN)],
            vec!["SCRAM-SHA-256", "PlainLoginModule"],
        ),
        (
            vec![("sasl.mechanism", "PLAIN"), ("sasl.username", "a\0"), ("sasl.password", "b")],
            vec!["sasl.username", "NUL"],
        ),
    ] {
        assert_says(over_tls(&pairs), &parts);
    }
}

#[test]
fn a_password_does_not_travel_unencrypted_unasked() {
    let plain = |mechanism, server, more: &[(&str, &str)]| {
        let pairs = [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("bootstrap.servers", server),
            ("sasl.mechanism", mechanism),
            ("sasl.username", "alice"),
            ("sasl.password", "marker"),
        ];
        client(&[&pairs, more].concat())
    };
    let parts =
        ["sasl.mechanism=PLAIN", "to kafka.example unencrypted", "sasl.allow.plaintext=true", "SASL_SSL"];
    assert_says(plain("PLAIN", "localhost:9092,kafka.example:9092", &[]), &parts);
    assert_says(plain("OAUTHBEARER", "kafka.example:9092", &[]), &["sasl.mechanism=OAUTHBEARER"]);
    let local = plain("PLAIN", "localhost:9092", &[]).unwrap();
    assert!(local.may_authenticate_with("127.0.0.1").is_ok());
    assert_says(
        local.may_authenticate_with("kafka.example"),
        &["would send its secret to kafka.example unencrypted"],
    );
    let allowed = plain("PLAIN", "kafka.example:9092", &[("sasl.allow.plaintext", "true")]).unwrap();
    assert!(allowed.warnings[0].contains("the secret of PLAIN goes over the network unencrypted"));
    assert_eq!(plain("PLAIN", "localhost:9092,127.0.0.1,[::1]:1", &[]).unwrap().warnings.len(), 1);
    assert_eq!(plain("SCRAM-SHA-256", "kafka.example:9092", &[]).unwrap().warnings.len(), 1);
}

#[test]
fn tokens_come_from_an_endpoint() {
    let jaas = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId=\"id\" \
                clientSecret=\"marker\" scope=\"read\" extension_logicalCluster=\"lkc-1\";";
    let sasl = over_tls(&[
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.token.endpoint.url", "https://login.example/token"),
        ("sasl.jaas.config", jaas),
        ("sasl.oauthbearer.extensions", "identityPoolId=pool-1"),
        ("sasl.login.refresh.buffer.seconds", "60"),
        ("sasl.login.read.timeout.ms", "500"),
    ])
    .unwrap();
    assert!(!format!("{sasl:?}").contains("marker"));
    let endpoint = sasl.oauth.endpoint.unwrap();
    assert_eq!((endpoint.client_id.as_deref(), endpoint.scope.as_deref()), (Some("id"), Some("read")));
    assert_eq!(endpoint.client_secret.unwrap().expose(), "marker");
    assert_eq!(endpoint.read_timeout, Some(Duration::from_millis(500)));
    let names: Vec<_> = sasl.oauth.extensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(names, ["identityPoolId=pool-1", "logicalCluster=lkc-1"]);
    assert_eq!(sasl.login_refresh.buffer, Duration::from_secs(60));
    assert!(sasl.oauth.unsecured.is_none());
}

#[test]
fn unsecured_tokens_are_described_as_in_java_or_librdkafka() {
    let jaas = "OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"alice\" \
        unsecuredLoginListClaim_scope=\"|read|write\" unsecuredLoginNumberClaim_level=\"2.5\" \
        unsecuredLoginLifetimeSeconds=\"60\" unsecuredLoginExtension_a=\"b\";";
    let java = over_tls(&[("sasl.mechanism", "OAUTHBEARER"), ("sasl.jaas.config", jaas)]).unwrap().oauth;
    assert_eq!(java.extensions, [("a".to_owned(), "b".to_owned())]);
    let token = java.unsecured.unwrap();
    assert_eq!(token.string_claims, [("sub".to_owned(), "alice".to_owned())]);
    assert_eq!(token.list_claims, [("scope".to_owned(), vec!["read".to_owned(), "write".to_owned()])]);
    assert_eq!(token.number_claims, [("level".to_owned(), 2.5)]);
    assert_eq!(token.lifetime, Duration::from_secs(60));

    let claims = "principalClaimName=azp principal=admin scopeClaimName=roles scope=role1,role2 lifeSeconds=600 extension_x=y";
    let rdkafka = [
        ("sasl.mechanism", "OAUTHBEARER"),
        ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
        ("sasl.oauthbearer.config", claims),
    ];
    let oauth = over_tls(&rdkafka).unwrap().oauth;
    assert_eq!(oauth.extensions, [("x".to_owned(), "y".to_owned())]);
    let token = oauth.unsecured.unwrap();
    assert_eq!(token.string_claims, [("azp".to_owned(), "admin".to_owned())]);
    assert_eq!(token.list_claims, [("roles".to_owned(), vec!["role1".to_owned(), "role2".to_owned()])]);
    assert_eq!(token.lifetime, Duration::from_secs(600));
}

#[test]
fn faulty_claims_are_refused_without_showing_them() {
    for claims in
        ["", "marker", "principal=", "principal=marker lifeSeconds=0", "principal=a marker=b", "scope=marker"]
    {
        let pairs = [
            ("sasl.mechanism", "OAUTHBEARER"),
            ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
            ("sasl.oauthbearer.config", claims),
        ];
        let error = over_tls(&pairs).unwrap_err().to_string();
        assert!(error.contains("sasl.oauthbearer.config") && !error.contains("marker"), "{error}");
    }
    for claims in [
        "unsecuredLoginStringClaim_iss=\"marker\"",
        "unsecuredLoginStringClaim_sub=\" \"",
        "unsecuredLoginStringClaim_sub=a unsecuredLoginNumberClaim_n=marker",
        "unsecuredLoginStringClaim_sub=a unsecuredLoginNumberClaim_exp=\"1\"",
        "unsecuredLoginStringClaim_sub=a unsecuredLoginLifetimeSeconds=\"-1marker\"",
    ] {
        let jaas = format!("OAuthBearerLoginModule required {claims};");
        let error = over_tls(&[("sasl.mechanism", "OAUTHBEARER"), ("sasl.jaas.config", &jaas)])
            .unwrap_err()
            .to_string();
        assert!(error.contains("sasl.jaas.config") && !error.contains("marker"), "{error}");
    }
    for extensions in ["auth=marker", "a.b=marker", "a=märker", "=marker"] {
        let pairs = [("sasl.mechanism", "OAUTHBEARER"), ("sasl.oauthbearer.extensions", extensions)];
        let error = over_tls(&pairs).unwrap_err().to_string();
        assert!(error.contains("extension") && !error.contains("marker"), "{error}");
    }
}

#[test]
fn certificates_have_javas_names_and_librdkafkas() {
    let rdkafka = ssl(&[
        ("ssl.ca.location", "ca.pem"),
        ("ssl.certificate.location", "c.pem"),
        ("ssl.key.location", "k.pem"),
        ("ssl.key.password", "marker"),
    ])
    .unwrap();
    assert!(is_file(rdkafka.ca.as_ref(), "ca.pem") && is_file(rdkafka.certificate.as_ref(), "c.pem"));
    assert!(is_file(rdkafka.key.as_ref(), "k.pem"));
    assert_eq!(rdkafka.key_password.unwrap().expose(), "marker");
    let java = ssl(&[
        ("ssl.truststore.type", "pem"),
        ("ssl.truststore.location", "trust.pem"),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.location", "store.pem"),
    ])
    .unwrap();
    assert!(is_file(java.ca.as_ref(), "trust.pem"));
    assert!(is_file(java.certificate.as_ref(), "store.pem") && is_file(java.key.as_ref(), "store.pem"));
    let text = ssl(&[
        ("ssl.truststore.certificates", "-----marker"),
        ("ssl.keystore.certificate.chain", "-----marker"),
        ("ssl.keystore.key", "-----marker"),
    ])
    .unwrap();
    assert!(matches!(&text.key, Some(Pem::Text(pem)) if pem.expose() == "-----marker"));
    assert!(!format!("{text:?}").contains("marker"));
    assert!(ssl(&[("ssl.ca.location", "probe")]).unwrap().ca.is_none());
}

#[test]
fn a_key_and_its_certificate_belong_together() {
    assert_says(ssl(&[("ssl.key.location", "k.pem")]), &["ssl.certificate.location is not set"]);
    assert_says(ssl(&[("ssl.certificate.pem", "-----")]), &["ssl.key.location is not set"]);
    assert_says(
        ssl(&[("ssl.ca.location", "a.pem"), ("ssl.ca.pem", "-----marker")]),
        &["ssl.ca.location=a.pem (set by the program)", "ssl.ca.pem=*** (set by the program)"],
    );
}

#[test]
fn the_nearer_of_two_sources_of_a_certificate_counts() {
    let mut mixed = settings(&[
        ("bootstrap.servers", "one"),
        ("security.protocol", "SSL"),
        ("ssl.ca.location", "program.pem"),
    ]);
    mixed.add_properties("ssl.ca.pem=-----", "x.properties").unwrap();
    assert!(is_file(ClientConfig::from_settings(&mixed).unwrap().ssl.ca.as_ref(), "program.pem"));
    let mut mixed =
        settings(&[("bootstrap.servers", "one"), ("security.protocol", "SSL"), ("ssl.ca.pem", "-----")]);
    mixed.add_properties("ssl.ca.location=file.pem", "x.properties").unwrap();
    assert!(matches!(ClientConfig::from_settings(&mixed).unwrap().ssl.ca, Some(Pem::Text(_))));
}

#[test]
fn stores_that_are_not_pem_say_how_to_get_it() {
    for location in ["ssl.truststore.location", "ssl.keystore.location"] {
        let parts =
            [&format!("{location}=store.jks") as &str, "JKS", "keytool -importkeystore", "openssl pkcs12"];
        assert_says(ssl(&[(location, "store.jks")]), &parts);
    }
}

#[test]
fn versions_of_tls_are_those_that_both_settings_allow() {
    use TlsVersion::{V1_2, V1_3};
    let versions = |pairs: &[(&str, &str)]| ssl(pairs).unwrap().enabled_protocols;
    assert_eq!(versions(&[]), [V1_2, V1_3]);
    assert_eq!(versions(&[("ssl.enabled.protocols", "TLSv1.3")]), [V1_3]);
    assert_eq!(versions(&[("ssl.enabled.protocols", "tlsv1.3, TLSv1.2,TLSv1.2")]), [V1_2, V1_3]);
    assert_eq!(versions(&[("ssl.protocol", "TLSv1.2")]), [V1_2]);
    assert_eq!(versions(&[("ssl.protocol", "TLS")]), [V1_2, V1_3]);
    assert_says(
        ssl(&[("ssl.enabled.protocols", "TLSv1.3"), ("ssl.protocol", "TLSv1.2")]),
        &["ssl.enabled.protocols=TLSv1.3", "ssl.protocol=TLSv1.2", "no version of TLS"],
    );
}
