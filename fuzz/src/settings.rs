//! Settings from text, whatever it is: a typed error or a configuration, and never a secret in what is shown.

use crate::input::Input;
use ottla::config::{ClientConfig, ConsumerConfig, ProducerConfig, Secret, Settings};
use std::path::Path;

const MARKER: &str = "m\u{17e}rk-4711-secret";
/// A part of it that survives being escaped.
const TRACE: &str = "rk-4711-secret";

pub fn all_sources(mut input: Input<'_>) {
    let source = input.below(4);
    let text = String::from_utf8_lossy(input.rest());
    let mut settings = Settings::new();
    let read = match source {
        0 => settings.add_properties(&text, "fuzz.properties").map(|_| ()),
        1 => settings.add_dot_env_text(&text, Path::new(".env")).map(|_| ()),
        2 => settings.add_environment(text.lines().filter_map(|line| line.split_once('='))).map(|_| ()),
        _ => text
            .lines()
            .filter_map(|line| line.split_once('='))
            .try_for_each(|(key, value)| settings.set(key, value).map(|_| ())),
    };
    if let Err(error) = read {
        let _ = error.to_string();
    }
    for key in ["sasl.password", "ssl.key.password"] {
        settings.set_secret(key, Secret::new(MARKER.to_owned())).expect("a key that is a secret");
    }
    let client = ClientConfig::from_settings(&settings);
    let producer = ProducerConfig::from_settings(&settings);
    let consumer = ConsumerConfig::from_settings(&settings);
    let shown = format!("{:?} {:?} {client:?} {producer:?} {consumer:?}", settings, settings.describe());
    assert!(text.contains(TRACE) || !shown.contains(TRACE), "a secret is shown");
}
