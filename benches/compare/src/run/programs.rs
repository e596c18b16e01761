//! The programs of a run: sinks that live as long as it, clients that live for one job, and the files that they read.

use super::cases::{Case, SinkKind};
use crate::job::WINDOW_BYTES;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Name and value, as a client printed them.
pub type Figures = BTreeMap<String, f64>;

/// All clients there are, in the table's order.
pub const ALL: [&str; 5] = ["ottla", "librdkafka", "krafka", "franz-go", "rskafka"];

/// The clients' core, and the sinks'.
const CLIENT_CORE: usize = 0;
const SINK_CORE: usize = 1;
/// No job takes as long.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where it all happens.
pub struct Workshop {
    folder: PathBuf,
    franz: Option<PathBuf>,
    sinks: BTreeMap<SinkKind, Sink>,
}

struct Sink {
    process: Child,
    address: String,
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Workshop {
    pub fn open() -> Workshop {
        let cores = sched_getaffinity(None).expect("Linux");
        assert!(cores.is_set(CLIENT_CORE) && cores.is_set(SINK_CORE), "two cores are wanted, 0 and 1");
        let folder = std::env::temp_dir().join(format!("compare-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let franz = build_franz(&folder);
        Workshop { folder, franz, sinks: BTreeMap::new() }
    }

    /// Those that can be run.
    pub fn clients(&self) -> Vec<String> {
        let here = |client: &&&str| match **client {
            "franz-go" => self.franz.is_some(),
            name => crate::clients::BUILT.contains(&name),
        };
        ALL.iter().filter(here).map(|client| (*client).to_owned()).collect()
    }

    /// One job of one client, on its core.
    pub fn run(&mut self, client: &str, case: &Case, words: &[String]) -> Result<Figures, String> {
        let address = self.sink(case.sink);
        let (job, arguments) = words.split_first().expect("a job");
        let mut command = match (client, &self.franz) {
            ("franz-go", Some(franz)) => Command::new(franz),
            _ => myself(),
        };
        command.arg(job);
        if client != "franz-go" {
            command.arg(client);
        }
        command.arg(&address).args(arguments);
        command.env("COMPARE_SETTINGS", self.settings(case)).env("COMPARE_PAYLOAD", self.payload(case.bytes));
        let (line, after) = first_line(&mut command)?;
        let mut figures = parse(&line);
        figures.insert("first_ms".into(), after.as_secs_f64() * 1e3);
        if let Some(rss) = figures.get("rss_mib") {
            figures.insert("rss_over_mib".into(), rss - (WINDOW_BYTES >> 20) as f64);
        }
        Ok(figures)
    }

    fn sink(&mut self, kind: SinkKind) -> String {
        let certificates = self.folder.join("certificates");
        let start = || {
            let mut command = myself();
            command.arg("sink");
            match kind {
                SinkKind::Plain => &mut command,
                SinkKind::Distant => command.args(["--latency", "20ms"]),
                SinkKind::Secure => {
                    let status =
                        Command::new(project().join("tests/kafka/certs")).arg(&certificates).status();
                    assert!(
                        status.is_ok_and(|status| status.success()),
                        "no certificates from tests/kafka/certs"
                    );
                    command.arg("--tls").arg(&certificates)
                }
            };
            let mut process = spawn(command.stdout(Stdio::piped()), SINK_CORE);
            let mut address = String::new();
            let output = process.stdout.take().expect("piped");
            BufReader::new(output).read_line(&mut address).expect("an address");
            Sink { process, address: address.trim().to_owned() }
        };
        self.sinks.entry(kind).or_insert_with(start).address.clone()
    }

    fn settings(&self, case: &Case) -> String {
        let login = format!(
            "security.protocol=SASL_SSL sasl.mechanism=PLAIN sasl.username=compare sasl.password=compare \
             ssl.ca.location={}",
            self.folder.join("certificates/ca.pem").display()
        );
        let login = if case.sink == SinkKind::Secure { login } else { String::new() };
        format!("{} {login}", case.settings)
    }

    fn payload(&self, bytes: usize) -> PathBuf {
        let file = self.folder.join(format!("payload-{bytes}"));
        if !file.exists() {
            std::fs::write(&file, crate::payload::make(bytes)).expect("a payload that is written");
        }
        file
    }
}

/// Its program, `None` (and a word) where Go is not there.
fn build_franz(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("franz");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("franz");
    let status =
        Command::new("go").arg("build").arg("-o").arg(&program).arg(".").current_dir(source).status();
    match status {
        Ok(status) if status.success() => Some(program),
        other => {
            eprintln!("without franz-go: `go build` in franz/: {other:?}");
            None
        }
    }
}

fn myself() -> Command {
    Command::new(std::env::current_exe().expect("a program"))
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The line that a client prints, and when it came, counted from the start of the process.
fn first_line(command: &mut Command) -> Result<(String, Duration), String> {
    let began = Instant::now();
    let mut process = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()), CLIENT_CORE);
    let (output, mut errors) = (process.stdout.take().expect("piped"), process.stderr.take().expect("piped"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(output).read_line(&mut line);
        let _ = tell.send((line, began.elapsed()));
    });
    let answer = told.recv_timeout(PATIENCE);
    if answer.is_err() {
        let _ = process.kill();
    }
    let mut words = String::new();
    let _ = errors.read_to_string(&mut words);
    let status = process.wait().expect("a process that was started");
    match answer {
        Ok((line, after)) if status.success() && !line.is_empty() => Ok((line, after)),
        Ok(_) => Err(format!("{status}: {}", words.trim())),
        Err(_) => Err(format!("took more than {PATIENCE:?}")),
    }
}

/// On one core; who starts a process hands down where it may run.
fn spawn(command: &mut Command, core: usize) -> Child {
    let before = sched_getaffinity(None).expect("Linux");
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one).expect("a core");
    let child = command.spawn();
    sched_setaffinity(None, &before).expect("the cores from before");
    child.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn parse(line: &str) -> Figures {
    let pair = |word: &str| {
        let (name, value) = word.split_once('=')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    line.split_whitespace().filter_map(pair).collect()
}
