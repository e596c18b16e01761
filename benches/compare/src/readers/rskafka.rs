//! rskafka: a stream for each partition, read by a task of its own.

use super::{AsyncReader, Shared};
use crate::clients::rskafka::secure;
use crate::job::ReadJob;
use crate::reading::Eyes;
use futures::{FutureExt, StreamExt};
use rskafka::client::ClientBuilder;
use rskafka::client::consumer::{StartOffset, StreamConsumer, StreamConsumerBuilder};
use rskafka::client::partition::UnknownTopicHandling;
use rskafka::record::RecordAndOffset;
use std::sync::Arc;
use tokio::task::JoinSet;

pub struct Rskafka;

impl AsyncReader for Rskafka {
    async fn read<E: Eyes>(job: Arc<ReadJob>, eyes: Shared<E>) {
        let mut client = ClientBuilder::new(job.address.split(',').map(str::to_owned).collect());
        if let Some(login) = job.only_login() {
            client = secure(client, &login);
        }
        let client = client.build().await.expect("connected");
        let mut tasks = JoinSet::new();
        for partition in 0..job.partitions {
            let reader = client.partition_client(&job.topic, partition, UnknownTopicHandling::Error).await;
            let from = if job.from_end { StartOffset::Latest } else { StartOffset::Earliest };
            let stream = StreamConsumerBuilder::new(Arc::new(reader.expect("the partition")), from).build();
            tasks.spawn(follow(stream, partition, eyes.clone()));
        }
        // The first that has seen enough is the end.
        while let Some(done) = tasks.join_next().await {
            if done.expect("a task that ends") {
                return;
            }
        }
    }
}

/// Whether enough was seen.
async fn follow<E: Eyes>(mut stream: StreamConsumer, partition: i32, eyes: Shared<E>) -> bool {
    while let Some(first) = stream.next().await {
        let go_on = eyes.with(|eyes| {
            let mut at_hand = Some(first);
            while let Some(next) = at_hand {
                let (RecordAndOffset { record, offset }, _) = next.expect("a record");
                if !eyes.see(partition, offset, record.key.as_deref(), record.value.as_deref()) {
                    return false;
                }
                at_hand = stream.next().now_or_never().flatten();
            }
            true
        });
        if !go_on {
            return true;
        }
    }
    false
}
