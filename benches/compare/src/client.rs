//! Ours.

use crate::{Job, Stopwatch, TOPIC};
use ottla::{Client, Delivery, Producer, Record};
use std::collections::VecDeque;

/// Deliveries that are held before the oldest is waited for.
const WINDOW: usize = 100_000;

pub fn produce(job: &Job) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut client = Client::builder().bootstrap(job.bootstrap.as_str());
        for (key, value) in crate::settings() {
            client = client.set(&key, value);
        }
        let client = client.connect().await.expect("connected");
        let producer = client.producer().build().expect("a producer");
        send(&producer, job.records / 10, job.bytes).await;
        let watch = Stopwatch::start();
        send(&producer, job.records, job.bytes).await;
        watch.report("ottla", job.records);
    });
}

async fn send(producer: &Producer, records: u64, bytes: usize) {
    let value = bytes::Bytes::from(vec![b'x'; bytes]);
    let mut waiting: VecDeque<Delivery> = VecDeque::with_capacity(WINDOW);
    for _ in 0..records {
        if waiting.len() == WINDOW {
            waiting.pop_front().expect("one").await.expect("acknowledged");
        }
        waiting.push_back(producer.send(Record::to(TOPIC).value(value.clone())).await.expect("queued"));
    }
    producer.flush().await.expect("flushed");
    for delivery in waiting {
        delivery.await.expect("acknowledged");
    }
}
