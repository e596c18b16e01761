//! The jobs of clients that read, in terms of what every client can do.

use crate::job::{ReadJob, given};
use crate::measure::{Latencies, Stopwatch, monotonic_ns};
use std::time::Duration;

/// A client that reads.
pub trait Reader {
    /// Shows each record to `eyes`, one after the other as the client's users get them, until they have seen enough or the
    /// job's time is over. Whatever the client is made of is made and begun here.
    fn read<E: Eyes>(job: &ReadJob, eyes: E) -> E;
}

/// What looks at the records.
pub trait Eyes: Send + 'static {
    /// `false` once this was enough.
    fn see(&mut self, partition: i32, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> bool;
}

#[derive(Debug, Clone, Copy)]
pub enum Reading {
    /// So many records, from the beginning on.
    Consume(u64),
    /// So many records that are being written, from the end on, after those of the first second.
    Deliver(u64),
    /// Whatever there is for so many seconds, which is to be nothing.
    Idle(u64),
}

pub fn perform<R: Reader>(name: &str, address: &str, topic: &str, partitions: i32, reading: Reading) {
    let mut job = ReadJob {
        address: address.to_owned(),
        topic: topic.to_owned(),
        partitions,
        from_end: false,
        limit: None,
        settings: given(),
    };
    let watch = Stopwatch::start();
    match reading {
        Reading::Consume(records) => {
            let eyes = R::read(&job, Count::new(partitions, records));
            watch.report(name, records, &eyes.words());
        }
        Reading::Deliver(records) => {
            job.from_end = true;
            let eyes =
                R::read(&job, Stamps { skip: WARM_UP, wanted: records as usize, latencies: Vec::new() });
            watch.report(name, records, &Latencies(eyes.latencies).words());
        }
        Reading::Idle(seconds) => {
            job.limit = Some(Duration::from_secs(seconds));
            let eyes = R::read(&job, Count::new(partitions, u64::MAX));
            assert_eq!(eyes.bytes, 0, "there is nothing to read");
            watch.report(name, 1, &format!(" cpu_s={:.4}", watch.cpu().as_secs_f64()));
        }
    }
}

/// Counts, and holds offsets to be contiguous.
struct Count {
    /// By partition, the offset that is due.
    next: Vec<i64>,
    left: u64,
    bytes: u64,
}

impl Count {
    fn new(partitions: i32, records: u64) -> Count {
        Count { next: vec![0; partitions as usize], left: records, bytes: 0 }
    }

    fn words(&self) -> String {
        assert_eq!(self.left, 0, "records that were not read");
        format!(" bytes={}", self.bytes)
    }
}

impl Eyes for Count {
    fn see(&mut self, partition: i32, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> bool {
        let next = &mut self.next[partition as usize];
        assert_eq!(offset, *next, "partition {partition}: a record was skipped or repeated");
        *next += 1;
        self.bytes += (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as u64;
        self.left -= 1;
        self.left > 0
    }
}

/// Records of a second, at the source's pace.
const WARM_UP: usize = 50;

/// Reads out of each value when it was sent.
struct Stamps {
    skip: usize,
    wanted: usize,
    latencies: Vec<Duration>,
}

impl Eyes for Stamps {
    fn see(&mut self, _: i32, _: i64, _: Option<&[u8]>, value: Option<&[u8]>) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return true;
        }
        let sent = value.and_then(|value| value.first_chunk()).expect("a value with the time");
        let ns = monotonic_ns() - u64::from_be_bytes(*sent);
        self.latencies.push(Duration::from_nanos(ns));
        self.latencies.len() < self.wanted
    }
}
