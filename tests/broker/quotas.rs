//! What becomes of clients that send or get more than their quotas allow, here and by a real Kafka.

use crate::batch;
use crate::cases::{Target, Topic};
use crate::peer::{Peer, frame};
use crate::real::process::run;
use ottla::broker::{Broker, Quota, QuotaEntity};
use ottla::messages::{Acks, FetchResponse, MetadataRequest, ProduceRequest};
use std::time::{Duration, Instant};

/// Bytes a second, of which a client that was idle may have ten seconds' worth at once.
const RATE: u64 = 10_000;
/// The clients that have quotas.
const PRODUCER: &str = "held-back-producer";
const CONSUMER: &str = "held-back-consumer";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// How long a first request of so many bytes is held back.
fn expected_ms(bytes: usize) -> i32 {
    i32::try_from((bytes - 100_000) / 10).unwrap()
}

fn bytes_of(request: &ProduceRequest) -> usize {
    frame(9, 1, &request.clone().into()).len() - "peer".len() + PRODUCER.len()
}

/// Asks for something that needs no quota, and says how long after `began` it was answered.
fn answered_after(peer: &mut Peer, began: Instant) -> Duration {
    peer.ask(12, MetadataRequest::topics([]));
    began.elapsed()
}

fn records_in(fetched: &FetchResponse) -> usize {
    let partitions = fetched.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.filter_map(|partition| Some(partition.records.as_ref()?.len())).sum()
}

/// What holds on every broker with these quotas.
fn clients_are_held_back(target: &Target) {
    let topic = target.topic();
    let mut producer = target.connect_as(PRODUCER);
    let request = topic.produce(batch::large(104_000));
    let expected = expected_ms(bytes_of(&request));
    let began = Instant::now();
    let told = producer.ask(9, request);
    assert!((expected - 1..=expected + 1).contains(&told.throttle_time_ms), "{expected}: {told:?}");
    assert_eq!(told.responses[0].partition_responses[0].base_offset, 0, "it is written all the same");
    let more = target.connect_as(PRODUCER).ask(9, topic.produce(batch::of(1))).throttle_time_ms;
    assert!((1..=expected + 50).contains(&more), "the rate is that of all its connections: {more}");
    let pause = Duration::from_millis(told.throttle_time_ms.unsigned_abs().into());
    assert!(answered_after(&mut producer, began) >= pause, "what follows waits");
    assert_eq!(target.connect().ask(9, topic.produce(batch::of(1))).throttle_time_ms, 0);

    let topic = target.topic();
    let append = || target.connect().append(&topic, batch::large(40_000));
    assert_eq!([append(), append()], [0, 1]);
    let mut consumer = target.connect_as(CONSUMER);
    let first = consumer.ask(12, topic.fetch(0));
    assert_eq!(first.throttle_time_ms, 0, "{first:?}");
    assert!(records_in(&first) > 80_000);
    append();
    let began = Instant::now();
    let second = consumer.ask(12, topic.fetch(2));
    assert_eq!((second.responses.len(), second.error_code.0), (0, 0), "{second:?}");
    assert!((1..=4_100).contains(&second.throttle_time_ms), "{second:?}");
    let pause = Duration::from_millis(second.throttle_time_ms.unsigned_abs().into());
    assert!(answered_after(&mut consumer, began) >= pause);

    let never = target.topic();
    target.connect().append(&never, batch::large(150_000));
    let answer = target.connect_as(CONSUMER).ask(12, never.fetch(0));
    assert!(answer.responses.is_empty() && answer.throttle_time_ms > 0, "more than can ever be allowed");
}

#[test]
fn the_embedded_broker_holds_clients_back() {
    let target = Target::embedded();
    let broker = target.broker();
    broker.set_quota(QuotaEntity::client_id(PRODUCER), Quota::new().producer_byte_rate(RATE));
    broker.set_quota(QuotaEntity::client_id(CONSUMER), Quota::new().consumer_byte_rate(RATE));
    clients_are_held_back(&target);
}

#[test]
fn a_real_kafka_holds_clients_back_alike() {
    let kafka = real_kafka!();
    if !kafka.fact("version").starts_with("4.3.") {
        return eprintln!("not compared with Kafka {}", kafka.fact("version"));
    }
    let address = kafka.plaintext().split(',').next().unwrap();
    for (client, setting) in [(PRODUCER, "producer_byte_rate"), (CONSUMER, "consumer_byte_rate")] {
        let config = format!("{setting}={RATE}");
        let arguments = ["--bootstrap-server", address, "--alter", "--entity-type", "clients"];
        let arguments = [&arguments[..], &["--entity-name", client, "--add-config", &config]].concat();
        run(&mut kafka.java("kafka.admin.ConfigCommand", &arguments), b"", Duration::from_secs(120))
            .success();
    }
    // What the controller has taken the broker learns a moment later.
    std::thread::sleep(Duration::from_secs(2));
    clients_are_held_back(&Target::real(address));
}

#[test]
fn a_fetch_session_goes_on_behind_an_answer_that_was_kept_back() {
    let target = Target::embedded();
    let topic = target.topic();
    let mut peer = target.connect();
    let mut fetch = topic.fetch(0);
    fetch.session_epoch = 0;
    let session_id = peer.ask(12, fetch.clone()).session_id;
    assert_ne!(session_id, 0);
    peer.append(&topic, batch::large(10_050));
    let entity = QuotaEntity::default_client_id();
    target.broker().set_quota(entity.clone(), Quota::new().consumer_byte_rate(1_000));
    fetch = ottla::messages::FetchRequest { session_id, session_epoch: 1, topics: vec![], ..fetch };
    let kept_back = peer.ask(12, fetch.clone());
    assert!(kept_back.throttle_time_ms > 0 && kept_back.session_id == session_id, "{kept_back:?}");
    assert!(target.broker().remove_quota(&entity) && !target.broker().remove_quota(&entity));
    fetch.session_epoch = 2;
    let next = peer.ask(12, fetch);
    assert_eq!((next.error_code.0, next.session_id), (0, session_id));
    assert!(records_in(&next) > 10_000, "nothing was said of it before: {next:?}");
}

#[test]
fn who_awaits_no_answer_is_not_read_from_either() {
    let target = Target::embedded();
    let topic = target.topic();
    target.broker().set_quota(QuotaEntity::client_id("peer"), Quota::new().producer_byte_rate(RATE));
    let mut peer = target.connect();
    let request = ProduceRequest { acks: Acks::NONE, ..topic.produce(batch::large(103_000)) };
    let began = Instant::now();
    peer.send(9, request.into());
    assert!(answered_after(&mut peer, began) >= Duration::from_millis(300));
}

#[test]
fn a_quota_may_be_for_a_user() {
    let (alice, runtime) = (QuotaEntity::user("alice"), runtime());
    let builder = Broker::builder().user("alice", "a").user("bob", "b");
    let broker =
        runtime.block_on(builder.quota(alice, Quota::new().producer_byte_rate(100)).start()).unwrap();
    broker.create_topic("t", 1).unwrap();
    let topic = Topic { name: "t".into(), id: ottla::wire::Uuid::ZERO };
    let throttled = [("alice", "a"), ("bob", "b")].map(|(user, password)| {
        let mut peer = Peer::connect(&broker.bootstrap_servers());
        crate::denials::login(&mut peer, user, password);
        peer.ask(9, topic.produce(batch::large(1_000))).throttle_time_ms > 0
    });
    assert_eq!(throttled, [true, false]);
}
