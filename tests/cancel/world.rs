//! [`World`]: a broker, a client and its parts, on the current runtime; and a future that is polled so many times.

use ottla::broker::Broker;
use ottla::net::mem::{Faults, MemNet, Way};
use ottla::{Client, Consumer, Producer, Record, Start, TopicPartition};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);
/// The topic that every world has, with two partitions.
pub const TOPIC: &str = "orders";
/// `buffer.memory` of the producer.
pub const BUFFER: usize = 40_000;

pub struct World {
    pub net: MemNet,
    pub broker: Broker,
    pub client: Client,
    pub producer: Producer,
    pub consumer: Consumer,
}

impl World {
    /// A world in which a round trip takes two milliseconds, with a producer that knows nothing yet and a consumer of both
    /// partitions.
    pub async fn new() -> World {
        let net = MemNet::new(1);
        let way = Way { latency: Duration::from_millis(1), ..Default::default() };
        let faults = Faults { to_server: way.clone(), to_client: way, ..Default::default() };
        net.set_faults("broker-1", 9092, faults);
        let broker =
            Broker::builder().listen_in_memory(&net, "broker-1", 9092).seed(1).start().await.unwrap();
        broker.create_topic(TOPIC, 2).unwrap();
        let client = client(&net);
        let producer = client.producer().set("buffer.memory", BUFFER.to_string()).set("batch.size", "20000");
        let producer = producer.set("max.block.ms", "5000").build().unwrap();
        let start = [0, 1].map(|partition| (TopicPartition::new(TOPIC, partition), Start::Beginning));
        let consumer = client.consumer().assign(start).build().await.unwrap();
        World { net, broker, client, producer, consumer }
    }

    /// The values of all records that lie in a topic, in whatever partition.
    pub fn values(&self, topic: &str) -> Vec<String> {
        let partitions = 0..self.broker.partitions(topic).unwrap_or(0);
        let stored =
            partitions.flat_map(|partition| self.broker.records(topic, i32::try_from(partition).unwrap()));
        stored.map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()).collect()
    }

    /// Whether nothing is held of the producer's buffer: the largest record that there can be has room.
    pub async fn has_the_whole_buffer(&self) -> bool {
        let large = Record::to(TOPIC).value("x".repeat(largest_value())).partition(1);
        match tokio::time::timeout(4 * SECOND, self.producer.send(large)).await {
            Ok(delivery) => delivery.unwrap().await.is_ok(),
            Err(_) => false,
        }
    }
}

/// The longest value of a record that an empty buffer takes: a byte more, or a byte that somebody holds, and it must wait.
fn largest_value() -> usize {
    static FOUND: OnceLock<usize> = OnceLock::new();
    // On a thread of its own, as it needs a runtime of its own.
    let find = || std::thread::spawn(|| runtime().block_on(find_largest_value())).join().unwrap();
    *FOUND.get_or_init(find)
}

async fn find_largest_value() -> usize {
    let world = World::new().await;
    world.producer.partitions_for(TOPIC).await.unwrap();
    let (mut fits, mut does_not) = (0, BUFFER + 1);
    while does_not - fits > 1 {
        let bytes = usize::midpoint(fits, does_not);
        match world.producer.try_send(Record::to(TOPIC).value("x".repeat(bytes)).partition(1)) {
            Ok(delivery) => {
                delivery.await.unwrap();
                fits = bytes;
            }
            Err(_) => does_not = bytes,
        }
    }
    fits
}

/// A client of the broker, not connected yet.
pub fn client(net: &MemNet) -> Client {
    let client = Client::builder().bootstrap("broker-1:9092").dial(Arc::new(net.dialer()));
    client.set("linger.ms", "5").build().unwrap()
}

/// A runtime with one thread and a clock that moves when everybody waits.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

pub fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// When a future that was polled often enough is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drops {
    /// In the midst of the poll's return.
    AtOnce,
    /// When it was woken to be polled once more: what it was woken with, a permit or a notice, must go to somebody else.
    WhenWoken,
}

/// Polls a future so many times and then drops it: `None`, unless it was ready before.
pub struct Polled<F> {
    future: Option<Pin<Box<F>>>,
    left: usize,
    drops: Drops,
}

impl<F: Future> Polled<F> {
    pub async fn times(polls: usize, drops: Drops, future: F) -> Option<F::Output> {
        let polled = Polled { future: Some(Box::pin(future)), left: polls, drops };
        // One that nobody wakes is dropped all the same.
        tokio::time::timeout(600 * SECOND, polled).await.unwrap_or(None)
    }
}

impl<F: Future> Future for Polled<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let is_woken = self.left == 0;
        if self.left > 0 {
            self.left -= 1;
            let future = self.future.as_mut().expect("a future that is polled after its end");
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
        }
        if is_woken || self.left == 0 && self.drops == Drops::AtOnce {
            self.future = None;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
