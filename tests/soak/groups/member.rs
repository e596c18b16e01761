//! Members of a group, each in a process of its own, so that it can be killed and stopped.
//!
//! Ours tells on its standard output what happens to it, with the time in microseconds since 1970:
//!
//! ```text
//! @assigned TIME P,P        @revoked TIME P,P        @lost TIME P,P        the listener was told
//! @got TIME P OFFSET                                                       a record was handed out
//! @error TIME ERROR                                                        a poll failed
//! @closed TIME ERROR?                                                      the consumer was closed
//! ```

use crate::real::kafka::RealKafka;
use ottla::Client;
use ottla::consumer::RebalanceKind;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Says that this process is a member: its settings, each on a line, `topics=` among them.
const ASK: &str = "OTTLA_SOAK_MEMBER";
/// How long a member may take to close.
const CLOSING: Duration = Duration::from_secs(20);

/// The member's process: [`Member::ours`] starts this binary anew with this test alone. Without that it is nothing.
#[test]
fn member_process() {
    let Ok(settings) = std::env::var(ASK) else { return };
    // What the test harness printed has no end of line yet.
    println!();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(&settings));
}

async fn run(settings: &str) {
    let (mut builder, mut topic, mut bootstrap) = (Vec::new(), "", "");
    for line in settings.lines() {
        match line.split_once('=').unwrap() {
            ("topics", name) => topic = name,
            ("bootstrap.servers", servers) => bootstrap = servers,
            setting => builder.push(setting),
        }
    }
    let client = Client::builder().bootstrap(bootstrap).build().unwrap();
    let mut consumer = client.consumer().subscribe([topic]).on_rebalance(|rebalance| {
        let word = match rebalance.kind() {
            RebalanceKind::Assigned => "assigned",
            RebalanceKind::Revoked => "revoked",
            _ => "lost",
        };
        let partitions = rebalance.partitions().iter().map(|own| own.partition.to_string());
        say(word, partitions.collect::<Vec<_>>().join(","));
        async {}
    });
    for (key, value) in builder {
        consumer = consumer.set(key, value);
    }
    let mut consumer = consumer.build().await.unwrap();
    let (end, ended) = tokio::sync::oneshot::channel();
    thread::spawn(move || {
        // Whoever closes the input wants the member to leave.
        let _ = std::io::stdin().read(&mut [0]);
        end.send(())
    });
    let reading = async {
        loop {
            match consumer.poll().await {
                Ok(Some(batch)) => {
                    // Who is stopped while it speaks was given them before.
                    let at = now();
                    for record in &batch {
                        say_of(at, "got", format_args!("{} {}", record.partition(), record.offset()));
                    }
                    // What is to be done with them.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Ok(None) => break,
                Err(error) => say("error", error),
            }
        }
    };
    tokio::select! {
        _ = ended => {}
        () = reading => {}
    }
    let error = consumer.close(Duration::from_secs(10)).await.err();
    say("closed", error.map(|error| error.to_string()).unwrap_or_default());
}

fn say(word: &str, what: impl Display) {
    say_of(now(), word, what);
}

fn say_of(at: u64, word: &str, what: impl Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@{word} {at} {what}").unwrap();
    out.flush().unwrap();
}

/// Which client a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Java,
    Kcat,
}

/// A member's process; killed when dropped.
pub struct Member {
    pub kind: Kind,
    pub name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Arc<Mutex<Vec<String>>>,
    complaints: Arc<Mutex<Vec<String>>>,
    /// When it was stopped, if it is.
    pub stopped: Option<Instant>,
    /// When it was killed, in microseconds since 1970.
    pub killed: Option<u64>,
    /// From when to when it stood still.
    pub pauses: Vec<(u64, u64)>,
}

/// A group and its topic.
pub struct Place<'a> {
    pub kafka: &'a RealKafka,
    pub group: &'a str,
    pub topic: &'a str,
    /// Of all members, as `partition.assignment.strategy`.
    pub settings: &'a [(&'a str, &'a str)],
    /// Of Java's members instead of ours, where they are named otherwise.
    pub java: &'a [(&'a str, &'a str)],
}

impl Member {
    pub fn start(kind: Kind, number: usize, place: &Place<'_>) -> Member {
        let mut command = match kind {
            Kind::Ours => Member::ours(place),
            Kind::Java => Member::java(place),
            Kind::Kcat => Member::kcat(place),
        };
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = collect(child.stdout.take().unwrap());
        let complaints = collect(child.stderr.take().unwrap());
        let input = child.stdin.take();
        let name = format!("{kind:?}-{number}");
        Member {
            kind,
            name,
            child,
            input,
            lines,
            complaints,
            stopped: None,
            killed: None,
            pauses: Vec::new(),
        }
    }

    fn ours(place: &Place<'_>) -> Command {
        let mut settings = format!(
            "bootstrap.servers={}\ntopics={}\ngroup.id={}\nauto.offset.reset=earliest\nauto.commit.interval.ms=1000",
            place.kafka.plaintext(),
            place.topic,
            place.group
        );
        for (key, value) in place.settings {
            settings = format!("{settings}\n{key}={value}");
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "groups::member::member_process", "--nocapture", "--test-threads", "1"]);
        command.env(ASK, settings).env_remove("RUST_LOG");
        command
    }

    fn java(place: &Place<'_>) -> Command {
        let kafka = place.kafka;
        let property = kafka.client_property();
        let mut arguments = vec!["--topic", place.topic, "--group", place.group, "--from-beginning"];
        arguments.extend(["--bootstrap-server", kafka.plaintext()]);
        let formats = ["print.partition=true", "print.offset=true", "print.value=false"];
        formats.iter().for_each(|format| arguments.extend([kafka.formatter_property(), format]));
        let settings: Vec<String> = place.java.iter().map(|(key, value)| format!("{key}={value}")).collect();
        settings.iter().for_each(|setting| arguments.extend([property, setting]));
        kafka.java("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments)
    }

    fn kcat(place: &Place<'_>) -> Command {
        let mut arguments = vec!["-G", place.group, "-q", "-u", "-f", "%p %o\n"];
        let settings: Vec<String> =
            place.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        settings.iter().for_each(|setting| arguments.extend(["-X", setting]));
        arguments.extend(["-X", "auto.offset.reset=earliest", place.topic]);
        place.kafka.kcat(&arguments)
    }

    /// What it has said so far.
    pub fn said(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap().clone()
    }

    pub fn is_running(&self) -> bool {
        self.stopped.is_none() && self.killed.is_none()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.killed = Some(now());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGSTOP.
    pub fn stop(&mut self) {
        self.stopped = Some(Instant::now());
        self.pauses.push((now(), u64::MAX));
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub fn go_on(&mut self) {
        if self.stopped.take().is_some() {
            if let Some(pause) = self.pauses.last_mut() {
                pause.1 = now();
            }
            self.signal("-CONT");
        }
    }

    /// Lets it leave, and waits until it has.
    pub fn leave(&mut self) {
        self.go_on();
        drop(self.input.take());
        if self.kind != Kind::Ours {
            self.signal("-TERM");
        }
        let deadline = Instant::now() + CLOSING;
        while self.child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                println!("   {} does not leave: {:?}", self.name, self.complaints());
                assert!(self.kind != Kind::Ours, "{} does not leave", self.name);
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        // The reader of its output may be behind.
        thread::sleep(Duration::from_millis(100));
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args([signal, &pid]).status();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

fn collect(from: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&lines);
    let reader = BufReader::new(from).lines().map_while(std::result::Result::ok);
    thread::spawn(move || reader.for_each(|line| collected.lock().unwrap().push(line)));
    lines
}
