//! [`World`]: a broker, a client and its parts, on the current runtime; and a future that is polled so many times.

use ottla::broker::Broker;
use ottla::net::mem::{Faults, MemNet, Way};
use ottla::records::Batches;
use ottla::{Client, Consumer, Producer, Start, TopicPartition};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);
/// The topic that every world has, with two partitions.
pub const TOPIC: &str = "orders";
/// `buffer.memory` of the producer: room for one batch and not for two.
pub const BUFFER: usize = 40_000;

pub struct World {
    pub net: MemNet,
    pub broker: Broker,
    pub client: Client,
    pub producer: Producer,
    pub consumer: Consumer,
}

impl World {
    /// A world in which a round trip takes two milliseconds, with a producer that has sent a record and a consumer that has
    /// read it.
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

    /// The values of all records that lie in the broker's log, in whatever partition.
    pub fn values(&self) -> Vec<String> {
        let sets = [0, 1].into_iter().flat_map(|partition| self.broker.log(TOPIC, partition));
        let batches = sets.flat_map(|stored| Batches::new(stored.bytes).map(Result::unwrap));
        let values = batches.flat_map(|batch| {
            let values = batch.records().map(|record| record.value().unwrap().to_vec());
            values.collect::<Vec<_>>()
        });
        values.map(|value| String::from_utf8(value).unwrap()).collect()
    }
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

/// Polls a future so many times and then drops it, in the midst of that poll's return: `None`, unless it was ready before.
pub struct Polled<F> {
    future: Option<Pin<Box<F>>>,
    left: usize,
}

impl<F: Future> Polled<F> {
    pub fn times(polls: usize, future: F) -> Polled<F> {
        Polled { future: Some(Box::pin(future)), left: polls }
    }
}

impl<F: Future> Future for Polled<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left > 0 {
            self.left -= 1;
            let future = self.future.as_mut().expect("a future that is polled after its end");
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
        }
        if self.left == 0 {
            self.future = None;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
