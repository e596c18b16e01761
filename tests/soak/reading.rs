//! A consumer under way, and what it has got.

use crate::bench::{Bench, RESOLVED};
use crate::history::{Found, Journal};
use ottla::Consumer;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

type Got = Arc<Mutex<Vec<(Duration, Found)>>>;

/// Reads whatever comes until it is dropped.
pub struct Reading {
    got: Got,
    task: JoinHandle<()>,
}

impl Reading {
    /// Times are the journal's.
    pub fn start(consumer: Consumer, journal: &Journal) -> Reading {
        let got = Got::default();
        let task = tokio::spawn(read(consumer, journal.clone(), Arc::clone(&got)));
        Reading { got, task }
    }

    /// How many records came so far.
    pub fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    /// How long it took from this time until the next record of a partition came.
    pub fn resumed(&self, partition: i32, at: Duration) -> Duration {
        let got = self.got.lock().unwrap();
        let mut came = got.iter().filter(|(_, found)| found.partition == partition).map(|(came, _)| *came);
        came.find(|came| *came >= at).map_or(Duration::MAX, |came| came - at)
    }

    /// The longest time without a record of a partition, from one time to another.
    pub fn longest_gap(&self, partition: i32, from: Duration, to: Duration) -> Duration {
        let (mut last, mut longest) = (from, Duration::ZERO);
        let got = self.got.lock().unwrap();
        let came = got.iter().filter(|(_, found)| found.partition == partition).map(|(came, _)| *came);
        for came in came.filter(|came| (from..to).contains(came)).chain([to]) {
            (longest, last) = (longest.max(came.saturating_sub(last)), came);
        }
        longest
    }

    /// Everything in the log came, each record once and in order.
    pub async fn assert_whole(&self, bench: &Bench) {
        let log = bench.read_log();
        let all = async {
            while self.count() < log.len() {
                sleep(Duration::from_millis(50)).await;
            }
            // Time for something to come twice.
            sleep(Duration::from_secs(2)).await;
        };
        let in_time = timeout(RESOLVED, all).await.is_ok();
        let got: Vec<Found> = self.got.lock().unwrap().iter().map(|(_, found)| found.clone()).collect();
        println!("   {} records in the log, {} consumed", log.len(), got.len());
        assert!(in_time, "{} records are missing", log.len() - got.len());
        let (got, log) = (by_partition(&got), by_partition(&log));
        for (partition, records) in log {
            let same = got.get(&partition) == Some(&records);
            assert!(same, "partition {partition}: not each record once and in order");
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(mut consumer: Consumer, journal: Journal, got: Got) {
    while let Some(batch) = consumer.poll().await.unwrap() {
        let at = journal.now();
        let records = batch.iter().map(|record| Found {
            partition: record.partition(),
            offset: record.offset(),
            value: String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned(),
        });
        got.lock().unwrap().extend(records.map(|found| (at, found)));
    }
}

fn by_partition(records: &[Found]) -> BTreeMap<i32, Vec<(i64, &str)>> {
    let mut partitions: BTreeMap<i32, Vec<_>> = BTreeMap::new();
    for record in records {
        partitions.entry(record.partition).or_default().push((record.offset, record.value.as_str()));
    }
    partitions
}
