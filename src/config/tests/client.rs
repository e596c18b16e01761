use super::{assert_says, client, settings};
use crate::config::{AddressFamily, ClientConfig, HostPort, RecoveryStrategy, SecurityProtocol, Settings};
use std::time::Duration;

#[test]
fn without_settings_it_is_the_default() {
    let read = client(&[]).unwrap();
    let expected = ClientConfig {
        bootstrap_servers: vec![HostPort::new("kafka.example", 9092)],
        ..ClientConfig::default()
    };
    assert_eq!(format!("{read:?}"), format!("{expected:?}"));
}

#[test]
fn bootstrap_servers_are_a_list() {
    let read = client(&[("bootstrap.servers", " one:1, two ,[::1]:3,,one:1")]).unwrap();
    let expected = [HostPort::new("one", 1), HostPort::new("two", 9092), HostPort::new("::1", 3)];
    assert_eq!(read.bootstrap_servers, expected);
    let read = client(&[("bootstrap.servers", "SSL://one:1"), ("security.protocol", "ssl")]).unwrap();
    assert_eq!(read.bootstrap_servers, [HostPort::new("one", 1)]);
}

#[test]
fn a_faulty_server_is_named() {
    for (list, parts) in [
        ("one:1,two:x", ["bootstrap.servers=two:x (set by the program)", "1 to 65535"]),
        ("::1:9092", ["bootstrap.servers=::1:9092", "brackets"]),
        ("http://one:1", ["http://one:1", "no URL"]),
        ("ssl://one:1", ["ssl://one:1", "security.protocol"]),
        (" , ", ["bootstrap.servers is not set", "KAFKA_BOOTSTRAP_SERVERS"]),
    ] {
        assert_says(client(&[("bootstrap.servers", list)]), &parts);
    }
    assert_says(ClientConfig::from_settings(&Settings::new()), &["bootstrap.servers is not set"]);
    let error = client(&[("bootstrap.servers", "https://user:marker@one:1")]).unwrap_err();
    assert!(!error.to_string().contains("marker"), "{error}");
}

#[test]
fn values_become_what_they_mean() {
    let read = client(&[
        ("client.rack", "eu-1a"),
        ("connections.max.idle.ms", "-1"),
        ("send.buffer.bytes", "-1"),
        ("socket.receive.buffer.bytes", "0"),
        ("broker.address.family", "V6"),
        ("metadata.recovery.strategy", "NONE"),
        ("topic.metadata.refresh.interval.ms", "-1"),
        ("security.protocol", "Sasl_Ssl"),
        ("sasl.mechanism", "plain"),
        ("sasl.username", "alice"),
        ("sasl.password", "secret"),
    ])
    .unwrap();
    assert_eq!(read.client_rack.as_deref(), Some("eu-1a"));
    assert_eq!(read.connections_max_idle, None);
    assert_eq!((read.send_buffer_bytes, read.receive_buffer_bytes), (None, None));
    assert_eq!(read.broker_address_family, AddressFamily::V6);
    assert_eq!(read.metadata_recovery_strategy, RecoveryStrategy::None);
    assert!(read.metadata_max_age > Duration::from_secs(86_400 * 365));
    assert_eq!(read.security_protocol, SecurityProtocol::SaslSsl);
    assert_eq!(read.warnings, Vec::<String>::new());
    assert_eq!(client(&[("connections.max.idle.ms", "0")]).unwrap().connections_max_idle, None);
}

#[test]
fn a_stand_in_counts_when_the_key_itself_is_not_set() {
    let timeout = |pairs: &[(&str, &str)]| client(pairs).unwrap().request_timeout.as_millis();
    assert_eq!(timeout(&[("socket.timeout.ms", "10000")]), 10_000);
    assert_eq!(timeout(&[("socket.timeout.ms", "10000"), ("request.timeout.ms", "20000")]), 20_000);
}

#[test]
fn of_a_key_and_its_stand_in_the_one_that_is_set_nearer_counts() {
    let mut both = Settings::new();
    both.add_properties("bootstrap.servers=one\nrequest.timeout.ms=5000\nmetadata.max.age.ms=1", "f")
        .unwrap();
    both.add_environment([("KAFKA_SOCKET_TIMEOUT_MS", "4000")]).unwrap();
    let read = ClientConfig::from_settings(&both).unwrap();
    assert_eq!((read.request_timeout.as_millis(), read.metadata_max_age.as_millis()), (4000, 1));
    both.set("socket.timeout.ms", "3000").unwrap();
    assert_eq!(ClientConfig::from_settings(&both).unwrap().request_timeout.as_millis(), 3000);
    both.set("request.timeout.ms", "2000").unwrap();
    assert_eq!(ClientConfig::from_settings(&both).unwrap().request_timeout.as_millis(), 2000);
}

#[test]
fn tls_is_not_looked_at_where_there_is_none() {
    let java = [("ssl.keystore.location", "store.jks"), ("ssl.key.location", "key.pem")];
    assert!(client(&java).is_ok());
    assert_says(client(&[&[("security.protocol", "SSL")], &java[..]].concat()), &["store is JKS"]);
}

#[test]
fn growing_times_keep_their_order() {
    for (pairs, expected) in [
        (vec![("reconnect.backoff.ms", "10")], (10, 1000)),
        (vec![("reconnect.backoff.ms", "5000")], (5000, 5000)),
        (vec![("reconnect.backoff.max.ms", "20")], (20, 20)),
        (vec![("reconnect.backoff.ms", "500"), ("reconnect.backoff.max.ms", "200")], (200, 200)),
    ] {
        let read = client(&pairs).unwrap();
        let millis = (read.reconnect_backoff.as_millis(), read.reconnect_backoff_max.as_millis());
        assert_eq!(millis, expected, "{pairs:?}");
    }
}

#[test]
fn a_call_has_time_for_a_request() {
    assert_says(
        client(&[("default.api.timeout.ms", "1000"), ("request.timeout.ms", "2000")]),
        &["default.api.timeout.ms=1000 (set by the program) must not be less than request.timeout.ms=2000"],
    );
    let read = client(&[("request.timeout.ms", "90000")]).unwrap();
    assert_eq!(read.default_api_timeout.as_millis(), 90_000);
}

#[test]
fn security_that_is_not_asked_for_is_warned_of() {
    for (key, value) in
        [("sasl.username", "alice"), ("ssl.ca.location", "ca.pem"), ("sasl.mechanism", "PLAIN")]
    {
        let warnings = client(&[(key, value)]).unwrap().warnings;
        assert_eq!(
            warnings,
            [format!("{key} (set by the program) has no effect with security.protocol=PLAINTEXT (default)")]
        );
    }
}

#[test]
fn longest_times_do_not_overflow_a_clock() {
    let longest = settings(&[
        ("bootstrap.servers", "one"),
        ("metadata.max.age.ms", "9223372036854775807"),
        ("reconnect.backoff.max.ms", "9223372036854775807"),
    ]);
    let read = ClientConfig::from_settings(&longest).unwrap();
    let century = Duration::from_secs(100 * 365 * 86_400);
    assert_eq!((read.metadata_max_age, read.reconnect_backoff_max), (century, century));
}
