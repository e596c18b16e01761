//! A real Kafka of one broker, which the project's own scripts start, and what lies in its topic.

use super::cases::SinkKind;
use super::programs::{SINK_CORE, project, spawn};
use crate::job::Settings;
use crate::sink::TOPIC;
use crate::source::{self, Log};
use ottla::{Client, NewTopic};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 6;
/// What is old goes at once, so that the disk has to hold little: a partition keeps 32 to 64 MiB.
const BROKER: [&str; 3] = [
    "log.initial.task.delay.ms=1000",
    "log.retention.check.interval.ms=1000",
    "log.segment.delete.delay.ms=1000",
];
const TOPIC_SETTINGS: [(&str, &str); 3] = [
    ("retention.bytes", "33554432"),
    ("segment.bytes", "16777216"),
    // rskafka does not count what frames a record, so that a megabyte of small ones comes to more.
    ("max.message.bytes", "2097152"),
];

/// How long the broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// It ends, and what it wrote is deleted, when this is dropped or its process dies.
pub struct Kafka {
    process: Child,
    facts: BTreeMap<String, String>,
    /// What is there to be read.
    logs: Vec<Log>,
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // The end of its input is how it is told.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

impl Kafka {
    /// On the sinks' core, with a topic like theirs.
    pub fn start() -> Kafka {
        let mut command = Command::new(project().join("tests/kafka/run"));
        for setting in BROKER {
            command.args(["--set", setting]);
        }
        let mut process = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()), SINK_CORE);
        let mut said = String::new();
        let output = process.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut said).expect("a line of tests/kafka/run");
        let file = said.trim().strip_prefix("ready ").expect("a Kafka that tests/kafka/run has started");
        let facts = std::fs::read_to_string(file).expect("the file that it names");
        let pairs = facts.lines().filter_map(|line| line.split_once('='));
        let facts = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let kafka = Kafka { process, facts, logs: Vec::new() };
        kafka.create_topic();
        kafka
    }

    fn create_topic(&self) {
        let mut topic = NewTopic::named(TOPIC).partitions(PARTITIONS);
        for (name, value) in TOPIC_SETTINGS {
            topic = topic.config(name, value);
        }
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let client = Client::builder().bootstrap(self.fact("plaintext")).build().expect("a client");
            let created = client.admin().create_topics([topic]).await.expect("an answer");
            created[TOPIC].clone().expect("a topic");
        });
    }

    /// Makes a topic and writes its records, once.
    pub fn fill(&mut self, log: &Log) {
        if !self.logs.contains(log) {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(source::fill(self.fact("plaintext"), &Settings::new(), log));
            self.logs.push(log.clone());
        }
    }

    /// A line of its environment file.
    pub fn fact(&self, name: &str) -> &str {
        self.facts.get(name).unwrap_or_else(|| panic!("tests/kafka/run says nothing of '{name}'"))
    }

    pub fn address(&self, kind: SinkKind) -> &str {
        match kind {
            SinkKind::Plain | SinkKind::Source(..) => self.fact("plaintext"),
            SinkKind::Secure | SinkKind::SecureSource => self.fact("sasl_ssl"),
            SinkKind::Distant => panic!("a real Kafka is not far away"),
        }
    }

    /// How many records were ever written to the topic, as its log end offsets say: kcat asks for them, which is none of
    /// the clients that are compared.
    pub fn written(&self) -> u64 {
        let began = Instant::now();
        loop {
            match self.log_end_offsets() {
                Ok(offsets) => return offsets.iter().sum(),
                // Of a topic that was just created the broker leads only some partitions yet.
                Err(_) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(100)),
                Err(said) => panic!("kcat on the topic's offsets: {said}"),
            }
        }
    }

    fn log_end_offsets(&self) -> Result<Vec<u64>, String> {
        let mut kcat = Command::new("kcat");
        kcat.args(["-Q", "-b", self.fact("plaintext")]);
        for partition in 0..PARTITIONS {
            kcat.args(["-t", &format!("{TOPIC}:{partition}:-1")]);
        }
        let output = kcat.output().expect("kcat (Debian's package of this name) runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let offsets: Vec<u64> =
            said.lines().filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        if offsets.len() == PARTITIONS as usize { Ok(offsets) } else { Err(format!("{output:?}")) }
    }
}
