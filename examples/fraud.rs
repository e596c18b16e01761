//! Fraud checks: each payment is decided upon, and committed only when its decision is written.
//!
//! Two instances of the check share the payments; the second one comes later, and a rebalance gives it half of the
//! partitions. What cannot be read goes to a dead-letter topic, with where it was from and why, and holds nobody up. Whatever
//! crashes, no payment is left out; one may be decided upon twice, in the same way.
//!
//! ```text
//! cargo run --example fraud --features broker
//! KAFKA_BOOTSTRAP_SERVERS=localhost:9092 cargo run --example fraud --features broker
//! ```
//!
//! Without settings it brings a broker of its own; on a cluster it takes away in the end what it has made there.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example tells what it does")]
#![allow(clippy::indexing_slicing, reason = "there are two instances")]

mod place;

use ottla::config::Settings;
use ottla::consumer::{FetchedRecord, Rebalance, RebalanceKind};
use ottla::{Client, Record, Result, Start};
use place::Place;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::watch;

const PAYMENTS: u32 = 120;
const LIMIT_CENTS: u64 = 90_000;

#[tokio::main]
async fn main() -> ExitCode {
    let run = async { run(Settings::from_env()?).await };
    match run.await {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Payment {
    id: u32,
    card: String,
    cents: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Decision {
    id: u32,
    approved: bool,
    /// The instance that has decided.
    by: usize,
}

/// What an audit finds.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// By payment: whether it was approved, and by which instance.
    pub(crate) decisions: BTreeMap<u32, (bool, usize)>,
    /// The places of the records that nobody could read.
    pub(crate) unreadable: BTreeSet<String>,
}

/// The topics that a check reads and writes.
#[derive(Debug)]
struct Topics {
    payments: String,
    decisions: String,
    dead_letters: String,
}

/// What the instances of the check and the rest of the world know of each other.
#[derive(Debug, Clone)]
struct Board {
    /// How many partitions each instance has.
    shares: watch::Sender<[usize; 2]>,
    is_over: watch::Sender<bool>,
}

/// A day of payments.
pub(crate) async fn run(settings: Settings) -> Result<Summary> {
    let mut place = Place::find(settings).await?;
    let topics = Topics {
        payments: place.topic("payments", 6).await?,
        decisions: place.topic("decisions", 2).await?,
        dead_letters: place.topic("dead-letters", 1).await?,
    };
    let group = place.name("fraud");
    let board = Board { shares: watch::Sender::new([0, 0]), is_over: watch::Sender::new(false) };
    let [shop, first, second, auditor] =
        [place.client().await?, place.client().await?, place.client().await?, place.client().await?];

    let day = async {
        let mut shares = board.shares.subscribe();
        let _ = shares.wait_for(|shares| shares[0] == 6).await;
        pay(&shop, &topics.payments, 0..PAYMENTS / 2).await?;
        // The second instance has come, and both have their half.
        let _ = shares.wait_for(|shares| *shares == [3, 3]).await;
        pay(&shop, &topics.payments, PAYMENTS / 2..PAYMENTS).await
    };
    let late = async {
        let _ = board.shares.subscribe().wait_for(|shares| shares[0] == 6).await;
        check(1, &second, &topics, &group, &board).await
    };
    let audit = async {
        let summary = audit(&auditor, &topics).await;
        board.is_over.send_replace(true);
        summary
    };
    let ((), (), (), summary) =
        tokio::try_join!(day, check(0, &first, &topics, &group, &board), late, audit)?;
    place.clear(&[group]).await?;
    Ok(summary)
}

/// Whether the record of a payment is broken.
fn is_broken(id: u32) -> bool {
    id % 20 == 13
}

/// The shop, one of whose tills is broken.
async fn pay(client: &Client, topic: &str, ids: Range<u32>) -> Result<()> {
    let producer = client.producer().build()?;
    let mut deliveries = Vec::new();
    for id in ids {
        let card = format!("card-{}", id % 17);
        let record = Record::to(topic).key(card.as_str());
        let record = match is_broken(id) {
            true => record.value(format!("{{\"id\":{id},\"car")),
            false => record.json(&Payment { id, card, cents: u64::from(id) * 7919 % 100_000 })?,
        };
        deliveries.push(producer.send(record).await?);
    }
    producer.flush().await?;
    for delivery in deliveries {
        delivery.await?;
    }
    Ok(())
}

/// An instance of the check: read, decide, publish, and then commit.
async fn check(by: usize, client: &Client, topics: &Topics, group: &str, board: &Board) -> Result<()> {
    let producer = client.producer().build()?;
    let shares = board.shares.clone();
    let mut consumer = client
        .consumer()
        .group(group)
        .subscribe([topics.payments.as_str()])
        .auto_offset_reset("earliest")
        .set("enable.auto.commit", "false")
        .on_rebalance(move |rebalance| {
            tell(by, &rebalance, &shares);
            std::future::ready(())
        })
        .build()
        .await?;
    let mut is_over = board.is_over.subscribe();
    loop {
        let batch = tokio::select! {
            batch = consumer.poll() => batch?,
            _ = is_over.wait_for(|is_over| *is_over) => break,
        };
        let mut deliveries = Vec::new();
        for record in batch.iter().flatten() {
            deliveries.push(producer.send(decide(by, &record, topics)?).await?);
        }
        producer.flush().await?;
        for delivery in deliveries {
            delivery.await?;
        }
        // Nothing of a partition is taken away while this instance has a batch of it in hand: it commits in time.
        consumer.commit().await?;
    }
    consumer.close(Duration::from_secs(10)).await
}

/// The rebalance listener.
fn tell(by: usize, rebalance: &Rebalance, shares: &watch::Sender<[usize; 2]>) {
    let count = rebalance.partitions().len();
    match rebalance.kind() {
        RebalanceKind::Assigned => println!("check {by} gets {count} partitions"),
        RebalanceKind::Revoked => println!("check {by} gives {count} partitions back"),
        _ => println!(
            "check {by} has lost {count} partitions: somebody else decides once more what was not committed"
        ),
    }
    shares.send_modify(|shares| match rebalance.kind() {
        RebalanceKind::Assigned => shares[by] += count,
        _ => shares[by] -= count,
    });
}

/// The decision on a payment; or a dead letter, as it came, with what is needed to look into it.
fn decide(by: usize, record: &FetchedRecord<'_>, topics: &Topics) -> Result<Record> {
    let value = record.value().unwrap_or_default();
    match serde_json::from_slice::<Payment>(value) {
        Ok(Payment { id, card, cents }) => {
            let decision = Decision { id, approved: cents <= LIMIT_CENTS, by };
            Record::to(&topics.decisions).key(card).json(&decision)
        }
        Err(error) => {
            let place = format!("{} [{}] {}", record.topic(), record.partition(), record.offset());
            let letter = Record::to(&topics.dead_letters).value(value);
            let letter = letter.header("from", place).header("error", error.to_string());
            Ok(match record.key() {
                Some(key) => letter.key(key),
                None => letter,
            })
        }
    }
}

/// Reads decisions and dead letters until there is one of each payment.
async fn audit(client: &Client, topics: &Topics) -> Result<Summary> {
    let consumer = client.consumer().topic(&*topics.decisions, Start::Beginning);
    let mut consumer = consumer.topic(&*topics.dead_letters, Start::Beginning).build().await?;
    let mut summary = Summary::default();
    while summary.decisions.len() + summary.unreadable.len() < PAYMENTS as usize
        && let Some(batch) = consumer.poll().await?
    {
        for record in &batch {
            if let Ok(decision) = serde_json::from_slice::<Decision>(record.value().unwrap_or_default()) {
                summary.decisions.insert(decision.id, (decision.approved, decision.by));
            } else if let Some(from) = record.headers().find(|header| header.key == b"from") {
                summary
                    .unreadable
                    .insert(String::from_utf8_lossy(from.value.unwrap_or_default()).into_owned());
            }
        }
    }
    Ok(summary)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |is_meant: &dyn Fn(&(bool, usize)) -> bool| {
            self.decisions.values().filter(|decision| is_meant(decision)).count()
        };
        writeln!(f, "{} payments decided upon:", self.decisions.len())?;
        writeln!(
            f,
            "  {} approved, {} refused",
            count(&|(approved, _)| *approved),
            count(&|(approved, _)| !approved)
        )?;
        writeln!(
            f,
            "  {} by check 0, {} by check 1",
            count(&|(_, by)| *by == 0),
            count(&|(_, by)| *by == 1)
        )?;
        write!(f, "{} records that nobody could read are dead letters", self.unreadable.len())
    }
}
