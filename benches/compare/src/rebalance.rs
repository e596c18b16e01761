//! How long a group takes to settle: members gather, one leaves, another one joins.

use ottla::consumer::RebalanceKind;
use ottla::{Client, Consumer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

const LIMIT: Duration = Duration::from_secs(120);

/// How many partitions each member has.
#[derive(Default)]
struct Shares {
    of: Mutex<BTreeMap<usize, usize>>,
    changed: Notify,
}

impl Shares {
    fn change(&self, member: usize, kind: RebalanceKind, count: usize) {
        let mut of = self.of.lock().expect("nobody panicked");
        let share = of.entry(member).or_default();
        *share = if kind == RebalanceKind::Assigned { *share + count } else { share.saturating_sub(count) };
        drop(of);
        self.changed.notify_one();
    }

    /// Ready when everything is shared out evenly among so many.
    async fn settled(&self, members: usize, partitions: usize) {
        loop {
            {
                let of = self.of.lock().expect("nobody panicked");
                let shares: Vec<usize> = of.values().copied().filter(|share| *share > 0).collect();
                let (least, most) = (shares.iter().min().copied(), shares.iter().max().copied());
                if shares.len() == members
                    && shares.iter().sum::<usize>() == partitions
                    && most.zip(least).is_some_and(|(most, least)| most - least <= 1)
                {
                    return;
                }
            }
            self.changed.notified().await;
        }
    }
}

pub fn main(address: &str, topic: &str, partitions: usize, members: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let group = format!("compare-{}", std::process::id());
        let shares = Arc::new(Shares::default());
        let began = Instant::now();
        let mut reading = Vec::new();
        for number in 0..members {
            reading.push(start(address, topic, &group, number, &shares).await);
        }
        let gathered = timed(began, shares.settled(members, partitions)).await;
        let began = Instant::now();
        let gone = reading.pop().expect("a member");
        gone.stop().await;
        shares.of.lock().expect("nobody panicked").remove(&(members - 1));
        let left = timed(began, shares.settled(members - 1, partitions)).await;
        let began = Instant::now();
        reading.push(start(address, topic, &group, members, &shares).await);
        let joined = timed(began, shares.settled(members, partitions)).await;
        println!("ottla rebalance gather_ms={gathered} leave_ms={left} join_ms={joined}");
        std::process::exit(0);
    });
}

async fn timed(began: Instant, settled: impl Future<Output = ()>) -> u128 {
    tokio::time::timeout(LIMIT, settled).await.expect("a group that settles");
    began.elapsed().as_millis()
}

/// A member that reads.
struct Reading {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Reading {
    async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.expect("a consumer that closes");
    }
}

async fn start(address: &str, topic: &str, group: &str, number: usize, shares: &Arc<Shares>) -> Reading {
    let client = Client::builder().bootstrap(address).build().expect("a client");
    let shares = Arc::clone(shares);
    let consumer = client
        .consumer()
        .group(group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .subscribe([topic])
        .on_rebalance(move |rebalance| {
            shares.change(number, rebalance.kind(), rebalance.partitions().len());
            async {}
        });
    let mut consumer: Consumer = consumer.build().await.expect("a consumer");
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        let polling = async { while consumer.poll().await.expect("a batch").is_some() {} };
        tokio::select! {
            _ = stopped => {}
            () = polling => {}
        }
        consumer.close(Duration::from_secs(10)).await.expect("a consumer that closes");
    });
    Reading { stop, task }
}
