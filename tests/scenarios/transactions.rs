//! Transactions that Apache's Java producers wrote, to a real Kafka and to the embedded broker: who reads committed records sees
//! those and no other, and stops where a transaction is open.

#[cfg(feature = "broker")]
use crate::jars;
use crate::real::kafka::{RealKafka, unique};
use crate::real::writer::JavaWriter;
use crate::real::{self, process};
use crate::{LIMIT, client};
use fastrand::Rng;
use ottla::config::IsolationLevel;
use ottla::{Client, Consumer, NewTopic, Start, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const PARTITIONS: i32 = 4;
/// Those with transactions, each with its codec.
const PRODUCERS: [(&str, &str); 3] = [("red", "none"), ("green", "lz4"), ("blue", "zstd")];
const PLAIN: &str = "plain";
const STEPS: usize = 120;
/// In which somebody would still see what is too much.
const A_MOMENT: Duration = Duration::from_millis(700);

/// What was seen of each partition: offsets and values.
type Seen = BTreeMap<i32, Vec<(i64, String)>>;

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// Its transaction is open.
    Open,
    Committed,
    Aborted,
}

#[derive(Debug)]
struct Written {
    offset: i64,
    value: String,
    /// The index of its transaction; none when it was sent without one.
    transaction: Option<usize>,
}

/// Everything that was written, and the hand that wrote it.
struct Topic {
    name: String,
    java: JavaWriter,
    rng: Rng,
    records: BTreeMap<i32, Vec<Written>>,
    transactions: Vec<Fate>,
    /// The transaction that each producer is in.
    open: BTreeMap<&'static str, usize>,
}

impl Topic {
    async fn new(kafka: &RealKafka, client: &Client, seed: u64) -> Topic {
        let name = unique("isolated");
        let wanted = NewTopic::named(&name).partitions(PARTITIONS);
        client.admin().create_topics([wanted]).await.unwrap()[&name].clone().unwrap();
        let mut java = JavaWriter::start(kafka, &name);
        for (producer, codec) in PRODUCERS {
            java.producer(producer, codec, Some(&format!("{name}-{producer}")));
        }
        java.producer(PLAIN, "gzip", None);
        Topic {
            name,
            java,
            rng: Rng::with_seed(seed),
            records: (0..PARTITIONS).map(|partition| (partition, Vec::new())).collect(),
            transactions: Vec::new(),
            open: BTreeMap::new(),
        }
    }

    /// Transactions of all producers at once, and records without one, in any order; all are ended but two:
    /// one is open in partitions 0 and 1, one in 1 and 2, and others have committed records behind them.
    fn write(&mut self) {
        for _ in 0..STEPS {
            let (producer, _) = PRODUCERS[self.rng.usize(..PRODUCERS.len())];
            let (partition, count) = (self.rng.i32(0..PARTITIONS), self.rng.usize(1..=8));
            match self.rng.u32(..10) {
                0..6 => self.send(producer, partition, count),
                6..8 => self.send(PLAIN, partition, count),
                _ if self.rng.bool() => self.end(producer, Fate::Committed),
                _ => self.end(producer, Fate::Aborted),
            }
        }
        // More than one answer holds, aborted and not, of two producers in turns.
        self.end("blue", Fate::Committed);
        for _ in 0..12 {
            self.send("blue", 3, 8);
            self.send(PLAIN, 3, 1);
        }
        for (producer, _) in PRODUCERS {
            self.end(producer, Fate::Aborted);
        }
        let (first, second) = ("red", "green");
        for (producer, partition) in [(first, 0), (first, 1), (second, 1), (second, 2)] {
            self.send(producer, partition, 5);
        }
        for partition in 0..PARTITIONS {
            self.send("blue", partition, 3);
            self.send(PLAIN, partition, 2);
        }
        self.end("blue", Fate::Committed);
    }

    fn send(&mut self, producer: &'static str, partition: i32, count: usize) {
        let transaction = (producer != PLAIN).then(|| {
            *self.open.entry(producer).or_insert_with(|| {
                self.java.begin(producer);
                self.transactions.push(Fate::Open);
                self.transactions.len() - 1
            })
        });
        let values: Vec<String> =
            (0..count).map(|_| format!("{producer}-{}", self.rng.u64(..)).repeat(4)).collect();
        let offsets = self.java.send(producer, partition, &values);
        let written = offsets.into_iter().zip(values);
        let written = written.map(|(offset, value)| Written { offset, value, transaction });
        self.records.get_mut(&partition).unwrap().extend(written);
    }

    /// Ends the transaction of a producer, if it is in one.
    fn end(&mut self, producer: &'static str, fate: Fate) {
        let Some(transaction) = self.open.remove(producer) else { return };
        match fate {
            Fate::Committed => self.java.commit(producer),
            Fate::Aborted => self.java.abort(producer),
            Fate::Open => return,
        }
        self.transactions[transaction] = fate;
    }

    fn fate(&self, written: &Written) -> Fate {
        written.transaction.map_or(Fate::Committed, |transaction| self.transactions[transaction])
    }

    /// The first offset of a transaction that is open.
    fn first_open(&self, partition: i32) -> Option<i64> {
        let open = self.records[&partition].iter().filter(|written| self.fate(written) == Fate::Open);
        open.map(|written| written.offset).min()
    }

    /// What is there from an offset of each partition on; only what is committed, and lies before any open transaction, or all.
    fn expected(&self, isolation: IsolationLevel, from: impl Fn(i32) -> i64) -> Seen {
        let mut expected = Seen::new();
        for (&partition, records) in &self.records {
            let stable = self.first_open(partition).unwrap_or(i64::MAX);
            let is_seen = |written: &&Written| match isolation {
                IsolationLevel::ReadCommitted => {
                    self.fate(written) == Fate::Committed && written.offset < stable
                }
                _ => true,
            };
            let seen = records.iter().filter(is_seen).filter(|written| written.offset >= from(partition));
            let mut seen: Vec<_> = seen.map(|written| (written.offset, written.value.clone())).collect();
            seen.sort_unstable();
            expected.insert(partition, seen);
        }
        expected
    }

    /// Where each partition ends: behind its records and the markers of the transactions that ended in it.
    fn ends(&self) -> BTreeMap<TopicPartition, i64> {
        let end = |partition: &i32| {
            let records = &self.records[partition];
            let transactions: BTreeSet<usize> =
                records.iter().filter_map(|written| written.transaction).collect();
            let ended = transactions.into_iter().filter(|index| self.transactions[*index] != Fate::Open);
            (records.len() + ended.count()) as i64
        };
        self.partitions()
            .into_iter()
            .map(|partition| (partition.clone(), end(&partition.partition)))
            .collect()
    }

    /// Where who reads what is committed has to stop.
    fn stable_ends(&self) -> BTreeMap<TopicPartition, i64> {
        let mut ends = self.ends();
        for (partition, end) in &mut ends {
            *end = self.first_open(partition.partition).unwrap_or(*end);
        }
        ends
    }

    fn partitions(&self) -> Vec<TopicPartition> {
        (0..PARTITIONS).map(|partition| TopicPartition::new(self.name.as_str(), partition)).collect()
    }
}

/// One who reads the topic, and what it has seen.
struct Reader {
    consumer: Consumer,
    isolation: IsolationLevel,
    from: BTreeMap<i32, i64>,
    seen: Seen,
}

impl Reader {
    async fn new(
        client: &Client,
        topic: &Topic,
        isolation: IsolationLevel,
        settings: &[(&str, &str)],
        from: impl Fn(i32) -> i64,
    ) -> Reader {
        let mut builder = client.consumer().isolation_level(isolation);
        for (key, value) in settings {
            builder = builder.set(key, *value);
        }
        let from: BTreeMap<i32, i64> =
            (0..PARTITIONS).map(|partition| (partition, from(partition))).collect();
        let starts = topic.partitions().into_iter().map(|partition| {
            let start = Start::Offset(from[&partition.partition]);
            (partition, start)
        });
        let consumer = builder.assign(starts).build().await.unwrap();
        Reader { consumer, isolation, from, seen: (0..PARTITIONS).map(|p| (p, Vec::new())).collect() }
    }

    /// Reads until there is no more to read.
    async fn reaches(&mut self, ends: &BTreeMap<TopicPartition, i64>) {
        let limit = tokio::time::Instant::now() + LIMIT;
        while !self.is_at(ends) {
            assert!(tokio::time::Instant::now() < limit, "not at {ends:?}: {:?}", self.positions(ends));
            self.poll(Duration::from_millis(50)).await;
        }
    }

    /// There is nothing more to be read, and what was seen is what ought to have been.
    #[track_caller]
    fn assert_has_seen(&self, topic: &Topic, ends: &BTreeMap<TopicPartition, i64>) {
        assert!(self.is_at(ends), "beyond {ends:?}: {:?}", self.positions(ends));
        let expected = topic.expected(self.isolation, |partition| self.from[&partition]);
        for (partition, seen) in &self.seen {
            assert_eq!(seen, &expected[partition], "partition {partition}, {:?}", self.isolation);
        }
        for partition in ends.keys() {
            assert_eq!(self.consumer.lag(partition).unwrap(), Some(0), "{partition}");
        }
    }

    fn is_at(&self, ends: &BTreeMap<TopicPartition, i64>) -> bool {
        self.positions(ends).into_iter().eq(ends.values().map(|end| Some(*end)))
    }

    fn positions(&self, ends: &BTreeMap<TopicPartition, i64>) -> Vec<Option<i64>> {
        ends.keys().map(|partition| self.consumer.position(partition).unwrap()).collect()
    }

    async fn poll(&mut self, patience: Duration) {
        if let Ok(batch) = timeout(patience, self.consumer.poll()).await {
            for record in &batch.unwrap().unwrap() {
                let value = String::from_utf8(record.value().unwrap().to_vec()).unwrap();
                self.seen.get_mut(&record.partition()).unwrap().push((record.offset(), value));
            }
        }
    }
}

/// What Apache's console consumer prints that reads what is committed.
fn as_java_reads_it(kafka: &RealKafka, topic: &str) -> Seen {
    let property = kafka.formatter_property();
    let mut java = kafka.java(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        &["--bootstrap-server", kafka.plaintext(), "--topic", topic, "--from-beginning"],
    );
    java.args(["--isolation-level", "read_committed", "--timeout-ms", "4000"]);
    java.args([property, "print.partition=true", property, "print.offset=true"]);
    let printed = process::run(&mut java, b"", LIMIT).success();
    let mut seen: Seen = (0..PARTITIONS).map(|partition| (partition, Vec::new())).collect();
    for line in printed.lines() {
        let mut parts = line.splitn(3, '\t');
        let mut number = |name: &str| {
            let number = parts.next().and_then(|part| part.strip_prefix(name)?.parse::<i64>().ok());
            number.unwrap_or_else(|| unreachable!("the console consumer said {line:?}"))
        };
        let (partition, offset) = (number("Partition:"), number("Offset:"));
        let value = parts.next().unwrap().to_owned();
        seen.get_mut(&i32::try_from(partition).unwrap()).unwrap().push((offset, value));
    }
    seen
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_what_java_committed_is_read_and_nothing_behind_an_open_transaction() {
    let kafka = real_kafka!();
    if !process::installed("javac") {
        return real::skip("no Java compiler: a JDK has one");
    }
    let client = client(kafka).await;
    reads_exactly_what_java_committed(kafka, client).await;
}

#[cfg(feature = "broker")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_brokers_transactions_are_those_of_kafka() {
    let lib = jars::lib_folder();
    if !process::installed("javac") || !lib.is_dir() {
        return real::skip("no Java compiler, or no jars of Kafka (tests/kafka/fetch brings them)");
    }
    let broker = ottla::broker::Broker::builder().start().await.unwrap();
    let client = Client::builder().bootstrap(broker.bootstrap_servers()).connect().await.unwrap();
    // Threads hold on to it until the process ends.
    let kafka = Box::leak(Box::new(RealKafka::imitated(&broker.bootstrap_servers(), &lib)));
    reads_exactly_what_java_committed(kafka, client).await;
}

async fn reads_exactly_what_java_committed(kafka: &'static RealKafka, client: Client) {
    let mut topic = Topic::new(kafka, &client, 6).await;
    topic.write();

    // In small answers an aborted transaction goes over many of them.
    let small = [("max.partition.fetch.bytes", "300"), ("fetch.max.bytes", "2000")];
    let committed = IsolationLevel::ReadCommitted;
    let stable = topic.stable_ends();
    let middles: BTreeMap<i32, i64> =
        stable.iter().map(|(partition, end)| (partition.partition, topic.rng.i64(0..*end))).collect();
    let mut readers = vec![
        Reader::new(&client, &topic, committed, &[], |_| 0).await,
        Reader::new(&client, &topic, committed, &small, |_| 0).await,
    ];
    // From anywhere, be it the middle of an aborted transaction.
    for shift in 0..4 {
        let from = |partition: i32| (middles[&partition] - shift * 3).max(0);
        readers.push(Reader::new(&client, &topic, committed, &small, from).await);
    }
    let mut everything = Reader::new(&client, &topic, IsolationLevel::ReadUncommitted, &small, |_| 0).await;

    let partitions = topic.partitions();
    for step in ["two transactions are open", "one was committed", "the other was aborted"] {
        let (all, stable) = (topic.ends(), topic.stable_ends());
        // A transaction has ended when that is decided; its markers come a little later.
        let in_time = timeout(LIMIT, async {
            while everything.consumer.end_offsets(&partitions).await.unwrap() != all {
                sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(in_time.await.is_ok(), "{step}: not all that was written is there: {all:?}");
        let told = readers[0].consumer.end_offsets(&partitions).await.unwrap();
        assert_eq!(told, stable, "{step}: the last stable offsets");
        let name = topic.name.clone();
        let java = tokio::task::spawn_blocking(move || as_java_reads_it(kafka, &name));
        for reader in &mut readers {
            reader.reaches(&stable).await;
        }
        everything.reaches(&all).await;
        sleep(A_MOMENT).await;
        for reader in &mut readers {
            reader.poll(Duration::from_millis(10)).await;
            reader.assert_has_seen(&topic, &stable);
        }
        everything.poll(Duration::from_millis(10)).await;
        everything.assert_has_seen(&topic, &all);
        assert_eq!(readers[0].seen, java.await.unwrap(), "{step}: as the console consumer has it");
        match step {
            "two transactions are open" => topic.end("red", Fate::Committed),
            "one was committed" => topic.end("green", Fate::Aborted),
            _ => {}
        }
    }
    let hidden = topic.expected(IsolationLevel::ReadUncommitted, |_| 0).values().map(Vec::len).sum::<usize>()
        - readers[0].seen.values().map(Vec::len).sum::<usize>();
    assert!(hidden > 100, "{hidden} records were aborted: too few to tell anything");
}
