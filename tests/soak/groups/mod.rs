//! Groups of ours, Java's and librdkafka's members side by side, which join, leave, are killed and stopped, on three brokers
//! whose coordinators are killed: no partition is owned twice, nothing is skipped, commits never go back.

mod elections;
mod judge;
mod member;

use crate::bench::{Bench, RESOLVED};
use crate::leaders::duration;
use crate::load::Load;
use judge::Verdict;
use member::{Kind, Member, Place};
use ottla::{Client, TopicPartition};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::sleep;

const PARTITIONS: i32 = 6;
/// How long a member stands still: longer than its session, and once as long as an issue asks for.
const PAUSE: Duration = Duration::from_secs(20);
const LONG_PAUSE: Duration = Duration::from_secs(120);
/// How long a coordinator is gone.
const OUTAGE: Duration = Duration::from_secs(8);
/// How long the group may take to read the rest once all is well.
const SETTLED: Duration = Duration::from_secs(120);
/// So many members at most.
const MEMBERS: usize = 6;
/// The same of members that only join and leave.
const CROWD: usize = 20;
const CROWD_PARTITIONS: i32 = 24;

/// Committed offsets, as they were seen to change.
type Commits = Arc<Mutex<Vec<(TopicPartition, i64)>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn members_of_all_clients_share_a_classic_group() {
    let common = [("session.timeout.ms", "10000"), ("partition.assignment.strategy", "range")];
    let java = [("session.timeout.ms", "10000")];
    storm("group-range", &[Kind::Ours, Kind::Ours, Kind::Java, Kind::Kcat], &common, &java).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn members_of_all_clients_rebalance_cooperatively() {
    let common = [("session.timeout.ms", "10000"), ("partition.assignment.strategy", "cooperative-sticky")];
    let class = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    let java = [("session.timeout.ms", "10000"), ("partition.assignment.strategy", class)];
    storm("group-cooperative", &[Kind::Ours, Kind::Ours, Kind::Java, Kind::Kcat], &common, &java).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn members_of_the_new_protocol_share_a_group() {
    let protocol = [("group.protocol", "consumer")];
    storm("group-consumer", &[Kind::Ours, Kind::Ours, Kind::Java], &protocol, &protocol).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn twenty_members_come_and_go_cooperatively() {
    crowd("crowd-cooperative", &[("partition.assignment.strategy", "cooperative-sticky")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/soak three-brokers"]
async fn twenty_members_of_the_new_protocol_come_and_go() {
    crowd("crowd-consumer", &[("group.protocol", "consumer")]).await;
}

/// Lets members and coordinators come and go for a while, and judges what was read.
async fn storm(name: &'static str, kinds: &[Kind], settings: &[(&str, &str)], java: &[(&str, &str)]) {
    let Some(bench) = Bench::new(name, PARTITIONS, &[]).await else {
        return crate::real::skip("this machine cannot run a real Kafka");
    };
    let group = format!("g-{}", bench.topic);
    let place = Place { kafka: bench.cluster.kafka(), group: &group, topic: &bench.topic, settings, java };
    let record = Record::begin(&bench, &group);
    let mut storm = Storm::new(&bench, place, kinds);
    sleep(Duration::from_secs(10)).await;
    storm.stop(0);
    storm.long = storm.members[0].name.clone();
    let until = Instant::now() + duration().max(LONG_PAUSE + PAUSE);
    while Instant::now() < until {
        sleep(Duration::from_millis(storm.rng.u64(1_000..6_000))).await;
        storm.wake();
        storm.blow().await;
    }
    bench.cluster.mend();
    storm.members.iter_mut().for_each(Member::go_on);
    storm.join(Kind::Ours);
    record.judge(storm).await;
}

/// Many members, one of whom joins or leaves all the time.
async fn crowd(name: &'static str, settings: &[(&str, &str)]) {
    let Some(bench) = Bench::new(name, CROWD_PARTITIONS, &[]).await else {
        return crate::real::skip("this machine cannot run a real Kafka");
    };
    let group = format!("g-{}", bench.topic);
    let place =
        Place { kafka: bench.cluster.kafka(), group: &group, topic: &bench.topic, settings, java: &[] };
    let record = Record::begin(&bench, &group);
    let mut storm = Storm::new(&bench, place, &[Kind::Ours; CROWD]);
    let until = Instant::now() + duration();
    while Instant::now() < until {
        sleep(Duration::from_millis(storm.rng.u64(200..1_500))).await;
        let few = storm.members.len() <= CROWD / 2;
        if few || (storm.members.len() < CROWD && storm.rng.bool()) {
            storm.join(Kind::Ours);
        } else {
            let at = storm.rng.usize(..storm.members.len());
            storm.leave(at);
        }
    }
    record.judge(storm).await;
}

/// What is written, and what is committed, while members come and go.
struct Record<'a> {
    bench: &'a Bench,
    group: &'a str,
    load: Load,
    commits: Commits,
    watching: JoinHandle<()>,
}

impl<'a> Record<'a> {
    fn begin(bench: &'a Bench, group: &'a str) -> Record<'a> {
        let load = bench.load(bench.client.producer());
        let commits = Commits::default();
        let watching = tokio::spawn(watch(bench.client.clone(), group.to_owned(), Arc::clone(&commits)));
        Record { bench, group, load, commits, watching }
    }

    /// Waits until everything is read, lets everybody leave, and judges what was read.
    async fn judge(self, storm: Storm<'_>) {
        self.load.stop(RESOLVED).await;
        let log = self.bench.read_log();
        let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
        for found in &log {
            let end = ends.entry(found.partition).or_default();
            *end = (*end).max(found.offset + 1);
        }
        let settled = await_committed(&self.bench.client, self.group, &ends).await;
        self.watching.abort();
        let gone = storm.end();
        let offsets = log.iter().map(|found| (found.partition, found.offset)).collect();
        let verdict = Verdict::of(&gone, &offsets, &self.commits.lock().unwrap());
        println!("   {} members; {verdict}", gone.len());
        assert!(verdict.is_good(), "{verdict:#?}");
        assert!(settled, "the group has not read everything in {SETTLED:?}");
    }
}

/// Members that are there, and what happens to them.
struct Storm<'a> {
    bench: &'a Bench,
    place: Place<'a>,
    kinds: &'a [Kind],
    members: Vec<Member>,
    gone: Vec<Member>,
    number: usize,
    /// Who stands still for long.
    long: String,
    rng: fastrand::Rng,
}

impl<'a> Storm<'a> {
    fn new(bench: &'a Bench, place: Place<'a>, kinds: &'a [Kind]) -> Storm<'a> {
        let rng = fastrand::Rng::with_seed(seed());
        let (members, gone) = (Vec::new(), Vec::new());
        let mut storm = Storm { bench, place, kinds, members, gone, number: 0, long: String::new(), rng };
        kinds.iter().for_each(|kind| storm.join(*kind));
        storm
    }

    fn join(&mut self, kind: Kind) {
        self.members.push(Member::start(kind, self.number, &self.place));
        self.number += 1;
        println!("   {} joins", self.members.last().unwrap().name);
    }

    fn leave(&mut self, at: usize) {
        let mut member = self.members.remove(at);
        println!("   {} leaves", member.name);
        member.leave();
        self.gone.push(member);
    }

    fn stop(&mut self, at: usize) {
        println!("   {} stands still", self.members[at].name);
        self.members[at].stop();
    }

    /// Lets those go on that have stood still for long enough.
    fn wake(&mut self) {
        for member in &mut self.members {
            let pause = if member.name == self.long { LONG_PAUSE } else { PAUSE };
            if member.stopped.is_some_and(|since| since.elapsed() > pause) {
                println!("   {} goes on", member.name);
                member.go_on();
            }
        }
    }

    /// One thing happens, or nothing. One member always runs.
    async fn blow(&mut self) {
        let running: Vec<usize> =
            (0..self.members.len()).filter(|at| self.members[*at].is_running()).collect();
        let Some(&at) = running.get(self.rng.usize(..running.len().max(1))) else { return };
        match self.rng.u8(..10) {
            0..=3 if self.members.len() < MEMBERS => {
                let kind = self.kinds[self.rng.usize(..self.kinds.len())];
                self.join(kind);
            }
            4 | 5 if running.len() > 1 => self.leave(at),
            6 if running.len() > 1 && self.members[at].kind == Kind::Ours => {
                let mut member = self.members.remove(at);
                println!("   {} is killed", member.name);
                member.kill();
                self.gone.push(member);
            }
            7 if running.len() > 1 => self.stop(at),
            8 => {
                let Some(coordinator) = coordinator(&self.bench.client, self.place.group).await else {
                    return;
                };
                println!("   broker {coordinator}, the coordinator, is killed");
                self.bench.cluster.kill(coordinator);
                sleep(OUTAGE).await;
                self.bench.cluster.start(coordinator);
            }
            _ => {}
        }
    }

    /// Lets all of them leave; everybody who ever was there.
    fn end(mut self) -> Vec<Member> {
        for mut member in self.members {
            member.leave();
            self.gone.push(member);
        }
        self.gone
    }
}

fn seed() -> u64 {
    let seed =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("   SEED={seed}");
    seed
}

/// Notes what the group commits.
async fn watch(client: Client, group: String, commits: Commits) {
    loop {
        if let Ok(told) = client.admin().list_group_offsets(&group).await {
            let mut commits = commits.lock().unwrap();
            let known = told.into_iter().filter_map(|(of, offset)| Some((of, offset.ok()?.offset)));
            commits.extend(known);
        }
        sleep(Duration::from_millis(250)).await;
    }
}

async fn coordinator(client: &Client, group: &str) -> Option<i32> {
    let told = client.admin().describe_groups([group]).await;
    Some(told.get(group)?.as_ref().ok()?.coordinator.as_ref()?.id)
}

/// Waits until the group has committed everything.
async fn await_committed(client: &Client, group: &str, ends: &BTreeMap<i32, i64>) -> bool {
    let deadline = Instant::now() + SETTLED;
    while Instant::now() < deadline {
        if let Ok(told) = client.admin().list_group_offsets(group).await {
            let of = |partition: &i32| {
                told.iter()
                    .find(|(of, _)| of.partition == *partition)
                    .and_then(|(_, told)| Some(told.as_ref().ok()?.offset))
            };
            if ends.iter().all(|(partition, end)| of(partition) == Some(*end)) {
                return true;
            }
        }
        sleep(Duration::from_millis(500)).await;
    }
    false
}
