//! Faults by script: each kind, where its error codes stand, whom it is for and how often.

use crate::batch;
use crate::cases::{Topic, offset_for_leader_epoch};
use crate::cluster::Bench;
use crate::peer::{Peer, frame};
use ottla::broker::{ApiKey, Byte, Cluster, Fate, Fault, TopicSpec};
use ottla::messages::{
    AnyRequest, ApiVersionsRequest, BrokerId, CoordinatorType, CreatableTopic, CreateTopicsRequest,
    DeleteTopicsRequest, ErrorCode, FetchRequest, FindCoordinatorRequest, InitProducerIdRequest,
    ListOffsetsRequest, ListOffsetsTopic, MetadataRequest, OffsetForLeaderEpochRequest, ProduceRequest,
    SaslAuthenticateRequest, SaslHandshakeRequest,
};
use ottla::records::Batches;
use std::io::Read;
use std::time::{Duration, Instant};

/// One broker with a topic `t` of two partitions and a topic `u` of one.
struct One {
    bench: Bench,
    t: Topic,
    u: Topic,
}

impl One {
    fn new() -> One {
        let bench = Bench::new(Cluster::builder().brokers(1).keep_requests(100));
        let t = bench.topic_as(TopicSpec::new("t").partitions(2));
        let u = bench.topic_as(TopicSpec::new("u"));
        One { bench, t, u }
    }

    fn peer(&self) -> Peer {
        self.bench.peer(1)
    }

    fn cluster(&self) -> &Cluster {
        &self.bench.cluster
    }

    /// A Produce request for both partitions of `t` and that of `u`.
    fn produce(&self) -> ProduceRequest {
        let mut request = self.t.produce(batch::of(1));
        let second = self.t.produce_to(1, Some(batch::of(1)));
        request.topic_data[0].partition_data.extend(second.topic_data[0].partition_data.clone());
        request.topic_data.extend(self.u.produce(batch::of(1)).topic_data);
        request
    }

    fn fetch(&self) -> FetchRequest {
        let mut request = self.t.fetch(0);
        let second = self.t.fetch_of(1, 0);
        request.topics[0].partitions.extend(second.topics[0].partitions.clone());
        request.topics.extend(self.u.fetch(0).topics);
        request
    }

    /// The end of each log.
    fn ends(&self) -> [i64; 3] {
        [("t", 0), ("t", 1), ("u", 0)]
            .map(|(topic, n)| self.cluster().partition(topic, n).unwrap().high_watermark)
    }

    /// Asks about the second partition of `t`.
    fn end_of_epochs(&self) -> OffsetForLeaderEpochRequest {
        offset_for_leader_epoch::of(vec![offset_for_leader_epoch::asking(&self.t, 1, -1, 0)])
    }

    fn produced(&self, peer: &mut Peer, version: i16) -> Vec<ErrorCode> {
        let response = peer.ask(version, self.produce());
        let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        partitions.map(|partition| partition.error_code).collect()
    }

    fn fetched(&self, peer: &mut Peer, version: i16) -> Vec<ErrorCode> {
        let response = peer.ask(version, self.fetch());
        let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| partition.error_code).collect()
    }
}

const NONE: ErrorCode = ErrorCode::NONE;
const NOT_LEADER: ErrorCode = ErrorCode::NOT_LEADER_OR_FOLLOWER;

fn fail(code: ErrorCode) -> Fault {
    Fault::new(Fate::Fail(code))
}

#[test]
fn a_code_stands_for_each_partition_and_nothing_is_done() {
    let one = One::new();
    let mut peer = one.peer();
    one.cluster().add_fault(fail(NOT_LEADER));
    for version in [3, 9, 13] {
        assert_eq!(one.produced(&mut peer, version), [NOT_LEADER; 3]);
        assert_eq!(one.fetched(&mut peer, version.max(4)), [NOT_LEADER; 3]);
    }
    let hint = &peer.ask(12, one.produce());
    assert_eq!(hint.responses[0].partition_responses[0].current_leader.leader_id, BrokerId::NONE);
    assert!(hint.node_endpoints.is_empty(), "the leader does not send clients to itself");
    let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![Default::default(); 1] }];
    let listed = peer.ask(7, ListOffsetsRequest { topics, ..Default::default() });
    assert_eq!(listed.topics[0].partitions[0].error_code, NOT_LEADER);
    assert_eq!(peer.ask(4, one.end_of_epochs()).topics[0].partitions[0].error_code, NOT_LEADER);
    one.cluster().clear_faults();
    assert_eq!(one.ends(), [0, 0, 0]);
    assert_eq!(one.produced(&mut peer, 9), [NONE; 3]);
}

#[test]
fn a_code_for_some_partitions_leaves_the_others_to_be_served() {
    let one = One::new();
    let mut peer = one.peer();
    for (fault, expected, ends) in [
        (fail(NOT_LEADER).topic("t").partition(1), [NONE, NOT_LEADER, NONE], [1, 0, 1]),
        (fail(NOT_LEADER).topic("t"), [NOT_LEADER, NOT_LEADER, NONE], [1, 0, 2]),
        (fail(NOT_LEADER).partition(0), [NOT_LEADER, NONE, NOT_LEADER], [1, 1, 2]),
        (fail(NOT_LEADER).topic("v"), [NONE; 3], [2, 2, 3]),
    ] {
        let id = one.cluster().add_fault(fault.clone());
        assert_eq!(one.produced(&mut peer, 13), expected, "{fault:?}");
        assert_eq!(one.ends(), ends, "{fault:?}");
        assert_eq!(one.fetched(&mut peer, 13), expected, "{fault:?}");
        assert!(one.cluster().remove_fault(id));
    }
}

#[test]
fn requests_are_recorded_with_the_partitions_that_they_are_about() {
    let one = One::new();
    let mut peer = one.peer();
    peer.ask(13, one.produce());
    let opened = peer.ask(13, FetchRequest { session_epoch: 0, ..one.fetch() });
    peer.ask(13, FetchRequest { session_id: opened.session_id, session_epoch: 1, ..Default::default() });
    peer.ask(12, MetadataRequest::topics(["u".into()]));
    peer.ask(4, one.end_of_epochs());
    let about: Vec<_> = one.cluster().requests().into_iter().map(|seen| seen.partitions).collect();
    let all = vec![("t".to_owned(), Some(0)), ("t".to_owned(), Some(1)), ("u".to_owned(), Some(0))];
    let [.., produced, fetched, again, metadata, ends] = &about[..] else { panic!("{about:?}") };
    assert_eq!((produced, fetched), (&all, &all), "by topic id, told by name");
    let mut again = again.clone();
    again.sort();
    assert_eq!(again, all, "all of the session");
    assert_eq!(metadata, &[("u".to_owned(), None)]);
    assert_eq!(ends, &[("t".to_owned(), Some(1))]);
}

#[test]
fn a_fetch_is_about_all_of_its_session() {
    let one = One::new();
    let mut peer = one.peer();
    let opened = peer.ask(12, FetchRequest { session_epoch: 0, ..one.fetch() });
    one.cluster().add_fault(fail(ErrorCode::KAFKA_STORAGE_ERROR).topic("u"));
    let next = FetchRequest { session_id: opened.session_id, session_epoch: 1, ..Default::default() };
    let response = peer.ask(12, next);
    assert_eq!(response.error_code, NONE);
    let told: Vec<_> =
        response.responses.iter().map(|t| (t.topic.as_str(), t.partitions[0].error_code)).collect();
    assert_eq!(told, [("u", ErrorCode::KAFKA_STORAGE_ERROR)]);
}

#[test]
fn codes_of_fetch_sessions_are_for_the_whole() {
    let one = One::new();
    let mut peer = one.peer();
    one.cluster().add_fault(fail(ErrorCode::INVALID_FETCH_SESSION_EPOCH).times(1));
    let response = peer.ask(12, one.fetch());
    assert_eq!((response.error_code, response.responses.len()), (ErrorCode::INVALID_FETCH_SESSION_EPOCH, 0));
    assert_eq!(one.fetched(&mut peer, 12), [NONE; 3]);
}

#[test]
fn metadata_has_codes_of_leaders_for_partitions_and_others_for_topics() {
    let one = One::new();
    let mut peer = one.peer();
    let mut ask = |fault: Fault, version: i16| {
        let id = one.cluster().add_fault(fault);
        let response = peer.ask(version, MetadataRequest::topics(["t".into(), "u".into()]));
        one.cluster().remove_fault(id);
        response
    };
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let told = ask(fail(unknown).topic("u"), 12).topics;
    assert_eq!((told[0].error_code, told[0].partitions.len()), (NONE, 2));
    assert_eq!((told[1].error_code, told[1].partitions.len()), (unknown, 0));
    let without = ErrorCode::LEADER_NOT_AVAILABLE;
    let told = ask(fail(without).topic("t").partition(1), 9).topics;
    let partitions: Vec<_> =
        told.iter().flat_map(|t| &t.partitions).map(|p| (p.error_code, p.leader_id.0)).collect();
    assert_eq!(partitions, [(NONE, 1), (without, -1), (NONE, 1)]);
    let whole = ask(fail(ErrorCode::REBOOTSTRAP_REQUIRED), 13);
    assert_eq!((whole.error_code, whole.topics[0].error_code), (ErrorCode::REBOOTSTRAP_REQUIRED, NONE));
}

#[test]
fn apis_of_whole_requests_have_one_place_for_a_code() {
    let one = One::new();
    let mut peer = one.peer();
    let code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    one.cluster().add_fault(fail(code));
    assert_eq!(peer.ask(5, InitProducerIdRequest::default()).error_code, code);
    for version in [3, 6] {
        let request = FindCoordinatorRequest::one(CoordinatorType::GROUP, "g".into(), version);
        let found = peer.ask(version, request);
        let told = found.coordinators.first().map_or(found.error_code, |found| found.error_code);
        assert_eq!(told, code);
    }
    let name = ("a".into(), "1".into());
    let request = || ApiVersionsRequest { client_software_name: name.0, client_software_version: name.1 };
    assert_eq!(peer.ask(4, request()).error_code, code);
    assert_eq!(peer.ask(1, SaslHandshakeRequest::default()).error_code, code);
    assert_eq!(peer.ask(2, SaslAuthenticateRequest::default()).error_code, code);
    one.cluster().clear_faults();
    one.cluster().add_fault(fail(ErrorCode::UNSUPPORTED_VERSION).api(ApiKey::API_VERSIONS));
    let id = peer.send(4, ApiVersionsRequest::default().into());
    let told = peer.take::<ApiVersionsRequest>(0, id).unwrap();
    assert_eq!(told.error_code, ErrorCode::UNSUPPORTED_VERSION, "in the layout that everybody reads");
    assert_eq!(told.api_keys.len(), 1);
}

#[test]
fn topics_are_created_and_deleted_by_name_or_not() {
    let one = One::new();
    let mut peer = one.peer();
    let create = |names: &[&str]| {
        let topic = |name: &&str| CreatableTopic {
            name: (*name).into(),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        };
        CreateTopicsRequest { topics: names.iter().map(topic).collect(), ..Default::default() }
    };
    one.cluster().add_fault(fail(ErrorCode::NOT_CONTROLLER).topic("a").times(1));
    let codes = peer.ask(7, create(&["a", "b"])).topics;
    assert_eq!(codes.iter().map(|t| t.error_code).collect::<Vec<_>>(), [ErrorCode::NOT_CONTROLLER, NONE]);
    assert_eq!(one.cluster().topics(), ["b", "t", "u"]);
    let late = Fault::new(Fate::FailAfterwards(ErrorCode::REQUEST_TIMED_OUT));
    one.cluster().add_fault(late.clone().times(2));
    assert_eq!(peer.ask(7, create(&["a"])).topics[0].error_code, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(one.cluster().topics(), ["a", "b", "t", "u"]);
    let delete = DeleteTopicsRequest { topic_names: vec!["a".into()], ..Default::default() };
    assert_eq!(peer.ask(5, delete.clone()).responses[0].error_code, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(one.cluster().topics(), ["b", "t", "u"]);
    one.cluster().add_fault(late);
    let missing = peer.ask(5, delete).responses[0].error_code;
    assert_eq!(missing, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "what cannot be done is not done late");
}

#[test]
fn records_are_appended_and_refused_all_the_same() {
    let one = One::new();
    let mut peer = one.peer();
    let code = ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND;
    one.cluster().add_fault(Fault::new(Fate::FailAfterwards(code)).topic("t").partition(0));
    assert_eq!(one.produced(&mut peer, 9), [code, NONE, NONE]);
    assert_eq!(one.ends(), [1, 1, 1]);
}

#[test]
fn requests_and_answers_are_lost_by_rule() {
    let one = One::new();
    let mut peer = one.peer();
    let send = |peer: &mut Peer| peer.send(9, one.t.produce(batch::of(1)).into());
    one.cluster().add_fault(Fault::new(Fate::LoseAnswer).api(ApiKey::PRODUCE).times(1));
    send(&mut peer);
    assert_eq!(peer.append(&one.t, batch::of(1)), 1, "the first was written, though nobody was told");
    one.cluster().add_fault(Fault::new(Fate::LoseRequest).api(ApiKey::PRODUCE).times(1));
    send(&mut peer);
    assert_eq!(peer.append(&one.t, batch::of(1)), 2, "the first was not written");
    one.cluster().add_fault(Fault::new(Fate::Delay(Duration::from_millis(200))).times(1));
    let asked = Instant::now();
    assert_eq!(peer.append(&one.t, batch::of(1)), 3);
    assert!(asked.elapsed() >= Duration::from_millis(190));
    let late = Duration::from_millis(200);
    one.cluster().add_fault(Fault::new(Fate::DelayAnswer(late)).api(ApiKey::PRODUCE).times(1));
    let asked = Instant::now();
    let delayed = send(&mut peer);
    while one.ends() != [5, 0, 0] {
        assert!(asked.elapsed() < late, "what is asked for is done at once");
    }
    let answer = peer.take::<ProduceRequest>(9, delayed).unwrap();
    assert_eq!(answer.responses[0].partition_responses[0].base_offset, 4);
    assert!(asked.elapsed() >= late - Duration::from_millis(10));
    one.cluster().add_fault(Fault::new(Fate::Close).times(1));
    send(&mut peer);
    assert!(peer.is_closed());
    assert_eq!(one.ends(), [5, 0, 0]);
}

#[test]
fn silence_is_for_its_connection_and_lasts() {
    let one = One::new();
    let (mut silenced, mut other) = (one.peer(), one.peer());
    one.cluster().add_fault(Fault::new(Fate::Silence).times(1));
    silenced.send(9, one.t.produce(batch::of(1)).into());
    silenced.stream().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(silenced.take_frame().is_err() && !silenced.is_closed(), "it is open");
    silenced.send(9, one.t.produce(batch::of(1)).into());
    assert!(silenced.take_frame().is_err() && !silenced.is_closed());
    assert_eq!(one.ends(), [0, 0, 0], "nothing is done");
    assert_eq!(other.append(&one.t, batch::of(1)), 0);
}

#[test]
fn an_answer_is_cut_after_any_number_of_bytes() {
    let one = One::new();
    let whole = {
        let mut peer = one.peer();
        peer.send(9, one.t.produce(batch::of(1)).into());
        peer.take_frame().unwrap()
    };
    let mut expected = u32::try_from(whole.len()).unwrap().to_be_bytes().to_vec();
    expected.extend_from_slice(&whole);
    for bytes in [0, 1, 4, 11, expected.len() - 1, expected.len(), 1_000] {
        one.cluster().add_fault(Fault::new(Fate::Cut(bytes)).api(ApiKey::PRODUCE).times(1));
        let mut peer = one.peer();
        // An answer before it comes whole.
        let before = peer.send(12, MetadataRequest::topics([]).into());
        peer.send(9, one.t.produce(batch::of(1)).into());
        peer.take::<MetadataRequest>(12, before).unwrap();
        let mut read = Vec::new();
        peer.stream().read_to_end(&mut read).unwrap();
        let count = bytes.min(expected.len());
        assert_eq!(read.len(), count);
        // The correlation id and the base offset differ.
        assert_eq!(read[..count.min(7)], expected[..count.min(7)]);
    }
    assert_eq!(one.ends(), [8, 0, 0], "what was asked for is done");
}

#[test]
fn a_byte_of_the_answer_or_of_its_records_is_inverted() {
    let one = One::new();
    let mut peer = one.peer();
    peer.append(&one.t, batch::of(3));
    let fetch = |peer: &mut Peer| peer.fetch(12, one.t.fetch(0)).records.unwrap().to_bytes();
    let whole = fetch(&mut peer);
    for at in [0, 16, 20, 61, whole.len() - 1] {
        one.cluster().add_fault(Fault::new(Fate::Corrupt(Byte::OfRecords(at))).api(ApiKey::FETCH).times(1));
        let corrupt = fetch(&mut peer);
        let changed: Vec<usize> = (0..whole.len()).filter(|n| whole[*n] != corrupt[*n]).collect();
        assert_eq!(changed, [at]);
        if at > 16 {
            assert!(Batches::new(corrupt).next().unwrap().is_err(), "byte {at}");
        }
    }
    assert_eq!(fetch(&mut peer), whole, "the log is as it was");
    one.cluster().add_fault(Fault::new(Fate::Corrupt(Byte::OfAnswer(4))).times(1));
    let id = peer.send(12, MetadataRequest::topics([]).into());
    let answer = peer.take_frame().unwrap();
    assert_eq!(answer[0], !u8::try_from(id >> 24).unwrap(), "the correlation id");
    one.cluster().add_fault(Fault::new(Fate::Corrupt(Byte::OfAnswer(1 << 20))).times(1));
    peer.ask(12, MetadataRequest::topics([]));
}

#[test]
fn an_answer_that_waits_is_altered_when_it_comes() {
    let one = One::new();
    let mut reader = one.peer();
    one.cluster().add_fault(Fault::new(Fate::Corrupt(Byte::OfRecords(30))).api(ApiKey::FETCH).times(1));
    let waiting = FetchRequest { min_bytes: 1, max_wait_ms: i32::MAX, ..one.t.fetch(0) };
    let id = reader.send(12, waiting.into());
    while !one.cluster().requests().iter().any(|seen| seen.api == "Fetch") {
        std::thread::yield_now();
    }
    let sent = batch::of(1);
    one.peer().append(&one.t, sent.clone());
    let told = reader.take::<FetchRequest>(12, id).unwrap();
    let records = told.responses[0].partitions[0].records.clone().unwrap().to_bytes();
    assert_eq!(records[30], !sent[30]);
}

#[test]
fn rules_are_for_brokers_and_clients_and_what_they_did_is_recorded() {
    let bench = Bench::new(Cluster::builder().keep_requests(100));
    let id = bench.cluster.add_fault(fail(ErrorCode::NOT_CONTROLLER).broker(2).every(2));
    let hooked = Fate::Fail(ErrorCode::UNKNOWN_SERVER_ERROR);
    bench.cluster.on_request(move |seen| if seen.broker == 3 { hooked } else { Fate::Pass });
    let request = || InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let mut codes = Vec::new();
    for broker in [1, 2, 2, 2, 2, 3] {
        codes.push(bench.peer(broker).ask(5, request()).error_code);
    }
    let (failed, other) = (ErrorCode::NOT_CONTROLLER, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!(codes, [NONE, NONE, failed, NONE, failed, other]);
    assert!(bench.cluster.requests().iter().all(|seen| seen.partitions.is_empty()));
    let seen: Vec<_> = bench.cluster.requests().iter().map(|seen| (seen.fate, seen.fault)).collect();
    let (pass, fail) = ((Fate::Pass, None), (Fate::Fail(failed), Some(id)));
    assert_eq!(seen, [pass, pass, fail, pass, fail, (hooked, None)]);
    bench.cluster.clear_faults();
    bench.cluster.add_fault(Fault::new(Fate::Fail(failed)).client_id("somebody else"));
    assert_eq!(bench.peer(2).ask(5, request()).error_code, NONE);
}

#[test]
fn an_answer_in_pieces_takes_its_time() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let took = crate::embedded::simulated(async {
        let net = ottla::net::mem::MemNet::new(1);
        let cluster = Cluster::builder().listen_in_memory(&net).start().await.unwrap();
        cluster.add_fault(Fault::new(Fate::Split { bytes: 10, pause: Duration::from_secs(1) }));
        let mut stream = crate::embedded::dial(&net, "broker-3").await;
        let request: AnyRequest = MetadataRequest::topics([]).into();
        let bytes = frame(12, 1, &request);
        let asked = ottla::task::now();
        stream.write_all(&i32::try_from(bytes.len()).unwrap().to_be_bytes()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let length = stream.read_i32().await.unwrap();
        let mut answer = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut answer).await.unwrap();
        let pieces = (answer.len() + 4).div_ceil(10);
        (pieces, (ottla::task::now() - asked).as_secs())
    });
    assert!(took.0 > 5);
    assert_eq!(took.1, took.0 as u64 - 1, "a pause between any two");
}

/// A broker carries out what it has read, whether or not its client is there to be told: the write of a zombie.
#[test]
fn what_was_read_of_a_client_that_hung_up_is_carried_out() {
    let one = One::new();
    let pause = Duration::from_millis(300);
    one.cluster().add_fault(Fault::new(Fate::Delay(pause)).api(ApiKey::PRODUCE).times(1));
    let mut zombie = one.peer();
    let began = Instant::now();
    // One that is delayed, and one behind it.
    for _ in 0..2 {
        zombie.send(12, one.u.produce(batch::of(1)).into());
    }
    while one.cluster().requests().iter().all(|seen| seen.api_key != ApiKey::PRODUCE.0) {
        std::thread::sleep(Duration::from_millis(1));
    }
    // Both have been read.
    std::thread::sleep(pause / 6);
    drop(zombie);
    assert_eq!(one.peer().append(&one.u, batch::of(5)), 0, "who comes later is earlier");
    assert!(began.elapsed() < pause, "too slow to tell");
    while one.ends()[2] < 7 {
        assert!(began.elapsed() < 20 * pause, "the end is {:?}", one.ends());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(began.elapsed() >= pause);
}

#[test]
fn who_is_throttled_is_told_for_how_long_and_not_read_from_meanwhile() {
    let one = One::new();
    let pause = Duration::from_millis(400);
    one.cluster().add_fault(Fault::new(Fate::Throttle(pause)).api(ApiKey::PRODUCE).times(2));
    let mut peer = one.peer();
    let asked = Instant::now();
    let told = peer.ask(9, one.t.produce(batch::of(1)));
    assert_eq!((told.throttle_time_ms, told.responses[0].partition_responses[0].base_offset), (400, 0));
    assert!(asked.elapsed() < Duration::from_millis(300), "the answer comes at once: {:?}", asked.elapsed());
    peer.ask(12, MetadataRequest::topics([]));
    assert!(asked.elapsed() >= Duration::from_millis(390), "what follows waits: {:?}", asked.elapsed());

    let asked = Instant::now();
    assert_eq!(peer.ask(5, one.t.produce(batch::of(1))).throttle_time_ms, 400);
    assert!(asked.elapsed() >= Duration::from_millis(390), "before KIP-219 the answer waits");
    assert_eq!(peer.ask(9, one.t.produce(batch::of(1))).throttle_time_ms, 0);
}
