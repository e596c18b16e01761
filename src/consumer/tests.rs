//! A consumer's streams, wake-ups and reports, on brokers in memory.
#![cfg(feature = "broker")]

use super::*;
use crate::broker::{Cluster as Brokers, Fate, Fault, TopicSpec};
use crate::config::tests::logged;
use crate::messages::{
    AnyRequest, ApiKey, FetchPartitionResponse, FetchRequest, FetchResponse, FetchTopicResponse,
};
use crate::net::mem::MemNet;
use crate::net::scripted::{Act, Asked, Picture, Scripted, pass};
use crate::{Client, Record};
use std::error::Error as StdError;
use std::time::Duration;

const TOPIC: &str = "orders";
const SECOND: Duration = Duration::from_secs(1);

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

/// A broker with so many records in each of three partitions, in batches of ten, and a client.
async fn brokers(records: usize) -> (Brokers, Client) {
    let net = MemNet::new(1);
    let brokers = Brokers::builder().brokers(1).listen_in_memory(&net).seed(1).start().await.unwrap();
    brokers.create_topic(TOPIC, 3).unwrap();
    let client = Client::builder().bootstrap(brokers.bootstrap_servers()).dial(Arc::new(net.dialer()));
    let client = client.build().unwrap();
    let producer = client.producer().set("linger.ms", "1000").build().unwrap();
    for first in (0..records).step_by(10) {
        let mut deliveries = Vec::new();
        for n in first..first + 10 {
            for partition in 0..3 {
                let record = Record::to(TOPIC).partition(partition).value(format!("{partition} {n}"));
                deliveries.push(producer.send(record).await.unwrap());
            }
        }
        producer.flush().await.unwrap();
        for delivery in deliveries {
            delivery.await.unwrap();
        }
    }
    (brokers, client)
}

async fn consumer(client: &Client) -> Consumer {
    client.consumer().topic(TOPIC, Start::Beginning).build().await.unwrap()
}

fn offsets(batch: &Batch) -> Vec<i64> {
    batch.iter().map(|record| record.offset()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_partition_has_a_stream_of_its_own_and_poll_has_the_others() {
    let (_brokers, client) = brokers(30).await;
    let mut consumer = consumer(&client).await;
    let streams: Vec<_> = [0, 1].map(|index| consumer.partition_stream(&at(index)).unwrap()).into();
    let readers = streams.into_iter().map(|mut stream| async move {
        let index = stream.topic_partition().partition;
        for n in 0..30 {
            let record = stream.next().await.unwrap().unwrap();
            assert_eq!((record.offset, &record.partition), (n, &at(index)));
            assert_eq!(record.value.unwrap(), format!("{index} {n}"));
        }
        stream
    });
    let streams = task::join_all(readers).await;
    for first in [0, 10, 20] {
        let batch = consumer.poll().await.unwrap().unwrap();
        assert_eq!((batch.partition(), offsets(&batch)), (2, (first..first + 10).collect()));
    }
    for mut stream in streams {
        consumer.unassign([&stream.topic_partition().clone()]);
        assert!(stream.next().await.is_none(), "the partition was taken away");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_is_woken_by_a_record_and_by_the_end() {
    let (_brokers, client) = brokers(0).await;
    let mut consumer = consumer(&client).await;
    let mut stream = consumer.partition_stream(&at(1)).unwrap();
    assert!(consumer.partition_stream(&at(1)).is_err(), "it has one");
    assert!(consumer.partition_stream(&at(7)).is_err(), "it is not assigned");
    let producer = client.producer().build().unwrap();
    let waiting = task::spawn(async move {
        let record = stream.next().await.unwrap().unwrap();
        (record, stream.next().await.is_none())
    });
    pass(SECOND).await;
    producer.send(Record::to(TOPIC).partition(1).value("late")).await.unwrap().await.unwrap();
    pass(SECOND).await;
    assert!(!waiting.is_finished());
    consumer.close(SECOND).await.unwrap();
    let (record, ended) = waiting.await.unwrap();
    assert!(record.value.unwrap() == "late" && ended);
    assert!(consumer.poll().await.unwrap().is_none());
    assert!(consumer.partition_stream(&at(0)).is_err_and(|error| error.kind() == ErrorKind::Closed));
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_stream_has_not_handed_out_comes_with_the_next_poll() {
    let (_brokers, client) = brokers(10).await;
    let mut all = consumer(&client).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut records = all.records();
        for _ in 0..4 {
            let record = records.next().await.unwrap().unwrap();
            seen.push((record.partition.partition, record.offset));
        }
    }
    while seen.len() < 30 {
        let batch = all.poll().await.unwrap().unwrap();
        seen.extend(batch.iter().map(|record| (record.partition(), record.offset())));
    }
    seen.sort_unstable();
    let expected: Vec<_> = (0..3).flat_map(|index| (0..10).map(move |n| (index, n))).collect();
    assert_eq!(seen, expected, "each record once");

    let mut one = client.consumer().assign([(at(1), Start::Offset(0))]).build().await.unwrap();
    let mut stream = one.partition_stream(&at(1)).unwrap();
    for n in 0..4 {
        assert_eq!(one.position(&at(1)).unwrap(), Some(n));
        assert_eq!(stream.next().await.unwrap().unwrap().offset, n);
    }
    drop(stream);
    assert_eq!(one.position(&at(1)).unwrap(), Some(4));
    assert_eq!(offsets(&one.poll().await.unwrap().unwrap()), (4..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_seek_or_a_pause_counts_from_the_next_record_of_a_stream_on() {
    let (_brokers, client) = brokers(30).await;
    let mut consumer = consumer(&client).await;
    let mut stream = consumer.partition_stream(&at(1)).unwrap();
    for n in 0..5 {
        assert_eq!(stream.next().await.unwrap().unwrap().offset, n);
    }
    consumer.seek(&at(1), Start::Offset(17)).unwrap();
    assert_eq!(consumer.position(&at(1)).unwrap(), Some(17));
    assert_eq!(stream.next().await.unwrap().unwrap().offset, 17);
    assert_eq!(consumer.position(&at(1)).unwrap(), Some(18));
    consumer.pause(&at(1)).unwrap();
    let nothing = task::until(task::after(task::now(), SECOND), stream.next()).await;
    assert!(nothing.is_none(), "{nothing:?}");
    consumer.resume(&at(1)).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().offset, 18, "nothing is lost by a pause");
    assert_eq!(consumer.position(&at(1)).unwrap(), Some(19));
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_ended_from_another_task_once() {
    let (_brokers, client) = brokers(0).await;
    let mut consumer = consumer(&client).await;
    let wakeup = consumer.wakeup_handle();
    task::spawn(async move {
        pass(SECOND).await;
        wakeup.wakeup();
    });
    let began = task::now();
    let error = consumer.poll().await.unwrap_err();
    assert_eq!((error.kind(), task::now() - began), (ErrorKind::Wakeup, SECOND));
    let again = task::until(task::after(task::now(), SECOND), consumer.poll()).await;
    assert!(again.is_none(), "it was told: {again:?}");
    consumer.wakeup_handle().wakeup();
    assert_eq!(consumer.poll().await.unwrap_err().kind(), ErrorKind::Wakeup, "the next one, if none waits");
}

/// A value that cannot be read is told with its record, and the next one comes.
#[tokio::test(start_paused = true)]
async fn a_value_that_cannot_be_read_spoils_no_other() {
    let (_brokers, client) = brokers(0).await;
    let producer = client.producer().build().unwrap();
    let values: [Option<&[u8]>; 4] =
        [Some(b"{\"sum\": 3}"), Some(b"\xff no JSON"), None, Some(b"{\"sum\": 4}")];
    for value in values {
        let record = Record::to(TOPIC).partition(0);
        let record = value.map_or_else(|| record.clone(), |value| record.clone().value(value));
        producer.send(record).await.unwrap().await.unwrap();
    }
    let sum = |_: &ConsumerRecord, value: &bytes::Bytes| {
        let text = std::str::from_utf8(value)?;
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        Ok::<u32, Box<dyn StdError + Send + Sync>>(digits.parse()?)
    };
    let mut consumer = consumer(&client).await;
    let mut typed = consumer.records().deserialize(sum);
    assert_eq!(typed.next().await.unwrap().unwrap().value, Some(3));
    let error = typed.next().await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.at_offset()), (ErrorKind::Deserialization, Some(1)));
    let source = error.source().unwrap().downcast_ref::<DeserializationError>().unwrap();
    assert_eq!(source.record().value.as_ref().unwrap(), &values[1].unwrap());
    assert!(source.source().unwrap().to_string().contains("utf-8"), "{source:?}");
    let tombstone = typed.next().await.unwrap().unwrap();
    assert_eq!((tombstone.record.offset, tombstone.value), (2, None));
    assert_eq!(typed.next().await.unwrap().unwrap().value, Some(4));
    drop(typed);

    consumer.seek(&at(0), Start::Beginning).unwrap();
    let mut texts = consumer.records().deserialize(Utf8);
    assert_eq!(texts.next().await.unwrap().unwrap().value.unwrap(), "{\"sum\": 3}");
    assert!(texts.next().await.unwrap().is_err());
    #[cfg(feature = "json")]
    {
        drop(texts);
        consumer.seek(&at(0), Start::Offset(3)).unwrap();
        let mut orders = consumer.records().deserialize(Json::<serde_json::Value>::new());
        assert_eq!(orders.next().await.unwrap().unwrap().value.unwrap()["sum"], 4);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_counted_and_what_is_not_done_is_explained() {
    let (brokers, client) = brokers(30).await;
    let mut consumer = consumer(&client).await;
    consumer.pause(&at(2)).unwrap();
    for _ in 0..4 {
        consumer.poll().await.unwrap();
    }
    pass(SECOND).await;
    let metrics = consumer.metrics();
    assert_eq!((metrics.records_consumed_total, metrics.batch_total), (40, 4));
    assert!(metrics.bytes_consumed_total > 400 && metrics.fetch_byte_total >= metrics.bytes_consumed_total);
    assert!(metrics.fetch_total > 0 && metrics.fetch_latency.count() > 0 && metrics.queued_bytes > 0);
    assert_eq!(metrics.records_lag_max(), Some(20).max(metrics.partitions[&at(0)].lag));
    let positions: i64 = metrics.partitions.values().filter_map(|partition| partition.position).sum();
    assert_eq!(positions, 40);
    let why = |consumer: &Consumer, index: usize| consumer.explain().remove(index).why;
    let broker = brokers.brokers()[0];
    assert_eq!(why(&consumer, 0), Some(WhyNotFetched::Fetching { broker }));
    assert_eq!(why(&consumer, 2), Some(WhyNotFetched::Paused));
    let line = consumer.explain()[2].to_string();
    assert!(line.starts_with("orders-2: position 0") && line.ends_with("paused"), "{line}");
    consumer.assign([(at(9), Start::Beginning)]).unwrap();
    pass(SECOND).await;
    assert_eq!(why(&consumer, 3), Some(WhyNotFetched::Unresolved));
}

fn fetch(asked: &Asked) -> Option<&FetchRequest> {
    match &asked.request {
        AnyRequest::Fetch(request) => Some(request),
        _ => None,
    }
}

/// Brokers keep only so many sessions: who goes says so (KIP-227).
#[tokio::test(start_paused = true)]
async fn a_consumer_that_ends_ends_its_sessions() {
    let net = MemNet::new(1);
    let picture = Picture::of(&[(1, "a", 9092)]).topic(TOPIC, &[1]);
    let answer = move |asked: &Asked| {
        let found = FetchPartitionResponse { high_watermark: 0, ..Default::default() };
        let topic = FetchTopicResponse { topic: TOPIC.into(), partitions: vec![found], ..Default::default() };
        let answer = FetchResponse { session_id: 7, responses: vec![topic], ..Default::default() };
        match fetch(asked) {
            Some(request) if request.session_epoch == 0 => Act::Answer(answer.into()),
            Some(_) => {
                let empty = FetchResponse { session_id: 7, ..Default::default() };
                Act::After(SECOND / 2, Box::new(Act::Answer(empty.into())))
            }
            None => picture.act(asked),
        }
    };
    let broker = Scripted::new(&net, "a", 9092, answer);
    let client = Client::builder().bootstrap("a:9092").dial(Arc::new(net.dialer())).build().unwrap();
    let consumer = client.consumer().assign([(at(0), Start::Offset(0))]).build().await.unwrap();
    pass(3 * SECOND).await;
    drop(consumer);
    let count = broker.count(ApiKey::FETCH);
    pass(3 * SECOND).await;
    let requests = broker.requests();
    let last = requests.iter().filter_map(fetch).next_back().unwrap();
    assert_eq!((last.session_id, last.session_epoch, last.topics.len()), (7, -1, 0));
    assert_eq!(broker.count(ApiKey::FETCH), count + 1, "and nothing else is asked");
}

#[test]
fn what_a_request_does_is_logged_with_the_broker_that_it_is_for() {
    let log = logged(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(async {
            let (_brokers, client) = brokers(10).await;
            let mut consumer = consumer(&client).await;
            consumer.poll().await.unwrap();
        });
    });
    let line = log.lines().find(|line| line.contains("the request is over")).expect("a request");
    assert!(line.contains("Fetch{broker=1 partitions=3}"), "{line}");
}

/// Its connections stay open, and nothing comes: long before a request is given up, somebody else leads.
#[tokio::test(start_paused = true)]
async fn a_leader_that_stands_still_is_left_for_the_next_one_soon_after_the_election() {
    let net = MemNet::new(1);
    let brokers = Brokers::builder().brokers(3).listen_in_memory(&net).seed(1).start().await.unwrap();
    brokers.create_topic_as(&TopicSpec::new(TOPIC).placed([[1, 2]])).unwrap();
    let client = || {
        let client = Client::builder().bootstrap(brokers.bootstrap_servers()).dial(Arc::new(net.dialer()));
        client.build().unwrap()
    };
    let mut consumer = consumer(&client()).await;
    pass(SECOND).await;
    brokers.add_fault(Fault::new(Fate::Silence).broker(1));
    pass(7 * SECOND).await;
    brokers.move_leader(TOPIC, 0, 2).unwrap();
    // Whoever comes fresh knows.
    let producer = client().producer().build().unwrap();
    producer.send(Record::to(TOPIC).value("fresh")).await.unwrap().await.unwrap();
    let batch = task::until(task::after(task::now(), 2 * SECOND), consumer.poll()).await;
    assert_eq!(offsets(&batch.expect("within two seconds").unwrap().unwrap()), [0]);
}
