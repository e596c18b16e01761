//! What a producer tells of itself: metrics, and codecs for each topic.

use crate::{MS, SECOND, TOPIC, World, simulated};
use ottla::Record;
use ottla::broker::{ApiKey, ErrorCode, Fate, Fault};
use ottla::config::CompressionType;

#[test]
fn metrics_count_records_batches_requests_retries_and_failures() {
    simulated(|world: World| async move {
        let producer = world.producer(&[("linger.ms", "10"), ("buffer.memory", "1000000")]);
        assert_eq!(producer.metrics().batch_size(), None);
        let retried = Fault::new(Fate::Fail(ErrorCode::NOT_ENOUGH_REPLICAS)).api(ApiKey::PRODUCE).times(1);
        world.cluster.add_fault(retried);
        for n in 0..30 {
            drop(producer.send(Record::to(TOPIC).partition(n % 2).value([b'x'; 100])).await.unwrap());
        }
        let queued = producer.metrics();
        assert_eq!((queued.records_pending, queued.record_send_total), (30, 0));
        assert!(queued.buffer_available_bytes < 1_000_000 - 3_000);
        producer.flush().await.unwrap();
        let refused = Fault::new(Fate::Fail(ErrorCode::INVALID_RECORD)).api(ApiKey::PRODUCE).times(1);
        world.cluster.add_fault(refused);
        producer.send(Record::to(TOPIC).partition(0).value("bad")).await.unwrap().await.unwrap_err();

        let metrics = producer.metrics();
        assert_eq!((metrics.record_send_total, metrics.record_error_total), (30, 1));
        assert_eq!(metrics.record_retry_total, 30, "both batches went again");
        assert_eq!((metrics.batch_total, metrics.request_record_total), (5, 61));
        assert_eq!((metrics.records_pending, metrics.requests_in_flight), (0, 0));
        assert_eq!((metrics.buffer_total_bytes, metrics.buffer_available_bytes), (1_000_000, 1_000_000));
        assert!(metrics.byte_total > 60 * 100 && metrics.byte_total == metrics.uncompressed_byte_total);
        assert_eq!(metrics.request_latency.count(), metrics.request_total);
        assert!((2 * MS..4 * MS).contains(&metrics.request_latency.quantile(0.5)), "{metrics:?}");
        assert_eq!(metrics.record_latency.count(), 31);
        assert!((10 * MS..SECOND).contains(&metrics.record_latency.max()), "{metrics:?}");
        assert_eq!(metrics.record_queue_time.count(), 5);
    });
}

#[test]
fn a_topic_can_have_a_codec_of_its_own() {
    simulated(|world: World| async move {
        world.cluster.create_topic("plain", 1).unwrap();
        let producer = world
            .builder(&[("compression.type", "lz4")])
            .topic_compression("plain", CompressionType::None, None)
            .topic_compression(TOPIC, CompressionType::Gzip, Some(9))
            .build()
            .unwrap();
        world.cluster.create_topic("other", 1).unwrap();
        for topic in ["plain", TOPIC, "other"] {
            let delivery = producer.send(Record::to(topic).partition(0).value([b'x'; 5_000])).await.unwrap();
            delivery.await.unwrap();
        }
        let codec = |topic: &str| {
            let stored = &world.cluster.log(topic, 0)[0];
            // The low bits of the attributes, which are two bytes from 21 on.
            stored.bytes[22] & 7
        };
        assert_eq!([codec("plain"), codec(TOPIC), codec("other")], [0, 1, 3]);
        let rate = producer.metrics().compression_rate().unwrap();
        assert!((0.34..0.38).contains(&rate), "a third is not compressed at all: {rate}");

        let wrong = world.builder(&[]).topic_compression("other", CompressionType::Gzip, Some(10)).build();
        let error = wrong.unwrap_err().to_string();
        assert!(error.contains("gzip has no level 10"), "{error}");
    });
}

/// What a typed method says is what the setting of that name says.
#[test]
fn every_typed_method_sets_what_its_setting_sets() {
    simulated(|world: World| async move {
        let typed = world.client.producer().idempotence(false).batch_size(2_000).max_request_size(3_000);
        let typed =
            typed.buffer_memory(400_000).max_block(SECOND).max_in_flight(7).retries(9).compression_level(5);
        let typed = typed.adaptive_partitioning(false).availability_timeout(2 * SECOND).ignore_keys(true);
        let named = [
            ("enable.idempotence", "false"),
            ("batch.size", "2000"),
            ("max.request.size", "3000"),
            ("buffer.memory", "400000"),
            ("max.block.ms", "1000"),
            ("max.in.flight.requests.per.connection", "7"),
            ("retries", "9"),
            ("compression.level", "5"),
            ("partitioner.adaptive.partitioning.enable", "false"),
            ("partitioner.availability.timeout.ms", "2000"),
            ("partitioner.ignore.keys", "true"),
        ];
        let (typed, named) = (typed.build().unwrap(), world.producer(&named));
        assert_eq!(format!("{typed:?}"), format!("{named:?}"));
        assert_ne!(format!("{typed:?}"), format!("{:?}", world.producer(&[])));
    });
}
