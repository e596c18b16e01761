//! Transactions of independent clients: Apache's own copier, which system tests of Kafka have for this, and kcat.

use super::{Bench, has_java, has_kcat};
use ottla::broker::Broker;
use std::collections::BTreeMap;

const RECORDS: usize = 300;
const COPIER: &str = "org.apache.kafka.tools.TransactionalMessageCopier";

impl Bench {
    /// A topic with records to copy.
    fn filled(&self, topic: &str, partitions: usize) -> Vec<String> {
        self.broker.create_topic(topic, partitions).unwrap();
        let lines: Vec<String> = (0..RECORDS).map(|n| format!("record-{n}")).collect();
        self.kcat(&["-P", "-t", topic], &(lines.join("\n") + "\n"));
        lines
    }

    /// Copies all of a topic, in transactions that now and then are aborted and done again.
    fn copy(&self, from: &str, to: &str, group: &str, arguments: &[&str]) {
        let brokers = self.broker.bootstrap_servers();
        let mut copier = self.java_program(COPIER);
        copier.args(["--broker-list", &brokers, "--input-topic", from, "--input-partition", "0"]);
        copier.args(["--output-topic", to, "--consumer-group", group, "--transactional-id", group]);
        copier.args(["--transaction-size", "20", "--enable-random-aborts"]).args(arguments);
        super::process::run(&mut copier, b"", super::CLIENT_LIMIT).success();
    }

    /// What is committed of a topic, as Java's consumer reads it.
    fn committed(&self, topic: &str, count: usize) -> Vec<String> {
        let count = count.to_string();
        let arguments = ["--topic", topic, "--from-beginning", "--max-messages", &count];
        let isolated = [&arguments[..], &["--isolation-level", "read_committed"]].concat();
        self.java_reads(&isolated)
    }

    /// What groups have committed, by group, topic and partition.
    fn offsets(&self) -> BTreeMap<(String, String, i32), i64> {
        let commits = self.broker.commits().into_iter();
        commits.map(|commit| ((commit.group, commit.topic, commit.partition), commit.offset)).collect()
    }

    fn aborted(&self, topic: &str) -> usize {
        let partitions = i32::try_from(self.broker.partitions(topic).unwrap()).unwrap();
        let batches = (0..partitions).flat_map(|partition| self.broker.log(topic, partition));
        batches.filter(|batch| batch.marker == Some(false)).count()
    }
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn javas_copier_copies_each_record_once_whatever_it_aborts() {
    if !has_java() || !has_kcat() {
        return;
    }
    let builder = Broker::builder().partitions(3).keep_requests(10_000);
    for bench in [Bench::new(builder), Bench::three()] {
        let sent = bench.filled("from", 1);
        bench.copy("from", "to", "copier", &["--use-group-metadata"]);
        assert_eq!(sorted(bench.committed("to", RECORDS)), sorted(sent.clone()));
        // As a member of a group, and from where the first has left off if it has the same name.
        bench.copy("from", "again", "member", &["--group-mode", "--use-group-metadata"]);
        assert_eq!(sorted(bench.committed("again", RECORDS)), sorted(sent));
        if let super::Served::One(_) = bench.broker {
            let aborted = bench.aborted("to") + bench.aborted("again");
            assert!(aborted > 0, "no transaction was aborted: too few to tell anything");
            let offset = |group: &str| bench.offsets()[&(group.to_owned(), "from".to_owned(), 0)];
            assert_eq!([offset("copier"), offset("member")], [300, 300]);
        }
    }
}

/// Before KIP-890 the producer says itself which partitions and groups its transaction has.
#[test]
fn javas_copier_takes_a_broker_of_before_for_one() {
    if !has_java() || !has_kcat() {
        return;
    }
    for release in ["2.8", "3.9"] {
        let builder = Broker::builder().partitions(3).keep_requests(10_000);
        let bench = Bench::new(builder.as_version(release));
        let sent = bench.filled("from", 1);
        bench.copy("from", "to", "copier", &["--use-group-metadata"]);
        assert_eq!(sorted(bench.committed("to", RECORDS)), sorted(sent), "{release}");
        let asked = |api: &str| bench.broker.requests().iter().any(|seen| seen.api == api);
        assert!(asked("AddPartitionsToTxn") && asked("AddOffsetsToTxn"), "{release}");
    }
}

#[test]
fn kcat_produces_in_a_transaction_and_reads_what_is_committed() {
    if !has_kcat() {
        return;
    }
    for bench in Bench::both(Broker::builder) {
        bench.broker.create_topic("paid", 1).unwrap();
        for line in ["one\n", "two\n"] {
            bench.kcat(&["-P", "-t", "paid", "-p", "0", "-X", "transactional.id=till"], line);
        }
        let markers: Vec<_> = bench.broker.log("paid", 0).iter().map(|batch| batch.marker).collect();
        assert_eq!(markers, [None, Some(true), None, Some(true)]);
        let committed = ["-C", "-t", "paid", "-p", "0", "-o", "beginning", "-e", "-q", "-f", "%o %s\n"];
        let isolated = [&committed[..], &["-X", "isolation.level=read_committed"]].concat();
        assert_eq!(bench.kcat(&isolated, "").lines(), ["0 one", "2 two"]);
        if has_java() {
            assert_eq!(bench.committed("paid", 2), ["one", "two"]);
        }
    }
}
