//! A real Apache Kafka, and the independent clients that talk to it.
//!
//! `tests/kafka/run` does the work; this starts it, reads where the brokers listen, and hands out commands. The brokers
//! die with the test process: the script ends when its standard input does.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use super::in_ci;
use super::process::{self, Finished};

/// How long starting or stopping brokers may take; the first start on a machine fetches them too.
const START_LIMIT: Duration = Duration::from_secs(300);

/// How long one run of a client may take.
pub const CLIENT_LIMIT: Duration = Duration::from_secs(60);

/// The real Kafka, or `return` from the test: loudly, or failing it with `CI=true`.
macro_rules! real_kafka {
    () => {
        match $crate::real::kafka::RealKafka::get() {
            Some(kafka) => kafka,
            None => return $crate::real::skip("this machine cannot run a real Kafka"),
        }
    };
}

/// A running Kafka of one broker or several.
#[derive(Debug)]
pub struct RealKafka {
    facts: HashMap<String, String>,
    /// What keeps it; `None` when somebody else does.
    runner: Option<Mutex<Runner>>,
    /// The environment file.
    file: PathBuf,
}

impl RealKafka {
    /// The one that this test process shares, started at first use; or the one that `KAFKA` names the environment file of.
    /// `None` where this machine cannot run one.
    pub fn get() -> Option<&'static RealKafka> {
        static SHARED: OnceLock<Option<RealKafka>> = OnceLock::new();
        SHARED.get_or_init(|| RealKafka::named().or_else(|| RealKafka::start(&[]))).as_ref()
    }

    /// The one that `KAFKA` names the environment file of, if it does.
    pub fn named() -> Option<RealKafka> {
        let file = std::env::var_os("KAFKA")?;
        Some(RealKafka { facts: read_facts(Path::new(&file)), runner: None, file: file.into() })
    }

    /// A Kafka of the caller's own, which it may stop and kill; `arguments` as `tests/kafka/run` has them
    /// (`["--brokers", "3", "--set", "connections.max.reauth.ms=2000"]`). Dropping it ends it.
    pub fn start(arguments: &[&str]) -> Option<RealKafka> {
        let missing: Vec<_> = ["java", "mvn", "openssl", "setpriv", "flock"]
            .into_iter()
            .filter(|program| !process::installed(program))
            .collect();
        if !missing.is_empty() && !in_ci() {
            return None;
        }
        assert!(missing.is_empty(), "with CI=true a real Kafka must run, and here is no {missing:?}");
        let mut runner = Runner::start(arguments);
        let ready = runner.next_line("to be ready");
        let file = ready.strip_prefix("ready ").unwrap_or_else(|| panic!("tests/kafka/run said {ready:?}"));
        Some(RealKafka {
            facts: read_facts(Path::new(file)),
            runner: Some(Mutex::new(runner)),
            file: file.into(),
        })
    }

    /// Brokers that are none of Apache's, for its clients to talk to: what listens at `plaintext`, and where the jars lie.
    pub fn imitated(plaintext: &str, lib: &Path) -> RealKafka {
        let lib = lib.to_str().expect("a path in UTF-8").to_owned();
        let facts = [("version", "4.3.1".to_owned()), ("plaintext", plaintext.to_owned()), ("lib", lib)];
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        RealKafka { facts, runner: None, file: PathBuf::new() }
    }

    /// A line of the environment file: `version`, `user`, `certs`, `sasl_ssl`..., see `tests/kafka/README.md`.
    #[track_caller]
    pub fn fact(&self, name: &str) -> &str {
        self.facts.get(name).unwrap_or_else(|| panic!("the environment file of Kafka has no line {name}="))
    }

    /// Bootstrap addresses, no security.
    pub fn plaintext(&self) -> &str {
        self.fact("plaintext")
    }

    /// Bootstrap addresses: TLS by a certificate for `localhost` of the authority [`ca`](Self::ca), then SASL.
    pub fn sasl_ssl(&self) -> &str {
        self.fact("sasl_ssl")
    }

    /// Bootstrap addresses: SASL without TLS.
    pub fn sasl_plaintext(&self) -> &str {
        self.fact("sasl_plaintext")
    }

    /// The authority's certificate, PEM.
    pub fn ca(&self) -> PathBuf {
        PathBuf::from(self.fact("ca"))
    }

    /// A file that `tests/kafka/certs` made, such as `client.pem`.
    pub fn cert(&self, name: &str) -> PathBuf {
        Path::new(self.fact("certs")).join(name)
    }

    /// Who may log in.
    pub fn user(&self) -> &str {
        self.fact("user")
    }

    /// With which password.
    pub fn password(&self) -> &str {
        self.fact("password")
    }

    /// Whether this is a release before 4.0, which lacks what came since.
    pub fn is_3_x(&self) -> bool {
        self.fact("version").starts_with("3.")
    }

    /// Tells the script that owns the brokers what to do, `kill 1` for example, and waits until it is done.
    ///
    /// # Panics
    /// When it cannot be done.
    #[track_caller]
    pub fn command(&self, command: &str) {
        let Some(runner) = &self.runner else {
            let mut control = Command::new(script("control"));
            process::run(control.arg(&self.file).args(command.split(' ')), b"", START_LIMIT).success();
            return;
        };
        let mut runner = runner.lock().expect("an earlier command failed");
        let stdin = runner.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{command}").expect("tests/kafka/run is gone");
        let answer = runner.next_line(command);
        assert_eq!(answer, "ok", "tests/kafka/run on {command:?}");
    }

    /// `kcat`, with the options to reach the plaintext listener.
    pub fn kcat(&self, arguments: &[&str]) -> Command {
        let mut kcat = Command::new("kcat");
        kcat.arg("-b").arg(self.plaintext()).args(arguments);
        kcat
    }

    /// `kcat` over `SASL_SSL` with PLAIN (its librdkafka is too old for SCRAM against brokers of today).
    pub fn kcat_sasl_ssl(&self, arguments: &[&str]) -> Command {
        let mut kcat = Command::new("kcat");
        kcat.arg("-b").arg(self.sasl_ssl()).args([
            "-X",
            "security.protocol=SASL_SSL",
            "-X",
            "sasl.mechanism=PLAIN",
        ]);
        for (key, value) in [
            ("ssl.ca.location", self.fact("ca")),
            ("sasl.username", self.user()),
            ("sasl.password", self.password()),
        ] {
            kcat.arg("-X").arg(format!("{key}={value}"));
        }
        kcat.args(arguments);
        kcat
    }

    /// One of Kafka's own programs, by its class; it says nothing but warnings.
    pub fn java(&self, class: &str, arguments: &[&str]) -> Command {
        let mut java = Command::new("java");
        java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-Dfile.encoding=UTF-8"])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .args(["-cp", &format!("{}/*", self.fact("lib")), class])
            .args(arguments)
            .env("LC_ALL", "C.UTF-8");
        java
    }

    /// The console producer's option for what its reader does, `parse.key=true` for example (KIP-1147 renamed it).
    pub fn reader_property(&self) -> &'static str {
        if self.is_3_x() { "--property" } else { "--reader-property" }
    }

    /// The console producer's option for a setting of its client (KIP-1147 renamed it).
    pub fn client_property(&self) -> &'static str {
        if self.is_3_x() { "--producer-property" } else { "--command-property" }
    }

    /// The console consumer's option for what it prints, `print.key=true` for example (KIP-1147 renamed it).
    pub fn formatter_property(&self) -> &'static str {
        if self.is_3_x() { "--property" } else { "--formatter-property" }
    }

    /// Produces lines with the Java client; `arguments` such as `["--topic", "orders"]`.
    #[track_caller]
    pub fn java_produce(&self, bootstrap: &str, arguments: &[&str], lines: &str) -> Finished {
        let class = if self.is_3_x() {
            "kafka.tools.ConsoleProducer"
        } else {
            "org.apache.kafka.tools.ConsoleProducer"
        };
        let mut java = self.java(class, &["--bootstrap-server", bootstrap]);
        process::run(java.args(arguments), lines.as_bytes(), CLIENT_LIMIT).success()
    }

    /// Consumes with the Java client; `arguments` such as `["--topic", "orders", "--from-beginning", "--max-messages", "3"]`.
    #[track_caller]
    pub fn java_consume(&self, bootstrap: &str, arguments: &[&str]) -> Finished {
        let mut java =
            self.java("org.apache.kafka.tools.consumer.ConsoleConsumer", &["--bootstrap-server", bootstrap]);
        java.args(["--timeout-ms", "20000"]);
        process::run(java.args(arguments), b"", CLIENT_LIMIT).success()
    }

    /// Creates a topic with Kafka's own tool; `arguments` such as `["--partitions", "3", "--config", "cleanup.policy=compact"]`.
    #[track_caller]
    pub fn java_create_topic(&self, topic: &str, arguments: &[&str]) {
        let fixed = ["--bootstrap-server", self.plaintext(), "--create", "--topic", topic];
        let mut java = self.java("org.apache.kafka.tools.TopicCommand", &fixed);
        process::run(java.args(arguments), b"", CLIENT_LIMIT).success();
    }
}

/// A name for a topic (or group) that no other test of any run uses.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Runs a client to its end, which must be a success.
#[track_caller]
pub fn run(command: &mut Command, input: &str) -> Finished {
    process::run(command, input.as_bytes(), CLIENT_LIMIT).success()
}

/// A script of `tests/kafka`.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka").join(name)
}

fn read_facts(file: &Path) -> HashMap<String, String> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| {
        panic!("cannot read the environment file of Kafka, {}: {error}", file.display())
    });
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// `tests/kafka/run` and the way to talk to it.
#[derive(Debug)]
struct Runner {
    child: Child,
    lines: Receiver<String>,
}

impl Runner {
    fn start(arguments: &[&str]) -> Runner {
        let script = script("run");
        let mut child = Command::new(&script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", script.display()));
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = sync_channel(1);
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Runner { child, lines }
    }

    #[track_caller]
    fn next_line(&mut self, what: &str) -> String {
        match self.lines.recv_timeout(START_LIMIT) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("tests/kafka/run took too long {what}"),
            Err(RecvTimeoutError::Disconnected) => panic!("tests/kafka/run gave up: {:?}", self.child.wait()),
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Closes the script's input first, which is how it is told to end (a signal would leave its folder behind).
        let _ = self.child.wait();
    }
}
