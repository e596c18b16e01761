//! What only an embedded broker can do: be watched, be told what to do with a request, run on simulated time, be started and
//! dropped a thousand times, and be lied to.

use crate::batch;
use crate::cases::Topic;
use crate::peer::{Peer, frame};
use bytes::Bytes;
use ottla::broker::{Broker, BrokerBuilder, Fate};
use ottla::messages::{
    AnyRequest, ApiKey, ApiVersionsRequest, CreateTopicsRequest, ErrorCode, FetchRequest, MetadataRequest,
    SaslAuthenticateRequest, SaslHandshakeRequest, api,
};
use ottla::net::dial::{Dial, Endpoint, Security, Stream};
use ottla::net::mem::MemNet;
use ottla::wire::Uuid;
use std::future::Future;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn start(runtime: &Runtime, builder: BrokerBuilder) -> (Broker, Peer) {
    let broker = runtime.block_on(builder.start()).unwrap();
    let peer = Peer::connect(&broker.bootstrap_servers());
    (broker, peer)
}

fn topic_of(broker: &Broker, name: &str) -> Topic {
    broker.create_topic(name, 1).unwrap();
    Topic { name: name.into(), id: Uuid::ZERO }
}

#[test]
fn every_api_that_is_offered_answers_in_every_version() {
    let runtime = runtime();
    let (_broker, mut peer) = start(&runtime, Broker::builder());
    let offered = peer.ask(0, ApiVersionsRequest::default()).api_keys;
    assert_eq!(offered.len(), 35);
    for entry in offered {
        let served = api(entry.api_key).unwrap().negotiable;
        for version in entry.min_version.max(served.first)..=entry.max_version {
            let request = AnyRequest::default_of(entry.api_key).unwrap();
            if entry.api_key == ApiKey::PRODUCE {
                continue; // acks are 0 by default
            }
            peer.ask_any(version, request)
                .unwrap_or_else(|error| panic!("{} {version}: {error}", entry.api_key));
        }
    }
}

#[test]
fn requests_are_kept_without_their_secrets() {
    let runtime = runtime();
    let builder = Broker::builder().user("alice", "marker-password").keep_requests(3);
    let (broker, mut peer) = start(&runtime, builder);
    peer.ask(4, ApiVersionsRequest { client_software_name: "a".into(), client_software_version: "1".into() });
    peer.ask(1, SaslHandshakeRequest { mechanism: "PLAIN".into() });
    let token = SaslAuthenticateRequest { auth_bytes: Bytes::from_static(b"\0alice\0marker-password") };
    assert_eq!(peer.ask(2, token).error_code, ErrorCode::NONE);
    peer.ask(12, MetadataRequest::topics([]));
    let seen = broker.requests();
    let apis: Vec<_> = seen.iter().map(|seen| (seen.api, seen.version, seen.principal.as_deref())).collect();
    assert_eq!(
        apis,
        [("SaslHandshake", 1, None), ("SaslAuthenticate", 2, None), ("Metadata", 12, Some("alice"))]
    );
    assert!(seen.iter().all(|seen| seen.client_id.as_deref() == Some("peer")));
    let shown = format!("{seen:?} {broker:?} {:?}", Broker::builder().user("alice", "marker-password"));
    assert!(!shown.contains("marker-password"), "{shown}");
}

#[test]
fn a_hook_decides_what_becomes_of_a_request() {
    let runtime = runtime();
    let (broker, mut peer) = start(&runtime, Broker::builder());
    let topic = topic_of(&broker, "t");
    let only_produce = |fate: Fate| {
        let mut once = Some(fate);
        move |seen: &ottla::broker::SeenRequest| match seen.api {
            "Produce" => once.take().unwrap_or(Fate::Pass),
            _ => Fate::Pass,
        }
    };
    broker.on_request(only_produce(Fate::LoseAnswer));
    peer.send(9, topic.produce(batch::of(1)).into());
    assert_eq!(peer.append(&topic, batch::of(1)), 1, "the first was written, though nobody was told");

    broker.on_request(only_produce(Fate::LoseRequest));
    peer.send(9, topic.produce(batch::of(1)).into());
    assert_eq!(peer.append(&topic, batch::of(1)), 2, "the first was not written");

    broker.on_request(only_produce(Fate::Delay(Duration::from_millis(300))));
    let asked = Instant::now();
    assert_eq!(peer.append(&topic, batch::of(1)), 3);
    assert!(asked.elapsed() >= Duration::from_millis(290), "{:?}", asked.elapsed());

    broker.on_request(only_produce(Fate::Close));
    peer.send(9, topic.produce(batch::of(1)).into());
    assert!(peer.is_closed());
    let left = broker.log("t", 0).last().unwrap().last_offset;
    assert_eq!(left, 3);
}

#[test]
fn the_log_can_be_looked_at() {
    let runtime = runtime();
    let (broker, mut peer) = start(&runtime, Broker::builder());
    let topic = topic_of(&broker, "t");
    let sent = batch::compressed(ottla::records::Compression::Lz4);
    peer.append(&topic, batch::of(3));
    peer.append(&topic, sent.clone());
    let log = broker.log("t", 0);
    assert_eq!(
        log.iter().map(|batch| (batch.base_offset, batch.last_offset, batch.codec)).collect::<Vec<_>>(),
        [(0, 2, "none"), (3, 4, "lz4"),]
    );
    assert_eq!(log[1].bytes[16..], sent[16..], "only the offset and the leader epoch were changed");
    assert!(broker.log("t", 1).is_empty() && broker.log("nobody", 0).is_empty());
    assert_eq!((broker.topics(), broker.partitions("t")), (vec!["t".to_owned()], Some(1)));
    assert!(broker.create_topic("t", 1).is_err() && broker.create_topic("u", 0).is_err());
}

#[test]
fn users_come_and_go() {
    let runtime = runtime();
    let (broker, _) = start(&runtime, Broker::builder().user("alice", "secret"));
    let login = |name: &str, password: &str| {
        let mut peer = Peer::connect(&broker.bootstrap_servers());
        peer.ask(1, SaslHandshakeRequest { mechanism: "PLAIN".into() });
        let token = Bytes::from(format!("\0{name}\0{password}"));
        peer.ask(2, SaslAuthenticateRequest { auth_bytes: token }).error_code
    };
    assert_eq!(login("alice", "secret"), ErrorCode::NONE);
    assert_eq!(login("bob", "other"), ErrorCode::SASL_AUTHENTICATION_FAILED);
    broker.add_user("bob", "other");
    assert_eq!(login("bob", "other"), ErrorCode::NONE);
    assert!(broker.remove_user("alice") && !broker.remove_user("alice"));
    assert_eq!(login("alice", "secret"), ErrorCode::SASL_AUTHENTICATION_FAILED);
}

#[test]
fn a_waiting_fetch_is_answered_when_its_topic_goes() {
    let runtime = runtime();
    let (broker, mut reader) = start(&runtime, Broker::builder());
    let topic = topic_of(&broker, "t");
    let waiting = FetchRequest { min_bytes: 1, max_wait_ms: i32::MAX, ..topic.fetch(0) };
    let id = reader.send(12, waiting.into());
    let mut admin = Peer::connect(&broker.bootstrap_servers());
    let request =
        ottla::messages::DeleteTopicsRequest { topic_names: vec!["t".into()], ..Default::default() };
    assert_eq!(admin.ask(5, request).responses[0].error_code, ErrorCode::NONE);
    let told = reader.take::<FetchRequest>(12, id).unwrap();
    assert_eq!(told.responses[0].partitions[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn shutdown_ends_connections_and_frees_the_port() {
    let runtime = runtime();
    let (broker, mut peer) = start(&runtime, Broker::builder());
    peer.ask(12, MetadataRequest::topics([]));
    let address = broker.bootstrap_servers();
    let asked = Instant::now();
    runtime.block_on(broker.shutdown());
    assert!(asked.elapsed() < Duration::from_millis(900), "{:?}", asked.elapsed());
    assert!(peer.is_closed());
    assert!(TcpStream::connect(&address).is_err());
    let (broker, mut peer) = start(&runtime, Broker::builder().listen(&*address));
    assert_eq!(broker.bootstrap_servers(), address);
    drop(broker);
    assert!(peer.is_closed(), "dropping it is enough");
}

#[test]
fn what_cannot_be_is_refused_at_the_start() {
    let runtime = runtime();
    let error = |builder: BrokerBuilder| runtime.block_on(builder.start()).unwrap_err().to_string();
    assert!(error(Broker::builder().partitions(0)).contains("partition"));
    assert!(error(Broker::builder().listen("nowhere")).contains("nowhere"));
    let (broker, _) = start(&runtime, Broker::builder());
    let taken = broker.bootstrap_servers();
    assert!(error(Broker::builder().listen(&*taken)).contains(&taken));
}

#[test]
fn the_advertised_address_is_what_clients_are_told() {
    let runtime = runtime();
    let builder = Broker::builder().listen("0.0.0.0:0");
    let broker = runtime.block_on(builder.start()).unwrap();
    assert_eq!(broker.bootstrap_servers(), format!("localhost:{}", broker.port()));
    let builder = Broker::builder().advertise("kafka.example", 9092);
    let listened = runtime.block_on(builder.start()).unwrap();
    assert_eq!(listened.bootstrap_servers(), "kafka.example:9092");
}

#[test]
fn partitions_and_creation_are_as_told() {
    let runtime = runtime();
    let builder = Broker::builder().partitions(2).auto_create_topics(false);
    let (broker, mut peer) = start(&runtime, builder);
    let missing = peer.ask(12, MetadataRequest::topics(["t".into()])).topics[0].error_code;
    assert_eq!(missing, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let topic = ottla::messages::CreatableTopic {
        name: "t".into(),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    };
    peer.ask(7, CreateTopicsRequest { topics: vec![topic], ..Default::default() });
    assert_eq!(broker.partitions("t"), Some(2));
}

#[test]
fn nonsense_ends_its_connection_and_nothing_else() {
    let runtime = runtime();
    let (broker, mut peer) = start(&runtime, Broker::builder());
    let topic = topic_of(&broker, "t");
    let whole = frame(12, 1, &topic.produce(batch::of(2)).into());
    let mut rng = fastrand::Rng::with_seed(4);
    for _ in 0..400 {
        let mut bytes = match rng.u8(..3) {
            0 => (0..rng.usize(..200)).map(|_| rng.u8(..)).collect(),
            1 => whole[..rng.usize(..whole.len())].to_vec(),
            _ => whole.clone(),
        };
        for _ in 0..rng.usize(..4) {
            if !bytes.is_empty() {
                let at = rng.usize(..bytes.len());
                bytes[at] = rng.u8(..);
            }
        }
        let mut stream = TcpStream::connect(broker.bootstrap_servers()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let length = if rng.u8(..10) == 0 { rng.i32(..) } else { i32::try_from(bytes.len()).unwrap() };
        let _ = stream.write_all(&length.to_be_bytes());
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // An answer or none, but an end.
        let _ = stream.read_to_end(&mut Vec::new()).or_else(|error| match error.kind() {
            std::io::ErrorKind::ConnectionReset => Ok(0),
            _ => Err(error),
        });
    }
    peer.ask(12, MetadataRequest::topics([]));
}

#[test]
fn frames_above_the_limit_are_refused_before_they_are_read() {
    let runtime = runtime();
    let (_broker, mut peer) = start(&runtime, Broker::builder().max_request_bytes(1_000));
    peer.stream().write_all(&1_001i32.to_be_bytes()).unwrap();
    assert!(peer.is_closed());
}

#[test]
fn topics_without_end_are_refused() {
    let runtime = runtime();
    let (_broker, mut peer) = start(&runtime, Broker::builder());
    let topic = |num_partitions| ottla::messages::CreatableTopic {
        name: "t".into(),
        num_partitions,
        replication_factor: 1,
        ..Default::default()
    };
    let many = CreateTopicsRequest { topics: vec![topic(i32::MAX)], ..Default::default() };
    assert_eq!(peer.ask(7, many).topics[0].error_code, ErrorCode::POLICY_VIOLATION);
    let assignments = vec![Default::default(); 20_000];
    let topic = ottla::messages::CreatableTopic { assignments, ..topic(-1) };
    let many = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    assert_eq!(peer.ask(7, many).topics[0].error_code, ErrorCode::POLICY_VIOLATION);
}

/// Runs on simulated time.
pub fn simulated<T>(work: impl Future<Output = T>) -> T {
    let _simulation = ottla::task::simulate(7);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(work)
}

/// A connection to a broker in memory.
pub async fn dial(net: &MemNet, host: &str) -> Box<dyn Stream> {
    try_dial(net, host).await.unwrap()
}

/// The same, where nobody may listen.
pub async fn try_dial(net: &MemNet, host: &str) -> ottla::Result<Box<dyn Stream>> {
    let endpoint = Endpoint::new(host, 9092, Security::Plaintext);
    let deadline = ottla::task::after(ottla::task::now(), Duration::from_secs(1));
    Ok(net.dialer().dial(&endpoint, deadline).await?.stream)
}

#[test]
fn a_long_poll_takes_its_time_on_a_clock_that_is_not_the_walls() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let real = Instant::now();
    let took = simulated(async {
        let net = MemNet::new(1);
        let broker = Broker::builder().listen_in_memory(&net, "broker", 9092).start().await.unwrap();
        let topic = topic_of(&broker, "t");
        let mut stream = dial(&net, "broker").await;
        let waiting = FetchRequest { min_bytes: 1, max_wait_ms: 250_000, ..topic.fetch(0) };
        let bytes = frame(12, 1, &waiting.into());
        let asked = ottla::task::now();
        stream.write_all(&i32::try_from(bytes.len()).unwrap().to_be_bytes()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let length = stream.read_i32().await.unwrap();
        let mut answer = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut answer).await.unwrap();
        broker.shutdown().await;
        ottla::task::now() - asked
    });
    assert!((250..260).contains(&took.as_secs()), "{took:?}");
    assert!(real.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_thousand_starts_and_drops_leave_nothing_behind() {
    let runtime = runtime();
    let resident_kib = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("VmRSS: 0 kB").to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap()
    };
    let once = || {
        let (broker, mut peer) = start(&runtime, Broker::builder());
        peer.ask(12, MetadataRequest::topics(["t".into()]));
        drop(broker);
    };
    (0..100).for_each(|_| once());
    let before = resident_kib();
    let began = Instant::now();
    (0..1_000).for_each(|_| once());
    let grown = resident_kib() - before;
    assert!(grown < 10 * 1024, "{grown} KiB");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
