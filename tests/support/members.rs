//! What tests do with consumers that are members of a group.

use ottla::Consumer;
use ottla::consumer::{Rebalance, RebalanceKind, TopicPartition};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a listener was told.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<Vec<Event>>>);

pub type Event = (RebalanceKind, Vec<TopicPartition>);

impl Told {
    pub fn add(&self, rebalance: &Rebalance) {
        self.0.lock().unwrap().push((rebalance.kind(), rebalance.partitions().to_vec()));
    }

    /// A listener that says nothing and takes no time.
    pub fn listener(&self) -> impl Fn(Rebalance) -> std::future::Ready<()> + Send + Sync + 'static {
        let told = self.clone();
        move |rebalance| {
            told.add(&rebalance);
            std::future::ready(())
        }
    }

    pub fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    pub fn of(&self, kind: RebalanceKind) -> Vec<TopicPartition> {
        let all = self.all().into_iter().filter(|(told, _)| *told == kind);
        all.flat_map(|(_, partitions)| partitions).collect()
    }
}

/// Polls for a while, and gives what came: partition and value.
pub async fn read_for(consumer: &mut Consumer, time: Duration) -> Vec<(i32, String)> {
    let mut read = Vec::new();
    let _ = tokio::time::timeout(time, async {
        while let Some(batch) = consumer.poll().await.unwrap() {
            let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
            read.extend(batch.iter().map(|record| (record.partition(), text(record.value()))));
        }
    })
    .await;
    read
}

/// Polls until so many records came.
pub async fn read(consumer: &mut Consumer, count: usize) -> Vec<(i32, String)> {
    let mut read = Vec::new();
    while read.len() < count {
        let batch = consumer.poll().await.unwrap().expect("the consumer is closed");
        let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
        read.extend(batch.iter().map(|record| (record.partition(), text(record.value()))));
    }
    read
}

/// Polls several consumers in turn until the check is content with what they have.
pub async fn settle(consumers: &mut [&mut Consumer], check: impl Fn(&[Vec<TopicPartition>]) -> bool) {
    for _ in 0..600 {
        for consumer in consumers.iter_mut() {
            let turn = tokio::time::timeout(Duration::from_millis(100), consumer.poll());
            let _ = turn.await.map(|polled| polled.unwrap());
        }
        let assigned: Vec<_> = consumers.iter().map(|consumer| consumer.assigned()).collect();
        if check(&assigned) {
            return;
        }
    }
    panic!("the group does not settle: {:?}", consumers.iter().map(|c| c.assigned()).collect::<Vec<_>>());
}

/// Whether partitions are shared out, each to one, and everybody has so many.
pub fn shared(assigned: &[Vec<TopicPartition>], counts: &[usize]) -> bool {
    let all: BTreeSet<&TopicPartition> = assigned.iter().flatten().collect();
    let lens: Vec<usize> = assigned.iter().map(Vec::len).collect();
    lens == counts && all.len() == counts.iter().sum::<usize>()
}
