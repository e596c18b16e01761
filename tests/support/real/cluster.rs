//! Three real brokers that a test kills, pauses, starts again and moves partitions between.
//!
//! Every topic has three copies unless it is asked for otherwise, and takes a record (acks=all) while two of them are in
//! sync. Whoever asks for the cluster has it alone and finds it whole, whatever the test before has left.
#![allow(clippy::disallowed_methods, reason = "real brokers live on the real clock")]

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard, OnceCell};

use super::kafka::RealKafka;
use super::process;

/// How long a cluster may take until all copies are in sync again.
const SYNC_LIMIT: Duration = Duration::from_secs(90);
/// How long one look at the cluster may take.
const LOOK_LIMIT: Duration = Duration::from_secs(20);

/// The three brokers, numbered from 1.
#[derive(Debug)]
pub struct RealCluster {
    kafka: RealKafka,
    /// What became of those that do not simply run.
    ailing: std::sync::Mutex<BTreeMap<i32, Ailment>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ailment {
    Gone,
    Paused,
}

/// A partition as independent eyes see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    /// Its index.
    pub partition: i32,
    /// Who leads it; `None` while nobody does.
    pub leader: Option<i32>,
    /// Who should have a copy, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Who has all of it.
    pub in_sync: Vec<i32>,
}

impl RealCluster {
    /// The brokers' numbers.
    pub const BROKERS: RangeInclusive<i32> = 1..=3;

    /// The cluster of this test process, for the caller alone, every broker up; started at first use, or the one that
    /// `KAFKA` names when it has three brokers. `None` where this machine cannot run one.
    pub async fn whole() -> Option<MutexGuard<'static, RealCluster>> {
        static SHARED: OnceCell<Option<Mutex<RealCluster>>> = OnceCell::const_new();
        let shared = SHARED.get_or_init(|| async { RealCluster::find().map(Mutex::new) }).await.as_ref()?;
        let cluster = shared.lock().await;
        cluster.mend();
        Some(cluster)
    }

    fn find() -> Option<RealCluster> {
        let named = RealKafka::named().filter(|kafka| kafka.fact("brokers") == "3");
        match named {
            Some(kafka) => Some(RealCluster { kafka, ailing: std::sync::Mutex::default() }),
            None => RealCluster::own(&[]),
        }
    }

    /// A cluster of the caller's own; `arguments` are `tests/kafka/run`'s. Dropping it ends it.
    pub fn own(arguments: &[&str]) -> Option<RealCluster> {
        // No topic appears because somebody asks for it.
        let fixed = ["--brokers", "3", "--set", "auto.create.topics.enable=false"];
        let kafka = RealKafka::start(&[&fixed[..], arguments].concat())?;
        Some(RealCluster { kafka, ailing: std::sync::Mutex::default() })
    }

    /// Its addresses and tools.
    pub fn kafka(&self) -> &RealKafka {
        &self.kafka
    }

    /// Kills a broker with SIGKILL.
    pub fn kill(&self, id: i32) {
        self.kill_all([id]);
    }

    /// Kills brokers at once.
    pub fn kill_all(&self, ids: impl IntoIterator<Item = i32>) {
        self.order("kill", ids, Some(Ailment::Gone));
    }

    /// Asks a broker to shut down, and waits until it has: leaders move first.
    pub fn stop(&self, id: i32) {
        self.order("stop", [id], Some(Ailment::Gone));
    }

    /// Starts a broker that was killed or stopped, and waits until it is up.
    pub fn start(&self, id: i32) {
        self.start_all([id]);
    }

    /// Starts brokers together. After two were killed none is up before the other is: they are controllers too.
    pub fn start_all(&self, ids: impl IntoIterator<Item = i32>) {
        self.order("start", ids, None);
    }

    /// SIGSTOP: it answers nothing, and its connections stay open.
    pub fn pause(&self, id: i32) {
        self.order("pause", [id], Some(Ailment::Paused));
    }

    /// SIGCONT.
    pub fn resume(&self, id: i32) {
        self.order("resume", [id], None);
    }

    /// Makes a broker the leader of a partition by an election of the preferred leader, and waits until it is.
    #[track_caller]
    pub fn move_leader(&self, topic: &str, partition: i32, to: i32) {
        self.kafka.command(&format!("move {topic} {partition} {to}"));
        let moved =
            |seats: &[Seat]| seats.iter().any(|seat| seat.partition == partition && seat.leader == Some(to));
        self.await_seats(topic, &format!("partition {partition} is not led by {to}"), moved);
    }

    /// Starts and resumes whoever does not run.
    pub fn mend(&self) {
        let ailing = self.ailing.lock().expect("no step fails half-way").clone();
        let those = |what| ailing.iter().filter(move |(_, how)| **how == what).map(|(id, _)| *id);
        those(Ailment::Paused).for_each(|id| self.resume(id));
        let gone: Vec<_> = those(Ailment::Gone).collect();
        if !gone.is_empty() {
            self.start_all(gone);
        }
    }

    /// Who leads a partition. Waits until somebody does.
    #[track_caller]
    pub fn leader(&self, topic: &str, partition: i32) -> i32 {
        let led = |seat: &Seat| seat.partition == partition && seat.leader.is_some();
        let seats = self.await_seats(topic, &format!("partition {partition} has no leader"), |seats| {
            seats.iter().any(led)
        });
        let seat = seats.into_iter().find(led);
        seat.and_then(|seat| seat.leader).expect("it has a leader")
    }

    /// Waits until somebody else leads a partition, and says who.
    #[track_caller]
    pub fn next_leader(&self, topic: &str, partition: i32, before: i32) -> i32 {
        let next =
            |seat: &Seat| seat.leader.filter(|leader| seat.partition == partition && *leader != before);
        let otherwise = format!("partition {partition} has no leader but {before}");
        let seats =
            self.await_seats(topic, &otherwise, |seats| seats.iter().any(|seat| next(seat).is_some()));
        seats.iter().find_map(next).expect("it has another leader")
    }

    /// Waits until every partition of a topic has a leader and all its copies are in sync.
    #[track_caller]
    pub fn await_in_sync(&self, topic: &str) {
        let whole = |seat: &Seat| seat.leader.is_some() && seat.in_sync.len() == seat.replicas.len();
        self.await_seats(topic, "some copy is not in sync", |seats| seats.iter().all(whole));
    }

    /// Waits until every partition of a topic has a leader that is up.
    #[track_caller]
    pub fn await_led(&self, topic: &str) {
        self.await_seats(topic, "some partition has no leader", |seats| {
            seats.iter().all(|seat| seat.leader.is_some())
        });
    }

    /// What a broker advertises to clients without security.
    pub fn address(&self, id: i32) -> &str {
        let index = usize::try_from(id - 1).expect("numbers begin at 1");
        self.kafka.plaintext().split(',').nth(index).expect("an address of each broker")
    }

    #[track_caller]
    fn await_seats(&self, topic: &str, otherwise: &str, enough: impl Fn(&[Seat]) -> bool) -> Vec<Seat> {
        let deadline = Instant::now() + SYNC_LIMIT;
        loop {
            let seats = self.seats(topic);
            if !seats.is_empty() && enough(&seats) {
                return seats;
            }
            assert!(Instant::now() < deadline, "{topic} after {SYNC_LIMIT:?}: {otherwise}: {seats:?}");
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// The partitions of a topic, as kcat is told by some broker; none while it gets no answer.
    pub fn seats(&self, topic: &str) -> Vec<Seat> {
        let mut kcat = self.kafka.kcat(&["-L", "-t", topic, "-m", "5"]);
        let finished = process::run(&mut kcat, b"", LOOK_LIMIT);
        finished.lines().iter().filter_map(|line| Seat::parse(line)).collect()
    }

    #[track_caller]
    fn order(&self, command: &str, ids: impl IntoIterator<Item = i32>, ailment: Option<Ailment>) {
        let ids: Vec<i32> = ids.into_iter().collect();
        let words: Vec<String> = ids.iter().map(i32::to_string).collect();
        self.kafka.command(&format!("{command} {}", words.join(" ")));
        let mut ailing = self.ailing.lock().expect("no step fails half-way");
        for id in ids {
            match ailment {
                Some(ailment) => ailing.insert(id, ailment),
                None => ailing.remove(&id),
            };
        }
    }
}

impl Seat {
    /// Reads kcat's `    partition 0, leader 2, replicas: 2,3,1, isrs: 2,3`, with an error behind it at times.
    fn parse(line: &str) -> Option<Seat> {
        let rest = line.trim_start().strip_prefix("partition ")?;
        let (partition, rest) = rest.split_once(", leader ")?;
        let (leader, rest) = rest.split_once(", replicas: ")?;
        let (replicas, rest) = rest.split_once(", isrs: ")?;
        let in_sync = rest.split_once(", ").map_or(rest, |(in_sync, _)| in_sync);
        let ids = |list: &str| list.split(',').filter_map(|id| id.trim().parse().ok()).collect();
        Some(Seat {
            partition: partition.parse().ok()?,
            leader: leader.parse().ok().filter(|leader| *leader >= 0),
            replicas: ids(replicas),
            in_sync: ids(in_sync),
        })
    }
}

#[test]
fn what_kcat_says_of_a_partition_is_understood() {
    let seat = |line| Seat::parse(line).expect("a partition");
    let led = seat("    partition 4, leader 2, replicas: 2,3,1, isrs: 2,3");
    assert_eq!((led.partition, led.leader), (4, Some(2)));
    assert_eq!((led.replicas, led.in_sync), (vec![2, 3, 1], vec![2, 3]));
    let not_led = seat("    partition 0, leader -1, replicas: 1,2,3, isrs: 1, Broker: Leader not available");
    assert_eq!((not_led.leader, not_led.in_sync), (None, vec![1]));
    assert_eq!(Seat::parse("  broker 1 at 127.0.0.1:19092 (controller)"), None);
}
