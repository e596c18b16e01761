use super::*;
use crate::config::tests::logged;
use crate::config::{ClientConfig, ConsumerConfig, ProducerConfig};
use proptest::prelude::*;

fn error_of(key: &str, value: &str) -> String {
    Settings::new().set(key, value).unwrap_err().to_string()
}

#[test]
fn the_nearest_source_counts_in_whatever_order_they_come() {
    type Source = fn(&mut Settings);
    let program: Source = |s| assert!(s.set("linger.ms", "4").is_ok());
    let environment: Source = |s| assert!(s.add_environment([("KAFKA_LINGER_MS", "3")]).is_ok());
    #[cfg(feature = "dotenv")]
    let dot_env: Source = |s| assert!(s.add_dot_env_text("KAFKA_LINGER_MS=2", ".env".as_ref()).is_ok());
    #[cfg(not(feature = "dotenv"))]
    let dot_env: Source = |_| {};
    let file: Source = |s| assert!(s.add_properties("linger.ms=1", "a.properties").is_ok());
    for sources in [[program, environment, dot_env, file], [file, dot_env, environment, program]] {
        for (from, expected) in ["4", "3", "2", "1"].into_iter().enumerate() {
            let mut settings = Settings::new();
            let in_order = sources[0] as usize == program as usize;
            let used = if in_order { &sources[from..] } else { &sources[..4 - from] };
            for source in used {
                source(&mut settings);
            }
            let expected = if expected == "2" && cfg!(not(feature = "dotenv")) { "1" } else { expected };
            assert_eq!(settings.get("linger.ms"), Some(expected));
        }
    }
    assert_eq!(Settings::new().get("linger.ms"), None);
    assert_eq!(Settings::new().origin("linger.ms"), Origin::Default);
}

#[test]
fn the_last_word_counts_in_the_program_and_in_a_file() {
    let mut settings = Settings::new();
    settings.set("acks", "1").unwrap().set("acks", "all").unwrap();
    assert_eq!(settings.get("acks"), Some("all"));
    let mut settings = Settings::new();
    settings.add_properties("acks=1\nacks=0", "a").unwrap().add_properties("acks=all", "b").unwrap();
    assert_eq!(settings.get("request.required.acks"), Some("all"));
    assert_eq!(settings.origin("acks").to_string(), "b, line 1");
}

#[test]
fn two_names_of_one_setting_must_agree_where_they_are_set_together() {
    let mut settings = Settings::new();
    settings.set("linger.ms", "5").unwrap().set("queue.buffering.max.ms", "5").unwrap();
    let error = settings.set("queue.buffering.max.ms", "6").unwrap_err().to_string();
    assert_eq!(
        error,
        "linger.ms and queue.buffering.max.ms (set by the program) are two names of one setting and have different \
         values: set one of them"
    );
    assert_eq!(settings.get("linger.ms"), Some("5"));

    let both = [("KAFKA_SASL_MECHANISM", "PLAIN"), ("KAFKA_SASL_MECHANISMS", "SCRAM-SHA-256")];
    let error = Settings::new().add_environment(both).unwrap_err().to_string();
    assert!(error.starts_with("sasl.mechanism and sasl.mechanisms (KAFKA_SASL_MECHANISMS in the"), "{error}");
    let same = both.map(|(variable, _)| (variable, "PLAIN"));
    assert!(Settings::new().add_environment(same).is_ok());

    let secrets =
        "sasl.oauthbearer.client.secret=marker1\nsasl.oauthbearer.client.credentials.client.secret=marker2";
    let error = Settings::new().add_properties(secrets, "a").unwrap_err().to_string();
    assert!(error.contains("a, line 2") && !error.contains("marker"), "{error}");
    // In different places the nearer one counts, whatever its name.
    let mut settings = Settings::new();
    settings.add_properties("queue.buffering.max.ms=6", "a").unwrap().set("linger.ms", "5").unwrap();
    assert_eq!(settings.get("linger.ms"), Some("5"));
}

#[test]
fn unknown_keys_name_the_nearest() {
    for (key, nearest) in [
        ("bootstrap_servers", Some("bootstrap.servers")),
        ("bootstrap.server", Some("bootstrap.servers")),
        ("bootstrapServers", Some("bootstrap.servers")),
        ("ack", Some("acks")),
        ("acsk", Some("acks")),
        ("compresion.type", Some("compression.type")),
        ("sasl.user", None),
        ("sasl.usrname", Some("sasl.username")),
        ("schema.registry.url", None),
        ("", None),
        ("Linger.Ms", Some("linger.ms")),
    ] {
        match Settings::new().set(key, "x").unwrap_err() {
            ConfigError::UnknownKey { key: told, nearest: found, origin } => {
                assert_eq!((told.as_str(), found, origin), (key, nearest, Origin::Builder));
            }
            other => panic!("{key}: {other}"),
        }
    }
    assert_eq!(error_of("ack", "1"), "unknown setting 'ack' (set by the program); did you mean 'acks'?");
}

#[test]
fn a_line_that_has_lost_its_place_is_not_shown() {
    for line in [
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDmarker",
        "marker",
        "markermarker==",
        "-----BEGIN marker-----",
    ] {
        let error =
            Settings::new().add_properties(&format!("acks=all\n{line}"), "a").unwrap_err().to_string();
        assert_eq!(error, "unknown setting '..' (a, line 2)");
    }
    let error = Settings::new().add_properties("schema.registry.url=marker", "a").unwrap_err().to_string();
    assert_eq!(error, "unknown setting 'schema.registry.url' (a, line 1)");
}

#[test]
fn wrong_values_name_key_value_place_and_what_is_right() {
    for (key, value, expected) in [
        ("linger.ms", "soon", "linger.ms=soon (set by the program): must be a number of milliseconds from 0"),
        ("linger.ms", "", "linger.ms= (set by the program): must be a number of milliseconds from 0"),
        (
            "max.in.flight",
            "0",
            "max.in.flight=0 (set by the program): must be a whole number from 1 to 2147483647",
        ),
        (
            "compression.type",
            "brotli",
            "compression.type=brotli (set by the program): must be one of none, gzip, snappy, lz4, zstd",
        ),
        ("enable.idempotence", "yes", "enable.idempotence=yes (set by the program): must be true or false"),
        (
            "sasl.login.refresh.window.factor",
            "2",
            "sasl.login.refresh.window.factor=2 (set by the program): must be a number from 0.5 to 1",
        ),
        (
            "batch.size",
            "1e3\n",
            "batch.size=1e3 (set by the program): must be a whole number from 0 to 2147483647",
        ),
    ] {
        assert_eq!(error_of(key, value), expected);
    }
    for (key, value, part) in [
        ("auto.offset.reset", "first", "must be earliest, latest, none, or by_duration:PnDTnHnMn.nS"),
        ("auto.offset.reset", "by_duration:1h", "by_duration:PnDTnHnMn.nS"),
        ("partition.assignment.strategy", "range,best", "must be a list of range, roundrobin, sticky"),
        ("partitioner.class", "com.example.Mine", "one of your own is given to the producer's builder"),
        ("ssl.enabled.protocols", "TLSv1.1,TLSv1.2", "older ones are not spoken"),
        ("compression.gzip.level", "0", "from 1 to 9, or -1"),
        ("sasl.oauthbearer.token.endpoint.url", "login.example", "an http, https or file URL"),
    ] {
        let error = error_of(key, value);
        assert!(error.contains(part) && error.contains(value), "{error}");
    }
}

#[test]
fn values_are_shown_in_one_line_of_bounded_length() {
    let error = error_of("linger.ms", &format!("5\u{1b}[31m\n{}", "x".repeat(1000)));
    assert!(
        error.contains("5\\u{1b}[31m\\nxxx") && error.contains("xx.. (set") && error.len() < 300,
        "{error}"
    );
}

#[test]
fn what_is_refused_says_what_to_do_instead() {
    for (key, value, part) in [
        ("ssl.endpoint.identification.algorithm", "", "dangerous_skip_hostname_verification()"),
        ("ssl.endpoint.identification.algorithm", "none", "dangerous_skip_hostname_verification()"),
        ("enable.ssl.certificate.verification", "false", "dangerous_skip_certificate_verification()"),
        ("ssl.keystore.type", "JKS", "openssl pkcs12"),
        ("ssl.truststore.type", "PKCS12", "keytool -importkeystore"),
        ("ssl.keystore.password", "marker", "openssl pkcs12"),
        ("sasl.mechanism", "GSSAPI", "must be PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"),
        ("sasl.mechanisms", "AWS_MSK_IAM", "must be PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"),
        ("ssl.crl.location", "crl.pem", "revocation lists are not read"),
        ("config.providers", "env", "use the environment"),
        ("client.dns.lookup", "resolve_canonical_bootstrap_servers_only", "Kerberos"),
        ("enable.auto.offset.store", "false", "enable.auto.commit=false"),
        ("transaction.two.phase.commit.enable", "true", "not supported"),
        ("bootstrap.controllers", "one:1", "bootstrap.servers"),
    ] {
        let error = error_of(key, value);
        assert!(error.contains(part) && error.starts_with(key), "{error}");
        assert!(!error.contains("marker"), "{error}");
    }
    for (key, value) in [
        ("ssl.endpoint.identification.algorithm", "HTTPS"),
        ("enable.ssl.certificate.verification", "1"),
        ("ssl.truststore.type", "pem"),
        ("sasl.mechanism", "scram-sha-256"),
    ] {
        assert!(Settings::new().set(key, value).is_ok(), "{key}={value}");
    }
}

#[test]
fn an_error_changes_nothing_and_becomes_one_of_the_crates() {
    let mut settings = Settings::new();
    settings.set("linger.ms", "7").unwrap();
    let error = settings.set("linger.ms", "x").unwrap_err();
    assert_eq!(settings.get("linger.ms"), Some("7"));
    let error = crate::error::Error::from(error);
    assert_eq!(error.kind(), crate::error::ErrorKind::Config);
    assert!(error.to_string().contains("linger.ms=x (set by the program): must be"), "{error}");
}

#[test]
fn white_space_around_a_value_is_not_part_of_it_unless_it_is_a_secret_taken_as_it_is() {
    let mut settings = Settings::new();
    settings.set("acks", " all\n").unwrap().set("sasl.password", " x ").unwrap();
    assert_eq!(settings.get("acks"), Some("all"));
    assert_eq!(settings.get_secret("sasl.password").unwrap().expose(), "x");
    settings.set_secret("sasl.password", Secret::from(" x ")).unwrap();
    assert_eq!(settings.get_secret("sasl.password").unwrap().expose(), " x ");
    assert_eq!(settings.get("sasl.password"), None);
    assert!(settings.is_set("sasl.password") && !settings.is_set("sasl.username"));
}

#[test]
fn the_environment_is_read_by_known_names_only() {
    let mut settings = Settings::new();
    settings
        .add_environment([
            ("KAFKA_BOOTSTRAP_SERVERS", "one:1"),
            ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
            ("KAFKA_SASL_MECHANISMS", "PLAIN"),
            ("KAFKA_SASL_USERNAME", "alice"),
            ("KAFKA_SASL_PASSWORD", "alice-secret"),
            ("KAFKA_SSL_CA_LOCATION", "/ca.pem"),
            ("KAFKA_GROUP_ID", ""),
            ("KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM", ""),
            ("KAFKA_HEAP_OPTS", "-Xmx1g"),
            ("kafka_acks", "1"),
            ("KAFKA_", "1"),
            ("HOME", "/root"),
        ])
        .unwrap();
    let client = ClientConfig::from_settings(&settings).unwrap();
    let sasl = client.sasl.unwrap();
    assert_eq!(client.bootstrap_servers[0].to_string(), "one:1");
    assert_eq!(
        (sasl.username.as_deref(), sasl.password.unwrap().expose().as_str()),
        (Some("alice"), "alice-secret")
    );
    assert!(!settings.is_set("group.id") && !settings.is_set("acks"));
    assert_eq!(settings.origin("sasl.mechanism").to_string(), "KAFKA_SASL_MECHANISMS in the environment");
    let error = Settings::new().add_environment([("KAFKA_RETRIES", "x")]).unwrap_err().to_string();
    assert!(error.starts_with("retries=x (KAFKA_RETRIES in the environment): must be"), "{error}");
}

/// What containers of brokers and other programs have in their environment.
#[test]
fn a_variable_stops_only_who_has_a_use_for_it() {
    let mut settings = Settings::new();
    let log = logged(|| {
        settings
            .add_environment([
                ("KAFKA_BOOTSTRAP_SERVERS", "one:1"),
                ("KAFKA_LOG_LEVEL", "info"),
                ("KAFKA_DEBUG", "yes"),
                ("KAFKA_COMPRESSION_TYPE", "producer"),
                ("KAFKA_FETCH_MAX_BYTES", "much"),
                ("KAFKA_METRICS_NUM_SAMPLES", "many"),
                ("KAFKA_CONFIG_PROVIDERS", "file"),
                ("KAFKA_SSL_KEYSTORE_TYPE", "JKS"),
                ("KAFKA_SSL_KEYSTORE_LOCATION", "broker.jks"),
                ("KAFKA_SSL_KEYSTORE_PASSWORD", "marker"),
                ("KAFKA_SASL_MECHANISM", "GSSAPI"),
            ])
            .map(drop)
            .unwrap();
    });
    for key in ["metrics.num.samples=many", "config.providers"] {
        assert_eq!(log.matches(key).count(), 1, "{key}: {log}");
    }
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(!log.contains("marker"));
    assert!(!settings.is_set("log_level") && !settings.is_set("metrics.num.samples"));
    assert!(ClientConfig::from_settings(&settings).is_ok());

    let told = |outcome: Result<(), ConfigError>, part: &str| {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("in the environment"), "{error}");
        assert!(!error.contains("marker"), "{error}");
    };
    told(ProducerConfig::from_settings(&settings).map(drop), "compression.type=producer");
    told(ConsumerConfig::from_settings(&settings).map(drop), "fetch.max.bytes=much");
    let mut tls = settings.clone();
    tls.set("security.protocol", "SSL").unwrap();
    told(ClientConfig::from_settings(&tls).map(drop), "ssl.keystore.");
    let mut sasl = settings.clone();
    sasl.set("security.protocol", "SASL_PLAINTEXT").unwrap();
    told(ClientConfig::from_settings(&sasl).map(drop), "sasl.mechanism=GSSAPI");
    // The program's word goes before it, and is checked at once.
    settings.set("compression.type", "zstd").unwrap();
    assert!(ProducerConfig::from_settings(&settings).is_ok());
    assert!(settings.set("metrics.num.samples", "many").is_err());
}

#[cfg(unix)]
#[test]
fn variables_that_are_not_unicode_are_an_error_only_when_known() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let odd = || OsString::from_vec(vec![b'a', 0xff]);
    let mut settings = Settings::new();
    settings.add_environment([(odd(), odd()), ("OTHER".into(), odd())]).unwrap();
    let error = settings.add_environment([("KAFKA_SASL_PASSWORD", odd())]).unwrap_err().to_string();
    assert_eq!(error, "KAFKA_SASL_PASSWORD in the environment: the value is not Unicode");
}

#[test]
fn variables_a_letter_or_two_off_are_warned_of_once() {
    let log = logged(|| {
        Settings::new()
            .add_environment([
                ("KAFKA_BOOTSTRAP_SERVER", "marker"),
                ("KAFKA_SASL_USRENAME", "marker"),
                ("KAFKA_ACK", "marker"),
                ("KAFKA_HEAP_OPTS", "marker"),
                ("KAFKA_LOG_DIRS", "marker"),
                ("KAFKA_HOME", "marker"),
                ("KAFKA_ACKS", "all"),
            ])
            .map(drop)
            .unwrap();
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    for part in [
        "WARN",
        "KAFKA_BOOTSTRAP_SERVER (KAFKA_BOOTSTRAP_SERVERS?)",
        "KAFKA_SASL_USRENAME (KAFKA_SASL_USERNAME?)",
        "KAFKA_ACK (KAFKA_ACKS?)",
    ] {
        assert!(log.contains(part), "{log}");
    }
    for part in ["marker", "HEAP", "LOG_DIRS", "HOME"] {
        assert!(!log.contains(part), "{log}");
    }
    let log = logged(|| assert!(Settings::new().add_environment([("KAFKA_OPTS", "x")]).is_ok()));
    assert_eq!(log, "");
}

#[cfg(feature = "dotenv")]
mod dot_env {
    use super::*;

    #[test]
    fn it_is_found_in_the_directory_or_above_and_the_first_word_counts() {
        let top = tempfile::tempdir().unwrap();
        let below = top.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let text = "\u{feff}# comment\nOTHER=x\nexport KAFKA_SASL_PASSWORD='pa$$ w#rd'\nKAFKA_ACKS=1 # one\nKAFKA_ACKS=all \nKAFKA_SASL_USERNAME=al";
        std::fs::write(top.path().join(".env"), text).unwrap();
        let mut settings = Settings::new();
        settings.add_dot_env(&below).unwrap();
        assert_eq!(settings.get_secret("sasl.password").unwrap().expose(), "pa$$ w#rd");
        assert_eq!((settings.get("acks"), settings.get("sasl.username")), (Some("1"), Some("al")));
        let origin = settings.origin("acks").to_string();
        assert!(origin.ends_with(".env, line 4"), "{origin}");
        assert!(std::env::var_os("KAFKA_SASL_PASSWORD").is_none());
    }

    #[test]
    fn a_fault_names_its_line_and_nothing_else() {
        for (text, line) in [
            ("KAFKA_ACKS=all\nKAFKA_SASL_PASSWORD=marker marker\n", 2),
            ("A=b\nKAFKA_SASL_PASSWORD marker", 2),
            ("A=b\n  export KAFKA_SASL_PASSWORD='marker\nB=c", 2),
            ("A=b\nGREETING=it's me\nKAFKA_SASL_PASSWORD=marker\n", 2),
        ] {
            let error = Settings::new().add_dot_env_text(text, "x/.env".as_ref()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("x/.env, line {line}: ")), "{text}: {error}");
            assert!(!error.contains("marker"), "{error}");
        }
        let error = Settings::new().add_dot_env_text("\nKAFKA_RETRIES=x", ".env".as_ref()).unwrap_err();
        assert!(error.to_string().starts_with("retries=x (.env, line 2): must be"), "{error}");
    }

    #[test]
    fn lines_of_other_programs_are_theirs() {
        let text =
            "GREETING=hello world\nMY-KEY=1\nHOST=kafka\n\"\n\"\n1=2\nKAFKA_BOOTSTRAP_SERVERS=$HOST:1\n'x";
        let mut settings = Settings::new();
        settings.add_dot_env_text(text, ".env".as_ref()).unwrap();
        assert_eq!(settings.get("bootstrap.servers"), Some("kafka:1"));
        assert!(settings.origin("bootstrap.servers").to_string().ends_with("line 7"));
    }

    #[test]
    fn there_need_not_be_one() {
        let empty = tempfile::tempdir().unwrap();
        // Above the temporary directory there may be one, but none that sets this.
        let mut settings = Settings::new();
        settings.add_dot_env(empty.path()).unwrap();
        assert!(!settings.is_set("transactional.id"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[\"'\\\\=#$\n\r{} ]|KAFKA_ACKS){0,60}") {
            let _ = Settings::new().add_dot_env_text(&text, ".env".as_ref());
        }
    }
}

#[test]
fn files_are_read_or_say_why_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("client.properties");
    std::fs::write(&path, "# for kcat, too\nbootstrap.servers = one:1\n\nsasl.password=p\u{e9}\n").unwrap();
    let settings = Settings::from_file(&path).unwrap();
    assert_eq!(settings.get("metadata.broker.list"), Some("one:1"));
    assert_eq!(settings.origin("bootstrap.servers").to_string(), format!("{}, line 2", path.display()));

    std::fs::write(&path, b"acks=\xff").unwrap();
    let error = crate::error::Error::from(Settings::from_file(&path).unwrap_err()).to_string();
    assert!(error.contains("client.properties") && error.contains("UTF-8"), "{error}");
    let error = crate::error::Error::from(Settings::from_file(directory.path().join("none")).unwrap_err())
        .to_string();
    assert!(error.contains("none: ") && error.to_lowercase().contains("no such file"), "{error}");
    let error = Settings::new().add_properties("a=\\u00", "f").unwrap_err().to_string();
    assert!(error.starts_with("f, line 1: "), "{error}");
    std::fs::write(&path, "#".repeat(5 << 20)).unwrap();
    let error = crate::error::Error::from(Settings::from_file(&path).unwrap_err()).to_string();
    assert!(error.contains("larger than 4194304 bytes"), "{error}");
}

#[test]
fn the_description_shows_where_everything_comes_from() {
    let mut settings = Settings::new();
    settings.set("sasl.password", "marker").unwrap().set("queue.buffering.max.ms", "50").unwrap();
    let described: Vec<String> = settings.describe().iter().map(ToString::to_string).collect();
    for line in [
        "linger.ms = 50 (set by the program)",
        "sasl.password = *** (set by the program)",
        "acks = all (default)",
    ] {
        assert!(described.iter().any(|told| told == line), "{line}: {described:#?}");
    }
    assert!(!described.iter().any(|line| line.contains("marker") || line.starts_with("batch.size")));
}

#[test]
fn what_has_no_effect_is_listed_with_the_reason() {
    let mut settings = Settings::new();
    settings
        .add_properties("debug=all\nfetch.min.bytes=2\nacks=1\nclient.id=x\nkey.serializer=a.B", "f")
        .unwrap();
    let list = |clients: &[Concerns]| {
        settings.without_effect(clients).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        list(&[Concerns::Producer]),
        [
            "debug = all (f, line 1) has no effect: what is logged is decided by the program's tracing subscriber",
            "fetch.min.bytes = 2 (f, line 2) has no effect: it is the consumer's",
            "key.serializer = a.B (f, line 5) has no effect: classes of Java cannot be loaded",
        ]
    );
    assert_eq!(list(&[Concerns::Producer, Concerns::Consumer]).len(), 2);
    let log = logged(|| settings.log(&[Concerns::Consumer]));
    assert!(
        log.contains("DEBUG") && log.contains("acks = 1 (f, line 3) has no effect: it is the producer's"),
        "{log}"
    );
    assert!(log.contains("fetch.min.bytes = 2 (f, line 2)\n"), "{log}");
}

/// Every secret the table knows, set to a marker, by every way in.
#[test]
fn secrets_are_never_shown() {
    let mut all = Settings::new();
    let mut shown = String::new();
    for key in keys::all().filter(|key| key.kind.is_secret()) {
        match all.set(key.name, "marker") {
            Ok(_) => {}
            Err(error) => shown += &format!("{error} {error:?}"),
        }
        let mut others = Settings::new();
        for result in [
            others.add_environment([(keys::variable(key.name), "marker")]).map(drop),
            others.add_properties(&format!("{} = marker", key.name), "f").map(drop),
        ] {
            shown += &format!("{result:?}");
        }
        shown += &format!("{others:?} {:?} {:?}", others.describe(), others.get(key.name));
    }
    let logs = logged(|| {
        all.log(&[]);
        shown += &format!("{all:?} {:?}", all.without_effect(&[]));
        for protocol in ["SASL_SSL", "SASL_PLAINTEXT", "PLAINTEXT"] {
            for mechanism in ["PLAIN", "OAUTHBEARER"] {
                let mut one = all.clone();
                one.set("security.protocol", protocol).unwrap().set("sasl.mechanism", mechanism).unwrap();
                one.set("bootstrap.servers", "one").unwrap().set("sasl.username", "alice").unwrap();
                shown += &format!("{:?}", ClientConfig::from_settings(&one));
                one.given.remove("sasl.jaas.config");
                for key in
                    ["ssl.truststore.certificates", "ssl.keystore.certificate.chain", "ssl.keystore.key"]
                {
                    one.given.remove(key);
                }
                shown += &format!("{:#?}", ClientConfig::from_settings(&one));
            }
        }
    });
    assert!(shown.contains("***") && logs.contains("***"));
    assert!(!shown.contains("marker") && !logs.contains("marker"), "{shown} {logs}");
}

proptest! {
    #[test]
    fn no_key_and_no_value_makes_it_panic(key in "\\PC{0,20}|[a-z.]{0,30}", value in "(\\PC|[\n\r\0]){0,30}") {
        let _ = Settings::new().set(&key, value.clone());
        let _ = Settings::new().add_environment([(key, value)]);
    }

    #[test]
    fn no_value_of_a_known_key_makes_it_panic(
        pairs in proptest::collection::vec(
            (
                proptest::sample::select(keys::all().map(|key| key.name).collect::<Vec<_>>()),
                "-?[0-9]{1,25}(\\.[0-9]{1,5})?|true|false|[a-z]{1,5}=[a-z,]{0,5}|\\PC{0,20}|SASL_SSL|OAUTHBEARER|by_duration:P[0-9DTHMS.]{0,12}",
            ),
            0..6,
        )
    ) {
        let mut settings = Settings::new();
        for (key, value) in pairs {
            let _ = settings.set(key, value);
        }
        let _ = ClientConfig::from_settings(&settings);
        let _ = ProducerConfig::from_settings(&settings);
        let _ = ConsumerConfig::from_settings(&settings);
        let _ = (settings.describe(), settings.without_effect(&[]));
    }
}
