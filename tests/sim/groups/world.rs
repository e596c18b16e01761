//! A run: brokers, a writer, members of a group, and what the plan does to them.

use super::history::{Commit, Deed, Event, History, Log, heard};
use super::member::{Member, Order, Terms};
use super::plan::{BROKERS, HEALED, Knobs, LONGEST_CLOSE, MAX_POLL, Plan, SLOTS, Step, What};
use ottla::broker::{Cluster, Fate, Fault, TopicSpec};
use ottla::consumer::RebalanceKind;
use ottla::net::mem::{Faults, MemNet, Way};
use ottla::{Client, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub const TOPIC: &str = "orders";
pub const GROUP: &str = "billing";

const SECOND: Duration = Duration::from_secs(1);
/// How long the group has, once everything is right, until it has settled: besides that of a session, of a rebalance that
/// waits for its members, and of reading everything one by one.
const RECOVERY: Duration = Duration::from_secs(30);
/// The limit of the last close of everybody.
const LAST_CLOSE: Duration = Duration::from_secs(10);
/// What goes on in the background does so for less.
const BACKGROUND: Duration = Duration::from_secs(60);

/// Plays a plan from its beginning to its end.
pub fn run(plan: &Plan) -> History {
    let (played, panics) = crate::world::simulate(plan.seed, play(plan));
    History { panics, ..played.unwrap_or_default() }
}

struct World {
    start: Instant,
    net: MemNet,
    cluster: Arc<Cluster>,
    knobs: Knobs,
    log: Log,
    slots: [Option<Member>; SLOTS],
    /// Those that are not in their places any more.
    gone: Vec<Member>,
    count: usize,
    /// Who goes on again when.
    asleep: BTreeMap<usize, Instant>,
}

async fn play(plan: &Plan) -> History {
    let Plan { seed, knobs, .. } = plan;
    let start = Instant::now();
    let net = MemNet::new(*seed);
    (1..=BROKERS).for_each(|broker| set_faults(&net, broker, usual(knobs)));
    let cluster = Cluster::builder().brokers(usize::try_from(BROKERS).unwrap()).listen_in_memory(&net);
    let cluster = cluster
        .seed(*seed)
        .keep_requests(100_000)
        .group_session_timeouts(SECOND..=60 * SECOND)
        .consumer_group_session_timeout(knobs.session())
        .consumer_group_heartbeat_interval(SECOND);
    let cluster = Arc::new(cluster.start().await.unwrap());
    let topic = TopicSpec::new(TOPIC).partitions(usize::try_from(knobs.partitions).unwrap());
    cluster.create_topic_as(&topic.replication(3)).unwrap();
    sleep(SECOND / 10).await;
    let tasks = alive();

    let log = Log::new(start);
    let writing = tokio::spawn(write(start, client(&cluster, &net), plan.clone()));
    let mut world = World {
        start,
        net: net.clone(),
        cluster: Arc::clone(&cluster),
        knobs: knobs.clone(),
        log: log.clone(),
        slots: Default::default(),
        gone: Vec::new(),
        count: 0,
        asleep: BTreeMap::new(),
    };
    world.play(plan).await;
    let settled = world.settle().await;
    writing.await.unwrap();
    world.end().await;
    sleep(BACKGROUND).await;
    let leaked = alive().saturating_sub(tasks);
    drop(world);

    let start = start.into_std();
    let seen = cluster.requests();
    let mut heard_at: BTreeMap<usize, Vec<Duration>> = BTreeMap::new();
    let mut answered_at = heard_at.clone();
    for seen in &seen {
        if let Some(member) = heard(seen) {
            heard_at.entry(member).or_default().push(seen.at - start);
            if seen.fate == Fate::Pass {
                answered_at.entry(member).or_default().push(seen.at - start);
            }
        }
    }
    History {
        knobs: Some(knobs.clone()),
        events: log.events(),
        commits: cluster.commits().iter().map(|seen| Commit::of(seen, start)).collect(),
        heard: heard_at,
        answered: answered_at,
        partitions: (0..knobs.partitions).map(|index| (index, values(&cluster, index))).collect(),
        settled,
        leaked,
        struck: seen.iter().filter(|request| request.fault.is_some()).count(),
        panics: Vec::new(),
    }
}

fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

fn values(cluster: &Cluster, partition: i32) -> Vec<String> {
    let text = |value: Option<_>| String::from_utf8(Vec::from(value.unwrap_or_default())).unwrap();
    cluster.records(TOPIC, partition).into_iter().map(|record| text(record.value)).collect()
}

fn client(cluster: &Cluster, net: &MemNet) -> Client {
    let client = Client::builder().bootstrap(cluster.bootstrap_servers()).client_id("writer");
    client.dial(Arc::new(net.dialer())).build().unwrap()
}

fn usual(knobs: &Knobs) -> Faults {
    let way = Way { latency: knobs.round_trip / 2, jitter: knobs.jitter / 2, ..Default::default() };
    Faults { to_server: way.clone(), to_client: way, ..Default::default() }
}

fn set_faults(net: &MemNet, broker: i32, faults: Faults) {
    net.set_faults(&format!("broker-{broker}"), 9092, faults);
}

/// Writes all the time, and once more to each partition when everything is right again.
async fn write(start: Instant, client: Client, plan: Plan) {
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    let producer = client.producer().build().unwrap();
    let pace = HEALED / plan.knobs.records;
    let burst = plan.knobs.burst;
    let mut sent = Vec::new();
    for n in 0..plan.knobs.records {
        let partition = rng.i32(0..plan.knobs.partitions);
        let record = Record::to(TOPIC).partition(partition).value(n.to_string());
        sent.push(producer.send(record).await.unwrap());
        sleep_until(start + pace * (n / burst * burst)).await;
    }
    sleep_until(start + HEALED + MAX_POLL).await;
    for partition in 0..plan.knobs.partitions {
        let record = Record::to(TOPIC).partition(partition).value(format!("last {partition}"));
        sent.push(producer.send(record).await.unwrap());
    }
    for delivery in sent {
        delivery.await.unwrap();
    }
    producer.close(LAST_CLOSE).await.unwrap();
}

impl World {
    /// Does what the plan says, and puts everything right in the end.
    async fn play(&mut self, plan: &Plan) {
        (0..plan.knobs.members).for_each(|slot| self.join(slot));
        let mut under_way = Vec::new();
        for Step { at, what } in &plan.steps {
            self.wake_until(self.start + *at).await;
            self.act(what, &mut under_way);
        }
        self.wake_until(self.start + HEALED).await;
        while let Some(last) = self.asleep.values().max().copied() {
            self.wake_until(last).await;
        }
        for step in under_way {
            step.await.unwrap();
        }
        self.cluster.clear_faults();
        for broker in 1..=BROKERS {
            set_faults(&self.net, broker, usual(&self.knobs));
            if !self.cluster.is_running(broker) {
                self.cluster.start_broker(broker).await.unwrap();
            }
        }
        // Who leaves is gone by then.
        sleep(2 * LONGEST_CLOSE).await;
        if !self.slots.iter().flatten().any(|member| !member.is_over()) {
            self.join(0);
        }
    }

    /// Waits until a time, and wakes those who stand still until then.
    async fn wake_until(&mut self, until: Instant) {
        let next = |asleep: &BTreeMap<usize, Instant>| {
            asleep.iter().map(|(slot, at)| (*at, *slot)).min().filter(|(at, _)| *at <= until)
        };
        while let Some((at, slot)) = next(&self.asleep) {
            sleep_until(at).await;
            self.asleep.remove(&slot);
            if let Some(member) = &self.slots[slot] {
                self.log.add(member.number, Deed::WentOn);
                member.process.go_on();
            }
        }
        sleep_until(until).await;
    }

    fn join(&mut self, slot: usize) {
        if let Some(member) = self.slots[slot].take() {
            if !member.is_over() {
                self.slots[slot] = Some(member);
                return;
            }
            self.gone.push(member);
        }
        let terms = Terms {
            number: self.count,
            knobs: self.knobs.clone(),
            habits: self.knobs.slots[slot],
            instance: self.knobs.is_static.then(|| format!("instance-{slot}")),
            bootstrap: self.cluster.bootstrap_servers(),
            log: self.log.clone(),
        };
        self.count += 1;
        self.slots[slot] = Some(Member::start(terms, &self.net));
    }

    /// A member that runs, and does not stand still.
    fn running(&self, slot: usize) -> Option<&Member> {
        let member = self.slots[slot].as_ref().filter(|member| !member.is_over())?;
        (!self.asleep.contains_key(&slot)).then_some(member)
    }

    fn act(&mut self, what: &What, under_way: &mut Vec<tokio::task::JoinHandle<()>>) {
        match *what {
            What::Join { slot } => self.join(slot),
            What::Close { slot, limit } => self.order(slot, Order::Close(limit)),
            What::Drop { slot } => self.order(slot, Order::Drop),
            What::Kill { slot, is_heard } => {
                let Some(member) = self.slots[slot].take() else { return };
                if !member.is_over() {
                    self.asleep.remove(&slot);
                    member.cables.pull(is_heard);
                    member.process.kill();
                    self.log.add(member.number, Deed::Killed);
                }
                self.gone.push(member);
            }
            What::Stop { slot, time } => {
                let Some(member) = self.running(slot) else { return };
                member.process.stop();
                self.log.add(member.number, Deed::Stopped);
                self.asleep.insert(slot, Instant::now() + time);
            }
            What::Fault { api, fate, broker, every, times } => {
                let fault = Fault::new(fate).api(api).every(every).times(times);
                self.cluster.add_fault(match broker {
                    Some(broker) => fault.broker(broker),
                    None => fault,
                });
            }
            What::Reset { broker } => self.net.cut(&format!("broker-{broker}"), 9092),
            What::Hold { broker, time } => {
                let (net, knobs) = (self.net.clone(), self.knobs.clone());
                let mut faults = usual(&knobs);
                (faults.to_server.hold, faults.to_client.hold) = (true, true);
                set_faults(&net, broker, faults);
                under_way.push(tokio::spawn(async move {
                    sleep(time).await;
                    set_faults(&net, broker, usual(&knobs));
                }));
            }
            What::Down { broker, time, noticed } => {
                if self.cluster.is_running(broker) {
                    under_way.push(tokio::spawn(down(Arc::clone(&self.cluster), broker, time, noticed)));
                }
            }
        }
    }

    fn order(&self, slot: usize, order: Order) {
        if let Some(member) = self.running(slot) {
            member.orders.send(order).ok();
        }
    }

    /// Waits until everything is read and each partition has one member; how long that took.
    async fn settle(&self) -> Option<Duration> {
        let began = Instant::now();
        let reading = self.knobs.slowest_record() * self.knobs.records;
        let settled = timeout(self.knobs.session() + MAX_POLL + RECOVERY + reading, async {
            // What is written at last is to be read, too.
            sleep_until(self.start + HEALED + MAX_POLL + SECOND).await;
            while !self.log.with(|events| self.is_settled(events)) {
                sleep(SECOND / 4).await;
            }
        });
        settled.await.ok().map(|()| began.elapsed())
    }

    fn is_settled(&self, events: &[Event]) -> bool {
        let mut owned: BTreeMap<i32, BTreeSet<usize>> = BTreeMap::new();
        let mut done: BTreeMap<(i32, usize), i64> = BTreeMap::new();
        let alive: BTreeSet<usize> = self
            .slots
            .iter()
            .flatten()
            .filter(|member| !member.is_over())
            .map(|member| member.number)
            .collect();
        for Event { member, deed, .. } in events {
            match deed {
                Deed::Done { partition, next } => {
                    done.insert((*partition, *member), *next);
                }
                Deed::Told(kind, partitions) if alive.contains(member) => {
                    for partition in partitions {
                        let owners = owned.entry(*partition).or_default();
                        // It reads again what nobody has committed.
                        done.remove(&(*partition, *member));
                        match kind {
                            RebalanceKind::Assigned => drop(owners.insert(*member)),
                            _ => drop(owners.remove(member)),
                        }
                    }
                }
                _ => {}
            }
        }
        let commits = self.cluster.commits();
        (0..self.knobs.partitions).all(|index| {
            let stored = i64::try_from(self.cluster.records(TOPIC, index).len()).unwrap();
            let owners = owned.get(&index).filter(|owners| owners.len() == 1);
            let Some(owner) = owners.and_then(BTreeSet::first) else { return false };
            let committed = commits.iter().rfind(|commit| commit.partition == index);
            let reached = [done.get(&(index, *owner)).copied(), committed.map(|commit| commit.offset)];
            reached.into_iter().flatten().any(|reached| reached >= stored)
        })
    }

    /// Closes everybody.
    async fn end(&mut self) {
        let last = self.slots.iter_mut().filter_map(Option::take);
        for member in self.gone.drain(..).chain(last) {
            member.orders.send(Order::Close(LAST_CLOSE)).ok();
            let ended = timeout(3 * LAST_CLOSE, member.application);
            let ended = ended.await.unwrap_or_else(|_| panic!("m{} does not end", member.number));
            assert!(ended.is_ok_and(|()| true) || member.cables.are_pulled(), "m{} panicked", member.number);
        }
    }
}

async fn down(cluster: Arc<Cluster>, broker: i32, time: Duration, noticed: bool) {
    match noticed {
        true => cluster.stop_broker(broker).await.unwrap(),
        false => cluster.crash_broker(broker).await.unwrap(),
    }
    sleep(time).await;
    if !cluster.is_running(broker) {
        cluster.start_broker(broker).await.unwrap();
    }
}
