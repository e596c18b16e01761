//! What several brokers make of one another: who answers for what, and what becomes of it when one goes.

use crate::batch;
use crate::cases::Topic;
use crate::peer::Peer;
use ottla::broker::{Cluster, ClusterBuilder, TopicSpec};
use ottla::messages::{
    Acks, BrokerId, CoordinatorType, ErrorCode, FetchRequest, FindCoordinatorRequest, InitProducerIdRequest,
    LeaderEpoch, ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
    MetadataRequest, MetadataTopic, NodeEndpoint, ProduceRequest,
};
use std::collections::BTreeSet;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A cluster on a runtime of its own.
pub struct Bench {
    pub cluster: Cluster,
    pub runtime: Runtime,
}

impl Bench {
    pub fn new(builder: ClusterBuilder) -> Bench {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let cluster = runtime.block_on(builder.start()).unwrap();
        Bench { cluster, runtime }
    }

    fn three() -> Bench {
        Bench::new(Cluster::builder().seed(1))
    }

    pub fn peer(&self, broker: i32) -> Peer {
        Peer::connect(&self.cluster.address(broker).unwrap())
    }

    /// A topic with one partition on these brokers.
    pub fn topic_on<const N: usize>(&self, replicas: [i32; N]) -> Topic {
        self.topic_as(TopicSpec::new("t").placed([replicas]))
    }

    pub fn topic_as(&self, spec: TopicSpec) -> Topic {
        self.cluster.create_topic_as(&spec).unwrap();
        let name = self.cluster.topics().pop().unwrap();
        let told = self.peer(1).ask(12, MetadataRequest::topics([name.as_str().into()]));
        Topic { name: name.as_str().into(), id: told.topics[0].topic_id }
    }

    fn led(&self, topic: &Topic) -> (Option<i32>, i32, Vec<i32>) {
        let partition = self.cluster.partition(&topic.name, 0).unwrap();
        (partition.leader, partition.leader_epoch, partition.isr)
    }

    fn stop(&self, broker: i32) {
        self.runtime.block_on(self.cluster.stop_broker(broker)).unwrap();
    }

    fn start(&self, broker: i32) {
        self.runtime.block_on(self.cluster.start_broker(broker)).unwrap();
    }
}

fn described(peer: &mut Peer, topic: &Topic) -> MetadataTopic {
    peer.ask(12, MetadataRequest::topics([topic.name.clone()])).topics[0].clone()
}

fn with_epoch(topic: &Topic, epoch: i32) -> FetchRequest {
    let mut request = topic.fetch(0);
    request.topics[0].partitions[0].current_leader_epoch = LeaderEpoch(epoch);
    request
}

fn list_end(peer: &mut Peer, topic: &Topic, timestamp: i64) -> ListOffsetsPartitionResponse {
    let partition = ListOffsetsPartition { timestamp, ..Default::default() };
    let topics = vec![ListOffsetsTopic { name: topic.name.clone(), partitions: vec![partition] }];
    let request = ListOffsetsRequest { replica_id: BrokerId::NONE, topics, ..Default::default() };
    peer.ask(7, request).topics[0].partitions[0].clone()
}

#[test]
fn every_broker_knows_all_of_them_and_every_topic() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 6).unwrap();
    let told: Vec<_> = [1, 2, 3].map(|id| bench.peer(id).ask(12, MetadataRequest::all_topics())).into();
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0], told[2]);
    let addresses: Vec<String> =
        told[0].brokers.iter().map(|broker| format!("{}:{}", broker.host, broker.port)).collect();
    assert_eq!(addresses.join(","), bench.cluster.bootstrap_servers());
    assert_eq!(told[0].controller_id, BrokerId(1));
    assert_eq!(told[0].cluster_id.as_deref(), Some(bench.cluster.cluster_id().as_str()));
    let partitions = &told[0].topics[0].partitions;
    let leaders: BTreeSet<i32> = partitions.iter().map(|partition| partition.leader_id.0).collect();
    assert_eq!(leaders, BTreeSet::from([1, 2, 3]), "they take turns");
    assert!(partitions.iter().all(|p| p.replica_nodes.len() == 3 && p.isr_nodes.len() == 3));
}

#[test]
fn only_the_leader_takes_records_and_the_others_name_it() {
    let bench = Bench::three();
    let topic = bench.topic_on([2, 3]);
    let leader = bench.cluster.address(2).unwrap();
    for broker in [1, 3] {
        for version in [9, 10, 12, 13] {
            let response = bench.peer(broker).ask(version, topic.produce(batch::of(1)));
            let done = &response.responses[0].partition_responses[0];
            assert_eq!(done.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER, "{broker} {version}");
            let hint = (done.current_leader.leader_id, done.current_leader.leader_epoch);
            if version < 10 {
                assert_eq!((hint.0, response.node_endpoints.len()), (BrokerId::NONE, 0));
            } else {
                assert_eq!(hint, (BrokerId(2), LeaderEpoch(0)));
                let [NodeEndpoint { node_id, host, port, .. }] = &response.node_endpoints[..] else {
                    panic!("{response:?}")
                };
                assert_eq!((*node_id, format!("{host}:{port}")), (BrokerId(2), leader.clone()));
            }
        }
    }
    assert_eq!(bench.peer(2).append(&topic, batch::of(1)), 0);
}

#[test]
fn records_are_read_from_the_leader_and_since_version_11_from_followers() {
    let bench = Bench::three();
    let topic = bench.topic_on([2, 3]);
    bench.peer(2).append(&topic, batch::of(2));
    let code = |broker, version| bench.peer(broker).fetch(version, topic.fetch(0)).error_code;
    for version in [4, 10, 11, 12, 13, 18] {
        assert_eq!(code(2, version), ErrorCode::NONE);
        let follows = if version >= 11 { ErrorCode::NONE } else { ErrorCode::NOT_LEADER_OR_FOLLOWER };
        assert_eq!(code(3, version), follows, "{version}");
        assert_eq!(code(1, version), ErrorCode::NOT_LEADER_OR_FOLLOWER, "{version}: has no replica");
    }
    let response = bench.peer(1).ask(18, topic.fetch(0));
    assert_eq!(response.responses[0].partitions[0].current_leader.leader_id, BrokerId(2));
    assert_eq!(response.node_endpoints[0].node_id, BrokerId(2));
    assert!(bench.peer(1).ask(13, topic.fetch(0)).node_endpoints.is_empty());
    assert_eq!(list_end(&mut bench.peer(2), &topic, -1).offset, 2);
    for broker in [1, 3] {
        let listed = list_end(&mut bench.peer(broker), &topic, -1);
        assert_eq!(listed.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
}

#[test]
fn a_leader_that_is_moved_fences_those_who_mean_the_old_one() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    bench.peer(1).append(&topic, batch::of(1));
    bench.cluster.move_leader("t", 0, 2).unwrap();
    assert_eq!(bench.led(&topic), (Some(2), 1, vec![1, 2]));
    for broker in [1, 2] {
        let mut peer = bench.peer(broker);
        let old = peer.ask(16, with_epoch(&topic, 0));
        let partition = &old.responses[0].partitions[0];
        assert_eq!(partition.error_code, ErrorCode::FENCED_LEADER_EPOCH);
        assert_eq!(partition.current_leader.leader_epoch, LeaderEpoch(1));
        assert_eq!(old.node_endpoints[0].node_id, BrokerId(2));
        assert_eq!(peer.fetch(16, with_epoch(&topic, 2)).error_code, ErrorCode::UNKNOWN_LEADER_EPOCH);
        assert_eq!(peer.fetch(16, with_epoch(&topic, 1)).error_code, ErrorCode::NONE);
    }
    let mut peer = bench.peer(2);
    peer.append(&topic, batch::of(1));
    let epochs: Vec<i32> = bench.cluster.log("t", 0).iter().map(|batch| batch.leader_epoch).collect();
    assert_eq!(epochs, [0, 1]);
    let mut diverged = with_epoch(&topic, 1);
    diverged.topics[0].partitions[0].last_fetched_epoch = LeaderEpoch(0);
    diverged.topics[0].partitions[0].fetch_offset = 2;
    let diverging = peer.fetch(12, diverged).diverging_epoch;
    assert_eq!((diverging.epoch, diverging.end_offset), (LeaderEpoch(0), 1), "epoch 0 ends at offset 1");
    bench.cluster.move_leader("t", 0, 3).unwrap();
    assert_eq!(bench.led(&topic), (Some(3), 2, vec![1, 3]), "it took over the replica of 2");
    assert!(bench.cluster.move_leader("t", 0, 9).is_err() && bench.cluster.move_leader("u", 0, 1).is_err());
}

#[test]
fn a_waiting_fetch_is_answered_when_the_leader_moves() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    let mut reader = bench.peer(1);
    let waiting = FetchRequest { min_bytes: 1, max_wait_ms: i32::MAX, ..with_epoch(&topic, 0) };
    let id = reader.send(16, waiting.into());
    // It waits by the time that this is answered, as the broker takes one after the other.
    bench.peer(1).ask(12, MetadataRequest::topics([]));
    bench.cluster.move_leader("t", 0, 2).unwrap();
    let told = reader.take::<FetchRequest>(16, id).unwrap();
    assert_eq!(told.responses[0].partitions[0].error_code, ErrorCode::FENCED_LEADER_EPOCH);
}

#[test]
fn a_broker_that_stops_loses_its_connections_and_what_it_leads() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2, 3]);
    let mut peer = bench.peer(1);
    peer.append(&topic, batch::of(3));
    let waiting = FetchRequest { min_bytes: 1, max_wait_ms: i32::MAX, ..topic.fetch(3) };
    let mut reader = bench.peer(1);
    reader.send(12, waiting.into());
    let address = bench.cluster.address(1).unwrap();
    bench.stop(1);
    assert!(peer.is_closed() && reader.is_closed(), "without a word");
    assert!(TcpStream::connect(&address).is_err() && !bench.cluster.is_running(1));
    assert_eq!(bench.led(&topic), (Some(2), 1, vec![2, 3]));
    let mut other = bench.peer(3);
    let told = other.ask(12, MetadataRequest::topics([topic.name.clone()]));
    let ids: Vec<i32> = told.brokers.iter().map(|broker| broker.node_id.0).collect();
    assert_eq!((ids, told.controller_id), (vec![2, 3], BrokerId(2)));
    assert_eq!(told.topics[0].partitions[0].offline_replicas.as_slice(), [BrokerId(1)]);
    assert_eq!(bench.peer(2).append(&topic, batch::of(1)), 3, "nothing is lost");

    bench.start(1);
    assert_eq!(bench.cluster.address(1), Some(address), "on the port that it had");
    assert_eq!(bench.led(&topic), (Some(2), 1, vec![1, 2, 3]), "it leads nothing by itself");
    assert_eq!(described(&mut bench.peer(1), &topic).partitions[0].leader_id, BrokerId(2));
    let start = |broker| bench.runtime.block_on(bench.cluster.start_broker(broker));
    assert!(start(1).is_err() && start(9).is_err(), "it runs, and nobody");
}

#[test]
fn a_partition_without_another_replica_waits_for_its_broker() {
    let bench = Bench::three();
    let topic = bench.topic_on([2]);
    bench.peer(2).append(&topic, batch::of(2));
    bench.stop(2);
    assert_eq!(bench.led(&topic), (None, 1, vec![2]));
    let mut peer = bench.peer(1);
    let partition = described(&mut peer, &topic).partitions[0].clone();
    assert_eq!(
        (partition.error_code, partition.leader_id),
        (ErrorCode::LEADER_NOT_AVAILABLE, BrokerId::NONE)
    );
    assert_eq!(partition.leader_epoch, LeaderEpoch(1));
    let response = peer.ask(12, topic.produce(batch::of(1)));
    let done = &response.responses[0].partition_responses[0];
    assert_eq!(done.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!((done.current_leader.leader_id, response.node_endpoints.len()), (BrokerId::NONE, 0));
    bench.start(2);
    assert_eq!(bench.led(&topic), (Some(2), 2, vec![2]));
    assert_eq!(bench.peer(2).append(&topic, batch::of(1)), 2);
}

#[test]
fn a_crash_is_noticed_when_the_test_says_so() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    let mut peer = bench.peer(1);
    peer.append(&topic, batch::of(1));
    bench.runtime.block_on(bench.cluster.crash_broker(1)).unwrap();
    assert!(peer.is_closed() && !bench.cluster.is_running(1));
    let mut other = bench.peer(2);
    assert_eq!(described(&mut other, &topic).partitions[0].leader_id, BrokerId(1), "nobody knows");
    assert!(bench.cluster.fence_broker(2).is_err(), "it runs");
    bench.cluster.fence_broker(1).unwrap();
    assert_eq!(described(&mut other, &topic).partitions[0].leader_id, BrokerId(2));
}

#[test]
fn acks_of_all_need_replicas_enough() {
    let bench = Bench::three();
    let topic = bench.topic_as(TopicSpec::new("t").placed([[1, 2, 3]]).setting("min.insync.replicas", "2"));
    let mut peer = bench.peer(1);
    bench.stop(2);
    assert_eq!(peer.append(&topic, batch::of(1)), 0);
    bench.stop(3);
    assert_eq!(peer.produce(12, &topic, batch::of(1)).error_code, ErrorCode::NOT_ENOUGH_REPLICAS);
    let one = ProduceRequest { acks: Acks::LEADER, ..topic.produce(batch::of(1)) };
    assert_eq!(peer.ask(12, one).responses[0].partition_responses[0].error_code, ErrorCode::NONE);
    bench.start(3);
    assert_eq!(peer.append(&topic, batch::of(1)), 2);
}

#[test]
fn idempotence_holds_across_leaders() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    let mut old = bench.peer(1);
    let id = old.producer_id();
    let append = |peer: &mut Peer, sequence| {
        let done = peer.produce(12, &topic, batch::sequenced(id, 0, sequence, 2));
        done.error_code.ok().map(|()| done.base_offset)
    };
    assert_eq!(append(&mut old, 0), Ok(0));
    bench.cluster.move_leader("t", 0, 2).unwrap();
    let mut new = bench.peer(2);
    assert_eq!(append(&mut new, 0), Ok(0), "a duplicate of what the old leader took");
    assert_eq!(append(&mut new, 4), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!(append(&mut new, 2), Ok(2));
    assert_ne!(bench.peer(3).producer_id(), id, "ids are the cluster's");
}

#[test]
fn records_are_deleted_from_the_start() {
    let bench = Bench::three();
    let topic = bench.topic_on([1]);
    let mut peer = bench.peer(1);
    peer.append(&topic, batch::of(2));
    peer.append(&topic, batch::of(3));
    assert_eq!(bench.cluster.delete_records("t", 0, 3).unwrap(), 3);
    let partition = bench.cluster.partition("t", 0).unwrap();
    assert_eq!((partition.log_start_offset, partition.high_watermark), (3, 5));
    assert_eq!(bench.cluster.log("t", 0).len(), 1, "the batch that holds offset 3 stays whole");
    let offsets: Vec<i64> = bench.cluster.records("t", 0).iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [3, 4]);
    assert_eq!(peer.fetch(12, topic.fetch(2)).error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
    let fetched = peer.fetch(12, topic.fetch(3));
    assert_eq!((fetched.error_code, fetched.log_start_offset), (ErrorCode::NONE, 3));
    assert_eq!(list_end(&mut peer, &topic, -2).offset, 3);
    assert_eq!(list_end(&mut peer, &topic, 0).offset, 3, "what is deleted is not found by its time");
    assert_eq!(bench.cluster.delete_records("t", 0, 99).unwrap(), 5, "not beyond the end");
    assert_eq!(bench.cluster.delete_records("t", 0, 1).unwrap(), 5, "and never back");
    assert!(bench.cluster.records("t", 0).is_empty());
    assert_eq!(peer.append(&topic, batch::of(1)), 5);
    assert!(bench.cluster.delete_records("t", 1, 0).is_err());
}

#[test]
fn stored_records_can_be_looked_at_whatever_their_codec() {
    let bench = Bench::three();
    let topic = bench.topic_on([1]);
    let mut peer = bench.peer(1);
    peer.append(&topic, batch::batch(&[(Some("k"), "v"), (None, "w")]));
    peer.append(&topic, batch::compressed(ottla::records::Compression::Zstd));
    let records = bench.cluster.records("t", 0);
    let told: Vec<_> =
        records.iter().map(|r| (r.offset, r.key.as_deref(), r.value.as_deref().unwrap())).collect();
    let key = |key: &'static str| Some(key.as_bytes());
    assert_eq!(
        told,
        [(0, key("k"), &b"v"[..]), (1, None, b"w"), (2, key("key"), b"value"), (3, None, b"other")]
    );
    assert!(records.iter().all(|r| r.producer_id == -1 && r.leader_epoch == 0 && r.headers.is_empty()));
    assert!(bench.cluster.records("nobody", 0).is_empty());
}

#[test]
fn a_topic_that_is_made_again_is_another_one() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    let mut peer = bench.peer(1);
    let id = peer.producer_id();
    peer.append(&topic, batch::sequenced(id, 0, 0, 2));
    bench.cluster.move_leader("t", 0, 2).unwrap();
    let before = bench.cluster.topic_id("t").unwrap();
    assert_eq!(before, topic.id.to_string());
    bench.cluster.recreate_topic("t").unwrap();
    assert_ne!(bench.cluster.topic_id("t").unwrap(), before);
    assert_eq!(bench.led(&topic), (Some(1), 0, vec![1, 2]));
    assert_eq!(peer.produce(13, &topic, batch::of(1)).error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(peer.fetch(13, topic.fetch(0)).error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(peer.append(&topic, batch::sequenced(id, 0, 2, 2)), 0, "it remembers no producer");
    bench.cluster.delete_topic("t").unwrap();
    assert!(bench.cluster.topics().is_empty() && bench.cluster.topic_id("t").is_none());
    assert!(bench.cluster.delete_topic("t").is_err() && bench.cluster.recreate_topic("t").is_err());
}

#[test]
fn addresses_change_and_brokers_change_places() {
    let bench = Bench::three();
    bench.cluster.advertise(2, "kafka.example", 1234).unwrap();
    let told = bench.peer(1).ask(12, MetadataRequest::topics([]));
    assert_eq!((told.brokers[1].host.as_str(), told.brokers[1].port), ("kafka.example", 1234));
    assert!(bench.cluster.advertise(9, "nobody", 1).is_err());

    let [one, three] = [1, 3].map(|id| bench.cluster.address(id).unwrap());
    [1, 3].iter().for_each(|id| bench.stop(*id));
    let start_at = |id, address: &str| bench.runtime.block_on(bench.cluster.start_broker_at(id, address));
    start_at(1, &three).unwrap();
    start_at(3, &one).unwrap();
    assert_eq!([1, 3].map(|id| bench.cluster.address(id).unwrap()), [three, one]);
    let topic = bench.topic_on([3]);
    assert_eq!(bench.peer(3).append(&topic, batch::of(1)), 0, "it is 3 that answers there");
    bench.stop(3);
    assert!(start_at(3, "nowhere").is_err());
    start_at(3, "127.0.0.1:0").unwrap();
    assert_eq!(bench.peer(3).append(&topic, batch::of(1)), 1);
}

#[test]
fn a_fetch_session_is_one_brokers_own() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    let opened = bench.peer(1).ask(12, FetchRequest { session_id: 0, session_epoch: 0, ..topic.fetch(0) });
    let within =
        |session_epoch| FetchRequest { session_id: opened.session_id, session_epoch, ..Default::default() };
    assert_eq!(bench.peer(2).ask(12, within(1)).error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!(bench.peer(1).ask(12, within(1)).error_code, ErrorCode::NONE);
    bench.stop(1);
    bench.start(1);
    assert_eq!(bench.peer(1).ask(12, within(2)).error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

#[test]
fn every_broker_names_the_same_coordinator_and_only_that_one_is() {
    let bench = Bench::three();
    let find = |broker: i32, key: &str| {
        let request = FindCoordinatorRequest::one(CoordinatorType::TRANSACTION, key.into(), 6);
        bench.peer(broker).ask(6, request).coordinators[0].node_id.0
    };
    let keys: Vec<String> = (0..20).map(|n| format!("tx-{n}")).collect();
    let found: Vec<i32> = keys.iter().map(|key| find(1, key)).collect();
    assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 3]));
    assert_eq!(found, keys.iter().map(|key| find(2, key)).collect::<Vec<_>>());
    let begin = |broker: i32| {
        let (transactional_id, transaction_timeout_ms) = (Some(keys[0].as_str().into()), 1_000);
        let request =
            InitProducerIdRequest { transactional_id, transaction_timeout_ms, ..Default::default() };
        bench.peer(broker).ask(5, request).error_code
    };
    for broker in 1..=3 {
        let is_it = broker == found[0];
        assert_eq!(begin(broker), if is_it { ErrorCode::NONE } else { ErrorCode::NOT_COORDINATOR });
    }
    bench.stop(found[0]);
    let other = (1..=3).find(|id| *id != found[0]).unwrap();
    assert_ne!(find(other, &keys[0]), found[0], "one that is there");
}

#[test]
fn connects_and_requests_are_recorded_with_broker_and_time() {
    let bench = Bench::new(Cluster::builder().keep_requests(10));
    let began = Instant::now();
    let mut one = bench.peer(1);
    one.ask(12, MetadataRequest::topics([]));
    std::thread::sleep(Duration::from_millis(30));
    bench.peer(2).ask(12, MetadataRequest::topics([]));
    one.ask(12, MetadataRequest::topics([]));
    let (connects, requests) = (bench.cluster.connects(), bench.cluster.requests());
    assert_eq!(connects.iter().map(|connect| connect.broker).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(requests.iter().map(|request| request.broker).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!(requests[0].connection, connects[0].connection);
    assert_eq!(
        (requests[1].connection, requests[2].connection),
        (connects[1].connection, connects[0].connection)
    );
    assert!(connects[0].at >= began && connects[1].at - connects[0].at >= Duration::from_millis(30));
    assert!(connects[0].peer.starts_with("127.0.0.1:"));
}

#[test]
fn clusters_that_cannot_be_are_refused() {
    let bench = Bench::new(Cluster::builder().brokers(2));
    let error = |builder: ClusterBuilder| bench.runtime.block_on(builder.start()).unwrap_err().to_string();
    assert!(error(Cluster::builder().brokers(0)).contains("brokers"));
    assert!(error(Cluster::builder().listen("127.0.0.1:65535")).contains("port"));
    assert!(error(Cluster::builder().listen("nowhere")).contains("nowhere"));
    let refused = |spec: TopicSpec| bench.cluster.create_topic_as(&spec).unwrap_err().to_string();
    assert!(refused(TopicSpec::new("t").replication(3)).contains("3 replicas"));
    assert!(refused(TopicSpec::new("t").partitions(0)).contains("partition"));
    assert!(refused(TopicSpec::new("t").placed([[1, 7]])).contains("broker 7"));
    assert!(refused(TopicSpec::new("t").setting("no.such", "1")).contains("no.such"));
    assert!(refused(TopicSpec::new("a b")).contains("INVALID_TOPIC_EXCEPTION"));
    assert!(bench.runtime.block_on(bench.cluster.stop_broker(3)).is_err());
}

#[test]
fn many_stops_and_starts_leave_the_cluster_whole() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2, 3]);
    for round in 0..30 {
        let leader = bench.led(&topic).0.unwrap();
        assert_eq!(bench.peer(leader).append(&topic, batch::of(1)), round);
        bench.stop(leader);
        bench.start(leader);
    }
    assert_eq!((bench.led(&topic).1, bench.cluster.records("t", 0).len()), (30, 30));
    bench.runtime.block_on(bench.cluster.shutdown());
}
