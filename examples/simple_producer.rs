//! The smallest service that produces: one record, and the certainty that it was written.
//!
//! Settings come from the environment or from a `.env` file:
//!
//! ```text
//! KAFKA_BOOTSTRAP_SERVERS=localhost:9092 cargo run --example simple_producer
//! ```
//!
//! A managed cluster wants four more, `KAFKA_SECURITY_PROTOCOL`, `KAFKA_SASL_MECHANISM`, `KAFKA_SASL_USERNAME` and
//! `KAFKA_SASL_PASSWORD`; the program stays as it is.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example tells what it does")]

use ottla::{Client, Record, Result};
use std::process::ExitCode;

const TOPIC: &str = "orders";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        // An error tells everything in one line: what was attempted, where, why not, and what to change.
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let client = Client::from_env().await?;
    let producer = client.producer().build()?;

    // Queued: it goes out with whatever else is sent in the next milliseconds.
    let record = Record::to(TOPIC).key("order-17").value("placed").header("source", "simple_producer");
    let delivery = producer.send(record).await?;

    // Sends at once what is queued, and waits until the broker has answered for all of it.
    producer.flush().await?;

    // Whether it was written, and where.
    let at = delivery.await?;
    println!("written to {}, partition {}, offset {}", at.topic(), at.partition, at.offset);
    Ok(())
}
