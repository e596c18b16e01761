//! Apache's Java producers, told step by step what to write: `tests/kafka/java/Transactions.java`.

use super::kafka::RealKafka;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

/// Longer than Java takes to compile the program, and than any step.
const STEP_LIMIT: Duration = Duration::from_secs(60);

/// Producers of one topic. Dropping it leaves open what transactions are open.
#[derive(Debug)]
pub struct JavaWriter {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
}

impl JavaWriter {
    pub fn start(kafka: &RealKafka, topic: &str) -> JavaWriter {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/java/Transactions.java");
        let source = source.to_str().expect("a path in UTF-8");
        let mut java = kafka.java(source, &[kafka.plaintext(), topic]);
        let spawned = java.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot start {java:?}: {error}"));
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, answers) = sync_channel(1);
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        JavaWriter { child, stdin, answers }
    }

    /// Adds a producer, with transactions when it has an id for them.
    #[track_caller]
    pub fn producer(&mut self, name: &str, codec: &str, transactional_id: Option<&str>) {
        self.obey(&format!("producer {name} {codec} {}", transactional_id.unwrap_or_default()));
    }

    #[track_caller]
    pub fn begin(&mut self, name: &str) {
        self.obey(&format!("begin {name}"));
    }

    #[track_caller]
    pub fn commit(&mut self, name: &str) {
        self.obey(&format!("commit {name}"));
    }

    #[track_caller]
    pub fn abort(&mut self, name: &str) {
        self.obey(&format!("abort {name}"));
    }

    /// Sends values without spaces in one batch, when they fit in one; their offsets.
    #[track_caller]
    pub fn send(&mut self, name: &str, partition: i32, values: &[String]) -> Vec<i64> {
        let offsets = self.obey(&format!("send {name} {partition} {}", values.join(" ")));
        offsets.split(' ').map(|offset| offset.parse().expect("an offset")).collect()
    }

    #[track_caller]
    fn obey(&mut self, command: &str) -> String {
        writeln!(self.stdin, "{command}").expect("the writer is gone");
        let answer = self.answers.recv_timeout(STEP_LIMIT);
        let answer = answer.unwrap_or_else(|error| panic!("{command:?} was not answered: {error}"));
        let said = answer.strip_prefix("ok").unwrap_or_else(|| panic!("{command:?} was answered {answer:?}"));
        said.trim_start().to_owned()
    }
}

impl Drop for JavaWriter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
