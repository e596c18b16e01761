//! Sensors: what each device measured on average, minute by minute.
//!
//! Readings are keyed by their device, so each partition has some of the devices, in the order of time. Each partition is read
//! by a task of its own, for as long as the group leaves it to this service. When a minute is over its averages are stored,
//! and only then is what they are made of committed: whoever goes on after a crash begins with the minute that was open.
//!
//! ```text
//! cargo run --example sensors --features broker
//! KAFKA_BOOTSTRAP_SERVERS=localhost:9092 cargo run --example sensors --features broker
//! ```
//!
//! Without settings it brings a broker of its own; on a cluster it takes away in the end what it has made there.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example tells what it does")]

mod place;

use ottla::config::Settings;
use ottla::consumer::{Json, PartitionStream};
use ottla::{Client, Record, Result};
use place::Place;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

const DEVICES: [&str; 5] = ["boiler", "cellar", "greenhouse", "kitchen", "roof"];
/// How many minutes are over in the end; one more has begun.
const MINUTES: u32 = 10;
const SECONDS_BETWEEN: usize = 10;

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

/// What a device has measured: the records' values, as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Reading {
    device: String,
    /// Seconds since the gateway was switched on.
    second: u32,
    millidegrees: i64,
}

/// Averages in thousandths of a degree, by device and minute.
type Averages = BTreeMap<(String, u32), i64>;

/// What there is in the end.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) readings: usize,
    pub(crate) averages: Averages,
    /// Readings of the minute that is open: nobody has committed those.
    pub(crate) uncommitted: i64,
}

/// From the gateway to the averages.
pub(crate) async fn run(settings: Settings) -> Result<Summary> {
    let mut place = Place::find(settings).await?;
    let (topic, group) = (place.topic("readings", 4).await?, place.name("averages"));
    let client = place.client().await?;
    let readings = publish(&client, &topic).await?;
    let averages = average(&client, &topic, &group).await?;
    let uncommitted = lag(&client, &group).await?;
    place.clear(&[group]).await?;
    Ok(Summary { readings, averages, uncommitted })
}

/// The gateway, which sends what the devices measure as it comes in.
async fn publish(client: &Client, topic: &str) -> Result<usize> {
    let producer = client.producer().build()?;
    let mut deliveries = Vec::new();
    for second in (0..=MINUTES * 60).step_by(SECONDS_BETWEEN) {
        for (device, name) in (0_i64..).zip(DEVICES) {
            let millidegrees = 15_000 + device * 2_000 + i64::from(second) * 5;
            let reading = Reading { device: name.to_owned(), second, millidegrees };
            deliveries.push(producer.send(Record::to(topic).key(name).json(&reading)?).await?);
        }
    }
    producer.flush().await?;
    let readings = deliveries.len();
    for delivery in deliveries {
        delivery.await?;
    }
    Ok(readings)
}

/// The service: a task for each partition that it has, until all minutes are averaged.
async fn average(client: &Client, topic: &str, group: &str) -> Result<Averages> {
    let consumer = client.consumer().group(group).subscribe([topic]).auto_offset_reset("earliest");
    let mut consumer = consumer.set("enable.auto.commit", "false").build().await?;
    // Stands for the database of the averages.
    let averages = watch::Sender::new(Averages::new());
    let (mut stored, all) = (averages.subscribe(), DEVICES.len() * MINUTES as usize);
    let mut tasks = JoinSet::new();
    let mut partitions = consumer.partition_streams();
    loop {
        tokio::select! {
            Some(readings) = partitions.next() => {
                tasks.spawn(watch_partition(readings?, averages.clone()));
            }
            // A task ends with its partition, or because it cannot go on.
            Some(Ok(ended)) = tasks.join_next() => ended?,
            _ = stored.wait_for(|averages| averages.len() == all) => break,
        }
    }
    // The streams end with this, and with them the tasks.
    consumer.close(Duration::from_secs(10)).await?;
    while let Some(Ok(ended)) = tasks.join_next().await {
        ended?;
    }
    Ok(averages.send_replace(Averages::new()))
}

/// The readings of a minute, by device: their sum and their number.
#[derive(Default)]
struct Window {
    minute: u32,
    sums: BTreeMap<String, (i64, i64)>,
}

/// Averages the readings of one partition.
async fn watch_partition(mut readings: PartitionStream, averages: watch::Sender<Averages>) -> Result<()> {
    let json = Json::<Reading>::new();
    let mut window = Window::default();
    while let Some(record) = readings.next().await {
        let record = record?;
        let Some(reading) = record.value_as(&json)? else { continue };
        let minute = reading.second / 60;
        if minute > window.minute {
            let over = std::mem::replace(&mut window, Window { minute, ..Window::default() });
            averages.send_modify(|averages| {
                let device = |(device, (sum, count))| ((device, over.minute), sum / count);
                averages.extend(over.sums.into_iter().map(device));
            });
            // Everything before this reading is in the averages now; this one is not.
            readings.commit_offset(record.offset).await?;
        }
        let (sum, count) = window.sums.entry(reading.device).or_default();
        *sum += reading.millidegrees;
        *count += 1;
    }
    Ok(())
}

/// How many records of its partitions the group has not committed.
async fn lag(client: &Client, group: &str) -> Result<i64> {
    let committed = client.admin().list_group_offsets(group).await?;
    let ends = client.consumer().build().await?.end_offsets(committed.keys()).await?;
    let mut lag = 0;
    for (partition, committed) in committed {
        lag += ends.get(&partition).copied().unwrap_or(0) - committed?.offset;
    }
    Ok(lag)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for device in DEVICES {
            let of_device = self.averages.iter().filter(|((of, _), _)| of == device);
            let degrees: Vec<String> = of_device
                .map(|(_, average)| format!("{}.{}", average / 1000, average % 1000 / 100))
                .collect();
            writeln!(f, "{device:<10}  {}", degrees.join("  "))?;
        }
        let (readings, averages, open) = (self.readings, self.averages.len(), self.uncommitted);
        write!(
            f,
            "{readings} readings, {averages} averages committed; {open} readings of the next minute are still open"
        )
    }
}
