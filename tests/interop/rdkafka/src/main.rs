//! librdkafka as the interoperability tests use it: each word of its command line is one thing to do with a broker, and what
//! it finds is printed in lines.
//!
//! ```text
//! interop-rdkafka BROKERS [key=value]... WORK [ARGUMENT]...
//! ```
//!
//! The words are those of `../franz/main.go`, and some more. Keys that `settings` does not know are librdkafka's own.

mod asking;
mod reading;
mod writing;

use rdkafka::config::ClientConfig;
use std::error::Error;
use std::time::Duration;

type Outcome = Result<(), Box<dyn Error>>;

/// Nothing of this takes longer on a broker that works.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (brokers, arguments) = arguments.split_first().ok_or("which brokers?")?;
    let given = arguments.iter().take_while(|argument| argument.contains('=')).count();
    let (given, words) = arguments.split_at(given);
    let settings = settings(brokers, given);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["metadata", topic] => asking::metadata(&settings, topic),
        ["offsets", topic, partitions] => asking::offsets(&settings, topic, partitions.parse()?),
        ["create", topic, partitions] => asking::create(&settings, topic, partitions.parse()?),
        ["grow", topic, partitions] => asking::grow(&settings, topic, partitions.parse()?),
        ["settings", topic] => asking::settings(&settings, topic),
        ["delete", topic] => asking::delete(&settings, topic),
        ["groups"] => asking::groups(&settings),
        ["produce", topic, count, codec] => writing::produce(&settings, topic, count.parse()?, codec),
        ["write", topic, partition, value] => writing::write(&settings, topic, partition.parse()?, value),
        ["transact", id, topic, count] => writing::transact(&settings, id, topic, count.parse()?),
        ["consume", group, topic, count] => reading::consume(&settings, group, topic, count.parse()?),
        ["read", topic, partitions, count] => {
            reading::read(&settings, topic, partitions.parse()?, count.parse()?)
        }
        ["member", group, topic] => reading::member(&settings, group, topic),
        ["copy", group, id, from, to, count] => {
            writing::copy(&settings, group, id, [from, to], count.parse()?)
        }
        _ => Err(format!("what is {words:?}?").into()),
    }
}

fn settings(brokers: &str, given: &[String]) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", brokers);
    for (key, value) in given.iter().filter_map(|pair| pair.split_once('=')) {
        match key {
            "user" => settings
                .set("security.protocol", "sasl_ssl")
                .set("sasl.mechanism", "SCRAM-SHA-512")
                .set("sasl.username", value),
            "password" => settings.set("sasl.password", value),
            "ca" => settings.set("ssl.ca.location", value),
            _ => settings.set(key, value),
        };
    }
    settings
}
