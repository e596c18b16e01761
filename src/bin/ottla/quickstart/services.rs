//! The services of the quickstart: one that publishes, three that read for themselves, each as a group, and the replay.

use super::orders::{Event, Order, What};
use super::place::Place;
use crate::ends::Ends;
use crate::failure::{Failure, Outcome};
use ottla::consumer::{Rebalance, RebalanceKind};
use ottla::{Batch, Delivered, Record, Start};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;

/// How long the last commit and leaving a group may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

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

/// A service that reads the topic as a group, whose instances share the partitions; from where the topic ended before this run.
#[derive(Debug)]
pub(super) struct Service<'a> {
    place: &'a Place,
    topic: &'a str,
    run: &'a str,
    pub(super) group: String,
    /// How many events all instances have seen together.
    seen: watch::Sender<usize>,
    /// How many partitions each instance has; `None` until the group has given it some, or none.
    shares: watch::Sender<Vec<Option<usize>>>,
}

/// What an instance of a service has had to do with.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) partitions: usize,
    pub(super) events: usize,
}

impl<'a> Service<'a> {
    pub(super) async fn new(
        place: &'a Place,
        (topic, run): (&'a str, &'a str),
        name: &str,
        instances: usize,
    ) -> Outcome<Service<'a>> {
        let group = format!("{topic}-{name}-{run}");
        place.make_group(&group).await?;
        let (seen, shares) = (watch::Sender::new(0), watch::Sender::new(vec![None; instances]));
        Ok(Service { place, topic, run, group, seen, shares })
    }

    /// Waits until each partition is some instance's, and each instance has one if there are enough.
    pub(super) async fn wait_until_shared(&self) {
        let count = self.place.partitions().len();
        let is_shared = |shares: &Vec<Option<usize>>| {
            let enough = shares.len() <= count;
            let has_share = |share: &Option<usize>| share.is_some_and(|partitions| partitions > 0 || !enough);
            shares.iter().all(has_share) && shares.iter().flatten().sum::<usize>() == count
        };
        // The sender is here: it does not go.
        let _ = self.shares.subscribe().wait_for(is_shared).await;
    }

    /// One instance: gives the events of this run to `see`, until all instances together have seen so many.
    pub(super) async fn serve(
        &self,
        instance: usize,
        count: usize,
        mut see: impl FnMut(&Event),
    ) -> Outcome<Share> {
        let client = self.place.client().await?;
        let shares = self.shares.clone();
        let consumer = client.consumer().group(&self.group).subscribe([self.topic]);
        let consumer = consumer.set("auto.offset.reset", "earliest").on_rebalance(move |rebalance| {
            note(&rebalance, instance, &shares);
            std::future::ready(())
        });
        let mut consumer = consumer.build().await?;
        let (mut seen, mut own) = (self.seen.subscribe(), 0);
        loop {
            let batch = tokio::select! {
                biased;
                _ = seen.wait_for(|seen| *seen >= count) => break,
                batch = consumer.poll() => batch?,
            };
            for event in batch.iter().flat_map(events).filter(|event| event.run == self.run) {
                see(&event);
                own += 1;
                self.seen.send_modify(|seen| *seen += 1);
            }
        }
        let partitions = consumer.assigned().len();
        // What was read is committed.
        consumer.close(CLOSE_TIMEOUT).await?;
        Ok(Share { partitions, events: own })
    }
}

/// Keeps account of how many partitions an instance has.
fn note(rebalance: &Rebalance, instance: usize, shares: &watch::Sender<Vec<Option<usize>>>) {
    let count = rebalance.partitions().len();
    shares.send_modify(|shares| {
        if let Some(share) = shares.get_mut(instance) {
            let before = share.unwrap_or(0);
            *share = match rebalance.kind() {
                RebalanceKind::Assigned => Some(before + count),
                _ => Some(before.saturating_sub(count)),
            };
        }
    });
}

/// What billing makes of the events: payments and their sum.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Billing {
    pub(super) payments: usize,
    pub(super) cents: u64,
}

impl Billing {
    /// What two instances have booked.
    pub(super) fn of_both([one, other]: &[Billing; 2]) -> Billing {
        Billing { payments: one.payments + other.payments, cents: one.cents + other.cents }
    }

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
