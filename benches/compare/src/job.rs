//! What a client is to do, and with which settings: the same for all.

use std::collections::BTreeMap;
use std::time::Duration;

/// Records that wait for their acknowledgement, at most.
const WINDOW_RECORDS: usize = 100_000;
/// Their bytes, at most: the `buffer.memory` of clients that have one.
pub const WINDOW_BYTES: usize = 32 << 20;

/// What clients of all kinds understand here, by Kafka's names.
const KNOWN: [&str; 11] = [
    "acks",
    "batch.size",
    "compression.type",
    "enable.idempotence",
    "linger.ms",
    "max.in.flight.requests.per.connection",
    "sasl.mechanism",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "ssl.ca.location",
];

#[derive(Debug)]
pub struct Job {
    pub address: String,
    pub topic: &'static str,
    /// Of each value.
    pub bytes: usize,
    /// Records that may wait for their acknowledgement.
    pub window: usize,
    settings: BTreeMap<String, String>,
}

/// PLAIN over TLS.
#[derive(Debug, Clone)]
pub struct Login<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub ca: &'a str,
}

impl Job {
    /// Batches as large as they get by five milliseconds or a megabyte.
    pub fn produce(address: &str, bytes: usize) -> Job {
        let window = WINDOW_RECORDS.min(WINDOW_BYTES / bytes);
        Job::new(address, crate::sink::TOPIC, bytes, window, &[("linger.ms", "5"), ("batch.size", "1000000")])
    }

    /// Each client as it comes, but for what the contract says, and for a bound on what waits where it has none.
    pub fn throughput(address: &str, bytes: usize) -> Job {
        Job::new(address, crate::sink::TOPIC_ONE, bytes, WINDOW_RECORDS, &[])
    }

    /// Nothing waits for company.
    pub fn latency(address: &str) -> Job {
        Job::new(
            address,
            crate::sink::TOPIC,
            100,
            WINDOW_RECORDS,
            &[("linger.ms", "0"), ("batch.size", "1000000")],
        )
    }

    fn new(address: &str, topic: &'static str, bytes: usize, window: usize, own: &[(&str, &str)]) -> Job {
        let contract =
            [("acks", "all"), ("enable.idempotence", "true"), ("max.in.flight.requests.per.connection", "5")];
        let given = std::env::var("COMPARE_SETTINGS").unwrap_or_default();
        let given =
            given.split_whitespace().map(|word| word.split_once('=').expect("COMPARE_SETTINGS: key=value"));
        let settings = contract.into_iter().chain(own.iter().copied()).chain(given);
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Job { address: address.to_owned(), topic, bytes, window, settings }
    }

    /// For clients that know Kafka's names.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// For clients that have a method for each. Fails on what none of the methods below gives.
    pub fn check_known(&self) {
        for key in self.settings.keys() {
            assert!(KNOWN.contains(&key.as_str()), "this client's setting '{key}' is not wired up here");
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    fn count<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key).map(crate::number)
    }

    pub fn linger(&self) -> Option<Duration> {
        self.count("linger.ms").map(Duration::from_millis)
    }

    pub fn batch_bytes(&self) -> Option<usize> {
        self.count("batch.size")
    }

    pub fn in_flight(&self) -> usize {
        self.count("max.in.flight.requests.per.connection").expect("part of the contract")
    }

    pub fn idempotent(&self) -> bool {
        self.get("enable.idempotence") == Some("true")
    }

    pub fn compression(&self) -> &str {
        self.get("compression.type").unwrap_or("none")
    }

    pub fn login(&self) -> Option<Login<'_>> {
        if self.get("security.protocol")? != "SASL_SSL" {
            return None;
        }
        let want = |key| self.get(key).unwrap_or_else(|| panic!("SASL_SSL wants {key}"));
        assert_eq!(want("sasl.mechanism"), "PLAIN", "the one mechanism that is compared");
        Some(Login {
            user: want("sasl.username"),
            password: want("sasl.password"),
            ca: want("ssl.ca.location"),
        })
    }
}
