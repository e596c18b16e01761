//! The examples of groups, run to their end: on a broker of their own, and on a real Kafka.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(dead_code, reason = "what examples have beside the part that is run here")]
#![allow(clippy::duplicate_mod, reason = "each example is a program of its own, with what it needs")]

// First, so that its macro is known below.
#[macro_use]
#[path = "../support/real/mod.rs"]
mod real;

#[path = "../../examples/fraud.rs"]
mod fraud;
#[path = "../../examples/orders.rs"]
mod orders;
#[path = "../../examples/sensors.rs"]
mod sensors;

use ottla::Result;
use ottla::config::Settings;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Runs an example to its end, and gives what it found.
fn run<T>(settings: Settings, example: impl AsyncFnOnce(Settings) -> Result<T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let run = async { tokio::time::timeout(Duration::from_secs(60), example(settings)).await };
    runtime.block_on(run).expect("it ends by itself").unwrap()
}

fn on(bootstrap: &str) -> Settings {
    let mut settings = Settings::new();
    settings.set("bootstrap.servers", bootstrap).unwrap();
    settings
}

fn check_orders(settings: Settings) {
    let summary = run(settings, orders::run);
    // Of six orders one is only placed, one cancelled, one paid, and three are shipped.
    assert_eq!(summary.events, 10 + 20 + 20 + 30 * 3);
    assert_eq!(
        summary.states,
        BTreeMap::from([("placed", 10), ("cancelled", 10), ("paid", 10), ("shipped", 30)])
    );
    let paid = (0..60).filter(|number| number % 6 > 1);
    let cents: BTreeMap<String, u64> =
        paid.map(|number| (format!("order-{number:02}"), 995 + number * 7919 % 20_000)).collect();
    let booked: BTreeMap<String, u64> =
        summary.payments.iter().map(|(order, (cents, _))| (order.clone(), *cents)).collect();
    assert_eq!(booked, cents);
    let instances: BTreeSet<usize> = summary.payments.values().map(|(_, by)| *by).collect();
    assert_eq!(instances, BTreeSet::from([0, 1]), "both had a share");
    let shipped: BTreeSet<String> =
        (0..60).filter(|number| number % 6 > 2).map(|number| format!("order-{number:02}")).collect();
    assert_eq!(summary.shipped, shipped);
    let told = summary.to_string();
    let euros = cents.values().sum::<u64>();
    for line in [
        "order service  140 events of 60 orders, each acknowledged".to_owned(),
        format!("billing        40 payments, EUR {}.{:02};", euros / 100, euros % 100),
        "shipping       30 parcels".to_owned(),
        "projection     10 cancelled, 10 paid, 10 placed, 30 shipped".to_owned(),
    ] {
        assert!(told.contains(&line), "{line}: {told}");
    }
}

fn check_sensors(settings: Settings) {
    let summary = run(settings, sensors::run);
    assert_eq!((summary.readings, summary.averages.len(), summary.uncommitted), (305, 50, 5));
    for ((device, minute), average) in &summary.averages {
        let index =
            ["boiler", "cellar", "greenhouse", "kitchen", "roof"].iter().position(|name| name == device);
        // The middle of six readings, ten seconds apart.
        let expected = 15_000 + index.unwrap() as i64 * 2_000 + (i64::from(*minute) * 60 + 25) * 5;
        assert_eq!(*average, expected, "{device}, minute {minute}");
    }
    let told = summary.to_string();
    assert!(told.starts_with("boiler      15.1  15.4  15.7  16.0"), "{told}");
    assert!(told.contains("305 readings, 50 averages committed; 5 readings of the next minute"), "{told}");
}

fn check_fraud(settings: Settings) {
    let summary = run(settings, fraud::run);
    let ids: BTreeSet<u32> = summary.decisions.keys().copied().collect();
    assert_eq!(ids, (0..120).filter(|id| id % 20 != 13).collect());
    for (id, (approved, _)) in &summary.decisions {
        assert_eq!(*approved, id * 7919 % 100_000 <= 90_000, "payment {id}");
    }
    assert_eq!(summary.unreadable.len(), 6, "{:?}", summary.unreadable);
    let instances: BTreeSet<usize> = summary.decisions.values().map(|(_, by)| *by).collect();
    assert_eq!(instances, BTreeSet::from([0, 1]), "both have decided");
    let refused = summary.decisions.values().filter(|(approved, _)| !approved).count();
    let told = summary.to_string();
    for line in [
        "114 payments decided upon:".to_owned(),
        format!("{} approved, {refused} refused", 114 - refused),
        "6 records that nobody could read are dead letters".to_owned(),
    ] {
        assert!(told.contains(&line), "{line}: {told}");
    }
}

#[test]
fn without_settings_they_bring_their_own_broker() {
    check_orders(Settings::new());
    check_sensors(Settings::new());
    check_fraud(Settings::new());
}

#[test]
fn on_a_real_kafka_they_do_the_same_and_leave_nothing() {
    let kafka = real_kafka!();
    check_orders(on(kafka.plaintext()));
    check_sensors(on(kafka.plaintext()));
    check_fraud(on(kafka.plaintext()));
    let left = run(on(kafka.plaintext()), async |settings| {
        let topics =
            ottla::Client::builder().settings(settings).connect().await?.admin().list_topics().await?;
        Ok(topics.into_iter().filter(|topic| topic.name.starts_with("example-")).count())
    });
    assert_eq!(left, 0);
}
