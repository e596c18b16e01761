//! `ottla consume`.

use crate::tool::{Tool, shared, topic};
use std::process::{Command, Stdio};

/// A topic of six partitions with the values `0` to `99` in partition 0 (times 1000 to 1099) and `a`, `b` in partition 1.
fn filled(tool: &Tool) -> String {
    let topic = topic();
    for number in [0, 25, 50, 75] {
        let lines: Vec<String> = (number..number + 25).map(|number| number.to_string()).collect();
        tool.run(&format!("produce {topic} -p 0 --timestamp {}", 1000 + number), lines.join("\n")).success();
    }
    tool.run(&format!("produce {topic} -p 1 --timestamp 1010"), "a\nb\n").success();
    topic
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn it_begins_and_ends_where_it_is_told_to() {
    let tool = Tool::new();
    let topic = filled(&tool);
    for (options, expected) in [
        ("", numbers(0..100)),
        ("-o beginning", numbers(0..100)),
        ("-o end", numbers(0..0)),
        ("-o 97", numbers(97..100)),
        ("-o 100", numbers(0..0)),
        ("-o -3", numbers(97..100)),
        ("-o-3", numbers(97..100)),
        ("-o -1000", numbers(0..100)),
        ("-o s@1050", numbers(50..100)),
        ("-o s@1060", numbers(75..100)),
        ("-o s@9999", numbers(0..0)),
        ("-o e@1025", numbers(0..25)),
        ("-o s@1025 -o e@1075", numbers(25..75)),
        ("-o e@9999", numbers(0..100)),
        ("-c 3", numbers(0..3)),
        ("-o 50 -c 2", numbers(50..52)),
    ] {
        let lines = tool.lines(&format!("consume {topic} -p 0 -e {options}"), "");
        assert_eq!(lines, expected, "{options}");
    }
    let until = tool.lines(&format!("consume {topic} -p 0 -o e@1025"), "");
    assert_eq!(until, numbers(0..25), "an end needs no -e");
}

#[test]
fn an_offset_that_is_not_there_is_told_and_the_nearest_one_taken() {
    let tool = Tool::new();
    let topic = filled(&tool);
    let run = tool.run(&format!("consume {topic} -p 0 -p 1 -e -o 98"), "").success();
    assert_eq!(run.lines(), ["98", "99"]);
    assert_eq!(run.stderr, "ottla: partition 1 without offset 98: read from the nearest one there\n");
    assert_eq!(tool.run(&format!("consume {topic} -p 1 -e -q -o 98"), "").success().stderr, "");
}

#[test]
fn the_end_is_that_of_all_partitions_empty_ones_too() {
    let tool = Tool::new();
    let topic = filled(&tool);
    let mut expected = numbers(0..100);
    expected.extend(["a".to_owned(), "b".to_owned()]);
    expected.sort();
    assert_eq!(tool.values(&topic), expected);
    assert_eq!(tool.lines(&format!("consume {topic} -e -p 1 -p 2 -p 1"), ""), ["a", "b"]);
    let empty = topic + "-empty";
    shared().create_topic(&empty, 3).unwrap();
    assert!(tool.lines(&format!("consume {empty} -e"), "").is_empty());
}

#[test]
fn what_was_fetched_behind_the_end_of_one_partition_does_not_starve_another() {
    let (tool, topic) = (Tool::new(), topic());
    let lines: Vec<String> = (0..1000).map(|number| format!("{number:04}{}", "x".repeat(996))).collect();
    let produce = |partition: u32, time: u32, lines: &[String], size: u32| {
        let options = format!("-p {partition} --timestamp {time} -X linger.ms=100 -X batch.size={size}");
        tool.run(&format!("produce {topic} {options}"), lines.join("\n")).success();
    };
    // Five partitions reach their end, the time 2000, with the first record; each batch behind it is more than may be queued.
    for partition in 0..5 {
        produce(partition, 1000, &lines[..1], 1000);
        produce(partition, 2000, &lines[1..200], 200_000);
    }
    produce(5, 1000, &lines, 50_000);
    // Which partition comes first is left to chance.
    for _ in 0..10 {
        let read = tool.lines(&format!("consume {topic} -o e@2000 -X queued.max.messages.kbytes=64"), "");
        assert_eq!(read.len(), 1005);
    }
}

#[test]
fn text_shows_keys_and_nulls_as_asked_for() {
    let (tool, topic) = (Tool::new(), topic());
    tool.run(&format!("produce {topic} -p 0 -K : -Z"), "k:v\ndeleted:\nno key\n").success();
    let all = |options: &str| tool.lines(&format!("consume {topic} -e {options}"), "");
    assert_eq!(all(""), ["v", "", "no key"]);
    assert_eq!(all("-Z"), ["v", "NULL", "no key"]);
    assert_eq!(all("-K :"), ["k:v", "deleted:", ":no key"]);
    assert_eq!(all("-K : -Z"), ["k:v", "deleted:NULL", "NULL:no key"]);
}

#[test]
fn json_stays_json_whatever_the_bytes_are() {
    let (tool, topic) = (Tool::new(), topic());
    tool.run(&format!("produce {topic} -K : -p 0"), b"\xff\xfe:\x00\"\xe2\x82\n".as_slice()).success();
    let record = &tool.records(&topic)[0];
    assert_eq!(record["key"], serde_json::json!({"base64": "//4="}));
    assert_eq!(record["payload"], serde_json::json!({"base64": "ACLigg=="}));
    let raw = tool.run(&format!("consume {topic} -e -K :"), "").success();
    assert_eq!(raw.stdout, b"\xff\xfe:\x00\"\xe2\x82\n");
}

#[test]
fn the_names_of_json_are_in_kcats_order() {
    let (tool, topic) = (Tool::new(), topic());
    tool.run(&format!("produce {topic} -k k -p 0 -H h=1 --timestamp 5"), "v\n").success();
    assert_eq!(
        tool.lines(&format!("consume {topic} -e -J"), ""),
        [format!(
            r#"{{"topic":"{topic}","partition":0,"offset":0,"tstype":"create","ts":5,"broker":1,"headers":["h","1"],"key":"k","payload":"v"}}"#
        )]
    );
}

#[test]
fn records_are_shown_when_they_come() {
    let (tool, topic) = (Tool::new(), topic());
    shared().create_topic(&topic, 2).unwrap();
    for option in ["", "-u"] {
        let mut running = tool.start(&format!("consume {topic} -o end {option}"));
        // It may not be there yet: until it is, records are sent that it must not show twice, or show.
        let mut sent = 0;
        let line = loop {
            sent += 1;
            tool.run(&format!("produce {topic}"), format!("{sent}\n")).success();
            if let Some(line) = running.try_line() {
                break line;
            }
        };
        assert!(line.parse::<u32>().unwrap() <= sent, "{line}");
        running.signal("INT");
        assert_eq!(running.end(), Some(130));
    }
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let tool = Tool::new();
    let topic = topic();
    let lines: Vec<String> = (0..50_000).map(|number| format!("a line to read {number}")).collect();
    tool.run(&format!("produce {topic} -p 0"), lines.join("\n")).success();
    let mut consume = tool
        .command(&format!("consume {topic}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let head = Command::new("head").args(["-n", "1"]).stdin(consume.stdout.take().unwrap()).output().unwrap();
    assert_eq!(head.stdout, b"a line to read 0\n");
    // It never reaches an end: only the closed pipe stops it.
    let ended = consume.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn a_topic_or_partition_that_is_not_there_is_named() {
    let tool = Tool::new();
    let topic = filled(&tool);
    let run = tool.run(&format!("consume {topic} -p 7 -e"), "");
    assert_eq!(run.code, Some(1));
    assert_eq!(run.stderr, format!("ottla: topic '{topic}' has 6 partitions, and no 7 among them\n"));
    let run = tool.run("consume nobody-made-this -e", "");
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("nobody-made-this") && run.stderr.contains("UNKNOWN_TOPIC"),
        "{}",
        run.stderr
    );
    assert!(!shared().topics().contains(&"nobody-made-this".to_owned()), "to look is not to create");
}

#[test]
fn a_bad_position_is_a_usage_error() {
    let tool = Tool::new();
    for options in ["-o x", "-o stored", "-o beginning -o end", "-o e@1 -o e@2", "-J -K :"] {
        let run = tool.run(&format!("consume topic -e {options}"), "");
        assert_eq!(run.code, Some(2), "{options}: {}", run.stderr);
    }
}
