//! `ottla produce`.

use crate::tool::{Tool, shared, topic};
use ottla::broker::{ApiKey, ErrorCode, Fate, Fault};
use ottla::producer::{BuiltIn, Choice, Partitioner, Unplaced};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::Stdio;

#[test]
fn each_line_is_a_record_and_comes_back() {
    let (tool, topic) = (Tool::new(), topic());
    let lines: Vec<String> = (0..10_000).map(|number| format!("line {number:05}, žluťoučký")).collect();
    let quiet = tool.run(&format!("produce {topic} -q"), lines.join("\n")).success();
    assert_eq!((quiet.text(), quiet.stderr.as_str()), (String::new(), ""), "nothing was to be said");
    assert_eq!(tool.values(&topic), lines);
}

#[test]
fn a_run_is_summed_up() {
    let (tool, topic) = (Tool::new(), topic());
    let run = tool.run(&format!("produce {topic} -K :"), "k:12345678\n".repeat(2000)).success();
    let told =
        run.stderr.strip_prefix("ottla: 2,000 records acknowledged, 17.58 KiB, in ").unwrap_or_default();
    assert!(told.contains(" records/s, ") && told.ends_with("/s; 0 failed\n"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    let unknown = tool.run(&format!("produce {topic} --acks 0"), "one\n").success();
    assert!(unknown.stderr.starts_with("ottla: 1 record sent without acknowledgement"), "{}", unknown.stderr);
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
            "broker": 1, "headers": headers, "key": key, "payload": payload,
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
    let run = tool.run(&format!("produce {topic} --json --skip-malformed -q"), input);
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
    for wrong in ["brotli", "snappy:1", "gzip:10", "zstd:many", "lz4:-1"] {
        let run = tool.run(&format!("produce {topic} -z {wrong}"), "");
        assert_eq!(run.code, Some(2), "{wrong}: {}", run.stderr);
    }
}

#[test]
fn a_level_makes_a_batch_larger_or_smaller() {
    let (tool, topic) = (Tool::new(), topic());
    let lines: Vec<String> = (0..20_000_u64)
        .map(|number| format!("{} of {}", number * number % 7919, number * 31 % 1009))
        .collect();
    let mut sizes = Vec::new();
    for (partition, codec) in ["gzip:1", "gzip:9", "zstd:1", "zstd:12"].into_iter().enumerate() {
        let options = format!("-p {partition} -z {codec} -X linger.ms=1000");
        tool.run(&format!("produce {topic} {options}"), lines.join("\n")).success();
        let log = shared().log(&topic, i32::try_from(partition).unwrap());
        sizes.push(log.iter().map(|batch| batch.bytes.len()).sum::<usize>());
    }
    assert!(sizes[0] > sizes[1] && sizes[2] > sizes[3], "{sizes:?}");
    tool.run(&format!("produce {topic} -p 4 -z lz4:12"), "accepted, and without effect\n").success();
}

#[test]
fn each_partitioner_that_has_a_name_can_be_chosen() {
    let (tool, topic) = (Tool::new(), topic());
    let keys = ["", "a", "key-1", "order-17", "žluť"];
    let input: String = keys.iter().map(|key| format!("{key}:v\n")).collect();
    let partitions = |options: &str| -> Vec<i64> {
        let report = tool.lines(&format!("produce {topic} -K : --report=json {options}"), &input);
        let one = |line: &String| serde_json::from_str::<Value>(line).unwrap()["partition"].as_i64().unwrap();
        report.iter().map(one).collect()
    };
    let available = [0, 1, 2, 3, 4, 5];
    for (name, built_in) in [
        ("consistent", BuiltIn::Consistent),
        ("consistent_random", BuiltIn::ConsistentRandom),
        ("murmur2", BuiltIn::Murmur2),
        ("murmur2_random", BuiltIn::Murmur2Random),
        ("fnv1a", BuiltIn::Fnv1a),
        ("fnv1a_random", BuiltIn::Fnv1aRandom),
        ("random", BuiltIn::Random),
    ] {
        let chosen = partitions(&format!("--partitioner {name}"));
        for (key, chosen) in keys.iter().zip(chosen) {
            let unplaced = Unplaced::new(&topic, Some(key.as_bytes()), Some(b"v"), 6, &available);
            if let Choice::Partition(expected) = built_in.choose(&unplaced) {
                assert_eq!(chosen, i64::from(expected), "{name} {key}");
            }
        }
    }
    let mut in_turn = partitions("--partitioner RoundRobinPartitioner");
    in_turn.sort_unstable();
    in_turn.dedup();
    assert_eq!(in_turn.len(), keys.len(), "each record has its turn");
    let wrong = tool.run(&format!("produce {topic} --partitioner best"), "");
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("fnv1a_random"), "{}", wrong.stderr);
}

#[test]
fn a_line_too_long_is_named_with_both_numbers_and_costs_nothing_else() {
    let (tool, topic) = (Tool::new(), topic());
    let long = "x".repeat(3_000_000);
    let just_too_long = "y".repeat(1_048_576);
    let run = tool
        .run(&format!("produce {topic} -q"), format!("before\n{long}\nbetween\n{just_too_long}\nafter\n"));
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
fn what_a_broker_refuses_is_named_with_its_line_and_its_partition() {
    let (tool, topic) = (Tool::new(), topic());
    tool.run(&format!("produce {topic} -p 0"), "there\n").success();
    let refuses = Fault::new(Fate::Fail(ErrorCode::INVALID_RECORD)).api(ApiKey::PRODUCE);
    let fault = shared().add_fault(refuses.topic(topic.clone()).partition(2));
    let options = "-K : --partitioner murmur2 -X linger.ms=500";
    let keys: Vec<String> = (0..20).map(|number| format!("key-{number}:v\n")).collect();
    let run = tool.run(&format!("produce {topic} {options}"), keys.concat());
    shared().remove_fault(fault);
    assert_eq!(run.code, Some(1));
    let available = [0, 1, 2, 3, 4, 5];
    let is_refused = |number: &usize| {
        let key = format!("key-{number}");
        let unplaced = Unplaced::new(&topic, Some(key.as_bytes()), None, 6, &available);
        BuiltIn::Murmur2.choose(&unplaced) == Choice::Partition(2)
    };
    let refused: Vec<usize> = (0..20).filter(is_refused).collect();
    assert!(!refused.is_empty() && refused.len() <= 10);
    let complaints: Vec<&str> = run.stderr.lines().collect();
    for (number, told) in refused.iter().zip(&complaints) {
        assert!(told.starts_with(&format!("ottla: line {}: ", number + 1)), "{complaints:?}");
        assert!(told.contains(&format!("topic '{topic}', partition 2: INVALID_RECORD")), "{complaints:?}");
    }
    assert!(complaints[refused.len()].contains(&format!("; {} failed", refused.len())), "{complaints:?}");
    let verdict = complaints[refused.len() + 1];
    assert!(verdict.contains(&format!("{} of 20 records", refused.len())), "{complaints:?}");
}

#[test]
fn many_failures_are_counted() {
    let (tool, topic) = (Tool::new(), topic());
    let run = tool.run(&format!("produce {topic} --json --skip-malformed -q"), "no json\n".repeat(1000));
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
    let chosen = tool.run(&format!("produce {topic} -q -p -1"), "one\n").success();
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
        tool.lines(&format!("produce {topic} {options} --report=json"), "three\n"),
        [format!(r#"{{"offset":2,"partition":3,"timestamp":17,"topic":"{topic}"}}"#)]
    );
    let unknown = tool.lines(&format!("produce {topic} {options} --report=json --acks 0"), "four\n");
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
    let run = tool.run(&format!("produce {topic} -l --json a - b"), "{}\n");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.starts_with("ottla: b, line 2: "), "{}", run.stderr);
    assert_eq!(tool.values(&topic), [r#"{"a":1}"#, r#"{"a":2}"#, r#"{"b":1}"#, "{}"]);
}

#[test]
fn without_l_a_file_is_one_record() {
    let (tool, topic) = (Tool::new(), topic());
    fs::write(tool.folder().join("a"), "k:two\nlines\n").unwrap();
    fs::write(tool.folder().join("empty"), "").unwrap();
    fs::write(tool.folder().join("large"), "x".repeat(2_000_000)).unwrap();
    let run = tool.run(&format!("produce {topic} -q -p 0 -K : a large - empty"), "one\ntwo\n");
    assert_eq!(run.code, Some(1));
    let complaints: Vec<&str> = run.stderr.lines().collect();
    assert!(complaints[0].starts_with("ottla: large: "), "{complaints:?}");
    assert!(
        complaints[0].contains("2000000 bytes") && complaints[0].contains("-l sends each"),
        "{complaints:?}"
    );
    assert_eq!(complaints[1], "ottla: 1 of 5 records were not delivered".replace("were", "was"));
    let payloads: Vec<_> = tool.records(&topic).iter().map(|record| record["payload"].clone()).collect();
    assert_eq!(payloads, [json!("two\nlines\n"), json!("one"), json!("two"), json!("")]);
}

#[test]
fn a_folder_is_no_file() {
    let (tool, topic) = (Tool::new(), topic());
    let run = tool.run(&format!("produce {topic} ."), "");
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), "ottla: cannot read .: it is a folder\n"));
}

#[test]
fn what_is_sent_is_copied_as_tee_does() {
    let (tool, topic) = (Tool::new(), topic());
    let input = "k:one\n\nk:two\n";
    assert_eq!(tool.run(&format!("produce {topic} -T -K :"), input).success().text(), input);
    let run = tool.run(&format!("produce {topic} -T --json --skip-malformed -c 2"), "1\nno json\n{ }\n3\n");
    assert_eq!((run.code, run.text()), (Some(1), "1\n{ }\n".to_owned()), "what was sent, as it was");
    let both = tool.run(&format!("produce {topic} -T --report"), "");
    assert_eq!(both.code, Some(2), "{}", both.stderr);
}

#[test]
fn that_nobody_reads_the_copy_stops_no_record() {
    let (tool, topic) = (Tool::new(), topic());
    let lines: Vec<String> = (0..50_000).map(|number| format!("{number:05}")).collect();
    let mut producing = tool.command(&format!("produce {topic} -T"));
    let mut child =
        producing.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.starts_with("ottla: nobody reads standard output any more"), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
    assert_eq!(tool.values(&topic), lines);
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
