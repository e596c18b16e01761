//! What several brokers make of one another: who answers for what, and what becomes of it when one goes.

use crate::batch;
use crate::cases::Topic;
use crate::peer::Peer;
use crate::three::Three as _;
use ottla::broker::{Cluster, ClusterBuilder, TopicSpec};
use ottla::messages::{
    BrokerId, CoordinatorType, CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest, ErrorCode,
    FetchRequest, FindCoordinatorRequest, InitProducerIdRequest, LeaderEpoch, ListOffsetsPartition,
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic, MetadataRequest, MetadataTopic,
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
}

fn described(peer: &mut Peer, topic: &Topic) -> MetadataTopic {
    peer.ask(12, MetadataRequest::topics([topic.name.clone()])).topics[0].clone()
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
fn each_move_is_the_next_epoch_and_may_go_to_any_live_broker() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    bench.peer(1).append(&topic, batch::of(1));
    bench.cluster.move_leader("t", 0, 2).unwrap();
    assert_eq!(bench.led(&topic), (Some(2), 1, vec![1, 2]));
    bench.peer(2).append(&topic, batch::of(1));
    let epochs: Vec<i32> = bench.cluster.log("t", 0).iter().map(|batch| batch.leader_epoch).collect();
    assert_eq!(epochs, [0, 1]);
    bench.cluster.move_leader("t", 0, 3).unwrap();
    assert_eq!(bench.led(&topic), (Some(3), 2, vec![1, 3]), "it took over the replica of 2");
    assert_eq!(bench.peer(2).fetch(12, topic.fetch(0)).error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert!(bench.cluster.move_leader("t", 0, 9).is_err() && bench.cluster.move_leader("u", 0, 1).is_err());
}

#[test]
fn an_unclean_election_loses_records_and_tells_where_logs_part() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    let mut peer = bench.peer(1);
    let id = peer.producer_id();
    for sequence in 0..3 {
        peer.append(&topic, batch::sequenced(id, 0, sequence, 1));
    }
    bench.cluster.elect_uncleanly("t", 0, 2, 1).unwrap();
    assert_eq!(bench.led(&topic), (Some(2), 1, vec![1, 2]));
    let mut peer = bench.peer(2);
    assert_eq!(peer.append(&topic, batch::sequenced(id, 0, 0, 1)), 0, "it remembers the first");
    assert_eq!(peer.append(&topic, batch::sequenced(id, 0, 1, 1)), 1, "and not the second");
    let mut reading = topic.fetch(3);
    reading.topics[0].partitions[0].current_leader_epoch = LeaderEpoch(1);
    reading.topics[0].partitions[0].last_fetched_epoch = LeaderEpoch(0);
    let parted = peer.fetch(12, reading).diverging_epoch;
    assert_eq!((parted.epoch, parted.end_offset), (LeaderEpoch(0), 1));
    assert_eq!(peer.end_of_epoch(&topic, 1, 0), (ErrorCode::NONE, 0, 1), "and who asks is told the same");
    assert!(bench.cluster.elect_uncleanly("t", 0, 9, 0).is_err());
}

#[test]
fn epochs_whose_records_are_gone_end_where_the_log_begins() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    for (leader, records) in [(1, 2), (2, 3), (1, 4)] {
        bench.cluster.move_leader("t", 0, leader).unwrap();
        bench.peer(leader).append(&topic, batch::of(records));
    }
    let mut peer = bench.peer(1);
    let mut ends = || [0, 1, 2, 3].map(|epoch| peer.end_of_epoch(&topic, 3, epoch));
    let none = ErrorCode::NONE;
    assert_eq!(ends(), [(none, 0, 0), (none, 1, 2), (none, 2, 5), (none, 3, 9)], "each leader wrote");
    bench.cluster.delete_records("t", 0, 3).unwrap();
    assert_eq!(ends(), [(none, 0, 3), (none, 1, 3), (none, 2, 5), (none, 3, 9)]);
    bench.cluster.elect_uncleanly("t", 0, 2, 4).unwrap();
    let mut peer = bench.peer(2);
    let ends = [1, 2, 3, 4, 5].map(|epoch| peer.end_of_epoch(&topic, 4, epoch));
    let unknown = (none, -1, -1);
    assert_eq!(ends, [(none, 1, 2), (none, 2, 2), (none, 3, 2), (none, 4, 2), unknown], "nothing is left");
}

#[test]
fn a_fetch_from_before_the_logs_start_is_out_of_range_even_if_the_logs_parted() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    bench.peer(1).append(&topic, batch::of(5));
    bench.cluster.move_leader("t", 0, 2).unwrap();
    bench.cluster.move_leader("t", 0, 1).unwrap();
    let mut peer = bench.peer(1);
    peer.append(&topic, batch::of(1));
    bench.cluster.delete_records("t", 0, 2).unwrap();
    let mut read = |offset| {
        let mut reading = topic.fetch(offset);
        reading.topics[0].partitions[0].last_fetched_epoch = LeaderEpoch(1);
        let fetched = peer.fetch(12, reading);
        (fetched.error_code, fetched.diverging_epoch.epoch.0, fetched.diverging_epoch.end_offset)
    };
    assert_eq!(read(3), (ErrorCode::NONE, 0, 5), "the leader of epoch 1 wrote nothing that is left");
    assert_eq!(read(2), (ErrorCode::NONE, 0, 5));
    assert_eq!(read(1), (ErrorCode::OFFSET_OUT_OF_RANGE, -1, -1));
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
fn a_stop_that_nobody_waits_for_is_a_stop() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    let mut peer = bench.peer(1);
    bench.runtime.block_on(async {
        let mut stop = std::pin::pin!(bench.cluster.stop_broker(1));
        std::future::poll_fn(|context| {
            let _ = stop.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
    });
    assert!(peer.is_closed() && !bench.cluster.is_running(1));
    assert_eq!(bench.led(&topic), (Some(2), 1, vec![2]));
    bench.runtime.block_on(async { drop(bench.cluster.start_broker(1)) });
    assert!(!bench.cluster.is_running(1), "a start that was not polled is none");
    // Who did not wait for the stop has not waited for the port either.
    let start = async || bench.cluster.start_broker(1).await.is_ok();
    let started = async {
        while !start().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    bench.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), started).await.unwrap() });
    bench.peer(1).ask(12, MetadataRequest::topics([]));
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
fn who_comes_back_from_a_crash_that_nobody_noticed_is_a_new_process() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    let opened = bench.peer(1).ask(12, FetchRequest { session_epoch: 0, ..topic.fetch(0) });
    assert!(opened.session_id > 0);
    bench.runtime.block_on(bench.cluster.crash_broker(1)).unwrap();
    assert_eq!(bench.led(&topic), (Some(1), 0, vec![1, 2]), "nobody knows");
    bench.start(1);
    assert_eq!(bench.led(&topic), (Some(2), 1, vec![1, 2]), "another leads");
    let mut peer = bench.peer(1);
    let session = FetchRequest { session_id: opened.session_id, session_epoch: 1, ..FetchRequest::default() };
    assert_eq!(peer.ask(12, session).error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!(peer.produce(12, &topic, batch::of(1)).error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    // Where there is nobody else it leads again, as somebody else.
    bench.cluster.recreate_topic("t").unwrap();
    bench.cluster.delete_topic("t").unwrap();
    let alone = bench.topic_on([3]);
    bench.runtime.block_on(bench.cluster.crash_broker(3)).unwrap();
    bench.start(3);
    assert_eq!(bench.led(&alone), (Some(3), 2, vec![3]), "once lost, once found");
}

#[test]
fn one_that_has_crashed_can_be_elected_until_somebody_notices() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    bench.runtime.block_on(bench.cluster.crash_broker(2)).unwrap();
    bench.cluster.move_leader("t", 0, 2).unwrap();
    assert_eq!(bench.led(&topic).0, Some(2));
    bench.cluster.fence_broker(2).unwrap();
    assert_eq!(bench.led(&topic).0, Some(1));
    assert!(bench.cluster.move_leader("t", 0, 2).is_err());
}

#[test]
fn a_broker_can_lag_behind_what_the_others_know() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    let (mut lagging, mut other) = (bench.peer(3), bench.peer(1));
    bench.cluster.hold_metadata(3).unwrap();
    bench.cluster.move_leader("t", 0, 2).unwrap();
    bench.topic_as(TopicSpec::new("u"));
    let leader = |peer: &mut Peer| {
        let partition = described(peer, &topic).partitions[0].clone();
        (partition.leader_id.0, partition.leader_epoch.0)
    };
    assert_eq!((leader(&mut lagging), leader(&mut other)), ((1, 0), (2, 1)));
    let all =
        |peer: &mut Peer| peer.ask(12, MetadataRequest { topics: None, ..Default::default() }).topics.len();
    assert_eq!((all(&mut lagging), all(&mut other)), (1, 2));
    let unknown = lagging.ask(12, MetadataRequest::topics(["u".into()])).topics[0].clone();
    assert_eq!((unknown.error_code, unknown.partitions.len()), (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0));
    bench.stop(2);
    assert_eq!(lagging.ask(12, MetadataRequest::topics([])).brokers.len(), 3, "nor who is gone");
    bench.cluster.release_metadata(3);
    assert_eq!((leader(&mut lagging), all(&mut lagging)), ((1, 2), 2));
    assert_eq!(lagging.ask(12, MetadataRequest::topics([])).brokers.len(), 2);
    assert!(bench.cluster.hold_metadata(9).is_err());
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
fn a_fetch_session_goes_with_its_broker() {
    let bench = Bench::three();
    let topic = bench.topic_on([1, 2]);
    let opened = bench.peer(1).ask(12, FetchRequest { session_epoch: 0, ..topic.fetch(0) });
    bench.stop(1);
    bench.start(1);
    let (session_id, session_epoch) = (opened.session_id, 1);
    let within = FetchRequest { session_id, session_epoch, ..Default::default() };
    assert_eq!(bench.peer(1).ask(12, within).error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
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
fn clients_cannot_place_a_topic_on_brokers_that_are_gone() {
    let bench = Bench::three();
    bench.stop(3);
    let on = |ids: &[i32]| {
        let broker_ids = ids.iter().copied().map(BrokerId).collect();
        let topic = CreatableTopic {
            name: "t".into(),
            num_partitions: -1,
            replication_factor: -1,
            assignments: vec![CreatableReplicaAssignment { broker_ids, ..Default::default() }],
            ..Default::default()
        };
        bench.peer(1).ask(7, CreateTopicsRequest { topics: vec![topic], ..Default::default() })
    };
    assert_eq!(on(&[3]).topics[0].error_code, ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    assert_eq!(on(&[3, 2]).topics[0].error_code, ErrorCode::NONE);
    let partition = bench.cluster.partition("t", 0).unwrap();
    assert_eq!((partition.leader, partition.isr), (Some(2), vec![2]));
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

#[test]
fn our_own_client_goes_on_when_leaders_stop() {
    let bench = Bench::new(Cluster::builder().keep_requests(100_000));
    bench.cluster.create_topic("t", 1).unwrap();
    bench.runtime.block_on(async {
        let client =
            ottla::Client::builder().bootstrap(bench.cluster.bootstrap_servers()).connect().await.unwrap();
        let producer = client.producer().build().unwrap();
        let mut deliveries = Vec::new();
        for n in 0..300 {
            let record = ottla::Record::to("t").key("k").value(n.to_string());
            deliveries.push(producer.send(record).await.unwrap());
            if n % 100 == 50 {
                let leader = bench.cluster.partition("t", 0).unwrap().leader.unwrap();
                bench.cluster.stop_broker(leader).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
                bench.cluster.start_broker(leader).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for (n, delivery) in (0..).zip(deliveries) {
            assert_eq!(delivery.await.unwrap().offset, n, "record {n}");
        }
    });
    let values: Vec<_> =
        bench.cluster.records("t", 0).into_iter().map(|record| record.value.unwrap()).collect();
    assert_eq!(values, (0..300).map(|n: i32| n.to_string()).collect::<Vec<_>>(), "each once, in order");
    assert_eq!(bench.cluster.partition("t", 0).unwrap().leader_epoch, 3);
}

#[test]
fn brokers_in_memory_stop_and_start_on_a_clock_that_is_not_the_walls() {
    let (attempts, took) = crate::embedded::simulated(async {
        let net = ottla::net::mem::MemNet::new(1);
        let cluster = Cluster::builder().listen_in_memory(&net).seed(1).start().await.unwrap();
        assert_eq!(cluster.bootstrap_servers(), "broker-1:9092,broker-2:9092,broker-3:9092");
        let began = ottla::task::now();
        let mut stream = crate::embedded::dial(&net, "broker-2").await;
        cluster.stop_broker(2).await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        let refused = crate::embedded::try_dial(&net, "broker-2").await;
        assert!(refused.is_err());
        cluster.start_broker(2).await.unwrap();
        crate::embedded::dial(&net, "broker-2").await;
        let took = ottla::task::now() - began;
        cluster.shutdown().await;
        (net.attempts("broker-2", 9092).len(), took)
    });
    assert_eq!((attempts, took), (3, Duration::ZERO));
}

#[test]
fn a_shutdown_lets_an_answer_arrive_and_a_stop_does_not() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for gentle in [true, false] {
        let (announced, arrived) = crate::embedded::simulated(async {
            let net = ottla::net::mem::MemNet::new(1);
            let cluster = Cluster::builder().brokers(1).listen_in_memory(&net).start().await.unwrap();
            // Its description is more than a connection holds while nobody reads.
            cluster.create_topic("t", 10_000).unwrap();
            let mut stream = crate::embedded::dial(&net, "broker-1").await;
            let request = crate::peer::frame(12, 1, &MetadataRequest::all_topics().into());
            stream.write_i32(i32::try_from(request.len()).unwrap()).await.unwrap();
            stream.write_all(&request).await.unwrap();
            let announced = stream.read_i32().await.unwrap();
            // By then the broker waits for room.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let end = async {
                if gentle { cluster.shutdown().await } else { cluster.stop_broker(1).await.unwrap() }
            };
            let mut answer = Vec::new();
            let ((), _) = tokio::join!(end, stream.read_to_end(&mut answer));
            (usize::try_from(announced).unwrap(), answer.len())
        });
        assert!(announced > 200_000);
        assert_eq!(arrived == announced, gentle, "{arrived} of {announced}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn every_broker_speaks_tls_and_knows_the_users() {
    let bench = Bench::new(Cluster::builder().tls().user("alice", "alice-secret"));
    assert_eq!(bench.cluster.security_protocol(), "SASL_SSL");
    bench.cluster.create_topic_as(&TopicSpec::new("t").placed([[1], [2], [3]])).unwrap();
    bench.stop(2);
    bench.start(2);
    bench.runtime.block_on(async {
        let client = ottla::Client::builder()
            .bootstrap(bench.cluster.bootstrap_servers())
            .set("security.protocol", "SASL_SSL")
            .set("ssl.ca.pem", bench.cluster.ca_pem().unwrap())
            .set("sasl.mechanism", "SCRAM-SHA-256")
            .set("sasl.username", "alice")
            .set("sasl.password", "alice-secret");
        let producer = client.connect().await.unwrap().producer().build().unwrap();
        for partition in 0..3 {
            let record = ottla::Record::to("t").partition(partition).value("v");
            assert_eq!(producer.send(record).await.unwrap().await.unwrap().offset, 0);
        }
    });
}
