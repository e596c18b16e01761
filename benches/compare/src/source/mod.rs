//! Brokers to read from: ours, embedded, in a process of their own, with topics that are full when they tell their address.

mod counts;
mod feed;
mod fill;
mod front;

pub use fill::{Log, fill};

use crate::job::Settings;
use counts::Counts;
use ottla::broker::Cluster;
use std::sync::Arc;

const USAGE: &str = "\
compare source [--brokers N] [--count] [--feed] [--tls DIR] TOPIC:PARTITIONS:RECORDS:BYTES:CODEC
  --count    answers each line of its input with what it has sent and been asked since the last one
  --feed     writes a record to the first partition every 20 ms, which tells when it was sent
  --tls DIR  TLS for whoever logs in by SASL/PLAIN as `compare`, with the certificates of the folder";

struct Options<'a> {
    brokers: usize,
    counts: bool,
    feeds: bool,
    certificates: Option<&'a str>,
    log: Log,
}

pub fn main(words: &[&str]) {
    crate::sink::die_with_parent();
    let options = parse(words);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(serve(options));
}

async fn serve(options: Options<'_>) {
    let mut builder = Cluster::builder().brokers(options.brokers);
    let mut login = Settings::new();
    if options.certificates.is_some() {
        builder = builder.user("compare", "compare");
        let words = [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", "compare"),
            ("sasl.password", "compare"),
        ];
        login.extend(words.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    let cluster = builder.start().await.expect("a cluster");
    let inside = cluster.bootstrap_servers();
    fill(&inside, &login, &options.log).await;
    let counts = Arc::new(Counts::default());
    let mut address = inside;
    if options.feeds {
        tokio::spawn(feed::run(address.clone(), options.log.topic.clone()));
    }
    if options.counts || options.certificates.is_some() {
        address = front::open(&cluster, options.certificates.map(crate::sink::tls::acceptor), &counts).await;
    }
    if options.counts {
        counts.watch(&cluster);
        counts.tell(log_bytes(&cluster, &options.log));
    }
    println!("{address}");
    std::future::pending::<()>().await;
}

fn log_bytes(cluster: &Cluster, log: &Log) -> usize {
    let batches = (0..log.partitions).flat_map(|partition| cluster.log(&log.topic, partition));
    batches.map(|batch| batch.bytes.len()).sum()
}

fn parse<'a>(words: &[&'a str]) -> Options<'a> {
    let (mut brokers, mut counts, mut feeds, mut certificates, mut log) = (1, false, false, None, None);
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--brokers" => brokers = crate::number(words.next().expect(USAGE)),
            "--count" => counts = true,
            "--feed" => feeds = true,
            "--tls" => certificates = Some(words.next().expect(USAGE)),
            word => log = Some(Log::parse(word).expect(USAGE)),
        }
    }
    Options { brokers, counts, feeds, certificates, log: log.expect(USAGE) }
}
