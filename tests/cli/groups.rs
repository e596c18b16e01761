//! `ottla groups`, and the same beside Kafka's own tool.

use crate::real::kafka::{CLIENT_LIMIT, RealKafka, unique};
use crate::real::process::{self, installed};
use crate::tool::{Running, Tool, shared, topic};
use ottla::broker::{ApiKey, Broker, Cluster, ErrorCode, Fate, Fault, TopicSpec};
use serde_json::Value;
use std::thread;
use std::time::{Duration, Instant};

const HEADINGS: [&str; 9] = [
    "GROUP",
    "TOPIC",
    "PARTITION",
    "CURRENT-OFFSET",
    "LOG-END-OFFSET",
    "LAG",
    "CONSUMER-ID",
    "HOST",
    "CLIENT-ID",
];

/// A topic of two partitions with records of the times 1000, 2000.. 5000 in each.
fn filled(tool: &Tool) -> String {
    let topic = topic();
    tool.lines(&format!("topics create {topic} -p 2"), "");
    for partition in 0..2 {
        let records: String =
            (1..=5).map(|n| format!("{{\"ts\":{n}000,\"key\":null,\"payload\":\"{n}\"}}\n")).collect();
        tool.run(&format!("produce {topic} -J -p {partition} --keep timestamp"), records).success();
    }
    topic
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The last column of a reset: where each partition is to be.
fn reset(tool: &Tool, arguments: &str) -> Vec<i64> {
    let lines = tool.lines(&format!("groups reset-offsets {arguments}"), "");
    assert_eq!(words(&lines[0]), ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "NEW-OFFSET"]);
    lines[1..].iter().map(|line| words(line)[4].parse().unwrap()).collect()
}

#[test]
fn a_group_is_set_looked_at_and_deleted() {
    let (tool, group) = (Tool::new(), unique("group"));
    let topic = filled(&tool);
    let run = tool.run(&format!("groups describe {group}"), "");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("GROUP_ID_NOT_FOUND") && run.stderr.contains(&group), "{}", run.stderr);

    let arguments = format!("groups reset-offsets {group} --topic {topic} --to-offset 3");
    let dry = tool.run(&arguments, "").success();
    assert!(dry.stderr.contains("--execute"), "{}", dry.stderr);
    assert_eq!(tool.run(&format!("groups describe {group}"), "").code, Some(1), "nothing was changed");
    let done = tool.run(&format!("{arguments} --execute"), "").success();
    assert_eq!(done.stderr, "");
    assert_eq!(dry.lines(), done.lines());
    assert_eq!(words(&done.lines()[1]), [group.as_str(), &topic, "0", "-", "3"]);

    let run = tool.run(&format!("groups describe {group}"), "").success();
    let lines = run.lines();
    assert_eq!(words(&lines[0]), HEADINGS);
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, index) in lines[1..].iter().zip(["0", "1"]) {
        assert_eq!(words(line), [group.as_str(), &topic, index, "3", "5", "2", "-", "-", "-"]);
    }
    assert!(run.stderr.contains("Empty") && run.stderr.contains("lag 4 in all"), "{}", run.stderr);
    let json: Value =
        serde_json::from_str(&tool.lines(&format!("groups describe -J {group}"), "")[0]).unwrap();
    assert_eq!((&json["group"], &json["lag"]), (&group.as_str().into(), &4.into()));
    assert_eq!(json["partitions"][1]["current_offset"], 3);

    for list in ["groups", "groups list", "groups list --state Empty --type classic"] {
        let listed = tool.lines(list, "");
        assert!(
            listed.iter().any(|line| words(line)[..3] == [group.as_str(), "classic", "Empty"]),
            "{listed:?}"
        );
    }
    let stable = tool.lines("groups list --state stable -J", "");
    assert!(!stable.iter().any(|line| line.contains(&group)), "{stable:?}");

    assert_eq!(tool.lines(&format!("groups delete {group}"), ""), [format!("deleted {group}")]);
    let run = tool.run(&format!("groups delete {group}"), "");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("GROUP_ID_NOT_FOUND"), "{}", run.stderr);
}

#[test]
fn offsets_are_set_in_every_way_there_is() {
    let (tool, group) = (Tool::new(), unique("group"));
    let topic = filled(&tool);
    let one = format!("{group} --topic {topic}:1");
    for (target, offset) in [
        ("--to-latest", 5),
        ("--to-earliest", 0),
        ("--to-offset 4", 4),
        ("--to-offset 99", 5),
        ("--to-datetime 1970-01-01T00:00:02.500", 2),
        ("--to-datetime 1970-01-01T01:00:02.500+01:00", 2),
        ("--to-datetime 2970-01-01", 5),
        ("--by-duration P1D", 5),
        ("--by-duration 60000d", 0),
        ("--to-current", 5),
    ] {
        assert_eq!(reset(&tool, &format!("{one} {target}")), [offset], "{target}");
    }
    let run = tool.run(&format!("groups reset-offsets {one} --shift-by -1"), "");
    assert_eq!((run.code, run.text().as_str()), (Some(1), ""));
    assert!(run.stderr.contains("has committed nothing"), "{}", run.stderr);
    let run = tool.run(&format!("groups reset-offsets {group} --all-topics --to-earliest"), "");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("--topic says"), "{}", run.stderr);

    assert_eq!(reset(&tool, &format!("{one} --to-offset 4 --execute")), [4]);
    for (shift, offset) in [("-1", 3), ("-9", 0), ("1", 5), ("9", 5)] {
        assert_eq!(reset(&tool, &format!("{one} --shift-by {shift}")), [offset], "{shift}");
    }
    assert_eq!(reset(&tool, &format!("{group} --all-topics --to-current")), [4]);
    assert_eq!(reset(&tool, &format!("{group} --topic {topic} --to-earliest --execute")), [0, 0]);
    assert_eq!(reset(&tool, &format!("{group} --all-topics --to-current")), [0, 0]);
    let run = tool.run(&format!("groups reset-offsets {one} --to-offset 99"), "").success();
    assert!(run.stderr.contains("offset 99 is not there yet, 5 is behind the last"), "{}", run.stderr);

    for (scope, told) in
        [(format!("{topic}:7"), "no 7 among them"), ("missing-topic".to_owned(), "missing-topic")]
    {
        let run = tool.run(&format!("groups reset-offsets {group} --topic {scope} --to-latest"), "");
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
}

/// Nobody knows where a partition ends that nobody leads: that is shown, and not waited for.
#[test]
fn a_partition_without_a_leader_holds_nobody_up() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let brokers = runtime.block_on(Cluster::builder().brokers(2).start()).unwrap();
    brokers.create_topic_as(&TopicSpec::new("orders").placed([[1], [2]])).unwrap();
    let tool = Tool::at(&brokers.bootstrap_servers());
    reset(&tool, "billing --topic orders --to-earliest --execute");
    runtime.block_on(brokers.stop_broker(2)).unwrap();
    let start = Instant::now();
    let lines = tool.lines("groups describe billing", "");
    assert_eq!(words(&lines[1])[..6], ["billing", "orders", "0", "0", "0", "0"]);
    assert_eq!(words(&lines[2])[..6], ["billing", "orders", "1", "0", "-", "-"]);
    let run = tool.run("groups reset-offsets billing --all-topics --to-latest", "");
    assert_eq!((run.code, run.text().as_str()), (Some(1), ""));
    assert!(run.stderr.contains("partition 1 has no leader"), "{}", run.stderr);
    assert_eq!(reset(&tool, "billing --topic orders:0 --to-latest --execute"), [0]);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// Half of what was asked for is not done in silence, and a lag of which a part is not known is not told as if it were all.
#[test]
fn a_topic_that_cannot_be_looked_at_is_told() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let broker = runtime.block_on(Broker::builder().partitions(1).start()).unwrap();
    for topic in ["orders", "returns"] {
        broker.create_topic(topic, 1).unwrap();
    }
    let tool = Tool::at(&broker.bootstrap_servers());
    tool.run("produce orders", "a\nb\n").success();
    reset(&tool, "billing --topic orders --topic returns --to-earliest --execute");
    let forbidden = Fault::new(Fate::Fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED)).topic("returns");
    broker.add_fault(forbidden.api(ApiKey::METADATA));
    let run = tool.run("groups describe billing", "");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(words(&run.lines()[1])[..6], ["billing", "orders", "0", "0", "2", "2"]);
    assert_eq!(words(&run.lines()[2])[..6], ["billing", "returns", "0", "0", "-", "-"]);
    let told = ["lag 2 without 1 partition of which", "'returns'", "TOPIC_AUTHORIZATION_FAILED"];
    assert!(told.iter().all(|told| run.stderr.contains(told)), "{}", run.stderr);
    let json: Value = serde_json::from_str(&tool.run("groups describe billing -J", "").lines()[0]).unwrap();
    assert_eq!((&json["lag"], &json["partitions_without_lag"]), (&2.into(), &1.into()));
    let run = tool.run("groups reset-offsets billing --all-topics --to-latest --execute", "");
    assert_eq!((run.code, run.text().as_str()), (Some(1), ""));
    assert!(run.stderr.contains("'returns'"), "{}", run.stderr);
    broker.clear_faults();
    assert_eq!(reset(&tool, "billing --all-topics --to-current"), [0, 0], "nothing was changed");
}

/// Who asks how far behind a group is may do so because a broker fails: what the others know is told, and of which group it is
/// not.
#[test]
fn a_broker_that_fails_takes_nothing_away_from_what_the_others_tell() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let broker = runtime.block_on(Broker::builder().partitions(1).start()).unwrap();
    broker.create_topic("orders", 1).unwrap();
    let tool = Tool::at(&broker.bootstrap_servers());
    reset(&tool, "billing --topic orders --to-earliest --execute");
    let fault = |api| Fault::new(Fate::Fail(ErrorCode::UNKNOWN_SERVER_ERROR)).api(api);
    broker.add_fault(fault(ApiKey::LIST_OFFSETS));
    let run =
        tool.run("groups describe billing -X request.timeout.ms=500 -X default.api.timeout.ms=1000", "");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(words(&run.lines()[1])[..6], ["billing", "orders", "0", "0", "-", "-"]);
    broker.clear_faults();
    broker.add_fault(Fault::new(Fate::LoseAnswer).api(ApiKey::CONSUMER_GROUP_DESCRIBE));
    let run =
        tool.run("groups describe billing -X request.timeout.ms=500 -X default.api.timeout.ms=1000", "");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("group 'billing'"), "{}", run.stderr);
}

#[test]
fn a_group_with_members_is_described_and_left_alone() {
    if !installed("kcat") {
        return crate::real::skip("kcat is not installed");
    }
    let (tool, group) = (Tool::new(), unique("group"));
    let topic = filled(&tool);
    reset(&tool, &format!("{group} --topic {topic} --to-offset 4 --execute"));
    let mut kcat = std::process::Command::new("kcat");
    kcat.args(["-b", &shared().bootstrap_servers(), "-G", &group, "-X", "client.id=till-7", "-u", &topic]);
    let member = Running::start(&mut kcat);
    member.line();
    let lines = tool.lines(&format!("groups describe {group}"), "");
    for (line, index) in lines[1..].iter().zip(["0", "1"]) {
        let words = words(line);
        assert_eq!(words[..3], [group.as_str(), &topic, index]);
        assert!(words[6].starts_with("till-7-") && words[7].starts_with("/127."), "{line}");
        assert_eq!(words[8], "till-7");
    }
    let json: Value =
        serde_json::from_str(&tool.lines(&format!("groups describe -J {group}"), "")[0]).unwrap();
    assert_eq!((&json["state"], &json["assignor"]), (&"Stable".into(), &"range".into()));
    assert_eq!(json["members"][0]["subscription"][0], topic.as_str());

    let arguments = format!("groups reset-offsets {group} --topic {topic} --to-earliest");
    let dry = tool.run(&arguments, "").success();
    assert_eq!(dry.lines().len(), 3);
    let refused = tool.run(&format!("{arguments} --execute"), "");
    assert_eq!((refused.code, refused.text().as_str()), (Some(1), ""));
    for told in [&dry.stderr, &refused.stderr] {
        assert!(told.contains("Stable with 1 members (till-7 at /127."), "{told}");
        assert!(told.contains("stop its consumers first"), "{told}");
    }
    let refused = tool.run(&format!("groups delete {group}"), "");
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("NON_EMPTY_GROUP") && refused.stderr.contains("stop its consumers"));
}

#[test]
fn a_wrong_option_is_a_usage_error() {
    let tool = Tool::new();
    for arguments in [
        "groups describe",
        "groups describe x --all-groups",
        "groups delete",
        "groups list --state asleep",
        "groups list --type modern",
        "groups reset-offsets x --to-latest",
        "groups reset-offsets x --topic t",
        "groups reset-offsets x --topic t --all-topics --to-latest",
        "groups reset-offsets x --topic t --to-latest --to-earliest",
        "groups reset-offsets x --topic t: --to-latest",
        "groups reset-offsets x --topic t --to-offset -1",
        "groups reset-offsets x --topic t --to-datetime yesterday",
        "groups reset-offsets x --topic t --by-duration 1w",
        "groups reset-offsets x --topic t --to-latest --execute --dry-run",
    ] {
        let run = tool.run(arguments, "");
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.stderr);
        assert_eq!(run.text(), "", "{arguments}");
    }
}

/// Kafka takes offsets of a group without a name: a variable that is not set must not be one.
#[test]
fn a_group_without_a_name_is_a_usage_error() {
    let tool = Tool::new();
    let topic = filled(&tool);
    for arguments in [
        "groups describe".to_owned(),
        "groups delete".to_owned(),
        format!("groups reset-offsets --topic {topic} --to-earliest --execute"),
    ] {
        let run = process::run(tool.command(&arguments).arg(""), b"", CLIENT_LIMIT);
        assert_eq!((run.code, run.text().as_str()), (Some(2), ""), "{arguments}: {}", run.stderr);
    }
}

/// What Kafka's tool prints of a group, without what it says besides the table.
fn by_kafka(kafka: &RealKafka, bootstrap: &str, group: &str) -> Vec<String> {
    let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    let mut java = kafka.java(class, &["--bootstrap-server", bootstrap, "--describe", "--group", group]);
    let lines = process::run(&mut java, b"", CLIENT_LIMIT).success().lines();
    table(lines)
}

/// The heading, and the rows in an order that does not depend on how members are kept.
fn table(lines: Vec<String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.iter().map(|line| line.trim_end().to_owned()).collect();
    lines.retain(|line| !line.is_empty() && !line.starts_with("Consumer group"));
    if let Some((_, rows)) = lines.split_first_mut() {
        rows.sort();
    }
    lines
}

/// Both tools print the same, as soon as the group rests.
#[track_caller]
fn beside_kafka(kafka: &RealKafka, bootstrap: &str, group: &str, rests: impl Fn(&[String]) -> bool) {
    let tool = Tool::bare();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let ours = tool.run(&format!("-b {bootstrap} groups describe {group}"), "");
        let (ours, told) = (table(ours.lines()), ours.stderr);
        let has_time = Instant::now() < deadline;
        if rests(&ours) {
            let theirs = by_kafka(kafka, bootstrap, group);
            if ours == theirs {
                return;
            }
            assert!(has_time, "{ours:#?}\nand Kafka's tool: {theirs:#?}");
        }
        assert!(has_time, "it does not rest: {ours:#?}\n{told}");
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn beside_kafkas_tool_on_a_real_kafka() {
    let kafka = real_kafka!();
    let bootstrap = kafka.plaintext();
    let tool = Tool::bare();
    let topic = unique("groups");
    tool.run(&format!("-b {bootstrap} topics create {topic} -p 4"), "").success();
    for partition in 0..3 {
        tool.run(&format!("-b {bootstrap} produce {topic} -p {partition}"), "a\nb\nc\n").success();
    }
    let protocols: &[&str] = if kafka.is_3_x() { &["classic"] } else { &["classic", "consumer"] };
    for protocol in protocols {
        let group = unique(protocol);
        let option = if kafka.is_3_x() { "--consumer-property" } else { "--command-property" };
        let mut members: Vec<Running> = Vec::new();
        for number in 0..2 {
            let class = "org.apache.kafka.tools.consumer.ConsoleConsumer";
            let mut java = kafka.java(class, &["--bootstrap-server", bootstrap, "--topic", &topic]);
            java.args(["--group", &group, "--from-beginning"]);
            java.args([option, &format!("client.id=till-{number}")]);
            java.args([option, &format!("group.protocol={protocol}")]);
            members.push(Running::start(&mut java));
        }
        // Each member has two partitions, and everything that is there was read and committed.
        beside_kafka(kafka, bootstrap, &group, |lines| {
            let has = |member: &str| lines.iter().filter(|line| line.ends_with(member)).count() == 2;
            let is_read = |line: &&String| words(line)[5] == "0";
            lines.len() == 5
                && has("till-0")
                && has("till-1")
                && lines[1..].iter().filter(is_read).count() == 4
        });
        let run = tool.run(
            &format!("-b {bootstrap} groups reset-offsets {group} --all-topics --to-latest --execute"),
            "",
        );
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains("stop its consumers first"), "{}", run.stderr);
        let run = tool.run(&format!("-b {bootstrap} groups delete {group}"), "");
        assert!(run.stderr.contains("NON_EMPTY_GROUP"), "{}", run.stderr);

        for member in &mut members {
            member.signal("TERM");
            member.end();
        }
        let reset = format!(
            "-b {bootstrap} groups reset-offsets {group} --topic {topic}:0,3 --shift-by -2 --execute"
        );
        let reset = tool.run(&reset, "").success();
        let lines = reset.lines();
        let moved: Vec<&str> = lines[1..].iter().map(|line| words(line)[4]).collect();
        assert_eq!(moved, ["1", "0"]);
        beside_kafka(kafka, bootstrap, &group, |lines| lines.len() == 5);
        let listed =
            tool.run(&format!("-b {bootstrap} groups --state Empty --type {protocol}"), "").success();
        assert!(listed.lines().iter().any(|line| words(line)[0] == group), "{}", listed.text());
        tool.run(&format!("-b {bootstrap} groups delete {group}"), "").success();
    }
}

#[test]
fn beside_kafkas_tool_on_the_embedded_broker() {
    let kafka = real_kafka!();
    if !installed("kcat") {
        return crate::real::skip("kcat is not installed");
    }
    let (tool, group) = (Tool::new(), unique("group"));
    let topic = filled(&tool);
    reset(&tool, &format!("{group} --topic {topic}:1 --to-offset 2 --execute"));
    let bootstrap = shared().bootstrap_servers();
    beside_kafka(kafka, &bootstrap, &group, |lines| lines.len() == 2);
    let mut kcat = std::process::Command::new("kcat");
    kcat.args(["-b", &bootstrap, "-G", &group, "-X", "client.id=till-7", "-u"]);
    kcat.args(["-X", "auto.offset.reset=earliest", "-X", "auto.commit.interval.ms=100", &topic]);
    let _member = Running::start(&mut kcat);
    beside_kafka(kafka, &bootstrap, &group, |lines| {
        lines.len() == 3 && lines[1..].iter().all(|line| words(line)[5] == "0" && line.ends_with("till-7"))
    });
}
