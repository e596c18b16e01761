//! The table of keys, and what the typed structs make of settings.

mod client;
mod consumer;
mod keys;
mod known;
mod producer;
mod security;

use super::{ClientConfig, ConfigError, ConsumerConfig, ProducerConfig, Settings};
use std::io::Write;
use std::sync::{Arc, Mutex};

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

/// Runs `work` with a subscriber; what it logged.
pub(crate) fn logged(work: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    // Somebody listens from now on: whether anybody does is decided for all threads at once, and would be decided anew,
    // in the middle of another's test, whenever a test begins or ends.
    static LISTENING: std::sync::Once = std::sync::Once::new();
    LISTENING.call_once(|| drop(tracing::subscriber::set_global_default(tracing_subscriber::registry())));
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}
