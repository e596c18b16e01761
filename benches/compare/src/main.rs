//! Clients of Kafka beside each other: one client, one job, one line of figures; `run` calls them in turn and prints the
//! table.
//!
//! ```text
//! compare run [OPTIONS]                            everything, as a table; `compare run --help`
//! compare sink [--latency 20ms] [--tls DIR]        a broker that keeps nothing; prints its address
//! compare produce CLIENT ADDRESS RECORDS BYTES     CPU time for each record
//! compare throughput CLIENT ADDRESS SECONDS BYTES  records a second, one partition, each client's own defaults
//! compare latency CLIENT ADDRESS RATE SECONDS      how long acknowledgements take at a rate, without linger
//! compare first CLIENT ADDRESS                     one record; prints a line once it is acknowledged
//! compare source LOG                               brokers with something to read; prints their address
//! compare consume CLIENT ADDRESS TOPIC PARTITIONS RECORDS  CPU time for each record that is read
//! compare deliver CLIENT ADDRESS TOPIC PARTITIONS RECORDS  how long records of a source's feed take
//! compare idle CLIENT ADDRESS TOPIC PARTITIONS SECONDS     what it takes to wait
//! compare rebalance ADDRESS TOPIC PARTITIONS MEMBERS       how long a group of ours takes to settle; as `franz rebalance`
//! compare claims CLIENT ADDRESS TOPIC KEYS RATE    every claim of a client, until the input ends; for fault runs
//! compare payload BYTES FILE                       writes the values that all clients send
//! ```
//!
//! `COMPARE_SETTINGS="compression.type=lz4 linger.ms=20"` sets what a job does not, by Kafka's names; `COMPARE_WINDOW=4000`
//! how many records of `produce` may wait for their acknowledgement.

#![allow(clippy::disallowed_methods, reason = "a program on the real clock, with tasks of its own")]
#![cfg_attr(not(feature = "peers"), allow(dead_code, reason = "what only peers need"))]

#[cfg(feature = "rdkafka")]
mod claims;
mod clients;
mod job;
mod measure;
mod modes;
mod pace;
mod payload;
mod readers;
mod reading;
mod rebalance;
mod run;
mod sink;
mod source;

use job::Job;
use reading::Reading;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["run", ref options @ ..] => run::main(options),
        ["sink", ref options @ ..] => sink::main(options),
        ["source", ref options @ ..] => source::main(options),
        [job @ ("consume" | "deliver" | "idle"), client, address, topic, partitions, much] => {
            let reading = match job {
                "consume" => Reading::Consume(number(much)),
                "deliver" => Reading::Deliver(number(much)),
                _ => Reading::Idle(number(much)),
            };
            readers::dispatch(client, address, topic, number(partitions), reading);
        }
        ["rebalance", address, topic, partitions, members] => {
            rebalance::main(address, topic, number(partitions), number(members));
        }
        ["produce", client, address, records, bytes] => {
            clients::dispatch(
                client,
                &Job::produce(address, number(bytes)),
                modes::Mode::Produce(number(records)),
            );
        }
        ["throughput", client, address, seconds, bytes] => {
            let job = Job::throughput(address, number(bytes));
            clients::dispatch(client, &job, modes::Mode::Throughput(number(seconds)));
        }
        ["latency", client, address, rate, seconds] => {
            let mode = modes::Mode::Latency { rate: number(rate), seconds: number(seconds) };
            clients::dispatch(client, &Job::latency(address), mode);
        }
        ["first", client, address] => clients::dispatch(client, &Job::latency(address), modes::Mode::First),
        #[cfg(feature = "rdkafka")]
        ["claims", "librdkafka", address, topic, keys, rate] => {
            claims::librdkafka(address, topic, number(keys), number(rate));
        }
        ["payload", bytes, file] => {
            std::fs::write(file, payload::make(number(bytes))).expect("a payload that is written")
        }
        _ => {
            eprintln!(
                "compare run | sink | produce | throughput | latency | first | claims | payload | source | consume | deliver \
                 | idle: see benches/compare/README.md"
            );
            std::process::exit(2);
        }
    }
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("'{word}' is no number"))
}
