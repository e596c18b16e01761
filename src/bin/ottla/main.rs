//! `ottla`: produce, consume, measure, look at topics and groups from a terminal, and a broker to try things with.
//!
//! Option letters are kcat's where kcat has them. Exit codes: 0 done, 1 failed, 2 the command line or a setting is wrong,
//! 128 and the signal's number when a signal ended it.
#![allow(clippy::print_stderr, reason = "telling people what happens is what a tool does")]

mod bench;
mod broker;
mod connection;
mod consume;
mod delimiter;
mod ends;
mod escape;
mod failure;
mod groups;
mod output;
mod produce;
mod progress;
mod quickstart;
mod signals;
mod topics;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A Kafka client in pure Rust.
///
/// Settings come from -b and -X, the environment (KAFKA_BOOTSTRAP_SERVERS, KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM,
/// KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD, and any other key in this manner), a .env file, and the file of -F; the first
/// of these that has a setting decides it.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    connection: connection::Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send records: each line of standard input or of files is one
    Produce(produce::Options),
    /// Print records
    Consume(consume::Options),
    /// List, describe, create and delete topics
    Topics(topics::Options),
    /// List consumer groups, show how far behind they are, set where they read on, delete them
    Groups(groups::Options),
    /// Measure: throughput, latency and CPU time of producing to a cluster
    Bench(bench::Options),
    /// Run the embedded broker in the foreground, until Ctrl-C
    Broker(broker::Options),
    /// Publish orders, read them as several services would, and rebuild their state from the topic
    Quickstart(quickstart::Options),
}

fn main() -> ExitCode {
    let Cli { connection, command } = Cli::parse();
    connection.start_logging();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("ottla: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match command {
            Command::Produce(options) => produce::run(&connection, options).await,
            Command::Consume(options) => consume::run(&connection, options).await,
            Command::Topics(options) => topics::run(&connection, options).await,
            Command::Groups(options) => groups::run(&connection, options).await,
            Command::Bench(options) => bench::run(&connection, options).await,
            Command::Broker(options) => broker::run(&connection, options).await,
            Command::Quickstart(options) => quickstart::run(&connection, options).await,
        }
    });
    // What is still under way is given up: there is nobody left to wait for it.
    runtime.shutdown_background();
    failure::exit_code(outcome)
}
