use super::{assert_says, producer};
use crate::config::{Acks, CompressionType, PartitionerKind, ProducerConfig, Settings};
use std::time::Duration;

#[test]
fn without_settings_it_is_the_default() {
    assert_eq!(producer(&[]).unwrap(), ProducerConfig::default());
}

#[test]
fn names_and_numbers_of_both_other_clients_are_read() {
    let read = producer(&[
        ("request.required.acks", "-1"),
        ("queue.buffering.max.ms", "0.5"),
        ("queue.buffering.max.kbytes", "1024"),
        ("message.max.bytes", "2000000"),
        ("compression.codec", "ZSTD"),
        ("message.send.max.retries", "7"),
        ("max.in.flight", "2"),
        ("message.timeout.ms", "60000"),
        ("partitioner", "murmur2_random"),
    ])
    .unwrap();
    let expected = ProducerConfig {
        linger: Duration::from_micros(500),
        buffer_memory: 1_048_576,
        max_request_size: 2_000_000,
        batch_size: 2_000_000,
        compression: CompressionType::Zstd,
        retries: 7,
        max_in_flight: 2,
        delivery_timeout: Duration::from_secs(60),
        partitioner: PartitionerKind::Murmur2Random,
        ..ProducerConfig::default()
    };
    assert_eq!(read, expected);
}

#[test]
fn acks_have_two_names_for_all() {
    for (text, acks) in
        [("all", Acks::All), ("ALL", Acks::All), ("-1", Acks::All), ("1", Acks::Leader), ("0", Acks::None)]
    {
        assert_eq!(producer(&[("acks", text)]).unwrap().acks, acks, "{text}");
    }
}

#[test]
fn a_batch_grows_to_a_request_unless_it_is_told_otherwise() {
    assert_eq!(producer(&[("max.request.size", "5000000")]).unwrap().batch_size, 5_000_000);
    assert_eq!(producer(&[("batch.size", "16384")]).unwrap().batch_size, 16_384);
}

#[test]
fn what_contradicts_idempotence_switches_it_off_or_is_an_error() {
    for (key, value) in
        [("acks", "1"), ("acks", "0"), ("retries", "0"), ("max.in.flight.requests.per.connection", "6")]
    {
        assert!(!producer(&[(key, value)]).unwrap().enable_idempotence, "{key}={value}");
        assert!(!producer(&[(key, value), ("enable.idempotence", "false")]).unwrap().enable_idempotence);
        let told = format!("{key}={value} (set by the program)");
        assert_says(
            producer(&[(key, value), ("enable.idempotence", "true")]),
            &["enable.idempotence=true (set by the program) needs", &told],
        );
        assert_says(producer(&[(key, value), ("transactional.id", "t")]), &["transactional.id=t", &told]);
    }
    assert_says(
        producer(&[("enable.idempotence", "false"), ("transactional.id", "t")]),
        &["transactional.id=t", "enable.idempotence=false"],
    );
    assert!(!producer(&[("enable.idempotence", "false")]).unwrap().enable_idempotence);
    assert!(producer(&[("max.in.flight.requests.per.connection", "1")]).unwrap().enable_idempotence);
}

#[test]
fn a_delivery_has_time_for_one_attempt() {
    assert_says(
        producer(&[("delivery.timeout.ms", "30000")]),
        &["delivery.timeout.ms=30000", "linger.ms=5 (default)", "request.timeout.ms=30000 (default)"],
    );
    let read = producer(&[("request.timeout.ms", "200000")]).unwrap();
    assert_eq!(read.delivery_timeout.as_millis(), 200_005);
    assert_says(producer(&[("message.timeout.ms", "0")]), &["message.timeout.ms=0"]);
}

#[test]
fn the_common_level_is_that_of_the_codec_in_use() {
    let level = |codec, level| producer(&[("compression.type", codec), ("compression.level", level)]);
    assert_eq!(level("gzip", "9").unwrap().gzip_level, Some(9));
    assert_eq!(level("lz4", "12").unwrap().lz4_level, 12);
    assert_eq!(level("zstd", "19").unwrap().zstd_level, 19);
    assert_eq!(level("zstd", "-1").unwrap(), producer(&[("compression.type", "zstd")]).unwrap());
    assert_eq!(level("snappy", "9").unwrap(), producer(&[("compression.type", "snappy")]).unwrap());
    assert_says(level("gzip", "12"), &["compression.level=12", "from 1 to 9", "compression.type=gzip"]);
    let own = producer(&[
        ("compression.type", "zstd"),
        ("compression.level", "9"),
        ("compression.zstd.level", "1"),
    ]);
    assert_eq!(own.unwrap().zstd_level, 1);
    let mut nearer = Settings::new();
    nearer.add_properties("compression.type=zstd\ncompression.zstd.level=1", "f").unwrap();
    nearer.set("compression.level", "9").unwrap();
    assert_eq!(ProducerConfig::from_settings(&nearer).unwrap().zstd_level, 9);
}

#[test]
fn partitioners_have_names() {
    for (name, kind) in [
        ("org.apache.kafka.clients.producer.RoundRobinPartitioner", PartitionerKind::RoundRobin),
        ("random", PartitionerKind::Random),
        ("consistent", PartitionerKind::Consistent),
        ("consistent_random", PartitionerKind::ConsistentRandom),
        ("murmur2", PartitionerKind::Murmur2),
        ("fnv1a", PartitionerKind::Fnv1a),
        ("fnv1a_random", PartitionerKind::Fnv1aRandom),
    ] {
        assert_eq!(producer(&[("partitioner.class", name)]).unwrap().partitioner, kind);
    }
}
