//! `ottla bench consume`: what it measures, against brokers that do as they are told.

use crate::tool::{Running, Tool, shared, topic};
use ottla::broker::TopicSpec;
use serde_json::Value;

#[track_caller]
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Puts records into a topic.
#[track_caller]
fn fill(tool: &Tool, topic: &str, options: &str) {
    tool.run(&format!("bench produce -q -t {topic} --record-size 50 {options}"), "").success();
}

/// Reads what comes from now on.
#[track_caller]
fn follow(tool: &Tool, topic: &str, options: &str) -> Running {
    let command = format!("bench consume -t {topic} --from-latest --json --reporting-interval 100 {options}");
    let running = tool.start(&command);
    // Once it tells how it goes on it has begun.
    let said = running.complaint();
    assert!(said.starts_with("0 records read, 0 records/s, "), "{said}");
    running
}

#[test]
fn every_record_is_read_and_counted() {
    let (tool, topic) = (Tool::new(), topic());
    fill(&tool, &topic, "-c 20000 --keys 7");
    let told = parsed(&tool.run(&format!("bench consume -t {topic} --json"), "").success().text());
    let stored = (0..6).flat_map(|partition| shared().records(&topic, partition));
    let bytes: usize = stored.map(|record| record.key.unwrap().len() + record.value.unwrap().len()).sum();
    assert_eq!((told["records"].as_u64(), told["bytes"].as_u64()), (Some(20_000), Some(bytes as u64)));
    assert_eq!(told["topic"], topic);
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{told}"));
    let (rate, seconds) = (number(&told["records_per_second"]), number(&told["seconds"]));
    assert!((rate * seconds - 20_000.0).abs() < 1.0, "{told}");
    assert!((number(&told["bytes_per_second"]) * seconds - bytes as f64).abs() < 1.0, "{told}");
    assert!(told["latency_ms"].is_null() && told["latency_from"].is_null(), "all are old: {told}");
    if cfg!(target_os = "linux") {
        let spent = number(&told["cpu_user_seconds"]) + number(&told["cpu_system_seconds"]);
        assert!((number(&told["cpu_us_per_record"]) * 20_000.0 / 1e6 - spent).abs() < 1e-6, "{told}");
    }
}

#[test]
fn it_ends_after_so_many_records_and_says_so_in_words() {
    let (tool, topic) = (Tool::new(), topic());
    fill(&tool, &topic, "-c 5000");
    let text = tool.run(&format!("bench consume -t {topic} -c 1234"), "").success().text();
    for part in [
        "1,234 records with 60.25 KiB of keys and values read in ",
        "\nthroughput: ",
        "\nlatency: not known, as no record was written since it began\n",
        "\nCPU: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn what_is_written_meanwhile_has_a_latency() {
    let tool = Tool::new();
    for (settings, from) in [(None, "CreateTime"), (Some("LogAppendTime"), "LogAppendTime")] {
        let topic = topic();
        let spec = TopicSpec::new(topic.as_str()).partitions(3);
        let spec = settings.into_iter().fold(spec, |spec, of| spec.setting("message.timestamp.type", of));
        shared().create_topic_as(&spec).unwrap();
        fill(&tool, &topic, "-c 300");
        let mut running = follow(&tool, &topic, "-c 200");
        fill(&tool, &topic, "-c 200 --throughput 1000");
        assert_eq!(running.end(), Some(0));
        let told = parsed(&running.line());
        assert_eq!((&told["records"], &told["latency_records"]), (&200.into(), &200.into()), "{told}");
        assert_eq!(told["latency_from"], from);
        let latencies = ["p50", "p90", "p99", "p99.9", "max"].map(|name| told["latency_ms"][name].as_f64());
        let within = Some(0.0)..Some(10_000.0);
        assert!(latencies.is_sorted() && latencies.iter().all(|latency| within.contains(latency)), "{told}");
    }
}

#[test]
fn it_does_not_wait_for_ever() {
    let (tool, topic) = (Tool::new(), topic());
    fill(&tool, &topic, "-c 30");
    let run = tool.run(&format!("bench consume -t {topic} -c 31 --timeout 300 --json"), "");
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), "ottla: no record came for 300 ms\n"));
    assert_eq!(parsed(&run.text())["records"], 30);
}

#[test]
fn of_nothing_nothing_is_read() {
    let (tool, topic) = (Tool::new(), topic());
    shared().create_topic(&topic, 2).unwrap();
    let told = parsed(&tool.run(&format!("bench consume -t {topic} --json"), "").success().text());
    assert_eq!((&told["records"], &told["records_per_second"]), (&0.into(), &0.0.into()), "{told}");
    assert!(told["cpu_us_per_record"].is_null(), "{told}");
}

#[test]
fn an_interrupted_run_tells_what_there_was() {
    let (tool, topic) = (Tool::new(), topic());
    shared().create_topic(&topic, 1).unwrap();
    let mut running = follow(&tool, &topic, "");
    fill(&tool, &topic, "-c 70");
    let mut read = 0;
    while read < 70 {
        let line = running.complaint();
        read += line.split_once(" record").unwrap().0.parse::<u32>().unwrap();
    }
    running.signal("INT");
    assert_eq!(running.end(), Some(130));
    assert_eq!(parsed(&running.line())["records"], 70);
}

#[test]
fn what_cannot_be_asked_for() {
    let tool = Tool::new();
    for (arguments, code, told) in [
        ("", 2, "--topic"),
        ("-t t -c 0", 2, "--num-records"),
        ("-t t --timeout 0", 2, "--timeout"),
        ("-t never-made", 1, "UNKNOWN_TOPIC_OR_PARTITION"),
    ] {
        let run = tool.run(&format!("bench consume {arguments}"), "");
        assert_eq!(run.code, Some(code), "{arguments}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{arguments}: {}", run.stderr);
    }
}

#[test]
fn on_a_real_kafka_all_records_are_read() {
    let kafka = real_kafka!();
    let (tool, topic) = (Tool::bare(), crate::real::kafka::unique("bench-consume"));
    let server = kafka.plaintext();
    fill(&tool, &topic, &format!("-b {server} -c 50000 -X compression.type=lz4"));
    let told =
        parsed(&tool.run(&format!("bench consume -t {topic} -b {server} --json"), "").success().text());
    assert_eq!((told["records"].as_u64(), told["bytes"].as_u64()), (Some(50_000), Some(2_500_000)), "{told}");
}
