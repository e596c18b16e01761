//! A steady load until standard input ends, and every claim of the client about each record, line by line: for fault runs,
//! which judge this client beside ours by the same rules (`tests/soak`).
//!
//! ```text
//!     0.0103 k7 42 send
//!     0.0171 k7 42 ack 2 1041                          partition and offset
//!    31.2004 k7 43 fail possibly-written: REASON
//! ```
//!
//! Seconds are counted from the start; `k7 42` is the record's value, and `k7` its key. Keys take turns.

use crate::job;
use crate::pace::Pace;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// So often a share of a second's records is sent at once.
const TICKS_A_SECOND: u64 = 100;
/// How long what was sent may wait for its end once nothing more is sent.
const RESOLVED: Duration = Duration::from_secs(45);

/// librdkafka as it comes, but for what the environment says.
pub fn librdkafka(address: &str, topic: &str, keys: u64, per_second: u64) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    for (key, value) in job::given() {
        config.set(key, value);
    }
    let claims = Claims { keys, began: Instant::now(), lines: Mutex::new(()) };
    let producer: ThreadedProducer<Claims> = config.create_with_context(claims).expect("a producer");
    let mut numbers = 0..usize::MAX;
    let mut ticks = Pace { rate: TICKS_A_SECOND, ticks: u64::from(u32::MAX) }.blocking();
    let stopped = input_ends();
    while !stopped.load(Ordering::Relaxed) && ticks.wait().is_some() {
        for number in numbers.by_ref().take((per_second / TICKS_A_SECOND) as usize) {
            send(&producer, topic, number);
        }
    }
    if let Err(error) = producer.flush(RESOLVED) {
        eprintln!("not every record was resolved within {RESOLVED:?}: {error}");
    }
}

fn send(producer: &ThreadedProducer<Claims>, topic: &str, number: usize) {
    let claims = producer.context();
    let value = claims.name(number);
    let key = value.split(' ').next().unwrap_or_default();
    claims.say(number, "send");
    let record = BaseRecord::with_opaque_to(topic, number).key(key).payload(&value);
    if let Err((error, _)) = producer.send(record) {
        claims.say(number, &format!("fail surely-not-written: {error}"));
    }
}

/// Set once nobody will say anything any more.
fn input_ends() -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&ended);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        set.store(true, Ordering::Relaxed);
    });
    ended
}

struct Claims {
    keys: u64,
    began: Instant,
    /// Held while a line is timed and written, so that times rise.
    lines: Mutex<()>,
}

impl ClientContext for Claims {}

impl ProducerContext for Claims {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(record) => self.say(number, &format!("ack {} {}", record.partition(), record.offset())),
            // Whether it was written, librdkafka knows, and its API for Rust does not tell.
            Err((error, _)) => self.say(number, &format!("fail possibly-written: {error}")),
        }
    }
}

impl Claims {
    fn name(&self, number: usize) -> String {
        let number = number as u64;
        format!("k{} {}", number % self.keys, number / self.keys)
    }

    fn say(&self, number: usize, claim: &str) {
        let name = self.name(number);
        let lines = self.lines.lock().expect("nobody panicked");
        let at = self.began.elapsed().as_secs_f64();
        let said = writeln!(std::io::stdout(), "{at:10.4} {name} {claim}");
        drop(lines);
        // Who does not listen any more has ended.
        if said.is_err() {
            std::process::exit(1);
        }
    }
}
