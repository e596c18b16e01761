//! The binary in a folder of its own, with no setting that the test has not given it, and a broker that all tests share.

use ottla::broker::Broker;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::real::process::{self, Finished};

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A folder to run the tool in.
#[derive(Debug)]
pub(crate) struct Tool {
    folder: TempDir,
    settings: Vec<String>,
}

impl Tool {
    /// Without any settings.
    pub(crate) fn bare() -> Tool {
        Tool { folder: TempDir::new().unwrap(), settings: Vec::new() }
    }

    /// On the broker that all tests share.
    pub(crate) fn new() -> Tool {
        Tool::at(&shared().bootstrap_servers())
    }

    /// On other brokers.
    pub(crate) fn at(bootstrap: &str) -> Tool {
        Tool { settings: vec!["-b".to_owned(), bootstrap.to_owned()], ..Tool::bare() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The tool with these arguments, split at spaces, and none of our own environment's settings.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("KAFKA_") || name == "RUST_LOG" {
                command.env_remove(&*name);
            }
        }
        command.current_dir(self.folder()).args(&self.settings).args(arguments.split_whitespace());
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &str, input: impl AsRef<[u8]>) -> Finished {
        process::run(&mut self.command(arguments), input.as_ref(), LIMIT)
    }

    /// Runs it to an end that is a success, and gives the lines of its output.
    #[track_caller]
    pub(crate) fn lines(&self, arguments: &str, input: impl AsRef<[u8]>) -> Vec<String> {
        self.run(arguments, input).success().lines()
    }

    /// What a topic holds, as JSON, by partition and offset.
    #[track_caller]
    pub(crate) fn records(&self, topic: &str) -> Vec<Value> {
        let lines = self.lines(&format!("consume {topic} -e -J -q"), "");
        let mut records: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        records.sort_by_key(|record| (record["partition"].as_i64(), record["offset"].as_i64()));
        records
    }

    /// The values that a topic holds, sorted.
    #[track_caller]
    pub(crate) fn values(&self, topic: &str) -> Vec<String> {
        let mut lines = self.lines(&format!("consume {topic} -e -q"), "");
        lines.sort();
        lines
    }

    /// Runs it in the background.
    pub(crate) fn start(&self, arguments: &str) -> Running {
        Running::start(&mut self.command(arguments))
    }
}

/// The tool in the background; it is killed when the test is over.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: Receiver<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let complaints = lines_of(child.stderr.take().unwrap());
        Running { stdin: child.stdin.take(), child, lines, complaints }
    }

    /// Types something.
    pub(crate) fn input(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// The next line of its output.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line of output")
    }

    /// The next line of its output, if it comes within a moment.
    pub(crate) fn try_line(&self) -> Option<String> {
        self.lines.recv_timeout(Duration::from_millis(200)).ok()
    }

    /// The next line of what it says on standard error.
    #[track_caller]
    pub(crate) fn complaint(&self) -> String {
        self.complaints.recv_timeout(LIMIT).expect("a line on standard error")
    }

    pub(crate) fn signal(&self, name: &str) {
        let killed = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(killed.unwrap().success());
    }

    /// Waits for its end and gives the exit code.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status.code(),
                None => assert!(Instant::now() < deadline, "it does not end"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = sync_channel(1000);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// The broker that all tests share; it ends with the process.
pub(crate) fn shared() -> &'static Broker {
    static SHARED: OnceLock<(Runtime, Broker)> = OnceLock::new();
    let (_, broker) = SHARED.get_or_init(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let broker = runtime.block_on(Broker::builder().start()).unwrap();
        (runtime, broker)
    });
    broker
}

/// A topic that no other test has.
pub(crate) fn topic() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("topic-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}
