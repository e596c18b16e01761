//! What a setting brings about, seen at the broker.

use crate::{MS, SECOND, TOPIC, World, simulated, simulated_on};
use ottla::broker::{ApiKey, Fate, Fault, TopicSpec};
use ottla::{ErrorKind, Record};

/// librdkafka's test 0048: what each partitioner makes of three keys.
#[test]
fn a_partitioner_s_name_decides_where_a_key_goes() {
    const KEYS: [&str; 3] = ["23456", "this is another string with more length to it perhaps", "hejsan"];
    const CRC32: [u32; 3] = [0xb1b4_51d7, 0xb015_0df7, 0xd077_037e];
    const MURMUR2: [u32; 3] = [0x058d_780f, 0x4f77_03da, 0x5ec1_9395];
    const FNV1A: [u32; 3] = [0x27e6_f469, 0x155e_3e5f, 0x17b1_e27a];
    simulated(|world: World| async move {
        world.cluster.create_topic("wide", 17).unwrap();
        for (settings, hashes) in [
            (&[][..], MURMUR2),
            (&[("partitioner", "murmur2")], MURMUR2),
            (&[("partitioner.class", "murmur2_random")], MURMUR2),
            (&[("partitioner", "consistent")], CRC32),
            (&[("partitioner", "consistent_random")], CRC32),
            (&[("partitioner", "fnv1a")], FNV1A),
            (&[("partitioner", "fnv1a_random")], FNV1A),
            (&[("partitioner.class", "org.apache.kafka.clients.producer.RoundRobinPartitioner")], [0, 1, 2]),
        ] {
            let producer = world.producer(settings);
            for (key, hash) in KEYS.into_iter().zip(hashes) {
                let sent = producer.send(Record::to("wide").key(key).value("v")).await.unwrap();
                assert_eq!(sent.await.unwrap().partition, (hash % 17) as i32, "{key} with {settings:?}");
            }
        }
    });
}

#[test]
fn ignoring_keys_spreads_the_records_of_one_key() {
    simulated(|world: World| async move {
        world.cluster.create_topic("wide", 17).unwrap();
        for (ignored, partitions) in [("false", 1..=1), ("true", 5..=17)] {
            let producer = world.producer(&[("partitioner.ignore.keys", ignored)]);
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..40 {
                let record = Record::to("wide").key("always the same").value([b'x'; 50_000]);
                seen.insert(producer.send(record).await.unwrap().await.unwrap().partition);
            }
            assert!(partitions.contains(&seen.len()), "{seen:?} with {ignored}");
        }
    });
}

/// Of two brokers one takes a second for a request: records without a key go rather to the other, if that is wanted.
#[test]
fn adaptive_partitioning_spares_a_broker_that_is_slow() {
    for (adaptive, share) in [("true", 0..=30), ("false", 40..=100)] {
        simulated_on(2, |world: World| async move {
            let [fast, slow] = world.cluster.brokers()[..] else { panic!("two brokers") };
            let placed = TopicSpec::new("two").placed([[fast], [slow], [fast], [slow]]);
            world.cluster.create_topic_as(&placed).unwrap();
            world.cluster.add_fault(Fault::new(Fate::Delay(SECOND)).api(ApiKey::PRODUCE).broker(slow));
            let settings =
                [("partitioner.adaptive.partitioning.enable", adaptive), ("buffer.memory", "1000000000")];
            let producer = world.producer(&settings);
            for _ in 0..15_000 {
                drop(producer.send(Record::to("two").value([b'x'; 5_000])).await.unwrap());
                tokio::time::sleep(MS).await;
            }
            producer.flush().await.unwrap();
            let count = |partition| world.cluster.records("two", partition).len();
            let of_slow = (count(1) + count(3)) * 100 / 15_000;
            assert!(share.contains(&of_slow), "{of_slow} % went to the slow one with {adaptive}");
        });
    }
}

/// Words in an order that repeats late: what a codec finds depends on how hard it looks.
fn prose() -> Vec<u8> {
    let words =
        ["offset", "leader", "epoch", "record", "batch", "broker", "fetch", "commit", "group", "topic"];
    let mut seed = 7_u32;
    let mut text = Vec::new();
    while text.len() < 300_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend_from_slice(words[(seed >> 16) as usize % words.len()].as_bytes());
        text.extend_from_slice(format!(" {} ", seed >> 26).as_bytes());
    }
    text
}

#[test]
fn a_compression_level_reaches_the_codec() {
    simulated(|world: World| async move {
        world.cluster.create_topic("sizes", 1).unwrap();
        for (codec, setting, [low, high]) in [
            ("gzip", "compression.gzip.level", ["1", "9"]),
            ("gzip", "compression.level", ["1", "9"]),
            ("zstd", "compression.zstd.level", ["1", "12"]),
        ] {
            let mut sizes = Vec::new();
            for level in [low, high] {
                let producer = world.producer(&[("compression.type", codec), (setting, level)]);
                let sent = producer.send(Record::to("sizes").value(prose())).await.unwrap();
                sent.await.unwrap();
                sizes.push(world.cluster.log("sizes", 0).last().unwrap().bytes.len());
            }
            assert!(sizes[1] < sizes[0], "{sizes:?} bytes at {low} and {high} by {setting}");
        }
    });
}

/// Without acknowledgements a record is delivered when its request is written. One whose connection ends before that is sent again,
/// or, with no retries, fails as possibly written: never silence, and never an offset.
#[test]
fn without_acks_a_connection_that_ends_midway_is_not_passed_over() {
    simulated(|world: World| async move {
        for (retries, lost) in [("0", true), ("5", false)] {
            let producer = world.producer(&[("acks", "0"), ("retries", retries), ("linger.ms", "0")]);
            let first = producer.send(Record::to(TOPIC).partition(0).value("first")).await.unwrap();
            assert_eq!(first.await.unwrap().offset, -1);
            // More than the way to the broker holds at once.
            let record = Record::to(TOPIC).partition(1).value([b'x'; 900_000]);
            let midway = producer.send(record).await.unwrap();
            let mut waited = 0;
            while producer.metrics().request_total < 2 {
                tokio::time::sleep(MS / 10).await;
                waited += 1;
                assert!(waited < 100, "{:?}", producer.metrics());
            }
            assert!(midway.outcome().is_none(), "it is being written");
            world.cut();
            match midway.await {
                Err(error) if lost => {
                    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
                    assert!(error.is_possibly_written(), "{error}");
                }
                Ok(at) if !lost => assert_eq!(at.offset, -1),
                other => panic!("{other:?} with {retries} retries"),
            }
            tokio::time::sleep(SECOND).await;
            assert_eq!(world.cluster.records(TOPIC, 1).len(), usize::from(!lost));
        }
    });
}

/// A broker that is away takes nothing: records wait for it, and fail when their time is over.
#[test]
fn without_acks_records_for_a_broker_that_is_away_are_not_delivered() {
    simulated(|world: World| async move {
        let producer = world.producer(&[("acks", "0"), ("delivery.timeout.ms", "40000"), ("linger.ms", "0")]);
        producer.send(Record::to(TOPIC).partition(0).value("first")).await.unwrap().await.unwrap();
        tokio::time::sleep(SECOND).await;
        let broker = world.cluster.brokers()[0];
        world.cluster.crash_broker(broker).await.unwrap();
        let back_in_time = producer.send(Record::to(TOPIC).partition(0).value("second")).await.unwrap();
        tokio::time::sleep(5 * SECOND).await;
        assert!(back_in_time.outcome().is_none());
        world.cluster.start_broker(broker).await.unwrap();
        assert_eq!(back_in_time.await.unwrap().offset, -1);
        tokio::time::sleep(SECOND).await;
        assert_eq!(world.values(TOPIC, 0), ["first", "second"]);

        world.cluster.crash_broker(broker).await.unwrap();
        tokio::time::sleep(SECOND).await;
        let error =
            producer.send(Record::to(TOPIC).partition(0).value("third")).await.unwrap().await.unwrap_err();
        assert_eq!((error.kind(), error.is_possibly_written()), (ErrorKind::Timeout, false), "{error}");
    });
}
