//! What every scenario has: three brokers, a topic, a client whose connections are counted, an independent reader, a verdict.

use crate::checker::{Promises, Report, judge};
use crate::history::{Event, Found};
use crate::load::{Load, Pace};
use crate::real::cluster::RealCluster;
use crate::real::{kafka, process};
use ottla::net::dial::{BoxFuture, Connected, Dial, Endpoint, SocketOptions, TcpDial};
use ottla::{Client, NewTopic, ProducerBuilder, Result};
use std::fmt::{Display, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::MutexGuard;

/// As much as three brokers and their load can do with two cores to spare.
pub const PACE: Pace = Pace { keys: 12, per_second: 500 };
/// Longer than it takes until everything is told once the brokers are well: a request's time-out and an election.
pub const RESOLVED: Duration = Duration::from_secs(45);
/// How long reading a log may take.
const READ_LIMIT: Duration = Duration::from_secs(120);

/// What a scenario works with.
pub struct Bench {
    pub cluster: MutexGuard<'static, RealCluster>,
    pub client: Client,
    pub topic: String,
    pub dials: Arc<Dials>,
    name: &'static str,
}

/// The bench for a scenario and a topic with so many partitions, or `return`: loudly, or failing it with `CI=true`.
macro_rules! bench {
    ($name:literal, $partitions:expr $(, $key:literal = $value:expr)*) => {
        match $crate::bench::Bench::new($name, $partitions, &[$(($key, $value)),*]).await {
            Some(bench) => bench,
            None => return $crate::real::skip("this machine cannot run a real Kafka"),
        }
    };
}

impl Bench {
    /// `partitions` may be 0: no topic is created then. `settings` are the client's.
    pub async fn new(name: &'static str, partitions: i32, settings: &[(&str, &str)]) -> Option<Bench> {
        let cluster = RealCluster::whole().await?;
        let dials = Arc::new(Dials::default());
        let mut builder = Client::builder().bootstrap(cluster.kafka().plaintext());
        for (key, value) in settings {
            builder = builder.set(key, *value);
        }
        let client = builder.dial(Arc::clone(&dials) as Arc<dyn Dial>).connect().await.unwrap();
        let topic = kafka::unique(name);
        println!("\n== {name}");
        let bench = Bench { cluster, client, topic, dials, name };
        if partitions > 0 {
            bench.create_topic(partitions).await;
        }
        Some(bench)
    }

    /// The topic with three copies of each partition, ready to be written to.
    pub async fn create_topic(&self, partitions: i32) {
        self.create(NewTopic::named(&self.topic).partitions(partitions).replication_factor(3)).await;
    }

    /// The topic as the scenario wants it, ready to be written to.
    pub async fn create(&self, topic: NewTopic) {
        self.client.admin().create_topics([topic]).await.unwrap()[&self.topic].clone().unwrap();
        self.cluster.await_in_sync(&self.topic);
    }

    /// A steady load by a producer of the scenario's making.
    pub fn load(&self, producer: ProducerBuilder) -> Load {
        Load::start(producer.build().unwrap(), &self.topic, PACE)
    }

    /// Mends the brokers, reads the log with kcat, and judges what the client claimed. Prints the table, and keeps both
    /// histories under the target folder.
    pub fn report(&self, events: &[Event], promises: &Promises) -> Report {
        report(&self.cluster, self.name, &self.topic, events, promises)
    }

    /// The report on a client that has kept all its promises.
    #[track_caller]
    pub fn assert_whole(&self, events: &[Event], promises: &Promises) -> Report {
        let report = self.report(events, promises);
        assert!(report.is_whole(), "{}: a promise is broken, see the table", self.name);
        assert!(report.figures.acked > 0, "nothing was acknowledged");
        report
    }

    /// All records, as kcat reads them.
    pub fn read_log(&self) -> Vec<Found> {
        read_log(&self.cluster, &self.topic)
    }
}

/// [`Bench::report`], for any name and topic.
pub fn report(
    cluster: &RealCluster,
    name: &str,
    topic: &str,
    events: &[Event],
    promises: &Promises,
) -> Report {
    let log = read_log(cluster, topic);
    let report = judge(events, &log, promises);
    println!("{report}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (what, text) in [("claims", lines(events)), ("log", lines(&log))] {
        std::fs::write(folder.join(format!("soak-{name}.{what}")), text).unwrap();
    }
    println!("   kept: {}/soak-{name}.{{claims,log}}", folder.display());
    report
}

fn read_log(cluster: &RealCluster, topic: &str) -> Vec<Found> {
    cluster.mend();
    cluster.await_in_sync(topic);
    let format = ["-f", "%p %o %s\n", "-X", "check.crcs=true"];
    let mut kcat = cluster.kafka().kcat(&["-C", "-t", topic, "-o", "beginning", "-e", "-q"]);
    let read = process::run(kcat.args(format), b"", READ_LIMIT).success();
    read.text().lines().map(found).collect()
}

fn found(line: &str) -> Found {
    let mut parts = line.splitn(3, ' ');
    let mut next = || parts.next().unwrap_or_else(|| panic!("kcat said {line:?}"));
    Found { partition: next().parse().unwrap(), offset: next().parse().unwrap(), value: next().to_owned() }
}

fn lines<T: Display>(items: &[T]) -> String {
    items.iter().fold(String::new(), |mut text, item| {
        writeln!(text, "{item}").unwrap();
        text
    })
}

/// Connects, and notes whereto and when.
#[derive(Debug)]
pub struct Dials {
    dial: TcpDial,
    noted: Mutex<Vec<(String, Instant)>>,
}

impl Default for Dials {
    fn default() -> Dials {
        Dials { dial: TcpDial::new(SocketOptions::default()), noted: Mutex::default() }
    }
}

impl Dial for Dials {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, deadline: Instant) -> BoxFuture<'a, Result<Connected>> {
        self.noted.lock().unwrap().push((endpoint.to_string(), Instant::now()));
        self.dial.dial(endpoint, deadline)
    }
}

impl Dials {
    /// The most connections to any one broker within any second that began after `from`.
    pub fn most_a_second(&self, from: Instant) -> usize {
        let noted = self.noted.lock().unwrap();
        let late = || noted.iter().filter(|(_, at)| *at >= from);
        let within = |(place, first): &(String, Instant)| {
            let same = late().filter(|(other, at)| other == place && at >= first);
            same.filter(|(_, at)| *at < *first + Duration::from_secs(1)).count()
        };
        late().map(within).max().unwrap_or(0)
    }
}
