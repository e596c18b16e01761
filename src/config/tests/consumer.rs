use super::{assert_says, consumer};
use crate::config::{Assignor, AutoOffsetReset, ConsumerConfig, GroupProtocol, IsolationLevel};
use std::time::Duration;

#[test]
fn without_settings_it_is_the_default() {
    assert_eq!(consumer(&[]).unwrap(), ConsumerConfig::default());
}

#[test]
fn names_and_numbers_of_both_other_clients_are_read() {
    let read = consumer(&[
        ("group.id", "billing"),
        ("partition.assignment.strategy", "org.apache.kafka.clients.consumer.StickyAssignor, roundrobin"),
        ("fetch.wait.max.ms", "100"),
        ("fetch.message.max.bytes", "1000"),
        ("queued.max.messages.kbytes", "64"),
        ("isolation.level", "READ_COMMITTED"),
    ])
    .unwrap();
    let expected = ConsumerConfig {
        group_id: Some("billing".to_owned()),
        enable_auto_commit: true,
        partition_assignment_strategy: vec![Assignor::Sticky, Assignor::RoundRobin],
        fetch_max_wait: Duration::from_millis(100),
        max_partition_fetch_bytes: 1000,
        queued_max_bytes: 65_536,
        isolation_level: IsolationLevel::ReadCommitted,
        ..ConsumerConfig::default()
    };
    assert_eq!(read, expected);
}

#[test]
fn where_to_start_has_many_names() {
    for (name, policy) in [
        ("earliest", AutoOffsetReset::Earliest),
        ("smallest", AutoOffsetReset::Earliest),
        ("beginning", AutoOffsetReset::Earliest),
        ("Latest", AutoOffsetReset::Latest),
        ("largest", AutoOffsetReset::Latest),
        ("end", AutoOffsetReset::Latest),
        ("none", AutoOffsetReset::None),
        ("error", AutoOffsetReset::None),
        ("by_duration:PT1H30M", AutoOffsetReset::ByDuration(Duration::from_secs(5400))),
    ] {
        assert_eq!(consumer(&[("auto.offset.reset", name)]).unwrap().auto_offset_reset, policy, "{name}");
    }
}

#[test]
fn commits_need_a_group() {
    assert!(consumer(&[("group.id", "g")]).unwrap().enable_auto_commit);
    assert!(!consumer(&[("group.id", "g"), ("enable.auto.commit", "false")]).unwrap().enable_auto_commit);
    for pairs in [&[("enable.auto.commit", "true")][..], &[("enable.auto.commit", "true"), ("group.id", "")]]
    {
        assert!(!consumer(pairs).unwrap().enable_auto_commit);
    }
}

#[test]
fn settings_of_groups_stop_nobody_who_is_in_none() {
    for pairs in [
        &[("session.timeout.ms", "3000")][..],
        &[("group.protocol", "consumer"), ("session.timeout.ms", "30000")],
        &[("group.remote.assignor", "uniform")],
    ] {
        assert!(consumer(pairs).is_ok(), "{pairs:?}");
    }
}

#[test]
fn an_answer_may_not_be_larger_than_what_is_read() {
    let told = ["fetch.max.bytes=2000000 (set by the program)", "receive.message.max.bytes=1000000"];
    assert_says(consumer(&[("fetch.max.bytes", "2000000"), ("receive.message.max.bytes", "1000000")]), &told);
    let told = ["fetch.max.bytes=104857600", "receive.message.max.bytes=104857600 (default)"];
    assert_says(consumer(&[("fetch.max.bytes", "104857600")]), &told);
    assert_eq!(consumer(&[("receive.message.max.bytes", "1000000")]).unwrap().fetch_max_bytes, 999_488);
    let fits = consumer(&[("fetch.max.bytes", "999488"), ("receive.message.max.bytes", "1000000")]);
    assert_eq!(fits.unwrap().fetch_max_bytes, 999_488);
}

#[test]
fn heartbeats_are_more_often_than_sessions() {
    assert_says(
        consumer(&[("group.id", "g"), ("session.timeout.ms", "3000")]),
        &["heartbeat.interval.ms=3000 (default)", "session.timeout.ms=3000 (set by the program)"],
    );
}

#[test]
fn settings_of_the_other_group_protocol_are_refused_with_what_decides_instead() {
    for (key, value, instead) in [
        ("session.timeout.ms", "30000", "group.consumer.session.timeout.ms"),
        ("heartbeat.interval.ms", "1000", "group.consumer.heartbeat.interval.ms"),
        ("partition.assignment.strategy", "range", "group.remote.assignor"),
    ] {
        let told = format!("{key}={value} (set by the program)");
        let pairs = [("group.id", "g"), ("group.protocol", "consumer"), (key, value)];
        assert_says(consumer(&pairs), &[&told, instead]);
    }
    let read = consumer(&[("group.protocol", "Consumer"), ("group.remote.assignor", "uniform")]).unwrap();
    assert_eq!(read.group_protocol, GroupProtocol::Consumer);
    assert_eq!(read.group_remote_assignor.as_deref(), Some("uniform"));
    assert_says(
        consumer(&[("group.id", "g"), ("group.remote.assignor", "uniform")]),
        &[
            "group.remote.assignor=uniform",
            "group.protocol=classic (default)",
            "partition.assignment.strategy",
        ],
    );
}
