//! `ottla topics`.

use crate::tool::{Tool, shared, topic};
use serde_json::Value;

#[test]
fn topics_are_created_described_listed_and_deleted() {
    let (tool, one, two) = (Tool::new(), topic(), topic());
    let created = tool.lines(&format!("topics create {one} {two} -p 3 -r 1 -c retention.ms=1000"), "");
    assert_eq!(created, [format!("created {one}"), format!("created {two}")]);

    let described = tool.lines(&format!("topics describe {one}"), "");
    assert!(described[0].starts_with(&format!("topic {one}: 3 partitions, id ")), "{described:?}");
    assert_eq!(
        described[1..],
        [0, 1, 2].map(|p| format!("  partition {p}: leader 1, replicas 1, in sync 1"))
    );
    let json: Value = serde_json::from_str(&tool.lines(&format!("topics describe -J {one}"), "")[0]).unwrap();
    assert_eq!((&json["topic"], json["partitions"].as_array().unwrap().len()), (&one.into(), 3));

    for list in ["topics", "topics list"] {
        let listed = tool.lines(list, "");
        assert!(listed[0].starts_with("cluster "), "{listed:?}");
        assert!(listed[1].starts_with("broker 1 at 127.0.0.1:"), "{listed:?}");
        assert!(listed.contains(&format!("  {two}: 3 partitions, 1 replica")), "{listed:?}");
    }
    let lines = tool.lines("topics -J", "");
    assert!(lines.iter().any(|line| serde_json::from_str::<Value>(line).unwrap()["topic"] == two.as_str()));

    assert_eq!(tool.lines(&format!("topics delete {two}"), ""), [format!("deleted {two}")]);
    assert!(!shared().topics().contains(&two));
}

#[test]
fn each_topic_that_fails_is_told_and_the_others_are_done() {
    let (tool, one, two) = (Tool::new(), topic(), topic());
    tool.lines(&format!("topics create {one}"), "");
    let run = tool.run(&format!("topics create {one} {two} bad/name"), "");
    assert_eq!(run.code, Some(1));
    assert_eq!(run.lines(), [format!("created {two}")]);
    assert_eq!(run.stderr.lines().count(), 2, "{}", run.stderr);
    assert!(
        run.stderr.contains("TOPIC_ALREADY_EXISTS") && run.stderr.contains("INVALID_TOPIC"),
        "{}",
        run.stderr
    );

    let run = tool.run(&format!("topics describe {one} missing-topic"), "");
    assert_eq!(run.code, Some(1));
    assert!(run.text().contains(&one) && run.stderr.contains("missing-topic"), "{}", run.stderr);
}

#[test]
fn a_wrong_option_is_a_usage_error() {
    let tool = Tool::new();
    for arguments in
        ["topics create", "topics create x -p 0", "topics create x -c retention", "topics destroy x"]
    {
        let run = tool.run(arguments, "");
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.stderr);
    }
}
