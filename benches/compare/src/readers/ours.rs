//! Ours: `poll`, which gives a batch, whose records borrow from it.

use super::{AsyncReader, Shared};
use crate::job::ReadJob;
use crate::reading::Eyes;
use ottla::{Client, Start};
use std::sync::Arc;

pub struct Ottla;

impl AsyncReader for Ottla {
    async fn read<E: Eyes>(job: Arc<ReadJob>, eyes: Shared<E>) {
        let mut client = Client::builder().bootstrap(job.address.as_str());
        for (key, value) in job.settings() {
            client = client.set(key, value);
        }
        let client = client.build().expect("a client");
        let start = if job.from_end { Start::End } else { Start::Beginning };
        let partitions = (0..job.partitions).map(|index| ((job.topic.as_str(), index), start));
        let consumer = client.consumer().assign(partitions).build();
        let mut consumer = consumer.await.expect("a consumer");
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
}
