//! Clients that are libraries, as programs of ours use them: unmodified, each word of the command line one thing to do with a
//! broker. `franz/main.go` says what the words mean.

use super::{Bench, CLIENT_LIMIT, CODECS, process};
use ottla::broker::{Broker, Cluster};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How often members of the new protocol are heard: groups settle sooner than with Kafka's five seconds.
const HEARTBEAT: Duration = Duration::from_millis(300);

/// So many requests and commits are kept to be looked at: all of them.
const KEPT: usize = 100_000;

/// A program, a broker, and what the one has to know of the other.
#[derive(Clone)]
pub(crate) struct Peer<'a> {
    pub(crate) bench: &'a Bench,
    program: &'a Path,
    settings: Vec<String>,
}

impl<'a> Peer<'a> {
    /// The same with one more setting, `key=value`.
    pub(crate) fn with(&self, setting: &str) -> Peer<'a> {
        let mut peer = self.clone();
        peer.settings.push(setting.to_owned());
        peer
    }

    /// Runs it to a good end; what it prints.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> Vec<String> {
        process::run(&mut self.command(words), b"", CLIENT_LIMIT).success().lines()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.arg(self.bench.broker.bootstrap_servers()).args(&self.settings).args(words);
        command
    }

    /// What is said by all records of a topic that there are, each with its place.
    pub(crate) fn stored(&self, topic: &str) -> BTreeSet<String> {
        let broker = &self.bench.broker;
        let partitions = i32::try_from(broker.partitions(topic).unwrap()).unwrap();
        let stored = (0..partitions).flat_map(|partition| {
            broker.records(topic, partition).into_iter().map(move |record| {
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                format!("{partition} {} {value}", record.offset)
            })
        });
        stored.collect()
    }
}

/// Does something on one broker, on three, and on one with SASL and TLS; nothing where there is no program.
pub(crate) fn everywhere(program: Option<&Path>, work: impl Fn(&Peer<'_>)) {
    let Some(program) = program else { return };
    let one = || Broker::builder().consumer_group_heartbeat_interval(HEARTBEAT).keep_requests(KEPT);
    let three = Cluster::builder().consumer_group_heartbeat_interval(HEARTBEAT).keep_requests(KEPT);
    for bench in [Bench::new(one()), Bench::cluster(three)] {
        work(&Peer { bench: &bench, program, settings: Vec::new() });
    }
    let bench = Bench::new(one().tls().user("alice", "alice-secret"));
    let ca = bench.file("ca.pem", bench.broker.ca_pem().unwrap());
    let settings =
        vec!["user=alice".to_owned(), "password=alice-secret".to_owned(), format!("ca={}", ca.display())];
    work(&Peer { bench: &bench, program, settings });
}

pub(crate) fn finds_partitions_produces_in_every_codec_and_asks_for_offsets(peer: &Peer<'_>) {
    peer.bench.broker.create_topic("orders", 3).unwrap();
    assert_eq!(peer.run(&["metadata", "orders"]).len(), 1 + 3);
    let mut told = BTreeSet::new();
    for codec in CODECS {
        told.extend(peer.run(&["produce", "orders", "60", codec]));
    }
    assert_eq!(told.len(), 60 * CODECS.len(), "each has a place of its own");
    assert_eq!(peer.stored("orders"), told, "what it was told is what there is");
    assert_eq!(peer.bench.codecs("orders"), BTreeSet::from(CODECS));
    let ends: i64 = peer
        .run(&["offsets", "orders", "3"])
        .iter()
        .filter_map(|line| line.strip_prefix("-1 ")?.split_once(' ')?.1.parse::<i64>().ok())
        .sum();
    assert_eq!(ends, 60 * 5);
}

pub(crate) fn goes_on_in_a_group_where_it_has_stopped(peer: &Peer<'_>) {
    peer.bench.broker.create_topic("orders", 3).unwrap();
    let told: BTreeSet<String> = peer.run(&["produce", "orders", "200", "zstd"]).into_iter().collect();
    let read = peer.run(&["consume", "billing", "orders", "200"]);
    assert_eq!(read.len(), 200);
    assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), told);
    let more: BTreeSet<String> = peer.run(&["produce", "orders", "30", "none"]).into_iter().collect();
    let rest = peer.run(&["consume", "billing", "orders", "30"]);
    assert_eq!(rest.into_iter().collect::<BTreeSet<_>>(), more, "it has committed the others");
}

pub(crate) fn reads_nothing_of_a_transaction_that_it_has_aborted(peer: &Peer<'_>) {
    peer.bench.broker.create_topic("orders", 3).unwrap();
    peer.run(&["transact", "orders-1", "orders", "50"]);
    let read = peer.run(&["consume", "billing", "orders", "50"]);
    assert_eq!(read.len(), 50);
    assert!(read.iter().all(|line| line.contains(" committed-")), "{read:?}");
    let markers = (0..3).flat_map(|partition| peer.bench.broker.log("orders", partition));
    let markers: BTreeSet<Option<bool>> = markers.map(|batch| batch.marker).collect();
    assert_eq!(markers, BTreeSet::from([None, Some(false), Some(true)]));
}
