//! Ours: `poll`, which gives a batch, whose records borrow from it.

use super::{AsyncReader, Shared};
use crate::job::ReadJob;
use crate::reading::Eyes;
use ottla::{Client, Consumer, Start};
use std::sync::Arc;

pub struct Ottla;

/// The only member of a group, which commits by itself.
pub struct OttlaInGroup;

impl AsyncReader for Ottla {
    async fn read<E: Eyes>(job: Arc<ReadJob>, eyes: Shared<E>) {
        let start = if job.from_end { Start::End } else { Start::Beginning };
        let partitions = (0..job.partitions).map(|index| ((job.topic.as_str(), index), start));
        let consumer = client(&job).consumer().assign(partitions).build();
        poll(consumer.await.expect("a consumer"), eyes).await;
    }
}

impl AsyncReader for OttlaInGroup {
    async fn read<E: Eyes>(job: Arc<ReadJob>, eyes: Shared<E>) {
        let group = format!("compare-{}", std::process::id());
        let reset = if job.from_end { "latest" } else { "earliest" };
        let consumer = client(&job).consumer().group(group).auto_offset_reset(reset);
        let consumer = consumer.subscribe([job.topic.as_str()]).build();
        poll(consumer.await.expect("a consumer"), eyes).await;
    }
}

fn client(job: &ReadJob) -> Client {
    let mut client = Client::builder().bootstrap(job.address.as_str());
    for (key, value) in job.settings() {
        client = client.set(key, value);
    }
    client.build().expect("a client")
}

async fn poll<E: Eyes>(mut consumer: Consumer, eyes: Shared<E>) {
    loop {
        let batch = consumer.poll().await.expect("a batch").expect("a consumer that is open");
        let go_on = eyes.with(|eyes| {
            let partition = batch.partition();
            batch.iter().all(|record| eyes.see(partition, record.offset(), record.key(), record.value()))
        });
        if !go_on {
            return;
        }
    }
}
