//! Groups of independent clients: members that come and go share a topic, and each record is read once.

use super::{Bench, has_java, has_kcat};
use ottla::broker::Broker;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a group may take to settle; a Java client alone takes seconds to start.
const LIMIT: Duration = Duration::from_secs(45);
const PARTITIONS: usize = 4;
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

/// A client that reads until it is told to stop; killed when dropped.
pub(crate) struct Member {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    complaints: Arc<Mutex<Vec<String>>>,
}

impl Member {
    pub(crate) fn start(mut command: Command) -> Member {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = collect(child.stdout.take().unwrap());
        let complaints = collect(child.stderr.take().unwrap());
        Member { child, lines, complaints }
    }

    fn kcat(bench: &Bench) -> Member {
        let mut kcat = bench.kcat_command();
        kcat.args(["-G", "billing", "-q", "-u", "-X", "auto.offset.reset=earliest"]);
        kcat.args(["-X", "partition.assignment.strategy=range", "orders"]);
        Member::start(kcat)
    }

    fn java(bench: &Bench, protocol: &str) -> Member {
        let protocol = format!("group.protocol={protocol}");
        let arguments = ["--topic", "orders", "--group", "billing", "--from-beginning"];
        let arguments: Vec<&str> = arguments.into_iter().chain(["--command-property", &protocol]).collect();
        Member::start(bench.java_command("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments))
    }

    /// What it has read so far.
    fn read(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Lets it leave, and takes what it has read.
    fn leave(mut self) -> Vec<String> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let ended = wait(LIMIT, || self.child.try_wait().unwrap().is_some());
        assert!(ended, "a member does not leave: {:?}", self.complaints.lock().unwrap());
        // The reader of its output may be behind.
        thread::sleep(Duration::from_millis(100));
        self.read()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&lines);
    let reader = BufReader::new(from).lines().map_while(Result::ok);
    thread::spawn(move || reader.for_each(|line| collected.lock().unwrap().push(line)));
    lines
}

fn wait(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if is_so() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Writes a record to a partition.
type Writer<'a> = Box<dyn Fn(usize, &str) + 'a>;

/// A topic, and what was written to it.
pub(crate) struct Story<'a> {
    writer: Writer<'a>,
    written: Vec<String>,
}

impl<'a> Story<'a> {
    pub(crate) fn new(bench: &'a Bench, writer: impl Fn(usize, &str) + 'a) -> Story<'a> {
        bench.broker.create_topic("orders", PARTITIONS).unwrap();
        Story { writer: Box::new(writer), written: Vec::new() }
    }

    /// One that kcat writes.
    fn by_kcat(bench: &'a Bench) -> Story<'a> {
        Story::new(bench, |partition, record| {
            bench.kcat(&["-P", "-t", "orders", "-p", &partition.to_string()], &format!("{record}\n"));
        })
    }

    /// Writes one record to each partition, and gives them.
    fn write(&mut self) -> Vec<String> {
        let round = self.written.len() / PARTITIONS;
        let records = (0..PARTITIONS).map(|partition| {
            let record = format!("{round}-{partition}");
            (self.writer)(partition, &record);
            record
        });
        let records: Vec<String> = records.collect();
        self.written.extend(records.clone());
        records
    }

    /// Writes until the readers share a round in such a way that it is as it should be.
    #[track_caller]
    fn write_until(&mut self, members: &[&Member], is_so: impl Fn(&[usize]) -> bool) {
        for _ in 0..60 {
            let round = self.write();
            let count = |member: &&Member| member.read().iter().filter(|line| round.contains(line)).count();
            let counts = || members.iter().map(count).collect::<Vec<_>>();
            let all_read = wait(LIMIT, || counts().iter().sum::<usize>() >= PARTITIONS);
            let complaints: Vec<_> = members.iter().map(|m| m.complaints.lock().unwrap().clone()).collect();
            assert!(all_read, "round {round:?} is not read: {:?}, {complaints:?}", counts());
            if is_so(&counts()) {
                return;
            }
            thread::sleep(Duration::from_millis(250));
        }
        panic!("the members do not share as they should");
    }

    /// Two members share a topic, one leaves, and the other reads everything; each record is read once.
    pub(crate) fn tell(mut self, start: impl Fn(usize) -> Member) {
        let first = start(0);
        self.write_until(&[&first], |counts| counts == [PARTITIONS]);
        let second = start(1);
        self.write_until(&[&first, &second], |counts| counts == [2, 2]);
        let read_first = first.leave();
        self.write_until(&[&second], |counts| counts == [PARTITIONS]);
        let mut read = [read_first, second.leave()].concat();
        read.sort();
        self.written.sort();
        assert_eq!(read, self.written, "each record once");
    }
}

#[test]
fn kcats_share_a_topic() {
    if !has_kcat() {
        return;
    }
    let bench = Bench::plain();
    Story::by_kcat(&bench).tell(|_| Member::kcat(&bench));
}

#[test]
fn javas_consumers_share_a_topic() {
    if !has_java() || !has_kcat() {
        return;
    }
    let bench = Bench::plain();
    Story::by_kcat(&bench).tell(|_| Member::java(&bench, "classic"));
}

#[test]
fn kcat_and_java_are_in_one_group() {
    if !has_java() || !has_kcat() {
        return;
    }
    for bench in Bench::both(Broker::builder) {
        Story::by_kcat(&bench).tell(|number| match number {
            0 => Member::java(&bench, "classic"),
            _ => Member::kcat(&bench),
        });
    }
}

#[test]
fn javas_consumers_share_a_topic_by_the_new_protocol() {
    if !has_java() || !has_kcat() {
        return;
    }
    let often = || Broker::builder().consumer_group_heartbeat_interval(Duration::from_millis(300));
    for bench in Bench::both(often) {
        Story::by_kcat(&bench).tell(|_| Member::java(&bench, "consumer"));
    }
}

#[test]
fn javas_tool_lists_describes_resets_and_deletes_groups() {
    if !has_java() || !has_kcat() {
        return;
    }
    for protocol in ["classic", "consumer"] {
        let bench = Bench::plain();
        let mut story = Story::by_kcat(&bench);
        let member = Member::java(&bench, protocol);
        story.write_until(&[&member], |counts| counts == [PARTITIONS]);
        let groups = |arguments: &[&str]| bench.java(GROUPS, arguments, "").text();

        let state = groups(&["--describe", "--group", "billing", "--state"]);
        assert!(state.contains("Stable"), "{state}");
        let members = groups(&["--describe", "--group", "billing", "--members", "--verbose"]);
        assert!(members.contains("console-consumer") && members.contains("/127.0.0.1"), "{members}");
        assert!(members.contains("orders"), "{members}");
        member.leave();

        assert_eq!(groups(&["--list"]).trim(), "billing");
        let listed = groups(&["--list", "--state"]);
        assert!(listed.contains("Empty"), "{listed}");
        let lag = |text: &str| {
            let of = text.lines().filter(|line| line.contains("orders"));
            let mut of: Vec<(String, String, String)> = of
                .map(|line| {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let at = words.iter().position(|word| *word == "orders").unwrap();
                    (words[at + 1].to_owned(), words[at + 2].to_owned(), words[at + 4].to_owned())
                })
                .collect();
            of.sort();
            of
        };
        let rounds = (story.written.len() / PARTITIONS).to_string();
        let at = |offset: &str, lag: &str| -> Vec<_> {
            (0..PARTITIONS).map(|p| (p.to_string(), offset.to_owned(), lag.to_owned())).collect()
        };
        let described = groups(&["--describe", "--group", "billing"]);
        assert_eq!(lag(&described), at(&rounds, "0"), "{described}");
        let reset = ["--reset-offsets", "--group", "billing", "--topic", "orders", "--to-earliest"];
        let dry = groups(&[&reset[..], &["--dry-run"]].concat());
        assert!(dry.contains("orders"), "{dry}");
        assert_eq!(lag(&groups(&["--describe", "--group", "billing"])), at(&rounds, "0"), "nothing was done");
        groups(&[&reset[..], &["--execute"]].concat());
        assert_eq!(lag(&groups(&["--describe", "--group", "billing"])), at("0", &rounds));
        let deleted = groups(&["--delete-offsets", "--group", "billing", "--topic", "orders:3"]);
        assert!(deleted.contains("Successful"), "{deleted}");
        assert_eq!(lag(&groups(&["--describe", "--group", "billing"])).len(), PARTITIONS - 1);
        let deleted = groups(&["--delete", "--group", "billing"]);
        assert!(deleted.contains("successful"), "{deleted}");
        assert_eq!(groups(&["--list"]).trim(), "");
    }
}
