//! Orders of a shop: one topic of events, and services that each make their own of it.
//!
//! * The order service publishes what happens to orders, keyed by the order.
//! * Billing runs twice: both instances are of one group, and share the partitions.
//! * Shipping is another group: it reads everything for itself.
//! * A projection has no group: it replays the topic from its first record, and rebuilds the state of each order.
//!
//! ```text
//! cargo run --example orders --features broker
//! KAFKA_BOOTSTRAP_SERVERS=localhost:9092 cargo run --example orders --features broker
//! ```
//!
//! Without settings it brings a broker of its own; on a cluster it takes away in the end what it has made there.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example tells what it does")]
#![allow(clippy::indexing_slicing, reason = "there are two instances")]

mod place;

use ottla::config::Settings;
use ottla::consumer::RebalanceKind;
use ottla::{Client, Record, Result, Start};
use place::Place;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::watch;

const ORDERS: u32 = 60;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

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

/// What happens to an order: the records' values, as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Placed { cents: u64 },
    Paid { cents: u64 },
    Shipped,
    Cancelled,
}

/// What everybody has in the end.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) events: usize,
    /// Of each order that was paid, the amount and the instance that has booked it.
    pub(crate) payments: BTreeMap<String, (u64, usize)>,
    pub(crate) shipped: BTreeSet<String>,
    /// How many orders are in which state.
    pub(crate) states: BTreeMap<&'static str, usize>,
}

/// The whole day of the shop.
pub(crate) async fn run(settings: Settings) -> Result<Summary> {
    let mut place = Place::find(settings).await?;
    let topic = place.topic("orders", 6).await?;
    let (billing, shipping) = (place.name("billing"), place.name("shipping"));

    // Billing's database. What is in it is there once, however often its event comes.
    let payments = watch::Sender::new(BTreeMap::new());
    let shares = watch::Sender::new([0, 0]);
    let clients = [place.client().await?, place.client().await?];
    let [first, second] = clients.each_ref().map(|client| (client, &topic, &billing, &payments, &shares));
    let publishes = async {
        // Not needed, but nicer to look at: nothing happens before both instances have their share.
        let _ = shares.subscribe().wait_for(|shares| *shares == [3, 3]).await;
        publish(&place.client().await?, &topic).await
    };
    let (events, (), (), shipped) = tokio::try_join!(
        publishes,
        bill(0, first),
        bill(1, second),
        ship(place.client().await?, &topic, &shipping)
    )?;
    let states = replay(&place.client().await?, &topic).await?;
    place.clear(&[billing, shipping]).await?;
    Ok(Summary { events, payments: payments.send_replace(BTreeMap::new()), shipped, states })
}

/// What happens to an order, by its number.
fn life(number: u32) -> Vec<Event> {
    let cents = 995 + u64::from(number) * 7919 % 20_000;
    let (placed, paid) = (Event::Placed { cents }, Event::Paid { cents });
    match number % 6 {
        0 => vec![placed],
        1 => vec![placed, Event::Cancelled],
        2 => vec![placed, paid],
        _ => vec![placed, paid, Event::Shipped],
    }
}

/// How many orders get this far.
fn expected(is_meant: impl Fn(&Event) -> bool) -> usize {
    (0..ORDERS).filter(|number| life(*number).iter().any(&is_meant)).count()
}

/// The order service. The key keeps what happens to an order in one partition, and so in order.
async fn publish(client: &Client, topic: &str) -> Result<usize> {
    let producer = client.producer().build()?;
    let mut deliveries = Vec::new();
    for number in 0..ORDERS {
        for event in life(number) {
            let record = Record::to(topic).key(format!("order-{number:02}")).json(&event)?;
            deliveries.push(producer.send(record).await?);
        }
    }
    producer.flush().await?;
    let events = deliveries.len();
    for delivery in deliveries {
        delivery.await?;
    }
    Ok(events)
}

type Billing<'a> = (
    &'a Client,
    &'a String,
    &'a String,
    &'a watch::Sender<BTreeMap<String, (u64, usize)>>,
    &'a watch::Sender<[usize; 2]>,
);

/// An instance of billing. What it has booked is committed by itself when it comes back for more.
async fn bill(instance: usize, (client, topic, group, payments, shares): Billing<'_>) -> Result<()> {
    let share = shares.clone();
    let consumer = client.consumer().group(group).subscribe([topic.as_str()]).auto_offset_reset("earliest");
    let mut consumer = consumer
        .on_rebalance(move |rebalance| {
            let count = rebalance.partitions().len();
            share.send_modify(|shares| match rebalance.kind() {
                RebalanceKind::Assigned => shares[instance] += count,
                _ => shares[instance] -= count,
            });
            std::future::ready(())
        })
        .build()
        .await?;
    let (mut booked, all) = (payments.subscribe(), expected(|event| matches!(event, Event::Paid { .. })));
    loop {
        let batch = tokio::select! {
            batch = consumer.poll() => batch?,
            _ = booked.wait_for(|payments| payments.len() == all) => break,
        };
        for record in batch.iter().flatten() {
            if let (order, Some(Event::Paid { cents })) = (text(record.key()), event(record.value())) {
                payments.send_modify(|payments| {
                    payments.entry(order).or_insert((cents, instance));
                });
            }
        }
    }
    consumer.close(CLOSE_TIMEOUT).await
}

/// Shipping, which is done when every parcel is on its way.
async fn ship(client: Client, topic: &str, group: &str) -> Result<BTreeSet<String>> {
    let consumer = client.consumer().group(group).subscribe([topic]).auto_offset_reset("earliest");
    let mut consumer = consumer.build().await?;
    let (mut shipped, all) = (BTreeSet::new(), expected(|event| matches!(event, Event::Shipped)));
    while shipped.len() < all
        && let Some(batch) = consumer.poll().await?
    {
        let is_shipped = |value| matches!(event(value), Some(Event::Shipped));
        let parcels = batch.iter().filter(|record| is_shipped(record.value()));
        shipped.extend(parcels.map(|record| text(record.key())));
    }
    consumer.close(CLOSE_TIMEOUT).await?;
    Ok(shipped)
}

/// The projection: the state of each order is nothing but the sum of what happened to it.
async fn replay(client: &Client, topic: &str) -> Result<BTreeMap<&'static str, usize>> {
    let mut consumer = client.consumer().topic(topic, Start::Beginning).build().await?;
    let mut ends = consumer.end_offsets(&consumer.assigned()).await?;
    ends.retain(|_, end| *end > 0);
    let mut orders = BTreeMap::new();
    while !ends.is_empty()
        && let Some(batch) = consumer.poll().await?
    {
        for record in &batch {
            let state = match event(record.value()) {
                Some(Event::Placed { .. }) => "placed",
                Some(Event::Paid { .. }) => "paid",
                Some(Event::Shipped) => "shipped",
                Some(Event::Cancelled) => "cancelled",
                None => continue,
            };
            orders.insert(text(record.key()), state);
        }
        ends.retain(|partition, end| partition != batch.topic_partition() || batch.next_offset() < *end);
    }
    let mut states = BTreeMap::new();
    for state in orders.into_values() {
        *states.entry(state).or_default() += 1;
    }
    Ok(states)
}

fn event(value: Option<&[u8]>) -> Option<Event> {
    serde_json::from_slice(value?).ok()
}

fn text(key: Option<&[u8]>) -> String {
    String::from_utf8_lossy(key.unwrap_or_default()).into_owned()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents: u64 = self.payments.values().map(|(cents, _)| cents).sum();
        let by = |instance| self.payments.values().filter(|(_, by)| *by == instance).count();
        let states: Vec<String> =
            self.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        writeln!(f, "order service  {} events of {ORDERS} orders, each acknowledged", self.events)?;
        writeln!(
            f,
            "billing        {} payments, EUR {}.{:02}; the one instance booked {}, the other {}",
            self.payments.len(),
            cents / 100,
            cents % 100,
            by(0),
            by(1)
        )?;
        writeln!(f, "shipping       {} parcels", self.shipped.len())?;
        write!(f, "projection     {}", states.join(", "))
    }
}
