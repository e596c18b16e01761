//! The client under test: a steady stream of records that name themselves, and every claim about them in the journal.

use crate::history::{Claim, Event, Journal, Name};
use ottla::{Delivery, Error, Producer, Record};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, timeout};

/// How often records are sent; so many of a second's at once.
const TICK: Duration = Duration::from_millis(10);

/// How much is sent.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Keys, in turns.
    pub keys: u32,
    /// Records a second.
    pub per_second: u32,
}

/// A load that goes on until it is stopped.
pub struct Load {
    pub journal: Journal,
    producer: Producer,
    stop: Arc<AtomicBool>,
    sender: JoinHandle<JoinSet<()>>,
}

impl Load {
    pub fn start(producer: Producer, topic: &str, pace: Pace) -> Load {
        let (journal, stop) = (Journal::new(), Arc::new(AtomicBool::new(false)));
        let sender = Sender {
            producer: producer.clone(),
            topic: topic.to_owned(),
            journal: journal.clone(),
            deliveries: JoinSet::new(),
        };
        let sender = tokio::spawn(sender.run(pace, Arc::clone(&stop)));
        Load { journal, producer, stop, sender }
    }

    /// Sends no more, and waits for what was sent, which must be told within `limit`; what is claimed in the end.
    pub async fn stop(self, limit: Duration) -> Vec<Event> {
        self.stop.store(true, Ordering::Relaxed);
        let resolve = async {
            let mut deliveries = self.sender.await.unwrap();
            self.producer.flush().await.unwrap();
            while deliveries.join_next().await.is_some() {}
        };
        if timeout(limit, resolve).await.is_err() {
            println!("   not every send was resolved within {limit:?}");
        }
        // What is not told by now is told no more.
        self.journal.events()
    }
}

struct Sender {
    producer: Producer,
    topic: String,
    journal: Journal,
    deliveries: JoinSet<()>,
}

impl Sender {
    async fn run(mut self, pace: Pace, stop: Arc<AtomicBool>) -> JoinSet<()> {
        // Ticks that come late are made up for, so that as much is sent as was asked for.
        let mut ticks = interval(TICK);
        let names = (0..).flat_map(|seq| (0..pace.keys).map(move |key| Name { key, seq }));
        let mut names = names.into_iter();
        let a_tick = usize::try_from(pace.per_second / 100).unwrap();
        while !stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            for name in names.by_ref().take(a_tick) {
                self.send(name).await;
            }
            // What is told already needs no memory.
            while self.deliveries.try_join_next().is_some() {}
        }
        self.deliveries
    }

    async fn send(&mut self, name: Name) {
        let record = Record::to(self.topic.as_str()).key(name.key()).value(name.to_string());
        self.journal.note(name, Claim::Send);
        match self.producer.send(record).await {
            Ok(delivery) => {
                self.deliveries.spawn(note_delivery(self.journal.clone(), name, delivery));
            }
            Err(error) => self.journal.note(name, failure(&error)),
        }
    }
}

async fn note_delivery(journal: Journal, name: Name, delivery: Delivery) {
    let claim = match delivery.await {
        Ok(at) => Claim::Ack { partition: at.partition, offset: at.offset },
        Err(error) => failure(&error),
    };
    journal.note(name, claim);
}

fn failure(error: &Error) -> Claim {
    Claim::Fail { surely_not_written: !error.is_possibly_written(), why: error.to_string() }
}
