//! `ottla consume -G`: what was printed is committed, however it ends, and nothing else is.

use crate::real::kafka::{CLIENT_LIMIT, unique};
use crate::real::process::{self, installed};
use crate::tool::{Running, Tool, shared, topic};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROTOCOLS: [&str; 2] = ["classic", "consumer"];

/// A group that begins at the beginning.
fn member(group: &str, protocol: &str) -> String {
    format!("consume -G {group} -X auto.offset.reset=earliest -X group.protocol={protocol}")
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Writes numbers to one partition.
fn fill(tool: &Tool, topic: &str, partition: u32, range: std::ops::Range<u32>) {
    tool.run(&format!("produce {topic} -p {partition}"), numbers(range).join("\n")).success();
}

/// What the group has committed of partition 0, and its state.
fn committed(tool: &Tool, group: &str) -> (i64, String) {
    let line = tool.lines(&format!("groups describe {group} --json"), "").remove(0);
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    let offset = json["partitions"][0]["current_offset"].as_i64().unwrap_or(-1);
    (offset, json["state"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_group_goes_on_where_it_has_stopped() {
    for protocol in PROTOCOLS {
        let (tool, group, topic) = (Tool::new(), unique("group"), topic());
        fill(&tool, &topic, 0, 0..50);
        fill(&tool, &topic, 1, 50..100);
        let consume = format!("{} {topic} -e", member(&group, protocol));
        let run = tool.run(&consume, "").success();
        let mut read = run.lines();
        read.sort_by_key(|number| number.parse::<u32>().unwrap());
        assert_eq!(read, numbers(0..100), "{protocol}");
        let all: Vec<String> = (0..6).map(|index| format!("{topic} [{index}]")).collect();
        for what in ["assigned", "revoked"] {
            let told = format!("ottla: group '{group}': {what} {}", all.join(", "));
            assert!(run.stderr.lines().any(|line| line == told), "{protocol}: {told}: {}", run.stderr);
        }
        let quiet = tool.run(&format!("{consume} -q"), "").success();
        assert_eq!((quiet.text().as_str(), quiet.stderr.as_str()), ("", ""), "{protocol}: it was read");
        fill(&tool, &topic, 1, 100..103);
        assert_eq!(tool.lines(&consume, ""), numbers(100..103), "{protocol}");
        let other = format!("{} {topic} -e", member(&unique("other"), protocol));
        assert_eq!(tool.lines(&other, "").len(), 103, "{protocol}: another group reads all of it");
    }
}

#[test]
fn a_group_without_offsets_begins_at_the_end() {
    let (tool, group, topic) = (Tool::new(), unique("group"), topic());
    fill(&tool, &topic, 0, 0..10);
    assert_eq!(tool.lines(&format!("consume -G {group} {topic} -e"), ""), numbers(0..0));
    fill(&tool, &topic, 0, 10..12);
    assert_eq!(tool.lines(&format!("consume -G {group} {topic} -e"), ""), numbers(10..12));
}

/// All of it is one batch, of which a part counts.
#[test]
fn so_many_records_are_printed_and_as_many_committed() {
    for protocol in PROTOCOLS {
        let (tool, group, topic) = (Tool::new(), unique("group"), topic());
        shared().create_topic(&topic, 1).unwrap();
        fill(&tool, &topic, 0, 0..10);
        let consume = format!("{} {topic}", member(&group, protocol));
        assert_eq!(tool.lines(&format!("{consume} -c 3"), ""), numbers(0..3), "{protocol}");
        assert_eq!(committed(&tool, &group), (3, "Empty".to_owned()), "{protocol}");
        assert_eq!(tool.lines(&format!("{consume} -u -c 4"), ""), numbers(3..7), "{protocol}");
        let unsaved = format!("{consume} -X enable.auto.commit=false -e");
        assert_eq!(tool.lines(&unsaved, ""), numbers(7..10), "{protocol}");
        assert_eq!(tool.lines(&format!("{consume} -e"), ""), numbers(7..10), "{protocol}");
        assert_eq!(committed(&tool, &group).0, 10, "{protocol}");
    }
}

#[test]
fn members_share_the_partitions_and_tell_of_it() {
    for protocol in PROTOCOLS {
        let (tool, group, topic) = (Tool::new(), unique("group"), topic());
        shared().create_topic(&topic, 2).unwrap();
        let consume = format!("{} {topic} -u", member(&group, protocol));
        let one = tool.start(&consume);
        fill(&tool, &topic, 0, 0..1);
        assert_eq!(one.line(), "0", "{protocol}");
        let mut two = tool.start(&consume);
        let told = two.complaint();
        let got = told.trim_start_matches("ottla: group ").contains("assigned");
        assert!(got && told.contains(&group), "{told}");
        // They have one each as soon as each prints what is written to its own.
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut number = 1;
        let of_two = loop {
            assert!(Instant::now() < deadline, "{protocol}: the second one gets nothing");
            for partition in 0..2 {
                fill(&tool, &topic, partition, number..number + 1);
                number += 1;
            }
            if let Some(line) = two.try_line() {
                break line;
            }
        };
        two.signal("INT");
        assert_eq!(two.end(), Some(130), "{protocol}");
        let mut read: Vec<String> = vec!["0".to_owned(), of_two];
        read.extend(std::iter::from_fn(|| two.try_line()));
        // The first one has all of it again, and reads on from where the second one was.
        fill(&tool, &topic, 0, number..number + 1);
        fill(&tool, &topic, 1, number + 1..number + 2);
        while read.len() < number as usize + 2 {
            read.push(one.line());
        }
        let all: BTreeSet<String> = read.iter().cloned().collect();
        assert_eq!(all.len(), read.len(), "{protocol}: nothing twice: {read:?}");
        assert_eq!(one.try_line(), None, "{protocol}");
    }
}

#[test]
fn several_topics_and_patterns_are_read() {
    for protocol in PROTOCOLS {
        let (tool, group, name) = (Tool::new(), unique("group"), unique("pattern"));
        for (index, topic) in ["a-new", "a-old", "b"].iter().enumerate() {
            let topic = format!("{name}-{topic}");
            shared().create_topic(&topic, 2).unwrap();
            fill(&tool, &topic, 0, index as u32..index as u32 + 1);
        }
        let read = |group: &str, topics: &str, format: &str| {
            let consume = format!("{} {topics} -e {format}", member(group, protocol));
            let mut lines = tool.lines(&consume, "");
            lines.sort();
            lines
        };
        let named = format!("{name}-a-new {name}-b");
        assert_eq!(read(&unique("named"), &named, ""), ["0", "2"], "{protocol}");
        let two = [format!("{name}-a-new [0] 0: 0"), format!("{name}-a-old [0] 0: 1")];
        assert_eq!(
            read(&group, &format!("^{name}-a-.*"), r"-f %t\x20[%p]\x20%o:\x20%s\n"),
            two,
            "{protocol}"
        );
        // Whole names only; who leads a topic that was only found is looked up.
        let json = read(&unique("json"), &format!("^{name}-a ^{name}-b"), "-J");
        assert_eq!(json.len(), 1, "{protocol}: {json:?}");
        assert!(json[0].contains(r#""broker":1,"#), "{}", json[0]);
    }
}

#[test]
fn an_interruption_commits_what_was_printed_and_leaves() {
    for protocol in PROTOCOLS {
        for (signal, code) in [("INT", 130), ("TERM", 143)] {
            let (tool, group, topic) = (Tool::new(), unique("group"), topic());
            shared().create_topic(&topic, 1).unwrap();
            fill(&tool, &topic, 0, 0..3);
            let mut running = tool.start(&format!("{} {topic}", member(&group, protocol)));
            for number in numbers(0..3) {
                assert_eq!(running.line(), number, "{protocol}");
            }
            running.signal(signal);
            assert_eq!(running.end(), Some(code), "{protocol}");
            assert_eq!(committed(&tool, &group), (3, "Empty".to_owned()), "{protocol}");
        }
    }
}

#[test]
fn an_interruption_does_not_wait_for_ever_for_a_broker_that_is_silent() {
    for (again, limit) in [(true, 5), (false, 20)] {
        let (tool, topic) = (Tool::bare(), topic());
        let broker = tool.start("broker --listen 127.0.0.1:0 -q");
        let server = broker.line();
        tool.run(&format!("produce {topic} -X {server}"), "one\n").success();
        let mut running = tool.start(&format!("{} {topic} -X {server} -q", member("group", "classic")));
        assert_eq!(running.line(), "one");
        broker.signal("STOP");
        let began = Instant::now();
        running.signal("INT");
        if again {
            std::thread::sleep(Duration::from_millis(300));
            running.signal("INT");
        }
        assert_eq!(running.end(), Some(130));
        assert!(began.elapsed() < Duration::from_secs(limit), "{:?}", began.elapsed());
        if !again {
            let told = running.complaint();
            assert!(told.contains("may be printed again"), "{told}");
        }
        broker.signal("CONT");
    }
}

#[test]
fn what_a_reader_who_has_enough_did_not_take_is_not_committed() {
    for protocol in PROTOCOLS {
        let (tool, group, topic) = (Tool::new(), unique("group"), topic());
        shared().create_topic(&topic, 1).unwrap();
        fill(&tool, &topic, 0, 100_000..200_000);
        let consume = format!("{} {topic} -q", member(&group, protocol));
        let mut running = tool.command(&consume);
        let mut running = running.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::new(running.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "100000\n");
        drop(reader);
        let ended = running.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
        let (offset, state) = committed(&tool, &group);
        assert_eq!(state, "Empty", "{protocol}");
        // What a pipe holds, and a piece that was under way.
        assert!(offset <= (64 + 64 + 8) * 1024 / 7, "{protocol}: {offset}");
        let next = tool.lines(&format!("{consume} -c 1"), "");
        assert_eq!(next, [(100_000 + offset).to_string()], "{protocol}");
    }
}

#[test]
fn what_the_group_decides_is_not_asked_for() {
    let tool = Tool::new();
    for (arguments, told) in [
        ("-G billing orders -o beginning", "ottla groups reset-offsets"),
        ("-G billing orders -o stored", "-G GROUP"),
        ("-G billing orders -p 0", "-p: a group gives"),
        ("orders payments", "-G GROUP"),
        ("^orders", "-G GROUP"),
        ("-G billing", "<TOPIC>"),
    ] {
        let run = tool.run(&format!("consume {arguments}"), "");
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{arguments}: {}", run.stderr);
    }
    let run = tool.run("consume -G billing orders -X group.protocol=consumer -X session.timeout.ms=9000", "");
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("session.timeout.ms"), "{}", run.stderr);
    let run = tool.run("consume -G billing nobody-made-this-either", "");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("nobody-made-this-either"), "{}", run.stderr);
}

#[test]
fn who_only_looks_commits_nothing() {
    let (tool, group, topic) = (Tool::new(), unique("group"), topic());
    fill(&tool, &topic, 0, 0..10);
    for arguments in [format!("consume {topic} -e"), format!("bench consume --topic {topic} -q")] {
        let mut command = tool.command(&arguments);
        command.env("KAFKA_GROUP_ID", &group).env("KAFKA_ENABLE_AUTO_COMMIT", "true");
        command.env("KAFKA_AUTO_COMMIT_INTERVAL_MS", "1");
        process::run(&mut command, b"", CLIENT_LIMIT).success();
        let run = tool.run(&format!("groups describe {group}"), "");
        assert!(run.stderr.contains("GROUP_ID_NOT_FOUND"), "{arguments}: {}{}", run.text(), run.stderr);
    }
}

/// Ours and kcat read on from each other's commits, and print the same.
fn in_turns_with_kcat(bootstrap: &str) {
    let (tool, topic, group) = (Tool::at(bootstrap), unique("turns"), unique("group"));
    tool.lines(&format!("topics create {topic} -p 2"), "");
    let format = r"-f %t[%p]%o:%k=%s\n";
    let mut reads = Vec::new();
    for turn in 0..4_u32 {
        fill(&tool, &topic, turn % 2, turn * 10..turn * 10 + 10);
        let options = ["-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=10000"];
        let run = if turn % 2 == 0 {
            tool.run(&format!("consume -G {group} -e {format} {} {topic}", options.join(" ")), "")
        } else {
            let mut kcat = Command::new("kcat");
            kcat.args(["-b", bootstrap, "-G", &group, "-e"])
                .args(format.split(' '))
                .args(options)
                .arg(&topic);
            process::run(&mut kcat, b"", CLIENT_LIMIT)
        };
        let run = run.success();
        let partition = turn % 2;
        let expected: Vec<String> = (0..10)
            .map(|n| format!("{topic}[{partition}]{}:={}", turn / 2 * 10 + n, turn * 10 + n))
            .collect();
        assert_eq!(run.lines(), expected, "turn {turn}: {}", run.stderr);
        reads.extend(run.lines());
    }
    assert_eq!(reads.len(), 40);
    // And at the same time: each has a partition.
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", bootstrap, "-G", &group, "-u", &topic]);
    let kcat = Running::start(&mut kcat);
    let mut ours = tool.start(&format!("consume -G {group} {topic}"));
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut number = 40;
    loop {
        assert!(Instant::now() < deadline, "they do not share");
        fill(&tool, &topic, 0, number..number + 1);
        fill(&tool, &topic, 1, number + 1..number + 2);
        let both = (ours.try_line(), kcat.try_line());
        if let (Some(ours), Some(kcat)) = both {
            assert_ne!(ours, kcat);
            break;
        }
        number += 2;
    }
    ours.signal("INT");
    assert_eq!(ours.end(), Some(130));
}

#[test]
fn in_turns_with_kcat_on_the_embedded_broker() {
    if !installed("kcat") {
        return crate::real::skip("kcat is not installed");
    }
    in_turns_with_kcat(&shared().bootstrap_servers());
}

#[test]
fn in_turns_with_kcat_on_a_real_kafka() {
    let kafka = real_kafka!();
    if !installed("kcat") {
        return crate::real::skip("kcat is not installed");
    }
    in_turns_with_kcat(kafka.plaintext());
}
