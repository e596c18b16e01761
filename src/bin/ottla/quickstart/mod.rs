//! `ottla quickstart`: what a topic of events is good for, in a few seconds.
//!
//! An order service publishes what happens to orders; three services read the same topic, each for itself as a consumer group,
//! and the instances of one of them share its partitions; a replay rebuilds every order from nothing but the topic, and is held against what the order service knows. It runs on an
//! embedded broker, or, when settings name a cluster, there and unchanged. The topic stays, and the next run adds to it:
//! orders carry the run they belong to, so that no run is confused by another.

mod orders;
mod place;
mod services;

use crate::connection;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::signals::Signals;
use orders::{Euros, Event, Order};
use ottla::{Delivered, task};
use place::Place;
use services::{Analytics, Billing, Replay, Service, Share, Shipping};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many orders to publish
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=9999))]
    orders: u16,
    /// The topic; it is created when it is missing
    #[arg(long, default_value = "ottla-quickstart")]
    topic: String,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

pub(crate) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    let mut signals = Signals::listen();
    let deadline = task::after(task::now(), Duration::from_secs(options.timeout));
    tokio::select! {
        biased;
        number = signals.received() => Err(Failure::Signal(number)),
        outcome = task::until(deadline, tell(connection, &options)) => outcome.unwrap_or_else(|| {
            Err(Failure::failed(format!("not done after {} seconds (--timeout)", options.timeout)))
        }),
    }
}

/// The whole story.
async fn tell(connection: &connection::Options, options: &Options) -> Outcome {
    let story = Story { is_quiet: connection.is_quiet(), started: task::now() };
    let place = Place::find(connection, &options.topic).await?;
    story.say(&place.description)?;

    let run = name_of_run()?;
    let events = orders::events_of(&run, options.orders.into());
    let expected = expected(&events)?;
    let count = events.len();
    story.say(&format!(
        "\n1. The order service publishes what happens to {} orders. Billing runs twice: its instances are one group, and\n   \
         share the partitions. Shipping is another group, and reads along.",
        expected.len()
    ))?;
    let of_run = (options.topic.as_str(), run.as_str());
    let billing = Service::new(&place, of_run, "billing", 2).await?;
    let shipping = Service::new(&place, of_run, "shipping", 1).await?;
    let (mut bills, mut parcels) = ([Billing::default(), Billing::default()], Shipping::default());
    let [one, other] = &mut bills;
    let publishes = async {
        billing.wait_until_shared().await;
        services::publish(&place, &options.topic, &events).await
    };
    let (acknowledged, first, second, _) = tokio::try_join!(
        publishes,
        billing.serve(0, count, |event| one.see(event)),
        billing.serve(1, count, |event| other.see(event)),
        shipping.serve(0, count, |event| parcels.see(event)),
    )?;
    story.say(&published(&events, &acknowledged)?)?;

    story
        .say(&format!("\n2. Each service reads all {count} events for itself, and makes its own of them."))?;
    let analytics = Service::new(&place, of_run, "analytics", 1).await?;
    let (bills, mut customers) = (Billing::of_both(&bills), Analytics::default());
    analytics.serve(0, count, |event| customers.see(event)).await?;
    story.say(&what_services_made(&bills, &[first, second], &parcels, &customers))?;
    check_services(&events, &bills, &parcels, &customers)?;
    place.delete_groups(&[billing.group, shipping.group, analytics.group]).await?;

    story.say("\n3. A replay reads the topic from its first record, and rebuilds each order from what happened to it.")?;
    let replay = services::replay(&place, &run).await?;
    story.say(&replayed(&replay))?;
    verify(&expected, &replay.orders)?;
    output::print(&format!(
        "\nVerified: all {} orders are as the order service left them. ({:.1} s)",
        expected.len(),
        story.seconds()
    ))?;
    story.say(&place.farewell)
}

/// What is told while it happens.
struct Story {
    is_quiet: bool,
    started: Instant,
}

impl Story {
    fn say(&self, text: &str) -> Outcome {
        if self.is_quiet { Ok(()) } else { output::print(text) }
    }

    fn seconds(&self) -> f32 {
        task::now().duration_since(self.started).as_secs_f32()
    }
}

/// No two runs have the same name: orders of different runs must not be confused.
fn name_of_run() -> Outcome<String> {
    let random = task::random::<4>().map_err(|error| Failure::failed(error.to_string()))?;
    Ok(format!("{:08x}", u32::from_le_bytes(random)))
}

/// The orders as the order service knows them.
fn expected(events: &[Event]) -> Outcome<BTreeMap<String, Order>> {
    let mut orders = BTreeMap::new();
    for event in events {
        let order = Order::after(orders.get(&event.order), &event.what).map_err(Failure::failed)?;
        orders.insert(event.order.clone(), order);
    }
    Ok(orders)
}

/// What the order service has to tell, and whether the log kept each order together.
fn published(events: &[Event], acknowledged: &[Delivered]) -> Outcome<String> {
    const SHOWN: usize = 3;
    let mut text = String::new();
    let mut last: BTreeMap<&str, &Delivered> = BTreeMap::new();
    for (number, (event, at)) in events.iter().zip(acknowledged).enumerate() {
        if number < SHOWN {
            let (order, what) = (&event.order, event.what.name());
            let _ = writeln!(text, "   {order} {what:10} partition {}, offset {}", at.partition, at.offset);
        }
        let follows = |before: &&Delivered| before.partition == at.partition && before.offset < at.offset;
        if let Some(before) = last.insert(&event.order, at).filter(|before| !follows(before)) {
            let order = &event.order;
            return Err(Failure::failed(format!("order {order} is not in order: {before:?}, {at:?}")));
        }
    }
    let partitions: BTreeSet<i32> = last.values().map(|at| at.partition).collect();
    let _ = write!(
        text,
        "   .. {} events, each acknowledged. Those of one order lie in one partition, in order;\n   \
         the orders are spread over {} partitions.",
        acknowledged.len(),
        partitions.len()
    );
    Ok(text)
}

fn what_services_made(
    billing: &Billing,
    [first, second]: &[Share; 2],
    shipping: &Shipping,
    analytics: &Analytics,
) -> String {
    let carriers: Vec<String> =
        shipping.by_carrier.iter().map(|(carrier, parcels)| format!("{carrier} {parcels}")).collect();
    let (customer, cents) = analytics.best().unwrap_or(("nobody", 0));
    format!(
        "   billing    {} payments, {} in all; one instance read {} events of {} partitions, the other {} of {}\n   \
            shipping   {} parcels packed; on their way with {}\n   \
            analytics  came late and missed nothing: the best customer is {customer} with {}",
        billing.payments,
        Euros(billing.cents),
        first.events,
        first.partitions,
        second.events,
        second.partitions,
        shipping.packed,
        if carriers.is_empty() { "nobody".to_owned() } else { carriers.join(", ") },
        Euros(cents)
    )
}

/// Each service must have made of the topic what there was to be made of it.
fn check_services(
    events: &[Event],
    billing: &Billing,
    shipping: &Shipping,
    analytics: &Analytics,
) -> Outcome {
    let (mut payments, mut parcels, mut customers) =
        (Billing::default(), Shipping::default(), Analytics::default());
    for event in events {
        payments.see(event);
        parcels.see(event);
        customers.see(event);
    }
    for (service, agrees) in [
        ("billing", *billing == payments),
        ("shipping", *shipping == parcels),
        ("analytics", *analytics == customers),
    ] {
        if !agrees {
            return Err(Failure::failed(format!("{service} read something else than was published")));
        }
    }
    Ok(())
}

fn replayed(replay: &Replay) -> String {
    const SHOWN: usize = 5;
    let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
    for order in replay.orders.values() {
        *by_status.entry(order.status.name()).or_default() += 1;
    }
    let statuses: Vec<String> = by_status.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let mut text = format!(
        "   {} records, {} orders of this run: {}",
        replay.records,
        replay.orders.len(),
        statuses.join(", ")
    );
    if !replay.earlier.is_empty() {
        let _ = write!(text, "\n   and {} orders of earlier runs", replay.earlier.len());
    }
    if replay.foreign > 0 {
        let _ = write!(text, "\n   and {} records that are no events of orders", replay.foreign);
    }
    for (name, order) in replay.orders.iter().take(SHOWN) {
        let _ = write!(text, "\n   {name}: {order}");
    }
    text
}

fn verify(expected: &BTreeMap<String, Order>, rebuilt: &BTreeMap<String, Order>) -> Outcome {
    for (name, order) in expected {
        match rebuilt.get(name) {
            Some(found) if found == order => {}
            Some(found) => {
                return Err(Failure::failed(format!(
                    "order {name} should be '{order}', and the replay says '{found}'"
                )));
            }
            None => return Err(Failure::failed(format!("order {name} is missing from the replay"))),
        }
    }
    match rebuilt.keys().find(|name| !expected.contains_key(*name)) {
        Some(name) => {
            Err(Failure::failed(format!("nobody published the order {name} that the replay found")))
        }
        None => Ok(()),
    }
}
