//! A consumer whose brokers go and come back.

use crate::bench::RESOLVED;
use crate::checker::Promises;
use crate::history::Found;
use crate::real::cluster::RealCluster;
use ottla::{Consumer, Start};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Every record once and in order, while each broker is shut down and started, and one is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn brokers_restarted_under_a_consumer_cost_it_no_record_and_repeat_none() {
    let bench = bench!("consumed", 3);
    let topic = bench.topic.as_str();
    let consumer = bench.client.consumer().topic(topic, Start::Beginning).build().await.unwrap();
    let got = Arc::new(Mutex::new(Vec::new()));
    let consuming = tokio::spawn(consume(consumer, Arc::clone(&got)));
    let load = bench.load(bench.client.producer());
    for broker in RealCluster::BROKERS {
        sleep(Duration::from_secs(2)).await;
        bench.cluster.stop(broker);
        bench.cluster.start(broker);
        bench.cluster.await_in_sync(topic);
    }
    let leader = bench.cluster.leader(topic, 0);
    bench.cluster.kill(leader);
    bench.cluster.start(leader);
    bench.cluster.await_in_sync(topic);
    sleep(Duration::from_secs(2)).await;
    let events = load.stop(RESOLVED).await;
    let figures = bench.assert_whole(&events, &Promises::ALL).figures;
    assert_eq!(figures.acked, figures.sent);

    let log = bench.read_log();
    let all = async {
        while got.lock().unwrap().len() < log.len() {
            sleep(Duration::from_millis(50)).await;
        }
        // Time for something to come twice.
        sleep(Duration::from_secs(2)).await;
    };
    let in_time = timeout(RESOLVED, all).await.is_ok();
    consuming.abort();
    let got = got.lock().unwrap().clone();
    println!("   {} records in the log, {} consumed", log.len(), got.len());
    assert!(in_time, "{} records are missing", log.len() - got.len());
    let (got, log) = (by_partition(&got), by_partition(&log));
    for (partition, records) in log {
        let same = got.get(&partition) == Some(&records);
        assert!(same, "partition {partition}: not each record once and in order");
    }
}

async fn consume(mut consumer: Consumer, got: Arc<Mutex<Vec<Found>>>) {
    while let Some(batch) = consumer.poll().await.unwrap() {
        let records = batch.iter().map(|record| Found {
            partition: record.partition(),
            offset: record.offset(),
            value: String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned(),
        });
        got.lock().unwrap().extend(records);
    }
}

fn by_partition(records: &[Found]) -> BTreeMap<i32, Vec<(i64, &str)>> {
    let mut partitions: BTreeMap<i32, Vec<_>> = BTreeMap::new();
    for record in records {
        partitions.entry(record.partition).or_default().push((record.offset, record.value.as_str()));
    }
    partitions
}
