//! What brokers send for what is read: nothing is fetched twice, and nothing that was fetched is thrown away.

use crate::bench::Bench;
use crate::proxy::{Roads, Way};
use ottla::{Client, Consumer, NewTopic, Record, Start};
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const LIMIT: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 4;
/// More than is fetched ahead by default, which is 64 MiB.
const WRITTEN: usize = 100 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn what_brokers_send_is_what_is_read_of_small_records() {
    what_brokers_send_is_what_is_read(100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn what_brokers_send_is_what_is_read_of_records_of_a_kilobyte() {
    what_brokers_send_is_what_is_read(1_000).await;
}

/// At default settings, from two brokers: a third of the log, so that all that may be fetched ahead is; and then the rest.
async fn what_brokers_send_is_what_is_read(bytes: usize) {
    let bench = bench!("received", 0);
    let leaders = (0..PARTITIONS).map(|partition| vec![partition % 2 + 1]);
    let topic = NewTopic::named(&bench.topic).assignments(leaders).config("min.insync.replicas", "1");
    bench.create(topic).await;
    let records = WRITTEN / bytes;
    write(&bench, records, bytes).await;
    let log = size_of_log(&bench);
    assert!(log > WRITTEN as u64, "{log} bytes");

    let roads = Roads::default();
    let client = Client::builder().bootstrap(bench.cluster.kafka().plaintext()).dial(roads.dial());
    let consumer = client.build().unwrap().consumer().topic(bench.topic.as_str(), Start::Beginning);
    let mut consumer = consumer.build().await.unwrap();
    let received = || roads.all().iter().map(|road| road.carried(Way::Down)).sum::<u64>();
    let seen = read(&mut consumer, records / 3).await;
    // In which whatever may be fetched ahead is.
    sleep(Duration::from_secs(3)).await;
    let (at_rest, per_record) = (received(), log as f64 / records as f64);
    let ahead = at_rest as f64 - seen as f64 * per_record;
    println!(
        "   {bytes}: {seen} of {records} records read, {} kB received ahead of that",
        ahead as u64 >> 10
    );
    assert!(ahead < f64::from(64 << 20) * 1.2, "more than the budget and a fifth");
    let seen = seen + read(&mut consumer, records - seen).await;
    let ratio = received() as f64 / log as f64;
    println!("   {bytes}: {seen} records, {ratio:.4} bytes received for each byte of the log");
    bench.client.admin().delete_topics([&bench.topic]).await.unwrap()[&bench.topic].clone().unwrap();
    assert_eq!(seen, records);
    assert!((1.0..1.02).contains(&ratio), "{ratio}");
}

async fn write(bench: &Bench, records: usize, bytes: usize) {
    // As Java's are by default. Of each answer and partition the last batch is cut off, and comes with the next again.
    let producer = bench.client.producer().set("batch.size", "16384").build().unwrap();
    for n in 0..records {
        let partition = n as i32 % PARTITIONS;
        let record = Record::to(bench.topic.as_str()).partition(partition).value(vec![b'x'; bytes]);
        drop(producer.send(record).await.unwrap());
    }
    producer.flush().await.unwrap();
}

/// As the brokers keep it.
fn size_of_log(bench: &Bench) -> u64 {
    let home = Path::new(bench.cluster.kafka().fact("dir"));
    let mut bytes = 0;
    for partition in 0..PARTITIONS {
        let folder = format!("{}/data/{}-{partition}", partition % 2 + 1, bench.topic);
        for file in std::fs::read_dir(home.join(folder)).unwrap().map(Result::unwrap) {
            if file.path().extension().is_some_and(|extension| extension == "log") {
                bytes += file.metadata().unwrap().len();
            }
        }
    }
    bytes
}

/// Reads so many records or a few more; how many.
async fn read(consumer: &mut Consumer, count: usize) -> usize {
    let mut seen = 0;
    while seen < count {
        let batch = timeout(LIMIT, consumer.poll()).await.expect("a batch in time");
        seen += batch.unwrap().unwrap().len();
    }
    seen
}
