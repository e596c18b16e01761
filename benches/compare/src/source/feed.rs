//! One record after the other into a topic's first partition, each with the time in it at which it was sent.

use crate::measure::monotonic_ns;
use ottla::{Client, Record};
use std::time::Duration;

/// Of each value, the time included.
const BYTES: usize = 100;
/// Between two records.
const PAUSE: Duration = Duration::from_millis(20);

/// Without an end.
pub async fn run(address: String, topic: String) {
    let client = Client::builder().bootstrap(address).build().expect("a client");
    let producer = client.producer().set("linger.ms", "0").build().expect("a producer");
    let mut ticks = tokio::time::interval(PAUSE);
    loop {
        ticks.tick().await;
        let mut value = vec![0; BYTES];
        value[..8].copy_from_slice(&monotonic_ns().to_be_bytes());
        let record = Record::to(topic.clone()).partition(0).value(value);
        producer.send(record).await.expect("taken").await.expect("acknowledged");
    }
}
