//! A producer as a service wraps it: values are JSON, text or bytes, many are under way at once, and a record that cannot
//! be sent is told apart and costs no other record anything.
//!
//! ```text
//! KAFKA_BOOTSTRAP_SERVERS=localhost:9092 cargo run --example advanced_producer
//! ```
//!
//! Settings come from the environment or from a `.env` file; whatever is set there (`KAFKA_COMPRESSION_TYPE=zstd`,
//! `KAFKA_MAX_REQUEST_SIZE=4194304`) counts here, too.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example tells what it does")]

use ottla::{Client, Delivered, Delivery, Error, ErrorKind, Producer, Record, Result};
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let client = Client::from_env().await?;
    let mut publisher = Publisher::new(&client, "orders")?;

    let placed = Order { id: 17, customer: "Žofie", cents: 4250 };
    publisher.publish("order-17", Value::json(&placed)?).await?;
    publisher.publish("order-17", Value::Text("paid")).await?;
    publisher.publish("order-17", Value::Bytes(&[0x01, 0xff])).await?;
    // Larger than any request may be: refused before it is queued. The records around it do not notice.
    publisher.publish("order-18", Value::Bytes(&vec![b'x'; 64 * 1024 * 1024])).await?;
    publisher.publish("order-19", Value::Text("placed")).await?;

    let summary = publisher.finish().await;
    for at in &summary.written {
        println!("written to {}, partition {}, offset {}", at.topic(), at.partition, at.offset);
    }
    for Rejected { key, size, limit } in &summary.too_large {
        println!("{key}: {size} bytes are too many, {limit} may be sent (max.request.size)");
    }
    for (key, error) in &summary.failed {
        println!("{key}: {error}");
    }
    match summary.failed.into_iter().next() {
        None => Ok(()),
        Some((_, error)) => Err(error),
    }
}

/// What an order looks like in the topic: JSON, its keys sorted.
#[derive(Serialize)]
struct Order {
    id: u64,
    customer: &'static str,
    cents: u64,
}

/// What a record can carry.
enum Value<'a> {
    Json(serde_json::Value),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl Value<'_> {
    /// Anything that serde can say in JSON. What it cannot say is an error here, before anything is sent.
    fn json<T: Serialize>(value: &T) -> Result<Self> {
        let json = serde_json::to_value(value);
        json.map(Value::Json)
            .map_err(|error| Error::new(ErrorKind::Serialization, "make JSON").with_source(error))
    }
}

/// Publishes to one topic.
struct Publisher {
    producer: Producer,
    topic: &'static str,
    /// Under way: the key, and what will tell the outcome. `buffer.memory` bounds what waits in the producer, and
    /// `MAX_WAITING` this list.
    waiting: Vec<(String, Delivery)>,
    summary: Summary,
}

/// What became of the records.
#[derive(Default)]
struct Summary {
    written: Vec<Delivered>,
    too_large: Vec<Rejected>,
    failed: Vec<(String, Error)>,
}

/// A record that is larger than a request may be.
struct Rejected {
    key: String,
    size: usize,
    limit: usize,
}

const MAX_WAITING: usize = 10_000;

impl Publisher {
    fn new(client: &Client, topic: &'static str) -> Result<Publisher> {
        // What the environment says goes for the client; what the service knows better is set here.
        let producer = client.producer().linger(Duration::from_millis(20)).build()?;
        Ok(Publisher { producer, topic, waiting: Vec::new(), summary: Summary::default() })
    }

    /// Queues a record. Waits for the brokers only when the buffer is full.
    ///
    /// # Errors
    /// When no record can be sent: the topic is refused, the cluster is out of reach. A record that is itself the problem
    /// is noted, and no error.
    async fn publish(&mut self, key: &str, value: Value<'_>) -> Result<()> {
        let record = Record::to(self.topic).key(key);
        let record = match value {
            Value::Json(value) => record.json(&value)?.header("content-type", "application/json"),
            Value::Text(text) => record.value(text).header("content-type", "text/plain; charset=utf-8"),
            Value::Bytes(bytes) => record.value(bytes).header("content-type", "application/octet-stream"),
        };
        match self.producer.send(record).await {
            Ok(delivery) => self.waiting.push((key.to_owned(), delivery)),
            Err(error) => match error.kind() {
                ErrorKind::RecordTooLarge { size, limit } => {
                    self.summary.too_large.push(Rejected { key: key.to_owned(), size, limit });
                }
                _ => return Err(error),
            },
        }
        if self.waiting.len() >= MAX_WAITING {
            self.settle().await;
        }
        Ok(())
    }

    /// Waits for everything that is under way.
    async fn settle(&mut self) {
        for (key, delivery) in self.waiting.drain(..) {
            match delivery.await {
                Ok(at) => self.summary.written.push(at),
                Err(error) => self.summary.failed.push((key, error)),
            }
        }
    }

    /// Sends what is queued, waits for the acknowledgements, and tells what became of every record.
    async fn finish(mut self) -> Summary {
        // However it ends: after this every delivery is resolved, and tells its own story.
        if let Err(error) = self.producer.close(Duration::from_secs(30)).await {
            eprintln!("{error}");
        }
        self.settle().await;
        self.summary
    }
}
