//! What the clients ask of the network: who storms is seen, whether or not anybody listens.

use ottla::Result;
use ottla::broker::{ApiKey, SeenRequest};
use ottla::messages::{AnyRequest, FetchRequest, ProduceRequest, RecordSet};
use ottla::net::dial::{BoxFuture, Connected, Dial, Endpoint};
use ottla::net::mem::MemDial;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// From here on storms are judged.
const GRACE: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);
/// What is behind the head of a batch: it stays the same under another sequence number.
const HEADER_LEN: usize = 61;

/// The two clients of a run.
pub const CLIENTS: [&str; 2] = ["producer", "consumer"];

/// The most of each within a second, to one broker and of one client, from [`GRACE`] on.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Attempts to connect, also those that nobody answered.
    pub connects: usize,
    /// Requests that moved no record: none but Produce and Fetch does, and of these not those that ask again for the same.
    pub idle: usize,
}

/// When somebody did something to a broker.
type Event = (String, Instant);

/// Counts the attempts of one client.
#[derive(Debug)]
pub struct Counted {
    pub inner: MemDial,
    pub dials: Arc<Mutex<Vec<Event>>>,
}

impl Dial for Counted {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, deadline: Instant) -> BoxFuture<'a, Result<Connected>> {
        self.dials.lock().unwrap().push((endpoint.host.clone(), ottla::task::now()));
        self.inner.dial(endpoint, deadline)
    }
}

impl Traffic {
    pub fn of(requests: &[SeenRequest], dials: &[Arc<Mutex<Vec<Event>>>], start: Instant) -> Traffic {
        let connects = dials.iter().map(|dials| worst(&dials.lock().unwrap(), start + GRACE));
        let idle = CLIENTS.map(|client| {
            let mut moves = Moves::default();
            let its = requests.iter().filter(|seen| seen.client_id.as_deref() == Some(client));
            let idle = its.filter(|seen| !moves.records(&seen.request));
            worst(&idle.map(|seen| (seen.broker.to_string(), seen.at)).collect::<Vec<_>>(), start + GRACE)
        });
        Traffic { connects: connects.max().unwrap_or(0), idle: idle.into_iter().max().unwrap_or(0) }
    }
}

/// The most Fetch requests that a broker has got from a time on.
pub fn fetches_since(requests: &[SeenRequest], from: Instant) -> usize {
    let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
    for seen in requests.iter().rev().take_while(|seen| seen.at >= from) {
        if seen.api_key == ApiKey::FETCH.0 {
            *counts.entry(seen.broker).or_default() += 1;
        }
    }
    counts.into_values().max().unwrap_or(0)
}

/// Tells requests that ask for something new from those that ask again. There is one topic.
#[derive(Default)]
struct Moves {
    /// Of batches that were sent, by their partition and the hash of their records.
    sent: HashSet<(i32, u64)>,
    /// Where each partition was fetched from last.
    fetched: BTreeMap<i32, i64>,
}

impl Moves {
    fn records(&mut self, request: &AnyRequest) -> bool {
        match request {
            AnyRequest::Produce(request) => self.sends(request),
            AnyRequest::Fetch(request) => self.fetches(request),
            _ => false,
        }
    }

    fn sends(&mut self, request: &ProduceRequest) -> bool {
        let mut is_new = false;
        for topic in &request.topic_data {
            for partition in &topic.partition_data {
                let set = partition.records.as_ref().map(RecordSet::to_bytes).unwrap_or_default();
                let mut records = DefaultHasher::new();
                records.write(set.get(HEADER_LEN..).unwrap_or_default());
                is_new |= self.sent.insert((partition.index, records.finish()));
            }
        }
        is_new
    }

    fn fetches(&mut self, request: &FetchRequest) -> bool {
        let mut is_new = false;
        for topic in &request.topics {
            for partition in &topic.partitions {
                let before = self.fetched.insert(partition.partition, partition.fetch_offset);
                is_new |= before != Some(partition.fetch_offset);
            }
        }
        is_new
    }
}

/// The most of these within a second to one broker, of those that come at `from` or later.
fn worst(events: &[Event], from: Instant) -> usize {
    let mut brokers: BTreeMap<&str, Vec<Instant>> = BTreeMap::new();
    for (broker, at) in events.iter().filter(|(_, at)| *at >= from) {
        brokers.entry(broker).or_default().push(*at);
    }
    let most = |mut times: Vec<Instant>| {
        times.sort_unstable();
        let within = |first: usize| times.partition_point(|at| *at < times[first] + SECOND) - first;
        (0..times.len()).map(within).max().unwrap_or(0)
    };
    brokers.into_values().map(most).max().unwrap_or(0)
}

#[test]
fn the_worst_second_of_one_broker_is_found() {
    let start = Instant::now();
    let at = |broker: &str, ms| (broker.to_owned(), start + Duration::from_millis(ms));
    let mut events: Vec<Event> = (0..50).map(|n| at("1", n * 10)).collect();
    assert_eq!(worst(&events, start + SECOND), 0, "too early");
    events.extend([at("1", 2_999), at("1", 2_000), at("2", 2_500), at("1", 3_000), at("1", 3_500)]);
    assert_eq!(worst(&events, start + SECOND), 3);
}

#[test]
fn what_asks_again_for_the_same_moves_nothing() {
    use ottla::messages::{FetchPartition, FetchTopic, ProducePartition, ProduceTopic};
    let produce = |records: &[u8]| {
        let set = Some(bytes::Bytes::from([&[0; HEADER_LEN][..], records].concat()).into());
        let partition = ProducePartition { index: 0, records: set };
        let topic = ProduceTopic { name: "t".into(), partition_data: vec![partition], ..Default::default() };
        AnyRequest::from(ProduceRequest { topic_data: vec![topic], ..Default::default() })
    };
    let fetch = |offset: Option<i64>| {
        let partition = |fetch_offset| FetchPartition { fetch_offset, ..Default::default() };
        let partitions = offset.into_iter().map(partition).collect();
        let topic = FetchTopic { topic: "t".into(), partitions, ..Default::default() };
        AnyRequest::from(FetchRequest { topics: vec![topic], ..Default::default() })
    };
    let mut moves = Moves::default();
    let mut are =
        |requests: &[AnyRequest]| requests.iter().map(|request| moves.records(request)).collect::<Vec<_>>();
    assert_eq!(are(&[produce(b"a"), produce(b"a"), produce(b"b")]), [true, false, true]);
    let [new, again, nothing, next, back] =
        [fetch(Some(0)), fetch(Some(0)), fetch(None), fetch(Some(2)), fetch(Some(0))];
    assert_eq!(are(&[new, again, nothing, next, back]), [true, false, false, true, true]);
    assert_eq!(are(&[AnyRequest::default_of(ApiKey::METADATA).unwrap()]), [false]);
}
