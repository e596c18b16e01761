//! The programs of a run: sinks or a Kafka that live as long as it, clients that live for one job, and the files that they
//! read.

use super::cases::{self, Case, SinkKind};
use super::kafka::Kafka;
use crate::clients::FLOOR;
use crate::job::WINDOW_BYTES;
use crate::source::Log;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Name and value, as a client printed them.
pub type Figures = BTreeMap<String, f64>;

/// All clients there are, in the table's order, and what none of them can do without.
pub const ALL: [&str; 6] = ["ottla", "librdkafka", "krafka", "franz-go", "rskafka", FLOOR];

/// The clients' core, and the sinks' (or Kafka's).
const CLIENT_CORE: usize = 0;
pub const SINK_CORE: usize = 1;
/// No job takes as long.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where it all happens.
pub struct Workshop {
    folder: PathBuf,
    franz: Option<PathBuf>,
    /// Each with the case whose topic it has, where it has one.
    sinks: BTreeMap<(SinkKind, &'static str), Sink>,
    /// In place of all sinks.
    kafka: Option<Kafka>,
}

/// A sink or a source.
struct Sink {
    process: Child,
    output: BufReader<ChildStdout>,
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
    /// With a real Kafka, or with sinks.
    pub fn open(on_kafka: bool) -> Workshop {
        let cores = sched_getaffinity(None).expect("Linux");
        assert!(cores.is_set(CLIENT_CORE) && cores.is_set(SINK_CORE), "two cores are wanted, 0 and 1");
        let folder = std::env::temp_dir().join(format!("compare-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let franz = build_franz(&folder);
        let kafka = on_kafka.then(Kafka::start);
        Workshop { folder, franz, sinks: BTreeMap::new(), kafka }
    }

    /// Those that can be run.
    pub fn clients(&self) -> Vec<String> {
        let here = |client: &&&str| match **client {
            "franz-go" => self.franz.is_some(),
            name => crate::clients::BUILT.contains(&name),
        };
        ALL.iter().filter(here).map(|client| (*client).to_owned()).collect()
    }

    /// What the clients talk to, for the table's reader.
    pub fn against(&self) -> String {
        match &self.kafka {
            None => "a sink that answers at once, or a broker in memory".to_owned(),
            Some(kafka) => format!(
                "Kafka {}, one broker, whose log grew in each run by the records that were acknowledged and no others",
                kafka.fact("version")
            ),
        }
    }

    /// One job of one client. Against a real Kafka the job fails unless its log has grown by the records that were
    /// acknowledged, no more and no less.
    pub fn run(&mut self, client: &str, case: &'static Case, scale: f64) -> Result<Figures, String> {
        let words = &case.words(scale);
        if let Some((kafka, log)) = self.kafka.as_mut().zip(case.log(scale)) {
            kafka.fill(&log);
        }
        let before = self.kafka.as_ref().map(Kafka::written);
        let address = match &self.kafka {
            Some(kafka) => kafka.address(case.sink).to_owned(),
            None => self.sink(case, scale).address.clone(),
        };
        let counting = self.kafka.is_none() && case.counts();
        if counting {
            // What an earlier client left behind.
            self.sink(case, scale).counts();
        }
        let mut figures = self.job(client, case, &address, words)?;
        if counting {
            figures.extend(self.sink(case, scale).counts());
            case.judge(&mut figures);
        }
        if let Some((kafka, before)) = self.kafka.as_ref().zip(before) {
            let (acknowledged, written) = (cases::records(words), kafka.written() - before);
            if written != acknowledged {
                return Err(format!(
                    "{acknowledged} records were acknowledged, and {written} are in the log"
                ));
            }
        }
        Ok(figures)
    }

    /// On the clients' core.
    fn job(&self, client: &str, case: &Case, address: &str, words: &[String]) -> Result<Figures, String> {
        let (job, arguments) = words.split_first().expect("a job");
        let mut command = match (client, &self.franz) {
            ("franz-go", Some(franz)) => Command::new(franz),
            _ => myself(),
        };
        command.arg(job);
        if client != "franz-go" {
            command.arg(client);
        }
        command.arg(address).args(arguments);
        command.env("COMPARE_SETTINGS", self.settings(case)).env("COMPARE_PAYLOAD", self.payload(case.bytes));
        command.env("RUST_BACKTRACE", "0");
        let (line, after) = first_line(&mut command)?;
        let mut figures = parse(&line);
        figures.insert("first_ms".into(), after.as_secs_f64() * 1e3);
        if let Some(rss) = figures.get("rss_mib").filter(|_| !case.reads()) {
            figures.insert("rss_over_mib".into(), rss - (WINDOW_BYTES >> 20) as f64);
        }
        Ok(figures)
    }

    fn sink(&mut self, case: &'static Case, scale: f64) -> &mut Sink {
        let log = case.log(scale);
        let key = (case.sink, if log.is_some() { case.name } else { "" });
        let folder = &self.folder;
        self.sinks.entry(key).or_insert_with(|| Sink::start(case.sink, log.as_ref(), folder))
    }

    fn settings(&self, case: &Case) -> String {
        let certificates = self.folder.join("certificates/ca.pem").display().to_string();
        let (user, password, ca) = match &self.kafka {
            Some(kafka) => (kafka.fact("user"), kafka.fact("password"), kafka.fact("ca")),
            None => ("compare", "compare", certificates.as_str()),
        };
        let login = format!(
            "security.protocol=SASL_SSL sasl.mechanism=PLAIN sasl.username={user} sasl.password={password} \
             ssl.ca.location={ca}"
        );
        let secure = matches!(case.sink, SinkKind::Secure | SinkKind::SecureSource);
        let login = if secure { login } else { String::new() };
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

impl Sink {
    fn start(kind: SinkKind, log: Option<&Log>, folder: &Path) -> Sink {
        let mut command = myself();
        match kind {
            SinkKind::Plain => command.arg("sink"),
            SinkKind::Distant => command.args(["sink", "--latency", "20ms"]),
            SinkKind::Secure => command.args(["sink", "--tls"]).arg(certificates(folder)),
            SinkKind::Source(brokers, options) => {
                command.args(["source", "--brokers", &brokers.to_string()]).args(options)
            }
            SinkKind::SecureSource => command.args(["source", "--tls"]).arg(certificates(folder)),
        };
        command.args(log.map(Log::word));
        let mut process = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()), SINK_CORE);
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let mut sink = Sink { process, output, address: String::new() };
        sink.address = sink.line();
        sink
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        assert!(!line.is_empty(), "a sink or source has ended");
        line.trim().to_owned()
    }

    /// What it has seen since it was last asked.
    fn counts(&mut self) -> Figures {
        let input = self.process.stdin.as_mut().expect("piped");
        input.write_all(b"\n").expect("a source that counts");
        parse(&self.line())
    }
}

/// Made where they are not yet.
fn certificates(folder: &Path) -> PathBuf {
    let certificates = folder.join("certificates");
    if !certificates.exists() {
        let status = Command::new(project().join("tests/kafka/certs")).arg(&certificates).status();
        assert!(status.is_ok_and(|status| status.success()), "no certificates from tests/kafka/certs");
    }
    certificates
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

pub fn project() -> PathBuf {
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
pub fn spawn(command: &mut Command, core: usize) -> Child {
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
