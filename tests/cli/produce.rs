//! `ottla produce`.

use crate::tool::{Tool, shared, topic};
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn each_line_is_a_record_and_comes_back() {
    let (tool, topic) = (Tool::new(), topic());
    let lines: Vec<String> = (0..10_000).map(|number| format!("line {number:05}, žluťoučký")).collect();
    let quiet = tool.run(&format!("produce {topic}"), lines.join("\n")).success();
    assert_eq!((quiet.text(), quiet.stderr.as_str()), (String::new(), ""), "success needs no words");
    assert_eq!(tool.values(&topic), lines);
}

#[test]
fn an_empty_line_is_an_empty_record_and_a_last_newline_is_none() {
    let (tool, topic) = (Tool::new(), topic());
    tool.run(&format!("produce {topic} -p 0"), "one\n\nthree\n").success();
    let payloads: Vec<_> = tool.records(&topic).iter().map(|record| record["payload"].clone()).collect();
    assert_eq!(payloads, [json!("one"), json!(""), json!("three")]);
    tool.run(&format!("produce {topic}-2"), "").success();
}

#[test]
fn keys_headers_and_nulls_are_kcats() {
    let (tool, topic) = (Tool::new(), topic());
    let options = "-K : -k fixed -H a=1 -H b -H a=2=3 -H e= -Z -p 2 --timestamp 1700000000000";
    tool.run(&format!("produce {topic} {options}"), "k:v:w\n:no key\nno delimiter\ndeleted:\n").success();
    let records = tool.records(&topic);
    let headers = json!(["a", "1", "b", null, "a", "2=3", "e", ""]);
    let expected = [
        (json!("k"), json!("v:w")),
        (json!(null), json!("no key")),
        (json!("fixed"), json!("no delimiter")),
        (json!("deleted"), json!(null)),
    ];
    for (offset, (record, (key, payload))) in records.iter().zip(expected).enumerate() {
        let whole = json!({
            "topic": topic, "partition": 2, "offset": offset, "tstype": "create", "ts": 1_700_000_000_000_i64,
            "headers": headers, "key": key, "payload": payload,
        });
        assert_eq!(*record, whole);
    }
    assert_eq!(records.len(), 4);
}

#[test]
fn without_z_what_is_empty_is_not_null() {
    let (tool, topic) = (Tool::new(), topic());
    tool.run(&format!("produce {topic} -K :"), ":\n").success();
    let record = &tool.records(&topic)[0];
    assert_eq!((&record["key"], &record["payload"]), (&json!(""), &json!("")));
}

#[test]
fn json_is_sorted_and_what_is_none_is_named_and_costs_nothing_else() {
    let (tool, topic) = (Tool::new(), topic());
    let input =
        "{\"b\": [1.10, {\"z\":1,\"y\":2}], \"a\": 12345678901234567890123}\nnot json\n{\"c\": }\n[]\n";
    let run = tool.run(&format!("produce {topic} --json"), input);
    assert_eq!(run.code, Some(1));
    let complaints: Vec<&str> = run.stderr.lines().collect();
    assert!(complaints[0].starts_with("ottla: line 2: read the value as JSON"), "{complaints:?}");
    assert!(complaints[1].starts_with("ottla: line 3: "), "{complaints:?}");
    assert_eq!(complaints[2], "ottla: 2 of 4 records were not delivered");
    let sorted = r#"{"a":12345678901234567890123,"b":[1.10,{"y":2,"z":1}]}"#;
    assert_eq!(tool.values(&topic), ["[]", sorted]);
}

#[test]
fn any_delimiter_will_do() {
    let (tool, topic) = (Tool::new(), topic());
    let options = [r"-D \x00", r"-D |-|", r"-D →"];
    for (partition, (option, input)) in
        options.into_iter().zip(["a:1\0b\n:2\0", "a:1|-|b\n:2", "a:1→b\n:2→"]).enumerate()
    {
        tool.run(&format!("produce {topic} -p {partition} -K : {option}"), input).success();
        let text = tool.run(&format!(r"consume {topic} -p {partition} -e -K = -D ;\t"), "").success().text();
        assert_eq!(text, "a=1;\tb\n=2;\t", "{option}");
    }
}

#[test]
fn batches_are_compressed_with_the_codec_that_is_asked_for() {
    let (tool, topic) = (Tool::new(), topic());
    let lines: Vec<String> = (0..1000).map(|number| format!("line {number:04}")).collect();
    for (partition, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        tool.run(&format!("produce {topic} -p {partition} -z {codec}"), lines.join("\n")).success();
        let log = shared().log(&topic, i32::try_from(partition).unwrap());
        assert!(!log.is_empty() && log.iter().all(|batch| batch.codec == codec), "{codec}: {log:?}");
        assert_eq!(tool.lines(&format!("consume {topic} -p {partition} -e"), ""), lines, "{codec}");
    }
    let wrong = tool.run(&format!("produce {topic} -z brotli"), "");
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
}

#[test]
fn a_line_too_long_is_named_with_both_numbers_and_costs_nothing_else() {
    let (tool, topic) = (Tool::new(), topic());
    let long = "x".repeat(3_000_000);
    let just_too_long = "y".repeat(1_048_576);
    let run =
        tool.run(&format!("produce {topic}"), format!("before\n{long}\nbetween\n{just_too_long}\nafter\n"));
    assert_eq!(run.code, Some(1));
    let complaints: Vec<&str> = run.stderr.lines().collect();
    assert!(complaints[0].starts_with("ottla: line 2: "), "{complaints:?}");
    assert!(complaints[0].contains("3000000 bytes and max.request.size is 1048576"), "{complaints:?}");
    assert!(complaints[1].starts_with("ottla: line 4: "), "{complaints:?}");
    assert!(complaints[1].contains("max.request.size is 1048576"), "{complaints:?}");
    assert_eq!(complaints[2], "ottla: 2 of 5 records were not delivered");
    assert_eq!(tool.values(&topic), ["after", "before", "between"]);
}

#[test]
fn many_failures_are_counted() {
    let (tool, topic) = (Tool::new(), topic());
    let run = tool.run(&format!("produce {topic} --json"), "no json\n".repeat(1000));
    assert_eq!(run.stderr.lines().count(), 12, "{}", run.stderr);
    assert!(run.stderr.ends_with("ottla: 1000 of 1000 records were not delivered\n"), "{}", run.stderr);
}

#[test]
fn a_partition_that_is_not_there_ends_it() {
    let (tool, topic) = (Tool::new(), topic());
    let run = tool.run(&format!("produce {topic} -p 99 -X max.block.ms=1000"), "one\ntwo\n");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.starts_with("ottla: line 1: "), "{}", run.stderr);
    assert!(run.stderr.contains("the rest of the input was not sent"), "{}", run.stderr);
    let chosen = tool.run(&format!("produce {topic} -p -1"), "one\n").success();
    assert_eq!(chosen.stderr, "");
}

#[test]
fn a_count_ends_it_while_more_could_come() {
    let (tool, topic) = (Tool::new(), topic());
    let mut running = tool.start(&format!("produce {topic} -c 2"));
    running.input("one\ntwo\nthree\n");
    assert_eq!(running.end(), Some(0));
    assert_eq!(tool.values(&topic), ["one", "two"]);
}

#[test]
fn deliveries_are_reported() {
    let (tool, topic) = (Tool::new(), topic());
    let options = "-p 3 --timestamp 17";
    assert_eq!(
        tool.lines(&format!("produce {topic} {options} --report"), "one\ntwo\n"),
        [0, 1].map(|offset| format!("{topic}, partition 3, offset {offset}, timestamp 17"))
    );
    assert_eq!(
        tool.lines(&format!("produce {topic} {options} -J"), "three\n"),
        [format!(r#"{{"offset":2,"partition":3,"timestamp":17,"topic":"{topic}"}}"#)]
    );
    let unknown = tool.lines(&format!("produce {topic} {options} -J -X acks=0"), "four\n");
    assert!(unknown[0].contains(r#""offset":null"#), "{unknown:?}");
}

#[test]
fn a_report_comes_when_the_record_is_there_and_not_when_the_input_ends() {
    let (tool, topic) = (Tool::new(), topic());
    let mut running = tool.start(&format!("produce {topic} --report"));
    for line in ["one\n", "two\n"] {
        running.input(line);
        assert!(running.line().starts_with(&topic));
    }
}

#[test]
fn files_are_read_one_after_the_other_and_their_lines_named() {
    let (tool, topic) = (Tool::new(), topic());
    fs::write(tool.folder().join("a"), "{\"a\":1}\n{\"a\":2}").unwrap();
    fs::write(tool.folder().join("b"), "{\"b\":1}\nno json\n").unwrap();
    let run = tool.run(&format!("produce {topic} --json a - b"), "{}\n");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.starts_with("ottla: b, line 2: "), "{}", run.stderr);
    assert_eq!(tool.values(&topic), [r#"{"a":1}"#, r#"{"a":2}"#, r#"{"b":1}"#, "{}"]);
}

#[test]
fn a_file_that_is_not_there_is_told_before_anything_is_sent() {
    let (tool, topic) = (Tool::new(), topic());
    fs::write(tool.folder().join("a"), "one\n").unwrap();
    let run = tool.run(&format!("produce {topic} a missing"), "");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.starts_with("ottla: cannot read missing: "), "{}", run.stderr);
    assert!(!shared().topics().contains(&topic));
}

#[test]
fn an_interruption_is_heard_while_records_wait_for_room() {
    let (tool, lines) = (Tool::bare(), "a line of forty bytes, give or take one\n".repeat(1000));
    let mut broker = tool.start("broker --listen 127.0.0.1:0 -q");
    let server = broker.line();
    for again in [false, true] {
        let topic = topic();
        let options = "--report -X buffer.memory=20000 -X batch.size=1000";
        let mut running = tool.start(&format!("produce {topic} -X {server} {options}"));
        running.input("first\n");
        running.line();
        broker.signal("STOP");
        running.input(&lines);
        std::thread::sleep(Duration::from_millis(500));
        running.signal("INT");
        assert!(running.complaint().contains("interrupt once more"), "it says something else");
        if again {
            running.signal("INT");
            assert_eq!(running.end(), Some(130));
        }
        broker.signal("CONT");
        assert_eq!(running.end(), Some(130));
        let read = tool.lines(&format!("consume {topic} -X {server} -e"), "").len();
        assert!(read > 1 || again, "what was read is sent: {read}");
    }
    broker.signal("INT");
    assert_eq!(broker.end(), Some(0));
}

#[test]
fn an_interruption_sends_what_was_read() {
    let (tool, topic) = (Tool::new(), topic());
    // Nothing leaves by itself: a minute of linger.
    let mut running =
        tool.start(&format!("produce {topic} -X linger.ms=60000 -X delivery.timeout.ms=120000"));
    running.input("one\ntwo\nno end of line");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !shared().topics().contains(&topic) {
        assert!(Instant::now() < deadline, "the topic does not appear");
        std::thread::sleep(Duration::from_millis(10));
    }
    // The topic is looked up for the first record; the others follow within the same piece of input.
    std::thread::sleep(Duration::from_millis(200));
    running.signal("INT");
    assert_eq!(running.end(), Some(130));
    assert_eq!(tool.values(&topic), ["one", "two"]);
}
