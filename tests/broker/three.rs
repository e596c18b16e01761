//! Questions to three brokers whose answers are those of three real ones.
//!
//! Each runs on an embedded cluster. On a real one they run together, when asked for with `-- --ignored`: it takes three
//! brokers a while to start and to notice what becomes of one.

use crate::batch;
use crate::cases::Topic;
use crate::cluster::Bench;
use crate::peer::Peer;
use crate::real::cluster::RealCluster;
use crate::real::{self, kafka};
use ottla::broker::Cluster;
use ottla::messages::{
    BrokerId, CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
    ErrorCode, FetchRequest, LeaderEpoch, ListOffsetsPartition, ListOffsetsPartitionResponse,
    ListOffsetsRequest, ListOffsetsTopic, MetadataPartition, MetadataRequest, NodeEndpoint,
};
use ottla::wire::Uuid;
use std::thread;
use std::time::{Duration, Instant};

/// How long three real brokers may take to agree.
const LIMIT: Duration = Duration::from_secs(60);

/// Brokers 1, 2 and 3.
pub trait Three {
    fn address(&self, broker: i32) -> String;
    /// For partition 0.
    fn move_leader(&self, topic: &str, to: i32);
    fn stop(&self, broker: i32);
    fn start(&self, broker: i32);
}

impl Three for Bench {
    fn address(&self, broker: i32) -> String {
        self.cluster.address(broker).unwrap()
    }

    fn move_leader(&self, topic: &str, to: i32) {
        self.cluster.move_leader(topic, 0, to).unwrap();
    }

    fn stop(&self, broker: i32) {
        self.runtime.block_on(self.cluster.stop_broker(broker)).unwrap();
    }

    fn start(&self, broker: i32) {
        self.runtime.block_on(self.cluster.start_broker(broker)).unwrap();
    }
}

impl Three for RealCluster {
    fn address(&self, broker: i32) -> String {
        let index = usize::try_from(broker - 1).unwrap();
        self.kafka().plaintext().split(',').nth(index).unwrap().to_owned()
    }

    fn move_leader(&self, topic: &str, to: i32) {
        self.move_leader(topic, 0, to);
    }

    fn stop(&self, broker: i32) {
        self.stop(broker);
    }

    fn start(&self, broker: i32) {
        self.start(broker);
    }
}

fn peer(three: &dyn Three, broker: i32) -> Peer {
    Peer::connect(&three.address(broker))
}

/// Asks until the answer is good enough, as real brokers take a moment to hear of things.
#[track_caller]
fn eventually<T: std::fmt::Debug>(mut ask: impl FnMut() -> T, enough: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        let told = ask();
        if enough(&told) {
            return told;
        }
        assert!(Instant::now() < deadline, "after {LIMIT:?}: {told:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// A topic of one partition on these brokers, known to all three.
fn topic(three: &dyn Three, replicas: &[i32], configs: &[(&str, &str)]) -> Topic {
    let broker_ids = replicas.iter().copied().map(BrokerId).collect();
    let assignment = CreatableReplicaAssignment { broker_ids, ..Default::default() };
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
    };
    let creatable = CreatableTopic {
        name: kafka::unique("three").into(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![assignment],
        configs: configs.iter().map(config).collect(),
    };
    let name = creatable.name.clone();
    let request = CreateTopicsRequest { topics: vec![creatable], timeout_ms: 10_000, ..Default::default() };
    let created = peer(three, 1).ask(7, request);
    assert_eq!(created.topics[0].error_code, ErrorCode::NONE, "{created:?}");
    let topic = Topic { name, id: created.topics[0].topic_id };
    for broker in 1..=3 {
        let mut peer = peer(three, broker);
        eventually(|| partition(&mut peer, &topic), |told| told.leader_id == BrokerId(replicas[0]));
        if replicas.contains(&broker) {
            let read = || peer.fetch(12, topic.fetch(0)).error_code;
            eventually(read, |code| code.is_none());
        }
    }
    topic
}

/// What a broker tells of the partition.
fn partition(peer: &mut Peer, topic: &Topic) -> MetadataPartition {
    let told = peer.ask(12, MetadataRequest::topics([topic.name.clone()]));
    told.topics[0].partitions.first().cloned().unwrap_or_default()
}

fn with_epoch(topic: &Topic, epoch: LeaderEpoch) -> FetchRequest {
    let mut request = topic.fetch(0);
    request.topics[0].partitions[0].current_leader_epoch = epoch;
    request
}

/// The end of the log, as a broker tells those who mean this leader epoch.
fn list(three: &dyn Three, broker: i32, topic: &Topic, epoch: LeaderEpoch) -> ListOffsetsPartitionResponse {
    let partition = ListOffsetsPartition { timestamp: -1, current_leader_epoch: epoch, ..Default::default() };
    let topics = vec![ListOffsetsTopic { name: topic.name.clone(), partitions: vec![partition] }];
    let request = ListOffsetsRequest { replica_id: BrokerId::NONE, topics, ..Default::default() };
    peer(three, broker).ask(7, request).topics[0].partitions[0].clone()
}

fn only_the_leader_takes_records_and_the_others_name_it(three: &dyn Three) {
    let topic = topic(three, &[2, 3], &[]);
    for broker in [1, 3] {
        for version in [9, 10, 12, 13] {
            let response = peer(three, broker).ask(version, topic.produce(batch::of(1)));
            let done = &response.responses[0].partition_responses[0];
            assert_eq!(done.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER, "{broker} {version}");
            let hint = done.current_leader.leader_id;
            if version < 10 {
                assert_eq!((hint, response.node_endpoints.len()), (BrokerId::NONE, 0));
            } else {
                assert_eq!((hint, done.current_leader.leader_epoch), (BrokerId(2), LeaderEpoch(0)));
                let [NodeEndpoint { node_id, host, port, .. }] = &response.node_endpoints[..] else {
                    panic!("{response:?}")
                };
                assert_eq!((*node_id, format!("{host}:{port}")), (BrokerId(2), three.address(2)));
            }
        }
    }
    assert_eq!(peer(three, 2).append(&topic, batch::of(1)), 0);
}

fn records_are_read_from_the_leader_and_since_version_11_from_followers(three: &dyn Three) {
    let topic = topic(three, &[2, 3], &[]);
    peer(three, 2).append(&topic, batch::of(2));
    let read = |broker, version| peer(three, broker).fetch(version, topic.fetch(0));
    eventually(|| read(3, 12).high_watermark, |end| *end == 2);
    for version in [4, 10, 11, 12, 13, 18] {
        assert_eq!(read(2, version).error_code, ErrorCode::NONE);
        let follows = if version >= 11 { ErrorCode::NONE } else { ErrorCode::NOT_LEADER_OR_FOLLOWER };
        assert_eq!(read(3, version).error_code, follows, "{version}");
        assert_eq!(read(1, version).error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER, "{version}: no replica");
    }
    let response = peer(three, 1).ask(18, topic.fetch(0));
    assert_eq!(response.responses[0].partitions[0].current_leader.leader_id, BrokerId(2));
    assert_eq!(response.node_endpoints[0].node_id, BrokerId(2));
    let response = peer(three, 1).ask(15, topic.fetch(0));
    assert_eq!(response.responses[0].partitions[0].current_leader.leader_id, BrokerId::NONE);
    assert!(response.node_endpoints.is_empty(), "since version 16");
}

fn offsets_are_listed_by_the_leader(three: &dyn Three) {
    let topic = topic(three, &[2, 3], &[]);
    for (broker, epoch, expected) in [
        (2, -1, ErrorCode::NONE),
        (2, 0, ErrorCode::NONE),
        (2, 1, ErrorCode::UNKNOWN_LEADER_EPOCH),
        (3, -1, ErrorCode::NOT_LEADER_OR_FOLLOWER),
        (3, 1, ErrorCode::UNKNOWN_LEADER_EPOCH),
        (1, -1, ErrorCode::NOT_LEADER_OR_FOLLOWER),
        (1, 1, ErrorCode::NOT_LEADER_OR_FOLLOWER),
    ] {
        let code = list(three, broker, &topic, LeaderEpoch(epoch)).error_code;
        assert_eq!(code, expected, "broker {broker}, epoch {epoch}");
    }
}

fn a_leader_that_is_moved_fences_those_who_mean_the_old_one(three: &dyn Three) {
    let topic = topic(three, &[1, 2], &[]);
    peer(three, 1).append(&topic, batch::of(1));
    three.move_leader(&topic.name, 2);
    let by_2 = |told: &MetadataPartition| told.leader_id == BrokerId(2);
    for broker in [1, 2] {
        let mut peer = peer(three, broker);
        let epoch = eventually(|| partition(&mut peer, &topic), by_2).leader_epoch;
        let old = LeaderEpoch(epoch.0 - 1);
        let fenced = |told: &ottla::messages::FetchResponse| {
            told.responses[0].partitions[0].error_code == ErrorCode::FENCED_LEADER_EPOCH
        };
        let told = eventually(|| peer.ask(16, with_epoch(&topic, old)), fenced);
        assert_eq!(told.responses[0].partitions[0].current_leader.leader_epoch, epoch);
        assert_eq!(told.node_endpoints[0].node_id, BrokerId(2));
        let newer = peer.fetch(16, with_epoch(&topic, LeaderEpoch(epoch.0 + 1)));
        assert_eq!(newer.error_code, ErrorCode::UNKNOWN_LEADER_EPOCH);
        assert_eq!(peer.fetch(16, with_epoch(&topic, epoch)).error_code, ErrorCode::NONE);
    }
    let mut leader = peer(three, 2);
    let epoch = partition(&mut leader, &topic).leader_epoch;
    let end = list(three, 2, &topic, LeaderEpoch::NONE);
    assert_eq!((end.offset, end.leader_epoch), (1, epoch), "a leader's epoch begins before it writes");
    assert_eq!(leader.append(&topic, batch::of(1)), 1);
    let mut diverged = with_epoch(&topic, epoch);
    diverged.topics[0].partitions[0].last_fetched_epoch = LeaderEpoch(0);
    diverged.topics[0].partitions[0].fetch_offset = 2;
    let diverging = leader.fetch(12, diverged).diverging_epoch;
    assert_eq!((diverging.epoch, diverging.end_offset), (LeaderEpoch(0), 1), "epoch 0 ends at offset 1");
}

fn an_epoch_ends_where_the_next_leader_began(three: &dyn Three) {
    let topic = topic(three, &[1, 2], &[]);
    peer(three, 1).append(&topic, batch::of(3));
    for believed in [-1, 7] {
        let told = peer(three, 3).end_of_epoch(&topic, believed, 0);
        assert_eq!(told, (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1, -1), "it has no replica");
    }
    three.move_leader(&topic.name, 2);
    for broker in [1, 2] {
        let mut peer = peer(three, broker);
        eventually(|| partition(&mut peer, &topic), |told| told.leader_id == BrokerId(2));
        eventually(|| peer.end_of_epoch(&topic, 0, 0).0, |code| *code == ErrorCode::FENCED_LEADER_EPOCH);
    }
    let mut leader = peer(three, 2);
    let newest = partition(&mut leader, &topic).leader_epoch.0;
    leader.append(&topic, batch::of(2));
    for (asked, expected) in
        [(0, (0, 3)), (newest - 1, (0, 3)), (newest, (newest, 5)), (newest + 1, (-1, -1)), (-1, (-1, -1))]
    {
        let (code, epoch, end) = leader.end_of_epoch(&topic, newest, asked);
        assert_eq!((code, epoch, end), (ErrorCode::NONE, expected.0, expected.1), "epoch {asked}");
        if asked >= 0 {
            leader.assert_told_alike(&topic, asked);
        }
    }
    for (broker, believed, expected) in [
        (2, newest + 1, ErrorCode::UNKNOWN_LEADER_EPOCH),
        (1, -1, ErrorCode::NOT_LEADER_OR_FOLLOWER),
        (1, newest, ErrorCode::NOT_LEADER_OR_FOLLOWER),
        (1, newest + 1, ErrorCode::UNKNOWN_LEADER_EPOCH),
    ] {
        let told = peer(three, broker).end_of_epoch(&topic, believed, 0);
        assert_eq!(told, (expected, -1, -1), "broker {broker}, leader epoch {believed}");
    }
}

fn a_fetch_that_waits_is_answered_when_the_leader_moves(three: &dyn Three) {
    let topic = topic(three, &[1, 2], &[]);
    let mut reader = peer(three, 1);
    let epoch = partition(&mut reader, &topic).leader_epoch;
    let waiting = FetchRequest { min_bytes: 1, max_wait_ms: 300_000, ..with_epoch(&topic, epoch) };
    let id = reader.send(16, waiting.into());
    thread::sleep(Duration::from_millis(100));
    three.move_leader(&topic.name, 2);
    let told = reader.take::<FetchRequest>(16, id).unwrap();
    assert_eq!(told.responses[0].partitions[0].error_code, ErrorCode::FENCED_LEADER_EPOCH);
}

fn a_fetch_session_is_one_brokers_own(three: &dyn Three) {
    let topic = topic(three, &[1, 2], &[]);
    let opened = peer(three, 1).ask(12, FetchRequest { session_epoch: 0, ..topic.fetch(0) });
    let within = FetchRequest { session_id: opened.session_id, session_epoch: 1, ..Default::default() };
    assert_eq!(peer(three, 2).ask(12, within.clone()).error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!(peer(three, 1).ask(12, within).error_code, ErrorCode::NONE);
}

fn idempotence_holds_across_leaders(three: &dyn Three) {
    let topic = topic(three, &[1, 2], &[]);
    let mut old = peer(three, 1);
    let id = old.producer_id();
    let append = |peer: &mut Peer, sequence| {
        let done = peer.produce(12, &topic, batch::sequenced(id, 0, sequence, 2));
        done.error_code.ok().map(|()| done.base_offset)
    };
    assert_eq!(append(&mut old, 0), Ok(0));
    three.move_leader(&topic.name, 2);
    let mut new = peer(three, 2);
    let again = eventually(|| append(&mut new, 0), |done| *done != Err(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(again, Ok(0), "a duplicate of what the old leader took");
    assert_eq!(append(&mut new, 4), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!(append(&mut new, 2), Ok(2));
}

fn what_a_broker_led_goes_to_others_or_waits_for_it(three: &dyn Three) {
    let alone = topic(three, &[2], &[]);
    let safe = topic(three, &[1, 2], &[("min.insync.replicas", "2")]);
    let moving = topic(three, &[2, 1], &[("min.insync.replicas", "1")]);
    for (topic, leader) in [(&alone, 2), (&moving, 2)] {
        peer(three, leader).append(topic, batch::of(2));
    }
    three.stop(2);
    let mut peer = peer(three, 1);
    let told = eventually(|| partition(&mut peer, &moving), |told| told.leader_id == BrokerId(1));
    assert_eq!((told.leader_epoch, told.isr_nodes.as_slice()), (LeaderEpoch(1), &[BrokerId(1)][..]));
    assert_eq!(told.offline_replicas.as_slice(), [BrokerId(2)]);
    let appended = eventually(|| peer.produce(12, &moving, batch::of(1)), |done| done.error_code.is_none());
    assert_eq!(appended.base_offset, 2, "nothing is lost");

    let told = eventually(|| partition(&mut peer, &alone), |told| !told.error_code.is_none());
    assert_eq!((told.error_code, told.leader_id), (ErrorCode::LEADER_NOT_AVAILABLE, BrokerId::NONE));
    assert_eq!((told.leader_epoch, told.isr_nodes.len()), (LeaderEpoch(1), 0));
    let response = peer.ask(12, alone.produce(batch::of(1)));
    let done = &response.responses[0].partition_responses[0];
    assert_eq!(done.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!((done.current_leader.leader_id, response.node_endpoints.len()), (BrokerId::NONE, 0));

    let refused = |done: &ottla::messages::ProducePartitionResponse| !done.error_code.is_none();
    let done = eventually(|| peer.produce(12, &safe, batch::of(1)), refused);
    assert_eq!((done.error_code, done.log_start_offset), (ErrorCode::NOT_ENOUGH_REPLICAS, 0));

    three.start(2);
    let told = eventually(|| partition(&mut peer, &alone), |told| told.error_code.is_none());
    assert_eq!((told.leader_id, told.leader_epoch), (BrokerId(2), LeaderEpoch(2)));
    let told = eventually(|| partition(&mut peer, &moving), |told| told.isr_nodes.len() == 2);
    assert_eq!(
        (told.leader_id, told.leader_epoch),
        (BrokerId(1), LeaderEpoch(1)),
        "it leads nothing by itself"
    );
    eventually(|| peer.produce(12, &safe, batch::of(1)), |done| done.error_code.is_none());
}

fn a_topic_that_is_not_there_is_told_alike_by_all(three: &dyn Three) {
    let nobody = Topic { name: "no-such-topic".into(), id: Uuid::from_bytes([7; 16]) };
    for broker in 1..=3 {
        let mut peer = peer(three, broker);
        let code = peer.produce(12, &nobody, batch::of(1)).error_code;
        assert_eq!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(peer.produce(13, &nobody, batch::of(1)).error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    }
}

/// Makes of each case a test on an embedded cluster, and one test of all of them on a real one.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(
                #[test]
                fn $case() {
                    let builder = super::Cluster::builder().auto_create_topics(false);
                    super::$case(&super::Bench::new(builder));
                }
            )*
        }

        #[test]
        #[ignore = "three real brokers take minutes: `.ci/soak three-brokers`"]
        fn a_real_cluster_answers_alike() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let Some(real) = runtime.block_on(RealCluster::whole()) else {
                return real::skip("this machine cannot run a real Kafka");
            };
            let mut failed = Vec::new();
            $(
                let case = std::panic::AssertUnwindSafe(|| $case(&*real));
                if std::panic::catch_unwind(case).is_err() {
                    failed.push(stringify!($case));
                    real.mend();
                }
            )*
            assert!(failed.is_empty(), "different on a real cluster: {failed:?}");
        }
    };
}

cases! {
    only_the_leader_takes_records_and_the_others_name_it,
    records_are_read_from_the_leader_and_since_version_11_from_followers,
    offsets_are_listed_by_the_leader,
    a_leader_that_is_moved_fences_those_who_mean_the_old_one,
    an_epoch_ends_where_the_next_leader_began,
    a_fetch_that_waits_is_answered_when_the_leader_moves,
    a_fetch_session_is_one_brokers_own,
    idempotence_holds_across_leaders,
    what_a_broker_led_goes_to_others_or_waits_for_it,
    a_topic_that_is_not_there_is_told_alike_by_all,
}
