//! What those who read what is committed get, and those who read everything.

use super::{NONE, Producer, settled};
use crate::batch;
use crate::cases::{Target, Topic};
use crate::peer::Peer;
use ottla::messages::{
    BrokerId, FetchPartitionResponse, FetchRequest, IsolationLevel, ListOffsetsPartition, ListOffsetsRequest,
    ListOffsetsTopic,
};
use ottla::records::{Batches, ControlType};
use std::thread;
use std::time::{Duration, Instant};

const COMMITTED: IsolationLevel = IsolationLevel::READ_COMMITTED;
const EVERYTHING: IsolationLevel = IsolationLevel::READ_UNCOMMITTED;

fn fetch(topic: &Topic, offset: i64, isolation_level: IsolationLevel) -> FetchRequest {
    FetchRequest { isolation_level, ..topic.fetch(offset) }
}

/// Offsets of the batches, first and last.
fn batches(fetched: &FetchPartitionResponse) -> Vec<(i64, i64)> {
    let records = fetched.records.clone().unwrap_or_default();
    let batches = Batches::new(records.to_bytes()).map(|batch| batch.unwrap());
    batches.map(|batch| (batch.base_offset(), batch.last_offset())).collect()
}

fn aborted(fetched: &FetchPartitionResponse) -> Option<Vec<(i64, i64)>> {
    let aborted = fetched.aborted_transactions.as_ref()?;
    Some(aborted.iter().map(|aborted| (aborted.producer_id.0, aborted.first_offset)).collect())
}

fn find(peer: &mut Peer, topic: &Topic, timestamp: i64, isolation_level: IsolationLevel) -> i64 {
    let partition = ListOffsetsPartition { timestamp, ..Default::default() };
    let topics = vec![ListOffsetsTopic { name: topic.name.clone(), partitions: vec![partition] }];
    let request =
        ListOffsetsRequest { replica_id: BrokerId::NONE, isolation_level, topics, ..Default::default() };
    let found = peer.ask(7, request).topics[0].partitions[0].clone();
    assert_eq!(found.error_code, NONE);
    found.offset
}

fn await_stable(peer: &mut Peer, topic: &Topic, offset: i64) {
    settled(|| peer.fetch(12, topic.fetch(0)).last_stable_offset, |stable| *stable == offset);
}

pub fn what_was_aborted_is_told_to_those_who_ask(target: &Target) {
    let (mut one, mut two, topic) = (Producer::new(target), Producer::new(target), target.topic());
    let (first, second) = (one.id.0, two.id.0);
    one.write(&topic, 0, 2);
    two.write(&topic, 0, 1);
    one.write(&topic, 2, 1);
    one.finish(false);
    await_stable(&mut one.peer, &topic, 2);
    two.finish(true);
    await_stable(&mut one.peer, &topic, 6);
    two.write(&topic, 0, 1);
    two.finish(false);
    await_stable(&mut one.peer, &topic, 8);
    let mut peer = target.connect();
    for version in 4..=17 {
        let all = peer.fetch(version, fetch(&topic, 0, EVERYTHING));
        assert_eq!(batches(&all), [(0, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)]);
        assert_eq!((aborted(&all), all.last_stable_offset), (None, 8), "version {version}");
        let decided = peer.fetch(version, fetch(&topic, 0, COMMITTED));
        assert_eq!(batches(&decided), batches(&all), "clients leave out what was aborted");
        assert_eq!(aborted(&decided), Some(vec![(first, 0), (second, 6)]), "version {version}");
    }
    for (offset, told) in
        [(2, vec![(first, 0), (second, 6)]), (4, vec![(first, 0), (second, 6)]), (5, vec![(second, 6)])]
    {
        let rest = peer.fetch(12, fetch(&topic, offset, COMMITTED));
        assert_eq!(aborted(&rest), Some(told), "from {offset} on");
    }
    let end = peer.fetch(12, fetch(&topic, 8, COMMITTED));
    assert_eq!((batches(&end), aborted(&end)), (vec![], Some(vec![])));
    for isolation in [COMMITTED, EVERYTHING] {
        let beyond = peer.fetch(12, fetch(&topic, 99, isolation));
        assert_eq!(aborted(&beyond), None, "{:?}", beyond.error_code);
    }
}

pub fn markers_are_control_batches_of_their_producer(target: &Target) {
    let (mut producer, topic) = (Producer::new(target), target.topic());
    for (committed, at) in [(true, 2), (false, 4)] {
        producer.write(&topic, 0, 1);
        producer.finish(committed);
        await_stable(&mut producer.peer, &topic, at);
    }
    let fetched = producer.peer.fetch(12, fetch(&topic, 0, EVERYTHING));
    let batches = Batches::new(fetched.records.unwrap().to_bytes()).map(|batch| batch.unwrap());
    let (control, data): (Vec<_>, Vec<_>) = batches.partition(|batch| batch.is_control());
    assert!(data.iter().chain(&control).all(|batch| batch.is_transactional()));
    let kinds: Vec<_> =
        control.iter().flat_map(|batch| batch.control_records()).map(|said| said.kind).collect();
    assert_eq!(kinds, [ControlType::Commit, ControlType::Abort]);
    for (n, marker) in (0i16..).zip(&control) {
        let header = marker.header();
        assert_eq!((header.producer_id, header.producer_epoch), (producer.id.0, n + 1));
        assert_eq!((header.base_sequence, header.record_count), (-1, 1));
        assert!((batch::now_ms() - header.max_timestamp).abs() < 60_000);
    }
    assert_eq!(data.iter().map(|batch| batch.header().producer_epoch).collect::<Vec<_>>(), [0, 1]);
}

pub fn nothing_is_read_behind_a_transaction_that_is_open(target: &Target) {
    let (mut producer, topic, mut peer) = (Producer::new(target), target.topic(), target.connect());
    peer.append(&topic, batch::of(2));
    producer.write(&topic, 0, 1);
    let later = batch::now_ms() + 10_000;
    peer.append(&topic, batch::at(later, 1));
    let open = peer.fetch(12, fetch(&topic, 0, COMMITTED));
    assert_eq!((batches(&open), open.last_stable_offset, open.high_watermark), (vec![(0, 1)], 2, 4));
    let all = peer.fetch(12, fetch(&topic, 0, EVERYTHING));
    assert_eq!((batches(&all).len(), all.last_stable_offset), (3, 2));
    let beyond = peer.fetch(12, fetch(&topic, 3, COMMITTED));
    assert_eq!((batches(&beyond), beyond.error_code), (vec![], NONE));
    for (timestamp, everything, committed) in [(-1, 4, 2), (-2, 0, 0), (-3, 3, -1), (later, 3, -1), (0, 0, 0)]
    {
        let found = [EVERYTHING, COMMITTED].map(|isolation| find(&mut peer, &topic, timestamp, isolation));
        assert_eq!(found, [everything, committed], "{timestamp}");
    }
    producer.finish(true);
    await_stable(&mut peer, &topic, 5);
    assert_eq!(find(&mut peer, &topic, -1, COMMITTED), 5);
    assert_eq!(find(&mut peer, &topic, later, COMMITTED), 3);
}

pub fn who_waits_for_what_is_committed_gets_it_when_it_is(target: &Target) {
    let (mut producer, topic) = (Producer::new(target), target.topic());
    producer.write(&topic, 0, 1);
    let mut reader = target.connect();
    let wanted = FetchRequest { max_wait_ms: 20_000, min_bytes: 1, ..fetch(&topic, 0, COMMITTED) };
    let begun = Instant::now();
    let waiting = thread::spawn(move || (reader.fetch(12, wanted), begun.elapsed()));
    thread::sleep(Duration::from_millis(500));
    assert!(!waiting.is_finished(), "nothing is decided");
    producer.finish(true);
    let (fetched, waited) = waiting.join().unwrap();
    assert_eq!(batches(&fetched), [(0, 0), (1, 1)]);
    assert!(waited < Duration::from_secs(15), "{waited:?}");
}
