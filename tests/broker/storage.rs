//! What goes by itself: records that are too old, too many, or replaced; on simulated time where time counts.

use crate::batch;
use crate::cases::Topic;
use crate::cluster::Bench;
use ottla::broker::{Cluster, TopicSpec};
use ottla::messages::ErrorCode;
use std::thread;
use std::time::Duration;

fn bench(max_bytes: usize) -> Bench {
    let builder = Cluster::builder().brokers(1).max_stored_bytes(max_bytes);
    Bench::new(builder.clean_interval(Duration::from_millis(50)))
}

fn starts(bench: &Bench, topic: &Topic) -> (i64, i64) {
    let partition = bench.cluster.partition(&topic.name, 0).unwrap();
    (partition.log_start_offset, partition.high_watermark)
}

#[test]
fn old_records_go_while_somebody_asks_for_something() {
    let bench = bench(1 << 30);
    let compacted = [("retention.ms", "200"), ("cleanup.policy", "compact")];
    let kept =
        compacted.iter().fold(TopicSpec::new("kept"), |spec, (name, value)| spec.setting(*name, *value));
    let kept = bench.topic_as(kept);
    let long = bench.topic_as(TopicSpec::new("long"));
    let short = bench.topic_as(TopicSpec::new("short").setting("retention.ms", "200"));
    let mut peer = bench.peer(1);
    for topic in [&short, &long, &kept] {
        // Times of long ago are not what counts.
        peer.append(topic, batch::at(1_000, 2));
    }
    assert_eq!(starts(&bench, &short), (0, 2));
    thread::sleep(Duration::from_millis(400));
    assert_eq!(peer.append(&short, batch::of(1)), 2, "offsets go on");
    assert_eq!(starts(&bench, &short), (2, 3));
    assert_eq!(peer.fetch(12, short.fetch(0)).error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!((starts(&bench, &long), starts(&bench, &kept)), ((0, 2), (0, 2)));
}

#[test]
fn all_topics_together_have_a_limit() {
    let bench = bench(64 * 1024);
    let (large, small) = (bench.topic_as(TopicSpec::new("large")), bench.topic_as(TopicSpec::new("small")));
    let mut peer = bench.peer(1);
    peer.append(&small, batch::large(4_000));
    for _ in 0..200 {
        peer.append(&large, batch::large(4_000));
        let stored: usize = ["large", "small"]
            .iter()
            .flat_map(|name| bench.cluster.log(name, 0))
            .map(|batch| batch.bytes.len())
            .sum();
        assert!(stored <= 64 * 1024, "{stored}");
    }
    assert_eq!(starts(&bench, &small), (0, 1), "the largest gives way");
    let (start, end) = starts(&bench, &large);
    assert_eq!(end, 200);
    assert!((180..195).contains(&start), "{start}");
}

#[test]
fn what_is_to_be_kept_is_kept_and_no_more_is_taken() {
    let bench = bench(64 * 1024);
    let compacted = bench.topic_as(TopicSpec::new("compacted").setting("cleanup.policy", "compact"));
    let mut peer = bench.peer(1);
    let large = "x".repeat(4_000);
    let mut taken = 0;
    let refused = loop {
        let key = format!("key-{taken}");
        let told = peer.produce(9, &compacted, batch::batch(&[(Some(&key), &large)]));
        if !told.error_code.is_none() {
            break told.error_code;
        }
        taken += 1;
        assert!(taken < 100);
    };
    assert_eq!(refused, ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(starts(&bench, &compacted), (0, taken));
    assert_eq!(bench.cluster.records("compacted", 0).len(), usize::try_from(taken).unwrap());
}

#[test]
fn a_compacted_topic_keeps_the_last_value_of_each_key() {
    let bench = bench(1 << 30);
    let settings =
        |spec: TopicSpec| spec.setting("cleanup.policy", "compact").setting("delete.retention.ms", "0");
    let topic = bench.topic_as(settings(TopicSpec::new("t")));
    let mut peer = bench.peer(1);
    for n in 0..10 {
        peer.append(&topic, batch::batch(&[(Some("a"), &n.to_string()), (Some("b"), "same")]));
    }
    bench.cluster.clean_logs();
    let left: Vec<_> = bench
        .cluster
        .records("t", 0)
        .into_iter()
        .map(|record| (record.offset, String::from_utf8(record.value.unwrap().to_vec()).unwrap()))
        .collect();
    let of = |offset, value: &str| (offset, value.to_owned());
    assert_eq!(left, [of(16, "8"), of(17, "same"), of(18, "9"), of(19, "same")]);
    let read = peer.fetch(12, topic.fetch(3));
    assert_eq!((read.error_code, read.log_start_offset, read.high_watermark), (ErrorCode::NONE, 0, 20));
    let batches: Vec<_> = ottla::records::Batches::new(read.records.unwrap().to_bytes())
        .map(|batch| batch.unwrap().base_offset())
        .collect();
    assert_eq!(batches, [16, 18], "what was asked for is gone, what follows comes");
}

#[test]
fn an_idempotent_producer_is_remembered_after_its_batches_are_gone() {
    let bench = bench(1 << 30);
    let topic = bench.topic_as(TopicSpec::new("t").setting("cleanup.policy", "compact"));
    let mut peer = bench.peer(1);
    let id = peer.producer_id();
    for n in 0..3 {
        assert_eq!(peer.append(&topic, batch::sequenced(id, 0, n, 1)), i64::from(n));
    }
    bench.cluster.clean_logs();
    assert_eq!(bench.cluster.log("t", 0).len(), 2);
    assert_eq!(peer.append(&topic, batch::sequenced(id, 0, 0, 1)), 0, "a duplicate is known");
    let gap = peer.produce(9, &topic, batch::sequenced(id, 0, 5, 1));
    assert_eq!(gap.error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(peer.append(&topic, batch::sequenced(id, 0, 3, 1)), 3);
}
