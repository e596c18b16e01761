//! Records in and out, by us and by the clients that others wrote.

use crate::real::kafka::{self, RealKafka};
use crate::{LIMIT, Seen, client, reader, take};
use ottla::config::CompressionType;
use ottla::{Client, ErrorKind, NewTopic, Record, Start, TopicPartition};
use std::time::{Duration, Instant};

/// A topic with one partition that nobody else uses.
async fn topic(client: &Client, prefix: &str) -> String {
    let name = kafka::unique(prefix);
    let created = client.admin().create_topics([NewTopic::named(&name).partitions(1)]).await.unwrap();
    created[&name].clone().unwrap();
    name
}

fn value(seen: &Seen) -> &str {
    std::str::from_utf8(seen.value.as_deref().unwrap()).unwrap()
}

#[tokio::test]
async fn a_record_comes_back_as_it_was_sent_in_every_codec() {
    let kafka = real_kafka!();
    let client = client(kafka).await;
    for codec in [
        CompressionType::None,
        CompressionType::Gzip,
        CompressionType::Snappy,
        CompressionType::Lz4,
        CompressionType::Zstd,
    ] {
        let topic = topic(&client, "codec").await;
        let producer = client.producer().compression(codec).build().unwrap();
        let text = "long enough to be worth compressing ".repeat(20);
        let full = Record::to(topic.as_str())
            .key("key")
            .value(&text)
            .header("name", "first")
            .header("name", "second")
            .null_header("nothing")
            .timestamp_ms(1_700_000_000_123);
        let first = producer.send(full).await.unwrap();
        let tombstone = producer.send(Record::to(topic.as_str()).key("key")).await.unwrap();
        let empty = producer.send(Record::to(topic.as_str()).key("").value("")).await.unwrap();
        producer.flush().await.unwrap();
        let at = [first.await.unwrap(), tombstone.await.unwrap(), empty.await.unwrap()];
        assert_eq!(at.each_ref().map(|at| (at.partition, at.offset)), [(0, 0), (0, 1), (0, 2)]);
        assert_eq!(at[0].timestamp_ms, 1_700_000_000_123);

        let seen = take(&mut reader(&client, &topic, Start::Beginning).await, 3).await;
        assert_eq!(seen[0].timestamp_ms, 1_700_000_000_123);
        assert_eq!((seen[0].key.as_deref(), value(&seen[0])), (Some(&b"key"[..]), &text[..]));
        let headers = [
            (b"name".to_vec(), Some(b"first".to_vec())),
            (b"name".to_vec(), Some(b"second".to_vec())),
            (b"nothing".to_vec(), None),
        ];
        assert_eq!(seen[0].headers, headers);
        assert_eq!((seen[1].key.as_deref(), seen[1].value.as_deref()), (Some(&b"key"[..]), None));
        assert_eq!((seen[2].key.as_deref(), seen[2].value.as_deref()), (Some(&b""[..]), Some(&b""[..])));

        let by_kcat = kafka::run(
            &mut kafka.kcat(&["-C", "-t", &topic, "-o", "beginning", "-e", "-q", "-f", "%o %k %s %h\n"]),
            "",
        );
        let expected = format!("0 key {text} name=first,name=second,nothing=NULL");
        assert_eq!(by_kcat.lines()[0], expected, "{codec:?}");
        let by_java = kafka
            .java_consume(kafka.plaintext(), &["--topic", &topic, "--from-beginning", "--max-messages", "3"]);
        assert_eq!(by_java.lines(), [text.as_str(), "null", ""], "{codec:?}");
    }
}

#[tokio::test]
async fn what_kcat_and_java_write_in_every_codec_is_read() {
    let kafka = real_kafka!();
    let client = client(kafka).await;
    let topic = topic(&client, "foreign").await;
    let line = "some text that can be compressed ".repeat(30);
    let mut count = 0;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let mut kcat = kafka.kcat(&["-P", "-t", &topic, "-K", ":", "-H", "by=kcat", "-z", codec]);
        kafka::run(&mut kcat, &format!("kcat-{codec}:{line}\n"));
        let compressed = format!("compression.type={codec}");
        let option = ["--topic", &topic, kafka.client_property(), &compressed];
        kafka.java_produce(kafka.plaintext(), &option, &format!("java-{codec} {line}\n"));
        count += 2;
    }
    let seen = take(&mut reader(&client, &topic, Start::Beginning).await, count).await;
    let mut said: Vec<String> = Vec::new();
    for record in &seen {
        let key = record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned());
        said.push(key.unwrap_or_else(|| value(record).split(' ').next().unwrap().to_owned()));
        assert!(value(record).ends_with(&line));
    }
    let expected: Vec<String> = ["none", "gzip", "snappy", "lz4", "zstd"]
        .iter()
        .flat_map(|codec| [format!("kcat-{codec}"), format!("java-{codec}")])
        .collect();
    assert_eq!(said, expected);
}

#[tokio::test]
async fn keys_go_where_the_java_client_sends_them() {
    let kafka = real_kafka!();
    let client = client(kafka).await;
    let (ours, theirs) = (kafka::unique("keys-ours"), kafka::unique("keys-java"));
    let topics = [&ours, &theirs].map(|name| NewTopic::named(name).partitions(7));
    client.admin().create_topics(topics).await.unwrap();
    let keys: Vec<String> = (0..200).map(|n| format!("clé-{n}")).collect();
    let producer = client.producer().build().unwrap();
    for key in &keys {
        producer.send(Record::to(ours.as_str()).key(key).value("v")).await.unwrap().await.unwrap();
    }
    let reader = kafka.reader_property();
    let keyed = ["--topic", &theirs, reader, "parse.key=true", reader, "key.separator=:"];
    let lines: String = keys.iter().map(|key| format!("{key}:v\n")).collect();
    kafka.java_produce(kafka.plaintext(), &keyed, &lines);
    let mut places = Vec::new();
    for topic in [&ours, &theirs] {
        let mut consumer = client.consumer().topic(topic.as_str(), Start::Beginning).build().await.unwrap();
        let mut seen: Vec<_> = take(&mut consumer, keys.len())
            .await
            .into_iter()
            .map(|seen| (seen.key, seen.partition))
            .collect();
        seen.sort();
        places.push(seen);
    }
    assert_eq!(places[0], places[1]);
}

#[tokio::test]
async fn reading_begins_where_it_is_asked_to() {
    let kafka = real_kafka!();
    let client = client(kafka).await;
    let topic = topic(&client, "start").await;
    let producer = client.producer().build().unwrap();
    for n in 0..10i64 {
        let record = Record::to(topic.as_str()).value(n.to_string()).timestamp_ms(1_000_000 + n * 1_000);
        // One batch each: a timestamp is found within a batch as well as between batches.
        producer.send(record).await.unwrap().await.unwrap();
    }
    let partition = TopicPartition::new(topic.as_str(), 0);
    for (start, first) in [
        (Start::Beginning, 0),
        (Start::Offset(7), 7),
        (Start::Timestamp(1_003_500), 4),
        (Start::Timestamp(1_003_000), 3),
    ] {
        let seen = take(&mut reader(&client, &topic, start).await, 1).await;
        assert_eq!(seen[0].offset, first, "{start:?}");
    }
    let mut at_end = reader(&client, &topic, Start::End).await;
    let ends = at_end.end_offsets([&partition]).await.unwrap();
    assert_eq!(
        (ends[&partition], at_end.beginning_offsets([&partition]).await.unwrap()[&partition]),
        (10, 0)
    );
    let times = at_end.offsets_for_times([(&partition, 1_009_000)]).await.unwrap();
    assert_eq!(times[&partition], Some(9));
    assert_eq!(at_end.offsets_for_times([(&partition, 9_000_000)]).await.unwrap()[&partition], None);
    tokio::time::timeout(LIMIT, async {
        while at_end.position(&partition).unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    producer.send(Record::to(topic.as_str()).value("10")).await.unwrap().await.unwrap();
    assert_eq!(take(&mut at_end, 1).await[0].offset, 10);

    at_end.seek(&partition, Start::Offset(2)).unwrap();
    assert_eq!(take(&mut at_end, 1).await[0].offset, 2);
    // Past the end: the policy says where then.
    let consumer = client.consumer().auto_offset_reset("earliest");
    let mut lost = consumer.assign([(partition, Start::Offset(1_000))]).build().await.unwrap();
    assert_eq!(take(&mut lost, 1).await[0].offset, 0);
}

#[tokio::test]
async fn transactions_of_others_are_read_without_their_markers() {
    let kafka = real_kafka!();
    let client = client(kafka).await;
    let topic = topic(&client, "transactions").await;
    // kcat sends each run as one transaction.
    for text in ["one\ntwo\n", "three\n"] {
        let id = format!("transactional.id={topic}");
        kafka::run(&mut kafka.kcat(&["-P", "-t", &topic, "-p", "0", "-X", &id]), text);
    }
    let partition = TopicPartition::new(topic.as_str(), 0);
    let consumer = client.consumer().set("isolation.level", "read_committed");
    let mut consumer = consumer.assign([(partition.clone(), Start::Beginning)]).build().await.unwrap();
    let seen = take(&mut consumer, 3).await;
    assert_eq!(seen.iter().map(value).collect::<Vec<_>>(), ["one", "two", "three"]);
    assert_eq!(seen.iter().map(|seen| seen.offset).collect::<Vec<_>>(), [0, 1, 3], "a marker lies between");
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_with_both_sizes_and_harms_no_other() {
    let kafka = real_kafka!();
    let client = client(kafka).await;
    let topic = topic(&client, "large").await;
    let producer = client.producer().build().unwrap();
    let before = producer.send(Record::to(topic.as_str()).value("before")).await.unwrap();
    let error = producer.send(Record::to(topic.as_str()).value(vec![0; 1_100_000])).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::RecordTooLarge { size, limit: 1_048_576 } if size > 1_100_000));
    let after = producer.send(Record::to(topic.as_str()).value("after")).await.unwrap();
    assert_eq!((before.await.unwrap().offset, after.await.unwrap().offset), (0, 1));
}

#[tokio::test]
async fn a_batch_that_the_broker_finds_too_large_is_split_and_all_of_it_arrives() {
    let kafka = real_kafka!();
    let client = client(kafka).await;
    let name = kafka::unique("split");
    let small = NewTopic::named(&name).partitions(1).config("max.message.bytes", "20000");
    client.admin().create_topics([small]).await.unwrap()[&name].clone().unwrap();
    let producer = client.producer().linger(std::time::Duration::from_millis(200)).build().unwrap();
    let mut deliveries = Vec::new();
    for n in 0..300 {
        let record = Record::to(name.as_str()).key(n.to_string()).value(vec![b'x'; 1_000]);
        deliveries.push(producer.send(record).await.unwrap());
    }
    let alone = Record::to(name.as_str()).value(vec![b'x'; 30_000]);
    let refused = producer.send(alone).await.unwrap();
    producer.flush().await.unwrap();
    for (n, delivery) in deliveries.into_iter().enumerate() {
        assert_eq!(delivery.await.unwrap().offset, n as i64);
    }
    let error = refused.await.unwrap_err().to_string();
    assert!(error.contains("MESSAGE_TOO_LARGE") && error.contains(&name), "{error}");
    let seen = take(&mut reader(&client, &name, Start::Beginning).await, 300).await;
    assert!(seen.iter().enumerate().all(|(n, seen)| seen.key.as_deref() == Some(n.to_string().as_bytes())));
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_created_or_told_in_time() {
    let kafka = real_kafka!();
    let client = client(kafka).await;
    let producer = client.producer().set("max.block.ms", "3000").build().unwrap();
    let fresh = kafka::unique("auto");
    assert_eq!(producer.send(Record::to(fresh.as_str()).value("v")).await.unwrap().await.unwrap().offset, 0);
    let error = producer.send(Record::to("no such name!").value("v")).await.unwrap_err();
    assert!(error.to_string().contains("INVALID_TOPIC_EXCEPTION"), "{error}");
    let error = producer.send(Record::to(fresh.as_str()).partition(1_000).value("v")).await.unwrap_err();
    assert!(error.to_string().contains("partitions") && !error.is_possibly_written(), "{error}");
}

#[tokio::test]
async fn two_hundred_thousand_records_keep_their_order_and_none_is_missing() {
    let kafka = real_kafka!();
    let client = client(kafka).await;
    let topic = topic(&client, "many").await;
    let producer = client.producer().compression(CompressionType::Lz4).build().unwrap();
    let count = 200_000u32;
    let mut last = None;
    for n in 0..count {
        last = Some(producer.send(Record::to(topic.as_str()).value(n.to_be_bytes())).await.unwrap());
    }
    assert_eq!(last.unwrap().await.unwrap().offset, i64::from(count) - 1);
    let seen = take(&mut reader(&client, &topic, Start::Beginning).await, count as usize).await;
    assert!(seen.iter().zip(0u32..).all(|(seen, n)| seen.value.as_deref() == Some(&n.to_be_bytes()[..])));
}

#[tokio::test]
async fn topics_are_created_described_and_deleted() {
    let kafka: &RealKafka = real_kafka!();
    let client = client(kafka).await;
    let admin = client.admin();
    let name = kafka::unique("admin");
    let wanted = || NewTopic::named(&name).partitions(3).config("cleanup.policy", "compact");
    assert!(admin.validate_topics([wanted()]).await.unwrap()[&name].is_ok());
    assert!(admin.create_topics([wanted()]).await.unwrap()[&name].is_ok());
    let again = admin.create_topics([wanted()]).await.unwrap()[&name].clone().unwrap_err();
    assert!(again.to_string().contains("TOPIC_ALREADY_EXISTS"), "{again}");
    assert_eq!(admin.partitions_for(&name).await.unwrap().len(), 3);
    assert!(admin.list_topics().await.unwrap().iter().any(|topic| topic.name == name));
    let cluster = admin.describe_cluster().await.unwrap();
    assert_eq!((cluster.brokers.len(), cluster.cluster_id.is_some()), (1, true));
    assert!(admin.delete_topics([&name]).await.unwrap()[&name].is_ok());
    let gone = admin.delete_topics([&name]).await.unwrap()[&name].clone().unwrap_err();
    assert!(gone.to_string().contains("UNKNOWN_TOPIC_OR_PARTITION"), "{gone}");
}

/// A broker holds a fetch back while there is nothing to read; consumers of one client must not wait for each other's.
#[tokio::test]
async fn consumers_of_one_client_do_not_wait_for_each_other() {
    let kafka = real_kafka!();
    let client = client(kafka).await;
    let (quiet, busy) = (topic(&client, "quiet").await, topic(&client, "busy").await);
    let patient = |topic: &str| {
        let start = [(TopicPartition::new(topic, 0), Start::Beginning)];
        client.consumer().assign(start).set("fetch.max.wait.ms", "20000").build()
    };
    let mut consumers = (patient(&quiet).await.unwrap(), patient(&busy).await.unwrap());
    let nothing = tokio::time::timeout(Duration::from_secs(2), consumers.0.poll()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    let producer = client.producer().build().unwrap();
    for n in 0..5 {
        let sent = Instant::now();
        producer.send(Record::to(busy.as_str()).value(n.to_string())).await.unwrap().await.unwrap();
        take(&mut consumers.1, 1).await;
        assert!(sent.elapsed() < Duration::from_secs(5), "record {n} after {:?}", sent.elapsed());
    }
}
