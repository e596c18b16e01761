//! The services of the quickstart: one that publishes, three that read for themselves, and the replay.

use super::orders::{Event, Order, What};
use super::place::Place;
use crate::ends::Ends;
use crate::failure::{Failure, Outcome};
use ottla::{Batch, Delivered, Record, Start};
use std::collections::BTreeMap;

/// Publishes events as an order service would: keyed by the order, and not waiting for one before the next.
pub(super) async fn publish(place: &Place, topic: &str, events: &[Event]) -> Outcome<Vec<Delivered>> {
    let producer = place.client().await?.producer().build()?;
    let mut deliveries = Vec::with_capacity(events.len());
    for event in events {
        let record = Record::to(topic)
            .key(event.order.as_str())
            .json(event)?
            .header("source", "order-service")
            .header("event", event.what.name());
        deliveries.push(producer.send(record).await?);
    }
    producer.flush().await?;
    let mut acknowledged = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        acknowledged.push(delivery.await?);
    }
    Ok(acknowledged)
}

/// Reads the topic from where it ended before this run until it has seen so many events, and gives them to `see`.
pub(super) async fn follow(place: &Place, run: &str, count: usize, mut see: impl FnMut(&Event)) -> Outcome {
    let client = place.client().await?;
    let mut consumer = client.consumer().assign(place.ends.iter().cloned()).build().await?;
    let mut seen = 0;
    while seen < count {
        let Some(batch) = consumer.poll().await? else { break };
        for event in events(&batch).filter(|event| event.run == run) {
            see(&event);
            seen += 1;
        }
    }
    Ok(())
}

/// What billing makes of the events: payments and their sum.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Billing {
    pub(super) payments: usize,
    pub(super) cents: u64,
}

impl Billing {
    pub(super) fn see(&mut self, event: &Event) {
        if let What::Paid { cents } = event.what {
            self.payments += 1;
            self.cents += cents;
        }
    }
}

/// What shipping makes of the events: parcels by carrier.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shipping {
    pub(super) packed: usize,
    pub(super) by_carrier: BTreeMap<String, usize>,
}

impl Shipping {
    pub(super) fn see(&mut self, event: &Event) {
        match &event.what {
            What::Packed { .. } => self.packed += 1,
            What::Shipped { carrier } => *self.by_carrier.entry(carrier.clone()).or_default() += 1,
            _ => {}
        }
    }
}

/// What analytics makes of the events: what each customer ordered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Analytics {
    pub(super) cents_by_customer: BTreeMap<String, u64>,
}

impl Analytics {
    pub(super) fn see(&mut self, event: &Event) {
        if let What::Placed { customer, total_cents } = &event.what {
            *self.cents_by_customer.entry(customer.clone()).or_default() += total_cents;
        }
    }

    /// The customer who ordered most.
    pub(super) fn best(&self) -> Option<(&str, u64)> {
        let best = self.cents_by_customer.iter().max_by_key(|(_, cents)| **cents);
        best.map(|(customer, cents)| (customer.as_str(), *cents))
    }
}

/// What a replay finds in the topic.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) records: usize,
    /// Records that are no events: somebody else writes to the topic.
    pub(super) foreign: usize,
    /// Orders of earlier runs.
    pub(super) earlier: BTreeMap<String, Order>,
    /// The orders of this run.
    pub(super) orders: BTreeMap<String, Order>,
}

/// Reads the topic from its first record to its end as it is now, and rebuilds the state of each order.
pub(super) async fn replay(place: &Place, run: &str) -> Outcome<Replay> {
    let (client, partitions) = (place.client().await?, place.partitions());
    let starts = partitions.iter().map(|partition| (partition.clone(), Start::Beginning));
    let mut consumer = client.consumer().set("auto.offset.reset", "earliest").assign(starts).build().await?;
    let mut ends = Ends::new(consumer.end_offsets(&partitions).await?);
    let mut replay = Replay::default();
    while !ends.are_reached() {
        if let Some(batch) = ends.next(&mut consumer).await? {
            replay.take(&batch, run)?;
            ends.passed(&batch, &mut consumer);
        }
    }
    Ok(replay)
}

impl Replay {
    fn take(&mut self, batch: &Batch, run: &str) -> Outcome {
        let (records, mut understood) = (batch.len(), 0);
        for event in events(batch) {
            understood += 1;
            self.apply(&event, run)?;
        }
        self.records += records;
        self.foreign += records.saturating_sub(understood);
        Ok(())
    }

    fn apply(&mut self, event: &Event, run: &str) -> Outcome {
        let of_this_run = event.run == run;
        let orders = if of_this_run { &mut self.orders } else { &mut self.earlier };
        match Order::after(orders.get(&event.order), &event.what) {
            Ok(order) => {
                orders.insert(event.order.clone(), order);
                Ok(())
            }
            // The beginning of an earlier run may be gone: a topic does not keep everything for ever.
            Err(_) if !of_this_run => Ok(()),
            Err(why) => Err(Failure::failed(format!("the replay found order {} {why}", event.order))),
        }
    }
}

/// The events among the records of a batch.
fn events(batch: &Batch) -> impl Iterator<Item = Event> + '_ {
    batch.iter().filter_map(|record| serde_json::from_slice(record.value()?).ok())
}
