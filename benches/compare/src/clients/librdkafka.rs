//! librdkafka, through `rdkafka`: a delivery callback for each record, which is the cheapest that it has.

use crate::job::Job;
use crate::measure::{Latencies, Marks};
use crate::modes::Client;
use crate::pace::Pace;
use crate::payload::Values;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub struct Librdkafka {
    producer: ThreadedProducer<Heard>,
    topic: &'static str,
}

/// What the callbacks have heard.
struct Heard {
    epoch: Instant,
    count: AtomicU64,
    latencies: Mutex<Vec<Duration>>,
}

/// For records that are not timed; others carry the microsecond at which they were due.
const NOT_TIMED: usize = 0;

impl ClientContext for Heard {}

impl ProducerContext for Heard {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, due_ns: usize) {
        result.as_ref().expect("acknowledged");
        if due_ns != NOT_TIMED {
            let latency = self.epoch.elapsed().saturating_sub(Duration::from_nanos(due_ns as u64));
            self.latencies.lock().expect("nobody panicked").push(latency);
        }
        self.count.fetch_add(1, Ordering::Release);
    }
}

impl Client for Librdkafka {
    fn connect(job: &Job) -> Librdkafka {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &job.address);
        if job.topic == crate::sink::TOPIC {
            config.set("queue.buffering.max.messages", job.window.to_string());
        }
        for (key, value) in job.settings() {
            config.set(key, value);
        }
        let heard = Heard { epoch: Instant::now(), count: AtomicU64::new(0), latencies: Mutex::default() };
        Librdkafka { producer: config.create_with_context(heard).expect("a producer"), topic: job.topic }
    }

    fn fill(&self, values: Values) {
        let mut wanted = self.heard();
        for value in values {
            self.queue(value, NOT_TIMED);
            wanted += 1;
        }
        self.wait(wanted);
    }

    fn sustain(&self, values: Values, mut marks: Marks) -> Marks {
        for (given, value) in (0u64..).zip(values) {
            if given % 64 == 0 && !marks.go_on(self.heard()) {
                break;
            }
            self.queue(value, NOT_TIMED);
        }
        marks
    }

    fn paced(&self, mut values: Values, pace: Pace) -> Latencies {
        let before = self.heard();
        let mut ticks = pace.blocking();
        while let Some(due) = ticks.wait() {
            let due_ns = due.duration_since(self.producer.context().epoch).as_nanos() as usize;
            self.queue(values.next().expect("values without end"), due_ns);
        }
        self.wait(before + pace.ticks);
        Latencies(std::mem::take(&mut self.producer.context().latencies.lock().expect("nobody panicked")))
    }
}

impl Librdkafka {
    fn heard(&self) -> u64 {
        self.producer.context().count.load(Ordering::Acquire)
    }

    fn queue(&self, value: &[u8], due_ns: usize) {
        let mut record = BaseRecord::<(), [u8], usize>::with_opaque_to(self.topic, due_ns).payload(value);
        loop {
            match self.producer.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => panic!("{error}"),
            }
        }
    }

    fn wait(&self, wanted: u64) {
        while self.heard() < wanted {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}
