//! `ottla produce -J`: records as `ottla consume -J` and kcat print them.

use crate::real::kafka::unique;
use crate::real::process::{self, installed};
use crate::tool::{Tool, shared, topic};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ottla::broker::StoredRecord;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// Key, value, headers and timestamp: what is to be the same again.
type Content = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>, i64);

fn content(record: &StoredRecord) -> Content {
    let owned = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map(|bytes| bytes.to_vec());
    let headers = record.headers.iter().map(|(name, value)| (name.to_vec(), owned(value))).collect();
    (owned(&record.key), owned(&record.value), headers, record.timestamp)
}

fn partition(topic: &str, partition: i32) -> Vec<Content> {
    shared().records(topic, partition).iter().map(content).collect()
}

/// Fills partitions 1 and 4 with whatever is hard to say in JSON.
fn filled(tool: &Tool) -> String {
    let topic = topic();
    let headers = "-H a=1 -H b -H a=2 -H e= -H ž=→";
    let odd = b"k:\xff\x00\xfe\nk:\"\\\t\x7f\xc5\xbe\n\xff:v\n:empty key\n:\nno key\n\n";
    tool.run(&format!("produce {topic} -p 1 -K : --timestamp 1700000000001 {headers}"), odd).success();
    tool.run(&format!("produce {topic} -p 4 -K : -Z --timestamp 17"), "deleted:\n:no key\n:\n").success();
    topic
}

#[test]
fn what_consume_prints_is_sent_as_it_was() {
    let tool = Tool::new();
    let from = filled(&tool);
    let printed = tool.run(&format!("consume {from} -e -J -q"), "").success().stdout;
    let to = topic();
    let keep = "--keep partition,timestamp";
    tool.run(&format!("produce {to} -J {keep} --acks all -z zstd:1"), &printed).success();
    for index in 0..6 {
        assert_eq!(partition(&to, index), partition(&from, index), "partition {index}");
    }
    assert_eq!((partition(&to, 1).len(), partition(&to, 4).len()), (7, 3));
    assert_eq!(partition(&to, 4)[0], (Some(b"deleted".to_vec()), None, vec![], 17));

    fs::write(tool.folder().join("lines"), &printed).unwrap();
    let by_file = topic();
    tool.run(&format!("produce {by_file} -J {keep} lines"), "").success();
    assert_eq!(partition(&by_file, 1), partition(&from, 1), "the lines of a file are records without -l too");
}

#[test]
fn whatever_the_bytes_are_they_are_printed_and_sent_as_they_were() {
    let (tool, from, to) = (Tool::new(), topic(), topic());
    let mut chance = fastrand::Rng::with_seed(6);
    let records: Vec<Content> = (0..500).map(|time| any_content(&mut chance, time)).collect();
    let lines: Vec<String> = records.iter().map(said).collect();
    let options = "-J --keep partition,timestamp -p 0";
    tool.run(&format!("produce {from} {}", options.replace("partition,", "")), lines.join("\n")).success();
    assert_eq!(partition(&from, 0), records);
    let printed = tool.run(&format!("consume {from} -e -J -q"), "").success().stdout;
    tool.run(&format!("produce {to} {}", options.replace(" -p 0", "")), &printed).success();
    assert_eq!(partition(&to, 0), records);
}

/// Null, empty, text that has to be escaped, or bytes that may be no text.
fn any_bytes(chance: &mut fastrand::Rng) -> Option<Vec<u8>> {
    let length = chance.usize(0..40);
    match chance.u8(0..4) {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some((0..length).map(|_| chance.char('\0'..'\u{800}')).collect::<String>().into_bytes()),
        _ => Some((0..length).map(|_| chance.u8(..)).collect()),
    }
}

fn any_content(chance: &mut fastrand::Rng, time: i64) -> Content {
    let headers = (0..chance.usize(0..4)).map(|_| {
        let name: String = (0..chance.usize(0..5)).map(|_| chance.char('\0'..'\u{800}')).collect();
        (name.into_bytes(), any_bytes(chance))
    });
    let headers = headers.collect();
    (any_bytes(chance), any_bytes(chance), headers, time)
}

/// A record's line, with nothing said as text but the names of headers.
fn said((key, value, headers, time): &Content) -> String {
    let bytes =
        |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| json!({"base64": STANDARD.encode(bytes)}));
    let headers: Vec<Value> = headers
        .iter()
        .flat_map(|(name, value)| [json!(String::from_utf8_lossy(name)), json!(bytes(value))])
        .collect();
    json!({"key": bytes(key), "payload": bytes(value), "headers": headers, "ts": time}).to_string()
}

#[test]
fn what_is_not_kept_is_decided_anew() {
    let (tool, topic) = (Tool::new(), topic());
    let line = r#"{"topic":"other","partition":5,"offset":7,"tstype":"create","ts":1,"broker":1,"key":"k","payload":"v"}"#;
    let options = "-p 2 --timestamp 1700000000000 -H own=1";
    tool.run(&format!("produce {topic} -J {options}"), line).success();
    let own = vec![(b"own".to_vec(), Some(b"1".to_vec()))];
    assert_eq!(partition(&topic, 2), [(Some(b"k".to_vec()), Some(b"v".to_vec()), own, 1_700_000_000_000)]);
    tool.run(&format!("produce {topic} -J -k mine -p 3"), r#"{"key":null,"payload":""}"#).success();
    let (key, value, _, time) = partition(&topic, 3).remove(0);
    assert_eq!((key, value), (Some(b"mine".to_vec()), Some(vec![])));
    assert!(time > 1_700_000_000_000, "{time}");
    for contradiction in [
        "-J --keep partition -p 1",
        "-J --keep timestamp --timestamp 5",
        "-J -K :",
        "-J --json",
        "--keep partition",
    ] {
        let run = tool.run(&format!("produce {topic} {contradiction}"), line);
        assert_eq!(run.code, Some(2), "{contradiction}: {}", run.stderr);
    }
}

#[test]
fn a_line_that_is_no_record_ends_it_and_what_was_before_is_delivered() {
    let tool = Tool::new();
    for (wrong, told) in [
        ("{\"payload\":\"thr", "read the line as a record: EOF while parsing a string, at byte 15"),
        ("{\"key\":\"k\"}", "missing field `payload`"),
        ("{\"payload\":\"v\",\"header\":[]}", "unknown field `header`"),
        ("{\"payload\":null,\"payload_error\":\"no schema\"}", "could not read the record"),
        ("plain text", "expected"),
    ] {
        let topic = topic();
        let input =
            format!("{{\"payload\":\"one\"}}\n{{\"payload\":\"two\"}}\n{wrong}\n{{\"payload\":\"four\"}}\n");
        let run = tool.run(&format!("produce {topic} -J -q"), &input);
        assert_eq!(run.code, Some(1));
        let complaints: Vec<&str> = run.stderr.lines().collect();
        assert!(complaints[0].starts_with("ottla: line 3: read the line as a record: "), "{complaints:?}");
        assert!(complaints[0].contains(told), "{complaints:?}");
        assert_eq!(
            complaints[1..],
            ["ottla: 1 of 3 records was not delivered; the rest of the input was not sent"]
        );
        assert_eq!(tool.values(&topic), ["one", "two"]);

        let run = tool.run(&format!("produce {topic} -J -q --skip-malformed"), &input);
        assert_eq!(run.code, Some(1), "what was passed over has failed all the same");
        assert!(run.stderr.ends_with("ottla: 1 of 4 records was not delivered\n"), "{}", run.stderr);
        assert_eq!(tool.values(&topic), ["four", "one", "one", "two", "two"]);
    }
}

#[test]
fn an_input_that_breaks_off_is_told() {
    let (tool, topic) = (Tool::new(), topic());
    let run = tool.run(&format!("produce {topic} -J -q"), "{\"payload\":\"whole\"}\n{\"payload\":\"hal");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.starts_with("ottla: line 2: "), "{}", run.stderr);
    assert_eq!(tool.values(&topic), ["whole"]);
    let nothing = tool.run(&format!("produce {topic} -J"), "").success();
    assert!(nothing.stderr.starts_with("ottla: 0 records acknowledged"), "{}", nothing.stderr);
}

#[test]
fn what_kcat_prints_is_sent_as_it_was() {
    if !installed("kcat") {
        return crate::real::skip("kcat is not installed");
    }
    let (tool, from, to) = (Tool::new(), topic(), topic());
    let options = "-p 0 -K : -H a=1 -H b -H a=2 --timestamp 5";
    tool.run(&format!("produce {from} {options} -Z"), "k:v\ndeleted:\n:\"x\"\n").success();
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", &shared().bootstrap_servers(), "-C", "-t", &from, "-o", "beginning", "-e", "-q", "-J"]);
    let printed = process::run(&mut kcat, b"", Duration::from_secs(60)).success();
    tool.run(&format!("produce {to} -J --keep partition,timestamp"), &printed.stdout).success();
    assert_eq!(partition(&to, 0), partition(&from, 0));
    assert_eq!(partition(&to, 0).len(), 3);
}

#[test]
fn on_a_real_kafka_a_topic_is_copied_through_a_pipe() {
    let kafka = real_kafka!();
    let tool = Tool::bare();
    let on_kafka = |arguments: &str, input: &[u8]| {
        tool.run(&format!("{arguments} -b {}", kafka.plaintext()), input).success()
    };
    let (from, to) = (unique("from"), unique("to"));
    let lines: Vec<String> = (0..1000).map(|number| format!("key-{}:value {number}", number % 10)).collect();
    on_kafka(&format!("produce {from} -K : -H a=1 -H b -H a=2 -z lz4"), lines.join("\n").as_bytes());
    on_kafka(&format!("produce {from} -K : -Z --timestamp 1700000000000"), b"key-3:\nkey-4:\n");
    let print = |topic: &str| on_kafka(&format!("consume {topic} -e -J -q"), b"").stdout;
    let printed = print(&from);
    on_kafka(&format!("produce {to} -J --keep partition,timestamp --acks -1 -z zstd:1"), &printed);
    let sorted = |printed: &[u8], topic: &str| {
        let text = String::from_utf8(printed.to_vec()).unwrap().replace(topic, "topic");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let (expected, copied) = (sorted(&printed, &from), sorted(&print(&to), &to));
    assert_eq!(expected.len(), 1002);
    assert_eq!(copied, expected, "offsets too: both topics were new");
}
