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

/// What all clients are told, but for `throughput`.
const CONTRACT: [(&str, &str); 4] = [
    ("acks", "all"),
    ("batch.size", "1000000"),
    ("enable.idempotence", "true"),
    ("max.in.flight.requests.per.connection", "5"),
];

pub type Settings = BTreeMap<String, String>;

#[derive(Debug)]
pub struct Job {
    pub address: String,
    pub topic: &'static str,
    /// Of each value.
    pub bytes: usize,
    /// Records that may wait for their acknowledgement.
    pub window: usize,
    settings: Settings,
}

/// What a client that reads is to read, with its own settings but for those that are given.
#[derive(Debug, Clone)]
pub struct ReadJob {
    pub address: String,
    pub topic: String,
    /// Of these, from 0 on, each is assigned; nobody is in a group.
    pub partitions: i32,
    /// From there instead of the beginning.
    pub from_end: bool,
    /// When to stop, come what may.
    pub limit: Option<Duration>,
    pub settings: Settings,
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
        let given = std::env::var("COMPARE_WINDOW").ok().map(|word| crate::number(&word));
        let window = given.unwrap_or(WINDOW_RECORDS.min(WINDOW_BYTES / bytes));
        Job::new(address, crate::sink::TOPIC, bytes, window, &[("linger.ms", "5")])
    }

    /// Nothing waits for company.
    pub fn latency(address: &str) -> Job {
        Job::new(address, crate::sink::TOPIC, 100, WINDOW_RECORDS, &[("linger.ms", "0")])
    }

    /// Each client as it comes. The window is for those that have no bound of their own.
    pub fn throughput(address: &str, bytes: usize) -> Job {
        let settings = given();
        Job {
            address: address.to_owned(),
            topic: crate::sink::TOPIC_ONE,
            bytes,
            window: WINDOW_RECORDS,
            settings,
        }
    }

    fn new(address: &str, topic: &'static str, bytes: usize, window: usize, own: &[(&str, &str)]) -> Job {
        let pairs = CONTRACT.iter().chain(own);
        let mut settings: Settings = pairs.map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        settings.extend(given());
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

    pub fn in_flight(&self) -> Option<usize> {
        self.count("max.in.flight.requests.per.connection")
    }

    pub fn idempotent(&self) -> Option<bool> {
        self.get("enable.idempotence").map(|word| word == "true")
    }

    pub fn compression(&self) -> &str {
        self.get("compression.type").unwrap_or("none")
    }

    pub fn login(&self) -> Option<Login<'_>> {
        login(&self.settings)
    }
}

impl ReadJob {
    /// For clients that know Kafka's names.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// For clients that have a method for each: who to be, and nothing else may be set.
    pub fn only_login(&self) -> Option<Login<'_>> {
        for key in self.settings.keys() {
            let known = ["security", "sasl", "ssl"].iter().any(|family| key.starts_with(family));
            assert!(known, "this client's setting '{key}' is not wired up here");
        }
        login(&self.settings)
    }
}

fn login(settings: &Settings) -> Option<Login<'_>> {
    let get = |key| settings.get(key).map(String::as_str);
    if get("security.protocol")? != "SASL_SSL" {
        return None;
    }
    let want = |key| get(key).unwrap_or_else(|| panic!("SASL_SSL wants {key}"));
    assert_eq!(want("sasl.mechanism"), "PLAIN", "the one mechanism that is compared");
    Some(Login { user: want("sasl.username"), password: want("sasl.password"), ca: want("ssl.ca.location") })
}

/// From the environment: beside the job's, or in their place.
pub fn given() -> Settings {
    let words = std::env::var("COMPARE_SETTINGS").unwrap_or_default();
    let pair = |word: &str| {
        let (key, value) = word.split_once('=').expect("COMPARE_SETTINGS: key=value");
        (key.to_owned(), value.to_owned())
    };
    words.split_whitespace().map(pair).collect()
}
