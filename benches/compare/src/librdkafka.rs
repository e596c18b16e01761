//! librdkafka, through `rdkafka`: a delivery callback for each record, which is the cheapest that it has.

use crate::{Job, Stopwatch, TOPIC};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Default)]
struct Count(AtomicU64);

impl ClientContext for Count {}

impl ProducerContext for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        result.as_ref().expect("acknowledged");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

pub fn produce(job: &Job) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &job.bootstrap).set("enable.idempotence", "true").set("acks", "all");
    for (key, value) in crate::settings() {
        config.set(key, value);
    }
    let producer: ThreadedProducer<Count> = config.create_with_context(Count::default()).expect("a producer");
    send(&producer, job.records / 10, job.bytes);
    let watch = Stopwatch::start();
    send(&producer, job.records, job.bytes);
    watch.report("librdkafka", job.records);
}

fn send(producer: &ThreadedProducer<Count>, records: u64, bytes: usize) {
    let value = vec![b'x'; bytes];
    let wanted = producer.context().0.load(Ordering::Relaxed) + records;
    for _ in 0..records {
        let mut record = BaseRecord::<(), [u8], ()>::to(TOPIC).payload(&value);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => panic!("{error}"),
            }
        }
    }
    producer.flush(Duration::from_secs(60)).expect("flushed");
    while producer.context().0.load(Ordering::Relaxed) < wanted {
        std::thread::sleep(Duration::from_millis(1));
    }
}
