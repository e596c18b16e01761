//! The table of keys, and what the typed structs make of settings.

mod client;
mod consumer;
mod keys;
mod known;
mod producer;
mod security;

use super::{ClientConfig, ConfigError, ConsumerConfig, ProducerConfig, Settings};

/// The settings of pairs; they must be taken.
fn settings(pairs: &[(&str, &str)]) -> Settings {
    Settings::from_map(pairs.iter().copied()).unwrap()
}

/// A client's settings, with a broker to start from.
fn client(pairs: &[(&str, &str)]) -> Result<ClientConfig, ConfigError> {
    let mut settings = settings(pairs);
    if !settings.is_set("bootstrap.servers") {
        settings.set("bootstrap.servers", "kafka.example:9092").unwrap();
    }
    ClientConfig::from_settings(&settings)
}

fn producer(pairs: &[(&str, &str)]) -> Result<ProducerConfig, ConfigError> {
    ProducerConfig::from_settings(&settings(pairs))
}

fn consumer(pairs: &[(&str, &str)]) -> Result<ConsumerConfig, ConfigError> {
    ConsumerConfig::from_settings(&settings(pairs))
}

/// The error's text has all of these in it.
fn assert_says<T: std::fmt::Debug>(result: Result<T, ConfigError>, parts: &[&str]) {
    let text = result.unwrap_err().to_string();
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}
