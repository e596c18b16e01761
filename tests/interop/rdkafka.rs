//! A recent librdkafka, as `rdkafka/src/main.rs` uses it through the crate `rdkafka`: unmodified, with its own defaults but for
//! what is under test (an idempotent producer, the protocol of groups).

use super::groups::{Member, Story};
use super::{process, programs, skip};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

/// What building it may take, the first time.
const BUILD_LIMIT: Duration = Duration::from_secs(1_200);

/// What librdkafka is built with, beside OpenSSL's headers.
const TOOLS: [&str; 4] = ["cc", "c++", "make", "pkg-config"];

/// The program; `None` where nobody can build it.
static PROGRAM: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let openssl = || Command::new("pkg-config").args(["--exists", "openssl"]).status().unwrap().success();
    if !TOOLS.into_iter().all(process::installed) || !openssl() {
        skip::skip(&format!("no {TOOLS:?}, or no headers of OpenSSL, to build librdkafka with"));
        return None;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rdkafka");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/rdkafka");
    let mut build = Command::new("cargo");
    build.args(["build", "--locked", "--quiet", "--target-dir"]).arg(&target).current_dir(source);
    // Half the time of a build is what the C compiler does to make it fast.
    build.env("CFLAGS", "-O0 -g0");
    process::run(&mut build, b"", BUILD_LIMIT).success();
    Some(target.join("debug/interop-rdkafka"))
});

fn everywhere(work: impl Fn(&programs::Peer<'_>)) {
    programs::everywhere(PROGRAM.as_deref(), work);
}

#[test]
fn librdkafka_finds_partitions_produces_in_every_codec_and_asks_for_offsets() {
    everywhere(programs::finds_partitions_produces_in_every_codec_and_asks_for_offsets);
}

#[test]
fn librdkafka_goes_on_in_a_group_where_it_has_stopped() {
    everywhere(programs::goes_on_in_a_group_where_it_has_stopped);
}

#[test]
fn librdkafka_goes_on_in_a_group_of_the_new_protocol() {
    everywhere(|peer| {
        programs::goes_on_in_a_group_where_it_has_stopped(&peer.with("group.protocol=consumer"));
        let asked = |api| peer.bench.broker.requests().iter().any(|asked| asked.api == api);
        assert!(asked("ConsumerGroupHeartbeat") && !asked("JoinGroup"), "nobody has fallen back");
    });
}

#[test]
fn librdkafka_reads_nothing_of_a_transaction_that_it_has_aborted() {
    everywhere(programs::reads_nothing_of_a_transaction_that_it_has_aborted);
}

#[test]
fn librdkafka_reads_the_partitions_that_it_is_given() {
    everywhere(|peer| {
        peer.bench.broker.create_topic("orders", 3).unwrap();
        let told: BTreeSet<String> = peer.run(&["produce", "orders", "300", "lz4"]).into_iter().collect();
        let read = peer.run(&["read", "orders", "3", "300"]);
        assert_eq!(read.len(), 300);
        assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), told);
        peer.run(&["transact", "orders-1", "orders", "50"]);
        let all = peer.with("isolation.level=read_uncommitted").run(&["read", "orders", "3", "400"]);
        assert_eq!(all.iter().filter(|line| line.contains(" aborted-")).count(), 50);
        let committed = peer.with("isolation.level=read_committed").run(&["read", "orders", "3", "350"]);
        assert_eq!(committed.iter().filter(|line| line.contains(" committed-")).count(), 50);
        assert!(!committed.iter().any(|line| line.contains(" aborted-")), "{committed:?}");
    });
}

#[test]
fn librdkafkas_members_share_a_topic() {
    share_a_topic("heartbeat.interval.ms=300");
}

#[test]
fn librdkafkas_members_share_a_topic_by_the_new_protocol() {
    share_a_topic("group.protocol=consumer");
}

fn share_a_topic(setting: &str) {
    everywhere(|peer| {
        let peer = peer.with(setting);
        let story = Story::new(peer.bench, |partition, record| {
            peer.run(&["write", "orders", &partition.to_string(), record]);
        });
        story.tell(|_| Member::start(peer.command(&["member", "billing", "orders"])));
    });
}

#[test]
fn librdkafka_copies_each_record_once_whatever_it_aborts() {
    for protocol in ["classic", "consumer"] {
        everywhere(|peer| {
            let (peer, broker) = (peer.with(&format!("group.protocol={protocol}")), &peer.bench.broker);
            broker.create_topic("from", 2).unwrap();
            broker.create_topic("to", 2).unwrap();
            peer.run(&["produce", "from", "100", "none"]);
            let ended = peer.run(&["copy", "copier", "copier-1", "from", "to", "100"]);
            let aborted = ended.iter().filter(|line| line.starts_with("aborted")).count();
            assert!(aborted > 0, "{ended:?}");
            let values = |lines: Vec<String>| {
                let value = |line: &String| line.splitn(3, ' ').nth(2).unwrap().to_owned();
                let mut values: Vec<String> = lines.iter().map(value).collect();
                values.sort();
                values
            };
            let copied = peer.run(&["read", "to", "2", "100"]);
            assert_eq!(values(copied), values(peer.stored("from").into_iter().collect()), "{protocol}");
            let committed: BTreeMap<i32, i64> = broker
                .commits()
                .into_iter()
                .filter(|commit| commit.group == "copier")
                .map(|commit| (commit.partition, commit.offset))
                .collect();
            assert_eq!(committed.values().sum::<i64>(), 100, "{protocol}: {committed:?}");
        });
    }
}

#[test]
fn librdkafkas_administrators_create_grow_describe_and_delete_topics() {
    everywhere(|peer| {
        let broker = &peer.bench.broker;
        assert_eq!(peer.run(&["create", "orders", "2"]), ["orders"]);
        assert_eq!(broker.partitions("orders"), Some(2));
        let settings = peer.run(&["settings", "orders"]);
        assert!(settings.contains(&"retention.ms=3600000".to_owned()), "{settings:?}");
        assert_eq!(peer.run(&["grow", "orders", "4"]), ["orders"]);
        assert_eq!(peer.run(&["metadata", "orders"]).len(), 1 + 4);
        peer.run(&["produce", "orders", "1", "none"]);
        peer.run(&["consume", "billing", "orders", "1"]);
        assert_eq!(peer.run(&["groups"]), ["billing Empty  0"]);
        assert_eq!(peer.run(&["delete", "orders"]), ["orders"]);
        assert_eq!(broker.partitions("orders"), None);
    });
}
