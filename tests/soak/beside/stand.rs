//! Three brokers, two clients with a topic each, and the ways between them.

use super::peer::{self, Peer};
use crate::bench::{PACE, RESOLVED, report};
use crate::checker::Promises;
use crate::gaps::{self, Gap};
use crate::history::Journal;
use crate::leaders::PARTITIONS;
use crate::load::Load;
use crate::proxy::{Fate, Road, gate};
use crate::real::cluster::RealCluster;
use crate::real::kafka::unique;
use ottla::{Client, NewTopic};
use std::time::Duration;
use tokio::time::sleep;

/// Ours and the other, wherever there is one of something for each.
const CLIENTS: [&str; 2] = ["ottla", "librdkafka"];
/// The listeners that lead them over their roads, with the names that their addresses have.
const LISTENERS: [(&str, &str); 2] = [("SASL_PLAINTEXT", "sasl_plaintext"), ("PLAIN_ONLY", "plain_only")];
/// So many times librdkafka's longest time without an acknowledgement may ours be.
const AT_MOST: f64 = 1.2;
/// Both have long been connected then; before, nothing is judged.
const WARM: Duration = Duration::from_secs(3);
/// How long both go on when the fault is over.
const AFTER: Duration = Duration::from_secs(5);

/// How clients reach the brokers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    Straight,
    /// Each by proxies of its own, one for each broker.
    OverRoads,
}

/// Brokers of this scenario's own.
pub struct Stand {
    pub cluster: RealCluster,
    name: &'static str,
    topics: [String; 2],
    bootstrap: [String; 2],
    settings: String,
    /// By client and broker; none if all is straight.
    roads: [Vec<Road>; 2],
}

/// Both under way.
pub struct Race {
    load: Load,
    peer: Peer,
    from: Duration,
}

impl Stand {
    /// # Errors
    /// Why this machine cannot run it.
    pub async fn new(name: &'static str, way: Way) -> Result<Stand, &'static str> {
        if peer::program().is_none() {
            return Err("SOAK_PEER does not name a program of benches/compare with librdkafka");
        }
        println!("\n== beside librdkafka: {name}");
        let gates = match way {
            Way::Straight => Vec::new(),
            Way::OverRoads => RealCluster::BROKERS.map(|broker| (broker, [gate(), gate()])).collect(),
        };
        let port = |gate: &tokio::net::TcpListener| gate.local_addr().unwrap().port();
        let mut arguments = Vec::new();
        let mut bootstrap = [const { Vec::new() }; 2];
        for (broker, gates) in &gates {
            for ((gate, (listener, _)), bootstrap) in gates.iter().zip(LISTENERS).zip(&mut bootstrap) {
                let address = format!("127.0.0.1:{}", port(gate));
                arguments.extend(["--advertise".to_owned(), format!("{broker}:{listener}={address}")]);
                bootstrap.push(address);
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let cluster = RealCluster::own(&arguments).ok_or("this machine cannot run a real Kafka")?;
        let mut roads = [const { Vec::new() }; 2];
        for (broker, gates) in gates {
            let index = usize::try_from(broker - 1).unwrap();
            for ((gate, (_, addresses)), roads) in gates.into_iter().zip(LISTENERS).zip(&mut roads) {
                let road = Road::new();
                road.rule(|_| Fate::Pass);
                road.lead(gate, cluster.kafka().fact(addresses).split(',').nth(index).unwrap());
                roads.push(road);
            }
        }
        let kafka = cluster.kafka();
        let login = match way {
            Way::Straight => "security.protocol=PLAINTEXT".to_owned(),
            Way::OverRoads => format!(
                "security.protocol=SASL_PLAINTEXT sasl.mechanism=PLAIN sasl.username={} sasl.password={}",
                kafka.user(),
                kafka.password()
            ),
        };
        let bootstrap = bootstrap.map(|addresses| match way {
            Way::Straight => kafka.plaintext().to_owned(),
            Way::OverRoads => addresses.join(","),
        });
        let topics = CLIENTS.map(|client| unique(&format!("{name}-{client}")));
        let stand = Stand { cluster, name, topics, bootstrap, settings: login, roads };
        stand.create_topics().await;
        Ok(stand)
    }

    /// Whose leaders are the same: replicas are given in the same order, and the first that lives and is in sync leads.
    async fn create_topics(&self) {
        let client = Client::builder().bootstrap(self.cluster.kafka().plaintext()).build().unwrap();
        for topic in &self.topics {
            let replicas = (0..PARTITIONS).map(|first| (0..3).map(|next| (first + next) % 3 + 1).collect());
            let wanted = NewTopic::named(topic).assignments(replicas);
            client.admin().create_topics([wanted]).await.unwrap()[topic].clone().unwrap();
        }
        self.await_in_sync();
    }

    /// Ours first.
    pub fn topics(&self) -> [&str; 2] {
        [&self.topics[0], &self.topics[1]]
    }

    pub fn await_in_sync(&self) {
        self.topics.iter().for_each(|topic| self.cluster.await_in_sync(topic));
    }

    pub fn roads(&self) -> impl Iterator<Item = &Road> {
        self.roads.iter().flatten()
    }

    /// Of ours (0) or the other (1), by broker.
    pub fn roads_of(&self, client: usize) -> &[Road] {
        &self.roads[client]
    }

    /// Both clients' roads to one broker.
    pub fn roads_to(&self, broker: i32) -> impl Iterator<Item = &Road> {
        let index = usize::try_from(broker - 1).unwrap();
        self.roads.iter().map(move |roads| &roads[index])
    }

    /// Both begin; returns when both are well under way. Each client is as it comes, but that librdkafka is told to be
    /// idempotent and to place keys as ours does.
    pub async fn race(&self) -> Race {
        let mut client = Client::builder().bootstrap(self.bootstrap[0].as_str());
        for (key, value) in self.settings.split(' ').filter_map(|word| word.split_once('=')) {
            client = client.set(key, value);
        }
        let producer = client.build().unwrap().producer().build().unwrap();
        let load = Load::start(producer, &self.topics[0], PACE);
        let settings = format!("{} enable.idempotence=true partitioner=murmur2_random", self.settings);
        let peer = Peer::start(&self.bootstrap[1], &self.topics[1], PACE, &settings, &load.journal);
        sleep(WARM).await;
        let from = load.journal.now();
        Race { load, peer, from }
    }
}

impl Race {
    pub fn journal(&self) -> &Journal {
        &self.load.journal
    }

    /// Ends both, prints both reports and the ratio, and fails unless ours kept all promises and the ratio is well.
    pub async fn judge(self, stand: &Stand) {
        sleep(AFTER).await;
        let peer = tokio::task::spawn_blocking(|| self.peer.stop());
        let ours = self.load.stop(RESOLVED).await;
        let events = [ours, peer.await.unwrap()];
        let reports = [0, 1].map(|client| {
            println!("   {}", CLIENTS[client]);
            let name = format!("beside-{}-{}", stand.name, CLIENTS[client]);
            report(&stand.cluster, &name, &stand.topics[client], &events[client], &Promises::ALL)
        });
        let late = |client: usize| events[client].iter().filter(|event| event.at >= self.from);
        let whole = compare("without an ack", [0, 1].map(|client| gaps::longest(late(client))));
        let key = compare("of one key", [0, 1].map(|client| gaps::longest_of_a_key(late(client))));
        let [ours, peer] = reports;
        assert!(ours.is_whole(), "a promise is broken, see the table");
        assert_eq!(ours.figures.acked, ours.figures.sent, "every record was to be delivered");
        assert!(peer.figures.acked > 0, "librdkafka was acknowledged nothing");
        let (least, most) =
            (peer.figures.sent.min(ours.figures.sent), peer.figures.sent.max(ours.figures.sent));
        assert!(least * 10 >= most * 9, "one sent more than the other: {least}, {most}");
        assert!(whole <= AT_MOST && key <= AT_MOST, "ours stood still for longer: {whole:.2}, {key:.2}");
    }
}

/// The ratio, printed.
fn compare(what: &str, [ours, peer]: [Gap; 2]) -> f64 {
    let ratio = ours.took().as_secs_f64() / peer.took().as_secs_f64();
    println!(
        "   longest {what}: ottla {ours}, librdkafka {peer}: ratio {ratio:.2}, at most {AT_MOST} ({})",
        if ratio <= AT_MOST { "met" } else { "MISSED" }
    );
    ratio
}
