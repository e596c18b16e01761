//! The jobs, in terms of what every client can do.

use crate::job::Job;
use crate::measure::{Latencies, Marks, Stopwatch};
use crate::pace::Pace;
use crate::payload::{self, Values};
use std::time::Duration;

/// A client that is measured.
pub trait Client: Sized {
    fn connect(job: &Job) -> Self;

    /// Hands over each value on its own, hears of each on its own, and is done when all are acknowledged.
    fn fill(&self, values: Values);

    /// The same without an end; tells now and then how many were acknowledged so far, until it is told to stop. Leaves what
    /// is on its way then.
    fn sustain(&self, values: Values, marks: Marks) -> Marks;

    /// Hands over a value at each tick; how long after the tick was due its acknowledgement came.
    fn paced(&self, values: Values, pace: Pace) -> Latencies;
}

#[derive(Debug, Clone, Copy)]
pub enum Mode {
    /// So many records, after a tenth of them to warm up.
    Produce(u64),
    /// For so many seconds, after one to warm up.
    Throughput(u64),
    /// Records a second, and for how long, after one second to warm up.
    Latency { rate: u64, seconds: u64 },
    /// One.
    First,
}

pub fn perform<C: Client>(name: &str, job: &Job, mode: Mode) {
    if let Mode::First = mode {
        C::connect(job).fill(Values::count(payload::one(job.bytes), 1));
        return println!("{name} acknowledged");
    }
    let pool = payload::pool(job.bytes);
    let client = C::connect(job);
    match mode {
        Mode::Produce(records) => {
            client.fill(Values::count(pool, records / 10));
            let watch = Stopwatch::start();
            client.fill(Values::count(pool, records));
            watch.report(name, records, "");
        }
        Mode::Throughput(seconds) => {
            let marks = client.sustain(Values::endless(pool), Marks::new(Duration::from_secs(seconds)));
            marks.report(name);
            // Nobody waits for the rest.
            std::process::exit(0);
        }
        Mode::Latency { rate, seconds } => {
            client.paced(Values::endless(pool), Pace { rate, ticks: rate });
            let watch = Stopwatch::start();
            let pace = Pace { rate, ticks: rate * seconds };
            let latencies = client.paced(Values::endless(pool), pace);
            assert_eq!(latencies.0.len() as u64, pace.ticks, "every acknowledgement");
            watch.report(name, pace.ticks, &latencies.words());
        }
        Mode::First => unreachable!("done above"),
    }
}
