//! Independent clients on the embedded broker, unmodified: kcat (an old librdkafka), a new librdkafka, franz-go and Apache's own
//! Java tools.
//!
//! kcat's stored batches are looked at in the broker's log: librdkafka turns to a codec only when the versions of a broker
//! look right to it, and silently goes without otherwise.
#![cfg(all(feature = "broker", feature = "tls"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests, with processes and files of their own"
)]

#[path = "../support/kafka.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared; only where the jars lie is asked here")]
mod jars;
#[macro_use]
#[path = "../support/real/mod.rs"]
mod real;
/// Where `jars` looks for it.
mod skip {
    pub(crate) use crate::real::skip;
}

mod franz;
mod groups;
mod programs;
mod rdkafka;
mod tokens;
mod transactions;

use ottla::broker::{
    ApiKey, Broker, BrokerBuilder, Cluster, ClusterBuilder, ErrorCode, Fate, Fault, TopicSpec,
};
use real::kafka::CLIENT_LIMIT;
use real::process::{self, Finished};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// What clients talk to.
enum Served {
    One(Broker),
    Three(Cluster),
}

impl Deref for Served {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        match self {
            Served::One(broker) => broker,
            Served::Three(cluster) => cluster,
        }
    }
}

/// A broker, or three, with a runtime of its own, and files for clients to read.
struct Bench {
    broker: Served,
    folder: TempDir,
    /// What kcat and Java's tools are told of security, where there is any.
    security: Option<Security>,
    /// Runs the broker, and ends after it.
    runtime: tokio::runtime::Runtime,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

struct Security {
    kcat: Vec<String>,
    java: PathBuf,
}

impl Bench {
    fn new(builder: BrokerBuilder) -> Bench {
        let runtime = runtime();
        let broker = Served::One(runtime.block_on(builder.start()).unwrap());
        Bench { broker, folder: TempDir::new().unwrap(), security: None, runtime }
    }

    /// Whoever wants in has to log in, over TLS.
    fn secure(builder: BrokerBuilder) -> Bench {
        let mut bench = Bench::new(builder.tls().user("alice", "alice-secret"));
        let ca = bench.file("ca.pem", bench.broker.ca_pem().unwrap());
        // The kcat of today's distributions does SCRAM wrong (librdkafka before 2.6.1).
        let kcat = ["sasl.mechanism=PLAIN", "sasl.username=alice", "sasl.password=alice-secret"];
        let kcat = kcat.map(str::to_owned).into_iter();
        let tls = ["security.protocol=SASL_SSL".to_owned(), format!("ssl.ca.location={}", ca.display())];
        let java = format!(
            "security.protocol=SASL_SSL\nssl.truststore.type=PEM\nssl.truststore.location={}\n\
             sasl.mechanism=SCRAM-SHA-512\n\
             sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
             username=\"alice\" password=\"alice-secret\";\n",
            ca.display()
        );
        let java = bench.file("alice.properties", &java);
        bench.security = Some(Security { kcat: tls.into_iter().chain(kcat).collect(), java });
        bench
    }

    /// The same with a door for everybody, and with one that is locked.
    fn both(builder: impl Fn() -> BrokerBuilder) -> [Bench; 2] {
        [Bench::new(builder()), Bench::secure(builder())]
    }

    fn cluster(builder: ClusterBuilder) -> Bench {
        let runtime = runtime();
        let broker = Served::Three(runtime.block_on(builder.start()).unwrap());
        Bench { broker, folder: TempDir::new().unwrap(), security: None, runtime }
    }

    fn three() -> Bench {
        Bench::cluster(Cluster::builder())
    }

    fn plain() -> Bench {
        Bench::new(Broker::builder())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs kcat to a good end.
    #[track_caller]
    fn kcat(&self, arguments: &[&str], input: &str) -> Finished {
        process::run(self.kcat_command().args(arguments), input.as_bytes(), CLIENT_LIMIT).success()
    }

    fn kcat_command(&self) -> Command {
        let mut kcat = Command::new("kcat");
        let settings = self.security.iter().flat_map(|security| &security.kcat);
        kcat.args(["-b", &self.broker.bootstrap_servers()]);
        kcat.args(settings.flat_map(|setting| ["-X", setting]));
        kcat
    }

    /// What kcat reads of a partition, up to its end.
    #[track_caller]
    fn kcat_reads(&self, topic: &str, partition: &str, format: &str) -> Vec<String> {
        let arguments = ["-C", "-t", topic, "-p", partition, "-o", "beginning", "-e", "-q", "-f", format];
        self.kcat(&arguments, "").lines()
    }

    /// Runs one of Kafka's tools to a good end.
    #[track_caller]
    fn java(&self, class: &str, arguments: &[&str], input: &str) -> Finished {
        process::run(&mut self.java_command(class, arguments), input.as_bytes(), CLIENT_LIMIT).success()
    }

    /// One of Kafka's tools.
    fn java_command(&self, class: &str, arguments: &[&str]) -> Command {
        let mut java = self.java_program(class);
        java.args(["--bootstrap-server", &self.broker.bootstrap_servers()]).args(arguments);
        if let Some(security) = &self.security {
            java.arg("--command-config").arg(&security.java);
        }
        java
    }

    /// One of Kafka's programs, which is not told yet where the brokers are.
    fn java_program(&self, class: &str) -> Command {
        let class_path = format!("{}/*", jars::lib_folder().display());
        let mut java = Command::new("java");
        java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-Dfile.encoding=UTF-8"])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .args(["-cp", &class_path, class])
            .env("LC_ALL", "C.UTF-8");
        java
    }

    #[track_caller]
    fn java_produces(&self, arguments: &[&str], lines: &str) {
        self.java("org.apache.kafka.tools.ConsoleProducer", arguments, lines);
    }

    /// What the console consumer prints, without its closing line.
    #[track_caller]
    fn java_reads(&self, arguments: &[&str]) -> Vec<String> {
        let patience = ["--timeout-ms", "20000"];
        let arguments: Vec<&str> = patience.iter().chain(arguments).copied().collect();
        self.java("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments, "").lines()
    }

    #[track_caller]
    fn java_topics(&self, arguments: &[&str]) -> Vec<String> {
        self.java("org.apache.kafka.tools.TopicCommand", arguments, "").lines()
    }

    /// The codecs of all batches of a topic.
    fn codecs(&self, topic: &str) -> BTreeSet<&'static str> {
        let partitions = i32::try_from(self.broker.partitions(topic).unwrap_or(0)).unwrap();
        (0..partitions).flat_map(|p| self.broker.log(topic, p)).map(|batch| batch.codec).collect()
    }
}

/// Whether kcat is here; otherwise that is said, and fails in CI.
fn has_kcat() -> bool {
    let here = process::installed("kcat");
    if !here {
        skip::skip("no kcat");
    }
    here
}

/// Whether Java and Kafka's jars are here; otherwise that is said, and fails in CI.
fn has_java() -> bool {
    let here = process::installed("java") && jars::lib_folder().is_dir();
    if !here {
        skip::skip("no Java, or no jars of Kafka (tests/kafka/fetch brings them)");
    }
    here
}

/// Lines that every codec makes smaller.
fn lines(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}-{n} {}", "the same again ".repeat(20))).collect()
}

#[test]
fn kcat_lists_brokers_and_topics() {
    if !has_kcat() {
        return;
    }
    let bench = Bench::plain();
    bench.broker.create_topic("orders", 3).unwrap();
    let listed = bench.kcat(&["-L", "-J"], "").text();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["brokers"][0]["name"], bench.broker.bootstrap_servers().as_str());
    assert_eq!(listed["topics"][0]["topic"], "orders");
    assert_eq!(listed["topics"][0]["partitions"].as_array().unwrap().len(), 3);
}

#[test]
fn kcat_produces_and_reads_back_in_every_codec() {
    if !has_kcat() {
        return;
    }
    let bench = Bench::plain();
    for codec in CODECS {
        let sent = lines(codec, 20);
        let input = sent.join("\n") + "\n";
        let topic = format!("kcat-{codec}");
        let arguments =
            ["-P", "-t", &topic, "-p", "0", "-z", codec, "-k", "key", "-H", "first=1", "-H", "second=2"];
        bench.kcat(&arguments, &input);
        assert_eq!(bench.codecs(&topic), BTreeSet::from([codec]));
        let read = bench.kcat_reads(&topic, "0", "%o|%k|%h|%s\n");
        let expected: Vec<_> =
            sent.iter().enumerate().map(|(n, line)| format!("{n}|key|first=1,second=2|{line}")).collect();
        assert_eq!(read, expected);
    }
}

#[test]
fn kcat_produces_idempotently_and_without_acknowledgements() {
    if !has_kcat() {
        return;
    }
    let bench = Bench::plain();
    bench.kcat(&["-P", "-t", "once", "-p", "0", "-X", "enable.idempotence=true"], "one\ntwo\n");
    assert!(bench.broker.log("once", 0).iter().all(|batch| batch.producer_id >= 0));
    assert_eq!(bench.kcat_reads("once", "0", "%s\n"), ["one", "two"]);
    bench.kcat(&["-P", "-t", "unsure", "-p", "0", "-X", "acks=0"], "three\n");
    assert_eq!(bench.kcat_reads("unsure", "0", "%s\n"), ["three"]);
}

#[test]
fn kcat_asks_for_offsets_and_reads_from_where_it_wants() {
    if !has_kcat() {
        return;
    }
    let bench = Bench::plain();
    for line in ["a\n", "b\n", "c\n"] {
        bench.kcat(&["-P", "-t", "log", "-p", "0"], line);
    }
    let times: Vec<i64> = bench.broker.log("log", 0).iter().map(|batch| batch.max_timestamp).collect();
    let offset_at = |timestamp: i64| bench.kcat(&["-Q", "-t", &format!("log:0:{timestamp}")], "").lines();
    assert_eq!(
        offset_at(times[1]),
        [format!("log [0] offset {}", times.iter().position(|t| *t == times[1]).unwrap())]
    );
    assert_eq!(offset_at(0), ["log [0] offset 0"]);
    assert_eq!(offset_at(-1), ["log [0] offset 3"]);
    let from =
        |offset: &str| bench.kcat(&["-C", "-t", "log", "-p", "0", "-o", offset, "-e", "-q"], "").lines();
    assert_eq!(from("1"), ["b", "c"]);
    assert_eq!(from("-1"), ["c"]);
    assert!(from("end").is_empty());
}

#[test]
fn kcat_authenticates_with_and_without_tls() {
    if !has_kcat() {
        return;
    }
    for tls in [false, true] {
        let builder = Broker::builder().user("alice", "alice-secret");
        let bench = Bench::new(if tls { builder.tls() } else { builder });
        let protocol = format!("security.protocol={}", bench.broker.security_protocol());
        let ca = bench.file("ca.pem", bench.broker.ca_pem().unwrap_or_default());
        let ca = format!("ssl.ca.location={}", ca.display());
        let mut security = vec!["-X", &protocol, "-X", "sasl.mechanism=PLAIN", "-X", "sasl.username=alice"];
        if tls {
            security.extend(["-X", &ca]);
        }
        let with_password = |password, rest: &[&'static str]| {
            let mut arguments = security.clone();
            arguments.extend(["-X", password]);
            arguments.extend(rest);
            arguments
        };
        let right = "sasl.password=alice-secret";
        bench.kcat(&with_password(right, &["-P", "-t", "secret", "-p", "0"]), "whispered\n");
        let read = with_password(right, &["-C", "-t", "secret", "-p", "0", "-o", "beginning", "-e", "-q"]);
        assert_eq!(bench.kcat(&read, "").lines(), ["whispered"]);
        let mut kcat = Command::new("kcat");
        kcat.args(["-b", &bench.broker.bootstrap_servers(), "-L", "-m", "3"]);
        kcat.args(with_password("sasl.password=guessed", &[]));
        let refused = process::run(&mut kcat, b"", CLIENT_LIMIT);
        assert_ne!(refused.code, Some(0));
        assert!(
            refused.stderr.contains("Authentication failed: Invalid username or password"),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn java_produces_idempotently_and_reads_by_partition() {
    if !has_java() {
        return;
    }
    for bench in Bench::both(Broker::builder) {
        bench.broker.create_topic("orders", 1).unwrap();
        let keyed = [
            "--topic",
            "orders",
            "--reader-property",
            "parse.key=true",
            "--reader-property",
            "key.separator=:",
        ];
        bench.java_produces(&keyed, "k1:one\nk2:two, žluť\nk3:three\n");
        let log = bench.broker.log("orders", 0);
        assert!(
            log.iter().all(|batch| batch.producer_id >= 0),
            "the Java producer is idempotent by default: {log:?}"
        );
        let reader = |offset, count| {
            let mut arguments = vec!["--topic", "orders", "--partition", "0", "--offset", offset];
            arguments.extend(["--max-messages", count, "--formatter-property", "print.key=true"]);
            arguments.extend(["--formatter-property", "print.offset=true"]);
            bench.java_reads(&arguments)
        };
        assert_eq!(
            reader("earliest", "3"),
            ["Offset:0\tk1\tone", "Offset:1\tk2\ttwo, žluť", "Offset:2\tk3\tthree"]
        );
        assert_eq!(reader("1", "1"), ["Offset:1\tk2\ttwo, žluť"]);
    }
}

#[test]
fn java_and_kcat_read_each_other_in_every_codec() {
    if !has_java() || !has_kcat() {
        return;
    }
    let bench = Bench::plain();
    bench.broker.create_topic("both", 1).unwrap();
    let mut expected = Vec::new();
    for codec in CODECS {
        let by_kcat = lines(&format!("kcat {codec}"), 5);
        bench.kcat(&["-P", "-t", "both", "-p", "0", "-z", codec], &(by_kcat.join("\n") + "\n"));
        let by_java = lines(&format!("java {codec}"), 5);
        bench.java_produces(&["--topic", "both", "--compression-codec", codec], &(by_java.join("\n") + "\n"));
        expected.extend(by_kcat);
        expected.extend(by_java);
    }
    assert_eq!(bench.codecs("both"), BTreeSet::from(CODECS));
    assert_eq!(bench.kcat_reads("both", "0", "%s\n"), expected);
    let count = expected.len().to_string();
    let all = ["--topic", "both", "--partition", "0", "--offset", "earliest", "--max-messages", &count];
    assert_eq!(bench.java_reads(&all), expected);
}

#[test]
fn javas_topic_command_creates_lists_and_deletes() {
    if !has_java() {
        return;
    }
    let bench = Bench::plain();
    let create =
        ["--create", "--topic", "made.by.java", "--partitions", "4", "--config", "max.message.bytes=2000"];
    assert_eq!(
        bench.java_topics(&create)[..1],
        [
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is best to use either, but not both."
        ]
    );
    assert_eq!(bench.broker.partitions("made.by.java"), Some(4));
    assert_eq!(bench.java_topics(&["--list"]), ["made.by.java"]);
    let ends = bench.java("org.apache.kafka.tools.GetOffsetShell", &["--topic", "made.by.java"], "").lines();
    assert_eq!(ends, (0..4).map(|p| format!("made.by.java:{p}:0")).collect::<Vec<_>>());
    bench.java_topics(&["--delete", "--topic", "made.by.java"]);
    assert_eq!(bench.broker.topics(), Vec::<String>::new());
}

#[test]
fn javas_tools_change_settings_grow_topics_and_delete_records() {
    if !has_java() {
        return;
    }
    let bench = Bench::plain();
    bench.broker.create_topic("orders", 2).unwrap();
    let configs = |arguments: &[&str]| {
        let of_topic = ["--entity-type", "topics", "--entity-name", "orders"];
        let arguments: Vec<&str> = of_topic.iter().chain(arguments).copied().collect();
        bench.java("kafka.admin.ConfigCommand", &arguments, "").lines()
    };
    let changed = configs(&["--alter", "--add-config", "retention.ms=1000,cleanup.policy=[compact,delete]"]);
    assert_eq!(changed, ["Completed updating config for topic orders."]);
    let mut told = configs(&["--describe"]);
    told[1..].sort_unstable();
    assert_eq!(
        told,
        [
            "Dynamic configs for topic orders are:",
            "  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}",
            "  retention.ms=1000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=1000}",
        ]
    );
    configs(&["--alter", "--delete-config", "retention.ms,cleanup.policy"]);
    assert_eq!(configs(&["--describe"]).len(), 1);

    bench.java_topics(&["--alter", "--topic", "orders", "--partitions", "4"]);
    assert_eq!(bench.broker.partitions("orders"), Some(4));
    let told = bench.java_topics(&["--describe", "--topic", "orders"]);
    assert!(told[0].contains("PartitionCount: 4"), "{told:?}");
    assert!(
        told[4].contains("Partition: 3") && told[4].contains("Leader: 1") && told[4].contains("Isr: 1"),
        "{told:?}"
    );

    bench.java_produces(
        &["--topic", "orders", "--reader-property", "parse.key=true"],
        "k\tone\nk\ttwo\nk\tthree\n",
    );
    let holder = (0..4).find(|n| !bench.broker.records("orders", *n).is_empty()).unwrap();
    let offsets =
        format!(r#"{{"partitions":[{{"topic":"orders","partition":{holder},"offset":2}}],"version":1}}"#);
    let file = bench.file("offsets.json", &offsets);
    let arguments = ["--offset-json-file", file.to_str().unwrap()];
    let deleted = bench.java("org.apache.kafka.tools.DeleteRecordsCommand", &arguments, "").lines();
    assert!(deleted.contains(&format!("partition: orders-{holder}\tlow_watermark: 2")), "{deleted:?}");
    let left: Vec<_> =
        bench.broker.records("orders", holder).into_iter().map(|record| record.offset).collect();
    assert_eq!(left, [2]);
}

#[test]
fn java_authenticates_by_every_mechanism_over_tls() {
    if !has_java() {
        return;
    }
    let bench = Bench::new(Broker::builder().tls().user("alice", "alice-secret, žluť"));
    let ca = bench.file("ca.pem", bench.broker.ca_pem().unwrap());
    bench.broker.create_topic("secret", 1).unwrap();
    for (mechanism, module) in [
        ("PLAIN", "plain.PlainLoginModule"),
        ("SCRAM-SHA-256", "scram.ScramLoginModule"),
        ("SCRAM-SHA-512", "scram.ScramLoginModule"),
    ] {
        let settings = bench.file(
            &format!("{mechanism}.properties"),
            &format!(
                "security.protocol=SASL_SSL\nssl.truststore.type=PEM\nssl.truststore.location={}\n\
                 sasl.mechanism={mechanism}\n\
                 sasl.jaas.config=org.apache.kafka.common.security.{module} required \
                 username=\"alice\" password=\"alice-secret, \\u017elu\\u0165\";\n",
                ca.display()
            ),
        );
        let settings = settings.to_str().unwrap();
        bench.java_produces(&["--topic", "secret", "--command-config", settings], &format!("{mechanism}\n"));
    }
    let values: Vec<String> = bench
        .broker
        .log("secret", 0)
        .iter()
        .map(|batch| String::from_utf8_lossy(&batch.bytes).into_owned())
        .collect();
    assert!(values[0].contains("PLAIN") && values[2].contains("SCRAM-SHA-512"), "{values:?}");
}

#[test]
fn kcat_finds_its_way_among_three_brokers() {
    if !has_kcat() {
        return;
    }
    let bench = Bench::three();
    let led_by = [[1, 2], [2, 3], [3, 1]];
    bench.broker.create_topic_as(&TopicSpec::new("orders").placed(led_by)).unwrap();
    let listed = bench.kcat(&["-L", "-J"], "").text();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["brokers"].as_array().unwrap().len(), 3);
    for (n, [leader, follower]) in led_by.iter().enumerate() {
        let partition = &listed["topics"][0]["partitions"][n];
        assert_eq!(partition["leader"], *leader);
        assert_eq!(partition["replicas"][1]["id"], *follower);
        bench.kcat(&["-P", "-t", "orders", "-p", &n.to_string(), "-X", "acks=all"], &format!("before {n}\n"));
    }
    bench.runtime.block_on(bench.broker.stop_broker(2)).unwrap();
    for n in ["0", "1", "2"] {
        let line = format!("after {n}\n");
        bench.kcat(&["-P", "-t", "orders", "-p", n, "-X", "enable.idempotence=true"], &line);
        assert_eq!(bench.kcat_reads("orders", n, "%s\n"), [format!("before {n}"), format!("after {n}")]);
    }
}

#[test]
fn java_finds_its_way_among_three_brokers_and_their_faults() {
    if !has_java() {
        return;
    }
    let bench = Bench::three();
    bench.java_topics(&["--create", "--topic", "orders", "--partitions", "3", "--replication-factor", "3"]);
    assert_eq!(bench.broker.partition("orders", 0).unwrap().replicas.len(), 3);
    let not_leader = Fault::new(Fate::Fail(ErrorCode::NOT_LEADER_OR_FOLLOWER)).api(ApiKey::PRODUCE);
    bench.broker.add_fault(not_leader.times(2));
    bench.broker.add_fault(Fault::new(Fate::LoseAnswer).api(ApiKey::PRODUCE).times(1));
    let keyed = ["--topic", "orders", "--reader-property", "parse.key=true"];
    let settings = ["--command-property", "request.timeout.ms=2000", "--command-property", "linger.ms=0"];
    let arguments: Vec<&str> = keyed.iter().chain(&settings).copied().collect();
    let lines: Vec<String> = (0..50).map(|n| format!("key-{n}\tvalue-{n}")).collect();
    bench.java_produces(&arguments, &(lines.join("\n") + "\n"));
    let stored = (0..3).flat_map(|n| bench.broker.records("orders", n));
    let mut stored: Vec<String> =
        stored.map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()).collect();
    stored.sort_by_key(|value| value.strip_prefix("value-").unwrap().parse::<u32>().unwrap());
    assert_eq!(stored, (0..50).map(|n| format!("value-{n}")).collect::<Vec<_>>(), "each once");
    bench.runtime.block_on(bench.broker.stop_broker(1)).unwrap();
    let expected: Vec<String> = bench
        .broker
        .records("orders", 0)
        .into_iter()
        .map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap())
        .collect();
    let count = expected.len().to_string();
    let all = ["--topic", "orders", "--partition", "0", "--offset", "earliest", "--max-messages", &count];
    assert_eq!(bench.java_reads(&all), expected);
}
