//! A run: brokers, a producer and a consumer, and what the plan does to them.

use crate::check::{Claim, History, Partition};
use crate::liar::{Lie, LyingDial};
use crate::plan::{Knobs, Plan, Step, What};
use crate::record::{Sent, TOPIC};
use crate::traffic::{CLIENTS, Counted, Traffic, fetches_since};
use ottla::broker::{ApiKey, Cluster, Fault, StoredRecord, TopicSpec};
use ottla::net::dial::Dial;
use ottla::net::mem::{Faults, MemNet, Way};
use ottla::{
    Client, ClientBuilder, Consumer, Delivered, Delivery, Error, ErrorKind, Producer, Result, Start,
    TopicPartition,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// When everything is put right again.
const HEALED: Duration = Duration::from_secs(3);
/// How long the consumer then has until it is well again.
const RECOVERY: Duration = Duration::from_secs(15);
/// For so many waits of a fetch nothing happens in the end: who has nothing to do is seen to do nothing.
pub const AT_REST: u32 = 5;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Plays a plan from its beginning to its end.
pub fn run(plan: &Plan, lie: Option<Lie>) -> History {
    let (played, panics) = simulate(plan.seed, play(plan, lie));
    History { panics, ..played.unwrap_or_else(|| History::of_nothing(&plan.knobs)) }
}

/// Runs on a clock that stands still while anybody works, with chance from a seed; and what anybody panicked with.
pub fn simulate<T>(seed: u64, play: impl Future<Output = T>) -> (Option<T>, Vec<String>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            before(panic);
        }));
    });
    PANICS.with_borrow_mut(Vec::clear);
    let _simulation = ottla::task::simulate(seed);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    // A harness that fails names its seed, and its plan is shrunk, as if the client had.
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(play)));
    drop(runtime);
    (played.ok(), PANICS.take())
}

/// What the consumer was given, and told.
#[derive(Debug, Default)]
struct Read {
    partitions: BTreeMap<i32, Vec<(i64, Sent)>>,
    strange: Vec<String>,
    told: Vec<String>,
}

async fn play(plan: &Plan, lie: Option<Lie>) -> History {
    let Plan { seed, knobs, .. } = plan;
    let fetch_wait = Duration::from_millis(knobs.fetch_wait_ms.into());
    let start = Instant::now();
    let net = MemNet::new(*seed);
    for broker in 1..=knobs.brokers {
        set_faults(&net, broker, usual(knobs));
    }
    let cluster = Cluster::builder().brokers(usize::try_from(knobs.brokers).unwrap()).listen_in_memory(&net);
    let cluster = Arc::new(cluster.seed(*seed).keep_requests(100_000).start().await.unwrap());
    let topic = TopicSpec::new(TOPIC).partitions(usize::try_from(knobs.partitions).unwrap());
    cluster.create_topic_as(&topic.replication(usize::try_from(knobs.brokers).unwrap())).unwrap();

    let dials = [Arc::default(), Arc::default()];
    let clients = [0, 1].map(|index| {
        let builder = client(&net, knobs, lie, seed + index as u64, &dials[index]);
        builder.client_id(CLIENTS[index]).build().unwrap()
    });
    let producer = producer(&clients[0], knobs);
    let read = Arc::new(Mutex::new(Read::default()));
    let (orders, heard) = mpsc::unbounded_channel();
    let reading = tokio::spawn(consume(clients[1].clone(), knobs.clone(), Arc::clone(&read), heard));
    let mischief = tokio::spawn(meddle(start, net.clone(), Arc::clone(&cluster), plan.clone(), orders));

    let mut rng = fastrand::Rng::with_seed(*seed);
    let sent = send(&producer, knobs, &mut rng).await;
    mischief.await.unwrap();
    let (claims, took) = claims(sent, knobs).await;
    // Where a fetch brings one batch, each batch takes a round trip.
    let catch_up = RECOVERY + knobs.round_trip * 2 * (knobs.records + 10);
    let caught_up = timeout(catch_up, async {
        while !has_read_all(&cluster, &read, knobs) {
            sleep(Duration::from_millis(50)).await;
        }
    });
    let caught_up = caught_up.await.is_ok();
    let ended = start.elapsed();
    // What was under way comes to its end first.
    sleep(knobs.round_trip * 2 + fetch_wait).await;
    let rest = Instant::now();
    sleep(fetch_wait * AT_REST).await;
    reading.abort();
    let read = std::mem::take(&mut *read.lock().unwrap());
    let mut stored_strangely = Vec::new();
    let mut partitions = logs(&cluster, knobs, &mut stored_strangely);
    for (index, seen) in read.partitions {
        partitions.entry(index).or_default().read = seen;
    }
    let seen = cluster.requests();
    History {
        knobs: knobs.clone(),
        claims,
        took,
        partitions,
        stored_strangely,
        read_strangely: read.strange,
        told: read.told,
        ended,
        traffic: Traffic::of(&seen, &dials, start.into_std()),
        fetches_at_rest: if caught_up { fetches_since(&seen, rest.into_std()) } else { 0 },
        struck: seen.iter().filter(|request| request.fault.is_some()).count(),
        produce_requests: seen.iter().filter(|request| request.api_key == ApiKey::PRODUCE.0).count(),
        caught_up,
        panics: Vec::new(),
    }
}

fn usual(knobs: &Knobs) -> Faults {
    let small = knobs.small_reads.then_some(3);
    let way = Way {
        latency: knobs.round_trip / 2,
        jitter: knobs.jitter / 2,
        max_read: small,
        max_write: small.map(|bytes| bytes * 10),
        ..Default::default()
    };
    Faults { to_server: way.clone(), to_client: way, ..Default::default() }
}

fn set_faults(net: &MemNet, broker: i32, faults: Faults) {
    net.set_faults(&format!("broker-{broker}"), 9092, faults);
}

fn client(net: &MemNet, knobs: &Knobs, lie: Option<Lie>, seed: u64, dials: &Dials) -> ClientBuilder {
    let counted = Arc::new(Counted { inner: net.dialer(), dials: Arc::clone(dials) });
    let dial: Arc<dyn Dial> = match lie {
        Some(lie) => Arc::new(LyingDial { inner: counted, lie, seed }),
        None => counted,
    };
    let brokers: Vec<String> = (1..=knobs.brokers).map(|broker| format!("broker-{broker}:9092")).collect();
    let client = Client::builder().bootstrap(brokers.join(",")).dial(dial);
    client
        .set("request.timeout.ms", knobs.request_timeout_ms.to_string())
        .set("metadata.max.age.ms", knobs.metadata_age_ms.to_string())
        .set("socket.connection.setup.timeout.ms", (knobs.request_timeout_ms + 3_000).to_string())
}

fn producer(client: &Client, knobs: &Knobs) -> Producer {
    let producer = client
        .producer()
        .set("enable.idempotence", knobs.idempotent.to_string())
        .set("acks", "all")
        .set("max.in.flight.requests.per.connection", knobs.in_flight.to_string())
        .set("batch.size", knobs.batch_bytes.to_string())
        .set("linger.ms", knobs.linger_ms.to_string())
        .set("compression.type", knobs.codec)
        .set("max.block.ms", "5000")
        .set("delivery.timeout.ms", knobs.delivery_timeout_ms.to_string());
    producer.build().unwrap()
}

/// The dials of one client: to which broker, and when.
type Dials = Arc<Mutex<Vec<(String, std::time::Instant)>>>;

/// What becomes of a record, and how long that takes from when it was queued.
type Told = JoinHandle<(Result<Delivered, Error>, Duration)>;

enum Handed {
    Queued(Told),
    Refused(String),
}

/// Sends what is to be sent, one after the other.
async fn send(producer: &Producer, knobs: &Knobs, rng: &mut fastrand::Rng) -> Vec<(Sent, Handed)> {
    let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
    let mut sent = Vec::new();
    for _ in 0..knobs.records {
        let key = rng.u32(..knobs.keys);
        let number = numbers.entry(key).or_default();
        *number += 1;
        let record = Sent { key, number: *number };
        let handed = match producer.send(record.record(knobs)).await {
            Ok(delivery) => Handed::Queued(tokio::spawn(told(delivery))),
            Err(error) => Handed::Refused(error.to_string()),
        };
        sent.push((record, handed));
        if !knobs.pace.is_zero() {
            sleep(knobs.pace).await;
        }
    }
    sent
}

async fn told(delivery: Delivery) -> (Result<Delivered, Error>, Duration) {
    let queued = Instant::now();
    (delivery.await, queued.elapsed())
}

/// Waits for what the producer says of each record, for longer than it promises to take at most.
async fn claims(sent: Vec<(Sent, Handed)>, knobs: &Knobs) -> (Vec<(Sent, Claim)>, BTreeMap<Sent, Duration>) {
    let promised = Duration::from_millis(knobs.delivery_timeout_ms + knobs.request_timeout_ms);
    let late = Instant::now() + promised + Duration::from_secs(5);
    let (mut claims, mut times) = (Vec::new(), BTreeMap::new());
    for (record, handed) in sent {
        let claim = match handed {
            Handed::Refused(error) => Claim::Refused { error },
            Handed::Queued(told) => match tokio::time::timeout_at(late, told).await {
                Err(_) => Claim::Silent,
                Ok(told) => {
                    let (told, took) = told.unwrap();
                    times.insert(record, took);
                    match told {
                        Ok(at) => Claim::Acked { partition: at.partition, offset: at.offset },
                        Err(error) => Claim::Failed {
                            surely_not: !error.is_possibly_written(),
                            is_for_want_of_time: error.is_retriable() || error.kind() == ErrorKind::Timeout,
                            error: error.to_string(),
                        },
                    }
                }
            },
        };
        claims.push((record, claim));
    }
    (claims, times)
}

/// What the consumer is to do between two batches.
#[derive(Debug)]
enum Order {
    Seek(i32),
    Pause(i32),
    Resume(i32),
}

async fn consume(
    client: Client,
    knobs: Knobs,
    read: Arc<Mutex<Read>>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let all = (0..knobs.partitions).map(|index| (TopicPartition::new(TOPIC, index), Start::Beginning));
    let consumer = client
        .consumer()
        .set("fetch.max.wait.ms", knobs.fetch_wait_ms.to_string())
        .set("max.partition.fetch.bytes", knobs.fetch_bytes.to_string())
        .set("queued.max.messages.kbytes", knobs.queued_kbytes.to_string())
        .assign(all);
    let mut consumer = consumer.build().await.unwrap();
    loop {
        tokio::select! {
            biased;
            Some(order) = orders.recv() => obey(&mut consumer, &order, &read),
            batch = consumer.poll() => match batch {
                Err(error) => read.lock().unwrap().told.push(error.to_string()),
                Ok(None) => return,
                Ok(Some(batch)) => {
                    let mut read = read.lock().unwrap();
                    let Read { partitions, strange, .. } = &mut *read;
                    let seen = partitions.entry(batch.partition()).or_default();
                    for record in &batch {
                        let (offset, time) = (record.offset(), record.timestamp_ms());
                        let named = Sent::read(&knobs, record.key(), record.value(), time);
                        seen.push((offset, named.unwrap_or_else(|error| stranger(offset, error, strange))));
                    }
                }
            },
        }
    }
}

fn obey(consumer: &mut Consumer, order: &Order, read: &Mutex<Read>) {
    let place = |index: &i32| TopicPartition::new(TOPIC, *index);
    match order {
        Order::Seek(index) => {
            consumer.seek(&place(index), Start::Beginning).unwrap();
            read.lock().unwrap().partitions.remove(index);
        }
        Order::Pause(index) => consumer.pause(&place(index)).unwrap(),
        Order::Resume(index) => consumer.resume(&place(index)).unwrap(),
    }
}

/// Takes note of what is no record of ours, and gives it a name by which it can be read again.
fn stranger(offset: i64, what: String, strange: &mut Vec<String>) -> Sent {
    strange.push(format!("offset {offset}: {what}"));
    Sent { key: u32::MAX, number: u32::try_from(offset).unwrap_or(u32::MAX) }
}

/// Does what the plan says, and puts everything right in the end.
async fn meddle(
    start: Instant,
    net: MemNet,
    cluster: Arc<Cluster>,
    plan: Plan,
    orders: mpsc::UnboundedSender<Order>,
) {
    let mut under_way = Vec::new();
    for Step { at, what } in plan.steps {
        sleep_until(start + at).await;
        let (net, cluster, orders, knobs) =
            (net.clone(), Arc::clone(&cluster), orders.clone(), plan.knobs.clone());
        under_way.push(tokio::spawn(async move { act(&net, &cluster, &orders, &knobs, what).await }));
    }
    sleep_until(start + HEALED).await;
    for step in under_way {
        step.await.unwrap();
    }
    cluster.clear_faults();
    for broker in 1..=plan.knobs.brokers {
        set_faults(&net, broker, usual(&plan.knobs));
        if !cluster.is_running(broker) {
            cluster.start_broker(broker).await.unwrap();
        }
    }
    for index in 0..plan.knobs.partitions {
        orders.send(Order::Resume(index)).ok();
    }
}

async fn act(
    net: &MemNet,
    cluster: &Cluster,
    orders: &mpsc::UnboundedSender<Order>,
    knobs: &Knobs,
    what: What,
) {
    match what {
        What::Fault { api, fate, broker, every, times } => {
            let fault = Fault::new(fate).api(api).every(every).times(times);
            cluster.add_fault(match broker {
                Some(broker) => fault.broker(broker),
                None => fault,
            });
        }
        What::Hold { broker, time } => {
            let mut faults = usual(knobs);
            (faults.to_server.hold, faults.to_client.hold) = (true, true);
            set_faults(net, broker, faults);
            sleep(time).await;
            set_faults(net, broker, usual(knobs));
        }
        What::Reset { broker } => net.cut(&format!("broker-{broker}"), 9092),
        What::Refuse { broker, time } => {
            set_faults(net, broker, Faults { refuse: true, ..usual(knobs) });
            sleep(time).await;
            set_faults(net, broker, usual(knobs));
        }
        What::Kill { broker, time, noticed } => {
            if !cluster.is_running(broker) {
                return;
            }
            match noticed {
                true => cluster.stop_broker(broker).await.unwrap(),
                false => cluster.crash_broker(broker).await.unwrap(),
            }
            sleep(time).await;
            if !cluster.is_running(broker) {
                cluster.start_broker(broker).await.unwrap();
            }
        }
        // A broker that is known to be down cannot lead: then nothing is moved.
        What::Move { partition, to } => drop(cluster.move_leader(TOPIC, partition, to)),
        What::Lag { broker, time } => {
            cluster.hold_metadata(broker).unwrap();
            sleep(time).await;
            cluster.release_metadata(broker);
        }
        What::Seek { partition } => drop(orders.send(Order::Seek(partition))),
        What::Pause { partition, time } => {
            orders.send(Order::Pause(partition)).ok();
            sleep(time).await;
            orders.send(Order::Resume(partition)).ok();
        }
    }
}

fn logs(cluster: &Cluster, knobs: &Knobs, strange: &mut Vec<String>) -> BTreeMap<i32, Partition> {
    let mut log = |index| {
        let name = |record: StoredRecord| {
            let StoredRecord { offset, timestamp, key, value, .. } = record;
            let named = Sent::read(knobs, key.as_deref(), value.as_deref(), timestamp);
            (offset, named.unwrap_or_else(|error| stranger(offset, error, strange)))
        };
        cluster.records(TOPIC, index).into_iter().map(name).collect()
    };
    (0..knobs.partitions).map(|index| (index, Partition { log: log(index), read: Vec::new() })).collect()
}

fn has_read_all(cluster: &Cluster, read: &Mutex<Read>, knobs: &Knobs) -> bool {
    let read = read.lock().unwrap();
    (0..knobs.partitions)
        .all(|index| read.partitions.get(&index).map_or(0, Vec::len) >= cluster.records(TOPIC, index).len())
}
