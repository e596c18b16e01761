//! `ottla bench produce`: what it measures, against brokers that do as they are told.

use crate::tool::{Tool, shared, topic};
use ottla::broker::{ApiKey, ErrorCode, Fate, Fault};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many records a topic of six partitions has, and with how many keys.
fn stored(topic: &str) -> (usize, usize) {
    let records: Vec<_> = (0..6).flat_map(|partition| shared().records(topic, partition)).collect();
    let keys: BTreeSet<_> = records.iter().map(|record| record.key.clone()).collect();
    assert!(records.iter().all(|record| record.value.as_ref().map(|value| value.len()) == Some(50)));
    (records.len(), keys.len())
}

#[track_caller]
fn json(tool: &Tool, arguments: &str) -> Value {
    let text = tool.run(&format!("bench produce --json {arguments}"), "").success().text();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_record_is_sent_and_counted() {
    let (tool, topic) = (Tool::new(), topic());
    let told = json(&tool, &format!("--topic {topic} --num-records 20000 --record-size 50 --keys 7"));
    assert_eq!(stored(&topic), (20_000, 7));
    assert_eq!((told["acknowledged"].as_u64(), told["failed"].as_u64()), (Some(20_000), Some(0)));
    assert_eq!(told["topic"], topic);
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{told}"));
    let rate = number(&told["records_per_second"]);
    assert!((rate * number(&told["seconds"]) - 20_000.0).abs() < 1.0, "{told}");
    assert!((number(&told["bytes_per_second"]) / rate - 50.0).abs() < 0.001, "{told}");
    let latencies: Vec<f64> =
        ["p50", "p90", "p99", "p99.9", "max"].iter().map(|name| number(&told["latency_ms"][name])).collect();
    assert!(latencies[0] > 0.0 && latencies.is_sorted(), "{told}");
    assert!(number(&told["latency_ms"]["max"]) <= number(&told["seconds"]) * 1000.0, "{told}");
    if cfg!(target_os = "linux") {
        let spent = number(&told["cpu_user_seconds"]) + number(&told["cpu_system_seconds"]);
        assert!(spent > 0.0, "{told}");
        assert!((number(&told["cpu_us_per_record"]) * 20_000.0 / 1e6 - spent).abs() < 1e-6, "{told}");
    } else {
        assert!(told["cpu_us_per_record"].is_null(), "{told}");
    }
}

#[test]
fn what_is_said_in_words_is_all_there() {
    let (tool, topic) = (Tool::new(), topic());
    let options = format!("--topic {topic} -c 300 --throughput 500 --record-size 50 --warmup-records 50");
    let run = tool.run(&format!("bench produce {options} --reporting-interval 100"), "").success();
    assert_eq!(stored(&topic).0, 300, "the warm-up is a part of them");
    let text = run.text();
    for part in [
        "250 records of 50 bytes acknowledged in ",
        "\nthroughput: ",
        "\nlatency from when it was due: p50 ",
        " p99.9 ",
        "\nCPU: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let interim: Vec<&str> = run.stderr.lines().collect();
    assert!(interim.len() >= 3, "250 records take half a second: {interim:?}");
    assert!(
        interim.iter().all(|line| line.contains(" records/s, ") && line.ends_with(" max latency")),
        "{interim:?}"
    );
    let quiet = tool.run(&format!("bench produce {options} --reporting-interval 100 -q"), "").success();
    assert_eq!(quiet.stderr, "");
}

#[test]
fn a_rate_is_kept() {
    let (tool, topic) = (Tool::new(), topic());
    let told = json(&tool, &format!("--topic {topic} -c 500 --throughput 1000 --record-size 50"));
    let rate = told["records_per_second"].as_f64().unwrap();
    assert!(rate > 500.0 && rate < 1010.0, "{told}");
    assert_eq!(told["target_records_per_second"], 1000);
}

#[test]
fn a_record_that_was_held_up_was_due_all_the_same() {
    let (tool, topic) = (Tool::new(), topic());
    tool.run(&format!("produce {topic} -q -p 0"), "there\n").success();
    // One of the acknowledgements is late by a second. Nothing else is sent meanwhile, for the buffer has room for one batch
    // only; measured from when each record was handed over, nearly all of them would look quick.
    let late = Fault::new(Fate::Delay(Duration::from_secs(1))).api(ApiKey::PRODUCE);
    let fault = shared().add_fault(late.topic(topic.clone()).skip(2).times(1));
    let options = "--throughput 1000 -X linger.ms=0 -X batch.size=100 -X buffer.memory=400";
    let told = json(&tool, &format!("--topic {topic} -c 1000 --record-size 50 {options}"));
    shared().remove_fault(fault);
    let p50 = told["latency_ms"]["p50"].as_f64().unwrap();
    assert!(p50 > 300.0, "{told}");
}

#[test]
fn errors_are_counted_by_kind_and_make_it_fail() {
    let (tool, topic) = (Tool::new(), topic());
    tool.run(&format!("produce {topic} -q -p 0"), "there\n").success();
    let refuses = Fault::new(Fate::Fail(ErrorCode::INVALID_RECORD)).api(ApiKey::PRODUCE);
    let fault = shared().add_fault(refuses.topic(topic.clone()));
    let run = tool.run(&format!("bench produce --topic {topic} -c 30 --record-size 50 --json"), "");
    let words = tool.run(&format!("bench produce --topic {topic} -c 30 --record-size 50"), "");
    shared().remove_fault(fault);
    assert_eq!(run.code, Some(1));
    assert_eq!(run.stderr, "ottla: 30 of 30 records were not delivered\n");
    let told: Value = serde_json::from_str(&run.text()).unwrap();
    assert_eq!((told["acknowledged"].as_u64(), told["failed"].as_u64()), (Some(0), Some(30)), "{told}");
    assert_eq!(told["errors"]["INVALID_RECORD"], 30, "{told}");
    assert!(words.text().contains("failed: 30 times INVALID_RECORD: "), "{}", words.text());
    assert!(words.text().contains(&topic), "one of them in full: {}", words.text());
}

#[test]
fn a_record_that_cannot_be_sent_ends_it() {
    let (tool, topic) = (Tool::new(), topic());
    let run = tool.run(&format!("bench produce --topic {topic} --record-size 2000000 --json"), "");
    assert_eq!(run.code, Some(1));
    assert_eq!(run.stderr, "ottla: 1 of 1 records were not delivered\n");
    assert!(run.text().contains("RecordTooLarge"), "{}", run.text());
}

#[test]
fn an_interrupted_run_tells_what_there_was() {
    let (tool, topic) = (Tool::new(), topic());
    let mut running =
        tool.start(&format!("bench produce -t {topic} --throughput 100 --json --reporting-interval 200"));
    assert!(running.complaint().contains("records/s"));
    running.signal("INT");
    assert_eq!(running.end(), Some(130));
    let told: Value = serde_json::from_str(&running.line()).unwrap();
    let count = told["acknowledged"].as_u64().unwrap();
    assert!(count > 5 && count < 1000 && told["failed"] == 0, "{told}");
    let stored: usize = (0..6).map(|partition| shared().records(&topic, partition).len()).sum();
    assert_eq!(usize::try_from(count).unwrap(), stored);
}

#[test]
fn what_no_broker_acknowledges_is_given_up_after_the_grace() {
    let (tool, topic) = (Tool::bare(), topic());
    let broker = tool.start("broker --listen 127.0.0.1:0 -q");
    let server = broker.line();
    let options = "--throughput 100 --grace 1 --json --reporting-interval 200";
    let mut running = tool.start(&format!("bench produce -t {topic} -X {server} {options}"));
    running.complaint();
    broker.signal("STOP");
    std::thread::sleep(Duration::from_millis(300));
    running.signal("TERM");
    assert_eq!(running.end(), Some(143));
    let told: Value = serde_json::from_str(&running.line()).unwrap();
    assert!(told["failed"].as_u64().unwrap() > 10 && told["acknowledged"].as_u64().unwrap() > 5, "{told}");
    assert!(told["errors"]["Timeout"].is_u64(), "{told}");
    broker.signal("CONT");
}

#[test]
fn what_cannot_be_asked_for() {
    let tool = Tool::bare();
    for (arguments, told) in [
        ("", "--topic"),
        ("--topic t --throughput 0", "or -1 for no limit"),
        ("--topic t --throughput -2", "or -1 for no limit"),
        ("--topic t --keys 0", "--keys"),
        ("--topic t -c 10 --warmup-records 10", "--warmup-records"),
    ] {
        let run = tool.run(&format!("bench produce -b localhost:9 {arguments}"), "");
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{arguments}: {}", run.stderr);
    }
}

#[test]
fn on_a_real_kafka_the_count_is_the_same_on_both_sides() {
    let kafka = real_kafka!();
    let (tool, topic) = (Tool::bare(), crate::real::kafka::unique("bench"));
    let server = kafka.plaintext();
    let told = json(&tool, &format!("--topic {topic} -b {server} -c 50000 -X compression.type=zstd"));
    assert_eq!((told["acknowledged"].as_u64(), told["failed"].as_u64()), (Some(50_000), Some(0)), "{told}");
    assert_eq!(tool.lines(&format!("consume {topic} -b {server} -e -q"), "").len(), 50_000);
}
